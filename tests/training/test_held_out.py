"""Held-out rows: the loss and the score after every epoch are those of the network at that time."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, get_scorer, log_loss, make_scorer

from skbp import Activation
from skbp._data.rows import Rows
from skbp._data.targets import fit_binarizer, make_target
from skbp._data.weights import shares
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._training.held_out import HeldOut, HeldOutFolds
from skbp._training.solvers import SOLVERS

# A few epochs do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# For each target the values of out_activation that it allows.
OUTPUTS = [
    ("binary", "auto"),
    ("binary", "softmax"),
    ("binary", "logistic"),
    ("multiclass", "auto"),
    ("multiclass", "logistic"),
    ("multilabel", "auto"),
]
# trust-krylov does not repeat itself bit for bit, so that two runs may differ.
EXACT_SOLVERS = [solver for solver in SOLVERS if solver != "trust-krylov"]


def weighted_loss(clf, X, y, weight=None):
    """The mean cross-entropy of the classifier's outputs, computed by scikit-learn."""
    logits = clf.hidden_features(X) @ clf.coefs_[-1] + clf.intercepts_[-1]
    if clf.out_activation_ == "softmax":
        return log_loss(y, clf.predict_proba(X), labels=clf.classes_, sample_weight=weight)
    classes = clf.classes_ if clf.n_outputs_ > 1 else clf.classes_[1:]
    columns = y.T if y.ndim == 2 else [y == label for label in classes]
    units = zip(columns, expit(logits).T, strict=True)
    return sum(log_loss(column, p, labels=[0, 1], sample_weight=weight) for column, p in units)


# Loss and accuracy


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "out_activation"), OUTPUTS)
def test_accuracy_and_loss_after_every_epoch_are_scikit_learns(
    kind, out_activation, weighted, learner, own_data, after_each_iteration
):
    X, y, X_val, y_val = own_data(kind)
    w = np.random.RandomState(2).uniform(0.0, 3.0, len(y_val)) if weighted else None
    # The penalty, label smoothing and dropout do not affect validation.
    clf = learner(out_activation=out_activation, alpha=1.0, label_smoothing=0.2, dropout=0.3)
    clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    then = after_each_iteration(clf, X, y, 5)
    assert_allclose(clf.validation_loss_curve_, [weighted_loss(c, X_val, y_val, w) for c in then], rtol=1e-10)
    assert_allclose(
        clf.validation_scores_, [accuracy_score(y_val, c.predict(X_val), sample_weight=w) for c in then], rtol=1e-12
    )
    assert all(type(value) is float for value in clf.validation_scores_ + clf.validation_loss_curve_)
    assert np.ptp(clf.validation_loss_curve_) > 1e-3


@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_every_solver_validates_after_every_iteration(solver, learner, own_data, after_each_iteration):
    X, y, X_val, y_val = own_data()
    clf = learner(solver=solver, scoring="loss", early_stopping=True).fit(X, y, X_val=X_val, y_val=y_val)
    then = after_each_iteration(clf, X, y, clf.n_iter_)
    assert len(then) >= 3
    assert_allclose(clf.validation_loss_curve_, [weighted_loss(c, X_val, y_val) for c in then], rtol=1e-10)
    assert_allclose(clf.validation_scores_, np.negative(clf.validation_loss_curve_), rtol=0.0)


def test_without_validation_data_there_are_no_curves(learner, own_data):
    X, y, X_val, y_val = own_data()
    clf = learner(warm_start=True).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(clf.validation_scores_) == len(clf.validation_loss_curve_) == 5
    clf.fit(X, y)
    assert clf.validation_scores_ is clf.validation_loss_curve_ is clf.best_validation_score_ is None
    assert len(clf.loss_curve_) == 10


def test_more_rows_than_are_computed_at_once_make_one_mean(learner, linear_rule):
    X, y = linear_rule(n_rows=90)
    X_val, y_val = linear_rule(n_rows=2500, seed=1)
    clf = learner(max_iter=1).fit(X, y, X_val=X_val, y_val=y_val)
    assert_allclose(clf.validation_loss_curve_, log_loss(y_val, clf.predict_proba(X_val)), rtol=1e-12)
    assert_allclose(clf.validation_scores_, accuracy_score(y_val, clf.predict(X_val)), rtol=1e-12)


