"""Who wakes when: the only place where random numbers are drawn.

A clock describes a law; a `Stream` made from it hands out agent indices in chunks. Numbers are drawn in blocks of a
fixed length, so the sequence does not depend on how it is cut into chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastadapd.errors import InvalidOptionError, as_indices, as_number, as_numbers

__all__ = ["Cyclic", "Poisson", "Recorded", "Repeated", "Shuffled", "Uniform"]

Indices = NDArray[np.int32]
_BLOCK = 16_384


@dataclass(frozen=True)
class Uniform:
    """Every agent is equally likely at every activation."""

    def check(self, n_agents: int) -> None:
        """Raise InvalidOptionError when the clock does not fit n_agents agents."""

    def block(self, n_agents: int, rng: np.random.Generator, start: int, last: Indices) -> Indices:
        """The next activations, from activation `start` on."""
        return rng.integers(n_agents, size=_BLOCK, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Poisson:
    """Independent Poisson clocks: agent i wakes with probability proportional to its rate.

    Parameters
    ----------
    rates : array_like, shape (n_agents,)
        Activations per unit of time; positive.
    """

    rates: ArrayLike

    def check(self, n_agents: int) -> None:
        rates = as_numbers("clock: rates", self.rates)
        if rates.shape != (n_agents,):
            raise InvalidOptionError(f"clock: rates has shape {rates.shape}; it needs one rate for each of the "
                                     f"{n_agents} agents")
        wrong = ~((rates > 0) & np.isfinite(rates))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InvalidOptionError(f"clock: the rate of agent {i} is {rates[i]}; it must be positive and finite, "
                                     "or the agent never takes part")

    def block(self, n_agents: int, rng: np.random.Generator, start: int, last: Indices) -> Indices:
        rates = np.asarray(self.rates, dtype=float)
        cumulative = np.cumsum(rates / rates.max())
        drawn = np.searchsorted(cumulative, rng.random(_BLOCK) * cumulative[-1], side="right")
        return np.minimum(drawn, n_agents - 1).astype(np.int32)


@dataclass(frozen=True)
class Shuffled:
    """Every agent once per epoch, in a new random order each time."""

    def check(self, n_agents: int) -> None:
        pass

    def block(self, n_agents: int, rng: np.random.Generator, start: int, last: Indices) -> Indices:
        epochs = max(1, _BLOCK // n_agents)
        order = np.tile(np.arange(n_agents, dtype=np.int32), (epochs, 1))
        return rng.permuted(order, axis=1, out=order).reshape(-1)


@dataclass(frozen=True)
class Repeated:
    """Some epochs in which every agent wakes once each, in random order, drawn once and repeated.

    Adaptive AD-APD draws them anew where it makes no progress.

    Parameters
    ----------
    epochs : int
    """

    epochs: int = 10

    def check(self, n_agents: int) -> None:
        if not (as_number("clock: epochs", self.epochs) >= 1 and float(self.epochs).is_integer()):
            raise InvalidOptionError(f"clock: epochs is {self.epochs}; it must be a positive integer")

    def block(self, n_agents: int, rng: np.random.Generator, start: int, last: Indices) -> Indices:
        if len(last):
            return last
        order = np.tile(np.arange(n_agents, dtype=np.int32), (self.epochs, 1))
        return rng.permuted(order, axis=1, out=order).reshape(-1)


@dataclass(frozen=True)
class Cyclic:
    """Agents 0, 1, ..., N - 1, over and over."""

    def check(self, n_agents: int) -> None:
        pass

    def block(self, n_agents: int, rng: np.random.Generator, start: int, last: Indices) -> Indices:
        return np.tile(np.arange(n_agents, dtype=np.int32), max(1, _BLOCK // n_agents))


@dataclass(frozen=True, eq=False)
class Recorded:
    """A sequence that was saved or made elsewhere, replayed once.

    Parameters
    ----------
    agents : array_like of int, shape (activations,)
    """

    agents: ArrayLike

    def check(self, n_agents: int) -> None:
        agents = as_indices("clock", self.agents)
        wrong = (agents < 0) | (agents >= n_agents)
        if wrong.any():
            k = int(np.argmax(wrong))
            raise InvalidOptionError(f"clock: activation {k} wakes agent {agents[k]}; agents are 0 to {n_agents - 1}")

    def block(self, n_agents: int, rng: np.random.Generator, start: int, last: Indices) -> Indices:
        return np.asarray(self.agents)[start : start + _BLOCK].astype(np.int32)


Clock = Uniform | Poisson | Shuffled | Repeated | Cyclic | Recorded
_BY_NAME: dict[str, Clock] = {"uniform": Uniform(), "shuffled": Shuffled(), "repeated": Repeated(), "cyclic": Cyclic()}


def as_clock(clock: Clock | str | Sequence[int] | NDArray[Any]) -> Clock:
    """A clock from its name, from itself or from a sequence of agents."""
    if isinstance(clock, Clock):
        return clock
    if isinstance(clock, str):
        if clock not in _BY_NAME:
            raise InvalidOptionError(f"clock: {clock!r} is not known; use {', '.join(map(repr, _BY_NAME))}, "
                                     "or an object of fastadapd.clocks")
        return _BY_NAME[clock]
    return Recorded(clock)


class Stream:
    """The activations of one run, handed out in chunks of any length.

    Parameters
    ----------
    clock : Clock
    n_agents : int
    rng : Generator
    names : ndarray of int32, shape (n_agents,), optional
        What the agents of the clock are called in what is handed out; by default 0, 1, ..., n_agents - 1.
    """

    def __init__(self, clock: Clock, n_agents: int, rng: np.random.Generator, names: Indices | None = None):
        clock.check(n_agents)
        self._clock, self._n_agents, self._rng, self._names = clock, n_agents, rng, names
        self._used = self._start = 0
        self._hold(np.empty(0, dtype=np.int32))

    def _hold(self, block: Indices) -> None:
        self._block = block
        self._named = block if self._names is None else self._names[block]

    @property
    def length(self) -> int | None:
        """Activations in all, for a recorded sequence; else None."""
        return len(np.asarray(self._clock.agents)) if isinstance(self._clock, Recorded) else None

    def take(self, count: int) -> Indices:
        """The next `count` agents; fewer only at the end of a recorded sequence."""
        parts: list[Indices] = []
        while count > 0:
            if self._used == len(self._block):
                self._start += len(self._block)
                block = self._clock.block(self._n_agents, self._rng, self._start, self._block)
                self._used = 0
                if block is not self._block:
                    self._hold(block)
                if not len(self._block):
                    break
            part = self._named[self._used : self._used + count]
            self._used += len(part)
            count -= len(part)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)

    def renew(self) -> None:
        """Let a clock that repeats itself draw another order."""
        if isinstance(self._clock, Repeated):
            self._start, self._used = self._start + self._used, 0
            self._hold(np.empty(0, dtype=np.int32))

    def checkpoint(self) -> dict[str, Any]:
        """What `restore` needs to go on with the same activations."""
        return {"generator": self._rng.bit_generator.state, "block": self._block.copy(), "used": self._used,
                "start": self._start}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on where `checkpoint` was called."""
        if "streams" in saved:
            raise InvalidOptionError(f"the checkpoint is of a run with workers={len(saved['streams'])}; "
                                     "this solver has workers=1")
        self._rng.bit_generator.state = saved["generator"]
        self._hold(np.array(saved["block"], dtype=np.int32))
        self._used, self._start = saved["used"], saved["start"]


