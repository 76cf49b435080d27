"""The compiled engines against the NumPy engine, the specification."""

import functools
import itertools
import math
import os

import numpy as np
import pytest
from conftest import MISSING
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import CONSTRAINTS, REGULARIZERS, Instance, instances, random_instance, random_network

import fastadapd as fa
from fastadapd import engines
from fastadapd.engines import packing

# What follows the specification to rounding: 1e-10 of the largest number of the array. Sums in another order differ by
# about 1e-16 of their terms, and the maps that are iterated (proximal, with steps of the theory) hardly amplify it.
AGREE = 1e-10

COMPILED = [name for name in ("c", "numba") if name not in MISSING]
BOUNDS = {"multiplier_bound": 3.0, "jacobian_bound": 8.0}
ADAPDS = {
    "adaptive": lambda momentum, N, R: fa.methods.ADAPD(momentum=momentum, memory=0),
    "adaptive, relaxed": lambda momentum, N, R: fa.methods.ADAPD(
        momentum=momentum, weight=0.7, relaxation=1.3 if momentum == "local" else None, local_steps=1, memory=0
    ),
    "theory": lambda momentum, N, R: fa.methods.ADAPD(momentum=momentum, steps="theory", **BOUNDS),
    "fixed": lambda momentum, N, R: fa.methods.ADAPD(
        momentum=momentum, steps=fa.FixedSteps(*(0.02 / (1 + np.arange(k)) for k in (N, N)), np.full(R, 0.01))
    ),
}
combinations = list(itertools.product(sorted(ADAPDS), ["local", "global"]))
methods = st.sampled_from(combinations)
# The adaptive rule is made for local momentum; with the global one some runs wander, and rounding grows without bound.
steady = [method for method in combinations if method[1] == "local" or "adaptive" not in method[0]]
dpdas = st.fixed_dictionaries({"gamma": st.sampled_from([None, 0.3]), "dual_weight": st.sampled_from([1.0, 0.2])})


def solver(instance, method, engine, **options):
    return fa.Solver(instance.problem, instance.network, method=method, engine=engine, tol=0, **{"rng": 0, **options})


def adapd(instance, rule, momentum):
    return ADAPDS[rule](momentum, instance.problem.n_agents, instance.network.consensus_matrix.shape[0])


def assert_same_state(a, b, tolerance=AGREE):
    """The arrays of two states, by name."""
    for name, expected in b.items():
        scale = np.abs(expected).max(initial=0)
        if np.isfinite(scale):
            np.testing.assert_allclose(a[name], expected, rtol=0, atol=tolerance * max(scale, 1e-3), err_msg=name)


def state(solver):
    return solver.checkpoint()["state"]


def specified(instance, method, activations):
    """The NumPy engine's run."""
    run = solver(instance, method, "numpy")
    run.run(activations / instance.problem.n_agents)
    return run


def assert_agree(instance, method, engine, activations, cuts=(), tolerance=AGREE, specification=None):
    """Advance the NumPy engine in one piece and the other in pieces, and compare all that either remembers."""
    N, other = instance.problem.n_agents, solver(instance, method, engine)
    specification = specification or specified(instance, method, activations)
    for a, b in zip((0, *cuts), (*cuts, activations), strict=True):
        other.run((b - a) / N)
    assert_same_state(state(other), state(specification), tolerance)
    ours, theirs = other.result(), specification.result()
    np.testing.assert_allclose(
        ours.x_ergodic, theirs.x_ergodic, rtol=0, atol=tolerance * max(1, np.abs(theirs.x_ergodic).max())
    )
    assert (ours.status, ours.activations, ours.floats_sent) == (theirs.status, theirs.activations, theirs.floats_sent)


def test_c_engine_is_there_when_it_is_required():
    if os.environ.get("FASTADAPD_REQUIRE_C") == "1":
        assert "c" not in MISSING, f"FASTADAPD_REQUIRE_C=1, but {MISSING['c']}"
    elif "c" in MISSING:
        pytest.skip(f"no C engine ({MISSING['c']}), and FASTADAPD_REQUIRE_C=1 does not ask for one")
    assert fa.Solver(*small()).result().engine == "c"


