"""Units of the coordinates: a change of variables ``x = units * z`` after which all coordinates count alike."""

from __future__ import annotations

import numpy as np

from fastadapd import regularizers
from fastadapd._terms import Floats
from fastadapd.problem import Problem

_SWEEPS = 20
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
    rows = []
    for group in (*problem.objectives, *problem.regularizers, *problem.constraints):
        if isinstance(group.term, regularizers.L2Ball):
            return None
        sizes = group.term.column_sizes()
        if sizes is not None:
            shared = len(group.agents) if group.term.n_agents is None else 1
            rows.append(shared * np.broadcast_to(np.atleast_2d(sizes), (np.atleast_2d(sizes).shape[0], n)))
    if not rows:
        return None
    table = np.concatenate(rows)
    largest = table.max(axis=1, keepdims=True)
    table = np.divide(table, largest, out=np.zeros_like(table), where=largest > 0)
    squared = np.ones(n)
    for _ in range(_SWEEPS):
        scaled = table * squared
        largest = scaled.max(axis=1, keepdims=True)
        columns = np.divide(scaled, largest, out=np.zeros_like(scaled), where=largest > 0).mean(axis=0)
        squared /= np.where(columns > 0, columns, 1.0)
    used = table.any(axis=0)
    squared[~used] = np.median(squared[used]) if used.any() else 1.0
    units = np.exp2(np.round(0.5 * (np.log2(squared) - np.log2(squared).mean())))
    return units if units.max() > _WORTHWHILE * units.min() else None
