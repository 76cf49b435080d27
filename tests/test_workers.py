"""Several workers on one run: who writes what, who wakes when, and that the optimum stays the optimum."""

import os
import pickle
import signal
import threading

import numpy as np
import pytest
from conftest import MISSING
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import built

import fastadapd as fa
from fastadapd import clocks, pieces
from fastadapd.engines import packing
from fastadapd.methods import ADAPD

needs_c = pytest.mark.skipif("c" in MISSING, reason=f"engine 'c': {MISSING.get('c')}")
several = pytest.mark.parametrize("workers", [2, 3])
forms = pytest.mark.parametrize("consensus", ["edge", "laplacian"])
N = 30
BUILT = {form: built("Quadratic", "L1", "Ellipsoid", N=N, n=5, extra=20, consensus=form)
         for form in ("edge", "laplacian")}


def solver(consensus="edge", **options):
    case = BUILT[consensus]
    return fa.Solver(case.problem, case.network, **{"rng": 0, "workers": 2, "engine": "c", **options})


# ---- The optimum ----


@needs_c
@several
@forms
@pytest.mark.parametrize("clock", [None, "uniform", "cyclic", clocks.Poisson(np.linspace(1, 3, N))],
                         ids=["repeated", "uniform", "cyclic", "Poisson"])
def test_the_optimum_is_the_one_the_problem_was_made_around(workers, consensus, clock):
    case = BUILT[consensus]
    result = fa.solve(case.problem, case.network, workers=workers, clock=clock, rng=0, tol=1e-8, max_epochs=5_000)
    assert result.success and result.residual <= 1e-8, result.message
    np.testing.assert_allclose(result.x_agents, np.tile(case.x, (N, 1)), rtol=0, atol=1e-6)


@needs_c
def test_as_many_workers_as_agents():
    case = built("Quadratic", "Box", N=4, n=3)
    result = fa.solve(case.problem, case.network, workers=4, rng=0, tol=1e-8)
    assert result.success
    np.testing.assert_allclose(result.x, case.x, rtol=0, atol=1e-5)


# ---- One writer per number ----


def pinned(consensus, n=7, agents=200):
    """Agents that cannot move, so that every update of a row adds the same: (problem, network, positions)."""
    rng = np.random.default_rng(5)
    at = rng.integers(-8, 8, (agents, n)).astype(float)
    at[:, 0] = np.arange(agents) ** 2  # no row is 0
    network = fa.Network(fa.graphs.small_world(agents, agents, rng=1), consensus=consensus)
    return fa.Problem(fa.objectives.Linear(np.zeros(n)), fa.regularizers.Box(at, at)), network, at


@needs_c
@several
@forms
@pytest.mark.parametrize("n", [2, 7])  # unrolled, and not
def test_every_row_has_one_writer_and_no_update_is_lost(workers, consensus, n):
    problem, network, at = pinned(consensus, n)
    R, size = network.consensus_matrix.shape[0], len(at)
    steps = fa.FixedSteps(np.ones(size), np.ones(size), np.ones(R))  # whole numbers: sums are exact
    run = fa.Solver(problem, network, method=ADAPD(steps=steps), workers=workers, tol=0, rng=2,
                    clock=clocks.Poisson(np.random.default_rng(3).uniform(1, 2, size)))
    for activations in (100, 642, 8000):  # not run(), which finds out that the points do not agree, and stops
        assert run._run.advance(activations, run._stream) == (packing.OK, activations)
    state, B = run.checkpoint()["state"], network.consensus_matrix
    wakes, s = state["wakes"], B @ at
    assert wakes.sum() == run.result().activations == 8742 and wakes.min() > 0
    updates = state["lambda_"][:, 0] / s[:, 0]
    np.testing.assert_array_equal(state["lambda_"], updates[:, None] * s)
    if consensus == "laplacian":
        np.testing.assert_array_equal(updates, wakes)
    else:
        worker = np.empty(size, dtype=int)
        for w, piece in enumerate(run._pieces):
            worker[piece] = w
        ends = B.indices.reshape(-1, 2)
        border = worker[ends[:, 0]] != worker[ends[:, 1]]
        updates = updates + 1  # what is kept is lambda less the last s
        np.testing.assert_array_equal(updates[~border], wakes[ends[~border]].sum(axis=1))
        by_first, by_second = (updates[border] == wakes[ends[border, k]] for k in (0, 1))
        assert (by_first | by_second).all() and border.sum() > 10
        assert by_first.sum() > 0.3 * border.sum() and by_second.sum() > 0.3 * border.sum()  # the ends take turns
    np.testing.assert_array_equal(state["x"], at)
    np.testing.assert_allclose(run.result().x_ergodic, at, rtol=1e-12)  # weights add up to 1


