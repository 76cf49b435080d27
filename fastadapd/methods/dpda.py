"""DPDA-S: synchronous distributed primal-dual method, here with nonlinear constraints.

Every iteration all agents do, with Omega the graph Laplacian and eta = 1 (constant steps) or eta < 1 (accelerated),

    theta_i <- proj_{K_i*, |.| <= B_i}(theta_i + kappa_i ((1 + eta) g_i(x_i) - eta g_i(x_i old)))
    s_i     <- s_i + gamma ((1 + eta) x_i - eta x_i old)
    x_i     <- prox_{tau_i rho_i}(x_i - tau_i [grad f_i(x_i) + J_i(x_i)' theta_i + (Omega s)_i])

and send s_i to their neighbours once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastadapd import steps as step_rules
from fastadapd._terms import Floats
from fastadapd.clocks import Clock, SplitStream, Stream
from fastadapd.engines import Engine
from fastadapd.engines.packing import DPDAState, DPDASteps
from fastadapd.errors import InvalidOptionError, as_number
from fastadapd.methods._base import Method, Run, Start
from fastadapd.network import Network
from fastadapd.problem import Problem


@dataclass(frozen=True, eq=False)
class DPDA(Method):
    """Options of DPDA-S.

    The steps satisfy ``1/tau_i = l_i + kappa_i C_i^2 + 2 gamma d_i`` with d_i the degree and
    ``l_i = L_i + T_i L_gi`` (T_i the multiplier bound).

    Parameters
    ----------
    gamma : float, optional
        Consensus step; by default ``mean l_i / (2 mean d_i)``.
    dual_weight : float
        ``kappa_i = dual_weight * l_i / C_i^2``.
    multiplier_bound : array_like, shape () or (n_agents,), optional
        Bound on the norm of agent i's optimal multipliers, for example from `fastadapd.slater_bound`; theta_i is kept
        in that ball. Needed for curved constraints. A bound that is too small gives a wrong answer.
    jacobian_bound : array_like, shape () or (n_agents,), optional
        C_i, a bound on the norm of the constraints' Jacobian over the domain; by default from the regularizer's.
    step_scale : float
        Multiplies every tau_i; above 1 nothing is guaranteed.
    strong_convexity : float
        A modulus common to all costs; positive: the accelerated version.

    References
    ----------
    Aybat and Yazdandoost Hamedani, NeurIPS 2016 (static graphs); Yazdandoost Hamedani and Aybat, IEEE TAC 2021,
    arXiv 1908.11835 (nonlinear constraints, acceleration).
    """

    gamma: float | None = None
    dual_weight: float = 1.0
    multiplier_bound: ArrayLike | None = None
    jacobian_bound: ArrayLike | None = None
    step_scale: float = 1.0
    strong_convexity: float = 0.0

    name: ClassVar[str] = "dpda-s"

    def __post_init__(self) -> None:
        for name in ("gamma", "dual_weight", "step_scale"):
            value = getattr(self, name)
            if value is not None and not (0 < as_number(name, value) < np.inf):
                raise InvalidOptionError(f"{name} is {value}; it must be positive and finite")
        if not (0 <= as_number("strong_convexity", self.strong_convexity) < np.inf):
            raise InvalidOptionError(f"strong_convexity is {self.strong_convexity}; it must be finite and not negative")

    def start(self, problem: Problem, network: Network, engine: Engine, clock: Clock, start: Start) -> Run:
        reach, C = step_rules.constraint_constants(problem, self.multiplier_bound, self.jacobian_bound, "dpda-s")
        slowest = float(problem.strong_convexity().min())
        if self.strong_convexity > slowest * (1 + 1e-9):
            raise InvalidOptionError(f"strong_convexity is {self.strong_convexity} but agent "
                                     f"{int(np.argmin(problem.strong_convexity()))} has only {slowest:.6g}")
        l = problem.lipschitz() + reach
        l = np.where(l > 0, l, l[l > 0].mean() if (l > 0).any() else 1.0)
        degrees = network.degrees
        gamma = float(l.mean() / max(2 * degrees.mean(), 1.0)) if self.gamma is None else self.gamma
        kappa = self.dual_weight * l / np.where(C > 0, C, 1.0) ** 2
        tau = self.step_scale / (l + kappa * C**2 + 2 * gamma * degrees)
        bound = (np.full(problem.n_agents, np.inf) if self.multiplier_bound is None
                 else step_rules.per_agent("multiplier_bound", self.multiplier_bound, problem.n_agents))
        steps = DPDASteps(np.ones(1), float(self.strong_convexity), gamma, tau, kappa, bound)
        return _DPDARun(problem, network, engine, steps, start)


class _DPDARun(Run):
    by_laplacian = True
    state: DPDAState

    def __init__(self, problem: Problem, network: Network, engine: Engine, steps: DPDASteps, start: Start):
        if start.lambda_ is not None and start.lambda_.shape != start.x.shape:
            raise InvalidOptionError(f"consensus_multipliers has shape {start.lambda_.shape}; dpda-s keeps one vector "
                                     f"per agent, shape {start.x.shape}")
        self.unit = problem.n_agents
        self._engine, self._network, self._steps = engine, network, steps
        self.state = DPDAState(
            counters=np.zeros(1, dtype=np.int64),
            x=start.x.copy(),
            x_old=start.x.copy(),
            x_sum=np.zeros_like(start.x),
            theta=np.zeros(problem.n_rows) if start.theta is None else start.theta.copy(),
            g_old=np.zeros(problem.n_rows),
            s=np.zeros_like(start.x) if start.lambda_ is None else start.lambda_.copy(),
        )

    def advance(self, activations: int, stream: Stream | SplitStream) -> tuple[int, int]:
        return self._engine.dpda(self._steps, self.state, activations // self.unit), activations

    @property
    def activations(self) -> int:
        return int(self.state.counters[0]) * self.unit

    @property
    def consensus_multipliers(self) -> Floats:
        """s (N, n): the multipliers of the graph Laplacian's rows."""
        return self.state.s

    def ergodic(self) -> Floats:
        """``(1/K) sum_{k=1}^{K} x_k``."""
        return self.state.x_sum / max(int(self.state.counters[0]), 1) if self.state.counters[0] else self.state.x.copy()

    def force(self) -> Floats:
        return np.ascontiguousarray(self._network.laplacian @ self.state.s)

    def multipliers_on(self, network: Network) -> Floats:
        from scipy.sparse.linalg import cg  # slow to import

        columns = [cg(network.laplacian, column, rtol=1e-12)[0] for column in self.force().T]
        return np.ascontiguousarray(np.transpose(columns))

    def floats_sent(self) -> int:
        return int(self.state.counters[0]) * 2 * self._network.n_edges * self.state.x.shape[1]

    def extra(self) -> dict[str, Any]:
        return {"scale": self._steps.scale.copy()}

    def restore_extra(self, saved: dict[str, Any]) -> None:
        self._steps.scale[:] = saved["scale"]
