"""AD-APD against its formulas written out in full, against APD, against optima and against the rate of its theory."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    BOUNDED,
    CONSTRAINTS,
    OBJECTIVES,
    REGULARIZERS,
    Numbers,
    built,
    draw_numbers,
    instances,
    path,
    random_instance,
    stacked,
)

import fastadapd as fa
from fastadapd.constraints import AffineInequality, Ellipsoid
from fastadapd.methods import ADAPD, adapd
from fastadapd.objectives import Quadratic
from fastadapd.regularizers import Box, L2Ball, NonNegative

momenta = pytest.mark.parametrize("momentum", ["local", "global"])


def literal(problem, network, agents, x0, *, momentum, tau, sigma, gamma, relaxation=1.0, local_steps=1):
    """DESIGN section 2 word for word: every iterate is kept, and both extrapolations look back among them.

    tau and sigma are functions of agent, Jacobian and curvature, gamma one of a row. With relaxation every update goes
    that many times as far, and the extrapolations look at where x would be without. Where only its own update needs a
    multiplier's last s, the solver keeps what is left without it. Several local steps are on the augmented Lagrangian,
    and the multipliers of the agent's edges move once before them.
    """
    B, N, rho = network.consensus_matrix.toarray(), problem.n_agents, relaxation
    owned = [np.flatnonzero(B[:, i]) if network.form == "edge" else [i] for i in range(N)]
    terms = [problem.agent(i) for i in range(N)]
    rows = [[c.rows for c in own.constraints] for own in terms]

    def g(i, x):
        return np.concatenate([np.zeros(0), *(c.value(x[i]) for c in terms[i].constraints)])

    def local_hat(now, then):
        return 2 * (then + (now - then) / rho) - then

    X, theta = [x0.copy()], [np.zeros(sum(own)) for own in rows]
    lam, g_at_last_wake, s_at_last_update = np.zeros((len(B), problem.dim)), [g(i, x0) for i in range(N)], B @ x0
    for i in agents:
        now, before = X[-1].copy(), X[-2] if len(X) > 1 else X[-1]
        costs, simple, limits = terms[i]
        for r in owned[i]:
            s = B[r] @ now
            if local_steps > 1:
                lam[r] += (2 if local_steps == 2 else 1.6) * gamma(r) * s
            else:
                s_hat = local_hat(s, s_at_last_update[r]) if momentum == "local" else s + N * (s - B[r] @ before)
                lam[r] += rho * gamma(r) * s_hat
            s_at_last_update[r] = s
        for _ in range(local_steps):
            J = np.concatenate([np.zeros((0, problem.dim)), *(c.jacobian(now[i]) for c in limits)])
            known = i, J, theta[i] @ np.repeat([float(c.curvature) for c in limits], rows[i])
            g_now = g(i, now)
            g_hat = local_hat(g_now, g_at_last_wake[i]) if momentum == "local" else g_now + N * (g_now - g(i, before))
            lowest = np.where(np.repeat([c.equality for c in limits], rows[i]).astype(bool), -np.inf, 0)
            raised = np.maximum(theta[i] + sigma(*known) * g_hat, lowest)
            theta[i] = np.maximum(theta[i] + rho * (raised - theta[i]), lowest)
            g_at_last_wake[i] = g_now
            seen = lam.copy()
            if local_steps > 1:  # the slope of gamma_r |s_r|^2 too
                for r in owned[i]:
                    seen[r] += 2 * gamma(r) * (B[r] @ now)
            v = sum((f.gradient(now[i]) for f in costs), J.T @ theta[i] + B[:, i] @ seen)
            goal = simple.prox(now[i] - tau(*known) * v, tau(*known))
            moved = now[i] + rho * (goal - now[i])
            if isinstance(simple, fa.regularizers.L1):
                moved[goal == 0] = 0  # zeros stay zeros
            now[i] = simple.prox(moved) if simple.is_set else moved
        X.append(now)
    if network.form == "edge" and momentum == "local" and local_steps == 1:
        lam -= (2 - rho) * np.array([gamma(r) for r in range(len(B))])[:, None] * s_at_last_update
    return X, np.concatenate(theta), lam


def assert_follows(solver, X, theta, lam):
    """The state of a run, and its ergodic average, which it keeps lazily."""
    result, N, K = solver.result(), len(X[0]), len(X) - 1
    brute_force = (N * X[K] + sum(X[1:K], np.zeros_like(X[0]))) / (K + N - 1) if K else X[0]
    close = dict(rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(result.x_agents, X[-1], **close)
    np.testing.assert_allclose(result.x_ergodic, brute_force, **close)
    np.testing.assert_allclose(np.concatenate(result.multipliers), theta, **close)
    np.testing.assert_allclose(result.consensus_multipliers, lam, **close)


@pytest.mark.parametrize("momentum, local_steps", [("local", 1), ("local", 2), ("local", 3), ("global", 1)])
@given(instances(max_agents=4, max_dim=3), st.integers(0, 150), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_fixed_steps_follow_the_formulas(engine, momentum, local_steps, instance, activations, seed):
    problem, network, rng = instance.problem, instance.network, np.random.default_rng(seed)
    local_steps = local_steps if network.form == "edge" else 1
    N, R = problem.n_agents, network.consensus_matrix.shape[0]
    tau, sigma, gamma = (rng.uniform(0.005, 0.05, k) for k in (N, N, R))
    agents = rng.integers(N, size=activations)
    method = ADAPD(momentum=momentum, steps=fa.FixedSteps(tau, sigma, gamma), local_steps=local_steps)
    solver = fa.Solver(
        problem, network, method=method, engine=engine, clock=agents, tol=0, x0=rng.uniform(size=(N, problem.dim))
    )
    x0 = solver.result().x_agents
    solver.run(activations / N)
    assert_follows(
        solver,
        *literal(
            problem,
            network,
            agents,
            x0,
            momentum=momentum,
            local_steps=local_steps,
            tau=lambda i, *_: tau[i],
            sigma=lambda i, *_: sigma[i],
            gamma=lambda r: gamma[r],
        ),
    )


@pytest.mark.parametrize(
    "momentum, relaxation, local_steps, consensus",
    [
        *(option for kind in ("edge", "metropolis")
          for option in (("local", 1.0, 1, kind), ("local", 1.4, 1, kind), ("global", 1.0, 1, kind))),
        ("local", 1.3, 2, "edge"), ("local", 1.0, 5, "edge"),
    ],
)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_adaptive_steps_follow_the_formulas(momentum, relaxation, local_steps, consensus, constraint):
    """1/tau_i = l_i + 2 w a_i and gamma_r = w / sum_j |B_rj|; each of b blocks has the step w a_i / (b |J_r|^2) for its
    rows, over the squared norm of the block with rows scaled to 1. With global momentum dual steps are N times shorter.
    """
    instance = random_instance(
        ["Quadratic", "LeastSquares"], "L1", [constraint, "Ellipsoid"], consensus=consensus, rows=2, n=4
    )
    problem, network, w, N = instance.problem, instance.network, 0.3, 4
    B, L = np.abs(network.consensus_matrix.toarray()), problem.lipschitz()
    a, price = B.sum(axis=0), N if momentum == "global" else 1

    def sigma(i, J, _):
        lengths = np.linalg.norm(J, axis=1)
        blocks = np.split(J / lengths[:, None], [len(J) - 1])
        norms = np.repeat([np.linalg.norm(block, 2) ** 2 for block in blocks], [len(block) for block in blocks])
        return w * a[i] / (2 * price * lengths**2 * norms)

    agents = np.random.default_rng(0).integers(N, size=10 * N)  # up to the first change of the weight
    solver = fa.Solver(
        problem, network, method=ADAPD(momentum=momentum, weight=w, relaxation=relaxation, local_steps=local_steps),
        clock=agents, tol=0,
    )
    solver.run(10)
    assert_follows(
        solver,
        *literal(
            problem,
            network,
            agents,
            np.zeros((N, 4)),
            momentum=momentum,
            sigma=sigma,
            relaxation=relaxation,
            local_steps=local_steps,
            tau=lambda i, _, bent: 1 / (L[i] + bent + 2 * w * a[i]),
            gamma=lambda r: w / (price * B[r].sum()),
        ),
    )


def test_the_weight_is_balanced_at_epochs_10_20_40():
    """ln w <- (ln w + ln(sqrt(2 N) |lambda| / |X - X_0|)) / 2 for the farthest X and B as if of one gain."""
    N = 5
    instance = random_instance(["LeastSquares"], "Box", ["Ellipsoid"], N=N, seed=4)
    problem, network = instance.problem, fa.Network([(i, j) for j in range(N) for i in range(j)])
    solver = fa.Solver(problem, network, method=ADAPD(weight=100.0), rng=0, tol=0, clock="uniform")
    weight, farthest, seen, start = 100.0, 0.0, [], solver.result().x_agents
    for epoch in range(1, 82):
        solver.run(1)
        result = solver.result()
        # the weight changes when the run sets off from there
        np.testing.assert_allclose(solver.checkpoint()["extra"]["numbers"][0], weight, rtol=1e-9)
        if epoch % 10 == 0:
            farthest = max(farthest, np.linalg.norm(result.x_agents - start))
        if epoch in (10, 20, 40, 80):
            B = network.consensus_matrix.toarray()
            size = np.linalg.norm(B.T @ result.consensus_multipliers) * np.sqrt(N) / np.linalg.norm(B)
            balanced = np.sqrt(weight * np.sqrt(2 * N) * size / farthest)
            seen.append(balanced / weight)
            weight = balanced if abs(np.log(balanced / weight)) > 0.3 else weight
    assert max(np.abs(np.log(seen))) > 1 and min(np.abs(np.log(seen))) < 0.25  # some changed it and some did not


FAR = np.array([3e3, -4e3, 0.0, 1e3])


def opinions(offset, spread, N=12):
    """Every agent has a target, an ellipsoid and a half-space of its own, all about `offset`."""
    rng = np.random.default_rng(5)
    A, center = rng.normal(size=(N, 4, 4)), offset + spread * rng.normal(size=(N, 4))
    target, G = offset + spread * rng.normal(size=(N, 4)), rng.normal(size=(N, 1, 4))
    level = np.einsum("ij,ikj,ikl,il->i", offset - center, A, A, offset - center) + 0.1 * spread**2
    problem = fa.Problem(Quadratic(np.eye(4), -target), constraints=[
        Ellipsoid(np.swapaxes(A, 1, 2) @ A, center, level), AffineInequality(G, G @ offset + 0.1 * spread)])
    return problem, fa.Network(fa.graphs.small_world(N, N, rng=5))


@pytest.mark.parametrize("N", [12, 30])
def test_data_far_from_the_start_take_about_as_long_as_data_about_it(N):
    """Residuals are relative to x, so tol is divided by the distance."""
    about, network = opinions(np.zeros(4), 1.0, N)
    near, best = fa.solve(about, network, rng=0, tol=1e-4), fa.solve_centralized(about)
    for times in (0.003, 0.01, 0.1, 1, 10):
        size = max(1.0, float(np.linalg.norm(times * FAR)))
        far = fa.solve(opinions(times * FAR, 1.0, N)[0], network, rng=0, tol=1e-4 / size)
        assert near.success and far.success and far.epochs <= 3 * near.epochs
        np.testing.assert_allclose(far.x - times * FAR, best.x, atol=2e-3)


@pytest.mark.parametrize("consensus", ["edge", "metropolis"])
@pytest.mark.parametrize("memory", [0, 5])
@pytest.mark.parametrize("box", [None, Box(-1e4, FAR + 1.0 + np.arange(48).reshape(12, 4))], ids=["", "box"])
def test_a_run_that_came_far_begins_anew_at_the_mean(monkeypatch, engine, consensus, box, memory):
    """From there it goes on as one that begins there: the clock repeats itself. Not all boxes hold the mean."""
    whole, network = opinions(FAR, 1.0)
    costs, limits = ([group.term for group in groups] for groups in (whole.objectives, whole.constraints))
    problem, network = fa.Problem(costs, box, limits), fa.Network(nx.cycle_graph(12), consensus=consensus)
    before, begin = [], adapd._AdaptiveRun._begins_nearer
    monkeypatch.setattr(adapd._AdaptiveRun, "_begins_nearer",
                        lambda run: (before.append((run.x.mean(axis=0), run._sums)), begin(run))[1])
    options = {"rng": 0, "tol": 0, "engine": engine, "method": ADAPD(memory=memory)}
    solver = fa.Solver(problem, network, **options)
    solver.run(19)
    (mean, sums), run = before.pop(), solver._run
    assert np.linalg.norm(mean - FAR) < 0.1 * np.linalg.norm(FAR)
    assert run._sums == (sums[0] + 2, sums[1] + 1 + 2)  # of a distance, and of two that come from a closer look
    assert_goes_on_as_from(mean, run, problem, network, options)
    assert run._weight == fa.Solver(problem, network, x0=mean, **options)._run._weight and run._farthest == 0.0
    solver.run(10)
    (mean, _), = before  # it has looked again, and begun once more
    assert_goes_on_as_from(mean, run, problem, network, options)


def assert_goes_on_as_from(x0, run, problem, network, options):
    """Nine epochs later."""
    fresh = fa.Solver(problem, network, x0=x0, **options)
    fresh.run(9)
    for name in ("x", "theta", "lambda_", "g_last", "s_last"):
        found, expected = getattr(run.state, name), getattr(fresh._run.state, name)
        size = np.abs(expected).max(initial=1.0)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * size, err_msg=name)
    assert run._anderson is None  # what it learned on the way is gone


@pytest.fixture
def begins_anew(monkeypatch):
    """How many times a run of 60 epochs does."""
    looks, begin = [], adapd._AdaptiveRun._begins_nearer
    monkeypatch.setattr(adapd._AdaptiveRun, "_begins_nearer", lambda run: (looks.append(begin(run)), looks[-1])[1])

    def count(problem, network, **options):
        looks.clear()
        fa.Solver(problem, network, **{"rng": 0, "tol": 0, **options}).run(60)
        return sum(looks)

    return count


def test_when_a_run_begins_anew(begins_anew):
    problem, network = opinions(FAR, 1.0)
    assert begins_anew(problem, network) == 2  # in the middle of what the agents want there is no nearer
    assert begins_anew(problem, network, clock="uniform", method=ADAPD(memory=0)) >= 1
    assert begins_anew(problem, fa.Network(nx.cycle_graph(12), consensus="metropolis")) >= 1
    # not where the start is as good
    assert begins_anew(problem, network, x0=FAR) == 0
    assert begins_anew(opinions(FAR / 1e3, 1.0)[0], network) == 0
    # nor where violations end, but the boundaries are as far as before
    wide = fa.Problem(constraints=Ellipsoid(np.eye(4), FAR + np.zeros((12, 4)), 0.9 * FAR @ FAR))
    assert begins_anew(wide, network) == 0
    # nor with multipliers that were given, whose worth is not known
    warm = fa.Solver(problem, network, rng=0, tol=0)
    warm.run(300)
    known = warm.result()
    assert begins_anew(problem, network, multipliers=known.multipliers) == 0
    assert begins_anew(problem, network, consensus_multipliers=known.consensus_multipliers) == 0
    # nor with momentum over all activations, which has no break
    assert begins_anew(problem, network, method=ADAPD(momentum="global")) == 0


def test_a_run_begins_anew_without_curved_costs_but_not_for_equations(begins_anew):
    rng, network = np.random.default_rng(0), fa.Network(nx.cycle_graph(12))
    cost = fa.objectives.Linear(rng.normal(size=(12, 4)))
    for costs in ((), cost):
        limits = Ellipsoid(np.eye(4), FAR + rng.normal(size=(12, 4)), 9.0)
        assert begins_anew(fa.Problem(costs, None, limits), network) > 0
    plane, cost = fa.constraints.AffineEquality([[1.0, 2.0]], [3.0]), np.array([0.2, 0.2])
    assert begins_anew(fa.Problem(fa.objectives.Linear(cost), NonNegative(), plane, n_agents=12), network) == 0


def test_an_update_before_the_look_does_not_prevent_it():
    problem, network = opinions(FAR, 1.0)
    solver = fa.Solver(problem, network, rng=0, tol=0)
    solver.run(5)
    solver.update(opinions(FAR + 1.0, 1.0)[0])
    assert not solver._run._x_start.any()
    solver.run(10.5)
    assert np.linalg.norm(solver._run._x_start[0] - FAR) < 0.1 * np.linalg.norm(FAR)
    assert not solver._run._balanced  # the weight begins anew, too
    solver.run(300)
    solver.update(problem)
    assert not solver._run._looks


def test_a_weight_that_was_given_stays_when_a_run_begins_anew():
    solver = fa.Solver(*opinions(FAR, 1.0), rng=0, tol=0, method=ADAPD(weight=0.7))
    solver.run(10.1)
    assert solver._run._x_start.any() and solver._run._weight == 0.7


def test_a_slow_run_follows_its_imbalance():
    """The square root of dual over primal movement, at most 4 either way."""
    rule = fa.steps.AdaptiveRule(*pair(path(3)), "local", (1, 1.0), (1, 1.0))
    primal, dual = np.array([3.0, 4.0, 0, 0, 0, 0]), np.array([0.0, 10.0])
    for size, factor in ((1, 2**0.5), (2, 2.0), (1000, 4.0), (1e-9, 0.25), (0, 1.0)):
        np.testing.assert_allclose(rule.imbalance(np.r_[primal, size * dual], 6), factor)


def linear_quadratic(N):
    rng = np.random.default_rng(N)
    rows = AffineInequality(rng.normal(size=(N, 1, 3)), rng.exponential(size=(N, 1)))
    return fa.Problem(Quadratic(np.eye(3), rng.normal(size=(N, 3))), None, rows)


def pair(network, n=2):
    return fa.Problem(fa.objectives.Quadratic(np.eye(n), np.ones(n)), n_agents=network.n_agents), network


# ---- The average ----


@pytest.mark.parametrize("consensus, clock", [("edge", None), ("metropolis", None), ("edge", "cyclic")])
def test_the_average_stays_exact_when_the_acceleration_jumps(monkeypatch, consensus, clock):
    """A jump replaces the iterate it starts from, which stays in the average as it was when its activation ended."""
    N, jumps = 4, []
    replace = adapd._AdaptiveRun._replace
    monkeypatch.setattr(adapd._AdaptiveRun, "_replace", lambda run, point: (jumps.append(1), replace(run, point)))
    instance = random_instance(["LeastSquares"], "Box", ["Ellipsoid"], N=N, seed=3, consensus=consensus)
    solver = fa.Solver(instance.problem, instance.network, rng=0, tol=0, clock=clock)
    X = []
    for K in range(1, 120 * N + 1):
        solver.run(1 / N)
        result = solver.result()
        X.append(result.x_agents)
        brute_force = (N * X[-1] + sum(X[:-1], np.zeros_like(X[0]))) / (K + N - 1)
        np.testing.assert_allclose(result.x_ergodic, brute_force, rtol=1e-10, atol=1e-12)
    assert len(jumps) >= 5


@pytest.mark.parametrize("seed", [0, 1, 6])
def test_extrapolated_points_stay_in_the_sets(seed):
    """One activation after every extrapolation, when all other agents are where it has put them."""
    made = random_instance(["LeastSquares"], "Box", ["AffineInequality"], N=6, n=4, rows=2, seed=seed)
    solver, moved = fa.Solver(made.problem, made.network, rng=0, tol=0), 0
    solver.run(10)
    for _ in range(20):
        before = solver.result().x_agents
        solver.run(1 / 6)  # extrapolates as it sets off
        result = solver.result()
        solver.run(9 + 5 / 6)
        moved += (result.x_agents != before).any(axis=1).sum() > 1
        for i, (x, theta) in enumerate(zip(result.x_agents, result.multipliers, strict=True)):
            assert made.problem.agent(i).regularizer.distance(x) <= 1e-12
            assert (theta >= 0).all()
    assert moved > 10  # more agents than the one that woke


# ---- One agent: APD ----


@pytest.mark.parametrize("momentum, rho", [("local", 1.0), ("local", 1.3), ("global", 1.0)])
@pytest.mark.parametrize("consensus", ["edge", "laplacian"])
def test_one_agent_is_apd(momentum, rho, consensus):
    """Hamedani and Aybat's iteration with constant steps and theta_k = 1, METHODS section 1(a); rho times as far."""
    rng = np.random.default_rng(0)
    n, steps = 4, 60
    P, A, q = np.eye(n), rng.normal(size=(1, n)), 3 * rng.normal(size=n)
    E, center, G, h = np.diag([1.0, 2, 3, 4]), np.full(n, 0.5), rng.normal(size=(2, n)), np.array([0.1, -0.2])
    b, tau, sigma = A @ center + 0.3, 0.02, 0.05

    def g(x):
        return np.concatenate([[(x - center) @ E @ (x - center) - 1], G @ (x - center) - h, A @ x - b])

    def jacobian(x):
        return np.vstack([2 * E @ (x - center), G, A])

    x = x_old = x0 = np.full(n, 0.3)
    y, iterates, duals = np.zeros(4), [], []
    for _ in range(steps):
        # where g would be without relaxation: 1/rho of the way from the point before
        s = 2 * (g(x_old) + (g(x) - g(x_old)) / rho) - g(x_old)
        raised = y + sigma * s
        raised[:3] = np.maximum(raised[:3], 0)
        y = y + rho * (raised - y)
        y[:3] = np.maximum(y[:3], 0)
        v = x - tau * (P @ x + q + jacobian(x).T @ y)
        x, x_old = x + rho * (np.sign(v) * np.maximum(np.abs(v) - 0.1 * tau, 0) - x), x
        iterates.append(x)
        duals.append(y)
    assert np.abs(duals).max(axis=0).min() > 0  # every multiplier took part

    problem = fa.Problem(
        fa.objectives.Quadratic(P, q),
        fa.regularizers.L1(0.1),
        [
            fa.constraints.Ellipsoid(E, center),
            fa.constraints.AffineInequality(G, h + G @ center),
            fa.constraints.AffineEquality(A, b),
        ],
        n_agents=1,
    )
    method = ADAPD(momentum=momentum, steps=fa.FixedSteps(tau, sigma, 1.0), relaxation=rho, memory=0)
    solver = fa.Solver(problem, fa.Network([], n_agents=1, consensus=consensus), method=method, tol=0, x0=x0)
    solver.run(steps)
    result = solver.result()
    np.testing.assert_allclose(result.x, x, rtol=1e-12)
    np.testing.assert_allclose(result.multipliers[0], y, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(result.x_ergodic[0], np.mean(iterates, axis=0), rtol=1e-12)


# ---- Steps of the theory ----


@given(instances(), st.floats(0.05, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_theory_steps_satisfy_their_inequality(instance, weight, seed):
    """1/tau_i >= L_i + T_i L_gi + N (sum_r gamma_r B_ri^2 + sigma_i C_i^2)."""
    problem, network, rng = instance.problem, instance.network, np.random.default_rng(seed)
    N = problem.n_agents
    T, C = rng.uniform(0.1, 5, N), rng.uniform(0.1, 5, N)
    steps = fa.steps.theory_steps(problem, network, multiplier_bound=T, jacobian_bound=C, weight=weight)
    tau, sigma, gamma = steps.broadcast(problem, network)
    curved = [sum(c.rows * c.term().curvature ** 2 for c in limits) ** 0.5 for _, _, limits in instance.agents]
    B = network.consensus_matrix.toarray()
    l = problem.lipschitz() + T * curved
    right = l + N * ((B**2).T @ gamma + sigma * C**2)
    assert (1 / tau >= right * (1 - 1e-12)).all()
    np.testing.assert_allclose(1 / tau[l > 0], right[l > 0], rtol=1e-12)  # no step is shorter than it must be


def test_theory_steps_count_every_curved_constraint():
    """Two rows of curvature 2 and |theta| <= T: that of the Lagrangian, 2 theta_1 + 2 theta_2, reaches sqrt(8) T."""
    ball = fa.constraints.Ellipsoid(np.eye(2), np.zeros(2))
    problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), np.zeros(2)), constraints=[ball, ball], n_agents=1)
    steps = fa.steps.theory_steps(problem, fa.Network([], n_agents=1), multiplier_bound=5.0, jacobian_bound=3.0)
    assert 1 / steps.tau[0] - steps.sigma[0] * 3.0**2 >= 1 + np.sqrt(8) * 5


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_jacobian_bound_comes_from_a_bounded_domain(constraint):
    for domain in BOUNDED:
        instance = random_instance(["Quadratic"], domain, [constraint])
        with_default = fa.steps.theory_steps(instance.problem, instance.network, multiplier_bound=1.0)
        bound = [limits[0].term().jacobian_bound(simple.term()) for _, simple, limits in instance.agents]
        given_ = fa.steps.theory_steps(instance.problem, instance.network, multiplier_bound=1.0, jacobian_bound=bound)
        for name in ("tau", "sigma", "gamma"):
            np.testing.assert_allclose(getattr(with_default, name), getattr(given_, name), rtol=1e-12)


