"""fa.solve against what a user would pick instead, in one run: ellipsoids, n = 20, one each, cost |x - b_i|^2 / 2.

    python bench/against_cvxpy.py                     # N = 30, 100, 300, 1000; writes against_cvxpy.txt and .csv

Every method starts from the same arrays and its time includes building the model; imports are not counted. Rounds are
interleaved. Methods:

* fastadapd: Problem, Network and `fastadapd.solve` with the C engine to a residual of 1e-6; decentralized.
* loop: CVXPY as one would write it down, a sum over agents and a `quad_form` constraint for each; Clarabel.
* stacked: CVXPY written for speed, one quadratic cost and one second-order cone constraint of N rows; Clarabel.
* Newton: a primal-dual barrier method in NumPy. It needs all data in one place and few variables, n x n systems; then
  nothing decentralized comes near it.

Errors are distances to Newton's optimum, relative to max(1, |x*|); CVXPY confirms that, or the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cvxpy as cp
import numpy as np
from families import Draw
from suite import Help, Row, sizes, write_csv

import fastadapd as fa

Array = np.ndarray
TARGET = 0.5  # the time of fastadapd, over that of a CVXPY model
DONE = ("SOLVED", "optimal")
AGREED = 1e-4  # error of x at which methods no longer solve the same problem
COLUMNS = ("n_agents", "seed", "round", "method", "seconds", "building", "status", "epochs", "residual", "error_x",
           "error_fun")


def fastadapd(draw: Draw, adjacency: object, seed: int) -> tuple[Array, Row]:
    began = time.perf_counter()
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(draw.n), -draw.target),
                         constraints=fa.constraints.Ellipsoid(draw.P, draw.center, draw.level))
    network = fa.Network(adjacency)
    built = time.perf_counter()
    result = fa.solve(problem, network, engine="c", rng=seed, tol=1e-6)
    return result.x, {"building": built - began, "status": result.status.name, "epochs": result.epochs,
                      "residual": result.residual}


def loop(draw: Draw, *_: object) -> tuple[Array, Row]:
    x = cp.Variable(draw.n)
    return _cvxpy(x, sum(0.5 * cp.sum_squares(x - b) for b in draw.target),
                  [cp.quad_form(x - c, P) <= r for P, c, r in zip(draw.P, draw.center, draw.level, strict=True)])


def stacked(draw: Draw, *_: object) -> tuple[Array, Row]:
    """``|R_i (x - c_i)| <= sqrt(level_i)`` with ``P_i = R_i'R_i``, and the cost without its constant."""
    N, n = draw.target.shape
    R = np.swapaxes(np.linalg.cholesky(draw.P), 1, 2)
    x = cp.Variable(n)
    distance = cp.reshape(R.reshape(N * n, n) @ x - np.einsum("ijk,ik->ij", R, draw.center).ravel(), (N, n), order="C")
    return _cvxpy(x, 0.5 * N * cp.sum_squares(x) - draw.target.sum(axis=0) @ x,
                  [cp.SOC(np.sqrt(draw.level), distance, axis=1)])


def _cvxpy(x: cp.Variable, cost: cp.Expression, constraints: list[cp.Constraint]) -> tuple[Array, Row]:
    program = cp.Problem(cp.Minimize(cost), constraints)
    program.solve(solver=cp.CLARABEL)
    return x.value, {"status": program.status}


def newton(draw: Draw, *_: object) -> tuple[Array, Row]:
    """Steps of Newton's method on ``grad f + J'theta = 0, g + s = 0, theta s = mu`` with mu going to 0."""
    P, b = draw.P, draw.target
    N, n = b.shape
    x, s, theta = b.mean(axis=0), np.ones(N), np.ones(N)
    for _ in range(100):
        offset = x - draw.center
        half = np.einsum("ijk,ik->ij", P, offset)
        dual, primal, gap = N * x - b.sum(axis=0) + 2.0 * theta @ half, _excess(draw, x) + s, theta @ s / N
        if max(np.abs(dual).max() / N, np.abs(primal).max(), gap) < 1e-10:
            return x, {"status": "optimal"}
        mu, J = 0.1 * gap, 2.0 * half
        hessian = N * np.eye(n) + 2.0 * np.tensordot(theta, P, axes=1) + J.T @ ((theta / s)[:, None] * J)
        dx = -np.linalg.solve(hessian, dual + J.T @ ((mu - theta * s + theta * primal) / s))
        ds = -primal - J @ dx
        dtheta = (mu - theta * s - theta * ds) / s
        # as far as s and theta stay positive
        step = min(1.0, 0.99 / max((-ds / s).max(), (-dtheta / theta).max(), 1e-300))
        x, s, theta = x + step * dx, s + step * ds, theta + step * dtheta
    return x, {"status": "not converged"}


