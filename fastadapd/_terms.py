"""What all terms share: parameters stacked over agents, checked once."""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastadapd.errors import InvalidProblemError

Floats = NDArray[np.float64]


class Term:
    """A function that one agent holds, or that many agents hold with data of their own.

    Every parameter is either shared by all agents or has one more axis in front, the agents'. A term that is shared is
    held by every agent and so counts n_agents times. Methods take points of shape ``(..., dim)``: one point, or one
    point per agent. Arrays of float64 are not copied: do not change them later.

    Attributes
    ----------
    n_agents : int or None
        Length of the agents' axis; None when every parameter is shared.
    dim : int or None
        Number of coordinates; None when the parameters do not say.
    """

    # name of a parameter -> its number of axes for one agent
    _axes: ClassVar[dict[str, int]] = {}

    n_agents: int | None
    dim: int | None

    def _set(self, **parameters: ArrayLike) -> None:
        """Check and keep the parameters: real, finite, the right number of axes, one length of the agents' axis."""
        self.n_agents = None
        self.dim = None
        first = ""
        for name, value in parameters.items():
            array = self._checked(name, value)
            setattr(self, name, array)
            if array.ndim > self._axes[name]:
                if self.n_agents is None:
                    self.n_agents, first = array.shape[0], name
                elif self.n_agents != array.shape[0]:
                    self._fail(f"{name} is for {array.shape[0]} agents but {first} is for {self.n_agents}")

    def _checked(self, name: str, value: ArrayLike) -> Floats:
        axes = self._axes[name]
        if hasattr(value, "toarray"):
            self._fail(f"{name} is a sparse matrix; give a dense one, with .toarray()")
        if np.ma.is_masked(value):
            self._fail(f"{name} has masked entries; fill them")
        try:
            raw = np.asarray(value)
        except ValueError as error:
            self._fail(f"{name} is not a rectangular array ({error}); agents that differ in shape go through "
                       "Problem.from_agents")
        if raw.dtype.kind not in "buif":
            self._fail(f"{name} must hold real numbers, not {raw.dtype}")
        array = np.ascontiguousarray(raw, dtype=np.float64).reshape(raw.shape)
        if array.ndim not in (axes, axes + 1):
            shape = {0: "a number", 1: "a vector", 2: "a matrix"}[axes]
            diagonal = " (for a diagonal matrix: np.diag)" if axes == 2 and array.ndim < 2 else ""
            self._fail(f"{name} has shape {array.shape}; it must be {shape} shared by all agents, "
                       f"or {shape} per agent with the agents as first axis ({axes + 1} axes){diagonal}")
        if array.size == 0:
            self._fail(f"{name} is empty (shape {array.shape})")
        if not self._may_be_infinite(name) and not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0]
            self._fail(f"{name}{self._of(name, where, array)} is {array[tuple(where)]}; it must be finite")
        view = array.view()
        view.flags.writeable = False
        return view

    def _may_be_infinite(self, name: str) -> bool:
        return False

    def _of(self, name: str, where: NDArray[Any], array: Floats) -> str:
        """' of agent 3, entry (0, 1)' for an index into a parameter."""
        stacked = array.ndim > self._axes[name]
        agent = f" of agent {where[0]}" if stacked else ""
        entry = tuple(int(k) for k in (where[1:] if stacked else where))
        return agent + (f", entry {entry}" if entry else "")

    def _fail(self, message: str) -> None:
        raise InvalidProblemError(f"{type(self).__name__}: {message}")

    def _set_dim(self, **lengths: tuple[str, int]) -> None:
        """Take dim from the first parameter and check the others: name=(what it is, its length)."""
        (first, (_, dim)), *others = lengths.items()
        self.dim = dim
        for name, (what, length) in others:
            if length != dim:
                self._fail(f"{name} has {length} {what} but {first} has {dim} {lengths[first][0]}")

    def _check_rows(self, first: str, second: str) -> None:
        """The rows of a matrix and the entries of its right-hand side."""
        rows, entries = getattr(self, first).shape[-2], getattr(self, second).shape[-1]
        if rows != entries:
            self._fail(f"{second} has {entries} entries but {first} has {rows} rows")

    def _symmetric(self, name: str) -> tuple[Floats, Floats]:
        """Symmetrize a matrix and return its smallest and largest eigenvalue per agent; it must be semidefinite."""
        P = getattr(self, name)
        if P.shape[-1] != P.shape[-2]:
            self._fail(f"{name} must be square, not {P.shape[-2]} x {P.shape[-1]}")
        if not np.array_equal(P, np.swapaxes(P, -1, -2)):
            P = 0.5 * (P + np.swapaxes(P, -1, -2))
            P.flags.writeable = False
            setattr(self, name, P)
        spectrum = eigenvalues(P)
        low, high = spectrum[..., 0], spectrum[..., -1]
        wrong = np.atleast_1d(low < -1e-10 * np.maximum(np.abs(low), np.abs(high)))
        if wrong.any():
            i = int(np.argmax(wrong))
            agent = f" of agent {i}" if P.ndim == 3 else ""
            self._fail(f"{name}{agent} is not positive semidefinite (smallest eigenvalue {np.atleast_1d(low)[i]:.3g}), "
                       "so the term is not convex; its sign may be wrong, or give its positive semidefinite part")
        return np.maximum(low, 0.0), np.maximum(high, 0.0)

    def _check_constants(self, *names: str) -> None:
        """What was computed from the parameters must not have overflowed."""
        for name in names:
            constants: Floats = np.atleast_1d(getattr(self, name))
            wrong = np.logical_not(np.isfinite(constants))
            if wrong.any():
                agent = f" of agent {int(np.argmax(wrong))}" if wrong.size > 1 else ""
                self._fail(f"the numbers{agent} are so large that their squares overflow; choose other units")

    def agent(self, i: int) -> Self:
        """The term of one agent, with its own data only.

        Parameters
        ----------
        i : int
            The agent; any when the term is shared.

        Returns
        -------
        Term
            The same kind of term, not stacked.
        """
        return self if self.n_agents is None else self._cut(i, None)

    def some(self, at: NDArray[np.int64]) -> Self:
        """The term of the agents at these places of the agents' axis."""
        return self if self.n_agents is None else self._cut(at, len(at))

    def likeness(self) -> Hashable:
        """What terms have in common that `stack` can join: kind, shapes, and whether their matrix is diagonal."""
        kept: list[Any] = [type(self), "P" in self._axes and is_diagonal(vars(self)["P"])]
        for name, value in vars(self).items():
            if isinstance(value, (np.ndarray, np.floating)):
                kept.append((name, value.shape))
            else:
                kept.append((name, value if isinstance(value, Hashable) else id(value)))
        return tuple(kept)

    @staticmethod
    def stack(terms: Sequence[Term]) -> Term:
        """One stacked term from terms of one `likeness`, of an agent each."""
        together = copy.copy(terms[0])
        together.n_agents = len(terms)
        for name, value in vars(together).items():
            if isinstance(value, (np.ndarray, np.floating)):
                stacked = np.stack([getattr(term, name) for term in terms])
                stacked.flags.writeable = False
                setattr(together, name, stacked)
        return together

    def parts(self, length: int) -> Iterator[tuple[slice, Self]]:
        """The term of so many agents at a time, and which of all agents they are.

        Parameters
        ----------
        length : int
            Most agents in a part; a shared term is one part.
        """
        if self.n_agents is None or self.n_agents <= length:
            yield slice(None), self
            return
        for k in range(0, self.n_agents, length):
            yield slice(k, k + length), self._cut(slice(k, k + length), min(length, self.n_agents - k))

    def _cut(self, at: int | slice | NDArray[np.int64], n_agents: int | None) -> Self:
        some = copy.copy(self)
        some.n_agents = n_agents
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and self._is_stacked(name, value):
                setattr(some, name, value[at])
        return some

    def _is_stacked(self, name: str, value: Floats) -> bool:
        return value.ndim > self._axes.get(name, 0)

    def packed(self) -> tuple[Floats, ...]:
        """The numbers the compiled loops need, in the order of csrc/fastadapd.h; stacked or shared as given."""
        return tuple(getattr(self, name) for name in self._axes)

    def rescaled(self, units: Floats) -> Self:
        """The same term as a function of z, where ``x = units * z``.

        Parameters
        ----------
        units : ndarray, shape (dim,)
            Positive.
        """
        raise TypeError(f"{type(self).__name__} cannot be rescaled")

    def column_sizes(self) -> Floats | None:
        """How strongly each coordinate counts, squared, shape (dim,) or (n_agents, dim); None when it does not tell."""
        return None

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}{getattr(self, name).shape}" for name in self._axes)
        return f"{type(self).__name__}({shapes})"


