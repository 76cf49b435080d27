"""Warm start: what a change of the data by 1 % costs a `fastadapd.Solver` that goes on, against a cold solve.

    python bench/warm_start.py                        # all families, N = 10, 50; writes warm_start.txt and .csv
    python bench/warm_start.py --families ellipsoids,chance --sizes 200

Every family of the convergence suite (families.py) is solved, then changed, and the changed problem is solved twice: by
`Solver.update` and `run`, and by a new Solver with the same seed. Kinds of change, each random:

* targets: right-hand sides of least squares, linear costs, centres of quadratic costs, by 1 % of their typical size
  (root mean square, standard normal).
* levels: constraint levels, right-hand sides, bounds and radii grow by 0 to 2 % each, so that the problem stays
  feasible; equations move as if their solution did, by 0 to 2 % of the typical size of its coordinates.
* link: one link is lost and one is new (where all agents are neighbours, one is lost).

Costs are ratios of epochs and of communications, warm over cold. Left out are changes of targets and levels after which
the old point is a solution still (inactive constraints, say), for which reason `feasibility` is no family here. With a
link changed it always is, only its consensus multipliers are new. `Solver.update` computes them from the old ones by
conjugate gradients; that work is not in the figures, and so the summary has the suite without these changes, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from families import FAMILIES
from suite import Help, Row, names, run_all, sizes, values, write_csv

import fastadapd as fa
from fastadapd.constraints import AffineEquality, AffineInequality, Ellipsoid, QuadraticInequality
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.regularizers import Box, L2Ball

Array = np.ndarray
CHANGE = 0.01
TARGET = 1 / 3  # of the epochs of a cold solve, median
APART = 100  # warm and cold disagree where their points are more than APART * tol from each other
KINDS = ("targets", "levels", "link")
COLUMNS = ("family", "n_agents", "seed", "kind", "verdict", "moved", "moved_multipliers", "apart", "status_warm",
           "status_cold", "epochs_warm", "epochs_cold", "communications_warm", "communications_cold", "ratio_epochs",
           "ratio_communications")


# ---- Changes ----


def rebuilt(problem: fa.Problem, change: Callable[[Any], Any]) -> fa.Problem:
    """The problem with `change(term)` for every term."""
    groups = (*problem.objectives, *problem.regularizers, *problem.constraints)
    if all(len(group.agents) == problem.n_agents for group in groups):
        objectives, (regularizer,), constraints = (
            [change(group.term) for group in own]
            for own in (problem.objectives, problem.regularizers, problem.constraints))
        return fa.Problem(objectives, regularizer, constraints, n_agents=problem.n_agents, dim=problem.dim)
    agents = [problem.agent(i) for i in range(problem.n_agents)]
    return fa.Problem.from_agents([fa.Agent([change(term) for term in agent.objective], change(agent.regularizer),
                                            [change(term) for term in agent.constraints]) for agent in agents],
                                  dim=problem.dim)


def moved_targets(rng: np.random.Generator) -> Callable[[Any], Any]:
    def shift(values: Array) -> Array:
        return CHANGE * np.sqrt(np.mean(values**2, axis=-1, keepdims=True)) * rng.standard_normal(values.shape)

    def change(term: Any) -> Any:
        if isinstance(term, Linear):
            return Linear(term.q + shift(term.q))
        if isinstance(term, LeastSquares):
            return LeastSquares(term.A, term.b + shift(term.b))
        if isinstance(term, Quadratic):  # the minimum moves, so that the cost stays bounded below
            center = np.einsum("...ij,...j->...i", np.linalg.pinv(term.P, hermitian=True), term.q)
            return Quadratic(term.P, term.q + np.einsum("...ij,...j->...i", term.P, shift(center)))
        return term
    return change


def grown_levels(rng: np.random.Generator, x: Array) -> Callable[[Any], Any]:
    def growth(values: Array) -> Array:
        return CHANGE * np.abs(values) * rng.uniform(0.0, 2.0, np.shape(values))

    # where x >= 0 it stays so
    move = CHANGE * np.sqrt(np.mean(x**2)) * rng.uniform(0.0, 2.0, x.shape)

    def change(term: Any) -> Any:
        if isinstance(term, Ellipsoid):
            return Ellipsoid(term.P, term.center, term.level + growth(term.level))
        if isinstance(term, QuadraticInequality):
            return QuadraticInequality(term.P, term.q, term.r + growth(term.r))
        if isinstance(term, AffineInequality):
            return AffineInequality(term.G, term.h + growth(term.h))
        if isinstance(term, AffineEquality):
            return AffineEquality(term.A, term.b + term.A @ move)
        if isinstance(term, Box):
            return Box(term.lower - growth(term.lower), term.upper + growth(term.upper))
        if isinstance(term, L2Ball):
            return L2Ball(term.radius + growth(term.radius), term.center)
        return term
    return change


def changed_link(rng: np.random.Generator, network: fa.Network) -> fa.Network:
    graph = nx.empty_graph(network.n_agents)
    old = [(int(i), int(j)) for i, j in network.edges]
    graph.add_edges_from(old)
    new = list(nx.non_edges(graph))
    if new:
        graph.add_edge(*new[rng.integers(len(new))])
    for k in rng.permutation(len(old)):
        graph.remove_edge(*old[k])
        if nx.is_connected(graph):
            return fa.Network(graph)
        graph.add_edge(*old[k])
    raise ValueError("no link of this network can be lost")


# ---- Runs ----


def run_one(name: str, n_agents: int, seed: int, options: argparse.Namespace) -> list[Row]:
    """One problem, changed in every way that applies."""
    case = FAMILIES[name](n_agents, seed)
    solver = fa.Solver(case.problem, case.network, rng=seed, tol=options.tol)
    solver.run(options.max_epochs)
    first = solver.result()
    rows = []
    for kind in KINDS:
        rng = np.random.default_rng((seed, n_agents, KINDS.index(kind)))
        row: Row = {"family": name, "n_agents": n_agents, "seed": seed, "kind": kind}
        problem, network = case.problem, case.network
        if kind == "targets":
            problem = rebuilt(problem, moved_targets(rng))
        elif kind == "levels":
            if not (case.constrained or any(isinstance(g.term, (Box, L2Ball)) for g in problem.regularizers)):
                continue
            problem = rebuilt(problem, grown_levels(rng, first.x))
        else:
            network = changed_link(rng, network)
        warm = fa.Solver(case.problem, case.network, rng=seed, tol=options.tol)
        warm.restore(solver.checkpoint())
        warm.update(problem if kind != "link" else None, network if kind == "link" else None)
        warm.run(options.max_epochs)
        cold = fa.Solver(problem, network, rng=seed, tol=options.tol)
        cold.run(options.max_epochs)
        rows.append(row | compared(case.units, first, warm.result(), cold.result(), kind, case.unique, options.tol))
    return rows


def compared(units: Array | float, first: fa.Result, warm: fa.Result, cold: fa.Result, kind: str, unique: bool,
             tol: float) -> Row:
    size = max(1.0, float(np.linalg.norm(units * cold.x)))
    moved, apart = (float(np.linalg.norm(units * (cold.x - other.x))) / size for other in (first, warm))
    theta = [np.concatenate(result.multipliers) for result in (first, cold)]
    largest = float(np.abs(theta[1]).max(initial=0.0))
    if not unique:
        apart = abs(warm.fun - cold.fun) / max(1.0, abs(cold.fun))
    verdict = "" if first.success and cold.success else "cold failed"
    if not verdict and not warm.success:
        verdict = "warm failed"
    elif not verdict and apart > APART * tol:
        verdict = "apart"
    elif not verdict and kind != "link" and warm.epochs == 0:
        verdict = "nothing to do"
    return {"verdict": verdict, "moved": moved, "apart": apart,
            "moved_multipliers": float(np.abs(theta[1] - theta[0]).max()) / largest if largest else 0.0,
            "status_warm": warm.status.name, "status_cold": cold.status.name,
            "epochs_warm": warm.epochs, "epochs_cold": cold.epochs,
            "communications_warm": warm.communications, "communications_cold": cold.communications,
            "ratio_epochs": warm.epochs / cold.epochs,
            "ratio_communications": warm.communications / cold.communications}


def report(rows: Sequence[Row], options: argparse.Namespace) -> str:
    counted = [row for row in rows if row["verdict"] not in ("cold failed", "nothing to do")]
    lines = [f"Warm start after a change of {CHANGE:.0%}, tol {options.tol:g}: epochs and communications over those of",
             f"a cold solve (medians; wanted: at most {TARGET:.2f} over the whole suite)", "",
             f"{'':28}{'':>5}" + "".join(f"{kind:>26}" for kind in KINDS),
             f"{'family':28}{'N':>5}" + f"{'epochs':>14}{'commun.':>12}" * len(KINDS)]
    for name, n_agents in dict.fromkeys((row["family"], row["n_agents"]) for row in rows):
        own = [row for row in counted if (row["family"], row["n_agents"]) == (name, n_agents)]
        lines.append(f"{name:28}{n_agents:>5}" + _by_kind(own))
    lines.append("")
    for n_agents in sorted({row["n_agents"] for row in rows}):
        lines.append(f"{'all families':28}{n_agents:>5}" + _by_kind(
            [row for row in counted if row["n_agents"] == n_agents]))
    for title, kinds in (("whole suite", KINDS), ("targets and levels", KINDS[:2])):
        for what in ("epochs", "communications"):
            found = _values([row for row in counted if row["kind"] in kinds], f"ratio_{what}")
            if found.size:
                low, middle, high = np.quantile(found, (0.25, 0.5, 0.75), method="nearest")
                lines.append(f"{title}, {what}: median {middle:.2f}, quartiles {low:.2f} and {high:.2f}, "
                             f"at most {TARGET:.2f} in {np.mean(found <= TARGET):.0%} of {found.size} changes")
    for kind in KINDS[:2]:
        own = [row for row in counted if row["kind"] == kind]
        if own:
            x, theta = (np.median(values(own, column)) for column in ("moved", "moved_multipliers"))
            lines.append(f"{kind}: the optimum moves by {x:.1%} of its size, its multipliers by {theta:.0%} of the "
                         "largest (medians)")
    for verdict in ("warm failed", "apart", "cold failed"):
        own = [row for row in rows if row["verdict"] == verdict]
        lines.append(f"{len(own)} {verdict}")
        lines += [f"  {row['family']:28} N = {row['n_agents']:<4} seed {row['seed']:<3} {row['kind']:8} warm "
                  f"{row['status_warm']} {row['epochs_warm']:,.0f} epochs, cold {row['status_cold']} "
                  f"{row['epochs_cold']:,.0f} epochs, apart {row['apart']:.1e}" for row in own]
    return "\n".join([*lines, f"{sum(row['verdict'] == 'nothing to do' for row in rows)} left out, nothing to do"])


def _by_kind(rows: Sequence[Row]) -> str:
    line = ""
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        for what, width in (("epochs", 14), ("communications", 12)):
            line += f"{np.median(_values(own, f'ratio_{what}')):>{width}.2f}" if own else f"{'-':>{width}}"
    return line


def _values(rows: Sequence[Row], column: str) -> Array:
    """Ratios; a warm start that failed is worse than any."""
    return np.where([row["verdict"] == "warm failed" for row in rows], np.inf, values(rows, column))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--families", type=names, default=[name for name in FAMILIES if name != "feasibility"],
                        help="names, or what they begin with")
    parser.add_argument("--sizes", type=sizes, default=[10, 50], help="numbers of agents, with commas between")
    parser.add_argument("--seeds", type=int, default=3, help="problems of each kind")
    parser.add_argument("--tol", type=float, default=1e-6, help="of every solve")
    parser.add_argument("--max-epochs", type=float, default=20_000, help="of every solve")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--out", type=Path, default=Path("suite"), help="folder for what is written")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    rows = run_all(run_one, options)
    text = report(rows, options) + f"\n{time.perf_counter() - began:,.0f} seconds on {options.workers} processes"
    print(text)
    (options.out / "warm_start.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(rows, options.out / "warm_start.csv", COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
