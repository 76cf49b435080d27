"""What every method is to the driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from fastadapd._terms import Floats
from fastadapd.clocks import Clock, SplitStream, Stream, Uniform
from fastadapd.engines import Engine
from fastadapd.network import Network
from fastadapd.problem import Problem


class Start(NamedTuple):
    """Where a run begins."""

    x: Floats
    theta: Floats | None
    lambda_: Floats | None


class Run(ABC):
    """A method at work on one problem: its state, and how to advance it.

    Attributes
    ----------
    unit : int
        Activations that cannot be divided: 1, or n_agents for a synchronous method.
    by_laplacian : bool
        Whether consensus multipliers are those of the rows of the graph Laplacian, whatever the consensus matrix.
    state : NamedTuple of ndarray
        Everything that changes, x and theta among it; updated in place.
    """

    unit: int
    by_laplacian: ClassVar[bool] = False
    state: Any

    @abstractmethod
    def advance(self, activations: int, stream: Stream | SplitStream) -> tuple[int, int]:
        """Advance by a multiple of `unit`; returns (status code, activations taken from the stream or done)."""

    @property
    @abstractmethod
    def activations(self) -> int:
        """Activations done so far."""

    @property
    def x(self) -> Floats:
        """The agents' copies (N, n)."""
        return self.state.x

    @property
    def theta(self) -> Floats:
        """Multipliers of the constraints (M,)."""
        return self.state.theta

    @property
    @abstractmethod
    def consensus_multipliers(self) -> Floats:
        """Multipliers of the consensus rows (R, n)."""

    @abstractmethod
    def ergodic(self) -> Floats:
        """The averages the theory speaks of (N, n)."""

    @abstractmethod
    def force(self) -> Floats:
        """B' lambda (N, n): what the network adds to each agent's gradient."""

    @property
    def communications(self) -> int:
        """Times an agent spoke to its neighbours."""
        return self.activations

    @abstractmethod
    def multipliers_on(self, network: Network) -> Floats:
        """Multipliers of the consensus rows of another network that exert the same force on every agent."""

    @abstractmethod
    def floats_sent(self) -> int:
        """Floating-point numbers that went over an edge, both directions."""

    @property
    def kind(self) -> str:
        """What another run must be to go on from this one's arrays."""
        return type(self).__name__

    @property
    def movement(self) -> float | None:
        """How far the method's own variables moved lately, which falls like the residual; None: not known."""
        return None

    def milestone(self) -> int | None:
        """The next activation count at which `pass_milestone` must be called."""
        return None

    def pass_milestone(self) -> None:  # noqa: B027
        """Adjust the method; called exactly at `milestone`."""

    def inherit(self, other: Run) -> None:  # noqa: B027
        """Take over what a run on similar data has learned about step sizes."""

    def extra(self) -> dict[str, Any]:
        """State outside the arrays of `state`, for checkpoints."""
        return {}

    def restore_extra(self, saved: dict[str, Any]) -> None:  # noqa: B027
        """Take back what `extra` gave."""


@dataclass(frozen=True, eq=False)
class Method(ABC):
    """Options of a method. Frozen: a run never changes them."""

    name: ClassVar[str]

    @property
    def may_rescale(self) -> bool:
        """Whether the driver may change the units of the coordinates: no when steps are the user's or the theory's."""
        return False

    @property
    def in_threads(self) -> bool:
        """Whether several workers may wake their agents at the same time."""
        return False

    def clock(self) -> Clock:
        """Who wakes when, unless the user says."""
        return Uniform()

    @abstractmethod
    def start(self, problem: Problem, network: Network, engine: Engine, clock: Clock, start: Start) -> Run:
        """Begin a run."""
