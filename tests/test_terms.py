"""Every term against its formula in CVXPY, against differences, and every way to get a term wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import BOUNDED, CONSTRAINTS, OBJECTIVES, REGULARIZERS, Numbers, draw_numbers, in_cvxpy

import fastadapd as fa
from fastadapd.constraints import AffineEquality, AffineInequality, Ellipsoid, QuadraticInequality
from fastadapd.objectives import LeastSquares, Linear, Quadratic
from fastadapd.regularizers import L1, Box, L2Ball, NonNegative, Zero

N, n = 3, 4
EYE = np.eye(2)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25)
smooth = pytest.mark.parametrize("kind", [*OBJECTIVES, *CONSTRAINTS])


def drawn(kind, seed, lead=tuple, rows=2):
    rng = np.random.default_rng(seed)
    anchor = rng.uniform(size=n)
    return draw_numbers(kind, rng, anchor, lead, rows), rng


def values(term, x):
    """f(x) as one row, or all rows of g(x): shape (..., rows)."""
    return term.value(x) if isinstance(term, fa.constraints.Constraint) else term.value(x)[..., None]


def slopes(term, x):
    return term.jacobian(x) if isinstance(term, fa.constraints.Constraint) else term.gradient(x)[..., None, :]


def hessians(term):
    """One per row, exact because every term is quadratic: differences of the gradients."""
    return np.stack([slopes(term, e) - slopes(term, np.zeros(n)) for e in np.eye(n)], axis=-1)


@smooth
@given(seeds)
@few
def test_value_is_the_formula(kind, seed):
    import cvxpy as cp

    numbers, rng = drawn(kind, seed)
    x = cp.Variable(n, value=rng.normal(size=n))
    cost, limits = in_cvxpy(numbers, x)
    expected = np.ravel(limits[0].expr.value if limits else cost.value)
    np.testing.assert_allclose(values(numbers.term(), x.value), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", REGULARIZERS)
@given(seeds)
@few
def test_simple_term_is_the_formula(kind, seed):
    import cvxpy as cp

    numbers, rng = drawn(kind, seed)
    x, term = cp.Variable(n, value=2 * rng.normal(size=n)), numbers.term()
    cost, sets = in_cvxpy(numbers, x)
    np.testing.assert_allclose(term.value(x.value), cp.Constant(cost).value if kind == "Zero" else cp.sum(cost).value)
    outside = [np.max(limit.violation()) > 1e-12 for limit in sets]
    assert (term.distance(x.value) > 1e-12) == any(outside)
    assert term.is_set == (kind not in ("Zero", "L1"))


@smooth
@given(seeds)
@few
def test_gradient_is_the_slope(kind, seed):
    numbers, rng = drawn(kind, seed)
    term, x, step = numbers.term(), rng.normal(size=n), 0.5
    # exact for a quadratic, whatever the step
    slope = [(values(term, x + step * e) - values(term, x - step * e)) / (2 * step) for e in np.eye(n)]
    np.testing.assert_allclose(slopes(term, x), np.transpose(slope), rtol=1e-11, atol=1e-11)


@smooth
@given(seeds, st.integers(1, 6))
@few
def test_curvature_is_the_largest_eigenvalue(kind, seed, rows):
    numbers, _ = drawn(kind, seed, rows=rows)
    term = numbers.term()
    spectra = np.linalg.eigvalsh(hessians(term))
    if kind in OBJECTIVES:
        np.testing.assert_allclose(term.lipschitz, spectra.max(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(term.strong_convexity, spectra.min(), rtol=1e-8, atol=1e-10 * spectra.max())
    else:
        np.testing.assert_allclose(term.curvature, spectra.max(), rtol=1e-10, atol=1e-12)
        if term.affine:
            np.testing.assert_allclose(term.norm_squared, np.linalg.norm(slopes(term, np.zeros(n)), 2) ** 2, rtol=1e-10)


@pytest.mark.parametrize("kind", [*OBJECTIVES, *CONSTRAINTS, *REGULARIZERS])
@given(seeds, st.integers(0, 15))
@few
def test_stacked_is_agent_by_agent(kind, seed, stacked):
    """Any choice of parameters with an axis for the agents; agent i's numbers are cut out by the test itself."""
    choice = iter(f"{stacked:04b}")
    numbers, rng = drawn(kind, seed, lambda: (N,) if next(choice, "1") == "1" else ())
    term, x, step = numbers.term(), rng.normal(size=(N, n)), rng.uniform(0.1, 2, N)
    assert term.n_agents in (None, N)
    assert term.dim == (None if kind in ("Zero", "NonNegative") else n)
    for i in range(N):
        alone, cut = numbers.agent(i).term(), term.agent(i)
        assert cut.n_agents is None and type(cut) is type(term)
        for one in (alone, cut):
            close = dict(rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(
                values(one, x[i]), np.broadcast_to(values(term, x).T, (values(one, x[i]).size, N)).T[i], **close
            )
            if kind in REGULARIZERS:
                np.testing.assert_allclose(one.prox(x[i], step[i]), term.prox(x, step)[i], **close)
                np.testing.assert_allclose(one.reach(x[i]), np.broadcast_to(term.reach(x), N)[i], **close)
                continue
            np.testing.assert_allclose(slopes(one, x[i]), slopes(term, x)[i], **close)
            for name in ("lipschitz", "strong_convexity", "curvature", "norm_squared"):
                if hasattr(term, name):
                    np.testing.assert_allclose(
                        getattr(one, name), np.broadcast_to(getattr(term, name), N)[i], rtol=1e-9, atol=1e-9
                    )


@pytest.mark.parametrize("kind", REGULARIZERS)
@given(seeds, st.floats(0.01, 100))
@few
def test_prox_is_the_minimizer(kind, seed, step):
    """p = prox_t(v) exactly if rho(u) >= rho(p) + <(v - p)/t, u - p> for all u in the domain."""
    numbers, rng = drawn(kind, seed)
    term, v = numbers.term(), 3 * rng.normal(size=n)
    p = term.prox(v, step)
    assert term.distance(p) <= 1e-12
    for u in (term.prox(u, 1.0) for u in 3 * rng.normal(size=(20, n))):
        assert term.value(u) >= term.value(p) + (v - p) @ (u - p) / step - 1e-9 * (1 + np.abs(v - p).max() / step)
    if term.is_set:
        np.testing.assert_allclose(term.distance(v), np.linalg.norm(v - p), atol=1e-12)


@pytest.mark.parametrize("kind", BOUNDED)
@given(seeds)
@few
def test_reach_is_the_farthest_point(kind, seed):
    numbers, rng = drawn(kind, seed)
    term, center = numbers.term(), rng.normal(size=n)
    away = (term.lower + term.upper) / 2 - center if kind == "Box" else term.center - center
    farthest = term.prox(center + 1e6 * np.where(away == 0, 1, away) / (np.abs(away) if kind == "Box" else 1))
    np.testing.assert_allclose(term.reach(center), np.linalg.norm(farthest - center), rtol=1e-9)


def test_unbounded_domains_reach_infinity():
    for term in (Zero(), NonNegative(), L1(1.0), Box(0, np.inf)):
        assert term.reach(np.zeros(n)) == np.inf


@pytest.mark.parametrize("domain", BOUNDED)
@pytest.mark.parametrize("kind", CONSTRAINTS)
@given(seeds)
@few
def test_jacobian_bound_holds_over_the_domain(kind, domain, seed):
    numbers, rng = drawn(kind, seed)
    term, simple = numbers.term(), draw_numbers(domain, rng, rng.uniform(size=n)).term()
    bound = term.jacobian_bound(simple)
    for x in simple.prox(10 * rng.normal(size=(20, n))):
        assert np.linalg.norm(term.jacobian(x), 2) <= bound * (1 + 1e-12)


@pytest.mark.parametrize("kind", OBJECTIVES)
@given(seeds)
@few
def test_lower_bound_is_below_and_attained_by_a_quadratic(kind, seed):
    numbers, rng = drawn(kind, seed)
    term = numbers.term()
    low = term.lower_bound()
    assert (term.value(3 * rng.normal(size=(50, n))) >= low - 1e-12).all()
    if kind == "Quadratic":
        P = term.P + np.eye(n)
        definite = Quadratic(P, term.q)
        np.testing.assert_allclose(definite.lower_bound(), -term.q @ np.linalg.solve(P, term.q) / 2, rtol=1e-10)


def test_lower_bound_of_unbounded_costs():
    assert Linear([0.0, 1.0]).lower_bound() == -np.inf and Linear([0.0, 0.0]).lower_bound() == 0
    P = np.diag([1.0, 0.0])
    np.testing.assert_array_equal(Quadratic(P, [[1.0, 0.0], [1.0, 1e-3]]).lower_bound(), [-0.5, -np.inf])


# ---- What is given ----

LAYOUTS = {
    "integers": lambda a: a.astype(np.int8),
    "single precision": lambda a: a.astype(np.float32),
    "long double": lambda a: a.astype(np.longdouble),
    "lists": lambda a: a.tolist(),
    "Fortran order": np.asfortranarray,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: a[..., ::-1].copy()[..., ::-1] if a.ndim else a,
    "big endian": lambda a: a.astype(">f8"),
    "matrix of a subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", [*OBJECTIVES, *CONSTRAINTS, *REGULARIZERS])
def test_any_layout_of_the_numbers_means_the_same(kind, layout):
    numbers, _ = drawn(kind, 5, lambda: (N,))
    whole = {k: np.round(4 * v) for k, v in numbers.of.items()}
    if "P" in whole:
        whole["P"] = np.stack([np.diag([1.0, 2, 3, 4])] * N)
    plain, other = (Numbers(kind, {k: f(v) for k, v in whole.items()}).term() for f in (np.array, LAYOUTS[layout]))
    for name, value in vars(plain).items():
        np.testing.assert_array_equal(getattr(other, name), value, err_msg=name)
        if isinstance(value, np.ndarray) and name in whole:
            kept = getattr(other, name)
            assert kept.dtype == np.float64 and kept.flags.c_contiguous and not kept.flags.writeable
            assert type(kept) is np.ndarray and kept.dtype.isnative


def test_a_read_only_array_will_do():
    q = np.arange(2.0)
    q.flags.writeable = False
    np.testing.assert_array_equal(Linear(q).gradient(np.zeros(2)), q)


def test_only_the_symmetric_part_counts():
    skew, x = np.array([[2.0, 3.0], [-1.0, 2.0]]), np.array([1.0, 2.0])
    for term in (Quadratic(skew, [0, 0]), Ellipsoid(skew, [0, 0]), QuadraticInequality(skew, [0, 0], 0)):
        np.testing.assert_array_equal(term.P, [[2, 1], [1, 2]])
    np.testing.assert_allclose(Quadratic(skew, [0, 0]).value(x), x @ skew @ x / 2)


def test_one_number_stands_for_every_coordinate_of_a_simple_term():
    x = np.array([[3.0, -2.0], [0.5, 9.0]])
    np.testing.assert_allclose(L1([[1.0], [2.0]]).value(x), [5, 19])
    np.testing.assert_allclose(Box(-1, [[1.0], [2.0]]).prox(x), [[1, -1], [0.5, 2]])
    np.testing.assert_allclose(L2Ball([1.0, 20.0], 1).prox(x), [[1 + 2 / 13**0.5, 1 - 3 / 13**0.5], [0.5, 9]])
    assert L1(1.0).dim is Box(0, 1).dim is L2Ball(1).dim is None


def test_infinite_bounds_mean_no_bound():
    box = Box([-np.inf, 0], [0, np.inf])
    np.testing.assert_array_equal(box.prox(np.array([[-1e300, -1], [5, 1e300]])), [[-1e300, 0], [0, 1e300]])


def test_points_from_the_far_ends_of_the_numbers():
    for size in (5e-324, 1e-300, 1e150):
        x = np.full(2, size)
        np.testing.assert_allclose(L2Ball(1.0).prox(x), x if size < 1 else np.full(2, 0.5**0.5))
        np.testing.assert_array_equal(L1(1.0).prox(-x), np.minimum(1 - x, 0) if size > 1 else 0)
        np.testing.assert_array_equal(NonNegative().prox(-x), 0)


def test_repr_tells_the_shapes():
    assert repr(Quadratic(np.stack([EYE] * 3), [1, 2])) == "Quadratic(q(2,), P(3, 2, 2))"


# ---- What is refused: each message names the term, what is wrong and whose it is ----

STACK = np.stack([EYE, EYE])
INDEFINITE = np.stack([EYE, np.diag([1.0, -1.0])])
WRONG = [
    (lambda: Linear(1.0), r"Linear: q has shape \(\); it must be a vector shared by all agents, or a vector per agent"),
    (lambda: Linear(np.zeros((2, 2, 2))), r"Linear: q has shape \(2, 2, 2\).*\(2 axes\)"),
    (lambda: Linear([]), r"Linear: q is empty \(shape \(0,\)\)"),
    (lambda: Linear(np.zeros((0, 3))), "Linear: q is empty"),
    (lambda: Linear([[1, 2], [3]]), "Linear: q is not a rectangular array.*Problem.from_agents"),
    (lambda: Linear([1, np.nan]), r"Linear: q, entry \(1,\) is nan; it must be finite"),
    (lambda: Linear([[1, 2], [3, -np.inf]]), r"Linear: q of agent 1, entry \(1,\) is -inf"),
    (lambda: Linear([1e400]), "Linear: q, entry .* is inf"),
    (lambda: Linear([1j, 0]), "Linear: q must hold real numbers, not complex128"),
    (lambda: Linear("12"), "Linear: q must hold real numbers, not <U2"),
    (lambda: Linear(None), "Linear: q must hold real numbers, not object"),
    (lambda: Linear([object()]), "Linear: q must hold real numbers, not object"),
    (lambda: Linear(np.array(["2020-01-01"], dtype="M8")), "Linear: q must hold real numbers, not datetime64"),
    (lambda: Linear({1: 2}), "Linear: q must hold real numbers"),
    (lambda: Quadratic(EYE, [1, 2, 3]), "Quadratic: q has 3 entries but P has 2 columns"),
    (lambda: Quadratic(EYE, np.zeros((2, 2, 2))), "Quadratic: q has shape"),
    (lambda: Quadratic(1.0, [1]), r"Quadratic: P has shape \(\); it must be a matrix"),
    (lambda: Quadratic(np.zeros((2, 3)), [1, 2, 3]), "Quadratic: P must be square, not 2 x 3"),
    (lambda: Quadratic(-EYE, [1, 2]), r"Quadratic: P is not positive semidefinite \(smallest eigenvalue -1\)"),
    (lambda: Quadratic(INDEFINITE, [1, 2]), "Quadratic: P of agent 1 is not positive semidefinite.*not convex"),
    (lambda: Quadratic(STACK, np.zeros((3, 2))), "Quadratic: q is for 3 agents but P is for 2"),
    (lambda: Quadratic(np.where(STACK, STACK, np.nan), [1, 2]), r"Quadratic: P of agent 0, entry \(0, 1\) is nan"),
    (lambda: LeastSquares(np.ones((3, 2)), [1, 2]), "LeastSquares: b has 2 entries but A has 3 rows"),
    (lambda: LeastSquares(np.ones((4, 3, 2)), np.ones((5, 3))), "LeastSquares: b is for 5 agents but A is for 4"),
    (lambda: LeastSquares([1, 2], [1]), "LeastSquares: A has shape"),
    (lambda: L1(-1), "L1: weight, entry .* is negative, so the term is not convex"),
    (lambda: L1([[1, 1], [1, -1]]), "L1: weight of agent 1, entry .* is negative"),
    (lambda: L1(np.inf), "L1: weight.* is inf"),
    (lambda: L1(np.zeros((2, 2, 2))), "L1: weight has shape"),
    (lambda: Box(1, 0), "Box: the box is empty at coordinate 0: lower must not exceed upper"),
    (lambda: Box([[0, 0], [0, 2]], 1), "Box: the box of agent 1 is empty at coordinate 1"),
    (lambda: Box(np.inf, np.inf), "Box: the box is empty"),
    (lambda: Box(0, -np.inf), "Box: the box is empty"),
    (lambda: Box(np.nan, 1), "Box: lower, entry .* is nan; use inf for no bound"),
    (lambda: Box(0, [[1], [np.nan]]), "Box: upper of agent 1, entry .* is nan"),
    (lambda: Box([0, 0], [1, 1, 1]), "Box: parameters disagree: lower has 2 entries, upper has 3 entries"),
    (lambda: Box(np.zeros((2, 1)), np.ones((3, 1))), "Box: upper is for 3 agents but lower is for 2"),
    (lambda: L2Ball(0), "L2Ball: radius must be positive"),
    (lambda: L2Ball([1, -1]), "L2Ball: radius of agent 1 must be positive"),
    (lambda: L2Ball(np.inf), "L2Ball: radius.* is inf"),
    (lambda: L2Ball(1, np.zeros((2, 2, 2))), "L2Ball: center has shape"),
    (lambda: L2Ball([1, 1], np.zeros((3, 2))), "L2Ball: center is for 3 agents but radius is for 2"),
    (lambda: Ellipsoid(EYE, [0, 0], -1), "Ellipsoid: level is negative, so the ellipsoid is empty"),
    (lambda: Ellipsoid(EYE, [0, 0], [1, -1]), "Ellipsoid: level of agent 1 is negative"),
    (lambda: Ellipsoid(EYE, [0, 0, 0]), "Ellipsoid: center has 3 entries but P has 2 columns"),
    (lambda: Ellipsoid(INDEFINITE, [0, 0]), "Ellipsoid: P of agent 1 is not positive semidefinite"),
    (lambda: Ellipsoid(EYE, [0, 0], np.ones((2, 1))), "Ellipsoid: level has shape .* a number per agent"),
    (lambda: Ellipsoid(np.ones((2, 1)), [0]), "Ellipsoid: P must be square"),
    (lambda: QuadraticInequality(EYE, [0], 1), "QuadraticInequality: q has 1 entries but P has 2 columns"),
    (lambda: QuadraticInequality(-EYE, [0, 0], 1), "QuadraticInequality: P is not positive semidefinite"),
    (lambda: QuadraticInequality(STACK, [0, 0], [1, 1, 1]), "QuadraticInequality: r is for 3 agents but P is for 2"),
    (lambda: AffineInequality(EYE, [1]), "AffineInequality: h has 1 entries but G has 2 rows"),
    (lambda: AffineInequality(EYE, [1, np.inf]), "AffineInequality: h, entry .* is inf"),
    (lambda: AffineEquality(EYE, [1, 2, 3]), "AffineEquality: b has 3 entries but A has 2 rows"),
    (lambda: AffineEquality([1, 2], [1]), "AffineEquality: A has shape"),
    (
        lambda: AffineInequality([[1, 2], [0, 0]], [-1, -1]),
        "AffineInequality: row 1 of G is zero but its right-hand side",
    ),
    (lambda: AffineEquality(0 * STACK, [[0, 0], [1, 0]]), "AffineEquality: row 0 of A of agent 1 is zero"),
]


@pytest.mark.parametrize("make, message", WRONG)
def test_what_is_refused(make, message):
    with pytest.raises(fa.InvalidProblemError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: LeastSquares(np.full((2, 2), 1e200), [1, 1]),
        lambda: AffineInequality(np.full((2, 2), 1e200), [1, 1]),
        lambda: LeastSquares(np.full((3, 1, 2), 1e200), [1]),
        lambda: Ellipsoid(1e308 * EYE, [0, 0]),
        lambda: Quadratic([[1e308, 1e308], [1.7e308, 1e308]], [1, 1]),
    ],
)
def test_numbers_whose_squares_overflow_are_refused(make):
    with pytest.raises(fa.InvalidProblemError, match=r"the numbers.* are so large that their squares overflow"):
        make()


def test_semidefinite_up_to_rounding():
    A = np.random.default_rng(0).normal(size=(3, 20))
    for P in (A.T @ A, np.zeros((2, 2)), 1e-300 * EYE, 1e300 * EYE):
        assert Quadratic(P, np.zeros(len(P))).strong_convexity >= 0
