"""The C library without Python: the programs of tests/c, compiled against csrc and run."""

import os
import shlex
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def compiler():
    """The compiler of the environment, of this Python, or the system's."""
    for command in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        if command and shutil.which(shlex.split(command)[0]):
            return shlex.split(command)
    return None


OPTIMIZED = ["-O2", "-fopenmp-simd", "-ffp-contract=off"]
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
    if flags is THREAD_SANITIZER:
        trial = tmp_path / "trial.c"
        trial.write_text("int main(void) { return 0; }\n")
        built = subprocess.run([*cc, *flags, str(trial), "-o", str(tmp_path / "trial")], capture_output=True)
        if built.returncode or subprocess.run([str(tmp_path / "trial")], capture_output=True).returncode:
            pytest.skip("no thread sanitizer here")

    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"

    def compiled(source):
        target = str(tmp_path / f"{source.stem}.o")
        run(*cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DFA_FEW_SIZES", *flags,
            f"-I{ROOT / 'csrc'}", "-c", str(source), "-o", target)
        return target

    program = str(tmp_path / name)
    with ThreadPoolExecutor() as pool:
        objects = list(pool.map(compiled, [ROOT / f"tests/c/{name}.c", *sources]))
    run(*cc, *flags, *objects, "-o", program, "-lm", "-pthread")
    run(program)
