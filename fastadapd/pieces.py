"""Agents dealt out among threads: pieces of the network with about the same work and few edges between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastadapd._terms import Floats
from fastadapd.network import Network
from fastadapd.problem import Problem

Pieces = tuple[NDArray[np.int32], ...]

_FIXED = 50.0  # what an activation costs whatever the agent holds, in numbers read
_WORTH = 0.7  # how many of the edges between pieces another order may keep, to be worth its scattered memory


def split(problem: Problem, network: Network, rates: Floats, workers: int) -> Pieces:
    """The agents of each worker, in increasing order.

    Pieces are stretches of the agents' own order, which are stretches of memory too, unless the reverse Cuthill-McKee
    order cuts clearly fewer edges.

    Parameters
    ----------
    problem : Problem
    network : Network
    rates : ndarray, shape (n_agents,)
        How often each agent wakes, in any unit.
    workers : int
        At most n_agents.

    Returns
    -------
    tuple of ndarray
    """
    from scipy.sparse.csgraph import reverse_cuthill_mckee  # slow to import

    work = rates * _work(problem, network)
    own = _stretches(work, workers)
    order = reverse_cuthill_mckee(network.laplacian, symmetric_mode=True)
    other = np.empty_like(own)
    other[order] = _stretches(work[order], workers)
    worker = other if _cut(network, other) < _WORTH * _cut(network, own) else own
    return tuple(np.flatnonzero(worker == w).astype(np.int32) for w in range(workers))


def _work(problem: Problem, network: Network) -> Floats:
    """About what an activation of each agent costs: the numbers it reads and writes."""
    n = problem.dim
    work = np.full(problem.n_agents, _FIXED + 8.0 * n)
    work += 5.0 * n * network.degrees
    for group in (*problem.objectives, *problem.constraints):
        numbers = sum(getattr(group.term, name).size for name in group.term._axes)
        work[group.agents] += numbers / (group.term.n_agents or 1)
    return work


def _stretches(work: Floats, workers: int) -> NDArray[np.int64]:
    """The worker of every agent: stretches of about the same work, none without an agent."""
    N = len(work)
    ends = np.searchsorted(np.cumsum(work) - 0.5 * work, work.sum() / workers * np.arange(1, workers))
    k = np.arange(1, workers)
    ends = np.maximum.accumulate(np.maximum(ends, k) - k) + k  # one agent each at least,
    ends = np.minimum(ends, N - workers + k)  # to the last
    return np.searchsorted(ends, np.arange(N), side="right")


def _cut(network: Network, worker: NDArray[np.int64]) -> int:
    """Edges between pieces, each counted twice."""
    L = network.laplacian
    return int(np.count_nonzero(worker[L.indices] != np.repeat(worker, np.diff(L.indptr))))
