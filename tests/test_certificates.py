"""Proofs that a problem has no optimum: each is checked anew, and what has an optimum is never said to have none."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from strategies import REGULARIZERS, built, instances, path, random_instance, random_network

import fastadapd as fa
from fastadapd import certificates
from fastadapd.certificates import Tangents
from fastadapd.constraints import AffineEquality, AffineInequality, Ellipsoid
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.regularizers import Box

seeds = st.integers(0, 2**32 - 1)


def boxes(problem):
    """The common part of the agents' boxes."""
    low, high = np.full(problem.dim, -np.inf), np.full(problem.dim, np.inf)
    for simple in (problem.agent(i).regularizer for i in range(problem.n_agents)):
        if isinstance(simple, Box):
            low, high = np.maximum(low, simple.lower), np.minimum(high, simple.upper)
        elif isinstance(simple, fa.regularizers.NonNegative):
            low = np.maximum(low, 0.0)
    return low, high


def weighted_sum(problem, theta, points):
    """sum_i theta_i' g_i at every point, from the agents' own terms; and the sum of its absolute parts."""
    total, size = np.zeros(len(points)), np.zeros(len(points))
    for i in range(problem.n_agents):
        first = 0
        for term in problem.agent(i).constraints:
            parts = term.value(points) * theta[i][first : first + term.rows]
            assert term.equality or (theta[i][first : first + term.rows] >= 0).all()
            total, size, first = total + parts.sum(axis=1), size + np.abs(parts).sum(axis=1), first + term.rows
    return total, size


def assert_proven(problem, proof, x, seed=0):
    """The sum is positive at random points of the box, near and far, at its corners and where a descent ends."""
    rng, n, radius = np.random.default_rng(seed), problem.dim, proof.radius
    low, high = boxes(problem)
    far = rng.uniform(-1, 1, (2000, n)) * radius * np.exp(rng.uniform(np.log(1e-6), 0, (2000, 1)))
    corners = rng.choice([-radius, radius], (500, n))
    points = np.clip(np.clip(x + np.concatenate([far, corners, 0 * corners]), low, high), x - radius, x + radius)
    total, size = weighted_sum(problem, proof.multipliers, points)
    assert (total > -1e-12 * size).all() and total[-1] > 0
    # numbers beyond rounding: the lowest of all these points, and from there downhill
    lowest = points[np.argmin(total)]
    for _ in range(200):
        tries = np.clip(
            np.clip(lowest + rng.normal(size=(20, n)) * np.exp(rng.uniform(-9, 6)), low, high), x - radius, x + radius
        )
        values, _ = weighted_sum(problem, proof.multipliers, tries)
        if values.min() < weighted_sum(problem, proof.multipliers, lowest[None])[0][0]:
            lowest = tries[np.argmin(values)]
    assert weighted_sum(problem, proof.multipliers, lowest[None])[0][0] > 0


def balls(rng, n, N):
    """Two of the balls are apart; some more around the first one."""
    normal = rng.normal(size=n)
    normal /= np.linalg.norm(normal)
    radii, centers = rng.uniform(0.5, 1.5, N), rng.normal(size=n) + 0.2 * rng.normal(size=(N, n))
    centers[1] = centers[0] + (radii[0] + radii[1] + rng.uniform(0.1, 1)) * normal
    return fa.Problem(
        Quadratic(np.eye(n), rng.normal(size=(N, n))), constraints=Ellipsoid(np.eye(n), centers, radii**2)
    )


def half_spaces(rng, n, N):
    """n + 1 half-spaces whose normals have a positive combination 0, all moved away from a point."""
    normals = rng.normal(size=(N, n))
    count = min(n + 1, N)
    weights = rng.uniform(0.5, 2, count)
    normals[count - 1] = -weights[:-1] @ normals[: count - 1] / weights[-1]
    sides = normals @ rng.normal(size=n) + rng.uniform(0.5, 1, N)
    sides[:count] -= rng.uniform(0.2, 1) + 1
    return fa.Problem(
        LeastSquares(rng.normal(size=(N, 2, n)), rng.normal(size=(N, 2))),
        constraints=AffineInequality(normals[:, None], sides[:, None]),
    )


