"""Problems: how terms come together, the reference optimum, and every way to get a problem wrong."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import CONSTRAINTS, OBJECTIVES, REGULARIZERS, Numbers, instances, path, ragged, random_instance

import fastadapd as fa
from fastadapd.constraints import AffineEquality, AffineInequality, Ellipsoid
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.regularizers import L1, Box, NonNegative, Zero

EYE = np.eye(2)
STACKED = Linear(np.zeros((3, 2)))  # three agents, two coordinates


@given(instances())
@settings(max_examples=60)
def test_a_problem_is_the_sum_of_its_agents(instance):
    problem, rng = instance.problem, np.random.default_rng(0)
    X = rng.normal(size=(problem.n_agents, problem.dim))
    expected = {"value": [], "common": [], "lipschitz": [], "strong_convexity": [], "rows": []}
    for x, (costs, simple, limits) in zip(X, instance.agents, strict=True):
        terms = [c.term() for c in costs]
        expected["value"].append(sum(t.value(x) for t in (*terms, simple.term())))
        expected["common"].append(sum(t.value(X[0]) for t in (*terms, simple.term())))
        for name in ("lipschitz", "strong_convexity"):
            expected[name].append(sum(getattr(t, name) for t in terms))
        expected["rows"].append(sum(c.rows for c in limits))
    close = dict(rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(problem.values(X), expected["value"], **close)
    np.testing.assert_allclose(problem.values(X[0]), expected["common"], **close)
    np.testing.assert_allclose(problem.lipschitz(), expected["lipschitz"], **close)
    np.testing.assert_allclose(problem.strong_convexity(), expected["strong_convexity"], **close)
    np.testing.assert_array_equal(np.diff(problem.row_ptr), expected["rows"])
    assert problem.n_rows == problem.row_ptr[-1] == sum(expected["rows"]) and problem.row_ptr[0] == 0
    for i, (costs, simple, limits) in enumerate(instance.agents):
        agent = problem.agent(i)
        for terms, kinds in ((agent.objective, costs), ((agent.regularizer,), (simple,)), (agent.constraints, limits)):
            assert [type(t).__name__ for t in terms] == [c.kind for c in kinds]
            for term, numbers in zip(terms, kinds, strict=True):
                for name, array in numbers.of.items():
                    np.testing.assert_allclose(getattr(term, name), np.broadcast_to(array, getattr(term, name).shape))


def test_agents_and_dim_when_no_term_tells():
    problem = fa.Problem(regularizer=L1(1.0), n_agents=3, dim=2)
    assert (problem.n_agents, problem.dim, problem.n_rows) == (3, 2, 0)
    assert repr(problem) == "Problem(3 agents, 2 coordinates, 0 constraint rows)"
    assert fa.Problem(n_agents=2, dim=1).values([1.0]).tolist() == [0, 0]
    assert fa.Problem.from_agents([fa.Agent(), fa.Agent(Linear([1, 2]))]).dim == 2
    assert fa.Problem.from_agents([fa.Agent()], dim=np.int64(7)).dim == 7


def test_one_term_or_a_sequence_of_them():
    one, many = (
        fa.Problem(STACKED, Zero(), Ellipsoid(EYE, [0, 0])),
        fa.Problem([STACKED], None, (Ellipsoid(EYE, [0, 0]),)),
    )
    assert len(one.objectives) == len(many.objectives) == len(one.constraints) == len(many.constraints) == 1
    assert isinstance(many.agent(0).regularizer, Zero)
    assert len(fa.Problem([STACKED, STACKED]).agent(1).objective) == 2


class Other(fa.regularizers.Regularizer):
    """A term of the user's own that says too little."""

    def __init__(self):
        self._set()


