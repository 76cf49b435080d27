"""The driver: reproducible whatever the engine and the pieces, honest about what it found, and quiet to stop."""

import copy
import dataclasses
import pickle
import signal
import threading

import numpy as np
import pytest
from conftest import MISSING
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import built, instances, path, ragged, random_instance

import fastadapd as fa
from fastadapd.anderson import Anderson
from fastadapd.methods import ADAPD, DPDA

N = 4
INSTANCE = random_instance(["LeastSquares"], "L1", ["Ellipsoid", "AffineInequality"], N=N, n=3, rows=2, seed=3)
INSTANCE.network = fa.Network([(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)])
PROBLEM, NETWORK = INSTANCE.problem, INSTANCE.network
BOUNDS = {"multiplier_bound": 20.0, "jacobian_bound": 20.0}
METHODS = {
    "ad-apd": ADAPD(),
    "dpda-s": DPDA(**BOUNDS),
    "accelerated": DPDA(strong_convexity=0.9 * float(PROBLEM.strong_convexity().min()), **BOUNDS),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
best_engine = "numba" if "c" in MISSING else "c"


def solver(method="ad-apd", **options):
    return fa.Solver(PROBLEM, NETWORK, method=method, **{"rng": 0, "tol": 0, **options})


def assert_same(a, b, exact=True):
    """Two results, but for who computed them and how long it took."""
    for name in set(a) - {"method", "engine", "runtime", "message"}:
        x, y = a[name], b[name]
        pairs = (
            [(x, y)]
            if not isinstance(x, (tuple, dict))
            else list(zip(*(v.values() if isinstance(v, dict) else v for v in (x, y)), strict=True))
        )
        for left, right in pairs:
            close = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-9, "atol": 1e-9}
            np.testing.assert_allclose(np.asarray(left, float), np.asarray(right, float), err_msg=name, **close)


# ---- The same seed, the same result ----


@every_method
@given(
    cuts=st.lists(st.integers(0, 100), max_size=5).map(sorted), record=st.sampled_from([None, 7 * N, [0, 8, 80, 400]])
)
@settings(max_examples=25)
def test_the_pieces_of_a_run_do_not_matter(method, cuts, record):
    whole, pieces = (solver(method, record=record) for _ in range(2))
    whole.run(100)
    for a, b in zip((0, *cuts), (*cuts, 100), strict=True):
        pieces.run(b - a)
    assert_same(pieces.result(), whole.result())


@pytest.mark.parametrize("clock", ["uniform", "shuffled", "cyclic", fa.clocks.Poisson([1, 2, 3, 4]), [0, 3, 2, 1] * 50])
@every_method
def test_every_engine_gives_the_same_result(compiled, method, clock):
    results = []
    for engine in ("numpy", compiled):
        run = solver(method, engine=engine, clock=clock, record=[0, 40, 200], rng=5)
        run.run(50)
        results.append(run.result())
        assert results[-1].engine == engine
    assert_same(*results, exact=False)


def test_rng_is_a_seed_or_a_generator():
    def x(rng):
        return fa.solve(PROBLEM, NETWORK, rng=rng, tol=0, max_epochs=20).x_agents

    np.testing.assert_array_equal(x(3), x(np.random.default_rng(3)))
    np.testing.assert_array_equal(x(np.int64(3)), x(3))
    assert not np.array_equal(x(3), x(4)) and not np.array_equal(x(None), x(None))
    generator = np.random.default_rng(3)
    first, second = x(generator), x(generator)
    assert not np.array_equal(first, second)  # it goes on where it was
    np.testing.assert_array_equal(
        x(np.random.Generator(np.random.MT19937(1))), x(np.random.Generator(np.random.MT19937(1)))
    )


@pytest.mark.parametrize("before", ["numpy", best_engine])
@pytest.mark.parametrize("after", ["numpy", best_engine])
@every_method
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(method, before, after):
    whole, first, second = (
        solver(method, engine=e, record=5 * N, rng=r) for e, r in ((after, 1), (before, 1), (after, 2))
    )
    whole.run(60)
    first.run(22)
    saved = first.checkpoint()
    kept = pickle.dumps(saved)
    first.run(5)
    assert pickle.dumps(saved) == kept  # a copy, which the run does not touch any more
    second.run(3)
    second.restore(pickle.loads(kept))
    assert second.result().status == fa.Status.MAX_EPOCHS
    second.run(38)
    assert_same(second.result(), whole.result(), exact=before == after)


@pytest.mark.parametrize("clock", ["uniform", "shuffled", [0, 1, 2, 3] * 100])
def test_a_checkpoint_remembers_the_clock(clock):
    whole, first = solver(clock=clock), solver(clock=clock)
    whole.run(80)
    first.run(11)
    second = solver(clock=clock, rng=77)
    second.restore(first.checkpoint())
    second.run(69)
    assert_same(second.result(), whole.result())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_solver_is_saved_by_its_checkpoint_only(copied):
    with pytest.raises(TypeError, match=r"a Solver cannot be copied or pickled; .* checkpoint\(\)"):
        copied(solver())


def test_checkpoints_that_do_not_fit():
    saved = solver().checkpoint()
    with pytest.raises(fa.InvalidOptionError, match=r"the checkpoint is of ad-apd .* this solver is dpda-s"):
        solver(METHODS["dpda-s"]).restore(saved)
    other = random_instance(["LeastSquares"], "L1", ["Ellipsoid"], N=N, n=3)
    with pytest.raises(
        fa.InvalidOptionError, match=r"\(agents, coordinates, rows\) = \(4, 3, 12\); this solver .* \(4, 3, 4\)"
    ):
        fa.Solver(other.problem, other.network).restore(saved)
    for consensus in ("edge", "laplacian"):
        wrong = fa.Solver(PROBLEM, path(N, consensus))
        before = wrong.checkpoint()
        with pytest.raises(
            fa.InvalidOptionError, match=r"the checkpoint's lambda_ has shape .* it is of another network"
        ):
            wrong.restore(saved)
        assert pickle.dumps(wrong.checkpoint()["state"]) == pickle.dumps(before["state"])  # untouched


@pytest.mark.parametrize("damage", [
    lambda saved: saved.update(version=1),
    lambda saved: saved["state"].update(x=saved["state"]["x"].astype(complex)),
    lambda saved: saved["state"].pop("theta"),
    lambda saved: saved.update(extra={}),
    lambda saved: saved.update(means=3),
    lambda saved: saved.update(next_proof=None),
    lambda saved: saved["stream"].update(generator={"bit_generator": "MT19937"}),
])
def test_a_damaged_checkpoint_changes_nothing(damage):
    solvers = [fa.Solver(PROBLEM, NETWORK, rng=0, tol=0) for _ in range(2)]
    for solver in solvers:
        solver.run(35)
    saved = fa.Solver(PROBLEM, NETWORK, rng=1, tol=0).checkpoint()
    damage(saved)
    with pytest.raises(fa.InvalidOptionError, match="checkpoint"):
        solvers[0].restore(saved)
    for solver in solvers:
        solver.run(40)
    one, two = (solver.result() for solver in solvers)
    np.testing.assert_array_equal(one.x_agents, two.x_agents)
    np.testing.assert_array_equal(one.history["residual"], two.history["residual"])


def test_only_the_thread_that_runs_a_solver_looks_at_it():
    refused = []

    def look():
        for what in (solver.result, solver.checkpoint):
            try:
                what()
            except fa.FastadapdError as error:
                refused.append(str(error))

    def callback(result):
        solver.checkpoint()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return True

    solver = fa.Solver(PROBLEM, NETWORK, rng=0, callback=callback)
    solver.run(50)
    assert len(refused) == 2 and all("running in another thread" in message for message in refused)
    look()
    assert len(refused) == 2


def test_a_result_is_a_copy_of_what_goes_on():
    run = solver()
    run.run(10)
    result = run.result()
    kept = pickle.dumps(dataclasses.astuple(result))
    for name in ("x", "x_agents", "x_ergodic", "consensus_multipliers"):
        result[name][...] = 1e9
    for theta in result.multipliers:
        theta[...] = 1e9
    assert pickle.dumps(dataclasses.astuple(run.result())) == kept
    run.run(10)
    assert np.abs(run.result().x_agents).max() < 100


# ---- Start ----


def test_a_start_at_the_solution_is_solved_at_once():
    first = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-9, max_epochs=100_000)
    assert first.success and first.activations > 0
    again = fa.solve(
        PROBLEM,
        NETWORK,
        x0=first.x_agents,
        multipliers=first.multipliers,
        tol=1e-8,
        consensus_multipliers=first.consensus_multipliers,
    )
    assert again.success and again.activations == 0
    np.testing.assert_array_equal(again.x_agents, first.x_agents)
    # and any of the three being wrong shows
    for missing in ("x0", "multipliers", "consensus_multipliers"):
        start = {
            "x0": first.x_agents,
            "multipliers": first.multipliers,
            "consensus_multipliers": first.consensus_multipliers,
        }
        del start[missing]
        assert fa.Solver(PROBLEM, NETWORK, **start).result().residual > 1e-3


def test_a_warm_start_of_dpda():
    first = fa.solve(PROBLEM, NETWORK, method=METHODS["dpda-s"], tol=1e-9, max_epochs=200_000)
    assert first.success and first.consensus_multipliers.shape == (N, 3)
    again = fa.Solver(
        PROBLEM,
        NETWORK,
        method=METHODS["dpda-s"],
        x0=first.x_agents,
        multipliers=first.multipliers,
        consensus_multipliers=first.consensus_multipliers,
    ).result()
    assert again.residual == first.residual


