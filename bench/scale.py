"""From a hundred agents to a million: what packing, memory and one activation cost.

    python bench/scale.py                       # 10^2 ... 10^6 agents, edge and node form, into scale/
    python bench/scale.py 1e3 1e6 --epochs 20   # these sizes, and a solve of 20 epochs at each

Agents have 10 coordinates, one least-squares row and one affine inequality each; the network is a cycle plus twice as
many random edges, 3 N in all. Every size runs in a process of its own.

* packing: from arrays and a list of edges to the first activation, `Problem`, `Network` and `Solver` included;
* nanoseconds per activation: the clock of the default method, every agent once per epoch in random order; and the floor
  of that in edge form, a loop that only reads and writes the memory of those agents in that order (floor.c), if the C
  engine and a C compiler are here;
* memory: the most that was resident, less what the imports took before there was any data, over the bytes of the arrays
  and the list of edges. The data itself counts, so the ratio is above 1. `packed`: before the first activation,
  `running`: after two epochs, when all state has been written to; `solved`: after `--epochs`, from the 20th on with the
  acceleration. The state alone of the edge form, x, its sum, and a vector per edge, is 1.8 times the data, and the
  packed copy 0.9. Below 10^5 agents the process itself counts for more than the data.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import floor as floors
import numpy as np
import scipy.sparse.csgraph  # noqa: F401  imported when a network is made; here, so that it is no part of the memory

import fastadapd as fa
from fastadapd import engines

DIM = 10
NUMBERS = 2 * (DIM + 1) + 2  # of an agent, with two for the step of its constraint
SIZES = (10**2, 10**3, 10**4, 10**5, 10**6)
FORMS = {"edge": "edge", "node": "laplacian"}
FIELDS = ("form", "n_agents", "data_mb", "pack_s", "ns_per_activation", "ns_floor", "packed", "running",
          "solve_s", "solved")
SECONDS = 1.0  # activations are timed for at least this long
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def data(N: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The arrays of N agents and 3 N edges, all distinct up to chance."""
    rng = np.random.default_rng(0)
    arrays = {
        "A": rng.standard_normal((N, 1, DIM)), "b": rng.standard_normal((N, 1)),
        "G": rng.standard_normal((N, 1, DIM)), "h": rng.uniform(0.1, 1.0, (N, 1)),
    }
    edges = np.empty((3 * N, 2), dtype=np.int64)
    edges[:, 0] = np.tile(np.arange(N), 3)
    edges[:, 1] = edges[:, 0] + 1
    edges[N:, 1] = edges[N:, 0] + rng.integers(2, N - 1, 2 * N)
    edges[:, 1] %= N
    return arrays, edges


