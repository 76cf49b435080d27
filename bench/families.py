"""Families of random problems for the convergence suite: ``FAMILIES[name](n_agents, seed)`` draws a `Case`.

Most start from one draw, `Draw`: a common point x0 ~ N(0, I), for every agent an ellipsoid
``(x - c_i)'P_i(x - c_i) <= level_i`` with ``P_i = A'A`` (A Gaussian n x n, over sqrt(n)), ``c_i = x0 + N(0, I)`` and
the level that leaves a slack of 0.1 at x0, and a target ``b_i = x0 + N(0, I)`` with the cost ``|x - b_i|^2 / 2``.
Unless the family says otherwise n = 10 and the network is a cycle with as many random edges again.

Where a family changes units, the same problem in natural units is its twin: the reference optimum is the twin's, and
errors are measured in the twin's units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.stats import chi2

import fastadapd as fa
from fastadapd.constraints import AffineEquality, AffineInequality, Ellipsoid, QuadraticInequality
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.regularizers import L1, Box, L2Ball, NonNegative

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Case:
    """A problem to solve and what the suite has to know about it.

    Attributes
    ----------
    problem : Problem
    network : Network
    unique : bool
        The optimum is unique, so that x can be compared; else only the objective and the constraints are.
    constrained : bool
        Some agent has a constraint (a regularizer is none).
    twin : Problem or None
        The same problem in natural units, where `problem` is in others.
    units : ndarray, shape () or (dim,)
        A natural x is ``units * x``.
    cost_unit : float
        A natural cost is ``cost / cost_unit``.
    """

    problem: fa.Problem
    network: fa.Network
    unique: bool = True
    constrained: bool = True
    twin: fa.Problem | None = None
    units: Array | float = 1.0
    cost_unit: float = 1.0


Family = Callable[[int, int], Case]
FAMILIES: dict[str, Family] = {}


def family(draw: Family) -> Family:
    """Put a family into the table under its name."""
    FAMILIES[draw.__name__] = draw
    return draw


def generator(n_agents: int, seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, n_agents))


def small_world(n_agents: int, seed: int) -> fa.Network:
    """A cycle and N random edges (or all there are)."""
    extra = min(n_agents, n_agents * (n_agents - 3) // 2)
    return fa.Network(fa.graphs.small_world(n_agents, extra, rng=(seed, n_agents, 1)))


class Draw:
    """One draw of the ellipsoids, targets and the common point, see above; all of it about `origin`."""

    def __init__(self, n_agents: int, seed: int, n: int = 10, origin: float = 0.0):
        self.rng = rng = generator(n_agents, seed)
        A = rng.standard_normal((n_agents, n, n)) / np.sqrt(n)
        self.n, self.P = n, np.swapaxes(A, 1, 2) @ A
        self.x0 = origin + rng.standard_normal(n)
        self.center = self.x0 + rng.standard_normal((n_agents, n))
        self.target = self.x0 + rng.standard_normal((n_agents, n))
        offset = self.x0 - self.center
        self.level = np.einsum("ij,ijk,ik->i", offset, self.P, offset) + 0.1
        self.network = small_world(n_agents, seed)

    def cost(self, weight: Array | float = 1.0) -> LeastSquares:
        """``weight_i |x - b_i|^2 / 2``."""
        root = np.sqrt(np.broadcast_to(weight, len(self.target)))
        return LeastSquares(root[:, None, None] * np.eye(self.n), root[:, None] * self.target)

    def ellipsoid(self, weight: Array | float = 1.0) -> Ellipsoid:
        """``weight_i (x - c_i)'P_i(x - c_i) <= weight_i level_i``."""
        weight = np.broadcast_to(weight, len(self.level))
        return Ellipsoid(weight[:, None, None] * self.P, self.center, weight * self.level)

    def problem(self) -> fa.Problem:
        return fa.Problem(self.cost(), constraints=self.ellipsoid())

    def halfspaces(self, rows: int) -> tuple[Array, Array]:
        """Unit normals G (N, rows, n) and h with a slack of 0.1 to 1.1 at x0."""
        G = self.rng.standard_normal((len(self.level), rows, self.n))
        G /= np.linalg.norm(G, axis=-1, keepdims=True)
        return G, G @ self.x0 + self.rng.uniform(0.1, 1.1, G.shape[:2])


# ---- Ellipsoids ----