def test_the_start_is_moved_into_each_agents_set():
    problem = fa.Problem(
        fa.objectives.Linear(np.zeros((3, 2))), fa.regularizers.Box([[0], [1], [-3]], [[1], [2], [-2]])
    )
    x0 = np.full((3, 2), 5.0)
    result = fa.Solver(problem, path(3), x0=x0).result()
    np.testing.assert_array_equal(result.x_agents, [[1, 1], [2, 2], [-2, -2]])
    assert (x0 == 5).all() and result.infeasibility == 0
    np.testing.assert_array_equal(fa.Solver(problem, path(3), x0=[9, -9]).result().x_agents, [[1, 0], [2, 1], [-2, -3]])


# ---- Honest measures ----


def measures(instance, result, force):
    """The measures of metrics.py's docstring, from the numbers of the problem and the arrays of the result."""
    units = fa.scaling.coordinate_units(instance.problem) if result.method == "ad-apd" else None
    units = np.ones(instance.problem.dim) if units is None else units
    X, force, count = result.x_agents / units, force * units, len(result.x_agents)
    agents = [
        (
            [c.rescaled(units).term() for c in costs],
            simple.rescaled(units).term(),
            [c.rescaled(units).term() for c in limits],
        )
        for costs, simple, limits in instance.agents
    ]

    def gradient(costs, x):
        return sum((f.gradient(x) for f in costs), np.zeros_like(x))

    def typical(sizes):
        positive = np.sort([size for size in sizes if size > 0])
        if not positive.size:
            return 0.0
        low = max(positive[(positive.size - 1) // 4], total)
        return max(min(np.median(positive), low), 1e-9 * positive[-1])

    origin, sizes, lengths = np.zeros(X.shape[1]), [], []
    lipschitz = [sum(float(f.lipschitz) for f in costs) for costs, _, _ in agents]
    for L, (costs, simple, _) in zip(lipschitz, agents, strict=True):
        at_origin = np.linalg.norm(gradient(costs, origin))
        is_l1 = isinstance(simple, fa.regularizers.L1)
        sizes.append(at_origin + (np.linalg.norm(np.broadcast_to(simple.weight, origin.shape)) if is_l1 else 0))
        lengths += [at_origin / L] if L > 0 else []
    for group in instance.problem.constraints:  # one that is shared counts once
        term = group.term.rescaled(units)
        at = np.broadcast_to(origin, (term.n_agents or 1, X.shape[1]))
        lengths += (np.abs(term.value(at)) / np.linalg.norm(term.jacobian(at), axis=-1)).ravel().tolist()
    lengths = [length for length in lengths if length > 1e-14 * max(lengths)]
    natural = min(1, np.median(lengths)) if lengths else 1.0
    sizes = np.maximum(sizes, 1e-3 * natural * np.array(lipschitz))
    at_origin = np.array([gradient(costs, origin) for costs, _, _ in agents])
    others = np.arange(count) != np.argmax(np.linalg.norm(at_origin, axis=1)) if count > 1 else [True]
    total = np.linalg.norm(at_origin[others].sum(axis=0)) / count
    mean = X.mean(axis=0)
    size, G0 = max(natural, np.linalg.norm(mean)), typical(sizes)
    G = typical(
        [max(s, np.linalg.norm(gradient(costs, x))) for s, x, (costs, _, _) in zip(sizes, X, agents, strict=True)]
    )
    out, reaction = dict.fromkeys(("fun", "infeasibility", "primal", "stationarity", "complementarity"), 0.0), 0.0
    for x, theta, push, (costs, simple, limits) in zip(X, result.multipliers, force, agents, strict=True):
        g = np.concatenate([c.value(x) for c in limits] or [np.zeros(0)])
        J = np.concatenate([c.jacobian(x) for c in limits] or [np.zeros((0, x.size))])
        rows = [c.rows for c in limits]
        over = np.where(np.repeat([c.equality for c in limits], rows).astype(bool), np.abs(g), np.maximum(g, 0))
        outside = np.linalg.norm(x - simple.prox(x)) if simple.is_set else 0.0
        curvature = sum(float(f.lipschitz) for f in costs) + theta @ np.repeat(
            [float(c.curvature) for c in limits], rows
        )
        t = 1 / max(curvature, (G0 or 1) / size)
        moved = simple.prox(x - t * (gradient(costs, x) + J.T @ theta + push), t)
        out["fun"] += sum(f.value(x) for f in costs) + simple.value(x)
        out["infeasibility"] = max(out["infeasibility"], np.linalg.norm(over), outside)
        out["primal"] = max(out["primal"], outside / size, *(over / np.linalg.norm(J, axis=1) / size))
        out["stationarity"] = max(out["stationarity"], np.linalg.norm(x - moved) / t)
        out["complementarity"] += np.abs(theta * g).sum()
        reaction += np.linalg.norm(J.T @ theta)
    out["stationarity"] *= 1 / G if G > 0 else 0
    out["complementarity"] *= 1 / (count * np.clip(reaction / count, G / 1000, G) * size) if G > 0 else 0
    consensus = max(np.linalg.norm(x - mean) for x in X) / size
    out["residual"] = max(consensus, *(out[name] for name in ("primal", "stationarity", "complementarity")))
    theirs = result.x_agents.mean(axis=0)
    out["consensus_violation"] = max(np.linalg.norm(x - theirs) for x in result.x_agents) / max(
        1, np.linalg.norm(theirs)
    )
    return out


@pytest.mark.parametrize("point", ["last", "ergodic"])
@pytest.mark.parametrize("name", ["ad-apd", "dpda-s"])
@given(instances(), st.integers(0, 60))
@settings(max_examples=40)
def test_measures_are_what_they_say(name, point, instance, epochs):
    method = DPDA(**BOUNDS) if name == "dpda-s" else name
    run = fa.Solver(instance.problem, instance.network, method=method, rng=0, point=point, optimal_value=-3.0, tol=0)
    run.run(epochs)
    result = run.result()
    matrix = instance.network.laplacian if name == "dpda-s" else instance.network.consensus_matrix
    expected = measures(instance, result, matrix.T @ result.consensus_multipliers)
    for measure in ("residual", "infeasibility", "consensus_violation"):
        np.testing.assert_allclose(result[measure], expected[measure], rtol=1e-7, atol=1e-12, err_msg=measure)
    np.testing.assert_allclose(result.suboptimality, abs(expected["fun"] + 3) / 3, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.x, result.x_agents.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(result.fun, instance.problem.values(result.x).sum(), rtol=1e-9, atol=1e-12)
    if point == "ergodic":
        np.testing.assert_array_equal(result.x_agents, result.x_ergodic)
    assert not result.success and result.status != fa.Status.SOLVED


@pytest.mark.parametrize("h", [np.full(3, 0.1 + 0.2 - 0.3), np.full((6, 3), 0.1 + 0.2 - 0.3), np.zeros(3)])
def test_what_rounding_leaves_of_a_side_is_no_length(h):
    """x <= 5.6e-17: the optimum is at the origin but for that, and so are most boundaries."""
    targets = np.ones(3) + 0.1 * np.random.default_rng(1).normal(size=(6, 3))
    limits = fa.constraints.AffineInequality(np.eye(3), h)
    result = fa.solve(fa.Problem(fa.objectives.LeastSquares(np.eye(3), targets), constraints=limits), path(6), rng=0)
    assert result.success and result.epochs < 200
    np.testing.assert_allclose(result.x, 0, atol=1e-6)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-8])
@every_method
def test_success_means_that_the_residual_is_within_tol(method, tol):
    result = fa.solve(PROBLEM, NETWORK, method=method, rng=0, tol=tol, max_epochs=200_000)
    matrix = NETWORK.consensus_matrix if isinstance(method, ADAPD) else NETWORK.laplacian
    recomputed = measures(INSTANCE, result, matrix.T @ result.consensus_multipliers)["residual"]
    assert result.success and result.status == fa.Status.SOLVED and f"within tol = {tol:.1e}" in result.message
    assert recomputed <= tol * (1 + 1e-6)
    assert result.history["residual"][0] > tol and result.history["residual"][-1] == result.residual


def test_the_ergodic_point_is_measured_when_it_is_asked_for():
    result = fa.solve(PROBLEM, NETWORK, rng=0, point="ergodic", tol=1e-3, max_epochs=200_000)
    assert result.success
    np.testing.assert_array_equal(result.x_agents, result.x_ergodic)
    np.testing.assert_allclose(result.x, fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-8, max_epochs=100_000).x, atol=2e-2)


@every_method
def test_the_better_of_both_points_is_returned(method):
    points = {
        point: fa.solve(PROBLEM, NETWORK, method=method, rng=0, tol=0, max_epochs=300, point=point)
        for point in ("last", "ergodic", "best")
    }
    history = [points[point].history["residual"] for point in ("last", "ergodic", "best")]
    np.testing.assert_array_equal(history[2], np.minimum(history[0], history[1]))
    better = min(points["last"], points["ergodic"], key=lambda result: result.residual)
    assert points["best"].residual == better.residual
    np.testing.assert_array_equal(points["best"].x_agents, better.x_agents)


