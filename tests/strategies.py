"""Random problems for the tests, kept as plain numbers beside the terms made from them.

The same numbers go into CVXPY here, written out once more, so that neither the terms of fastadapd nor the way it cuts
them into agents is what they are checked with.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from hypothesis import strategies as st

import fastadapd as fa

# kind of term -> its parameters -> their number of axes for one agent
OBJECTIVES = {"Linear": {"q": 1}, "Quadratic": {"P": 2, "q": 1}, "LeastSquares": {"A": 2, "b": 1}}
REGULARIZERS = {
    "Zero": {},
    "L1": {"weight": 1},
    "Box": {"lower": 1, "upper": 1},
    "NonNegative": {},
    "L2Ball": {"radius": 0, "center": 1},
}
CONSTRAINTS = {
    "Ellipsoid": {"P": 2, "center": 1, "level": 0},
    "QuadraticInequality": {"P": 2, "q": 1, "r": 0},
    "AffineInequality": {"G": 2, "h": 1},
    "AffineEquality": {"A": 2, "b": 1},
}
AXES = OBJECTIVES | REGULARIZERS | CONSTRAINTS
BOUNDED = ("Box", "L2Ball")


@dataclass
class Numbers:
    """The numbers of one term, of one agent or stacked over all."""

    kind: str
    of: dict[str, Any] = field(default_factory=dict)

    def term(self) -> Any:
        modules = (fa.objectives, fa.regularizers, fa.constraints)
        return next(getattr(m, self.kind) for m in modules if hasattr(m, self.kind))(**self.of)

    def agent(self, i: int) -> Numbers:
        axes = AXES[self.kind]
        return Numbers(self.kind, {k: v[i] if np.ndim(v) > axes[k] else v for k, v in self.of.items()})

    def rescaled(self, units: Any) -> Numbers:
        """The same term in z where x = units * z."""
        change = {
            "P": np.outer(units, units),
            "center": 1 / units,
            "lower": 1 / units,
            "upper": 1 / units,
            **dict.fromkeys(("h", "b", "level", "r", "radius"), 1),
        }
        return Numbers(self.kind, {k: v * change.get(k, units) for k, v in self.of.items()})

    @property
    def rows(self) -> int:
        return np.shape(self.of.get("h", self.of.get("b")))[-1] if self.kind.startswith("Affine") else 1


def root(P):
    """R with R'R = P for a semidefinite P, small negative eigenvalues counting 0."""
    values, vectors = np.linalg.eigh(P)
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


def in_cvxpy(numbers: Numbers, x: Any) -> tuple[Any, list[Any]]:
    """The cost and the constraints on the CVXPY variable x that one agent's numbers stand for."""
    import cvxpy as cp

    match numbers.kind, list(numbers.of.values()):
        case "Linear", [q]:
            return q @ x, []
        case "Quadratic", [P, q]:
            return cp.sum_squares(root(P) @ x) / 2 + q @ x, []
        case "LeastSquares", [A, b]:
            return cp.sum_squares(A @ x - b) / 2, []
        case "Zero", []:
            return 0, []
        case "L1", [weight]:
            return cp.sum(cp.multiply(weight, cp.abs(x))), []
        case "Box", [lower, upper]:
            return 0, [x >= lower, x <= upper]
        case "NonNegative", []:
            return 0, [x >= 0]
        case "L2Ball", [radius, center]:
            return 0, [cp.norm(x - center) <= radius]
        case "Ellipsoid", [P, center, level]:
            return 0, [cp.sum_squares(root(P) @ (x - center)) <= level]
        case "QuadraticInequality", [P, q, r]:
            return 0, [cp.sum_squares(root(P) @ x) / 2 + q @ x <= r]
        case "AffineInequality", [G, h]:
            return 0, [G @ x <= h]
        case "AffineEquality", [A, b]:
            return 0, [A @ x == b]
    raise AssertionError(numbers.kind)


