"""The experiment of the AD-APD paper: localization over a small-world network, AD-APD against DPDA-S.

Four curves, all against the number of communications (an activation of AD-APD is one, an iteration of DPDA-S one per
agent):

* AD-APD (paper): global momentum and the steps of the theory, with the multiplier bound from the Slater point.
* AD-APD adaptive: the default of `fastadapd.solve`, nothing to choose.
* DPDA-S (theory): the steps of the theory, with the same bound.
* DPDA-S (best of grid): for each seed the best of 24 choices, made with the optimum in hand: the multiplier
  bound is 1.1 times the largest optimal multiplier, the Jacobian bound is the largest norm at the optimum, and gamma,
  dual_weight and step_scale (up to 1.8, where nothing is guaranteed) are tried around those.
"""

from __future__ import annotations

import csv
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastadapd import engines, gallery, graphs, plotting
from fastadapd._terms import Floats
from fastadapd.centralized import CentralizedResult, solve_centralized
from fastadapd.errors import FastadapdError
from fastadapd.methods import ADAPD, DPDA, Method
from fastadapd.network import Network
from fastadapd.problem import Problem
from fastadapd.result import Result, Status
from fastadapd.solver import Solver
from fastadapd.steps import slater_bound

PAPER, ADAPTIVE, THEORY, TUNED = CURVES = (
    "AD-APD (paper)", "AD-APD adaptive", "DPDA-S (theory)", "DPDA-S (best of grid)")
COLUMNS = ("communications", "floats_sent", "suboptimality", "infeasibility", "consensus_violation", "residual", "fun")

_GAMMAS, _DUAL_WEIGHTS, _STEP_SCALES = (0.3, 1.0, 3.0, 10.0), (1.0, 3.0, 10.0), (1.0, 1.8)
_GRID = len(_GAMMAS) * len(_DUAL_WEIGHTS) * len(_STEP_SCALES)
_SAFETY = 1.1  # bounds of the grid over what they bound: smaller is faster, below 1 converges to a wrong point
_TARGETS = (1e-2, 1e-4, 1e-6)
_TUNED_FOR = 1e-4
_RESOLUTION = 1e-9  # relative accuracy of F* from an interior-point solver at its usual tolerances
_SLICES = 20  # per run, how often Ctrl-C is looked at

_NOTES = f"""
AD-APD (paper), DPDA-S (theory): the steps that come with a guarantee, multiplier bound from the Slater point.
AD-APD adaptive: nothing to choose.
DPDA-S (best of grid): for every seed the best of {_GRID} choices of gamma, dual_weight and step_scale, made knowing the
  optimum: multiplier bound {_SAFETY} times the largest optimal multiplier, Jacobian bound the largest norm there.
One communication: one agent speaks once to its neighbours. AD-APD sends each of them 2 n numbers, DPDA-S n.
F* is Clarabel's, good to about {_RESOLUTION:.0e}: whatever is smaller counts as even."""

# one colour for a method; the steps of the theory lighter and dashed
_STYLES: dict[str, dict[str, Any]] = {
    PAPER: {"color": "#56B4E9", "linestyle": (0, (5, 1.5))},
    ADAPTIVE: {"color": "#0B5FA5", "linewidth": 2.8},
    THEORY: {"color": "#E69F00", "linestyle": (0, (5, 1.5))},
    TUNED: {"color": "#C8420A"},
}


