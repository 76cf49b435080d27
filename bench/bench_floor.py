"""The kernel beside the floor, what memory alone asks for (floor.c), by turns: ``pytest bench/bench_floor.py``.

The floor of the dense data: each agent's n x n or m x n matrix is read once, whole. The cost |x - b|^2 / 2 of an
ellipsoid agent counts with its vector alone; the kernel takes one local step, which reads everything once. The floor
is compiled here, with the instruction set of the kernels, and is the faster of two: memory asked ahead, or not. Each
loop goes once before it is timed, so that the cache holds what it can of its own memory, not of the others'. A case
that does not fit into memory is skipped (N = 100,000, n = 100: 8 GB for the dense matrices alone). Times are those of
the processor, for machines that are shared.
"""

from __future__ import annotations

import functools
import os
import statistics
import time

import floor as floors
import numpy as np
import pytest
from bench_engines import ROWS, case, ellipsoids, least_squares

from fastadapd import engines
from fastadapd.engines.packing import OK
from fastadapd.methods import ADAPD
from fastadapd.methods._base import Start

NUMBERS = {"ellipsoids": lambda n: n + 2 + n + n * n, "least_squares": lambda n: ROWS + ROWS * n}  # read per agent


@pytest.fixture(scope="session")
def floor(tmp_path_factory):
    """floor(n): the loop of floor.c for n coordinates, with its FFI."""
    if reason := engines.availability()["c"] or (None if floors.compiler() else "no C compiler for the floor"):
        pytest.skip(reason)
    from fastadapd.engines import native

    return functools.cache(functools.partial(floors.load, simd=native.simd(), folder=tmp_path_factory.mktemp("floor")))


@pytest.mark.parametrize("n", [5, 20, 100], ids="n{}".format)
@pytest.mark.parametrize("N", [30, 1_000, 10_000, 100_000], ids="N{}".format)
@pytest.mark.parametrize("agent", [ellipsoids, least_squares], ids=lambda agent: agent.__name__)
@pytest.mark.benchmark(group="floor", timer=time.thread_time)
def bench_floor(benchmark, keep, floor, agent, N, n):
    numbers = NUMBERS[agent.__name__](n)
    needed = 8 * N * (3 * numbers + 40 * n)  # the data, once more while stacked or packed, and the floor's
    if needed > os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        pytest.skip(f"needs {needed / 1e9:.0f} GB of memory")
    problem, graph = case(agent, N, n)
    engine, method = engines.load("c")(problem, graph), ADAPD(local_steps=1)
    run = method.start(problem, graph, engine, method.clock(), Start(np.zeros((N, n)), None, None))
    touch = floors.touching(*floor(n), run, problem, graph, numbers)
    count = max(N, 200_000 // n)
    agents = np.random.default_rng(1).integers(N, size=count, dtype=np.int32)
    times: dict[int, list[float]] = {0: [], 2: []}

    def turn():
        for ahead, seconds in times.items():
            touch(agents, ahead)
            start = time.thread_time()
            total = touch(agents, ahead)
            seconds.append(time.thread_time() - start)
            assert total >= count * numbers  # terms are ones: it read them all
        engine.adapd(run.steps, run.state, agents)

    before = run.activations
    status = benchmark.pedantic(engine.adapd, (run.steps, run.state, agents), setup=turn, rounds=15, warmup_rounds=1)
    assert status == OK and run.activations == before + 32 * count
    least = min(statistics.median(seconds[1:]) for seconds in times.values())
    seconds = keep("floor", agent.__name__, N, n, "c", count=count)
    keep("floor", agent.__name__, N, n, "floor", seconds=least / count)
    benchmark.extra_info["ratio"] = seconds and seconds * count / least