def small():
    instance = random_instance(["Quadratic"], "Box", ["Ellipsoid"])
    return instance.problem, instance.network


@pytest.mark.skipif(not COMPILED, reason="no compiled engine")
@pytest.mark.parametrize("method", steady, ids=" ".join)
def test_adapd_agrees_over_10000_activations(method):
    k = steady.index(method)
    regularizer, limits = sorted(REGULARIZERS)[k % len(REGULARIZERS)], itertools.cycle(sorted(CONSTRAINTS))
    instance = random_instance(
        ["Linear", "Quadratic", "LeastSquares"], regularizer, list(itertools.islice(limits, k, k + 2)), N=3 + k % 4,
        n=2 + k % 5, rows=2, consensus=("edge", "laplacian", "edge", "metropolis", "max-degree")[k % 5], seed=k)
    options = adapd(instance, *method)
    specification = specified(instance, options, 10_000)
    for engine in COMPILED:
        assert_agree(instance, options, engine, 10_000, specification=specification)


@given(instances(), methods, st.lists(st.integers(0, 120), max_size=4).map(sorted))
@settings(max_examples=80)
def test_adapd_agrees_in_pieces(compiled, instance, method, cuts):
    assert_agree(instance, adapd(instance, *method), compiled, 120, cuts)


@pytest.mark.skipif("c" in MISSING, reason="no C engine")
@given(instances(max_dim=13), st.one_of(methods, st.just("dpda-s")))
@settings(max_examples=80)
def test_instruction_sets_agree_bit_for_bit(instance, method):
    from fastadapd.engines import native

    if native.simd() == "baseline":
        pytest.skip("no other instruction set here")
    found = []
    try:
        for simd in ("best", "baseline"):
            native.choose_simd(simd)
            dpda = fa.methods.DPDA(**BOUNDS) if method == "dpda-s" else None
            run = solver(instance, dpda or adapd(instance, *method), "c")
            run.run(200 / instance.problem.n_agents)
            found.append({**state(run), "residual": run.result().residual})
    finally:
        native.choose_simd("best")
    for name, expected in found[0].items():
        np.testing.assert_array_equal(found[1][name], expected, err_msg=name)


@given(instances(), st.lists(st.integers(0, 200), max_size=4).map(sorted))
@settings(max_examples=40)
def test_accelerated_adapd_agrees_in_pieces(compiled, instance, cuts):
    """An extrapolation divides by differences of values that agree in nearly all digits, and rounding grows."""
    assert_agree(instance, fa.methods.ADAPD(), compiled, 200, cuts, tolerance=1e-6)


SIMD = ["baseline", "AVX2"]


@pytest.fixture(params=["numba", *(f"c {name}" for name in SIMD)])
def loops(request):
    """Every way in which the loops are compiled."""
    engine, _, simd = request.param.partition(" ")
    if engine in MISSING:
        pytest.skip(f"engine {engine!r}: {MISSING[engine]}")
    if not simd:
        yield engine
        return
    from fastadapd.engines import native

    try:
        native.choose_simd(simd)
    except ValueError as error:
        pytest.skip(str(error))
    assert native.simd() == simd or simd == "baseline"
    yield engine
    native.choose_simd("best")


def with_weights(instance):
    """The same with a consensus matrix of the user's, in edge form, in which every edge has a weight of its own."""
    B = instance.network.consensus_matrix
    weights = np.random.default_rng(0).uniform(0.5, 2, (B.shape[0], 1))
    network = fa.Network(instance.network.edges, consensus=B.multiply(weights))
    assert network.form == "edge" and network.n_rows == B.shape[0]
    return Instance(instance.problem, network, [])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 13, 20, 21])
