"""DPDA-S against its formulas written out in full, against optima and against the figures of METHODS section 2."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import CONSTRAINTS, OBJECTIVES, REGULARIZERS, built, instances, path, random_instance

import fastadapd as fa
from fastadapd.methods import DPDA


def literal(problem, network, x0, iterations, *, tau, kappa, gamma, mu, bound):
    """METHODS section 2c word for word, each agent with its neighbours: all iterates and the last multipliers."""
    N, scale = problem.n_agents, 1.0
    theta, g_old = [np.zeros(m) for m in np.diff(problem.row_ptr)], None
    x, x_old, s, X = x0.copy(), x0.copy(), np.zeros_like(x0), []
    for k in range(iterations):
        eta = 1.0
        if k > 0 and mu > 0:
            eta = 1 / np.sqrt(1 + mu * min(tau) * scale)
            scale *= eta
        s = s + gamma / scale * ((1 + eta) * x - eta * x_old)
        g = [np.concatenate([c.value(x[i]) for c in problem.agent(i).constraints] or [np.zeros(0)]) for i in range(N)]
        new = np.empty_like(x)
        for i, (costs, simple, limits) in enumerate(map(problem.agent, range(N))):
            theta[i] = theta[i] + kappa[i] / scale * ((1 + eta) * g[i] - eta * (g if k == 0 else g_old)[i])
            if limits:
                inequality = np.repeat([not c.equality for c in limits], [c.rows for c in limits])
                theta[i] = np.where(inequality, np.maximum(theta[i], 0), theta[i])
                theta[i] *= min(1, bound / max(np.linalg.norm(theta[i]), 1e-300))
            J = np.concatenate([c.jacobian(x[i]) for c in limits] or [np.zeros((0, problem.dim))])
            v = sum((f.gradient(x[i]) for f in costs), J.T @ theta[i] + sum(s[i] - s[j] for j in network.neighbors(i)))
            # strong convexity moved from f_i into the prox
            step = tau[i] * scale
            new[i] = simple.prox((x[i] - step * (v - mu * x[i])) / (1 + step * mu), step / (1 + step * mu))
        x, x_old, g_old = new, x, g
        X.append(x)
    return X, theta


def step_sizes(problem, network, options):
    """1/tau_i = L_i + T_i L_gi + kappa_i C_i^2 + 2 gamma d_i, from the numbers of the options."""
    T, C, gamma, weight = (options[k] for k in ("multiplier_bound", "jacobian_bound", "gamma", "dual_weight"))
    curvature = [
        sum(c.rows * c.curvature**2 for c in problem.agent(i).constraints) ** 0.5 for i in range(problem.n_agents)
    ]
    l = problem.lipschitz() + T * np.array(curvature)
    l = np.where(l > 0, l, l[l > 0].mean() if l.any() else 1.0)
    kappa = weight * l / C**2
    return 1 / (l + kappa * C**2 + 2 * gamma * network.degrees), kappa


@given(
    instances(max_agents=4, max_dim=3), st.integers(0, 25), st.sampled_from([0.05, 2.0]), st.sampled_from([0.0, 0.5])
)
@settings(max_examples=20)
def test_follows_the_formulas(engine, instance, iterations, bound, mu):
    problem, network = instance.problem, instance.network
    if mu > 0:  # accelerated only if every agent's cost is strongly convex
        mu = min(mu, 0.9 * problem.strong_convexity().min())
    options = {"gamma": 0.4, "dual_weight": 0.7, "multiplier_bound": bound, "jacobian_bound": 4.0}
    tau, kappa = step_sizes(problem, network, options)
    solver = fa.Solver(
        problem, network, method=DPDA(strong_convexity=mu, **options), engine=engine, tol=0, x0=np.ones(problem.dim)
    )
    x0 = solver.result().x_agents
    solver.run(iterations)
    result = solver.result()
    X, theta = literal(problem, network, x0, iterations, tau=tau, kappa=kappa, gamma=0.4, mu=mu, bound=bound)
    close = dict(rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(result.x_agents, X[-1] if X else x0, **close)
    np.testing.assert_allclose(result.x_ergodic, np.mean(X, axis=0) if X else x0, **close)
    for ours, theirs in zip(result.multipliers, theta, strict=True):
        np.testing.assert_allclose(ours, theirs, **close)


def test_accelerated_steps_follow_the_formulas(engine):
    made = built("Quadratic", "L1", "Ellipsoid", "AffineInequality", n=3)
    mu = 0.8  # every P is at least the identity
    options = {"gamma": 0.4, "dual_weight": 0.7, "multiplier_bound": 3.0, "jacobian_bound": 6.0}
    tau, kappa = step_sizes(made.problem, made.network, options)
    solver = fa.Solver(made.problem, made.network, method=DPDA(strong_convexity=mu, **options), engine=engine, tol=0)
    solver.run(200)
    X, _ = literal(made.problem, made.network, np.zeros((4, 3)), 200, tau=tau, kappa=kappa, gamma=0.4, mu=mu, bound=3.0)
    np.testing.assert_allclose(solver.result().x_agents, X[-1], rtol=1e-9, atol=1e-9)


def test_affine_constraints_give_the_published_iteration():
    """METHODS section 2a: x first, s_i = x_i + sum of the past x_i; its theta^0 is our theta^1."""
    instance = random_instance(["LeastSquares"], "L1", ["AffineInequality"], rows=2, seed=1)
    problem, network, N, gamma = instance.problem, instance.network, 4, 0.3
    A = np.stack([c.of["G"] for _, _, (c,) in instance.agents])
    b = np.stack([c.of["h"] for _, _, (c,) in instance.agents])
    C = np.linalg.norm(A, 2, axis=(1, 2))
    kappa = problem.lipschitz() / C**2
    tau = 1 / (problem.lipschitz() + 2 * gamma * network.degrees + kappa * C**2)
    start = np.random.default_rng(0).normal(size=(N, 3))
    x, past = start, [start]
    theta = np.maximum(kappa[:, None] * (np.einsum("irj,ij->ir", A, x) - b), 0)
    s = x
    for _ in range(50):
        new = np.empty_like(x)
        for i, (costs, simple, _) in enumerate(instance.agents):
            v = (
                costs[0].term().gradient(x[i])
                + A[i].T @ theta[i]
                + gamma * sum(s[i] - s[j] for j in network.neighbors(i))
            )
            new[i] = simple.term().prox(x[i] - tau[i] * v, tau[i])
        x, before = new, x
        past.append(x)
        s = x + np.sum(past[1:], axis=0)
        theta = np.maximum(theta + kappa[:, None] * (np.einsum("irj,ij->ir", A, 2 * x - before) - b), 0)
    solver = fa.Solver(problem, network, method=DPDA(gamma=gamma), x0=start, tol=0)
    solver.run(50)
    np.testing.assert_allclose(solver.result().x_agents, past[50], rtol=1e-9, atol=1e-10)


# ---- Optima ----

combinations = list(itertools.product(OBJECTIVES, REGULARIZERS, CONSTRAINTS))


def options_for(problem, x, theta):
    """Bounds that hold for what is known of the solution: twice as large as what they bound."""
    J = [
        np.linalg.norm(np.concatenate([c.jacobian(x) for c in problem.agent(i).constraints]), 2)
        for i in range(problem.n_agents)
    ]
    return {"multiplier_bound": 2 * max(0.5, *(np.linalg.norm(t) for t in theta)), "jacobian_bound": 2 * max(J)}


@pytest.mark.parametrize("objective, regularizer, constraint", combinations)
def test_reaches_the_optimum_that_a_problem_was_built_around(objective, regularizer, constraint):
    made = built(objective, regularizer, constraint, seed=2)
    method = DPDA(gamma=1.0, **options_for(made.problem, made.x, made.theta))
    result = fa.solve(made.problem, made.network, method=method, tol=1e-10, max_epochs=100_000)
    assert result.success, result
    # s grows with the iterations, and rounding in its differences with it
    np.testing.assert_allclose(result.x_agents, np.tile(made.x, (4, 1)), atol=1e-7)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_reaches_the_optimum_of_cvxpy(regularizer, constraint):
    instance = random_instance(["Linear", "LeastSquares"], regularizer, [constraint], seed=3, slack=0.5)
    best = instance.optimum()
    method = DPDA(gamma=1.0, **options_for(instance.problem, best.x, best.theta))
    result = fa.solve(instance.problem, instance.network, method=method, tol=1e-9, max_epochs=200_000)
    assert result.success, result
    np.testing.assert_allclose(result.x_agents, np.tile(best.x, (4, 1)), atol=3e-5 * max(1, np.linalg.norm(best.x)))
    np.testing.assert_allclose(result.fun, best.fun, rtol=3e-5, atol=3e-5)


# ---- The figures of METHODS, with tenfold slack ----


def methods_problem(seed):
    """One like the test problem of METHODS, made around its solution: 10 agents, 5 coordinates, 17 edges, least squares
    with 8 rows, L about 3.2, an ellipsoid each, two of them active with the multipliers 15.13 and 1.46.
    """
    rng, N, n = np.random.default_rng(seed), 10, 5
    network = fa.Network(nx.random_degree_sequence_graph([4, 4, 4, 4, 4, 3, 3, 3, 3, 2], seed=seed))
    A, x = rng.normal(size=(N, 8, n)) / np.sqrt(8), rng.normal(size=n)
    R = rng.normal(size=(N, n, n))
    Q, offset = np.swapaxes(R, 1, 2) @ R / n + 0.1 * np.eye(n), rng.normal(size=(N, n))
    J = np.einsum("ijk,ik->ij", Q, offset)
    lengths = np.linalg.norm(J, axis=1)[:, None]
    J, offset = J / lengths, offset / lengths
    theta = np.r_[15.13, 1.46, np.zeros(N - 2)]
    pull = theta[:, None] * J + network.consensus_matrix.T @ rng.normal(size=(17, n))
    b = np.stack([M @ (x + np.linalg.solve(M.T @ M, p)) for M, p in zip(A, pull, strict=True)])
    level = np.einsum("ij,ij->i", J, offset) / 2 + np.where(theta > 0, 0, rng.uniform(0.2, 1, N))
    return (
        fa.Problem(fa.objectives.LeastSquares(A, b), constraints=fa.constraints.Ellipsoid(Q / 2, x - offset, level)),
        network,
        x,
    )


def error(result, x):
    return np.linalg.norm(result.x_agents - x, axis=1).max() / np.linalg.norm(x)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("accelerated", [True, False])
def test_figures_of_the_methods_page(seed, accelerated):
    """Slater bound 235: 6.2e-5 after 4000 iterations and 1.3e-12 after 40 000; constant steps 3.2e-12."""
    problem, network, x = methods_problem(seed)
    mu = float(problem.strong_convexity().min()) if accelerated else 0.0
    method = DPDA(gamma=3.0, dual_weight=0.3, multiplier_bound=235.0, jacobian_bound=2.0, strong_convexity=mu)
    solver = fa.Solver(problem, network, method=method, tol=0)
    solver.run(4000)
    assert error(solver.result(), x) <= 10 * 6.2e-5
    solver.run(36_000)
    assert error(solver.result(), x) <= 10 * (1.3e-12 if accelerated else 3.2e-12)


def test_a_multiplier_bound_that_is_too_small_gives_a_wrong_point():
    """METHODS section 2d: 10 instead of 15.13 ends 0.166 away. The residual says so."""
    problem, network, x = methods_problem(0)
    method = DPDA(gamma=3.0, multiplier_bound=10.0, jacobian_bound=2.0)
    results = []
    for epochs in (20_000, 40_000):
        results.append(fa.solve(problem, network, method=method, max_epochs=epochs))
        assert 0.0166 < error(results[-1], x) < 1.66
        assert not results[-1].success and results[-1].residual > 1e-3
    np.testing.assert_allclose(results[0].x, results[1].x, atol=1e-9)  # it has converged
    assert np.linalg.norm(results[-1].multipliers[0]) == pytest.approx(10)


def test_the_average_falls_like_one_over_k():
    """METHODS section 2a: 4.2e-2, 1.05e-2, 2.6e-3 after 1000, 4000, 16 000 iterations."""
    made = built("LeastSquares", "L1", "AffineInequality", seed=1)
    solver, errors = fa.Solver(made.problem, made.network, method=DPDA(gamma=0.3), tol=0), []
    for more in (1000, 3000, 12_000):
        solver.run(more)
        errors.append(np.abs(solver.result().x_ergodic - made.x).max())
    assert solver.result().residual < 1e-9
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 4, rtol=1e-3)


def test_steps_beyond_the_theory_diverge():
    made = built("LeastSquares", "Zero", "AffineEquality")
    with np.errstate(all="ignore"):
        result = fa.solve(made.problem, made.network, method=DPDA(step_scale=10), max_epochs=20_000)
    assert result.status == fa.Status.DIVERGED and not result.success


# ---- Options ----


def test_what_is_sent():
    instance = random_instance(["LeastSquares"], "Box", ["AffineInequality"], N=6, n=5)
    solver = fa.Solver(instance.problem, instance.network, method="dpda-s", tol=0)
    solver.run(7)
    result = solver.result()
    assert (result.activations, result.communications, result.epochs) == (42, 42, 7)
    assert result.floats_sent == 7 * 2 * instance.network.n_edges * 5


def test_an_iteration_cannot_be_divided():
    instance = random_instance(["LeastSquares"], "Box", [], N=6)
    solver = fa.Solver(instance.problem, instance.network, method="dpda-s", tol=0)
    solver.run(1.01)
    assert solver.result().epochs == 2


CURVED = fa.Problem(
    fa.objectives.Quadratic(np.eye(2), np.zeros((3, 2))), constraints=fa.constraints.Ellipsoid(np.eye(2), [0, 0])
)
GIVEN = {"multiplier_bound": 1.0, "jacobian_bound": 1.0}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"gamma": 0}, "gamma is 0; it must be positive and finite"),
        ({"gamma": np.nan}, "gamma is nan"),
        ({"dual_weight": -1}, "dual_weight is -1"),
        ({"step_scale": np.inf}, "step_scale is inf"),
        ({"strong_convexity": -1}, "strong_convexity is -1; it must be finite and not negative"),
        ({"strong_convexity": np.nan}, "strong_convexity is nan"),
        ({}, "dpda-s: the gradients of the constraints of agent 0 are not bounded"),
        ({"jacobian_bound": 1.0}, "dpda-s needs multiplier_bound= because of curved constraints"),
        ({"jacobian_bound": 1.0, "multiplier_bound": [1, 2]}, r"multiplier_bound has shape \(2,\)"),
        (
            {"jacobian_bound": 1.0, "multiplier_bound": [1, 0, 1]},
            "multiplier_bound of agent 1 is 0.0; it must be positive",
        ),
        ({"jacobian_bound": [[1]], "multiplier_bound": 1.0}, r"jacobian_bound has shape \(1, 1\)"),
        (GIVEN | {"strong_convexity": 1.1}, "strong_convexity is 1.1 but agent 0 has only 1"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        fa.Solver(CURVED, path(3), method=DPDA(**options))


def test_consensus_multipliers_are_one_vector_per_agent():
    with pytest.raises(fa.InvalidOptionError, match=r"dpda-s keeps one vector per agent, shape \(3, 2\)"):
        fa.Solver(CURVED, path(3), method=DPDA(**GIVEN), consensus_multipliers=np.zeros((2, 2)))
