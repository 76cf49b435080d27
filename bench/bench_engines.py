"""What an activation, a solve and a first call cost, by engine: ``pytest bench``.

No test asserts a time, but each checks that what it timed is right. Rounds differ in length: the figures to compare are
the nanoseconds per activation in the table at the end. The largest case (10,000 agents, 100 coordinates) takes 2 GB;
one of ten times that is skipped. ``-k "not N10000"`` leaves the large ones out, ``-k process`` times the whole
processes alone.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import timeit
from collections.abc import Callable

import numpy as np
import pytest

import fastadapd as fa
from fastadapd import engines
from fastadapd.engines.packing import OK, Ints
from fastadapd.gallery import localization
from fastadapd.methods import ADAPD
from fastadapd.methods._base import Start

ROUND = 0.015  # seconds that a round takes at least
MOST = 1 << 17  # activations that a round has at most
DISTINCT = 30  # agents that differ; further ones repeat them, each with a copy of the data
ROWS = 20  # of a least-squares agent


@pytest.fixture
def engine(request):
    """The name of an engine that works here."""
    if reason := engines.availability().get(request.param):
        pytest.skip(f"engine {request.param!r} is not available: {reason}")
    return request.param


def network(n_agents: int) -> fa.Network:
    return fa.Network(fa.graphs.small_world(n_agents, n_agents, rng=0), consensus="edge")


# ---- One activation ----


def ellipsoids(n: int, rng: np.random.Generator) -> fa.Agent:
    """A quadratic cost, and an ellipsoid that holds the origin with a slack of 0.1."""
    A, center, target = rng.standard_normal((n, n)) / np.sqrt(n), rng.standard_normal(n), 2 * rng.standard_normal(n)
    level = np.sum((A @ center) ** 2) + 0.1
    return fa.Agent(fa.objectives.Quadratic(np.eye(n), -target), None, fa.constraints.Ellipsoid(A.T @ A, center, level))


def least_squares(n: int, rng: np.random.Generator) -> fa.Agent:
    return fa.Agent(fa.objectives.LeastSquares(rng.standard_normal((ROWS, n)), rng.standard_normal(ROWS)))


@functools.lru_cache(maxsize=1)  # the engines take their turns at one case
def case(agent: Callable[[int, np.random.Generator], fa.Agent], N: int, n: int) -> tuple[fa.Problem, fa.Network]:
    rng = np.random.default_rng(0)
    distinct = [agent(n, rng) for _ in range(DISTINCT)]
    return fa.Problem.from_agents(distinct[i % DISTINCT] for i in range(N)), network(N)


def one_round(advance: Callable[[Ints], int], agents: Ints) -> Ints:
    """The first agents, as many as fill a round; compiles and warms up."""
    advance(agents[:1])
    count, seconds = 8, 0.0
    while seconds < ROUND and count < len(agents):
        count *= 2
        seconds = min(timeit.repeat(functools.partial(advance, agents[:count]), number=1, repeat=2))
    return agents[:count]


@pytest.mark.parametrize("engine", ["c", "numba", "numpy"], indirect=True)
@pytest.mark.parametrize("n", [5, 20, 100], ids="n{}".format)
@pytest.mark.parametrize("N", [30, 1_000, 10_000, 100_000], ids="N{}".format)
@pytest.mark.parametrize("agent", [ellipsoids, least_squares], ids=lambda agent: agent.__name__)
@pytest.mark.benchmark(group="activations")
def bench_activation(benchmark, keep, agent, N, n, engine):
    if N * n > 2_000_000:
        pytest.skip("needs 20 GB of memory")
    problem, graph = case(agent, N, n)
    bound = engines.load(engine)(problem, graph)
    method = ADAPD()
    run = method.start(problem, graph, bound, method.clock(), Start(np.zeros((N, n)), None, None))
    advance = functools.partial(bound.adapd, run.steps, run.state)
    agents = one_round(advance, np.random.default_rng(1).integers(N, size=MOST, dtype=np.int32))

    before = run.activations
    status = benchmark.pedantic(advance, args=(agents,), rounds=15)
    assert status == OK
    assert run.activations > before and (run.activations - before) % len(agents) == 0
    for moved in (run.x, run.consensus_multipliers, run.theta):
        assert np.isfinite(moved).all() and (moved.any() or not moved.size)
    seconds = keep("activation", agent.__name__, N, n, engine, count=len(agents))
    benchmark.extra_info["ns_per_activation"] = seconds and 1e9 * seconds


# ---- One solve ----


def solve_ellipsoids() -> tuple[fa.Problem, fa.Network]:
    return localization(30, 20, rng=0).problem, network(30)


def solve_diabetes() -> tuple[fa.Problem, fa.Network]:
    """Like scikit-learn's diabetes data, in 20 clinics: 440 patients, 10 standardized features that go together."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((440, 4)) @ rng.standard_normal((4, 10)) + 0.4 * rng.standard_normal((440, 10))
    A = (A - A.mean(axis=0)) / (A.std(axis=0) * np.sqrt(len(A)))
    b = 300 * A @ rng.standard_normal(10) + 50 * rng.standard_normal(440)
    return fa.Problem(fa.objectives.LeastSquares(A.reshape(20, 22, 10), b.reshape(20, 22))), network(20)


@pytest.mark.parametrize("engine", ["c", "numba"], indirect=True)
@pytest.mark.parametrize("make", [solve_ellipsoids, solve_diabetes], ids=lambda make: make.__name__)
@pytest.mark.benchmark(group="solves")
def bench_solve(benchmark, keep, make, engine):
    problem, graph = make()
    result = benchmark.pedantic(fa.solve, (problem, graph), {"engine": engine, "rng": 0, "tol": 1e-6}, rounds=9,
                                warmup_rounds=1)
    assert result.success and result.engine == engine, result.message
    optimum = fa.solve_centralized(problem)
    assert np.linalg.norm(result.x - optimum.x) <= 1e-4 * np.linalg.norm(optimum.x)
    benchmark.extra_info["epochs"] = result.epochs
    keep("solve", make.__name__, engine)


# ---- One process, from start to end ----

SOLVE = """
import numpy as np, fastadapd as fa
problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), [[0, 0], [-4, 0], [-2, -3]]), fa.regularizers.Box(0, 1.5))
result = fa.solve(problem, fa.Network([(0, 1), (1, 2)]), engine={!r}, rng=0)
assert result.success, result.message
"""


@pytest.mark.parametrize("engine, program", [
    (None, "import numpy, scipy.sparse"),
    (None, "import fastadapd"),
    ("c", SOLVE),
    ("numba", SOLVE),
], indirect=["engine"], ids=["numpy-scipy", "fastadapd", "first-solve-c", "first-solve-numba"])
@pytest.mark.benchmark(group="processes")
def bench_process(benchmark, keep, tmp_path, program, engine):
    command = [sys.executable, "-c", program.format(engine)]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code
    # the process that warms up leaves byte code and, for Numba, machine code on disk
    benchmark.pedantic(subprocess.run, (command,), {"env": environment, "check": True}, rounds=5, warmup_rounds=1)
    keep("process", f"import and first solve, {engine}" if engine else program)
