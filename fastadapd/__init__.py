"""fastadapd: decentralized constrained convex optimization with compiled loops.

Many agents on a network hold private costs and constraints and agree on one decision. In five steps:

* terms: `fastadapd.objectives`, `fastadapd.regularizers`, `fastadapd.constraints`, with the agents as first axis;
* `Problem`: what all agents hold, or ``Problem.from_agents([Agent(...), ...])``;
* `Network`: who talks to whom, from a networkx graph, a SciPy sparse matrix or a list of edges;
* `solve`, or `Solver`, which keeps its state; methods are in `fastadapd.methods`, and `solve_many` is for several;
* `Result`: the decision ``x``, the agents' copies, multipliers, ``success``, ``message`` and ``history``.

>>> import numpy as np, fastadapd as fa
>>> targets = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]])
>>> problem = fa.Problem(fa.objectives.Quadratic(np.eye(2), -targets))
>>> fa.solve(problem, fa.Network([(0, 1), (1, 2)]), rng=0).x.round(4)
array([2., 1.])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastadapd import clocks, constraints, methods, objectives, regularizers
from fastadapd.certificates import Certificate
from fastadapd.errors import (
    EngineError,
    FastadapdError,
    InvalidNetworkError,
    InvalidOptionError,
    InvalidProblemError,
)
from fastadapd.network import Network
from fastadapd.problem import Agent, Problem
from fastadapd.result import Result, Status
from fastadapd.solver import Solver, solve
from fastadapd.steps import FixedSteps, slater_bound

if TYPE_CHECKING:
    from fastadapd import gallery, graphs, plotting
    from fastadapd._config import __version__, show_config
    from fastadapd.centralized import CentralizedResult, solve_centralized
    from fastadapd.ensembles import solve_many

__all__ = [
    "Agent",
    "CentralizedResult",
    "Certificate",
    "EngineError",
    "FastadapdError",
    "FixedSteps",
    "InvalidNetworkError",
    "InvalidOptionError",
    "InvalidProblemError",
    "Network",
    "Problem",
    "Result",
    "Solver",
    "Status",
    "__version__",
    "clocks",
    "constraints",
    "gallery",
    "graphs",
    "methods",
    "objectives",
    "plotting",
    "regularizers",
    "show_config",
    "slater_bound",
    "solve",
    "solve_centralized",
    "solve_many",
]

# what a solve does not need is imported when it is asked for: name -> its module
_LATE = {
    "gallery": "gallery",
    "graphs": "graphs",
    "plotting": "plotting",
    "__version__": "_config",
    "show_config": "_config",
    "CentralizedResult": "centralized",
    "solve_centralized": "centralized",
    "solve_many": "ensembles",
}


if not TYPE_CHECKING:  # a type checker knows the names, and finds misspelled ones

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{_LATE[name]}")
        value = globals()[name] = module if name == _LATE[name] else getattr(module, name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
