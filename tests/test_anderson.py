"""Anderson acceleration: what it solves, how far it reaches and what it takes back."""

import pickle

import numpy as np
import pytest

import fastadapd as fa
from fastadapd import anderson, engines

ENGINE = None


@pytest.fixture(autouse=True)
def _each_engine(engine):
    """Every test is done with the loops of every engine."""
    global ENGINE
    ENGINE = load(engine)


def Anderson(memory, scale, size):
    return anderson.Anderson(memory, scale, size, ENGINE)


def restored(acceleration):
    """The acceleration, from its checkpoint."""
    return anderson.Anderson.restore(pickle.loads(pickle.dumps(acceleration.checkpoint())), ENGINE)


FIXED = np.array([100.0, -200.0, 50.0, 300.0, 10.0])


def contraction(seed, factors=(0.9, -0.6, 0.5, 0.2, -0.1)):
    """A linear map with the fixed point FIXED and these factors along random axes."""
    axes = np.eye(5) + 0.2 * np.random.default_rng(seed).normal(size=(5, 5))
    M = axes @ np.diag(factors) @ np.linalg.inv(axes)
    return lambda u: FIXED + M @ (u - FIXED)


def load(engine):
    """The loops of an engine; which problem they are for does not matter here."""
    return engines.load(engine)(fa.Problem(fa.objectives.Quadratic(np.eye(1), np.zeros((2, 1)))), fa.Network([(0, 1)]))


def run(step, u, mixes, scale=None):
    acceleration = Anderson(5, np.ones(5) if scale is None else scale, len(u))
    for _ in range(mixes):
        u = acceleration.mix(u, step(u))
    return u


