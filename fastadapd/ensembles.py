"""Many solves at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from fastadapd.errors import FastadapdError, InvalidOptionError, as_number
from fastadapd.network import Network
from fastadapd.problem import Problem
from fastadapd.result import Result
from fastadapd.solver import Solver, check_epochs, generator_of

_TURN = 0.1  # seconds
_WORTHWHILE = 100  # agents, from which on threads gain anything


def solve_many(
    problems: Problem | Sequence[Problem],
    networks: Network | Sequence[Network],
    *,
    rng: int | np.random.Generator | Sequence[int | np.random.Generator] | np.ndarray | None = None,
    workers: int | None = None,
    max_epochs: float = 100_000,
    time_limit: float | None = None,
    **options: Any,
) -> list[Result]:
    """Solve several problems, or one with several seeds, in threads.

    Results are those of `solve` one after the other, each with its own seed. Threads pay where the compiled loops,
    which run side by side, take most of the time: from about a hundred agents on; below they even cost a little.
    Ctrl-C ends all, with KeyboardInterrupt and no results.

    Parameters
    ----------
    problems : Problem or sequence of Problem
        One stands for all.
    networks : Network or sequence of Network
        One stands for all.
    rng : None, int, numpy.random.Generator, or sequence or array of int, or sequence of Generator
        A sequence: the seed of each, as for `solve`. Otherwise solve number k has the k-th generator of
        ``numpy.random.default_rng(rng).spawn(count)``.
    workers : int, optional
        Solves at a time; by default as many as there are processors, or 1 if every problem has less than 100 agents.
    max_epochs, time_limit
        As for `solve`, for each.
    **options
        As for `Solver`, for each; a callback is called from all threads.

    Returns
    -------
    list of Result
        In the order of the problems.

    Raises
    ------
    FastadapdError
        The first error of any solve; the message says of which problem.

    Examples
    --------
    >>> import numpy as np, fastadapd as fa
    >>> problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), [[0.0, 0.0], [-4.0, 0.0]]))
    >>> results = fa.solve_many(problem, fa.Network([(0, 1)]), rng=[0, 1, 2])
    >>> [result.success for result in results]
    [True, True, True]
    """
    if unknown := options.keys() - (Solver.__init__.__kwdefaults__ or {}):
        raise TypeError(f"solve_many() got an unexpected keyword argument {min(unknown)!r}")
    if isinstance(rng, np.ndarray):
        rng = rng.tolist()
    seeds = rng if isinstance(rng, Sequence) else None
    given = {"problems": problems, "networks": networks, "rng": seeds}
    lengths = {name: len(value) for name, value in given.items() if isinstance(value, Sequence)}
    if not lengths:
        raise InvalidOptionError("problems, networks or rng must be a sequence: how many solves are there?")
    count = next(iter(lengths.values()))
    if any(length != count for length in lengths.values()):
        raise InvalidOptionError("sequences differ in length: " + ", ".join(f"{k} has {v}" for k, v in lengths.items()))
    if workers is None:
        workers = _processors() if _agents(problems) >= _WORTHWHILE else 1
    if not (as_number("workers", workers) >= 1 and float(workers).is_integer()):
        raise InvalidOptionError(f"workers is {workers}; it must be a positive integer")
    check_epochs("max_epochs", max_epochs)
    own = generator_of(rng).spawn(count) if not isinstance(rng, Sequence) else rng
    stop = threading.Event()

    def one(k: int) -> Result:
        try:
            solver = Solver(problems[k] if isinstance(problems, Sequence) else problems,
                            networks[k] if isinstance(networks, Sequence) else networks, rng=own[k], **options)
            solver.stop = stop
            solver.run(max_epochs, time_limit=time_limit)
            return solver.result()
        except FastadapdError as error:
            raise type(error)(f"problem {k}: {error}") from error
        except Exception as error:
            error.add_note(f"in problem {k}")
            raise

    with ThreadPoolExecutor(int(workers), thread_name_prefix="fastadapd") as pool:
        try:
            futures = [pool.submit(one, k) for k in range(count)]
            pending = set(futures)
            while pending:  # in turns, so that Ctrl-C is seen everywhere
                done, pending = wait(pending, timeout=_TURN, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _agents(problems: Problem | Sequence[Problem]) -> int:
    """Of the largest problem."""
    several = problems if isinstance(problems, Sequence) else [problems]
    return max((problem.n_agents for problem in several if isinstance(problem, Problem)), default=0)


def _processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