def test_too_few_epochs_are_no_success():
    result = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-9, max_epochs=30)
    assert (result.status, result.success, result.epochs) == (fa.Status.MAX_EPOCHS, False, 30)
    assert "after 30 epochs" in result.message and "1.0e-09" in result.message
    nothing = fa.solve(PROBLEM, NETWORK, tol=1e-9, max_epochs=0)
    assert nothing.activations == 0 and not nothing.success and (nothing.x_ergodic == nothing.x_agents).all()


def test_a_run_that_ends_between_checks_knows_that_it_is_solved():
    solved = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-6, max_epochs=100_000)
    between = solver(tol=1e-6)
    between.run(solved.epochs - 0.5)
    result = between.result()
    assert result.success == (result.residual <= 1e-6) == (result.status == fa.Status.SOLVED)


def test_an_infeasible_problem_is_no_success():
    apart = fa.Problem(
        fa.objectives.Quadratic(np.eye(1), np.zeros((2, 1))), fa.regularizers.Box([[0], [2]], [[1], [3]])
    )
    result = fa.solve(apart, path(2), rng=0, tol=1e-2, max_epochs=2000)
    assert not result.success and result.consensus_violation > 0.2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own word for what DIVERGED says
def test_divergence_is_reported(engine):
    run = solver(ADAPD(steps=fa.FixedSteps(50, 50, 50)), engine=engine, record=4)
    run.run(100_000)
    result = run.result()
    assert result.status == fa.Status.DIVERGED and not result.success and 0 < result.epochs < 100_000
    assert "Diverged" in result.message and f"{result.epochs:g} epochs" in result.message
    assert not result.residual <= 1 and repr(result)
    run.run(5)  # and it stays so
    assert run.result().status == fa.Status.DIVERGED


def test_tiny_costs_are_costs():
    size = 1e-170
    problem = fa.Problem(fa.objectives.Quadratic(size * np.eye(2), size * np.array([[1.0, 2], [3, 4], [5, 6]])))
    result = fa.solve(problem, path(3), rng=0, max_epochs=1000)
    assert not result.success or np.allclose(result.x, [-3, -4], atol=1e-4)


@pytest.mark.parametrize("size", [1e-140, 1e140])
def test_units_of_the_cost_do_not_matter(size):
    target = np.array([[1.0, 2], [3, 4], [5, 6]])
    problem = fa.Problem(fa.objectives.Quadratic(size * np.eye(2), -size * target), fa.regularizers.L1(size))
    result = fa.solve(problem, path(3), rng=0, tol=1e-8)
    assert result.success
    np.testing.assert_allclose(result.x, [2, 3], atol=1e-6)


def test_a_minimum_of_every_cost_is_found():
    """All gradients vanish there, so that there is nothing of their size to compare with."""
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), np.zeros((3, 2))))
    result = fa.solve(problem, path(3), x0=[1.0, 1.0], rng=0, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(result.x_agents, 0, atol=1e-8)


# ---- Units, proofs, other data ----


def test_units_of_the_coordinates_do_not_matter():
    """The same problem in z = x / units ends at the same point with the same multipliers."""
    units = np.array([1e-6, 1.0, 1e6, 10.0])
    plain = random_instance(["LeastSquares"], "L1", ["Ellipsoid", "AffineInequality"], n=4, seed=2)
    scaled = ragged(
        4,
        [
            ([c.rescaled(units) for c in costs], simple.rescaled(units), [c.rescaled(units) for c in limits])
            for costs, simple, limits in plain.agents
        ],
        plain.network,
    )
    a, b = (fa.solve(i.problem, i.network, rng=0, tol=1e-10, max_epochs=100_000) for i in (plain, scaled))
    assert a.success and b.success
    np.testing.assert_allclose(b.x * units, a.x, atol=1e-8)
    np.testing.assert_allclose(b.fun, a.fun, rtol=1e-9)
    np.testing.assert_allclose(np.concatenate(b.multipliers), np.concatenate(a.multipliers), rtol=1e-5, atol=1e-6)
    # and it goes on from there in the user's units
    again = fa.solve(
        scaled.problem,
        scaled.network,
        x0=b.x_agents,
        multipliers=b.multipliers,
        tol=1e-9,
        consensus_multipliers=b.consensus_multipliers,
    )
    assert again.success and again.activations == 0


ROWS = 2.0 ** np.array([[20, -30], [-7, 11], [0, 40], [3, -3]])


def test_units_of_rows_and_blocks_do_not_matter(engine):
    """Every row of affine blocks and every quadratic times a number of its own, a power of 2: the same iterates to
    rounding, with multipliers divided by these numbers."""
    rng = np.random.default_rng(0)
    G, h, A = rng.normal(size=(N, 2, 3)), rng.uniform(0.1, 1, (N, 2)), rng.normal(size=(N, 1, 3))
    P, q, center = np.eye(3) + np.ones((3, 3)), rng.normal(size=(N, 3)), 0.1 * rng.normal(size=(N, 3))
    costs, results = fa.objectives.LeastSquares(rng.normal(size=(N, 4, 3)), rng.normal(size=(N, 4))), []
    for rows, blocks in ((np.ones((N, 2)), np.ones(N)), (ROWS, ROWS[:, 0])):
        problem = fa.Problem(
            costs,
            fa.regularizers.L1(0.1),
            [
                fa.constraints.AffineInequality(rows[:, :, None] * G, rows * h),
                fa.constraints.Ellipsoid(blocks[:, None, None] * P, center, 0.3 * blocks),
                fa.constraints.QuadraticInequality(blocks[:, None, None] * P, blocks[:, None] * q, blocks),
                fa.constraints.AffineEquality(blocks[:, None, None] * A, np.zeros((N, 1))),
            ],
        )
        run = fa.Solver(problem, NETWORK, engine=engine, rng=0, tol=1e-8)
        run.run(60)
        early = run.result()
        run.run(50_000)
        late = run.result()
        assert late.success
        units = np.concatenate([rows, blocks[:, None], blocks[:, None], blocks[:, None]], axis=1)
        results.append((early.x_agents, units * np.array(early.multipliers), late.x_agents, late.fun))
    for plain, scaled in zip(*results, strict=True):
        np.testing.assert_allclose(scaled, plain, rtol=1e-6, atol=1e-6)
    assert np.abs(results[0][1]).max() > 0.1


@pytest.mark.parametrize("unit", [1e-200, 1e-100, 1e100])
def test_products_of_sizes_may_leave_double_precision(unit):
    targets = unit * np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]])
    limit = fa.constraints.AffineInequality(np.ones((1, 2)), [unit])
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), -targets), constraints=limit)
    result = fa.solve(problem, fa.Network([(0, 1), (1, 2)]), rng=0)
    assert result.success
    np.testing.assert_allclose(result.x / unit, [1.0, 0.0], rtol=0, atol=1e-5)  # (2, 1) projected on x_0 + x_1 = 1


def ill_conditioned(seed, condition, n=4):
    """Least squares of 6 agents in a ring: together singular values from 1 to 1 / condition, and a known optimum."""
    rng = np.random.default_rng(seed)
    U, V = np.linalg.qr(rng.normal(size=(30, n)))[0], np.linalg.qr(rng.normal(size=(n, n)))[0]
    A, x, noise = U @ np.diag(np.geomspace(1, 1 / condition, n)) @ V.T, rng.normal(size=n), rng.normal(size=30)
    b = A @ x + 0.1 * (noise - U @ (U.T @ noise))
    network = fa.Network([(i, (i + 1) % 6) for i in range(6)])
    return fa.Problem(fa.objectives.LeastSquares(A.reshape(6, 5, n), b.reshape(6, 5))), network, x


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("condition, clock", [(10, "repeated"), (10, "uniform"), (100, "repeated")])
def test_solved_means_near_the_optimum_of_ill_conditioned_least_squares(seed, condition, clock):
    """A residual of 1e-6 alone allows errors of 1e-6 times the square of the condition: the decision must rest too."""
    problem, network, x = ill_conditioned(seed, condition)
    result = fa.solve(problem, network, rng=0, tol=1e-6, max_epochs=200_000, clock=clock)
    assert result.status == fa.Status.SOLVED
    assert np.linalg.norm(result.x - x) <= 1e-4 * np.linalg.norm(x)


@pytest.mark.parametrize("seed", range(3))
def test_a_decision_that_still_moves_is_not_solved(seed):
    """The residual is within tol long before the mean has come to rest; then it has hardly moved for a fifth."""
    problem, network, x = ill_conditioned(seed, 100)
    tol, seen = 3e-4, []
    result = fa.solve(problem, network, rng=0, tol=tol, clock="uniform", max_epochs=200_000, callback=seen.append)
    early = [r for r in seen if r.residual <= tol]
    assert result.status == fa.Status.SOLVED and result.epochs > 10 * early[0].epochs
    assert np.linalg.norm(early[0].x - x) > 0.5 and np.linalg.norm(result.x - x) < 0.1
    assert early[0].success  # which speaks of the residual alone
    before = [r.x for r in seen if r.epochs <= 0.8 * result.epochs][-1]
    assert np.linalg.norm(result.x - before) <= 20 * tol * max(1, np.linalg.norm(result.x))


