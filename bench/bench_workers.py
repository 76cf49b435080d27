"""Two workers and one, activations per second and whole solves, by turns: ``pytest bench/bench_workers.py``.

Wall time, which says something only where both have a processor to themselves, so of each the quickest round counts.
Before it is timed each goes once, so that the caches hold what they can of its own memory, not of the other's.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from bench_engines import case, ellipsoids, least_squares

import fastadapd as fa
from fastadapd import clocks, engines, pieces
from fastadapd.engines.packing import OK
from fastadapd.methods import ADAPD
from fastadapd.methods._base import Start


@pytest.mark.parametrize("n", [5, 20], ids="n{}".format)
@pytest.mark.parametrize("N", [1_000, 10_000, 100_000], ids="N{}".format)
@pytest.mark.parametrize("agent", [ellipsoids, least_squares], ids=lambda agent: agent.__name__)
@pytest.mark.benchmark(group="workers")
def bench_workers(benchmark, keep, agent, N, n):
    if reason := engines.availability()["c"]:
        pytest.skip(f"engine 'c' is not available: {reason}")
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two workers need two processors")
    problem, graph = case(agent, N, n)
    method, count = ADAPD(), max(N, 800_000 // n // N * N)
    split = pieces.split(problem, graph, np.ones(N), 2)
    advance = {}
    for workers in (1, 2):
        engine, rng = engines.load("c")(problem, graph), np.random.default_rng(1)
        run = method.start(problem, graph, engine, method.clock(), Start(np.zeros((N, n)), None, None))
        if workers == 1:
            stream = clocks.Stream(method.clock(), N, rng)
        else:
            engine.divide(split)
            stream = clocks.SplitStream(method.clock(), split, rng)
        advance[workers] = run, stream
    alone: list[float] = []

    def turn():
        for workers, (run, stream) in advance.items():
            run.advance(count, stream)
            if workers == 1:
                start = time.perf_counter()
                assert run.advance(count, stream) == (OK, count)
                alone.append(time.perf_counter() - start)

    run, stream = advance[2]
    status = benchmark.pedantic(run.advance, (count, stream), setup=turn, rounds=25, warmup_rounds=1)
    assert status == (OK, count) and run.activations == 2 * len(alone) * count == advance[1][0].activations
    assert run.state.wakes.sum() == run.activations and np.isfinite(run.x).all() and run.x.any()
    if benchmark.stats is not None:
        keep("workers", agent.__name__, N, n, 1, seconds=min(alone) / count)
        keep("workers", agent.__name__, N, n, 2, seconds=benchmark.stats.stats.min / count)


@pytest.mark.parametrize("N", [30, 200, 1_000], ids="N{}".format)
@pytest.mark.benchmark(group="ensembles")
def bench_solve_many(benchmark, keep, N):
    if reason := engines.availability()["c"]:
        pytest.skip(f"engine 'c' is not available: {reason}")
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two workers need two processors")
    drawn = [case(ellipsoids, N, 20) for _ in range(4)]
    problems, networks, alone = [problem for problem, _ in drawn], [network for _, network in drawn], []

    def solve(workers):
        return fa.solve_many(problems, networks, rng=0, workers=workers, engine="c", tol=1e-4)

    def turn():
        start = time.perf_counter()
        assert all(result.success for result in solve(1))
        alone.append(time.perf_counter() - start)

    results = benchmark.pedantic(solve, (2,), setup=turn, rounds=7, warmup_rounds=1)
    assert all(result.success for result in results)
    if benchmark.stats is not None:
        keep("ensembles", N, 1, seconds=min(alone))
        keep("ensembles", N, 2, seconds=benchmark.stats.stats.min)