def test_every_instruction_set_agrees(loops, n):
    """Sizes around those of panels and vectors, and those that are unrolled."""
    for rows, seed in ((1, 0), (6, 1)):
        instance = random_instance(["Quadratic", "LeastSquares"], "Box", sorted(CONSTRAINTS), n=n, rows=rows, seed=seed)
        for method in (fa.methods.ADAPD(memory=0), fa.methods.ADAPD(momentum="global", steps="theory", **BOUNDS)):
            assert_agree(instance, method, loops, 100)
        assert_agree(with_weights(instance), fa.methods.ADAPD(memory=0), loops, 100)
        assert_agree(instance, fa.methods.DPDA(**BOUNDS), loops, 60)
        assert_measures_agree(instance, loops, seed, shared=False)


@pytest.mark.parametrize("diagonal", [True, False])
def test_diagonal_and_nearly_diagonal_matrices_agree(loops, diagonal):
    N, n, rng = 5, 9, np.random.default_rng(3)
    P = rng.uniform(0.5, 2, (N, n))[..., None] * np.eye(n)
    P[:, 0] = P[:, :, 0] = 0.0  # neither is a zero on the diagonal an entry that counts,
    if not diagonal:
        P[:, 1, 1] = P[:, -1, -1] = P[:, 1, -1] = P[:, -1, 1] = 1.0  # nor an entry beside it for one on it
    A = np.eye(n) if diagonal else np.eye(n) + 0.1 * np.eye(n, k=n - 1)
    problem = fa.Problem(
        [fa.objectives.Quadratic(P, rng.normal(size=(N, n))), fa.objectives.LeastSquares(A, rng.normal(size=(N, n))),
         fa.objectives.LeastSquares(rng.normal(size=(N, 5, n)), np.ones(5))],
        fa.regularizers.Box(-2, 2),
        [
            fa.constraints.Ellipsoid(P, rng.normal(size=(N, n)), 0.5),
            fa.constraints.Ellipsoid(np.eye(n), rng.normal(size=(N, n)), 3.0),
            fa.constraints.QuadraticInequality(P, rng.normal(size=(N, n)), 0.1),
        ],
    )
    network = fa.Network([(i, (i + 1) % N) for i in range(N)], consensus="edge")
    instance = Instance(problem, network, [])
    assert_agree(instance, fa.methods.ADAPD(memory=0), loops, 500)
    assert_measures_agree(instance, loops, 4, shared=True)


def test_numba_keeps_the_loops_of_each_number_of_coordinates_apart():
    """In one file of its cache, processes that compile at the same time could mix them up."""
    if "numba" in MISSING:
        pytest.skip(f"engine 'numba': {MISSING['numba']}")
    from fastadapd.engines import jit

    assert len({jit._adapd_for(n).py_func.__qualname__ for n in range(1, jit.UNROLLED + 2)}) == jit.UNROLLED + 1


LEAST_SQUARES = packing.OBJECTIVES[fa.objectives.LeastSquares][1]


def kinds(*costs):
    return packing.pack_problem(fa.Problem(list(costs), n_agents=1)).objective_kind.tolist()


def test_least_squares_are_packed_as_what_is_short():
    rng = np.random.default_rng(0)
    long, diagonal, short = rng.normal(size=(12, 6)), np.diag(rng.normal(size=6)), rng.normal(size=(2, 6))
    heavy = long * np.where(np.arange(12) == 3, 200, 1)[:, None]  # one row outweighs the others
    found = kinds(*(fa.objectives.LeastSquares(A, np.ones(len(A))) for A in (long, diagonal, short, heavy)))
    assert found == [LEAST_SQUARES + packing.GRAM, LEAST_SQUARES + packing.DIAGONAL, LEAST_SQUARES, LEAST_SQUARES]


