"""Proofs that a problem has no optimum.

They begin with the direction in which multipliers or iterates run off; where that proves nothing, the constraints near
x are looked at as a whole: whether they contradict each other, and whether the cost falls where none of them ends. Both
are proofs within a radius of the present point, the large box ``|x - x_0| <= radius`` in every coordinate: a claim is
made only when it holds there, and no contradiction where a common point is found, be it a million lengths away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastadapd import regularizers
from fastadapd._terms import Floats
from fastadapd.objectives import LeastSquares
from fastadapd.problem import Problem

_REACH = 1e3  # radius of a proof, in lengths of the problem
_GAP = 1e-6  # in lengths: what is farther from feasible is claimed, what is nearer may be rounding
_FAR = 1e6  # lengths from which on the direction of an iterate may be one in which it is running off ...
_AWAY = 1e2  # ... and from which on that of its movement may
_MOST_COORDINATES, _MOST_NUMBERS = 200, 100_000  # in constraints, of problems that are looked at as a whole
_OPPOSED = 1e-10  # one over the lengths from which on a common point is none
_ROUNDING = 1e-13  # of the largest curvature is none
_VISIBLE = 1e-12  # of the costs' gradients: a smaller slope may be rounding
_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Certificate:
    """Why a problem has no optimum.

    Attributes
    ----------
    kind : {"infeasible", "unbounded"}
    agents : tuple of int
        The agents it takes, the most important first.
    radius : float
        The proof holds for all points whose coordinates differ from the result's x by at most this much.
    multipliers : sequence of ndarray, or None
        Infeasible: multipliers theta with ``sum_i theta_i' g_i(x) > 0`` at all these points. Where the radius is
        infinite the boxes of the two agents do not meet, and no multipliers are needed.
    forces : ndarray, shape (n_agents, dim), or None
        Infeasible, where agents' sets (regularizers) take part in the proof: v_i that add up to 0, with
        ``sum_i min (theta_i' g_i(x_i) + v_i' x_i) > 0`` where each x_i is from agent i's set and within the radius.
    direction : ndarray, shape (dim,), or None
        Unbounded: a direction in which all constraints hold and the total cost falls.
    """

    kind: str
    agents: tuple[int, ...]
    radius: float
    multipliers: Sequence[Floats] | None = None
    forces: Floats | None = None
    direction: Floats | None = None


class Tangents:
    """All constraints near one point, where proofs begin.

    Parameters
    ----------
    problem : Problem
    x : ndarray, shape (dim,)
    length : float
        A length of the problem.
    """

    def __init__(self, problem: Problem, x: Floats, length: float):
        self.problem, self.x, self.length = problem, x, length

    @cached_property
    def values(self) -> Floats:
        """All g(x), (M,)."""
        return self._rows((), lambda term: term.value(self.x))

    @cached_property
    def gradients(self) -> Floats:
        """Gradients of the rows of g at x, (M, dim)."""
        return self._rows((self.problem.dim,), lambda term: term.jacobian(self.x))

    @cached_property
    def norms(self) -> Floats:
        """Norms of the gradients, (M,)."""
        return np.linalg.norm(self.gradients, axis=1)

    @cached_property
    def equality(self) -> NDArray[np.bool_]:
        """Which rows are equations, (M,)."""
        return np.asarray(self._rows((), lambda term: term.equality, bool))

    @cached_property
    def violation(self) -> float:
        """The largest violation of a row over the norm of its gradient."""
        over = np.where(self.equality, np.abs(self.values), np.maximum(self.values, 0.0))
        lengths = np.divide(over, self.norms, out=np.where(over > 0, np.inf, 0.0), where=self.norms > 0)
        return float(np.max(lengths, initial=0.0))

    @cached_property
    def curvature(self) -> Floats:
        """Lipschitz constants of the gradients, (M,)."""
        return self._rows((), lambda term: np.reshape(term.curvature, (-1, 1)))

    @cached_property
    @np.errstate(over="ignore", invalid="ignore")
    def nearest(self) -> tuple[Floats | None, Floats | None]:
        """The point (dim,) nearest to x that is in the half-spaces of the tangents and in the agents' boxes, or else
        multipliers (M,) after Farkas that prove that there is none.

        These have ``sum_i J_i(x)' theta_i = 0`` but for what boxes hold, and ``sum_i theta_i' g_i(x) > 0``. Neither is
        given where that cannot be told, or the problem is too large. Both come from the nonnegative combination of all
        rows that is nearest to (0, ..., 0, 1).

        References
        ----------
        Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23 (least distance programming).
        """
        (low, high), sides = self.problem.box, np.eye(self.problem.dim)
        if not _is_small(self.problem):
            return None, None
        usable = np.flatnonzero((self.norms > 0) & np.isfinite(self.norms))
        normals = self.gradients[usable] / self.norms[usable, None]
        distances = self.values[usable] / self.norms[usable] / self.length
        both, lower, upper = self.equality[usable], np.isfinite(low), np.isfinite(high)
        rows = np.concatenate([normals, -normals[both], -sides[lower], sides[upper]])
        over = np.concatenate([distances, -distances[both], ((low - self.x) / self.length)[lower],
                               ((self.x - high) / self.length)[upper]])
        if not over.size:
            return self.x, None
        system, target = np.vstack([rows.T, over]), np.append(np.zeros(self.problem.dim), 1.0)
        weights = _nnls(system, target)
        if weights is None:
            return None, None
        left = system @ weights - target
        square = float(left @ left)  # -left[-1], but with all digits where that point is far away
        if square <= _OPPOSED**2:  # one over the squared distance
            theta = np.zeros(len(self.values))
            theta[usable] = weights[: len(usable)]
            theta[usable[both]] -= weights[len(usable) : len(usable) + both.sum()]
            theta[usable] /= self.norms[usable]
            return None, theta
        step = -left[:-1] / square
        met = rows @ step + over <= 1e-9 * (1.0 + float(np.linalg.norm(step)))
        return (self.x + step * self.length, None) if met.all() else (None, None)

    def of_agents(self, parts: Floats) -> Floats:
        """Sums (N, ...) over each agent's rows, of parts (M, ...)."""
        ptr = self.problem.row_ptr
        total = np.zeros((self.problem.n_agents, *parts.shape[1:]))
        if len(parts):
            has = ptr[1:] > ptr[:-1]
            total[has] = np.add.reduceat(parts, ptr[:-1][has])
        return total

    def _rows(self, shape: tuple[int, ...], of: Callable[[Any], Any], kind: type = float) -> Any:
        """What each term says of its rows, in the order of all rows."""
        found: Any = np.empty((self.problem.n_rows, *shape), dtype=kind)
        for group, rows in self.problem.constraint_rows():
            found[rows] = of(group.term)
        return found