def test_the_jacobian_bound_is_that_of_each_agents_own_domain():
    """Alike terms, stacked, of agents that overlap in part only: ellipsoids of 0 to 2, balls of 1 to 3, boxes of 0."""
    agents = [fa.Agent(Quadratic(np.eye(2), np.ones(2)),
                       Box(-1, [1.0, 2.0 + k]) if k % 4 == 0 else L2Ball(5.0 * 10**k, [float(k), 0.0]),
                       [Ellipsoid((k + 1) * np.eye(2), [float(k), 0.0])] * (k % 4 < 3)
                       + [AffineInequality([[1.0, k]], [9.0])] * (k % 2)) for k in range(8)]
    problem = fa.Problem.from_agents(agents)
    assert len(problem.regularizers) == 2 and len(problem.constraints) == 3
    expected = [np.sqrt(sum(term.jacobian_bound(agent.regularizer) ** 2 for term in agent.constraints))
                for agent in agents]
    T, C = fa.steps.constraint_constants(problem, 1.0, None, "")
    np.testing.assert_allclose(C, expected, rtol=1e-12)
    np.testing.assert_allclose(T, [2.0 * (k + 1) * (k % 4 < 3) for k in range(8)], rtol=1e-12)


def test_the_gap_stays_under_the_bound_of_the_theory():
    """Edge form, global momentum, theory steps, uniform clock: E[gap] = O(1/K), with the constant.

    Let L(X) = sum_i f_i + rho_i + <theta_i*, g_i> + <lambda*, BX>, which is least at the optimum, where it is F*. In
    activation k let (X^, y^) be what would be if all agents woke. With the steps' inequality, the three-point
    inequalities of the proximal steps and E_k[u_{k+1} - u_k] = p (u^ - u_k) for a block u that moves with chance p,

        L(X^, y*) - L(x*, y^) <= V_k - E_k V_{k+1},
        V_0 = N sum_i |x_i^0 - x*|^2 / (2 tau_i) + N sum_i |theta_i*|^2 / (2 sigma_i)
            + (N/2) sum_r |lambda_r*|^2 / (2 gamma_r)

    (p = 1/N for an agent's x and theta, 2/N for the row of an edge): of the extrapolations' errors one telescopes, one
    vanishes, because whatever row an activation changes it has updated, and one is what the steps' inequality is for.
    L is a sum over agents, so E_k L(X_{k+1}) = L(X^)/N + (1 - 1/N) L(X_k), and the sum over k < K with Jensen's
    inequality gives

        E[L(xbar_K) - F*] <= (V_0 + (N - 1) (L(X_0) - F*)) / (K + N - 1).
    """
    N, n, seeds = 4, 3, 20
    instance = random_instance(["LeastSquares"], "Box", ["AffineInequality"], N=N, n=n, rows=2, extra=2, seed=7)
    problem, network, best = instance.problem, instance.network, instance.optimum()
    steps = fa.steps.theory_steps(problem, network)
    push = network.consensus_matrix.T @ best.lambda_
    assert min(np.concatenate(best.theta).max(), np.abs(push).max()) > 1e-2  # constraints and network both matter

    def gap(X):
        g = np.array([c.term().value(x) for (_, _, (c,)), x in zip(instance.agents, X, strict=True)])
        return problem.values(X).sum() + np.sum(g * best.theta) + np.sum(push * X) - best.fun

    X0 = fa.Solver(problem, network).result().x_agents
    start = N * sum(np.sum((x - best.x) ** 2) / (2 * t) for x, t in zip(X0, steps.tau, strict=True))
    start += N * sum(np.sum(t**2) / (2 * s) for t, s in zip(best.theta, steps.sigma, strict=True))
    start += N / 2 * sum(np.sum(lam**2) / (2 * c) for lam, c in zip(best.lambda_, steps.gamma, strict=True))
    counts = np.array([1, 10, 100, 1000, 10_000, 100_000])
    gaps = np.zeros((seeds, len(counts)))
    for seed in range(seeds):
        solver = fa.Solver(problem, network, method=ADAPD(momentum="global", steps="theory"), rng=seed, tol=0)
        for k, more in enumerate(np.diff(counts, prepend=0)):
            solver.run(more / N)
            gaps[seed, k] = gap(solver.result().x_ergodic)
    assert gaps.min() > -1e-7  # F* is a minimum, up to CVXPY's accuracy
    bound = (start + (N - 1) * gap(X0)) / (counts + N - 1)
    assert (gaps.mean(axis=0) <= bound).all()
    # and the bound says something: at its closest it is hardly ten times what happens
    assert (gaps.mean(axis=0) / bound).max() > 0.1


