"""Smooth convex costs f_i.

Every cost is differentiable with a Lipschitz gradient. A parameter is shared by all agents or has the agents as first
axis; points have shape ``(..., dim)``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastadapd._terms import Floats, Term, dot, gram_eigenvalues, multiply, transpose_multiply

__all__ = ["LeastSquares", "Linear", "Objective", "Quadratic"]


class Objective(Term):
    """A smooth convex cost.

    Attributes
    ----------
    lipschitz : ndarray, shape () or (n_agents,)
        Lipschitz constant of the gradient.
    strong_convexity : ndarray, shape () or (n_agents,)
        A modulus of strong convexity, 0 where there is none.
    """

    lipschitz: Floats
    strong_convexity: Floats

    def value(self, x: Floats) -> Floats:
        """f(x), shape (...)."""
        raise TypeError(f"{type(self).__name__} has no value")

    def gradient(self, x: Floats) -> Floats:
        """Gradient of f at x, shape (..., dim)."""
        raise TypeError(f"{type(self).__name__} has no gradient")

    def lower_bound(self) -> Floats:
        """A number below every value of f, per agent; -inf when f is not bounded below."""
        raise TypeError(f"{type(self).__name__} has no lower bound")

    def to_cvxpy(self, x: Any) -> Any:
        """The cost of one agent as a CVXPY expression of the CVXPY variable x."""
        raise TypeError(f"{type(self).__name__} has no CVXPY form")


class Linear(Objective):
    """Linear cost ``q'x``.

    Parameters
    ----------
    q : array_like, shape (dim,) or (n_agents, dim)
    """

    _axes: ClassVar[dict[str, int]] = {"q": 1}
    q: Floats

    def __init__(self, q: ArrayLike):
        self._set(q=q)
        self._set_dim(q=("entries", self.q.shape[-1]))
        self.lipschitz = self.strong_convexity = np.zeros(self.q.shape[:-1])

    def value(self, x: Floats) -> Floats:
        return dot(self.q, x)

    def gradient(self, x: Floats) -> Floats:
        return np.broadcast_to(self.q, np.broadcast_shapes(self.q.shape, x.shape))

    def rescaled(self, units: Floats) -> Linear:
        return Linear(self.q * units)

    def lower_bound(self) -> Floats:
        return np.where(self.q.any(axis=-1), -np.inf, 0.0)

    def to_cvxpy(self, x: Any) -> Any:
        return self.q @ x


class Quadratic(Objective):
    """Quadratic cost ``x'Px/2 + q'x`` with P positive semidefinite.

    Parameters
    ----------
    P : array_like, shape (dim, dim) or (n_agents, dim, dim)
        Its symmetric part is used.
    q : array_like, shape (dim,) or (n_agents, dim)

    Raises
    ------
    InvalidProblemError
        When P is not positive semidefinite (beyond rounding); the message names the agent.
    """

    _axes: ClassVar[dict[str, int]] = {"q": 1, "P": 2}
    P: Floats
    q: Floats

    def __init__(self, P: ArrayLike, q: ArrayLike):
        self._set(P=P, q=q)
        self._set_dim(P=("columns", self.P.shape[-1]), q=("entries", self.q.shape[-1]))
        self.strong_convexity, self.lipschitz = self._symmetric("P")
        self._check_constants("lipschitz")

    def value(self, x: Floats) -> Floats:
        return 0.5 * dot(multiply(self.P, x), x) + dot(self.q, x)

    def gradient(self, x: Floats) -> Floats:
        return multiply(self.P, x) + self.q

    def rescaled(self, units: Floats) -> Quadratic:
        return Quadratic(self.P * np.outer(units, units), self.q * units)

    def column_sizes(self) -> Floats:
        return np.diagonal(self.P, axis1=-2, axis2=-1)

    def lower_bound(self) -> Floats:
        inverse: Floats = np.asarray(np.linalg.pinv(self.P, rcond=1e-10, hermitian=True), dtype=np.float64)
        lowest = -multiply(inverse, self.q)
        slope = np.linalg.norm(self.gradient(lowest), axis=-1)
        return np.where(slope <= 1e-8 * np.linalg.norm(self.q, axis=-1), self.value(lowest), -np.inf)

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return 0.5 * cp.quad_form(x, cp.psd_wrap(self.P)) + self.q @ x


class LeastSquares(Objective):
    """Least squares ``|Ax - b|^2 / 2``.

    Parameters
    ----------
    A : array_like, shape (m, dim) or (n_agents, m, dim)
    b : array_like, shape (m,) or (n_agents, m)
    """

    _axes: ClassVar[dict[str, int]] = {"b": 1, "A": 2}
    A: Floats
    b: Floats

    def __init__(self, A: ArrayLike, b: ArrayLike):
        self._set(A=A, b=b)
        self._check_rows("A", "b")
        self._set_dim(A=("columns", self.A.shape[-1]))
        spectrum = gram_eigenvalues(self.A)
        self.lipschitz = spectrum[..., -1]
        m, n = self.A.shape[-2:]
        self.strong_convexity = spectrum[..., 0] if m >= n else np.zeros(self.A.shape[:-2])
        self._check_constants("lipschitz")

    def value(self, x: Floats) -> Floats:
        residual = multiply(self.A, x) - self.b
        return 0.5 * dot(residual, residual)

    def gradient(self, x: Floats) -> Floats:
        return transpose_multiply(self.A, multiply(self.A, x) - self.b)

    def rescaled(self, units: Floats) -> LeastSquares:
        return LeastSquares(self.A * units, self.b)

    def column_sizes(self) -> Floats:
        return np.einsum("...ij,...ij->...j", self.A, self.A)

    def lower_bound(self) -> Floats:
        return np.zeros(self.A.shape[:-2])

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return 0.5 * cp.sum_squares(self.A @ x - self.b)