CONTRADICTIONS = {
    "balls apart": fa.Problem(constraints=fa.constraints.Ellipsoid(np.eye(2), [[0, 0], [3, 0], [1, 1]], 1.0)),
    "half-spaces": fa.Problem(
        fa.objectives.Quadratic(np.eye(2), np.zeros((3, 2))),
        constraints=fa.constraints.AffineInequality([[[1.0, 0]], [[-1.0, 0]], [[0, 1.0]]], [[0.0], [-1.0], [5.0]]),
    ),
    "equations": fa.Problem(constraints=fa.constraints.AffineEquality([[1.0, 2.0]], [[0.0], [1.0], [0.0]])),
    "a box and a half-space": fa.Problem(
        fa.objectives.Linear([1.0, 1.0]),
        fa.regularizers.Box(0, 1),
        fa.constraints.AffineInequality([[-1.0, -1.0]], [[-3.0], [0], [0]]),
    ),
}


@pytest.mark.parametrize("problem", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_infeasible_with_a_proof(problem):
    """sum_i theta_i' g_i > 0 wherever the agents' boxes allow: no point there satisfies all constraints."""
    import cvxpy as cp

    result = fa.solve(problem, path(3), rng=0)
    assert (
        result.status == fa.Status.INFEASIBLE
        and not result.success
        and "Infeasible: the constraints of agent" in result.message
    )
    proof = result.certificate
    assert ("leave no point within" in result.message) == (proof.radius < np.inf)
    assert proof.kind == "infeasible" and proof.direction is None and set(proof.agents) <= {0, 1, 2}
    x = cp.Variable(2)
    lowest, boxes = 0, [cp.abs(x - result.x) <= proof.radius]
    for i, theta in enumerate(proof.multipliers):
        agent = problem.agent(i)
        boxes += agent.regularizer.to_cvxpy(x)[1]
        limits = [limit for c in agent.constraints for limit in c.to_cvxpy(x)]
        assert (theta >= 0).all() or agent.constraints[0].equality
        lowest += theta @ cp.hstack([limit.expr for limit in limits])
    program = cp.Problem(cp.Minimize(lowest), boxes)
    program.solve(solver="CLARABEL")
    assert program.value > 0


def test_unbounded_with_a_direction():
    problem = fa.Problem(fa.objectives.Linear([[1.0, 2.0], [0, 0], [3.0, -1]]))
    result = fa.solve(problem, path(3), rng=0, max_epochs=1_000_000)
    assert result.status == fa.Status.UNBOUNDED and not result.success and "Unbounded" in result.message
    assert ("without end" in result.message) == (result.certificate.radius == np.inf)
    direction = result.certificate.direction
    np.testing.assert_allclose(np.linalg.norm(direction), 1)
    values = [problem.values(result.x + t * direction).sum() for t in (0, 1e3, 1e6)]
    assert values[0] > values[1] > values[2]
    with pytest.raises(fa.FastadapdError, match="unbounded"):
        fa.solve_centralized(problem)


def test_equations_that_become_inequalities():
    """A multiplier of either sign does for an equation; that of an inequality starts at 0 then."""

    def limited(kind):
        return fa.Problem(fa.objectives.Quadratic(np.eye(1), [[-1.0], [-2], [-3]]), constraints=kind([[1.0]], [5.0]))

    run = fa.Solver(limited(fa.constraints.AffineEquality), path(3), rng=0)
    run.run(10_000)
    assert run.result().success and np.sum(run.result().multipliers) < -1
    run.update(limited(fa.constraints.AffineInequality))
    assert min(run.result().multipliers) >= 0
    run.run(10_000)
    assert run.result().success
    np.testing.assert_allclose(run.result().x, [2], atol=1e-4)


def test_sets_that_touch_are_not_called_infeasible():
    touching = fa.Problem(
        fa.objectives.Quadratic(np.eye(2), np.zeros((2, 2))),
        constraints=fa.constraints.Ellipsoid(np.eye(2), [[0, 0], [2, 0]], 1.0),
    )
    result = fa.solve(touching, path(2), rng=0, tol=1e-3)
    assert result.status != fa.Status.INFEASIBLE
    np.testing.assert_allclose(result.x, [1, 0], atol=1e-2)


def test_a_tolerance_that_rounding_does_not_reach():
    result = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-30, max_epochs=1e6)
    assert result.status == fa.Status.STALLED and not result.success and "Stalled" in result.message
    assert result.residual < 1e-10


def test_going_on_forgets_how_far_the_last_run_had_come():
    """The kept acceleration does not count the residual of the new data as a hundred steps without progress."""
    run = fa.Solver(PROBLEM, NETWORK, rng=0, tol=1e-10)
    run.run(50_000)
    kept = run._run._anderson
    assert kept is not None and kept._stale_from[0] < 1e-3
    run.update(PROBLEM)
    assert run._run._anderson is kept and kept._count > 0 and kept._stale_from[0] == np.inf


def test_what_is_refused_changes_nothing():
    run = fa.Solver(PROBLEM, NETWORK, rng=0, tol=1e-6)
    run.run(50_000)
    before = run.result()
    with pytest.raises(fa.InvalidOptionError, match="optimal_value is 'x'"):
        run.update(network=path(N), optimal_value="x")
    edges = fa.Solver(PROBLEM, NETWORK, method=ADAPD(local_steps=2), rng=0)
    edges.run(3)
    with pytest.raises(fa.InvalidOptionError, match="local_steps is 2; it must be 1 with a network in node form"):
        edges.update(network=path(N, "laplacian"))
    assert edges.network is NETWORK and edges.result().epochs == 3
    fixed = fa.Solver(PROBLEM, NETWORK, method=ADAPD(steps=fa.FixedSteps(0.01, 0.01, 0.01)), rng=0).checkpoint()
    single = fa.Solver(PROBLEM, NETWORK, method=ADAPD(local_steps=1), rng=0).checkpoint()
    for saved, message in ((fixed, "is of other steps"), (single, "nor do one local step and several"),
                           ({}, "this is no"), (None, "this is no checkpoint")):
        with pytest.raises(fa.InvalidOptionError, match=message):
            run.restore(saved)
    after = run.result()
    assert after.success and after.activations == before.activations
    np.testing.assert_array_equal(after.x_agents, before.x_agents)


@pytest.mark.parametrize("act", ["run", "update", "restore"])
def test_a_solver_is_left_alone_while_it_runs(act):
    def meddle(result):
        if act == "run":
            run.run(1)
        elif act == "update":
            run.update(PROBLEM)
        else:
            run.restore(saved)

    run = fa.Solver(PROBLEM, NETWORK, rng=0, tol=0, callback=meddle)
    saved = run.checkpoint()
    with pytest.raises(fa.FastadapdError, match="this Solver is running"):
        run.run(100)
    run._callback = None
    run.run(100)  # the turn was given back
    assert run.result().epochs > 100


def test_far_from_the_origin_a_wider_level_is_not_solved_at_once():
    """Multipliers times slack are small there beside the costs' gradients at the origin, a hundred times as far."""
    center, way = np.array([70.0, 70]), np.array([0.6, 0.8])
    targets = center + 2.1 * way + np.kron(np.ones((3, 1)), [[1, 1], [-1, -1]])

    def problem(level):
        disc = fa.constraints.Ellipsoid(np.eye(2), center, level * np.ones(6))
        return fa.Problem(fa.objectives.LeastSquares(np.eye(2), targets), constraints=disc)

    run = fa.Solver(problem(4.0), path(6), rng=0)
    run.run(20_000)
    assert run.result().success
    np.testing.assert_allclose(run.result().x, center + 2.0 * way, rtol=1e-6)
    run.update(problem(4.0804))
    assert not run.result().success
    run.run(20_000)
    assert run.result().success
    np.testing.assert_allclose(run.result().x, center + 2.02 * way, rtol=1e-6)


@pytest.mark.parametrize("costs", ["linear", "least squares"])
def test_where_costs_cancel_a_wider_level_is_not_solved_at_once(costs):
    """Two agents pull a thousand times as hard at each other as both at the constraint."""
    push = np.array([[-1002.0], [1000.0]])

    def problem(level):
        f = fa.objectives.Linear(push) if costs == "linear" else fa.objectives.Quadratic(np.eye(1), push)
        limit = fa.constraints.AffineInequality(np.ones((1, 1)), np.full((2, 1), [[level], [2.0]]))
        return fa.Problem(f, fa.regularizers.Box(-1, 1), limit)

    run = fa.Solver(problem(0.4), path(2), rng=0)
    for level in (0.5, 0.51, 0.511):
        run.update(problem(level))
        assert not run.result().success
        run.run(20_000)
        assert run.result().success
        np.testing.assert_allclose(run.result().x, level, atol=1e-5)


def test_dpda_goes_on_over_another_network():
    run = fa.Solver(PROBLEM, NETWORK, method=DPDA(multiplier_bound=10.0, jacobian_bound=10.0), tol=1e-6)
    run.run(100_000)
    before = run.result()
    run.update(network=path(N))
    after = run.result()
    assert before.success and after.success and after.consensus_multipliers.shape == (N, 3)
    force = path(N).laplacian @ after.consensus_multipliers
    np.testing.assert_allclose(force, NETWORK.laplacian @ before.consensus_multipliers, atol=1e-9)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_costs_whose_gradients_overflow_are_never_solved(engine):
    A = np.random.default_rng(0).normal(size=(6, 4, 3)) * 1e10
    result = fa.solve(fa.Problem(fa.objectives.LeastSquares(A, np.full(4, 1e300))), path(6), engine=engine, rng=0)
    assert result.status == fa.Status.DIVERGED and result.residual == np.inf


