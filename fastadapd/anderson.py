"""Anderson acceleration of a fixed-point map, safeguarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastadapd._terms import Floats
from fastadapd.engines.packing import Memory

if TYPE_CHECKING:
    from fastadapd.engines import Engine

_Pair = tuple[Floats, Floats]

_REGULARIZATION = 1e-5  # of differences of length 1, kept to 6e-8
_UPDATED = ("residuals", "images", "tails", "gram", "toward")  # arrays of the memory
_OLD = 0.03  # added to the squared lengths of differences of an earlier map: new ones tell more
_DOUBT = 10.0  # times its size: so far may the residual move before its products are computed, not carried on
_REACH = 0.03  # longest extrapolation, relative to the point: where multipliers are not unique they could run off
_FLAT = 0.01  # a residual that changes by less drifts along a line: go on there, twice as far every time
_STALE = 100  # so many steps in which the residual does not fall to _PROGRESS, ...
_TRIES = 12  # ... or so many longer ones: stuck, and from then on steps are T so many times in a row,
_SPANS = 1, 1, 10, 10, 100, 100  # one after the other, and from the beginning, also where there is progress
_RUNAWAY = 1e3  # a residual that grows to so many times what it was: stuck at once, and back to where it was that
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
    ``T(u) + 2 r``, ``T(u) + 4 r``, ... Where no progress is made, the map should change (`stuck`), and if that does
    not help, T is replaced by ten times T in a row, then a hundred times, until there is: slow turns, which faster ones
    hide from step to step, show.

    Parameters
    ----------
    memory : int
        Differences kept.
    scale : ndarray, shape (m,)
        Weights of the first m coordinates in the norm; the others follow without being looked at.
    size : int
        Length of a point.
    engine : Engine
        Whose loops to use.

    Attributes
    ----------
    memory : int
    residual : ndarray, shape (m,)
        The last residual, scaled.
    movement : float
        Its norm.
    stuck : bool
        Whether the last call of `mix` found that there has been no progress for long, and returned the image, or that
        the point runs off. T itself may be what does not converge: the next point may be the first of another map.
    runs_off : bool
        Whether it found the latter: it has returned the image from before then.
    sums : int
        How many sums over all coordinates the last call of `mix` needed: products of r (though they may be carried on),
        dr and dT with those in memory (of dT for the length of what it moves), and four norms; within a long step one
        norm.

    References
    ----------
    Walker and Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011).
    """

    def __init__(self, memory: int, scale: Floats, size: int, engine: Engine):
        self._engine = engine
        units = scale if (scale > 0).all() else np.where(scale > 0, scale, 1.0)
        self._memory = _room(memory, scale, units, size)
        self._doubt = np.inf  # so much the residual has moved since its products with the differences were computed
        self._count = 0
        self._last: _Pair | None = None  # residual and image
        self._norm = self._smallest = np.inf
        self.residual, self.movement, self.sums = np.zeros(0), np.inf, 0
        self.stuck, self.runs_off, self._times_stuck = False, False, 0
        self._cuts, self._cut_from = 0, (np.inf, np.zeros(0))  # how many in a row; residual and image at the first
        self._rest, self._stride = 0, 0.0
        self._stale, self._stale_from = 0, (np.inf, np.zeros(0))  # steps since the residual was there, and the image
        self._span, self._calls = 1, 0  # times T in a step, and how many of them are done
        self._start = np.zeros(0)  # where they began

    def change_map(self, keep: int, memory: int, engine: Engine) -> None:
        """Begin anew from the next point, because the map has changed a little.

        Parameters
        ----------
        keep : int
            Differences kept: so many of the newest.
        memory : int
            Differences kept from now on, at least as many.
        engine : Engine
            The one to work with from now on.
        """
        before, self._engine = self._memory, engine
        used = min(self._count, before.capacity, keep)
        newest = np.arange(self._count - used, self._count) % before.capacity
        self._memory = _room(memory, before.scale, before.units, before.size)
        self._memory.gram[:used, :used] = before.gram[np.ix_(newest, newest)]
        np.fill_diagonal(self._memory.gram[:used, :used], 1.0 + _OLD)
        for kept, array in zip(_differences(self._memory), _differences(before), strict=True):
            kept[:used] = array[newest]
        self._begin_anew(used, 0)
        self._stride, self._stale, self._stale_from = 0.0, 0, (np.inf, np.zeros(0))

    @property
    def memory(self) -> int:
        return self._memory.capacity

    def _begin_anew(self, count: int, rest: int) -> None:
        """Keep so many of the differences, and go so many steps without."""
        self._last, self._norm, self._smallest = None, np.inf, np.inf
        self._count, self._cuts, self._rest = count, 0, rest
        self._span, self._calls, self._start = 1, 0, np.zeros(0)

    def checkpoint(self) -> dict[str, Any]:
        """Everything that `restore` needs."""
        memory = self._memory._asdict()
        memory.update({name: memory[name].copy() for name in _UPDATED})
        return {"memory": memory, "doubt": self._doubt, "count": self._count, "last": self._last,
                "norms": (self._norm, self._smallest), "residual": self.residual,
                "movement": self.movement, "cuts": (self._cuts, self._cut_from, self._rest, self._stride),
                "stale": (self._stale, self._stale_from, self._times_stuck),
                "span": (self._span, self._calls, self._start)}

    @classmethod
    def restore(cls, saved: dict[str, Any], engine: Engine) -> Anderson:
        """The acceleration as it was."""
        memory = saved["memory"]
        self = cls(memory["capacity"], memory["scale"], memory["size"], engine)
        for name in _UPDATED:
            getattr(self._memory, name)[...] = memory[name]
        self._doubt, self._count = saved["doubt"], saved["count"]
        self._last, (self._norm, self._smallest) = saved["last"], saved["norms"]
        self.residual, self.movement = saved["residual"], saved["movement"]
        self._cuts, self._cut_from, self._rest, self._stride = saved["cuts"]
        self._stale, self._stale_from, self._times_stuck = saved["stale"]
        self._span, self._calls, self._start = saved["span"]
        return self

    def _is_stale(self, after: Floats) -> bool:
        """Whether the steps had to become others, or may be short again."""
        span = self._span
        if self.movement < _PROGRESS * self._stale_from[0]:
            self._stale_from, self._stale, self._times_stuck, span = (self.movement, after), 0, 0, 1
        self._stale += 1
        self.runs_off = self.movement > _RUNAWAY * self._stale_from[0]
        if self.runs_off or self._stale > (_STALE if span == 1 else _TRIES):
            if not self.runs_off:
                self._stale_from = self.movement, after
            self._stale, self.stuck = 0, True
            self._times_stuck += 1
            span = _SPANS[self._times_stuck % len(_SPANS)]
        elif span == self._span:
            return False
        self._begin_anew(0, 0)
        self._span = span
        return True

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
        last = None if self._last is None else self._last[0]
        residual, norm, extent, change = self._engine.compare(self._memory, before, after, last)
        self.residual, self.movement, self.stuck, self.runs_off = residual, norm, False, False
        if self._span > 1:
            if self._calls == 0:
                self._start = before
            self._calls += 1
            if self._calls < self._span:
                self.sums = 1
                return after
            before, self._calls = self._start, 0
            residual, norm, extent, change = self._engine.compare(self._memory, before, after, last)
        self.sums = 3 * self.memory + 4
        if self._rest:
            self._rest -= 1
            return after
        if self._last is not None and not norm <= min(_REVERT * self._norm, _GROWTH * self._smallest):
            (_, back), self._last, self._count, self._smallest = self._last, None, 0, np.inf
            return back
        self._norm, self._smallest = norm, min(norm, self._smallest)
        if self._is_stale(after):
            return self._stale_from[1] if self.runs_off else after
        before_last, self._last = self._last, (residual, after)
        return self._step(before, before_last, norm, _REACH * extent, change)

    def _step(self, before: Floats, last: _Pair | None, norm: float, limit: float, change: float) -> Floats:
        """The next point.

        Parameters
        ----------
        before : ndarray, shape (size,)
            Where T, or T so many times in a row, has led to the image from.
        last : tuple of ndarray or None
            Residual and image of the step before.
        norm, limit, change : float
            Length of the residual, that which no extrapolation exceeds, and of the change of the residual.
        """
        assert self._last is not None
        residual, after = self._last
        doubt, self._doubt = self._doubt, np.inf
        if last is not None:
            if change <= _FLAT * norm:
                self._stride = max(1.0, 2.0 * self._stride)
                return after + min(self._stride, limit / norm) * (after - before) if norm > 0 else after
            if change < np.inf:
                slot, self._count = self._count % self.memory, self._count + 1
                used = min(self._count, self.memory)
                self._engine.remember(self._memory, slot, used, change, residual, last[0], after, last[1])
                self._doubt = doubt + change
        self._stride = 0.0
        used = min(self._count, self.memory)
        if used == 0 or not 0 < norm < np.inf:
            return after
        renewed = self._doubt > _DOUBT * norm
        if renewed:
            self._doubt = 0.0
        move, length = self._engine.extrapolate(self._memory, used, norm, residual if renewed else None)
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


def _room(capacity: int, scale: Floats, units: Floats, size: int) -> Memory:
    m = len(scale)
    return Memory(size, m, capacity, _REGULARIZATION, scale, units,
                  residuals=np.empty((capacity, m), dtype=np.float32),
                  images=np.empty((capacity, m), dtype=np.float32),
                  tails=np.empty((capacity, size - m)), gram=np.zeros((capacity, capacity)), toward=np.zeros(capacity),
                  factor=np.empty((capacity, capacity)), gamma=np.empty(capacity))


def _differences(memory: Memory) -> tuple[Any, ...]:
    return memory.residuals, memory.images, memory.tails