def box_and_equation(rng, n, N):
    """a'x = more than the largest value on the box, by one agent."""
    a = rng.normal(size=n)
    top = np.abs(a).sum()
    b = np.r_[top + rng.uniform(0.1, 1), np.zeros(N - 1)]
    A = np.concatenate([a[None], np.zeros((N - 1, n))])
    return fa.Problem(Linear(rng.normal(size=n)), Box(-1, 1), AffineEquality(A[:, None], b[:, None]))


@pytest.mark.parametrize("make", [balls, half_spaces, box_and_equation])
@pytest.mark.parametrize("seed", range(10))
def test_contradictions_are_proven(make, seed):
    rng = np.random.default_rng(seed)
    n, N = int(rng.integers(1, 5)), int(rng.integers(3, 7))
    n = min(n, N - 1)
    problem = make(rng, n, N)
    result = fa.solve(problem, random_network(N, rng), rng=0, max_epochs=2_000)
    assert result.status == fa.Status.INFEASIBLE and not result.success
    proof = result.certificate
    assert proof.kind == "infeasible" and proof.direction is None and proof.radius > 0
    assert len(set(proof.agents)) == len(proof.agents) and set(proof.agents) <= set(range(N))
    assert_proven(problem, proof, result.x)
    if make is balls:
        assert 1 in proof.agents
    if make is box_and_equation:
        assert proof.agents == (0,)


@given(instances(), seeds, st.sampled_from([1e-3, 1.0, 1e6]), st.sampled_from([1.0, 1e3]))
@settings(max_examples=200)
def test_no_multipliers_prove_what_is_false(instance, seed, size, length):
    """All sets of these problems have a point in common, with coordinates from 0 to 1."""
    problem, rng = instance.problem, np.random.default_rng(seed)
    theta, free = (
        size * rng.normal(size=problem.n_rows) * rng.integers(2, size=problem.n_rows),
        np.zeros(problem.n_rows),
    )
    for group, rows in problem.constraint_rows():
        free[rows] = group.term.equality
    theta = np.where(free > 0, theta, np.abs(theta))
    for x in (np.zeros(problem.dim), 100 * rng.normal(size=problem.dim)):
        assert certificates.infeasible(Tangents(problem, x, length), theta) is None


@given(instances(), seeds, st.sampled_from([1e-3, 1.0, 1e6]), st.sampled_from([1.0, 1e3]))
@settings(max_examples=200)
def test_no_forces_part_what_meets(instance, seed, size, length):
    problem, rng = instance.problem, np.random.default_rng(seed)
    theta = size * np.abs(rng.normal(size=problem.n_rows)) * rng.integers(2, size=problem.n_rows)
    force = size * rng.normal(size=(problem.n_agents, problem.dim))
    for x in (np.zeros(problem.dim), 100 * rng.normal(size=problem.dim)):
        assert certificates.sets_apart(Tangents(problem, x, length), theta, force) is None


@pytest.mark.parametrize("seed", range(6))
def test_balls_that_do_not_meet_are_parted_by_forces(seed):
    """Two of six balls are apart; the forces alone part them, whatever points the agents choose from their balls."""
    rng = np.random.default_rng(seed)
    center, way = 0.3 * rng.normal(size=(6, 3)), rng.normal(size=3)
    center[4] = center[2] + rng.uniform(2.05, 3) * way / np.linalg.norm(way)
    problem = fa.Problem(Quadratic(np.eye(3), rng.normal(size=(6, 3))), fa.regularizers.L2Ball(1.0, center))
    result = fa.solve(problem, random_network(6, rng), rng=0)
    assert result.status == fa.Status.INFEASIBLE and set(result.certificate.agents) & {2, 4}
    forces = result.certificate.forces
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-9 * np.abs(forces).max())
    on_sphere = rng.normal(size=(2000, 6, 3))
    on_sphere /= np.linalg.norm(on_sphere, axis=2, keepdims=True)
    on_sphere[0] = -forces / np.maximum(np.linalg.norm(forces, axis=1, keepdims=True), 1e-300)  # the worst of all
    assert (((center + on_sphere) * forces).sum(axis=(1, 2)) > 0).all()