@pytest.mark.parametrize("class_weight", [{0: 5.0, 1: 1.0, 2: 0.1}, "balanced"])
def test_class_weights_of_the_training_data_weigh_the_validation_rows(class_weight, learner, own_data):
    X, y, X_val, y_val = own_data()
    rng = np.random.RandomState(2)
    w, w_val = rng.uniform(0.1, 3.0, len(y)), rng.uniform(0.1, 3.0, len(y_val))
    clf = learner(class_weight=class_weight, max_iter=1)
    clf.fit(X, y, w, X_val=X_val, y_val=y_val, sample_weight_val=w_val)
    if class_weight == "balanced":
        class_weight = {label: w.sum() / (3 * w[y == label].sum()) for label in range(3)}
    row_weight = w_val * np.array([class_weight[label] for label in y_val])
    assert_allclose(clf.validation_scores_, clf.score(X_val, y_val, row_weight), rtol=1e-12)
    assert_allclose(clf.validation_loss_curve_, weighted_loss(clf, X_val, y_val, row_weight), rtol=1e-10)
    assert clf.validation_scores_ != [clf.score(X_val, y_val, w_val)]


def test_class_weights_of_labels_multiply(learner, own_data):
    X, y, X_val, y_val = own_data("multilabel")
    class_weight = [{0: 1.0, 1: 3.0}, {0: 2.0, 1: 1.0}, {0: 1.0, 1: 0.1}]
    clf = learner(class_weight=class_weight, max_iter=1).fit(X, y, X_val=X_val, y_val=y_val)
    row_weight = np.prod(
        [[table[label] for table, label in zip(class_weight, row, strict=True)] for row in y_val], axis=1
    )
    assert_allclose(clf.validation_loss_curve_, weighted_loss(clf, X_val, y_val, row_weight), rtol=1e-10)
    assert_allclose(clf.validation_scores_, clf.score(X_val, y_val, row_weight), rtol=1e-12)


@pytest.mark.parametrize("scoring", [None, "balanced_accuracy"])
def test_if_all_held_out_rows_have_weight_zero_they_count_the_same(scoring, learner, linear_rule, witness):
    X, y = linear_rule(n_rows=90)
    learner(early_stopping=True, scoring=witness, max_iter=1).fit(X, y)
    rows, labels = witness.X[0], witness.y[0]
    w = np.where((X[:, None] == rows).all(axis=2).any(axis=1), 0.0, 1.0)
    clf = learner(early_stopping=True, scoring=scoring, max_iter=1).fit(X, y, w)
    assert_allclose(clf.validation_scores_, get_scorer(scoring or "accuracy")(clf, rows, labels), rtol=1e-12)
    assert_allclose(clf.validation_loss_curve_, weighted_loss(clf, rows, labels), rtol=1e-10)


# The score


def share_of_first_class(estimator, X, y):
    return float(np.mean(estimator.predict(X) == 0))


def weighted_recall_of_first_class(estimator, X, y, sample_weight=None):
    return float(
        np.average(
            (estimator.predict(X) == 0)[y == 0], weights=None if sample_weight is None else sample_weight[y == 0]
        )
    )


def unweighted(y, y_pred):
    return float(np.mean(y == y_pred) ** 2)


# Scores, and whether weights change them.
SCORES = {
    **dict.fromkeys(["balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr", "matthews_corrcoef"], True),
    **dict.fromkeys(["adjusted_rand_score", share_of_first_class, make_scorer(unweighted)], False),
    **dict.fromkeys([weighted_recall_of_first_class, make_scorer(balanced_accuracy_score, adjusted=True)], True),
}


@pytest.mark.parametrize("scoring", SCORES, ids=lambda s: getattr(s, "__name__", str(s)))
@pytest.mark.parametrize("early_stopping", [False, True])
def test_any_score_is_that_of_the_classifier_after_the_epoch(
    scoring, early_stopping, learner, own_data, after_each_iteration
):
    X, y, X_val, y_val = own_data()
    scorer, weights = get_scorer(scoring), np.random.RandomState(2).uniform(0.1, 3.0, len(y_val))
    clf = learner(scoring=scoring, early_stopping=early_stopping) if early_stopping else learner(scoring=scoring)
    then = after_each_iteration(clf, X, y, 5)
    for w in (None, weights):
        clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
        weight = {"sample_weight": w} if w is not None and SCORES[scoring] else {}
        assert_allclose(clf.validation_scores_, [scorer(c, X_val, y_val, **weight) for c in then], rtol=1e-10)
        assert clf.best_validation_score_ == max(clf.validation_scores_)
        assert_allclose(clf.validation_loss_curve_, [weighted_loss(c, X_val, y_val, w) for c in then], rtol=1e-10)
    plain = clone(clf).fit(X, y, X_val=X_val, y_val=y_val)
    assert SCORES[scoring] == (plain.validation_scores_ != clf.validation_scores_)


