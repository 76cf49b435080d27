"""The convergence suite: how far AD-APD gets on families of random problems, judged by CVXPY optima.

    python bench/suite.py                                         # AD-APD adaptive, everything
    python bench/suite.py --methods adaptive,paper,dpda --sizes 10,50 --seeds 3 --families ellipsoids,chance

Writes suite.csv (one row per run), suite.txt (the printed tables) and suite.png. Methods:

* adaptive: the default of `fastadapd.solve`. It fails where it is not SOLVED within the budget, and where it says
  SOLVED and the true error is above 100 tol.
* paper, dpda: AD-APD with global momentum and the steps of the theory, and DPDA-S, each as the theory has it and at the
  best of 20 tunings, chosen for every problem by the outcome. Both are told what only somebody who knows the optimum
  can know: multiplier bound 1.1 times the largest optimal multiplier, Jacobian bound the largest norm at the optimum.
  They run to a true error of 1e-4, for at most `--horizon` times as many epochs as the adaptive method needed for that.

The true error is the largest of: the agents' distance to the optimum (root mean square, over max(1, |x*|)) where it is
unique, else the largest violation of a constraint; and the objective's error over max(1, |F*|). Both are in the natural
units of the problem (see families.py).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from families import FAMILIES, Case

import fastadapd as fa
from fastadapd.methods import ADAPD, DPDA, Method

METHODS = ("adaptive", "paper", "dpda")
TARGET = (3e-6, 3e-5)  # DESIGN 2: of the objective and of the agents' points
DESIGN = {10: 250, 50: 900, 200: 2500}  # median epochs to it that the ellipsoids may take
COMPARED_AT = 1e-4  # true error at which the methods are compared
FALSE = 100  # SOLVED is false where the true error is above FALSE * tol
RESOLUTION = 1e-6  # of the reference: smaller errors than this are not told from zero
TIGHT = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "tol_ktratio": 1e-10}
COLUMNS = ("family", "n_agents", "seed", "method", "tuning", "constrained", "failure", "status", "epochs_1e-3",
           "communications_1e-3", "epochs_1e-6", "communications_1e-6", "epochs_true_1e-4", "communications_true_1e-4",
           "epochs_target", "communications_target", "epochs", "communications", "residual", "error_x", "error_fun",
           "violation", "runtime")
Row = dict[str, Any]


# ---- The reference ----


@dataclass(frozen=True, eq=False)
class Reference:
    """CVXPY's optimum in natural units: x*, F* and the norm of the largest agent's multipliers."""

    x: np.ndarray
    fun: float
    multiplier: float


def reference(case: Case, cache: Path) -> Reference:
    """Solve a case with CVXPY and Clarabel, at its usual tolerances if it fails at tight ones, or look it up."""
    problem = case.twin or case.problem
    path = cache / f"{fingerprint(problem)}.npz"
    if not path.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where it does its best but cannot reach these tolerances
            try:
                found = fa.solve_centralized(problem, **TIGHT)
            except fa.FastadapdError:
                found = fa.solve_centralized(problem)
        largest = max((float(np.linalg.norm(theta)) for theta in found.multipliers), default=0.0)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npz", delete=False) as file:
            np.savez(file, x=found.x, fun=found.fun, multiplier=largest)
        os.replace(file.name, path)
    with np.load(path) as saved:
        return Reference(saved["x"], float(saved["fun"]), float(saved["multiplier"]))


def fingerprint(problem: fa.Problem) -> str:
    """Of all data, so that an optimum in the cache is never another problem's."""
    digest = hashlib.sha256(repr(problem).encode())
    for group in (*problem.objectives, *problem.regularizers, *problem.constraints):
        digest.update(type(group.term).__name__.encode() + group.agents.tobytes())
        for array in group.term.packed():
            digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:32]


# ---- One run ----


