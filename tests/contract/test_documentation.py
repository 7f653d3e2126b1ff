"""The equations have one number everywhere, stand beside the lines that compute them, and the site's examples run."""

import ast
import doctest
import importlib
import inspect
import re
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpydoc.validate import validate

import skbp._network.equations
import skbp.inspection

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"_build", "api", "auto_examples"}
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted((ROOT / "skbp").rglob("*.py"))
}
PAGES = {
    str(path.relative_to(DOCS)): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.rst"))
    if path.relative_to(DOCS).parts[0] not in GENERATED
}

# Packages that a page's examples need and that may be absent.
REQUIRED = {
    "guide/dask.rst": ("dask", "distributed"),
    "guide/onnx.rst": ("onnx", "skl2onnx", "onnxruntime"),
    "howto/search.rst": ("distributed", "optuna", "optuna_integration", "ray", "sklearn.callback"),
}

# A number in brackets that follows no word, number or bracket: `f(2)` and "Neural Computation 6(1)" cite nothing.
CITATION = re.compile(r"(?<![\w\])}])\((\d{1,2})\)")


def cited(text):
    return {int(number) for number in CITATION.findall(text)}


def mathematics(latex):
    """LaTeX without what only lays it out: alignment, line breaks and space."""
    return re.sub(r"&|\\\\|\\qquad|\\quad|\s", "", latex)


def equations_of_the_docstring():
    """Pairs of a number and what it numbers, in the order of the docstring of _network."""
    blocks = re.findall(r"^\.\. math::\n\n((?:    .*\n)+)", skbp._network.equations.__doc__, flags=re.MULTILINE)
    parts = [re.split(r"\\qquad \((\d+)\)", block) for block in blocks]
    return [(int(n), mathematics(latex)) for part in parts for latex, n in zip(part[::2], part[1::2], strict=False)]


def labelled(page):
    """For each numbered equation of a page its number, the equation, and what follows it in its section."""
    pattern = re.compile(r"^\.\. math::\n   :label: (\d+)\n\n((?:   .*\n)+)", flags=re.MULTILINE)
    return [
        (int(found[1]), mathematics(found[2]), re.split(r"\n-{4,}\n", page[found.end() :])[0])
        for found in pattern.finditer(page)
    ]


def included_code(page):
    """What each literalinclude of a page shows."""
    for path, options in re.findall(
        r"^\.\. literalinclude:: (?:\.\./)+(\S+)\n((?:   :.*\n)*)", page, flags=re.MULTILINE
    ):
        option = dict(re.findall(r":([\w-]+): (.+)", options))
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        if "pyobject" in option:
            body = ast.parse("\n".join(lines)).body
            for name in option["pyobject"].split("."):
                (node,) = [found for found in body if getattr(found, "name", None) == name]
                body = getattr(node, "body", [])
            lines = lines[node.lineno - 1 : node.end_lineno]
        if "start-at" in option:
            lines = lines[line_with(option["start-at"], lines) :]
        if "end-at" in option:
            lines = lines[: line_with(option["end-at"], lines) + 1]
        yield "\n".join(lines)


def line_with(part, lines):
    return next(number for number, line in enumerate(lines) if part in line)


EQUATIONS = dict(equations_of_the_docstring())


def test_the_docstring_numbers_its_equations_in_order_and_each_once():
    numbers = [number for number, _ in equations_of_the_docstring()]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert len(numbers) == 13


def test_every_equation_stands_once_on_the_site_and_says_what_the_docstring_says():
    on_the_site = [(number, equation) for page in PAGES.values() for number, equation, _ in labelled(page)]
    assert sorted(on_the_site) == sorted(EQUATIONS.items())


def test_every_number_that_the_code_cites_is_that_of_an_equation():
    unknown = {name: cited(text) - EQUATIONS.keys() for name, text in SOURCES.items()}
    assert {name: numbers for name, numbers in unknown.items() if numbers} == {}


def test_every_number_that_the_site_cites_is_that_of_an_equation():
    references = {name: set(map(int, re.findall(r":eq:`(\d+)`", text))) for name, text in PAGES.items()}
    course = {name: cited(text) for name, text in PAGES.items() if name.startswith("backpropagation/")}
    unknown = {name: (numbers | course.get(name, set())) - EQUATIONS.keys() for name, numbers in references.items()}
    assert {name: numbers for name, numbers in unknown.items() if numbers} == {}
    assert set.union(*references.values()) == EQUATIONS.keys()


@pytest.mark.parametrize("number", EQUATIONS)
def test_a_line_of_code_says_that_it_computes_the_equation_and_the_site_shows_it_below(number):
    comment = re.compile(rf"# \({number}\)$", flags=re.MULTILINE)
    assert any(comment.search(text) for text in SOURCES.values())
    (rest,) = [rest for page in PAGES.values() for found, _, rest in labelled(page) if found == number]
    assert any(comment.search(code) for code in included_code(rest))


def test_the_steps_of_the_algorithm_are_numbered_as_in_the_code_that_the_site_shows_below():
    (algorithm,) = re.findall(
        r"^Five steps;.*?(?=\n-{4,}\n)", PAGES["backpropagation/training.rst"], re.DOTALL | re.MULTILINE
    )
    assert re.findall(r"^(\d)\. \*\*", algorithm, re.MULTILINE) == list("12345")
    code = "\n".join(included_code(algorithm))
    assert sorted(re.findall(r"# step (\d)\b", code)) == list("12345")


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if ">>> " in text])
def test_the_examples_on_a_page_give_what_it_shows(name):
    for package in REQUIRED.get(name, ()):
        pytest.importorskip(package)
    results = doctest.testfile(str(DOCS / name), module_relative=False, encoding="utf-8")
    assert results.attempted > 0
    assert results.failed == 0


