"""The one layout that the compiled engines share: flat arrays, named as in csrc/fastadapd.h.

Every tuple below is the C struct of the same fields; the header documents lengths and meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastadapd import constraints, objectives, regularizers
from fastadapd._terms import Floats, Term, dot, is_diagonal, transpose_multiply
from fastadapd.network import Network
from fastadapd.pieces import Pieces
from fastadapd.problem import Group, Problem

Longs = NDArray[np.int64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int32]

# Codes of csrc/fastadapd.h; the C engine compares them with the header's when it is loaded.
OBJECTIVES: dict[type[Term], tuple[str, int]] = {
    objectives.Linear: ("FA_LINEAR", 0),
    objectives.Quadratic: ("FA_QUADRATIC", 1),
    objectives.LeastSquares: ("FA_LEAST_SQUARES", 2),
}
CONSTRAINTS: dict[type[Term], tuple[str, int]] = {
    constraints.Ellipsoid: ("FA_ELLIPSOID", 0),
    constraints.QuadraticInequality: ("FA_QUADRATIC_INEQUALITY", 1),
    constraints.AffineInequality: ("FA_AFFINE_INEQUALITY", 2),
    constraints.AffineEquality: ("FA_AFFINE_EQUALITY", 3),
    constraints.SoftEquality: ("FA_SOFT_EQUALITY", 4),
}
REGULARIZERS: dict[type[Term], tuple[str, int]] = {
    regularizers.Zero: ("FA_ZERO", 0),
    regularizers.L1: ("FA_L1", 1),
    regularizers.Box: ("FA_BOX", 2),
    regularizers.NonNegative: ("FA_NONNEGATIVE", 3),
    regularizers.L2Ball: ("FA_L2_BALL", 4),
}
_CODES = {kind: code for table in (OBJECTIVES, CONSTRAINTS, REGULARIZERS) for kind, (_, code) in table.items()}
PANEL = 4  # rows of a panel of a symmetric matrix
DIAGONAL, GRAM = 16, 32  # what a diagonal matrix, and least squares with A'A, add to the code of a term
OK, NOT_FINITE, BAD_AGENT = 0, -1, -2
_BLOCK = 1 << 16  # numbers placed at a time
_LINE = 8  # numbers of a cache line
_Numbers = tuple[Floats, int]  # with the number of axes for one agent
_HEAVY = 1e4  # times the median square of a row of least squares
MOMENTUM = {"global": 0, "local": 1}
MEASURES = ("value", "violation", "distance", "complementarity", "stationarity", "apart", "length", "units_apart",
            "units_length", "typical_gradient", "mean_reaction")  # totals of a measure


class ProblemArrays(NamedTuple):
    """``fa_problem``."""

    n_agents: int
    dim: int
    alike: int
    own_begin: int
    own_size: int
    values_begin: int
    values_size: int
    own_rows: int
    objective_ptr: Longs
    objective_kind: Ints
    objective_rows: Ints
    objective_data: Longs
    objective_values: Longs
    constraint_ptr: Longs
    constraint_kind: Ints
    constraint_rows: Ints
    constraint_data: Longs
    constraint_first: Longs
    regularizer_kind: Ints
    regularizer_data: Longs
    data: Floats


class NetworkArrays(NamedTuple):
    """``fa_network``."""

    n_rows: int
    is_edge_form: int
    same_values: int
    owned_ptr: Longs
    owned_row: Ints
    neighbour: Ints
    row_ptr: Longs
    row_agent: Ints
    row_value: Floats
    column_ptr: Longs
    column_row: Ints
    column_value: Floats


class ADAPDSteps(NamedTuple):
    """``fa_adapd_steps``."""

    momentum: int
    adaptive: int
    same_gamma: int
    local_steps: int
    local_reach: float
    relaxation: float
    tau: Floats
    sigma: Floats
    gamma: Floats


class ADAPDState(NamedTuple):
    """``fa_adapd_state``, with x of shape (N, n) and so on; updated in place by every engine."""

    counters: Longs
    wakes: Longs
    since: Longs
    x: Floats
    x_sum: Floats
    dx: Floats
    theta: Floats
    g_last: Floats
    lambda_: Floats
    s_last: Floats


class Share(NamedTuple):
    """``fa_share``."""

    n_workers: int
    worker: int
    pace: float
    lead: float
    progress: Floats
    ptr: Longs
    row: Ints
    neighbour: Ints


class DPDASteps(NamedTuple):
    """``fa_dpda_steps``; `scale` is an array of one number because it is updated."""

    scale: Floats
    mu: float
    gamma: float
    tau: Floats
    kappa: Floats
    bound: Floats


class DPDAState(NamedTuple):
    """``fa_dpda_state``; updated in place by every engine."""

    counters: Longs
    x: Floats
    x_old: Floats
    x_sum: Floats
    theta: Floats
    g_old: Floats
    s: Floats


class Scales(NamedTuple):
    """``fa_scales``."""

    length: float
    gradient: float
    lipschitz: Floats
    units: Floats
    mean: float
    sizes: Floats


def plain_scales(problem: Problem) -> Scales:
    """Scales for where only g, the costs' gradients and the agents' distances matter."""
    nothing = np.zeros(problem.n_agents)
    return Scales(1.0, 1.0, nothing, np.ones(problem.dim), 0.0, nothing)


class Measured(NamedTuple):
    """What `Engine.measure` returns: outputs of ``fa_measure``, in its order."""

    g: Floats
    gradients: Floats
    distances: Floats
    sizes: Floats
    mean: Floats
    totals: Floats


class Memory(NamedTuple):
    """``fa_memory``, with residuals of shape (c, m) and so on."""

    size: int
    looked_at: int
    capacity: int
    regularization: float
    scale: Floats
    units: Floats
    residuals: Singles
    images: Singles
    tails: Floats
    gram: Floats
    toward: Floats
    factor: Floats
    gamma: Floats


def aligned(size: int, make: Callable[[int], Floats] = np.zeros) -> Floats:
    """So many numbers, the first at the beginning of a cache line: fewer loads of four cross from one to the next."""
    array = make(size + _LINE)
    skipped = -(array.__array_interface__["data"][0] // array.itemsize) % _LINE
    return array[skipped : skipped + size]


def room(problem: Problem) -> Measured:
    """Where a compiled engine puts what it measures: parts of one array."""
    N = problem.n_agents
    ends = [0, *np.cumsum([problem.n_rows, N, N, N, problem.dim, len(MEASURES)]).tolist()]
    array = np.empty(ends[-1])
    return Measured(*[array[slice(*part)] for part in pairwise(ends)])


class _Blocks:
    """Blocks of the first agents, or of all, in order."""

    def __init__(self, n_agents: int, groups: tuple[Group, ...]):
        self._n_agents = n_agents
        count = np.zeros(n_agents, dtype=np.int64)
        for group in groups:
            count[group.agents[:n_agents]] += 1
        self.ptr = _starts(count)
        total = int(self.ptr[-1])
        self.kind = np.zeros(total, dtype=np.int32)
        self.rows = np.ones(total, dtype=np.int32)
        self.data, self.values = np.zeros((2, total), dtype=np.int64)
        self._next = self.ptr[:-1].copy()

    def add(self, group: Group, kind: int, rows: int, data: Longs, values: Longs) -> None:
        agents = group.agents[: self._n_agents]
        at = self._next[agents]
        self.kind[at], self.rows[at] = kind, rows
        self.data[at], self.values[at] = data[: len(agents)], values[: len(agents)]
        self._next[agents] += 1


class _Stretches:
    """A part of data with one stretch per agent; where agents are alike, only that of the first is looked at."""

    def __init__(self, begin: int, sizes: Longs, agents: int):
        self.begin, self.size, self._agents = begin, int(sizes[0]), agents
        if len(sizes) == 1 or not sizes.any():  # where nobody has any, none is looked up
            self._next, self.end = np.array([begin]), begin + agents * self.size
        else:
            starts = _starts(sizes)
            starts += begin
            self._next, self.end = starts[:-1], int(starts[-1])

    def take(self, agents: Longs, size: int) -> Longs:
        """Where the next so many numbers of these agents begin."""
        starts = self._next[agents]
        self._next[agents] += size
        return starts

    def put(self, data: Floats, starts: Longs, at: slice, arrays: list[_Numbers]) -> None:
        """Write the numbers of these agents, of all that have some."""
        to = starts if self._agents > 1 else starts[at].copy()
        for numbers in arrays:
            width = _width(numbers)
            rows = numbers[0].reshape(-1, width)
            if self._agents > 1:
                first = int(to[0]) - self.begin
                data[self.begin : self.end].reshape(-1, self.size)[at, first : first + width] = rows
            else:
                data[to[:, None] + np.arange(width)] = rows
            to = to + width


def pack_problem(problem: Problem) -> ProblemArrays:
    """Lay out all terms agent after agent; what is shared by all agents, and the lists of alike ones, are stored once.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    ProblemArrays
    """
    N, n = problem.n_agents, problem.dim
    groups = (*problem.objectives, *problem.regularizers, *problem.constraints)
    alike = all(len(group.agents) == N for group in groups)
    listed = 1 if alike else N
    codes = {id(group): _code(group.term) for group in groups}
    # some agents at a time: first what loops read, then what only `measure` does
    parts = {id(group): _parts(group, n, codes[id(group)]) for group in groups}
    heads = {key: next(some) for key, some in parts.items()}
    sizes = {key: [sum(map(_width, arrays)) for arrays in head[1]] for key, head in heads.items()}

    # data: first what is shared, then one stretch per agent of what loops read, then one of what only `measure` does
    def is_shared(group: Group) -> bool:
        return group.term.n_agents is None and len(group.agents) > 1

    totals = np.zeros((2, listed), dtype=np.int64)
    for group in groups:
        for total, numbers in zip(totals, sizes[id(group)], strict=True):
            if numbers and not is_shared(group):
                total[group.agents[:listed]] += numbers
    copies = N if alike else 1
    common = _Stretches(0, np.array([sum(sum(sizes[id(group)]) for group in groups if is_shared(group))]), 1)
    own = _Stretches(common.end, totals[0], copies)
    values = _Stretches(own.end, totals[1], copies)
    data, nobody = aligned(values.end, np.empty), np.zeros(1, dtype=np.int64)

    def place(group: Group) -> list[Longs]:
        """Write the numbers; where what loops read begins, and where what only `measure` does."""
        size, key = sizes[id(group)], id(group)
        into = (common, common) if is_shared(group) else (own, values)
        agents = nobody if is_shared(group) else group.agents[:listed]
        places = [stretches.take(agents, numbers) if numbers else nobody
                  for stretches, numbers in zip(into, size, strict=True)]
        for at, arrays in chain([heads[key]], parts[key]):
            for stretches, starts, some in zip(into, places, arrays, strict=True):
                if some:
                    stretches.put(data, starts, at, some)
        return places

    costs, limits = _Blocks(listed, problem.objectives), _Blocks(listed, problem.constraints)
    for group in problem.objectives:
        rows = group.term.A.shape[-2] if isinstance(group.term, objectives.LeastSquares) else 1
        costs.add(group, codes[id(group)], rows, *place(group))
    simple = _Blocks(listed, problem.regularizers)  # one each
    for group in problem.regularizers:
        simple.add(group, codes[id(group)], 1, *place(group))
    for group in problem.constraints:
        limits.add(group, codes[id(group)], group.term.rows, *place(group))
    first_row = _starts(limits.rows)[:-1]
    return ProblemArrays(
        n_agents=N,
        dim=n,
        alike=int(alike),
        own_begin=own.begin,
        own_size=own.size if alike else 0,
        values_begin=values.begin,
        values_size=values.size if alike else 0,
        own_rows=problem.n_rows // N if alike else 0,
        objective_ptr=costs.ptr,
        objective_kind=costs.kind,
        objective_rows=costs.rows,
        objective_data=costs.data,
        objective_values=costs.values,
        constraint_ptr=limits.ptr,
        constraint_kind=limits.kind,
        constraint_rows=limits.rows,
        constraint_data=limits.data,
        constraint_first=first_row,
        regularizer_kind=simple.kind,
        regularizer_data=simple.data,
        data=data,
    )


def pack_network(network: Network) -> NetworkArrays:
    """The consensus matrix by rows and by columns.

    Parameters
    ----------
    network : Network

    Returns
    -------
    NetworkArrays
    """
    if network.form == "node":
        return _pack_matrix(network.consensus_matrix, network.consensus_transpose, *network.owned_rows)
    same = network.consensus == "edge"
    owned_ptr, owned_row = network.owned_rows
    return NetworkArrays(
        n_rows=network.n_rows,
        is_edge_form=1,
        same_values=int(same),
        owned_ptr=owned_ptr,
        owned_row=owned_row,
        neighbour=np.asarray(network.owned_rows_end_at, dtype=np.int32),
        row_ptr=np.empty(0, dtype=np.int64),
        row_agent=np.asarray(network.edges.reshape(-1) if same else network.consensus_matrix.indices, dtype=np.int32),
        row_value=np.array([1.0, -1.0]) if same else network.consensus_matrix.data,
        column_ptr=owned_ptr,
        column_row=owned_row,
        column_value=np.empty(0) if same else network.consensus_transpose.data,
    )


def pack_borders(network: Network, pieces: Pieces) -> tuple[Longs, Ints, Ints]:
    """``ptr``, ``row`` and ``neighbour`` of `Share`: which rows of an edge form have their other end in another piece.

    Of those, the ends take turns at being the one that updates them.
    """
    if network.form != "edge":
        none = np.zeros(0, dtype=np.int32)
        return np.zeros(3 * network.n_agents + 1, dtype=np.int64), none, none
    worker = np.empty(network.n_agents, dtype=np.int64)
    for w, piece in enumerate(pieces):
        worker[piece] = w
    ptr, row = network.owned_rows
    agent = np.repeat(np.arange(network.n_agents), np.diff(ptr))
    ends = network.consensus_matrix.indices.reshape(-1, 2)
    border = worker[ends[:, 0]] != worker[ends[:, 1]]
    writer = ends[np.arange(len(ends)), np.cumsum(border) % 2]
    key = 3 * agent + border[row] * (1 + (writer[row] != agent))
    order = np.argsort(key, kind="stable")
    counts = np.bincount(key, minlength=3 * network.n_agents)
    return _starts(counts), row[order], np.asarray(network.owned_rows_end_at[order], dtype=np.int32)


def pack_laplacian(network: Network) -> NetworkArrays:
    """The graph Laplacian, for methods that add up differences with neighbours."""
    N = network.n_agents
    L = network.laplacian  # symmetric
    return _pack_matrix(L, L, np.arange(N + 1), np.arange(N))


def _pack_matrix(B: Any, transpose: Any, owned_ptr: Any, owned_row: Any) -> NetworkArrays:
    return NetworkArrays(
        n_rows=B.shape[0],
        is_edge_form=0,
        same_values=0,
        owned_ptr=np.asarray(owned_ptr, dtype=np.int64),
        owned_row=np.asarray(owned_row, dtype=np.int32),
        neighbour=np.empty(0, dtype=np.int32),
        row_ptr=np.asarray(B.indptr, dtype=np.int64),
        row_agent=np.asarray(B.indices, dtype=np.int32),
        row_value=B.data,
        column_ptr=np.asarray(transpose.indptr, dtype=np.int64),
        column_row=np.asarray(transpose.indices, dtype=np.int32),
        column_value=transpose.data,
    )


def _code(term: Term) -> int:
    """What the loops know the term by."""
    P, code = getattr(term, "P", None), _CODES[type(term)]
    if P is not None:
        return code + DIAGONAL if is_diagonal(P) else code
    if isinstance(term, objectives.LeastSquares):
        m, n = term.A.shape[-2:]
        if m == n and is_diagonal(term.A):
            return code + DIAGONAL
        if n + sum(min(PANEL, j) * j for j in range(n, 0, -PANEL)) < 2 / 3 * m * (n + 1) and _weigh_alike(term.A):
            return code + GRAM  # A'b and half of A'A are clearly shorter than A and b
    return code


def _weigh_alike(A: Floats) -> bool:
    """Whether no row is much heavier than most: the rounding of its A'A, unlike its own, would move all coordinates."""
    weights = dot(A, A)
    weights = weights[weights > 0]
    return not weights.size or bool(weights.max() <= _HEAVY * np.median(weights))


