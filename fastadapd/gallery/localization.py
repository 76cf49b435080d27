"""Localization: agents that each know one region, and together look for the point of all regions next to a target."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastadapd._terms import Floats, dot, multiply
from fastadapd.constraints import Ellipsoid
from fastadapd.errors import InvalidProblemError
from fastadapd.objectives import LeastSquares
from fastadapd.problem import Problem
from fastadapd.regularizers import Box

_SLACK = 0.1
_BOX = 10.0
_DISTANCE = 2.0


@dataclass(frozen=True, eq=False)
class Localization:
    """A localization problem and what is known about it.

    Attributes
    ----------
    problem : Problem
    slater_point : ndarray, shape (dim,)
        A point inside of every agent's ellipsoid, with ``g_i(x) = -0.1``: it makes a bound on the multipliers,
        ``fastadapd.slater_bound(problem, slater_point)``.
    target : ndarray, shape (dim,)
        The point b that all agents want to be close to.
    """

    problem: Problem
    slater_point: Floats
    target: Floats


def localization(n_agents: int = 30, dim: int = 20, *, rng: Any = None) -> Localization:
    """Draw a localization problem: the point closest to a target that lies in every agent's private ellipsoid.

    Minimize ``sum_i |x - b|^2 / 2`` subject to ``(x - c_i)' P_i (x - c_i) <= r_i`` and ``-10 <= x <= 10``, where only
    agent i knows its ellipsoid: ``P_i = A'A`` with A of independent normal entries of variance ``1 / dim``, and the
    level r_i that leaves a slack of 0.1 at a common point. That point is standard normal; the centers c_i are normal
    around it with standard deviation 1, the target b with standard deviation 2, mostly outside of many ellipsoids.

    Parameters
    ----------
    n_agents : int
    dim : int
        Number of coordinates.
    rng : None, int or numpy.random.Generator, optional
        Where the randomness comes from, as for `numpy.random.default_rng`.

    Returns
    -------
    Localization

    Raises
    ------
    InvalidProblemError
        When `n_agents` or `dim` is less than 1.

    References
    ----------
    Abolfazli, Jalilzadeh, Yazdandoost Hamedani: An accelerated asynchronous distributed method for convex constrained
    optimization problems, arXiv 2302.11040 (2023), where localization is the experiment.

    Examples
    --------
    >>> import fastadapd as fa
    >>> from fastadapd.gallery import localization
    >>> case = localization(10, 5, rng=0)
    >>> case.problem
    Problem(10 agents, 5 coordinates, 10 constraint rows)
    >>> fa.solve(case.problem, fa.Network(fa.graphs.small_world(10, 10, rng=0)), rng=0).success
    True
    """
    N, n = operator.index(n_agents), operator.index(dim)
    for name, value in (("n_agents", N), ("dim", n)):
        if value < 1:
            raise InvalidProblemError(f"{name}={value} must be at least 1")
    rng = np.random.default_rng(rng)
    A = rng.standard_normal((N, n, n)) / np.sqrt(n)
    P = np.swapaxes(A, 1, 2) @ A
    slater_point = rng.standard_normal(n)
    center = slater_point + rng.standard_normal((N, n))
    target = slater_point + _DISTANCE * rng.standard_normal(n)
    offset = slater_point - center
    level = dot(multiply(P, offset), offset) + _SLACK
    problem = Problem(LeastSquares(np.eye(n), target), Box(-_BOX, _BOX), Ellipsoid(P, center, level))
    return Localization(problem, slater_point, target)
