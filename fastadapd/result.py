"""What a run gives back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fastadapd._terms import Floats
from fastadapd.certificates import Certificate


class Status(IntEnum):
    """Why a run stopped."""

    SOLVED = 0
    MAX_EPOCHS = 1
    TIME_LIMIT = 2
    DIVERGED = 3
    INTERRUPTED = 4
    STOPPED = 5
    """The callback asked for it."""
    END_OF_CLOCK = 6
    """A recorded sequence of activations ended."""
    INFEASIBLE = 7
    """No point near satisfies all constraints; `Result.certificate` proves it."""
    UNBOUNDED = 8
    """The total cost falls without end; `Result.certificate` has the direction."""
    STALLED = 9
    """The residual has not become smaller during the last three quarters of a long run."""


class PerAgent(Sequence[Floats]):
    """One array per agent, cut out of one flat array when it is asked for: a million agents cost nothing.

    Parameters
    ----------
    flat : ndarray, shape (M,)
        The arrays of all agents, one after the other.
    ptr : ndarray, shape (n_agents + 1,)
        Those of agent i are ``flat[ptr[i]:ptr[i + 1]]``.
    """

    def __init__(self, flat: Floats, ptr: NDArray[np.int64]):
        self.flat, self.ptr = flat, ptr

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @overload
    def __getitem__(self, at: int) -> Floats: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Floats, ...]: ...
    def __getitem__(self, at: Any) -> Any:
        agents = range(len(self))[at]
        if isinstance(agents, range):
            return tuple(self.flat[self.ptr[i] : self.ptr[i + 1]] for i in agents)
        return self.flat[self.ptr[agents] : self.ptr[agents + 1]]

    def __repr__(self) -> str:
        return f"PerAgent({len(self)} agents, {len(self.flat)} numbers)"


@dataclass(frozen=True, eq=False)
class Result:
    """The outcome of a run; also answers to ``result["x"]``.

    Attributes
    ----------
    x : ndarray, shape (dim,)
        The decision: the mean of the agents' copies.
    x_agents : ndarray, shape (n_agents, dim)
        The agents' copies at the point that is reported (last or ergodic).
    x_ergodic : ndarray, shape (n_agents, dim)
        The ergodic averages.
    multipliers : sequence of ndarray
        For each agent the multipliers of its constraint rows, with the sign of the Lagrangian ``f + theta'g``.
    consensus_multipliers : ndarray, shape (rows of the consensus matrix, dim)
        Multipliers lambda of ``B X = 0``, a start for another run; AD-APD with local momentum and one local step in
        edge form gives them without their look ahead (`fastadapd.methods.adapd`).
    fun : float
        Sum of all costs and simple terms at x.
    suboptimality : float
        ``|F(X) - F*| / max(1, |F*|)`` with every agent at its own copy; nan unless optimal_value was given.
    infeasibility : float
        Largest violation of an agent: the norm of ``max(g, 0)`` over its inequalities and ``|g|`` over its equations
        at x_i, or the distance of x_i to the set of its simple term.
    consensus_violation : float
        ``max_i |x_i - mean| / max(1, |mean|)``.
    residual : float
        Largest relative KKT residual at x_agents; see `fastadapd.metrics`.
    activations, communications, floats_sent : int
        In an activation one agent computes and speaks once to its neighbours, which is one communication. A synchronous
        iteration counts n_agents of both; a sum over all agents counts 2 n_agents communications. floats_sent counts
        the numbers for every neighbour: with n coordinates 2 n of them in AD-APD, n in DPDA-S.
    epochs : float
        Activations per agent.
    success : bool
        ``residual <= tol``, and nothing else.
    status : Status
    message : str
    certificate : Certificate or None
        With status INFEASIBLE or UNBOUNDED: the proof, see `fastadapd.certificates`.
    history : dict of str to ndarray
        Arrays of equal length: activations, communications, floats_sent, epochs, fun (every agent at its own copy),
        suboptimality, infeasibility, consensus_violation, residual.
    method, engine : str
    runtime : float
        Seconds spent in `run`.
    """

    x: Floats
    x_agents: Floats
    x_ergodic: Floats
    multipliers: PerAgent = field(repr=False)
    consensus_multipliers: Floats = field(repr=False)
    fun: float
    suboptimality: float
    infeasibility: float
    consensus_violation: float
    residual: float
    activations: int
    communications: int
    floats_sent: int
    epochs: float
    success: bool
    status: Status
    message: str
    certificate: Certificate | None = field(repr=False)
    history: dict[str, np.ndarray] = field(repr=False)
    method: str
    engine: str
    runtime: float

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(fields(self))

    def keys(self) -> tuple[str, ...]:
        """Names of all attributes."""
        return tuple(f.name for f in fields(self))

    def __repr__(self) -> str:
        shown = {"message": self.message, "success": self.success, "status": f"{self.status.name} ({int(self.status)})",
                 "x": np.array2string(self.x, precision=6, threshold=8, prefix=" " * 21)}
        numbers = ["fun", "residual", "infeasibility", "consensus_violation", "epochs"]
        if not np.isnan(self.suboptimality):
            numbers.insert(4, "suboptimality")
        shown |= {name: f"{getattr(self, name):.6g}" for name in numbers}
        shown |= {name: str(getattr(self, name)) for name in ("activations", "communications", "method", "engine")}
        shown["runtime"] = f"{self.runtime:.3g} s"
        return "\n".join(f"{name:>19}: {text}" for name, text in shown.items())
