"""Imports point downward only, buffers are taken in two places, and every module has its tests."""

import ast
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "skbp"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_text(encoding="utf-8")
    )
    for path in sorted(PACKAGE.rglob("*.py"))
}

NUMERICS = {"numpy", "scipy.special"}
LAYERS = {
    "_activations": 0,
    "_losses": 0,
    "_dropout": 0,
    "_parameters": 0,
    "_tape": 0,
    "_updates": 0,
    "_schedules": 0,
    "_threads": 0,
    "_notices": 0,
    "_network": 1,
    "_predict": 2,
    "_objective": 2,
    "_monitor": 3,
    "_solvers": 3,
    "_names": 4,
    "_weights": 4,
    "_scales": 4,
    "_pickling": 4,
    "_targets": 4,
    "_validation": 4,
    "_wiring": 4,
    "_diagnosis": 4,
    "_calibration": 4,
    "_features": 4,
    "_estimator": 4,
    "_classifier": 4,
    "_classifier_cv": 4,
    "inspection": 4,
    "__init__": 5,
}
# The modules of a package are on its layer.
LAYERS.update({name: LAYERS[name.split(".")[0]] for name in MODULES if "." in name})
# Layer 4 alone has an order within, on which the classifiers stand.
OF_ITS_OWN_LAYER = {
    "_validation": {"_targets", "_weights"},
    "_wiring": {"_names"},
    "_diagnosis": {"_targets", "_weights", "_wiring"},
    "_calibration": {"_targets"},
    "_features": {"_pickling"},
    "_pickling": {"__version__"},
    "_estimator": {"_names", "_pickling", "_targets", "_validation", "_weights", "_wiring"},
    "_classifier": {
        *("_diagnosis", "_estimator", "_features", "_scales", "_targets", "_validation", "_weights", "_wiring"),
    },
    "_classifier_cv": {
        *("_calibration", "_classifier", "_diagnosis", "_estimator", "_targets", "_validation", "_weights", "_wiring"),
    },
}
# What a module may import of the package where that is not everything below it.
WITHIN = {
    "_network": set(),
    "_predict": {"_network", "_tape", "_threads"},
    "_objective": {"_activations", "_network", "_parameters", "_predict", "_tape", "_threads"},
    "_monitor": {"_updates", "_schedules"},
    "_solvers": {"_updates", "_schedules"},
    "__init__": {"_activations", "_classifier", "_classifier_cv", "_features", "_notices"},
}
WITHIN.update({name: set() for name, layer in LAYERS.items() if layer == 0})
WITHIN["_losses"] = {"_activations"}  # softplus, which is both a loss and an activation
WITHIN["_updates"] = {"_threads"}  # which very long vectors are shared between
# What it may import from elsewhere, the standard library aside. "a.b" stands for all that is in it.
_OF_SCIKIT_LEARN = {"sklearn.exceptions.ConvergenceWarning", "sklearn.callback"}
OUTSIDE = {
    0: {*NUMERICS, "scipy.__file__", "threadpoolctl", "sklearn.exceptions.InconsistentVersionWarning"},
    1: {*NUMERICS, "scipy.sparse.issparse"},
    2: {*NUMERICS, "scipy.sparse.issparse", "scipy.sparse.linalg.LinearOperator"},
    3: {*NUMERICS, "scipy.optimize", *_OF_SCIKIT_LEARN},
    4: {"numpy", "scipy", "sklearn"},
    5: set(),
}
THIRD_PARTY = {"numpy", "scipy", "sklearn", "threadpoolctl"}

# `inspection` knows the classifiers by their public attributes alone; its modules stand on two of them.
INSPECTION = {name for name in MODULES if name.startswith("inspection.")}
WITHIN.update({name: {"inspection._axes", "inspection._subject"} for name in INSPECTION})
WITHIN.update({"inspection": INSPECTION, "inspection._axes": set(), "inspection._subject": set()})
WITHIN["inspection._trace"] |= {"_losses"}
OPTIONAL = {name: {"matplotlib"} for name in INSPECTION}

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
def test_every_module_has_a_layer(name):
    assert name in LAYERS, f"say in LAYERS, and in CONTRIBUTING.md, on which layer {name} is"


@every_module
def test_imports_within_the_package_point_downward(name):
    below = {other for other, layer in LAYERS.items() if layer < LAYERS[name]}
    assert own_modules(name) <= WITHIN.get(name, below | OF_ITS_OWN_LAYER.get(name, set()))


@every_module
def test_imports_from_elsewhere_are_those_of_the_layer(name):
    def allowed(dotted):
        return any(dotted == permitted or dotted.startswith(f"{permitted}.") for permitted in OUTSIDE[LAYERS[name]])

    foreign = [dotted for dotted in imports(name) if dotted.split(".")[0] in THIRD_PARTY]
    assert [dotted for dotted in foreign if not allowed(dotted)] == []


@every_module
def test_nothing_is_imported_beyond_the_stated_dependencies(name):
    known = {*sys.stdlib_module_names, *THIRD_PARTY, "skbp", *OPTIONAL.get(name, ())}
    assert {dotted.split(".")[0] for dotted in imports(name)} <= known


def test_only_the_tape_and_the_parameters_take_uninitialised_memory():
    takers = {name for name, tree in MODULES.items() if called(tree) & {"np.empty", "np.empty_like", "numpy.empty"}}
    assert takers == {"_tape", "_parameters"}


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__"])
def test_every_module_has_its_tests(name):
    assert (TESTS / f"test_{name.lstrip('_').replace('.', '')}.py").is_file()


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