def infeasible(at: Tangents, theta: Floats) -> tuple[Floats, Floats, float] | None:
    """Whether multipliers prove that no point near x satisfies all constraints.

    A feasible point needs ``sum_i theta_i' g_i <= 0``. The sum is quadratic: its smallest value near x is bounded from
    below once by the tangent over the part of the large box in the agents' boxes, once along the eigenvectors of its
    Hessian. Sets that meet in a single point look apart by rounding: the gap must be visible. Multipliers on their way
    to infinity still carry the slope of the costs: if they prove nothing, the nearest ones without a slope may.

    Parameters
    ----------
    at : Tangents
    theta : ndarray, shape (M,)

    Returns
    -------
    (multipliers, weights, radius) or None
        Multipliers (M,); weights (N,) are the agents' parts ``theta_i' g_i(x)``.
    """
    if not np.isfinite(theta).all():
        return None
    low, high = at.problem.box
    if (low > high).any():
        return theta, _boxes_apart(at.problem), np.inf
    if not theta.any():
        return None
    x, radius = at.x, _REACH * at.length
    low, high = np.maximum(low, x - radius), np.minimum(high, x + radius)
    if (low > high).any():
        return None
    inside = (low <= x).all() and (x <= high).all()
    if inside and (theta @ at.values <= 0 or at.violation <= _GAP * at.length):
        return None  # no lower bound is above the value at x
    if not _positive(at, theta, low, high):
        theta = _without_slope(at, theta)
        if not _positive(at, theta, low, high):
            return None
    return theta, at.of_agents(theta * at.values), radius


@np.errstate(over="ignore", invalid="ignore")
def is_feasible(at: Tangents) -> bool:
    """Whether a point is found that is in all sets, however far from x.

    Parameters
    ----------
    at : Tangents
    """
    point = at.nearest[0]
    return point is not None and _is_in_all_sets(at.problem, point, at.length)


def _is_in_all_sets(problem: Problem, x: Floats, length: float) -> bool:
    most = 1e-9 * max(length, float(np.linalg.norm(x)))
    outside = [float(np.max(group.term.distance(x), initial=0.0)) for group in problem.regularizers]
    return max(outside, default=0.0) <= most and Tangents(problem, x, length).violation <= most


