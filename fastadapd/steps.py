"""Step sizes of AD-APD: those of the theory, the user's own, and what the adaptive rule needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fastadapd._terms import Floats, eigenvalues, length, lengths, middle
from fastadapd.constraints import SoftEquality
from fastadapd.engines.packing import MOMENTUM, ADAPDSteps, Measured
from fastadapd.engines.reference import norm
from fastadapd.errors import InvalidOptionError, as_numbers
from fastadapd.network import Network
from fastadapd.problem import Problem, check_problem
from fastadapd.regularizers import L1


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
        rows = network.n_rows
        return (per_agent("tau", self.tau, problem.n_agents), per_agent("sigma", self.sigma, problem.n_agents),
                per_agent("gamma", self.gamma, rows, "consensus row"))


def per_agent(name: str, value: ArrayLike, count: int, what: str = "agent") -> Floats:
    """A positive number per agent (or row) from one or from one each."""
    array = as_numbers(name, value)
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
    check_problem(problem)
    x = as_numbers("x", x)
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
    for group in problem.regularizers:
        outside = group.term.distance(np.broadcast_to(x, (len(group.agents), problem.dim)))
        if outside.any():
            agent = group.agents[int(np.argmax(outside))]
            raise InvalidOptionError(f"x is no Slater point: it is {outside.max():.3g} outside the "
                                     f"{type(group.term).__name__} of agent {agent}")
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
        # <theta_i, L_gi> <= |theta_i| |L_gi| with one entry of L_gi per row
        curvature[group.agents] += group.term.rows * np.asarray(group.term.curvature) ** 2
        if jacobian_bound is None:
            for domain in problem.regularizers:
                both, here, there = np.intersect1d(group.agents, domain.agents, assume_unique=True, return_indices=True)
                if both.size:
                    bound = group.term.some(here).jacobian_bound(domain.term.some(there))
                    norm_squared[both] += np.square(bound)
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
    return per_agent("multiplier_bound", multiplier_bound, N) * np.sqrt(curvature), np.sqrt(norm_squared)


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


def fixed(steps: FixedSteps, momentum: str, relaxation: float, local_steps: int, problem: Problem,
          network: Network) -> ADAPDSteps:
    """Steps as the engines take them."""
    tau, sigma, gamma = steps.broadcast(problem, network)
    return ADAPDSteps(MOMENTUM[momentum], 0, 0, local_steps, _reach(local_steps), relaxation, tau, sigma, gamma)


def _reach(local_steps: int) -> float:
    """By how many gamma_r s_r a consensus multiplier moves: the nearer x_i comes to the least of its augmented
    Lagrangian, the less is stable (below 2 at the least itself, as in the symmetric ADMM)."""
    return 2.0 if local_steps == 2 else 1.6


_DRIFT = 1.4  # times as far as the last time: X is on a long way
HURRY = 4.0  # times as large is far to go: there the weight does not stop halfway
_SLACK = 1e-2  # of what slopes suggest: a smaller weight from curvature says nothing
_OWN = 0.3  # of the forces of constraints on their own agents: so much the weight takes the multipliers for at least


class AdaptiveRule:
    """How the adaptive steps follow from one weight w, and w from the run.

    With ``a_i = sum_r |B_ri|`` agent i takes ``1/tau_i = l_i + 2 w a_i``, where ``l_i = L_i + <theta_i, L_gi>`` is the
    curvature of its Lagrangian, and one w a_i is for its consensus rows, ``gamma_r = w / sum_j |B_rj|``, and one for
    its constraints: each of its b blocks gets an equal share, ``sigma_r = w a_i / (b |J_r|^2)``, over the squared norm
    of the block with all rows scaled to norm 1 where there are several. A row of zeros has no step: where its
    inequality is not active its multiplier is 0.

    The weight balances the two sides of the saddle point: at epochs 10, 20, 40, ...
    ``ln w <- (ln w + ln(c |lambda| / |X - X_0|)) / 2`` with X the farthest point so far. Consensus multipliers of a
    network with cycles are not unique, so |lambda| is taken from their force, as if all singular values of B were
    alike: ``|lambda| = |B' lambda| sqrt(N) / |B|_F``, but at least 0.3 times the constraints' ``(sum_r |theta_r
    J_r|^2)^(1/2)``: where agents agree unasked there is hardly any lambda. With c = 1 this is the least bound of the
    gap. What is best on problems with curvature grows like ``c = sqrt(2 N)``; on linear programs it is a third of the
    bound's.
    From the first of these epochs on at which the method has slowed down, the weight follows `imbalance` instead.
    Where the first weight may be far off, because costs have become equations (`fastadapd.stiffness`) or because it is
    from their slopes, the weight hurries: where the bound is more than 4 times as large it becomes the bound, but no
    larger than if all agents were as curved as the stiffest equation; where X has gone 1.4 times as far as the last
    time it becomes an eighth, down to a tenth of what curvatures suggest. In both cases it is looked at again 10 epochs
    later, until epoch 320; then the imbalance may move it a thousandfold, else fourfold. Multipliers that are given
    count before the first epoch there, with a length of the problem for X.
    Where a run begins anew, X_0 and the weight do too, the epochs do not; X_0 is once more the mean where such a run
    ends looking back (if the weight is due then, it stays).

    Parameters
    ----------
    problem : Problem
    network : Network
    momentum : {"local", "global"}
    bold, careful : tuple of (int, float)
        Local steps and relaxation, for the engines: `steps` has the one or the other. None of the rules depends on them
        but how far consensus multipliers move.

    Attributes
    ----------
    lipschitz : ndarray, shape (N,)
        L_i.
    softened : bool
        Whether costs have become equations.
    curvature : float
        The weight that the L_i suggest.
    """

    def __init__(self, problem: Problem, network: Network, momentum: str, bold: tuple[int, float],
                 careful: tuple[int, float]):
        self._problem, self._network = problem, network
        pull, row_sums = network.consensus_weights
        # 1 for the empty row of a single agent
        self._row_sums = row_sums if row_sums.all() else np.where(row_sums > 0, row_sums, 1.0)
        self._pull = pull if pull.all() else np.where(pull > 0, pull, 1.0)
        size = network.consensus_norm
        self._total_pull = float(self._pull.sum())
        self._gain = float(np.sqrt(len(pull))) / size if size > 0 else 1.0
        self._momentum, self._bold, self._careful = momentum, bold, careful
        self.lipschitz = problem.lipschitz()
        self.curvature = float(self.lipschitz.sum()) / self._total_pull
        self._smooth = self.curvature > 0
        self.softened = any(isinstance(group.term, SoftEquality) for group in problem.constraints)
        # the weights that curvatures suggest if all were that of the flattest equation, or of the stiffest
        self._flattest, self._stiffest = 0.0, np.inf
        if self.softened:
            inverses = np.concatenate([np.ravel(group.term.compliance) for group in problem.constraints
                                       if isinstance(group.term, SoftEquality)])
            scale = problem.n_agents / self._total_pull
            self._flattest = scale / float(inverses.max())
            self._stiffest = math.sqrt(2.0 * problem.n_agents) * scale / float(inverses.min())
        self._curved = self._smooth or self.softened or any(np.any(group.term.curvature)
                                                            for group in problem.constraints)
        self._inequality = np.ones(problem.n_rows, dtype=bool)
        self._row_agent = np.repeat(np.arange(problem.n_agents), np.diff(problem.row_ptr))
        self._row_norms = np.empty(problem.n_rows)  # |J_r|, of rows that are not affine where it was asked for last
        self._not_affine = []
        for group, rows in problem.constraint_rows():
            self._inequality[rows] = not group.term.equality
            if np.any(group.term.curvature):
                self._not_affine.append((group, rows))
            else:
                self._row_norms[rows] = group.term.row_norms(np.zeros(problem.dim))

    def steps(self, weight: float, careful: bool = False) -> ADAPDSteps:
        """Steps as the engines take them; global momentum costs dual steps a factor N, as in the theory."""
        local_steps, relaxation = self._careful if careful else self._bold
        share = weight * self._pull
        price = float(len(share)) if self._momentum == "global" else 1.0
        gamma = weight / (price * self._row_sums)
        return ADAPDSteps(MOMENTUM[self._momentum], 1, int(len(gamma) == 1), local_steps, _reach(local_steps),
                          relaxation, self.lipschitz + 2.0 * share, share / price, gamma)

    def first_weight(self, x: Floats, found: Measured) -> float:
        """A guess before the first activation: the curvature of the costs, or their slope over a length.

        The mean of L_i, unless the size of the costs' gradients over a length of the problem is more than 100 times
        that: then the costs are next to linear, or those count that are. It is that number then, if some set is
        bounded, or without curvature, else the geometric mean of both. The length is the mean of ``|x_i|`` or, where
        that is longer, the median distance to the boundaries of a kind of constraint; where both are 0, how far the
        agents' sets reach. Where no slope is left beside equations it is the geometric mean of the weights that the
        flattest and the stiffest of them suggest.

        Parameters
        ----------
        x : ndarray, shape (N, n)
        found : Measured
            What the engine says of these copies, without multipliers.
        """
        problem = self._problem
        curved = self.curvature
        size, extent = length(found.gradients), self._extent(x, found)
        if curved and not extent:
            reaches = np.concatenate([np.atleast_1d(group.term.reach(np.zeros(problem.dim)))
                                      for group in problem.regularizers])
            reaches = reaches[reaches < np.inf]
            if not reaches.size:
                return curved
            extent = middle(np.sort(reaches))
        for group in problem.regularizers:
            if isinstance(group.term, L1):  # of weights w: |w|_1 / sqrt(n), at most |w|
                sums = np.broadcast_to(group.term.value(np.ones(problem.dim)), len(group.agents))
                size = math.hypot(size, length(sums) / math.sqrt(problem.dim))
        if self.softened and not size:
            return math.sqrt(self._flattest) * math.sqrt(self._stiffest)
        if not 0 < size < np.inf:  # squares underflow or overflow
            size = norm(found.gradients)
        sloping = size * math.sqrt(len(x)) / ((extent or 1.0) * self._total_pull)
        if curved > _SLACK * sloping:
            return curved
        # what is bounded is near; else x may have to go as far as the curvature says
        return (math.sqrt(curved * sloping) if curved and not _is_bounded(problem) else sloping) or 1.0

    def _extent(self, x: Floats, found: Measured) -> float:
        """The mean of |x_i| or, where that is longer, the median distance to the boundaries of a kind of constraint."""
        extent = float(lengths(x).mean()) if x.any() else 0.0
        if self._problem.constraints:
            norms = self._norms(x)
            distances = np.divide(np.abs(found.g), norms, out=np.zeros_like(norms), where=norms > 0)
            for _, rows in self._problem.constraint_rows():
                extent = max(extent, middle(np.sort(distances[rows], axis=None)))
        return extent

    def weight_of(self, weight: float, x: Floats, found: Measured, force: Floats, theta: Floats) -> float:
        """The first weight where multipliers are given and it may be far off: as if X had come from a length away."""
        distance = self._extent(x, found) * math.sqrt(len(x))
        return self.next_weight(weight, weight, distance, 0.0, force, x, theta, True)

    def next_weight(self, weight: float, first: float, distance: float, before: float, force: Floats, x: Floats,
                    theta: Floats, hurries: bool) -> float:
        """The rebalanced weight.

        Parameters
        ----------
        weight, first : float
            The present one, and the one at the start.
        distance, before : float
            Farthest ``|X - X_0|``, and what it was the last time.
        force : ndarray, shape (N, n)
            ``B' lambda``.
        x, theta : ndarray, shapes (N, n) and (M,)
            The agents' copies, and the multipliers of their constraints.
        hurries : bool
            Whether the first weight may be far off.
        """
        factor = np.sqrt(2.0 * len(force)) if self._curved else 1.0 / 3.0
        dual = factor * max(length(force) * self._gain, _OWN * length(theta * self._norms(x)))
        if not (0 < distance < np.inf and 0 < dual < np.inf):
            return weight
        # where the agents hardly disagree lambda says nothing; with linear costs only, x may have to go very far
        least = 0.1 * first if self._smooth else 0.0
        if hurries:
            # no cost is left, and so no slope, where all have become equations: they may hold without any multiplier
            least = 0.1 * (self.curvature if self._problem.objectives else self._flattest)
            if weight < self._stiffest and dual / distance > HURRY * weight:
                return float(min(dual / distance, self._stiffest))
            if self._smooth and distance > _DRIFT * before > 0:
                return max(weight / (2.0 * HURRY), least)
        return max(float(np.sqrt(weight * dual / distance)), least) or weight

    def imbalance(self, residual: Floats, size: int, most: float = 4.0) -> float:
        """A factor for the weight, at most `most` either way: the square root of dual over primal movement.

        Parameters
        ----------
        residual : ndarray
            Movement of x (the first `size` numbers), lambda and theta over one period, in the `metric`.
        size : int
        most : float
        """
        primal, dual = length(residual[:size]), length(residual[size:])
        return float(np.clip(np.sqrt(dual / primal), 1.0 / most, most)) if primal > 0 and dual > 0 else 1.0

    def metric(self, weight: float, x: Floats) -> Floats:
        """Weights of x, lambda and theta that make them comparable: one over the square roots of their steps."""
        (N, n), R = x.shape, self._network.n_rows
        root = np.sqrt(weight * self._pull)
        metric = np.empty((N + R) * n + self._problem.n_rows)
        metric[: N * n].reshape(N, n)[:] = root[:, None]
        metric[N * n : (N + R) * n].reshape(R, n)[:] = np.sqrt(self._row_sums / weight)[:, None]
        np.divide(self._norms(x), root[self._row_agent], out=metric[(N + R) * n :])
        return metric

    def _norms(self, x: Floats) -> Floats:
        """|J_r| of every row of the constraints at x (N, n); the next call may write into it."""
        for group, rows in self._not_affine:
            self._row_norms[rows] = group.term.row_norms(x[group.agents])
        return self._row_norms

    def into_domain(self, x: Floats, theta: Floats) -> None:
        """Move copies into the agents' sets, and multipliers of inequalities to where they are not negative."""
        for group in self._problem.regularizers:
            if group.term.is_set:
                at = group.agents if len(group.agents) < len(x) else slice(None)
                x[at] = group.term.prox(x[at])
        np.maximum(theta, 0.0, out=theta, where=self._inequality)


