"""The driver: advance in chunks, record, check, stop. The same for every method and engine."""

from __future__ import annotations

# what the module signal hands on, without its enumerations, which take twenty microseconds a run
import _signal as signal  # type: ignore[import-not-found]
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import ArrayLike

from fastadapd import certificates, clocks, engines, pieces, stiffness
from fastadapd._terms import Floats, length
from fastadapd.certificates import Certificate
from fastadapd.engines.packing import NOT_FINITE, OK
from fastadapd.errors import FastadapdError, InvalidOptionError, as_indices, as_number, as_numbers, is_name
from fastadapd.methods import Method, as_method
from fastadapd.methods._base import Start
from fastadapd.metrics import Evaluator, Measures, mean_of, unrest
from fastadapd.network import Network
from fastadapd.problem import Problem, check_problem
from fastadapd.result import PerAgent, Result, Status

_HISTORY = ("activations", "communications", "floats_sent", "epochs", "fun", "suboptimality", "infeasibility",
            "consensus_violation", "residual")
_VERSION = 4  # of what a checkpoint holds
_CHECKPOINT = {"version", "method", "kind", "shape", "state", "extra", "stream", "rows", "next_check", "means", "best",
               "next_proof", "then", "pace", "runtime"}
_PROOF_EPOCHS = 75  # of the first look for proofs; the next ones come when half as many have passed ...
_FALL = 0.5  # ... and none where the residual has fallen to this share since the last ...
_SURELY = 0.05  # ... or is estimated to have fallen to this one: an estimate may be ten times too small
_STALL_EPOCHS = 60_000
_NEAR = 5.0  # times tol: checks begin where the residual is expected below; few fall to a fifth within 10 epochs
_QUICK = 0.1  # the residual hardly falls to a smaller share within 10 epochs ...
_SUDDEN = 1e-3  # ... but for the first 20: there to this share of that
_STEADY = 20.0  # times tol: how far the decision may move during the last fifth of a run that is done
_BY_FAR = 1e-3  # times tol: a residual that is so small says it all
_MET = 0.1  # times tol: a smaller violation is none, ...
_HARDER = 0.05  # ... and where it is larger multipliers may grow by this share meanwhile
_FAR_OUTSIDE = 1e-3  # lengths: where constraints are violated by more they may have no common point
_MISLEADING = 10.0  # times as far from rest with the multipliers given as without: they are dropped
_CHUNK_SECONDS = 0.05  # how soon Ctrl-C, the progress bar and the time limit are looked at

_MESSAGES = {
    Status.SOLVED: "Solved: the residual {residual:.2e} is within tol = {tol:.1e}.",
    Status.MAX_EPOCHS: "Stopped after {epochs:g} epochs with residual {residual:.2e} above tol = {tol:.1e}; "
                       "raise max_epochs, or look at history['residual'].",
    Status.TIME_LIMIT: "Stopped at the time limit with residual {residual:.2e} above tol = {tol:.1e}.",
    Status.DIVERGED: "Diverged: an iterate is no longer finite after {epochs:g} epochs; take shorter steps "
                     "or steps='adaptive', and where they are, local_steps=1.",
    Status.INTERRUPTED: "Interrupted after {epochs:g} epochs with residual {residual:.2e}.",
    Status.STOPPED: "Stopped by the callback after {epochs:g} epochs with residual {residual:.2e}.",
    Status.INFEASIBLE: "Infeasible: the constraints of {agents} leave no point{within}; "
                       "result.certificate has the proof.",
    Status.UNBOUNDED: "Unbounded: the total cost falls along result.certificate.direction{so_far}; "
                      "constrain the decision of {agents}.",
    Status.STALLED: "Stalled: the residual {residual:.2e} has not become smaller for three quarters of {epochs:g} "
                    "epochs; tol = {tol:.1e} may be out of reach of double precision, the problem badly scaled, or "
                    "the order of the activations an unlucky one (another rng has another).",
    Status.END_OF_CLOCK: "The recorded activations ended after {epochs:g} epochs with residual {residual:.2e}.",
}
_WITHOUT_TOL = "Stopped after {epochs:g} epochs with residual {residual:.2e}; tol = 0: no residual stops a run."
_NOT_RUN = "Not run yet; the residual of the start is {residual:.2e}."


