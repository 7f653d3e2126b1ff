"""Early stopping of BackpropClassifier on rows that it holds out."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from registries import SOLVERS
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from small_networks import assert_same_weights, for_mini_batches, small
from toy_datasets import TARGETS, linear_rule

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def held_out_rows(clf, X, y, units):
    """Training rows and held-out rows. The generator first draws the layers and then the split."""
    rng = np.random.RandomState(clf.random_state)
    for fan_in, fan_out in pairwise(units):
        rng.uniform(size=(fan_in, fan_out)), rng.uniform(size=fan_out)
    return train_test_split(
        np.arange(len(X)), test_size=clf.validation_fraction, stratify=y if y.ndim == 1 else None, random_state=rng
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_restores_the_weights_of_the_best_epoch(solver, kind, weighted):
    X, y = linear_rule(kind, n_rows=80)
    w = np.random.RandomState(5).uniform(0.5, 2.0, len(y)) if weighted else None
    params = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 8, "max_iter": 25}
    clf = small(**params, **for_mini_batches(solver, learning_rate_init=0.05)).fit(X, y, w)
    scores = clf.validation_scores_
    assert len(scores) == len(clf.loss_curve_) == clf.n_iter_
    assert clf.best_validation_score_ == max(scores)
    assert clf.best_loss_ is None

    _, held_out = held_out_rows(clf, X, y, [4, 5, 1 if kind == "binary" else 3])
    accuracy = clf.score(X[held_out], y[held_out], None if w is None else w[held_out])
    assert_allclose(clf.best_validation_score_, accuracy, rtol=1e-12)
    best_epoch = int(np.argmax(scores)) + 1
    assert clf.best_iter_ == best_epoch
    assert best_epoch < clf.n_iter_  # otherwise the best weights would also be the last
    assert_same_weights(clf, clone(clf).set_params(max_iter=best_epoch).fit(X, y, w))


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_ends_training_after_its_patience(solver):
    X, y = linear_rule("binary", n_rows=80)
    clf = small(solver=solver, early_stopping=True, n_iter_no_change=3, max_iter=500, tol=1e-6, alpha=0.0).fit(X, y)
    scores = np.array(clf.validation_scores_)
    assert clf.n_iter_ < 500
    last_improvement = max(i for i in range(len(scores)) if i == 0 or scores[i] > scores[:i].max())
    assert clf.n_iter_ == last_improvement + 1 + 3 + 1


def test_the_held_out_rows_are_stratified_for_three_classes_too():
    X, _ = linear_rule("binary", n_rows=80)
    y = np.repeat([0, 1, 2], [68, 6, 6])
    clf = small(early_stopping=True, validation_fraction=0.5, random_state=3).fit(X, y)
    _, held_out = held_out_rows(clf, X, y, [4, 5, 3])
    assert np.bincount(y[held_out]).tolist() == [34, 3, 3]
    assert_allclose(clf.best_validation_score_, clf.score(X[held_out], y[held_out]), rtol=1e-12)


def test_early_stopping_on_tiny_data_uses_a_split_that_is_not_stratified():
    X, y = linear_rule("multiclass", n_rows=60)
    rows = [np.flatnonzero(y == k)[0] for k in range(3)]
    clf = small(early_stopping=True).fit(X[rows], y[rows])
    assert clf.classes_.tolist() == [0, 1, 2]
    assert set(clf.validation_scores_) <= {0.0, 1.0}  # one row is held out
    assert np.isfinite(clf.predict_proba(X)).all()