# ---- Optima ----


def assert_optimal(instance, method, best, *, tol=1e-9, accuracy=3e-5, max_epochs=100_000, **options):
    """An interior point method knows F* to 1e-9 or so and x* to the square root of that; `built` has no such limit."""
    result = fa.solve(
        instance.problem, instance.network, method=method, rng=0, tol=tol, max_epochs=max_epochs, **options
    )
    assert result.success, result
    size = max(1, np.linalg.norm(best.x))
    np.testing.assert_allclose(
        result.x_agents, np.tile(best.x, (instance.problem.n_agents, 1)), rtol=0, atol=accuracy * size
    )
    np.testing.assert_allclose(result.fun, best.fun, rtol=0, atol=accuracy * max(1, abs(best.fun)))
    return result


combinations = list(itertools.product(OBJECTIVES, REGULARIZERS, CONSTRAINTS))


@pytest.mark.parametrize("objective, regularizer, constraint", combinations)
def test_reaches_the_optimum_for_every_term(objective, regularizer, constraint):
    """A linear cost alone has no unique optimum to compare with, so it comes with least squares."""
    costs = [objective] if objective == "LeastSquares" else [objective, "LeastSquares"]
    instance = random_instance(costs, regularizer, [constraint], seed=0)
    assert_optimal(instance, "ad-apd", instance.optimum())


