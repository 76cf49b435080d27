"""Methods, one file per family: frozen options objects that `fastadapd.solve` takes by name or by value."""

from __future__ import annotations

from fastadapd.errors import InvalidOptionError
from fastadapd.methods._base import Method
from fastadapd.methods.adapd import ADAPD
from fastadapd.methods.dpda import DPDA

__all__ = ["ADAPD", "DPDA", "as_method"]

_BY_NAME: dict[str, type[Method]] = {method.name: method for method in (ADAPD, DPDA)}


def as_method(method: str | Method) -> Method:
    """A method from its name or from its options object.

    Parameters
    ----------
    method : str or Method
        "ad-apd", "dpda-s", or an object such as ``ADAPD(momentum="global")``.
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, str) and method in _BY_NAME:
        return _BY_NAME[method]()
    raise InvalidOptionError(f"method: {method!r} is not known; use {', '.join(map(repr, _BY_NAME))}, "
                             "or an object such as fastadapd.methods.ADAPD()")
