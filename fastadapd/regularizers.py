"""Simple convex terms rho_i, used through their proximal maps; sets are indicators of themselves."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastadapd._terms import Floats, Term

__all__ = ["L1", "Box", "L2Ball", "NonNegative", "Regularizer", "Zero"]


class Regularizer(Term):
    """A convex term with a cheap proximal map.

    Attributes
    ----------
    is_set : bool
        True for the indicator of a set: value 0 inside, and the proximal map is the projection for every step.
    """

    is_set: ClassVar[bool] = True

    def value(self, x: Floats) -> Floats:
        """rho(x), shape (...); for a set 0, `distance` says how far outside x is."""
        return np.zeros(x.shape[:-1])

    def prox(self, v: Floats, step: ArrayLike = 1.0) -> Floats:
        """argmin_u rho(u) + |u - v|^2 / (2 step); v (..., dim), step () or (...)."""
        raise TypeError(f"{type(self).__name__} has no proximal map")

    def distance(self, x: Floats) -> Floats:
        """Distance of x to the domain of rho, shape (...)."""
        return np.linalg.norm(self.prox(x) - x, axis=-1) if self.is_set else np.zeros(x.shape[:-1])

    def reach(self, center: Floats) -> Floats:
        """Largest distance of a point of the domain to `center`, per agent; infinite for an unbounded domain."""
        return np.full(center.shape[:-1], np.inf)

    def to_cvxpy(self, x: Any) -> tuple[Any, list[Any]]:
        """The term of one agent for the CVXPY variable x: (expression, constraints)."""
        raise TypeError(f"{type(self).__name__} has no CVXPY form")

    def packed_for(self, dim: int) -> tuple[Floats, ...]:
        """`packed`, with what broadcasts over the coordinates written out."""
        def full(array: Floats) -> Floats:
            return array if array.shape[-1:] == (dim,) else np.broadcast_to(array, (*array.shape[:-1], dim))

        return tuple(full(array) if axes else array
                     for array, axes in zip(self.packed(), self._axes.values(), strict=True))


class _Coordinatewise(Regularizer):
    """Parameters that broadcast against x: a number, one per coordinate, or stacked (n_agents, 1 or dim)."""

    def _checked(self, name: str, value: ArrayLike) -> Floats:
        array = np.asarray(value)
        return super()._checked(name, np.atleast_1d(array) if array.ndim == 0 else array)

    def _find_dim(self) -> None:
        widths = {name: getattr(self, name).shape[-1] for name in self._axes}
        wide = {name: width for name, width in widths.items() if width > 1}
        if len(set(wide.values())) > 1:
            self._fail("parameters disagree: " + ", ".join(f"{name} has {w} entries" for name, w in wide.items()))
        # one entry stands for any number of coordinates
        self.dim = next(iter(wide.values()), None)


class Zero(Regularizer):
    """No term at all."""

    is_set = False

    def __init__(self) -> None:
        self._set()

    def prox(self, v: Floats, step: ArrayLike = 1.0) -> Floats:
        return v

    def rescaled(self, units: Floats) -> Zero:
        return self

    def to_cvxpy(self, x: Any) -> tuple[Any, list[Any]]:
        return 0.0, []


class L1(_Coordinatewise):
    """Weighted l1 norm ``sum_j weight_j |x_j|``.

    Parameters
    ----------
    weight : array_like, shape (), (dim,), (n_agents, 1) or (n_agents, dim)
        Not negative.
    """

    is_set = False
    _axes: ClassVar[dict[str, int]] = {"weight": 1}
    weight: Floats

    def __init__(self, weight: ArrayLike):
        self._set(weight=weight)
        if (self.weight < 0).any():
            where = np.argwhere(self.weight < 0)[0]
            self._fail(f"weight{self._of('weight', where, self.weight)} is negative, so the term is not convex")
        self._find_dim()

    def value(self, x: Floats) -> Floats:
        return (self.weight * np.abs(x)).sum(axis=-1)

    def prox(self, v: Floats, step: ArrayLike = 1.0) -> Floats:
        threshold = np.asarray(step)[..., None] * self.weight
        return np.sign(v) * np.maximum(np.abs(v) - threshold, 0.0)

    def rescaled(self, units: Floats) -> L1:
        return L1(self.weight * units)

    def to_cvxpy(self, x: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return np.broadcast_to(self.weight, x.shape) @ cp.abs(x), []


class Box(_Coordinatewise):
    """Bounds ``lower <= x <= upper``; infinite entries mean no bound.

    Parameters
    ----------
    lower, upper : array_like, shape (), (dim,), (n_agents, 1) or (n_agents, dim)
    """

    _axes: ClassVar[dict[str, int]] = {"lower": 1, "upper": 1}
    lower: Floats
    upper: Floats

    def __init__(self, lower: ArrayLike, upper: ArrayLike):
        self._set(lower=lower, upper=upper)
        for name in self._axes:
            if np.isnan(getattr(self, name)).any():
                where = np.argwhere(np.isnan(getattr(self, name)))[0]
                self._fail(f"{name}{self._of(name, where, getattr(self, name))} is nan; use inf for no bound")
        self._find_dim()
        empty = ~(self.lower <= self.upper) | (self.lower == np.inf) | (self.upper == -np.inf)
        if empty.any():
            where = np.argwhere(empty)[0]
            agent = f" of agent {where[0]}" if empty.ndim == 2 else ""
            self._fail(f"the box{agent} is empty at coordinate {where[-1]}: lower must not exceed upper")

    def _may_be_infinite(self, name: str) -> bool:
        return True

    def prox(self, v: Floats, step: ArrayLike = 1.0) -> Floats:
        return np.minimum(np.maximum(v, self.lower), self.upper)

    def rescaled(self, units: Floats) -> Box:
        return Box(self.lower / units, self.upper / units)

    def column_sizes(self) -> Floats:
        width = self.upper - self.lower
        return np.divide(1.0, width**2, out=np.zeros_like(width), where=np.isfinite(width) & (width > 0))

    def reach(self, center: Floats) -> Floats:
        return np.linalg.norm(np.maximum(np.abs(self.lower - center), np.abs(self.upper - center)), axis=-1)

    def to_cvxpy(self, x: Any) -> tuple[Any, list[Any]]:
        low, high = np.broadcast_to(self.lower, x.shape), np.broadcast_to(self.upper, x.shape)
        below, above = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
        sides = ((below, x[below] >= low[below]), (above, x[above] <= high[above]))
        return 0.0, [side for at, side in sides if at.size]


class NonNegative(Regularizer):
    """Every coordinate at least 0."""

    def __init__(self) -> None:
        self._set()

    def prox(self, v: Floats, step: ArrayLike = 1.0) -> Floats:
        return np.maximum(v, 0.0)

    def rescaled(self, units: Floats) -> NonNegative:
        return self

    def to_cvxpy(self, x: Any) -> tuple[Any, list[Any]]:
        return 0.0, [x >= 0]


class L2Ball(Regularizer):
    """Euclidean ball ``|x - center| <= radius``.

    Parameters
    ----------
    radius : array_like, shape () or (n_agents,)
        Positive.
    center : array_like, shape (), (dim,) or (n_agents, dim), default 0
    """

    _axes: ClassVar[dict[str, int]] = {"radius": 0, "center": 1}
    radius: Floats
    center: Floats

    def __init__(self, radius: ArrayLike, center: ArrayLike = 0.0):
        self._set(radius=radius, center=np.atleast_1d(np.asarray(center)))
        if (self.radius <= 0).any():
            agent = f" of agent {int(np.argmax(self.radius <= 0))}" if self.radius.ndim else ""
            self._fail(f"radius{agent} must be positive")
        self.dim = self.center.shape[-1] if self.center.shape[-1] > 1 else None

    def prox(self, v: Floats, step: ArrayLike = 1.0) -> Floats:
        offset = v - self.center
        length = np.linalg.norm(offset, axis=-1)
        shrink = np.where(length > self.radius, self.radius / np.where(length > 0, length, 1.0), 1.0)
        return np.where(shrink[..., None] < 1.0, self.center + shrink[..., None] * offset, v)

    def reach(self, center: Floats) -> Floats:
        return np.linalg.norm(self.center - center, axis=-1) + self.radius

    def to_cvxpy(self, x: Any) -> tuple[Any, list[Any]]:
        import cvxpy as cp

        return 0.0, [cp.norm(x - np.broadcast_to(self.center, x.shape)) <= self.radius]
