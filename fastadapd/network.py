"""The communication network: who talks to whom, and the matrix B with B X = 0 exactly where all agents agree."""

from __future__ import annotations

import operator
import sys
from functools import cached_property
from numbers import Integral
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastadapd.errors import InvalidNetworkError, InvalidOptionError
from fastadapd.spectrum import extreme_eigenvalues

__all__ = ["Network"]

_CONSENSUS = ("edge", "laplacian", "metropolis", "max-degree")
_MIXING = ("metropolis", "lazy-metropolis", "max-degree", "laplacian", "best-constant")
_ROUNDING = 1e-10  # what is still zero in a user's matrix, relative to its own entries
_DENSE_MATRIX = 4096  # up to this many entries a dense product is faster than a sparse one
_BLOCK = 1 << 14  # edges, or agents, at a time, for the sake of memory
_DENSE_NULL_SPACE = 2000

T = TypeVar("T")
Matrix: TypeAlias = "sp.csr_array[np.float64, tuple[int, int]]"
Ints: TypeAlias = npt.NDArray[np.int64]
Labels: TypeAlias = list[Any] | None


class Network:
    """A connected undirected graph of agents and its consensus matrix B.

    Agents are numbered 0 to N - 1. The null space of B is the span of the vector of ones, so ``B @ X = 0`` says that
    all rows of X, the agents' copies of the decision, are equal. A network never changes: its arrays are read-only.

    Parameters
    ----------
    graph : networkx.Graph, SciPy sparse matrix or array, or sequence of pairs
        Who talks to whom. Of a networkx graph, agent i is the i-th node in the graph's own order. Of an (N, N) sparse
        adjacency matrix only the pattern counts, which must be symmetric; stored zeros are no edges. A list of edges
        is a sequence or (E, 2) integer array of pairs of agents. Edges that occur twice count once, weights are
        ignored: weights belong into a matrix given as `consensus`.
    consensus : {"edge", "laplacian", "metropolis", "max-degree"} or (R, N) matrix, optional
        How agreement is written. ``"edge"``: the oriented incidence matrix, one row per edge i < j with +1 at i and -1
        at j. ``"laplacian"``: the graph Laplacian. ``"metropolis"``, ``"max-degree"``: I - W with the mixing matrix of
        that name, see `mixing_matrix`. A dense or sparse matrix of your own has zero row sums and nonzeros only
        where agents are neighbours; it is either symmetric (then agent i owns row i), or each of its rows is some
        ``(a, -a)`` at the two ends of one edge.
    n_agents : int, optional
        The number of agents N. Needed only if `graph` is an empty list of edges; by default 1 + the largest
        index in the list.

    Attributes
    ----------
    n_agents, n_edges : int
        The number of agents N and of edges E.
    edges : (E, 2) ndarray of int32
        Each edge once, i < j, in lexicographic order.
    labels : list or None
        The nodes of the networkx graph in the order of the agents; None if `graph` was something else.
    degrees : (N,) ndarray of int64
        How many neighbours each agent has.
    consensus : str
        What was asked for; ``"user"`` if it was a matrix.
    form : {"edge", "node"}
        Who owns a row of B. Edge form: both ends of its edge. Node form: agent i owns row i.

    Raises
    ------
    InvalidNetworkError
        If the graph is empty, directed, not connected, has self-loops, an asymmetric pattern or agents out of range;
        or if `consensus` is no known name, or a matrix with the wrong shape, entries that are not finite, rows that do
        not sum to zero, nonzeros where there is no edge, or a null space larger than the span of ones.

    Examples
    --------
    >>> import fastadapd as fa
    >>> network = fa.Network([(0, 1), (1, 2), (2, 0), (2, 3)])
    >>> network
    Network(4 agents, 4 edges, consensus='edge')
    >>> network.degrees
    array([2, 2, 3, 1])
    >>> network.consensus_matrix.toarray()
    array([[ 1., -1.,  0.,  0.],
           [ 1.,  0., -1.,  0.],
           [ 0.,  1., -1.,  0.],
           [ 0.,  0.,  1., -1.]])
    """

    n_agents: int
    n_edges: int
    edges: npt.NDArray[np.int32]
    labels: Labels
    degrees: Ints
    consensus: str
    form: Literal["edge", "node"]
    _pattern: tuple[npt.NDArray[Any], npt.NDArray[Any]]  # column indices and row pointers of the adjacency matrix

    def __init__(self, graph: Any, *, consensus: Any = "edge", n_agents: int | None = None) -> None:
        adjacency, labels = _read_graph(graph, n_agents)
        _check_connected(adjacency, labels, "graph is not connected", "Add edges that join the components")
        degrees = np.diff(adjacency.indptr)
        tail = np.repeat(np.arange(len(degrees), dtype=np.int32), degrees)
        upper = adjacency.indices > tail
        edges = np.column_stack((tail[upper], adjacency.indices[upper]))

        if isinstance(consensus, str):
            if consensus not in _CONSENSUS:
                raise InvalidNetworkError(
                    f"consensus={consensus!r} is not known: choose one of {_quoted(_CONSENSUS)}, or give a matrix"
                )
            form = "edge" if consensus == "edge" else "node"
        else:
            matrix, form = _read_consensus(consensus, adjacency, labels)
            self.__dict__["consensus_matrix"] = _read_only(matrix)
            consensus = "user"

        # Straight into __dict__, because __setattr__ refuses.
        self.__dict__.update(
            n_agents=len(degrees),
            n_edges=len(edges),
            edges=_read_only(edges.astype(np.int32, copy=False)),
            labels=labels,
            degrees=_read_only(degrees.astype(np.int64)),
            _pattern=(_read_only(adjacency.indices), _read_only(adjacency.indptr)),
            consensus=consensus,
            form=form,
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot set {name!r}: a Network never changes, make a new one")

    def __repr__(self) -> str:
        agents, edges = "agent" + "s" * (self.n_agents != 1), "edge" + "s" * (self.n_edges != 1)
        return f"Network({self.n_agents} {agents}, {self.n_edges} {edges}, consensus={self.consensus!r})"

    def neighbors(self, agent: int) -> npt.NDArray[np.int32]:
        """Return the neighbours of one agent in increasing order.

        Parameters
        ----------
        agent : int
            The agent's number, 0 to N - 1.

        Returns
        -------
        (degrees[agent],) ndarray of int32

        Raises
        ------
        IndexError
            If there is no such agent.

        Examples
        --------
        >>> import fastadapd as fa
        >>> fa.Network([(0, 1), (1, 2)]).neighbors(1)
        array([0, 2], dtype=int32)
        """
        agent = operator.index(agent)
        if not 0 <= agent < self.n_agents:
            raise IndexError(f"agent={agent} is out of range: the agents are 0 to {self.n_agents - 1}")
        indices, start = self._pattern
        return indices[start[agent] : start[agent + 1]]

    @cached_property
    def adjacency(self) -> Matrix:
        """The adjacency matrix, (N, N) csr_array: one where two agents are neighbours."""
        return self._weighted(np.ones(2 * self.n_edges))

    @cached_property
    def laplacian(self) -> Matrix:
        """The graph Laplacian Omega = D - A, (N, N) csr_array."""
        return _read_only(_weighted_laplacian(self._weighted(np.ones(2 * self.n_edges))))

    @cached_property
    def consensus_matrix(self) -> Matrix:
        """The consensus matrix B, (R, N) csr_array with sorted indices: R = E in edge form, R = N in node form."""
        if self.consensus == "edge":
            return _read_only(self._incidence())
        if self.consensus == "laplacian":
            return self.laplacian
        step, generator = self._generator(self.consensus)
        return _read_only(step * generator)

    @cached_property
    def consensus_transpose(self) -> Matrix:
        """B', (N, R) csr_array with sorted indices."""
        if self.form == "node" and self.consensus_matrix.has_sorted_indices:
            return self.consensus_matrix  # symmetric
        columns = (self._incidence() if self.consensus == "edge" else self.consensus_matrix).tocsc()
        return _read_only(sp.csr_array((columns.data, columns.indices, columns.indptr), shape=columns.shape[::-1]))

    @cached_property
    def consensus_weights(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sums of |B_ri| over the rows for each agent (N,), over the agents for each row (R,), or (1,) if all alike."""
        if self.consensus == "edge":
            return _read_only(self.degrees.astype(np.float64)), _read_only(np.array([2.0]))
        sizes = abs(self.consensus_matrix)
        return _read_only(np.ravel(sizes.sum(axis=0))), _read_only(np.ravel(sizes.sum(axis=1)))

    def multiply(self, copies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """B X of shape (R, n), for X of shape (N, n)."""
        if self._dense is not None:
            return self._dense @ copies
        if self.consensus != "edge":
            B: Any = self.consensus_matrix
            return B @ copies
        product = np.empty((self.n_edges, copies.shape[1]))
        for k in range(0, self.n_edges, _BLOCK):
            ends = self.edges[k : k + _BLOCK]
            np.subtract(copies[ends[:, 0]], copies[ends[:, 1]], out=product[k : k + _BLOCK])
        return product

    def transpose_multiply(self, multipliers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """B' Y of shape (N, n), for Y of shape (R, n)."""
        if self._dense is not None:
            return self._dense.T @ multipliers
        if self.consensus != "edge" or self.n_agents <= _BLOCK:
            transpose: Any = self.consensus_transpose
            return transpose @ multipliers
        (start, rows), ends = self.owned_rows, self.owned_rows_end_at
        product = np.empty((self.n_agents, multipliers.shape[1]))
        for k in range(0, self.n_agents, _BLOCK):
            agents = np.arange(k, min(k + _BLOCK, self.n_agents))
            ptr = start[k : k + len(agents) + 1]
            its = slice(ptr[0], ptr[-1])
            signs = np.where(np.repeat(agents, np.diff(ptr)) < ends[its], 1.0, -1.0)
            part: Any = sp.csr_array((signs, rows[its], ptr - ptr[0]), shape=(len(agents), self.n_edges))
            product[agents] = part @ multipliers
        return product

    @property
    def n_rows(self) -> int:
        """The number of rows R of B."""
        edges = self.n_edges if self.form == "edge" else self.n_agents
        return self.consensus_matrix.shape[0] if self.consensus == "user" else edges

    @property
    def consensus_norm(self) -> float:
        """The Frobenius norm of B."""
        if self.consensus == "edge":
            return float(np.sqrt(2.0 * self.n_edges))
        return float(np.linalg.norm(self.consensus_matrix.data))

    @cached_property
    def _dense(self) -> npt.NDArray[np.float64] | None:
        """B, if it is small."""
        if self.n_rows * self.n_agents > _DENSE_MATRIX:
            return None
        if self.consensus != "edge":
            return _read_only(self.consensus_matrix.toarray())
        matrix, row = np.zeros((self.n_edges, self.n_agents)), np.arange(self.n_edges)
        matrix[row, self.edges[:, 0]], matrix[row, self.edges[:, 1]] = 1.0, -1.0  # SciPy takes 20 times as long
        return _read_only(matrix)

    @cached_property
    def owned_rows(self) -> tuple[Ints, npt.NDArray[np.int32]]:
        """The rows of B that each agent owns, as two arrays ``start`` (N + 1,) of int64 and ``rows`` of int32.

        Agent i owns ``rows[start[i]:start[i + 1]]``, in increasing order: in edge form the rows of its edges, in node
        form row i.
        """
        if self.consensus == "edge":
            start = np.concatenate(([0], np.cumsum(self.degrees)))
            rows, number = np.empty(2 * self.n_edges, dtype=np.int32), np.arange(self.n_edges, dtype=np.int32)
            first = np.repeat(np.arange(self.n_agents, dtype=np.int32), self.degrees) < self._pattern[0]
            rows[first] = number  # edges are in the order of their first ends; by their second ends:
            rows[~first] = sp.coo_array((number, self.edges.T), shape=(self.n_agents, self.n_agents)).tocsc().data
        elif self.form == "edge":
            by_agent = self.consensus_transpose
            start, rows = by_agent.indptr.astype(np.int64), by_agent.indices.astype(np.int32, copy=False)
        else:
            start, rows = np.arange(self.n_agents + 1, dtype=np.int64), np.arange(self.n_agents, dtype=np.int32)
        return _read_only(start), _read_only(rows)

    @cached_property
    def owned_rows_end_at(self) -> npt.NDArray[np.int32]:
        """In edge form the agents at the other ends of the rows in `owned_rows`, in the same order."""
        if self.consensus == "edge":
            return self._pattern[0]  # rows are in the order of the edges
        start, rows = self.owned_rows
        ends = self.consensus_matrix.indices.reshape(-1, 2)[rows].sum(axis=1)
        return _read_only((ends - np.repeat(np.arange(self.n_agents), np.diff(start))).astype(np.int32))

    @property
    def algebraic_connectivity(self) -> float:
        """The second smallest eigenvalue lambda_2 of the Laplacian; infinity for a single agent.

        Beyond 500 agents it is computed iteratively, to a relative error below 1e-6.
        """
        return self._laplacian_spectrum[0]

    @property
    def laplacian_spectral_radius(self) -> float:
        """The largest eigenvalue lambda_max of the Laplacian."""
        return self._laplacian_spectrum[1]

    def mixing_matrix(self, kind: str = "metropolis", *, tau: float | None = None) -> Matrix:
        """Return a symmetric matrix W with W 1 = 1 and nonzeros only between neighbours and on the diagonal.

        All eigenvalues of W but the single 1 lie strictly between -1 and 1, so ``X <- W @ X`` averages.

        Parameters
        ----------
        kind : {"metropolis", "lazy-metropolis", "max-degree", "laplacian", "best-constant"}, optional
            With d_i the degrees, Omega the Laplacian and lambda_2, lambda_max its extreme nonzero eigenvalues:

            * ``"metropolis"``: W_ij = 1 / (1 + max(d_i, d_j)) for neighbours. Needs only local knowledge.
            * ``"lazy-metropolis"``: (I + W) / 2 with the Metropolis W; positive semidefinite.
            * ``"max-degree"``: I - Omega / (1 + max_i d_i).
            * ``"laplacian"``: I - Omega / tau.
            * ``"best-constant"``: I - 2 Omega / (lambda_2 + lambda_max), the fastest with one weight for all edges.
        tau : float, optional
            For ``"laplacian"`` only; more than lambda_max / 2. By default 3/4 lambda_max, which keeps the eigenvalues
            of W above -1/3; methods that need a W that is not close to -I profit.

        Returns
        -------
        (N, N) csr_array

        Raises
        ------
        InvalidOptionError
            If `kind` is not known, or `tau` is too small or given for another kind.

        References
        ----------
        L. Xiao and S. Boyd, Fast linear iterations for distributed averaging, Systems & Control Letters 53 (2004).

        Examples
        --------
        >>> import fastadapd as fa
        >>> fa.Network([(0, 1), (1, 2)]).mixing_matrix("max-degree").toarray().round(3)
        array([[0.667, 0.333, 0.   ],
               [0.333, 0.333, 0.333],
               [0.   , 0.333, 0.667]])
        """
        step, generator = self._generator(kind, tau)
        return (sp.eye_array(self.n_agents) - step * generator).tocsr()

    def slem(self, kind: str = "metropolis", *, tau: float | None = None) -> float:
        """Return the second largest eigenvalue modulus of a mixing matrix: the factor by which one step contracts.

        Parameters
        ----------
        kind, tau
            As in `mixing_matrix`.

        Returns
        -------
        float
            In [0, 1); zero for a single agent.

        Raises
        ------
        InvalidOptionError
            As in `mixing_matrix`.

        Examples
        --------
        >>> import fastadapd as fa
        >>> round(fa.Network([(0, 1), (1, 2), (2, 3)]).slem("best-constant"), 4)
        0.7071
        """
        step, generator = self._generator(kind, tau)
        if self.n_agents == 1:
            return 0.0
        smallest, largest = self._laplacian_spectrum if generator is self.laplacian else self._metropolis_spectrum
        return max(abs(1 - step * smallest), abs(1 - step * largest))

    def spectral_gap(self, kind: str = "metropolis", *, tau: float | None = None) -> float:
        """Return 1 - SLEM of a mixing matrix, see `slem`.

        Parameters
        ----------
        kind, tau
            As in `mixing_matrix`.

        Returns
        -------
        float
            In (0, 1].

        Raises
        ------
        InvalidOptionError
            As in `mixing_matrix`.

        Examples
        --------
        >>> import fastadapd as fa
        >>> round(fa.Network([(0, 1), (1, 2), (2, 0)]).spectral_gap("max-degree"), 12)
        1.0
        """
        return 1 - self.slem(kind, tau=tau)

    def _generator(self, kind: str, tau: float | None = None) -> tuple[float, Matrix]:
        """Return (s, M) with W = I - s M: all mixing matrices are steps along two Laplacians, so share two spectra."""
        if kind not in _MIXING:
            raise InvalidOptionError(f"kind={kind!r} is not known: choose one of {_quoted(_MIXING)}")
        if tau is not None and kind != "laplacian":
            raise InvalidOptionError(f"tau={tau!r} is for kind='laplacian' only, but kind={kind!r}: leave it out")
        if kind == "metropolis":
            return 1.0, self._metropolis
        if kind == "lazy-metropolis":
            return 0.5, self._metropolis
        if kind == "max-degree":
            return 1 / (1 + int(self.degrees.max())), self.laplacian
        smallest, largest = self._laplacian_spectrum
        if kind == "best-constant":
            return 2 / (smallest + largest), self.laplacian
        if tau is None:
            tau = 0.75 * largest if self.n_agents > 1 else 1.0
        elif not tau > largest / 2:
            raise InvalidOptionError(
                f"tau={tau!r} must be more than lambda_max / 2 = {largest / 2:.6g} of the Laplacian"
            )
        return 1 / tau, self.laplacian

    @cached_property
    def _metropolis(self) -> Matrix:
        """I - W for the Metropolis weights, itself a weighted Laplacian."""
        tail = np.repeat(np.arange(self.n_agents), self.degrees)
        return _weighted_laplacian(
            self._weighted(1 / (1.0 + np.maximum(self.degrees[tail], self.degrees[self._pattern[0]])))
        )

    def _weighted(self, weights: npt.NDArray[np.float64]) -> Matrix:
        """The (N, N) matrix of these weights of pairs of neighbours."""
        return _read_only(sp.csr_array((weights, *self._pattern), shape=(self.n_agents, self.n_agents)))

    def _incidence(self) -> Matrix:
        start = np.arange(0, 2 * self.n_edges + 1, 2, dtype=_index_type(2 * self.n_edges))
        parts = np.tile([1.0, -1.0], self.n_edges), self.edges.ravel(), start
        return sp.csr_array(parts, shape=(self.n_edges, self.n_agents))

    @cached_property
    def _laplacian_spectrum(self) -> tuple[float, float]:
        return extreme_eigenvalues(self.laplacian)

    @cached_property
    def _metropolis_spectrum(self) -> tuple[float, float]:
        return extreme_eigenvalues(self._metropolis)


# ---- Reading what the user gave ----


def _read_graph(graph: Any, n_agents: int | None) -> tuple[Matrix, Labels]:
    """Return the adjacency matrix (ones, symmetric, sorted, no diagonal) and the labels of any kind of graph."""
    if n_agents is not None:
        try:
            n_agents = operator.index(n_agents)
        except TypeError:
            raise InvalidNetworkError(f"n_agents={n_agents!r} must be an integer") from None
        if n_agents < 1:
            raise InvalidNetworkError(f"n_agents={n_agents} must be at least 1")
    labels = None
    networkx = sys.modules.get("networkx")  # who has a networkx graph has imported networkx
    if networkx is not None and isinstance(graph, networkx.Graph):
        labels = list(graph.nodes)
        pairs = _networkx_pairs(graph, labels)
        adjacency = _adjacency(pairs, len(labels))
    elif sp.issparse(graph):
        adjacency = _sparse_pattern(graph)
    else:
        pairs = _integer_pairs(graph)
        if n_agents is None:
            if not len(pairs):
                raise InvalidNetworkError("graph is empty: give at least one edge, or n_agents=1 for a single agent")
            n_agents = int(pairs.max()) + 1
        _check_pairs(pairs, n_agents)
        adjacency = _adjacency(pairs, n_agents)
    found = adjacency.shape[0]
    if found == 0:
        raise InvalidNetworkError("graph is empty: a network needs at least one agent")
    if n_agents not in (None, found):
        raise InvalidNetworkError(f"n_agents={n_agents}, but graph has {found} nodes: leave n_agents out")
    loops = np.flatnonzero(adjacency.diagonal())
    if len(loops):
        raise InvalidNetworkError(
            f"graph has a self-loop at {_named(loops, labels)}: leave it out, agents know themselves"
        )
    return adjacency, labels


def _networkx_pairs(graph: Any, labels: list[Any]) -> Ints:
    if graph.is_directed():
        raise InvalidNetworkError(
            "graph is directed, but neighbours must hear each other: convert it with graph.to_undirected()"
        )
    number = {node: i for i, node in enumerate(labels)}
    return np.array([(number[u], number[v]) for u, v in graph.edges()], dtype=np.int64).reshape(-1, 2)


def _integer_pairs(graph: Any) -> Ints:
    try:
        graph = graph if isinstance(graph, np.ndarray) else list(graph)
        pairs = np.asarray(graph)
    except (TypeError, ValueError):  # not a sequence, or a ragged one
        pairs = np.empty(())
    if pairs.shape == (0,):
        pairs = np.empty((0, 2), dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        shape = f" of shape {pairs.shape}" if pairs.ndim else ""
        raise InvalidNetworkError(
            "graph must be a networkx graph, a SciPy sparse adjacency matrix or a list of pairs, "
            f"not {type(graph).__name__}{shape}; wrap a dense adjacency matrix in scipy.sparse.csr_array"
        )
    if pairs.dtype.kind not in "iu":
        given = graph.tolist() if isinstance(graph, np.ndarray) else graph
        bad = next((pair for pair in given if not all(isinstance(i, Integral) for i in pair)), given[0])
        raise InvalidNetworkError(
            f"graph: the agents of an edge must be integers, but those of {tuple(bad)} are not; "
            "number your nodes from 0, or give a networkx graph, which may have any labels"
        )
    return pairs.astype(np.int64, copy=False)


def _check_pairs(pairs: Ints, n_agents: int) -> None:
    outside = np.flatnonzero(((pairs < 0) | (pairs >= n_agents)).any(axis=1))
    if len(outside):
        raise InvalidNetworkError(
            f"graph: edge {tuple(pairs[outside[0]].tolist())} in position {outside[0]} is out of range: "
            f"agents are numbered from 0 to n_agents - 1 = {n_agents - 1}"
        )
    # Before anything of length N is allocated: an index like 10**12 is a label, not a number of agents.
    if n_agents > max(1, 2 * len(pairs)):
        present = np.unique(pairs)
        missing = np.setdiff1d(np.arange(len(present) + 1), present)
        raise InvalidNetworkError(
            f"graph is not connected: its edges name {len(present)} of {n_agents} agents, and {_named(missing[:1])} "
            "has no neighbour. Number the agents from 0 without gaps"
        )


def _adjacency(pairs: npt.NDArray[Any], n_agents: int) -> Matrix:
    i, j = pairs.astype(_index_type(max(n_agents, 2 * len(pairs)))).T
    ends = np.concatenate((i, j)), np.concatenate((j, i))
    pattern = np.ones(2 * len(pairs), dtype=np.int8)
    return _ones(sp.coo_array((pattern, ends), shape=(n_agents, n_agents)).tocsr())


def _sparse_pattern(graph: Any) -> Matrix:
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise InvalidNetworkError(f"graph: an adjacency matrix must be square, but this one has shape {graph.shape}")
    pattern = sp.csr_array(graph, copy=True)
    pattern.sum_duplicates()
    if pattern.dtype.kind in "fc" and not np.isfinite(pattern.data).all():
        rows = _rows_of(pattern)[~np.isfinite(pattern.data)]
        raise InvalidNetworkError(f"graph: the adjacency matrix is not finite in {_listed('row', np.unique(rows))}")
    pattern.eliminate_zeros()
    transposed = pattern.tocsc()
    if not (np.array_equal(pattern.indptr, transposed.indptr) and np.array_equal(pattern.indices, transposed.indices)):
        one_way = _ones(pattern) - _ones(pattern).T
        i, j = (int(index[0]) for index in (one_way > 0).nonzero())
        raise InvalidNetworkError(
            f"graph: the adjacency matrix has entry ({i}, {j}) but not ({j}, {i}); neighbours must hear each other, "
            "so make it symmetric with graph + graph.T"
        )
    return _ones(pattern)


def _read_consensus(matrix: Any, adjacency: Matrix, labels: Labels) -> tuple[Matrix, Literal["edge", "node"]]:
    """Check a user's consensus matrix; return a copy of it and its form."""
    n_agents = adjacency.shape[0]
    try:
        matrix = matrix if sp.issparse(matrix) else np.asarray(matrix)
    except ValueError as error:
        raise InvalidNetworkError(f"consensus is not a matrix: {error}") from None
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise InvalidNetworkError(
            f"consensus must be a real matrix or one of {_quoted(_CONSENSUS)}; "
            f"got an array of shape {matrix.shape} and dtype {matrix.dtype}"
        )
    if matrix.shape[1] != n_agents:
        raise InvalidNetworkError(
            f"consensus: a matrix needs one column for each of the {n_agents} agents, but its shape is {matrix.shape}"
        )
    b = _compact(sp.csr_array(matrix, dtype=np.float64, copy=True))
    b.sum_duplicates()
    bad = np.unique(_rows_of(b)[~np.isfinite(b.data)])
    if len(bad):
        raise InvalidNetworkError(f"consensus: the matrix is not finite in {_listed('row', bad)}")
    b.eliminate_zeros()
    sums: Any = b.sum(axis=1)
    bad = np.flatnonzero(np.abs(sums) > _ROUNDING * abs(b).sum(axis=1))
    if len(bad):
        raise InvalidNetworkError(
            f"consensus: the rows of the matrix must sum to zero, unlike {_listed('row', bad)} "
            f"(row {bad[0]}: {sums[bad[0]]:.3g}); correct the diagonal, or give I - W for a mixing matrix W"
        )
    if b.shape[0] == n_agents and abs(b - b.T).max() <= _ROUNDING * abs(b).max():
        symmetric: Matrix = ((b + b.T) * 0.5).tocsr()
        _check_node_form(symmetric, adjacency, labels)
        return symmetric, "node"
    _check_edge_form(b, adjacency, labels)
    return b, "edge"


def _check_node_form(b: Matrix, adjacency: Matrix, labels: Labels) -> None:
    off_diagonal = b - sp.diags_array(b.diagonal()).tocsr()
    _check_joins(off_diagonal, adjacency, labels)
    # Weights of one sign make a Laplacian, whose null space is that of its graph. Other weights can cancel.
    if not (np.all(off_diagonal.data < 0) or np.all(off_diagonal.data > 0)):
        dimension = _null_space_dimension(b)
        if dimension > 1:
            raise InvalidNetworkError(
                f"consensus: the null space of the matrix has dimension {dimension}, as weights of both signs cancel, "
                "so B X = 0 would not make the agents agree; use weights of one sign"
            )


def _check_edge_form(b: Matrix, adjacency: Matrix, labels: Labels) -> None:
    bad = np.flatnonzero(np.diff(b.indptr) != 2)
    if len(bad):
        raise InvalidNetworkError(
            "consensus: a matrix must be symmetric, or have two nonzeros a and -a in each row, one row per edge; this "
            f"{b.shape[0]} x {b.shape[1]} matrix is not symmetric and has another number of nonzeros in "
            f"{_listed('row', bad)}"
        )
    pairs = b.indices.reshape(-1, 2)
    joins = _adjacency(pairs, b.shape[1])
    if joins.nnz < 2 * len(pairs):
        _, first, edge = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        row = np.flatnonzero(first[edge] != np.arange(len(pairs)))[0]
        raise InvalidNetworkError(
            f"consensus: rows {first[edge][row]} and {row} of the matrix are for the same edge, between "
            f"{_named(pairs[row], labels)}; drop one of them"
        )
    _check_joins(joins, adjacency, labels)


def _check_joins(joins: Matrix, adjacency: Matrix, labels: Labels) -> None:
    """Check which agents a consensus matrix joins: only neighbours, and in the end all."""
    pattern = _ones(joins)
    stray = pattern - pattern.multiply(adjacency)
    if stray.nnz:
        pair = np.array([index[0] for index in stray.nonzero()])
        raise InvalidNetworkError(
            f"consensus: the matrix joins {_named(pair, labels)}, but the graph has no edge between them; "
            "set the entry to zero or add the edge"
        )
    _check_connected(
        pattern,
        labels,
        "consensus: the null space of the matrix is larger than the span of ones, as it does not join all agents",
        "Add nonzeros on edges between the components",
    )


def _check_connected(pattern: Matrix, labels: Labels, problem: str, remedy: str) -> None:
    """Raise unless the graph of a matrix with symmetric pattern is connected."""
    from scipy.sparse.csgraph import connected_components  # late: a good part of the time to import fastadapd

    # In a symmetric pattern the strong components are the components, and need no transposed copy to be found.
    count, component = connected_components(pattern, directed=True, connection="strong")
    if count > 1:
        sizes = np.bincount(component)
        smallest = np.flatnonzero(component == sizes.argmin())
        if labels is None and count == 2 and smallest.tolist() == [0]:
            remedy += "; agents are numbered from 0, not from 1"
        largest_first = ", ".join(map(str, np.sort(sizes)[::-1][:5].tolist())) + ", ..." * (count > 5)
        raise InvalidNetworkError(
            f"{problem}: {count} components of sizes {largest_first}; "
            f"the smallest is {_named(smallest, labels)}. {remedy}"
        )


# ---- Small parts ----


def _read_only(array: T) -> T:
    whole: Any = array
    for part in (whole.data, whole.indices, whole.indptr) if hasattr(whole, "indptr") else (whole,):
        part.flags.writeable = False
    return array


def _ones(matrix: Any) -> Matrix:
    """A matrix of ones with the pattern of a csr_array."""
    return _compact(sp.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape))


def _compact(matrix: Matrix) -> Matrix:
    """The same matrix with 32-bit indices, unless it is too large; they may be shared."""
    index = _index_type(max(matrix.nnz, *matrix.shape))
    matrix.indices, matrix.indptr = matrix.indices.astype(index, copy=False), matrix.indptr.astype(index, copy=False)
    return matrix


def _index_type(largest: int) -> type[np.signedinteger[Any]]:
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


def _rows_of(matrix: Any) -> Ints:
    """The row of each stored entry of a csr_array."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))


def _listed(noun: str, items: Any, limit: int = 5) -> str:
    """A noun and the first of the items: 'rows 0, 4, 7'."""
    shown = ", ".join(map(str, list(items[:limit])))
    return f"{noun}{'s' * (len(items) > 1)} {shown}" + f", ... ({len(items)} in all)" * (len(items) > limit)


def _named(agents: npt.NDArray[Any], labels: Labels = None) -> str:
    numbers = agents.tolist()
    if labels is None:
        return _listed("agent", numbers)
    return _listed("agent", [i if labels[i] == i else f"{i} (node {labels[i]!r})" for i in numbers])


# ---- Eigenvalues ----


def _weighted_laplacian(weights: Matrix) -> Matrix:
    return (sp.diags_array(weights.sum(axis=1)) - weights).tocsr()


def _null_space_dimension(b: Matrix) -> int:
    """Count the eigenvalues of a symmetric matrix that are zero up to rounding; a large matrix is counted up to 2."""
    scale = float(abs(b).max())
    if b.shape[0] <= _DENSE_NULL_SPACE:
        spectrum = np.linalg.eigvalsh(b.toarray())
    else:
        from scipy.sparse.linalg import eigsh

        spectrum = eigsh(b, k=2, sigma=1e-8 * scale, return_eigenvectors=False)
    return int(np.count_nonzero(np.abs(spectrum) <= _ROUNDING * scale))
