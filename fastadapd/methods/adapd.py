"""AD-APD: asynchronous decentralized accelerated primal-dual method.

One random agent i wakes at a time. With the rows r of the consensus matrix B that it owns,

    s_r = (B X)_r,    lambda_r <- lambda_r + gamma_r s^_r
    g = g_i(x_i),     theta_i  <- proj_{K_i*}(theta_i + sigma_i g^)
    x_i <- prox_{tau_i rho_i}(x_i - tau_i [grad f_i(x_i) + J_i(x_i)' theta_i + sum_r B_ri lambda_r])

where ^ adds momentum: "global" ``s^ = s + N (s(X_k) - s(X_{k-1}))`` as published, "local"
``s^ = 2 s - (s when the row was last updated)``, on the agent's own clock. For one agent both are APD (Hamedani and
Aybat 2021).

With local momentum in edge form no one but the next update of lambda_r needs the last s_r. With one local step (see
below) what is kept there is ``lambda_r - (2 - rho) gamma_r s_r`` (rho the relaxation), the multiplier without the look
ahead, which has the same limit: it moves by ``rho gamma_r s_r``, and x sees it ``2 gamma_r s_r`` ahead of where it was.

An agent may do more with what it has heard (local momentum, edge form). With several local steps

    lambda_r <- lambda_r + c gamma_r s_r    once, c = 2 (two steps) or 1.6 (more),

and then theta_i and x_i take their steps that many times with ``lambda_r + 2 gamma_r s_r`` in place of lambda_r, where
s_r follows x_i and the neighbours stay where they were. Those are proximal gradient steps on an augmented Lagrangian,
with the penalty ``gamma_r |s_r|^2``; with very many of them it is an asynchronous symmetric ADMM.

Letters in the engines and words here: x ``x_agents``, theta ``multipliers``, lambda ``consensus_multipliers``, tau the
primal steps, sigma and gamma the dual steps of constraints and of consensus rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastadapd import clocks, stiffness
from fastadapd import steps as step_rules
from fastadapd._terms import Floats
from fastadapd.anderson import Anderson
from fastadapd.clocks import SplitStream, Stream
from fastadapd.engines import Engine, Threaded
from fastadapd.engines.packing import MOMENTUM, ADAPDState, ADAPDSteps, Measured, aligned
from fastadapd.errors import InvalidOptionError, as_number, is_name
from fastadapd.methods._base import Method, Run, Start
from fastadapd.metrics import mean_of, own_distances
from fastadapd.network import Network
from fastadapd.problem import Problem

_PATIENCE = 320  # epochs before the weight may follow the imbalance of the movement
_SLOW = 0.25  # a phase that does not bring the residual down to this share is slow
_MOST_FACTORS = 4.0, 1e3  # of the imbalance at a time; where the first weight may be far off
_PERIOD = 10  # epochs between two extrapolations, and before the first
_NEARER, _NEARER_STILL = 0.15, 0.3  # a run begins anew at this share of the distance from the start, and once more
_OTHER_UNITS = 10.0  # times as large as before: costs whose multipliers are in other units
_ROUND = 0.01  # strong convexity over curvature of a cost whose slope tells how far its optimum is
_MEMORY_BYTES = 1 << 30
_MOST = 1000  # points in memory, and local steps


@dataclass(frozen=True, eq=False)
class ADAPD(Method):
    """Options of AD-APD.

    Parameters
    ----------
    momentum : {"local", "global"}
        The agent's own clock, or the published extrapolation over all activations.
    steps : {"adaptive", "theory"} or FixedSteps
        "adaptive": no constant to choose, see `fastadapd.steps.AdaptiveRule`.
        "theory": `fastadapd.steps.theory_steps`, guaranteed for the edge form with global momentum.
    weight : float, optional
        Start value of w (adaptive), or how long the dual steps are compared with the primal ones (theory; default 1).
    relaxation : float, optional
        How far every local update goes, from 1 to below 2. Default: 1.3 with adaptive steps and a clock that wakes
        every agent once per epoch, else 1. Much more diverges on some problems, and so does more than 1 with global
        momentum.
    local_steps : int, optional
        Steps of theta_i and x_i per activation; more than 1 need local momentum and the edge form. Default: 2 where
        that is so, with adaptive steps and a clock that wakes every agent once per epoch, else 1: where agents wake at
        other rates, several steps diverge on some problems. Two need half the activations and communications of one,
        and as many gradients. More save little (six: a tenth to a fifth of the communications), and on a few problems
        they do not converge.
    memory : int
        Anderson acceleration: how many earlier points to extrapolate from, every 10 epochs (0: none); no more than fit
        into 1 GiB, with 8 bytes for every number in x, lambda, theta and g. With adaptive steps and a clock that
        repeats itself only ("repeated", the default, and "cyclic"). After `Solver.update` on the same network these
        points stay, and as many new ones find room beside them. Each extrapolation, like each change of the weight,
        needs a few sums over all agents; a network adds them up along a tree with two messages per agent, which are
        counted as communications.
    multiplier_bound, jacobian_bound : array_like, shape () or (n_agents,), optional
        T_i and C_i of the theory steps.

    Notes
    -----
    With adaptive steps, local momentum and no multipliers given, a run looks back after 10 epochs: where the distance
    of the mean of x from what the agents want is less than 0.15 times that of the start, it begins anew there, with
    multipliers 0 and the first weight, and again every 10 epochs as long as that distance falls below 0.3 times the
    last. It is the root mean square of the distances to the agents' unconstrained optima, where their costs have a
    condition number below 100 and slopes tell it, and to the boundaries of their inequalities. Multipliers and a
    weight from a long way would mislead the run; for the same reason X_0 of the weight's rule becomes the mean at the
    look with which such a run ends looking. Looks are sums over all agents, too.

    With adaptive steps, parts of costs that are far more curved than those of the others, but not in all directions,
    are put as equations that give way, whose multipliers do their work (`fastadapd.stiffness`); results show nothing of
    it.

    An order of the activations that is repeated, and steps as bold as the defaults of `relaxation` and `local_steps`,
    can lead in circles or diverge, rarely. So where the acceleration makes no progress for 1000 epochs the order is
    drawn anew, and where the iterates run off, at once; they go back then, and those options, where they were not
    given, become 1 and, the next time, what they were. The order is also drawn anew where the weight follows the
    imbalance of the movement.

    References
    ----------
    Abolfazli, Jalilzadeh, Yazdandoost Hamedani: An accelerated asynchronous distributed method for convex constrained
    optimization problems, arXiv 2302.11040 (2023). Local momentum, adaptive steps and acceleration are fastadapd's own.
    """

    momentum: str = "local"
    steps: str | step_rules.FixedSteps = "adaptive"
    weight: float | None = None
    relaxation: float | None = None
    local_steps: int | None = None
    memory: int = 50
    multiplier_bound: ArrayLike | None = None
    jacobian_bound: ArrayLike | None = None

    name: ClassVar[str] = "ad-apd"

    def __post_init__(self) -> None:
        if not is_name(self.momentum, "local", "global"):
            raise InvalidOptionError(f"momentum: {self.momentum!r} is not known; use 'local' or 'global'")
        if not isinstance(self.steps, step_rules.FixedSteps) and not is_name(self.steps, "adaptive", "theory"):
            raise InvalidOptionError(f"steps: {self.steps!r} is not known; use 'adaptive', 'theory' or FixedSteps(...)")
        if self.weight is not None and not (0 < as_number("weight", self.weight) < np.inf):
            raise InvalidOptionError(f"weight is {self.weight}; it must be positive and finite")
        if self.relaxation is not None and not 1 <= as_number("relaxation", self.relaxation) < 2:
            raise InvalidOptionError(f"relaxation is {self.relaxation}; it must be at least 1 and below 2")
        if self.relaxation not in (None, 1) and self.momentum == "global":
            raise InvalidOptionError("relaxation must be 1 with momentum='global'")
        steps = self.local_steps
        if steps is not None and not (1 <= as_number("local_steps", steps) <= _MOST and float(steps).is_integer()):
            raise InvalidOptionError(f"local_steps is {steps}; it must be an integer from 1 to {_MOST}")
        if steps not in (None, 1) and self.momentum == "global":
            raise InvalidOptionError("local_steps must be 1 with momentum='global'")
        if not (as_number("memory", self.memory) >= 0 and float(self.memory).is_integer()):
            raise InvalidOptionError(f"memory is {self.memory}; it must be 0 or a positive integer")

    @property
    def may_rescale(self) -> bool:
        return self.steps == "adaptive"

    @property
    def in_threads(self) -> bool:
        return self.momentum == "local"

    def clock(self) -> clocks.Clock:
        return clocks.Repeated(_PERIOD) if self.steps == "adaptive" and self.momentum == "local" else clocks.Uniform()

    def start(self, problem: Problem, network: Network, engine: Engine, clock: clocks.Clock, start: Start) -> Run:
        once_each = isinstance(clock, (clocks.Repeated, clocks.Shuffled, clocks.Cyclic))
        bold = once_each and self.steps == "adaptive" and self.momentum == "local"
        relaxation = (1.3 if bold else 1.0) if self.relaxation is None else self.relaxation
        if self.local_steps not in (None, 1) and network.form == "node":
            raise InvalidOptionError(f"local_steps is {self.local_steps}; it must be 1 with a network in node form, or "
                                     "use Network(..., consensus='edge')")
        local_steps = int(self.local_steps or (2 if bold and network.form == "edge" else 1))
        if self.steps == "adaptive":
            careful = int(self.local_steps or 1), 1.0 if self.relaxation is None else self.relaxation
            rule = step_rules.AdaptiveRule(problem, network, self.momentum, (local_steps, relaxation), careful)
            repeats = isinstance(clock, clocks.Cyclic) or (
                isinstance(clock, clocks.Repeated) and _PERIOD % clock.epochs == 0)
            memory = self.memory if repeats and self.momentum == "local" else 0
            return _AdaptiveRun(problem, network, engine, rule, self.weight, memory, start)
        if isinstance(self.steps, step_rules.FixedSteps):
            numbers = self.steps
        else:
            numbers = step_rules.theory_steps(
                problem, network, multiplier_bound=self.multiplier_bound, jacobian_bound=self.jacobian_bound,
                weight=1.0 if self.weight is None else self.weight)
        steps = step_rules.fixed(numbers, self.momentum, relaxation, local_steps, problem, network)
        return _ADAPDRun(problem, network, engine, steps, start)


class _ADAPDRun(Run):
    unit = 1
    state: ADAPDState

    def __init__(self, problem: Problem, network: Network, engine: Engine, steps: ADAPDSteps, start: Start):
        N, n, R, M = problem.n_agents, problem.dim, network.n_rows, problem.n_rows
        self._engine, self._network, self.steps = engine, network, steps
        self._takes_several = steps.local_steps > 1  # whatever `steps` becomes later
        self._has_last = network.form == "node" and steps.momentum == MOMENTUM["local"]
        # what a fixed point of the method consists of lies in one stretch: x, lambda, theta, and g(x), which follows
        self._point = aligned(N * n + R * n + 2 * M)
        ends = [0, N * n, (N + R) * n, (N + R) * n + M, None]
        parts = [self._point[first:end] for first, end in pairwise(ends)]
        self.state = ADAPDState(
            counters=np.array([0, -1]),
            wakes=np.zeros(N, dtype=np.int64),
            since=np.ones(N, dtype=np.int64),
            x=parts[0].reshape(N, n),
            x_sum=aligned(N * n).reshape(N, n),
            dx=np.zeros(n),
            theta=parts[2],
            g_last=parts[3],
            lambda_=parts[1].reshape(R, n),
            s_last=np.zeros((R if self._has_last else 0, n)),
        )
        if start.x.any():  # else leave memory untouched
            self.state.x[:] = start.x
            self._forget_disagreement()
            if start.lambda_ is None:
                self._forget_multipliers()
        if start.theta is not None:
            self.state.theta[:] = start.theta
        if start.lambda_ is not None:
            if start.lambda_.shape != (R, n):
                raise InvalidOptionError(f"consensus_multipliers has shape {start.lambda_.shape}; it must be "
                                         f"({R}, {n}), one row per row of the consensus matrix")
            self.state.lambda_[:] = start.lambda_

    def advance(self, activations: int, stream: Stream | SplitStream) -> tuple[int, int]:
        if isinstance(stream, SplitStream):
            assert isinstance(self._engine, Threaded)
            return self._engine.adapd_together(self.steps, self.state, stream.take(activations)), activations
        agents = stream.take(activations)
        return self._engine.adapd(self.steps, self.state, agents), len(agents)

    def _forget_multipliers(self) -> None:
        """Let lambda be 0, whatever x."""
        self.state.lambda_[:] = 0.0
        self._hold_back(1.0)

    def _hold_back(self, times: float) -> None:
        """Take from lambda what the engines add to it where it is kept without its look ahead."""
        steps = self.steps
        if steps.momentum == MOMENTUM["local"] and not self._has_last and steps.local_steps == 1:
            ahead = times * (2.0 - steps.relaxation) * steps.gamma[:, None]
            self.state.lambda_[:] -= ahead * self._network.multiply(self.state.x)

    def _forget_disagreement(self) -> None:
        """Let every row's last disagreement be the present one."""
        if self._has_last:
            self.state.s_last[:] = self._network.multiply(self.state.x)

    @property
    def activations(self) -> int:
        return self.state.counters.item(0)

    @property
    def consensus_multipliers(self) -> Floats:
        return self.state.lambda_

    def ergodic(self) -> Floats:
        """``[N x_K + sum_{k=1}^{K-1} x_k] / (K + N - 1)``; several workers estimate k by their share of a chunk."""
        N, K = len(self.state.x), self.activations
        if K == 0:
            return self.state.x.copy()
        total = (N + K - self.state.since)[:, None] * self.state.x
        total += self.state.x_sum
        total /= K + N - 1
        return total

    @property
    def kind(self) -> str:
        # what is kept of consensus multipliers is not the same with one local step and with several
        return super().kind + (", several local steps" if self._takes_several else "")

    def force(self) -> Floats:
        return self._network.transpose_multiply(self.state.lambda_)

    def multipliers_on(self, network: Network) -> Floats:
        return step_rules.smallest_multiplier(network, self.force(), 1e-10, 10 * network.n_agents + 100)

    def floats_sent(self) -> int:
        # to each neighbour its new x_i and the multiplier of a row: 2 n numbers
        return int(self.state.wakes @ self._network.degrees) * 2 * self.state.x.shape[1]