def is_diagonal(P: Floats) -> bool:
    """Whether a matrix, or every one of several, is."""
    return np.count_nonzero(P) == np.count_nonzero(np.diagonal(P, axis1=-2, axis2=-1))


def multiply(A: Floats, x: Floats) -> Floats:
    """``A x`` for one matrix or one per agent; A (..., m, n), x (..., n)."""
    return np.matmul(A, x[..., None])[..., 0]


def transpose_multiply(A: Floats, y: Floats) -> Floats:
    """``A' y`` for one matrix or one per agent; A (..., m, n), y (..., m)."""
    return np.matmul(np.swapaxes(A, -1, -2), y[..., None])[..., 0]


def eigenvalues(P: Floats) -> Floats:
    """Eigenvalues of symmetric matrices, ascending along the last axis; nan where a matrix is not finite."""
    finite = np.asarray(np.isfinite(P).all(axis=(-2, -1)))[..., None]
    return np.where(finite, np.linalg.eigvalsh(np.where(finite[..., None], P, 0.0)), np.nan)


def gram_eigenvalues(A: Floats) -> Floats:
    """The ``min(m, n)`` largest eigenvalues of ``A'A`` per agent, ascending; A (..., m, n)."""
    m, n = A.shape[-2:]
    with np.errstate(over="ignore", invalid="ignore"):
        if m == 1:
            return np.einsum("...ij,...ij->...i", A, A)
        gram = np.matmul(A, np.swapaxes(A, -1, -2)) if m <= n else np.matmul(np.swapaxes(A, -1, -2), A)
    return np.maximum(eigenvalues(gram), 0.0)


def dot(x: Floats, y: Floats) -> Floats:
    """Inner products along the last axis."""
    return np.einsum("...i,...i->...", x, y)


# where a call must not take long, in place of np.linalg.norm and np.median

def lengths(x: Floats) -> Floats:
    """Norms along the last axis."""
    return np.sqrt(dot(x, x))


def length(x: Floats) -> float:
    """The norm of all numbers; squares may overflow."""
    return math.sqrt(np.vdot(x, x))


def middle(values: Floats) -> float:
    """The median of sorted numbers."""
    return 0.5 * float(values[(len(values) - 1) // 2] + values[len(values) // 2])
