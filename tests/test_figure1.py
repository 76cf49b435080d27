"""The command line, the localization problem, and the experiment in small."""

import csv
import io
import sys
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest

import fastadapd as fa
from fastadapd import cli, gallery

pytest.importorskip("cvxpy")
pytest.importorskip("matplotlib")

from fastadapd import figure1, plotting

SMALL = ["figure1", "--agents", "8", "--dim", "4", "--edges", "6", "--seeds", "2", "--communications", "15999"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Output directory and printed text of a small run."""
    out = tmp_path_factory.mktemp("figure1") / "made" / "here"
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert cli.main([*SMALL, "--out", str(out)]) == 0
    return out, printed.getvalue()


@pytest.fixture(scope="module")
def rows(small):
    with (small[0] / "figure1.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_is_tidy(rows):
    assert tuple(rows[0]) == ("curve", "seed", "communications", "floats_sent", "suboptimality", "infeasibility",
                              "consensus_violation", "residual", "fun")
    assert {row["curve"] for row in rows} == set(figure1.CURVES)
    counts = {curve: [int(row["communications"]) for row in rows if row["curve"] == curve] for curve in figure1.CURVES}
    assert len({len(each) for each in counts.values()}) == 1
    for curve, each in counts.items():
        assert each[0] == 8 and all(count % 8 == 0 for count in each)
        # the sums over all agents of the adaptive method come on top
        assert each[-1] > 16_000 if curve == figure1.ADAPTIVE else each[-1] == 16_000


def test_adaptive_beats_the_theory_at_the_end(rows):
    def last(curve):
        final = {row["seed"]: row for row in rows if row["curve"] == curve}
        return max(float(row[measure]) for row in final.values() for measure in plotting.MEASURES)

    assert last(figure1.ADAPTIVE) < 1e-6
    assert last(figure1.ADAPTIVE) < 1e-3 * min(last(figure1.PAPER), last(figure1.THEORY))
    assert last(figure1.TUNED) < 1e-4


def test_table_is_printed(small):
    _, text = small
    table = text.split("communications  ", 1)[1].split("\n\n")[0].splitlines()[1:]
    assert len(table) == 12
    assert table[-1].split()[0] == "16,000"
    assert all(any(word in line for word in ("AD-APD", "DPDA-S", "even")) for line in table)
    assert "communications to" in text and "numbers sent to" in text and "figure1.png" in text and "nan" not in text


def test_table_agrees_with_the_csv(small, rows):
    errors = {}
    for row in rows:
        largest = max(float(row[measure]) for measure in plotting.MEASURES)
        errors.setdefault((row["curve"], row["seed"]), []).append((int(row["communications"]), largest))
    table = small[1].split("communications  ", 1)[1].split("\n\n")[0].splitlines()[1:]
    for line in table:
        count, *shown = line.replace(",", "").split()[:5]
        for curve, value in zip(figure1.CURVES, shown, strict=True):
            seeds = [np.log(np.array(points).T) for (name, _), points in errors.items() if name == curve]
            expected = np.median([np.exp(np.interp(np.log(float(count)), *points)) for points in seeds])
            assert float(value) == pytest.approx(expected, rel=0.06)  # two digits are shown


def test_picture_is_a_png(small):
    assert (small[0] / "figure1.png").read_bytes().startswith(b"\x89PNG")


def test_same_seeds_same_csv(small, tmp_path, capsys):
    assert cli.main([*SMALL, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "figure1.csv").read_bytes() == (small[0] / "figure1.csv").read_bytes()
    assert "100%" in capsys.readouterr().err  # the progress bar


@pytest.mark.parametrize(("arguments", "option"), [
    (["--agents", "1"], "--agents"),
    (["--agents", "many"], "--agents"),
    (["--dim", "0"], "--dim"),
    (["--edges", "-1"], "--edges"),
    (["--agents", "6", "--edges", "10"], "--edges"),
    (["--seeds", "0"], "--seeds"),
    (["--seeds", "1.5"], "--seeds"),
    (["--communications", "29"], "--communications"),
    (["--engine", "gpu"], "--engine"),
    (["--out", __file__], "--out"),
])
def test_wrong_options(arguments, option, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["figure1", *arguments])
    message = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"argument {option}:" in message and message.count("\n") == 1


@pytest.mark.parametrize("package", ["cvxpy", "clarabel", "matplotlib"])
def test_missing_package(package, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.main(["figure1", "--out", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "pip install 'fastadapd[figures]'" in message and package in message and message.count("\n") == 1


def test_interrupted(monkeypatch, tmp_path, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(figure1, "solve_centralized", lambda *_, **__: interrupt())
    assert cli.main([*SMALL, "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err.endswith("fastadapd: interrupted\n")


def test_info_and_version(capsys):
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert fa.__version__ in text and "numpy" in text and "engine c" in text
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and fa.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2


# -- the problem ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_slater_point_is_strictly_feasible(seed):
    case = gallery.localization(12, 6, rng=seed)
    (group,) = case.problem.constraints
    np.testing.assert_allclose(group.term.value(case.slater_point), -0.1, rtol=1e-9)
    assert (np.abs(case.slater_point) < 10).all()
    optimum = fa.solve_centralized(case.problem)
    total = sum(theta.sum() for theta in optimum.multipliers)
    assert 0 < total < fa.slater_bound(case.problem, case.slater_point)
    assert case.problem.values(case.slater_point).sum() >= optimum.fun


def test_localization_repeats_with_its_seed():
    one, two = (gallery.localization(5, 3, rng=rng) for rng in (7, np.random.default_rng(7)))
    np.testing.assert_array_equal(one.target, two.target)
    np.testing.assert_array_equal(one.problem.constraints[0].term.P, two.problem.constraints[0].term.P)
    with pytest.raises(fa.InvalidProblemError, match="n_agents=0"):
        gallery.localization(0)


# -- the parts --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results():
    case = gallery.localization(6, 3, rng=0)
    network = fa.Network(fa.graphs.small_world(6, 3, rng=0))
    return [fa.solve(case.problem, network, rng=seed, record=60, max_epochs=200) for seed in range(3)]


def with_errors(result, counts, errors, **changes):
    history = {name: np.zeros(len(counts)) for name in result.history}
    counts = np.asarray(counts)
    history |= {"communications": counts, "floats_sent": 6 * counts, "infeasibility": np.asarray(errors, dtype=float)}
    return replace(result, history=history, **changes)


def test_what_is_needed(results):
    run = with_errors(results[0], [10, 100, 1000, 10_000], [1e-3, 1.0, 1e-2, 0.0])
    assert figure1.needed(run, 0.1) == pytest.approx(100 * np.sqrt(10))  # not 10: it went up again
    assert 1000 < figure1.needed(run, 1e-4) < 1100
    assert figure1.needed(run, 2.0) == 10
    assert figure1.needed(with_errors(run, [10, 100], [1.0, 1.0]), 0.1) == np.inf
    assert figure1.needed(with_errors(run, [10, 100], [1, 1e-9], status=fa.Status.DIVERGED), 0.1) == np.inf


def test_report_survives_runs_that_diverged(results):
    counts = np.array([10, 100, 1000])
    fine = with_errors(results[0], counts, [1.0, 1e-3, 1e-5])
    broken = with_errors(results[0], counts[:1], [np.nan], status=fa.Status.DIVERGED)
    labels = dict(zip(figure1.CURVES, ([fine], [broken], [broken], [fine]), strict=True))
    text = figure1.report(labels, counts)
    assert "nan" not in text and "inf" not in text.replace("infeas", "")
    plotting.convergence(labels)


def test_convergence_draws_what_it_is_given(results, tmp_path):
    path = tmp_path / "picture.svg"
    figure = plotting.convergence({"many": results, "one": results[0]}, ["residual", "infeasibility"], path=path,
                                  styles={"one": {"color": "k"}}, title="both")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Residual", "Infeasibility"]
    many, one = figure.axes[0].lines
    assert one.get_color() == "k" and len(figure.axes[0].collections) == 1
    counts = results[0].history["communications"]
    np.testing.assert_array_equal(one.get_xdata(), counts[counts > 0])
    np.testing.assert_allclose(one.get_ydata(), np.maximum(results[0].history["residual"][counts > 0], 1e-13))
    assert len(many.get_xdata()) == max(len(result.history["communications"][1:]) for result in results)
    assert path.read_text(encoding="utf-8").startswith("<?xml")


def test_convergence_takes_axes(results):
    from matplotlib.figure import Figure

    mine = Figure()
    assert plotting.convergence({"a": results}, ["fun"], axes=mine.add_subplot()) is mine
    with pytest.raises(fa.InvalidOptionError, match="1 panels for 3 measures"):
        plotting.convergence({"a": results}, axes=mine.axes)


@pytest.mark.parametrize(("given", "measures", "message"), [
    ({}, ["fun"], "empty"),
    ({"a": []}, ["fun"], "empty"),
    ("ok", ["regret"], "'regret' is not in the history"),
])
def test_convergence_says_what_is_wrong(results, given, measures, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        plotting.convergence({"a": results} if given == "ok" else given, measures)