def test_measures_of_shared_and_own_least_squares(loops):
    """b and A of those that loops know by A'A lie elsewhere: what is shared before, what is an agent's own behind."""
    rng, N, n = np.random.default_rng(1), 5, 4
    A, b, network = rng.normal(size=(N, 12, n)), rng.normal(size=(N, 12)), fa.Network([(0, 1), (1, 2), (2, 3), (3, 4)])
    own, shared = fa.objectives.LeastSquares(A, b), fa.objectives.LeastSquares(A[0], b[0])
    short = fa.objectives.LeastSquares(A[:, :2], b[:, :2])
    limit = fa.constraints.AffineInequality(A[:, :2], np.abs(b[:, :2]))
    assert kinds(shared) == [LEAST_SQUARES + packing.GRAM]
    agents = [fa.Agent([shared, own.agent(i), short.agent(i)] if i % 2 else shared, None, limit.agent(i))
              for i in range(N)]
    for problem in (fa.Problem([own, shared, short], None, limit), fa.Problem([shared, own]),
                    fa.Problem.from_agents(agents)):
        for shared_point in (False, True):
            assert_measures_agree(Instance(problem, network, []), loops, 4, shared_point)


def test_least_squares_by_their_gram_matrix_are_as_exact(engine):
    """Where A'A is shorter than A, loops use that; its error is what rounding A and b alone may cause."""
    n, m, rng = 4, 30, np.random.default_rng(0)
    A = rng.normal(size=(m, n)) * np.geomspace(1e-5, 1e5, n)
    A *= np.geomspace(0.2, 5, m)[:, None] / np.linalg.norm(A, axis=1, keepdims=True)
    x = rng.normal(size=n) / np.geomspace(1e-5, 1e5, n)
    b = A @ x + 1e-9 * rng.normal(size=m)  # hardly anything is left over
    problem = fa.Problem(fa.objectives.LeastSquares(A, b), n_agents=1)
    assert kinds(fa.objectives.LeastSquares(A, b)) == [LEAST_SQUARES + packing.GRAM]
    run = fa.Solver(problem, fa.Network([], n_agents=1), engine=engine, x0=2 * x, tol=0,
                    method=fa.methods.ADAPD(steps=fa.FixedSteps(1.0, 1.0, 1.0)))
    run.run(1)
    exact = A.astype(np.longdouble).T @ (A.astype(np.longdouble) @ (2 * x) - b)
    rounding = np.abs(A).T @ (np.abs(A) @ np.abs(2 * x) + np.abs(b))
    assert (np.abs(2 * x - run.result().x - exact) <= 1e-15 * rounding + 1e-15 * np.abs(x)).all()


@functools.cache
def larger_than_the_cache(N, n, consensus):
    """An instance, and the specification's run."""
    rng = np.random.default_rng(5)
    A = rng.normal(size=(N, n, n)) / np.sqrt(n)
    problem = fa.Problem(
        [fa.objectives.Quadratic(A @ np.swapaxes(A, 1, 2), rng.normal(size=(N, n))), fa.objectives.Linear(np.ones(n))],
        constraints=[
            fa.constraints.Ellipsoid(A @ np.swapaxes(A, 1, 2), np.zeros((N, n)), 0.5),
            fa.constraints.AffineInequality(rng.normal(size=(N, 2, n)), np.full((N, 2), 0.1)),
        ],
    )
    instance = Instance(problem, fa.Network(fa.graphs.small_world(N, N, rng=0), consensus=consensus), [])
    return instance, specified(instance, fa.methods.ADAPD(memory=0), 2 * N)


@pytest.mark.parametrize("consensus", ["edge", "laplacian"])
@pytest.mark.parametrize("N, n", [(1300, 10), (700, 30)])  # unrolled, or not
def test_a_problem_larger_than_the_cache_agrees(loops, N, n, consensus):
    """There the loops ask memory for the agents that wake next."""
    instance, specification = larger_than_the_cache(N, n, consensus)
    assert_agree(instance, fa.methods.ADAPD(memory=0), loops, 2 * N, (1, 5, N), specification=specification)


