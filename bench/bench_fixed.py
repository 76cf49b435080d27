"""What a call costs beyond the activations: ``pytest bench/bench_fixed.py``.

The problem is as small as problems get, 5 agents and 2 coordinates, so that all else shows.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import fastadapd as fa
from fastadapd import engines
from fastadapd.engines.packing import OK


@functools.cache
def small() -> tuple[fa.Problem, fa.Network]:
    rng = np.random.default_rng(0)
    problem = fa.Problem(fa.objectives.LeastSquares(rng.standard_normal((5, 3, 2)), rng.standard_normal((5, 3))),
                         fa.regularizers.Box(-5, 5), fa.constraints.AffineInequality(np.ones((1, 2)), np.ones(1)))
    return problem, fa.Network([(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])


@pytest.fixture
def engine():
    if reason := engines.availability()["c"]:
        pytest.skip(f"the C engine is not available: {reason}")
    return "c"


@pytest.mark.benchmark(group="fixed")
def bench_small_solve(benchmark, keep, engine):
    result = benchmark.pedantic(fa.solve, small(), {"engine": engine, "rng": 0}, rounds=200, warmup_rounds=20)
    assert result.success, result.message
    keep("fixed", "solve")


@pytest.mark.benchmark(group="fixed")
def bench_loop_alone(benchmark, keep, engine):
    """The activations of that solve, in one call."""
    count = fa.solve(*small(), engine=engine, rng=0).activations
    solver = fa.Solver(*small(), engine=engine, rng=0, tol=0)
    run, agents = solver._run, np.tile(np.arange(5, dtype=np.int32), count // 5)
    status = benchmark.pedantic(run._engine.adapd, (run.steps, run.state, agents), rounds=200, warmup_rounds=20)
    assert status == OK and run.activations >= len(agents) == count
    keep("fixed", "loop")


@pytest.mark.benchmark(group="fixed")
def bench_one_epoch(benchmark, keep, engine):
    solver = fa.Solver(*small(), engine=engine, rng=0, tol=0)
    solver.run(50)
    benchmark.pedantic(solver.run, (1,), rounds=2000)
    assert solver.result().epochs == 2050
    keep("fixed", "run")