@dataclass(frozen=True)
class Experiment:
    """Sizes of the experiment.

    Attributes
    ----------
    n_agents, dim : int
    n_edges : int
        Random edges besides the cycle.
    n_seeds : int
        Problems, networks and activations are drawn from the seeds 0, 1, ...
    communications : int
        Activations of every run, rounded up to a multiple of n_agents; so many communications at least.
    engine : str
    """

    n_agents: int = 30
    dim: int = 20
    n_edges: int = 60
    n_seeds: int = 10
    communications: int = 150_000
    engine: str = "auto"

    @property
    def epochs(self) -> int:
        """Length of every run."""
        return -(-self.communications // self.n_agents)

    def counts(self) -> np.ndarray:
        """Activations at which all runs are recorded: about 60 on a logarithmic scale, multiples of n_agents."""
        return np.unique(np.geomspace(1, self.epochs, 70).round().astype(np.int64)) * self.n_agents


@dataclass(frozen=True, eq=False)
class Instance:
    """What one seed draws, its optimum and the methods that are to find it."""

    seed: int
    problem: Problem
    network: Network
    optimum: CentralizedResult
    slater: float

    @classmethod
    def draw(cls, size: Experiment, seed: int) -> Instance:
        """Draw a problem and a network, and solve the problem with CVXPY and Clarabel."""
        for_problem, for_network = np.random.default_rng(seed).spawn(2)
        case = gallery.localization(size.n_agents, size.dim, rng=for_problem)
        network = Network(graphs.small_world(size.n_agents, size.n_edges, rng=for_network))
        return cls(seed, case.problem, network, solve_centralized(case.problem, solver="CLARABEL"),
                   slater_bound(case.problem, case.slater_point))

    def methods(self) -> list[tuple[str, Method]]:
        """All runs: a curve's label and its method; many for the curve of the tuning grid."""
        return [
            (PAPER, ADAPD(momentum="global", steps="theory", multiplier_bound=self.slater)),
            (ADAPTIVE, ADAPD()),
            (THEORY, DPDA(multiplier_bound=self.slater)),
            *((TUNED, method) for method in self.tuning_grid()),
        ]

    def tuning_grid(self) -> list[DPDA]:
        """Choices around what only somebody who knows the optimum can know."""
        x, constraint = self.optimum.x, self.problem.constraints[0].term
        bound = max(_SAFETY * max(float(theta.max()) for theta in self.optimum.multipliers), 1.0)
        steepest = float(np.linalg.norm(constraint.jacobian(x), axis=(-2, -1)).max())
        lipschitz = float((self.problem.lipschitz() + bound * constraint.curvature).mean())
        balanced = lipschitz / (2 * self.network.degrees.mean())
        return [DPDA(gamma=gamma * balanced, dual_weight=weight, step_scale=scale, multiplier_bound=bound,
                     jacobian_bound=steepest)
                for gamma, weight, scale in itertools.product(_GAMMAS, _DUAL_WEIGHTS, _STEP_SCALES)]


def run(size: Experiment, *, progress: bool = False) -> dict[str, list[Result]]:
    """Run all curves for all seeds.

    Parameters
    ----------
    size : Experiment
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of str to list of Result
        One result per seed for each of `CURVES`; for the tuning grid the best one.

    Raises
    ------
    FastadapdError
        When CVXPY, Clarabel or Matplotlib is missing, or the engine does not work here.
    """
    _require("cvxpy", "clarabel", "matplotlib")
    engines.load(size.engine)
    from tqdm.auto import tqdm

    total = size.n_seeds * (len(CURVES) - 1 + _GRID)
    with tqdm(total=total, unit="run", disable=not progress) as bar, _workers() as (pool, stop):
        def count(job: Future[Result]) -> None:
            if not job.cancelled() and job.exception() is None:
                bar.update()

        jobs: dict[Future[Result], tuple[str, int]] = {}
        for seed in range(size.n_seeds):
            bar.set_description(f"CVXPY, seed {seed}")
            instance = Instance.draw(size, seed)
            for label, method in instance.methods():
                job = pool.submit(_solve, instance, method, size, stop)
                job.add_done_callback(count)
                jobs[job] = label, seed
        bar.set_description("solving")
        for job in as_completed(jobs):
            job.result()
    found: dict[tuple[str, int], list[Result]] = {}
    for job, key in jobs.items():
        found.setdefault(key, []).append(job.result())
    return {label: [min(found[label, seed], key=_tuning_score) for seed in range(size.n_seeds)] for label in CURVES}


def _solve(instance: Instance, method: Method, size: Experiment, stop: threading.Event) -> Result:
    solver = Solver(instance.problem, instance.network, method=method, engine=size.engine, rng=instance.seed, tol=0,
                    optimal_value=instance.optimum.fun, record=size.counts())
    ends = np.unique(np.linspace(0, size.epochs, _SLICES + 1).astype(int))
    with np.errstate(all="ignore"):  # some members of the grid diverge
        for epochs in np.diff(ends):
            if stop.is_set():
                raise KeyboardInterrupt
            solver.run(int(epochs))
        return solver.result()


@contextmanager
def _workers() -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    """Threads, and the event that makes their work stop early; it is set when the block is left by an exception."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool, stop
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _require(*packages: str) -> None:
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise FastadapdError(f"figure1 needs {package} ({error}): pip install 'fastadapd[figures]'") from error


# -- looking at the outcome -------------------------------------------------------------------------------------------


def largest_measure(result: Result) -> Floats:
    """The largest of suboptimality, infeasibility and consensus violation at every recorded count; diverged: inf."""
    largest = np.max([result.history[measure] for measure in plotting.MEASURES], axis=0)
    return np.where(np.isfinite(largest), largest, np.inf)


def needed(result: Result, target: float, what: str = "communications") -> float:
    """After how many of them `largest_measure` stays at or below the target (interpolated); inf: never."""
    counts, errors = result.history[what], largest_measure(result)
    if result.status is Status.DIVERGED or errors[-1] > target:
        return np.inf
    if errors.max() <= target:
        return float(counts[0])
    k = int(np.flatnonzero(errors > target)[-1])
    if not np.isfinite(errors[k]):
        return float(counts[k + 1])
    x, y = np.log(counts[k : k + 2]), np.log(np.maximum(errors[k : k + 2], 1e-300))
    return float(np.exp(x[0] + (np.log(target) - y[0]) / (y[1] - y[0]) * (x[1] - x[0])))


def _tuning_score(result: Result) -> tuple[float, float]:
    final = np.inf if result.status is Status.DIVERGED else float(largest_measure(result)[-1])
    return needed(result, _TUNED_FOR), final


def _median(results: Sequence[Result], counts: np.ndarray, value: Callable[[Result], Floats]) -> Floats:
    """Median over the seeds after so many communications (interpolated); inf where a run has diverged before."""
    table = np.full((len(results), len(counts)), np.inf)
    for row, result in zip(table, results, strict=True):
        own, sent = value(result), result.history["communications"]
        known = np.isfinite(own)
        if known.any():
            there = counts <= sent[known][-1]
            logarithms = np.log(np.maximum(own[known], 1e-16))  # that of a zero
            row[there] = np.exp(np.interp(np.log(counts[there]), np.log(sent[known]), logarithms))
    return np.median(table, axis=0)


def report(results: Mapping[str, Sequence[Result]], counts: np.ndarray) -> str:
    """What a person wants to read: who is ahead when, by how much, and what it took.

    Parameters
    ----------
    results : dict of str to sequence of Result
        As `run` returns them.
    counts : ndarray of int
        Communications to show, about a dozen of them; as ``Experiment.counts``.

    Returns
    -------
    str
    """
    errors = np.array([_median(own, counts, largest_measure) for own in results.values()])
    shown = np.unique(np.searchsorted(counts, np.geomspace(counts[0], counts[-1], 12) * (1 - 1e-12)))
    last = [[_median(own, counts, lambda result, name=measure: result.history[name])[-1]  # type: ignore[misc]
             for own in results.values()] for measure in plotting.MEASURES]
    names = list(results)

    def row(head: str, values: Sequence[float] | Floats, shape: str, floor: float = 0.0) -> str:
        cells = [f"{value:{shape}}" if np.isfinite(value) else "-" for value in values]
        return f"{head:>19}" + "".join(f"{cell:>16}" for cell in cells) + "   " + _ahead(names, values, floor)

    def to(target: float, what: str) -> list[float]:
        return [float(np.median([needed(result, target, what) for result in own])) for own in results.values()]

    def rule(head: str) -> str:
        return f"{head:>19}" + "".join(f"{name.split(' ', 1)[1]:>16}" for name in names) + "   ahead"

    n_seeds = len(next(iter(results.values())))
    return "\n".join([
        f"Largest of suboptimality, infeasibility and consensus violation, median over {n_seeds} seeds",
        "",
        " " * 19 + "".join(f"{name.split(' ', 1)[0]:>16}" for name in names),
        rule("communications"),
        *(row(f"{counts[k]:,}", errors[:, k], ".1e", _RESOLUTION) for k in shown),
        "",
        *(line for what, head in (("communications", "communications to"), ("floats_sent", "numbers sent to"))
          for line in (rule(head), *(row(f"{target:.0e}", to(target, what), ",.0f") for target in _TARGETS), "")),
        rule(f"after {counts[-1]:,}"),
        *(row(measure.replace("_", " "), values, ".1e", _RESOLUTION)
          for measure, values in zip(plotting.MEASURES, last, strict=True)),
    ])


def _ahead(names: Sequence[str], values: Sequence[float] | Floats, floor: float) -> str:
    """'AD-APD adaptive, 12 x': the smallest value, and how much larger the second one is."""
    values = np.maximum(values, floor)
    first, second = np.argsort(values, kind="stable")[:2]
    if not np.isfinite(values[first]):
        return "-"
    if values[second] <= floor:
        return f"even (below {floor:.0e})"
    if not np.isfinite(values[second]):
        return f"{names[first]}, alone"
    ratio = float(f"{values[second] / values[first]:.2g}")
    return "even" if ratio < 1.05 else f"{names[first]}, {ratio:,.7g} x"


def write_csv(results: Mapping[str, Sequence[Result]], path: Path) -> None:
    """One row per curve, seed and recorded count."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("curve", "seed", *COLUMNS))
        for label, own in results.items():
            for seed, result in enumerate(own):
                for row in zip(*(result.history[name].tolist() for name in COLUMNS), strict=True):
                    rows.writerow((label, seed, *row))


def draw(results: Mapping[str, Sequence[Result]], path: Path) -> None:
    """The picture: three panels, median and 10-90 % band over the seeds."""
    result = next(iter(results.values()))[0]
    N, n = result.x_agents.shape
    plotting.convergence(results, floor=_RESOLUTION, styles=_STYLES, path=path,
                         title=f"Localization: {N} agents with private ellipsoids in {n} dimensions, small-world "
                               f"network (median and 10-90 % of {len(next(iter(results.values())))} seeds)\n"
                               "in a communication AD-APD sends every neighbour of an agent 2 n numbers, DPDA-S n")


def main(size: Experiment, out: Path, *, progress: bool = True) -> None:
    """Run, print the report, write figure1.csv and figure1.png."""
    results = run(size, progress=progress)
    print(f"\nLocalization: {size.n_agents} agents with private ellipsoids in {size.dim} dimensions; network: cycle "
          f"and {size.n_edges} random edges\n")
    print(report(results, size.counts()))
    print(_NOTES)
    write_csv(results, out / "figure1.csv")
    draw(results, out / "figure1.png")
    print(f"\nWrote {out / 'figure1.png'} and {out / 'figure1.csv'}")