def _nnls(A: Floats, b: Floats) -> Floats | None:
    """The y >= 0 with the least ``|Ay - b|``, if it is found."""
    from scipy.optimize import nnls  # takes long to import

    try:
        return np.asarray(nnls(A, b)[0])
    except (RuntimeError, ValueError):  # too many iterations; numbers that are not finite
        return None


def _without_slope(at: Tangents, theta: Floats) -> Floats:
    """Multipliers nearby whose sum ``sum_i J_i(x)' theta_i`` is 0; each changes relative to its own size."""
    taking = np.flatnonzero(theta)
    weighted = theta[taking, None] * at.gradients[taking]
    if not np.isfinite(weighted).all():
        return theta
    nearest = np.zeros_like(theta)
    nearest[taking] = 1.0 - np.linalg.lstsq(weighted.T, weighted.sum(axis=0), rcond=None)[0]
    return theta * np.maximum(nearest, 0.0)


def _positive(at: Tangents, theta: Floats, low: Floats, high: Floats) -> bool:
    """Whether ``sum_i theta_i' g_i`` is positive wherever low <= x <= high."""
    parts, weights, slope = theta * at.values, np.abs(theta), theta @ at.gradients
    value, size = float(parts.sum()), float(np.abs(parts).sum())
    if not (np.isfinite(slope).all() and np.isfinite(size)):
        return False
    least = max(1e-9 * size, _GAP * at.length * float(weights @ at.norms), 0.0)
    if value + float(np.minimum(slope * (low - at.x), slope * (high - at.x)).sum()) > least:
        return True
    dim, norm, curvature = len(slope), float(np.linalg.norm(slope)), float(weights @ at.curvature)
    radius = _REACH * at.length * np.sqrt(dim)
    if value - min(norm * radius, norm * norm / (2.0 * curvature) if curvature > 0 else np.inf) <= least:
        return False
    hessian = np.zeros((dim, dim))
    for group, rows in at.problem.constraint_rows():
        hessian += group.term.weighted_hessian(theta[rows])
    if not np.isfinite(hessian).all():
        return False
    curvatures, vectors = np.linalg.eigh(hessian)
    along, curved = np.abs(vectors.T @ slope), curvatures > 1e-12 * max(float(curvatures.max(initial=0.0)), 0.0)
    falls = np.divide(along**2, 2.0 * curvatures, out=np.full_like(along, np.inf), where=curved)
    return bool(value - np.minimum(falls, along * radius).sum() > least)


def sets_apart(at: Tangents, theta: Floats, force: Floats) -> tuple[Floats, Floats, float] | None:
    """Whether multipliers and forces prove that the agents' sets and constraints have no common point near x.

    With forces v_i that add up to 0 a feasible point needs ``sum_i min (theta_i' g_i(x_i) + v_i' x_i) <= 0``, each
    minimum over agent i's own set. The constraints are bounded from below by their tangents at x.

    Parameters
    ----------
    at : Tangents
    theta : ndarray, shape (M,)
    force : ndarray, shape (N, dim)
        v_i, up to a common part.

    Returns
    -------
    (multipliers, forces, radius) or None
        Those of as few agents as the proof needs, up to a factor of 2; forces (N, dim) add up to 0.
    """
    problem, radius = at.problem, _REACH * at.length
    N = problem.n_agents
    force = force - force.mean(axis=0)
    if not force.any() or not _no_common_point(at, theta, force):
        return None
    order, count = np.argsort(-np.linalg.norm(force, axis=1), kind="stable"), 2
    while count < N:
        agents = order[:count]
        few, own = np.zeros_like(force), np.zeros(N, dtype=bool)
        few[agents], own[agents] = force[agents] - force[agents].mean(axis=0), True
        theirs = np.where(np.repeat(own, np.diff(problem.row_ptr)), theta, 0.0)
        if _no_common_point(at, theirs, few):
            return theirs, few, radius
        count *= 2
    return theta, force, radius