def _excess(draw: Draw, x: Array) -> Array:
    offset = x - draw.center
    return np.einsum("ij,ijk,ik->i", offset, draw.P, offset) - draw.level


METHODS: dict[str, Callable[..., tuple[Array, Row]]] = {
    "fastadapd": fastadapd, "loop": loop, "stacked": stacked, "Newton": newton}


def measure(n_agents: int, options: argparse.Namespace) -> list[Row]:
    """All methods on all seeds; every round begins with another method."""
    rows = []
    for seed in range(options.seeds):
        draw = Draw(n_agents, seed, 20)
        adjacency = fa.graphs.small_world(n_agents, min(n_agents, n_agents * (n_agents - 3) // 2),
                                          rng=(seed, n_agents, 1))
        best, _ = newton(draw)
        for k in range(options.rounds):
            names = list(METHODS)
            for name in names[k % len(names):] + names[:k % len(names)]:
                began = time.perf_counter()
                x, found = METHODS[name](draw, adjacency, seed)
                seconds = time.perf_counter() - began
                costs = [0.5 * ((point - draw.target) ** 2).sum() for point in (x, best)]
                rows.append({"n_agents": n_agents, "seed": seed, "round": k, "method": name, "seconds": seconds,
                             "error_x": np.linalg.norm(x - best) / max(1.0, float(np.linalg.norm(best))),
                             "error_fun": abs(costs[0] - costs[1]) / max(1.0, costs[1]), **found})
    return rows


def report(rows: Sequence[Row]) -> tuple[str, bool]:
    """The tables, and whether all methods agree."""
    table = {n: {name: [row for row in rows if (row["n_agents"], row["method"]) == (n, name)] for name in METHODS}
             for n in dict.fromkeys(row["n_agents"] for row in rows)}
    lines = ["Seconds, building included (medians), and the time of fastadapd, rounds side by side, over that of the "
             f"CVXPY models (wanted: at most {TARGET:g})", "",
             f"{'N':>6}" + "".join(f"{name:>11}" for name in METHODS) + f"{'/ loop':>15}{'/ stacked':>15}"]
    for n, own in table.items():
        ratios = [np.median(_column(own["fastadapd"], "seconds") / _column(own[name], "seconds"))
                  for name in ("loop", "stacked")]
        lines.append(f"{n:>6}" + "".join(f"{np.median(_column(own[name], 'seconds')):>11.4f}" for name in METHODS)
                     + "".join(f"{r:>7.2f} {'reached' if r <= TARGET else 'missed':>7}" for r in ratios))
    lines += ["", "fastadapd: seconds of building, epochs; errors of x and of the cost, median / worst", "",
              f"{'N':>6}{'building':>11}{'epochs':>9}" + "".join(f"{name:>40}" for name in list(METHODS)[:-1])]
    for n, own in table.items():
        lines.append(f"{n:>6}{np.median(_column(own['fastadapd'], 'building')):>11.4f}"
                     f"{np.median(_column(own['fastadapd'], 'epochs')):>9,.0f}"
                     + "".join(f"{_errors(own[name]):>40}" for name in list(METHODS)[:-1]))
    wrong = [row for row in rows if row["status"] not in DONE or not row["error_x"] <= AGREED]
    lines += ["", f"{len(rows)} runs, {len(wrong)} not solved or with an error of x above {AGREED:g}"]
    lines += [f"  N = {row['n_agents']} seed {row['seed']} {row['method']}: {row['status']}"
              + (f" after {row['epochs']:,.0f} epochs, residual {row['residual']:.1e}" if "epochs" in row else "")
              + f", error of x {row['error_x']:.1e}" for row in wrong]
    return "\n".join(lines), all(row["error_x"] <= AGREED for row in rows if row["status"] in DONE)


def _column(rows: Sequence[Row], name: str) -> Array:
    return np.array([row[name] for row in rows])


def _errors(rows: Sequence[Row]) -> str:
    return ", ".join(f"{np.median(_column(rows, name)):.1e} / {_column(rows, name).max():.1e}"
                     for name in ("error_x", "error_fun"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--sizes", type=sizes, default=[30, 100, 300, 1000],
                        help="numbers of agents, with commas between")
    parser.add_argument("--seeds", type=int, default=5, help="problems of each size")
    parser.add_argument("--rounds", type=int, default=2, help="how often each problem is solved")
    parser.add_argument("--out", type=Path, default=Path("suite"), help="folder for what is written")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    small = Draw(10, 0, 20)
    for method in METHODS.values():  # what is done once in a process, loading libraries say
        method(small, fa.graphs.small_world(10, 10, rng=0), 0)
    rows = [row for n_agents in options.sizes for row in measure(n_agents, options)]
    text, agreed = report(rows)
    print(text)
    (options.out / "against_cvxpy.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(rows, options.out / "against_cvxpy.csv", COLUMNS)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
