"""One table of all medians at the end of the session, beside the targets. A target that is missed fails nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

ENGINES = ("numpy", "numba", "c")
MEDIANS = pytest.StashKey[dict[tuple, float]]()


def pytest_configure(config):
    config.stash[MEDIANS] = {}


@pytest.fixture
def keep(benchmark, pytestconfig):
    """keep(what, *details, count=1): the median of what was timed, over `count`, or `seconds` goes into the table."""

    def keep(*key, count=1, seconds=None):
        if benchmark.stats is not None:  # it is None with --benchmark-disable
            pytestconfig.stash[MEDIANS][key] = seconds or benchmark.stats.stats.median / count
        return pytestconfig.stash[MEDIANS].get(key)

    return keep


@pytest.hookimpl(trylast=True)  # below the tables of pytest-benchmark
def pytest_terminal_summary(terminalreporter, config):
    medians = config.stash[MEDIANS]
    if medians:
        terminalreporter.section("fastadapd: medians")
        for lines in (activations, floors, workers, ensembles, solves, processes, targets):
            for line in lines(medians):
                terminalreporter.write_line(line)


def cases(medians: dict[tuple, float], what: str) -> list[tuple]:
    """What was timed, without the engine."""
    return list(dict.fromkeys(key[:-1] for key in medians if key[0] == what))


def row(medians: dict[tuple, float], case: tuple, unit: float) -> str:
    """The engines' figures in units, and the ratios to C."""
    times = [medians.get((*case, engine)) for engine in ENGINES]
    numpy, numba, c = times
    return "".join([*(cell(t, unit, 12) for t in times), cell(numpy, c, 10), cell(numba, c, 10)])


def cell(seconds: float | None, unit: float | None, width: int) -> str:
    if not seconds or not unit:
        return f"{'-':>{width}}"
    return f"{seconds / unit:>{width},.{0 if seconds >= 100 * unit else 2}f}"


def head(title: str) -> str:
    return f"{title:<40}" + "".join(f"{engine:>12}" for engine in ENGINES) + f"{'numpy/c':>10}{'numba/c':>10}"


def activations(medians: dict[tuple, float]) -> Iterator[str]:
    if found := cases(medians, "activation"):
        yield head("nanoseconds per activation")
    for case in found:
        _, agents, N, n = case
        yield f"  {agents:<15}N = {N:<8,}n = {n:<7}" + row(medians, case, 1e-9)


def floors(medians: dict[tuple, float]) -> Iterator[str]:
    if found := cases(medians, "floor"):
        yield f"{'nanoseconds per activation, and their floor':<52}{'c':>12}{'floor':>12}{'c/floor':>10}"
    for case in found:
        _, agents, N, n = case
        c, floor = medians[*case, "c"], medians[*case, "floor"]
        yield f"  {agents:<15}N = {N:<8,}n = {n:<19}{cell(c, 1e-9, 12)}{cell(floor, 1e-9, 12)}{cell(c, floor, 10)}"


def workers(medians: dict[tuple, float]) -> Iterator[str]:
    if found := cases(medians, "workers"):
        yield f"{'million activations per second, quickest rounds':<52}{'1 worker':>12}{'2 workers':>12}{'2/1':>10}"
    for case in found:
        _, agents, N, n = case
        one, two = medians[*case, 1], medians[*case, 2]
        yield f"  {agents:<15}N = {N:<8,}n = {n:<19}{1e-6 / one:>12.2f}{1e-6 / two:>12.2f}{one / two:>10.2f}"


def ensembles(medians: dict[tuple, float]) -> Iterator[str]:
    if found := cases(medians, "ensembles"):
        yield f"{'milliseconds for four solves, quickest rounds':<52}{'1 worker':>12}{'2 workers':>12}{'1/2':>10}"
    for case in found:
        one, two = medians[*case, 1], medians[*case, 2]
        yield f"  {'':<15}N = {case[1]:<31,}{cell(one, 1e-3, 12)}{cell(two, 1e-3, 12)}{cell(one, two, 10)}"


def solves(medians: dict[tuple, float]) -> Iterator[str]:
    if found := cases(medians, "solve"):
        yield head("milliseconds per solve, tol = 1e-6")
    for case in found:
        yield f"  {case[1]:<38}" + row(medians, case, 1e-3)


def processes(medians: dict[tuple, float]) -> Iterator[str]:
    if found := [key for key in medians if key[0] == "process"]:
        yield "milliseconds per process, from start to end"
    for key in found:
        yield f"  {key[1]:<38}" + cell(medians[key], 1e-3, 12)


def targets(medians: dict[tuple, float]) -> Iterator[str]:
    """Those of the issue, each with the least favourable figure."""

    def ratios(engine: str, *size: int) -> list[float]:
        found = [case for case in cases(medians, "activation") if case[2:] == size or not size]
        return [medians[*case, engine] / medians[*case, "c"] for case in found
                if (*case, engine) in medians and (*case, "c") in medians]

    yield "targets"
    gain = min(ratios("numpy", 30, 20), default=None)
    yield target("C at least 100 times the NumPy engine at n = 20, N = 30", gain, gain and gain >= 100)
    loss = max(ratios("numba"), default=None)
    yield target("Numba within 1.5 times of C", loss, loss and loss <= 1.5)
    above = {case: medians[*case, "c"] / medians[*case, "floor"] for case in cases(medians, "floor")}
    most = max(above.values(), default=None)
    yield target("C at most 1.5 times the floor of the dense data", most, most and most <= 1.5)
    half = max((a for (_, agents, N, _), a in above.items() if agents == "ellipsoids" and N >= 10_000), default=None)
    yield target("C below the floor with symmetric matrices from N = 10,000 on", half, half and half < 1)
    gain = min((medians[*case, 1] / medians[*case, 2] for case in cases(medians, "workers") if case[2] == 10_000),
               default=None)
    yield target("two workers 1.7 times as fast as one at N = 10,000", gain, gain and gain >= 1.7)
    seconds = medians.get(("process", "import and first solve, c"))
    yield target("import plus first solve with C under half a second", seconds, seconds and seconds < 0.5)
    bare, ours = medians.get(("process", "import numpy, scipy.sparse")), medians.get(("process", "import fastadapd"))
    ratio = ours / bare if ours and bare else None
    yield target("import within 1.3 times of NumPy with scipy.sparse", ratio, ratio and ratio <= 1.3)
    seconds = medians.get(("process", "import and first solve, numba"))
    yield target("import plus first solve with Numba's cache under 1.5 seconds", seconds, seconds and seconds < 1.5)
    solve, loop, run = (medians.get(("fixed", what)) for what in ("solve", "loop", "run"))
    extra = 1e3 * (solve - loop) if solve and loop else None
    yield target("solve of 5 agents at most 1 ms above the loop", extra, extra and extra <= 1)
    yield target("Solver.run of one epoch at most 20 microseconds", run and 1e6 * run, run and 1e6 * run <= 20)


def target(text: str, figure: float | None, reached: bool | None) -> str:
    return f"  {text}: " + (f"{figure:.2f}, {'reached' if reached else 'MISSED'}" if figure else "not measured")