@pytest.mark.parametrize("method", ["ad-apd", "dpda-s"])
@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 6), st.sampled_from(["edge", "metropolis"]))
@settings(max_examples=20)
def test_lists_of_one_agent_or_of_all_are_the_same_bit_for_bit(compiled, method, seed, N, n, consensus):
    """Stacked problems are packed with the lists of agent 0 alone; one agent's box given in another way ends that."""
    rng = np.random.default_rng(seed)
    R, G = rng.normal(size=(N, n, n)), rng.normal(size=(N, 2, n))
    shared = fa.constraints.Ellipsoid(np.diag(rng.uniform(1, 2, n)), np.zeros(n), 4.0)
    costs = fa.objectives.Quadratic(R.transpose(0, 2, 1) @ R, rng.normal(size=(N, n)))
    limits = [fa.constraints.AffineInequality(G, rng.uniform(0.1, 1, (N, 2))), shared]
    box = fa.regularizers.Box(-np.ones(n), np.ones(n))
    stacked = fa.Problem(costs, box, limits, n_agents=N)
    agents = [fa.Agent([costs.agent(i)], fa.regularizers.Box(-1.0, 1.0) if i == 0 else box,
                       [limit.agent(i) for limit in limits]) for i in range(N)]
    listed = fa.Problem.from_agents(agents)
    packed = [engines.packing.pack_problem(problem) for problem in (stacked, listed)]
    assert [p.alike for p in packed] == [1, 0] and [len(p.regularizer_kind) for p in packed] == [1, N]
    network, x = random_network(N, rng, consensus), rng.normal(size=(N, n))
    theta, scales = rng.uniform(size=stacked.n_rows), random_scales(stacked, rng)
    ends, seen = [], []
    for problem in (stacked, listed):
        options = {"multiplier_bound": 3.0, "jacobian_bound": 8.0} if method == "dpda-s" else {"memory": 0}
        kind = fa.methods.DPDA if method == "dpda-s" else fa.methods.ADAPD
        run = fa.Solver(problem, network, method=kind(**options), engine=compiled, rng=seed, tol=0)
        run.run(30)
        ends.append(state(run))
        seen.append(engines.load(compiled)(problem, network).measure(scales, x, theta))
    for name, array in ends[0].items():
        np.testing.assert_array_equal(array, ends[1][name], err_msg=name)
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("momentum", ["local", "global"])
def test_a_matrix_with_a_weight_for_every_edge_agrees(compiled, momentum):
    instance = with_weights(random_instance(["Quadratic"], "Box", ["AffineInequality"], N=6, n=3))
    assert_agree(instance, adapd(instance, "fixed", momentum), compiled, 300, (7,))


@given(instances(), dpdas)
@settings(max_examples=40)
def test_dpda_agrees(compiled, instance, options):
    assert_agree(instance, fa.methods.DPDA(**options, **BOUNDS), compiled, 100 * instance.problem.n_agents)


def test_accelerated_dpda_agrees(compiled):
    instance = random_instance(["LeastSquares"], "L1", ["Ellipsoid", "AffineInequality"], n=4, rows=2)
    mu = float(instance.problem.strong_convexity().min())
    assert_agree(instance, fa.methods.DPDA(strong_convexity=mu, **BOUNDS), compiled, 2000)


