"""Clocks: their laws, and that a sequence never depends on how it is handed out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import fastadapd as fa
from fastadapd import clocks

RATES = [1.0, 2.0, 0.5, 4.0]
CLOCKS = {
    "uniform": clocks.Uniform(),
    "Poisson": clocks.Poisson(RATES),
    "shuffled": clocks.Shuffled(),
    "repeated": clocks.Repeated(),
    "repeated for longer than a block": clocks.Repeated(5000),
    "cyclic": clocks.Cyclic(),
    "recorded": clocks.Recorded(np.random.default_rng(1).integers(4, size=60_000)),
}
every = pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)


def stream(clock, n_agents=4, seed=0):
    return clocks.Stream(clocks.as_clock(clock), n_agents, np.random.default_rng(seed))


@every
@given(cuts=st.lists(st.integers(0, 40_000), max_size=5).map(sorted), saved=st.integers(0, 5))
@settings(max_examples=25)
def test_the_sequence_does_not_depend_on_how_it_is_cut_or_saved(clock, cuts, saved):
    whole, pieces = stream(clock).take(40_000), stream(clock)
    parts = []
    for k, (a, b) in enumerate(zip((0, *cuts), (*cuts, 40_000), strict=True)):
        if k == saved:
            kept, pieces = pieces.checkpoint(), stream(clock, seed=99)
            pieces.restore(kept)
        parts.append(pieces.take(b - a))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.int32 and len(whole) == 40_000


@every
def test_another_seed_is_another_sequence(clock):
    same = np.array_equal(stream(clock).take(100), stream(clock, seed=1).take(100))
    assert same == isinstance(clock, (clocks.Cyclic, clocks.Recorded))


@pytest.mark.parametrize(
    "clock, rates",
    [
        ("uniform", np.ones(4)),
        (clocks.Poisson(RATES), RATES),
        (clocks.Poisson([1e-300, 3e-300, 1e-300, 1e-300]), [1, 3, 1, 1]),
    ],
)
def test_frequencies(clock, rates):
    """Chi-square at the level 1e-6; the seed is fixed, so this passes always or never."""
    drawn = stream(clock).take(200_000)
    expected = np.asarray(rates) / np.sum(rates)
    assert chisquare(np.bincount(drawn, minlength=4), 200_000 * expected).pvalue > 1e-6
    # successive activations are independent
    pairs = np.bincount(4 * drawn[:-1:2] + drawn[1::2], minlength=16)
    assert chisquare(pairs, 100_000 * np.outer(expected, expected).ravel()).pvalue > 1e-6


@pytest.mark.parametrize("n_agents", [1, 3, 1000, 16_385, 40_000])
def test_shuffled_wakes_everyone_once_per_epoch(n_agents):
    epochs = stream("shuffled", n_agents).take(3 * n_agents).reshape(3, n_agents)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(n_agents), (3, 1)))
    assert n_agents < 4 or (epochs[0] != epochs[1]).any()


def test_shuffled_orders_are_equally_likely():
    orders = stream("shuffled", 3).take(3 * 60_000).reshape(-1, 3) @ [9, 3, 1]
    assert chisquare(np.unique(orders, return_counts=True)[1]).pvalue > 1e-6
    assert len(np.unique(orders)) == 6


@pytest.mark.parametrize("n_agents, epochs", [(1, 10), (3, 10), (20_000, 2), (3, 1)])
def test_repeated_draws_some_epochs_once(n_agents, epochs):
    period = n_agents * epochs
    drawn = stream(clocks.Repeated(epochs), n_agents).take(3 * period + 1)
    np.testing.assert_array_equal(drawn[period:], drawn[:-period])
    in_epochs = np.sort(drawn[:period].reshape(epochs, n_agents), axis=1)
    np.testing.assert_array_equal(in_epochs, np.tile(np.arange(n_agents), (epochs, 1)))
    assert stream("repeated", 7).take(140).tolist() == 2 * stream(clocks.Repeated(10), 7).take(70).tolist()


@pytest.mark.parametrize("clock", ["repeated", "cyclic", "shuffled", [0, 1, 2, 3] * 50])
def test_an_order_that_is_repeated_can_be_drawn_anew(clock):
    """In the middle of it, too; other clocks go on."""
    plain, renewed = stream(clock, 4), stream(clock, 4)
    before, same = plain.take(53), renewed.take(53)
    renewed.renew()
    saved = renewed.checkpoint()
    after, then = plain.take(80), renewed.take(80)
    np.testing.assert_array_equal(before, same)
    if clock == "repeated":
        assert (then != before[:40].tolist() + before[:40].tolist()).any()
        np.testing.assert_array_equal(then[40:], then[:40])
        np.testing.assert_array_equal(np.sort(then.reshape(20, 4)), np.tile(np.arange(4), (20, 1)))
    else:
        np.testing.assert_array_equal(then, after)
    again = stream(clock, 4, seed=5)
    again.restore(saved)
    np.testing.assert_array_equal(again.take(80), then)


@pytest.mark.parametrize("n_agents", [1, 3, 16_385])
def test_cyclic(n_agents):
    np.testing.assert_array_equal(
        stream("cyclic", n_agents).take(2 * n_agents + 1), np.arange(2 * n_agents + 1) % n_agents
    )


@pytest.mark.parametrize(
    "sequence", [[2, 0, 1], (2, 0, 1), np.array([2, 0, 1], np.uint8), np.array([2, 9, 0, 9, 1])[::2]]
)
def test_a_recorded_sequence_is_replayed_once(sequence):
    replay = stream(sequence)
    assert replay.length == 3
    assert replay.take(2).tolist() + replay.take(5).tolist() == [2, 0, 1]
    assert len(replay.take(5)) == 0
    assert stream("uniform").length is None


@pytest.mark.parametrize(
    "clock, message",
    [
        ("poisson", "clock: 'poisson' is not known; use 'uniform', 'shuffled', 'repeated', 'cyclic'"),
        (clocks.Poisson([1, 2]), r"clock: rates has shape \(2,\); it needs one rate for each of the 4 agents"),
        (clocks.Poisson(1.0), r"clock: rates has shape \(\)"),
        (clocks.Poisson([1, 2, 0, 1]), "clock: the rate of agent 2 is 0.0; it must be positive and finite"),
        (clocks.Poisson([1, 2, 1, np.nan]), "clock: the rate of agent 3 is nan"),
        (clocks.Poisson([1, np.inf, 1, 1]), "clock: the rate of agent 1 is inf"),
        (clocks.Poisson([-1, 1, 1, 1]), "clock: the rate of agent 0 is -1.0"),
        (clocks.Recorded([0, 1, 4]), "clock: activation 2 wakes agent 4; agents are 0 to 3"),
        ([0, -1], "clock: activation 1 wakes agent -1; agents are 0 to 3"),
        (np.array([2**32]), "clock: activation 0 wakes agent 4294967296"),
        (np.array([2**63], dtype=np.uint64), "clock: activation 0 wakes agent 9223372036854775808"),
        ([0.0, 1.0], r"clock must be one axis of integers, not shape \(2,\) of float64"),
        (np.zeros((2, 2), int), r"clock must be one axis of integers, not shape \(2, 2\)"),
        (np.array([True, False]), "clock must be one axis of integers.* of bool"),
        (None, "clock must be one axis of integers"),
        (3, "clock must be one axis of integers"),
        (clocks.Repeated(0), "clock: epochs is 0; it must be a positive integer"),
        (clocks.Repeated(2.5), "clock: epochs is 2.5"),
        (clocks.Uniform, "clock must be one axis of integers"),
    ],
)
def test_what_is_refused(clock, message):
    with pytest.raises(fa.InvalidOptionError, match=message):
        stream(clock)


def test_large_rates():
    assert len(np.unique(stream(clocks.Poisson([1e308] * 4)).take(1000))) == 4
