"""The scripts of bench/ on small problems, so that they cannot rot."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastadapd as fa

pytest.importorskip("cvxpy")
pytest.importorskip("matplotlib")

BENCH = Path(__file__).parents[1] / "bench"


def run(script, folder, *arguments):
    """The rows of the CSV and the printed text, which must be what the script writes."""
    done = subprocess.run([sys.executable, BENCH / f"{script}.py", "--out", folder, *arguments], capture_output=True,
                          text=True, timeout=300, env={**os.environ, "MPLBACKEND": "Agg"})
    assert done.returncode == 0, done.stderr
    assert (folder / f"{script}.txt").read_text(encoding="utf-8").strip() == done.stdout.strip()
    with (folder / f"{script}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), done.stdout


def test_suite(tmp_path):
    rows, text = run("suite", tmp_path / "out", "--families", "ellipsoids", "--sizes", "10", "--seeds", "1",
                     "--methods", "adaptive,dpda", "--workers", "1", "--horizon", "2", "--cache", tmp_path / "optima",
                     "--raise-errors")
    assert "1 runs, 0 not solved, 0 falsely SOLVED" in text
    assert [row["method"] for row in rows] == ["adaptive", "dpda theory", "dpda tuned"]
    assert rows[0]["status"] == "SOLVED" and float(rows[0]["error_x"]) <= 1e-4
    assert (tmp_path / "out" / "suite.png").read_bytes().startswith(b"\x89PNG")


def test_against_cvxpy(tmp_path):
    rows, text = run("against_cvxpy", tmp_path, "--sizes", "12", "--seeds", "2", "--rounds", "1")
    assert "8 runs, 0 not solved" in text
    assert [row["method"] for row in rows] == 2 * ["fastadapd", "loop", "stacked", "Newton"]
    assert all(float(row["error_x"]) <= 1e-5 for row in rows)


def test_checks(tmp_path):
    (row,), _ = run("checks", tmp_path, "--sizes", "10", "--dims", "4", "--seeds", "1")
    assert row["status"] == "SOLVED" and 0 < float(row["share"]) < 1
    assert float(row["measures"]) > 0 and float(row["proofs"]) > 0 and float(row["activations"]) > 0


def test_proofs(tmp_path):
    rows, text = run("proofs", tmp_path, "--problems", "40", "--sizes", "2,10", "--workers", "1")
    assert "80 problems, 0 answers differ from HiGHS" in text
    assert {row["truth"] for row in rows} == {"SOLVED", "INFEASIBLE", "UNBOUNDED"}


def test_warm_start(tmp_path):
    rows, text = run("warm_start", tmp_path, "--families", "ellipsoids,lasso", "--sizes", "10", "--seeds", "1",
                     "--workers", "1")
    assert [(row["family"], row["kind"]) for row in rows] == [
        ("ellipsoids", "targets"), ("ellipsoids", "levels"), ("ellipsoids", "link"), ("lasso", "targets"),
        ("lasso", "link")]
    assert "0 warm failed" in text and "0 apart" in text
    assert all(float(row["moved"]) > 1e-4 for row in rows if row["kind"] != "link")


@pytest.fixture
def warm_start(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    return pytest.importorskip("warm_start")


def test_changes(warm_start):
    """Rebuilding changes nothing else, grown levels keep every solution, and one link is another one."""
    from suite import FAMILIES, fingerprint

    for name, draw in FAMILIES.items():
        case = draw(10, 0)
        assert fingerprint(warm_start.rebuilt(case.problem, lambda term: term)) == fingerprint(case.problem), name
    for name in ("several", "box", "merely_convex", "units_rows"):
        problem = FAMILIES[name](10, 0).problem
        x = fa.solve_centralized(problem).x
        grown = warm_start.rebuilt(problem, warm_start.grown_levels(np.random.default_rng(0), x))
        assert fingerprint(grown) != fingerprint(problem)
        for group in (*grown.constraints, *grown.regularizers):
            term, at = group.term, np.broadcast_to(x, (len(group.agents), len(x)))
            assert (term.distance(at) if hasattr(term, "distance") else term.value(at)).max() <= 1e-6, name
    for name, difference in (("graph_path", (1, 1)), ("graph_star", (1, 1)), ("graph_complete", (1, 0))):
        network = FAMILIES[name](10, 0).network
        other = warm_start.changed_link(np.random.default_rng(0), network)
        before, after = ({tuple(edge) for edge in n.edges.tolist()} for n in (network, other))
        assert (len(before - after), len(after - before)) == difference
