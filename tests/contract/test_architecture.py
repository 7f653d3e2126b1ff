"""Imports point downward only, buffers are taken in two places, and every module has its tests."""

import ast
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "skbp"
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}

# For each package, the packages and modules of ours that it may import beside its own.
BELOW = {
    "_notices": set(),
    "_network": set(),
    "_data": {"_notices", "_network"},
    "_training": {"_notices", "_network"},
    "_estimators": {"_notices", "_network", "_data", "_training", "__version__"},
    "inspection": set(),
    "__init__": {"_notices", "_network", "_estimators"},
}
# What it may import from elsewhere, the standard library aside.
OUTSIDE = {
    "_notices": {"sklearn"},
    "_network": {"numpy", "scipy"},
    "_data": {"numpy", "scipy", "sklearn"},
    "_training": {"numpy", "scipy", "sklearn", "threadpoolctl"},
    "_estimators": {"numpy", "scipy", "sklearn"},
    "inspection": {"numpy", "scipy", "sklearn", "matplotlib"},
    "__init__": set(),
}
every_module = pytest.mark.parametrize("name", list(MODULES))


class RuntimeImports(ast.NodeVisitor):
    """Dotted names of all that a module imports, wherever in it, other than for type checkers only."""

    def __init__(self, tree):
        self.names = []
        self.visit(tree)

    def visit_If(self, node):
        if ast.unparse(node.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self.generic_visit(node)
        else:
            for other in node.orelse:
                self.visit(other)

    def visit_Import(self, node):
        self.names += [alias.name for alias in node.names]

    def visit_ImportFrom(self, node):
        module = ".".join(filter(None, ["skbp" if node.level else "", node.module]))
        self.names += [f"{module}.{alias.name}" for alias in node.names]


def imports(name):
    return RuntimeImports(MODULES[name]).names


def own_modules(name):
    """Modules of the package that one imports, or imports from."""
    parts = [dotted.split(".")[1:] for dotted in imports(name) if dotted.startswith("skbp.")]
    return {two if (two := ".".join(part[:2])) in MODULES else part[0] for part in parts}


def called(tree):
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@every_module
def test_every_module_is_in_a_package(name):
    assert name.split(".")[0] in BELOW


@every_module
def test_imports_within_the_package_point_downward(name):
    package = name.split(".")[0]
    allowed = {package, *BELOW[package]}
    assert [one for one in own_modules(name) if not {one, one.split(".")[0]} & allowed] == []


@every_module
def test_imports_from_elsewhere_are_those_of_the_package(name):
    known = {*sys.stdlib_module_names, "skbp", *OUTSIDE[name.split(".")[0]]}
    assert {dotted.split(".")[0] for dotted in imports(name)} <= known


def test_only_the_tape_and_the_parameters_take_uninitialised_memory():
    takers = {name for name, tree in MODULES.items() if called(tree) & {"np.empty", "np.empty_like", "numpy.empty"}}
    assert takers == {"_network.tape", "_network.parameters"}


@every_module
def test_no_module_is_a_drawer_for_everything(name):
    assert name.split(".")[-1].strip("_") not in {"utils", "base", "common"}


def test_imports_for_type_checkers_do_not_count_and_all_others_do():
    # The tests above are worth what this reading of imports is worth.
    source = """
import scipy.optimize as so
from skbp import _tape
if TYPE_CHECKING:
    from skbp._losses import LOSSES
else:
    import threadpoolctl
def f():
    from sklearn.base import clone
try:
    from . import _solvers
except ImportError:
    from ._monitor import Monitor
"""
    assert RuntimeImports(ast.parse(source)).names == [
        "scipy.optimize",
        "skbp._tape",
        "threadpoolctl",
        "sklearn.base.clone",
        "skbp._solvers",
        "skbp._monitor.Monitor",
    ]
