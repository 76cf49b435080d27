"""Costs that are far more curved than others, as equations that give way.

A gradient step is as short as the largest curvature of the agent's cost asks. Where one cost is far more curved than
those of the others, but not in all directions, the agent crawls along the flat ones. So the curved part of such a cost,
``sigma (v'x - b)^2 / 2`` for every singular direction v of its matrix, is put as its Fenchel dual:

    max_theta  theta (v'x - b) - theta^2 / (2 sigma)

which is an equation ``v'x = b`` with a multiplier that gives way by ``theta / sigma``. The dual steps do not depend on
sigma, and the primal ones only on the curvature that is left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastadapd._terms import Floats, lengths, multiply, transpose_multiply
from fastadapd.constraints import SoftEquality
from fastadapd.metrics import unrest
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.problem import Group, Problem

_RATIO = 10.0  # times the curvature of the other costs, and the least one of its own, a direction is stiff
_BADLY = 1e5  # the condition number from which on a cost that is the only one is stiff
_LEAST = 1e-100  # so small curvatures have no inverse
_ROUNDING = 1e-13  # of the largest singular value of a matrix, or of a slope, is none


class Softened(NamedTuple):
    """A problem without stiff costs, and which of its constraint rows are those of the original one."""

    problem: Problem
    kept: NDArray[np.bool_]

    def with_all_rows(self, theta: Floats) -> Floats:
        """Multipliers of all rows from those of the original ones, 0 for the others."""
        everything = np.zeros(len(self.kept))
        everything[self.kept] = theta
        return everything


def soften(problem: Problem, usual: float) -> Softened | None:
    """Put the stiff parts of costs as equations that give way, after the agent's other constraints.

    A direction of a term is stiff where its curvature is more than 10 times the strong convexity of the agent's cost,
    the lower quartile of all agents' L_i (if there are others), and what is usual.

    Parameters
    ----------
    problem : Problem
    usual : float
        A curvature that counts beside the costs' slopes: the size of their gradients over a length of the problem; 0
        where there is but one cost to tell it from.

    Returns
    -------
    Softened or None
        None where no cost is stiff.
    """
    lipschitz = problem.lipschitz()
    others = lipschitz if len(lipschitz) > 1 else np.zeros(1)  # a single agent has none
    if lipschitz.max() <= max(_RATIO * max(others.min(), usual), _LEAST):
        return None
    rank = (len(others) - 1) // 4
    usual = max(float(np.partition(others, rank)[rank]), usual, _LEAST / _RATIO)
    limits = _RATIO * np.maximum(usual, problem.strong_convexity())
    if not (lipschitz > limits).any():
        return None
    if not usual > _LEAST and (lipschitz <= _BADLY * problem.strong_convexity()).all():
        return None  # a single cost: its gradient will do
    costs, equations = [], []
    for group in problem.objectives:
        stiff = np.broadcast_to(group.term.lipschitz > limits[group.agents], len(group.agents))
        if not stiff.any():
            costs.append(group)
            continue
        calm = np.flatnonzero(~stiff)
        if calm.size:
            costs.append(Group(group.term.some(calm), group.agents[calm]))
        # agents with as many stiff directions together
        at = np.flatnonzero(stiff)
        parts = _decompose(group.term, at, limits[group.agents[at]])
        if not np.isfinite(parts.b).all():  # overflow
            return None
        for count in np.unique(parts.stiff):
            some = parts.stiff == count
            agents = group.agents[at[some]]
            if not count:
                costs.append(Group(group.term.some(at[some]), agents))
                continue
            equations.append(Group(parts.equations(some, count), agents))
            costs += [Group(term, agents) for term in parts.rest(some, count)]
    softened = problem.replaced(tuple(costs), problem.regularizers, (*problem.constraints, *equations))
    kept = np.ones(softened.n_rows, dtype=bool)
    for _, rows in _equations(softened):
        kept[rows] = False
    return Softened(softened, kept)


class _Parts(NamedTuple):
    """The singular directions of the matrices of some agents, the stiffest first: curvatures (k, p), V (k, p, n)."""

    curvatures: Floats
    V: Floats
    b: Floats  # v'x = b: where the term, as a function of v'x, is least (k, p)
    q: Floats | None  # the slope of a quadratic (k, n)
    stiff: NDArray[np.int64]  # how many of them are (k,)

    def equations(self, some: NDArray[np.bool_], count: int) -> SoftEquality:
        return SoftEquality(self.V[some, :count], self.b[some, :count], 1.0 / self.curvatures[some, :count])

    def rest(self, some: NDArray[np.bool_], count: int) -> list[LeastSquares | Linear | Quadratic]:
        curvatures, V = self.curvatures[some, count:], self.V[some, count:]
        flat = not curvatures.any()
        if self.q is None:
            roots = np.sqrt(curvatures)
            return [] if flat else [LeastSquares(roots[..., None] * V, roots * self.b[some, count:])]
        given, gone = self.q[some], self.V[some, :count]
        q = given - transpose_multiply(gone, multiply(gone, given))
        sizes = [np.abs(each).max(axis=1, keepdims=True) for each in (q, given)]  # squares may overflow
        q = np.where(sizes[0] > _ROUNDING * sizes[1], q, 0.0)
        return [Linear(q)] if flat else [Quadratic(np.matmul(np.swapaxes(V, -1, -2), curvatures[..., None] * V), q)]


def _decompose(term: LeastSquares | Quadratic, at: NDArray[np.int64], limits: Floats) -> _Parts:
    q, own = None, term.some(at)
    k = 1 if own.n_agents is None else len(at)  # what all share is decomposed once
    if isinstance(own, LeastSquares):
        A, b = (np.broadcast_to(array, (k, *array.shape[-axes:])) for array, axes in ((own.A, 2), (own.b, 1)))
        U, roots, V = np.linalg.svd(A, full_matrices=False)
        roots[roots < _ROUNDING * roots[:, :1]] = 0.0
        curvatures, signs = roots**2, _signs(V)
        b = np.divide(transpose_multiply(U, b), roots, out=np.zeros_like(roots), where=curvatures > 0)
        V, b = V * signs[..., None], b * signs
    else:
        P, q = (np.broadcast_to(array, (k, *array.shape[-axes:])) for array, axes in ((own.P, 2), (own.q, 1)))
        curvatures, vectors = np.linalg.eigh(P)
        curvatures, V = curvatures[:, ::-1].copy(), np.swapaxes(vectors[:, :, ::-1], -1, -2)
        V = V * _signs(V)[..., None]
        curvatures[curvatures < _ROUNDING * curvatures[:, :1]] = 0.0
        b = -np.divide(multiply(V, q), curvatures, out=np.zeros_like(q), where=curvatures > 0)
    curvatures, V, b = (np.broadcast_to(array, (len(at), *array.shape[1:])) for array in (curvatures, V, b))
    q = None if q is None else np.broadcast_to(q, (len(at), q.shape[1]))
    return _Parts(curvatures, V, b, q, (curvatures > limits[:, None]).sum(axis=1))


def _signs(V: Floats) -> Floats:
    """Signs (k, p) that make the largest entry of each direction in V (k, p, n) positive, whatever LAPACK chose: a
    checkpoint's multipliers must mean the same elsewhere."""
    largest = np.take_along_axis(V, np.abs(V).argmax(axis=-1)[..., None], axis=-1)
    return np.where(largest[..., 0] < 0, -1.0, 1.0)