@pytest.mark.parametrize("seed", range(5))
def test_a_linear_map_is_solved_in_one_mix_per_coordinate(seed):
    """One for the image, one for each coordinate; what is left is due to the regularization."""
    step, start = contraction(seed), FIXED + np.random.default_rng(seed + 10).normal(size=5)
    plain = start
    for _ in range(6):
        plain = step(plain)
    left = np.linalg.norm(plain - FIXED)
    errors = [np.linalg.norm(run(step, start, mixes) - FIXED) for mixes in (5, 6, 7, 8)]
    assert errors[0] > 0.1 * left
    assert all(error < share * left for error, share in zip(errors[1:], (0.2, 1e-2, 1e-5), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_single_precision_of_the_memory_does_not_limit_that_of_the_point(seed):
    step, start = contraction(seed), FIXED + np.random.default_rng(seed + 10).normal(size=5)
    np.testing.assert_allclose(run(step, start, 16), FIXED, rtol=1e-13)


def test_the_first_mix_is_the_image_itself():
    step, acceleration = contraction(0), Anderson(3, np.ones(5), 5)
    after = step(FIXED + 1)
    assert acceleration.mix(FIXED + 1, after) is after
    np.testing.assert_allclose(acceleration.residual, after - FIXED - 1)


def test_a_fixed_point_stays():
    acceleration = Anderson(3, np.ones(5), 5)
    for _ in range(5):
        np.testing.assert_array_equal(acceleration.mix(FIXED, FIXED.copy()), FIXED)


def test_an_extrapolation_is_taken_back_when_the_residual_grows():
    step, acceleration = contraction(1), Anderson(5, np.ones(5), 5)
    u = FIXED + 1.0
    for _ in range(3):
        after = step(u)
        u = acceleration.mix(u, after)
    assert u is not after
    size = np.linalg.norm(after - FIXED)
    for grown, taken_back in ((1.1, False), (1.3, True)):
        other = restored(acceleration)
        residual = grown * other._norm * np.eye(5)[0]
        back = other.mix(u, u + residual)
        assert (np.linalg.norm(back - after) < 1e-12 * size) == taken_back
        # then it begins anew
        again = step(back)
        assert (other.mix(back, again) is again) == taken_back


def test_not_a_number_is_taken_back():
    step, acceleration = contraction(1), Anderson(5, np.ones(5), 5)
    u = FIXED + 1.0
    for _ in range(3):
        after = step(u)
        u = acceleration.mix(u, after)
    np.testing.assert_array_equal(acceleration.mix(u, np.full(5, np.nan)), after)


@pytest.mark.parametrize("start", [1.0, 100.0])
def test_it_reaches_no_farther_than_a_share_of_the_point(start):
    """A map that moves about in one direction for ever has no fixed point to extrapolate to."""
    acceleration, u, scale = Anderson(5, np.full(5, 2.0), 5), np.full(5, start), 2.0
    rng, images, cuts = np.random.default_rng(0), [], []
    for _ in range(29):
        images.append(u + start * (0.01 + 1e-3 * rng.normal(size=5)))
        u = acceleration.mix(u, images[-1])
        cut = np.linalg.norm(scale * (u - images[-1])) / np.linalg.norm(scale * images[-1])
        cuts.append(cut)
    # eight in a row that go as far as they may and bring nothing are taken back; ten steps without follow
    assert max(cuts[:10] + cuts[11:]) <= 0.03 * (1 + 1e-12)
    np.testing.assert_allclose(cuts[2:10], 0.03)
    np.testing.assert_allclose(images[11], images[2], rtol=0.02)
    assert cuts[10] > 0.03 and not any(cuts[11:22]) and cuts[22] > 0


def test_without_progress_steps_become_longer():
    """A walk at random: stuck after a hundred steps, or twelve longer ones; then another hundred, ten times the map,
    a hundred times the map, all of that twice, and all over again."""
    rng, acceleration, u = np.random.default_rng(0), Anderson(5, np.ones(5), 5), np.full(5, 1e3)
    stuck, spans, mixed = [], [1], []
    for k in range(4500):
        if k == 1000:
            acceleration, before = restored(acceleration), acceleration
        way = rng.normal(size=5)
        after = u + way / np.linalg.norm(way)
        new = acceleration.mix(u, after)
        if k >= 1000:
            np.testing.assert_array_equal(new, before.mix(u, after))
        np.testing.assert_allclose(acceleration.residual, after - u)
        if acceleration.stuck:
            assert new is after
            stuck.append(k)
            spans.append(acceleration._span)
        if new is not after:
            mixed.append(k)
        u = new
    assert spans == [1, 1, 10, 10, 100, 100, 1]
    tried = np.diff([0, *stuck]) // spans[:-1]  # those taken back do not count
    assert (tried[:2] >= 100).all() and (tried[:2] < 110).all() and (tried[2:] >= 12).all() and (tried[2:] < 30).all()
    for span, begin, end in zip(spans, [0, *stuck], [*stuck, 4500], strict=True):
        steps = np.array([k for k in mixed if begin < k < end])
        assert len(steps) > 3 and len(np.unique(steps % span)) == 1 and (np.diff(steps) >= span).all()


def test_a_point_that_runs_off_is_taken_back():
    """To where it was when the residual was smallest, once that is a thousand times as large, and no extrapolation's
    fault."""
    rng, acceleration, u = np.random.default_rng(0), Anderson(5, np.ones(5), 5), np.full(5, 1e3)
    images = []
    for k in range(61):
        if k == 30:
            acceleration = restored(acceleration)
        way = rng.normal(size=5)
        images.append(u + (1.5 if k < 10 else 2e3 if k > 58 else 1.6) * way / np.linalg.norm(way))
        u = acceleration.mix(u, images[-1])
        assert acceleration.stuck == acceleration.runs_off == (k == 60)
    np.testing.assert_array_equal(u, images[0])
    acceleration.mix(u, u + 1.0)
    assert not acceleration.stuck and not acceleration.runs_off


def test_with_progress_steps_are_short_again():
    """A walk at random, whose steps are long by then, that becomes a contraction."""
    rng, acceleration, u = np.random.default_rng(0), Anderson(5, np.ones(5), 5), np.full(5, 1e6)
    step = contraction(0)
    spans, sums = [], []
    for k in range(900):
        way = rng.normal(size=5)
        after = u + 1e3 * way / np.linalg.norm(way) if k < 700 else step(u)
        u = acceleration.mix(u, after)
        spans.append(acceleration._span)
        sums.append(acceleration.sums)
    assert spans[:195] == [1] * 195 and spans[220] == 10 and max(spans) == 100 and spans[-1] == 1
    assert set(sums[:195]) == {19} and set(sums[220:350]) == {1, 19}  # one norm within a long step
    np.testing.assert_allclose(u, FIXED, rtol=1e-9)


def test_a_change_of_the_map_ends_a_long_step():
    rng, acceleration, u = np.random.default_rng(0), Anderson(5, np.ones(5), 5), np.full(5, 1e3)
    for _ in range(225):
        way = rng.normal(size=5)
        u = acceleration.mix(u, u + way / np.linalg.norm(way))
    assert acceleration._span == 10 and acceleration._calls not in (0, 9)
    acceleration.change_map(5, 10, ENGINE)
    assert (acceleration._span, acceleration._calls, acceleration._start.size) == (1, 0, 0)
    step, u = contraction(0), FIXED + 1.0
    for _ in range(30):
        u = acceleration.mix(u, step(u))
    np.testing.assert_allclose(u, FIXED, rtol=1e-12)
    assert acceleration._span == 1


def test_a_drift_is_followed_twice_as_far_every_time():
    """Where the image is always one step further, until a boundary behind which there is a fixed point."""
    acceleration, u, target = Anderson(5, np.ones(5), 5), np.full(5, 100.0), np.full(5, 200.0)
    ahead = []
    for _ in range(60):
        after = u + 0.1 if (u < 150).all() else target + 0.5 * (u - target)
        new = acceleration.mix(u, after)
        ahead.append((new - after)[0] / 0.1)
        u = new
    np.testing.assert_allclose(ahead[:6], [0, 1, 2, 4, 8, 16], rtol=1e-6)
    assert np.linalg.norm(u - target) < 1e-6  # 500 steps away


def test_far_extrapolations_go_on_while_the_residual_falls():
    """A slow contraction far from its fixed point: every extrapolation is cut, none is taken back."""
    acceleration, u = Anderson(5, np.ones(5), 5), np.full(5, 1e6)
    for _ in range(60):
        after = 0.97 * u
        u = acceleration.mix(u, after)
        assert np.linalg.norm(u) <= np.linalg.norm(after)


def test_only_scaled_coordinates_count_and_the_others_follow():
    """The last three are a linear image of the first five, at every point that was mixed too."""
    step, C = contraction(2), np.random.default_rng(0).normal(size=(3, 5))

    def longer(u):
        image = step(u[:5])
        return np.r_[image, C @ image]

    scale = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    u = run(longer, np.r_[FIXED + 1, 7.0, 7.0, 7.0], 12, scale)
    np.testing.assert_allclose(u, np.r_[FIXED, C @ FIXED], rtol=1e-6)


@pytest.mark.parametrize("power", [-480, -20, 20, 480])
def test_a_common_factor_of_the_scale_does_not_matter(power):
    step, start = contraction(3), FIXED + np.arange(5.0)
    expected = run(step, start, 8)
    np.testing.assert_array_equal(run(step, start, 8, np.full(5, 2.0**power)), expected)


def test_a_checkpoint_goes_on():
    step, acceleration = contraction(4), Anderson(3, np.ones(5), 7)

    def longer(u):
        image = step(u[:5])
        return np.r_[image, image[0] ** 2, image @ image]

    u = np.r_[FIXED + 1.0, 0.0, 0.0]
    for _ in range(5):
        u = acceleration.mix(u, longer(u))
    other, v = restored(acceleration), u
    for _ in range(5):
        u, v = acceleration.mix(u, longer(u)), other.mix(v, longer(v))
    np.testing.assert_array_equal(u, v)


def test_products_that_are_carried_on_are_those_of_the_residual():
    """What a step costs: one product with the memory; the other follows from the last, and is seldom computed."""
    size, rng = 300, np.random.default_rng(0)
    factors, image = np.linspace(0.5, 0.999, size), rng.normal(size=size)
    acceleration, u, computed = Anderson(20, rng.uniform(0.5, 2.0, size), size), np.zeros(size), 0
    for _ in range(60):
        u = acceleration.mix(u, image + factors * (u - image))
        if acceleration._count > 0:
            used = min(acceleration._count, 20)
            exact = acceleration._memory.residuals[:used] @ acceleration.residual
            toward = acceleration._memory.toward[:used]
            np.testing.assert_allclose(toward, exact, rtol=0, atol=1e-5 * acceleration.movement)
            computed += acceleration._doubt == 0.0
    assert 0 < computed < 30


@pytest.mark.parametrize("seed", range(5))
def test_differences_of_an_earlier_map_serve_the_next(seed):
    """The same contraction to another point: its first steps know what the old ones learned."""
    step, u = contraction(seed), FIXED + np.random.default_rng(seed + 10).normal(size=5)
    acceleration = Anderson(5, np.ones(5), 5)
    for _ in range(8):
        u = acceleration.mix(u, step(u))
    target = 1.01 * FIXED
    acceleration.change_map(5, 10, ENGINE)
    v, w, fresh = u, u, Anderson(5, np.ones(5), 5)
    for _ in range(4):
        v, w = (own.mix(at, step(at - target + FIXED) + target - FIXED) for own, at in ((acceleration, v), (fresh, w)))
    errors = [np.linalg.norm(at - target) for at in (v, w)]
    assert errors[0] < 0.1 * errors[1]


def test_the_newest_differences_are_kept_and_not_written_over():
    size, rng = 40, np.random.default_rng(0)
    M, image = np.diag(np.linspace(-0.5, 0.99, size)), rng.normal(size=size)
    acceleration, u = Anderson(4, rng.uniform(0.5, 2.0, size), size + 2), np.zeros(size + 2)

    def mixed(u):
        return acceleration.mix(u, np.r_[image + M @ (u[:size] - image), u[:2] ** 2])

    def remembered():
        """The differences, the oldest first."""
        used = min(acceleration._count, acceleration.memory)
        order = np.arange(acceleration._count - used, acceleration._count) % acceleration.memory
        return [array[order] for array in anderson._differences(acceleration._memory)]

    for _ in range(8):
        u = mixed(u)
    newest = [array[-3:] for array in remembered()]
    acceleration.change_map(3, 7, ENGINE)
    assert acceleration.memory == 7
    u = mixed(u)
    for count in (3, 4, 5, 6, 7):
        assert len(remembered()[0]) == count
        for array, before in zip(remembered(), newest, strict=True):
            np.testing.assert_array_equal(array[:3], before)
        products = acceleration._memory.residuals[:count] @ acceleration._memory.residuals[:count].T
        apart = ~np.eye(count, dtype=bool)
        np.testing.assert_allclose(acceleration._memory.gram[:count, :count][apart], products[apart], atol=1e-6)
        assert (np.diag(acceleration._memory.gram)[:3] > 1.01).all()  # they tell less
        assert (np.diag(acceleration._memory.gram)[3:count] < 1.001).all()
        u = mixed(u)
    np.testing.assert_array_equal(remembered()[0][:2], newest[0][1:])  # the oldest goes first
    assert (np.diag(acceleration._memory.gram) > 1.01).sum() == 2


@pytest.mark.parametrize("size", [1, 3, 8, 5003])
def test_every_engine_extrapolates_alike(size):
    """Beside the specification; 5003 is more than loops do at a time."""
    rng, tail, spec = np.random.default_rng(size), 6, load("numpy")
    scale = rng.uniform(0.0, 2.0, size)
    scale[:: 2] = 0.0 if size > 1 else 1.0
    units = np.where(scale > 0, scale, 1.0)
    memories = [anderson._room(7, scale, units, size + tail) for _ in range(2)]
    last, last_image = rng.normal(size=size), rng.normal(size=size + tail)
    for used in range(1, 8):
        point, image = rng.normal(size=(2, size + tail))
        found = [e.compare(m, point, image, last) for e, m in zip((spec, ENGINE), memories, strict=True)]
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-13)
        residual, norm, _, change = found[0]
        for e, m in zip((spec, ENGINE), memories, strict=True):
            e.remember(m, used - 1, used, change, residual, last, image, last_image)
            m.gram[used - 1, used - 1] += 0.1  # so that rounding does not grow
        for name in anderson._UPDATED:
            one, other = (getattr(m, name)[:used] for m in memories)
            if name == "gram":
                one, other = one[:, :used], other[:, :used]
            np.testing.assert_allclose(other, one, rtol=1e-6 if one.dtype == np.float32 else 1e-9, atol=1e-12)
        for given in (None, residual):
            (move, length), (spec_move, spec_length) = (
                e.extrapolate(m, used, norm, given) for e, m in zip((ENGINE, spec), memories[::-1], strict=True))
            np.testing.assert_allclose(move, spec_move, rtol=1e-7, atol=1e-7 * abs(spec_move).max())
            assert length == pytest.approx(spec_length, rel=1e-7)
        last, last_image = residual, image
