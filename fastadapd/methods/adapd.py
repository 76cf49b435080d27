"""AD-APD: asynchronous decentralized accelerated primal-dual method.

One random agent i wakes at a time. With the rows r of the consensus matrix B that it owns,

    s_r = (B X)_r,    lambda_r <- lambda_r + gamma_r s^_r
    g = g_i(x_i),     theta_i  <- proj_{K_i*}(theta_i + sigma_i g^)
    x_i <- prox_{tau_i rho_i}(x_i - tau_i [grad f_i(x_i) + J_i(x_i)' theta_i + sum_r B_ri lambda_r])

where ^ adds momentum: "global" ``s^ = s + N (s(X_k) - s(X_{k-1}))`` as published, "local"
``s^ = 2 s - (s when the row was last updated)``, on the agent's own clock. For one agent both are APD (Hamedani and
Aybat 2021).

Letters in the engines and words here: x ``x_agents``, theta ``multipliers``, lambda ``consensus_multipliers``, tau the
primal steps, sigma and gamma the dual steps of constraints and of consensus rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastadapd import steps as step_rules
from fastadapd._terms import Floats
from fastadapd.clocks import Stream
from fastadapd.engines import Engine
from fastadapd.engines.packing import ADAPDState, ADAPDSteps
from fastadapd.errors import InvalidOptionError
from fastadapd.methods._base import Method, Run, Start
from fastadapd.network import Network
from fastadapd.problem import Problem

_FIRST_REBALANCE = 10  # epochs; the later ones are 1.5 times apart


@dataclass(frozen=True, eq=False)
class ADAPD(Method):
    """Options of AD-APD.

    Parameters
    ----------
    momentum : {"local", "global"}
        The agent's own clock, or the published extrapolation over all activations.
    steps : {"adaptive", "theory"} or FixedSteps
        "adaptive": no constant to choose. With the curvature of the agent's Lagrangian ``l_i = L_i + <theta_i, L_gi>``,
        ``a_i = sum_r |B_ri|`` and one weight w for all: ``D_i = l_i + w a_i``, ``sigma_i = kappa D_i / |J_i(x_i)|^2``,
        ``tau_i = 1 / ((1 + kappa) D_i)``, ``gamma_r = w / sum_j |B_rj|``; w is rebalanced at epochs 10, 15, 22, ... by
        ``ln w <- (ln w + ln(|d lambda| / |d x|)) / 2`` with d the change since the last time.
        "theory": `fastadapd.steps.theory_steps`, guaranteed for the edge form with global momentum.
    weight : float, optional
        Start value of w (adaptive; default ``mean L_i / mean a_i``), or how long the dual steps are compared with the
        primal ones (theory; default 1).
    kappa : float
        Share of the constraints in the step (adaptive).
    multiplier_bound, jacobian_bound : array_like, shape () or (n_agents,), optional
        T_i and C_i of the theory steps.

    References
    ----------
    Abolfazli, Jalilzadeh, Yazdandoost Hamedani: An accelerated asynchronous distributed method for convex constrained
    optimization problems, arXiv 2302.11040 (2023). The local momentum and the adaptive steps are fastadapd's own.
    """

    momentum: str = "local"
    steps: str | step_rules.FixedSteps = "adaptive"
    weight: float | None = None
    kappa: float = 0.1
    multiplier_bound: ArrayLike | None = None
    jacobian_bound: ArrayLike | None = None

    name: ClassVar[str] = "ad-apd"

    def __post_init__(self) -> None:
        if self.momentum not in ("local", "global"):
            raise InvalidOptionError(f"momentum: {self.momentum!r} is not known; use 'local' or 'global'")
        if not isinstance(self.steps, step_rules.FixedSteps) and self.steps not in ("adaptive", "theory"):
            raise InvalidOptionError(f"steps: {self.steps!r} is not known; use 'adaptive', 'theory' or FixedSteps(...)")
        for name, value in (("weight", self.weight), ("kappa", self.kappa)):
            if value is not None and not (0 < value < np.inf):
                raise InvalidOptionError(f"{name} is {value}; it must be positive and finite")

    def start(self, problem: Problem, network: Network, engine: Engine, start: Start) -> Run:
        if isinstance(self.steps, step_rules.FixedSteps):
            steps = step_rules.fixed(self.steps, self.momentum, problem, network)
        elif self.steps == "theory":
            numbers = step_rules.theory_steps(
                problem, network, multiplier_bound=self.multiplier_bound, jacobian_bound=self.jacobian_bound,
                weight=1.0 if self.weight is None else self.weight)
            steps = step_rules.fixed(numbers, self.momentum, problem, network)
        else:
            steps = step_rules.adaptive(self.weight, self.kappa, self.momentum, problem, network)
        return _ADAPDRun(problem, network, engine, steps, start)


class _ADAPDRun(Run):
    unit = 1
    state: ADAPDState

    def __init__(self, problem: Problem, network: Network, engine: Engine, steps: ADAPDSteps, start: Start):
        N, n, R = problem.n_agents, problem.dim, network.consensus_matrix.shape[0]
        self._engine, self._network, self.steps = engine, network, steps
        self._B = network.consensus_matrix
        self._transposed = self._B.T.tocsr()
        self.state = ADAPDState(
            counters=np.array([0, -1]),
            wakes=np.zeros(N, dtype=np.int64),
            since=np.ones(N, dtype=np.int64),
            x=start.x.copy(),
            x_sum=np.zeros((N, n)),
            dx=np.zeros(n),
            theta=np.zeros(problem.n_rows) if start.theta is None else start.theta.copy(),
            g_last=np.zeros(problem.n_rows),
            lambda_=np.zeros((R, n)) if start.lambda_ is None else start.lambda_.copy(),
            s_last=np.ascontiguousarray(self._B @ start.x),
        )
        self._epoch = _FIRST_REBALANCE
        self._x_then, self._lambda_then = self.state.x.copy(), self.state.lambda_.copy()

    def advance(self, activations: int, stream: Stream) -> tuple[int, int]:
        agents = stream.take(activations)
        return self._engine.adapd(self.steps, self.state, agents), len(agents)

    @property
    def activations(self) -> int:
        return int(self.state.counters[0])

    @property
    def x(self) -> Floats:
        return self.state.x

    @property
    def theta(self) -> Floats:
        return self.state.theta

    @property
    def consensus_multipliers(self) -> Floats:
        return self.state.lambda_

    def ergodic(self) -> Floats:
        """``[N x_K + sum_{k=1}^{K-1} x_k] / (K + N - 1)``."""
        N, K = len(self.state.x), self.activations
        if K == 0:
            return self.state.x.copy()
        held = (K - self.state.since)[:, None] * self.state.x
        return (N * self.state.x + self.state.x_sum + held) / (K + N - 1)

    def force(self) -> Floats:
        return np.ascontiguousarray(self._transposed @ self.state.lambda_)

    def floats_sent(self) -> int:
        # to each neighbour its new x_i and the multiplier of a row: 2 n numbers
        return int(self.state.wakes @ self._network.degrees) * 2 * self.state.x.shape[1]

    def milestone(self) -> int | None:
        return self._epoch * len(self.state.x) if self.steps.adaptive else None

    def pass_milestone(self) -> None:
        dx = float(np.linalg.norm(self.state.x - self._x_then))
        dual = float(np.linalg.norm(self.state.lambda_ - self._lambda_then))
        if 0 < dx < np.inf and 0 < dual < np.inf:
            self.steps = self.steps._replace(weight=float(np.sqrt(self.steps.weight * dual / dx)))
        self._x_then, self._lambda_then = self.state.x.copy(), self.state.lambda_.copy()
        self._epoch = int(1.5 * self._epoch)

    def extra(self) -> dict[str, np.ndarray]:
        return {"weight": np.array(self.steps.weight), "epoch": np.array(self._epoch), "x_then": self._x_then.copy(),
                "lambda_then": self._lambda_then.copy()}

    def restore_extra(self, saved: dict[str, np.ndarray]) -> None:
        self.steps = self.steps._replace(weight=float(saved["weight"]))
        self._epoch = int(saved["epoch"])
        self._x_then, self._lambda_then = saved["x_then"].copy(), saved["lambda_then"].copy()
