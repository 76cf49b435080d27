"""Network and graphs: against networkx, against closed forms, and every way to get a network wrong."""

import copy
import pickle
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fastadapd as fa
from fastadapd.errors import InvalidNetworkError, InvalidOptionError

NAMES = ["edge", "laplacian", "metropolis", "max-degree"]
KINDS = ["metropolis", "lazy-metropolis", "max-degree", "laplacian", "best-constant"]
PATH = [(0, 1), (1, 2)]
TRIANGLE = [(0, 1), (1, 2), (0, 2)]


def laplacian_of_triangle(a, b, c):
    return np.array([[a + c, -a, -c], [-a, a + b, -b], [-c, -b, b + c]])


def path(n):
    return np.column_stack((np.arange(n - 1), np.arange(1, n)))


@st.composite
def connected_edges(draw, max_agents=12):
    """A random tree, whose node numbers are shuffled, plus random edges, some of them twice."""
    n = draw(st.integers(2, max_agents))
    number = draw(st.permutations(range(n)))
    tree = [(number[i], number[draw(st.integers(0, i - 1))]) for i in range(1, n)]
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    return tree + draw(st.lists(pair, max_size=2 * n))


# ---- What is read ----


@given(connected_edges())
@settings(max_examples=60, deadline=None)
def test_every_kind_of_graph_gives_the_same_network(edges):
    graph = nx.Graph()
    graph.add_nodes_from(range(max(map(max, edges)) + 1))
    graph.add_edges_from(edges)
    adjacency = nx.to_scipy_sparse_array(graph, format="coo", dtype=np.int8)
    networks = [
        fa.Network(g) for g in (graph, nx.MultiGraph(graph), adjacency, edges, np.array(edges, dtype=np.uint16))
    ]
    for network in networks:
        assert network.n_agents == graph.number_of_nodes()
        assert network.n_edges == len(network.edges) == graph.number_of_edges()
        assert network.edges.tolist() == sorted(sorted(edge) for edge in graph.edges())
        np.testing.assert_array_equal(network.degrees, [graph.degree[i] for i in range(network.n_agents)])
        np.testing.assert_array_equal(network.adjacency.toarray(), adjacency.toarray())
        np.testing.assert_array_equal(network.laplacian.toarray(), nx.laplacian_matrix(graph).toarray())
        for i in range(network.n_agents):
            assert network.neighbors(i).tolist() == sorted(graph[i])
    assert [network.labels for network in networks[2:]] == [None] * 3


def test_agents_are_the_nodes_in_the_order_of_the_graph():
    graph = nx.Graph([("b", "a"), ("a", (1, 2))])
    network = fa.Network(graph)
    assert network.labels == ["b", "a", (1, 2)]
    assert network.edges.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array", "lil_array", "dok_array", "bsr_array"])
def test_only_the_pattern_of_a_sparse_matrix_counts(kind):
    dense = np.array([[0, 2.5, 0, 0], [-1, 0, 7, 0], [0, 3, 0, 1], [0, 0, 1, 0]])
    network = fa.Network(getattr(sp, kind)(dense))
    assert network.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert set(network.adjacency.data) == {1.0}


def test_a_matrix_with_stored_zeros_duplicates_and_wide_indices_is_read_and_left_alone():
    # A path whose ends 0 and 2 are joined by stored zeros; another is on the diagonal.
    data = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    indices = np.array([2, 1, 1, 0, 2, 0, 1, 0], dtype=np.int64)
    matrix = sp.csr_array((data, indices, np.array([0, 4, 6, 8], dtype=np.int64)), shape=(3, 3))
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    network = fa.Network(matrix)
    assert network.edges.tolist() == [[0, 1], [1, 2]]
    for part, old in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(part, old)
        assert part.flags.writeable
    assert network.adjacency.indices.dtype == network.adjacency.indptr.dtype == np.int32


def test_edge_lists_may_be_any_iterable_and_leave_the_number_of_agents_open():
    assert fa.Network(iter([(0, 1), (2, 1)])).n_agents == 3
    assert fa.Network({(0, 1), (1, 2)}, n_agents=3).n_agents == 3
    assert fa.Network(PATH, n_agents=np.int64(3)).n_edges == 2
    assert fa.Network(nx.path_graph(3), n_agents=3).n_edges == 2