@family
def ellipsoids(n_agents: int, seed: int) -> Case:
    """The family of DESIGN 2, n = 20."""
    draw = Draw(n_agents, seed, 20)
    return Case(draw.problem(), draw.network)


@family
def chance(n_agents: int, seed: int) -> Case:
    """Chance constraints: x in the 95 % confidence ellipsoid of agent i's measurement, condition 100."""
    draw, n = Draw(n_agents, seed), 10
    basis = np.linalg.qr(draw.rng.standard_normal((n_agents, n, n)))[0]
    deviations = 10.0 ** draw.rng.uniform(-0.5, 0.5, (n_agents, n))
    noise = draw.rng.standard_normal((n_agents, n))
    level = chi2.ppf(0.95, n)
    noise *= np.minimum(1.0, np.sqrt(0.95 * level / np.sum(noise**2, axis=1)))[:, None]  # x0 inside of all
    center = draw.x0 + np.einsum("ijk,ik->ij", basis, deviations * noise)
    precision = np.einsum("ijk,ik,ilk->ijl", basis, deviations**-2.0, basis)
    return Case(fa.Problem(Linear(3.0 * (draw.x0 - draw.target)), constraints=Ellipsoid(precision, center, level)),
                draw.network)


@family
def linear_over_ellipsoids(n_agents: int, seed: int) -> Case:
    draw = Draw(n_agents, seed)
    return Case(fa.Problem(Linear(draw.x0 - draw.target), constraints=draw.ellipsoid()), draw.network)


def _levels(draw: Draw, *points: Array) -> Array:
    """The smallest levels whose ellipsoids hold these points."""
    offsets = np.array(points)[:, None] - draw.center
    return np.einsum("pij,ijk,pik->pi", offsets, draw.P, offsets).max(axis=0)


@family
def inactive(n_agents: int, seed: int) -> Case:
    """Ellipsoids and half-spaces, none of which is met."""
    draw = Draw(n_agents, seed)
    best = draw.target.mean(axis=0)
    G, h = draw.halfspaces(3)
    return Case(fa.Problem(draw.cost(), constraints=[Ellipsoid(draw.P, draw.center, _levels(draw, best) + 1.0),
                                                     AffineInequality(G, np.maximum(h, G @ best + 0.5))]), draw.network)


@family
def one_active(n_agents: int, seed: int) -> Case:
    """Nobody's ellipsoid is met, and one agent's half-space moves the optimum by 1: its multiplier is N."""
    draw = Draw(n_agents, seed)
    best, normal = draw.target.mean(axis=0), np.eye(draw.n)[:1]
    wide = Ellipsoid(draw.P, draw.center, _levels(draw, best, best - normal[0]) + 1.0)
    cut = AffineInequality(normal, normal @ best - 1.0)
    agents = [fa.Agent(draw.cost().agent(i), constraints=[wide.agent(i), cut] if i == 0 else wide.agent(i))
              for i in range(n_agents)]
    return Case(fa.Problem.from_agents(agents), draw.network)


@family
def barely_active(n_agents: int, seed: int) -> Case:
    """Five ellipsoids pass through the unconstrained optimum: active with multipliers 0."""
    draw = Draw(n_agents, seed)
    level = _levels(draw, draw.target.mean(axis=0)) + np.where(np.arange(n_agents) < 5, 0.0, 1.0)
    return Case(fa.Problem(draw.cost(), constraints=Ellipsoid(draw.P, draw.center, level)), draw.network)


# ---- Least squares, l1, boxes ----


def _regression(n_agents: int, seed: int, condition: float) -> tuple[LeastSquares, Array, np.random.Generator]:
    """Data of 5 rows per agent, n = 10, whose Hessian has that condition number before sampling."""
    rng = generator(n_agents, seed)
    scale = np.geomspace(1.0, condition**-0.5, 10)
    A = rng.standard_normal((n_agents, 5, 10)) @ (scale[:, None] * np.linalg.qr(rng.standard_normal((10, 10)))[0])
    truth = rng.standard_normal(10) * (np.arange(10) < 5)
    return LeastSquares(A, A @ truth + 0.1 * rng.standard_normal((n_agents, 5))), truth, rng


@family
def least_squares_well(n_agents: int, seed: int) -> Case:
    cost, _, _ = _regression(n_agents, seed, 1.0)
    return Case(fa.Problem(cost), small_world(n_agents, seed), constrained=False)


