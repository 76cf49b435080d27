"""Costs far more curved than others: as equations that give way, the problem is the same, and it is solved."""

import numpy as np
import pytest
from conftest import MISSING
from strategies import path

import fastadapd as fa
from fastadapd import steps, stiffness
from fastadapd.constraints import AffineInequality, Ellipsoid, SoftEquality
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.regularizers import L1, Box, NonNegative


def cycle(N):
    return fa.Network([(i, (i + 1) % N) for i in range(N)] if N > 2 else [(0, 1)])


def low_rank(factor, others="linear", N=5, n=5, rank=2, seed=0, quadratic=False):
    """Agent 0 has a cost of low rank times a factor; the others have linear costs, or none, and sets."""
    rng = np.random.default_rng(seed)
    A, b, x0 = rng.normal(size=(rank, n)), rng.normal(size=rank), rng.uniform(-0.5, 0.5, n)
    if others == "half-spaces":
        A, b = A / 2, A @ x0 / 2
    stiff = (Quadratic(factor * A.T @ A, -factor * A.T @ b) if quadratic
             else LeastSquares(np.sqrt(factor) * A, np.sqrt(factor) * b))
    agents = []
    for i in range(N):
        q, G, P = rng.normal(size=n), np.abs(rng.normal(size=(2, n))), rng.normal(size=(n, n))
        P, center = P @ P.T / n, x0 + rng.normal(size=n)
        cost = Linear(q) if i else stiff
        match others:
            case "linear":
                agents.append(fa.Agent(cost, Box(-1, 1)))
            case "ellipsoids":
                agents.append(fa.Agent(cost, None, Ellipsoid(P, center, (x0 - center) @ P @ (x0 - center) + 0.1)))
            case "nonnegative":
                agents.append(fa.Agent(cost, NonNegative(), AffineInequality(G, np.ones(2))))
            case "l1":
                agents.append(fa.Agent(Linear(0.1 * q) if i else stiff, L1(1.0)))
    return fa.Problem.from_agents(agents), cycle(N)


def mixed(seed=0, n=4):
    """Stiff and other agents, in several groups, with shared terms, sums of terms, and every kind of decomposition."""
    rng = np.random.default_rng(seed)
    R = rng.normal(size=(n, n))
    spread = R.T @ np.diag(np.geomspace(1e4, 1e-4, n)) @ R
    shared = LeastSquares(100 * rng.normal(size=(1, n)), [3.0])
    costs = [
        Linear(rng.normal(size=n)),
        LeastSquares(rng.normal(size=(2, n)), rng.normal(size=2)),
        LeastSquares(1e3 * rng.normal(size=(2, n)), rng.normal(size=2)),
        LeastSquares(1e3 * rng.normal(size=(2, n)), rng.normal(size=2)),
        Quadratic(spread, rng.normal(size=n)),  # some directions of it
        [Quadratic(1e4 * np.diag([1.0, *np.zeros(n - 1)]), rng.normal(size=n)),  # the slope is no sum of columns
         LeastSquares(30 * rng.normal(size=(n + 2, n)) * [1e-3, *np.ones(n - 1)], rng.normal(size=n + 2))],
        shared,
        shared,
        Quadratic(np.eye(n), rng.normal(size=n)),
        Quadratic(1e6 * np.eye(n), rng.normal(size=n)),  # as curved in all directions: not stiff
        None,
        Quadratic(0.5 * np.eye(n), rng.normal(size=n)),
    ]
    return fa.Problem.from_agents([fa.Agent(cost, Box(-2, 2), [AffineInequality(np.ones((1, n)), [3.0])] * (i % 3))
                                   for i, cost in enumerate(costs)])


def gradients(problem, x):
    total = np.zeros_like(x)
    for group in problem.objectives:
        total[group.agents] += group.term.gradient(x[group.agents])
    return total