@pytest.mark.parametrize("consensus", NAMES)
def test_a_single_agent_is_a_network(consensus):
    for graph in (nx.empty_graph(1), sp.csr_array((1, 1)), []):
        network = fa.Network(graph, consensus=consensus, n_agents=1)
        assert repr(network) == f"Network(1 agent, 0 edges, consensus={consensus!r})"
        assert network.edges.shape == (0, 2)
        assert network.consensus_matrix.shape == ((0, 1) if consensus == "edge" else (1, 1))
        assert network.consensus_matrix.nnz == 0
        assert network.owned_rows[0].tolist() == ([0, 0] if consensus == "edge" else [0, 1])
        assert (network.algebraic_connectivity, network.laplacian_spectral_radius) == (np.inf, 0.0)
        for kind in KINDS:
            assert network.mixing_matrix(kind).toarray().tolist() == [[1.0]]
            assert (network.slem(kind), network.spectral_gap(kind)) == (0.0, 1.0)
    assert fa.Network([], n_agents=1, consensus=[[0.0]]).form == "node"
    assert fa.Network([], n_agents=1, consensus=np.zeros((0, 1))).form == "edge"


def test_a_network_never_changes_and_survives_copies():
    network = fa.Network(nx.cycle_graph(5), consensus="metropolis")
    assert repr(network) == "Network(5 agents, 5 edges, consensus='metropolis')"
    with pytest.raises(AttributeError, match="never changes"):
        network.n_agents = 3
    with pytest.raises(AttributeError, match="never changes"):
        network.laplacian = None
    arrays = [network.edges, network.degrees, network.neighbors(0), *network.owned_rows]
    for matrix in (network.adjacency, network.laplacian, network.consensus_matrix):
        arrays += [matrix.data, matrix.indices, matrix.indptr]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    for twin in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        np.testing.assert_array_equal(twin.consensus_matrix.toarray(), network.consensus_matrix.toarray())
        assert repr(twin) == repr(network)
    network.mixing_matrix().data[:] = 0  # a matrix of the caller's own
    assert network.mixing_matrix().sum() == pytest.approx(5)


def test_neighbors_refuses_agents_that_are_not_there():
    network = fa.Network(PATH)
    for agent in (-1, 3):
        with pytest.raises(IndexError, match=rf"agent={agent} .*0 to 2"):
            network.neighbors(agent)
    with pytest.raises(TypeError):
        network.neighbors(1.5)


def test_network_needs_no_networkx():
    code = "import sys, fastadapd as fa; fa.Network([(0, 1)]); assert 'networkx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- The consensus matrix ----


@given(connected_edges(), st.sampled_from(NAMES))
@settings(max_examples=60, deadline=None)
def test_null_space_is_the_span_of_ones(edges, consensus):
    network = fa.Network(edges, consensus=consensus)
    b = network.consensus_matrix
    n = network.n_agents
    np.testing.assert_allclose(b @ np.ones(n), 0, atol=1e-15)
    assert np.linalg.matrix_rank(b.toarray()) == n - 1
    assert b.has_canonical_format
    assert (b.dtype, b.indices.dtype, b.indptr.dtype) == (np.float64, np.int32, np.int32)
    assert network.form == ("edge" if consensus == "edge" else "node")
    assert b.shape == (network.n_edges if consensus == "edge" else n, n)