WRONG = [
    (lambda: fa.Problem(), "no term is stacked over agents.*Problem.from_agents.*give n_agents="),
    (lambda: fa.Problem(Linear([1, 2]), n_agents="2"), "n_agents must be a positive integer, not '2'"),
    (lambda: fa.Problem(Linear([1, 2])), "no term is stacked over agents"),
    (lambda: fa.Problem(NonNegative(), n_agents=2), "objective: NonNegative is no Objective"),
    (lambda: fa.Problem(STACKED, STACKED), "regularizer: Linear is no Regularizer"),
    (
        lambda: fa.Problem(STACKED, [L1(1), Box(0, 1)]),
        "regularizer must be one term.*Put sets that do not fit into constraints",
    ),
    (lambda: fa.Problem(STACKED, constraints=[Box(0, 1)]), "Box is no Constraint; give it as regularizer="),
    (lambda: fa.Problem(STACKED, constraints=5), "must be one Constraint of fastadapd.constraints or .*, not int"),
    (lambda: fa.Problem("Quadratic", n_agents=2), "objective: str is no Objective"),
    (lambda: fa.Problem(Linear, n_agents=2), "must be one Objective of fastadapd.objectives or .*, not type|Linear"),
    (lambda: fa.Problem(STACKED, n_agents=4), "Linear is for 3 agents but n_agents is for 4"),
    (lambda: fa.Problem([STACKED, Quadratic(EYE, np.zeros((4, 2)))]), "Quadratic is for 4 agents but Linear is for 3"),
    (lambda: fa.Problem(STACKED, L1(np.ones((2, 1)))), "L1 is for 2 agents but Linear is for 3"),
    (
        lambda: fa.Problem(STACKED, constraints=Ellipsoid(EYE, [0, 0], np.ones(5))),
        "Ellipsoid is for 5 agents but Linear is for 3",
    ),
    (
        lambda: fa.Problem(STACKED, L1([1, 2, 3])),
        "L1 has 3 coordinates but Linear has 2; all agents decide on the same vector",
    ),
    (lambda: fa.Problem(STACKED, dim=3), "Linear has 2 coordinates but dim has 3"),
    (lambda: fa.Problem(L1(1), n_agents=2), "objective: L1 is no Objective"),
    (lambda: fa.Problem(regularizer=L1(1), n_agents=2), "no term tells the number of coordinates: give dim="),
    (lambda: fa.Problem(STACKED, n_agents=0), "n_agents must be a positive integer, not 0"),
    (lambda: fa.Problem(STACKED, n_agents=True), "n_agents must be a positive integer, not True"),
    (lambda: fa.Problem(STACKED, n_agents=1.5), "n_agents must be a positive integer, not 1.5"),
    (lambda: fa.Problem(STACKED, dim=-2), "dim must be a positive integer, not -2"),
    (lambda: fa.Problem.from_agents([]), "agents is empty"),
    (lambda: fa.Problem.from_agents(3), "agents is 3; it must be a sequence of fastadapd.Agent"),
    (lambda: fa.Problem.from_agents([fa.Agent(), STACKED]), "agent 1 is a Linear; it must be a fastadapd.Agent"),
    (lambda: fa.Problem.from_agents([fa.Agent(), fa.Agent(STACKED)]), "agent 1: Linear is stacked over 3 agents"),
    (
        lambda: fa.Problem.from_agents([fa.Agent(Linear([1])), fa.Agent(Linear([1, 2]))]),
        "agent 1: Linear has 2 coordinates but agent 0: Linear has 1",
    ),
    (
        lambda: fa.Problem.from_agents([fa.Agent(), fa.Agent(regularizer=(L1(1), L1(2)))]),
        "agent 1: regularizer must be one term",
    ),
    (lambda: fa.Problem.from_agents([fa.Agent(L1(1))]), "agent 0: objective: L1 is no Objective"),
    (lambda: fa.Problem.from_agents([fa.Agent()]), "no term tells the number of coordinates"),
]


@pytest.mark.parametrize("make, message", WRONG)
def test_what_is_refused(make, message):
    with pytest.raises(fa.InvalidProblemError, match=message):
        make()


@pytest.mark.parametrize("count", ["three", None, np.nan, np.inf])
def test_sizes_that_are_no_numbers(count):
    with pytest.raises((ValueError, TypeError)):
        fa.Problem(Linear([1, 2]), n_agents=count)


def test_no_such_agent():
    for problem in (fa.Problem(STACKED), fa.Problem.from_agents([fa.Agent(Linear([1]))] * 3)):
        for i in (-1, 3):
            with pytest.raises(IndexError, match=f"agent {i} is not one of the 3 agents"):
                problem.agent(i)


# ---- The reference optimum ----