def test_acceleration_does_not_run_away():
    """Multipliers that are not unique: extrapolations without a limit once took them to 1e16."""
    instance = random_instance(["Linear", "LeastSquares"], "L2Ball", ["AffineEquality"], seed=1)
    assert_optimal(instance, ADAPD(memory=0), instance.optimum())
    assert_optimal(instance, "ad-apd", instance.optimum())


@pytest.mark.parametrize("consensus", ["edge", "laplacian", "metropolis", "max-degree"])
@pytest.mark.parametrize("N, extra", [(2, 0), (7, 10), (20, 20)])
def test_reaches_the_optimum_on_every_network(consensus, N, extra):
    made = built("Quadratic", "Box", "Ellipsoid", "AffineInequality", N=N, consensus=consensus, extra=extra)
    result = fa.solve(made.problem, made.network, rng=0, tol=1e-11, max_epochs=100_000)
    assert result.success, result
    np.testing.assert_allclose(result.x_agents, np.tile(made.x, (N, 1)), atol=1e-8)


@pytest.mark.parametrize("clock", ["uniform", "shuffled", "cyclic", fa.clocks.Poisson([1, 2, 3, 4])])
def test_reaches_the_optimum_on_every_clock(clock):
    instance = random_instance(["LeastSquares"], "L1", ["AffineInequality"], seed=3)
    assert_optimal(instance, "ad-apd", instance.optimum(), clock=clock)


