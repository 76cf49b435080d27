"""fastadapd: decentralized constrained convex optimization with compiled loops."""

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


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_LATE[name]}")
    value = globals()[name] = module if name == _LATE[name] else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
