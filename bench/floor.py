"""The floor of an activation, what memory alone asks for: floor.c, compiled for n coordinates, and its arrays."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cffi
import numpy as np

import fastadapd as fa
from fastadapd.engines.packing import Ints, pack_network
from fastadapd.methods._base import Run

SOURCE = Path(__file__).with_name("floor.c")
FLAGS = {"AVX2": ["-mavx2"]}
KINDS = {np.dtype(np.float64): "double[]", np.dtype(np.int64): "int64_t[]", np.dtype(np.int32): "int32_t[]"}
UPDATED = ("wakes", "since", "x", "x_sum", "theta", "g_last")
Touch = Callable[[Ints, int], float]


def compiler() -> str | None:
    """The first C compiler that is here."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)


def load(n: int, simd: str, folder: Path) -> tuple[Any, Any]:
    """The loop for n coordinates, compiled into a folder with an instruction set, and its FFI."""
    ffi, source, library = cffi.FFI(), SOURCE.read_text(), folder / f"floor{n}.so"
    declaration = source[source.index("typedef") : source.index("} memory;")] + "} memory;"
    ffi.cdef(declaration + "double touch(const memory *m, int64_t activations, const int32_t *agents, int64_t ahead);")
    subprocess.run([str(compiler()), "-std=c11", "-O3", *FLAGS.get(simd, []), f"-DDIM={n}", "-shared", "-fPIC", "-o",
                    str(library), str(SOURCE)], check=True)
    return ffi, ffi.dlopen(str(library))


def touching(ffi: Any, library: Any, run: Run, problem: fa.Problem, network: fa.Network, numbers: int) -> Touch:
    """touch(agents, ahead): go over the memory of a run, with its state copied and so many numbers per agent, ones."""
    N, state, packed = problem.n_agents, run.state, pack_network(network)
    arrays = {name: getattr(state, name).copy() for name in UPDATED}
    arrays |= {name: getattr(packed, name) for name in ("owned_ptr", "owned_row", "neighbour")}
    arrays |= {name: np.array(getattr(run.steps, name)) for name in ("tau", "sigma")}  # type: ignore[attr-defined]
    arrays |= {"lambda": state.lambda_.copy(), "terms": np.ones(N * numbers)}
    buffers = {name: ffi.from_buffer(KINDS[array.dtype], array) for name, array in arrays.items()}
    memory = ffi.new("memory *", {"width": numbers, "rows": problem.n_rows // N, **buffers})

    def touch(agents: Ints, ahead: int) -> float:
        assert buffers  # which keep the arrays
        return library.touch(memory, len(agents), ffi.from_buffer("int32_t[]", agents), ahead)

    return touch
