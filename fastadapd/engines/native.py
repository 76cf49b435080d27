"""The C engine: the only file that touches CFFI. Allocate, call, return the status code.

The loops are compiled for several instruction sets, and the best that the processor has is used. The environment
variable ``FASTADAPD_SIMD`` ("best", "baseline", "AVX2") names another, to compare their speed: the results are the same
bit for bit.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastadapd._native import ffi, lib
from fastadapd._terms import Floats
from fastadapd.engines import packing
from fastadapd.engines.packing import ADAPDState, ADAPDSteps, DPDAState, DPDASteps, Ints, Measured, Memory, Scales
from fastadapd.network import Network
from fastadapd.pieces import Pieces
from fastadapd.problem import Problem

_LEAD = 0.25  # epochs that a worker may be ahead of another
_LINE = 16  # numbers of two cache lines
_AS_NUMBERS = functools.partial(ffi.from_buffer, ffi.typeof("double[]"))
_INDICES = ffi.typeof("int32_t[]")
_DTYPES = {name: np.dtype(kind)
           for name, kind in (("double", "f8"), ("float", "f4"), ("int64_t", "i8"), ("int32_t", "i4"))}


def simd() -> str:
    """The instruction set the loops use on this machine."""
    return ffi.string(lib.fa_simd()).decode()


def choose_simd(name: str) -> None:
    """Use another instruction set from now on: "best", "baseline" or "AVX2".

    Raises
    ------
    ValueError
        When the name is not known, or the module or the processor does not have it.
    """
    code = getattr(lib, f"FA_SIMD_{name.upper()}", None)
    if code is None or lib.fa_choose_simd(code) != lib.FA_OK:
        raise ValueError(f"instruction set {name!r} is not known or not here; use 'best', 'baseline' or 'AVX2'")


def strerror(status: int) -> str:
    """A status code in words."""
    return ffi.string(lib.fa_strerror(status)).decode()


def _check_codes() -> None:
    """The header is the source of every code; a mismatch means that the module was built from another version."""
    tables = (packing.OBJECTIVES, packing.CONSTRAINTS, packing.REGULARIZERS)
    codes = [pair for table in tables for pair in table.values()]
    codes += [("FA_PANEL", packing.PANEL), ("FA_DIAGONAL", packing.DIAGONAL), ("FA_GRAM", packing.GRAM)]
    codes += [("FA_OK", packing.OK), ("FA_NOT_FINITE", packing.NOT_FINITE), ("FA_BAD_AGENT", packing.BAD_AGENT)]
    codes += [(f"FA_MOMENTUM_{name.upper()}", code) for name, code in packing.MOMENTUM.items()]
    codes += [(f"FA_{name.upper()}", code) for code, name in enumerate(packing.MEASURES)]
    for name, code in codes:
        if getattr(lib, name) != code:
            raise ImportError(f"{name} is {getattr(lib, name)} in the compiled module and {code} in Python: "
                              "the module is from another version; install fastadapd again")


_check_codes()
choose_simd(os.environ.get("FASTADAPD_SIMD", "best"))


class _Struct:
    """A C struct filled from the tuple of the same field names; keeps the arrays alive."""

    def __init__(self, name: str, values: NamedTuple | None):
        self.values = values
        pointer, fields = _layout(name)
        if values is None:
            self.pointer = ffi.new(pointer)
            return
        self._filled = {}  # keeps what the pointers point to
        for field, dtype, array in fields:
            value = getattr(values, field)
            if array is not None:
                if value.dtype != dtype or not value.flags.c_contiguous:
                    raise TypeError(f"{name}.{field} needs a contiguous array of {dtype}, not {value.dtype}")
                value = ffi.from_buffer(array, value)
            self._filled[field] = value
        self.pointer = ffi.new(pointer, self._filled)


@functools.cache
def _layout(struct: str) -> tuple[Any, list[tuple[str, Any, Any]]]:
    """The type of a pointer to it; every field's name and, where it is an array, NumPy's and C's type of it."""
    fields: list[tuple[str, Any, Any]] = []
    for name, field in ffi.typeof(struct).fields:
        if field.type.kind == "pointer":
            item = field.type.item.cname.removeprefix("const ")
            fields.append((name, _DTYPES[item], ffi.typeof(f"{item}[]")))
        else:
            fields.append((name, None, None))
    return ffi.typeof(f"{struct} *"), fields