@momenta
@pytest.mark.parametrize("steps", ["theory", "fixed"])
def test_reaches_the_optimum_with_constant_steps(momentum, steps):
    instance = random_instance(["LeastSquares"], "Box", ["AffineInequality"], n=4, seed=5)
    if steps == "fixed":
        steps = fa.steps.theory_steps(instance.problem, instance.network, weight=0.5)
    assert_optimal(instance, ADAPD(momentum=momentum, steps=steps), instance.optimum(), tol=1e-8)


@pytest.mark.parametrize("objective, regularizer, constraint", combinations)
def test_reaches_the_optimum_that_a_problem_was_built_around(objective, regularizer, constraint):
    made = built(objective, regularizer, constraint, seed=2)
    result = fa.solve(made.problem, made.network, rng=0, tol=1e-11, max_epochs=100_000)
    assert result.success, result
    np.testing.assert_allclose(result.x_agents, np.tile(made.x, (4, 1)), atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"clock": "uniform"}, {"method": ADAPD(memory=0)}], ids=str)
@pytest.mark.parametrize("case", ["same cost", "one cost", "one cost and a ball", "no noise"])
def test_agents_that_need_no_consensus_multipliers(case, options):
    """lambda* = 0: the weight must not follow lambda to nothing, or the agents hardly hear of each other."""
    rng = np.random.default_rng(0)
    Quadratic, ball = fa.objectives.Quadratic, fa.constraints.Ellipsoid(np.eye(3), np.zeros(3))
    A, x, one = rng.normal(size=(3, 2, 3)), rng.normal(size=3), Quadratic(np.diag([1.0, 0.1, 2.0]), [-1.0, 2, 3])
    problem = {
        "same cost": fa.Problem(Quadratic(np.eye(3), [1.0, 2, 3]), n_agents=3),
        "one cost": fa.Problem.from_agents([fa.Agent(), fa.Agent(one), fa.Agent()]),
        "one cost and a ball": fa.Problem.from_agents([fa.Agent(), fa.Agent(one, constraints=ball), fa.Agent()]),
        "no noise": fa.Problem(fa.objectives.LeastSquares(A, A @ x)),
    }[case]
    result = fa.solve(problem, path(3), rng=0, tol=1e-9, max_epochs=3000, **options)
    assert result.success, result
    np.testing.assert_allclose(result.x, fa.solve_centralized(problem).x, atol=1e-5)
    np.testing.assert_allclose(path(3).consensus_matrix.T @ result.consensus_multipliers, 0, atol=1e-6)


