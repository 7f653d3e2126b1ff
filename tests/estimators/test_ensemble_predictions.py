"""Predictions of an ensemble."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit
from sklearn.metrics import zero_one_loss
from small_ensembles import SOLVER_KINDS, linked, logits_of, small
from toy_datasets import OUTPUTS, even_folds

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_predictions_are_the_mean_of_the_members_probabilities(target, out_activation, solver):
    X, y = even_folds(target)
    clf = small(out_activation=out_activation, solver=solver).fit(X, y)
    new = np.random.RandomState(3).normal(size=(40, 5))
    members = np.array([linked(logits_of(member, new), clf.temperature_, clf) for member in clf.members_])
    assert_allclose(clf.predict_proba_members(new), members, rtol=1e-9)
    proba = clf.predict_proba(new)
    assert_allclose(proba, members.mean(axis=0), rtol=1e-9)
    assert members.std(axis=0).max() > 0.01
    assert_allclose(clf.predict_log_proba(new), np.log(proba), rtol=1e-12)
    decision, predicted = clf.decision_function(new), clf.predict(new)
    if target == "multilabel":
        assert_allclose(decision, logit(proba), rtol=1e-9, atol=1e-12)
        assert_array_equal(predicted, proba > 0.5)
    elif target == "binary":
        assert_allclose(decision, logit(proba[:, 1]), rtol=1e-9, atol=1e-12)
        assert_array_equal(predicted, decision > 0.0)
    else:
        assert_allclose(decision, np.log(proba), rtol=1e-12)
        assert_array_equal(predicted, decision.argmax(axis=1))
    if target != "multilabel":
        assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
        assert_array_equal(predicted, proba.argmax(axis=1))
    assert_allclose(clf.score(new, predicted), 1.0)
    assert len(np.unique(predicted, axis=0)) > 1


def test_predictions_for_many_rows_equal_those_for_each_row_alone():
    X, y = even_folds()
    clf = small().fit(X, y)
    new = np.random.RandomState(3).normal(size=(2100, 5))
    one_by_one = np.vstack([clf.predict_proba(new[i : i + 1]) for i in range(0, 2100, 70)])
    assert_allclose(clf.predict_proba(new)[::70], one_by_one, rtol=1e-12)


@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_a_single_class_is_predicted_with_certainty(solver, out_activation):
    X, _ = even_folds()
    clf = small(solver=solver, out_activation=out_activation).fit(X, np.full(100, "only"))
    assert_array_equal(clf.predict_proba(X), np.ones((100, 1)))
    assert_array_equal(clf.predict(X), np.full(100, "only"))
    assert_array_equal(clf.decision_function(X), np.zeros(100))
    assert_array_equal(clf.oof_proba_, np.ones((100, 1)))
    assert (clf.oof_log_loss_, clf.oof_score_) == (0.0, 1.0)


def test_sparse_multilabel_targets_give_sparse_predictions():
    X, y = even_folds("multilabel")
    dense, sparse = small().fit(X, y), small().fit(X, sp.csr_matrix(y))
    predicted = sparse.predict(X)
    assert sp.issparse(predicted)
    assert_array_equal(predicted.toarray(), dense.predict(X))
    assert sparse.oof_log_loss_ == dense.oof_log_loss_
    assert sparse.score(X, sp.csr_matrix(y)) == 1.0 - zero_one_loss(y, dense.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_no_probability_of_rows_far_away_is_0_or_1(target, out_activation, dtype):
    X, y = even_folds(target)
    clf = small(out_activation=out_activation, dtype=None).fit(X.astype(dtype), y)
    far = (1e8 * X).astype(dtype)
    proba = clf.predict_proba(far)
    assert proba.dtype == dtype
    assert proba.min() > 0.0
    assert np.isfinite(clf.predict_log_proba(far)).all()
    assert np.isfinite(clf.decision_function(far)).all()
    assert np.abs(clf.decision_function(far)).max() > 15.0
    if target == "multilabel":
        assert proba.max() < 1.0


def test_labels_that_are_almost_certain_have_different_decision_values():
    X, y = even_folds("multilabel")
    clf = small(max_iter=30).fit(X, y)
    far = (X * 10).astype(np.float32)
    decision = clf.decision_function(far)
    assert abs(decision).max() > 20  # 1 minus such a probability is 0 in float32
    for label in range(decision.shape[1]):
        assert len(np.unique(decision[:, label])) > 0.9 * len(X)