def test_reference_optimum_is_that_of_a_model_of_its_own():
    """All kinds of terms at once; the other model is in copies of the decision and built from the numbers."""
    agents = []
    for k, (cost, simple, limit) in enumerate(
        zip([*OBJECTIVES, "Quadratic", "LeastSquares"], REGULARIZERS, [*CONSTRAINTS, "Ellipsoid"], strict=True)
    ):
        agents += random_instance([cost, "LeastSquares"], simple, [limit], N=1, n=4, seed=k).agents
    instance = ragged(4, agents, path(5))
    # one feasible point for all: the sets of every agent hold their own anchor only
    for _, simple, limits in agents:
        for numbers in limits:
            numbers.of |= {k: v + 30 for k, v in numbers.of.items() if k in ("level", "r", "h")}
            if numbers.kind == "AffineEquality":
                numbers.of["b"] = np.zeros_like(numbers.of["b"])
        if simple.kind == "Box":
            simple.of = {"lower": simple.of["lower"] - 3, "upper": simple.of["upper"] + 3}
        if simple.kind == "L2Ball":
            simple.of["radius"] = simple.of["radius"] + 3
    instance = ragged(4, agents, path(5))
    ours, theirs = fa.solve_centralized(instance.problem), instance.optimum()
    assert ours.status == "optimal"
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-6)  # interior-point solutions of two models
    np.testing.assert_allclose(ours.fun, theirs.fun, rtol=1e-7)
    assert [m.size for m in ours.multipliers] == np.diff(instance.problem.row_ptr).tolist()
    for a, b in zip(ours.multipliers, theirs.theta, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_reference_multipliers_have_the_sign_of_the_lagrangian():
    problem = fa.Problem.from_agents(
        [
            fa.Agent(
                Quadratic(EYE, [-3, 0]), constraints=[AffineInequality(EYE, [1, 5]), AffineEquality([[0, 1.0]], [2])]
            ),
            fa.Agent(constraints=[Ellipsoid(EYE, [0, 0], 100)]),
        ]
    )
    result = fa.solve_centralized(problem)
    np.testing.assert_allclose(result.x, [1, 2], atol=1e-6)
    np.testing.assert_allclose(result.multipliers[0], [2, 0, -2], atol=1e-6)  # x + q + G'theta + A'nu = 0
    np.testing.assert_allclose(result.multipliers[1], [0], atol=1e-6)


@pytest.mark.parametrize(
    "problem, word",
    [
        (
            fa.Problem(LeastSquares(EYE, [0, 0]), Box(1, 2), AffineInequality([[1.0, 0.0]], [0.0]), n_agents=2),
            "infeasible",
        ),
        (fa.Problem(STACKED, constraints=AffineInequality(np.array([[1.0, 0]]), [0]), regularizer=None), None),
        (fa.Problem(Linear([1, 0]), n_agents=2), "unbounded"),
    ],
)
def test_no_optimum(problem, word):
    if word is None:
        assert fa.solve_centralized(problem).fun == 0
    else:
        with pytest.raises(fa.FastadapdError, match=f"CLARABEL found no optimum: it says {word}"):
            fa.solve_centralized(problem)


def test_numbers_of_the_tests_make_the_terms_they_say():
    """The tests' own tables: a parameter that they forget would never be checked."""
    import inspect

    for table, module in ((OBJECTIVES, fa.objectives), (REGULARIZERS, fa.regularizers), (CONSTRAINTS, fa.constraints)):
        for kind, axes in table.items():
            assert list(inspect.signature(getattr(module, kind).__init__).parameters)[1:] == list(axes)
        base = {"objectives": "Objective", "regularizers": "Regularizer", "constraints": "Constraint"}[
            module.__name__[10:]
        ]
        terms = {
            name
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, getattr(module, base))
            and name in module.__all__
            and value.__module__ == module.__name__
        }
        assert terms - {base} == set(table)
    assert Numbers("Zero").term().is_set is False


def test_a_term_that_says_too_little():
    with pytest.raises(TypeError, match="Other has no proximal map"):
        Other().prox(np.zeros(2))
    with pytest.raises(TypeError, match="Other has no CVXPY form"):
        Other().to_cvxpy(None)