@pytest.mark.parametrize("N", [2, 5, 10])
@pytest.mark.parametrize("bounds", [[1.0], [1.1, 1.0], [1.0, 1.01, 1.3]], ids=str)
def test_a_linear_cost_whose_own_constraints_hold_it(bounds, N):
    """max x with x <= b for several b, all of one agent: lambda* = 0 again, and no strong convexity to fall back on."""
    rows = AffineInequality(np.ones((len(bounds), 1)), bounds)
    one = fa.Agent(fa.objectives.Linear([-1.0]), Box(-2.0, 3.0), rows)
    problem = fa.Problem.from_agents([one, *[fa.Agent()] * (N - 1)], dim=1)
    for rng in range(3):
        result = fa.solve(problem, path(N), rng=rng, tol=1e-8, max_epochs=20_000)
        assert result.success, result
        np.testing.assert_allclose(result.x_agents, 1.0, atol=1e-6)


@pytest.mark.parametrize("weight", [1e-6, 1.0, 1e6])
def test_a_cost_that_is_an_l1_norm_in_any_unit(weight):
    """min w |x| with |x - 2| <= 1: x = 1, and theta = w / 2 (one agent has no constraint, and w |x| as well: w)."""
    l1 = fa.regularizers.L1(weight)
    problem = fa.Problem.from_agents([fa.Agent(None, l1), fa.Agent(None, l1, Ellipsoid([[1.0]], [2.0], 1.0))])
    result = fa.solve(problem, path(2), rng=0, tol=1e-8, max_epochs=2000)
    assert result.success, result
    np.testing.assert_allclose(result.x_agents, 1.0, atol=1e-6)
    np.testing.assert_allclose(result.multipliers[1][0], [weight], rtol=1e-5)


def test_an_order_of_the_activations_that_leads_in_circles():
    """min 2 x with 0 <= x <= 1: with the orders of these seeds ten epochs can lead back to where they began, which is
    not the optimum (for the last one x = 9.8), or come nearer by little."""
    one = fa.Agent(fa.objectives.Linear([0.4]), NonNegative(), AffineInequality([[1.0]], [1.0]))
    problem = fa.Problem.from_agents([fa.Agent(fa.objectives.Linear([1.6])), one, fa.Agent()], dim=1)
    for rng in (3, 25, 35):
        result = fa.solve(problem, fa.Network([(0, 1), (0, 2)]), rng=rng, tol=1e-8, max_epochs=3500)
        assert result.success, (rng, result)
        np.testing.assert_allclose(result.x_agents, 0.0, atol=1e-6)


