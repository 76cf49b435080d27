"""Extreme eigenvalues of a graph's Laplacian, for any number of agents."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

_DENSE_SPECTRUM = 500  # up to this many agents a dense eigenvalue solver is the fastest
_SPECTRUM_TOLERANCE = 1e-6  # of the residual; where eigenvalues are apart, the error is about its square


def extreme_eigenvalues(laplacian: Any) -> tuple[float, float]:
    """The smallest nonzero and the largest eigenvalue of a connected graph's weighted Laplacian.

    Parameters
    ----------
    laplacian : sparse array, shape (N, N)

    Returns
    -------
    (float, float)
        For one agent infinity and 0.
    """
    n = laplacian.shape[0]
    if n == 1:
        return np.inf, 0.0
    if n <= _DENSE_SPECTRUM:
        spectrum = np.linalg.eigvalsh(laplacian.toarray())
        return float(spectrum[1]), float(spectrum[-1])

    smallest = _smallest_nonzero_eigenvalue(laplacian)
    if smallest is None:
        # Grounding agent 0 makes the Laplacian definite; up to a constant vector, its inverse is the pseudo-inverse.
        solve = _factorize(laplacian[1:, 1:])

        def pseudo_inverse(x: Any) -> Any:
            y = np.concatenate(([0.0], solve(x[1:] - x.mean())))
            return y - y.mean()

        smallest = 1 / _largest_eigenvalue(pseudo_inverse, n)
    return smallest, _largest_eigenvalue(laplacian.__matmul__, n)


def _smallest_nonzero_eigenvalue(laplacian: Any) -> float | None:
    """Return the smallest nonzero eigenvalue of a Laplacian, or None if iterations hardly come closer to it.

    Then it is tiny, the graph has small cuts (Cheeger), and a sparse factorization is cheap. The factors of a large
    expander would not fit into memory, but for an expander these iterations converge.
    """
    from scipy.sparse.linalg import lobpcg

    n = laplacian.shape[0]
    jacobi = sp.diags_array(1 / laplacian.diagonal())
    value, before, residual = float(laplacian.diagonal().min()), np.inf, np.inf
    vector: Any = np.random.default_rng(0).standard_normal((n, 1))
    while residual <= before / 2:  # in rounds, so that the tolerance is relative to the value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it says when it has not converged, which is judged below
            values, vector = lobpcg(
                laplacian, vector, M=jacobi, Y=np.ones((n, 1)), largest=False, tol=1e-7 * value, maxiter=250
            )
        value, before = float(values[0]), residual
        residual = float(np.linalg.norm(laplacian @ vector - value * vector)) / value
        if residual <= _SPECTRUM_TOLERANCE:
            return value
    return None


def _largest_eigenvalue(apply: Any, n: int) -> float:
    """Return the largest eigenvalue of a symmetric operator by plain Lanczos iterations.

    Without reorthogonalization eigenvalues appear repeatedly, which does not matter for the largest. Three vectors
    are enough, so thousands of steps can be made: crowded eigenvalues, as those of a long path, need them.
    """
    from scipy.linalg import eigh_tridiagonal

    vector = np.random.default_rng(0).standard_normal(n)
    vector /= np.linalg.norm(vector)
    before = np.zeros(n)
    diagonal: list[float] = []
    beside: list[float] = [0.0]
    next_check = 10
    while True:
        image = apply(vector) - beside[-1] * before
        diagonal.append(float(vector @ image))
        image -= diagonal[-1] * vector
        beside.append(float(np.linalg.norm(image)))
        steps = len(diagonal)
        if steps == next_check or beside[-1] == 0:
            last = (steps - 1, steps - 1)
            values, vectors = eigh_tridiagonal(diagonal, beside[1:-1], select="i", select_range=last)
            if beside[-1] * abs(vectors[-1, 0]) <= _SPECTRUM_TOLERANCE * values[0]:
                return float(values[0])
            next_check = steps + 10 + steps // 10
        before, vector = vector, image / beside[-1]


def _factorize(matrix: Any) -> Any:
    from scipy.sparse.linalg import splu

    return splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    ).solve
