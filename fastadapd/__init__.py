"""fastadapd: decentralized constrained convex optimization with compiled loops."""

from fastadapd import clocks, constraints, gallery, graphs, methods, objectives, plotting, regularizers
from fastadapd._config import __version__, show_config
from fastadapd.centralized import CentralizedResult, solve_centralized
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
]