def test_an_order_of_the_activations_and_bold_steps_that_diverge():
    """An LP at whose optimum, 0, x >= 0 of one agent meets a constraint of another."""
    costs = [[-0.13, 0.72, 0.85], [1.07, -0.24, -0.06], [0.02, 0.37, 0.19], [0.99, 0.76, 0.66], None,
             [0.39, -0.16, 0.83], None, None, None, None]
    agents = [fa.Agent() if cost is None else fa.Agent(fa.objectives.Linear(cost)) for cost in costs]
    agents[0] = fa.Agent(agents[0].objective, NonNegative())
    agents[4] = fa.Agent(None, None, AffineInequality([[-1.55, -0.04, -0.94], [0.2, 0.02, 0.81]], [0.45, 0.49]))
    problem, network = fa.Problem.from_agents(agents), path(10)
    plain = fa.solve(problem, network, rng=1, method=ADAPD(memory=0), max_epochs=1500)
    assert plain.residual > 100
    result = fa.solve(problem, network, rng=1, tol=1e-8, max_epochs=5000)
    assert result.success, result
    np.testing.assert_allclose(result.x_agents, 0.0, atol=1e-6)


def test_an_inactive_constraint_whose_gradient_vanishes(engine):
    """|a'x|^2 <= 2 at x = 0, reached exactly because x >= 0: its multiplier has a step of 0 there, and must be 0."""
    rows = [AffineInequality([[0.13, 0.27], [-1.65, 1.03]], [0.01, 1.03]),
            AffineInequality([[0.38, 1.98], [0.65, 0.08]], [0.67, 1.57])]
    a = np.array([-1.01, 2.34])
    agents = [fa.Agent(fa.objectives.Linear([0.42, 1.05]), None, rows[0]), fa.Agent(None, None, rows[1]),
              fa.Agent(fa.objectives.Linear([0.04, -0.83]), NonNegative(),
                       fa.constraints.QuadraticInequality(np.outer(a, a), np.zeros(2), 1.0))]
    problem, network = fa.Problem.from_agents(agents), fa.Network([(0, 1), (0, 2)])
    for rng in range(3):
        result = fa.solve(problem, network, rng=rng, tol=1e-8, engine=engine, max_epochs=1000)
        assert result.success, result
        np.testing.assert_allclose(result.x_agents, 0.0, atol=1e-6)
    theta = [[0.0, 0.0], [0.0, 0.0], [0.3]]
    solver = fa.Solver(problem, network, clock="cyclic", engine=engine, multipliers=theta)
    solver.run(1)
    assert solver.result().multipliers[2] == [0.0]


@pytest.mark.parametrize("consensus", ["edge", "metropolis"])
def test_bold_and_careful_steps(consensus):
    """They have the same fixed points, and the multipliers that agents see do not jump between them."""
    problem, network = linear_quadratic(5), fa.Network(nx.cycle_graph(5), consensus=consensus)
    solver = fa.Solver(problem, network, rng=0, tol=0)
    solver.run(33.4)
    run, B = solver._run, network.consensus_matrix

    def seen():
        single = consensus == "edge" and run.steps.local_steps == 1
        ahead = (2 - run.steps.relaxation) * run.steps.gamma[:, None] * (B @ run.state.x) if single else 0.0
        return run.state.lambda_ + ahead

    expected = [((2 if consensus == "edge" else 1), 1.3), (1, 1.0)]
    for k in range(4):
        assert (run.steps.local_steps, run.steps.relaxation) == expected[k % 2]
        before = seen()
        run._change_care()
        np.testing.assert_allclose(seen(), before, rtol=1e-12, atol=1e-14)
    solver.run(600)
    assert solver.result().residual < 1e-11
    point = run.state.x.copy()
    for _ in range(2):
        run._change_care()
        solver.run(10)
        np.testing.assert_allclose(run.state.x, point, rtol=1e-9, atol=1e-11)


def test_careful_steps_are_not_for_options_that_were_given():
    problem, network = linear_quadratic(5), path(5)
    for options, careful in (({"local_steps": 3}, (3, 1.0)), ({"relaxation": 1.2}, (1, 1.2)),
                             ({"local_steps": 2, "relaxation": 1.5}, (2, 1.5))):
        solver = fa.Solver(problem, network, rng=0, tol=0, method=ADAPD(**options))
        solver.run(3)
        solver._run._change_care()
        assert (solver._run.steps.local_steps, solver._run.steps.relaxation) == careful


@pytest.mark.parametrize("workers", [1, 2])
def test_the_order_is_drawn_anew_where_a_run_is_stuck(workers):
    """And a checkpoint in between goes on alike; with one worker, number by number."""
    def wakes(solver):
        stream = solver._stream
        return np.concatenate([s._block for s in getattr(stream, "_streams", [stream])])

    problem, network = linear_quadratic(6), path(6)
    solver = fa.Solver(problem, network, rng=0, tol=0, workers=workers)
    solver.run(25)
    before = wakes(solver)
    solver._run._renews = True
    np.testing.assert_array_equal(wakes(solver), before)  # in the next activation
    saved = solver.checkpoint()
    solver.run(25)
    assert (np.sort(wakes(solver)) == np.sort(before)).all() and (wakes(solver) != before).any()
    other = fa.Solver(problem, network, rng=1, tol=0, workers=workers)
    other.restore(saved)
    other.run(25)
    np.testing.assert_array_equal(wakes(other), wakes(solver))
    if workers == 1:
        np.testing.assert_array_equal(other.result().x_agents, solver.result().x_agents)


def test_multipliers_that_are_unique():
    """Few active rows and no simple term: the gradients are independent. So are the consensus rows of a tree."""
    made = built("LeastSquares", "Zero", "Ellipsoid", "AffineEquality", N=3, n=8, extra=0)
    result = fa.solve(made.problem, made.network, rng=0, tol=1e-11, max_epochs=100_000)
    assert (np.concatenate(made.theta) != 0).sum() >= 4
    np.testing.assert_allclose(np.concatenate(result.multipliers), np.concatenate(made.theta), atol=1e-7)
    np.testing.assert_allclose(result.consensus_multipliers, made.lambda_, atol=1e-7)


