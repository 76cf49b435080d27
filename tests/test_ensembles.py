"""Many solves at once are the same solves."""

import signal
import threading
import time

import numpy as np
import pytest
from conftest import MISSING
from strategies import random_instance

import fastadapd as fa

engine = "numba" if "c" in MISSING else "c"
INSTANCES = [random_instance(["Quadratic"], "Box", ["Ellipsoid"], N=6 + k, n=3, seed=k) for k in range(5)]
PROBLEMS, NETWORKS = [i.problem for i in INSTANCES], [i.network for i in INSTANCES]


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.status, a.activations, a.residual) == (b.status, b.activations, b.residual)
        np.testing.assert_array_equal(a.x_agents, b.x_agents)
        np.testing.assert_array_equal(a.consensus_multipliers, b.consensus_multipliers)


@pytest.mark.parametrize("workers", [1, 2, 5, None])
def test_results_are_those_of_one_solve_after_the_other(workers):
    generators = np.random.default_rng(7).spawn(5)
    expected = [fa.solve(p, n, rng=r, engine=engine, tol=1e-7)
                for p, n, r in zip(PROBLEMS, NETWORKS, generators, strict=True)]
    assert all(result.success for result in expected)
    for rng in (7, np.random.default_rng(7), np.random.default_rng(7).spawn(5)):
        assert_same(fa.solve_many(PROBLEMS, NETWORKS, rng=rng, workers=workers, engine=engine, tol=1e-7), expected)


@pytest.mark.parametrize(("N", "several"), [(99, False), (100, True)])
def test_threads_by_default_where_they_pay(N, several, monkeypatch):
    monkeypatch.setattr(fa.ensembles, "_processors", lambda: 3)
    threads = set()
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), np.ones((N, 2))))
    fa.solve_many(problem, fa.Network(fa.graphs.small_world(N, N, rng=0)), rng=list(range(12)), engine=engine,
                  callback=lambda _: (threads.add(threading.get_ident()), time.sleep(0.01))[1], max_epochs=20)
    assert (len(threads) > 1) == several


def test_one_problem_with_several_seeds():
    expected = [fa.solve(PROBLEMS[0], NETWORKS[0], rng=seed, engine=engine, max_epochs=20) for seed in (3, 4, 3)]
    ours = fa.solve_many(PROBLEMS[0], NETWORKS[0], rng=[3, 4, 3], workers=2, engine=engine, max_epochs=20)
    assert_same(ours, expected)
    assert not np.array_equal(ours[0].x, ours[1].x)


def test_an_error_says_of_which_problem():
    with pytest.raises(fa.InvalidOptionError, match="problem 1: network has 6 agents but problem has 7"):
        fa.solve_many(PROBLEMS[:2], NETWORKS[0], workers=2)

    def callback(result):
        if len(result.x_agents) == 8:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        fa.solve_many(PROBLEMS, NETWORKS, rng=0, workers=2, callback=callback, tol=0, max_epochs=1e5)
    assert caught.value.__notes__ == ["in problem 2"]


def test_ctrl_c_ends_all():
    began = threading.Barrier(3)
    waiting = threading.local()

    def callback(_):
        if not hasattr(waiting, "done"):
            waiting.done = True
            began.wait(60)

    presser = threading.Thread(target=lambda: began.wait(60) is None or signal.raise_signal(signal.SIGINT))
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        fa.solve_many(PROBLEMS, NETWORKS, rng=0, workers=2, callback=callback, tol=0, max_epochs=1e9, engine=engine)
    presser.join()
    for thread in [t for t in threading.enumerate() if t.name.startswith("fastadapd_")]:
        thread.join(60)  # one that was just being started
        assert not thread.is_alive()


@pytest.mark.parametrize("arguments, options, message", [
    ((PROBLEMS[0], NETWORKS[0]), {}, "problems, networks or rng must be a sequence"),
    ((PROBLEMS, NETWORKS[:2]), {}, "sequences differ in length: problems has 5, networks has 2"),
    ((PROBLEMS, NETWORKS), {"rng": [1]}, "sequences differ in length: problems has 5, networks has 5, rng has 1"),
    ((PROBLEMS, NETWORKS), {"workers": 0}, "workers is 0; it must be a positive integer"),
    ((PROBLEMS, NETWORKS), {"max_epochs": np.nan}, "^max_epochs is nan; it must be 0 or positive, and finite"),
])
def test_options_that_are_refused(arguments, options, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        fa.solve_many(*arguments, **options)


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match=r"^solve_many\(\) got an unexpected keyword argument 'max_epoch'$"):
        fa.solve_many(PROBLEMS, NETWORKS, max_epoch=5)
