"""The docstrings of the two classifiers are short and say the same of the same parameters."""

import inspect

import pytest
from numpydoc.docscrape import NumpyDocString

from skbp import BackpropClassifier, BackpropClassifierCV

# Parameters that do not mean quite the same in both.
DIFFERENT = {
    *("batch_size", "learning_rate_init", "dropout"),  # "auto" has rules of its own
    *("random_state", "n_iter_no_change", "max_time"),  # of folds and several members
    "hessian",  # an ensemble has no `objective`
}


def parameters(cls):
    return {one.name: one for one in NumpyDocString(inspect.getdoc(cls))["Parameters"]}


@pytest.mark.parametrize("cls", [BackpropClassifier, BackpropClassifierCV])
def test_every_parameter_has_its_lines_in_the_order_of_the_constructor(cls):
    assert list(parameters(cls)) == list(inspect.signature(cls).parameters)
    for name, documented in parameters(cls).items():
        default = inspect.signature(cls).parameters[name].default
        assert 1 <= len(documented.desc) <= 2, name
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        assert f"default={shown}" in documented.type or float(default) == float(documented.type.split("default=")[1])


@pytest.mark.parametrize("cls", [BackpropClassifier, BackpropClassifierCV])
def test_a_class_docstring_has_at_most_120_lines(cls):
    assert 60 < len(inspect.getdoc(cls).splitlines()) <= 120


def test_the_two_say_the_same_of_the_same_parameters():
    one, other = parameters(BackpropClassifier), parameters(BackpropClassifierCV)
    shared = (one.keys() & other.keys()) - DIFFERENT
    assert len(shared) > 20
    assert {name for name in shared if one[name].desc != other[name].desc} == set()
    assert {name for name in DIFFERENT if one[name].desc == other[name].desc} == set()
    of_type = {
        name for name in shared if one[name].type.split(", default")[0] != other[name].type.split(", default")[0]
    }
    assert of_type == set()