class _AdaptiveRun(_ADAPDRun):
    """Adaptive weight, and Anderson acceleration of the map "one period of activations"."""

    def __init__(self, problem: Problem, network: Network, engine: Engine, rule: step_rules.AdaptiveRule,
                 weight: float | None, memory: int, start: Start):
        self._problem, self._engine, self._rule, self._given = problem, engine, rule, weight
        self._weight = self._first = self._first_weight(start.x)
        self._is_careful = False
        super().__init__(problem, network, engine, rule.steps(self._weight), start)
        self._epoch = self._rebalance = _PERIOD
        # a warm start moves little, which tells nothing of the weight: judge it as if it had begun at 0
        cold = start.lambda_ is None and start.theta is None
        self._x_start = start.x.copy() if cold and start.x.any() else np.zeros(start.x.shape)
        if start.lambda_ is not None and start.x.any() and self._hurries:
            self._weight = rule.weight_of(self._weight, start.x, self._ask(start.x), self.force(), self.state.theta)
            self.steps = rule.steps(self._weight)
        # at which share of the distance to begin anew; 0: no more looks
        self._looks = _NEARER if cold and self.steps.momentum == MOMENTUM["local"] else 0.0
        self._farthest = self._farthest_then = 0.0
        self._most = _MEMORY_BYTES // (8 * self._point.size)
        self._memory = min(int(memory), _MOST, self._most)
        self._anderson: Anderson | None = None
        self._before: Floats | None = None
        self._size_then, self._balanced = np.inf, False
        self._renews = False  # whether the order of the activations is to be drawn anew
        self._sums = 0, 0  # sums over all agents so far: how many times, how many numbers

    @property
    def communications(self) -> int:
        return self.activations + 2 * len(self.state.x) * self._sums[0]

    def floats_sent(self) -> int:
        return super().floats_sent() + 2 * len(self.state.x) * self._sums[1]

    def _count_sums(self, numbers: int) -> None:
        self._sums = self._sums[0] + 1, self._sums[1] + numbers

    @property
    def movement(self) -> float | None:
        return None if self._anderson is None else self._anderson.movement

    def milestone(self) -> int | None:
        return self._epoch * len(self.state.x)

    def advance(self, activations: int, stream: Stream | SplitStream) -> tuple[int, int]:
        if self._renews:
            stream.renew()
            self._renews = False
        return super().advance(activations, stream)

    @np.errstate(over="ignore", invalid="ignore")
    def pass_milestone(self) -> None:
        epoch, self._epoch = self._epoch, self._epoch + _PERIOD
        away = (self.state.x - self._x_start).reshape(-1)
        self._farthest = max(self._farthest, math.sqrt(away @ away))
        balances, looks = epoch >= self._rebalance, self._looks > 0
        if balances or looks:  # in one sum: for the weight, and the means of x and of the start with its distance
            self._count_sums(4 * balances + (2 * self.state.x.shape[1] + 1) * looks)
        if looks:
            nearer, anew = self._begins_nearer(), self._looks == _NEARER_STILL
            if anew and not nearer:  # most of the last leg may still have been the way
                self._x_start = np.tile(mean_of(self.state.x), (len(self.state.x), 1))
                self._farthest = self._farthest_then = 0.0
            self._looks = _NEARER_STILL if nearer else 0.0
        if balances:
            before = self._weight
            self._change_weight()
            far = epoch < _PATIENCE and max(self._weight / before, before / self._weight) > step_rules.HURRY
            self._rebalance = epoch + _PERIOD if far and self._hurries else 2 * epoch
        if self._memory:
            self._extrapolate()

    def _begins_nearer(self) -> bool:
        """Begin anew at the agents' mean if what they want is much nearer to it than to the start.

        On a long way multipliers and the weight follow its length: what they have learned there misleads.
        """
        points = mean_of(self._x_start), mean_of(self.state.x)
        (gradients, distances), (gradients_now, distances_now) = map(self._wishes, points)
        self._count_sums(1)
        # of constraints that is the violation; their boundaries, which take longer, are looked at only if need be
        if not _fell(distances, distances_now, self._looks):
            return False
        self._count_sums(2)
        # an equation is met wherever the run came from, and its multipliers are worth something
        distances, distances_now = (own_distances(self._problem, self._round_lipschitz, *at, equations=False)
                                    for at in zip((gradients, gradients_now), points, strict=True))
        if not _fell(distances, distances_now, self._looks):
            return False
        self._begin_anew(points[1])
        return True

    def _begin_anew(self, x: Floats) -> None:
        """From x (n,), with multipliers 0 and the first weight."""
        point = np.zeros_like(self._point)
        point[: self.state.x.size].reshape(self.state.x.shape)[:] = x
        self._replace(point)
        self.state.g_last[:] = self._ask(self.state.x).g
        self._x_start, self._farthest, self._farthest_then = self.state.x.copy(), 0.0, 0.0
        self._weight = self._first_weight(self.state.x)
        self.steps = self._rule.steps(self._weight, self._is_careful)
        self._forget_disagreement()
        self._forget_multipliers()
        self._anderson = self._before = None
        self._balanced = False

    def _wishes(self, x: Floats) -> tuple[Floats, Floats]:
        """Sizes (N,) of the agents' gradients at x (n,), and how far it is from what they want."""
        found, lipschitz = self._ask(x), self._round_lipschitz
        away = np.divide(found.gradients, lipschitz, out=np.zeros_like(lipschitz), where=lipschitz > 0)
        return found.gradients.copy(), np.maximum(away, found.distances)

    @property
    def _round_lipschitz(self) -> Floats:
        """L_i of costs whose slope tells how far their optimum is, else 0."""
        lipschitz = self._rule.lipschitz
        return np.where(self._problem.strong_convexity() >= _ROUND * lipschitz, lipschitz, 0.0)

    def _first_weight(self, x: Floats) -> float:
        return self._rule.first_weight(x, self._ask(x)) if self._given is None else self._given

    def _ask(self, x: Floats) -> Measured:
        """What the agents say of a point (n,), or of one each, without multipliers."""
        return self._engine.measure(None, x, np.zeros(self._problem.n_rows))

    @property
    def _hurries(self) -> bool:
        """Whether the first weight may be far off: costs have become equations, or it is not from curvatures."""
        return self._rule.softened or (self._given is None and 0 < self._rule.curvature < self._first)

    def _change_weight(self) -> None:
        weight = self._weight
        size = np.inf if self._anderson is None else self._anderson.movement
        if self._epoch > _PATIENCE and self._anderson is not None and size > _SLOW * self._size_then:
            self._balanced = True
            most = _MOST_FACTORS[self._hurries]
            weight *= self._rule.imbalance(self._anderson.residual, self.state.x.size, most)
        elif not self._balanced:
            weight = self._rule.next_weight(weight, self._first, self._farthest, self._farthest_then, self.force(),
                                            self.state.x, self.state.theta, self._hurries)
        self._farthest_then = self._farthest
        self._size_then = size
        if abs(math.log(weight / self._weight)) > 0.3:
            self._weight = weight
            self.steps = self._rule.steps(weight, self._is_careful)
            self._anderson = self._before = None
            self._renews = self._balanced

    def _extrapolate(self) -> None:
        if self._before is not None:
            after = self._point.copy()
            if self._anderson is None:
                scale = self._rule.metric(self._weight, self.state.x)
                self._anderson = Anderson(self._memory, scale, after.size, self._engine)
            mixed = self._anderson.mix(self._before, after)
            self._count_sums(self._anderson.sums)
            if mixed is not after and (mixed @ mixed < np.inf or np.isfinite(mixed).all()):
                self._replace(mixed)
            if self._anderson.stuck:
                self._renews = True
                if self._anderson.runs_off:
                    self._change_care()
        self._forget_disagreement()  # so that the point alone says what the next period does
        self._before = self._point.copy()

    def _change_care(self) -> None:
        """Go from bold to careful steps, or back."""
        self._hold_back(-1.0)
        self._is_careful = not self._is_careful
        self.steps = self._rule.steps(self._weight, self._is_careful)
        self._hold_back(1.0)

    def _replace(self, point: Floats) -> None:
        """Go to a point; what came before stays in the ergodic average."""
        state, K = self.state, self.activations
        np.add(state.x_sum, (K + 1 - state.since)[:, None] * state.x, out=state.x_sum)
        state.since[:] = K + 1
        self._point[:] = point
        self._rule.into_domain(state.x, state.theta)

    def inherit(self, other: Run) -> None:
        if isinstance(other, _AdaptiveRun):
            ratio = self._units_of_costs(other)
            if ratio == 1.0:
                self._weight = other._weight
            else:
                self.state.theta[:] *= ratio
                self.state.lambda_[:] *= ratio
            self._is_careful = other._is_careful
            self.steps = self._rule.steps(self._weight, self._is_careful)
            alike = stiffness.are_alike(self._problem, other._problem)
            self._balanced = alike and ratio == 1.0  # else the weight may be far off
            stiffness.carry(other._problem, other.state.theta * ratio, self._problem, self.state.theta)
            if other._looks:  # its multipliers are those of a few epochs
                self._looks, self._x_start = other._looks, other._x_start
            same = self._network is other._network and np.array_equal(self._problem.row_ptr, other._problem.row_ptr)
            if alike and same and ratio == 1.0 and self._memory and other._anderson is not None:
                self._anderson = other._anderson  # directions in which the old data were slow are slow with the new
                # with room for as many new ones, which would take their places
                self._anderson.change_map(self._memory, min(2 * self._memory, self._most), self._engine)
                self._before = self._point.copy()

    def _units_of_costs(self, other: _AdaptiveRun) -> float:
        """How many times as large costs have become, the median of the agents' gradients here; 1 if about alike."""
        now, then = (np.hypot(run._ask(self.state.x).gradients, stiffness.slopes(run._problem, self.state.x))
                     for run in (self, other))
        both = (now > 0) & (then > 0) & (now < np.inf) & (then < np.inf)
        if not both.any():
            return 1.0
        ratio = float(np.exp(np.median(np.log(now[both]) - np.log(then[both]))))
        return 1.0 if 1.0 / _OTHER_UNITS < ratio < _OTHER_UNITS else ratio

    def extra(self) -> dict[str, Any]:
        return {
            "numbers": (self._weight, self._first, self._epoch, self._rebalance, self._farthest, self._farthest_then,
                        self._size_then, self._balanced, self._looks, self._renews, self._is_careful),
            "x_start": self._x_start.copy(),
            "sums": self._sums,
            "before": None if self._before is None else self._before.copy(),
            "anderson": None if self._anderson is None else self._anderson.checkpoint(),
        }

    def restore_extra(self, saved: dict[str, Any]) -> None:
        (self._weight, self._first, self._epoch, self._rebalance, self._farthest, self._farthest_then,
         self._size_then, self._balanced, self._looks, self._renews, self._is_careful) = saved["numbers"]
        self.steps = self._rule.steps(self._weight, self._is_careful)
        self._x_start = saved["x_start"].copy()
        self._sums = saved["sums"]
        self._before = None if saved["before"] is None else saved["before"].copy()
        anderson = saved["anderson"]
        self._anderson = None if anderson is None else Anderson.restore(anderson, self._engine)


def _fell(before: Floats, now: Floats, share: float) -> bool:
    """Whether distances have fallen to less than this share, in the root mean square."""
    return math.sqrt(now @ now) < share * math.sqrt(before @ before)