@given(connected_edges(), st.sampled_from(NAMES))
@settings(max_examples=40, deadline=None)
def test_a_matrix_of_the_users_is_recognized(edges, consensus):
    named = fa.Network(edges, consensus=consensus)
    b = named.consensus_matrix
    for matrix, sign in (
        (b, 1),
        (b.tocoo(), 1),
        (sp.csc_matrix(b), 1),
        (b.toarray(), 1),
        (b.toarray().tolist(), 1),
        (-b, -1),
    ):
        network = fa.Network(edges, consensus=matrix)
        assert (network.consensus, network.form) == ("user", named.form)
        assert network.consensus_matrix.has_canonical_format
        np.testing.assert_array_equal(network.consensus_matrix.toarray(), sign * b.toarray())
        for mine, theirs in zip(network.owned_rows, named.owned_rows, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_edge_form_is_the_oriented_incidence_matrix_and_both_ends_own_a_row():
    graph = nx.erdos_renyi_graph(20, 0.3, seed=4)
    network = fa.Network(graph)
    incidence = nx.incidence_matrix(graph, edgelist=network.edges.tolist(), oriented=True).T
    np.testing.assert_array_equal(network.consensus_matrix.toarray(), -incidence.toarray())
    np.testing.assert_array_equal((incidence.T @ incidence).toarray(), network.laplacian.toarray())
    start, rows = network.owned_rows
    assert (start.dtype, rows.dtype) == (np.int64, np.int32)
    for i in range(network.n_agents):
        assert rows[start[i] : start[i + 1]].tolist() == np.flatnonzero((network.edges == i).any(axis=1)).tolist()


@pytest.mark.parametrize("consensus", ["laplacian", "metropolis", "max-degree"])
def test_node_form_is_a_laplacian_or_identity_minus_mixing_and_agent_i_owns_row_i(consensus):
    network = fa.Network(nx.erdos_renyi_graph(20, 0.3, seed=4), consensus=consensus)
    expected = network.laplacian if consensus == "laplacian" else sp.eye_array(20) - network.mixing_matrix(consensus)
    np.testing.assert_allclose(network.consensus_matrix.toarray(), expected.toarray(), atol=1e-15)
    assert network.owned_rows[0].tolist() == list(range(21))
    assert network.owned_rows[1].tolist() == list(range(20))


def test_a_users_matrix_may_scale_edges_and_leave_some_out():
    b = np.array([[0, 2.0, -2.0], [-0.5, 0.5, 0]])
    network = fa.Network(TRIANGLE, consensus=b)
    np.testing.assert_array_equal(network.consensus_matrix.toarray(), b)
    assert network.form == "edge"
    assert [part.tolist() for part in network.owned_rows] == [[0, 1, 3, 4], [1, 0, 1, 0]]
    b[0] = 0
    assert network.consensus_matrix.sum() == 0
    assert network.consensus_matrix.nnz == 4


@pytest.mark.parametrize("n", [31, 2401])
def test_weights_of_both_signs_need_more_than_a_connected_graph(n):
    # A chain of triangles. The Laplacian of one with weights a, b, c loses rank where ab + bc + ca = 0.
    i = np.arange(0, n - 2, 2)
    edges = np.concatenate([np.column_stack(pair) for pair in ((i, i + 1), (i + 1, i + 2), (i, i + 2))])
    weights = np.concatenate((np.ones(2 * len(i)), np.full(len(i), -0.25)))
    network = fa.Network(edges)
    incidence = sp.csr_array(
        (np.tile([1.0, -1.0], len(edges)), edges.ravel(), np.arange(0, 2 * len(edges) + 1, 2)),
        shape=(len(edges), network.n_agents),
    )
    good = incidence.T @ sp.diags_array(weights) @ incidence
    assert fa.Network(edges, consensus=good).form == "node"
    weights[2 * len(i)] = -0.5
    bad = incidence.T @ sp.diags_array(weights) @ incidence
    with pytest.raises(InvalidNetworkError, match=r"null space .* dimension 2, as weights of both signs cancel"):
        fa.Network(edges, consensus=bad)


# ---- Spectra and mixing matrices ----


@given(connected_edges(), st.sampled_from(KINDS))
@settings(max_examples=60, deadline=None)
def test_mixing_matrices_are_symmetric_and_doubly_stochastic_and_contract(edges, kind):
    network = fa.Network(edges)
    w = network.mixing_matrix(kind)
    assert isinstance(w, sp.csr_array)
    w = w.toarray()
    np.testing.assert_array_equal(w, w.T)
    np.testing.assert_allclose(w.sum(axis=0), 1, atol=1e-14)
    assert not w[(network.adjacency + sp.eye_array(network.n_agents)).toarray() == 0].any()
    if kind in ("metropolis", "lazy-metropolis", "max-degree"):
        assert w.min() >= 0
    spectrum = np.linalg.eigvalsh(w)
    slem = max(abs(spectrum[0]), abs(spectrum[-2]))
    assert network.slem(kind) == pytest.approx(slem, abs=1e-12)
    assert network.spectral_gap(kind) == pytest.approx(1 - slem, abs=1e-12)
    assert slem < 1


def test_mixing_matrices_have_the_stated_entries():
    graph = nx.barbell_graph(4, 3)
    network = fa.Network(graph)
    omega = nx.laplacian_matrix(graph).toarray()
    eye, spectrum, degrees = np.eye(11), np.linalg.eigvalsh(omega), network.degrees
    metropolis = np.zeros((11, 11))
    for i, j in graph.edges:
        metropolis[i, j] = metropolis[j, i] = 1 / (1 + max(degrees[i], degrees[j]))
    metropolis += np.diag(1 - metropolis.sum(axis=0))
    expected = {
        "metropolis": metropolis,
        "lazy-metropolis": (eye + metropolis) / 2,
        "max-degree": eye - omega / (1 + degrees.max()),
        "laplacian": eye - omega / (0.75 * spectrum[-1]),
        "best-constant": eye - omega * 2 / (spectrum[1] + spectrum[-1]),
    }
    for kind in KINDS:
        np.testing.assert_allclose(network.mixing_matrix(kind).toarray(), expected[kind], atol=1e-14)
    assert network.slem("best-constant") == pytest.approx(
        (spectrum[-1] - spectrum[1]) / (spectrum[-1] + spectrum[1]), rel=1e-12
    )
    tau = 1.5 * spectrum[-1]
    np.testing.assert_allclose(network.mixing_matrix("laplacian", tau=tau).toarray(), eye - omega / tau, atol=1e-14)
    assert network.slem("laplacian", tau=tau) == pytest.approx(1 - spectrum[1] / tau, rel=1e-12)
    assert network.slem("laplacian", tau=0.51 * spectrum[-1]) == pytest.approx(1 / 0.51 - 1, rel=1e-12)  # .9608


def test_slem_in_closed_form():
    complete = fa.Network(nx.complete_graph(7))
    for kind in ("metropolis", "max-degree", "best-constant"):
        assert complete.slem(kind) == pytest.approx(0, abs=1e-14)
    assert complete.slem("lazy-metropolis") == pytest.approx(1 / 2)
    assert complete.slem("laplacian") == pytest.approx(1 / 3)
    n = 12
    cycle = fa.Network(nx.cycle_graph(n))
    smallest, largest = 2 - 2 * np.cos(2 * np.pi / n), 4
    for kind in ("metropolis", "max-degree", "laplacian"):  # here all of them are I - Omega / 3
        assert cycle.slem(kind) == pytest.approx(1 - smallest / 3)
    assert cycle.slem("lazy-metropolis") == pytest.approx(1 - smallest / 6)
    assert cycle.slem("best-constant") == pytest.approx((largest - smallest) / (largest + smallest))


def test_mixing_refuses_what_does_not_contract():
    network = fa.Network(nx.complete_graph(4))
    for method in (network.mixing_matrix, network.slem, network.spectral_gap):
        with pytest.raises(InvalidOptionError, match=r"kind='fastest' .*'lazy-metropolis'.*'best-constant'"):
            method("fastest")
        with pytest.raises(InvalidOptionError, match=r"tau=3 is for kind='laplacian' only"):
            method("metropolis", tau=3)
        for tau in (2.0, -1.0, np.nan):
            with pytest.raises(InvalidOptionError, match=r"tau=.* more than lambda_max / 2 = 2"):
                method("laplacian", tau=tau)


def test_eigenvalues_agree_with_networkx():
    graph = nx.connected_watts_strogatz_graph(40, 6, 0.3, seed=2)
    network = fa.Network(graph)
    assert network.algebraic_connectivity == pytest.approx(nx.algebraic_connectivity(graph, tol=1e-12), rel=1e-7)
    assert network.laplacian_spectral_radius == pytest.approx(nx.laplacian_spectrum(graph)[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("graph", "smallest", "largest"),
    [
        (path(3000), 4 * np.sin(np.pi / 6000) ** 2, 4 * np.cos(np.pi / 6000) ** 2),
        (nx.cycle_graph(2000), 4 * np.sin(np.pi / 2000) ** 2, 4),
        (nx.star_graph(999), 1, 1000),
        (nx.complete_graph(520), 520, 520),
        (nx.hypercube_graph(10), 2, 20),
        (
            nx.grid_2d_graph(40, 50),
            4 * np.sin(np.pi / 100) ** 2,
            4 * np.cos(np.pi / 80) ** 2 + 4 * np.cos(np.pi / 100) ** 2,
        ),
        (nx.complete_bipartite_graph(300, 400), 300, 700),
    ],
    ids=["path", "cycle", "star", "complete", "hypercube", "grid", "bipartite"],
)
def test_eigenvalues_of_large_graphs_in_closed_form(graph, smallest, largest):
    network = fa.Network(graph)
    assert network.algebraic_connectivity == pytest.approx(smallest, rel=1e-6)
    assert network.laplacian_spectral_radius == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize(
    "graph",
    [
        nx.random_labeled_tree(700, seed=1),
        nx.barabasi_albert_graph(700, 3, seed=1),
        nx.barbell_graph(150, 300),
        nx.random_regular_graph(3, 700, seed=1),
        fa.graphs.small_world(700, 50, rng=1),
    ],
    ids=["tree", "scale-free", "barbell", "regular", "small-world"],
)
def test_iterative_eigenvalues_agree_with_dense_ones(graph):
    network = fa.Network(graph)
    dense = np.linalg.eigvalsh(network.laplacian.toarray())
    assert network.algebraic_connectivity == pytest.approx(dense[1], rel=1e-6)
    assert network.laplacian_spectral_radius == pytest.approx(dense[-1], rel=1e-6)
    dense = np.linalg.eigvalsh(network.mixing_matrix().toarray())
    assert network.slem() == pytest.approx(max(dense[-2], -dense[0]), rel=1e-6)


# ---- What is refused ----


def loop(n, node):
    graph = nx.path_graph(n)
    graph.add_edge(node, node)
    return graph


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            nx.Graph([("a", "b"), ("c", "d"), ("d", "e")]),
            r"not connected: 2 components of sizes 3, 2; .*0 \(node 'a'\), 1",
        ),
        ([(0, 1), (2, 3), (3, 4)], "not connected: 2 components of sizes 3, 2; the smallest is agents 0, 1. Add edges"),
        ([(1, 2), (2, 3)], "components of sizes 3, 1; the smallest is agent 0.*numbered from 0, not from 1"),
        ([(0, 10**13)], "not connected: its edges name 2 of 10000000000001 agents, and agent 1 has no neighbour"),
        (sp.csr_array((9, 9)), r"9 components of sizes 1, 1, 1, 1, 1, \.\.\.; the smallest is agent 0"),
        (nx.disjoint_union(nx.cycle_graph(9), nx.cycle_graph(8)), r"agents 9, 10, 11, 12, 13, \.\.\. \(8 in all\)"),
        (nx.path_graph(3, create_using=nx.DiGraph), r"directed.*to_undirected"),
        (nx.path_graph(3, create_using=nx.MultiDiGraph), r"directed.*to_undirected"),
        (loop(3, 1), "self-loop at agent 1"),
        ([(0, 1), (1, 1), (0, 0)], "self-loop at agents 0, 1"),
        (nx.Graph([("a", "b"), ("b", "b")]), r"self-loop at agent 1 \(node 'b'\)"),
        (sp.eye_array(3) + sp.csr_array(np.ones((3, 3))), "self-loop at agents 0, 1, 2"),
        (nx.Graph(), "graph is empty"),
        (sp.csr_array((0, 0)), "graph is empty"),
        ([], "graph is empty.*n_agents=1"),
        (sp.csr_array(np.ones((2, 3))), r"square.*\(2, 3\)"),
        (sp.coo_array(np.ones(3)), r"square.*\(3,\)"),
        (sp.csr_array([[0, 1, 0], [1, 0, 0], [0, 1, 0]]), r"entry \(2, 1\) but not \(1, 2\).*symmetric"),
        (sp.csr_array([[0, 1, 0], [1, 0, np.nan], [0, 1, 0]]), "not finite in row 1"),
        ([(0, 1), (1, -2)], r"edge \(1, -2\) in position 1 is out of range"),
        ([(0, 1), (1, 2.5)], r"must be integers, but those of \(1, 2.5\)"),
        (np.array([(0.0, 1.0)]), r"must be integers, but those of \(0.0, 1.0\)"),
        (np.array([(True, False)]), r"must be integers, but those of \(True, False\)"),
        ([("a", "b")], r"must be integers, but those of \('a', 'b'\).*networkx"),
        (np.ones((3, 3)), r"not ndarray of shape \(3, 3\).*csr_array"),
        ([(0, 1, 5)], r"list of pairs, not list of shape \(1, 3\)"),
        ([(0, 1), (1,)], "list of pairs, not list;"),
        (5, "networkx graph, a SciPy sparse adjacency matrix or a list of pairs, not int"),
    ],
)
def test_graphs_that_are_refused(graph, message):
    with pytest.raises(InvalidNetworkError, match=message):
        fa.Network(graph)


