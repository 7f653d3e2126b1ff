"""What random_state determines, and that fit sets no parameter."""

import copy

import numpy as np
import pytest
from registries import SOLVERS
from sklearn.base import clone
from small_networks import assert_same_weights, fitted_state, same_weights, small
from toy_datasets import linear_rule

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_seed_gives_the_same_result(solver, early_stopping):
    X, y = linear_rule("binary")
    clf = small(solver=solver, early_stopping=early_stopping).fit(X, y)
    again = small(solver=solver, early_stopping=early_stopping).fit(X, y)
    assert_same_weights(clf, again)
    assert fitted_state(clf) == fitted_state(again)
    assert not same_weights(clf, small(solver=solver, random_state=1).fit(X, y))


def test_a_generator_continues_from_fit_to_fit():
    X, y = linear_rule("binary")
    clf = small(random_state=np.random.RandomState(0))
    first = copy.deepcopy(clf.fit(X, y))
    assert_same_weights(first, small(random_state=0).fit(X, y))
    assert not same_weights(first, clf.fit(X, y))


def test_without_random_state_the_global_generator_is_used():
    X, y = linear_rule("binary")
    state = np.random.get_state()  # noqa: NPY002, the global generator is the subject
    try:
        np.random.seed(0)  # noqa: NPY002, the global generator is the subject
        clf = small(random_state=None).fit(X, y)
        assert not same_weights(clf, clone(clf).fit(X, y))
    finally:
        np.random.set_state(state)  # noqa: NPY002, the global generator is the subject
    assert_same_weights(clf, small(random_state=0).fit(X, y))


def test_fit_sets_no_constructor_parameter():
    X, y = linear_rule("binary")
    sizes, weights = [5], {0: 1.0, 1: 2.0}
    clf = small(hidden_layer_sizes=sizes, class_weight=weights)
    before = clf.get_params()
    clf.fit(X, y).partial_fit(X, y)
    assert clf.get_params() == before
    assert clf.hidden_layer_sizes is sizes
    assert (sizes, weights) == ([5], {0: 1.0, 1: 2.0})
