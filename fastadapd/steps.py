"""Step sizes of AD-APD: those of the theory, the user's own, and what the adaptive rule needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fastadapd._terms import Floats
from fastadapd.engines.packing import MOMENTUM, ADAPDSteps
from fastadapd.errors import InvalidOptionError
from fastadapd.network import Network
from fastadapd.problem import Problem


@dataclass(frozen=True, eq=False)
class FixedSteps:
    """Steps of the user's own for `fastadapd.methods.ADAPD`.

    Parameters
    ----------
    tau : array_like, shape () or (n_agents,)
        Primal steps.
    sigma : array_like, shape () or (n_agents,)
        Dual steps of the constraints.
    gamma : array_like, shape () or (rows of the consensus matrix,)
        Dual steps of the consensus rows.
    """

    tau: ArrayLike
    sigma: ArrayLike
    gamma: ArrayLike

    def broadcast(self, problem: Problem, network: Network) -> tuple[Floats, Floats, Floats]:
        """tau (N,), sigma (N,), gamma (R,), checked to be positive and finite."""
        rows = network.consensus_matrix.shape[0]
        return (per_agent("tau", self.tau, problem.n_agents), per_agent("sigma", self.sigma, problem.n_agents),
                per_agent("gamma", self.gamma, rows, "consensus row"))


def per_agent(name: str, value: ArrayLike, count: int, what: str = "agent") -> Floats:
    """A positive number per agent (or row) from one or from one each."""
    array = np.asarray(value, dtype=float)
    if array.shape not in ((), (count,)):
        raise InvalidOptionError(f"{name} has shape {array.shape}; give one number, or one for each of the "
                                 f"{count} {what}s")
    wrong = np.atleast_1d(~((array > 0) & np.isfinite(array)))
    if wrong.any():
        i = int(np.argmax(wrong))
        where = f" of {what} {i}" if array.ndim else ""
        raise InvalidOptionError(f"{name}{where} is {np.atleast_1d(array)[i]}; it must be positive and finite")
    return np.ascontiguousarray(np.broadcast_to(array, (count,)))


def slater_bound(problem: Problem, x: ArrayLike) -> float:
    """A bound on the multipliers from a point that satisfies every inequality strictly.

    With F* >= sum_i inf f_i the multipliers of an optimum obey
    ``sum |theta*| <= (F(x) - sum_i inf f_i) / min_j(-g_j(x))``.

    Parameters
    ----------
    problem : Problem
        Inequalities only.
    x : array_like, shape (dim,)

    Returns
    -------
    float
        Bound on the sum of all multipliers, and so on every agent's.

    Raises
    ------
    InvalidOptionError
        When x does not satisfy an inequality strictly, or some cost is not bounded below.

    References
    ----------
    Bertsekas, Nonlinear Programming, section 5.3 (Slater's condition bounds the multipliers).
    """
    x = np.asarray(x, dtype=float)
    if x.shape != (problem.dim,):
        raise InvalidOptionError(f"x has shape {x.shape}; the problem has {problem.dim} coordinates")
    slack = np.inf
    for group in problem.constraints:
        if group.term.equality:
            raise InvalidOptionError(f"{type(group.term).__name__}: the bound is for inequalities only; "
                                     "give multiplier_bound= instead")
        g = np.atleast_2d(group.term.value(x))
        if (g >= 0).any():
            k, row = np.argwhere(g >= 0)[0]
            agent = group.agents[min(k, len(group.agents) - 1)]
            raise InvalidOptionError(f"x is no Slater point: row {row} of {type(group.term).__name__} of agent {agent} "
                                     f"is {g[k, row]:.3g}, not negative")
        slack = min(slack, float(-g.max()))
    lowest = np.zeros(problem.n_agents)
    for group in problem.objectives:
        lowest[group.agents] += group.term.lower_bound()
    if not np.isfinite(lowest).all():
        raise InvalidOptionError(f"the cost of agent {int(np.argmin(lowest))} is not bounded below; "
                                 "give multiplier_bound= instead")
    return float(problem.values(x).sum() - lowest.sum()) / slack


def constraint_constants(problem: Problem, multiplier_bound: ArrayLike | None, jacobian_bound: ArrayLike | None,
                         who: str) -> tuple[Floats, Floats]:
    """T_i L_gi and C_i of every agent; `who` asks, for the messages."""
    N = problem.n_agents
    curvature, norm_squared = np.zeros(N), np.zeros(N)
    for group in problem.constraints:
        curvature[group.agents] = np.maximum(curvature[group.agents], group.term.curvature)
        if jacobian_bound is None:
            for domain in problem.regularizers:
                both, here, _ = np.intersect1d(group.agents, domain.agents, return_indices=True)
                if not both.size:
                    continue
                bound = group.term.jacobian_bound(domain.term)
                norm_squared[both] += np.broadcast_to(bound, (len(group.agents),))[here] ** 2
    if jacobian_bound is not None:
        norm_squared = per_agent("jacobian_bound", jacobian_bound, N) ** 2
    if not np.isfinite(norm_squared).all():
        agent = int(np.argmax(~np.isfinite(norm_squared)))
        raise InvalidOptionError(f"{who}: the gradients of the constraints of agent {agent} are not bounded; "
                                 "give the agent a Box or L2Ball regularizer, or jacobian_bound=")
    if not curvature.any():
        return np.zeros(N), np.sqrt(norm_squared)
    if multiplier_bound is None:
        raise InvalidOptionError(f"{who} needs multiplier_bound= because of curved constraints: a bound on every "
                                 "agent's multipliers, for example from fastadapd.slater_bound(problem, x)")
    return per_agent("multiplier_bound", multiplier_bound, N) * curvature, np.sqrt(norm_squared)


def theory_steps(problem: Problem, network: Network, *, multiplier_bound: ArrayLike | None = None,
                 jacobian_bound: ArrayLike | None = None, weight: float = 1.0) -> FixedSteps:
    """Steps with the guarantee E[gap] = O(1/K) for the edge form with global momentum.

    They satisfy ``1/tau_i = l_i + N (sum_r gamma_r B_ri^2 + sigma_i C_i^2)`` with ``l_i = L_i + T_i L_gi``, where each
    of the last two parts is at most ``weight * l_i``.

    Parameters
    ----------
    problem : Problem
    network : Network
    multiplier_bound : array_like, shape () or (n_agents,), optional
        T_i, a bound on the norm of agent i's optimal multipliers; needed for curved constraints only.
    jacobian_bound : array_like, shape () or (n_agents,), optional
        C_i, a bound on the norm of the Jacobian over the domain; by default from the regularizer's.
    weight : float
        Larger: longer dual and shorter primal steps.

    Returns
    -------
    FixedSteps

    References
    ----------
    Abolfazli, Jalilzadeh, Yazdandoost Hamedani, arXiv 2302.11040 (2023).
    """
    N = problem.n_agents
    reach, C = constraint_constants(problem, multiplier_bound, jacobian_bound, "steps='theory'")
    l = problem.lipschitz() + reach
    l = np.where(l > 0, l, l[l > 0].mean() if (l > 0).any() else 1.0)
    B = network.consensus_matrix
    squares = B.power(2)
    column: Floats = np.asarray(squares.sum(axis=0)).ravel()
    share = weight * l / (N * np.where(column > 0, column, 1.0))
    gamma = np.full(B.shape[0], np.inf)
    entry_row = np.repeat(np.arange(B.shape[0]), np.diff(B.indptr))
    np.minimum.at(gamma, entry_row, share[B.indices])
    gamma[np.isinf(gamma)] = 1.0  # the empty row of a single agent
    sigma = weight * l / (N * np.where(C > 0, C, 1.0) ** 2)
    tau = 1.0 / (l + N * (squares.T @ gamma + sigma * C**2))
    return FixedSteps(tau, sigma, gamma)


def fixed(steps: FixedSteps, momentum: str, problem: Problem, network: Network) -> ADAPDSteps:
    """Steps as the engines take them."""
    tau, sigma, gamma = steps.broadcast(problem, network)
    return ADAPDSteps(MOMENTUM[momentum], 0, 1.0, 0.0, tau, sigma, gamma, np.zeros(problem.n_agents))


def adaptive(weight: float | None, kappa: float, momentum: str, problem: Problem, network: Network) -> ADAPDSteps:
    """The adaptive rule as the engines take it: gamma per unit of weight and the pull a_i of the consensus rows."""
    B = abs(network.consensus_matrix)
    pull: Floats = np.asarray(B.sum(axis=0)).ravel()
    per_row: Floats = np.asarray(B.sum(axis=1)).ravel()
    per_row = np.where(per_row > 0, per_row, 1.0)  # the empty row of a single agent
    pull = np.where(pull > 0, pull, 1.0)
    if weight is None:
        mean = float(problem.lipschitz().mean())
        weight = mean / float(pull.mean()) if mean > 0 else 1.0
    unused = np.zeros(problem.n_agents)
    return ADAPDSteps(MOMENTUM[momentum], 1, float(weight), kappa, unused, unused, 1.0 / per_row, pull)