# ---- Options ----


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(momentum="nesterov"), "momentum: 'nesterov' is not known; use 'local' or 'global'"),
        (dict(momentum=np.zeros(2)), "momentum: array.* is not known"),
        (dict(steps=np.ones(3)), "steps: array.* is not known"),
        (dict(steps="fast"), r"steps: 'fast' is not known; use 'adaptive', 'theory' or FixedSteps\(...\)"),
        (dict(steps=0.1), "steps: 0.1 is not known"),
        (dict(weight=0), "weight is 0; it must be positive and finite"),
        (dict(weight=np.nan), "weight is nan"),
        (dict(weight=np.inf), "weight is inf"),
        (dict(relaxation=2), "relaxation is 2; it must be at least 1 and below 2"),
        (dict(relaxation=0.9), "relaxation is 0.9"),
        (dict(relaxation=np.nan), "relaxation is nan"),
        (dict(relaxation=1.1, momentum="global"), "relaxation must be 1 with momentum='global'"),
        (dict(local_steps=0), "local_steps is 0; it must be an integer from 1 to 1000"),
        (dict(local_steps=1.5), "local_steps is 1.5"),
        (dict(local_steps=10**9), "local_steps is 1000000000"),
        (dict(local_steps="two"), "local_steps is 'two'"),
        (dict(local_steps=2, momentum="global"), "local_steps must be 1 with momentum='global'"),
        (dict(memory=-1), "memory is -1; it must be 0 or a positive integer"),
        (dict(memory=1.5), "memory is 1.5"),
        (dict(memory="all"), "memory is 'all'; it must be a number"),
        (dict(memory=np.inf), "memory is inf"),
        (dict(weight="1"), "weight is '1'; it must be a number"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        ADAPD(**options)


@pytest.mark.parametrize("options, clock, consensus, steps", [
    ({}, None, "edge", 2), ({}, "cyclic", "edge", 2), ({}, "uniform", "edge", 1), ({}, None, "metropolis", 1),
    ({"momentum": "global"}, "cyclic", "edge", 1), ({"steps": fa.FixedSteps(1, 1, 1)}, "cyclic", "edge", 1),
    ({"local_steps": 3}, "uniform", "edge", 3), ({"local_steps": 1}, None, "edge", 1),
])
def test_how_many_local_steps_there_are(options, clock, consensus, steps):
    run = fa.Solver(*pair(path(3, consensus)), method=ADAPD(**options), clock=clock)._run
    assert run.steps.local_steps == steps


def test_several_local_steps_need_the_edge_form():
    with pytest.raises(fa.InvalidOptionError, match="local_steps is 2; it must be 1 with a network in node form"):
        fa.solve(*pair(path(3, "laplacian")), method=ADAPD(local_steps=2))


CURVED = fa.Problem(
    fa.objectives.Quadratic(np.eye(2), np.zeros((3, 2))), constraints=fa.constraints.Ellipsoid(np.eye(2), [0, 0])
)


@pytest.mark.parametrize(
    "steps, options, message",
    [
        (fa.FixedSteps([1, 1], 1, 1), {}, r"tau has shape \(2,\); give one number, or one for each of the 3 agents"),
        (fa.FixedSteps(1, 1, [1, 1, 1]), {}, r"gamma has shape \(3,\); .* one for each of the 2 consensus rows"),
        (fa.FixedSteps(1, [1, 0, 1], 1), {}, "sigma of agent 1 is 0.0; it must be positive and finite"),
        (fa.FixedSteps(np.inf, 1, 1), {}, "tau is inf"),
        (fa.FixedSteps(1, 1, [1, np.nan]), {}, "gamma of consensus row 1 is nan"),
        ("theory", {}, "gradients of the constraints of agent 0 are not bounded; give the agent a Box or L2Ball"),
        ("theory", {"jacobian_bound": 1.0}, "steps='theory' needs multiplier_bound= because of curved constraints"),
        ("theory", {"jacobian_bound": 1.0, "multiplier_bound": [1, 1]}, r"multiplier_bound has shape \(2,\)"),
        ("theory", {"jacobian_bound": [1, -1, 1], "multiplier_bound": 1}, "jacobian_bound of agent 1 is -1.0"),
    ],
)
def test_steps_that_are_refused(steps, options, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        fa.Solver(CURVED, path(3), method=ADAPD(steps=steps, **options))


# ---- A bound on the multipliers ----


@pytest.mark.parametrize("seed", range(10))
def test_slater_bound_is_a_bound(seed):
    rng = np.random.default_rng(seed)
    anchor = rng.uniform(size=3)
    numbers = [draw_numbers(k, rng, anchor, lambda: (4,)) for k in ("LeastSquares", "Ellipsoid", "AffineInequality")]
    instance = stacked(4, 3, numbers[:1], Numbers("Zero"), numbers[1:], path(4))
    assert np.sum(np.concatenate(instance.optimum().theta)) <= fa.slater_bound(instance.problem, anchor)


def test_slater_bound_in_numbers():
    """(F(0) - 3 (-1/2)) / (1/4), for f_i = (x - e_1)^2 / 2 - 1/2."""
    problem = fa.Problem(
        fa.objectives.Quadratic(np.eye(2), [[-1.0, 0.0]] * 3),
        constraints=fa.constraints.Ellipsoid(np.eye(2), [0, 0], 0.25),
    )
    assert fa.slater_bound(problem, [0, 0]) == pytest.approx(6)


@pytest.mark.parametrize(
    "problem, x, message",
    [
        (CURVED, [1, 0, 0], r"x has shape \(3,\); the problem has 2 coordinates"),
        (CURVED, [1, 0], "x is no Slater point: row 0 of Ellipsoid of agent 0 is 0, not negative"),
        (fa.Problem(fa.objectives.Linear([[0, 0], [1, 0]])), [0, 0], "the cost of agent 1 is not bounded below"),
        (
            fa.Problem(
                fa.objectives.Linear([0, 0]), constraints=fa.constraints.AffineEquality([[1, 0]], [0]), n_agents=2
            ),
            [0, 0],
            "AffineEquality: the bound is for inequalities only; give multiplier_bound= instead",
        ),
        (
            fa.Problem(constraints=fa.constraints.AffineInequality(np.eye(2), [[1, 1], [1, -1]])),
            [0, 0],
            "row 1 of AffineInequality of agent 1 is 1, not negative",
        ),
        (
            fa.Problem(
                fa.objectives.Quadratic(np.eye(1), [[-5.0]] * 3),
                fa.regularizers.Box([[0], [1], [0]], 2),
                fa.constraints.AffineInequality([[1.0]], [3.0]),
            ),
            [0.5],
            "x is no Slater point: it is 0.5 outside the Box of agent 1",
        ),
    ],
)
def test_points_that_are_no_slater_points(problem, x, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        fa.slater_bound(problem, x)


def test_slater_bound_needs_a_problem():
    with pytest.raises(fa.InvalidOptionError, match=r"problem must be a fastadapd\.Problem, not int"):
        fa.slater_bound(3, [0.0])