class SplitStream:
    """The activations of one run, by workers that wake agents of their own at the same time.

    Every worker has a clock of the same law over its own agents and a generator of its own. It does its share of every
    chunk: that of its agents' rates, exactly so after every epoch of a clock that wakes all equally often.

    Parameters
    ----------
    clock : Clock
        Not a recorded one: its order cannot be kept.
    pieces : sequence of ndarray
        The agents of each worker.
    rng : Generator
        Parent of the workers' generators.
    """

    length: int | None = None

    def __init__(self, clock: Clock, pieces: Sequence[Indices], rng: np.random.Generator):
        n_agents = sum(map(len, pieces))
        clock.check(n_agents)
        rates = agent_rates(clock, n_agents)
        self._pieces = tuple(pieces)
        self._streams = [Stream(_restricted(clock, piece), len(piece), generator, piece)
                         for piece, generator in zip(pieces, rng.spawn(len(pieces)), strict=True)]
        self._share = np.array([rates[piece].sum() for piece in pieces]) / rates.sum()
        self._done = np.zeros(len(pieces), dtype=np.int64)

    def take(self, count: int) -> list[Indices]:
        """The next agents of every worker, `count` in all."""
        due = np.maximum(self._share * (self._done.sum() + count) - self._done, 0.0)
        counts = np.floor(due * (1.0 + 1e-12)).astype(np.int64)
        while (missing := count - int(counts.sum())) > 0:
            counts[np.argmax(due - counts)] += 1
        for _ in range(-missing):  # some had done more than their share
            counts[np.argmin(np.where(counts > 0, due - counts, np.inf))] -= 1
        self._done += counts
        return [stream.take(k) for stream, k in zip(self._streams, counts.tolist(), strict=True)]

    def renew(self) -> None:
        """Let a clock that repeats itself draw another order for every worker."""
        for stream in self._streams:
            stream.renew()

    def checkpoint(self) -> dict[str, Any]:
        """What `restore` needs to go on with the same activations."""
        return {"streams": [stream.checkpoint() for stream in self._streams], "done": self._done.copy(),
                "pieces": [piece.copy() for piece in self._pieces]}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on where `checkpoint` was called."""
        workers = len(saved.get("streams", [0]))
        if workers != len(self._streams):
            raise InvalidOptionError(f"the checkpoint is of a run with workers={workers}; this solver has "
                                     f"workers={len(self._streams)}")
        if not all(map(np.array_equal, saved["pieces"], self._pieces)):
            raise InvalidOptionError("the checkpoint's workers have other agents: it is of another network or problem")
        for stream, state in zip(self._streams, saved["streams"], strict=True):
            stream.restore(state)
        self._done = saved["done"].copy()


def agent_rates(clock: Clock, n_agents: int) -> NDArray[np.float64]:
    """How often each agent wakes, in any unit."""
    if not isinstance(clock, Poisson):
        return np.ones(n_agents)
    rates = np.asarray(clock.rates, dtype=float)
    return rates / rates.max()


def _restricted(clock: Clock, agents: Indices) -> Clock:
    """The same law for some of the agents, counted from 0."""
    if isinstance(clock, Recorded):
        raise InvalidOptionError("clock: a recorded sequence has one order, which several workers cannot keep; "
                                 "use workers=1")
    return Poisson(np.asarray(clock.rates)[agents]) if isinstance(clock, Poisson) else clock