def _no_common_point(at: Tangents, theta: Floats, force: Floats) -> bool:
    x, radius = at.x, _REACH * at.length
    pull = float(np.linalg.norm(force, axis=1).sum()) + float(np.abs(theta) @ at.norms)
    values, slope = at.of_agents(theta * at.values), force + at.of_agents(theta[:, None] * at.gradients)
    lowest = -radius * np.abs(slope).sum(axis=1)
    for group in at.problem.regularizers:
        term: Any = group.term
        own, shape = slope[group.agents], (len(group.agents), len(x))
        if isinstance(term, regularizers.L2Ball):
            offset = np.broadcast_to(term.center, shape) - x
            lowest[group.agents] = (own * offset).sum(axis=1) - term.radius * np.linalg.norm(own, axis=1)
        elif isinstance(term, (regularizers.Box, regularizers.NonNegative)):
            lower, upper = (term.lower, term.upper) if isinstance(term, regularizers.Box) else (0.0, np.inf)
            low, high = (np.clip(np.broadcast_to(bound, shape) - x, -radius, radius) for bound in (lower, upper))
            lowest[group.agents] = np.minimum(own * low, own * high).sum(axis=1)
    parts = values + lowest
    size = np.abs(values).sum() + np.abs(lowest).sum()
    return bool(np.isfinite(parts).all() and parts.sum() > max(1e-9 * size, _GAP * at.length * pull) > 0)


@np.errstate(over="ignore", invalid="ignore")
def unbounded(problem: Problem, x: Floats, earlier: Floats, length: float, tol: float = np.inf
              ) -> tuple[Floats, float] | None:
    """Whether the total cost falls without end in the direction of x, or in that of its last movement.

    If it does not, in the steepest one of those in which no set ends and no cost curves.

    Parameters
    ----------
    problem : Problem
    x : ndarray, shape (dim,)
    earlier : ndarray, shape (dim,)
        x some time ago.
    length : float
    tol : float
        Where the slope is more than this, relative to the costs' gradients, x need not be far away or moving.

    Returns
    -------
    (direction, radius) or None
    """
    norm, moved = float(np.linalg.norm(x)), float(np.linalg.norm(x - earlier))
    if not norm < np.inf:
        return None
    radius = _REACH * max(norm, _FAR * length)
    steps = []
    if norm > _FAR * length:
        steps.append(0.5 * x)
    if norm > _AWAY * length and moved > 0.05 * norm:
        steps.append(x - earlier)
    for step in steps:
        if _falls_for_ever(problem, x, step, x, radius):
            return step / float(np.linalg.norm(step)), radius
    round_cost = (problem.strong_convexity() > _ROUNDING * problem.lipschitz()).any()
    if round_cost or not (steps or tol < np.inf) or not _is_small(problem):
        return None
    way = _way_down(problem, x)
    if way is not None:
        direction, base = way
        start = Tangents(problem, x, max(norm, length)).nearest[0]
        # beyond the kinks of |x_j|
        if start is not None and _falls_for_ever(problem, start, 0.05 * radius * direction,
                                                 base + 0.1 * radius * direction, radius, 0.0 if steps else tol):
            return direction, radius
    return None


def _is_small(problem: Problem) -> bool:
    """Whether to look for the best combination of all constraints takes a tenth of a second at most."""
    rows = problem.n_rows + sum(int(np.isfinite(side).sum()) for side in problem.box)
    return problem.dim <= _MOST_COORDINATES and problem.dim * rows <= _MOST_NUMBERS


def _way_down(problem: Problem, x: Floats) -> tuple[Floats, Floats] | None:
    """The steepest direction of length 1 in which no set ends and no cost curves, if the total cost falls there.

    The negative gradient minus its part in the normal cone of these directions, after Moreau.

    Returns
    -------
    (direction, base) or None
        Costs fall there wherever one begins; `base` is where x would be without what curves, so that there is less
        rounding.
    """
    flat = _flat_directions(problem)
    base = flat.T @ (flat @ x)
    slope = np.zeros_like(x)
    for group in problem.objectives:
        slope += np.broadcast_to(group.term.gradient(base), (len(group.agents), problem.dim)).sum(axis=0)
    for group in problem.regularizers:
        if isinstance(group.term, regularizers.L1):
            slope += np.broadcast_to(group.term.weight, (len(group.agents), problem.dim)).sum(axis=0) * np.sign(x)
    (low, high), sides = problem.box, np.eye(problem.dim)
    rows = [-sides[np.isfinite(low)], sides[np.isfinite(high)]]
    for group in problem.constraints:
        if not group.term.equality:
            normals, norms = group.term.jacobian(base), group.term.row_norms(base)
            rows.append((normals / np.maximum(norms, _TINY)[..., None]).reshape(-1, problem.dim))
    normals = np.concatenate(rows) @ flat.T
    normals = normals[np.linalg.norm(normals, axis=1) > 1e-9]
    down = -flat @ slope
    size = float(np.linalg.norm(down))
    if not 0 < size < np.inf:
        return None
    down /= size
    if len(normals):
        weights = _nnls(normals.T, down)
        if weights is None:
            return None
        down -= normals.T @ weights
    direction = flat.T @ down
    length = float(np.linalg.norm(direction))
    return (direction / length, base) if length > 1e-9 else None


