"""The package as a whole: what it shows, what importing it costs, and that its documentation names what there is."""

import ast
import enum
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastadapd as fa

PUBLIC = [
    name
    for _, name, _ in pkgutil.walk_packages(fa.__path__, "fastadapd.")
    if not any(part.startswith("_") for part in name.split("."))
]


def run(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    "work",
    [
        "import fastadapd",
        """
import fastadapd as fa
problem = fa.Problem(fa.objectives.Linear([[1.0, 2.0]] * 3), fa.regularizers.Box(0, 1))
fa.solve(problem, fa.Network([(0, 1), (1, 2)]), engine="numpy", max_epochs=20)
""",
    ],
    ids=["import", "solve"],
)
def test_heavy_packages_are_imported_only_where_they_are_used(work):
    heavy = ("numba", "networkx", "matplotlib", "cvxpy", "clarabel", "tqdm", "pandas", "sklearn")
    if work == "import fastadapd":
        heavy += ("scipy.linalg", "scipy.sparse.csgraph", "scipy.sparse.linalg")
    done = run(f"{work}\nimport sys\nprint([name for name in {heavy} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_everything_public_is_there():
    assert len(set(fa.__all__)) == len(fa.__all__)
    for name in fa.__all__:
        assert getattr(fa, name) is not None


def test_show_config(capsys):
    fa.show_config()
    shown = capsys.readouterr().out
    assert fa.__version__ in shown and sys.version.split()[0] in shown
    for engine in ("c", "numba", "numpy"):
        assert re.search(rf"^engine {engine}\b.*available", shown, re.MULTILINE)


def test_every_error_is_one_of_ours_and_one_of_pythons():
    for name, base in (
        ("InvalidProblemError", ValueError),
        ("InvalidNetworkError", ValueError),
        ("InvalidOptionError", ValueError),
        ("EngineError", RuntimeError),
    ):
        assert issubclass(getattr(fa, name), fa.FastadapdError) and issubclass(getattr(fa, name), base)


# ---- Docstrings in numpydoc style ----


def public_members(module):
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in names:
        member = getattr(module, name)
        ours = getattr(member, "__module__", "") or ""
        if (inspect.isclass(member) or callable(member)) and ours == module.__name__:
            yield f"{module.__name__}.{name}", member


def everything():
    for name in ("fastadapd", *PUBLIC):
        try:
            module = importlib.import_module(name)
        except ImportError:  # an engine that does not work here
            continue
        for path, member in public_members(module):
            yield path, member
            if inspect.isclass(member):
                for own in vars(member):
                    if not own.startswith("_") and inspect.isfunction(inspect.unwrap(getattr(member, own))):
                        yield f"{path}.{own}", getattr(member, own)


DOCUMENTED = dict(everything())


def section(doc, title):
    """The names that a section explains, None without the section."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", doc + "\n", re.MULTILINE | re.DOTALL)
    if found is None:
        return None
    heads = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$", found[1], re.MULTILINE)
    return [name.lstrip("*") for head in heads for name in head.split(", ")]


def parameters(member):
    try:
        signature = inspect.signature(member)
    except (TypeError, ValueError):
        return []
    return [name for name in signature.parameters if name not in ("self", "cls")]


@pytest.mark.parametrize("path", DOCUMENTED)
def test_docstring_names_exactly_the_parameters(path):
    member = DOCUMENTED[path]
    doc = inspect.getdoc(member)
    if doc is None:  # what classes of one kind all do may be said once
        doc = next(
            (
                inspect.getdoc(other)
                for name, other in DOCUMENTED.items()
                if re.fullmatch(re.sub(r"\w+(?=\.\w+$)", r"\\w+", re.escape(path).replace("\\.", ".")), name)
                and inspect.getdoc(other)
            ),
            None,
        )
    assert doc, f"{path} has no docstring"
    is_class = inspect.isclass(member)
    if is_class and issubclass(member, (enum.Enum, BaseException)):
        return
    explained, has = section(doc, "Parameters"), parameters(getattr(member, "py_func", member))
    if explained is None and is_class:
        # a class that is not for users to make explains its attributes; what says only what it is says it in full
        attributes = section(doc, "Attributes")
        assert not has or attributes is None or set(has) <= set(attributes) or inspect.isabstract(member), path
        assert not has or attributes is not None or len(doc.splitlines()) <= 6, path
    elif explained is None:
        # one line can say it all, parameters included, for a method that its class explains
        assert not has or len(path.split(".")) > 3 or len(doc.splitlines()) == 1, f"{path} explains no parameters"
    else:
        assert explained == has, f"{path} explains {explained} but takes {has}"


def test_docstrings_use_known_sections():
    known = {
        "Parameters",
        "Returns",
        "Raises",
        "Attributes",
        "References",
        "Examples",
        "Notes",
        "See Also",
        "Yields",
        "Warns",
    }
    for path, member in DOCUMENTED.items():
        titles = re.findall(r"^(\S[^\n]*)\n-{3,}$", inspect.getdoc(member) or "", re.MULTILINE)
        assert set(titles) <= known, path
        assert len(set(titles)) == len(titles), path


def test_every_module_says_what_it_is():
    for file in Path(fa.__file__).parent.rglob("*.py"):
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), file


@pytest.mark.parametrize("name", [name for name in PUBLIC if "engines.native" not in name])
def test_examples_in_docstrings_run(name):
    import doctest

    module = pytest.importorskip(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).failed == 0