@needs_c
def test_the_ergodic_average_weighs_a_run_like_one_worker_does():
    one, two = (solver(workers=w, tol=0, method=ADAPD(memory=0)) for w in (1, 2))
    for run in (one, two):
        run.run(400)
    np.testing.assert_allclose(two.result().x_ergodic, one.result().x_ergodic, rtol=0, atol=0.05)
    assert np.abs(one.result().x_ergodic - one.result().x_agents).max() > 1e-6


@needs_c
@pytest.mark.parametrize("local_steps, moved, ahead", [(1, 1.0, 1.0), (2, 2.0, 2.0), (3, 1.6, 2.0)])
def test_an_activation_at_a_border_by_hand(local_steps, moved, ahead):
    """Only one worker is awake. Rows that the other one updates stay, and x sees all of them ahead."""
    rng, agents, n, tau = np.random.default_rng(4), 12, 3, 0.01
    P, q, x0 = rng.uniform(1, 2, (agents, n)), rng.normal(size=(agents, n)), rng.normal(size=(agents, n))
    network = fa.Network(fa.graphs.small_world(agents, 2 * agents, rng=1))
    gamma = rng.uniform(0.5, 1.0, network.n_rows)
    method = ADAPD(steps=fa.FixedSteps(tau, 1.0, gamma), local_steps=local_steps)
    problem = fa.Problem(fa.objectives.Quadratic(P[:, :, None] * np.eye(n), q))
    solver = fa.Solver(problem, network, method=method, workers=2, rng=0, tol=0, x0=x0)
    run, state, engine = solver._run, solver._run.state, solver._engine
    state.lambda_[:] = rng.normal(size=state.lambda_.shape)
    B, (ptr, row, _), tried = network.consensus_matrix.toarray(), engine._borders, 0
    for i in range(agents):
        inside, own, others, end = ptr[3 * i : 3 * i + 4]
        if not inside < own < others < end:
            continue
        tried, x, lambda_, mine = tried + 1, state.x.copy(), state.lambda_.copy(), row[inside:others]
        lambda_[mine] += (moved * gamma[:, None] * (B @ x))[mine]
        for _ in range(local_steps):
            seen = lambda_ + ahead * gamma[:, None] * (B @ x)
            x[i] -= tau * (P[i] * x[i] + q[i] + B[:, i] @ seen)
        awake = [np.array([i] if i in piece else [], np.int32) for piece in solver._pieces]
        assert engine.adapd_together(run.steps, state, awake) == packing.OK
        np.testing.assert_allclose(state.x, x, rtol=0, atol=1e-13)
        np.testing.assert_allclose(state.lambda_, lambda_, rtol=0, atol=1e-13)
    assert tried > 2


# ---- Who wakes when ----

LAWS = {"uniform": clocks.Uniform(), "shuffled": clocks.Shuffled(), "repeated": clocks.Repeated(3),
        "cyclic": clocks.Cyclic(), "Poisson": clocks.Poisson(np.linspace(1, 4, 11))}
