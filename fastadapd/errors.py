"""Exceptions. Each message names the argument, the agent (or node, or row) and the fix."""


class FastadapdError(Exception):
    """Base class of every error that fastadapd raises on purpose."""


class InvalidProblemError(FastadapdError, ValueError):
    """A term or a problem that makes no sense: wrong shape, not convex, not finite."""


class InvalidNetworkError(FastadapdError, ValueError):
    """A graph or a consensus matrix that cannot bring the agents to agree."""


class InvalidOptionError(FastadapdError, ValueError):
    """An option outside its range, or options that exclude each other."""


class EngineError(FastadapdError, RuntimeError):
    """An engine that was asked for by name does not work here."""
