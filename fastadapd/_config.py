"""What works here: engines, instruction set, versions."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

__version__ = metadata.version("fastadapd")


def describe() -> str:
    """The text of `show_config`."""
    from fastadapd import engines

    folder = Path(__file__).resolve().parent
    lines = [f"fastadapd {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}",
             f"{'from:':<13} {folder}"]
    for name, reason in engines.availability().items():
        note = f"not available ({reason})" if reason else "available"
        if name == "c" and not reason:
            from fastadapd.engines import native

            note += f", SIMD: {native.simd()}"
        lines.append(f"{'engine ' + name + ':':<13} {note}")
    first = next(name for name, reason in engines.availability().items() if not reason)
    lines.append(f"{'engine auto:':<13} {first}")
    for package in ("numpy", "scipy", "numba", "networkx", "cffi"):
        lines.append(f"{package:<13} {metadata.version(package)}")
    return "\n".join(lines)


def show_config() -> None:
    """Print the engines that work here, the SIMD path and the versions of what fastadapd stands on."""
    print(describe())
