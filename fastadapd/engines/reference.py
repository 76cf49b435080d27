"""The NumPy engine: the specification.

Written from the formulas, on the user's own objects and not on the packed arrays, so that it checks packing too. Slow
and obvious; every other engine must give the same iterates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastadapd._terms import Floats, length, middle
from fastadapd.constraints import SoftEquality
from fastadapd.engines.packing import (
    BAD_AGENT,
    MOMENTUM,
    NOT_FINITE,
    OK,
    ADAPDState,
    ADAPDSteps,
    DPDAState,
    DPDASteps,
    Ints,
    Measured,
    Memory,
    Scales,
    plain_scales,
)
from fastadapd.network import Network
from fastadapd.problem import Problem
from fastadapd.regularizers import L1


class ReferenceEngine:
    """Plain NumPy.

    Parameters
    ----------
    problem : Problem
    network : Network
    """

    name = "numpy"

    def __init__(self, problem: Problem, network: Network):
        self.problem, self.network, self.edge_form = problem, network, network.form == "edge"
        self.agents = [problem.agent(i) for i in range(problem.n_agents)]
        B = network.consensus_matrix
        columns = B.tocsc()
        ptr, rows = network.owned_rows
        self.owned = [rows[ptr[i] : ptr[i + 1]] for i in range(problem.n_agents)]
        self.row = [(B.indices[a:b], B.data[a:b]) for a, b in zip(B.indptr, B.indptr[1:], strict=False)]
        self.column = [(columns.indices[a:b], columns.data[a:b])
                       for a, b in zip(columns.indptr, columns.indptr[1:], strict=False)]
        self.laplacian: Any = network.laplacian

    def adapd(self, steps: ADAPDSteps, state: ADAPDState, agents: Ints) -> int:
        """Wake the agents one after the other (section 2 of the paper's method; see `fastadapd.methods.ADAPD`)."""
        for i in agents:
            if not 0 <= i < self.problem.n_agents:
                return BAD_AGENT
            status = self._activate(steps, state, int(i))
            if status != OK:
                return status
        return OK

    def _activate(self, steps: ADAPDSteps, state: ADAPDState, i: int) -> int:
        N, rho = self.problem.n_agents, steps.relaxation
        k, p = int(state.counters[0]) + 1, int(state.counters[1])
        x, lam, local = state.x, state.lambda_, steps.momentum == MOMENTUM["local"]

        here = x[i].copy()
        ahead, spring = np.zeros_like(here), 0.0  # what edges add to sum_r B_ri lambda_r, and per unit of way of x_i
        several = steps.local_steps > 1
        for r in self.owned[i]:
            agents, B_r = self.row[r]
            s, gamma = B_r @ x[agents], steps.gamma[0 if steps.same_gamma else r]
            if local and self.edge_form:
                # with one step lambda - (2 - rho) gamma s when r was last updated, of which no one else knows, moves by
                # rho gamma s; with several lambda moves, and x_i sees the slope of gamma |s|^2, too
                B_ri, beyond = B_r[agents == i].sum(), 2.0 if several else 2 - rho
                lam[r] += (steps.local_reach if several else rho) * gamma * s
                ahead += B_ri * beyond * gamma * s
                spring += beyond * gamma * B_ri**2
                continue
            if local:
                # without relaxation x would have gone 1/rho as far: s~ = s_last + (s - s_last)/rho, s^ = 2 s~ - s_last
                s_hat = 2 * (state.s_last[r] + (s - state.s_last[r]) / rho) - state.s_last[r]
                state.s_last[r] = s
            else:
                # only agent p moved: s_r(X_k) - s_r(X_{k-1}) = B_rp (x_p - x_p before)
                s_hat = s + N * B_r[agents == p].sum() * state.dx
            lam[r] += rho * gamma * s_hat

        rows_of_column, B_i = self.column[i]
        pull, new = B_i @ lam[rows_of_column] + ahead, here
        for step in range(max(1, steps.local_steps)):
            if local:
                # g^ = 2 (g_last + (g - g_last)/rho) - g_last, as s^ above
                momentum = 2 / rho - 1 if step or state.wakes[i] else 0.0
            else:
                momentum = float(N) if p == i else 0.0
            moved = self._local_step(steps, state, i, new, pull + spring * (new - here), momentum)
            if moved is None:
                return NOT_FINITE
            new = moved

        # xbar_K = [N x_K + sum_{k=1}^{K-1} x_k] / (K + N - 1); x_i has been iterates since_i .. k-1
        state.x_sum[i] += (k - state.since[i]) * x[i]
        state.since[i] = k
        state.dx[:] = new - x[i]
        x[i] = new
        state.wakes[i] += 1
        state.counters[:] = k, i
        return OK

    def _local_step(self, steps: ADAPDSteps, state: ADAPDState, i: int, x: Floats, pull: Floats,
                    momentum: float) -> Floats | None:
        """theta_i <- proj(theta_i + sigma_i g^), and where x_i goes from x; None where that is not finite.

        g^ = g + momentum (g - g_last), and `pull` is what the consensus rows add to the gradient.
        """
        rho, rows = steps.relaxation, slice(self.problem.row_ptr[i], self.problem.row_ptr[i + 1])
        theta = state.theta[rows]
        g, J, curvature = self._constraints(i, x, theta)
        if steps.adaptive:
            tau = 1 / (steps.tau[i] + curvature)
            sigma = steps.sigma[i] * self._row_weights(i, x)
        else:
            tau, sigma = steps.tau[i], steps.sigma[i]
        step = self._dual_ascent(i, theta, sigma, g + momentum * (g - state.g_last[rows])) - theta
        theta[:] = self._project_dual(i, theta + rho * step)
        # where a row of the Jacobian is 0 so is its sigma, and its multiplier if it is not active
        theta[(sigma == 0) & (g < 0) & ~self._equality(i)] = 0.0
        state.g_last[rows] = g

        z = x - tau * (self._gradient(i, x) + J.T @ theta + pull)
        if not np.isfinite(z).all():
            return None
        new = self._prox(i, z, tau)
        if rho == 1:
            return new
        relaxed = x + rho * (new - x)
        if self.agents[i].regularizer.is_set:
            return self._prox(i, relaxed, tau)
        if isinstance(self.agents[i].regularizer, L1):
            return np.where(new == 0, 0.0, relaxed)  # zeros stay zeros
        return relaxed

    def dpda(self, steps: DPDASteps, state: DPDAState, iterations: int) -> int:
        """Synchronous iterations of DPDA-S (see `fastadapd.methods.DPDA`)."""
        for _ in range(iterations):
            first = state.counters[0] == 0
            eta = 1.0
            if steps.mu > 0 and not first:
                eta = 1 / np.sqrt(1 + steps.mu * steps.tau.min() * steps.scale[0])
                steps.scale[0] *= eta
            tau, kappa, gamma = steps.tau * steps.scale[0], steps.kappa / steps.scale[0], steps.gamma / steps.scale[0]
            x, x_old = state.x, state.x_old
            state.s[:] += gamma * ((1 + eta) * x - eta * x_old)
            force = self.laplacian @ state.s
            new = np.empty_like(x)
            for i in range(self.problem.n_agents):
                rows = slice(self.problem.row_ptr[i], self.problem.row_ptr[i + 1])
                theta = state.theta[rows]
                g, J, _ = self._constraints(i, x[i], theta)
                g_hat = g if first else (1 + eta) * g - eta * state.g_old[rows]
                theta[:] = self._dual_ascent(i, theta, kappa[i], g_hat)
                norm = np.linalg.norm(theta)
                if norm > steps.bound[i]:
                    theta *= steps.bound[i] / norm
                state.g_old[rows] = g
                v = self._gradient(i, x[i]) + J.T @ theta + force[i] - steps.mu * x[i]
                z = (x[i] - tau[i] * v) / (1 + tau[i] * steps.mu)
                if not np.isfinite(z).all():
                    return NOT_FINITE
                new[i] = self._prox(i, z, tau[i] / (1 + tau[i] * steps.mu))
            x_old[:] = x
            x[:] = new
            state.x_sum[:] += new
            state.counters[0] += 1
        return OK

    def measure(self, scales: Scales | None, x: Floats, theta: Floats, multipliers: Floats | None = None, *,
                laplacian: bool = False) -> Measured:
        """g and the totals `packing.MEASURES` at one point (n,) or at one per agent (N, n)."""
        N, scales = self.problem.n_agents, plain_scales(self.problem) if scales is None else scales
        values, gradients, each = np.zeros(self.problem.n_rows), np.zeros(N), np.zeros((N, 6))
        x = np.broadcast_to(x, (N, self.problem.dim))
        B: Any = self.laplacian if laplacian else self.network.consensus_matrix
        force = np.zeros(x.shape) if multipliers is None else B.T @ multipliers
        mean = x.mean(axis=0)
        least = scales.gradient / max(norm(mean), scales.length)
        for i, agent in enumerate(self.agents):
            rows = slice(self.problem.row_ptr[i], self.problem.row_ptr[i + 1])
            g, J, curvature = self._constraints(i, x[i], theta[rows])
            values[rows] = g
            over = np.where(self._equality(i), np.abs(g), np.maximum(g, 0))
            outside = agent.regularizer.distance(x[i])
            lengths = np.array([norm(row) for row in J])
            distances = over / np.where(lengths > 0, lengths, 1.0)  # a row of zeros has no direction to go
            gradient, t = self._gradient(i, x[i]), 1 / np.maximum(scales.lipschitz[i] + curvature, least)
            moved = self._prox(i, x[i] - t * (gradient + J.T @ theta[rows] + force[i]), t)
            gradients[i] = norm(gradient)
            each[i] = (
                sum(float(f.value(x[i])) for f in agent.objective) + float(agent.regularizer.value(x[i])),
                np.maximum(norm(over), outside),
                np.maximum(distances.max(initial=0.0), outside),
                np.abs(theta[rows] * g).sum(),
                norm((x[i] - moved) / t),
                norm(J.T @ theta[rows]),
            )
        value, violation, distance, complementarity, stationarity, reaction = each.T
        apart, sizes = x - mean, np.maximum(gradients, scales.sizes)
        totals = (value.sum(), violation.max(), distance.max(), complementarity.sum(), stationarity.max(),
                  np.max([norm(row) for row in apart]), norm(mean),
                  np.max([norm(row) for row in apart * scales.units]), norm(mean * scales.units),
                  typical(sizes, scales.mean), reaction.mean())
        return Measured(values, gradients, distance, sizes, mean, np.array(totals))

    def compare(self, memory: Memory, point: Floats, image: Floats, last: Floats | None
                ) -> tuple[Floats, float, float, float]:
        """The residual, and the lengths of it, of the scaled image, and of the change since the last residual."""
        m = memory.looked_at
        residual = memory.scale * (image[:m] - point[:m])
        change = residual if last is None else residual - last
        return residual, length(residual), length(memory.scale * image[:m]), length(change)

    def remember(self, memory: Memory, slot: int, used: int, length: float, residual: Floats, last: Floats,
                 image: Floats, last_image: Floats) -> None:
        """Put the differences of two residuals, and of their images, into a slot, one of the first `used`."""
        m = memory.looked_at
        change, moved = (residual - last) / length, (image - last_image) / length
        memory.residuals[slot], memory.images[slot], memory.tails[slot] = change, moved[:m] * memory.units, moved[m:]
        products = memory.residuals[:used].astype(float) @ memory.residuals[slot].astype(float)
        memory.toward[:used] += length * products
        memory.toward[slot] = change @ residual
        memory.gram[slot, :used] = memory.gram[:used, slot] = products
        memory.gram[slot, slot] += memory.regularization

    def extrapolate(self, memory: Memory, used: int, norm: float, residual: Floats | None) -> tuple[Floats, float]:
        """How far the combination of differences nearest to the residual moves the image, and how far that is."""
        if residual is not None:
            memory.toward[:used] = memory.residuals[:used].astype(float) @ residual
        gamma = np.linalg.solve(memory.gram[:used, :used], memory.toward[:used] / norm)
        scaled = gamma @ memory.images[:used].astype(float)
        return np.append(scaled / memory.units, gamma @ memory.tails[:used]) * norm, norm * length(scaled)

    def _constraints(self, i: int, x: Floats, theta: Floats) -> tuple[Floats, Floats, float]:
        """g_i, J_i and the multiplier-weighted curvature <theta_i, L_gi>."""
        g: list[Floats] = []
        J: list[Floats] = []
        curvature, first = 0.0, 0
        for term in self.agents[i].constraints:
            g.append(term.value(x))
            J.append(term.jacobian(x))
            curvature += float(theta[first : first + term.rows].sum() * term.curvature)
            first += term.rows
        if not g:
            return np.zeros(0), np.zeros((0, self.problem.dim)), 0.0
        return np.concatenate(g), np.concatenate(J), curvature

    def _row_weights(self, i: int, x: Floats) -> Floats:
        """1 / |J_r|^2 of every row, split over the blocks of the agent and, by the norm of the scaled rows, in each."""
        terms = self.agents[i].constraints
        weights = [np.zeros(0)]
        for term in terms:
            norms = term.row_norms(x)
            inverse = np.divide(1.0, norms**2, out=np.zeros_like(norms), where=norms > 0)
            # a block of zeros has a scaled norm of 0 and weights of 0
            weights.append(inverse / (len(terms) * (float(term.scaled_norm_squared) or 1.0)) if term.affine
                           else inverse / len(terms))
        return np.concatenate(weights)

    def _equality(self, i: int) -> np.ndarray:
        return np.array([term.equality for term in self.agents[i].constraints for _ in range(term.rows)], dtype=bool)

    def _dual_ascent(self, i: int, theta: Floats, sigma: Floats | float, g_hat: Floats) -> Floats:
        """proj(theta + sigma g^); of rows that give way the proximal step, from ``g^ - compliance theta``."""
        compliance = np.concatenate([np.zeros(0), *(term.compliance if isinstance(term, SoftEquality)
                                                    else np.zeros(term.rows) for term in self.agents[i].constraints)])
        step = sigma / (1 + sigma * compliance)
        return self._project_dual(i, theta + step * (g_hat - compliance * theta))

    def _project_dual(self, i: int, theta: Floats) -> Floats:
        return np.where(self._equality(i), theta, np.maximum(theta, 0.0))

    def _gradient(self, i: int, x: Floats) -> Floats:
        return np.sum([np.zeros(self.problem.dim), *(f.gradient(x) for f in self.agents[i].objective)], axis=0)

    def _prox(self, i: int, z: Floats, tau: float) -> Floats:
        return self.agents[i].regularizer.prox(z, tau)


def typical(sizes: Floats, mean: float) -> float:
    """A size that neither single large costs nor costs that cancel each other make large; at least rounding's."""
    positive = np.sort(sizes[sizes > 0])
    if not positive.size:
        return 0.0
    quartile = positive[(len(positive) - 1) // 4]
    return max(min(middle(positive), max(quartile, mean)), 1e-9 * positive[-1])


def norm(x: Floats) -> float:
    """|x|, also where the squares of its entries would overflow or underflow."""
    most = np.abs(x).max(initial=0.0)
    return float(most * np.linalg.norm(x / most)) if 0 < most < np.inf else float(most)
