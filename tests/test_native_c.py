"""The C library without Python: tests/c/test_native.c, compiled against csrc and run."""

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def compiler():
    """The compiler of the environment, of this Python, or the system's."""
    for command in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        if command and shutil.which(shlex.split(command)[0]):
            return shlex.split(command)
    return None


@pytest.mark.parametrize("flags", [["-O3", "-fopenmp-simd", "-ffp-contract=off"], ["-O0"]], ids=["optimized", "plain"])
def test_c_library_without_python(tmp_path, flags):
    cc, sources = compiler(), sorted((ROOT / "csrc").glob("*.c"))
    missing = "no C compiler" if cc is None else "" if sources else "no folder csrc beside the tests"
    if missing:
        assert os.environ.get("FASTADAPD_REQUIRE_C") != "1", f"FASTADAPD_REQUIRE_C=1, but there is {missing}"
        pytest.skip(missing)
    program = tmp_path / "test_native"
    command = [
        *cc,
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unknown-pragmas",
        *flags,
        f"-I{ROOT / 'csrc'}",
        str(ROOT / "tests/c/test_native.c"),
        *map(str, sources),
        "-o",
        str(program),
        "-lm",
    ]
    for step in (command, [str(program)]):
        done = subprocess.run(step, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{shlex.join(step)}\n{done.stdout}{done.stderr}"
