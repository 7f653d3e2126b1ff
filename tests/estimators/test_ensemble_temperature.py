"""The temperature minimises the out-of-fold log loss."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    RepeatedStratifiedKFold,
)
from small_ensembles import SOLVER_KINDS, linked, logits_of, row_losses, small
from toy_datasets import OUTPUTS, even_folds, random_labels

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LOG_TEMPERATURES = np.linspace(-2.0, 2.0, 401)


def losses_by_temperature(clf, X, y, w=None):
    """The mean out-of-fold loss as a function of the temperature's logarithm, by the formulas, and its minimum."""
    parts = list(zip(clf.members_, clf.oof_indices_, strict=True))
    z, rows = np.vstack([logits_of(member, X[fold]) for member, fold in parts]), np.concatenate(clf.oof_indices_)
    weights = None if w is None else w[rows]

    def loss(log_temperature):
        proba = linked(z, math.exp(log_temperature), clf)
        return np.average(row_losses(proba, y[rows]), weights=weights)

    return loss, LOG_TEMPERATURES[np.argmin([loss(t) for t in LOG_TEMPERATURES])]


def assert_minimises(clf, X, y, w=None):
    loss, best = losses_by_temperature(clf, X, y, w)
    found = math.log(clf.temperature_)
    assert abs(found - best) < 0.011
    assert loss(found) <= min(loss(t) for t in [*LOG_TEMPERATURES, found - 1e-3, found + 1e-3])
    return best


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_the_temperature_minimises_the_log_loss_out_of_fold(target, out_activation, solver, weighted):
    X, y = even_folds(target)
    w = np.random.RandomState(1).choice([0.0, 0.1, 5.0], 100) if weighted else None
    clf = small(out_activation=out_activation, solver=solver).fit(X, y, w)
    best = assert_minimises(clf, X, y, w)
    assert abs(best) < 1.9
    if weighted:
        assert abs(losses_by_temperature(clf, X, y)[1] - best) > 0.015


def test_class_weights_have_an_effect_on_the_temperature():
    X, y = even_folds()
    clf = small(class_weight={0: 20.0}).fit(X, y)
    best = assert_minimises(clf, X, y, np.where(y == 0, 20.0, 1.0))
    assert abs(losses_by_temperature(clf, X, y)[1] - best) > 0.015


def test_honest_predictions_of_repeated_splits_are_averaged_before_the_temperature():
    X, y = even_folds()
    splitter = RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0)
    clf = small(cv=splitter, quantile_bins=0).fit(X, y)
    assert len(clf.members_) == 4
    assert_array_equal(clf.temperatures_, clf.temperature_)
    assert_array_equal(clf.member_weights_, 0.25)

    def mean_proba(temperature):
        proba = np.zeros((100, 3))
        for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
            proba[fold] += softmax(member.decision_function(X[fold]) / temperature, axis=1) / 2.0
        return proba

    assert_allclose(clf.oof_proba_, mean_proba(clf.temperature_), rtol=1e-10)
    losses = [log_loss(y, mean_proba(clf.temperature_ * factor)) for factor in (0.99, 1.0, 1.01)]
    assert losses[1] < min(losses[0], losses[2])


def test_the_temperature_is_above_1_for_overconfident_and_below_1_for_underconfident_networks():
    X, y = even_folds("binary")
    sure = small(dropout=0.0, label_smoothing=0.0, learning_rate_init=0.1, max_iter=30, tol=0.0, cv=2)
    sure.set_params(batch_size=50, hidden_layer_sizes=(50,), max_iter=8).fit(X, y)  # one evaluation of the folds
    assert sure.temperature_ > 1.5
    timid = small(label_smoothing=0.6, dropout=0.0, max_iter=20).fit(X, y)
    assert timid.temperature_ < 0.7
    for clf in (sure, timid):
        assert clf.oof_log_loss_ < losses_by_temperature(clf, X, y)[0](0.0) - 0.005


def test_the_temperature_stays_within_its_bounds():
    # The labels do not depend on the features, so the least confident prediction is best.
    X, y = random_labels(0)
    clf = small(batch_size=160, max_iter=8, hidden_layer_sizes=(50,), label_smoothing=0.0, dropout=0.0).fit(X, y)
    assert math.exp(1.99) < clf.temperature_ <= math.exp(2.0)
    # The labels have no noise, but the smoothed targets are spread almost evenly over both classes.
    y = (X[:, 0] > 0.0).astype(int)
    clf = small(hidden_layer_sizes=(), label_smoothing=0.9, max_iter=30, learning_rate_init=0.1).fit(X[:, :1], y)
    assert math.exp(-2.0) <= clf.temperature_ < math.exp(-1.99)