def _arrays(term: Term, dim: int, code: int) -> tuple[list[_Numbers], list[_Numbers]]:
    """What loops read of a term of this code, and what only `measure` does, as views where they can be."""
    given = term.packed_for(dim) if isinstance(term, regularizers.Regularizer) else term.packed()
    parts = list(zip(given, term._axes.values(), strict=True))
    if isinstance(term, objectives.LeastSquares) and code & GRAM:
        with np.errstate(over="ignore", invalid="ignore"):  # of A'b, which an activation would find out
            q = -transpose_multiply(term.A, term.b)
        return [(q, 1), *_panels(np.matmul(np.swapaxes(term.A, -1, -2), term.A))], parts
    if "P" in term._axes or code & DIAGONAL:  # the last is a square matrix
        matrix, _ = parts.pop()
        parts += [(np.diagonal(matrix, axis1=-2, axis2=-1), 1)] if code & DIAGONAL else _panels(matrix)
    return parts, []


def _parts(group: Group, dim: int, code: int) -> Iterator[tuple[slice, tuple[list[_Numbers], list[_Numbers]]]]:
    """The arrays of a group's agents, a few at a time."""
    numbers = sum(math.prod(getattr(group.term, name).shape[-axes:]) for name, axes in group.term._axes.items() if axes)
    for at, term in group.term.parts(max(1, _BLOCK // max(1, numbers))):
        yield at, _arrays(term, dim, code)


def _panels(P: Floats) -> list[_Numbers]:
    """A symmetric matrix by halves."""
    return [(P[..., j : j + PANEL, j:], 2) for j in range(0, P.shape[-1], PANEL)]


def _width(numbers: _Numbers) -> int:
    """How many for one agent."""
    array, axes = numbers
    return math.prod(array.shape[array.ndim - axes :])


def _starts(counts: NDArray[Any]) -> Longs:
    """Where each of several stretches of these lengths begins, and where the last one ends."""
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.add.accumulate(counts, dtype=np.int64, out=starts[1:])
    return starts
