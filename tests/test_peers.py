"""The comparison with other packages of bench/, as far as it goes without them."""

import csv
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import fastadapd as fa

SCRIPT = Path(__file__).parents[1] / "bench" / "peers.py"


@pytest.fixture(scope="module")
def peers():
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def data(peers):
    return peers.draw(n_agents=8, dim=3, rows=4, seed=0, target=1e-4)


@pytest.fixture(scope="module")
def optimum(data):
    """From the normal equations."""
    return np.linalg.solve(sum(A.T @ A for A in data.A), sum(A.T @ b for A, b in zip(data.A, data.b, strict=True)))


def test_problem(data, optimum):
    np.testing.assert_allclose(data.optimum, optimum, rtol=1e-10)
    X = np.tile(optimum, (8, 1))
    X[0] += 3 * np.linalg.norm(optimum) * np.array([0.6, 0.0, -0.8])
    assert data.error(X) == pytest.approx(3 / np.sqrt(8))
    graph = nx.from_numpy_array(data.adjacency)
    assert nx.is_connected(graph) and set(map(tuple, data.edges.tolist())) == set(graph.edges)
    for i, j in graph.edges:
        assert data.weights[i, j] == data.weights[j, i] == 1 / (1 + max(graph.degree[i], graph.degree[j]))
    np.testing.assert_allclose(data.weights.sum(axis=1), 1)


@pytest.mark.parametrize("name", ["numpy_loop", "numpy_extra"])
def test_numpy_reaches_the_closed_form(peers, data, optimum, name):
    entry, = getattr(peers, name)(data)
    tuning = {"numpy_loop": "1", "numpy_extra": "0.6 / L"}[name]
    X = entry.start(data, entry.tunings[tuning], None)(5000)
    np.testing.assert_allclose(X, np.tile(optimum, (8, 1)), rtol=1e-9)


def test_loop_is_adapd(peers, data):
    weight, wakes = 2.0, np.random.default_rng(3).integers(8, size=40)
    steps = fa.FixedSteps(1 / (data.lipschitz + weight * data.degrees), 1.0, weight / 2)
    problem = fa.Problem(fa.objectives.LeastSquares(data.A, data.b))
    solver = fa.Solver(problem, fa.Network(data.edges), method=fa.methods.ADAPD(steps=steps), engine="numpy",
                       clock=wakes, tol=0.0)
    solver.run(5)
    np.testing.assert_allclose(peers.adapd(data, weight, wakes=wakes)(5), solver.result().x_agents, rtol=1e-10)


def test_reach_counts_the_updates(peers, data):
    entry, = peers.numpy_extra(data)
    step = entry.tunings["0.6 / L"]
    count = peers.reach(entry, data, step, 5000)
    run = entry.start(data, step, None)
    assert data.error(run(count)) <= data.target < data.error(run(count - 1))
    assert peers.reach(entry, data, step, count) == count
    assert peers.reach(entry, data, step, count - 1) is None
    assert peers.reach(entry, data, 100 * step, 5000) is None  # it diverges


@pytest.mark.skipif(os.name != "posix", reason="a shell script plays a broken interpreter")
def test_skips_and_failures_leave_the_rest(tmp_path):
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True, with_pip=False)
    python = bare / "bin" / "python"
    broken = tmp_path / "broken"  # knows all modules, and then fails
    broken.write_text("#!/bin/sh\n[ $1 = -c ] && exit 0\necho 'RuntimeError: out of order'\necho at once\nexit 1\n")
    broken.chmod(0o755)
    arguments = ["--agents", "8", "--dim", "3", "--rows", "4", "--out", tmp_path / "out", "--limit", "300",
                 "--peers", "tvopt,disropt,decent-bench,numpy-extra,fastadapd-numba,numpy-loop",
                 "--python", f"tvopt={python}", "--python", f"disropt={python}",
                 "--python", f"decent-bench={tmp_path / 'none'}", "--python", f"fastadapd-numba={broken}"]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "peers.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["peer"]: row for row in csv.DictReader(file)}
    assert rows["tvopt"]["note"] == (f"skipped: tvopt not installed for {python} "
                                     f"(pip install tvopt; --python tvopt=PATH for another interpreter)")
    assert rows["disropt"]["note"].startswith("skipped: disropt and mpi4py not installed")
    assert rows["decent-bench"]["note"].startswith(f"skipped: {tmp_path / 'none'} does not work")
    assert rows["fastadapd-numba"]["note"] == "failed: RuntimeError: out of order"
    for name in ("numpy-extra", "numpy-loop"):
        assert not rows[name]["note"] and float(rows[name]["error"]) <= 1e-4
        assert float(rows[name]["wall"]) > 0 and int(rows[name]["updates_per_agent"]) <= 300
    assert (tmp_path / "out" / "peers.txt").read_text(encoding="utf-8").strip() == done.stdout.strip()
    assert all(row["note"] in done.stdout for row in rows.values())