def test_equations_and_what_is_left_are_the_costs_they_stand_for():
    problem = mixed()
    softened, kept = stiffness.soften(problem, 0.0)
    x = np.random.default_rng(1).normal(size=(problem.n_agents, problem.dim))
    total, agents = gradients(softened, x), set()
    for group, rows in softened.constraint_rows():
        if isinstance(group.term, SoftEquality):
            assert not kept[rows].any()
            total[group.agents] += group.term.cost_gradient(x[group.agents])
            agents |= set(group.agents)
    rest = gradients(softened, x)
    np.testing.assert_allclose(stiffness.slopes(softened, x), np.linalg.norm(total - rest, axis=1), rtol=1e-12)
    expected = gradients(problem, x)
    sizes = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(total / np.maximum(sizes, 1), expected / np.maximum(sizes, 1), atol=1e-12)
    assert agents == {2, 3, 4, 5, 6, 7}
    assert kept.sum() == problem.n_rows
    assert softened.lipschitz().max() == 1e6  # agent 9's, which no direction slows down
    softened_ones = softened.lipschitz()[sorted(agents)]
    rest = np.sort(problem.lipschitz())[(problem.n_agents - 1) // 4]
    assert (softened_ones <= 10 * np.maximum(rest, problem.strong_convexity()[sorted(agents)])).all()


def test_signs_are_not_those_of_lapack(monkeypatch):
    """So that a checkpoint means the same where another library decomposes."""
    before = stiffness.soften(mixed(), 0.0).problem
    svd, eigh = np.linalg.svd, np.linalg.eigh

    def other_svd(A, **options):
        U, roots, V = svd(A, **options)
        return -U, roots, -V

    def other_eigh(P):
        values, vectors = eigh(P)
        return values, -vectors

    monkeypatch.setattr(np.linalg, "svd", other_svd)
    monkeypatch.setattr(np.linalg, "eigh", other_eigh)
    now = stiffness.soften(mixed(), 0.0).problem
    for one, other in zip(before.constraints, now.constraints, strict=True):
        if isinstance(one.term, SoftEquality):
            np.testing.assert_array_equal(one.term.A, other.term.A)
            np.testing.assert_array_equal(one.term.b, other.term.b)


def test_rows_of_the_problem_come_first_for_every_agent():
    problem = mixed()
    softened, kept = stiffness.soften(problem, 0.0)
    for i in range(problem.n_agents):
        own = kept[softened.row_ptr[i] : softened.row_ptr[i + 1]]
        count = problem.row_ptr[i + 1] - problem.row_ptr[i]
        assert own[:count].all()
        assert not own[count:].any()
    theta = np.arange(1.0, problem.n_rows + 1)
    everything = stiffness.Softened(softened, kept).with_all_rows(theta)
    np.testing.assert_array_equal(everything[kept], theta)
    assert not everything[~kept].any()


@pytest.mark.parametrize("costs", [
    [Linear([1, 2])] * 4,
    [Quadratic(np.eye(2), [1, 2])] * 3 + [Quadratic(1e6 * np.eye(2), [1, 2])],
    [Quadratic(np.diag([1.0, 1e6]), [1, 2])] * 4,
    [LeastSquares([[1.0, 2.0]], [1])] * 3 + [LeastSquares([[3.0, 2.0]], [1])],
    [None, None, None, LeastSquares([[1e-60, 0.0]], [1])],
], ids=["linear", "as curved in all directions", "all alike", "about alike", "next to nothing"])
def test_costs_that_are_not_stiff_stay(costs):
    assert stiffness.soften(fa.Problem.from_agents([fa.Agent(cost, Box(-1, 1)) for cost in costs]), 0.0) is None


@pytest.mark.parametrize("options", [{}, {"local_steps": 1}, {"momentum": "global"}], ids=str)
def test_engines_agree(compiled, options):
    problem, network = mixed(), path(12)
    method, runs = fa.methods.ADAPD(memory=0, **options), []
    for name in (compiled, "numpy"):
        run = fa.Solver(problem, network, method=method, engine=name, rng=0, tol=0)
        run.run(200)
        runs.append(run)
    saved, expected = (run.checkpoint()["state"] for run in runs)
    assert len(expected["theta"]) > problem.n_rows
    for name in ("x", "theta", "lambda_", "g_last"):
        atol = 1e-10 * np.abs(expected[name]).max()
        np.testing.assert_allclose(saved[name], expected[name], rtol=0, atol=atol, err_msg=name)
    ours, theirs = (run.result() for run in runs)
    assert ours.residual == pytest.approx(theirs.residual, rel=1e-6)


def test_engines_agree_on_equations_with_steps_of_the_users(compiled):
    """Nothing in the package makes such a problem; the loops know what to do all the same."""
    problem, _ = stiffness.soften(mixed(), 0.0)
    N = problem.n_agents
    network = path(N)
    for method in (fa.methods.DPDA(multiplier_bound=1e3, jacobian_bound=3.0),
                   fa.methods.ADAPD(steps=fa.FixedSteps(1e-7, 0.1, 0.1), momentum="global")):
        found = []
        for name in (compiled, "numpy"):
            run = fa.Solver(problem, network, method=method, engine=name, rng=0, tol=0)
            run.run(50)
            found.append(run.result())
        ours, theirs = found
        np.testing.assert_allclose(ours.x_agents, theirs.x_agents, rtol=0, atol=1e-10)
        np.testing.assert_allclose(np.concatenate(ours.multipliers), np.concatenate(theirs.multipliers), atol=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("others", ["linear", "ellipsoids", "nonnegative", "l1"])
def test_one_cost_of_low_rank_in_other_units(factor, others):
    for seed in range(3):
        problem, network = low_rank(factor, others, seed=seed)
        best = fa.solve_centralized(problem)
        result = fa.solve(problem, network, rng=seed, max_epochs=10_000)
        assert result.success, result.message
        assert abs(result.fun - best.fun) <= 1e-5 * max(1, abs(best.fun))


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("N", [1, 2, 10])
def test_a_single_cost_that_is_badly_conditioned(N, linear):
    """There is nothing to compare it with but its own flattest direction; without a slope multipliers may be 0."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        A, P = rng.normal(size=(4, 5)) * np.array([[1e3], [1.0], [1e-1], [1e-3]]), rng.normal(size=(5, 5))
        x0, offset = rng.uniform(-0.5, 0.5, 5), rng.normal(size=5)
        P = P @ P.T / 5
        cost = [LeastSquares(A, A @ (3 * x0)), *([Linear(0.1 * rng.normal(size=5))] if linear else [])]
        set_ = Ellipsoid(P, x0 + offset, offset @ P @ offset + 0.5)
        first, other = fa.Agent(cost, Box(-1, 1), set_), fa.Agent(None, Box(-1, 1))
        problem = fa.Problem.from_agents([first, *[other] * (N - 1)])
        best = fa.solve_centralized(fa.Problem.from_agents([first]))  # Clarabel is less accurate with all the boxes
        result = fa.solve(problem, path(N), rng=seed, max_epochs=5_000)
        assert result.success, result.message
        assert result.fun == pytest.approx(best.fun, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("N", [2, 10])
def test_the_multipliers_are_those_of_the_cost(N):
    """Written as a quadratic it solves as well, and no multipliers are shown but those of the agent's constraints."""
    problem, network = low_rank(1e5, "ellipsoids", N=N, quadratic=True)
    result = fa.solve(problem, network, rng=0)
    best = fa.solve_centralized(problem)
    assert result.success
    assert [len(own) for own in result.multipliers] == [1] * N
    ours, theirs = (np.concatenate(found.multipliers) for found in (result, best))
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)


def test_workers_and_a_checkpoint():
    problem, network = low_rank(1e5, N=40, n=4, seed=3)
    best = fa.solve_centralized(problem)
    run = fa.Solver(problem, network, rng=0)
    run.run(50)
    saved, straight = run.checkpoint(), fa.solve(problem, network, rng=0)
    other = fa.Solver(problem, network, rng=1)
    other.restore(saved)
    other.run(10_000)
    np.testing.assert_array_equal(other.result().x_agents, straight.x_agents)
    if "c" not in MISSING:
        together = fa.solve(problem, network, engine="c", workers=2, rng=0, max_epochs=20_000)
        assert together.success
        assert together.fun == pytest.approx(best.fun, abs=1e-5)


def test_a_warm_start_keeps_what_equations_push():
    """Their directions may turn and change signs: what counts is how they push."""
    problem, network = low_rank(1e4, N=10, n=6, seed=1)
    moved = fa.Problem.from_agents([
        fa.Agent(LeastSquares(1.01 * own.A, own.b + 0.01) if isinstance(own, LeastSquares) else own, Box(-1, 1))
        for own in (problem.agent(i).objective[0] for i in range(10))])
    run = fa.Solver(problem, network, rng=0)
    run.run(10_000)
    cold = fa.solve(moved, network, rng=0)
    run.update(moved)
    run.run(10_000)
    warm = run.result()
    assert warm.success
    assert warm.fun == pytest.approx(fa.solve_centralized(moved).fun, abs=1e-6)
    assert warm.epochs <= cold.epochs


@pytest.mark.parametrize(("others", "N", "share"), [
    ("linear", 10, 1), ("linear", 40, 0.25), ("ellipsoids", 10, 0.5), ("ellipsoids", 40, 0.25), ("nonnegative", 40, 1)])
def test_a_solve_goes_on_from_the_multipliers_of_a_result(others, N, share):
    """Results do not hold the equations' own. Where all is as it was there is nothing to do."""
    problem, network = low_rank(1e6, others, N=N, seed=1)
    agents = [problem.agent(i) for i in range(N)]
    moved = fa.Problem.from_agents([
        fa.Agent(Linear(own.objective[0].q * np.linspace(0.99, 1.01, problem.dim)) if i else own.objective,
                 own.regularizer, own.constraints) for i, own in enumerate(agents)])
    result = fa.solve(problem, network, rng=0)
    found = {"multipliers": result.multipliers, "consensus_multipliers": result.consensus_multipliers}
    assert fa.solve(problem, network, rng=0, x0=result.x_agents, **found).epochs == 0
    warm = fa.solve(moved, network, rng=0, x0=result.x_agents, **found)
    assert warm.success
    assert warm.fun == pytest.approx(fa.solve_centralized(moved).fun, rel=1e-5, abs=1e-5)
    assert warm.epochs <= share * fa.solve(moved, network, rng=0).epochs
    far = fa.solve(problem, network, rng=0, **found)  # from x = 0
    assert far.success and far.epochs <= 2 * result.epochs


def test_equations_settle_where_their_agents_are_at_rest():
    """By the optimality conditions: a quadratic cost, a half-space that holds x back, and what the network adds."""
    stiff = Quadratic(np.diag([1e6, 0.0]), [-2e6, 1.0])
    problem = fa.Problem.from_agents([
        fa.Agent(stiff, None, AffineInequality([[1.0, 1.0]], [1.0])), fa.Agent(Linear([1.0, 1.0]))])
    softened = stiffness.soften(problem, 1.0).problem
    theta, force = np.array([3.0, 0.0]), np.array([[7.0, -4.0], [-7.0, 4.0]])
    stiffness.settle(softened, np.zeros((2, 2)), force, theta)
    equation = next(group.term for group in softened.constraints if isinstance(group.term, SoftEquality))
    assert theta[0] == 3.0
    np.testing.assert_allclose(theta[1] * equation.A[0, 0], [-10.0, 0.0])  # the other 3 - 4 + 1 = 0 is at rest already


def test_pushes_are_carried_over():
    before, _ = stiffness.soften(mixed(), 0.0)
    now, _ = stiffness.soften(mixed(), 0.0)
    for group, _rows in stiffness.soften(mixed(), 0.0)[0].constraint_rows():
        assert group.term.n_agents is not None or not isinstance(group.term, SoftEquality)
    theta, into = np.random.default_rng(0).normal(size=before.n_rows), np.full(now.n_rows, 7.0)
    stiffness.carry(before, theta, now, into)
    soft = np.zeros(now.n_rows, dtype=bool)
    for group, rows in now.constraint_rows():
        soft[rows] = isinstance(group.term, SoftEquality)
    # the same equations, of orthonormal rows for every agent but 5, who has two blocks
    own = np.zeros(now.n_rows, dtype=bool)
    own[now.row_ptr[5] : now.row_ptr[6]] = True
    np.testing.assert_allclose(into[soft & ~own], theta[soft & ~own], atol=1e-12)
    assert (into[~soft] == 7.0).all()
    assert stiffness.are_alike(before, now)
    assert not stiffness.are_alike(before, mixed())


def test_proofs_are_of_the_problem_as_it_was_given():
    problem, network = low_rank(1e6, "linear")
    agents = [problem.agent(i) for i in range(5)]
    far = [fa.Agent(own.objective, own.regularizer, AffineInequality([[-1.0, 0, 0, 0, 0]], [-2.0]) if i == 3 else ())
           for i, own in enumerate(agents)]
    result = fa.solve(fa.Problem.from_agents(far), network, rng=0)
    assert result.status is fa.Status.INFEASIBLE
    assert [len(own) for own in result.certificate.multipliers] == [0, 0, 0, 1, 0]
    free = [fa.Agent(own.objective) for own in agents]
    result = fa.solve(fa.Problem.from_agents(free), network, rng=0)
    assert result.status is fa.Status.UNBOUNDED
    A, q = agents[0].objective[0].A, sum(own.objective[0].q for own in agents[1:])
    direction = result.certificate.direction
    assert np.linalg.norm(A @ direction) <= 1e-6 * np.linalg.norm(A)
    assert q @ direction < 0


def test_what_is_usual_beside_slopes_is_not_stiff():
    problem, network = low_rank(1.0)
    assert stiffness.soften(problem, 0.0) is not None
    assert stiffness.soften(problem, float(problem.lipschitz().max())) is None
    # the solver asks with the size of the slopes over a length
    shown = [len(fa.Solver(low_rank(factor)[0], network).checkpoint()["state"]["theta"]) for factor in (1.0, 1e3)]
    assert shown == [0, 2]


@pytest.mark.parametrize("curvature", [1e-2, 1e-5, 1e-8])
def test_costs_that_are_next_to_linear(curvature):
    """The curvature of the costs says nothing of the weight then: with it, most of these were not solved."""
    for seed in range(4):
        rng, N, n = np.random.default_rng(seed), 8, 5
        x0, q = rng.uniform(-0.5, 0.5, n), rng.normal(size=(N, n))
        P = rng.normal(size=(N, n, n))
        P = P @ np.swapaxes(P, 1, 2) / n
        center = x0 + rng.normal(size=(N, n))
        level = np.einsum("ij,ijk,ik->i", x0 - center, P, x0 - center) + 0.1
        cost = Quadratic(curvature * np.eye(n), q)
        for sets in ({"constraints": Ellipsoid(P, center, level)}, {"regularizer": Box(-1, 1)}):
            problem = fa.Problem(cost, **sets)
            result = fa.solve(problem, cycle(N), rng=seed, max_epochs=5000)
            assert result.success, result.message
            assert result.fun == pytest.approx(fa.solve_centralized(problem).fun, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("curvature", [1e-2, 1e-4, 1e-6])
def test_costs_that_are_next_to_linear_and_an_optimum_far_away(curvature):
    """Half-spaces near the origin do not hold x: it goes as far as the curvature lets it, a million units."""
    for seed in range(4):
        rng, N, n = np.random.default_rng(seed), 5, 3
        q, G = rng.normal(size=(N, n)), rng.normal(size=(N, 1, n))
        near = fa.Problem(Quadratic(curvature * np.eye(n), q), constraints=AffineInequality(G, np.ones((N, 1))))
        # the same in units of the distance, for the reference
        far = fa.Problem(Quadratic(np.eye(n), q), constraints=AffineInequality(G, np.full((N, 1), curvature)))
        best = fa.solve_centralized(far)
        result = fa.solve(near, cycle(N), rng=seed, max_epochs=1000)
        assert result.success, result.message
        np.testing.assert_allclose(result.x * curvature, best.x, atol=2e-5)


def test_slopes_that_overflow_when_squared():
    for size in (1e-200, 1e200):
        result = fa.solve(fa.Problem(Linear(np.full((3, 2), size)), Box(-1, 1)), path(3), rng=0, max_epochs=100)
        assert result.success
        np.testing.assert_allclose(result.x, [-1, -1])


@pytest.mark.parametrize(("bounded", "sets"), [
    (True, {"regularizer": Box(-1, 1)}),
    (True, {"constraints": Ellipsoid(np.diag([1.0, 2.0]), [0.5, 0.0])}),
    (False, {"constraints": Ellipsoid(np.diag([1.0, 0.0]), [0.5, 0.0])}),
    (False, {"regularizer": NonNegative(), "constraints": AffineInequality(np.ones((1, 2)), [1.0])}),
], ids=["box", "ellipsoid", "strip", "half-space"])
def test_bounded_sets_let_slopes_decide_the_first_weight(bounded, sets):
    """Without one the first weight is the geometric mean of what slopes and curvatures suggest."""
    curvature = 1e-6
    problem = fa.Problem(Quadratic(curvature * np.eye(2), [3.0, 4.0]), n_agents=3, **sets)
    assert steps._is_bounded(problem) is bounded
    weight = fa.Solver(problem, path(3), rng=0).checkpoint()["extra"]["numbers"][0]
    assert weight > 0.1 if bounded else 1e-4 < weight < 0.1


def test_a_weight_far_too_small_grows_by_more_than_four():
    """Stiff costs of one agent against those next to nothing of the others: none was solved in ten times as long."""
    rng, N, n, agents = np.random.default_rng(0), 2, 5, []
    for i in range(N):
        P = rng.normal(size=(n, n))
        P, size = P @ P.T / n + 0.01 * np.eye(n), 1e-3 if i else 1e3
        center = rng.normal(size=n)
        cost = LeastSquares(size * rng.normal(size=(2, n)), size * rng.normal(size=2))
        agents.append(fa.Agent(cost, Box(-1, 1), Ellipsoid(P, center, center @ P @ center + 0.1)))
    problem = fa.Problem.from_agents(agents)
    result = fa.solve(problem, cycle(N), rng=0, max_epochs=2000)
    assert result.success, result.message
    assert result.fun == pytest.approx(fa.solve_centralized(problem).fun, rel=1e-4)