class NativeEngine:
    """Compiled C loops.

    Parameters
    ----------
    problem : Problem
    network : Network
    """

    name = "c"

    def __init__(self, problem: Problem, network: Network):
        arrays = packing.pack_problem(problem)
        self._network = network
        self._dim, self._room = problem.dim, packing.room(problem)
        self._problem = _Struct("fa_problem", arrays)
        self._graph = _Struct("fa_network", packing.pack_network(network))
        self._work_array = packing.aligned(lib.fa_work_size(self._problem.pointer))
        self._work = ffi.from_buffer("double[]", self._work_array)
        self._places = [_AS_NUMBERS(part) for part in self._room]
        self._plain = _Struct("fa_scales", packing.plain_scales(problem))
        self._steps = self._state = self._scales = self._memory = _Struct("fa_scales", None)
        self._lengths = np.empty(lib.FA_COMPARISONS)

    def adapd(self, steps: ADAPDSteps, state: ADAPDState, agents: Ints) -> int:
        """Wake the agents one after the other."""
        self._bind("fa_adapd_steps", steps, "fa_adapd_state", state)
        return lib.fa_adapd(self._problem.pointer, self._graph.pointer, self._steps.pointer, len(agents),
                            ffi.from_buffer(_INDICES, _checked(agents, np.int32)), self._state.pointer, self._work)

    def divide(self, pieces: Pieces) -> None:
        """Prepare for workers with these agents each."""
        workers = len(pieces)
        self._borders = packing.pack_borders(self._network, pieces)
        # a worker's numbers have cache lines of their own
        self._counters = np.zeros((workers, _LINE), dtype=np.int64)
        self._works = np.zeros((workers, len(self._work_array) + _LINE))
        self._progress = np.zeros(workers * _LINE)
        self._pool: Any = None
        self._process = -1
        self._states: list[_Struct] = []

    def _threads(self, workers: int) -> Any:
        """A pool of this process: a fork has none of the threads."""
        if self._process != os.getpid():
            from concurrent.futures import ThreadPoolExecutor  # slow to import

            self._pool, self._process = ThreadPoolExecutor(workers - 1, thread_name_prefix="fastadapd"), os.getpid()
        return self._pool

    def adapd_together(self, steps: ADAPDSteps, state: ADAPDState, agents: Sequence[Ints]) -> int:
        """Wake each worker's agents one after the other, all workers at the same time."""
        if self._state.values is not state:
            self._state = _Struct("fa_adapd_state", state)
            self._states = [_Struct("fa_adapd_state", state._replace(counters=own)) for own in self._counters]
        if self._steps.values is not steps:
            self._steps = _Struct("fa_adapd_steps", steps)
        total, workers = sum(map(len, agents)), len(agents)
        for w, own in enumerate(agents):
            self._progress[w * _LINE] = 0.0 if len(own) else np.inf
        self._counters[:, 0] = state.counters[0]
        lead = _LEAD * len(state.x)

        def work(w: int) -> tuple[int, int]:
            """Status and activations of a worker."""
            pace = total / max(len(agents[w]), 1)
            share = _Struct("fa_share", packing.Share(workers, w, pace, lead, self._progress, *self._borders))
            own, numbers = ffi.from_buffer("int32_t[]", agents[w]), ffi.from_buffer("double[]", self._works[w])
            status, done, count = packing.OK, 0, len(agents[w])
            try:
                while done < count and status == packing.OK:
                    if done:
                        _give_way()  # too far ahead
                    status = lib.fa_adapd_share(
                        self._problem.pointer, self._graph.pointer, self._steps.pointer, share.pointer, count - done,
                        own + done, self._states[w].pointer, numbers)
                    done += int(self._counters[w, 1])
            except BaseException:
                self._progress[w * _LINE] = np.inf
                raise
            return status, done

        from concurrent.futures import wait

        pool = self._threads(workers)
        others = [pool.submit(work, w) for w in range(1, workers)]
        try:
            ends = [work(0)]
        finally:
            wait(others)
        ends += [other.result() for other in others]
        state.counters[0] += sum(done for _, done in ends)
        return next((status for status, _ in ends if status != packing.OK), packing.OK)

    def dpda(self, steps: DPDASteps, state: DPDAState, iterations: int) -> int:
        """Synchronous iterations of DPDA-S."""
        self._bind("fa_dpda_steps", steps, "fa_dpda_state", state)
        return lib.fa_dpda(self._problem.pointer, self._laplacian.pointer, self._steps.pointer, iterations,
                           self._state.pointer, self._work)

    @functools.cached_property
    def _laplacian(self) -> _Struct:
        return _Struct("fa_network", packing.pack_laplacian(self._network))

    def measure(self, scales: Scales | None, x: Floats, theta: Floats, multipliers: Floats | None = None, *,
                laplacian: bool = False) -> Measured:
        """g and the totals `packing.MEASURES` at one point (n,) or at one per agent (N, n)."""
        if scales is not None and self._scales.values is not scales:
            self._scales = _Struct("fa_scales", scales)
        compared = self._plain if scales is None else self._scales
        stride, graph, lambda_ = 0 if x.ndim == 1 else self._dim, ffi.NULL, ffi.NULL
        if multipliers is not None:
            graph, lambda_ = (self._laplacian if laplacian else self._graph).pointer, _AS_NUMBERS(multipliers)
        lib.fa_measure(self._problem.pointer, graph, compared.pointer, _AS_NUMBERS(x), stride, _AS_NUMBERS(theta),
                       lambda_, *self._places, self._work)
        return self._room

    def compare(self, memory: Memory, point: Floats, image: Floats, last: Floats | None
                ) -> tuple[Floats, float, float, float]:
        """The residual, and the lengths of it, of the scaled image, and of the change since the last residual."""
        residual = np.empty(memory.looked_at)
        lib.fa_compare(self._of(memory), _AS_NUMBERS(point), _AS_NUMBERS(image),
                       ffi.NULL if last is None else _AS_NUMBERS(last), _AS_NUMBERS(residual),
                       _AS_NUMBERS(self._lengths))
        movement, extent, change = self._lengths.tolist()
        return residual, movement, extent, change

    def remember(self, memory: Memory, slot: int, used: int, length: float, residual: Floats, last: Floats,
                 image: Floats, last_image: Floats) -> None:
        """Put the differences of two residuals, and of their images, into a slot, one of the first `used`."""
        lib.fa_remember(self._of(memory), slot, used, length, _AS_NUMBERS(residual), _AS_NUMBERS(last),
                        _AS_NUMBERS(image), _AS_NUMBERS(last_image))

    def extrapolate(self, memory: Memory, used: int, norm: float, residual: Floats | None) -> tuple[Floats, float]:
        """How far the combination of differences nearest to the residual moves the image, and how far that is."""
        move = np.empty(memory.size)
        lib.fa_extrapolate(self._of(memory), used, norm, ffi.NULL if residual is None else _AS_NUMBERS(residual),
                           _AS_NUMBERS(move), _AS_NUMBERS(self._lengths))
        return move, self._lengths.item(0)

    def _of(self, memory: Memory) -> Any:
        if self._memory.values is not memory:
            self._memory = _Struct("fa_memory", memory)
        return self._memory.pointer

    def _bind(self, steps_name: str, steps: NamedTuple, state_name: str, state: NamedTuple) -> None:
        """Fill the structs, unless they already hold these very tuples."""
        if self._steps.values is not steps:
            self._steps = _Struct(steps_name, steps)
        if self._state.values is not state:
            self._state = _Struct(state_name, state)


def _give_way() -> None:
    """Let another thread have the processor."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    else:
        time.sleep(0)


def _checked(array: Any, dtype: Any) -> Any:
    return np.ascontiguousarray(array, dtype=dtype)