@dataclass(eq=False)
class Trace:
    """A run with its true errors at every check."""

    case: Case
    optimum: Reference
    tol: float
    rows: list[tuple[float, ...]] = field(default_factory=list)  # epochs, communications, then the measures

    def add(self, result: fa.Result) -> None:
        case, best = self.case, self.optimum
        X = case.units * result.x_agents
        size = max(1.0, float(np.linalg.norm(best.x)))
        far = float(np.sqrt(((X - best.x) ** 2).sum(axis=1).mean())) / size if case.unique else np.nan
        fun = float(case.problem.values(result.x_agents).sum()) / case.cost_unit
        wrong = abs(fun - best.fun) / max(1.0, abs(best.fun))
        self.rows.append((result.epochs, result.communications, result.residual, far, wrong,
                          result.infeasibility / size))

    def error(self) -> np.ndarray:
        """The true error at every check."""
        *_, far, wrong, violation = np.array(self.rows).T
        return np.maximum(far if self.case.unique else violation, wrong)

    def target(self) -> np.ndarray:
        """Where the accuracy of DESIGN 2 is reached."""
        *_, far, wrong, _ = np.array(self.rows).T
        return (wrong <= TARGET[0]) & (np.nan_to_num(far) <= TARGET[1])

    def columns(self) -> Row:
        epochs, communications, residual, far, wrong, violation = np.array(self.rows).T
        found: Row = {}
        for level, reached in (("_1e-3", residual <= 1e-3), ("_1e-6", residual <= 1e-6),
                               ("_true_1e-4", self.error() <= COMPARED_AT), ("_target", self.target())):
            for name, count in (("epochs", epochs), ("communications", communications)):
                found[name + level] = float(count[np.argmax(reached)]) if reached.any() else np.inf
        return found | {"residual": residual[-1], "error_x": far[-1], "error_fun": wrong[-1],
                        "violation": violation[-1]}


def run_adaptive(case: Case, optimum: Reference, seed: int, options: argparse.Namespace) -> Row:
    """Solve as a user would, and once more with a look at every check.

    It goes on behind SOLVED only where the target of DESIGN 2 was not met there.
    """
    solver = fa.Solver(case.problem, case.network, rng=seed, tol=options.tol)
    solver.run(options.max_epochs)
    result = solver.result()
    trace = Trace(case, optimum, options.tol)
    fa.Solver(case.problem, case.network, rng=seed, tol=options.tol, callback=trace.add).run(result.epochs)
    if not trace.rows or trace.rows[-1][0] != result.epochs:
        trace.add(result)
    found = trace.columns()
    if result.success and not np.isfinite(found["epochs_target"]):
        def enough(now: fa.Result) -> bool:
            trace.add(now)
            return bool(trace.target()[-1])

        further = fa.Solver(case.problem, case.network, rng=seed, tol=0, callback=enough)
        further.restore(solver.checkpoint())
        further.run(options.max_epochs - result.epochs)
        found["epochs_target"] = trace.columns()["epochs_target"]
    error = max(found["error_fun"], found["error_x"] if case.unique else found["violation"])
    true = error <= max(FALSE * options.tol, RESOLUTION)
    failure = result.status.name if not result.success else "" if true else "FALSE"
    return found | {"method": "adaptive", "failure": failure, "status": result.status.name, "epochs": result.epochs,
                    "communications": result.communications, "runtime": result.runtime}


def run_until(method: Method, case: Case, optimum: Reference, seed: int, tol: float, epochs: float) -> Row:
    """Run a competitor to the true error of the comparison."""
    trace = Trace(case, optimum, tol)

    def enough(result: fa.Result) -> bool:
        trace.add(result)
        return bool(trace.error()[-1] <= COMPARED_AT)

    result = fa.solve(case.problem, case.network, method=method, rng=seed, tol=0, max_epochs=epochs, callback=enough)
    trace.add(result)
    return trace.columns() | {"status": result.status.name, "epochs": result.epochs, "failure": "",
                              "communications": result.communications, "runtime": result.runtime}


def tunings(name: str, case: Case, optimum: Reference) -> list[Method]:
    """The method's own choice, then 20 around what only somebody who knows the optimum can know."""
    problem, x = case.problem, optimum.x
    squares, curvature = np.zeros(problem.n_agents), np.zeros(problem.n_agents)
    for group in problem.constraints:
        squares[group.agents] += np.linalg.norm(np.broadcast_to(group.term.jacobian(x), (
            len(group.agents), group.term.rows, problem.dim)), ord=2, axis=(1, 2)) ** 2
        curvature[group.agents] = np.maximum(curvature[group.agents], group.term.curvature)
    bound = max(1.1 * optimum.multiplier, 1e-3)
    known = {"multiplier_bound": bound, "jacobian_bound": max(float(np.sqrt(squares.max())), 1e-9)}
    if name == "paper":
        own = ADAPD(momentum="global", steps="theory", **known)
        return [own, *(ADAPD(momentum="global", steps="theory", weight=float(w), **known)
                       for w in np.geomspace(0.03, 1000.0, 20))]
    lipschitz = float((problem.lipschitz() + bound * curvature).mean()) or 1.0
    balanced = lipschitz / (2 * case.network.degrees.mean())
    return [DPDA(**known), *(DPDA(gamma=gamma * balanced, dual_weight=weight, step_scale=scale, **known)
                             for gamma, weight, scale in product((0.3, 1.0, 3.0, 10.0, 30.0), (1.0, 5.0), (1.0, 1.8)))]


