"""Private convex constraints g_i(x) <= 0 or g_i(x) = 0, with multipliers theta of the Lagrangian ``f + theta'g``."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from fastadapd._terms import Floats, Term, dot, gram_eigenvalues, lengths, multiply, transpose_multiply

__all__ = ["AffineEquality", "AffineInequality", "Constraint", "Ellipsoid", "QuadraticInequality"]


class Constraint(Term):
    """Rows of convex functions.

    Attributes
    ----------
    equality : bool
        True for ``g(x) = 0`` (multipliers of any sign), False for ``g(x) <= 0`` (multipliers not negative).
    affine : bool
        True when g is affine.
    rows : int
        Number of rows of g for one agent.
    curvature : ndarray, shape () or (n_agents,)
        Lipschitz constant of the gradient of each row.
    norm_squared, scaled_norm_squared : ndarray, shape () or (n_agents,)
        Squared spectral norm of the Jacobian, as it is and with every row scaled to norm 1 (affine constraints only).
    row_weight : ndarray, shape (rows,) or (n_agents, rows)
        One over the squared norm of each row, 0 for a row of zeros (affine constraints only).
    """

    equality: ClassVar[bool] = False
    affine: ClassVar[bool] = False
    rows: int = 1
    curvature: Floats
    norm_squared: Floats
    scaled_norm_squared: Floats
    row_weight: Floats

    def value(self, x: Floats) -> Floats:
        """g(x), shape (..., rows)."""
        raise TypeError(f"{type(self).__name__} has no value")

    def jacobian(self, x: Floats) -> Floats:
        """Jacobian of g at x, shape (..., rows, dim)."""
        raise TypeError(f"{type(self).__name__} has no Jacobian")

    def weighted_hessian(self, theta: Floats) -> Floats:
        """Hessian of ``sum theta' g`` over the rows of theta, shape (dim, dim); theta (agents, rows)."""
        return np.zeros((self.dim or 0, self.dim or 0))

    def row_norms(self, x: Floats) -> Floats:
        """Norms of the rows of the Jacobian at x, shape (..., rows), or those of all points where they are the same."""
        return lengths(self.jacobian(x))

    def jacobian_bound(self, regularizer: Any) -> Floats:
        """A bound on the spectral norm of the Jacobian over the domain of the regularizer, per agent."""
        raise TypeError(f"{type(self).__name__} has no bound on its Jacobian")

    def to_cvxpy(self, x: Any) -> list[Any]:
        """The constraints of one agent on the CVXPY variable x; dual values are the multipliers."""
        raise TypeError(f"{type(self).__name__} has no CVXPY form")


class Ellipsoid(Constraint):
    """Ellipsoid ``(x - center)' P (x - center) <= level`` with P positive semidefinite.

    Parameters
    ----------
    P : array_like, shape (dim, dim) or (n_agents, dim, dim)
        Its symmetric part is used.
    center : array_like, shape (dim,) or (n_agents, dim)
    level : array_like, shape () or (n_agents,)
        Not negative: an ellipsoid of negative level is empty. By default 1.
    """

    _axes: ClassVar[dict[str, int]] = {"level": 0, "curvature": 0, "center": 1, "P": 2}
    P: Floats
    center: Floats
    level: Floats

    def __init__(self, P: ArrayLike, center: ArrayLike, level: ArrayLike = 1.0):
        self._set(P=P, center=center, level=level)
        self._set_dim(P=("columns", self.P.shape[-1]), center=("entries", self.center.shape[-1]))
        if (self.level < 0).any():
            agent = f" of agent {int(np.argmax(self.level < 0))}" if self.level.ndim else ""
            self._fail(f"level{agent} is negative, so the ellipsoid is empty")
        with np.errstate(over="ignore"):
            self.curvature = 2.0 * self._symmetric("P")[1]
        self._check_constants("curvature")

    def value(self, x: Floats) -> Floats:
        offset = x - self.center
        return (dot(multiply(self.P, offset), offset) - self.level)[..., None]

    def jacobian(self, x: Floats) -> Floats:
        return 2.0 * multiply(self.P, x - self.center)[..., None, :]

    def weighted_hessian(self, theta: Floats) -> Floats:
        return 2.0 * _weighted_sum(theta[:, 0], self.P)

    def rescaled(self, units: Floats) -> Ellipsoid:
        return Ellipsoid(self.P * np.outer(units, units), self.center / units, self.level)

    def column_sizes(self) -> Floats:
        return np.diagonal(self.P, axis1=-2, axis2=-1)

    def jacobian_bound(self, regularizer: Any) -> Floats:
        return self.curvature * regularizer.reach(self.center)

    def to_cvxpy(self, x: Any) -> list[Any]:
        import cvxpy as cp

        return [cp.quad_form(x - self.center, cp.psd_wrap(self.P)) <= self.level]