class Solver:
    """A run that keeps its state: advance it, look at it, go on.

    Parameters
    ----------
    problem : Problem
    network : Network
        As many agents as the problem.
    method : str or Method
        "ad-apd", "dpda-s" or an options object of `fastadapd.methods`.
    engine : {"auto", "c", "numba", "numpy"}
        "auto": C if it was compiled, else Numba. One that was named is never replaced.
    rng : None, int or numpy.random.Generator
        Seed of the activations. The same seed gives the same ones on every engine, and so the same result up to
        rounding.
    clock : str, Clock or sequence of int, optional
        Who wakes when: "uniform" (independent and random, as in the paper), "shuffled", "repeated", "cyclic", an object
        of `fastadapd.clocks`, or a recorded sequence. By default what suits the method.
    x0 : array_like, shape (dim,) or (n_agents, dim), optional
        Start; by default 0, in any case moved into each agent's set. With adaptive steps and local momentum a start far
        from what the agents want is left for their mean after 10 epochs, see `fastadapd.methods.ADAPD`.
    multipliers : sequence of array_like, optional
        Start of the constraint multipliers, one array per agent, as in `Result.multipliers`. With adaptive steps all
        that is given is dropped, x0 too, where the agents' Lagrangians have gradients at x0 that are ten times as large
        with the multipliers as without, or where some costs are far more curved than others and x0 is 0.
    consensus_multipliers : array_like, optional
        Start of the consensus multipliers, as in `Result.consensus_multipliers`; by default lambda is 0, whatever x0.
    tol : float
        Stop at the first check with ``residual <= tol``, unless during the last fifth of the run x was more than 20 tol
        away, or multipliers of constraints that are not quite met have grown by more than 5 % (neither counts below
        tol / 1000); 0: never. Because of that, and since checks are some epochs apart, most runs are up to a twentieth
        longer than the residual alone would ask, single ones twice as long.
    optimal_value : float, optional
        F*, if it is known, for `suboptimality`.
    point : {"last", "ergodic", "best"}
        Which agents' copies are measured and returned; of both the one with the smaller residual, at twice the cost of
        measuring. With adaptive steps that is the last.
    record : int, sequence of int or None
        History at every multiple of this many activations, or at these activation counts; None: at the checks. Those
        come every 10 epochs at first, later when 5 % more have passed, but are put off in the first 20 epochs where the
        start is far off, and while the residual, as the movement between two extrapolations or its last value let
        expect, is not near tol: in a run of 200 epochs there may be only four. For curves say how often.
    callback : callable, optional
        Called with a `Result` after every check; raising StopIteration or returning something true stops. With a
        callback no check is put off, so that a run may end a check sooner.
    progress : bool
        Show a progress bar.
    workers : int
        Threads that share the agents out among themselves and wake them at the same time, on the C engine with AD-APD's
        local momentum. Each reads its neighbours' newest values while they change, so no two runs are alike, whatever
        the seed; what is measured and returned is a state at rest. An edge between agents of two workers is updated by
        one end only, and ergodic averages weigh iterates by an estimate of how long they held. A worker waits when it
        is a quarter of an epoch ahead of another. At most n_agents. It pays from about a thousand agents on, where
        every worker has a processor.

    Attributes
    ----------
    problem : Problem
    network : Network
    stop : threading.Event or None
        Set by another thread, it ends a run as Ctrl-C does.

    Raises
    ------
    InvalidOptionError, EngineError
    """

    stop: threading.Event | None = None

    def __init__(
        self,
        problem: Problem,
        network: Network,
        *,
        method: str | Method = "ad-apd",
        engine: str = "auto",
        rng: int | np.random.Generator | None = None,
        clock: str | clocks.Clock | Sequence[int] | np.ndarray | None = None,
        x0: ArrayLike | None = None,
        multipliers: Sequence[ArrayLike] | None = None,
        consensus_multipliers: ArrayLike | None = None,
        tol: float = 1e-6,
        optimal_value: float | None = None,
        point: str = "last",
        record: int | Sequence[int] | np.ndarray | None = None,
        callback: Callable[[Result], Any] | None = None,
        progress: bool = False,
        workers: int = 1,
    ):
        if not 0 <= as_number("tol", tol) < np.inf:
            raise InvalidOptionError(f"tol is {tol}; it must be 0 or positive, and finite")
        if not is_name(point, "last", "ergodic", "best"):
            raise InvalidOptionError(f"point: {point!r} is not known; use 'last', 'ergodic' or 'best'")
        if callback is not None and not callable(callback):
            raise InvalidOptionError(f"callback is {callback!r}; it must be a function of a Result")
        _check_fit(problem, network)
        self._turn = _Turn()
        self._method, self._load = as_method(method), engines.load(engine)
        self._law = self._method.clock() if clock is None else clocks.as_clock(clock)
        self._pieces = self._split(problem, network, workers)
        generator = generator_of(rng)
        self._stream = (clocks.Stream(self._law, problem.n_agents, generator) if self._pieces is None else
                        clocks.SplitStream(self._law, self._pieces, generator))
        self._tol, self._point, self._callback, self._progress = tol, point, callback, progress
        self._begin(problem, network, optimal_value, x0, multipliers, consensus_multipliers)
        self._record_every, self._record_at = self._recording(record)

    def _split(self, problem: Problem, network: Network, workers: int) -> pieces.Pieces | None:
        """The agents of every worker, if there are several."""
        if not (1 <= as_number("workers", workers) <= problem.n_agents and float(workers).is_integer()):
            raise InvalidOptionError(f"workers is {workers}; it must be an integer from 1 to the number of agents, "
                                     f"{problem.n_agents}")
        if workers == 1:
            return None
        if not self._method.in_threads:
            raise InvalidOptionError(f"workers is {workers}, but only 'ad-apd' with momentum='local' can have several")
        if not issubclass(cast(type, self._load), engines.Threaded):
            raise InvalidOptionError(f"workers is {workers}, but only engine='c' can have several")
        self._law.check(problem.n_agents)
        rates = clocks.agent_rates(self._law, problem.n_agents)
        if rates.min() < 0.2 * rates.max():
            raise InvalidOptionError(f"workers is {workers}, but the clock wakes agents at rates more than 5 times "
                                     "apart: an edge between two workers is updated at one end only; use workers=1")
        return pieces.split(problem, network, rates, int(workers))

    def _begin(self, problem: Problem, network: Network, optimal_value: float | None, x0: ArrayLike | None,
               multipliers: Sequence[ArrayLike] | None, consensus_multipliers: ArrayLike | None, *,
               trusts: bool = False) -> None:
        """Bind engine and method to a problem and a network, and set all counts to 0; `trusts` keeps multipliers."""
        optimum = np.nan if optimal_value is None else as_number("optimal_value", optimal_value)
        if np.isinf(optimum):
            raise InvalidOptionError(f"optimal_value is {optimal_value}; it must be finite")
        units = problem.units if self._method.may_rescale else None
        self.problem, self.network = problem, network
        self._units = np.ones(problem.dim) if units is None else units
        # the problem that the method sees, in z where x = units * z
        self._inner = problem if units is None else problem.rescaled(units)
        start = self._start(x0, multipliers, consensus_multipliers)
        self._engine = engine = self._load(self._inner, network)  # this one measures
        self._evaluate = Evaluator(self._inner, self._engine, optimum, units)
        scales = self._evaluate.scales
        usual = scales.gradient / scales.length if np.count_nonzero(scales.sizes) > 1 else 0.0
        self._softened = stiffness.soften(self._inner, usual) if self._method.may_rescale else None
        if self._method.may_rescale and not trusts and self._misleads(start):
            start = self._start(None, None, None)
        advanced = self._inner
        if self._softened is not None:
            advanced = self._softened.problem
            engine = self._load(advanced, network)
            if start.theta is not None:
                start = start._replace(theta=self._softened.with_all_rows(start.theta))
        if self._pieces is not None:
            assert isinstance(engine, engines.Threaded)
            engine.divide(self._pieces)
        self._run = self._method.start(advanced, network, engine, self._law, start)
        if self._softened is not None and start.lambda_ is not None:
            stiffness.settle(advanced, self._run.x, self._run.force(), self._run.theta)
        self._rows: list[tuple[float, ...]] = []
        self._mean = np.zeros(0)  # of the copies at the last check
        self._past: list[tuple[int, Floats, Floats]] = []  # and some time ago, with the multipliers
        self._next_check = self._next_mean = 0
        self._status: Status | None = None
        self._runtime = 0.0
        self._best, self._next_proof, self._planned = (np.inf, 0), 0, 0  # _planned: when that was
        # there may be a proof at once: boxes that do not meet, or multipliers of an earlier run
        low, high = self._inner.box
        self._residual_then = 0.0 if multipliers is not None or (low > high).any() else np.inf
        self._then = np.zeros(problem.n_rows), np.zeros((1, problem.dim))  # multipliers and forces at the last proof
        self._certificate: Certificate | None = None
        self._checked = -1  # when the residual was checked last
        self._seen = 0, np.inf  # when it was checked or estimated last, and what it was
        self._pace: float | None = None  # that at a check over the movement of the run
        self._last: tuple[int, Measures, Floats] | None = None

    def update(self, problem: Problem | None = None, network: Network | None = None, *,
               optimal_value: float | None = None) -> None:
        """Go on from the present point with other data: a moved target, a new constraint level, a lost or a new link.

        The agents' copies, their multipliers and the weight stay; but where costs have become ten times as large, or as
        small, adaptive steps take multipliers in the units of the new costs, and a new weight. Where an agent has
        another number of constraint rows than before, its multipliers start at 0. On another network the consensus
        multipliers become the smallest ones with the same force on every agent. All counts and the history begin anew;
        so do the ten epochs before AD-APD looks back, see `fastadapd.methods.ADAPD`, if they were not over.

        Parameters
        ----------
        problem : Problem, optional
            As many agents and coordinates as before.
        network : Network, optional
            As many agents as before.
        optimal_value : float, optional
            F* of the new problem, if it is known.
        """
        problem = self.problem if problem is None else problem
        other = self.network if network is None else network
        _check_fit(problem, other)
        if (problem.n_agents, problem.dim) != (self.problem.n_agents, self.problem.dim):
            raise InvalidOptionError(f"problem has {problem.n_agents} agents and {problem.dim} coordinates; this "
                                     f"solver goes on with {self.problem.n_agents} and {self.problem.dim}")
        run, units = self._run, self._units
        finite = all(np.isfinite(array).all() for array in (run.x, run.theta, run.consensus_multipliers))
        if self._status is Status.DIVERGED or not finite:
            raise FastadapdError("this solver has diverged, its iterates are no longer finite: there is nothing to go "
                                 "on from, make another Solver")
        rows = np.diff(problem.row_ptr)
        kept = rows == np.diff(self.problem.row_ptr)
        theta = np.zeros(problem.n_rows)
        theta[np.repeat(kept, rows)] = self._theta[np.repeat(kept, np.diff(self.problem.row_ptr))]
        for group, at in problem.constraint_rows():
            if not group.term.equality:  # it may have been an equation before
                theta[at] = np.maximum(theta[at], 0.0)
        multipliers = PerAgent(theta, problem.row_ptr)
        if other is self.network:
            lambda_ = run.consensus_multipliers
        else:
            lambda_ = run.multipliers_on(other)
        with self._turn:
            before = vars(self).copy()
            try:
                self._begin(problem, other, optimal_value, run.x * units, multipliers, lambda_ / units, trusts=True)
            except BaseException:  # a method may refuse the network
                vars(self).update(before)
                raise
            if np.array_equal(units, self._units):
                self._run.inherit(run)

    def _start(self, x0: ArrayLike | None, multipliers: Sequence[ArrayLike] | None,
               consensus_multipliers: ArrayLike | None) -> Start:
        N, n = self.problem.n_agents, self.problem.dim
        x = np.zeros((N, n))
        if x0 is not None:
            given = _finite("x0", x0)
            if given.shape not in ((n,), (N, n)):
                raise InvalidOptionError(f"x0 has shape {given.shape}; it must be ({n},), the coordinates, or "
                                         f"({N}, {n}), those of every agent")
            x[:] = given / self._units
        for group in self._inner.regularizers:
            if group.term.is_set:
                x[group.agents] = group.term.prox(x[group.agents])
        theta = None
        if multipliers is not None:
            theta = self._flat_multipliers(multipliers)
        lambda_ = None
        if consensus_multipliers is not None:
            lambda_ = _finite("consensus_multipliers", consensus_multipliers)
            if lambda_.ndim != 2 or lambda_.shape[1] != n:
                raise InvalidOptionError(f"consensus_multipliers has shape {lambda_.shape}; rows must be {n} long")
            lambda_ = lambda_ * self._units
        return Start(x, theta, lambda_)

    def _misleads(self, start: Start) -> bool:
        """Whether agents would be far less at rest with the multipliers given than without, as in other units.

        Nor does an x of 0 say how costs push that equations stand for.
        """
        if start.lambda_ is None and start.theta is None:
            return False
        if self._softened is not None and not start.x.any():
            return True
        rows, problem = self.network.n_rows, self._inner
        theta = np.zeros(problem.n_rows) if start.theta is None else start.theta
        force, nothing = np.zeros_like(start.x), np.zeros(problem.n_rows)
        without = length(unrest(problem, start.x, force, nothing))
        if start.lambda_ is not None and len(start.lambda_) == rows:
            force = self.network.transpose_multiply(start.lambda_)
        return length(unrest(problem, start.x, force, theta)) > _MISLEADING * without

    def _flat_multipliers(self, multipliers: Sequence[ArrayLike]) -> Floats:
        if not (isinstance(multipliers, Sequence) or (isinstance(multipliers, np.ndarray) and multipliers.ndim)):
            raise InvalidOptionError(f"multipliers is {multipliers!r}; it must be a sequence of an array for each "
                                     "agent")
        if len(multipliers) != self.problem.n_agents:
            raise InvalidOptionError(f"multipliers has {len(multipliers)} arrays; it needs one for each of the "
                                     f"{self.problem.n_agents} agents")
        if isinstance(multipliers, PerAgent) and np.array_equal(multipliers.ptr, self.problem.row_ptr):
            theta = _finite("multipliers", multipliers.flat)
        else:
            arrays = [_finite(f"multipliers of agent {i}", m) for i, m in enumerate(multipliers)]
            for i, (array, rows) in enumerate(zip(arrays, np.diff(self.problem.row_ptr), strict=True)):
                if array.shape != (rows,):
                    raise InvalidOptionError(f"multipliers of agent {i} has shape {array.shape}; "
                                             f"the agent has {rows} rows")
            theta = np.concatenate(arrays)
        for group, rows in self.problem.constraint_rows():
            wrong = (theta[rows] < 0).any(axis=1)
            if not group.term.equality and wrong.any():
                i = int(group.agents[np.argmax(wrong)])
                raise InvalidOptionError(f"multipliers of agent {i}: those of an inequality must not be negative")
        return theta

    def _recording(self, record: Any) -> tuple[int | None, np.ndarray | None]:
        if record is None:
            return None, None
        if isinstance(record, (int, np.integer)) and not isinstance(record, bool):
            if record < 1:
                raise InvalidOptionError(f"record is {record}; it must be a positive number of activations")
            return int(record), None
        if not np.iterable(record) or isinstance(record, (str, bytes)):
            raise InvalidOptionError(f"record is {record!r}; it must be a positive integer or a sequence of activation "
                                     "counts")
        counts = as_indices("record", record)
        if (counts < 0).any():
            raise InvalidOptionError(f"record holds {counts.min()}; activation counts must not be negative")
        return None, np.unique([self._whole(count) for count in counts.tolist()])

    # -- advancing ----------------------------------------------------------------------------------------------------

    def run(self, epochs: float, *, time_limit: float | None = None) -> None:
        """Advance until solved, for `epochs` epochs at most (n_agents activations each); see `result` for the outcome.

        Parameters
        ----------
        epochs : float
            More epochs from here.
        time_limit : float, optional
            Seconds for this call.
        """
        check_epochs("epochs", epochs)
        if time_limit is not None and not as_number("time_limit", time_limit) > 0:
            raise InvalidOptionError(f"time_limit is {time_limit}; it must be a positive number of seconds")
        began = time.perf_counter()
        end = self._run.activations + self._whole(round(epochs * self.problem.n_agents, 6))  # 7 / 25 * 25 is above 7
        with self._turn, _Interruptible() as interrupt, self._bar(end) as bar:
            self._status = self._loop(end, began, time_limit, interrupt, bar)
        self._runtime += time.perf_counter() - began

    def _loop(self, end: int, began: float, time_limit: float | None, interrupt: _Interruptible, bar: Any) -> Status:
        run, chunk = self._run, 256
        while True:
            now, next_record = run.activations, self._next_record()
            if now == next_record:
                self._record()
                next_record = self._next_record()
            measures = self._measure() if now >= self._next_check and not self._puts_off(now) else None
            if now >= self._next_mean:
                self._remember(now)
            if measures is not None:
                self._next_check = self._later(now)
                residual, self._mean = measures.residual, measures.mean
                self._checked, self._seen = now, (now, residual)
                if self._record_every is None and self._record_at is None:
                    self._record()
                bar.set_postfix(residual=f"{residual:.1e}", refresh=False)
                if self._is_solved(residual) and self._is_steady(now, measures):
                    return Status.SOLVED
                hopeless = self._hopeless(now, residual)
                if hopeless is not None:
                    return hopeless
                if self._callback is not None and now > 0 and self._asked_to_stop():
                    return Status.STOPPED
            if now >= end:
                return Status.MAX_EPOCHS
            if now == run.milestone():
                run.pass_milestone()
                self._last = None  # the point is another now
                self._set_pace(now)
            if interrupt.pressed or (self.stop is not None and self.stop.is_set()):
                return Status.INTERRUPTED
            if time_limit is not None and time.perf_counter() - began >= time_limit:
                return Status.TIME_LIMIT
            stop = min(end, self._next_check, self._next_mean, now + self._whole(chunk))
            for other in (next_record, run.milestone()):
                if other is not None and now < other < stop:
                    stop = other
            count = stop - now
            started = time.perf_counter()
            status, done = run.advance(count, self._stream)
            elapsed = time.perf_counter() - started
            bar.update((run.activations - now) / self.problem.n_agents)
            if status == NOT_FINITE:
                return Status.DIVERGED
            if status != OK:
                raise FastadapdError(f"the engine {self._engine.name!r} reports status {status}")
            if done < count:
                return Status.END_OF_CLOCK
            if count >= chunk:
                chunk = max(1, int(chunk * min(2.0, _CHUNK_SECONDS / max(elapsed, 1e-9))))

    def _set_pace(self, now: int) -> None:
        """Compare the residual of a check with the movement, for `_puts_off`."""
        movement = self._run.movement
        if movement is not None and movement > 0 and self._checked == now:
            self._pace = self._seen[1] / movement

    def _puts_off(self, now: int) -> bool:
        """Put off the check if the start, or the movement, which costs nothing, shows that tol is not near yet."""
        if not self._tol or self._point != "last" or self._callback or self._is_long_ago(now):
            return False
        period, movement, (then, residual) = 10 * self.problem.n_agents, self._run.movement, self._seen
        if self._checked == 0 and 0 < now <= 2 * period:
            movement, expected = None, _SUDDEN * _QUICK ** (now / period) * residual
        elif self._pace is None:
            return False
        else:
            expected = _QUICK ** ((now - then) / period) * residual if movement is None else self._pace * movement
        if not _NEAR * self._tol < expected < np.inf:
            return False
        if now >= self._next_proof:
            if movement is None or self._checked < self._planned or expected >= _SURELY * self._residual_then:
                return False
            self._plan_proof(now, expected)
        if movement is not None:
            self._seen = now, expected
        self._next_check = now + period
        return True

    def _is_solved(self, residual: float) -> bool:
        return residual <= self._tol and self._tol > 0

    def _hopeless(self, now: int, residual: float) -> Status | None:
        """INFEASIBLE, UNBOUNDED or STALLED, if that is sure."""
        if residual < 0.9 * self._best[0] or not self._tol:
            self._best = residual, now
        stalled = self._is_long_ago(now) and self._moved(now) < 0.05
        if now < self._next_proof and not stalled:
            return None
        falls = residual < _FALL * self._residual_then
        self._plan_proof(now, residual)
        if falls and not stalled:
            return None
        x = self._mean
        names = np.zeros(0, dtype=np.int64)
        sets = any(group.term.is_set for group in self._inner.regularizers)
        tangents, forces = certificates.Tangents(self._inner, x, self._evaluate.size(x)), None
        for theta, force in self._growing_multipliers(tangents):
            if (proof := certificates.infeasible(tangents, theta)) is not None:
                theta, weights, radius = proof
            elif sets and (other := certificates.sets_apart(tangents, theta, force)) is not None:
                theta, forces, radius = other
                weights, forces = np.linalg.norm(forces, axis=1), forces / self._units
            else:
                continue
            if certificates.is_feasible(tangents):
                break
            names = np.argsort(-weights, kind="stable")[: max(1, int((weights > 0.01 * weights.max()).sum()))]
            self._certificate = Certificate("infeasible", tuple(names.tolist()), radius, self._per_agent(theta), forces)
            return Status.INFEASIBLE
        fall = certificates.unbounded(self._inner, x, self._past[0][1], self._evaluate.size(np.zeros_like(x)),
                                      0.0 if stalled else self._tol)
        if fall is not None:
            direction, radius = fall
            far = x + radius * direction
            change = self.problem.values(far * self._units) - self.problem.values(x * self._units)
            names = np.argsort(change, kind="stable")[: max(1, int((change < 0.01 * change.min()).sum()))]
            direction = direction * self._units
            direction /= length(direction)
            self._certificate = Certificate("unbounded", tuple(names.tolist()), radius, direction=direction)
            return Status.UNBOUNDED
        return Status.STALLED if stalled else None

    def _plan_proof(self, now: int, residual: float) -> None:
        """After a look for proofs, or one that was not necessary."""
        self._residual_then, self._planned = residual, now
        self._next_proof = now + max(now // 2, _PROOF_EPOCHS * self.problem.n_agents - now)

    def _is_long_ago(self, now: int) -> bool:
        """Whether the residual was smallest three quarters of a long run ago."""
        return now >= _STALL_EPOCHS * self.problem.n_agents and self._best[1] <= 0.25 * now

    def _growing_multipliers(self, tangents: certificates.Tangents) -> Iterator[tuple[Floats, Floats]]:
        """Multipliers and forces, and how much they have grown: where they run off, that shows the direction sooner.

        At last multipliers of a contradiction among the tangents, if there is one.
        """
        theta, force, (theta_then, force_then) = self._theta, self._run.force(), self._then
        self._then = theta.copy(), force if force.any() else force[:1].copy()
        yield theta, force
        grown, pulled = theta - theta_then, force - force_then
        for group, rows in self._inner.constraint_rows():
            if not group.term.equality:
                grown[rows] = np.maximum(grown[rows], 0.0)
        if length(grown) + length(pulled) > 0.05 * (length(theta) + length(force)):
            yield grown, pulled
            if tangents.violation > _FAR_OUTSIDE * tangents.length and tangents.nearest[1] is not None:
                yield tangents.nearest[1], force

    def _per_agent(self, theta: Floats) -> PerAgent:
        return PerAgent(theta.copy(), self.problem.row_ptr)

    def _is_steady(self, now: int, measures: Measures) -> bool:
        """Whether the decision has hardly moved during the last fifth of the run: a slow run is not done yet.

        Linear convergence to tol leaves an error of 16 times that a fifth earlier. Nor is a run done in which
        constraints are not quite met and their multipliers still grow: where sets meet at a sharp angle, a violation of
        tol is far from the optimum.
        """
        if measures.residual <= _BY_FAR * self._tol:
            return True
        if self._moved(now) > _STEADY * self._tol:
            return False
        outside = measures.distances > _MET * self._tol * self._evaluate.size(measures.mean)
        if not outside.any():
            return True
        rows = np.repeat(outside, np.diff(self.problem.row_ptr))
        before, after = np.abs(self._last_fifth(now)[0][2][rows]), np.abs(self._theta[rows])
        return not (after - before > _HARDER * after).any()

    def _moved(self, now: int) -> float:
        """How far the decision has been from here during the last fifth of the run, relative to its size."""
        farthest = max(length(self._mean - mean) for _, mean, _ in self._last_fifth(now))
        return farthest / self._evaluate.size(self._mean)

    def _last_fifth(self, now: int) -> list[tuple[int, Floats, Floats]]:
        """What is remembered of it, from the last time before it began on."""
        first = max(k for k, (activations, _, _) in enumerate(self._past) if activations <= 0.8 * now)
        return self._past[first:]

    def _remember(self, now: int) -> None:
        self._next_mean = self._later(now)
        measured = self._point != "last" or (self._last is not None and self._last[0] == now)
        self._past.append((now, self._measure().mean if measured else mean_of(self._run.x), self._theta.copy()))
        while len(self._past) > 1 and self._past[1][0] <= 0.8 * now:
            del self._past[0]

    def _whole(self, activations: float) -> int:
        """Rounded up to what the method cannot divide."""
        unit = self._run.unit
        return int(-(-activations // unit)) * unit

    def _later(self, now: int) -> int:
        """When to check again: 5 % apart, in tens of epochs, an overshoot of 5 % and few checks in long runs."""
        tens = 10 * self.problem.n_agents
        return -(-max(now + tens, int(1.05 * now)) // tens) * tens

    def _next_record(self) -> int | None:
        """The next count to record at, this one included if it is not recorded yet."""
        if self._record_every is None and self._record_at is None:
            return None
        now = self._run.activations
        soonest = now if not self._rows or self._rows[-1][0] < now else now + 1
        if self._record_every is not None:
            # the first multiple that, rounded up to whole iterations, is not before `soonest`
            past = (self._whole(soonest) - self._run.unit) // self._record_every
            return self._whole((past + 1) * self._record_every) if soonest else 0
        assert self._record_at is not None
        k = int(np.searchsorted(self._record_at, soonest))
        return int(self._record_at[k]) if k < len(self._record_at) else None

    def _asked_to_stop(self) -> bool:
        assert self._callback is not None
        try:
            answer = self._callback(self.result())
        except StopIteration:
            return True
        if isinstance(answer, (list, tuple)) or np.ndim(answer):
            raise InvalidOptionError(f"callback returned {type(answer).__name__} with {len(answer)} entries; it must "
                                     "return True to stop, and else False or nothing")
        return bool(answer)

    # -- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> tuple[int, Measures, Floats]:
        """The point to return, with its measures: of two the one with the smaller residual."""
        run, now = self._run, self._run.activations
        if self._last is None or self._last[0] != now:
            point = run.ergodic() if self._point == "ergodic" else run.x
            self._last = now, self._judge(point), point
            if self._point == "best":
                other = run.ergodic()
                measures = self._judge(other)
                if measures.residual < self._last[1].residual:
                    self._last = now, measures, other
        return self._last

    def _judge(self, x: Floats) -> Measures:
        """The measures of copies x (N, n), with the present multipliers."""
        return self._evaluate(self._engine.measure(self._evaluate.scales, x, self._theta,
                                                   self._run.consensus_multipliers, laplacian=self._run.by_laplacian))

    @property
    def _theta(self) -> Floats:
        """The multipliers of the problem's own constraint rows."""
        return self._run.theta if self._softened is None else self._run.theta[self._softened.kept]

    def _copies(self) -> Floats:
        return self._look()[2]

    def _measure(self) -> Measures:
        return self._look()[1]

    def _record(self) -> None:
        m, now = self._measure(), self._run.activations
        self._rows.append((now, self._run.communications, self._run.floats_sent(), now / self.problem.n_agents, m.fun,
                           m.suboptimality, m.infeasibility, m.consensus_violation, m.residual))

    def result(self) -> Result:
        """The run so far; not while it runs in another thread."""
        self._turn.check()
        measures, now, N = self._measure(), self._run.activations, self.problem.n_agents
        copies, mean = self._copies(), measures.mean
        fun = self._evaluate.fun(mean)
        solved = self._is_solved(measures.residual)
        status = Status.SOLVED if solved else Status.MAX_EPOCHS if self._status is None else self._status
        radius = self._certificate.radius if self._certificate else np.inf
        message = _MESSAGES[status]
        if status is Status.MAX_EPOCHS and not (self._tol and now):
            message = _WITHOUT_TOL if now else _NOT_RUN
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(_HISTORY)
        history = {name: np.array(column, dtype=np.int64 if k < 3 else np.float64)
                   for k, (name, column) in enumerate(zip(_HISTORY, columns, strict=True))}
        return Result(
            x=mean * self._units,
            x_agents=copies * self._units,
            x_ergodic=self._run.ergodic() * self._units,
            multipliers=self._per_agent(self._theta),
            consensus_multipliers=self._run.consensus_multipliers / self._units,
            fun=fun,
            suboptimality=measures.suboptimality,
            infeasibility=measures.infeasibility,
            consensus_violation=measures.consensus_violation,
            residual=measures.residual,
            activations=now,
            communications=self._run.communications,
            floats_sent=self._run.floats_sent(),
            epochs=now / N,
            success=solved,
            status=status,
            message=message.format(
                residual=measures.residual, tol=self._tol, epochs=now / N,
                agents=_named(self._certificate.agents) if self._certificate else "",
                within=f" within {radius:.1e} of x" if radius < np.inf else "",
                so_far=f" up to a distance of {radius:.1e} at least" if radius < np.inf else " without end"),
            certificate=self._certificate if status in (Status.INFEASIBLE, Status.UNBOUNDED) else None,
            history=history,
            method=self._method.name,
            engine=self._engine.name,
            runtime=self._runtime,
        )

    # -- saving -------------------------------------------------------------------------------------------------------

    def checkpoint(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on as if nothing had happened.

        Returns
        -------
        dict
            Arrays and plain Python objects; it can be pickled.

        Raises
        ------
        FastadapdError
            While the solver runs in another thread.
        """
        self._turn.check()
        return self._saved()

    def _saved(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "method": self._method.name,
            "kind": self._run.kind,
            "shape": (self.problem.n_agents, self.problem.dim, self.problem.n_rows),
            "state": {name: array.copy() for name, array in self._run.state._asdict().items()},
            "extra": self._run.extra(),
            "stream": self._stream.checkpoint(),
            "rows": list(self._rows),
            "next_check": self._next_check,
            "means": (self._mean, list(self._past), self._next_mean),
            "best": self._best,
            "next_proof": (self._next_proof, self._residual_then, self._planned),
            "then": self._then,
            "pace": (self._checked, self._seen, self._pace),
            "runtime": self._runtime,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on where `checkpoint` was called, in this or another process and on any engine.

        Parameters
        ----------
        saved : dict
            From `checkpoint` of a solver with the same problem, network, method and clock. One that does not fit, or
            is damaged, is refused and leaves the solver as it was.
        """
        shape = (self.problem.n_agents, self.problem.dim, self.problem.n_rows)
        if not isinstance(saved, dict) or saved.keys() != _CHECKPOINT or saved["version"] != _VERSION:
            raise InvalidOptionError("this is no checkpoint; use what Solver.checkpoint of this version returned")
        with self._turn:
            before, outcome = self._saved(), (self._certificate, self._last, self._status)
            try:
                if saved["method"] != self._method.name or tuple(saved["shape"]) != shape:
                    raise InvalidOptionError(f"the checkpoint is of {saved['method']} with (agents, coordinates, rows) "
                                             f"= {tuple(saved['shape'])}; this solver is {self._method.name} with "
                                             f"{shape}")
                self._take_back(saved)
            except BaseException as error:
                self._take_back(before)
                self._certificate, self._last, self._status = outcome
                if isinstance(error, Exception) and not isinstance(error, FastadapdError):
                    raise InvalidOptionError(f"the checkpoint is damaged ({type(error).__name__}: {error})") from error
                raise

    def _take_back(self, saved: dict[str, Any]) -> None:
        for name, array in self._run.state._asdict().items():
            given = saved["state"][name]
            if array.shape != given.shape:
                raise InvalidOptionError(f"the checkpoint's {name} has shape {given.shape}, not {array.shape}: it is "
                                         "of another network, or of costs that differ")
            if array.dtype != given.dtype:
                raise InvalidOptionError(f"the checkpoint's {name} is of {given.dtype}, not {array.dtype}")
        if saved["kind"] != self._run.kind:
            raise InvalidOptionError("the checkpoint is of other steps: adaptive ones and others do not go together, "
                                     "nor do one local step and several")
        self._stream.restore(saved["stream"])
        for name, array in self._run.state._asdict().items():
            array[...] = saved["state"][name]
        self._run.restore_extra(saved["extra"])
        self._rows, self._next_check = list(saved["rows"]), saved["next_check"]
        self._mean, past, self._next_mean = saved["means"]
        self._past = list(past)
        self._best, (self._next_proof, self._residual_then, self._planned) = saved["best"], saved["next_proof"]
        self._certificate = None
        self._then, (self._checked, self._seen, self._pace) = saved["then"], saved["pace"]
        self._runtime, self._last, self._status = saved["runtime"], None, None

    def __reduce__(self) -> NoReturn:
        # copy, deepcopy and pickle: two solvers would share one state, or the engine's memory would be lost
        raise TypeError("a Solver cannot be copied or pickled; make another one with the same problem, network and "
                        "options, and give its restore() what checkpoint() of this one returns")

    def _bar(self, end: int) -> Any:
        if not self._progress:
            return _NoBar()
        from tqdm.auto import tqdm

        total = (end - self._run.activations) / self.problem.n_agents
        return tqdm(total=round(total), unit="epoch", desc=self._method.name,
                    bar_format="{l_bar}{bar}| {n:.0f}/{total_fmt} epochs [{elapsed}, {rate_fmt}{postfix}]")


class _Turn:
    """Only one run, update or restore of a solver at a time."""

    def __init__(self) -> None:
        self._lock, self._owner = threading.Lock(), 0

    def check(self) -> None:
        """Refuse a look from another thread."""
        if self._lock.locked() and self._owner != threading.get_ident():
            raise FastadapdError("this Solver is running in another thread: ask for its result or its checkpoint "
                                 "there, in a callback, or afterwards")

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise FastadapdError("this Solver is running: neither its callback nor another thread may run, update or "
                                 "restore it meanwhile")
        self._owner = threading.get_ident()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, n: float) -> None:
        pass

    def set_postfix(self, **shown: Any) -> None:
        pass


def _check_fit(problem: Problem, network: Network) -> None:
    check_problem(problem)
    if not isinstance(network, Network):
        raise InvalidOptionError(f"network must be a fastadapd.Network, not {type(network).__name__}; "
                                 "fastadapd.Network(graph) makes one")
    if network.n_agents != problem.n_agents:
        raise InvalidOptionError(f"network has {network.n_agents} agents but problem has {problem.n_agents}; "
                                 "every agent needs both a place in the network and its part of the problem")


class _Interruptible:
    """Note Ctrl-C instead of raising in the middle of an update; a second one raises at once."""

    pressed = False
    _before: Any = None

    def __enter__(self) -> _Interruptible:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            # None: a handler from outside Python, which could not be put back; SIG_IGN: a process in the background
            if before not in (None, signal.SIG_IGN):
                self._before = before
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


def _named(agents: tuple[int, ...]) -> str:
    """"agents 3, 1 and 7", at most five of them."""
    shown = [str(i) for i in agents[:5]] + (["others"] if len(agents) > 5 else [])
    return f"agent {shown[0]}" if len(shown) == 1 else f"agents {', '.join(shown[:-1])} and {shown[-1]}"


def check_epochs(name: str, epochs: float) -> None:
    """Raise InvalidOptionError for what is no number of epochs to run."""
    if not 0 <= as_number(name, epochs) < np.inf:
        raise InvalidOptionError(f"{name} is {epochs}; it must be 0 or positive, and finite")


def generator_of(rng: Any) -> np.random.Generator:
    """The generator that an option rng stands for."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"rng is {rng!r}; it must be None, a non-negative integer or a numpy.random.Generator "
                                 f"({error})") from None


def _finite(name: str, value: ArrayLike) -> Floats:
    array = as_numbers(name, value)
    if not np.isfinite(array).all():
        raise InvalidOptionError(f"{name} holds a value that is not finite")
    return array


def solve(
    problem: Problem,
    network: Network,
    *,
    method: str | Method = "ad-apd",
    engine: str = "auto",
    rng: int | np.random.Generator | None = None,
    tol: float = 1e-6,
    max_epochs: float = 100_000,
    time_limit: float | None = None,
    clock: str | clocks.Clock | Sequence[int] | np.ndarray | None = None,
    x0: ArrayLike | None = None,
    multipliers: Sequence[ArrayLike] | None = None,
    consensus_multipliers: ArrayLike | None = None,
    optimal_value: float | None = None,
    point: str = "last",
    record: int | Sequence[int] | np.ndarray | None = None,
    callback: Callable[[Result], Any] | None = None,
    progress: bool = False,
    workers: int = 1,
) -> Result:
    """Solve a problem over a network.

    Parameters
    ----------
    problem : Problem
    network : Network
        As many agents as the problem.
    method : str or Method
        "ad-apd", "dpda-s" or an options object of `fastadapd.methods`.
    engine : {"auto", "c", "numba", "numpy"}
        "auto": C if it was compiled, else Numba. One that was named is never replaced.
    rng : None, int or numpy.random.Generator
        Seed of the activations; the same seed gives the same ones on every engine.
    tol : float
        Stop at ``residual <= tol``, as for `Solver`.
    max_epochs : float
        At most this many epochs of n_agents activations.
    time_limit : float, optional
        Seconds.
    clock, x0, multipliers, consensus_multipliers, optimal_value, point, record, callback, progress, workers
        As for `Solver`.

    Returns
    -------
    Result
        Not having converged is no error: look at ``success``, ``status`` and ``message``.

    Raises
    ------
    InvalidOptionError, EngineError

    Examples
    --------
    >>> import numpy as np, fastadapd as fa
    >>> targets = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]])
    >>> problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), -targets), fa.regularizers.Box(0, 1.5))
    >>> network = fa.Network([(0, 1), (1, 2)])
    >>> result = fa.solve(problem, network, rng=0)
    >>> result.success, result.x.round(4)
    (True, array([1.5, 1. ]))
    """
    check_epochs("max_epochs", max_epochs)
    solver = Solver(
        problem, network, method=method, engine=engine, rng=rng, clock=clock, x0=x0, multipliers=multipliers,
        consensus_multipliers=consensus_multipliers, tol=tol, optimal_value=optimal_value, point=point, record=record,
        callback=callback, progress=progress, workers=workers)
    solver.run(max_epochs, time_limit=time_limit)
    return solver.result()