def test_an_update_keeps_its_memory_beside_room_for_as_much():
    """However often, and what is summed up over the agents grows with it."""
    run = fa.Solver(PROBLEM, NETWORK, method=ADAPD(memory=4, local_steps=1), rng=0, tol=0)  # two come to rest too soon
    run.run(80)
    for _ in range(3):
        kept = run._run._anderson
        newest = kept._memory.residuals[(kept._count - 1) % kept.memory].copy()
        run.update(PROBLEM)
        assert run._run._anderson is kept and kept.memory == 8 and kept._count == 4
        np.testing.assert_array_equal(kept._memory.residuals[3], newest)
        run.run(40)
        assert 4 < kept._count and kept.sums == 3 * 8 + 4


def test_going_on_with_other_data():
    """After each change the run ends where a new one does, in far fewer epochs."""
    other = random_instance(["LeastSquares"], "L1", ["Ellipsoid", "AffineInequality"], N=N, n=3, rows=2, seed=4)
    other.agents[1][2].pop()  # one agent loses a constraint
    other = ragged(3, other.agents, NETWORK)
    run = fa.Solver(PROBLEM, NETWORK, rng=0, tol=1e-9)
    run.run(50_000)
    assert run.result().success
    for change in ({"problem": other.problem}, {"network": path(N)}, {"network": NETWORK, "problem": PROBLEM}):
        before = run.result()
        run.update(**change)
        moved = run.result()
        np.testing.assert_array_equal(moved.x_agents, before.x_agents)
        assert moved.activations == 0 and not moved.history["epochs"].size
        assert moved.success == ("problem" not in change)  # a new network alone leaves the forces as they are
        assert moved.consensus_multipliers.shape == (run.network.consensus_matrix.shape[0], 3)
        run.run(50_000)
        fresh = fa.solve(run.problem, run.network, rng=0, tol=1e-9, max_epochs=50_000)
        assert run.result().success and fresh.success
        np.testing.assert_allclose(run.result().x, fresh.x, atol=1e-6)
    with pytest.raises(
        fa.InvalidOptionError, match="problem has 4 agents and 2 coordinates; this solver goes on with 4 and 3"
    ):
        run.update(fa.Problem(n_agents=4, dim=2))
    with pytest.raises(fa.InvalidOptionError, match="network has 3 agents but problem has 4"):
        run.update(network=path(3))


# ---- Stopping ----


def test_end_of_a_recorded_sequence():
    agents = np.random.default_rng(0).integers(N, size=150)
    result = fa.solve(PROBLEM, NETWORK, clock=agents, tol=0)
    assert (result.status, result.activations, result.success) == (fa.Status.END_OF_CLOCK, 150, False)
    assert "recorded activations ended after 37.5 epochs" in result.message
    assert_same(result, fa.solve(PROBLEM, NETWORK, clock=agents, tol=0, max_epochs=1e9))
    exact = fa.solve(PROBLEM, NETWORK, clock=agents, tol=0, max_epochs=150 / N)
    np.testing.assert_array_equal(exact.x_agents, result.x_agents)
    assert exact.status == fa.Status.MAX_EPOCHS
    assert fa.solve(PROBLEM, NETWORK, clock=np.zeros(0, int), tol=0).status == fa.Status.END_OF_CLOCK


def test_a_sequence_that_solves_it_is_a_success():
    seed = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-6, max_epochs=100_000, clock="uniform")
    stream = fa.clocks.Stream(fa.clocks.Uniform(), N, np.random.default_rng(0))
    result = fa.solve(PROBLEM, NETWORK, clock=stream.take(seed.activations), tol=1e-6)
    assert result.success and result.status == fa.Status.SOLVED
    np.testing.assert_array_equal(result.x_agents, seed.x_agents)


def test_time_limit():
    run = solver()
    run.run(1e12, time_limit=1e-9)
    assert run.result().status == fa.Status.TIME_LIMIT and "time limit" in run.result().message
    run.run(1e12, time_limit=0.2)
    result = run.result()
    assert result.status == fa.Status.TIME_LIMIT and result.activations > 0 and result.runtime >= 0.2


@every_method
def test_ctrl_c_from_a_thread(method):
    """Between two chunks: the state is whole, the handler is the old one again, and the run can go on."""
    began, handler = threading.Event(), signal.getsignal(signal.SIGINT)
    run = solver(method, callback=lambda _: began.set())
    presser = threading.Thread(target=lambda: began.wait(60) and signal.raise_signal(signal.SIGINT))
    presser.start()
    run.run(1e12)
    presser.join()
    result = run.result()
    assert result.status == fa.Status.INTERRUPTED and result.message.startswith("Interrupted after")
    assert signal.getsignal(signal.SIGINT) is handler
    assert result.activations > 0 and np.isfinite(result.residual)
    done = result.activations
    run.run(7)
    assert run.result().activations == done + 7 * N and run.result().status == fa.Status.MAX_EPOCHS
    if done < 1_000_000:  # the same run without a stop
        whole = solver(method)
        whole.run(done / N + 7)
        np.testing.assert_array_equal(run.result().x_agents, whole.result().x_agents)


