"""Exceptions. Each message names the argument, the agent (or node, or row) and the fix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class FastadapdError(Exception):
    """Base class of every error that fastadapd raises on purpose."""


class InvalidProblemError(FastadapdError, ValueError):
    """A term or a problem that makes no sense: wrong shape, not convex, not finite."""


class InvalidNetworkError(FastadapdError, ValueError):
    """A graph or a consensus matrix that cannot bring the agents to agree."""


class InvalidOptionError(FastadapdError, ValueError):
    """An option outside its range, or options that exclude each other."""


class EngineError(FastadapdError, RuntimeError):
    """An engine that was asked for by name does not work here."""


def as_number(name: str, value: Any) -> float:
    """The value of an option that is one number."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidOptionError(f"{name} is {value!r}; it must be a number") from None


def is_name(value: Any, *names: str) -> bool:
    """Whether an option is one of these names; arrays and lists are none."""
    return isinstance(value, str) and value in names


def as_indices(name: str, value: Any) -> NDArray[Any]:
    """The value of an option that is one axis of integers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise InvalidOptionError(f"{name} is {value!r}; it must be one axis of integers") from None
    if array.shape == (0,):  # [] is of float64
        return array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidOptionError(f"{name} must be one axis of integers, not shape {array.shape} of {array.dtype}")
    return array


def as_numbers(name: str, value: Any) -> NDArray[np.float64]:
    """A new array from the value of an option that is one number or several."""
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidOptionError(f"{name} is {value!r}; it must be a number or an array of numbers") from None
