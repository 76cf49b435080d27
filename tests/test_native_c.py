"""The C library without Python: the programs of tests/c, compiled against csrc and run."""

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


OPTIMIZED = ["-O3", "-fopenmp-simd", "-ffp-contract=off"]
THREAD_SANITIZER = ["-O1", "-g", "-fsanitize=thread"]


@pytest.mark.parametrize(
    "name, flags",
    [
        ("test_native", OPTIMIZED),
        ("test_native", ["-O0"]),
        ("test_native", ["-O0", "-DFA_PLAIN_FOURS"]),
        ("test_workers", ["-O0"]),
        pytest.param("test_workers", THREAD_SANITIZER, marks=pytest.mark.slow),
    ],
    ids=["optimized", "plain", "without vectors", "workers", "workers without data races"],
)
def test_c_library_without_python(tmp_path, name, flags):
    cc, sources = compiler(), sorted((ROOT / "csrc").glob("*.c"))
    missing = "no C compiler" if cc is None else "" if sources else "no folder csrc beside the tests"
    if missing:
        assert os.environ.get("FASTADAPD_REQUIRE_C") != "1", f"FASTADAPD_REQUIRE_C=1, but there is {missing}"
        pytest.skip(missing)
    program = tmp_path / name
    command = [
        *cc,
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unknown-pragmas",
        *flags,
        f"-I{ROOT / 'csrc'}",
        str(ROOT / f"tests/c/{name}.c"),
        *map(str, sources),
        "-o",
        str(program),
        "-lm",
        "-pthread",
    ]
    if flags is THREAD_SANITIZER:
        trial = tmp_path / "trial.c"
        trial.write_text("int main(void) { return 0; }\n")
        built = subprocess.run([*cc, *flags, str(trial), "-o", str(tmp_path / "trial")], capture_output=True)
        if built.returncode or subprocess.run([str(tmp_path / "trial")], capture_output=True).returncode:
            pytest.skip("no thread sanitizer here")
    for step in (command, [str(program)]):
        done = subprocess.run(step, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{shlex.join(step)}\n{done.stdout}{done.stderr}"