def _flat_directions(problem: Problem) -> Floats:
    """Orthonormal rows that span where nothing curves and no equation changes."""
    n = problem.dim
    sizes = np.zeros((n, n))
    for group in (*problem.objectives, *problem.constraints):
        term: Any = group.term
        if "P" in term._axes:
            part = _scaled(term.P).reshape(-1, n, n).sum(axis=0)
        elif isinstance(term, LeastSquares) or getattr(term, "equality", False):
            rows = _scaled(term.A).reshape(-1, n)
            if not isinstance(term, LeastSquares):
                rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
            part = rows.T @ rows
        else:
            continue
        sizes += part / max(float(np.trace(part)), _TINY)
    spectrum, directions = np.linalg.eigh(sizes)
    return directions[:, spectrum <= _ROUNDING * spectrum[-1]].T


def _scaled(array: Floats) -> Floats:
    """To a largest entry of 1 where squares might overflow or underflow."""
    largest = max(float(array.max()), -float(array.min()))
    return array if 1e-100 < largest < 1e100 else array / max(largest, _TINY)


def _falls_for_ever(problem: Problem, x: Floats, step: Floats, base: Floats, radius: float,
                    least: float = 0.0) -> bool:
    """Whether the cost falls from `base` on in the direction of the step that led there, and no constraint ends that
    from x on."""
    length = float(np.linalg.norm(step))
    if not 0 < length < np.inf:
        return False
    direction = step / length
    before, near, far = (problem.values(at) for at in (base - step, base, base + radius * direction))
    falls, goes_on = float((before - near).sum()) / length, float((near - far).sum()) / radius
    slopes = sum(np.linalg.norm(np.broadcast_to(group.term.gradient(base), (len(group.agents), problem.dim)))
                 for group in problem.objectives)
    # a convex function that still falls as fast as before, many times as far, is linear there
    if not (falls > 0 and goes_on >= 0.999 * falls and goes_on > max(_VISIBLE, least) * slopes):
        return False
    if _bounded_along(problem, direction):
        return False
    end = x + radius * direction
    outside = [float(np.max(group.term.distance(end), initial=0.0)) for group in problem.regularizers]
    outside.append(Tangents(problem, end, length).violation)
    return all(distance <= 1e-9 * radius for distance in outside)


def _bounded_along(problem: Problem, direction: Floats) -> bool:
    """Whether some set certainly ends in this direction, however far away."""
    (low, high), origin = problem.box, np.zeros_like(direction)
    if (np.isfinite(high) & (direction > 1e-6)).any() or (np.isfinite(low) & (direction < -1e-6)).any():
        return True
    if any(isinstance(group.term, regularizers.L2Ball) for group in problem.regularizers):
        return True
    for group in problem.constraints:
        if "P" in group.term._axes:
            P = np.asarray(group.term.P)
            if (np.einsum("...jk,j,k->...", P, direction, direction) > 1e-9 * np.abs(P).max(axis=(-2, -1))).any():
                return True
        # g is convex: where it grows at the origin it grows for ever
        slopes, norms = group.term.jacobian(origin) @ direction, group.term.row_norms(origin)
        if ((np.abs(slopes) if group.term.equality else slopes) > 1e-6 * norms).any():
            return True
    return False


def _boxes_apart(problem: Problem) -> Floats:
    """Weights of two agents whose boxes do not meet."""
    N, n = problem.n_agents, problem.dim
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    owner = np.zeros((2, n), dtype=np.int64)
    for group in problem.regularizers:
        term: Any = group.term
        if isinstance(term, regularizers.NonNegative):
            lower, upper = np.zeros((1, 1)), np.full((1, 1), np.inf)
        elif isinstance(term, regularizers.Box):
            lower, upper = np.atleast_2d(term.lower), np.atleast_2d(term.upper)
        else:
            continue
        for k, bounds in enumerate((np.broadcast_to(lower, (len(lower), n)), np.broadcast_to(upper, (len(upper), n)))):
            at = (bounds.argmax if k == 0 else bounds.argmin)(axis=0)
            best, present = bounds[at, np.arange(n)], (low, high)[k]
            better = best > present if k == 0 else best < present
            present[better] = best[better]
            owner[k, better] = group.agents[at][better]
    weights = np.zeros(N)
    weights[owner[:, np.argmax(low > high)]] = 1.0
    return weights
