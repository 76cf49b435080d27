"""Units of the coordinates: a change of variables ``x = units * z`` after which all coordinates count alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fastadapd import regularizers
from fastadapd._terms import Floats

if TYPE_CHECKING:
    from fastadapd.problem import Problem

_SWEEPS = 20
_BLOCK = 1 << 13  # rows at a time: they stay in the cache
_WORTHWHILE = 10.0  # a spread of units below this is left alone


_ROUNDING = 1e-28  # of the largest squared size of a row: an entry that small is rounding, and has no unit


def coordinate_units(problem: Problem) -> Floats | None:
    """Units that bring the columns of all terms to one size, as powers of 2.

    Rows are terms of agents, each brought to size 1; columns are the coordinates (Ruiz equilibration of the squared
    sizes that `Term.column_sizes` gives).

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    ndarray, shape (dim,), or None
        None when the units hardly differ, or when a term cannot be rescaled.

    References
    ----------
    Ruiz, A scaling algorithm to equilibrate both rows and columns norms in matrices, RAL-TR-2001-034.
    """
    n = problem.dim
    terms = [group.term for group in (*problem.objectives, *problem.regularizers, *problem.constraints)]
    if any(isinstance(term, regularizers.L2Ball) for term in terms):
        return None
    large = [term for term in terms if (term.n_agents or 1) > _BLOCK]
    tables = [sizes for term in terms if (term.n_agents or 1) <= _BLOCK and (sizes := term.column_sizes()) is not None]
    kept = list(_blocks(tables, n))

    def blocks() -> Iterator[Floats]:
        yield from kept
        for term in large:  # anew in every sweep, for the sake of memory
            for _, part in term.parts(_BLOCK):
                yield from _blocks([sizes for sizes in [part.column_sizes()] if sizes is not None], n)

    squared, used = np.ones(n), np.zeros(n, dtype=bool)
    for left in reversed(range(_SWEEPS)):
        columns, count = np.zeros(n), 0
        for block in blocks():
            if left == _SWEEPS - 1:
                used |= block.any(axis=1)
            count += block.shape[1]
            scaled = block * squared[:, None]
            scaled /= scaled.max(axis=0)
            columns += scaled.sum(axis=1)
        if not count:
            return None
        columns = np.where(columns > 0, columns / count, 1.0)
        squared /= columns
        # the columns come closer to each other in every sweep: this bounds what the remaining ones can do
        spread = _octaves(squared[used]) + left * _octaves(columns[used])
        if 0.5 * spread + 1.0 <= np.log2(_WORTHWHILE):  # rounding to powers of 2 adds the 1
            return None
    squared[~used] = np.median(squared[used])
    units = np.exp2(np.round(0.5 * (np.log2(squared) - np.log2(squared).mean())))
    return units if units.max() > _WORTHWHILE * units.min() else None


def _octaves(values: Floats) -> float:
    """How many times the smallest must be doubled to reach the largest."""
    return math.log2(values.max()) - math.log2(values.min())


def _blocks(tables: list[Floats], dim: int) -> Iterator[Floats]:
    """Rows of all tables over their largest entries, as columns (dim, rows); rows of zeros are left out."""
    if not tables:
        return
    rows = [np.atleast_2d(table) for table in tables]
    table = np.concatenate([np.broadcast_to(part, (len(part), dim)) for part in rows]) if len(rows) > 1 else rows[0]
    for k in range(0, len(table), _BLOCK):
        sizes = table[k : k + _BLOCK]
        sizes = sizes[sizes.any(axis=1)]
        if len(sizes):
            shares = sizes / sizes.max(axis=1, keepdims=True)
            shares[shares < _ROUNDING] = 0.0
            yield np.ascontiguousarray(np.broadcast_to(shares, (len(sizes), dim)).T)