def draw_numbers(
    kind: str,
    rng: np.random.Generator,
    anchor: Any,
    lead: Callable[[], tuple[int, ...]] = tuple,
    rows: int = 2,
    slack: float = 0.1,
) -> Numbers:
    """A random term; every set contains `anchor` (n,), which is not negative, in its interior.

    `lead` is asked for each parameter: () for one that all agents share, or (N,).
    """
    n = len(anchor)

    def normal(*shape):
        return rng.normal(size=(*lead(), *shape))

    def semidefinite():
        R = normal(rng.integers(1, n + 1), n)
        return np.swapaxes(R, -1, -2) @ R / n

    def square(P, y):
        return np.einsum("...i,...ij,...j->...", y, P, y)

    match kind:
        case "Linear":
            return Numbers(kind, {"q": normal(n)})
        case "Quadratic":
            return Numbers(kind, {"P": semidefinite(), "q": normal(n)})
        case "LeastSquares":
            return Numbers(kind, {"A": normal(rows, n), "b": normal(rows)})
        case "L1":
            return Numbers(kind, {"weight": np.abs(normal(n))})
        case "Box":
            return Numbers(
                kind, {"lower": anchor - slack - np.abs(normal(n)), "upper": anchor + slack + np.abs(normal(n))}
            )
        case "L2Ball":
            center = anchor + 0.3 * normal(n)
            return Numbers(kind, {"radius": slack + np.linalg.norm(center - anchor, axis=-1), "center": center})
        case "Ellipsoid":
            P, center = semidefinite(), anchor + normal(n)
            return Numbers(kind, {"P": P, "center": center, "level": square(P, anchor - center) + slack})
        case "QuadraticInequality":
            P, q = semidefinite(), normal(n)
            return Numbers(kind, {"P": P, "q": q, "r": square(P, anchor) / 2 + q @ anchor + slack})
        case "AffineInequality":
            G = normal(rows, n)
            return Numbers(kind, {"G": G, "h": G @ anchor + slack})
        case "AffineEquality":
            A = normal(rows, n)
            return Numbers(kind, {"A": A, "b": A @ anchor})
    return Numbers(kind)


@dataclass
class Instance:
    """A problem over a network, and the numbers of its agents: (costs, simple term, constraints) of each."""

    problem: fa.Problem
    network: fa.Network
    agents: list[tuple[list[Numbers], Numbers, list[Numbers]]]

    def optimum(self) -> Optimum:
        return optimum(self.agents, self.network.consensus_matrix.toarray(), self.problem.dim)


@dataclass
class Optimum:
    x: Any
    fun: float
    theta: list[Any]
    lambda_: Any


def solve_accurately(program: Any) -> None:
    """Clarabel as far as rounding lets it go; "inaccurate" still means 1e-8, its own default."""
    import cvxpy as cp

    reduced = dict.fromkeys(("reduced_tol_gap_abs", "reduced_tol_gap_rel", "reduced_tol_feas"), 1e-8)
    for size in (1e-12, 1e-11, 1e-10, 1e-9):
        with contextlib.suppress(cp.SolverError), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Solution may be inaccurate")
            program.solve(solver="CLARABEL", tol_gap_abs=size, tol_gap_rel=size, tol_feas=size, **reduced)
            break
    assert program.status in ("optimal", "optimal_inaccurate"), program.status


def optimum(agents: list[tuple[list[Numbers], Numbers, list[Numbers]]], B: Any, dim: int) -> Optimum:
    """Minimize over copies of the decision that equal the first; lambda is the smallest with the same B' lambda."""
    import cvxpy as cp

    N = len(agents)
    X, star = cp.Variable((N, dim)), np.hstack([-np.ones((N - 1, 1)), np.eye(N - 1)])
    cost, domains, limits = 0, [], []
    for i, (objectives, regularizer, constraints) in enumerate(agents):
        for numbers in (*objectives, regularizer):
            value, sets = in_cvxpy(numbers, X[i])
            cost, domains = cost + value, domains + sets
        limits.append([limit for numbers in constraints for limit in in_cvxpy(numbers, X[i])[1]])
    agree = [star @ X == 0] if N > 1 else []
    program = cp.Problem(cp.Minimize(cost), agree + domains + [limit for own in limits for limit in own])
    solve_accurately(program)
    theta = [np.concatenate([np.ravel(limit.dual_value) for limit in own] or [np.zeros(0)]) for own in limits]
    lambda_ = np.linalg.lstsq(B.T, star.T @ agree[0].dual_value)[0] if agree else np.zeros((len(B), dim))
    return Optimum(X.value.mean(axis=0), program.value, theta, lambda_)


