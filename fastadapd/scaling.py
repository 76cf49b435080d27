"""Units of the coordinates: a change of variables ``x = units * z`` after which all coordinates count alike."""

from __future__ import annotations

import numpy as np

from fastadapd import regularizers
from fastadapd._terms import Floats
from fastadapd.problem import Problem

_SWEEPS = 20
_BLOCK = 1 << 13  # rows at a time: they stay in the cache
_WORTHWHILE = 10.0  # a spread of units below this is left alone


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
    tables = []
    for group in (*problem.objectives, *problem.regularizers, *problem.constraints):
        if isinstance(group.term, regularizers.L2Ball):
            return None
        sizes = group.term.column_sizes()
        if sizes is not None:
            tables.append(np.atleast_2d(sizes))
    if len(tables) > 1 and sum(map(len, tables)) <= _BLOCK:
        tables = [np.concatenate([np.broadcast_to(table, (len(table), n)) for table in tables])]
    blocks = [_relative(table[k : k + _BLOCK], n) for table in tables for k in range(0, len(table), _BLOCK)]
    count = sum(block.shape[1] for block in blocks)
    if not count:
        return None
    used = np.any([block.any(axis=1) for block in blocks], axis=0)
    squared = np.ones(n)
    for left in reversed(range(_SWEEPS)):
        columns = np.zeros(n)
        for block in blocks:
            scaled = block * squared[:, None]
            scaled /= scaled.max(axis=0)
            columns += scaled.sum(axis=1)
        columns = np.where(columns > 0, columns / count, 1.0)
        squared /= columns
        # the columns come closer to each other in every sweep: this bounds what the remaining ones can do
        spread = np.ptp(np.log2(squared[used])) + left * np.ptp(np.log2(columns[used]))
        if 0.5 * spread + 1.0 <= np.log2(_WORTHWHILE):  # rounding to powers of 2 adds the 1
            return None
    squared[~used] = np.median(squared[used])
    units = np.exp2(np.round(0.5 * (np.log2(squared) - np.log2(squared).mean())))
    return units if units.max() > _WORTHWHILE * units.min() else None


def _relative(sizes: Floats, dim: int) -> Floats:
    """Rows over their largest entries, as columns (dim, rows); rows of zeros are left out."""
    sizes = sizes[sizes.any(axis=1)]
    return np.ascontiguousarray(np.broadcast_to(sizes / sizes.max(axis=1, keepdims=True), (len(sizes), dim)).T)
