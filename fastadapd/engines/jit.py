"""The Numba engine: the loops of csrc/ once more, for where no compiler was there at install time.

The kernels `adapd`, `dpda` and `measure` are public: other ``@njit`` code can call them with the tuples of arrays of
`fastadapd.engines.packing`, whose lengths and meaning are in csrc/fastadapd.h and are not checked. Letters as in the
paper: f, g, J, rho, theta, lambda, tau, sigma.

All is in one file (fours, vectors, terms, kernels, engine), because Numba's cache notices changes in the file of a
kernel only: with helpers elsewhere it would go on running what it compiled before.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_jitable, register_model
from numba.np import arrayobj

from fastadapd import constraints, objectives, regularizers
from fastadapd._terms import Floats
from fastadapd.engines import packing
from fastadapd.engines.packing import (
    ADAPDState,
    ADAPDSteps,
    DPDAState,
    DPDASteps,
    Ints,
    Longs,
    Measured,
    Memory,
    NetworkArrays,
    ProblemArrays,
    Scales,
    Singles,
)
from fastadapd.network import Network
from fastadapd.problem import Problem

_Tuple = TypeVar("_Tuple", bound=NamedTuple)

# Numba compiles these in as constants.
LINEAR = packing.OBJECTIVES[objectives.Linear][1]
QUADRATIC = packing.OBJECTIVES[objectives.Quadratic][1]
LEAST_SQUARES = packing.OBJECTIVES[objectives.LeastSquares][1]
ELLIPSOID = packing.CONSTRAINTS[constraints.Ellipsoid][1]
QUADRATIC_INEQUALITY = packing.CONSTRAINTS[constraints.QuadraticInequality][1]
AFFINE_INEQUALITY = packing.CONSTRAINTS[constraints.AffineInequality][1]
AFFINE_EQUALITY = packing.CONSTRAINTS[constraints.AffineEquality][1]
SOFT_EQUALITY = packing.CONSTRAINTS[constraints.SoftEquality][1]
L1 = packing.REGULARIZERS[regularizers.L1][1]
BOX = packing.REGULARIZERS[regularizers.Box][1]
NONNEGATIVE = packing.REGULARIZERS[regularizers.NonNegative][1]
L2_BALL = packing.REGULARIZERS[regularizers.L2Ball][1]
PANEL, DIAGONAL, GRAM = packing.PANEL, packing.DIAGONAL, packing.GRAM
UNROLLED = 20  # coordinates, at most, for which loops of their own are compiled, in about a second
AHEAD = 1024  # numbers; how far ahead memory is asked where a problem does not fit into the cache (`far`)
FEW = 256  # points whose sum is added to the others'
WIDTH = 2048  # columns of many rows at a time, so that what they all meet stays in the first cache
LOCAL = packing.MOMENTUM["local"]
OK, NOT_FINITE, BAD_AGENT = packing.OK, packing.NOT_FINITE, packing.BAD_AGENT
(VALUE, VIOLATION, DISTANCE, COMPLEMENTARITY, STATIONARITY,
 APART, LENGTH, UNITS_APART, UNITS_LENGTH, TYPICAL_GRADIENT, MEAN_REACTION) = range(len(packing.MEASURES))

# Without Numba's runtime nothing can be allocated, so no slice is reference counted; inlined, the tuples are not copied
# from call to call. An activation with n = 5 took 1.8 us without the two, 0.57 us with the first, 0.12 us with both.
_options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_kernel = njit(cache=True, **_options)
_inlined = njit(forceinline=True, **_options)
_kept = njit(cache=True, forceinline=True, **_options)  # on disk, for more than one kernel


def _typed_unaliased(typing: Any) -> Any:
    """In a function: its arrays are apart from each other, as with restrict in C."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for argument in builder.function.args[2:]:  # the first two are for the result and for exceptions
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate


_unaliased: Any = intrinsic(_typed_unaliased)


def _typed_part(typing: Any, array: Any, start: Any, size: Any) -> Any:
    """array[start : start + size], one-dimensional, without a look at whether that is inside.

    With n = 5 an activation takes a fifth less time than with slices.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        make = context.make_array(array)
        whole, part = make(context, builder, arguments[0]), make(context, builder)
        for name in ("meminfo", "parent", "itemsize", "strides"):
            setattr(part, name, getattr(whole, name))
        part.data = builder.gep(whole.data, [arguments[1]])
        part.nitems, part.shape = arguments[2], cgutils.pack_array(builder, [arguments[2]])
        return part._getvalue()

    return array(array, types.intp, types.intp), generate


_part: Any = intrinsic(_typed_part)


def _typed_local(typing: Any, size: Any) -> Any:
    """An array of so many numbers, a literal, that lives as long as the function: it may stay in registers."""
    if not isinstance(size, types.IntegerLiteral):
        return None
    array = types.Array(types.float64, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(array)(context, builder)
        numbers = cgutils.alloca_once(builder, ir.ArrayType(ir.DoubleType(), size.literal_value))
        count, width = (context.get_constant(types.intp, k) for k in (size.literal_value, 8))
        arrayobj.populate_array(whole, builder.bitcast(numbers, ir.DoubleType().as_pointer()), [count], [width], width,
                                None)
        return whole._getvalue()

    return array(size), generate


_local: Any = intrinsic(prefer_literal=True)(_typed_local)


# ---- Four numbers side by side ----
# Loops go by fours, as in C, with a known end of at most three: left to itself LLVM takes sixteen at a time, and what
# is left, or everything where vectors are short, one by one.

_LANES = ir.VectorType(ir.DoubleType(), 4)


class _Four(types.Type):
    """Four numbers in one register."""

    def __init__(self) -> None:
        super().__init__(name="Four")


@register_model(_Four)
class _FourModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any):
        super().__init__(manager, kind, _LANES)


FOUR = _Four()


def _address(context: Any, builder: Any, array: Any, argument: Any, at: Any, lanes: Any = _LANES) -> Any:
    view = context.make_array(array)(context, builder, argument)
    return builder.bitcast(builder.gep(view.data, [at]), lanes.as_pointer())


def _shuffle(builder: Any, a: Any, b: Any, *lanes: int) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), 4), lanes))


def _are_fours(*arguments: Any) -> bool:
    """Whether all are; without a type for what it would return Numba refuses the call."""
    return all(argument == FOUR for argument in arguments)


def _is_vector(array: Any, dtype: Any = types.float64) -> bool:
    return isinstance(array, types.Array) and (array.dtype, array.ndim, array.layout) == (dtype, 1, "C")


def _typed_load(typing: Any, array: Any, at: Any) -> Any:
    """array[at : at + 4]"""
    if not _is_vector(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, array, *arguments), align=8)

    return FOUR(array, types.intp), generate


def _typed_load_single(typing: Any, array: Any, at: Any) -> Any:
    """array[at : at + 4] of an array in single precision."""
    if not _is_vector(array, types.float32):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = ir.VectorType(ir.FloatType(), 4)
        address = _address(context, builder, array, arguments[0], arguments[1], lanes)
        return builder.fpext(builder.load(address, align=4), _LANES)

    return FOUR(array, types.intp), generate


def _typed_store(typing: Any, array: Any, at: Any, four: Any) -> Any:
    """array[at : at + 4] = four"""
    if not (_is_vector(array) and _are_fours(four)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, array, *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, four), generate


def _typed_spread(typing: Any, number: Any) -> Any:
    """The same number four times."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = builder.insert_element(ir.Constant(_LANES, ir.Undefined), arguments[0], cgutils.int32_t(0))
        return _shuffle(builder, one, one, 0, 0, 0, 0)

    return FOUR(types.float64), generate


def _typed_madd(typing: Any, s: Any, a: Any, b: Any) -> Any:
    """s + a b"""
    if not _are_fours(s, a, b):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(arguments[0], builder.fmul(arguments[1], arguments[2]))

    return FOUR(s, a, b), generate


def _typed_add(typing: Any, a: Any, b: Any) -> Any:
    """a + b"""
    if not _are_fours(a, b):
        return None
    return FOUR(a, b), lambda context, builder, signature, arguments: builder.fadd(*arguments)


def _typed_mul(typing: Any, a: Any, b: Any) -> Any:
    """a b"""
    if not _are_fours(a, b):
        return None
    return FOUR(a, b), lambda context, builder, signature, arguments: builder.fmul(*arguments)


