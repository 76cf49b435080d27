"""Engines that work here, and Hypothesis without randomness of its own: a red test stays red."""

import os
import signal

import pytest
from hypothesis import settings

from fastadapd import engines

settings.register_profile("fastadapd", deadline=None, derandomize=True, database=None)
settings.load_profile("fastadapd")

MISSING = {name: reason for name, reason in engines.availability().items() if reason}


def _param(name):
    return pytest.param(name, marks=pytest.mark.skipif(name in MISSING, reason=f"engine {name!r}: {MISSING.get(name)}"))


def pytest_generate_tests(metafunc):
    for fixture, names in (("engine", ["numpy", "numba", "c"]), ("compiled", ["numba", "c"])):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [_param(name) for name in names])


def pytest_report_header():
    required = " (required)" * (os.environ.get("FASTADAPD_REQUIRE_C") == "1")
    return "fastadapd engines: " + ", ".join(
        f"{n}{required * (n == 'c')}: {MISSING.get(n, 'available')}" for n in engines._ENGINES
    )


@pytest.fixture(autouse=True, scope="session")
def _listening():
    """Ctrl-C is heard, as in a terminal: what a shell runs in the background is deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