def run_tunings(name: str, case: Case, optimum: Reference, seed: int, tol: float, horizon: float) -> list[Row]:
    """The method as it comes and at its best tuning; a tuning is given up where it falls behind the best so far."""
    own, *others = tunings(name, case, optimum)
    best = first = {"tuning": "theory", "method": f"{name} theory", **run_until(own, case, optimum, seed, tol, horizon)}
    for k, method in enumerate(others):
        found = run_until(method, case, optimum, seed, tol, min(horizon, best["epochs_true_1e-4"]))
        if found["epochs_true_1e-4"] < best["epochs_true_1e-4"]:
            best = {"tuning": k, **found}
    return [first, best | {"method": f"{name} tuned"}]


def run_one(name: str, n_agents: int, seed: int, options: argparse.Namespace) -> list[Row]:
    """All methods on one problem."""
    what = {"family": name, "n_agents": n_agents, "seed": seed, "tuning": ""}
    try:
        with np.errstate(all="ignore"):  # competitors may diverge
            case = FAMILIES[name](n_agents, seed)
            what["constrained"] = int(case.constrained)
            optimum = reference(case, options.cache)
            rows = [run_adaptive(case, optimum, seed, options)]
            needed = rows[0]["epochs_true_1e-4"]
            horizon = options.horizon * needed if np.isfinite(needed) else options.max_epochs
            for method in METHODS[1:]:
                if method in options.methods and case.twin is None:
                    rows += run_tunings(method, case, optimum, seed, options.tol, horizon)
    except Exception as error:  # one broken problem must not end the suite
        if options.raise_errors:
            raise
        rows = [{"method": "adaptive", "failure": f"{type(error).__name__}: {error}"}]
    return [what | row for row in rows]


# ---- All runs ----


def run_all(run: Callable[..., list[Row]], options: argparse.Namespace) -> list[Row]:
    """``run(family, n_agents, seed, options)`` for all, the large ones first; rows in the order of the families."""
    from tqdm import tqdm

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for the workers: the matrices are small
    tasks = [(name, n_agents, seed) for n_agents in sorted(options.sizes, reverse=True) for name in options.families
             for seed in range(options.seeds)]
    rows: list[Row] = []
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(run, *task, options) for task in tasks]
        try:
            for job in tqdm(as_completed(jobs), total=len(jobs), unit="problem", disable=None):
                rows += job.result()
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    order = {name: k for k, name in enumerate(options.families)}
    return sorted(rows, key=lambda row: (order[row["family"]], row["n_agents"], row["seed"]))


# ---- What a person wants to read ----


def values(rows: Iterable[Row], column: str) -> np.ndarray:
    return np.array([float(row.get(column, np.inf)) for row in rows])