def test_a_ball_and_a_half_space_of_others_are_parted():
    agents = [
        fa.Agent(Linear([1.0, 0.0]), fa.regularizers.L2Ball(1.0)),
        fa.Agent(constraints=AffineInequality([[-1.0, -1.0]], [-3.0])),
        fa.Agent(Linear([0.0, 1.0])),
    ]
    result = fa.solve(fa.Problem.from_agents(agents), path(3), rng=0)
    assert result.status == fa.Status.INFEASIBLE and set(result.certificate.agents) == {0, 1}
    assert "agents 0 and 1" in result.message or "agents 1 and 0" in result.message


@pytest.mark.parametrize("seed", range(6))
def test_sets_that_meet_in_one_point_are_not_apart(seed):
    """Thirty ellipsoids whose normals at the optimum leave no direction: by rounding they seem to miss each other."""
    instance = built("Quadratic", "Box", "Ellipsoid", N=30, n=3, seed=seed)
    result = fa.solve(instance.problem, instance.network, rng=0, tol=1e-8)
    assert result.status == fa.Status.SOLVED
    np.testing.assert_allclose(result.x, instance.x, atol=1e-7)


@pytest.mark.parametrize("equality", [False, True])
def test_sets_that_meet_far_away_contradict_each_other_here_only(equality):
    """y <= 0 and y >= 1 + 1e-5 x meet where x <= -1e5."""
    kind = AffineEquality if equality else AffineInequality
    theta = np.array([1.0, 1.0])
    problem = fa.Problem(constraints=kind([[[0.0, 1.0]], [[1e-5, -1.0]]], [[0.0], [-1.0]]))
    multipliers, weights, radius = certificates.infeasible(Tangents(problem, np.zeros(2), 1.0), theta)
    assert radius == 1e3 and weights.sum() == 1
    np.testing.assert_array_equal(multipliers, theta)
    assert certificates.infeasible(Tangents(problem, np.zeros(2), 1e3), theta) is None


@pytest.mark.parametrize("equality", [False, True])
def test_multipliers_that_carry_the_slope_of_a_cost_prove_what_is_left_without_it(equality):
    """x <= 0 and x >= 1: multipliers (1, 1.1) prove it as far as -10, (1.05, 1.05) everywhere."""
    kind = AffineEquality if equality else AffineInequality
    problem = fa.Problem(constraints=kind([[[1.0]], [[-1.0]]], [[0.0], [-1.0]]))
    multipliers, weights, radius = certificates.infeasible(Tangents(problem, np.zeros(1), 1.0), np.array([1.0, 1.1]))
    assert radius == 1e3 and weights.sum() > 0
    assert multipliers[0] == pytest.approx(multipliers[1]) and 1 < multipliers[0] < 1.1
    assert certificates.infeasible(Tangents(problem, np.zeros(1), 1.0), np.array([1.1, -1.0])) is None


@pytest.mark.parametrize("simple", ["box", "nonnegative"])
def test_boxes_that_do_not_meet_need_no_multipliers(simple):
    """At once, everywhere, and by the two whose bounds they are."""
    agents = [fa.Agent(Quadratic(np.eye(2), np.ones(2))) for _ in range(4)]
    agents[1] = fa.Agent(regularizer=Box([-5, -5], [5, -1.0]))
    agents[3] = fa.Agent(regularizer=fa.regularizers.NonNegative() if simple == "nonnegative" else Box(-0.5, 3))
    result = fa.solve(fa.Problem.from_agents(agents), path(4), rng=0)
    assert result.status == fa.Status.INFEASIBLE and not result.success
    assert set(result.certificate.agents) == {1, 3} and result.certificate.radius == np.inf
    meeting = [*agents[:3], fa.Agent(regularizer=Box(-1, 3))]
    assert fa.solve(fa.Problem.from_agents(meeting), path(4), rng=0, tol=1e-5).success