@given(instances(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=80)
def test_measures_agree(compiled, instance, seed, shared):
    assert_measures_agree(instance, compiled, seed, shared)


def random_scales(problem, rng):
    """As they are in a run, and so that steps of the stationarity are now the curvature's, now the scales'."""
    N, (length, gradient, mean) = problem.n_agents, rng.uniform(0.1, 5, 3)
    lipschitz, sizes = rng.uniform(0.1, 5, N), rng.uniform(0.1, 5, N) * rng.integers(2, size=N)
    return packing.Scales(length, gradient, lipschitz, rng.uniform(0.1, 5, problem.dim), mean, sizes)


def assert_measures_agree(instance, engine, seed, shared):
    problem, network, rng = instance.problem, instance.network, np.random.default_rng(seed)
    N, n = problem.n_agents, problem.dim
    scales, x = random_scales(problem, rng), rng.normal(size=n if shared else (N, n))
    theta, lambda_ = np.abs(rng.normal(size=problem.n_rows)), rng.normal(size=(network.n_rows, n))
    arguments = scales.lipschitz, scales.units, scales.sizes, x, theta, lambda_
    kept = [a.copy() for a in arguments]
    compiled, specification = (engines.load(e)(problem, network) for e in (engine, "numpy"))
    for multipliers, laplacian in ((None, False), (lambda_, False), (rng.normal(size=(N, n)), True)):
        found, expected = (
            bound.measure(scales, x, theta, multipliers, laplacian=laplacian) for bound in (compiled, specification)
        )
        found.sizes.sort()
        expected.sizes.sort()
        for name in found._fields:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), 1e-11, 1e-11, err_msg=name)
    for before, after in zip(kept, arguments, strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("N", [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1001])
@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_the_typical_gradient_is_a_median_or_less(compiled, N, spread):
    """Sizes all alike, near each other, and far apart, but so that the median counts; some are 0."""
    rng = np.random.default_rng(N)
    problem = fa.Problem(fa.objectives.Linear(np.zeros((N, 1))))
    bound = engines.load(compiled)(problem, fa.Network([(i, i + 1) for i in range(N - 1)], n_agents=N))
    for zeros, mean in itertools.product((0.0, 0.3, 1.0), (0.0, 1.0, 1e300)):
        sizes = 10.0 ** rng.uniform(-spread, spread, N) * (rng.random(N) >= zeros)
        scales = packing.plain_scales(problem)._replace(sizes=sizes, mean=mean)
        found = bound.measure(scales, np.zeros(1), np.zeros(0)).totals[packing.MEASURES.index("typical_gradient")]
        positive = np.sort(sizes[sizes > 0])
        low = max(positive[(positive.size - 1) // 4], mean) if positive.size else 0.0
        expected = max(min(np.median(positive), low), 1e-9 * positive[-1]) if positive.size else 0.0
        assert found == pytest.approx(expected, rel=1e-15, abs=0)


@pytest.mark.parametrize("kind", ["one is infinite", "half are infinite", "not a number", "two clusters", "neighbours"])
def test_the_typical_gradient_of_many_unusual_sizes(compiled, kind):
    """The time grows like N in all of them; with N^2 this test would take minutes."""
    N, rng = 100_000, np.random.default_rng(0)
    sizes = {
        "one is infinite": np.r_[np.inf, rng.random(N - 1)],
        "half are infinite": np.where(np.arange(N) % 2, np.inf, rng.random(N)),
        "not a number": np.where(np.arange(N) % 3, rng.random(N), np.nan),
        "two clusters": np.where(np.arange(N) % 5 < 2, 1.0, 1e-300) * (1 + 1e-15 * rng.integers(99, size=N)),
        "neighbours": 5e-324 * rng.integers(1, N, size=N),
    }[kind]
    problem = fa.Problem(fa.objectives.Linear(np.zeros((N, 1))))
    bound = engines.load(compiled)(problem, fa.Network([(i, i + 1) for i in range(N - 1)]))
    scales = packing.plain_scales(problem)._replace(sizes=sizes)
    found = bound.measure(scales, np.zeros(1), np.zeros(0)).totals[packing.MEASURES.index("typical_gradient")]
    positive = np.sort(sizes[sizes > 0])
    expected = max(positive[(positive.size - 1) // 4], 1e-9 * positive[-1])  # without a mean the lower quartile
    assert found == expected > 0


def test_the_mean_of_many_points_is_as_exact_as_that_of_few(compiled):
    """Points far from the origin: rounding of a sum of all at once would show."""
    N, far, rng = 20_000, 1e6, np.random.default_rng(0)
    problem = fa.Problem(fa.objectives.Linear(np.zeros((N, 2))))
    x = far + rng.normal(size=(N, 2))
    scales = packing.plain_scales(problem)
    bound = engines.load(compiled)(problem, fa.Network([(i, i + 1) for i in range(N - 1)]))
    expected = [math.fsum(column) / N for column in x.T]
    np.testing.assert_allclose(bound.measure(scales, x, np.zeros(0)).mean, expected, rtol=3e-15)


@pytest.mark.parametrize("method", ["ad-apd", "dpda-s"])
def test_an_engine_changes_no_input(engine, method):
    """The terms' own arrays are read-only for Python; a compiled loop has to keep to it by itself."""
    instance = random_instance(["Quadratic", "LeastSquares"], "Box", ["Ellipsoid", "AffineEquality"], n=5, rows=2)
    groups = (*instance.problem.objectives, *instance.problem.regularizers, *instance.problem.constraints)
    arrays = [a for g in groups for a in vars(g.term).values() if isinstance(a, np.ndarray)]
    kept = [a.copy() for a in arrays]
    options = fa.methods.DPDA(**BOUNDS) if method == "dpda-s" else method
    run = solver(instance, options, engine)
    run.run(30)
    assert run.result().activations == 120
    for before, after in zip(kept, arrays, strict=True):
        np.testing.assert_array_equal(after, before)


def test_an_agent_out_of_range_stops_the_loop_before_it(engine):
    """Kernels are public, so they check what would make them write out of bounds. Clocks have checked it before."""
    problem, network = small()
    run = fa.Solver(problem, network, engine=engine)._run
    for wrong in (-1, problem.n_agents, 2**31 - 1):
        done = run.activations
        assert run._engine.adapd(run.steps, run.state, np.array([0, 1, wrong, 2], dtype=np.int32)) == -2
        assert run.activations == done + 2


@pytest.mark.parametrize(
    "method, constraints",
    [
        (fa.methods.ADAPD(steps=fa.FixedSteps(1e3, 1e3, 1e3)), ["Ellipsoid"]),
        (fa.methods.DPDA(step_scale=1e3), []),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own word for what DIVERGED says
def test_an_overflow_is_seen_at_the_same_activation(engine, method, constraints):
    instance = random_instance(["Quadratic"], "Zero", constraints)
    run, specification = (solver(instance, method, e) for e in (engine, "numpy"))
    for each in (run, specification):
        each.run(10_000)
    result, expected = run.result(), specification.result()
    assert result.status == expected.status == fa.Status.DIVERGED
    assert result.activations == expected.activations < 40_000
    assert not result.success and np.isfinite(result.epochs) and "Diverged" in result.message


def test_engine_names(monkeypatch):
    problem, network = small()
    with pytest.raises(fa.InvalidOptionError, match="engine: 'fortran' is not known"):
        fa.Solver(problem, network, engine="fortran")
    reasons = engines.availability()
    assert list(reasons) == ["c", "numba", "numpy"] and reasons["numpy"] is None
    assert fa.Solver(problem, network).result().engine == next(
        name for name, reason in reasons.items() if reason is None
    )


@pytest.mark.parametrize("missing, module", [("c", "fastadapd._native"), ("numba", "numba")])
def test_a_named_engine_is_never_replaced(monkeypatch, missing, module):
    """As where there was no compiler at install time, or Numba does not import."""
    import sys

    name = engines._ENGINES[missing][0]
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"fastadapd.engines.{name}", raising=False)
    monkeypatch.delattr(engines, name, raising=False)
    with pytest.raises(fa.EngineError, match=f"engine '{missing}' does not work here"):
        fa.Solver(*small(), engine=missing)
    assert engines.availability()[missing]
    assert fa.Solver(*small()).result().engine != missing


@pytest.mark.skipif("c" in MISSING, reason="no C engine")
def test_c_codes_in_words():
    from fastadapd.engines import native

    words = [native.strerror(code) for code in (0, -1, -2, -3, -99)]
    assert len(set(words)) == 5 and words[0] == "no error" and words[-1] == "unknown status"
    assert native.simd() in ("AVX-512", "AVX2", "NEON", "baseline")
    with pytest.raises(ValueError, match="'AVX-1024' is not known or not here"):
        native.choose_simd("AVX-1024")


@pytest.mark.skipif("c" in MISSING, reason="no C engine")
def test_a_module_of_another_version_is_refused(monkeypatch):
    from fastadapd.engines import native, packing

    monkeypatch.setitem(packing.MOMENTUM, "local", 7)
    with pytest.raises(ImportError, match="FA_MOMENTUM_LOCAL is 1 in the compiled module and 7 in Python"):
        native._check_codes()
