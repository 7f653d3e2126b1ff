"""Class weights and sample weights of BackpropClassifier."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from registries import SOLVERS, UPDATES
from sklearn.utils.class_weight import compute_sample_weight
from small_networks import assert_same_weights, same_weights, small
from toy_datasets import TARGETS, linear_rule

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", SOLVERS)
def test_class_weight_dict_equals_the_same_sample_weight(solver):
    X, y = linear_rule("multiclass")
    by_class = small(solver=solver, class_weight={0: 3.0, 2: 0.5}).fit(X, y)
    by_row = small(solver=solver).fit(X, y, sample_weight=np.array([3.0, 1.0, 0.5])[y])
    assert_same_weights(by_class, by_row)
    assert by_class.loss_curve_ == by_row.loss_curve_
    assert not same_weights(by_class, small(solver=solver).fit(X, y))


def test_class_weight_dict_has_the_labels_of_y_as_keys():
    X, y = linear_rule("binary")
    names = np.array(["no", "yes"])[y]
    by_class = small(class_weight={"yes": 4.0}).fit(X, names)
    assert_same_weights(by_class, small().fit(X, names, sample_weight=np.where(y == 1, 4.0, 1.0)))


@pytest.mark.parametrize("kind", TARGETS)
def test_balanced_class_weight_equals_compute_sample_weight(kind):
    X, y = linear_rule(kind, n_rows=50)
    X, y = X[5:], y[5:]
    balanced = small(class_weight="balanced").fit(X, y)
    by_row = small().fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    for a, b in zip(balanced.coefs_, by_row.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert not same_weights(balanced, small().fit(X, y))


def test_class_weights_multiply_sample_weights():
    X, y = linear_rule("multiclass")
    w = np.random.RandomState(1).randint(0, 4, len(y)).astype(float)
    composed = small(class_weight={0: 3.0, 2: 0.5}).fit(X, y, sample_weight=w)
    assert_same_weights(composed, small().fit(X, y, sample_weight=w * np.array([3.0, 1.0, 0.5])[y]))


def test_balanced_counts_a_row_of_weight_two_like_two_rows():
    X, y = linear_rule("multiclass")
    w = np.random.RandomState(1).randint(0, 4, len(y))
    per_row = np.zeros(len(y))
    per_row[np.repeat(np.arange(len(y)), w)] = compute_sample_weight("balanced", np.repeat(y, w))
    composed = small(class_weight="balanced").fit(X, y, sample_weight=w)
    by_row = small().fit(X, y, sample_weight=w * per_row)
    assert_allclose(composed.predict_proba(X), by_row.predict_proba(X), rtol=1e-10)


def test_class_weights_of_a_multilabel_target_are_multiplied_for_each_row():
    X, y = linear_rule("multilabel")
    tables = [{0: 1.0, 1: 2.0}, {1: 3.0}, {0: 0.5}]
    w = np.where(y[:, 0], 2.0, 1.0) * np.where(y[:, 1], 3.0, 1.0) * np.where(y[:, 2], 1.0, 0.5)
    assert_same_weights(small(class_weight=tables).fit(X, y), small().fit(X, y, sample_weight=w))


def test_balanced_partial_fit_uses_the_counts_of_all_rows_so_far():
    X, y = linear_rule("multiclass", n_rows=90)
    parts = [slice(0, 20), slice(20, 50), slice(50, 90)]
    balanced, by_row = small(class_weight="balanced"), small()
    for part in parts:
        seen = np.bincount(y[: part.stop], minlength=3)
        balanced.partial_fit(X[part], y[part], classes=[0, 1, 2])
        by_row.partial_fit(X[part], y[part], part.stop / (3 * seen[y[part]]), classes=[0, 1, 2])
        # Adam's steps do not depend on the scale of a constant weight, so the test compares the losses too.
        assert_allclose(balanced.loss_, by_row.loss_, rtol=1e-10)
        assert_allclose(balanced.predict_proba(X), by_row.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("solver", UPDATES)
def test_a_batch_whose_weights_are_all_zero_has_no_effect(solver):
    X, y = linear_rule("multiclass")
    w = np.linspace(0.5, 1.5, 60)
    w[20:40] = 0.0
    kept = w > 0
    with_zeros = small(solver=solver, shuffle=False, batch_size=10).fit(X, y, w)
    without = small(solver=solver, shuffle=False, batch_size=10).fit(X[kept], y[kept], w[kept])
    assert_same_weights(with_zeros, without)
    assert_allclose(with_zeros.loss_curve_, without.loss_curve_, rtol=1e-12)
