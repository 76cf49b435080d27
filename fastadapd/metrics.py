"""The measures: the same words in results, histories, plots and tests.

The residual is the largest of four relative numbers, each free of the units of cost and constraints:

* primal: the largest violation of an agent, each row divided by the norm of its gradient, over ``max(X, |x|)``;
* consensus: ``max_i |x_i - x| / max(X, |x|)`` with x the mean;
* stationarity: ``max_i |x_i - prox_{t rho_i}(x_i - t v_i)| / t`` with ``v_i = grad f_i + J_i' theta_i + (B' lambda)_i``
  and ``t = 1 / max(L_i + <theta_i, L_gi>, G_0 / max(X, |x|))``, over the size G of the agents' cost gradients;
* complementarity: ``sum_i sum_r |theta_r g_r(x_i)|`` over ``N H max(X, |x|)``.

G is typical of the agents' cost gradients, so that no large costs hide the others: of the sizes of all agents with
a cost, each the largest of ``|grad f_i(x_i)|``, ``|grad f_i(0)|`` (plus the weights of an l1 term) and
``L_i X / 1000``, it is the median or, if that is less, the larger of the lower quartile and
``|sum_i grad f_i(0)| / N``, in which the largest agent is left out: the median of two is half of the larger one's. It
is 1e-9 of the largest at least. G_0 is the same without x. H is the mean of ``|J_i' theta_i|``, but at least G / 1000
and at most G: far from the origin, and where costs cancel, the forces that constraints hold against are far smaller
than G. Without any cost every feasible point is optimal, and only the first two count. Where costs or their gradients
overflow, the residual is infinite.

X is 1, or a length of the problem if that is shorter: the median distance from the origin to the agents'
unconstrained optima (``|grad f_i(0)| / L_i``) and to the boundaries of their constraints
(``|g_r(0)| / |grad g_r(0)|``, every row of every agent; those that all share count once). All of it is measured in the
variables in which the method works, which differ from the user's when the coordinates have very different units
(`fastadapd.scaling`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastadapd import regularizers
from fastadapd._terms import Floats, length, middle
from fastadapd.engines import Engine
from fastadapd.engines.packing import Measured, Scales
from fastadapd.engines.reference import typical
from fastadapd.problem import Problem, own_terms

_LEAST_SHARE = 1e-3
_BLOCK = 1 << 14  # agents at a time, for the sake of memory


class Measures(NamedTuple):
    """What `Evaluator` finds at one point."""

    fun: float
    suboptimality: float
    infeasibility: float
    consensus_violation: float
    residual: float
    mean: Floats
    distances: Floats


class Evaluator:
    """Judges points of one problem.

    Parameters
    ----------
    problem : Problem
    engine : Engine
    optimal_value : float
        F*, or nan.
    units : ndarray, shape (dim,), or None
        The user's variables are ``units * x``; only `consensus_violation` is measured in them.

    Attributes
    ----------
    scales : Scales
        What an engine needs to measure a point.
    """

    def __init__(self, problem: Problem, engine: Engine, optimal_value: float = np.nan, units: Floats | None = None):
        N = problem.n_agents
        self._problem, self._optimum = problem, optimal_value
        self._lipschitz = problem.lipschitz()
        origin = np.zeros(problem.dim)
        at_origin = engine.measure(None, origin, np.zeros(problem.n_rows))
        sizes = at_origin.gradients.copy()
        for group in problem.regularizers:
            if isinstance(group.term, regularizers.L1):
                weight = np.broadcast_to(group.term.weight, (*group.term.weight.shape[:-1], problem.dim))
                sizes[group.agents] += np.linalg.norm(weight, axis=-1)
        self._length = self._natural_length(at_origin.gradients)
        sizes = np.maximum(sizes, 1e-3 * self._lipschitz * self._length)
        total = np.zeros(problem.dim)
        for group in problem.objectives:
            for at, term in group.term.parts(_BLOCK):
                agents = len(group.agents[at])
                gradient = term.gradient(origin)
                total += gradient.sum(axis=0) if gradient.ndim > 1 else agents * gradient
        if N > 1:
            for term in own_terms(problem.objectives, int(np.argmax(at_origin.gradients))):
                total -= term.gradient(origin)
        mean = length(total) / N
        self.scales = Scales(self._length, typical(sizes, mean) or 1.0, self._lipschitz,
                             np.ones(problem.dim) if units is None else units, mean, sizes)

    def _natural_length(self, gradients: Floats) -> float:
        origin = np.zeros(self._problem.dim)
        found = own_distances(self._problem, self._lipschitz, gradients, origin, equations=True)
        found = np.sort(found[found > 1e-14 * found.max(initial=0.0)])  # not rounding, as of 0.1 + 0.2 - 0.3
        return min(1.0, middle(found)) if found.size else 1.0

    def size(self, mean: Floats) -> float:
        """The length that distances are compared with: max(X, |mean|)."""
        return max(self._length, length(mean))

    def fun(self, x: Floats) -> float:
        """Sum of all costs and simple terms at one point (n,)."""
        return float(self._problem.values(x).sum())

    def __call__(self, found: Measured) -> Measures:
        """Judge what an engine, given `scales`, has measured."""
        (fun, violation, distance, complementarity, stationarity,
         apart, extent, apart_in_units, extent_in_units, gradient, reaction) = found.totals.tolist()
        size = max(self._length, extent)
        parts: tuple[float, ...] = (distance / size, apart / size)
        if gradient > 0:
            # far from the origin, or where costs cancel, what multipliers hold against is far smaller than gradients
            share = min(max(reaction / gradient, _LEAST_SHARE), 1.0)
            parts += stationarity / gradient, complementarity / self._problem.n_agents / gradient / share / size
        finite = math.isfinite(sum(parts)) and math.isfinite(gradient) and math.isfinite(fun)
        return Measures(fun, abs(fun - self._optimum) / max(1.0, abs(self._optimum)), violation,
                        apart_in_units / max(1.0, extent_in_units), max(parts) if finite else math.inf,
                        found.mean.copy(), found.distances.copy())


def own_distances(problem: Problem, lipschitz: Floats, gradients: Floats, x: Floats, *, equations: bool) -> Floats:
    """How far it is from a point to where the agents' costs and constraints change.

    Parameters
    ----------
    problem : Problem
    lipschitz, gradients : ndarray, shape (N,)
        L_i and ``|grad f_i(x)|``.
    x : ndarray, shape (dim,)
    equations : bool
        Whether equations count.

    Returns
    -------
    ndarray, shape (count,)
        To the unconstrained optima of the agents with a curved cost, as far as ``|grad f_i(x)| / L_i`` tells, and to
        the boundaries of the constraints, inside or outside: ``|g_r(x)| / |grad g_r(x)|``; of a shared one once.
    """
    curved = lipschitz > 0
    found = [gradients[curved] / lipschitz[curved]]
    for group in problem.constraints:
        if group.term.equality and not equations:
            continue
        norms = group.term.row_norms(x[None])
        found.append((np.abs(group.term.value(x[None])) / np.where(norms > 0, norms, np.inf)).reshape(-1))
    return np.concatenate(found)


def mean_of(x: Floats) -> Floats:
    """The mean of the agents' copies (N, n)."""
    total = np.add.reduce(x) if len(x) < 100 else np.ones(len(x)) @ x  # several times as fast where rows are short
    return total / len(x)


def unrest(problem: Problem, x: Floats, force: Floats, theta: Floats) -> Floats:
    """Gradients (N, n) of the agents' parts of the Lagrangian, ``grad f_i + J_i' theta_i + v_i``, without regularizers.

    Parameters
    ----------
    problem : Problem
    x, force : ndarray, shape (N, n)
        The agents' copies, and v.
    theta : ndarray, shape (M,)
    """
    total = force.copy()
    for group in problem.objectives:
        total[group.agents] += group.term.gradient(x[group.agents])
    for group, rows in problem.constraint_rows():
        jacobian = np.broadcast_to(group.term.jacobian(x[group.agents]), (*rows.shape, problem.dim))
        total[group.agents] += np.einsum("ij,ijk->ik", theta[rows], jacobian)
    return total