def peak() -> int:
    """Bytes, the most that were resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def measure(form: str, N: int, epochs: float) -> dict[str, Any]:
    """One row of the table, in this process."""
    engine = engines.load("auto").name  # imported here, so that this is no part of the memory
    before = peak()
    arrays, edges = data(N)
    size = sum(array.nbytes for array in arrays.values()) + edges.nbytes

    began = time.perf_counter()
    problem = fa.Problem(fa.objectives.LeastSquares(arrays["A"], arrays["b"]), None,
                         fa.constraints.AffineInequality(arrays["G"], arrays["h"]))
    network = fa.Network(edges, consensus=FORMS[form])
    solver = fa.Solver(problem, network, engine=engine, rng=0, tol=0)
    solver.run(1 / N)
    row: dict[str, Any] = {"form": form, "n_agents": N, "data_mb": size / 1e6, "pack_s": time.perf_counter() - began}
    row["packed"] = (peak() - before) / size

    run, stream = solver._run, fa.clocks.Stream(fa.clocks.Repeated(), N, np.random.default_rng(1))
    most = min(10 * N, 1 << 21)
    agents, advance = stream.take(most), run._engine.adapd  # type: ignore[attr-defined]
    advance(run.steps, run.state, agents)  # type: ignore[attr-defined]  to memory that has not been touched
    times: list[float] = []
    while len(times) < 3 or sum(times) < SECONDS:
        began = time.perf_counter()
        status = advance(run.steps, run.state, agents)  # type: ignore[attr-defined]
        times.append(time.perf_counter() - began)
        assert status == 0, status
    row["ns_per_activation"] = 1e9 * min(times) / most
    row["running"] = (peak() - before) / size
    if form == "edge" and engine == "c" and floors.compiler():
        row["ns_floor"] = 1e9 * floor(run, problem, network, agents) / most
    if epochs:
        del solver, run, advance
        began = time.perf_counter()
        fa.solve(problem, network, engine=engine, rng=0, max_epochs=epochs)
        row["solve_s"], row["solved"] = time.perf_counter() - began, (peak() - before) / size
    return row


def floor(run: Any, problem: fa.Problem, network: fa.Network, agents: Any) -> float:
    """Seconds of the faster of two floors, memory asked ahead or not."""
    from fastadapd.engines import native

    times: dict[int, list[float]] = {0: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        touch = floors.touching(*floors.load(DIM, native.simd(), Path(folder)), run, problem, network, NUMBERS)
        while len(times[0]) < 3 or sum(times[0]) < SECONDS / 2:
            for ahead, seconds in times.items():
                began = time.perf_counter()
                touch(agents, ahead)
                seconds.append(time.perf_counter() - began)
    return min(map(min, times.values()))


def elsewhere(form: str, N: int, epochs: float) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", form, "--epochs", str(epochs), str(N)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def show(rows: list[dict[str, Any]]) -> str:
    """The table as text, and the targets."""
    lines = ["".join(f"{name:>18}" for name in FIELDS)]
    for row in rows:
        cells = (row.get(name) for name in FIELDS)
        lines.append("".join(f"{'' if c is None else c if isinstance(c, str) else f'{c:,.5g}':>18}" for c in cells))
    for form in FORMS:
        at = {row["n_agents"]: row for row in rows if row["form"] == form}
        if 10**6 not in at:
            continue
        last = at[10**6]
        lines.append(f"targets at 10^6 agents, {form} form")
        lines.append(target("packing in seconds", last["pack_s"], 20))
        lines.append(target("memory until the first activation, over the data", last["packed"], 2.5))
        lines.append(target("memory while running, over the data", last["running"], 2.5))
        if 10**3 in at:
            lines.append(target("nanoseconds per activation over those at 1,000 agents",
                                last["ns_per_activation"] / at[10**3]["ns_per_activation"], 3))
        if last.get("ns_floor"):
            lines.append(target("nanoseconds per activation over their floor",
                                last["ns_per_activation"] / last["ns_floor"], 1.5))
    return "\n".join(lines)


def target(text: str, figure: float, most: float) -> str:
    return f"  {text}: {figure:.2f}, at most {most:g}: {'reached' if figure <= most else 'MISSED'}"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Three curves over the number of agents."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    panels = (("ns_per_activation", "nanoseconds per activation", None), ("pack_s", "seconds of packing", 20),
              ("packed", "peak memory over data", 2.5))
    for ax, (name, label, limit) in zip(axes, panels, strict=True):
        if name == "ns_per_activation" and (known := [row for row in rows if row.get("ns_floor")]):
            ax.loglog([row["n_agents"] for row in known], [row["ns_floor"] for row in known], "o:", color="0.6",
                      label="edge form, floor of memory")
        for form in FORMS:
            mine = [row for row in rows if row["form"] == form]
            ax.loglog([row["n_agents"] for row in mine], [row[name] for row in mine], "o-", label=f"{form} form")
            if name == "packed":
                ax.loglog([row["n_agents"] for row in mine], [row["running"] for row in mine], "o:",
                          color=ax.lines[-1].get_color(), label=f"{form} form, running")
        if limit:
            ax.axhline(limit, color="0.6", linestyle="--", linewidth=1, label="target at 10$^6$")
        ax.set(xlabel="agents", ylabel=label)
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=float, default=SIZES, metavar="N", help="numbers of agents")
    parser.add_argument("--form", choices=FORMS, action="append", help="form of the network; default both")
    parser.add_argument("--epochs", type=float, default=0, help="also solve for that many epochs")
    parser.add_argument("--out", type=Path, default=Path("scale"), help="folder for scale.csv, scale.txt and scale.png")
    parser.add_argument("--measure", choices=FORMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(N) for N in options.sizes]
    if options.measure:
        print(json.dumps(measure(options.measure, sizes[0], options.epochs)))
        return
    rows = []
    for form in options.form or FORMS:
        for N in sizes:
            rows.append(elsewhere(form, N, options.epochs))
            print({name: value if isinstance(value, str) else round(value, 3) for name, value in rows[-1].items()},
                  file=sys.stderr, flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "scale.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    text = show(rows)
    (options.out / "scale.txt").write_text(text + "\n")
    draw(rows, options.out / "scale.png")
    print(text)


if __name__ == "__main__":
    main()
