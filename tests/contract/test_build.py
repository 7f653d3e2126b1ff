"""The copy of skbp under test is this checkout, whole, and it has its compiled core wherever the run is to test that."""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from compiled import compiled_modules

import skbp

ROOT = Path(__file__).parents[2]
CORE = ROOT / "skbp" / "_core"


def files(package):
    """The text of each file of a package that is installed."""
    paths = [path for path in package.rglob("*") if path.suffix in {".py", ".pyi"} or path.name == "py.typed"]
    return {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_the_copy_under_test_has_every_file_of_the_checkout_as_it_is_now():
    # Otherwise the tests are those of another state: install again.
    installed, here = files(Path(skbp.__file__).parent), files(ROOT / "skbp")
    assert "py.typed" in here
    assert sorted(installed) == sorted(here)
    assert [name for name, text in here.items() if installed[name] != text] == []


def test_every_module_comes_from_the_copy_under_test():
    # The examples in docstrings are collected from the checkout: by then every module of the installed skbp is imported.
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "skbp"}
    python = {name: Path(module.__file__) for name, module in modules.items() if module.__file__.endswith(".py")}
    copy = Path(skbp.__file__).parent
    assert [name for name, path in python.items() if not path.is_relative_to(copy)] == []


def test_every_cython_file_of_the_core_is_built():
    text = (CORE / "meson.build").read_text(encoding="utf-8")
    named = re.search(r"^modules = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)[1]
    assert sorted(re.findall(r"'(\w+)'", named)) == sorted(path.stem for path in CORE.glob("*.pyx"))


def test_the_core_is_whole_or_absent():
    assert compiled_modules() in (set(), {path.stem for path in CORE.glob("*.pyx")})


@pytest.mark.skipif("SKBP_TEST_CORE" not in os.environ, reason="SKBP_TEST_CORE does not say what the run is to test")
def test_the_core_is_there_if_and_only_if_the_run_is_to_test_it():
    assert bool(compiled_modules()) is (os.environ["SKBP_TEST_CORE"] == "1")


def test_numpy_and_scipy_have_the_same_lower_bounds_for_the_build_and_for_use():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build, use = pyproject["build-system"]["requires"], pyproject["project"]["dependencies"]
    shared = [one for one in build if one.startswith(("numpy", "scipy"))]
    assert len(shared) == 2
    assert set(shared) <= set(use)
