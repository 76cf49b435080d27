"""fastadapd against other packages and against plain NumPy, on unconstrained least squares, in one run.

    python bench/peers.py                                                       # every peer that is installed here
    python bench/peers.py --python disropt=VENV/bin/python --python decent-bench=VENV313/bin/python --out peers

    minimize  sum_i |A_i x - b_i|^2 / 2,   every agent with its own x_i; cycle plus N random chords; start at 0

Peers, each in a process of its own. One that is not installed is skipped with a message, one that fails is reported,
and the others run all the same. `--python NAME=PATH` gives a peer another interpreter.

* fastadapd-c, fastadapd-numba: AD-APD with the default options, nothing tuned; tol = 0, so that it goes on.
* numpy-loop: AD-APD as a researcher would write it, one agent at a time: edge form, local momentum, fixed steps.
* numpy-extra: EXTRA for all agents at once, one batched and one plain matrix product per iteration.
* disropt (pip install mpich mpi4py disropt): GradientTracking, one MPI process per agent.
* tvopt (pip install tvopt): PG-EXTRA, NIDS, Prox-ED, Aug-DGM, ADMM.
* decent-bench (pip install decent-bench; Python 3.13): EXTRA, NIDS, ED, Aug-DGM, ADMM.

One update is one agent's own step, with one gradient of its own cost (disropt and decent-bench's EXTRA take two, ADMM a
proximal step), and its exchange with all its neighbours, of one vector (Aug-DGM and gradient tracking: two). A
synchronous iteration is N updates; an activation of AD-APD is one. The table:

* updates per agent and second of wall clock, and of all agents per second of processor time. For disropt the processor
  time is that of all processes, and N processes share the cores that there are.
* to the target: updates per agent, wall clock and processor time until sqrt(mean_i |x_i - x*|^2) <= target |x*|, with
  x* from numpy.linalg.lstsq. The number of updates comes from a run that looks at every iteration; the times are the
  best of three or more runs of just that length that look at nothing, and what these return is verified. Where such a
  run takes less than 0.5 s, the rates come from longer ones.
* set-up: from arrays to the first update, without imports and without the start of MPI. Not part of the other times.

All get the same data, graph and, where they use any, Metropolis weights, one BLAS thread, and the same tuning:
step sizes from a grid (`STEPS` / L, with L the largest eigenvalue of any A_i' A_i), ADMM penalties and relaxations from
another; the tuning with the fewest updates wins. Costs go to the packages as A_i' A_i and A_i' b_i, where they take
them so: it is the fastest form.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

STEPS = (1.9, 1.6, 1.3, 1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05)  # times 1 / L
WEIGHTS = (10.0, 3.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.01)  # penalties: times mean eigenvalue / mean degree
RELAXATIONS = (0.5, 0.9)
SHORT = 0.5  # seconds
COLUMNS = ("peer", "algorithm", "tuning", "updates_per_agent_second", "updates_per_cpu_second", "updates_per_agent",
           "wall", "cpu", "setup", "error", "note")
Row = dict[str, Any]
Watch = Callable[[np.ndarray], None]
Run = Callable[[int], np.ndarray]  # so many updates of every agent; x of all agents, (N, n)


# ---- The problem ----


@dataclass(frozen=True, eq=False)
class Data:
    """A (N, m, n), b (N, m), the symmetric adjacency matrix (N, N) of zeros and ones, and what is to be reached."""

    A: np.ndarray
    b: np.ndarray
    adjacency: np.ndarray
    target: float

    @functools.cached_property
    def gram(self) -> np.ndarray:
        return self.A.transpose(0, 2, 1) @ self.A

    @functools.cached_property
    def moment(self) -> np.ndarray:
        return np.einsum("imn,im->in", self.A, self.b)

    @functools.cached_property
    def lipschitz(self) -> np.ndarray:
        return np.linalg.eigvalsh(self.gram)[:, -1]

    @functools.cached_property
    def degrees(self) -> np.ndarray:
        return self.adjacency.sum(axis=1)

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Metropolis."""
        W = self.adjacency / (1 + np.maximum.outer(self.degrees, self.degrees))
        return W + np.diag(1 - W.sum(axis=1))

    @functools.cached_property
    def edges(self) -> np.ndarray:
        return np.argwhere(np.triu(self.adjacency))

    @functools.cached_property
    def optimum(self) -> np.ndarray:
        return np.linalg.lstsq(self.A.reshape(-1, self.A.shape[2]), self.b.ravel(), rcond=None)[0]

    def error(self, X: np.ndarray) -> float:
        return float(np.sqrt(((X - self.optimum) ** 2).sum(axis=1).mean()) / np.linalg.norm(self.optimum))

    def steps(self) -> dict[str, float]:
        return {f"{c:g} / L": c / float(self.lipschitz.max()) for c in STEPS}

    def penalties(self) -> dict[str, float]:
        unit = np.trace(self.gram.mean(axis=0)) / self.A.shape[2] / self.degrees.mean()
        return {f"{c:g}": float(c * unit) for c in WEIGHTS}