@family
def least_squares_bad(n_agents: int, seed: int) -> Case:
    """Condition number 10^4; no agent's data determine x."""
    cost, _, _ = _regression(n_agents, seed, 1e4)
    return Case(fa.Problem(cost), small_world(n_agents, seed), constrained=False)


@family
def lasso(n_agents: int, seed: int) -> Case:
    cost, _, _ = _regression(n_agents, seed, 10.0)
    return Case(fa.Problem(cost, L1(0.3)), small_world(n_agents, seed), constrained=False)


@family
def box(n_agents: int, seed: int) -> Case:
    """Every agent has a box of its own."""
    cost, truth, rng = _regression(n_agents, seed, 10.0)
    lower, upper = truth - rng.uniform(0.1, 2.0, (n_agents, 10)), truth + rng.uniform(0.1, 2.0, (n_agents, 10))
    return Case(fa.Problem([cost, Linear(rng.standard_normal((n_agents, 10)))], Box(lower, upper)),
                small_world(n_agents, seed), constrained=False)


@family
def l1_ellipsoids(n_agents: int, seed: int) -> Case:
    draw = Draw(n_agents, seed)
    return Case(fa.Problem(draw.cost(), L1(0.5), draw.ellipsoid()), draw.network)


# ---- Linear programs, half-spaces, equations ----


@family
def lp_polyhedra(n_agents: int, seed: int) -> Case:
    """A linear program built from its vertex: n random rows are active there, with multipliers from 1 to 2."""
    draw = Draw(n_agents, seed)
    G, h = draw.halfspaces(5)
    theta = np.zeros(h.size)
    active = draw.rng.choice(h.size, draw.n, replace=False)
    theta[active] = draw.rng.uniform(1.0, 2.0, draw.n)
    h.reshape(-1)[active] = (G @ draw.x0).reshape(-1)[active]
    q = draw.rng.standard_normal((n_agents, draw.n))
    q += (-theta @ G.reshape(-1, draw.n) - q.sum(axis=0)) / n_agents
    return Case(fa.Problem(Linear(q), constraints=AffineInequality(G, h)), draw.network)


@family
def lp_standard(n_agents: int, seed: int) -> Case:
    """A linear program in standard form, n = 20: x >= 0 for all, and one equation each for 8 of the agents."""
    rng, n, rows = generator(n_agents, seed), 20, 8
    A = rng.standard_normal((rows, n))
    basic = np.arange(n) < rows
    x = np.where(basic, rng.uniform(0.5, 1.5, n), 0.0)
    q = rng.standard_normal((n_agents, n))
    q += (A.T @ rng.standard_normal(rows) + np.where(basic, 0.0, rng.uniform(0.5, 1.5, n)) - q.sum(axis=0)) / n_agents
    holder = rng.choice(n_agents, rows, replace=False)
    agents = [fa.Agent(Linear(q[i]), NonNegative(), [AffineEquality(A[r : r + 1], A[r : r + 1] @ x)
                                                    for r in np.flatnonzero(holder == i)]) for i in range(n_agents)]
    return Case(fa.Problem.from_agents(agents), small_world(n_agents, seed))


@family
def halfspaces(n_agents: int, seed: int) -> Case:
    """A quadratic program: 5 half-spaces per agent."""
    draw = Draw(n_agents, seed)
    G, h = draw.halfspaces(5)
    return Case(fa.Problem(draw.cost(), constraints=AffineInequality(G, h)), draw.network)


@family
def scenario(n_agents: int, seed: int) -> Case:
    """Robust half-spaces: 200 scenarios ``(a_i + 0.3 z)'x <= h`` per agent."""
    draw = Draw(n_agents, seed)
    normal = draw.rng.standard_normal((n_agents, 1, draw.n))
    G = normal + 0.3 * draw.rng.standard_normal((n_agents, 200, draw.n))
    h = np.broadcast_to((G @ draw.x0).max(axis=1, keepdims=True) + 0.1, G.shape[:2])
    return Case(fa.Problem(draw.cost(), constraints=AffineInequality(G, h)), draw.network)