def test_weights_of_held_out_rows_reach_the_score(learner, linear_rule):
    X, y = linear_rule(n_rows=90)
    w = np.random.RandomState(2).uniform(0.1, 3.0, len(y))
    seen = []

    def score(estimator, X, y, sample_weight=None):
        seen.append((X, sample_weight))
        return float(np.average(estimator.predict(X) == y, weights=sample_weight))

    clf = learner(early_stopping=True, scoring=score, class_weight={0: 2.0}).fit(X, y, w)
    accuracy = learner(early_stopping=True, class_weight={0: 2.0}).fit(X, y, w)
    assert_allclose(clf.validation_scores_, accuracy.validation_scores_, rtol=1e-12)
    rows, row_weight = seen[0]
    held_out = [np.flatnonzero((row == X).all(axis=1)).item() for row in rows]
    assert_allclose(row_weight, (w * np.where(y == 0, 2.0, 1.0))[held_out], rtol=1e-12)


def test_a_users_scorer_gets_a_fitted_classifier_and_the_labels_as_they_are(learner, own_data, witness):
    X, y, X_val, y_val = own_data()
    names = np.array(["a", "b", "c"])
    learner(scoring=witness).fit(X.astype(np.float32), names[y], X_val=X_val.tolist(), y_val=names[y_val].tolist())
    assert len(witness.estimators) == 5
    for k, clf in enumerate(witness.estimators, start=1):
        alone = learner(max_iter=k).fit(X.astype(np.float32), names[y])
        assert_array_equal(clf.predict(X_val), alone.predict(X_val))
        assert_array_equal(clf.predict_proba(X_val), alone.predict_proba(X_val))
    for rows, labels in zip(witness.X, witness.y, strict=True):
        assert rows.dtype == np.float32
        assert_array_equal(rows, X_val.astype(np.float32))
        assert_array_equal(labels, names[y_val])


