"""The CFFI definition of fastadapd._native, run by `python -m cffi.gen_src exec-python build.py OUTPUT.c`.

csrc/fastadapd.h is the one place that states the C interface: CFFI reads the text between its two marks.

In this folder `python -m build` and `import build` find this file before PyPI's build: unless cffi.gen_src runs it, it
steps aside for that package.
"""

import importlib.machinery
import importlib.util
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MARKS = ("/* cffi: begin */", "/* cffi: end */")


def ffibuilder():
    """The cffi.FFI object that describes the extension module; cffi.gen_src looks for this name."""
    import cffi

    header = (ROOT / "csrc" / "fastadapd.h").read_text(encoding="utf-8")
    counts = [header.count(mark) for mark in MARKS]
    if counts != [1, 1]:
        raise ValueError(f"csrc/fastadapd.h must contain {MARKS[0]!r} and {MARKS[1]!r} once each, found {counts}")
    declarations = header.partition(MARKS[0])[2].partition(MARKS[1])[0]
    ffi = cffi.FFI()
    ffi.cdef(declarations)
    ffi.set_source("fastadapd._native", '#include "fastadapd.h"\n')
    return ffi


def step_aside(name: str) -> None:
    """Load PyPI's build under `name`, or say that it is missing."""
    path = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    spec = importlib.machinery.PathFinder.find_spec("build", path)
    if spec is None or spec.origin is None or spec.loader is None:  # no origin: a mere folder called build
        message = "PyPI's package 'build' is not installed; get it with: python -m pip install build"
        raise SystemExit(message) if name == "__main__" else ModuleNotFoundError(message, name="build")
    if name == "__main__":
        sys.path[:] = path
        runpy.run_module("build", run_name="__main__", alter_sys=True)
    else:
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


if __name__ in ("__main__", "build"):
    step_aside(__name__)
