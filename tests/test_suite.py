"""The convergence suite of bench/ on one small problem, so that it cannot rot."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cvxpy")
pytest.importorskip("matplotlib")

SUITE = Path(__file__).parents[1] / "bench" / "suite.py"


def test_one_family(tmp_path):
    arguments = ["--families", "ellipsoids", "--sizes", "10", "--seeds", "1", "--methods", "adaptive,dpda",
                 "--workers", "1", "--horizon", "2", "--cache", tmp_path / "optima", "--out",
                 tmp_path / "out", "--raise-errors"]
    done = subprocess.run([sys.executable, SUITE, *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "MPLBACKEND": "Agg"})
    assert done.returncode == 0, done.stderr
    assert "1 runs, 0 not solved, 0 falsely SOLVED" in done.stdout
    with (tmp_path / "out" / "suite.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["adaptive", "dpda theory", "dpda tuned"]
    assert rows[0]["status"] == "SOLVED" and float(rows[0]["error_x"]) <= 1e-4
    assert (tmp_path / "out" / "suite.txt").read_text(encoding="utf-8").strip() == done.stdout.strip()
    assert (tmp_path / "out" / "suite.png").read_bytes().startswith(b"\x89PNG")