def failing(estimator, X, y):
    raise ZeroDivisionError("no score today")


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_error_in_a_score_leaves_the_classifier_as_it_was(warm_start, learner, own_data, everything):
    X, y, X_val, y_val = own_data()
    clf = learner(warm_start=warm_start).fit(X, y).set_params(scoring=failing)
    before = everything(clf)
    with pytest.raises(ZeroDivisionError, match="no score today"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert everything(clf) == before


# HeldOut alone


@pytest.fixture
def binary(linear_rule):
    """A function that makes rows of two classes, their target, and parameters of a network without hidden layers."""

    def binary(weight=None, exponent=0, y=None):
        X, by_rule = linear_rule("binary", 40)
        y = by_rule if y is None else y
        target = make_target(fit_binarizer([0, 1]), "logistic", 1)
        params = Parameters((4, 1), np.float64)
        params.vector[...] = [2.0, 0.5, 0.0, 0.0, -0.3]
        return Rows(X, y, y, target.encode(y), weight, exponent), target, params

    return binary


def of_logit(rows, params, weight=None):
    """Accuracy and mean loss of the only logit, by scikit-learn."""
    p = expit(rows.X @ params.weights[0] + params.biases[0])[:, 0]
    return accuracy_score(rows.y, p > 0.5, sample_weight=weight), log_loss(rows.y, p, sample_weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_is_the_accuracy_or_the_negative_loss(weighted, binary):
    weight = np.random.RandomState(1).uniform(size=40) if weighted else None
    rows, target, params = binary(weight)
    accuracy, loss = of_logit(rows, params, weight)
    assert HeldOut(rows, target, [], None, None)(params) == pytest.approx((accuracy, loss), rel=1e-12)
    assert HeldOut(rows, target, [], "loss", None)(params) == pytest.approx((-loss, loss), rel=1e-12)


def test_weights_that_are_all_zero_do_not_count(binary):
    rows, target, params = binary(np.zeros(40))
    assert HeldOut(rows, target, [], None, None)(params) == pytest.approx(of_logit(rows, params), rel=1e-12)


def test_a_scorer_gets_the_estimator_the_rows_and_the_weights_with_their_common_factor(binary):
    weight = np.random.RandomState(1).uniform(size=40)
    rows, target, params = binary(weight, exponent=5)
    seen = []

    def scorer(estimator, X, y, sample_weight=None):
        seen.append((estimator, X, y, sample_weight))
        return 0.25

    score, loss = HeldOut(rows, target, [], scorer, lambda params: ("at", params))(params)
    assert (score, loss) == pytest.approx((0.25, of_logit(rows, params, weight)[1]), rel=1e-12)
    ((estimator, X, y, sample_weight),) = seen
    assert estimator == ("at", params)
    assert X is rows.X
    assert y is rows.y
    assert_array_equal(sample_weight, 32.0 * weight)


def test_a_scorer_without_weights_gets_none(binary):
    rows, target, params = binary(np.ones(40))
    score, _ = HeldOut(rows, target, [], lambda estimator, X, y: np.float32(0.5), lambda params: None)(params)
    assert type(score) is float
    assert score == 0.5


@pytest.mark.parametrize("value", [None, "0.5", [0.5], 1j, np.ones(2)])
def test_a_scorer_must_return_a_number(value, binary):
    rows, target, params = binary()
    held_out = HeldOut(rows, target, [], lambda estimator, X, y: value, lambda params: None)
    with pytest.raises(ValueError, match=r"^The function given as scoring returned .*; it must return one number"):
        held_out(params)


def test_a_score_of_nan_gives_a_warning(binary):
    rows, target, params = binary()
    held_out = HeldOut(rows, target, [], lambda estimator, X, y: math.nan, lambda params: None)
    with pytest.warns(UserWarning, match="scoring gives nan on the validation data"):
        score, _ = held_out(params)
    assert math.isnan(score)


def test_an_activation_that_is_nan_gives_figures_of_nan_and_no_error(linear_rule):
    X, y = linear_rule("binary", 40)
    target, params = make_target(fit_binarizer([0, 1]), "logistic", 1), Parameters((4, 2, 1), np.float64)
    params.vector[...] = 1.0
    # It is nan for negative sums.
    record = Activation(lambda z, out: np.sqrt(z, out=out), lambda a, out: np.divide(0.5, a, out=out))
    with np.errstate(all="ignore"):
        _, loss = HeldOut(Rows(X, y, y, target.encode(y), None), target, [record], None, None)(params)
    assert math.isnan(loss)


# By the share of the second class, which is the rare one.
SCORES_OF_CONSTANT = {
    "accuracy by default": lambda share: 1.0 - share,
    "loss": lambda share: share * np.log(share) + (1.0 - share) * np.log(1.0 - share),
    "balanced_accuracy": lambda share: 0.5,
    "precision": lambda share: 0.0,
    "a user's own": lambda share: None,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scoring", SCORES_OF_CONSTANT)
def test_the_score_of_a_constant_prediction(scoring, weighted, binary):
    weight = np.random.RandomState(1).uniform(size=40) if weighted else None
    rows, target, _ = binary(weight, y=(np.arange(40) % 4 == 0).astype(int))
    scorers = {"accuracy by default": None, "loss": "loss", "a user's own": lambda estimator, X, y: 0.5}
    scorer = scorers[scoring] if scoring in scorers else get_scorer(scoring)
    found = HeldOut(rows, target, [], scorer, None).score_of_constant(rows)
    expected = SCORES_OF_CONSTANT[scoring](np.average(rows.y, weights=weight))
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-10))


def test_rows_of_one_class_cannot_tell_a_constant_from_a_good_prediction(binary):
    rows, target, _ = binary(np.where(binary()[0].y == 1, 1.0, 0.0))
    assert HeldOut(rows, target, [], None, None).score_of_constant(rows) is None


# HeldOutFolds


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("activations", [[], [ACTIVATIONS["tanh"]]], ids=["linear", "tanh"])
def test_every_member_has_the_loss_of_its_own_fold(activations, weighted, linear_rule):
    X, y = linear_rule(n_rows=50)
    weight = np.random.RandomState(1).uniform(size=50) if weighted else None
    rows = Rows(X, y, y, y, weight)
    params = Parameters((4, 5, 3) if activations else (4, 3), np.float64, (3,))
    params.vector[...] = np.random.RandomState(2).normal(size=params.vector.shape)
    folds = [np.arange(20), np.arange(15, 22), np.array([49])]  # of different lengths
    objective = Objective(params, activations, LOSSES["softmax"], 0.0)
    score, loss = HeldOutFolds(objective, rows, folds, [shares(weight, fold) for fold in folds])(params)
    target = make_target(fit_binarizer([0, 1, 2]), "softmax", 3)
    for i, fold in enumerate(folds):
        _, alone = HeldOut(rows.subset(fold), target, activations, "loss", None)(params.member(i))
        assert loss[i] == pytest.approx(alone, rel=1e-12)
    assert_array_equal(score, -loss)