def test_nothing_is_proven_by_nothing():
    problem = fa.Problem(constraints=Ellipsoid(np.eye(2), [[0, 0], [9, 0]]))
    x = np.zeros(2)
    assert certificates.infeasible(Tangents(problem, x, 1.0), np.zeros(2)) is None
    assert certificates.infeasible(Tangents(problem, x, 1.0), np.array([1.0, 0.0])) is None
    assert certificates.infeasible(Tangents(problem, x, 1.0), np.full(2, np.nan)) is None
    assert certificates.infeasible(Tangents(problem, x, 1.0), np.array([1.0, 1.0])) is not None


# ---- Unbounded ----


def falling(rng):
    """Linear costs, some with half-spaces or a cone that contain a way down, over up to 5 agents."""
    N, n = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    q, kind = rng.normal(size=(N, n)), rng.integers(3)
    if kind == 0:
        return fa.Problem(Linear(q))
    if kind == 1:
        G = rng.normal(size=(N, 1, n))
        G *= np.sign(G @ q.sum(axis=0))[..., None]
        return fa.Problem(Linear(q), constraints=AffineInequality(G, rng.uniform(0, 2, (N, 1))))
    q[:, 0] = -np.abs(q[:, 0])
    return fa.Problem(Linear(q), fa.regularizers.NonNegative())


def test_falls_without_end():
    """A proof is checked anew; not every fall is followed far enough for one, but none ends in a success."""
    proven = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        problem = falling(rng)
        result = fa.solve(problem, random_network(problem.n_agents, rng), rng=0, max_epochs=20_000)
        assert result.status in (fa.Status.UNBOUNDED, fa.Status.STALLED, fa.Status.MAX_EPOCHS) and not result.success
        if result.status != fa.Status.UNBOUNDED:
            continue
        proven += 1
        proof, d = result.certificate, result.certificate.direction
        assert proof.kind == "unbounded" and proof.multipliers is None and proof.agents
        np.testing.assert_allclose(np.linalg.norm(d), 1)
        values = [problem.values(result.x + t * proof.radius * d).sum() for t in (0, 0.5, 1)]
        assert values[0] > values[1] > values[2]
        far = result.x + proof.radius * d
        for agent in map(problem.agent, range(problem.n_agents)):
            for term in agent.constraints:
                assert (term.value(far) <= 1e-6 * proof.radius * term.row_norms(far)).all()
            assert agent.regularizer.distance(far) <= 1e-6 * proof.radius
    assert proven >= 10


@given(instances(), seeds, st.integers(4, 12))
@settings(max_examples=200)
def test_no_direction_of_a_problem_that_is_bounded(instance, seed, digits):
    """Wherever the iterates may have got to."""
    problem = instance.problem
    bounded = problem.strong_convexity().sum() > 1e-3 or any(
        isinstance(problem.agent(i).regularizer, (Box, fa.regularizers.L2Ball)) for i in range(problem.n_agents)
    )
    rng = np.random.default_rng(seed)
    x = 10.0**digits * rng.normal(size=problem.dim)
    if bounded:
        for earlier in (x, 0.9 * x, x - 0.1 * 10.0**digits * rng.normal(size=problem.dim)):
            assert certificates.unbounded(problem, x, earlier, 1.0) is None


@pytest.mark.parametrize("radius", [1e9, 1e10, 1e13])
@pytest.mark.parametrize("kind", ["box", "ball", "ellipsoid"])
def test_a_set_that_ends_far_away_is_no_fall_without_end(kind, radius):
    simple = {"box": Box(-radius, radius), "ball": fa.regularizers.L2Ball(radius), "ellipsoid": None}[kind]
    constraint = [Ellipsoid(np.eye(2), np.zeros(2), radius**2)] if kind == "ellipsoid" else []
    problem = fa.Problem(Linear([[1.0, 0.0], [0.0, 1.0]]), simple, constraint)
    assert fa.solve(problem, path(2), rng=0, max_epochs=2000).status != fa.Status.UNBOUNDED


def test_a_wedge_that_closes_far_away_is_no_fall_without_end():
    """Two half-spaces that are nearly parallel: the optimum is at 1e6."""
    Q = np.array([[np.cos(0.7), np.sin(0.7)], [-np.sin(0.7), np.cos(0.7)]])
    agents = [
        fa.Agent(Linear(np.array([-1.0, 0.0]) @ Q), None, AffineInequality(np.array([[1e-6, -1.0]]) @ Q, [0.0])),
        fa.Agent(None, None, AffineInequality(np.array([[0.0, 1.0]]) @ Q, [1.0])),
    ]
    result = fa.solve(fa.Problem.from_agents(agents), path(2), rng=0, max_epochs=2000)
    assert result.status != fa.Status.UNBOUNDED