def test_there_is_a_worked_example_that_the_package_computes_too():
    page = PAGES["backpropagation/training.rst"]
    example = page[page.index(".. _worked-example:") : page.index("Gradient checking\n")]
    assert {"trace", "partial_fit"} <= {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for line in doctest.DocTestParser().get_examples(example)
        for node in ast.walk(ast.parse(line.source))
        if isinstance(node, ast.Attribute | ast.Name)
    }


def test_what_counts_as_a_citation():
    # The tests above are worth what this reading is worth.
    assert cited("# (4)") == cited("by equation (4), or") == cited('("(4)", "delta")') == {4}
    assert cited("(5) to (7), and ((9)") == {5, 7, 9}
    assert cited("np.zeros(3); shape (3,); a[0](2); Neural Computation 6(1); Nature 323 (1986); (n_rows)") == set()


PUBLIC = [
    f"{module.__name__}.{name}" for module in (skbp, skbp.inspection) for name in module.__all__ if name[0] != "_"
]
# skbp.onnx cannot be imported where its packages are absent.
EXPORT = ["skbp.onnx.to_inputs", "skbp.onnx.to_onnx"]
WITH_DOCSTRINGS = (types.FunctionType, classmethod, staticmethod, property)


def documented(path):
    """A public name and, of a class, its public methods and properties that skbp defines."""
    thing = skbp if path.startswith("skbp.") else None
    for part in path.split(".")[1:]:
        thing = getattr(thing, part)
    names = [path]
    if inspect.isclass(thing):
        own = {
            name: value
            for cls in thing.__mro__
            if cls.__module__.startswith("skbp.")
            for name, value in vars(cls).items()
        }
        names += [
            f"{path}.{name}" for name, value in own.items() if name[0] != "_" and isinstance(value, WITH_DOCSTRINGS)
        ]
    return names


# Of numpydoc's rules these are not kept: a See Also (SA01), an example (EX01) and more than a summary (ES01) for each and
# every method; no name for what is returned (RT02).
NOT_KEPT = {"SA01", "EX01", "ES01", "RT02"}
# Results, whose constructors nobody calls: what they hold is under Attributes, not Parameters.
RESULTS = ("skbp.inspection.DerivativeCheck", "skbp.inspection.HessianExtremes", "skbp.inspection.Trace")


@pytest.mark.parametrize("name", [name for path in PUBLIC for name in documented(path)])
def test_public_docstrings_are_complete_in_numpydocs_eyes(name):
    not_kept = NOT_KEPT | {"PR01"} if name in RESULTS else NOT_KEPT
    assert [error for error in validate(name)["errors"] if error[0] not in not_kept] == []


@pytest.mark.parametrize("name", EXPORT)
def test_docstrings_of_the_export_are_complete_in_numpydocs_eyes(name):
    pytest.importorskip("skl2onnx")
    assert [error for error in validate(name)["errors"] if error[0] not in NOT_KEPT] == []


def test_the_examples_of_the_export_run():
    pytest.importorskip("skl2onnx")
    results = doctest.testmod(importlib.import_module("skbp.onnx.export"))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_reference_lists_every_public_name_once():
    current, listed = "", []
    for line in PAGES["api.rst"].splitlines():
        if found := re.match(r"\.\. currentmodule:: (\S+)$", line):
            current = found[1]
        elif found := re.match(r"   (\w+)$", line):
            listed.append(f"{current}.{found[1]}")
    assert sorted(listed) == sorted(PUBLIC + EXPORT)


CLASSIFIERS = (skbp.BackpropClassifier, skbp.BackpropClassifierCV)


def test_the_guide_describes_every_parameter_once_with_its_defaults_below_a_label():
    entry = r"^\.\. _param-(\w+):\n\n\.\. describe:: \1 : .*default=(.*?)(?:, CV (.*))?$"
    entries = re.findall(entry, PAGES["guide/parameters.rst"], re.MULTILINE)
    defaults = [{name: p.default for name, p in inspect.signature(cls).parameters.items()} for cls in CLASSIFIERS]
    assert sorted(name for name, *_ in entries) == sorted(set().union(*defaults))
    for name, default, default_cv in entries:
        for of_class, shown in zip(defaults, (default, default_cv or default), strict=True):
            assert of_class.get(name, ast.literal_eval(shown)) == ast.literal_eval(shown), name


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_guide_describes_every_fitted_attribute_once():
    cells = re.findall(r"^   \* - (``.*)$", PAGES["guide/parameters.rst"], re.MULTILINE)
    described = [name for cell in cells for name in re.findall(r"``(\w+_)``", cell)]
    X, y = pd.DataFrame({"a": range(20), "b": range(20)}) / 20.0, np.arange(20) % 2
    fitted = [cls(max_iter=1).fit(X, y) for cls in CLASSIFIERS]
    attributes = {name for clf in fitted for name in vars(clf) if name.endswith("_") and not name.startswith("_")}
    assert sorted(described) == sorted(attributes)


@pytest.mark.parametrize(
    "estimator",
    [skbp.BackpropClassifier(), skbp.BackpropClassifierCV(), skbp.HiddenFeatures(skbp.BackpropClassifier())],
    ids=str,
)
def test_the_html_representation_links_to_the_reference(estimator):
    baseurl = re.search(r'^html_baseurl = "(.*)"$', (DOCS / "conf.py").read_text(encoding="utf-8"), re.MULTILINE)[1]
    page = f"{baseurl}api/skbp.{type(estimator).__name__}.html"
    assert f'href="{page}"' in estimator._repr_html_()
