"""Probabilities, logits and labels that BackpropClassifier predicts."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from registries import SOLVERS
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from small_networks import assert_same_weights, small
from toy_datasets import OUTPUTS, linear_rule

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(("kind", "out_activation"), OUTPUTS)
def test_decision_function_is_the_logit_of_predict_proba(kind, out_activation):
    X, y = linear_rule(kind)
    clf = small(out_activation=out_activation).fit(X, y)
    z, proba = clf.decision_function(X), clf.predict_proba(X)
    if kind == "binary":
        assert z.shape == (len(X),)
        assert_allclose(z, logit(proba[:, 1]), rtol=1e-10, atol=1e-12)
        assert_array_equal(clf.predict(X), z > 0)
    elif kind == "multilabel":
        assert_allclose(z, logit(proba), rtol=1e-10, atol=1e-12)
        assert_array_equal(clf.predict(X), z > 0)
    elif out_activation == "logistic":
        assert_allclose(proba, expit(z) / expit(z).sum(axis=1, keepdims=True), rtol=1e-12)
        assert_array_equal(clf.predict(X), z.argmax(axis=1))
    else:
        assert_allclose(proba, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-12)
        assert_array_equal(clf.predict(X), z.argmax(axis=1))
    assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-10, atol=1e-12)


def test_two_softmax_units_reach_the_optimum_of_one_logistic_unit():
    # With w = w_1 - w_0 the penalty (|w_0|^2 + |w_1|^2) / 2 has its minimum |w|^2 / 4 at w_1 = -w_0, so alpha is doubled.
    X, y = linear_rule("binary")
    common = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-8, "max_iter": 500}
    one = small(alpha=0.5, **common).fit(X, y)
    two = small(alpha=1.0, out_activation="softmax", **common).fit(X, y)
    assert (one.out_activation_, one.n_outputs_) == ("logistic", 1)
    assert (two.out_activation_, two.n_outputs_) == ("softmax", 2)
    assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=1e-4)
    assert_allclose(two.coefs_[0][:, 1], -two.coefs_[0][:, 0], atol=1e-3)
    assert_allclose(two.loss_, one.loss_, rtol=1e-6)


def test_logistic_units_are_one_vs_rest_logistic_regressions():
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    alpha = 2.0
    ours = small(hidden_layer_sizes=(), out_activation="logistic", solver="lbfgs", tol=1e-8, max_iter=500, alpha=alpha)
    theirs = OneVsRestClassifier(LogisticRegression(C=1 / alpha, tol=1e-8, max_iter=500)).fit(X, y)
    ours.fit(X, y)
    assert (ours.out_activation_, ours.n_outputs_) == ("logistic", 3)
    assert_allclose(ours.coefs_[0].T, np.vstack([unit.coef_ for unit in theirs.estimators_]), atol=1e-3)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert_allclose(ours.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


def test_predictions_for_many_rows_equal_those_for_each_row_alone():
    X, y = linear_rule("multiclass", n_rows=60)
    clf = small().fit(X, y)
    many = np.random.RandomState(1).normal(size=(2500, 4))
    rows = np.vstack([clf.predict_proba(row[None]) for row in many])
    assert_allclose(clf.predict_proba(many), rows, rtol=1e-12)
    assert_allclose(clf.predict_proba(sp.csr_array(many)), rows, rtol=1e-12)
    assert_array_equal(clf.predict(many), rows.argmax(axis=1))


def test_the_next_call_does_not_change_an_earlier_prediction():
    X, y = linear_rule("multiclass")
    clf = small().fit(X, y)
    first = clf.decision_function(X)
    kept = first.copy()
    clf.decision_function(X + 1.0)
    clf.partial_fit(X, y)
    assert_array_equal(first, kept)


@pytest.mark.parametrize(
    "names",
    [
        np.array(["no", "yes"]),
        np.array([False, True]),
        np.array(["left", "right", "up"], dtype=object),
        np.array([3, 7, 11]),
        np.array([-1, 1]),
        np.array([0.0, 2.0, 5.0]),
    ],
    ids=["strings", "bools", "objects", "integers", "signs", "floats"],
)
def test_predict_returns_labels_of_the_type_that_was_given(names):
    X, codes = linear_rule("binary" if len(names) == 2 else "multiclass")
    clf = small(max_iter=20, learning_rate_init=0.05)
    plain = clone(clf).fit(X, codes)
    clf.fit(X, names[codes])
    assert_same_weights(clf, plain)
    theirs = MLPClassifier((1,), max_iter=1).fit(X, names[codes])
    assert clf.classes_.dtype == theirs.classes_.dtype  # LabelBinarizer turns objects into strings
    assert_array_equal(clf.classes_, names)
    predicted = clf.predict(X)
    assert predicted.dtype == clf.classes_.dtype
    assert_array_equal(predicted, names[plain.predict(X)])
    assert clf.score(X, names[codes]) == plain.score(X, codes) > 0.5
    assert_same_weights(clone(clf).fit(X, names[codes].tolist()), plain)


def test_sparse_multilabel_targets_give_sparse_predictions():
    X, y = linear_rule("multilabel")
    dense = small(max_iter=30).fit(X, y)
    clf = small(max_iter=30).fit(X, sp.csr_matrix(y))
    assert_same_weights(clf, dense)
    predicted = clf.predict(X)
    assert sp.issparse(predicted)
    assert_array_equal(predicted.toarray(), dense.predict(X))
    assert 0 < dense.predict(X).mean() < 1


@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_single_class_is_predicted_with_certainty(solver, out_activation):
    X, _ = linear_rule("binary")
    clf = small(solver=solver, out_activation=out_activation).fit(X, ["only"] * len(X))
    assert_array_equal(clf.predict(X), ["only"] * len(X))
    assert_array_equal(clf.predict_proba(X), np.ones((len(X), 1)))
    assert_array_equal(clf.predict_log_proba(X), np.zeros((len(X), 1)))


def test_a_column_of_labels_is_accepted_with_a_warning():
    X, y = linear_rule("binary")
    with pytest.warns(match="column-vector y was passed"):
        clf = small().fit(X, y[:, None])
    assert_same_weights(clf, small().fit(X, y))
