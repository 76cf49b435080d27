"""The kernel beside the floor, what memory alone asks for (floor.c), by turns: ``pytest bench/bench_floor.py``.

The floor of the dense data: each agent's n x n or m x n matrix is read once, whole. The cost |x - b|^2 / 2 of an
ellipsoid agent counts with its vector alone; the kernel takes one local step, which reads everything once. The floor
is compiled here, with the instruction set of the kernels, and is the faster of two: memory asked ahead, or not. Each
loop goes once before it is timed, so that the cache holds what it can of its own memory, not of the others'. A case
that does not fit into memory is skipped (N = 100,000, n = 100: 8 GB for the dense matrices alone). Times are those of
the processor, for machines that are shared.
"""

from __future__ import annotations

import functools
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from bench_engines import ROWS, case, ellipsoids, least_squares

from fastadapd import engines
from fastadapd.engines.packing import OK, pack_network
from fastadapd.methods import ADAPD
from fastadapd.methods._base import Start

SOURCE = Path(__file__).with_name("floor.c")
FLAGS = {"AVX2": ["-mavx2"]}
NUMBERS = {"ellipsoids": lambda n: n + 2 + n + n * n, "least_squares": lambda n: ROWS + ROWS * n}  # read per agent


@pytest.fixture(scope="session")
def floor(tmp_path_factory):
    """floor(n): the loop of floor.c for n coordinates, with its FFI."""
    reason = engines.availability()["c"]
    compiler = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)
    if reason or not compiler:
        pytest.skip(reason or "no C compiler for the floor")
    import cffi

    from fastadapd.engines import native

    folder, flags = tmp_path_factory.mktemp("floor"), FLAGS.get(native.simd(), [])
    ffi, source = cffi.FFI(), SOURCE.read_text()
    declaration = source[source.index("typedef") : source.index("} memory;")] + "} memory;"
    ffi.cdef(declaration + "double touch(const memory *m, int64_t activations, const int32_t *agents, int64_t ahead);")

    @functools.cache
    def load(n: int):
        library = folder / f"floor{n}.so"
        subprocess.run([compiler, "-std=c11", "-O3", *flags, f"-DDIM={n}", "-shared", "-fPIC", "-o", library, SOURCE],
                       check=True)
        return ffi, ffi.dlopen(str(library))

    return load


def memory(ffi, run, problem, graph, numbers: int):
    """The struct of floor.c and its arrays: the state copied, the terms made up."""
    N, state, network = problem.n_agents, run.state, pack_network(graph)
    updated = ("wakes", "since", "x", "x_sum", "theta", "g_last")
    arrays = {name: getattr(state, name).copy() for name in updated}
    arrays |= {name: getattr(network, name) for name in ("owned_ptr", "owned_row", "neighbour")}
    arrays |= {name: np.array(getattr(run.steps, name)) for name in ("tau", "sigma")}
    arrays |= {"lambda": state.lambda_.copy(), "terms": np.ones(N * numbers)}
    kinds = {np.dtype(np.float64): "double[]", np.dtype(np.int64): "int64_t[]", np.dtype(np.int32): "int32_t[]"}
    buffers = {name: ffi.from_buffer(kinds[array.dtype], array) for name, array in arrays.items()}
    return ffi.new("memory *", {"width": numbers, "rows": problem.n_rows // N, **buffers}), buffers


@pytest.mark.parametrize("n", [5, 20, 100], ids="n{}".format)
@pytest.mark.parametrize("N", [30, 1_000, 10_000, 100_000], ids="N{}".format)
@pytest.mark.parametrize("agent", [ellipsoids, least_squares], ids=lambda agent: agent.__name__)
@pytest.mark.benchmark(group="floor", timer=time.thread_time)
def bench_floor(benchmark, keep, floor, agent, N, n):
    numbers = NUMBERS[agent.__name__](n)
    needed = 8 * N * (1.5 * numbers + 40 * n)
    if needed > os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        pytest.skip(f"needs {needed / 1e9:.0f} GB of memory")
    ffi, library = floor(n)
    problem, graph = case(agent, N, n)
    engine, method = engines.load("c")(problem, graph), ADAPD(local_steps=1)
    run = method.start(problem, graph, engine, method.clock(), Start(np.zeros((N, n)), None, None))
    touched, _kept = memory(ffi, run, problem, graph, numbers)
    count = max(N, 200_000 // n)
    agents = np.random.default_rng(1).integers(N, size=count, dtype=np.int32)
    sequence = ffi.from_buffer("int32_t[]", agents)
    times: dict[int, list[float]] = {0: [], 2: []}

    def turn():
        for ahead, seconds in times.items():
            library.touch(touched, count, sequence, ahead)
            start = time.thread_time()
            total = library.touch(touched, count, sequence, ahead)
            seconds.append(time.thread_time() - start)
            assert total >= count * numbers  # terms are ones: it read them all
        engine.adapd(run.steps, run.state, agents)

    before = run.activations
    status = benchmark.pedantic(engine.adapd, (run.steps, run.state, agents), setup=turn, rounds=15, warmup_rounds=1)
    assert status == OK and run.activations == before + 32 * count
    least = min(statistics.median(seconds[1:]) for seconds in times.values())
    seconds = keep("floor", agent.__name__, N, n, "c", count=count)
    keep("floor", agent.__name__, N, n, "floor", seconds=least / count)
    benchmark.extra_info["ratio"] = seconds and seconds * count / least