@pytest.mark.parametrize(
    ("graph", "n_agents", "message"),
    [
        (PATH, 2, r"edge \(1, 2\) in position 1 is out of range.*n_agents - 1 = 1"),
        (PATH, 4, "not connected: 2 components of sizes 3, 1; the smallest is agent 3"),
        (PATH, 5, "name 3 of 5 agents, and agent 3 has no neighbour"),
        (nx.path_graph(3), 4, "n_agents=4, but graph has 3 nodes"),
        (PATH, 0, "n_agents=0 must be at least 1"),
        (PATH, 3.0, "n_agents=3.0 must be an integer"),
        ([], 2, "not connected: its edges name 0 of 2 agents"),
    ],
)
def test_numbers_of_agents_that_are_refused(graph, n_agents, message):
    with pytest.raises(InvalidNetworkError, match=message):
        fa.Network(graph, n_agents=n_agents)


@pytest.mark.parametrize(
    ("graph", "consensus", "message"),
    [
        (PATH, "edges", r"consensus='edges' is not known.*'edge', 'laplacian', 'metropolis', 'max-degree'"),
        (PATH, None, "consensus must be a real matrix or one of 'edge'"),
        (PATH, [1, -1, 0], r"real matrix.*shape \(3,\)"),
        (PATH, [[1, -1, 0], [1, -1]], "consensus is not a matrix"),
        (PATH, 1j * np.eye(3), "real matrix.*complex128"),
        (PATH, np.eye(2), r"one column for each of the 3 agents, .* \(2, 2\)"),
        (PATH, [[1, -1, 0], [0, np.nan, 0]], "not finite in row 1"),
        (PATH, [[np.inf, -1, 0], [0, np.nan, 0]], "not finite in rows 0, 1"),
        (PATH, [[1, -1, 0], [0, 1, -1.5]], r"must sum to zero, unlike row 1 \(row 1: -0.5\)"),
        (PATH, fa.Network(PATH).mixing_matrix(), "must sum to zero, unlike rows 0, 1, 2 .*give I - W"),
        (PATH, [[1, -1, 0], [1, 0, -1]], "joins agents 0, 2, but the graph has no edge"),
        (nx.Graph(["ab", "bc"]), laplacian_of_triangle(1, 1, 1), r"joins agents 0 \(node 'a'\), 2 \(node 'c'\), but"),
        (PATH, [[1, -1, 0], [0, 1, -1], [-2, 2, 0]], "rows 0 and 2 .* same edge, between agents 0, 1"),
        (TRIANGLE, [[1, -1, 0], [0, 1, -1], [2, -1, -1]], "symmetric, or have two nonzeros .* 3 x 3 .* in row 2"),
        (TRIANGLE, [[1, -1, 0], [0, 0, 0]], "two nonzeros .* 2 x 3 matrix is not symmetric .* in row 1"),
        (PATH, [[1, -1, 0]], "null space .*2 components of sizes 2, 1; the smallest is agent 2"),
        (PATH, np.zeros((0, 3)), "null space .*3 components of sizes 1, 1, 1"),
        (PATH, laplacian_of_triangle(1, 0, 0), "null space .*2 components of sizes 2, 1; the smallest is agent 2"),
        (PATH, np.zeros((3, 3)), "null space .*3 components of sizes 1, 1, 1"),
        (TRIANGLE, laplacian_of_triangle(1, 1, -0.5), "null space .* dimension 2"),
    ],
)
def test_consensus_that_is_refused(graph, consensus, message):
    with pytest.raises(InvalidNetworkError, match=message):
        fa.Network(graph, consensus=consensus)


