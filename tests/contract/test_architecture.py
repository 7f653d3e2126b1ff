"""Imports point downward only, buffers are taken in two places, and every module has its tests."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import skbp
from skbp import _core
from skbp._network import equations

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
    "_core": set(),
    "_network": {"_core"},
    "_data": {"_notices", "_core", "_network"},
    "_training": {"_notices", "_core", "_network"},
    "_distributed": {"_notices", "_network", "_data", "_training"},
    "_estimators": {"_notices", "_network", "_data", "_training", "_distributed", "__version__"},
    "inspection": set(),
    "onnx": {"_network", "_data", "_training", "_estimators"},
    "_versions": {"_core", "_training", "__version__"},
    "__init__": {"_notices", "_versions", "_network", "_estimators"},
}
# What it may import from elsewhere, the standard library aside.
OUTSIDE = {
    "_notices": {"sklearn"},
    "_core": set(),
    "_network": {"numpy", "scipy"},
    "_data": {"numpy", "scipy", "sklearn"},
    "_training": {"numpy", "scipy", "sklearn", "threadpoolctl"},
    "_distributed": {"numpy", "scipy", "sklearn", "dask", "distributed"},
    "_estimators": {"numpy", "scipy", "sklearn"},
    "inspection": {"numpy", "scipy", "sklearn", "matplotlib"},
    "onnx": {"numpy", "scipy", "sklearn", "onnx", "skl2onnx"},
    "_versions": {"threadpoolctl"},
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


# Modules without behaviour of their own: types, and scikit-learn's decorators with types, which tests/typing checks.
WITHOUT_TESTS = {"_estimators.types", "_estimators.decorators"}
# Tests of a module that have the name of its subject.
SUBJECTS = {
    "_estimators.classifier": "test_classifier_outputs",
    "_estimators.classifier_cv": "test_ensemble_predictions",
    "_estimators.ensemble": "test_ensemble_members",
    "_estimators.classes": "test_label_values",
    "_estimators.network": "test_classifier_resume",
    "_estimators.estimator": "test_network_estimator",
    "_estimators.given_weights": "test_logic_gates",
    "_notices": "test_notices",
    "inspection._columns": "test_drawing",
}


@pytest.mark.parametrize("name", [name for name, path in FILES.items() if path.stem != "__init__"])
def test_every_module_has_its_tests(name):
    if name not in WITHOUT_TESTS:
        stem = SUBJECTS.get(name, f"test_{name.split('.')[-1].strip('_')}")
        assert list(TESTS.rglob(f"{stem}.py")) != []


@every_module
def test_no_module_is_a_drawer_for_everything(name):
    assert name.split(".")[-1].strip("_") not in {"utils", "base", "common"}


LIMIT_OF_LINES = {"skbp": 450, "tests": 700}
LIMIT_OF_BODY_LINES = 50
LIMIT_OF_COMPLEXITY = 12
LIMIT_OF_METHODS = 25
LIMIT_OF_PARAMETERS = 7
LIMIT_OF_DOCSTRING_LINES = 120


def nodes(kind):
    """Pairs of a name to show and a node of the syntax tree, for all modules."""
    return [
        (f"{name}.{node.name}", node)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, kind)
    ]


def body_lines(name, function):
    """Lines of code without the docstring, blank lines and comments."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    source = FILES[name].read_text(encoding="utf-8").splitlines()[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source)


def complexity(function):
    """McCabe's number: one more than the decisions of a function, with those of functions inside it."""
    decisions = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.FunctionDef)
    return sum(isinstance(node, decisions) for node in ast.walk(function))  # one of them is the function itself


@pytest.mark.parametrize("folder", LIMIT_OF_LINES)
def test_no_file_is_longer_than_its_limit(folder):
    paths = (TESTS.parent / folder).rglob("*.py")
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > LIMIT_OF_LINES[folder]} == {}


@every_module
def test_no_function_is_longer_or_more_complex_than_its_limit(name):
    functions = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.FunctionDef)]
    assert [f.name for f in functions if body_lines(name, f) > LIMIT_OF_BODY_LINES and f.name != "__init__"] == []
    assert [f.name for f in functions if complexity(f) > LIMIT_OF_COMPLEXITY] == []


def test_no_private_function_has_too_many_parameters():
    def n_parameters(function):
        arguments = function.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        return len([name for name in names if name not in {"self", "cls"}])

    private = [
        (name, f) for name, f in nodes(ast.FunctionDef) if f.name.startswith("_") and not f.name.startswith("__")
    ]
    assert len(private) > 100
    assert [name for name, f in private if n_parameters(f) > LIMIT_OF_PARAMETERS] == []


def test_no_class_has_too_many_methods_or_too_long_a_docstring():
    for name, node in nodes(ast.ClassDef):
        assert sum(isinstance(one, ast.FunctionDef) for one in node.body) <= LIMIT_OF_METHODS, name
        assert len((ast.get_docstring(node) or "").splitlines()) <= LIMIT_OF_DOCSTRING_LINES, name


def frames_to_the_product(function):
    """The least depth of our frames from a call to the first product of the forward pass, that frame included."""
    depths = []
    product = equations._multiply

    def spy(*args, **kwargs):
        frame, depth = sys._getframe(1), 1
        while frame is not None:
            depth += Path(frame.f_code.co_filename).is_relative_to(Path(skbp.__file__).parent)
            frame = frame.f_back
        depths.append(depth)
        return product(*args, **kwargs)

    equations._multiply = spy
    try:
        function()
    finally:
        equations._multiply = product
    return max(depths)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_there_are_few_frames_between_a_call_and_the_matrix_product(monkeypatch):
    monkeypatch.setattr(_core, "BatchKernel", None)  # the compiled core is not deeper
    X, y = np.random.default_rng(0).random((60, 4)), np.arange(60) % 3
    clf = skbp.BackpropClassifier((5,), max_iter=2, random_state=0)
    assert 0 < frames_to_the_product(lambda: clf.fit(X, y)) <= 8
    assert 0 < frames_to_the_product(lambda: clf.predict_proba(X)) <= 5


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
