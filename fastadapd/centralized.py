"""The reference optimum: the whole problem handed to one interior-point solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadapd._terms import Floats
from fastadapd.errors import FastadapdError
from fastadapd.problem import Problem, check_problem


@dataclass(frozen=True)
class CentralizedResult:
    """An optimum of the whole problem.

    Attributes
    ----------
    x : ndarray, shape (dim,)
    fun : float
        Sum of all costs and simple terms.
    multipliers : tuple of ndarray
        For each agent the multipliers of its constraint rows, with the sign of `fastadapd.Result.multipliers`.
    status : str
        CVXPY's word for the outcome.
    """

    x: Floats
    fun: float
    multipliers: tuple[Floats, ...]
    status: str


def solve_centralized(problem: Problem, solver: str = "CLARABEL", **options: object) -> CentralizedResult:
    """Solve a problem as if one computer held all terms, through CVXPY.

    Good for F* and x* to compare with; needs the packages cvxpy and clarabel (``pip install 'fastadapd[figures]'``).

    Parameters
    ----------
    problem : Problem
    solver : str
        Any solver that CVXPY knows.
    **options
        Handed to ``cvxpy.Problem.solve``.

    Returns
    -------
    CentralizedResult

    Raises
    ------
    InvalidOptionError
        When `problem` is none.
    FastadapdError
        When the solver finds no optimum (an infeasible or unbounded problem, say), or CVXPY is missing.
    """
    check_problem(problem)
    try:
        import cvxpy as cp
    except ImportError as error:
        raise FastadapdError(f"solve_centralized needs CVXPY and Clarabel ({error}): pip install 'fastadapd[figures]'"
                             ) from error
    x = cp.Variable(problem.dim)
    total: list[object] = []
    limits: list[list[cp.Constraint]] = []
    domains: list[cp.Constraint] = []
    for i in range(problem.n_agents):
        agent = problem.agent(i)
        value, domain = agent.regularizer.to_cvxpy(x)
        total += [term.to_cvxpy(x) for term in agent.objective] + [value]
        limits.append([limit for term in agent.constraints for limit in term.to_cvxpy(x)])
        domains += domain
    program = cp.Problem(cp.Minimize(cp.sum(total)), domains + [limit for own in limits for limit in own])
    try:
        program.solve(solver=solver, **options)
    except cp.SolverError as error:
        raise FastadapdError(f"{solver} found no optimum: {error}") from error
    if x.value is None or program.status not in ("optimal", "optimal_inaccurate"):
        raise FastadapdError(f"{solver} found no optimum: it says {program.status}")
    multipliers = tuple(np.concatenate([np.atleast_1d(limit.dual_value).reshape(-1) for limit in own] or [np.zeros(0)])
                        for own in limits)
    return CentralizedResult(x.value, float(problem.values(x.value).sum()), multipliers, str(program.status))