def test_a_second_ctrl_c_raises_at_once():
    def press_twice(_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        solver(callback=press_twice).run(100)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_run_outside_the_main_thread_leaves_signals_alone():
    run, handler, seen = solver(), signal.getsignal(signal.SIGINT), []
    run._callback = lambda _: seen.append(signal.getsignal(signal.SIGINT))
    worker = threading.Thread(target=run.run, args=(50,))
    worker.start()
    worker.join()
    assert run.result().epochs == 50 and seen and all(h is handler for h in seen)


def stop_iteration(_):
    raise StopIteration


@pytest.mark.parametrize("callback", [stop_iteration, lambda _: True, lambda r: r.history["epochs"][-1] >= 0])
def test_a_callback_can_stop(callback):
    result = fa.solve(PROBLEM, NETWORK, rng=0, tol=0, callback=callback, max_epochs=100)
    assert result.status == fa.Status.STOPPED and not result.success and "Stopped by the callback" in result.message
    assert result.epochs == 10  # the first check


def test_a_callback_sees_results():
    seen = []
    result = fa.solve(PROBLEM, NETWORK, rng=0, tol=0, callback=seen.append, max_epochs=300)
    assert [r.epochs for r in seen] == result.history["epochs"][1:].tolist()
    assert seen[0].epochs == 10 and (np.diff([r.epochs for r in seen]) >= 10).all()
    assert result.status == fa.Status.MAX_EPOCHS  # what append returns does not stop
    assert [len(r.history["epochs"]) for r in seen] == list(range(2, 2 + len(seen)))


def test_a_process_that_is_deaf_to_ctrl_c_stays_so():
    """A shell starts what it runs in the background this way."""
    seen, run = [], solver()
    run._callback = lambda _: seen.append(signal.getsignal(signal.SIGINT)) or signal.raise_signal(signal.SIGINT)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run.run(100)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert set(seen) == {signal.SIG_IGN} and run.result().status != fa.Status.INTERRUPTED


def test_an_error_in_a_callback_comes_out():
    handler = signal.getsignal(signal.SIGINT)
    run = solver(callback=lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.run(100)
    assert signal.getsignal(signal.SIGINT) is handler and run.result().epochs == 10


@pytest.mark.parametrize("answer", [np.array([True, False]), [1], (None, None)])
def test_a_callback_that_answers_with_several(answer):
    with pytest.raises(fa.InvalidOptionError, match=r"callback returned .* entries; it must return True to stop"):
        solver(callback=lambda _: answer).run(100)


@pytest.mark.parametrize("method", ["ad-apd", METHODS["dpda-s"]])
def test_the_progress_bar_shows_epochs(method, capsys):
    solver(method, progress=True).run(200)
    shown = capsys.readouterr().err
    assert "/200 epochs" in shown and "residual=" in shown and solver(method).result().method in shown
    solver(method, progress=True).run(0)
    solver(method).run(10)
    assert "epochs" not in capsys.readouterr().err.replace("/0 epochs", "")


# ---- History ----


def test_history_at_every_so_many_activations():
    run = solver(record=30)
    run.run(50)
    history = run.result().history
    np.testing.assert_array_equal(history["activations"], np.arange(0, 201, 30))
    assert all(len(column) == 7 for column in history.values())
    assert history["activations"].dtype == history["floats_sent"].dtype == np.int64
    np.testing.assert_array_equal(history["epochs"], history["activations"] / N)


def test_history_at_chosen_activations_is_what_a_shorter_run_finds():
    chosen = [0, 3, 50, 51, 170]
    run = solver(record=[170, 50, 3, 0, 51, 50, 1000], optimal_value=1.0)
    run.run(50)
    history = run.result().history
    assert history["activations"].tolist() == chosen
    for k, count in enumerate(chosen):
        shorter = solver(optimal_value=1.0)
        shorter.run(count / N)
        for name in ("suboptimality", "infeasibility", "consensus_violation", "residual", "floats_sent"):
            assert history[name][k] == shorter.result()[name]


def test_history_without_a_wish_is_that_of_the_checks():
    result = fa.solve(PROBLEM, NETWORK, rng=0, tol=0, max_epochs=1000)
    epochs = result.history["epochs"]
    assert (
        epochs[0] == 0
        and (np.diff(epochs) >= 10).all()
        and (np.diff(epochs) <= 10 * np.ceil(np.maximum(1, 0.005 * epochs[:-1]))).all()
        and (epochs % 10 == 0).all()
    )
    assert set(result.history) == {
        "activations",
        "communications",
        "floats_sent",
        "epochs",
        "fun",
        "suboptimality",
        "infeasibility",
        "consensus_violation",
        "residual",
    }
    assert np.isnan(result.history["suboptimality"]).all() and np.isnan(result.suboptimality)


def test_checks_are_put_off_while_the_run_moves_too_much():
    looks = []
    often = fa.solve(PROBLEM, NETWORK, rng=0, callback=lambda r: looks.append(r.residual))
    seldom = fa.solve(PROBLEM, NETWORK, rng=0)
    assert often.success and seldom.success and abs(often.epochs - seldom.epochs) <= 10
    both = np.isin(often.history["epochs"], seldom.history["epochs"])
    assert both[0] and len(seldom.history["epochs"]) <= 0.7 * len(often.history["epochs"])
    assert (often.history["residual"][~both] > 1e-6).all()  # what was not looked at was no end
    known = np.isin(seldom.history["epochs"], often.history["epochs"])
    np.testing.assert_array_equal(seldom.history["residual"][known], often.history["residual"][both])


def test_when_a_check_is_put_off(monkeypatch):
    """What is expected of the residual: its last value over the movement, times the movement as it is now."""
    run, now, movement = solver(tol=1e-6), 80 * N, []
    monkeypatch.setattr(type(run._run), "movement", property(lambda _: movement[-1] if movement else None))
    run.run(0)
    begin = run._seen[1]
    assert run._checked == run._planned == 0 and run._next_proof == 75 * N and run._residual_then == begin > 1e-4
    run._pace = 2.0

    def puts_off(now, expected):
        movement.append(None if expected is None else expected / 2)
        return run._puts_off(now)

    assert not puts_off(60 * N, 4.9e-6) and puts_off(60 * N, 5.1e-6)  # five times tol is near
    assert run._next_check == 70 * N and run._seen == (60 * N, pytest.approx(5.1e-6))
    run._seen = 60 * N, 1e-3
    assert puts_off(70 * N, None) and not puts_off(80 * N, None)  # not known: a tenth every 10 epochs
    # a proof is due
    assert not puts_off(now, 0.06 * begin) and run._next_proof == 75 * N
    assert puts_off(now, 0.04 * begin) and run._next_proof == 120 * N
    assert run._residual_then == pytest.approx(0.04 * begin)
    assert puts_off(110 * N, 1e-3 * begin) and not puts_off(120 * N, 1e-3 * begin)  # not twice without a check
    run._checked = 110 * N
    assert puts_off(120 * N, 1e-3 * begin)
    run._callback = print
    assert not puts_off(130 * N, 1e-3 * begin)


def test_a_run_that_stops_at_an_extrapolation_returns_the_point_it_measured():
    run = solver()
    run.stop = threading.Event()
    extrapolate = run._run.pass_milestone

    def pass_milestone():
        extrapolate()
        if run.result().epochs == 50:
            run.stop.set()

    run._run.pass_milestone = pass_milestone
    run.run(100)
    found = run.result()
    assert found.status == fa.Status.INTERRUPTED and found.epochs == 50
    again = solver(x0=found.x_agents, multipliers=found.multipliers, consensus_multipliers=found.consensus_multipliers)
    assert again.result().residual == pytest.approx(found.residual, rel=1e-6)


@pytest.mark.parametrize("record", [7, [5, 11, 300]])
def test_recording_changes_nothing(record):
    plain, recorded = (fa.solve(PROBLEM, NETWORK, rng=0, record=r) for r in (None, record))
    assert plain.epochs == recorded.epochs
    np.testing.assert_array_equal(plain.x_agents, recorded.x_agents)


@pytest.mark.parametrize("record, expected", [(3, [0, 4, 8, 12]), ([3, 9], [4, 12])])
def test_history_of_a_synchronous_method_is_rounded_up(record, expected):
    run = solver(METHODS["dpda-s"], record=record)
    run.run(3)
    assert run.result().history["activations"].tolist() == expected


def test_what_is_sent():
    agents = [0, 0, 3, 1, 2, 2, 2]
    run = solver(clock=agents, record=1)
    run.run(2)
    sent = 2 * 3 * NETWORK.degrees[agents]  # to each neighbour x_i and a multiplier
    np.testing.assert_array_equal(run.result().history["floats_sent"], np.r_[0, np.cumsum(sent)])
    assert run.result().communications == run.result().activations == 7


def test_sums_over_all_agents_are_counted():
    """For the weight at epochs 10, 20, 40 (four numbers each), along a tree and back: 2 N messages.

    The first one carries the means of x and of the start and a distance too, and another one follows, to look whether
    to begin anew.
    """
    run = solver(clock="uniform")
    run.run(50)
    result = run.result()
    assert result.communications == 50 * N + 4 * 2 * N
    wakes = np.bincount(fa.clocks.Stream(fa.clocks.Uniform(), N, np.random.default_rng(0)).take(50 * N), minlength=N)
    assert result.floats_sent == 2 * 3 * (wakes @ NETWORK.degrees) + (3 * 4 + 2 * 3 + 1 + 1) * 2 * N
    published = solver(ADAPD(momentum="global", steps="theory", **BOUNDS))
    published.run(50)
    assert published.result().communications == 50 * N


@pytest.mark.parametrize("memory", [1, 15])
def test_sums_of_the_acceleration_are_counted(monkeypatch, memory):
    """One per extrapolation, of as many numbers as a row of the Gram matrix has, and the norm of the residual."""
    mixes, mix = [], Anderson.mix
    monkeypatch.setattr(Anderson, "mix", lambda *arguments: (mixes.append(1), mix(*arguments))[1])
    run = solver(ADAPD(memory=memory))
    run.run(105)
    result = run.result()
    assert 5 <= len(mixes) <= 9
    assert result.communications == 105 * N + (5 + len(mixes)) * 2 * N
    # every agent woke once per epoch
    sent = 2 * 3 * 105 * NETWORK.degrees.sum()
    assert result.floats_sent == sent + (4 * 4 + 2 * 3 + 1 + 1 + (3 * memory + 4) * len(mixes)) * 2 * N


@pytest.mark.parametrize(
    "options",
    [
        {"clock": "uniform"},
        {"clock": "shuffled"},
        {"clock": fa.clocks.Poisson([1, 2, 3, 4])},
        {"clock": fa.clocks.Repeated(3)},
        {"method": ADAPD(memory=0)},
        {"method": ADAPD(momentum="global")},
    ],
    ids=str,
)
def test_nothing_is_extrapolated_where_a_period_is_no_map(monkeypatch, options):
    """The acceleration needs activations that repeat themselves every ten epochs."""
    monkeypatch.setattr(Anderson, "mix", lambda *_: pytest.fail("extrapolated"))
    run = solver(**options)
    run.run(100)
    looks = 0 if run._method.momentum == "global" else 1  # whether to begin anew
    assert run.result().communications == 100 * N + (4 + looks) * 2 * N


def test_an_accelerated_run_is_solved_without_the_acceleration_too():
    expected = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-9, max_epochs=100_000)
    for options in ({"clock": "uniform"}, {"clock": "cyclic"}, {"method": ADAPD(memory=0)}):
        result = fa.solve(PROBLEM, NETWORK, rng=0, tol=1e-9, max_epochs=100_000, **options)
        assert result.success and expected.success
        np.testing.assert_allclose(result.x_agents, expected.x_agents, atol=1e-7)


# ---- What is given and what is refused ----


def test_a_result_answers_like_a_dictionary():
    result = fa.solve(PROBLEM, NETWORK, rng=0, max_epochs=1)
    assert list(result) == list(result.keys()) == [f.name for f in dataclasses.fields(result)] and len(result) == len(
        result.keys()
    )
    assert dict(result)["x"] is result["x"] is result.x and "x" in result.keys()
    for name in ("nothing", "keys", 0):
        with pytest.raises(KeyError):
            result[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.x = 0
    for word in ("residual", "MAX_EPOCHS (1)", "ad-apd", result.engine):
        assert word in repr(result)
    assert "suboptimality" not in repr(result)
    assert "suboptimality" in repr(fa.solve(PROBLEM, NETWORK, rng=0, max_epochs=1, optimal_value=0.0))


def test_messages_of_runs_that_nothing_stopped():
    solver = fa.Solver(PROBLEM, NETWORK, rng=0, tol=0)
    assert solver.result().message.startswith("Not run yet; the residual of the start is")
    solver.run(3)
    assert "tol = 0: no residual stops a run" in solver.result().message
    assert "raise max_epochs" in fa.solve(PROBLEM, NETWORK, rng=0, max_epochs=1).message


ZERO = np.zeros(3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tol": -1}, "tol is -1; it must be 0 or positive, and finite"),
        ({"tol": np.nan}, "tol is nan"),
        ({"tol": np.inf}, "tol is inf"),
        ({"tol": "1e-6"}, "tol is '1e-6'; it must be a number"),
        ({"tol": None}, "tol is None; it must be a number"),
        ({"rng": -1}, "rng is -1; it must be None, a non-negative integer"),
        ({"rng": "seed"}, "rng is 'seed'"),
        ({"x0": "zero"}, "x0 is 'zero'; it must be a number or an array of numbers"),
        ({"x0": [[1], [1, 2]]}, "x0 is .*; it must be a number or an array"),
        ({"optimal_value": "low"}, "optimal_value is 'low'; it must be a number"),
        ({"optimal_value": np.inf}, "optimal_value is inf; it must be finite"),
        ({"point": "mean"}, "point: 'mean' is not known; use 'last', 'ergodic' or 'best'"),
        ({"method": "admm"}, "method: 'admm' is not known; use 'ad-apd', 'dpda-s'"),
        ({"method": ADAPD}, "method: <class .*> is not known"),
        ({"method": None}, "method: None is not known"),
        ({"engine": "gpu"}, "engine: 'gpu' is not known"),
        ({"clock": "poisson"}, "clock: 'poisson' is not known"),
        ({"clock": [0, 4]}, "clock: activation 1 wakes agent 4"),
        ({"x0": np.zeros(2)}, r"x0 has shape \(2,\); it must be \(3,\), the coordinates, or \(4, 3\)"),
        ({"x0": 0.0}, r"x0 has shape \(\)"),
        ({"x0": np.zeros((3, 3))}, r"x0 has shape \(3, 3\)"),
        ({"x0": [0, np.nan, 0]}, "x0 holds a value that is not finite"),
        ({"multipliers": [ZERO] * 3}, "multipliers has 3 arrays; it needs one for each of the 4 agents"),
        ({"multipliers": [ZERO] * 3 + [np.zeros(2)]}, r"multipliers of agent 3 has shape \(2,\); the agent has 3 rows"),
        (
            {"multipliers": [ZERO, ZERO, -ZERO - 1, ZERO]},
            "multipliers of agent 2: those of an inequality must not be negative",
        ),
        ({"multipliers": [ZERO, ZERO, ZERO, ZERO + np.inf]}, "multipliers of agent 3 holds a value that is not finite"),
        (
            {"consensus_multipliers": np.zeros((9, 3))},
            r"consensus_multipliers has shape \(9, 3\); it must be \(5, 3\), one row per",
        ),
        ({"consensus_multipliers": np.full((N, 3), np.inf)}, "consensus_multipliers holds a value that is not finite"),
        ({"consensus_multipliers": np.zeros((N, 3))}, r"consensus_multipliers has shape \(4, 3\); it must be \(5, 3\)"),
        ({"consensus_multipliers": np.zeros((5, 2))}, r"consensus_multipliers has shape \(5, 2\); rows must be 3 long"),
        ({"record": 0}, "record is 0; it must be a positive number of activations"),
        ({"record": -5}, "record is -5"),
        ({"record": 1.5}, "record is 1.5; it must be a positive integer or a sequence of activation counts"),
        ({"record": True}, "record is True; it must be"),
        ({"record": "all"}, "record is 'all'; it must be a positive integer or a sequence of activation counts"),
        ({"record": [1, -1]}, "record holds -1; activation counts must not be negative"),
        ({"record": [0.5]}, r"record must be one axis of integers, not shape \(1,\) of float64"),
        ({"record": [[1], [2, 3]]}, r"record is \[\[1\], \[2, 3\]\]; it must be one axis of integers"),
        ({"clock": [[1], [2, 3]]}, r"clock is \[\[1\], \[2, 3\]\]; it must be one axis of integers"),
        ({"engine": ["c"]}, r"engine: \['c'\] is not known"),
        ({"point": np.zeros(2)}, "point: array.* is not known"),
        ({"tol": True}, "tol is True; it must be a number"),
        ({"callback": 3}, "callback is 3; it must be a function of a Result"),
        ({"multipliers": 3}, "multipliers is 3; it must be a sequence of an array for each agent"),
        ({"multipliers": np.array(3)}, "multipliers is array.3.; it must be a sequence"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(fa.InvalidOptionError, match=message) as caught:
        fa.Solver(PROBLEM, NETWORK, **options).run(1)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((PROBLEM, path(3)), "network has 3 agents but problem has 4"),
        ((PROBLEM, [(0, 1), (1, 2), (2, 3)]), "network must be a fastadapd.Network, not list"),
        ((NETWORK, PROBLEM), "problem must be a fastadapd.Problem, not Network"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        fa.solve(*arguments)


@pytest.mark.parametrize("epochs", [-1, np.nan, np.inf])
@pytest.mark.parametrize("time_limit", [None, 1])
def test_epochs_that_are_refused(epochs, time_limit):
    with pytest.raises(fa.InvalidOptionError, match=f"^epochs is {epochs}; it must be 0 or positive, and finite"):
        solver().run(epochs, time_limit=time_limit)
    with pytest.raises(fa.InvalidOptionError, match=f"^max_epochs is {epochs}; it must be 0 or positive, and finite"):
        fa.solve(PROBLEM, NETWORK, max_epochs=epochs, time_limit=time_limit)


@pytest.mark.parametrize("time_limit", [0, -1, np.nan])
def test_time_limits_that_are_refused(time_limit):
    with pytest.raises(
        fa.InvalidOptionError, match=f"time_limit is {time_limit}; it must be a positive number of seconds"
    ):
        solver().run(1, time_limit=time_limit)


def test_options_of_the_wrong_kind_are_errors_of_python():
    for options in (
        {"tol": "small"},
        {"x0": "origin"},
        {"rng": "seed"},
        {"rng": -1},
        {"multipliers": 3},
        {"x0": [1j, 0, 0]},
    ):
        with pytest.raises((TypeError, ValueError)):
            fa.Solver(PROBLEM, NETWORK, **options)
    with pytest.raises(TypeError, match="unexpected keyword"):
        fa.solve(PROBLEM, NETWORK, tolerance=1)


# ---- Nothing that can be given ends the process ----

EYE = np.eye(2)
quadratic, L1, Box, L2Ball = fa.objectives.Quadratic, fa.regularizers.L1, fa.regularizers.Box, fa.regularizers.L2Ball
Ellipsoid, Inequality, Equality = (
    fa.constraints.Ellipsoid,
    fa.constraints.AffineInequality,
    fa.constraints.AffineEquality,
)
PLAIN, DISC = quadratic(EYE, [1, 2]), Ellipsoid(EYE, [0, 0])


def case(objective=None, regularizer=None, constraints=(), network=None, dim=None, **options):
    network = network or path(3)
    return fa.Problem(objective, regularizer, constraints, n_agents=network.n_agents, dim=dim), network, options


HOSTILE = {
    "one agent": case(PLAIN, L2Ball(1), DISC, fa.Network([], n_agents=1)),
    "one agent in node form": case(PLAIN, network=fa.Network([], n_agents=1, consensus="laplacian")),
    "one coordinate": case(quadratic([[1.0]], [1.0]), L1(0.1), Equality([[1.0]], [2.0])),
    "no term": case(dim=2, x0=np.arange(6.0).reshape(3, 2)),
    "no cost": case(constraints=Ellipsoid(EYE, [3, 3])),
    "unbounded": case(fa.objectives.Linear([1, 2])),
    "infeasible": case(constraints=Equality([[1, 0], [1, 0]], [0, 1])),
    "a point": case(PLAIN, Box(1, 1), Ellipsoid(EYE, [1, 1], 0)),
    "flat ellipsoid": case(quadratic(0 * EYE, [1, 2]), None, Ellipsoid(0 * EYE, [0, 0])),
    "rows of zeros": case(PLAIN, None, Inequality(0 * EYE, [0, 1])),
    "start at 1e300": case(PLAIN, None, DISC, x0=[1e300, -1e300]),
    "start at 1e308": case(PLAIN, x0=[1.7e308, -1.7e308]),
    "numbers of 1e300": case(
        quadratic(1e300 * EYE, [1e300, 1]), Box(-1e300, 1e300), Inequality(1e150 * EYE, [1e300, -1e300])
    ),
    "subnormal": case(quadratic(5e-324 * EYE, [5e-324, 0]), L1(5e-324), Ellipsoid(5e-324 * EYE, [0, 0], 5e-324)),
    "huge multipliers": case(
        PLAIN, None, DISC, multipliers=[[1e308]] * 3, consensus_multipliers=np.full((2, 2), 1e308)
    ),
    "strided start": case(PLAIN, x0=np.asfortranarray(np.ones((6, 4)))[::2, ::2]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow, said by NumPy
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("method", ["ad-apd", "theory", "dpda-s"])
def test_hostile_inputs_end_in_an_answer(engine, method, name):
    """A status, whatever it is, and no success without a small residual that anyone can compute again."""
    problem, network, options = HOSTILE[name]
    method = {"theory": ADAPD(steps="theory", momentum="global", **BOUNDS), "dpda-s": DPDA(**BOUNDS)}.get(
        method, method
    )
    if method != "ad-apd" and isinstance(method, DPDA):
        options = options | {"consensus_multipliers": None}
    if name == "subnormal" and isinstance(method, ADAPD):
        with pytest.raises(fa.InvalidOptionError, match="tau of agent 0 is inf"):
            fa.solve(problem, network, method=method, engine=engine, **options)
        return
    result = fa.solve(problem, network, method=method, engine=engine, rng=0, max_epochs=50, **options)
    assert result.status in fa.Status and isinstance(result.message, str) and repr(result)
    assert result.success == (result.residual <= 1e-6) and not np.isnan(result.residual)
    assert result.x.shape == (problem.dim,)


def test_agents_need_not_be_alike(engine):
    made = built("Quadratic", "Zero", "Ellipsoid")
    agents = [made.problem.agent(i) for i in range(4)]
    bare = fa.Problem.from_agents(
        [
            fa.Agent(agents[0].objective),
            fa.Agent(),
            fa.Agent(constraints=agents[2].constraints),
            fa.Agent(regularizer=fa.regularizers.L1(0.1)),
        ],
        dim=6,
    )
    result = fa.solve(bare, made.network, engine=engine, rng=0)
    assert result.success and [m.size for m in result.multipliers] == [0, 0, 1, 0]


def scaled(factor, targets):
    """|x - target_i|^2 / 2 times a factor, over ellipsoids."""
    rng = np.random.default_rng(5)
    A, centers = rng.normal(size=(6, 3, 3)) / 2, rng.normal(size=(6, 3))
    P = A.transpose(0, 2, 1) @ A
    levels = np.einsum("ij,ijk,ik->i", centers, P, centers) + 0.1
    return fa.Problem(fa.objectives.Quadratic(factor * np.eye(3), -factor * targets), None,
                      fa.constraints.Ellipsoid(P, centers, levels))


@pytest.mark.parametrize("factor", [1e-6, 1e-2, 1e2, 1e6])
def test_a_warm_start_with_costs_in_other_units(factor):
    targets, network = np.random.default_rng(6).normal(size=(6, 3)) * 2, path(6)
    solver = fa.Solver(scaled(1.0, targets), network, rng=0)
    solver.run(1000)
    best = solver.result()
    assert best.success and best.multipliers.flat.max() > 0.1
    solver.update(scaled(factor, targets))
    solver.run(1000)
    assert solver.result().success and solver.result().epochs <= 10
    np.testing.assert_allclose(solver.result().x, best.x, atol=1e-5)
    solver.update(scaled(1.0, targets + 0.5))
    solver.run(1000)
    assert solver.result().success
    cold = fa.solve(scaled(1.0, targets + 0.5), network, rng=0)
    np.testing.assert_allclose(solver.result().x, cold.x, atol=1e-5)


def test_a_solver_that_has_diverged_cannot_go_on():
    solver = fa.Solver(PROBLEM, NETWORK, rng=0, method=ADAPD(steps=fa.FixedSteps(1e6, 1e6, 1e6)))
    with np.errstate(all="ignore"):
        solver.run(1000)
    assert solver.result().status is fa.Status.DIVERGED
    with pytest.raises(fa.FastadapdError, match=r"no longer finite.*make another Solver"):
        solver.update(PROBLEM)


@pytest.mark.parametrize("factor", [1e2, 1e3])
def test_two_agents_of_unequal_costs_are_not_called_solved_too_soon(factor):
    """Where one cost leaves x free, the other decides, however small beside it."""
    for seed in range(8):
        rng = np.random.default_rng(1000 + seed)
        A, shared = rng.normal(size=(2, 3, 6)), rng.normal(size=6)
        b = A @ shared + rng.normal(size=(2, 3))
        A[0], b[0] = factor * A[0], factor * b[0]
        x = np.linalg.lstsq(A.reshape(6, 6), b.reshape(6))[0]
        best = np.sum((A @ x - b) ** 2) / 2
        result = fa.solve(fa.Problem(fa.objectives.LeastSquares(A, b)), path(2), rng=seed, max_epochs=3000)
        assert not result.success or abs(result.fun - best) <= 1e-4 * max(1, best), result


def wedge(angle):
    """x_1 <= 0 for 0 <= x_2 <= angle x_1, with an optimum of 0 at 0: |x - (1, 0)|^2 - 1."""
    rows = [fa.constraints.AffineInequality([row], [0.0]) for row in ([0.0, 1.0], [angle, -1.0])]
    return fa.Problem.from_agents([fa.Agent(fa.objectives.Quadratic(np.eye(2), [-1.0, 0.0]), None, row)
                                   for row in rows])


@pytest.mark.parametrize("angle", [1e-2, 1e-3, 1e-5, 1e-6])
def test_sets_that_meet_at_a_sharp_angle_are_not_called_solved_too_soon(angle):
    for rng in range(3):
        result = fa.solve(wedge(angle), path(2), rng=rng, max_epochs=3000)
        assert result.success or angle < 1e-2
        assert not result.success or abs(result.fun) <= 1e-4, result


def test_a_run_that_is_stuck_goes_on_with_bold_steps():
    for rng in range(3):
        solver = fa.Solver(wedge(3e-4), path(2), rng=rng)
        solver.run(100_000)
        result = solver.result()
        assert result.success and result.epochs > 3000 and solver._run.steps.local_steps == 2, result
        np.testing.assert_allclose(result.x, 0.0, atol=1e-4)


def test_another_network_leaves_multipliers_in_their_units():
    """Whatever the degrees: the point stays optimal."""
    targets = np.random.default_rng(6).normal(size=(6, 3)) * 2
    star, complete = ([(0, k) for k in range(1, 6)], [(j, k) for k in range(6) for j in range(k)])
    solver = fa.Solver(scaled(1.0, targets), path(6), rng=0)
    solver.run(1000)
    best = solver.result()
    for edges in (star, complete):
        solver.update(network=fa.Network(edges))
        np.testing.assert_allclose(solver.result().multipliers.flat, best.multipliers.flat, rtol=1e-12)
        solver.run(1000)
        assert solver.result().success and solver.result().epochs == 0


def test_a_refused_checkpoint_leaves_the_outcome():
    rows = [fa.constraints.AffineInequality([[1.0]], [-1.0]), fa.constraints.AffineInequality([[-1.0]], [-1.0])]
    problem = fa.Problem.from_agents([fa.Agent(fa.objectives.Linear([1.0]), None, row) for row in rows])
    solver = fa.Solver(problem, path(2), rng=0)
    solver.run(3000)
    assert solver.result().status is fa.Status.INFEASIBLE
    before = repr(solver.result())
    with pytest.raises(fa.InvalidOptionError, match="checkpoint is of dpda-s"):
        solver.restore(fa.Solver(problem, path(2), rng=0, method="dpda-s").checkpoint())
    assert repr(solver.result()) == before and solver.result().certificate is not None


@pytest.mark.parametrize("kind", ["ellipsoids", "half-spaces"])
def test_multipliers_that_mislead_are_dropped(kind):
    """A thousand times too large: of a problem in other units, say. Those that fit are kept, wherever x begins."""
    rng = np.random.default_rng(0)
    targets, center = rng.normal(size=(2, 20, 4))
    rows = fa.constraints.AffineInequality(np.abs(rng.normal(size=(20, 2, 4))), np.ones((20, 2)))
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(4), -3 * targets), None,
                         fa.constraints.Ellipsoid(np.eye(4), 0.3 * center, 4.0) if kind == "ellipsoids" else rows)
    network = fa.Network([(i, (i + k) % 20) for i in range(20) for k in (1, 3)])
    cold = fa.solve(problem, network, rng=0)
    for factor in (1.0, 1e3, 1e6):
        found = {"multipliers": [factor * own for own in cold.multipliers],
                 "consensus_multipliers": factor * cold.consensus_multipliers}
        warm = fa.solve(problem, network, rng=0, **found)
        assert warm.success
        np.testing.assert_allclose(warm.x, cold.x, atol=1e-4)
        assert warm.epochs <= 1.5 * cold.epochs
    np.testing.assert_array_equal(warm.x_agents, cold.x_agents)
    kept = {"multipliers": cold.multipliers, "consensus_multipliers": cold.consensus_multipliers}
    assert fa.solve(problem, network, rng=0, x0=cold.x_agents, **kept).epochs == 0


def test_a_warm_start_whose_weight_was_for_larger_costs():
    """Least squares become a millionth, the other terms stay: nothing of the old weight holds."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(10, 3, 5)) * 10.0 ** rng.uniform(-1, 1, (10, 1, 1)), rng.normal(size=(10, 3))
    network = fa.Network([(i, (i + 1) % 10) for i in range(10)])
    before, after = (fa.Problem(fa.objectives.LeastSquares(root * A, root * b), fa.regularizers.L1(1.0),
                                fa.constraints.AffineEquality(np.ones((1, 5)), [1.0])) for root in (1.0, 1e-3))
    run = fa.Solver(before, network, rng=0)
    run.run(10_000)
    run.update(after)
    run.run(10_000)
    warm, cold = run.result(), fa.solve(after, network, rng=0)
    assert warm.success and warm.epochs <= 0.5 * cold.epochs
    assert warm.fun == pytest.approx(fa.solve_centralized(after).fun, rel=1e-5)


@pytest.mark.parametrize("rounding", [0.0, 1e-16, 1e-15])
def test_coordinates_of_rounding_have_no_unit(rounding):
    """They would make L1's weights huge there, and any residual look small."""
    A = [[1.0, rounding, 0.0, 0.0], [0.0, 1.0, 0.0, -rounding]]
    problem = fa.Problem.from_agents([fa.Agent(fa.objectives.LeastSquares(A, [3.0, -2.0]), fa.regularizers.L1(0.1))])
    result = fa.solve(problem, path(1), rng=0)
    assert result.success
    np.testing.assert_allclose(result.x, [2.9, -1.9, 0.0, 0.0], atol=1e-6)