# ---- graphs.small_world ----


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 9, 10])
def test_small_world_is_a_cycle_plus_chords_up_to_the_complete_graph(n):
    ring = {(i, (i + 1) % n) for i in range(n)} if n > 2 else {(0, 1)} if n == 2 else set()
    ring = {tuple(sorted(edge)) for edge in ring}
    most = n * (n - 1) // 2 - len(ring)
    for extra in range(most + 1):
        adjacency = fa.graphs.small_world(n, extra, rng=extra)
        assert isinstance(adjacency, sp.csr_array)
        assert adjacency.has_canonical_format
        network = fa.Network(adjacency)
        assert network.n_edges == len(ring) + extra
        assert ring <= set(map(tuple, network.edges.tolist()))
    with pytest.raises(InvalidNetworkError, match=rf"n_extra_edges={most + 1} must be between 0 and {most}"):
        fa.graphs.small_world(n, most + 1)


@pytest.mark.parametrize(("n", "chords"), [(6, 9), (7, 14)])
def test_small_world_draws_all_sets_of_chords_alike(n, chords):
    rng = np.random.default_rng(0)
    ring = fa.graphs.small_world(n, 0)
    draws = [sp.triu(fa.graphs.small_world(n, 2, rng=rng) - ring).tocoo() for _ in range(3000)]
    sets = {frozenset(zip(d.row.tolist(), d.col.tolist(), strict=True)) for d in draws}
    counts = np.zeros((n, n))
    for d in draws:
        counts[d.row, d.col] += 1
    assert len(sets) == chords * (chords - 1) // 2
    np.testing.assert_allclose(counts[counts > 0], 6000 / chords, rtol=0.2)
    assert np.count_nonzero(counts) == chords


