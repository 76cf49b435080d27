"""Networks to try things on, as SciPy adjacency matrices of any size.

Only what networkx lacks is here. Its generators go straight into `fastadapd.Network`, for example
``fa.Network(networkx.random_geometric_graph(100, 0.2, seed=0))``.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastadapd.errors import InvalidNetworkError

__all__ = ["small_world"]


def small_world(n_agents: int, n_extra_edges: int, *, rng: Any = None) -> sp.csr_array[np.float64, tuple[int, int]]:
    """Return a cycle of agents plus random extra edges, drawn uniformly among all the sets of that many chords.

    The cycle is connected and the chords make it so well connected that its diameter grows like log N.

    Parameters
    ----------
    n_agents : int
        The number of agents N: 0, 1, ..., N - 1 form the cycle. One agent has no edge, two have one.
    n_extra_edges : int
        The number of extra edges, distinct and not in the cycle: at most N (N - 3) / 2.
    rng : None, int or numpy.random.Generator, optional
        Where the randomness comes from, as for `numpy.random.default_rng`.

    Returns
    -------
    (N, N) csr_array
        The symmetric adjacency matrix, of ones. ``networkx.from_scipy_sparse_array`` makes a networkx graph of it.

    Raises
    ------
    InvalidNetworkError
        If `n_agents` is less than 1, or `n_extra_edges` is negative or more than there are chords.

    Examples
    --------
    >>> import fastadapd as fa
    >>> fa.Network(fa.graphs.small_world(30, 59, rng=0))
    Network(30 agents, 89 edges, consensus='edge')
    """
    n, extra = operator.index(n_agents), operator.index(n_extra_edges)
    if n < 1:
        raise InvalidNetworkError(f"n_agents={n} must be at least 1")
    n_chords = max(0, n * (n - 3) // 2)
    if not 0 <= extra <= n_chords:
        raise InvalidNetworkError(
            f"n_extra_edges={extra} must be between 0 and {n_chords}, all the edges that a cycle of {n} agents leaves"
        )
    # Chord number c runs from agent c mod N to the agent 2 + c // N places further: each chord has exactly one number.
    # The last round is N / 2 places, and only half as long, when N is even.
    span, start = np.divmod(np.random.default_rng(rng).choice(n_chords, extra, replace=False, shuffle=False), n)
    ring = np.arange(n if n > 2 else n - 1)
    tail = np.concatenate((ring, start))
    head = (tail + np.concatenate((np.ones_like(ring), span + 2))) % n
    ends = np.concatenate((tail, head)), np.concatenate((head, tail))
    return sp.coo_array((np.ones(2 * len(tail)), ends), shape=(n, n)).tocsr()
