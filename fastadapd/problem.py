"""What the agents want: costs, simple terms and constraints, stacked or one agent at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastadapd import scaling
from fastadapd._terms import Floats, Term
from fastadapd.constraints import Constraint
from fastadapd.errors import InvalidOptionError, InvalidProblemError
from fastadapd.objectives import Objective
from fastadapd.regularizers import Box, NonNegative, Regularizer, Zero

_T = TypeVar("_T", bound=Term)


_ONE_REGULARIZER = ("regularizer must be one term: the proximal map of a sum is not known. "
                    "Put sets that do not fit into constraints")


class Group(NamedTuple):
    """A term and the agents that hold it, in ascending order: the k-th of them holds ``term.agent(k)``."""

    term: Any
    agents: NDArray[np.int64]


class Terms(NamedTuple):
    """All terms of one agent."""

    objective: tuple[Objective, ...]
    regularizer: Regularizer
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True)
class Agent:
    """The terms of one agent.

    Parameters
    ----------
    objective : Objective or sequence of Objective, optional
        Smooth costs, added up. None: no cost.
    regularizer : Regularizer, optional
        None: no term.
    constraints : Constraint or sequence of Constraint, optional
    """

    objective: Objective | Sequence[Objective] | None = None
    regularizer: Regularizer | None = None
    constraints: Constraint | Sequence[Constraint] = ()

    def terms(self) -> Terms:
        """The same terms in one shape: tuples of costs and constraints, and a regularizer that is never None."""
        regularizer = _as_tuple(self.regularizer, Regularizer, "regularizer")
        if len(regularizer) > 1:
            raise InvalidProblemError(_ONE_REGULARIZER)
        return Terms(
            _as_tuple(self.objective, Objective, "objective"),
            regularizer[0] if regularizer else Zero(),
            _as_tuple(self.constraints, Constraint, "constraints"),
        )


class Problem:
    """Minimize the sum of all costs and simple terms subject to the constraints of every agent.

    Terms whose parameters have one more axis in front, the agents', are stacked: each agent has its own. All other
    terms are held by every agent, so that a cost or an L1 term that is shared enters the sum n_agents times; divide its
    parameters by n_agents, or give it to one agent with `from_agents`, if it should count once. Arrays of float64 are
    not copied: do not change them later.

    Parameters
    ----------
    objective : Objective or sequence of Objective, optional
        Smooth costs, added up.
    regularizer : Regularizer, optional
        One simple term; its proximal map is used.
    constraints : Constraint or sequence of Constraint, optional
        Every agent holds all of a sequence. For a constraint of each agent's own, stack the parameters, as in
        ``Ellipsoid(P, centers, levels)`` with the agents as first axis, or use `from_agents`.
    n_agents : int, optional
        Needed only when no term is stacked, so that all agents hold the same.
    dim : int, optional
        Number of coordinates; needed only when no term tells.

    Attributes
    ----------
    n_agents, dim : int
    objectives, constraints : tuple of Group
        In the order given; the rows of an agent's multipliers follow the order of the constraints.
    regularizers : tuple of Group
        Every agent is in exactly one.
    n_rows : int
        Constraint rows of all agents together.
    row_ptr : ndarray, shape (n_agents + 1,)
        Rows of agent i are ``row_ptr[i]:row_ptr[i + 1]``.

    Raises
    ------
    InvalidProblemError
        When terms disagree on the number of agents or coordinates.
    """

    def __init__(
        self,
        objective: Objective | Sequence[Objective] | None = None,
        regularizer: Regularizer | None = None,
        constraints: Constraint | Sequence[Constraint] = (),
        *,
        n_agents: int | None = None,
        dim: int | None = None,
    ):
        everyone = Agent(objective, regularizer, constraints).terms()
        terms: tuple[Term, ...] = (*everyone.objective, everyone.regularizer, *everyone.constraints)
        counts = [(type(t).__name__, t.n_agents) for t in terms if t.n_agents is not None]
        if n_agents is not None:
            counts.insert(0, ("n_agents", _positive("n_agents", n_agents)))
        if not counts:
            raise InvalidProblemError(
                "no term is stacked over agents, so the number of agents is not known: where each agent has its own "
                "data, put the agents as first axis of a parameter, or use Problem.from_agents([Agent(...), ...]); "
                "where all agents hold the same terms, give n_agents=")
        for name, count in counts:
            if count != counts[0][1]:
                raise InvalidProblemError(f"{name} is for {count} agents but {counts[0][0]} is for {counts[0][1]}")
        everybody = np.arange(counts[0][1])
        self._finish(
            counts[0][1],
            dim,
            tuple(Group(t, everybody) for t in everyone.objective),
            (Group(everyone.regularizer, everybody),),
            tuple(Group(t, everybody) for t in everyone.constraints),
        )

    @classmethod
    def from_agents(cls, agents: Iterable[Agent], *, dim: int | None = None) -> Problem:
        """A problem from agents that differ: other terms, other numbers of constraints.

        Terms of one kind and size are copied side by side, so that solving takes no longer than with stacked terms.

        Parameters
        ----------
        agents : iterable of Agent
            Agent i of the network is the i-th.
        dim : int, optional
            Number of coordinates; needed only when no term tells.

        Returns
        -------
        Problem
        """
        if not isinstance(agents, Iterable):
            raise InvalidProblemError(f"agents is {agents!r}; it must be a sequence of fastadapd.Agent")
        agents = list(agents)
        if not agents:
            raise InvalidProblemError("agents is empty: a problem needs at least one agent")
        # the k-th terms of all agents that are alike, stacked
        alike: dict[str, dict[tuple[int, Hashable], tuple[list[int], list[Term]]]] = {
            "objective": {}, "regularizer": {}, "constraints": {}}
        for i, agent in enumerate(agents):
            if not isinstance(agent, Agent):
                raise InvalidProblemError(f"agent {i} is a {type(agent).__name__}; it must be a fastadapd.Agent")
            try:
                own = agent.terms()
            except InvalidProblemError as error:
                raise InvalidProblemError(f"agent {i}: {error}") from None
            for name, kept in alike.items():
                for k, term in enumerate(_as_tuple(getattr(own, name), Term, name)):
                    if term.n_agents is not None:
                        raise InvalidProblemError(f"agent {i}: {type(term).__name__} is stacked over {term.n_agents} "
                                                  "agents; give the data of one agent here")
                    holders, terms = kept.setdefault((k, term.likeness()), ([], []))
                    holders.append(i)
                    terms.append(term)

        def groups(name: str) -> tuple[Group, ...]:
            in_order = sorted(alike[name].items(), key=lambda item: item[0][0])  # an agent's first term comes first
            return tuple(group for _, (holders, terms) in in_order for group in _together(np.array(holders), terms))

        self = cls.__new__(cls)
        self._finish(len(agents), dim, groups("objective"), groups("regularizer"), groups("constraints"))
        return self

    def _finish(self, n_agents: int, dim: int | None, objectives: tuple[Group, ...], regularizers: tuple[Group, ...],
                constraints: tuple[Group, ...]) -> None:
        self.n_agents = n_agents
        self.objectives = objectives
        self.regularizers = regularizers
        self.constraints = constraints
        self.dim = self._find_dim(dim)
        rows = np.zeros(n_agents, dtype=np.int64)
        for group in constraints:
            rows[group.agents] += group.term.rows
        self.row_ptr = np.concatenate([[0], np.cumsum(rows)])
        self.n_rows = int(self.row_ptr[-1])

    def _find_dim(self, dim: int | None) -> int:
        known: list[tuple[str, int]] = [] if dim is None else [("dim", _positive("dim", dim))]
        for group in (*self.objectives, *self.regularizers, *self.constraints):
            if group.term.dim is not None:
                where = "" if len(group.agents) == self.n_agents else f"agent {group.agents[0]}: "
                known.append((where + type(group.term).__name__, group.term.dim))
        if not known:
            raise InvalidProblemError("no term tells the number of coordinates: give dim=")
        for name, length in known:
            if length != known[0][1]:
                raise InvalidProblemError(f"{name} has {length} coordinates but {known[0][0]} has {known[0][1]}; "
                                          "all agents decide on the same vector")
        return known[0][1]

    def agent(self, i: int) -> Terms:
        """The terms of agent i, with its own data only.

        Parameters
        ----------
        i : int

        Returns
        -------
        Terms
            Named tuple of objective (a tuple), regularizer and constraints (a tuple).
        """
        if not 0 <= i < self.n_agents:
            raise IndexError(f"agent {i} is not one of the {self.n_agents} agents")

        (regularizer,) = own_terms(self.regularizers, i)
        return Terms(own_terms(self.objectives, i), regularizer, own_terms(self.constraints, i))

    def rescaled(self, units: Floats) -> Problem:
        """The same problem in z, where ``x = units * z``.

        Parameters
        ----------
        units : ndarray, shape (dim,)
            Positive.

        Returns
        -------
        Problem

        Raises
        ------
        TypeError
            When a term cannot be rescaled (L2Ball would no longer be a ball).
        """
        def changed(groups: tuple[Group, ...]) -> tuple[Group, ...]:
            return tuple(Group(group.term.rescaled(units), group.agents) for group in groups)

        return self.replaced(changed(self.objectives), changed(self.regularizers), changed(self.constraints))

    def replaced(self, objectives: tuple[Group, ...], regularizers: tuple[Group, ...], constraints: tuple[Group, ...]
                 ) -> Problem:
        """A problem of as many agents and coordinates with other terms."""
        other = type(self).__new__(type(self))
        other._finish(self.n_agents, self.dim, objectives, regularizers, constraints)
        return other

    def values(self, x: Floats) -> Floats:
        """f_i + rho_i of every agent at x, sets counting 0.

        Parameters
        ----------
        x : ndarray, shape (dim,) or (n_agents, dim)
            One point for all, or one each.

        Returns
        -------
        ndarray, shape (n_agents,)
        """
        x = np.asarray(x, dtype=np.float64)
        total = np.zeros(self.n_agents)
        for group in (*self.objectives, *self.regularizers):
            total[group.agents] += group.term.value(x if x.ndim == 1 else x[group.agents])
        return total

    def constraint_rows(self) -> Iterator[tuple[Group, NDArray[np.int64]]]:
        """Every group of constraints with the indices of its rows among all rows, shape (agents of the group, rows)."""
        following = self.row_ptr[:-1].copy()
        for group in self.constraints:
            yield group, following[group.agents, None] + np.arange(group.term.rows)
            following[group.agents] += group.term.rows

    @cached_property
    def box(self) -> tuple[Floats, Floats]:
        """Lower and upper bounds (dim,) of what all agents' boxes have in common."""
        low, high = np.full(self.dim, -np.inf), np.full(self.dim, np.inf)
        for group in self.regularizers:
            if isinstance(group.term, Box):
                low = np.maximum(low, np.atleast_2d(group.term.lower).max(axis=0))
                high = np.minimum(high, np.atleast_2d(group.term.upper).min(axis=0))
            elif isinstance(group.term, NonNegative):
                low = np.maximum(low, 0.0)
        return low, high

    @cached_property
    def units(self) -> Floats | None:
        """Units (dim,) in which the coordinates count alike, or None (`fastadapd.scaling.coordinate_units`)."""
        return scaling.coordinate_units(self)

    def lipschitz(self) -> Floats:
        """Lipschitz constants L_i of the gradients of all agents' costs, shape (n_agents,); not to be written to."""
        return self._lipschitz

    @cached_property
    def _lipschitz(self) -> Floats:
        total = self._sum_objectives("lipschitz")
        total.flags.writeable = False
        return total

    def strong_convexity(self) -> Floats:
        """Moduli of strong convexity mu_i of all agents' costs, shape (n_agents,)."""
        return self._sum_objectives("strong_convexity")

    def _sum_objectives(self, name: str) -> Floats:
        total = np.zeros(self.n_agents)
        for group in self.objectives:
            total[group.agents] += getattr(group.term, name)
        return total

    def __repr__(self) -> str:
        return f"Problem({self.n_agents} agents, {self.dim} coordinates, {self.n_rows} constraint rows)"


