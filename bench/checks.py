"""What the checks of a run cost: the share of `fastadapd.Solver.run` that goes into them.

    python bench/checks.py                            # N = 30, 1000 and n = 5, 20, 100; writes checks.txt and .csv

The default solve of ellipsoids (one each, cost |x - b_i|^2 / 2), cut off after `--time-limit` seconds. Checks are put
off while the run shows that it is not near tol, and come seldom in long runs, which have smaller shares; that of a run
cut off is too large. They consist of the measures (the residual), the proofs of infeasibility and unboundedness, and
the rest of the driver's loop; activations and extrapolation are no part of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from families import Draw
from suite import Help, Row, sizes, write_csv

import fastadapd as fa

TARGET = 0.05  # of the run
PARTS = {"activations": "_run.advance", "extrapolation": "_run.pass_milestone", "measures": "_measure",
         "proofs": "_hopeless"}
COLUMNS = ("n_agents", "dim", "seed", "status", "epochs", "checks", "seconds", *PARTS, "rest", "share")


class Stopwatch:
    """Adds up the seconds inside of methods of objects."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def watch(self, owner: Any, method: str, name: str) -> None:
        plain = getattr(owner, method)

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return plain(*arguments, **options)
            finally:
                self.seconds[name] += time.perf_counter() - began

        setattr(owner, method, timed)


def measure(n_agents: int, dim: int, seed: int, time_limit: float) -> Row:
    """One run, taken to pieces."""
    draw = Draw(n_agents, seed, dim)
    solver, watch = fa.Solver(draw.problem(), draw.network, rng=seed), Stopwatch()
    for name, path in PARTS.items():
        *owners, method = path.split(".")
        watch.watch(getattr(solver, owners[0]) if owners else solver, method, name)
    began = time.perf_counter()
    solver.run(20_000, time_limit=time_limit)
    seconds = time.perf_counter() - began
    result = solver.result()
    parts = {name: watch.seconds[name] for name in PARTS}
    rest = seconds - sum(parts.values())
    return {"n_agents": n_agents, "dim": dim, "seed": seed, "status": result.status.name, "epochs": result.epochs,
            "checks": len(result.history["epochs"]), "seconds": seconds, **parts, "rest": rest,
            "share": (parts["measures"] + parts["proofs"] + rest) / seconds}


def report(rows: Sequence[Row]) -> str:
    names = [*PARTS, "rest"]
    lines = [f"Share of checks (measures, proofs, rest) in a run, wanted at most {TARGET:.0%}; medians over seeds", "",
             f"{'N':>6}{'n':>5}{'epochs':>8}{'checks':>8}{'seconds':>9}{'checks':>8}"
             + "".join(f"{name:>15}" for name in names) + f"{'us per check':>14}{'us per epoch':>14}{'cut off':>10}"]
    for key in dict.fromkeys((row["n_agents"], row["dim"]) for row in rows):
        own = [row for row in rows if (row["n_agents"], row["dim"]) == key]
        cells = np.median([[row["epochs"], row["checks"], row["seconds"], row["share"],
                            *(row[name] / row["seconds"] for name in names),
                            1e6 * row["share"] * row["seconds"] / row["checks"],
                            1e6 * row["activations"] / row["epochs"]] for row in own], axis=0)
        lines.append("{:>6}{:>5}{:>8,.0f}{:>8,.0f}{:>9.3f}{:>8.1%}".format(*key, *cells)
                     + "".join(f"{cell:>15.1%}" for cell in cells[4:-2])
                     + "{:>14,.0f}{:>14,.1f}".format(*cells[-2:])
                     + f"{sum(row['status'] == 'TIME_LIMIT' for row in own):>10}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--sizes", type=sizes, default=[30, 1000], help="numbers of agents, with commas between")
    parser.add_argument("--dims", type=sizes, default=[5, 20, 100], help="numbers of coordinates, with commas between")
    parser.add_argument("--seeds", type=int, default=3, help="problems of each kind")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for a run")
    parser.add_argument("--out", type=Path, default=Path("suite"), help="folder for what is written")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    measure(10, 5, 0, 1.0)  # what is done once in a process
    rows = [measure(n_agents, dim, seed, options.time_limit) for n_agents in options.sizes for dim in options.dims
            for seed in range(options.seeds)]
    text = report(rows)
    print(text)
    (options.out / "checks.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(rows, options.out / "checks.csv", COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