@family
def equality(n_agents: int, seed: int) -> Case:
    """Five equations, each known to one agent; the other agents have no constraint."""
    draw = Draw(n_agents, seed)
    A, holder = draw.rng.standard_normal((5, draw.n)), draw.rng.choice(n_agents, 5, replace=False)
    agents = [fa.Agent(draw.cost().agent(i),
                       constraints=[AffineEquality(A[r : r + 1], A[r : r + 1] @ draw.x0)
                                    for r in np.flatnonzero(holder == i)]) for i in range(n_agents)]
    return Case(fa.Problem.from_agents(agents), draw.network)


@family
def equality_redundant(n_agents: int, seed: int) -> Case:
    """Two equations per agent, all in one space of five dimensions: the multipliers are not unique."""
    draw = Draw(n_agents, seed)
    A = draw.rng.standard_normal((n_agents, 2, 5)) @ draw.rng.standard_normal((5, draw.n)) / np.sqrt(draw.n)
    return Case(fa.Problem(draw.cost(), constraints=AffineEquality(A, A @ draw.x0)), draw.network)


# ---- Agents that differ, costs that are not strongly convex ----


@family
def several(n_agents: int, seed: int) -> Case:
    """An ellipsoid, a quadratic inequality, two half-spaces and a box for every agent."""
    draw = Draw(n_agents, seed)
    return Case(fa.Problem(draw.cost(), Box(-10, 10), _several(draw)), draw.network)