def number(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "-"


def report(rows: Sequence[Row], options: argparse.Namespace) -> str:
    """The tables."""
    ours = [row for row in rows if row["method"] == "adaptive"]
    lines = [f"AD-APD adaptive, tol {options.tol:g}, at most {options.max_epochs:g} epochs, {options.seeds} seeds", "",
             f"{'residual':33}{'1e-3: epochs':>16}{'1e-6: epochs':>16}{'1e-6: communications':>24}"
             f"{'worst true error':>18}{'failures':>16}",
             f"{'family':28}{'N':>5}" + f"{'median':>8}{'worst':>8}" * 2
             + f"{'median':>12}{'worst':>12}{'x':>9}{'F':>9}{'unsolved':>10}{'false':>6}{'seconds':>9}"]
    for name, n_agents in dict.fromkeys((row["family"], row["n_agents"]) for row in ours):
        own = [row for row in ours if (row["family"], row["n_agents"]) == (name, n_agents)]
        cells = [number(summary(values(own, column)))
                 for column in ("epochs_1e-3", "epochs_1e-6", "communications_1e-6") for summary in (np.median, np.max)]
        errors = [values(own, column).max() for column in ("error_x", "error_fun")]
        false = sum(row["failure"] == "FALSE" for row in own)
        lines.append(f"{name:28}{n_agents:>5}"
                     + "".join(f"{cell:>{8 if k < 4 else 12}}" for k, cell in enumerate(cells))
                     + "".join(f"{'-' if np.isnan(error) else f'{error:.0e}':>9}" for error in errors)
                     + f"{sum(bool(row['failure']) for row in own) - false or '':>10}{false or '':>6}"
                     f"{np.mean(values(own, 'runtime')):>9.2f}")
    failed = [row for row in ours if row["failure"]]
    false = sum(row["failure"] == "FALSE" for row in failed)
    lines += ["", f"{len(ours)} runs, {len(failed) - false} not solved, {false} falsely SOLVED (true error above "
                  f"{FALSE} tol)"]
    lines += [f"  {row['family']:28} N = {row['n_agents']:<4} seed {row['seed']:<3} {row['failure']}" + (
        f" after {row['epochs']:,.0f} epochs: residual {row['residual']:.1e}, error of x {row['error_x']:.1e}, "
        f"of F {row['error_fun']:.1e}" if "epochs" in row else "") for row in failed]
    design = [row for row in ours if row["family"] == "ellipsoids"]
    for n_agents in sorted({row["n_agents"] for row in design}):
        found = values([row for row in design if row["n_agents"] == n_agents], "epochs_target")
        lines.append(f"ellipsoids, N = {n_agents}: {number(np.median(found))} epochs (median; worst "
                     f"{number(found.max())}; at most {DESIGN.get(n_agents, '-')} wanted) to an error of {TARGET[0]:g} "
                     f"in the objective and of {TARGET[1]:g} in the agents' points")
    return "\n".join(lines + compare(rows, options))


def compare(rows: Sequence[Row], options: argparse.Namespace) -> list[str]:
    """Communications to a true error of 1e-4, over the adaptive method's."""
    others = list(dict.fromkeys(row["method"] for row in rows if row["method"] != "adaptive"))
    if not others:
        return []
    index = {(row["family"], row["n_agents"], row["seed"], row["method"]): row for row in rows}
    lines = ["", f"To a true error of {COMPARED_AT:g}: communications of the adaptive method, how many times as many",
             "DPDA-S needs, and how many times as many activations the paper's AD-APD needs "
             f"(medians; > {options.horizon:g}: not within that)", "",
             f"{'family':28}{'N':>5}{'adaptive':>12}" + "".join(f"{name:>14}" for name in others)]
    overall: dict[tuple[int, str], list[float]] = {}
    for name, n_agents in dict.fromkeys(key[:2] for key in index if key[3] == others[0]):
        seeds = [key[2] for key in index if key[:2] == (name, n_agents) and key[3] == others[0]]
        own = [index[name, n_agents, seed, "adaptive"] for seed in seeds]
        line = f"{name:28}{n_agents:>5}{number(np.median(values(own, 'communications_true_1e-4'))):>12}"
        for other in others:
            column = ("epochs" if other.startswith("paper") else "communications") + "_true_1e-4"
            with np.errstate(invalid="ignore"):
                ratios = values([index[name, n_agents, seed, other] for seed in seeds], column) / values(own, column)
            line += f"{_times(float(np.median(ratios)), options.horizon):>14}"
            if own[0]["constrained"]:
                overall.setdefault((n_agents, other), []).extend(ratios)
        lines.append(line)
    counts = sorted({n for n, _ in overall})
    for label, those in [*((str(n), [n]) for n in counts), *([("all", counts)] if len(counts) > 1 else [])]:
        lines.append(f"{'all with constraints':28}{label:>5}{'':>12}" + "".join(
            f"{_times(float(np.median([r for n in those for r in overall[n, other]])), options.horizon):>14}"
            for other in others))
    return lines


def _times(ratio: float, horizon: float) -> str:
    return f"> {horizon:g}" if ratio == np.inf else "-" if np.isnan(ratio) else f"{ratio:.1f}"


def write_csv(rows: Sequence[Row], path: Path, columns: Sequence[str] = COLUMNS) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def draw(rows: Sequence[Row], path: Path, options: argparse.Namespace) -> None:
    """Shares of problems solved: by AD-APD within so many epochs, by every method within so many times the best's."""
    from matplotlib.figure import Figure

    ours = [row for row in rows if row["method"] == "adaptive"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(11 if len(methods) > 1 else 5.8, 4.4), dpi=150, layout="constrained")
    left, *right = figure.subplots(1, 2 if len(methods) > 1 else 1, squeeze=False)[0]
    colors = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
    for color, n_agents in zip(colors, sorted({row["n_agents"] for row in ours}), strict=False):
        own = [row for row in ours if row["n_agents"] == n_agents]
        for level, style in (("1e-3", "--"), ("1e-6", "-")):
            _steps(left, values(own, f"epochs_{level}"), 5.0, options.max_epochs, color=color, linestyle=style,
                   label=f"N = {n_agents}, residual {level}")
    _decorate(left, "AD-APD adaptive", "epochs")
    for panel in right:
        table = {(row["family"], row["n_agents"], row["seed"]): {} for row in rows if row["method"] == methods[1]}
        for row in rows:
            key = row["family"], row["n_agents"], row["seed"]
            if key in table:
                table[key][row["method"]] = row.get("communications_true_1e-4", np.inf)
        best = np.array([min(own.values()) for own in table.values()])
        for color, method in zip(colors, methods, strict=False):
            with np.errstate(invalid="ignore"):
                ratios = np.array([own[method] for own in table.values()]) / best
            _steps(panel, ratios, 1.0, options.horizon, color=color, label=method)
        _decorate(panel, f"All methods, to a true error of {COMPARED_AT:g}", "communications, times the best method's")
    figure.savefig(path)


def _steps(panel: Any, found: np.ndarray, first: float, last: float, **style: Any) -> None:
    at = np.sort(found[np.isfinite(found)])
    at = np.concatenate([[first], np.maximum(at, first), [last]])
    share = np.minimum(np.arange(len(at)), len(at) - 2) / len(found)
    panel.step(at, share, where="post", **style)


def _decorate(panel: Any, title: str, label: str) -> None:
    panel.set_xscale("log")
    panel.set_ylim(0, 1.02)
    panel.set_title(title, fontsize=12, loc="left")
    panel.set_xlabel(label)
    panel.set_ylabel("share of problems")
    panel.grid(True, color="#dddddd", linewidth=0.7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, loc="lower right", framealpha=0.9, edgecolor="none")


class Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The text at the top of a file as it is, and the defaults."""


def names(text: str) -> list[str]:
    """Families by name; a prefix stands for all that begin so."""
    found = [name for part in text.split(",") for name in FAMILIES if name == part or name.startswith(part + "_")]
    if not found:
        raise argparse.ArgumentTypeError(f"no family of {text!r} is known; there are {', '.join(FAMILIES)}")
    return list(dict.fromkeys(found))


def _list(text: str) -> list[str]:
    return text.split(",")


def sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--families", type=names, default=list(FAMILIES),
                        help="names, or what they begin with, with commas between")
    parser.add_argument("--sizes", type=sizes, default=[10, 50, 200], help="numbers of agents, with commas between")
    parser.add_argument("--seeds", type=int, default=10, help="problems of each family and size")
    parser.add_argument("--methods", type=_list, default=["adaptive"],
                        help=f"of {','.join(METHODS)}")
    parser.add_argument("--tol", type=float, default=1e-6, help="of every solve")
    parser.add_argument("--max-epochs", type=float, default=100_000, help="of every solve")
    parser.add_argument("--horizon", type=float, default=30.0, help="of the others, times the adaptive method's epochs")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "fastadapd-suite",
                        help="folder for the optima")
    parser.add_argument("--out", type=Path, default=Path("suite"), help="folder for what is written")
    parser.add_argument("--raise-errors", action="store_true", help="stop at the first exception")
    options = parser.parse_args(arguments)
    if unknown := set(options.methods) - set(METHODS):
        parser.error(f"argument --methods: {', '.join(unknown)} is not of {', '.join(METHODS)}")
    for folder in (options.cache, options.out):
        folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    rows = run_all(run_one, options)
    text = report(rows, options) + f"\n{time.perf_counter() - began:,.0f} seconds on {options.workers} processes"
    print(text)
    (options.out / "suite.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(rows, options.out / "suite.csv")
    draw(rows, options.out / "suite.png", options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