def test_a_fall_that_ends_is_no_fall_without_end():
    """|x| - x is bounded below; so is a slope down to the boundary of a set, and a parabola that is flat at first."""
    x = np.array([1e7])
    for problem in (
        fa.Problem(Linear([[-1.0]]), fa.regularizers.L1(1.0)),
        fa.Problem(Linear([[-1.0]]), Box(-np.inf, 1e8)),
        fa.Problem(Linear([[-1.0]]), constraints=AffineInequality([[1.0]], [1e8])),
        fa.Problem(Quadratic([[1e-9]], [[-1.0]])),
    ):
        for at, earlier in ((x, x), (x, 0.9 * x), (1e-4 * x, 0.9e-4 * x)):
            assert certificates.unbounded(problem, at, earlier, 1.0) is None
    for problem in (
        fa.Problem(Linear([[-1.0]]), fa.regularizers.L1(0.5)),
        fa.Problem(Linear([[-1.0]]), Box(0, np.inf)),
        fa.Problem(Linear([[-1.0]]), constraints=AffineInequality([[-1.0]], [0.0])),
    ):
        direction, radius = certificates.unbounded(problem, x, x, 1.0)
        assert direction == 1 and radius == 1e10
        assert certificates.unbounded(problem, x / 10, x / 10, 1.0) is None  # not far enough away yet, ...
        assert certificates.unbounded(problem, x / 10, x / 11, 1.0) == (1, 1e9)  # ... unless it moves there
        assert certificates.unbounded(problem, x / 1e5, x / 1.1e5, 1.0) is None
        assert certificates.unbounded(problem, -x, -0.9 * x, 1.0) in (None, (1, 1e10))  # not where it came from


def test_a_slow_fall_is_seen_from_the_movement():
    """Without end along a flat direction of a curved cost: x itself has other parts for long."""
    problem = fa.Problem(Quadratic(np.diag([1.0, 0.0]), [[1.0, 1.0], [0, 0], [2, 0]]), fa.regularizers.L1(0.1))
    result = fa.solve(problem, path(3), rng=0, max_epochs=20_000)
    assert result.status == fa.Status.UNBOUNDED and not result.success
    np.testing.assert_allclose(result.certificate.direction, [0, -1], atol=1e-6)


# ---- Whole runs ----


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("seed", range(8))
def test_a_problem_with_an_optimum_is_never_said_to_have_none(regularizer, seed):
    kinds = [["Ellipsoid"], ["AffineInequality", "AffineEquality"], ["QuadraticInequality"], []][seed % 4]
    instance = random_instance(["Linear", "LeastSquares"], regularizer, kinds, seed=seed, slack=1e-3)
    for memory in (0, 15):
        method = fa.methods.ADAPD(memory=memory)
        result = fa.solve(instance.problem, instance.network, method=method, rng=0, tol=1e-7, max_epochs=5000)
        assert result.status in (fa.Status.SOLVED, fa.Status.MAX_EPOCHS, fa.Status.STALLED)
        assert result.certificate is None


def test_a_bound_far_away_is_one():
    """A box, turned by 45 degrees, whose far side is a row at 1e10."""
    G = np.sqrt(0.5) * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    cost = fa.objectives.Linear(G[1] - G[0])
    rows = fa.constraints.AffineInequality(G, [1e10, 1.0, 1.0, 1.0])
    problem = fa.Problem.from_agents([fa.Agent(cost, None, rows), fa.Agent(cost)])
    for rng in range(3):
        result = fa.solve(problem, fa.Network([(0, 1)]), rng=rng, max_epochs=3000)
        assert result.status is not fa.Status.UNBOUNDED, result
    open_ended = fa.Problem.from_agents([fa.Agent(cost, None, fa.constraints.AffineInequality(G[1:], np.ones(3))),
                                         fa.Agent(cost)])
    assert fa.solve(open_ended, fa.Network([(0, 1)]), rng=0).status is fa.Status.UNBOUNDED


