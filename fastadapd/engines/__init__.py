"""Engines: who runs the loops. Each follows the NumPy engine, the specification, to rounding.

An engine is bound to one problem and one network. ``adapd`` and ``dpda`` advance a state in place and return a status
code, ``measure`` says how good a point is, and ``compare``, ``remember`` and ``extrapolate`` are the sums over long
vectors of `fastadapd.anderson`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from fastadapd._terms import Floats
from fastadapd.engines.packing import ADAPDState, ADAPDSteps, DPDAState, DPDASteps, Ints, Measured, Memory, Scales
from fastadapd.errors import EngineError, InvalidOptionError, is_name
from fastadapd.network import Network
from fastadapd.pieces import Pieces
from fastadapd.problem import Problem


class Engine(Protocol):
    """What every engine can do."""

    name: str

    def adapd(self, steps: ADAPDSteps, state: ADAPDState, agents: Ints) -> int:
        """Wake the agents one after the other; a status code of `packing`."""

    def dpda(self, steps: DPDASteps, state: DPDAState, iterations: int) -> int:
        """Synchronous iterations of DPDA-S; a status code of `packing`."""

    def measure(self, scales: Scales | None, x: Floats, theta: Floats, multipliers: Floats | None = None, *,
                laplacian: bool = False) -> Measured:
        """g and the totals `packing.MEASURES` at one point (n,) or at one per agent (N, n); see ``fa_measure``.

        Without scales, those of `packing.plain_scales`, only g, the costs' gradients and the agents' distances matter.
        The arrays are the engine's own: they hold until it measures again.
        The multipliers are those of the rows of the consensus matrix, or of the graph Laplacian; None: 0.
        """

    def compare(self, memory: Memory, point: Floats, image: Floats, last: Floats | None
                ) -> tuple[Floats, float, float, float]:
        """The residual (m,), and the lengths of it, of the scaled image, and of the change since the last residual."""

    def remember(self, memory: Memory, slot: int, used: int, length: float, residual: Floats, last: Floats,
                 image: Floats, last_image: Floats) -> None:
        """Put the differences of two residuals, and of their images (size,), into a slot, one of the first `used`."""

    def extrapolate(self, memory: Memory, used: int, norm: float, residual: Floats | None) -> tuple[Floats, float]:
        """How far the combination of differences nearest to the residual moves the image (size,), and how far that is.

        With the residual, ``memory.toward`` is computed anew.
        """


@runtime_checkable
class Threaded(Protocol):
    """What an engine can do that has room for several workers."""

    def divide(self, pieces: Pieces) -> None:
        """Prepare for workers with these agents each."""

    def adapd_together(self, steps: ADAPDSteps, state: ADAPDState, agents: Sequence[Ints]) -> int:
        """Wake each worker's agents one after the other, all workers at the same time; a status code of `packing`."""


# in the order in which "auto" tries them
_ENGINES = {"c": ("native", "NativeEngine"), "numba": ("jit", "NumbaEngine"), "numpy": ("reference", "ReferenceEngine")}


def load(name: str) -> Callable[[Problem, Network], Engine]:
    """The class of an engine.

    Parameters
    ----------
    name : {"auto", "c", "numba", "numpy"}
        "auto" is the first of the others that works here.

    Raises
    ------
    EngineError
        When the engine that was named does not work here; it is never replaced by another.
    """
    if is_name(name, "auto"):
        for other in _ENGINES:
            try:
                return load(other)
            except EngineError:
                continue
    if not is_name(name, *_ENGINES):
        raise InvalidOptionError(f"engine: {name!r} is not known; use 'auto', {', '.join(map(repr, _ENGINES))}")
    module, engine = _ENGINES[name]
    try:
        return getattr(importlib.import_module(f"fastadapd.engines.{module}"), engine)
    except (ImportError, RuntimeError) as error:  # RuntimeError: Numba found no folder for its cache
        hint = {"c": "there was no C compiler when fastadapd was installed; install one and fastadapd again, "
                     "or use engine='numba'"}.get(name, "install the package that is missing")
        raise EngineError(f"engine {name!r} does not work here ({error}): {hint}") from error


def availability() -> dict[str, str | None]:
    """Every engine's name and why it does not work here (None: it works)."""
    reasons: dict[str, str | None] = {}
    for name in _ENGINES:
        try:
            load(name)
            reasons[name] = None
        except EngineError as error:
            cause = error.__cause__
            missing = isinstance(cause, ModuleNotFoundError) and cause.name == "fastadapd._native"
            reasons[name] = "not compiled here" if missing else str(cause)
    return reasons