def stacked(
    N: int, dim: int, objectives: list[Numbers], regularizer: Numbers, constraints: list[Numbers], network: fa.Network
) -> Instance:
    problem = fa.Problem(
        [c.term() for c in objectives], regularizer.term(), [c.term() for c in constraints], n_agents=N, dim=dim
    )
    agents = [
        ([c.agent(i) for c in objectives], regularizer.agent(i), [c.agent(i) for c in constraints]) for i in range(N)
    ]
    return Instance(problem, network, agents)


def ragged(dim: int, agents: list[tuple[list[Numbers], Numbers, list[Numbers]]], network: fa.Network) -> Instance:
    problem = fa.Problem.from_agents(
        [
            fa.Agent([c.term() for c in costs], simple.term(), [c.term() for c in limits])
            for costs, simple, limits in agents
        ],
        dim=dim,
    )
    return Instance(problem, network, agents)


@dataclass
class Built:
    problem: fa.Problem
    network: fa.Network
    x: Any
    theta: list[Any]
    lambda_: Any


def built(
    objective: str,
    regularizer: str,
    *constraints: str,
    N: int = 4,
    n: int = 6,
    consensus: str = "edge",
    extra: int = 3,
    seed: int = 0,
) -> Built:
    """A problem made around its solution: x*, theta* and lambda* are drawn, and the costs balance them.

    About half of the constraints are active; their gradients at x*, of up to n of them, are orthogonal. The costs of
    all agents are strongly convex.
    """
    rng = np.random.default_rng(seed)
    network = random_network(N, rng, consensus, extra)
    x = np.where(np.arange(n) % 3, rng.uniform(0.5, 1.5, n), 0.0)
    lambda_ = rng.normal(size=(network.consensus_matrix.shape[0], n))
    normals = itertools.cycle(np.linalg.qr(rng.normal(size=(n, n)))[0])
    thetas, agents = [], []

    def definite():
        R = rng.normal(size=(n, n)) / 2
        return np.eye(n) + R.T @ R

    def limit(kind):
        """A constraint, its multiplier, and its gradient at x."""
        active, v, P = rng.random() < 0.5, next(normals), definite()
        theta, slack = (rng.uniform(0.5, 2), 0) if active else (0, rng.uniform(0.1, 1))
        match kind:
            case "Ellipsoid":
                d = np.linalg.solve(P, v) / 2
                return Numbers(kind, {"P": P, "center": x - d, "level": d @ P @ d + slack}), theta, v
            case "QuadraticInequality":
                q = v - P @ x
                return Numbers(kind, {"P": P, "q": q, "r": x @ P @ x / 2 + q @ x + slack}), theta, v
            case "AffineInequality":
                return Numbers(kind, {"G": v[None], "h": v[None] @ x + slack}), theta, v
        return Numbers("AffineEquality", {"A": v[None], "b": v[None] @ x}), rng.normal(), v

    def simple(kind):
        """A simple term and one of its subgradients at x."""
        side, pull, room = rng.choice([-1, 0, 1], n, p=[0.1, 0.8, 0.1]), rng.uniform(0.5, 2, n), rng.uniform(0.1, 1, n)
        match kind:
            case "L1":
                return Numbers(kind, {"weight": pull}), pull * np.where(x > 0, 1, rng.uniform(-0.9, 0.9, n))
            case "Box":
                box = {"lower": np.where(side < 0, x, x - room), "upper": np.where(side > 0, x, x + room)}
                return Numbers(kind, box), side * pull
            case "NonNegative":
                return Numbers(kind), np.where(x > 0, 0, -pull * side**2)
            case "L2Ball":
                d, active = rng.normal(size=n), rng.random() < 0.5
                ball = {"radius": np.linalg.norm(d) + (0 if active else room[0]), "center": x - d}
                return Numbers(kind, ball), pull[0] * d * active
        return Numbers(kind), np.zeros(n)

    def costs(kind, gradient):
        """Costs with that gradient at x."""
        match kind:
            case "Linear":
                A, b = np.eye(n) + rng.normal(size=(n, n)) / 4, rng.normal(size=n)
                return [Numbers(kind, {"q": gradient - A.T @ (A @ x - b)}), Numbers("LeastSquares", {"A": A, "b": b})]
            case "Quadratic":
                P = definite()
                return [Numbers(kind, {"P": P, "q": gradient - P @ x})]
        A = np.vstack([1.5 * np.eye(n), rng.normal(size=(2, n))])
        return [Numbers(kind, {"A": A, "b": A @ (x - np.linalg.solve(A.T @ A, gradient))})]

    for push in network.consensus_matrix.T @ lambda_:
        limits = [limit(kind) for kind in constraints]
        term, subgradient = simple(regularizer)
        pull = np.sum([push, subgradient, *(theta * v for _, theta, v in limits)], axis=0)
        agents.append((costs(objective, -pull), term, [numbers for numbers, _, _ in limits]))
        thetas.append(np.array([theta for _, theta, _ in limits]))
    instance = ragged(n, agents, network)
    return Built(instance.problem, network, x, thetas, lambda_)