@pytest.mark.parametrize("equations", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_falls_where_a_far_larger_cost_does_not_curve(seed, equations):
    """The curved cost is much larger than the slopes; what the iterates are beside the way down must not hide it."""
    rng = np.random.default_rng(seed)
    A, q = 1e3 * rng.normal(size=(2, 5)), rng.normal(size=(4, 5))
    first = fa.Agent(LeastSquares(A, 1e3 * rng.normal(size=2)))
    if equations:
        first = fa.Agent(constraints=AffineEquality(A, rng.normal(size=2)))
    problem = fa.Problem.from_agents([first, *(fa.Agent(Linear(each)) for each in q)])
    result = fa.solve(problem, path(5), rng=0, max_epochs=20_000)
    assert result.status == fa.Status.UNBOUNDED
    d = result.certificate.direction
    assert np.linalg.norm(A @ d) < 1e-8 * np.linalg.norm(A) and q.sum(axis=0) @ d < 0
    assert set(result.certificate.agents) <= {i + 1 for i in range(4) if q[i] @ d < 0}


@given(seeds, st.floats(-8, 8), st.integers(4, 12))
def test_no_fall_where_slopes_cancel(seed, size, digits):
    """Costs of low rank with slopes that add up to 0 where none of them curves: bounded, by nothing but rounding."""
    rng = np.random.default_rng(seed)
    A, q = 10.0**size * rng.normal(size=(2, 5)), rng.normal(size=(3, 5))
    q[2] = A.T @ rng.normal(size=2) - q[0] - q[1]
    problem = fa.Problem.from_agents([fa.Agent(LeastSquares(A, rng.normal(size=2))),
                                      *(fa.Agent(Linear(each)) for each in q)])
    x = 10.0**digits * rng.normal(size=5)
    for earlier in (x, 0.9 * x, x - 0.1 * 10.0**digits * rng.normal(size=5)):
        for tol in (np.inf, 1e-6, 0.0):
            assert certificates.unbounded(problem, x, earlier, 1.0, tol) is None


def linear_program(rng):
    """Of any kind: 3 to 6 agents with half-spaces, some with equations; x >= 0 in half of the programs."""
    N, n = int(rng.integers(3, 7)), int(rng.integers(3, 9))
    inside, scale = rng.uniform(0, 1, n), 10.0 ** rng.uniform(-3, 3)
    q, G = scale * rng.normal(size=(N, n)), rng.normal(size=(N, 2, n))
    h = G @ inside + rng.uniform(0, 1, (N, 2))
    if rng.random() < 0.3:  # most of these have no point left
        h -= 1.0 + rng.uniform(0, 1, h.shape)
    A = rng.normal(size=(2, 1, n))
    b = A @ inside
    agents = [fa.Agent(Linear(q[i]), None, [AffineInequality(G[i], h[i])]) for i in range(N)]
    for i in range(2):
        agents[i].constraints.append(AffineEquality(A[i], b[i]))
    signed = bool(rng.integers(2))
    if signed:
        agents[-1] = fa.Agent(Linear(q[-1]), fa.regularizers.NonNegative(), agents[-1].constraints)
    bounds = (0 if signed else None, None)
    highs = linprog(q.sum(axis=0), G.reshape(-1, n), h.ravel(), A[:, 0], b[:, 0], bounds)
    return fa.Problem.from_agents(agents), highs, q.sum(axis=0)


@pytest.mark.parametrize("seed", range(40))
def test_linear_programs_as_highs_judges_them(seed):
    """There may be a way down, or a contradiction, that the iterates take very long to find."""
    rng = np.random.default_rng(seed)
    problem, highs, q = linear_program(rng)
    result = fa.solve(problem, random_network(problem.n_agents, rng), rng=0, max_epochs=5_000)
    expected = {0: fa.Status.SOLVED, 2: fa.Status.INFEASIBLE, 3: fa.Status.UNBOUNDED}
    assert result.status == expected[highs.status]
    if result.status == fa.Status.SOLVED:
        np.testing.assert_allclose(result.fun, highs.fun, rtol=1e-4, atol=1e-4 * np.abs(q).max())
    elif result.status == fa.Status.INFEASIBLE:
        assert_proven(problem, result.certificate, result.x)
    else:
        d = result.certificate.direction
        assert q @ d < -1e-6 * np.linalg.norm(q)
        for agent in map(problem.agent, range(problem.n_agents)):
            for term in agent.constraints:
                change = term.jacobian(d) @ d
                assert ((np.abs(change) if term.equality else change) < 1e-9).all()
            assert agent.regularizer.distance(1e6 * d) < 1e-3


@given(instances(), seeds, st.sampled_from([1.0, 1e3]))
@settings(max_examples=50)
def test_nearest_point_of_all_tangents(instance, seed, length):
    """As CVXPY finds it; all sets of these problems have a point in common, so that there is no contradiction."""
    problem, rng = instance.problem, np.random.default_rng(seed)
    at = Tangents(problem, 3 * rng.normal(size=problem.dim), length)
    nearest, theta = at.nearest
    assert theta is None
    y, (low, high) = cp.Variable(problem.dim), boxes(problem)
    tangents = at.values + at.gradients @ (y - at.x)
    sides = [tangents[~at.equality] <= 0, tangents[at.equality] == 0]
    sides += [y[np.isfinite(low)] >= low[np.isfinite(low)], y[np.isfinite(high)] <= high[np.isfinite(high)]]
    cp.Problem(cp.Minimize(cp.sum_squares(y - at.x)), sides).solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(nearest, y.value, atol=1e-5)


@pytest.mark.parametrize("gap", [10.0, 1.0, 1e-3, 1e-5])
def test_half_spaces_that_contradict_each_other_have_no_nearest_point(gap):
    above, below = AffineInequality([[0.0, -1.0]], [-1.0]), AffineInequality([[0.0, 1.0]], [1.0 - gap])
    problem = fa.Problem.from_agents([fa.Agent(None, None, above), fa.Agent(None, None, below)])
    at = Tangents(problem, np.array([3.0, 0.3]), 1.0)
    point, theta = at.nearest
    assert point is None and not certificates.is_feasible(at)
    np.testing.assert_allclose(theta, 1 / gap, rtol=1e-6)
    assert certificates.infeasible(at, theta) is not None


@pytest.mark.parametrize("width", [1e2, 2e3, 1e4, 1e6])
def test_sets_that_meet_far_away_are_no_contradiction(width):
    """A wedge, 1 <= y <= x / width, whose optimum is (width, 1): within the radius of a proof, or beyond."""
    cost = Quadratic(np.eye(2), [0.0, 0.0])
    wedge = [AffineInequality([[0.0, -1.0]], [-1.0]), AffineInequality([[-1 / width, 1.0]], [0.0])]
    problem = fa.Problem.from_agents([fa.Agent(cost, None, side) for side in wedge])
    for epochs in (100, 1000, 3000):
        result = fa.solve(problem, path(2), rng=0, max_epochs=epochs)
        assert result.status in (fa.Status.SOLVED, fa.Status.MAX_EPOCHS)


@pytest.mark.parametrize("size", [1e-70, 1e-165])
def test_lengths_that_underflow(size):
    first = fa.Agent(None, None, AffineInequality([[1.0, 0.0]], [size * size]))
    problem = fa.Problem.from_agents([first, fa.Agent(Linear([0.0, 1.0])), fa.Agent(Linear([0.0, -2.0]))])
    assert not fa.solve(problem, path(3), rng=0, max_epochs=500).success


@pytest.mark.parametrize("width", [1e3, 1e5, 1e6])
def test_a_nearest_point_that_is_far_away(width):
    wedge = [AffineInequality([[0.0, -1.0]], [-1.0]), AffineInequality([[-1 / width, 1.0]], [0.0])]
    at = Tangents(fa.Problem.from_agents([fa.Agent(None, None, side) for side in wedge]), np.zeros(2), 1.0)
    point, theta = at.nearest
    assert np.linalg.norm(point - [width, 1.0]) <= 1e-9 * width
    assert theta is None and certificates.is_feasible(at)