def own_terms(groups: tuple[Group, ...], i: int) -> tuple[Any, ...]:
    """Those of agent i, with its own data only."""
    places = [(group, int(np.searchsorted(group.agents, i))) for group in groups]
    return tuple(group.term.agent(k) for group, k in places if k < len(group.agents) and group.agents[k] == i)


def _together(agents: NDArray[np.int64], terms: list[Term]) -> Iterator[Group]:
    """Groups of alike terms: one for each of the few objects that many agents hold, and one for all others, stacked."""
    if not terms[0]._axes:
        yield Group(terms[0], agents)
        return
    places: dict[int, list[int]] = {}  # of every object, in the order in which they come
    for k, term in enumerate(terms):
        places.setdefault(id(term), []).append(k)
    others: list[int] = []
    for own in places.values():
        if len(own) > max(1, len(terms) // 8) or len(terms) == 1:
            yield Group(terms[own[0]], agents[own])
        else:
            others += own
    if others:
        others.sort()
        yield Group(Term.stack([terms[k] for k in others]), agents[others])


def _as_tuple(value: Any, kind: type[_T], name: str) -> tuple[_T, ...]:
    if value is None:
        return ()
    terms = (value,) if isinstance(value, Term) else value
    try:
        terms = tuple(terms)
    except TypeError:
        raise InvalidProblemError(f"{name} must be one {kind.__name__} of fastadapd.{kind.__name__.lower()}s or a "
                                  f"sequence of them, not {type(value).__name__}") from None
    for term in terms:
        if not isinstance(term, kind):
            places = {Objective: "objective", Regularizer: "regularizer", Constraint: "constraints"}
            place = next((place for other, place in places.items() if isinstance(term, other)), None)
            hint = f"; give it as {place}=" if place else ""
            raise InvalidProblemError(f"{name}: {type(term).__name__} is no {kind.__name__}{hint}")
    return terms


def check_problem(problem: Any) -> None:
    """What was given as a problem must be one."""
    if not isinstance(problem, Problem):
        raise InvalidOptionError(f"problem must be a fastadapd.Problem, not {type(problem).__name__}")


def _positive(name: str, value: int) -> int:
    number = not isinstance(value, bool) and isinstance(value, (int, float, np.integer, np.floating))
    if not number or not np.isfinite(value) or int(value) != value or value < 1:
        raise InvalidProblemError(f"{name} must be a positive integer, not {value!r}")
    return int(value)