def _is_bounded(problem: Problem) -> bool:
    """Whether some agent's set certainly is, and so what all agents agree on."""
    if any(np.isfinite(group.term.reach(np.zeros(problem.dim))).any() for group in problem.regularizers):
        return True
    for group in problem.constraints:
        if np.any(group.term.curvature):
            spectrum = eigenvalues(group.term.agent(0).P)
            if spectrum[0] > 1e-9 * spectrum[-1]:
                return True
    return False


def smallest_multiplier(network: Network, force: Floats, rtol: float, iterations: int = 100) -> Floats:
    """The smallest lambda (R, n) with ``B' lambda = force``: ``B (B'B)^+ force``, by conjugate gradients.

    Parameters
    ----------
    network : Network
        With the consensus matrix B.
    force : ndarray, shape (N, n)
        Its columns sum to 0.
    rtol : float
        Relative to the size of the force.
    iterations : int
        At most.
    """
    diagonal: Floats = np.ravel(network.consensus_matrix.power(2).sum(axis=0))  # of B'B
    scale = 1.0 / np.where(diagonal > 0, diagonal, 1.0)[:, None]
    solution, residual = np.zeros_like(force), force.copy()
    direction = scale * residual
    product = float(np.vdot(residual, direction))
    target = rtol**2 * product
    for _ in range(iterations):
        image = network.transpose_multiply(network.multiply(direction))
        curvature = float(np.vdot(direction, image))
        if not (curvature > 0 and product > target):
            break
        step = product / curvature
        solution += step * direction
        residual -= step * image
        scaled = scale * residual
        product, before = float(np.vdot(residual, scaled)), product
        direction *= product / before
        direction += scaled
    return network.multiply(solution)