DEALT = (np.array([0, 3, 4, 9], np.int32), np.array([1, 2, 5, 6, 10], np.int32), np.array([7, 8], np.int32))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@given(cuts=st.lists(st.integers(0, 1100), max_size=6).map(sorted))
@settings(max_examples=25)
def test_workers_wake_their_own_agents_and_do_their_share(law, cuts):
    stream = clocks.SplitStream(law, DEALT, np.random.default_rng(0))
    whole = clocks.SplitStream(law, DEALT, np.random.default_rng(0)).take(1100)
    parts = [stream.take(b - a) for a, b in zip((0, *cuts), (*cuts, 1100), strict=True)]
    assert [sum(map(len, part)) for part in parts] == [b - a for a, b in zip((0, *cuts), (*cuts, 1100), strict=True)]
    for w, own in enumerate(DEALT):
        woken = np.concatenate([part[w] for part in parts])
        assert set(woken) <= set(own.tolist())
        np.testing.assert_array_equal(woken, whole[w])
        if not isinstance(law, clocks.Poisson):
            assert len(woken) == 100 * len(own)
    if isinstance(law, (clocks.Shuffled, clocks.Repeated, clocks.Cyclic)):
        np.testing.assert_array_equal(np.bincount(np.concatenate(whole)), np.full(11, 100))


def test_rates_are_kept_across_workers():
    stream = clocks.SplitStream(LAWS["Poisson"], DEALT, np.random.default_rng(0))
    counts = np.bincount(np.concatenate(stream.take(400_000)))
    expected = np.linspace(1, 4, 11) / np.linspace(1, 4, 11).sum()
    np.testing.assert_allclose(counts / counts.sum(), expected, rtol=0.03)


def test_workers_do_not_wake_in_step():
    a, b = clocks.SplitStream(clocks.Uniform(), (np.arange(5, dtype=np.int32), np.arange(5, 10, dtype=np.int32)),
                              np.random.default_rng(0)).take(200)
    assert not np.array_equal(a, b - 5)


# ---- Pieces ----


def worker_of(split, size):
    worker = np.full(size, -1)
    for w, piece in enumerate(split):
        assert (worker[piece] == -1).all() and len(piece) and (np.diff(piece) > 0).all()
        worker[piece] = w
    assert (worker >= 0).all()
    return worker


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size))), st.integers(0, 1000))
@settings(max_examples=50)
def test_pieces_hold_every_agent_once_and_none_is_empty(sizes, seed):
    size, workers = sizes
    rng = np.random.default_rng(seed)
    network = fa.Network(fa.graphs.small_world(size, 0))
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), np.zeros((size, 2))))
    worker_of(pieces.split(problem, network, rng.uniform(size=size) ** 8 + 1e-9, workers), size)


def test_pieces_follow_the_network_and_the_work():
    size, rng = 600, np.random.default_rng(0)
    names = rng.permutation(size)
    network = fa.Network(np.column_stack([names, np.roll(names, 1)]))  # a cycle, its agents numbered at random
    heavy = rng.permutation(size) < 60
    problem = fa.Problem.from_agents(
        fa.Agent(fa.objectives.LeastSquares(np.ones((200 if big else 1, 3)), np.zeros(200 if big else 1)))
        for big in heavy)
    split = pieces.split(problem, network, np.ones(size), 3)
    worker = worker_of(split, size)
    edges = network.edges
    assert (worker[edges[:, 0]] != worker[edges[:, 1]]).sum() <= 0.05 * len(edges)
    assert np.ptp([heavy[piece].sum() for piece in split]) <= 12  # most of the work
    rates = np.where(np.arange(size) < 100, 9.0, 1.0)
    assert np.ptp([rates[piece].sum() for piece in pieces.split(
        fa.Problem(fa.objectives.Linear(np.ones(3)), n_agents=size), network, rates, 2)]) <= 0.1 * rates.sum()


def test_borders_name_every_row_of_every_agent_once():
    network = fa.Network(fa.graphs.small_world(50, 60, rng=0))
    ptr, row, neighbour = packing.pack_borders(network, (np.arange(20), np.arange(20, 50)))
    start, owned = network.owned_rows
    for i in range(50):
        inside, own, foreign = (set(row[ptr[3 * i + k] : ptr[3 * i + k + 1]].tolist()) for k in range(3))
        assert sorted([*inside, *own, *foreign]) == sorted(owned[start[i] : start[i + 1]].tolist())
        mine = slice(ptr[3 * i], ptr[3 * i + 3])
        ends = np.column_stack((np.full(len(row[mine]), i), neighbour[mine]))
        np.testing.assert_array_equal(np.sort(ends), network.edges[row[mine]])
        for r in range(network.n_edges):
            a, b = network.edges[r]
            if i in (a, b):
                assert (r in inside) == ((a < 20) == (b < 20))