def _several(draw: Draw, scale: tuple[Array | float, Array | float, Array | float] = (1.0, 1.0, 1.0)) -> list:
    """Three constraints per agent, each times a number per agent."""
    N, n = draw.target.shape
    first, second, third = (np.broadcast_to(s, N) for s in scale)
    A = draw.rng.standard_normal((N, n // 2, n)) / np.sqrt(n)
    P, q = np.swapaxes(A, 1, 2) @ A, draw.rng.standard_normal((N, n))
    r = 0.5 * np.einsum("j,ijk,k->i", draw.x0, P, draw.x0) + q @ draw.x0 + 0.1
    G, h = draw.halfspaces(2)
    return [draw.ellipsoid(first), QuadraticInequality(second[:, None, None] * P, second[:, None] * q, second * r),
            AffineInequality(third[:, None, None] * G, third[:, None] * h)]


@family
def far_from_origin(n_agents: int, seed: int) -> Case:
    """An ellipsoid and two half-spaces for every agent, a hundred times as far from 0 as from each other."""
    draw = Draw(n_agents, seed, origin=100.0)
    G, h = draw.halfspaces(2)
    return Case(fa.Problem(draw.cost(), constraints=[draw.ellipsoid(), AffineInequality(G, h)]), draw.network)


@family
def partial(n_agents: int, seed: int) -> Case:
    """Half of the agents have a cost and no constraint, the others an ellipsoid and no cost."""
    draw = Draw(n_agents, seed)
    agents = [fa.Agent(draw.cost().agent(i)) if i % 2 else
              fa.Agent(constraints=draw.ellipsoid().agent(i)) for i in range(n_agents)]
    return Case(fa.Problem.from_agents(agents), draw.network)


@family
def one_cost(n_agents: int, seed: int) -> Case:
    """A single agent has a cost, all have ellipsoids."""
    draw = Draw(n_agents, seed)
    agents = [fa.Agent(LeastSquares(np.eye(draw.n), draw.x0 + 2.0 * (draw.target[i] - draw.x0)) if i == 0 else None,
                       constraints=draw.ellipsoid().agent(i)) for i in range(n_agents)]
    return Case(fa.Problem.from_agents(agents), draw.network)


@family
def one_cost_bad(n_agents: int, seed: int) -> Case:
    """A single agent has a cost, least squares of rank 6 with sizes 1 to 1e-4; it has an ellipsoid, all have a box."""
    draw = Draw(n_agents, seed)
    A = np.geomspace(1.0, 1e-4, 6)[:, None] * draw.rng.standard_normal((6, draw.n))
    b = A @ (draw.x0 + 3.0 * (draw.target[0] - draw.x0))
    box, own = Box(draw.x0 - 2.0, draw.x0 + 2.0), draw.ellipsoid().agent(0)
    agents = [fa.Agent(LeastSquares(A, b), box, own), *[fa.Agent(None, box)] * (n_agents - 1)]
    return Case(fa.Problem.from_agents(agents), draw.network, unique=False)


@family
def merely_convex(n_agents: int, seed: int) -> Case:
    """Costs of rank 3 in the same 6 dimensions, over half-spaces and a ball: there may be many optima."""
    draw = Draw(n_agents, seed)
    G, h = draw.halfspaces(2)
    A = draw.rng.standard_normal((n_agents, 3, 6)) @ draw.rng.standard_normal((6, draw.n)) / np.sqrt(draw.n)
    b = A @ (draw.x0 + 2.0 * draw.rng.standard_normal(draw.n)) + draw.rng.standard_normal((n_agents, 3))
    return Case(fa.Problem(LeastSquares(A, b), L2Ball(5.0, draw.x0), AffineInequality(G, h)), draw.network,
                unique=False)


@family
def rank_one(n_agents: int, seed: int) -> Case:
    """Costs of rank one that determine x only together, over ellipsoids."""
    draw = Draw(n_agents, seed)
    a = draw.rng.standard_normal((n_agents, draw.n, 1))
    P = a @ np.swapaxes(a, 1, 2)
    q = -np.einsum("ijk,ik->ij", P, draw.target)
    return Case(fa.Problem(Quadratic(P, q), constraints=draw.ellipsoid()), draw.network, unique=n_agents >= draw.n)


@family
def nearly_linear(n_agents: int, seed: int) -> Case:
    """Linear costs, but for a curvature of 1e-6 of that of the ellipsoids."""
    draw = Draw(n_agents, seed)
    q = draw.rng.standard_normal((n_agents, draw.n))
    return Case(fa.Problem(Quadratic(1e-6 * np.eye(draw.n), q), constraints=draw.ellipsoid()), draw.network)


@family
def feasibility(n_agents: int, seed: int) -> Case:
    """No cost at all: any point of all ellipsoids."""
    draw = Draw(n_agents, seed)
    return Case(fa.Problem(constraints=draw.ellipsoid()), draw.network, unique=False)


# ---- Units ----


def _one(n_agents: int, factor: float) -> Array:
    """The factor for agent 0, 1 for the others."""
    return np.where(np.arange(n_agents) == 0, factor, 1.0)


def _cost_units(factor: float) -> Family:
    def draw_case(n_agents: int, seed: int) -> Case:
        draw, unit = Draw(n_agents, seed), max(factor, 1.0)
        weight = _one(n_agents, factor)
        return Case(fa.Problem(draw.cost(weight), constraints=draw.ellipsoid()), draw.network,
                    twin=fa.Problem(draw.cost(weight / unit), constraints=draw.ellipsoid()), cost_unit=unit)
    return draw_case


def _low_rank_units(factor: float, boxes: bool) -> Family:
    """Agent 0 has least squares of rank 3 times a factor, the others linear costs; all have ellipsoids, or one box."""
    def draw_case(n_agents: int, seed: int) -> Case:
        draw, unit = Draw(n_agents, seed), max(factor, 1.0)
        A, q = draw.rng.standard_normal((3, draw.n)), draw.rng.standard_normal((n_agents, draw.n))
        b = A @ draw.target[0]

        def problem(of_first: float, of_others: float) -> fa.Problem:
            root = math.sqrt(of_first)
            costs = [Linear(of_others * q[i]) if i else LeastSquares(root * A, root * b) for i in range(n_agents)]
            box = Box(draw.x0 - 2.0, draw.x0 + 2.0)
            return fa.Problem.from_agents([
                fa.Agent(cost, box) if boxes else fa.Agent(cost, constraints=draw.ellipsoid().agent(i))
                for i, cost in enumerate(costs)])
        return Case(problem(factor, 1.0), draw.network, unique=not boxes, constrained=not boxes,
                    twin=problem(factor / unit, 1.0 / unit), cost_unit=unit)
    return draw_case


def _total_units(factor: float) -> Family:
    def draw_case(n_agents: int, seed: int) -> Case:
        draw = Draw(n_agents, seed)
        return Case(fa.Problem(draw.cost(factor), constraints=draw.ellipsoid()), draw.network, twin=draw.problem(),
                    cost_unit=factor)
    return draw_case


def _constraint_units(factor: float) -> Family:
    def draw_case(n_agents: int, seed: int) -> Case:
        draw = Draw(n_agents, seed)
        return Case(fa.Problem(draw.cost(), constraints=draw.ellipsoid(_one(n_agents, factor))), draw.network,
                    twin=draw.problem())
    return draw_case


def _several_units(factor: float) -> Family:
    """One of three constraints of every agent, not the same one."""
    def draw_case(n_agents: int, seed: int) -> Case:
        which = np.arange(n_agents) % 3
        scale = tuple(np.where(which == k, factor, 1.0) for k in range(3))
        draw, again = Draw(n_agents, seed), Draw(n_agents, seed)
        return Case(fa.Problem(draw.cost(), constraints=_several(draw, scale)), draw.network,
                    twin=fa.Problem(again.cost(), constraints=_several(again)))
    return draw_case


def _row_units(decades: float) -> Family:
    """Every row of every agent's half-spaces, uniform in the logarithm over that many decades."""
    def draw_case(n_agents: int, seed: int) -> Case:
        draw = Draw(n_agents, seed)
        G, h = draw.halfspaces(5)
        scale = 10.0 ** draw.rng.uniform(-decades / 2, decades / 2, h.shape)
        return Case(fa.Problem(draw.cost(), constraints=AffineInequality(scale[..., None] * G, scale * h)),
                    draw.network, twin=fa.Problem(draw.cost(), constraints=AffineInequality(G, h)))
    return draw_case


def _coordinate_units(factor: float, coordinates: slice) -> Family:
    """The numbers of these coordinates are that many times larger."""
    def draw_case(n_agents: int, seed: int) -> Case:
        draw = Draw(n_agents, seed)
        units = np.ones(draw.n)
        units[coordinates] = 1.0 / factor
        return Case(fa.Problem(LeastSquares(np.diag(units), draw.target), constraints=Ellipsoid(
            units[:, None] * draw.P * units, draw.center / units, draw.level)), draw.network, twin=draw.problem(),
            units=units)
    return draw_case


for _direction, _factor in (("up", 1e6), ("down", 1e-6)):
    FAMILIES[f"units_cost_{_direction}"] = _cost_units(_factor)
    FAMILIES[f"units_low_rank_{_direction}"] = _low_rank_units(_factor, boxes=False)
    FAMILIES[f"units_low_rank_{_direction}_box"] = _low_rank_units(_factor, boxes=True)
    FAMILIES[f"units_total_{_direction}"] = _total_units(_factor)
    FAMILIES[f"units_constraint_{_direction}"] = _constraint_units(_factor)
    FAMILIES[f"units_several_{_direction}"] = _several_units(_factor)
    FAMILIES[f"units_coordinate_{_direction}"] = _coordinate_units(_factor, slice(1))
    FAMILIES[f"units_x_{_direction}"] = _coordinate_units(_factor, slice(None))
FAMILIES["units_coordinate_up_mild"] = _coordinate_units(1e2, slice(1))
FAMILIES["units_coordinate_down_mild"] = _coordinate_units(1e-2, slice(1))
FAMILIES["units_rows"] = _row_units(6.0)


# ---- Networks ----


def _grid(n_agents: int, seed: int) -> nx.Graph:
    """As square as the number of agents allows."""
    rows = max(d for d in range(1, math.isqrt(n_agents) + 1) if n_agents % d == 0)
    return nx.grid_2d_graph(rows, n_agents // rows)


def _barbell(n_agents: int, seed: int) -> nx.Graph:
    """Two cliques and an edge between them."""
    return nx.barbell_graph(n_agents // 2, n_agents % 2)


GRAPHS: dict[str, Callable[[int, int], nx.Graph]] = {
    "path": lambda n_agents, seed: nx.path_graph(n_agents),
    "cycle": lambda n_agents, seed: nx.cycle_graph(n_agents),
    "star": lambda n_agents, seed: nx.star_graph(n_agents - 1),
    "grid": _grid,
    "complete": lambda n_agents, seed: nx.complete_graph(n_agents),
    "barbell": _barbell,
    "small_world": lambda n_agents, seed: nx.connected_watts_strogatz_graph(n_agents, 4, 0.2, seed=seed),
    "expander": lambda n_agents, seed: nx.random_regular_graph(4, n_agents, seed=seed),
}


def _on_graph(graph: Callable[[int, int], nx.Graph]) -> Family:
    """The ellipsoids, n = 10, on another network."""
    def draw_case(n_agents: int, seed: int) -> Case:
        return Case(Draw(n_agents, seed).problem(), fa.Network(graph(n_agents, seed)))
    return draw_case


for _name, _graph in GRAPHS.items():
    FAMILIES[f"graph_{_name}"] = _on_graph(_graph)
