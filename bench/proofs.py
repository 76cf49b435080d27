"""Which problems have an optimum: what `fastadapd.solve` says, against HiGHS.

    python bench/proofs.py                            # 3000 problems; writes proofs.txt and .csv

Linear costs, some least squares of low rank beside them, half-spaces, equations and boxes, in random units; some of
the problems have no feasible point, others fall without end. HiGHS judges: by the constraints alone whether there is a
point, and by the directions in which no constraint ends and no cost curves whether the total cost falls along one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from suite import Help, Row, sizes, write_csv

import fastadapd as fa
from fastadapd.constraints import AffineEquality, AffineInequality
from fastadapd.objectives import LeastSquares, Linear
from fastadapd.regularizers import Box

ANSWERS = ("SOLVED", "INFEASIBLE", "UNBOUNDED")
COLUMNS = ("seed", "n_agents", "dim", "truth", "status", "epochs", "residual", "message")
FALLS = 1e-7  # times the costs' sizes: a smaller slope is none


def draw(rng: np.random.Generator, n_agents: int) -> tuple[fa.Problem, str]:
    """A random problem, and what HiGHS says of it."""
    n, unit = int(rng.integers(2, 9)), 10.0 ** rng.uniform(-3, 3)
    inside = rng.standard_normal(n) * 10.0 ** rng.uniform(-1, 1)
    contradictory, curved = rng.random() < 0.15, 0.15 * rng.random()
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    q, size = np.zeros(n), 0.0
    sides: list[tuple[np.ndarray, np.ndarray]] = []
    equations: list[tuple[np.ndarray, np.ndarray]] = []
    curves, agents = [np.zeros((0, n))], []
    for _ in range(n_agents):
        costs: list[fa.objectives.Objective] = []
        constraints: list[fa.constraints.Constraint] = []
        box = None
        if rng.random() < 0.8:
            costs.append(Linear(unit * rng.standard_normal(n)))
            q, size = q + costs[-1].q, size + float(np.abs(costs[-1].q).sum())
        if rng.random() < curved:
            A = rng.standard_normal((int(rng.integers(1, max(2, n // 2))), n))
            weight = 10.0 ** rng.uniform(-1, 1.5)
            costs.append(LeastSquares(weight * A, weight * rng.standard_normal(len(A))))
            curves.append(A)
        if rng.random() < 0.5:
            G = rng.standard_normal((int(rng.integers(1, 4)), n))
            slack = rng.uniform(0, 2, len(G))
            sides.append((G, G @ inside + (-1.0 - slack if contradictory and rng.random() < 0.5 else slack)))
            constraints.append(AffineInequality(*sides[-1]))
        if rng.random() < 0.2:
            A = rng.standard_normal((1, n))
            equations.append((A, A @ inside))
            constraints.append(AffineEquality(*equations[-1]))
        if rng.random() < 0.3:
            lower = np.where(rng.random(n) < 0.7, inside - 1.0, -np.inf)
            upper = np.where(rng.random(n) < 0.2, inside + 2.0, np.inf)
            low, high, box = np.maximum(low, lower), np.minimum(high, upper), Box(lower, upper)
        agents.append(fa.Agent(costs or None, box, constraints))
    G, h = (np.concatenate(parts) if parts else None for parts in (
        [a for a, _ in sides], [b for _, b in sides]))
    A, b = (np.concatenate(parts) if parts else None for parts in (
        [a for a, _ in equations], [b for _, b in equations]))
    flat = np.concatenate([*curves, *(a for a, _ in equations)])
    problem = fa.Problem.from_agents(agents, dim=n)
    if linprog(np.zeros(n), G, h, A, b, np.column_stack([low, high])).status == 2:
        return problem, "INFEASIBLE"
    ways = np.column_stack([np.where(np.isfinite(low), 0.0, -1.0), np.where(np.isfinite(high), 0.0, 1.0)])
    best = linprog(q, G, None if h is None else np.zeros(len(h)), flat if len(flat) else None,
                   np.zeros(len(flat)) if len(flat) else None, ways)
    return problem, "UNBOUNDED" if best.fun < -FALLS * size else "SOLVED"


def judge(seed: int, n_agents: int, max_epochs: float) -> Row:
    rng = np.random.default_rng(seed)
    problem, truth = draw(rng, n_agents)
    network = fa.Network(fa.graphs.small_world(n_agents, n_agents // 2, rng=seed) if n_agents > 3 else
                         [(i, i + 1) for i in range(n_agents - 1)])
    result = fa.solve(problem, network, rng=seed, max_epochs=max_epochs)
    return {"seed": seed, "n_agents": n_agents, "dim": problem.dim, "truth": truth, "status": result.status.name,
            "epochs": result.epochs, "residual": result.residual, "message": result.message}


def report(rows: Sequence[Row]) -> str:
    lines = [f"{'HiGHS':12}{'fastadapd':12}{'N':>6}{'problems':>10}{'epochs: median':>16}{'95 %':>8}{'worst':>8}"]
    for truth, status, n_agents in sorted({(row["truth"], row["status"], row["n_agents"]) for row in rows}):
        epochs = [row["epochs"] for row in rows
                  if (row["truth"], row["status"], row["n_agents"]) == (truth, status, n_agents)]
        middle, most, worst = np.quantile(epochs, (0.5, 0.95, 1.0))
        lines.append(f"{truth:12}{status:12}{n_agents:>6}{len(epochs):>10,}{middle:>16,.0f}{most:>8,.0f}{worst:>8,.0f}")
    wrong = [row for row in rows if row["status"] in ANSWERS and row["status"] != row["truth"]]
    silent = [row for row in rows if row["status"] not in ANSWERS]
    lines += ["", f"{len(rows):,} problems, {len(wrong)} answers differ from HiGHS, {len(silent)} without an answer"]
    lines += [f"  N = {row['n_agents']}, seed {row['seed']}: {row['truth']} according to HiGHS; {row['message']}"
              for row in (*wrong, *silent)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--problems", type=int, default=1000, help="of every size")
    parser.add_argument("--sizes", type=sizes, default=[2, 10, 50], help="numbers of agents, with commas between")
    parser.add_argument("--max-epochs", type=float, default=100_000, help="of every solve")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--out", type=Path, default=Path("proofs"), help="folder for what is written")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for the workers: the matrices are small
    with ProcessPoolExecutor(options.workers) as pool:
        for n_agents in options.sizes:
            one = partial(judge, n_agents=n_agents, max_epochs=options.max_epochs)
            rows += pool.map(one, range(options.problems), chunksize=10)
    text = report(rows)
    print(text)
    (options.out / "proofs.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(rows, options.out / "proofs.csv", COLUMNS)
    return int(any(row["status"] in ANSWERS and row["status"] != row["truth"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