def test_alike_terms_of_agents_are_stacked():
    """However many agents: as many groups as there are kinds of terms, in the order of every agent's own."""
    rng, N = np.random.default_rng(0), 40
    G, h = rng.normal(size=(N, 2, 3)), rng.normal(size=(N, 2))
    level, upper, q = rng.uniform(1, 2, N), rng.uniform(1, 2, (N, 3)), rng.normal(size=(N, 3))
    P = np.array([np.diag(d) if k % 4 else np.outer(d, d) + np.eye(3) for k, d in enumerate(rng.uniform(1, 2, (N, 3)))])
    shared = Box(-1, 1)

    def constraints(i):
        both = [AffineInequality(G[i], h[i]), Ellipsoid(np.eye(3), q[i], level[i])]
        return both[:: 1 - 2 * (i % 2)][: 1 + i % 3]

    problem = fa.Problem.from_agents([
        fa.Agent(Quadratic(P[i], q[i]), Box(-1, upper[i]) if i < 10 else shared if i < 30 else None, constraints(i))
        for i in range(N)])
    assert len(problem.objectives) == 2  # full and diagonal
    assert len(problem.regularizers) == 3 and len(problem.constraints) == 4
    assert [group.term.n_agents for group in problem.regularizers] == [10, None, None]
    assert problem.regularizers[1].term is shared
    for i in range(N):
        objective, regularizer, own = problem.agent(i)
        np.testing.assert_array_equal(objective[0].P, P[i])
        np.testing.assert_array_equal(objective[0].q, q[i])
        assert objective[0].lipschitz == pytest.approx(np.linalg.eigvalsh(P[i])[-1]) == problem.lipschitz()[i]
        assert type(regularizer) is (Box if i < 30 else Zero)
        if i < 10:
            np.testing.assert_array_equal(regularizer.upper, upper[i])
        assert [type(term) for term in own] == [type(term) for term in constraints(i)]
        for ours, given_ in zip(own, constraints(i), strict=True):
            for name in ours._axes:
                np.testing.assert_array_equal(getattr(ours, name), getattr(given_, name))
    x, place = rng.normal(size=(N, 3)), [0] * N
    values = np.zeros(problem.n_rows)
    for group, rows in problem.constraint_rows():
        values[rows] = group.term.value(x[group.agents])
        for i, own in zip(group.agents, rows, strict=True):
            assert own[0] == problem.row_ptr[i] + place[i]
            place[i] += len(own)
    expected = [term.value(x[i]) for i in range(N) for term in constraints(i)]
    np.testing.assert_allclose(values, np.concatenate(expected))


def test_a_term_that_many_agents_hold_is_kept_once():
    common, rare = (Quadratic(np.diag(np.arange(1.0, 4)) + level, np.zeros(3)) for level in (1.0, 2.0))
    own = [Quadratic(np.eye(3) + k, np.ones(3)) for k in range(1, 4)]
    terms = [common] * 20 + [rare, *own, common]
    problem = fa.Problem.from_agents([fa.Agent(term) for term in terms])
    assert [len(group.agents) for group in problem.objectives] == [21, 4]
    assert problem.objectives[0].term is common
    for i, term in enumerate(terms):
        np.testing.assert_array_equal(problem.agent(i).objective[0].P, term.P)


def test_groups_come_in_the_order_of_the_agents():
    """Not in that of addresses in memory, which would make sums over groups round differently in every process."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        terms = [Linear([float(k), 0.0]) for k in range(6)]
        order = rng.permutation(6)
        problem = fa.Problem.from_agents([fa.Agent(terms[k]) for k in np.repeat(order, 5)])
        assert [group.agents[0] for group in problem.objectives] == [0, 5, 10, 15, 20, 25]
        assert [group.term.q[0] for group in problem.objectives] == order.tolist()


def test_a_shared_term_counts_once_per_agent():
    cost, weight = Linear([1.0, 2.0]), L1(0.5)
    shared, single = fa.Problem(cost, weight, n_agents=3), fa.Problem.from_agents([fa.Agent(cost, weight)])
    assert shared.values(np.ones(2)).sum() == 3 * single.values(np.ones(2)).sum()


def test_the_centralized_optimum_without_cvxpy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(fa.FastadapdError, match=r"needs CVXPY and Clarabel .*pip install 'fastadapd\[figures\]'"):
        fa.solve_centralized(fa.Problem(Linear([1.0]), n_agents=1))


def test_a_centralized_solver_that_fails():
    with pytest.raises(fa.FastadapdError, match="NO_SOLVER found no optimum: The solver NO_SOLVER is not installed"):
        fa.solve_centralized(fa.Problem(Quadratic(EYE, [1.0, 2.0]), n_agents=1), solver="NO_SOLVER")