def _typed_sums(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """The sums of a, of b, of c and of d."""
    if not _are_fours(a, b, c, d):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, c, d = arguments
        ab = builder.fadd(_shuffle(builder, a, b, 0, 4, 2, 6), _shuffle(builder, a, b, 1, 5, 3, 7))
        cd = builder.fadd(_shuffle(builder, c, d, 0, 4, 2, 6), _shuffle(builder, c, d, 1, 5, 3, 7))
        return builder.fadd(_shuffle(builder, ab, cd, 0, 1, 4, 5), _shuffle(builder, ab, cd, 2, 3, 6, 7))

    return FOUR(a, b, c, d), generate


def _typed_lane(typing: Any, four: Any, k: Any) -> Any:
    """Number k."""
    if not _are_fours(four):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(arguments[0], builder.trunc(arguments[1], ir.IntType(32)))

    return types.float64(four, types.intp), generate


_load: Any = intrinsic(_typed_load)
_load_single: Any = intrinsic(_typed_load_single)
_store: Any = intrinsic(_typed_store)
_spread: Any = intrinsic(_typed_spread)
_madd: Any = intrinsic(_typed_madd)
_add: Any = intrinsic(_typed_add)
_mul: Any = intrinsic(_typed_mul)
_sums: Any = intrinsic(_typed_sums)
_lane: Any = intrinsic(_typed_lane)


# ---- Vectors ----


@_inlined
def _whole(n: int) -> int:
    """n rounded down to fours."""
    return n & ~3


@_inlined
def _sum(four: Any) -> float:
    return (_lane(four, 0) + _lane(four, 1)) + (_lane(four, 2) + _lane(four, 3))


@_inlined
def _dot(a: Floats, b: Floats) -> float:
    """As long as a; b may be longer."""
    n, four = a.size, _spread(0.0)
    for j in range(0, _whole(n), 4):
        four = _madd(four, _load(a, j), _load(b, j))
    total = _sum(four)
    for k in range(n & 3):
        total += a[_whole(n) + k] * b[_whole(n) + k]
    return total


@_inlined
def _larger(a: float, b: float) -> float:
    """The maximum, or NaN if there is one."""
    return a if a > b or a != a else b


@_inlined
def _norm(x: Floats) -> float:
    """|x|, also where the squares of its entries would overflow or underflow."""
    total, most, scaled = _dot(x, x), 0.0, 0.0
    if 1e-280 < total < 1e280:
        return np.sqrt(total)
    for a in x:
        most = _larger(abs(a), most)
    if not 0.0 < most < np.inf:
        return most
    for a in x:
        scaled += (a / most) * (a / most)
    return most * np.sqrt(scaled)


@_inlined
def _zero(y: Floats) -> None:
    n, four = y.size, _spread(0.0)
    for j in range(0, _whole(n), 4):
        _store(y, j, four)
    for k in range(n & 3):
        y[_whole(n) + k] = 0.0


@_inlined
def _axpy(a: float, x: Floats, y: Floats) -> None:
    """y <- y + a x, as long as y; x may be longer."""
    _unaliased()
    n, four = y.size, _spread(a)
    for j in range(0, _whole(n), 4):
        _store(y, j, _madd(_load(y, j), four, _load(x, j)))
    for k in range(n & 3):
        y[_whole(n) + k] += a * x[_whole(n) + k]


@_inlined
def _add_products(P: Floats, x: Floats, y: Floats) -> None:
    """y <- y + P x for a diagonal P, as long as y."""
    _unaliased()
    n = y.size
    for j in range(0, _whole(n), 4):
        _store(y, j, _madd(_load(y, j), _load(P, j), _load(x, j)))
    for k in range(n & 3):
        j = _whole(n) + k
        y[j] += P[j] * x[j]


@_inlined
def _copy(x: Floats, y: Floats) -> None:
    """y <- x, as long as y."""
    _unaliased()
    n = y.size
    for j in range(0, _whole(n), 4):
        _store(y, j, _load(x, j))
    for k in range(n & 3):
        y[_whole(n) + k] = x[_whole(n) + k]


@_inlined
def _add_diagonal(q: Floats, P: Floats, x: Floats, y: Floats) -> None:
    """y <- y + q + P x for a diagonal P, as long as y."""
    _unaliased()
    n = y.size
    for j in range(0, _whole(n), 4):
        _store(y, j, _add(_load(y, j), _madd(_load(q, j), _load(P, j), _load(x, j))))
    for k in range(n & 3):
        j = _whole(n) + k
        y[j] += q[j] + P[j] * x[j]


@_inlined
def _add_diagonal_residual(b: Floats, A: Floats, x: Floats, y: Floats) -> float:
    """y <- y + A (A x - b) for a diagonal A, as long as y; returns |Ax - b|^2 / 2."""
    _unaliased()
    n, minus, square4 = y.size, _spread(-1.0), _spread(0.0)
    for j in range(0, _whole(n), 4):
        A4 = _load(A, j)
        e4 = _madd(_mul(A4, _load(x, j)), minus, _load(b, j))
        _store(y, j, _madd(_load(y, j), A4, e4))
        square4 = _madd(square4, e4, e4)
    square = _sum(square4)
    for k in range(n & 3):
        j = _whole(n) + k
        e = A[j] * x[j] - b[j]
        y[j] += A[j] * e
        square += e * e
    return 0.5 * square


@_inlined
def _begin_ellipsoid(x: Floats, c: Floats, y: Floats, J: Floats) -> None:
    """y <- x - c, and J <- 0 for P y to come."""
    _unaliased()
    n, minus, nothing = y.size, _spread(-1.0), _spread(0.0)
    for j in range(0, _whole(n), 4):
        _store(y, j, _madd(_load(x, j), minus, _load(c, j)))
        _store(J, j, nothing)
    for k in range(n & 3):
        y[_whole(n) + k] = x[_whole(n) + k] - c[_whole(n) + k]
        J[_whole(n) + k] = 0.0


@_inlined
def _end_ellipsoid(y: Floats, J: Floats) -> tuple[float, float]:
    """From J = P y: J <- 2 J, the gradient; returns y'P y and |J|^2."""
    _unaliased()
    n = y.size
    value4 = square4 = _spread(0.0)
    for j in range(0, _whole(n), 4):
        J4 = _load(J, j)
        value4, J4 = _madd(value4, _load(y, j), J4), _add(J4, J4)
        _store(J, j, J4)
        square4 = _madd(square4, J4, J4)
    value, square = _sum(value4), _sum(square4)
    for k in range(n & 3):
        j = _whole(n) + k
        value += y[j] * J[j]
        J[j] *= 2.0
        square += J[j] * J[j]
    return value, square


def _typed_prefetch(typing: Any, array: Any, at: Any) -> Any:
    """Ask memory for array[at], a one-dimensional array, without waiting."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(array)(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(view.data, [arguments[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, cgutils.int32_t, cgutils.int32_t, cgutils.int32_t])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, *(cgutils.int32_t(flag) for flag in (0, 3, 1))])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


_prefetch: Any = intrinsic(_typed_prefetch)


@_inlined
def _panel_step(columns: Floats, m: int, x: Floats, y: Floats) -> None:
    """y <- y + P x for one panel: as columns for the y below it and, by symmetry, as rows for its own y; m long."""
    _unaliased()
    x0, x1, x2, x3 = _spread(x[0]), _spread(x[1]), _spread(x[2]), _spread(x[3])
    s0 = s1 = s2 = s3 = _spread(0.0)
    for k in range(PANEL, _whole(m), 4):
        p0, p1 = _load(columns, k), _load(columns, m + k)
        p2, p3, x_k = _load(columns, 2 * m + k), _load(columns, 3 * m + k), _load(x, k)
        across = _add(_madd(_mul(x0, p0), x1, p1), _madd(_mul(x2, p2), x3, p3))
        _store(y, k, _add(_load(y, k), across))
        s0, s1, s2, s3 = _madd(s0, x_k, p0), _madd(s1, x_k, p1), _madd(s2, x_k, p2), _madd(s3, x_k, p3)
    sums = _sums(s0, s1, s2, s3)
    y0, y1, y2, y3 = _lane(sums, 0), _lane(sums, 1), _lane(sums, 2), _lane(sums, 3)
    for j in range(m & 3):
        k = _whole(m) + j
        q0, q1, q2, q3 = columns[k], columns[m + k], columns[2 * m + k], columns[3 * m + k]
        y[k] += (x[0] * q0 + x[1] * q1) + (x[2] * q2 + x[3] * q3)
        y0, y1, y2, y3 = y0 + x[k] * q0, y1 + x[k] * q1, y2 + x[k] * q2, y3 + x[k] * q3
    first = _madd(_mul(x0, _load(columns, 0)), x1, _load(columns, m))
    second = _madd(_mul(x2, _load(columns, 2 * m)), x3, _load(columns, 3 * m))
    _store(y, 0, _add(_load(y, 0), _add(first, second)))
    y[0] += y0
    y[1] += y1
    y[2] += y2
    y[3] += y3


@_inlined
def _half_size(n: int) -> int:
    """Numbers of a symmetric matrix by halves; panels hold the squares on their diagonal whole."""
    rest = n % PANEL
    return (n * (n + 1) + (n - rest) * (PANEL - 1) + rest * (rest - 1)) // 2


@_inlined
def _symmetric_multiply(far: bool, P: Floats, x: Floats, y: Floats) -> None:
    """y <- y + P x for a symmetric P by halves: a panel is read once."""
    n = x.size
    whole, at = n - n % PANEL, 0
    for j in range(0, whole, PANEL):
        m = n - j
        if far:
            for k in range(at + AHEAD, min(at + AHEAD + PANEL * m, _half_size(n)), 4):
                _prefetch(P, k)
        _panel_step(_part(P, at, PANEL * m), m, _part(x, j, m), _part(y, j, m))
        at += PANEL * m
    m = n - whole
    for c in range(m):
        _axpy(x[whole + c], _part(P, at + c * m, m), _part(y, whole, m))


@_inlined
def _multiply(kind: int, far: bool, P: Floats, x: Floats, y: Floats) -> None:
    """y <- y + P x for the P of a quadratic of this kind."""
    if kind & DIAGONAL:
        _add_products(P, x, y)
    else:
        _symmetric_multiply(far, P, x, y)


@_inlined
def _four_rows(A: Floats, b: Floats, x: Floats, v: Floats) -> float:
    """v <- v + A'(Ax - b) for an A of four rows; returns |Ax - b|^2 / 2."""
    _unaliased()
    n = v.size
    s0 = s1 = s2 = s3 = _spread(0.0)
    for j in range(0, _whole(n), 4):
        x_j = _load(x, j)
        s0, s1 = _madd(s0, x_j, _load(A, j)), _madd(s1, x_j, _load(A, n + j))
        s2, s3 = _madd(s2, x_j, _load(A, 2 * n + j)), _madd(s3, x_j, _load(A, 3 * n + j))
    sums = _sums(s0, s1, s2, s3)
    e0, e1, e2, e3 = _lane(sums, 0), _lane(sums, 1), _lane(sums, 2), _lane(sums, 3)
    for k in range(n & 3):
        j = _whole(n) + k
        e0, e1, e2, e3 = e0 + x[j] * A[j], e1 + x[j] * A[n + j], e2 + x[j] * A[2 * n + j], e3 + x[j] * A[3 * n + j]
    e0, e1, e2, e3 = e0 - b[0], e1 - b[1], e2 - b[2], e3 - b[3]
    f0, f1, f2, f3 = _spread(e0), _spread(e1), _spread(e2), _spread(e3)
    for j in range(0, _whole(n), 4):
        first = _madd(_mul(f0, _load(A, j)), f1, _load(A, n + j))
        second = _madd(_mul(f2, _load(A, 2 * n + j)), f3, _load(A, 3 * n + j))
        _store(v, j, _add(_load(v, j), _add(first, second)))
    for k in range(n & 3):
        j = _whole(n) + k
        v[j] += (e0 * A[j] + e1 * A[n + j]) + (e2 * A[2 * n + j] + e3 * A[3 * n + j])
    return 0.5 * ((e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3))


@_inlined
def _least_squares_gradient(m: int, data: Floats, x: Floats, v: Floats) -> float:
    """v <- v + A'(Ax - b), four rows at a time, so that A is read once; returns |Ax - b|^2 / 2."""
    n, value, whole = v.size, 0.0, m - m % 4
    for r in range(0, whole, 4):
        value += _four_rows(_part(data, m + r * n, 4 * n), _part(data, r, 4), x, v)
    for r in range(whole, m):
        row = _part(data, m + r * n, n)
        e = _dot(x, row) - data[r]
        _axpy(e, row, v)
        value += 0.5 * e * e
    return value


@_inlined
def _gather(begin: int, end: int, index: Ints, value: Floats, rows: Floats, out: Floats) -> None:
    """out <- sum_k value_k rows[index_k]: a row of BX, say; rows in one dimension."""
    _zero(out)
    n = out.size
    for k in range(begin, end):
        _axpy(value[k], _part(rows, index[k] * n, n), out)


@_inlined
def _gather_column(network: NetworkArrays, i: int, rows: Floats, out: Floats) -> None:
    """out <- sum_r B_ri rows_r, for agent i."""
    begin, end, n = network.column_ptr[i], network.column_ptr[i + 1], out.size
    if network.same_values == 0:
        _gather(begin, end, network.column_row, network.column_value, rows, out)
        return
    _zero(out)
    for k in range(begin, end):
        value = network.row_value[1 if i > network.neighbour[k] else 0]
        _axpy(value, _part(rows, network.column_row[k] * n, n), out)


@_inlined
def _finite(z: Floats) -> bool:
    """Whether every coordinate is: 0 times infinity and 0 times NaN are NaN."""
    n, zero4, bad4 = z.size, _spread(0.0), _spread(0.0)
    for j in range(0, _whole(n), 4):
        bad4 = _madd(bad4, zero4, _load(z, j))
    bad = _sum(bad4)
    for k in range(n & 3):
        bad += 0.0 * z[_whole(n) + k]
    return bad == 0.0


# ---- What one agent can do with its own terms ----


@_inlined
def _is_affine(kind: int) -> bool:
    return AFFINE_INEQUALITY <= kind <= SOFT_EQUALITY


@_inlined
def _matrix_size(n: int, code: int) -> int:
    """Numbers of the symmetric matrix of a quadratic."""
    return n if code & DIAGONAL else _half_size(n)


@_inlined
def _objective_size(problem: ProblemArrays, b: int) -> int:
    """Numbers of a block that its gradient needs."""
    n, code = problem.dim, problem.objective_kind[b]
    if code == LEAST_SQUARES:
        return problem.objective_rows[b] * (1 + n)
    return n if code == LINEAR else n + _matrix_size(n, code)


@_inlined
def _constraint_size(problem: ProblemArrays, b: int) -> int:
    """Numbers of a block."""
    n, code = problem.dim, problem.constraint_kind[b]
    row = n + (3 if code == SOFT_EQUALITY else 2)
    return 1 + problem.constraint_rows[b] * row if _is_affine(code) else 2 + n + _matrix_size(n, code)


@_inlined
def _regularizer_size(n: int, kind: int) -> int:
    """Numbers of a regularizer."""
    if kind == L1:
        return n
    if kind == BOX:
        return 2 * n
    return 1 + n if kind == L2_BALL else 0


@_inlined
def _like(problem: ProblemArrays, i: int) -> int:
    """The agent whose lists tell of agent i."""
    return 0 if problem.alike != 0 else i


@_inlined
def _place(problem: ProblemArrays, i: int, at: int) -> int:
    """Where agent i has in data what agent _like(i) has there."""
    return at + i * problem.own_size if problem.alike != 0 and at >= problem.own_begin else at


@_inlined
def _values(problem: ProblemArrays, i: int, b: int) -> int:
    """Where b and A of block b of agent i are, of GRAM."""
    at = problem.objective_values[b]
    return at + i * problem.values_size if problem.alike != 0 and at >= problem.values_begin else at


@_inlined
def _first(problem: ProblemArrays, i: int, b: int) -> int:
    """The first row in theta of block b of agent i."""
    return problem.constraint_first[b] + (i * problem.own_rows if problem.alike != 0 else 0)


@_inlined
def _objective_gradient(problem: ProblemArrays, i: int, far: bool, x: Floats, v: Floats, y: Floats,
                        with_value: bool) -> float:
    """v <- v + grad f_i(x); returns f_i(x) when `with_value`. y[n] is work."""
    n, like = problem.dim, _like(problem, i)
    value = 0.0
    for b in range(problem.objective_ptr[like], problem.objective_ptr[like + 1]):
        code, at = problem.objective_kind[b], _place(problem, i, problem.objective_data[b])
        if code & GRAM:  # the gradient is A'A x - A'b, that of a quadratic
            code = LEAST_SQUARES if with_value else QUADRATIC
            if with_value:
                at = _values(problem, i, b)
        data = _part(problem.data, at, n)
        kind = code & ~DIAGONAL
        if kind == LINEAR:  # v += q
            _axpy(1.0, data, v)
            if with_value:
                value += _dot(x, data)
        elif kind == QUADRATIC:  # v += q + P x
            q, P = data, _part(data, n, _matrix_size(n, code))
            if with_value:
                _zero(y)
                _multiply(code, far, P, x, y)
                value += 0.5 * _dot(x, y) + _dot(x, q)
                _axpy(1.0, y, v)
                _axpy(1.0, q, v)
            elif code & DIAGONAL:
                _add_diagonal(q, P, x, v)
            else:
                _multiply(code, far, P, x, v)
                _axpy(1.0, q, v)
        elif code == LEAST_SQUARES + DIAGONAL:  # v += A'(Ax - b)
            value += _add_diagonal_residual(data, _part(data, n, n), x, v)
        elif kind == LEAST_SQUARES:
            value += _least_squares_gradient(problem.objective_rows[b], data, x, v)
    return value


@_inlined
def _quadratic(code: int, data: Floats, far: bool, x: Floats, y: Floats, J: Floats) -> tuple[float, float]:
    """g of a quadratic of this code at x, and |J|^2; its gradient goes into J[n]. y[n] is work."""
    n = x.size
    p, P = _part(data, 2, n), _part(data, 2 + n, _matrix_size(n, code))
    if code & ~DIAGONAL == ELLIPSOID:  # g = (x-c)'P(x-c) - level, J = 2 P (x-c)
        _begin_ellipsoid(x, p, y, J)
        _multiply(code, far, P, y, J)
        value, square = _end_ellipsoid(y, J)
        return value - data[0], square
    _copy(p, J)  # g = x'Px/2 + q'x - r, J = P x + q
    _multiply(code, far, P, x, J)
    return 0.5 * (_dot(x, J) + _dot(x, p)) - data[0], _dot(J, J)


@_inlined
def _relaxed_dual(theta: float, step: float, rho: float, equality: bool) -> float:
    """theta + rho (proj(theta + step) - theta), kept in the dual cone; NaN stays NaN."""
    least, moved = -np.inf if equality else 0.0, theta + step
    t = least if moved < least else moved
    relaxed = theta + rho * (t - theta)
    return least if relaxed < least else relaxed


@_inlined
def _dual_step(problem: ProblemArrays, i: int, far: bool, x: Floats, sigma: float, adaptive: bool, c: float, rho: float,
               y: Floats, J: Floats, theta: Floats, g_last: Floats, reaction: Floats) -> float:
    """theta_r <- proj(theta_r + sigma_r (g_r + c (g_r - g_last_r))) and rho times as far.

    Then g_last <- g and reaction <- reaction + J'theta. sigma_r = sigma, but where `adaptive` every block gets an equal
    share of it, over |J_b|^2 for a quadratic, omega_r over |diag(omega)^(1/2) G|^2 for affine rows. It is 0 where J_r
    is: an inequality that is not active there has multiplier 0. A row that gives way takes the proximal step, from
    g - compliance theta. Returns the curvature <theta_i, L_gi>, of theta as it was. y[n] and J[n] are work.
    """
    n, like = problem.dim, _like(problem, i)
    begin, end = problem.constraint_ptr[like], problem.constraint_ptr[like + 1]
    curvature = 0.0
    for b in range(begin, end):
        kind, m, first = problem.constraint_kind[b], problem.constraint_rows[b], _first(problem, i, b)
        data, affine = _part(problem.data, _place(problem, i, problem.constraint_data[b]), 2), _is_affine(kind)
        g, square = 0.0, data[0]
        if not affine:
            g, square = _quadratic(kind, data, far, x, y, J)
            curvature += theta[first] * data[1]
        step = sigma
        if adaptive:
            step = sigma / ((end - begin) * square) if square > 0.0 else 0.0
        omega, h = _part(data, 1, m), _part(data, 1 + m, m)
        for row in range(m):
            r = first + row
            J_r = _part(data, 1 + 2 * m + row * n, n) if affine else J
            if affine:
                g = _dot(x, J_r) - h[row]
            hat = g + c * (g - g_last[r]) if c != 0.0 else g
            own = step * omega[row] if adaptive and affine else step
            if kind == SOFT_EQUALITY:
                compliance = _part(data, 1 + (2 + n) * m + row, 1)[0]
                hat -= compliance * theta[r]
                own /= 1.0 + own * compliance
            equality = affine and kind != AFFINE_INEQUALITY
            idle = own == 0.0 and not equality and g < 0.0
            theta[r] = 0.0 if idle else _relaxed_dual(theta[r], own * hat, rho, equality)
            g_last[r] = g
            _axpy(theta[r], J_r, reaction)
    return curvature


@_inlined
def _prox(problem: ProblemArrays, i: int, tau: float, z: Floats) -> None:
    """z <- prox_{tau rho_i}(z)"""
    n, like = problem.dim, _like(problem, i)
    kind = problem.regularizer_kind[like]
    place = _place(problem, i, problem.regularizer_data[like]) if _regularizer_size(n, kind) > 0 else 0
    data = _part(problem.data, place, n)
    if kind == L1:
        for j in range(n):
            a = abs(z[j]) - tau * data[j]
            z[j] = np.copysign(a, z[j]) if not a <= 0.0 else 0.0
    elif kind == BOX:
        low, high = data, _part(data, n, n)
        for j in range(n):
            t = low[j] if z[j] < low[j] else z[j]
            z[j] = high[j] if t > high[j] else t
    elif kind == NONNEGATIVE:
        for j in range(n):
            z[j] = 0.0 if z[j] < 0.0 else z[j]
    elif kind == L2_BALL:
        radius, center = data[0], _part(data, 1, n)
        d2 = 0.0
        for j in range(n):
            d2 += (z[j] - center[j]) * (z[j] - center[j])
        if d2 > radius * radius:
            shrink = radius / np.sqrt(d2)
            for j in range(n):
                z[j] = center[j] + shrink * (z[j] - center[j])


@_inlined
def _regularizer_value(problem: ProblemArrays, i: int, x: Floats, z: Floats) -> tuple[float, float]:
    """rho_i(x), and the distance of x to the domain of rho_i. z[n] is work."""
    like = _like(problem, i)
    if problem.regularizer_kind[like] == L1:
        weight, value = _part(problem.data, _place(problem, i, problem.regularizer_data[like]), x.size), 0.0
        for j in range(x.size):
            value += weight[j] * abs(x[j])
        return value, 0.0
    for j in range(x.size):
        z[j] = x[j]
    _prox(problem, i, 1.0, z)  # an indicator's prox is the projection
    _axpy(-1.0, x, z)
    return 0.0, _norm(z)


@_inlined
def _feasibility(problem: ProblemArrays, i: int, x: Floats, theta: Floats, y: Floats, J: Floats, g: Floats,
                 reaction: Floats) -> tuple[float, float, float, float]:
    """Distance of g_i to -K_i, the same with every row divided by its norm, sum_r |theta_r g_r|, and <theta_i, L_gi>.

    g_i(x) goes into g, and J'theta is added to reaction. y[n] and J[n] are work.
    """
    n, like = problem.dim, _like(problem, i)
    total = distance = complementarity = curvature = 0.0
    for b in range(problem.constraint_ptr[like], problem.constraint_ptr[like + 1]):
        kind, m, first = problem.constraint_kind[b], problem.constraint_rows[b], _first(problem, i, b)
        data, affine = _part(problem.data, _place(problem, i, problem.constraint_data[b]), 2), _is_affine(kind)
        h, value = _part(data, 1 + m, m), 0.0 if affine else _quadratic(kind, data, False, x, y, J)[0]
        if not affine:
            curvature += theta[first] * data[1]
        for row in range(m):
            r = first + row
            J_r = _part(data, 1 + 2 * m + row * n, n) if affine else J
            g[r] = _dot(x, J_r) - h[row] if affine else value
            over = abs(g[r]) if affine and kind != AFFINE_INEQUALITY else _larger(g[r], 0.0)
            total += over * over
            if over != 0.0:
                length = _norm(J_r)  # a row of zeros has no direction to go
                distance = _larger(over / length if length > 0.0 else over, distance)
            complementarity += abs(theta[r] * g[r])
            _axpy(theta[r], J_r, reaction)
    return np.sqrt(total), distance, complementarity, curvature


# ---- Kernels ----


class _Work(NamedTuple):
    """The work array by name: vectors of n numbers."""

    v: Floats
    reaction: Floats
    y: Floats
    z: Floats
    J: Floats
    pull: Floats
    at: Floats


WORKS = len(_Work._fields)


@register_jitable(_nrt=False)
def work_size(problem: ProblemArrays) -> int:
    """Numbers in the work array of the kernels."""
    return WORKS * problem.dim


@_inlined
def _slice_work(n: int, work: Floats) -> _Work:
    return _Work(_part(work, 0, n), _part(work, n, n), _part(work, 2 * n, n), _part(work, 3 * n, n),
                 _part(work, 4 * n, n), _part(work, 5 * n, n), _part(work, 6 * n, n))


@_inlined
def _flat(state: ADAPDState) -> ADAPDState:
    """The same with all arrays in one dimension."""
    return ADAPDState(state.counters, state.wakes, state.since, state.x.reshape(-1), state.x_sum.reshape(-1), state.dx,
                      state.theta, state.g_last, state.lambda_.reshape(-1), state.s_last.reshape(-1))


@_inlined
def _incidence_step(B_ri: float, step: float, ahead: float, x: Floats, x_other: Floats, lambda_r: Floats,
                    v: Floats) -> None:
    """`_edge_step` where B_ri = -B_rj = 1 or -1."""
    _unaliased()
    n, B4, minus4, step4, ahead4 = v.size, _spread(B_ri), _spread(-1.0), _spread(B_ri * step), _spread(ahead)
    for j in range(0, _whole(n), 4):
        apart4, lambda4 = _madd(_load(x, j), minus4, _load(x_other, j)), _load(lambda_r, j)
        _store(lambda_r, j, _madd(lambda4, step4, apart4))
        _store(v, j, _add(_load(v, j), _madd(_mul(B4, lambda4), ahead4, apart4)))
    for k in range(n & 3):
        j = _whole(n) + k
        apart, before = x[j] - x_other[j], lambda_r[j]
        lambda_r[j] = before + B_ri * step * apart
        v[j] += B_ri * before + ahead * apart


@_inlined
def _edge_step(B_ri: float, B_rj: float, step: float, ahead: float, x: Floats, x_other: Floats, lambda_r: Floats,
               v: Floats) -> None:
    """v <- v + B_ri (lambda_r + ahead s) with s = B_ri x_i + B_rj x_j, then lambda_r <- lambda_r + step s."""
    _unaliased()
    n, a4, b4, step4, ahead4 = v.size, _spread(B_ri), _spread(B_rj), _spread(step), _spread(ahead)
    for j in range(0, _whole(n), 4):
        t4, lambda4 = _madd(_mul(a4, _load(x, j)), b4, _load(x_other, j)), _load(lambda_r, j)
        _store(lambda_r, j, _madd(lambda4, step4, t4))
        _store(v, j, _madd(_load(v, j), a4, _madd(lambda4, ahead4, t4)))
    for k in range(n & 3):
        j = _whole(n) + k
        t, before = B_ri * x[j] + B_rj * x_other[j], lambda_r[j]
        lambda_r[j] = before + step * t
        v[j] += B_ri * (before + ahead * t)


@_inlined
def _move(held: float, x_sum: Floats, dx: Floats, x: Floats, z: Floats) -> None:
    """x_sum <- x_sum + held x, dx <- z - x and x <- z."""
    _unaliased()
    n, held4, minus4 = x.size, _spread(held), _spread(-1.0)
    for j in range(0, _whole(n), 4):
        x4, z4 = _load(x, j), _load(z, j)
        _store(x_sum, j, _madd(_load(x_sum, j), held4, x4))
        _store(dx, j, _madd(z4, minus4, x4))
        _store(x, j, z4)
    for k in range(n & 3):
        j = _whole(n) + k
        x_sum[j] += held * x[j]
        dx[j] = z[j] - x[j]
        x[j] = z[j]


@_inlined
def _descend(tau: float, x: Floats, v: Floats, pull: Floats, z: Floats) -> None:
    """z <- x - tau (v + pull)"""
    _unaliased()
    n, minus4 = x.size, _spread(-tau)
    for j in range(0, _whole(n), 4):
        _store(z, j, _madd(_load(x, j), minus4, _add(_load(v, j), _load(pull, j))))
    for k in range(n & 3):
        j = _whole(n) + k
        z[j] = x[j] - tau * (v[j] + pull[j])


@_inlined
def _relax(rho: float, x: Floats, z: Floats) -> None:
    """z <- x + rho (z - x)"""
    _unaliased()
    n, rho4, minus4 = x.size, _spread(rho), _spread(-1.0)
    for j in range(0, _whole(n), 4):
        x4 = _load(x, j)
        _store(z, j, _madd(x4, rho4, _madd(_load(z, j), minus4, x4)))
    for k in range(n & 3):
        j = _whole(n) + k
        z[j] = x[j] + rho * (z[j] - x[j])


@_inlined
def _consensus_step(problem: ProblemArrays, network: NetworkArrays, steps: ADAPDSteps, i: int, previous: int,
                    state: ADAPDState, s: Floats, v: Floats) -> float:
    """lambda_r <- lambda_r + rho gamma_r s^_r for the rows that agent i owns, and v <- sum_r B_ri lambda_r.

    local: s^ = s_last + 2 (s - s_last) / rho, from where x would be without relaxation. In edge form no one but the
    agent that updates lambda_r needs it: what is kept is lambda_r - (2 - rho) gamma_r s_last, which moves by
    rho gamma_r s; with several local steps lambda_r moves by local_reach gamma_r s instead, and v sees 2 gamma_r s
    more;
    global: s^ = s + N B_rp (x_p - x_p before its last activation), p the previous agent. s[n] is work.

    Returns the slope of v in x_i while the multipliers rest: for the local steps after the first.
    """
    n, N, rho, spring = problem.dim, float(problem.n_agents), steps.relaxation, 0.0
    local, reach = steps.momentum == LOCAL, 2.0 / rho
    if local and network.is_edge_form != 0:
        step, ahead = (steps.local_reach, steps.local_reach + 2.0) if steps.local_steps > 1 else (rho, 2.0)
        _zero(v)
        x = _part(state.x, i * n, n)
        if network.same_values != 0 and steps.same_gamma != 0:
            gamma = steps.gamma[0]
            for o in range(network.owned_ptr[i], network.owned_ptr[i + 1]):
                r, other = np.int64(network.owned_row[o]), np.int64(network.neighbour[o])
                spring += 2.0 * gamma
                _incidence_step(network.row_value[int(i > other)], step * gamma, ahead * gamma, x,
                                _part(state.x, other * n, n), _part(state.lambda_, r * n, n), v)
            return spring
        for o in range(network.owned_ptr[i], network.owned_ptr[i + 1]):
            r, other = np.int64(network.owned_row[o]), np.int64(network.neighbour[o])
            values = _part(network.row_value, 0 if network.same_values != 0 else 2 * r, 2)
            B_ri, B_rj = (values[0], values[1]) if i < other else (values[1], values[0])
            gamma = steps.gamma[0 if steps.same_gamma != 0 else r]
            spring += 2.0 * gamma * B_ri * B_ri
            _edge_step(B_ri, B_rj, step * gamma, ahead * gamma, x, _part(state.x, other * n, n),
                       _part(state.lambda_, r * n, n), v)
        return spring
    for o in range(network.owned_ptr[i], network.owned_ptr[i + 1]):
        r = np.int64(network.owned_row[o])
        begin = 2 * r if network.is_edge_form != 0 else network.row_ptr[r]
        entries = 2 if network.is_edge_form != 0 else network.row_ptr[r + 1] - begin
        agents = _part(network.row_agent, begin, entries)
        values = _part(network.row_value, 0 if network.same_values != 0 else begin, entries)
        gamma, lambda_r = rho * steps.gamma[0 if steps.same_gamma != 0 else r], _part(state.lambda_, r * n, n)
        _gather(0, entries, agents, values, state.x, s)
        if local:
            s_last = _part(state.s_last, r * n, n)
            for j in range(n):
                lambda_r[j] += gamma * (s_last[j] + reach * (s[j] - s_last[j]))
                s_last[j] = s[j]
        else:
            for e in range(entries):
                if agents[e] == previous:
                    _axpy(N * values[e], state.dx, s)
            _axpy(gamma, s, lambda_r)
    _gather_column(network, i, state.lambda_, v)
    return spring


@_inlined
def _go_on(spring: float, z: Floats, pull: Floats, at: Floats) -> None:
    """pull <- pull + spring (z - at) and at <- z: on from z.

    That is sum_r B_ri (lambda_r + 2 gamma_r s_r), where s_r has moved by B_ri (z - at).
    """
    _unaliased()
    n, spring4, minus4 = z.size, _spread(spring), _spread(-1.0)
    for j in range(0, _whole(n), 4):
        z4 = _load(z, j)
        _store(pull, j, _madd(_load(pull, j), spring4, _madd(z4, minus4, _load(at, j))))
        _store(at, j, z4)
    for k in range(n & 3):
        j = _whole(n) + k
        pull[j] += spring * (z[j] - at[j])
        at[j] = z[j]


@_inlined
def _activate(problem: ProblemArrays, network: NetworkArrays, steps: ADAPDSteps, i: int, far: bool,
              state: ADAPDState, w: _Work) -> int:
    """One activation of agent i."""
    n, N, local, rho = problem.dim, float(problem.n_agents), steps.momentum == LOCAL, steps.relaxation
    k, previous, adaptive = state.counters[0] + 1, state.counters[1], steps.adaptive != 0
    x, x_sum, dx, v, z = _part(state.x, i * n, n), _part(state.x_sum, i * n, n), state.dx, w.v, w.z

    spring, at = 0.0, w.at  # where x_i is between local steps, of which nobody else knows
    _copy(x, at)
    if local:
        c = 2.0 / rho - 1.0 if state.wakes[i] > 0 else 0.0
    else:
        c = N if previous == i else 0.0

    step = 1
    while True:
        # theta_i <- proj(theta_i + sigma_i g^);  v <- J_i' theta_i + grad f_i
        _zero(v)
        curvature = _dual_step(problem, i, far, at, steps.sigma[i], adaptive, c, rho, w.y, w.J, state.theta,
                               state.g_last, v)
        tau = 1.0 / (steps.tau[i] + curvature) if adaptive else steps.tau[i]
        _objective_gradient(problem, i, far, at, v, w.y, False)

        # pull <- sum_r B_ri lambda_r: it waits for nothing, so it comes last, while the sums and divisions above end
        if step == 1:
            spring = _consensus_step(problem, network, steps, i, previous, state, w.y, w.pull)

        # z = prox(x_i - tau_i [grad f_i + J_i' theta_i + sum_r B_ri lambda_r]), and rho times as far
        _descend(tau, at, v, w.pull, z)
        if not _finite(z):
            return NOT_FINITE
        _prox(problem, i, tau, z)
        if rho != 1.0:
            if problem.regularizer_kind[_like(problem, i)] == L1:
                for j in range(n):
                    z[j] = at[j] + rho * (z[j] - at[j]) if z[j] != 0.0 else 0.0  # zeros stay zeros
            else:
                _relax(rho, at, z)
                _prox(problem, i, tau, z)  # back into the set
        if step >= steps.local_steps:
            break
        step, c = step + 1, 2.0 / rho - 1.0
        _go_on(spring, z, w.pull, at)

    # iterates since_i .. k-1 of agent i were x_i; iterate k is z
    _move(float(k - state.since[i]), x_sum, dx, x, z)
    state.since[i] = k
    state.wakes[i] += 1
    state.counters[0], state.counters[1] = k, i
    return OK


# as in csrc/adapd.h; but lines are asked so tightly here that some are lost beyond the second cache already
LISTS, ENTRIES, ROWS, COLUMNS, NEIGHBOURS, SECOND_CACHE, MANY = 9, 7, 4, 3, 2, 1 << 18, 128


@_inlined
def _coming(problem: ProblemArrays, agents: Ints, a: int) -> int:
    """agents[a] if it is there, else -1."""
    i = int(agents[a]) if a < agents.size else -1
    return i if i < problem.n_agents else -1


@_inlined
def _fetch(array: Floats, start: int, count: int) -> None:
    end = start + min(count, AHEAD)
    if count > MANY:  # of many lines asked at once some are lost: each is asked twice
        for j in range(start, end, 4):
            _prefetch(array, j)
    else:
        for j in range(start, end, 8):
            _prefetch(array, j)
    _prefetch(array, start + count - 1)


@_inlined
def _fetch_entries(ptr: Longs, index: Ints, value: Floats, k: int) -> None:
    """The entries of one row or column, where they begin and where they end."""
    begin, end = ptr[k], ptr[k + 1]
    _prefetch(index, begin)
    for e in range(begin, end, 8):
        _prefetch(value, e)
    if end > begin:
        _prefetch(index, end - 1)
        _prefetch(value, end - 1)


@_inlined
def _look_ahead(problem: ProblemArrays, network: NetworkArrays, steps: ADAPDSteps, a: int, agents: Ints,
                state: ADAPDState) -> None:
    """Ask memory early for what agents[a + ...] will need: where its lists begin, what is in them, where they point."""
    n, edge = problem.dim, network.is_edge_form != 0
    i = _coming(problem, agents, a + LISTS)
    if i >= 0:
        _prefetch(network.owned_ptr, i)
        _prefetch(network.owned_ptr, i + 1)
        if not edge:
            _prefetch(network.column_ptr, i)
            _prefetch(network.column_ptr, i + 1)
        if problem.alike == 0:
            _prefetch(problem.objective_ptr, i)
            _prefetch(problem.constraint_ptr, i)
            _prefetch(problem.regularizer_kind, i)
        _prefetch(steps.tau, i)
        _prefetch(steps.sigma, i)
        _prefetch(state.since, i)
        _prefetch(state.wakes, i)
    i = _coming(problem, agents, a + ENTRIES)
    if i >= 0:
        begin, end = network.owned_ptr[i], network.owned_ptr[i + 1]
        _prefetch(network.owned_row, begin)
        _prefetch(network.owned_row, end - 1)
        if edge:
            _prefetch(network.neighbour, begin)
            _prefetch(network.neighbour, end - 1)
        if problem.alike == 0:
            f, g = problem.objective_ptr[i], problem.constraint_ptr[i]
            _prefetch(problem.objective_kind, f)
            _prefetch(problem.objective_rows, f)
            _prefetch(problem.objective_data, f)
            _prefetch(problem.constraint_kind, g)
            _prefetch(problem.constraint_rows, g)
            _prefetch(problem.constraint_data, g)
            _prefetch(problem.constraint_first, g)
            if _regularizer_size(n, problem.regularizer_kind[i]) > 0:
                _prefetch(problem.regularizer_data, i)
        _fetch(state.x, i * n, n)
        _fetch(state.x_sum, i * n, n)
        if not edge:
            _fetch_entries(network.column_ptr, network.column_row, network.column_value, i)
    i = _coming(problem, agents, a + ROWS)
    if i >= 0:
        for o in range(network.owned_ptr[i], network.owned_ptr[i + 1]):
            r = np.int64(network.owned_row[o])
            if steps.same_gamma == 0:
                _prefetch(steps.gamma, r)
            _fetch(state.lambda_, r * n, n)
            if edge:
                _fetch(state.x, network.neighbour[o] * n, n)
                if network.same_values == 0:
                    _prefetch(network.row_value, 2 * r)
            else:
                _prefetch(network.row_ptr, r)
                _fetch(state.s_last, r * n, n)
    i = -1 if edge else _coming(problem, agents, a + COLUMNS)
    if i >= 0:
        for o in range(network.owned_ptr[i], network.owned_ptr[i + 1]):
            _fetch_entries(network.row_ptr, network.row_agent, network.row_value, network.owned_row[o])
        for e in range(network.column_ptr[i], network.column_ptr[i + 1]):
            _fetch(state.lambda_, network.column_row[e] * n, n)
    i = _coming(problem, agents, a + NEIGHBOURS)
    if i >= 0:
        if not edge:
            for o in range(network.owned_ptr[i], network.owned_ptr[i + 1]):
                r = np.int64(network.owned_row[o])
                for e in range(network.row_ptr[r], network.row_ptr[r + 1]):
                    _fetch(state.x, network.row_agent[e] * n, n)
        like = _like(problem, i)
        for b in range(problem.objective_ptr[like], problem.objective_ptr[like + 1]):
            _fetch(problem.data, _place(problem, i, problem.objective_data[b]), _objective_size(problem, b))
        for b in range(problem.constraint_ptr[like], problem.constraint_ptr[like + 1]):
            _prefetch(state.theta, _first(problem, i, b))
            _prefetch(state.g_last, _first(problem, i, b))
            _fetch(problem.data, _place(problem, i, problem.constraint_data[b]), _constraint_size(problem, b))
        size = _regularizer_size(n, problem.regularizer_kind[like])
        if size > 0:
            _fetch(problem.data, _place(problem, i, problem.regularizer_data[like]), size)


@_kept
def _wake_all(problem: ProblemArrays, network: NetworkArrays, steps: ADAPDSteps, agents: Ints, state: ADAPDState,
              w: _Work) -> int:
    """The loop of `adapd`."""
    far = 2 * problem.dim * (problem.n_agents + network.n_rows) + problem.values_begin > SECOND_CACHE
    flat = _flat(state)
    for a in range(agents.size):
        i = np.int64(agents[a])
        if i < 0 or i >= problem.n_agents:
            return BAD_AGENT
        if far:
            _look_ahead(problem, network, steps, a, agents, flat)
        status = _activate(problem, network, steps, i, far, flat, w)
        if status != OK:
            return status
    return OK


@_kernel
def adapd(problem: ProblemArrays, network: NetworkArrays, steps: ADAPDSteps, agents: Ints, state: ADAPDState,
          work: Floats) -> int:
    """AD-APD: wake the agents one after the other.

    Parameters
    ----------
    problem : ProblemArrays
    network : NetworkArrays
        The consensus matrix B.
    steps : ADAPDSteps
    agents : ndarray of int32, shape (activations,)
    state : ADAPDState
        Updated.
    work : ndarray, shape (work_size(problem),)
        Overwritten.

    Returns
    -------
    int
        `packing.OK`, `packing.NOT_FINITE` or `packing.BAD_AGENT`.
    """
    return _wake_all(problem, network, steps, agents, state, _slice_work(problem.dim, work))


@functools.cache
def _adapd_for(n: int) -> Any:
    """`adapd` for problems of n coordinates: where they are few, loops cost more than what is in them."""
    if n > UNROLLED:
        return adapd

    def unrolled(problem: ProblemArrays, network: NetworkArrays, steps: ADAPDSteps, agents: Ints, state: ADAPDState,
                 work: Floats) -> int:
        known = ProblemArrays(problem.n_agents, n, *problem[2:])
        w = _Work(_local(n), _local(n), _local(n), _local(n), _local(n), _local(n), _local(n))
        return _wake_all(known, network, steps, agents, state, w)

    unrolled.__qualname__ = f"adapd_{n}"  # a file of its own: processes that write to one could mix up their kernels
    return _kernel(unrolled)


@_kernel
def dpda(problem: ProblemArrays, laplacian: NetworkArrays, steps: DPDASteps, iterations: int, state: DPDAState,
         work: Floats) -> int:
    """DPDA-S with nonlinear constraints: synchronous iterations.

    Parameters
    ----------
    problem : ProblemArrays
    laplacian : NetworkArrays
        The graph Laplacian.
    steps : DPDASteps
        Its `scale` is updated.
    iterations : int
    state : DPDAState
        Updated.
    work : ndarray, shape (work_size(problem),)
        Overwritten.

    Returns
    -------
    int
        `packing.OK` or `packing.NOT_FINITE`.
    """
    w = _slice_work(problem.dim, work)
    N, n, mu, v, reaction, z = problem.n_agents, problem.dim, steps.mu, w.v, w.reaction, w.z
    all_s = state.s.reshape(-1)
    for _ in range(iterations):
        first = state.counters[0] == 0
        eta = 1.0
        if mu > 0.0 and not first:  # eta = 1 / sqrt(1 + mu min tau): steps grow in the dual and shrink in the primal
            fastest = np.inf
            for i in range(N):
                fastest = min(fastest, steps.tau[i])
            eta = 1.0 / np.sqrt(1.0 + mu * fastest * steps.scale[0])
            steps.scale[0] *= eta
        scale, extrapolate = steps.scale[0], 0.0 if first else eta

        # s_i <- s_i + gamma ((1 + eta) x_i - eta x_i_old)
        gamma = steps.gamma / scale
        for i in range(N):
            x, x_old, s = state.x[i], state.x_old[i], state.s[i]
            for j in range(n):
                s[j] += gamma * (x[j] + extrapolate * (x[j] - x_old[j]))

        for i in range(N):
            x, x_old, x_sum = state.x[i], state.x_old[i], state.x_sum[i]
            tau, kappa, bound = steps.tau[i] * scale, steps.kappa[i] / scale, steps.bound[i]

            # theta_i <- proj(theta_i + kappa_i ((1 + eta) g_i - eta g_i_old)), in the ball |theta_i| <= bound_i
            _zero(reaction)
            _dual_step(problem, i, False, x, kappa, False, extrapolate, 1.0, w.y, w.J, state.theta, state.g_old,
                       reaction)
            like = _like(problem, i)
            b, e = problem.constraint_ptr[like], problem.constraint_ptr[like + 1]
            if e > b:
                last = _first(problem, i, e - 1) + problem.constraint_rows[e - 1]
                theta = state.theta[_first(problem, i, b) : last]
                norm = _norm(theta)
                if norm > bound:
                    for r in range(theta.size):
                        theta[r] *= bound / norm
                    for j in range(n):
                        reaction[j] *= bound / norm

            # x_i <- prox(x_i - tau_i [grad f_i + J_i' theta_i + sum_j (s_i - s_j)]), strong convexity in the prox
            begin, end = laplacian.row_ptr[i], laplacian.row_ptr[i + 1]
            _gather(begin, end, laplacian.row_agent, laplacian.row_value, all_s, v)
            _axpy(1.0, reaction, v)
            _objective_gradient(problem, i, False, x, v, w.y, False)
            shrink = 1.0 / (1.0 + tau * mu)
            for j in range(n):
                z[j] = (x[j] - tau * (v[j] - mu * x[j])) * shrink
            if not _finite(z):
                return NOT_FINITE
            _prox(problem, i, tau * shrink, z)
            for j in range(n):
                x_old[j] = x[j]
                x[j] = z[j]
                x_sum[j] += z[j]
        state.counters[0] += 1
    return OK


@_inlined
def _mean(N: int, x: Floats, stride: int, some: Floats, mean: Floats) -> None:
    """The mean of N points; sums of a few at a time, for the sake of rounding."""
    n = mean.size
    _zero(mean)
    for first in range(0, N, FEW):
        _zero(some)
        for i in range(first, min(first + FEW, N)):
            _axpy(1.0, _part(x, i * stride, n), some)
        _axpy(1.0, some, mean)
    for j in range(n):
        mean[j] /= N


@_inlined
def _ranked(values: Floats, first: int, count: int, rank: int) -> float:
    """The one of this rank among `count` positive numbers from `first` on, which change places.

    Each round halves the range of logarithms.
    """
    while True:
        least = most = values[first]
        for k in range(first + 1, first + count):
            least, most = min(values[k], least), max(values[k], most)
        if not least < most:
            return least
        middle = np.sqrt(least) * np.sqrt(most)
        if not least <= middle < most:
            middle = least
        low = first
        for k in range(first, first + count):
            if values[k] <= middle:
                values[k], values[low] = values[low], values[k]
                low += 1
        if rank < low - first:
            count = low - first
        else:
            rank, count, first = rank - (low - first), count - (low - first), low


@_inlined
def _typical(sizes: Floats, mean: float) -> float:
    """TYPICAL_GRADIENT, as csrc/fastadapd.h has it, of these sizes, which change places."""
    most, count = 0.0, 0
    for k in range(sizes.size):
        if sizes[k] > 0.0:
            most = _larger(sizes[k], most)
            sizes[k], sizes[count] = sizes[count], sizes[k]
            count += 1
    if count == 0 or most == np.inf:
        return most
    median = 0.5 * (_ranked(sizes, 0, count, (count - 1) // 2) + _ranked(sizes, 0, count, count // 2))
    quartile = _larger(_ranked(sizes, 0, count, (count - 1) // 4), mean)
    return _larger(min(median, quartile), 1e-9 * most)


@_kernel
def measure(problem: ProblemArrays, network: NetworkArrays, scales: Scales, x: Floats, stride: int, theta: Floats,
            lambda_: Floats, out: Measured, work: Floats) -> int:
    """How good a point is.

    Parameters
    ----------
    problem : ProblemArrays
    network : NetworkArrays
    scales : Scales
        What the measures are compared with.
    x : ndarray, shape (N * n,) or (n,)
        Agent i's point starts at ``i * stride``.
    stride : int
        n, or 0 for one point that all share.
    theta : ndarray, shape (M,)
        Not modified.
    lambda_ : ndarray, shape (R, n) or (0, n)
        Not modified; none: 0.
    out : Measured
        Output: as of fa_measure.
    work : ndarray, shape (work_size(problem),)
        Overwritten.

    Returns
    -------
    int
        `packing.OK`.
    """
    w = _slice_work(problem.dim, work)
    N, n, v, reaction, y, z, totals = problem.n_agents, problem.dim, w.v, w.reaction, w.y, w.z, out.totals
    flat = lambda_.reshape(lambda_.size)
    _mean(N, x, stride, v, out.mean)
    totals[:] = 0.0
    for j in range(n):
        y[j] = scales.units[j] * out.mean[j]
    totals[LENGTH], totals[UNITS_LENGTH] = _norm(out.mean), _norm(y)
    least = scales.gradient / _larger(totals[LENGTH], scales.length)
    for i in range(N):
        x_i = _part(x, i * stride, n)
        for j in range(n):
            y[j] = x_i[j] - out.mean[j]
        totals[APART] = _larger(_norm(y), totals[APART])
        for j in range(n):
            y[j] *= scales.units[j]
        totals[UNITS_APART] = _larger(_norm(y), totals[UNITS_APART])

        _zero(v)
        value = _objective_gradient(problem, i, False, x_i, v, y, True)
        out.gradients[i] = _norm(v)
        out.sizes[i] = _larger(out.gradients[i], scales.sizes[i])
        rho, outside = _regularizer_value(problem, i, x_i, z)
        totals[VALUE] += value + rho

        _zero(reaction)
        violation, distance, complementarity, curvature = _feasibility(problem, i, x_i, theta, y, w.J, out.g, reaction)
        out.distances[i] = _larger(distance, outside)
        totals[VIOLATION] = _larger(_larger(violation, outside), totals[VIOLATION])
        totals[DISTANCE] = _larger(out.distances[i], totals[DISTANCE])
        totals[COMPLEMENTARITY] += complementarity
        totals[MEAN_REACTION] += _norm(reaction)
        if lambda_.size:
            _gather_column(network, i, flat, w.J)
            _axpy(1.0, w.J, reaction)

        # |x_i - prox_{t rho_i}(x_i - t [grad f_i + J_i' theta_i + (B' lambda)_i])| / t
        t = 1.0 / _larger(scales.lipschitz[i] + curvature, least)
        for j in range(n):
            z[j] = x_i[j] - t * (v[j] + reaction[j])
        _prox(problem, i, t, z)
        for j in range(n):
            z[j] = (x_i[j] - z[j]) / t
        totals[STATIONARITY] = _larger(_norm(z), totals[STATIONARITY])
    totals[TYPICAL_GRADIENT] = _typical(out.sizes, scales.mean)
    totals[MEAN_REACTION] /= N
    return OK


# ---- Anderson acceleration ----


@_kernel
def compare(memory: Memory, point: Floats, image: Floats, last: Floats, residual: Floats, lengths: Floats) -> None:
    """As fa_compare; an empty `last` is none."""
    _unaliased()
    m, scale = memory.looked_at, memory.scale
    whole, has_last = _whole(m), last.size > 0
    movement = extent = change = _spread(0.0)
    minus = _spread(-1.0)
    for j in range(0, whole, 4):
        image_j, s = _load(image, j), _load(scale, j)
        r = _mul(_madd(image_j, minus, _load(point, j)), s)
        y = _mul(image_j, s)
        _store(residual, j, r)
        movement = _madd(movement, r, r)
        extent = _madd(extent, y, y)
        if has_last:
            r = _madd(r, minus, _load(last, j))
        change = _madd(change, r, r)
    movements, extents, changes = _sum(movement), _sum(extent), _sum(change)
    for k in range(m & 3):
        j = whole + k
        one, there = (image[j] - point[j]) * scale[j], image[j] * scale[j]
        residual[j] = one
        movements, extents = movements + one * one, extents + there * there
        if has_last:
            one -= last[j]
        changes += one * one
    lengths[0], lengths[1], lengths[2] = np.sqrt(movements), np.sqrt(extents), np.sqrt(changes)


@_inlined
def _add_row_products(m: int, first: int, end: int, count: int, rows: Singles, x: Floats, out: Floats) -> None:
    """out_k <- out_k + the product of row k with x, over columns first .. end - 1."""
    fours = count & ~3
    whole = first + _whole(end - first)
    for k in range(0, fours, 4):
        a, b, c, d = k * m, (k + 1) * m, (k + 2) * m, (k + 3) * m
        sa = sb = sc = sd = _spread(0.0)
        for j in range(first, whole, 4):
            x_j = _load(x, j)
            sa = _madd(sa, _load_single(rows, a + j), x_j)
            sb = _madd(sb, _load_single(rows, b + j), x_j)
            sc = _madd(sc, _load_single(rows, c + j), x_j)
            sd = _madd(sd, _load_single(rows, d + j), x_j)
        _store(out, k, _add(_load(out, k), _sums(sa, sb, sc, sd)))
        for j in range(whole, end):
            for r in range(k, k + 4):
                out[r] += rows[r * m + j] * x[j]
    for k in range(fours, count):
        total = _spread(0.0)
        for j in range(first, whole, 4):
            total = _madd(total, _load_single(rows, k * m + j), _load(x, j))
        out[k] += _sum(total)
        for j in range(whole, end):
            out[k] += rows[k * m + j] * x[j]


@_inlined
def _row_products(memory: Memory, count: int, x: Floats, out: Floats) -> None:
    """out_k <- the product of the difference k of residuals with x."""
    m, rows = memory.looked_at, memory.residuals.reshape(memory.residuals.size)
    for k in range(count):
        out[k] = 0.0
    for first in range(0, m, WIDTH):
        _add_row_products(m, first, min(first + WIDTH, m), count, rows, x, out)


@_kernel
def remember(memory: Memory, slot: int, used: int, length: float, residual: Floats, last: Floats, image: Floats,
             last_image: Floats, change: Floats) -> None:
    """As fa_remember; `change` (m,) is overwritten with the difference as it is kept."""
    m, inverse, along = memory.looked_at, 1.0 / length, 0.0
    for j in range(m):
        exact = (residual[j] - last[j]) * inverse
        along += exact * residual[j]
        memory.residuals[slot, j] = exact
        change[j] = memory.residuals[slot, j]
        memory.images[slot, j] = (image[j] - last_image[j]) * inverse * memory.units[j]
    for j in range(m, memory.size):
        memory.tails[slot, j - m] = (image[j] - last_image[j]) * inverse
    gram = memory.gram
    _row_products(memory, used, change, gram[slot])
    for k in range(used):
        memory.toward[k] += length * gram[slot, k]
    memory.toward[slot] = along
    gram[slot, slot] += memory.regularization
    for k in range(used):
        gram[k, slot] = gram[slot, k]


@_inlined
def _solve(memory: Memory, used: int, norm: float) -> None:
    """gamma <- gram^-1 toward / norm, by Cholesky's factors. Where there are none gamma is not a number."""
    L, gamma, gram = memory.factor, memory.gamma, memory.gram
    for i in range(used):
        row = L[i]
        for j in range(i):
            row[j] = (gram[i, j] - _dot(row[:j], L[j])) * L[j, j]
        row[i] = 1.0 / np.sqrt(gram[i, i] - _dot(row[:i], row))  # the inverse
        gamma[i] = (memory.toward[i] / norm - _dot(row[:i], gamma)) * row[i]
    for i in range(used - 1, -1, -1):
        gamma[i] *= L[i, i]
        _axpy(-gamma[i], L[i], gamma[:i])


@_inlined
def _combine(m: int, first: int, count: int, gamma: Floats, rows: Singles, y: Floats) -> None:
    """y <- sum_k gamma_k row_k, over as many columns from `first` on."""
    n = y.size
    whole, fours = _whole(n), count & ~3
    _zero(y)
    for k in range(0, fours, 4):
        a, b, c, d = k * m + first, (k + 1) * m + first, (k + 2) * m + first, (k + 3) * m + first
        ga, gb, gc, gd = _spread(gamma[k]), _spread(gamma[k + 1]), _spread(gamma[k + 2]), _spread(gamma[k + 3])
        for j in range(0, whole, 4):
            s = _madd(_load(y, j), ga, _load_single(rows, a + j))
            s = _madd(_madd(s, gb, _load_single(rows, b + j)), gc, _load_single(rows, c + j))
            _store(y, j, _madd(s, gd, _load_single(rows, d + j)))
        for j in range(whole, n):
            for r in range(k, k + 4):
                y[j] += gamma[r] * rows[r * m + first + j]
    for k in range(fours, count):
        a, ga = k * m + first, _spread(gamma[k])
        for j in range(0, whole, 4):
            _store(y, j, _madd(_load(y, j), ga, _load_single(rows, a + j)))
        for j in range(whole, n):
            y[j] += gamma[k] * rows[a + j]


@_kernel
def extrapolate(memory: Memory, used: int, norm: float, residual: Floats, move: Floats) -> float:
    """As fa_extrapolate; an empty `residual` is none. Returns the length."""
    m, units, gamma, total = memory.looked_at, memory.units, memory.gamma, 0.0
    if residual.size:
        _row_products(memory, used, residual, memory.toward)
    _solve(memory, used, norm)
    images = memory.images.reshape(memory.images.size)
    for first in range(0, m, WIDTH):
        y = _part(move, first, min(WIDTH, m - first))
        _combine(m, first, used, gamma, images, y)
        total += _dot(y, y)
        for j in range(y.size):
            y[j] = y[j] / units[first + j] * norm
    tail = move[m:]
    _zero(tail)
    for k in range(used):
        _axpy(gamma[k] * norm, memory.tails[k], tail)
    return norm * np.sqrt(total)


# ---- The engine ----


class NumbaEngine:
    """Loops compiled by Numba at their first call, and kept on disk from then on.

    Parameters
    ----------
    problem : Problem
    network : Network
    """

    name = "numba"

    def __init__(self, problem: Problem, network: Network):
        self._network = network
        self._problem = _normalized(packing.pack_problem(problem))
        self._graph = _normalized(packing.pack_network(network))
        self._adapd = _adapd_for(problem.dim)
        self._room = packing.room(problem)
        self._work = np.zeros(work_size(self._problem))
        self._given: tuple[Any, Any] = None, None
        self._steps: Any = None
        self._state: Any = None
        self._plain = _normalized(packing.plain_scales(problem))
        self._scales: tuple[Any, Any] = None, None
        self._memory: tuple[Any, Any] = None, None
        self._lengths, self._none = np.empty(3), np.empty(0)

    def adapd(self, steps: ADAPDSteps, state: ADAPDState, agents: Ints) -> int:
        """Wake the agents one after the other."""
        self._bind(steps, state)
        return self._adapd(self._problem, self._graph, self._steps, _array(agents, np.int32), self._state, self._work)

    def dpda(self, steps: DPDASteps, state: DPDAState, iterations: int) -> int:
        """Synchronous iterations of DPDA-S."""
        self._bind(steps, state)
        return dpda(self._problem, self._laplacian, self._steps, int(iterations), self._state, self._work)

    @functools.cached_property
    def _laplacian(self) -> NetworkArrays:
        return _normalized(packing.pack_laplacian(self._network))

    def measure(self, scales: Scales | None, x: Floats, theta: Floats, multipliers: Floats | None = None, *,
                laplacian: bool = False) -> Measured:
        """g and the totals `packing.MEASURES` at one point (n,) or at one per agent (N, n)."""
        if scales is not None and self._scales[0] is not scales:
            self._scales = scales, _normalized(scales)
        normalized = self._plain if scales is None else self._scales[1]
        stride = 0 if x.ndim == 1 else self._problem.dim
        lambda_ = np.zeros((0, self._problem.dim)) if multipliers is None else _array(multipliers)
        measure(self._problem, self._laplacian if laplacian else self._graph, normalized, _array(x).reshape(-1), stride,
                _array(theta), lambda_, self._room, self._work)
        return self._room

    def compare(self, memory: Memory, point: Floats, image: Floats, last: Floats | None
                ) -> tuple[Floats, float, float, float]:
        """The residual, and the lengths of it, of the scaled image, and of the change since the last residual."""
        residual = np.empty(memory.looked_at)
        compare(self._of(memory), point, image, self._none if last is None else last, residual, self._lengths)
        movement, extent, change = self._lengths.tolist()
        return residual, movement, extent, change

    def remember(self, memory: Memory, slot: int, used: int, length: float, residual: Floats, last: Floats,
                 image: Floats, last_image: Floats) -> None:
        """Put the differences of two residuals, and of their images, into a slot, one of the first `used`."""
        remember(self._of(memory), slot, used, length, residual, last, image, last_image, np.empty(len(residual)))

    def extrapolate(self, memory: Memory, used: int, norm: float, residual: Floats | None) -> tuple[Floats, float]:
        """How far the combination of differences nearest to the residual moves the image, and how far that is."""
        move = np.empty(memory.size)
        return move, extrapolate(self._of(memory), used, norm, self._none if residual is None else residual, move)

    def _of(self, memory: Memory) -> Memory:
        if self._memory[0] is not memory:
            self._memory = memory, _normalized(memory, updated=memory._fields[6:])
        return self._memory[1]

    def _bind(self, steps: NamedTuple, state: NamedTuple) -> None:
        """Normalize the tuples, unless they are the very ones of the last call."""
        if self._given[0] is not steps:
            self._steps = _normalized(steps, updated=["scale"])
        if self._given[1] is not state:
            self._state = _normalized(state, updated=state._fields)
        self._given = steps, state


def _normalized(values: _Tuple, updated: Collection[str] = ()) -> _Tuple:
    """The tuple in the only types that the kernels see, so that each is compiled once.

    Inputs are copied where they must be. What is `updated` in place has to be right.
    """
    fields = {}
    for name, kind in _field_types(type(values)).items():
        value = getattr(values, name)
        fields[name] = _array(value, kind) if isinstance(kind, np.dtype) else kind(value)
        if name in updated and fields[name] is not value:
            raise TypeError(f"{type(values).__name__}.{name} is updated in place: it needs a contiguous, writeable "
                            f"array of {kind}")
    return values._replace(**fields)


def _array(array: Any, dtype: Any = np.float64) -> Any:
    # To Numba an array that is read-only, strided or not aligned is of another type.
    return np.require(array, dtype, ["C", "A", "W"])


@functools.cache
def _field_types(kind: type[NamedTuple]) -> dict[str, Any]:
    """The dtype of every array of a tuple; int or float for the others."""
    hints = get_type_hints(kind)
    return {name: np.dtype(get_args(get_args(hint)[1])[0]) if get_origin(hint) is np.ndarray else hint
            for name, hint in hints.items()}