def random_network(N: int, rng: np.random.Generator, consensus: str = "edge", extra: int = 3) -> fa.Network:
    """A random tree and `extra` more edges."""
    edges = [(int(rng.integers(i)), i) for i in range(1, N)]
    edges += [(int(a), int(b)) for a, b in rng.integers(N, size=(extra, 2)) if a != b]
    return fa.Network(edges, consensus=consensus, n_agents=N)


def random_instance(
    objectives: list[str],
    regularizer: str,
    constraints: list[str],
    *,
    N: int = 4,
    n: int = 3,
    rows: int = 1,
    consensus: str = "edge",
    extra: int = 3,
    seed: int = 0,
    slack: float = 0.1,
) -> Instance:
    """Every agent with numbers of its own and terms of the same kinds."""
    rng = np.random.default_rng(seed)
    anchor = rng.uniform(size=n)

    def numbers(kind, rows=rows):
        return draw_numbers(kind, rng, anchor, lambda: (N,), rows, slack)

    return stacked(
        N,
        n,
        [numbers(k, n + 1) for k in objectives],
        numbers(regularizer),
        [numbers(k) for k in constraints],
        random_network(N, rng, consensus, extra),
    )


@st.composite
def instances(draw, max_agents: int = 6, max_dim: int = 6) -> Instance:
    """Any terms, any number of each, any sizes; stacked with some parameters shared, or agent by agent."""
    N, n = draw(st.integers(1, max_agents)), draw(st.integers(1, max_dim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    anchor = rng.uniform(size=n)
    network = random_network(N, rng, draw(st.sampled_from(["edge", "laplacian", "metropolis", "max-degree"])))
    rows = st.integers(1, 4)
    costs = st.lists(st.tuples(st.sampled_from(sorted(OBJECTIVES)), rows), max_size=3)
    limits = st.lists(st.tuples(st.sampled_from(sorted(CONSTRAINTS)), rows), max_size=3)
    simple = st.sampled_from(sorted(REGULARIZERS))
    if draw(st.booleans(), label="stacked"):

        def lead():
            return (N,) if rng.random() < 0.7 else ()

        def numbers(kind, rows=1):
            return draw_numbers(kind, rng, anchor, lead, rows)

        return stacked(
            N,
            n,
            [numbers(*c) for c in draw(costs)],
            numbers(draw(simple)),
            [numbers(*c) for c in draw(limits)],
            network,
        )

    def numbers(kind, rows=1):
        return draw_numbers(kind, rng, anchor, rows=rows)

    agents = [
        ([numbers(*c) for c in draw(costs)], numbers(draw(simple)), [numbers(*c) for c in draw(limits)])
        for _ in range(N)
    ]
    return ragged(n, agents, network)


def path(N: int, consensus: str = "edge") -> fa.Network:
    return fa.Network(nx.path_graph(N), consensus=consensus)
