"""Anderson acceleration of a fixed-point map, safeguarded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastadapd._terms import Floats

Single = npt.NDArray[np.float32]
_Pair = tuple[Floats, Floats]

_REGULARIZATION = 1e-5  # of differences of length 1; products are known to about 1e-6, carried on (_DOUBT) to 4e-6
_OLD = 0.03  # added to the squared lengths of differences of an earlier map: new ones tell more
_DOUBT = 10.0  # times its size: so far may the residual move before its products are computed, not carried on
_REACH = 0.03  # longest extrapolation, relative to the point: where multipliers are not unique they could run off
_FLAT = 0.01  # a residual that changes by less drifts along a line: go on there, twice as far every time
_STALE = 100  # so many steps in which the residual does not fall to _PROGRESS: from then on each is _LONGER, ...
_TRIES = 12  # ... and _LONGER again after so many
_LONGER = 10
_LONGEST = 100
_BLOCK = 4096  # numbers of a row
_CUTS = 8  # so many extrapolations in a row cut to that length, ...
_PROGRESS = 0.7  # ... while the residual does not fall to this share, lead astray ...
_REST = 10  # ... and are taken back; then so many steps go without
_REVERT = 1.2  # an extrapolation that makes the residual grow by more is taken back ...
_GROWTH = 10.0  # ... and so is one that leaves it this much above the smallest in memory


class Anderson:
    """Extrapolate ``u <- T(u)`` from the last few values (type II).

    With residuals ``r = T(u) - u`` and differences of successive values, the next point is
    ``T(u) - dT gamma`` where gamma minimizes ``|r - dr gamma|``. The differences dr, of length 1, and dT are kept in
    single precision: that costs a little of the extrapolation, nothing of the fixed point. Where r hardly changes, as
    between two changes of the active constraints of a degenerate problem, the next point is ``T(u) + r``, then
    ``T(u) + 2 r``, ``T(u) + 4 r``, ... Where no progress is made, T is replaced by ten times T in a row, then a hundred
    times, until there is: slow turns, which faster ones hide from step to step, show.

    Parameters
    ----------
    memory : int
        Differences kept.
    scale : ndarray, shape (m,)
        Weights of the first m coordinates in the norm; the others follow without being looked at.
    size : int
        Length of a point.

    Attributes
    ----------
    memory : int
    residual : ndarray, shape (m,)
        The last residual, scaled.
    movement : float
        Its norm.
    sums : int
        How many sums over all coordinates the last call of `mix` needed: products of r (though they may be carried on),
        dr and dT with those in memory (of dT for the length of what it moves), and four norms; within a long step one
        norm.

    References
    ----------
    Walker and Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011).
    """

    def __init__(self, memory: int, scale: Floats, size: int):
        self._scale, self._units = scale, scale if (scale > 0).all() else np.where(scale > 0, scale, 1.0)
        self._residuals = np.empty((memory, len(scale)), dtype=np.float32)
        self._images = np.empty((memory, len(scale)), dtype=np.float32)  # in the units of the scale
        self._tails = np.empty((memory, size - len(scale)))  # of the coordinates that follow
        self._gram = np.zeros((memory, memory))
        self._toward = np.zeros(memory)  # products of the differences with the last residual, carried on ...
        self._doubt = np.inf  # ... over so much of movement since they were computed
        self._count = 0
        self._last: _Pair | None = None  # residual and image
        self._norm = self._smallest = np.inf
        self.residual, self.movement, self.sums = np.zeros(0), np.inf, 0
        self._cuts, self._cut_from = 0, (np.inf, np.zeros(0))  # how many in a row; residual and image at the first
        self._rest, self._stride = 0, 0.0
        self._stale, self._stale_from = 0, np.inf  # steps since the residual was there
        self._span, self._calls = 1, 0  # times T in a step, and how many of them are done
        self._start = np.zeros(0)  # where they began

    def change_map(self, keep: int, memory: int) -> None:
        """Begin anew from the next point, because the map has changed a little.

        Parameters
        ----------
        keep : int
            Differences kept: so many of the newest.
        memory : int
            Differences kept from now on, at least as many.
        """
        used = min(self._count, len(self._gram), keep)
        newest = np.arange(self._count - used, self._count) % max(len(self._gram), 1)
        gram = np.zeros((memory, memory))
        gram[:used, :used] = self._gram[np.ix_(newest, newest)]
        np.fill_diagonal(gram[:used, :used], 1.0 + _OLD)
        self._gram, self._toward = gram, np.zeros(memory)
        for name in ("_residuals", "_images", "_tails"):
            before = getattr(self, name)
            kept = np.empty((memory, before.shape[1]), dtype=before.dtype)
            kept[:used] = before[newest]
            setattr(self, name, kept)
        self._begin_anew(used, 0)
        self._stride, self._stale, self._stale_from = 0.0, 0, np.inf

    @property
    def memory(self) -> int:
        return len(self._gram)

    def _begin_anew(self, count: int, rest: int) -> None:
        """Keep so many of the differences, and go so many steps without."""
        self._last, self._norm, self._smallest = None, np.inf, np.inf
        self._count, self._cuts, self._rest = count, 0, rest
        self._span, self._calls, self._start = 1, 0, np.zeros(0)

    def checkpoint(self) -> dict[str, Any]:
        """Everything that `restore` needs."""
        return {"scale": self._scale, "residuals": self._residuals.copy(), "images": self._images.copy(),
                "tails": self._tails.copy(), "gram": self._gram.copy(), "toward": (self._toward.copy(), self._doubt),
                "count": self._count, "last": self._last,
                "norms": (self._norm, self._smallest), "residual": self.residual,
                "movement": self.movement, "cuts": (self._cuts, self._cut_from, self._rest, self._stride),
                "stale": (self._stale, self._stale_from), "span": (self._span, self._calls, self._start)}

    @classmethod
    def restore(cls, saved: dict[str, Any]) -> Anderson:
        """The acceleration as it was."""
        self = cls(0, saved["scale"], len(saved["scale"]))
        self._residuals, self._images = saved["residuals"].copy(), saved["images"].copy()
        self._tails, self._gram, self._count = saved["tails"].copy(), saved["gram"].copy(), saved["count"]
        self._toward, self._doubt = saved["toward"][0].copy(), saved["toward"][1]
        self._last, (self._norm, self._smallest) = saved["last"], saved["norms"]
        self.residual, self.movement = saved["residual"], saved["movement"]
        self._cuts, self._cut_from, self._rest, self._stride = saved["cuts"]
        (self._stale, self._stale_from), (self._span, self._calls, self._start) = saved["stale"], saved["span"]
        return self

    def _is_stale(self) -> bool:
        """Whether the steps had to become longer, or may be short again."""
        span = self._span
        if self.movement < _PROGRESS * self._stale_from:
            self._stale_from, self._stale, span = self.movement, 0, 1
        self._stale += 1
        if self._stale > (_STALE if span == 1 else _TRIES):
            if span == 1:
                self._stale_from = self.movement
            self._stale, span = 0, min(_LONGER * span, _LONGEST)
        elif span == self._span:
            return False
        self._begin_anew(0, 0)
        self._span = span
        return True

    def _keep(self, last: _Pair, now: _Pair, change: Floats, length: float) -> None:
        """Put the changes between two pairs of residual and image into memory.

        `change`, that of the residual, of this length, is overwritten.
        """
        (residual, after), (_, image) = now, last
        m, k = len(self._scale), self._count % len(self._gram)
        change *= 1.0 / length
        self._residuals[k] = change
        self._count += 1
        products = self._products(self._residuals[k])
        self._toward[: len(products)] += length * products
        self._toward[k] = change @ residual
        products[k] += _REGULARIZATION
        self._gram[k, : len(products)] = self._gram[: len(products), k] = products
        np.subtract(after[:m], image[:m], out=change)
        change *= 1.0 / length
        change *= self._units
        self._images[k] = change
        np.subtract(after[m:], image[m:], out=self._tails[k])
        self._tails[k] *= 1.0 / length

    def _products(self, vector: Single) -> Floats:
        """With the differences in memory; in single precision within blocks only."""
        total = np.zeros(min(self._count, len(self._gram)))
        for first in range(0, len(vector), _BLOCK):
            block = slice(first, first + _BLOCK)
            total += self._residuals[: len(total), block] @ vector[block]
        return total

    def mix(self, before: Floats, after: Floats) -> Floats:
        """The next point from ``u`` and ``T(u)``.

        Parameters
        ----------
        before, after : ndarray, shape (size,)
            u and T(u); kept, so they must not change afterwards.

        Returns
        -------
        ndarray, shape (size,)
            `after` itself when there is nothing to extrapolate from. When the last extrapolations made the residual
            grow, or led far without progress, the image they started from; the memory is empty then.
        """
        self.residual, self.movement = self._moved(before, after)
        if self._span > 1:
            if self._calls == 0:
                self._start = before
            self._calls += 1
            if self._calls < self._span:
                self.sums = 1
                return after
            before, self._calls = self._start, 0
        self.sums = 3 * self.memory + 4
        return self._step(before, after)

    def _moved(self, before: Floats, after: Floats) -> tuple[Floats, float]:
        """Their difference, scaled, and its norm."""
        m = len(self._scale)
        residual = after[:m] - before[:m]
        residual *= self._scale
        return residual, math.sqrt(residual @ residual)

    def _step(self, before: Floats, after: Floats) -> Floats:
        """The next point from one and what T, or T so many times in a row, makes of it."""
        m = len(self._scale)
        residual, norm = self._moved(before, after) if self._span > 1 else (self.residual, self.movement)
        if self._rest:
            self._rest -= 1
            return after
        if self._last is not None and not norm <= min(_REVERT * self._norm, _GROWTH * self._smallest):
            (_, back), self._last, self._count, self._smallest = self._last, None, 0, np.inf
            return back
        self._norm, self._smallest = norm, min(norm, self._smallest)
        if self._is_stale():
            return after
        last, self._last = self._last, (residual, after)
        doubt, self._doubt = self._doubt, np.inf
        move = np.empty_like(after)  # the only array of this length that is needed for a while
        part = np.multiply(after[:m], self._scale, out=move[:m])
        limit = _REACH * math.sqrt(part @ part)
        if last is not None:
            np.subtract(residual, last[0], out=part)
            length = math.sqrt(part @ part)
            if length <= _FLAT * norm:
                self._stride = max(1.0, 2.0 * self._stride)
                return after + min(self._stride, limit / norm) * (after - before) if norm > 0 else after
            if length < np.inf:
                self._keep(last, (residual, after), part, length)
                self._doubt = doubt + length
            last = None  # long vectors, and no longer needed
        self._stride = 0.0
        used = min(self._count, len(self._gram))
        if used == 0 or not 0 < norm < np.inf:
            return after
        if self._doubt > _DOUBT * norm:
            vector = np.divide(residual, norm, out=np.empty(m, dtype=np.float32), casting="same_kind")
            self._toward[:used], self._doubt = norm * self._products(vector), 0.0
        gamma = np.linalg.solve(self._gram[:used, :used], self._toward[:used] / norm)
        part[:] = gamma.astype(np.float32) @ self._images[:used]
        length = norm * math.sqrt(part @ part)
        part /= self._units
        np.matmul(gamma, self._tails[:used], out=move[m:])
        move *= norm
        if length <= limit:
            self._cuts = 0
            return np.subtract(after, move, out=move)
        if self._cuts == 0 or norm < _PROGRESS * self._cut_from[0]:
            self._cuts, self._cut_from = 0, (norm, after)
        if self._cuts == _CUTS:
            self._begin_anew(0, _REST)
            return self._cut_from[1]
        self._cuts += 1
        move *= limit / length
        return np.subtract(after, move, out=move)