# ---- The driver ----


@needs_c
def test_a_checkpoint_goes_on_with_as_many_workers():
    run = solver(tol=0)
    run.run(12.4)
    saved = pickle.loads(pickle.dumps(run.checkpoint()))
    other = solver(tol=0, rng=9)
    other.run(3)
    other.restore(saved)
    np.testing.assert_array_equal(other.result().x_agents, run.result().x_agents)
    for a, b in zip(other._stream.take(100), run._stream.take(100), strict=True):
        np.testing.assert_array_equal(a, b)
    other.run(2000)
    assert other.result().residual < 1e-6
    for workers, theirs in ((1, saved), (3, saved), (2, solver(workers=1).checkpoint())):
        refused = solver(workers=workers)
        before = pickle.dumps(refused.checkpoint()["state"])
        with pytest.raises(fa.InvalidOptionError, match=rf"run with workers=\d; this solver has workers={workers}"):
            refused.restore(theirs)
        assert pickle.dumps(refused.checkpoint()["state"]) == before


@needs_c
@several
def test_going_on_with_other_data(workers):
    run = solver(workers=workers, tol=1e-7)
    run.run(50_000)
    assert run.result().success
    case = built("Quadratic", "L1", "Ellipsoid", N=N, n=5, extra=20, seed=1)
    run.update(problem=case.problem, network=case.network)
    run.run(50_000)
    assert run.result().success
    np.testing.assert_allclose(run.result().x, case.x, rtol=0, atol=1e-4)


@needs_c
def test_ctrl_c_from_a_thread():
    began = threading.Event()
    run = solver(tol=0, callback=lambda _: began.set())
    presser = threading.Thread(target=lambda: began.wait(60) and signal.raise_signal(signal.SIGINT))
    presser.start()
    run.run(1e9)
    presser.join()
    assert run.result().status == fa.Status.INTERRUPTED and run.result().activations > 0


@needs_c
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_workers_of_its_own():
    run = solver()
    run.run(10)  # the threads of this process
    child = os.fork()
    if not child:
        try:
            signal.alarm(60)
            run.run(2_000)
            os._exit(0 if run.result().success else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


@needs_c
def test_divergence_is_reported_and_no_worker_waits_for_ever():
    R = BUILT["edge"].network.n_edges
    steps = fa.FixedSteps(np.full(N, 1e3), np.full(N, 1e3), np.full(R, 1e3))
    with np.errstate(all="ignore"):
        run = solver(tol=0, method=ADAPD(steps=steps))
        run.run(1e4)
        assert run.result().status == fa.Status.DIVERGED


@needs_c
@pytest.mark.parametrize("options, message", [
    ({"workers": 0}, "workers is 0; it must be an integer from 1 to the number of agents, 30"),
    ({"workers": 31}, "workers is 31; it must be"),
    ({"workers": 1.5}, "workers is 1.5; it must be"),
    ({"method": ADAPD(momentum="global")}, "workers is 2, but only 'ad-apd' with momentum='local'"),
    ({"method": "dpda-s"}, "workers is 2, but only 'ad-apd' with momentum='local'"),
    ({"engine": "numpy"}, "workers is 2, but only engine='c'"),
    ({"clock": [0, 1, 2]}, "a recorded sequence has one order, which several workers cannot keep"),
    ({"clock": clocks.Poisson([1.0])}, r"rates has shape \(1,\)"),
    ({"clock": clocks.Poisson(np.geomspace(1, 6, 30))}, "rates more than 5 times apart"),
])
def test_options_that_are_refused(options, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        solver(**options)