def _equations(problem: Problem) -> list[tuple[Group, NDArray[np.int64]]]:
    return [(group, rows) for group, rows in problem.constraint_rows() if isinstance(group.term, SoftEquality)]


def slopes(problem: Problem, x: Floats) -> Floats:
    """Norms (N,) of the gradients, at copies x (N, n), of the costs that equations stand for."""
    equations = _equations(problem)
    if not equations:
        return np.zeros(problem.n_agents)
    gradients = np.zeros_like(x)
    for group, _ in equations:
        gradients[group.agents] += group.term.cost_gradient(x[group.agents])
    return lengths(gradients)


def are_alike(one: Problem, other: Problem) -> bool:
    """Whether equations that stand for costs have the same left-hand sides, so that their multipliers mean the same."""
    pairs = _equations(one), _equations(other)
    return len(pairs[0]) == len(pairs[1]) and all(
        np.array_equal(rows, others) and np.array_equal(group.term.A, that.term.A)
        for (group, rows), (that, others) in zip(*pairs, strict=True))


def carry(before: Problem, theta: Floats, now: Problem, into: Floats) -> None:
    """Give equations that stand for costs the multipliers that push as those of the same agents did before, if any.

    Parameters
    ----------
    before : Problem
    theta : ndarray, shape (rows of before,)
    now : Problem
    into : ndarray, shape (rows of now,)
        Changed.
    """
    olds, news = _equations(before), _equations(now)
    if olds and news:
        push = np.zeros((before.n_agents, before.dim))
        for group, rows in olds:
            push[group.agents] += transpose_multiply(group.term.A, theta[rows])
        for group, rows in news:
            into[rows] = multiply(group.term.A, push[group.agents])


def settle(problem: Problem, x: Floats, force: Floats, theta: Floats) -> None:
    """Give equations that stand for costs the multipliers with which their agents would be at rest.

    Parameters
    ----------
    problem : Problem
    x, force : ndarray, shape (N, n)
        The agents' copies, and ``B' lambda``.
    theta : ndarray, shape (rows,)
        Those of the equations are changed.
    """
    own = theta.copy()
    for _, rows in _equations(problem):
        own[rows] = 0.0
    pull = unrest(problem, x, force, own)
    for group, rows in _equations(problem):
        theta[rows] = -multiply(group.term.A, pull[group.agents])