class QuadraticInequality(Constraint):
    """Quadratic inequality ``x'Px/2 + q'x <= r`` with P positive semidefinite.

    Parameters
    ----------
    P : array_like, shape (dim, dim) or (n_agents, dim, dim)
        Its symmetric part is used.
    q : array_like, shape (dim,) or (n_agents, dim)
    r : array_like, shape () or (n_agents,)
    """

    _axes: ClassVar[dict[str, int]] = {"r": 0, "curvature": 0, "q": 1, "P": 2}
    P: Floats
    q: Floats
    r: Floats

    def __init__(self, P: ArrayLike, q: ArrayLike, r: ArrayLike):
        self._set(P=P, q=q, r=r)
        self._set_dim(P=("columns", self.P.shape[-1]), q=("entries", self.q.shape[-1]))
        self.curvature = self._symmetric("P")[1]
        self._check_constants("curvature")

    def value(self, x: Floats) -> Floats:
        return (0.5 * dot(multiply(self.P, x), x) + dot(self.q, x) - self.r)[..., None]

    def jacobian(self, x: Floats) -> Floats:
        return (multiply(self.P, x) + self.q)[..., None, :]

    def weighted_hessian(self, theta: Floats) -> Floats:
        return _weighted_sum(theta[:, 0], self.P)

    def rescaled(self, units: Floats) -> QuadraticInequality:
        return QuadraticInequality(self.P * np.outer(units, units), self.q * units, self.r)

    def column_sizes(self) -> Floats:
        return np.diagonal(self.P, axis1=-2, axis2=-1)

    def jacobian_bound(self, regularizer: Any) -> Floats:
        origin = np.zeros_like(self.q)
        with np.errstate(invalid="ignore"):
            reach = np.where(self.curvature > 0, self.curvature * regularizer.reach(origin), 0.0)
        return reach + np.linalg.norm(self.q, axis=-1)

    def to_cvxpy(self, x: Any) -> list[Any]:
        import cvxpy as cp

        return [0.5 * cp.quad_form(x, cp.psd_wrap(self.P)) + self.q @ x <= self.r]