def draw(n_agents: int, dim: int, rows: int, seed: int, target: float) -> Data:
    import fastadapd as fa

    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n_agents, rows, dim))
    b = A @ rng.standard_normal(dim) + rng.standard_normal((n_agents, rows))
    chords = min(n_agents, n_agents * (n_agents - 3) // 2)
    return Data(A, b, fa.graphs.small_world(n_agents, chords, rng=seed).toarray(), target)


# ---- Plain NumPy ----


def extra(data: Data, step: float, watch: Watch | None = None) -> Run:
    """EXTRA (Shi, Ling, Wu and Yin 2015), all agents at once."""
    H, q, W = data.gram, data.moment[:, :, None], data.weights
    shape = data.moment.shape

    def gradient(X: np.ndarray) -> np.ndarray:
        return (H @ X[:, :, None] - q)[:, :, 0]

    def run(iterations: int) -> np.ndarray:
        X = np.zeros(shape)
        WX, G = W @ X, gradient(X)
        X, last = WX - step * G, X
        for k in range(iterations):
            if k:
                WX_last, G_last = WX, G
                WX, G = W @ X, gradient(X)
                X, last = X + WX - (last + WX_last) / 2 - step * (G - G_last), X
            if watch:
                watch(X)
        return X

    return run


def adapd(data: Data, weight: float, watch: Watch | None = None, wakes: np.ndarray | None = None) -> Run:
    """AD-APD, one agent at a time: edge form, local momentum, 1/tau_i = L_i + w d_i, gamma = w/2.

    Agents wake uniformly at random, unless `wakes` says who is next.
    """
    H, q, edges = data.gram, data.moment, data.edges
    N, n = q.shape
    own = [np.flatnonzero((edges == i).any(axis=1)) for i in range(N)]
    neighbors = [edges[e].sum(axis=1) - i for i, e in enumerate(own)]
    signs = [np.where(edges[e, 0] == i, 1.0, -1.0) for i, e in enumerate(own)]
    tau, gamma = 1 / (data.lipschitz + weight * data.degrees), weight / 2

    def run(epochs: int) -> np.ndarray:
        x, lam, s_last = np.zeros((N, n)), np.zeros((len(edges), n)), np.zeros((len(edges), n))
        order = np.random.default_rng(0).integers(N, size=epochs * N) if wakes is None else wakes
        for k, i in enumerate(order[:epochs * N].tolist(), 1):
            e, sign = own[i], signs[i]
            s = sign[:, None] * (x[i] - x[neighbors[i]])
            lam[e] += gamma * (2 * s - s_last[e])
            s_last[e] = s
            x[i] -= tau[i] * (H[i] @ x[i] - q[i] + sign @ lam[e])
            if watch and k % N == 0:
                watch(x)
        return x

    return run


# ---- The peers: what each has, as (algorithm, tunings, start) ----


@dataclass(frozen=True, eq=False)
class Entry:
    """An algorithm with what it may be tuned to, and start(data, value of a tuning, watch or None) -> run."""

    algorithm: str
    tunings: dict[str, Any]
    start: Callable[[Data, Any, Watch | None], Run]


def numpy_loop(data: Data) -> list[Entry]:
    return [Entry("AD-APD, fixed steps", data.penalties(), adapd)]


def numpy_extra(data: Data) -> list[Entry]:
    return [Entry("EXTRA, vectorized", data.steps(), extra)]


def fastadapd(engine: str) -> Callable[[Data], list[Entry]]:
    def start(data: Data, _: None, watch: Watch | None) -> Run:
        import fastadapd as fa

        problem = fa.Problem(fa.objectives.LeastSquares(data.A, data.b))
        solver = fa.Solver(problem, fa.Network(data.edges), rng=0, engine=engine, tol=0.0)

        def run(epochs: int) -> np.ndarray:
            for _ in range(epochs) if watch else ():
                solver.run(1)
                watch(solver.result().x_agents)
            if not watch:
                solver.run(epochs)
            result = solver.result()
            if result.epochs != epochs:
                raise RuntimeError(f"it stopped after {result.epochs} of {epochs} epochs: {result.message}")
            return result.x_agents

        return run

    return lambda data: [Entry("AD-APD, defaults", {"": None}, start)]


def disropt(data: Data) -> list[Entry]:
    from disropt.agents import Agent
    from disropt.algorithms.gradient_tracking import GradientTracking
    from disropt.functions import QuadraticForm, Variable
    from disropt.problems import Problem
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    N, n = data.moment.shape

    def start(data: Data, step: float, watch: Watch | None) -> Run:
        i = comm.rank
        neighbors = np.flatnonzero(data.adjacency[i]).tolist()
        agent = Agent(in_neighbors=neighbors, out_neighbors=neighbors, in_weights=data.weights[i].tolist())
        agent.set_problem(Problem(QuadraticForm(Variable(n), data.gram[i] / 2, -data.moment[i][:, None])))
        method = GradientTracking(agent, np.zeros((n, 1)), enable_log=watch is not None)

        def run(iterations: int) -> np.ndarray:
            if watch is None:
                method.run(iterations=iterations, stepsize=step)
            else:
                for _ in range(0, iterations, 20):  # it goes on from where it was
                    mine = method.run(iterations=20, stepsize=step)[:, :, 0]
                    for X in np.stack(comm.allgather(mine), axis=1):
                        watch(X)
            return np.stack(comm.allgather(method.get_result()[:, 0]))

        return run

    if comm.size != N:
        raise RuntimeError(f"{N} agents need as many MPI processes, there are {comm.size}")
    return [Entry("GradientTracking", data.steps(), start)]


def tvopt(data: Data) -> list[Entry]:
    from tvopt import costs, distributed_solvers, networks

    class Watched(costs.SeparableCost):
        """Shows `watch` every iterate: x_k is where the gradient is taken, or what the proximal steps return."""

        def __init__(self, each: list[Any], watch: Watch):
            super().__init__(each)
            self.watch, self.calls, self.X = watch, 0, np.zeros(data.moment.shape)

        def gradient(self, x: np.ndarray) -> np.ndarray:
            if self.calls:
                self.watch(x[:, 0].T)
            self.calls += 1
            return super().gradient(x)

        def proximal(self, x: np.ndarray, *, penalty: float, i: int) -> np.ndarray:
            found = super().proximal(x, penalty=penalty, i=i)
            self.X[i] = found[:, 0]
            if i == len(self.X) - 1:
                self.watch(self.X)
            return found

    def start(solve: Callable[..., Any], data: Data, tuning: Any, watch: Watch | None) -> Run:
        each = [costs.Quadratic(H, -q[:, None]) for H, q in zip(data.gram, data.moment, strict=True)]
        problem = {"f": Watched(each, watch) if watch else costs.SeparableCost(each),
                   "network": networks.Network(data.adjacency, data.weights)}

        def run(iterations: int) -> np.ndarray:
            return solve(problem, tuning, iterations + (watch is not None))[:, 0].T

        return run

    def primal(name: str) -> Entry:
        method = getattr(distributed_solvers, name)
        return Entry(name, data.steps(), functools.partial(start, lambda problem, step, k: method(
            problem, step, num_iter=k)))

    dual = functools.partial(start, lambda problem, tuning, k: distributed_solvers.admm(
        problem, *tuning, num_iter=k)[0])
    return [*map(primal, ("pg_extra", "nids", "prox_ed", "aug_dgm")), Entry("admm", relaxed(data), dual)]


def decent_bench(data: Data) -> list[Entry]:
    import networkx as nx
    from decent_array import interoperability as iop
    from decent_bench.agents import Agent
    from decent_bench.algorithms import p2p
    from decent_bench.costs import QuadraticCost
    from decent_bench.networks import P2PNetwork

    iop.set_backend("numpy", "cpu")

    def start(make: Callable[[Any], Any], data: Data, tuning: Any, watch: Watch | None) -> Run:
        agents = [Agent(QuadraticCost(iop.from_numpy(H), iop.from_numpy(-q)), state_snapshot_period=1 << 60)
                  for H, q in zip(data.gram, data.moment, strict=True)]
        network = P2PNetwork(nx.from_numpy_array(data.adjacency), agents)
        network.weights = iop.from_numpy(data.weights)
        algorithm = make(tuning)

        def X() -> np.ndarray:
            return np.stack([iop.to_numpy(agent.x) for agent in agents])

        def run(iterations: int) -> np.ndarray:
            algorithm.run(network, iterations, progress_callback=watch and (lambda _: watch(X())))
            return X()

        return run

    def primal(name: str) -> Entry:
        method = getattr(p2p, name)
        return Entry(name, data.steps(), functools.partial(start, lambda step: method(step_size=step)))

    dual = functools.partial(start, lambda tuning: p2p.ADMM(penalty=tuning[0], relaxation=tuning[1]))
    return [*map(primal, ("EXTRA", "NIDS", "ED", "AugDGM")), Entry("ADMM", relaxed(data), dual)]


def relaxed(data: Data) -> dict[str, tuple[float, float]]:
    return {f"{name}, {relaxation:g}": (penalty, relaxation)
            for (name, penalty), relaxation in product(data.penalties().items(), RELAXATIONS)}


@dataclass(frozen=True, eq=False)
class Peer:
    """Its entries, the modules that they need, how to get these, and whether every agent is an MPI process."""

    entries: Callable[[Data], list[Entry]]
    modules: tuple[str, ...] = ("numpy",)
    install: str = "numpy"
    mpi: bool = False


PEERS = {
    "fastadapd-c": Peer(fastadapd("c"), ("fastadapd",), "fastadapd"),
    "fastadapd-numba": Peer(fastadapd("numba"), ("fastadapd",), "fastadapd"),
    "numpy-loop": Peer(numpy_loop),
    "numpy-extra": Peer(numpy_extra),
    "disropt": Peer(disropt, ("disropt", "mpi4py"), "mpich mpi4py disropt", mpi=True),
    "tvopt": Peer(tvopt, ("tvopt",), "tvopt"),
    "decent-bench": Peer(decent_bench, ("decent_bench",), "decent-bench"),
}


# ---- A worker: one peer, measured ----


class Stop(Exception):
    """A run that is watched is over: the target is reached, or given up (iterations None)."""

    def __init__(self, iterations: int | None):
        self.iterations = iterations


def reach(entry: Entry, data: Data, tuning: Any, limit: int) -> int | None:
    """Updates per agent until the target, if it takes at most `limit`."""
    count = 0

    def watch(X: np.ndarray) -> None:
        nonlocal count
        count += 1
        error = data.error(X)
        if error <= data.target:
            raise Stop(count)
        if count >= limit or not error < 1e3:
            raise Stop(None)

    try:
        entry.start(data, tuning, watch)(limit)
    except Stop as stop:
        return stop.iterations
    raise RuntimeError(f"{entry.algorithm} showed {count} of {limit} iterations")


def clocked(entry: Entry, data: Data, tuning: Any, iterations: int, comm: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a run returns, and seconds: wall clock, processor time and set-up."""
    began = time.perf_counter()
    run = entry.start(data, tuning, None)
    setup = time.perf_counter() - began
    if comm:
        comm.Barrier()
    wall, cpu = time.perf_counter(), time.process_time()
    X = run(iterations)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if comm:
        cpu, wall, setup = comm.allreduce(cpu), max(comm.allgather(wall)), max(comm.allgather(setup))
    return X, np.array([wall, cpu, setup])


def measure(entry: Entry, data: Data, limit: int, comm: Any = None) -> tuple[Row, np.ndarray]:
    best, least = None, limit + 1
    for name, tuning in entry.tunings.items():
        found = reach(entry, data, tuning, least - 1) if least > 1 else None
        if found:
            best, least = (name, tuning), found
    if best is None:
        return {"algorithm": entry.algorithm, "note": f"did not reach the target within {limit} updates per agent"}, \
            np.full(data.moment.shape, np.nan)

    def several(iterations: int) -> tuple[np.ndarray, np.ndarray]:
        """Three runs, short ones more often; what the last returned and the least seconds of each kind."""
        runs = [clocked(entry, data, best[1], iterations, comm) for _ in range(3)]
        for _ in range(min(200, int(SHORT / runs[0][1][0]))):
            runs.append(clocked(entry, data, best[1], iterations, comm))
        return runs[-1][0], np.min([seconds for _, seconds in runs], axis=0)

    X, (wall, cpu, setup) = several(least)
    long, seconds = least, (wall, cpu)
    if wall < SHORT and not comm:
        long = least * int(np.ceil(SHORT / wall))
        seconds = several(long)[1][:2]
    N = len(data.A)
    return {"algorithm": entry.algorithm, "tuning": best[0], "updates_per_agent_second": long / seconds[0],
            "updates_per_cpu_second": N * long / seconds[1], "updates_per_agent": least,
            "wall": wall, "cpu": cpu, "setup": setup}, X


def work(name: str, folder: Path, limit: int) -> None:
    """In the peer's own process: rows and points of every algorithm into `folder`."""
    with np.load(folder / "data.npz") as saved:
        data = Data(saved["A"], saved["b"], saved["adjacency"], float(saved["target"]))
    comm = None
    if PEERS[name].mpi:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    found = [measure(entry, data, limit, comm) for entry in PEERS[name].entries(data)]
    if not comm or comm.rank == 0:
        np.save(folder / f"{name}.npy", np.array([X for _, X in found]))
        (folder / f"{name}.json").write_text(json.dumps([row for row, _ in found]), encoding="utf-8")


# ---- All peers ----


def command(name: str, python: str, n_agents: int) -> list[str] | str:
    """How to start a peer's process, or why it is skipped."""
    peer = PEERS[name]
    probe = "import sys; from importlib.util import find_spec; print(*(m for m in sys.argv[1:] if not find_spec(m)))"
    try:
        asked = subprocess.run([python, "-c", probe, *peer.modules], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"skipped: {python} does not work ({error})"
    if missing := asked.stdout.split():
        return (f"skipped: {' and '.join(missing)} not installed for {python} "
                f"(pip install {peer.install}; --python {name}=PATH for another interpreter)")
    if not peer.mpi:
        return [python]
    beside = Path(python).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    return [mpiexec, "-n", str(n_agents), python, "-m", "mpi4py"] if mpiexec else "skipped: no mpiexec"


def run_peer(name: str, data: Data, folder: Path, options: argparse.Namespace) -> list[Row]:
    """Rows of one peer; a peer that cannot run has one row with a note."""
    start = command(name, options.python.get(name, sys.executable), len(data.A))
    if isinstance(start, str):
        return [{"peer": name, "note": start}]
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.Popen([*start, __file__, "--limit", str(options.limit), "--worker", name, str(folder)],
                               env=os.environ | single, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        printed = process.communicate(timeout=options.timeout)[0]
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # mpiexec with all that it has started
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return [{"peer": name, "note": f"failed: not done within {options.timeout:g} s"}]
    if process.returncode:
        lines = [line for line in printed.splitlines() if line.strip()] or [f"exit status {process.returncode}"]
        raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return [{"peer": name, "note": f"failed: {(raised or lines)[-1]}"}]
    rows: list[Row] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    for row, X in zip(rows, np.load(folder / f"{name}.npy"), strict=True):
        error = data.error(X)
        row |= {"peer": name, "error": error}
        if error > data.target:
            row["note"] = f"failed: error {error:.1e} where {data.target:g} was claimed"
    return rows


def report(rows: Sequence[Row], data: Data) -> str:
    N, m, n = data.A.shape
    lines = [f"least squares: N = {N} agents, n = {n}, {m} rows each, {len(data.edges)} edges, {os.cpu_count()} cores; "
             f"to a relative error of {data.target:g}", "",
             f"{'':46}{'updates per second':^24}{'updates':>10}{'to the target, ms':>22}{'set-up':>10}",
             f"{'peer':16}{'algorithm':20}{'tuning':10}{'and agent':>12}{'of cpu, all':>12}{'per agent':>10}"
             f"{'wall':>11}{'cpu':>11}{'ms':>10}"]
    for row in rows:
        line = f"{row['peer']:16}{row.get('algorithm', ''):20}"
        if "wall" in row:
            line += (f"{row['tuning']:10}{row['updates_per_agent_second']:12,.0f}{row['updates_per_cpu_second']:12,.0f}"
                     f"{row['updates_per_agent']:10,}" + "".join(f"{1e3 * row[key]:{width},.2f}" for key, width in
                                                                 (("wall", 11), ("cpu", 11), ("setup", 10))))
        lines.append((line + (f"  {row['note']}" if "note" in row else "")).rstrip())
    return "\n".join(lines)


def write(rows: Sequence[Row], text: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.txt").write_text(text + "\n", encoding="utf-8")
    with (folder / "peers.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is not of {', '.join(PEERS)}")
    return names


def _interpreter(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    return _names(name)[0], path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=_names, default=list(PEERS), help=f"of {','.join(PEERS)}")
    parser.add_argument("--python", type=_interpreter, action="append", default=[], metavar="NAME=PATH",
                        help="the interpreter of a peer; may be given for several")
    parser.add_argument("--agents", type=int, default=30, help="N")
    parser.add_argument("--dim", type=int, default=20, help="n")
    parser.add_argument("--rows", type=int, default=20, help="of every A_i")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", type=float, default=1e-4, help="relative error in x")
    parser.add_argument("--limit", type=int, default=2000, help="updates per agent that a tuning may take")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one peer")
    parser.add_argument("--out", type=Path, help="folder for peers.csv and peers.txt")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        work(options.worker[0], Path(options.worker[1]), options.limit)
        return 0
    options.python = dict(options.python)
    data = draw(options.agents, options.dim, options.rows, options.seed, options.target)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "data.npz"), A=data.A, b=data.b, adjacency=data.adjacency, target=data.target)
        for name in options.peers:
            rows += run_peer(name, data, Path(folder), options)
    text = report(rows, data)
    print(text)
    if options.out:
        write(rows, text, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
