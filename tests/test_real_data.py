"""Real data on a real network: patients of a diabetes study at the clubs' members, who share a model and no data.

The diabetes data of Efron, Hastie, Johnstone and Tibshirani (442 patients, 10 measurements; scikit-learn brings them
along) are split over the 34 members of Zachary's karate club (networkx brings it along). Together they fit one linear
model; each member has a sparsity weight and a private budget for the norm of the model.
"""

import networkx as nx
import numpy as np
import pytest
from strategies import solve_accurately

import fastadapd as fa

datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the data")
MEMBERS, PATIENTS = 34, 442


def study():
    """Measurements and the disease's progression, both of mean 0 and variance 1."""
    data = datasets.load_diabetes(scaled=False)
    return tuple((a - a.mean(axis=0)) / a.std(axis=0) for a in (data.data, data.target))


def club_problem(sizes):
    """Member i holds `sizes[i]` patients, the l1 weight w_i and the budget r_i; the smallest budgets matter."""
    measurements, progression = study()
    assert measurements.shape == (PATIENTS, 10) and sum(sizes) == PATIENTS
    cuts = np.cumsum(sizes)[:-1]
    A, b = np.split(measurements, cuts), np.split(progression, cuts)
    rng = np.random.default_rng(0)
    weight, budget = rng.uniform(0.1, 0.5, MEMBERS), rng.uniform(0.35, 0.7, MEMBERS)
    return A, b, weight, budget


def by_cvxpy(A, b, weight, budget):
    import cvxpy as cp

    x = cp.Variable(10)
    cost = cp.sum_squares(np.concatenate(A) @ x - np.concatenate(b)) / 2 + weight.sum() * cp.norm1(x)
    limits = [cp.norm(x) <= r for r in budget]
    program = cp.Problem(cp.Minimize(cost), limits)
    solve_accurately(program)
    # |x|^2 <= r^2 has the multiplier of |x| <= r over 2 r
    return x.value, program.value, np.array([float(c.dual_value) for c in limits]) / (2 * budget)


def equal():
    return np.full(MEMBERS, PATIENTS // MEMBERS)


def ragged():
    """From 1 patient to 30, all of them handed out."""
    extra = np.random.default_rng(1).multinomial(
        PATIENTS - MEMBERS, np.random.default_rng(2).dirichlet(np.full(MEMBERS, 2))
    )
    return 1 + extra


@pytest.mark.parametrize("sizes", [equal(), ragged()], ids=["13 patients each", "ragged"])
def test_the_club_agrees_on_the_model_of_all_patients(sizes):
    A, b, weight, budget = club_problem(sizes)
    x, value, multipliers = by_cvxpy(A, b, weight, budget)
    tight = np.argmin(budget)
    assert abs(np.linalg.norm(x) - budget[tight]) < 1e-6 and multipliers[tight] > 1  # the smallest budget is used up,
    assert (np.abs(x) < 1e-6).sum() >= 2  # and the model is sparse

    if len(set(sizes)) == 1:
        problem = fa.Problem(
            fa.objectives.LeastSquares(np.stack(A), np.stack(b)),
            fa.regularizers.L1(weight[:, None]),
            fa.constraints.Ellipsoid(np.eye(10), np.zeros(10), budget**2),
        )
    else:
        problem = fa.Problem.from_agents(
            [
                fa.Agent(
                    fa.objectives.LeastSquares(*data),
                    fa.regularizers.L1(w),
                    fa.constraints.Ellipsoid(np.eye(10), np.zeros(10), r**2),
                )
                for *data, w, r in zip(A, b, weight, budget, strict=True)
            ]
        )
    club = fa.Network(nx.karate_club_graph())
    result = fa.solve(problem, club, rng=0, tol=1e-8, max_epochs=100_000, optimal_value=value)
    assert result.success, result
    print(result)

    size = np.linalg.norm(x)
    assert np.linalg.norm(result.x - x) <= 1e-6 * size
    assert np.linalg.norm(result.x_agents - x, axis=1).max() <= 1e-6 * size
    assert result.suboptimality <= 1e-6 and result.infeasibility <= 1e-6
    np.testing.assert_allclose(np.concatenate(result.multipliers), multipliers, atol=1e-3 * multipliers.max())