class _Affine(Constraint):
    affine = True
    _matrix: ClassVar[str]
    _side: ClassVar[str]

    def _prepare(self, **parameters: ArrayLike) -> None:
        self._set(**parameters)
        self._check_rows(self._matrix, self._side)
        matrix = getattr(self, self._matrix)
        self._set_dim(**{self._matrix: ("columns", matrix.shape[-1])})
        self.rows = matrix.shape[-2]
        self._check_zero_rows(matrix, getattr(self, self._side))
        self.norm_squared = gram_eigenvalues(matrix)[..., -1]
        self._check_constants("norm_squared")
        squares = np.einsum("...ij,...ij->...i", matrix, matrix)
        self.row_weight = np.divide(1.0, squares, out=np.zeros_like(squares), where=squares > 1e-300)
        self.scaled_norm_squared = gram_eigenvalues(np.sqrt(self.row_weight)[..., None] * matrix)[..., -1]
        self.curvature = np.zeros_like(self.norm_squared)

    def _check_zero_rows(self, matrix: Floats, side: Floats) -> None:
        rounding = 1e-12 * np.abs(side).max()
        wrong = ~matrix.any(axis=-1) & (np.abs(side) > rounding if self.equality else side < -rounding)
        if wrong.any():
            *agent, row = (int(k) for k in np.argwhere(wrong)[0])
            where = f" of agent {agent[0]}" if agent else ""
            self._fail(f"row {row} of {self._matrix}{where} is zero but its right-hand side allows no x")

    def value(self, x: Floats) -> Floats:
        return multiply(getattr(self, self._matrix), x) - getattr(self, self._side)

    def jacobian(self, x: Floats) -> Floats:
        matrix = getattr(self, self._matrix)
        return np.broadcast_to(matrix, (*np.broadcast_shapes(matrix.shape[:-2], x.shape[:-1]), *matrix.shape[-2:]))

    def row_norms(self, x: Floats) -> Floats:
        return lengths(getattr(self, self._matrix))

    def rescaled(self, units: Floats) -> Self:
        return type(self)(**{self._matrix: getattr(self, self._matrix) * units, self._side: getattr(self, self._side)})

    def column_sizes(self) -> Floats:
        matrix = getattr(self, self._matrix)
        return np.einsum("...r,...rj,...rj->...j", self.row_weight, matrix, matrix)

    def jacobian_bound(self, regularizer: Any) -> Floats:
        return np.sqrt(self.norm_squared)


class AffineInequality(_Affine):
    """Linear inequalities ``G x <= h``.

    Parameters
    ----------
    G : array_like, shape (m, dim) or (n_agents, m, dim)
    h : array_like, shape (m,) or (n_agents, m)
    """

    _axes: ClassVar[dict[str, int]] = {"scaled_norm_squared": 0, "row_weight": 1, "h": 1, "G": 2}
    _matrix, _side = "G", "h"
    G: Floats
    h: Floats

    def __init__(self, G: ArrayLike, h: ArrayLike):
        self._prepare(G=G, h=h)

    def to_cvxpy(self, x: Any) -> list[Any]:
        return [self.G @ x <= self.h]


class AffineEquality(_Affine):
    """Linear equations ``A x = b``.

    Parameters
    ----------
    A : array_like, shape (m, dim) or (n_agents, m, dim)
    b : array_like, shape (m,) or (n_agents, m)
    """

    equality = True
    _axes: ClassVar[dict[str, int]] = {"scaled_norm_squared": 0, "row_weight": 1, "b": 1, "A": 2}
    _matrix, _side = "A", "b"
    A: Floats
    b: Floats

    def __init__(self, A: ArrayLike, b: ArrayLike):
        self._prepare(A=A, b=b)

    def to_cvxpy(self, x: Any) -> list[Any]:
        return [self.A @ x == self.b]


class SoftEquality(_Affine):
    """Linear equations that give way, ``A x = b + compliance * theta``: what a cost becomes in `fastadapd.stiffness`.

    Their multipliers are the gradient of ``|Ax - b|^2 / (2 compliance)`` in ``A x``. Values and the Jacobian are those
    of ``A x - b``.

    Parameters
    ----------
    A : array_like, shape (m, dim) or (n_agents, m, dim)
    b, compliance : array_like, shape (m,) or (n_agents, m)
        The compliance must be positive.
    """

    equality = True
    _axes: ClassVar[dict[str, int]] = {"scaled_norm_squared": 0, "row_weight": 1, "b": 1, "A": 2, "compliance": 1}
    _matrix, _side = "A", "b"
    A: Floats
    b: Floats
    compliance: Floats

    def __init__(self, A: ArrayLike, b: ArrayLike, compliance: ArrayLike):
        self._prepare(A=A, b=b, compliance=compliance)

    def cost_gradient(self, x: Floats) -> Floats:
        """Gradient of the cost ``|Ax - b|^2 / (2 compliance)`` at x, shape (..., dim)."""
        return transpose_multiply(self.A, self.value(x) / self.compliance)


def _weighted_sum(theta: Floats, P: Floats) -> Floats:
    return np.tensordot(theta, P, axes=1) if P.ndim == 3 else theta.sum() * P