def test_small_world_takes_a_seed_or_a_generator_and_checks_its_arguments():
    one, two = (fa.graphs.small_world(50, 40, rng=rng) for rng in (3, np.random.default_rng(3)))
    assert (one != two).nnz == 0
    assert (one != fa.graphs.small_world(50, 40, rng=4)).nnz
    assert nx.is_connected(nx.from_scipy_sparse_array(one))
    with pytest.raises(InvalidNetworkError, match="n_agents=0 must be at least 1"):
        fa.graphs.small_world(0, 0)
    with pytest.raises(InvalidNetworkError, match="n_extra_edges=-1 must be between 0 and 5"):
        fa.graphs.small_world(5, -1)
    with pytest.raises(TypeError):
        fa.graphs.small_world(5, 1.5)


def test_a_hundred_thousand_agents():
    n = 100_000
    adjacency = fa.graphs.small_world(n, n, rng=0)
    network = fa.Network(adjacency)
    assert (network.n_agents, network.n_edges) == (n, 2 * n)
    again = fa.Network(network.edges[::-1, ::-1], consensus="metropolis")
    np.testing.assert_array_equal(network.edges, again.edges)
    assert (network.adjacency != again.adjacency).nnz == 0
    b = network.consensus_matrix
    assert ((b.T @ b) != network.laplacian).nnz == 0
    start, rows = network.owned_rows
    np.testing.assert_array_equal(np.diff(start), network.degrees)
    np.testing.assert_array_equal(np.bincount(rows), 2)
    np.testing.assert_allclose(again.consensus_matrix @ np.ones(n), 0, atol=1e-15)
    assert fa.Network(adjacency, consensus=b).form == "edge"
    assert fa.Network(adjacency, consensus=network.laplacian).form == "node"
