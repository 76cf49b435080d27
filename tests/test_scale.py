"""What keeps a million agents possible: no Python loop over agents, no spectrum, and shortcuts that change nothing."""

import gc
import pickle
import sys
import tracemalloc

import networkx as nx
import numpy as np
import pytest

import fastadapd as fa
from fastadapd import engines
from fastadapd.network import _DENSE_MATRIX
from fastadapd.result import PerAgent
from fastadapd.scaling import coordinate_units
from fastadapd.steps import smallest_multiplier


def arrays(N, n=3, seed=0):
    rng = np.random.default_rng(seed)
    far = np.column_stack((np.arange(N), (np.arange(N) + rng.integers(2, N - 1, N)) % N))
    edges = np.concatenate((np.column_stack((np.arange(N), (np.arange(N) + 1) % N)), far))
    return rng.standard_normal((N, 2, n)), rng.standard_normal((N, 2)), rng.standard_normal((N, 1, n)), edges


def whole_way(N, consensus, method):
    A, b, G, edges = arrays(N)
    problem = fa.Problem(fa.objectives.LeastSquares(A, b), fa.regularizers.Box(-5, 5),
                         fa.constraints.AffineInequality(G, np.ones((N, 1))))
    network = fa.Network(edges, consensus=consensus)
    solver = fa.Solver(problem, network, method=method, rng=0, tol=0)
    solver.run(25)
    result = solver.result()
    solver.update(network=fa.Network(arrays(N, seed=1)[-1], consensus=consensus))
    again = fa.Solver(problem, network, method=method, multipliers=result.multipliers, x0=result.x_agents)
    again.run(1)
    again.restore(again.checkpoint())
    return result


def python_calls(work):
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


@pytest.mark.parametrize("consensus, method", [("edge", "ad-apd"), ("laplacian", "ad-apd"), ("metropolis", "ad-apd"),
                                               ("laplacian", "dpda-s")])
def test_no_python_loop_over_agents_or_edges(consensus, method):
    whole_way(1000, consensus, method)  # imports and compiles
    few, many = (python_calls(lambda N=N: whole_way(N, consensus, method)) for N in (1000, 9000))
    assert many - few < 4000, (few, many)  # half a call for each of the 8000 agents more


def test_solve_asks_for_no_spectrum(monkeypatch):
    def refuse(laplacian):
        raise AssertionError("takes tens of seconds for a million agents")

    monkeypatch.setattr("fastadapd.network.extreme_eigenvalues", refuse)
    for consensus in ("edge", "laplacian", "metropolis", "max-degree"):
        assert whole_way(600, consensus, "ad-apd").epochs == 25
    with pytest.raises(AssertionError, match="tens of seconds"):
        _ = fa.Network([(0, 1)]).algebraic_connectivity


@pytest.mark.parametrize("N", [7, 90])
@pytest.mark.parametrize("consensus", ["edge", "laplacian", "metropolis", "user"])
def test_products_with_the_consensus_matrix(N, consensus):
    graph = nx.connected_watts_strogatz_graph(N, 4, 0.3, seed=1)
    rng = np.random.default_rng(0)
    if consensus == "user":
        consensus = fa.Network(graph).consensus_matrix.multiply(rng.uniform(0.5, 2, (graph.number_of_edges(), 1)))
    network = fa.Network(graph, consensus=consensus)
    B = network.consensus_matrix.toarray()
    assert (B.size <= _DENSE_MATRIX) == (N == 7)
    X, Y = rng.standard_normal((N, 3)), rng.standard_normal((len(B), 3))
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_array_equal(network.consensus_transpose.toarray(), B.T)
    np.testing.assert_allclose(network.multiply(X), B @ X, **close)
    np.testing.assert_allclose(network.transpose_multiply(Y), B.T @ Y, **close)
    np.testing.assert_allclose(network.consensus_weights[0], np.abs(B).sum(axis=0), **close)
    np.testing.assert_allclose(np.broadcast_to(network.consensus_weights[1], len(B)), np.abs(B).sum(axis=1), **close)
    smallest = np.linalg.lstsq(B.T, B.T @ Y, rcond=None)[0]
    np.testing.assert_allclose(smallest_multiplier(network, B.T @ Y, 1e-12, 1000), smallest, rtol=1e-8, atol=1e-8)


def test_edges_that_occur_often_count_once():
    network = fa.Network(np.repeat([[0, 1], [2, 1]], 256, axis=0))
    assert network.adjacency.toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


def test_one_array_per_agent():
    flat, ptr = np.arange(5.0), np.array([0, 2, 2, 5])
    theta = PerAgent(flat, ptr)
    expected = np.split(flat, ptr[1:-1])
    assert len(theta) == 3 and [t.tolist() for t in theta] == [t.tolist() for t in expected]
    assert theta[-1].tolist() == [2, 3, 4] and [t.size for t in theta[1:]] == [0, 3]
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            theta[beyond]
    np.testing.assert_array_equal(np.concatenate(theta), flat)
    np.testing.assert_array_equal(np.concatenate(pickle.loads(pickle.dumps(theta))), flat)


def equilibrated(table):
    """Ruiz: all rows to largest entry 1, then all columns to mean 1, 20 times; the powers of 2 that are nearest."""
    squared = np.ones(table.shape[1])
    for _ in range(20):
        scaled = table * squared
        squared /= (scaled / scaled.max(axis=1, keepdims=True)).mean(axis=0)
    units = np.exp2(np.round(0.5 * (np.log2(squared) - np.log2(squared).mean())))
    return units if units.max() > 10 * units.min() else None


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("N", [5, 5000])  # in one piece and in several
def test_units_of_the_coordinates(N, spread):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        units = 10 ** rng.uniform(-spread / 2, spread / 2, 4)
        A, G = rng.standard_normal((2, N, 2, 4)) / units
        problem = fa.Problem(fa.objectives.LeastSquares(A, np.zeros((N, 2))), None,
                             fa.constraints.AffineInequality(G, np.ones((N, 2))))
        rows = (G / np.linalg.norm(G, axis=2, keepdims=True)) ** 2
        expected = equilibrated(np.concatenate(((A**2).sum(axis=1), rows.sum(axis=1))))
        found = coordinate_units(problem)
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("consensus", ["edge", "laplacian"])
def test_memory_beside_the_state(consensus):
    """What is held, and held at most on the way to the first activation, over the bytes handed in."""
    if reason := engines.availability()["c"]:
        pytest.skip(reason)
    N, n, rng = 20_000, 10, np.random.default_rng(0)
    A, b, G, h = (rng.uniform(0.1, 1, shape) for shape in ((N, 1, n), (N, 1), (N, 1, n), (N, 1)))
    edges = np.concatenate([np.column_stack((np.arange(N), (np.arange(N) + k) % N)) for k in (1, 2, 3)])
    given = sum(array.nbytes for array in (A, b, G, h, edges))
    tracemalloc.start()
    try:
        problem = fa.Problem(fa.objectives.LeastSquares(A, b), None, fa.constraints.AffineInequality(G, h))
        solver = fa.Solver(problem, fa.Network(edges, consensus=consensus), engine="c", tol=0)
        solver.run(1 / N)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    state = sum(array.nbytes for array in solver.checkpoint()["state"].values())
    assert (held - state) / given < 3.3 and (most - state) / given < 4.4  # 4.1 and 5.1 with B stored by rows
