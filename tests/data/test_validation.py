"""Validation data, held out or the user's own: what is found on them, and what early stopping makes of it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score, balanced_accuracy_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbp import Activation, BackpropClassifier
from skbp._data.targets import class_codes, fit_binarizer
from skbp._data.validation import split
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# A few epochs show what is found after each of them, wherever they lead.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Arguments of every output layer that a target can have.
OUTPUTS = [
    ("binary", "auto"),
    ("binary", "softmax"),
    ("binary", "logistic"),
    ("multiclass", "auto"),
    ("multiclass", "logistic"),
    ("multilabel", "auto"),
]
# trust-krylov does not repeat itself bit for bit; what a run finds may then differ from what another does.
EXACT_SOLVERS = [solver for solver in SOLVERS if solver != "trust-krylov"]


def make_data(kind="multiclass", n=90, seed=0):
    """Rows of four features and labels that a linear rule with noise gives them."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    scores = X[:, :3] + 0.7 * rng.normal(size=(n, 3))
    y = {"binary": scores[:, 0] > 0, "multiclass": scores.argmax(axis=1), "multilabel": scores > 0}[kind]
    return X, y.astype(int)


def own_data(kind="multiclass"):
    """Data to train and to validate on."""
    return *make_data(kind), *make_data(kind, n=40, seed=1)


def small(**params):
    common = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    if params.get("solver", "adam") in UPDATES:
        common |= {"learning_rate_init": 0.03, "batch_size": 20}
    return BackpropClassifier(**{**common, **params})


def after_each_iteration(clf, X, y, n_iter, **fit_params):
    """Classifiers that have been trained for 1, 2, ... `n_iter` iterations, each on its own and validated on nothing."""
    clf = clone(clf).set_params(early_stopping=False, scoring=None, n_iter_no_change=10)
    return [clone(clf).set_params(max_iter=k).fit(X, y, **fit_params) for k in range(1, n_iter + 1)]


def weighted_loss(clf, X, y, weight=None):
    """The mean cross-entropy per row, by scikit-learn, of the classifier's outputs."""
    logits = clf.hidden_features(X) @ clf.coefs_[-1] + clf.intercepts_[-1]
    if clf.out_activation_ == "softmax":
        return log_loss(y, clf.predict_proba(X), labels=clf.classes_, sample_weight=weight)
    classes = clf.classes_ if clf.n_outputs_ > 1 else clf.classes_[1:]
    columns = y.T if y.ndim == 2 else [y == label for label in classes]
    units = zip(columns, expit(logits).T, strict=True)
    return sum(log_loss(column, p, labels=[0, 1], sample_weight=weight) for column, p in units)


def assert_same_weights(one, other, atol=0.0):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_allclose(a, b, rtol=0.0, atol=atol)


def everything(clf):
    """All attributes, frozen as bytes."""
    return pickle.dumps(sorted(vars(clf).items()))


class Witness:
    """A scorer of one's own that keeps what it is given, and finds nothing better than anything else."""

    def __init__(self):
        self.X, self.y, self.estimators = [], [], []

    def __call__(self, estimator, X, y):
        self.X.append(X)
        self.y.append(y)
        self.estimators.append(estimator)
        return 0.5


# Rows that are held out


def in_proportion(counts, seed=0):
    """Labels, in random order, of which each occurs as often as asked for."""
    return np.random.RandomState(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("labels", [np.array([0, 1, 2]), np.array(["few", "many", "more"])], ids=["int", "str"])
def test_early_stopping_holds_out_three_classes_in_their_proportions(solver, labels):
    y = labels[in_proportion([10, 30, 60])]
    X = np.random.RandomState(0).normal(size=(100, 2))
    witness = Witness()
    small(solver=solver, early_stopping=True, validation_fraction=0.2, scoring=witness, max_iter=2).fit(X, y)
    assert len(witness.y) >= 1
    for held_out in witness.y:
        assert [np.sum(held_out == label) for label in labels] == [2, 6, 12]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("counts", [[10, 30, 60], [7, 9, 11, 40], [2, 50, 50]])
def test_the_split_of_three_classes_and_more_is_scikit_learns_stratified_one(counts, seed):
    y = in_proportion(counts)
    binarizer = fit_binarizer(y)
    ours = split(class_codes(y, binarizer), binarizer, 0.25, np.random.RandomState(seed))
    theirs = train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=np.random.RandomState(seed))
    for rows, expected in zip(ours, theirs, strict=True):
        assert_array_equal(rows, expected)


# Of one class a single row; fewer rows held out than there are classes; fewer left to train on; labels with any number.
NOT_TO_BE_STRATIFIED = {
    "a single row": (in_proportion([1, 20, 20]), 0.25),
    "few held out": (in_proportion([5, 5, 5, 5]), 0.1),
    "few trained on": (in_proportion([3, 3, 3]), 0.8),
    "two rows": (np.array([0, 1]), 0.5),
    "multilabel": (make_data("multilabel", n=40)[1], 0.2),
}


@pytest.mark.parametrize("case", NOT_TO_BE_STRATIFIED)
def test_the_split_is_a_plain_one_where_it_cannot_be_stratified(case):
    y, fraction = NOT_TO_BE_STRATIFIED[case]
    binarizer = fit_binarizer(y)
    ours = split(class_codes(y, binarizer), binarizer, fraction, np.random.RandomState(3))
    theirs = train_test_split(np.arange(len(y)), test_size=fraction, random_state=np.random.RandomState(3))
    for rows, expected in zip(ours, theirs, strict=True):
        assert_array_equal(rows, expected)
    X = np.random.RandomState(0).normal(size=(len(y), 2))
    params = {"early_stopping": True, "validation_fraction": fraction, "batch_size": "auto", "scoring": Witness()}
    clf = small(**params).fit(X, y)
    assert clf.t_ == clf.n_iter_ * len(theirs[0])
    assert {len(X) for X in clf.scoring.X} == {len(theirs[1])}


@pytest.mark.parametrize("counts", [[1, 30], [30, 1]])
def test_of_two_classes_one_with_a_single_row_is_split_as_it_comes(counts):
    y = in_proportion(counts)
    X = np.random.RandomState(0).normal(size=(31, 2))
    clf = small(early_stopping=True).fit(X, y)
    assert len(clf.validation_scores_) == clf.n_iter_


@pytest.mark.parametrize(("fraction", "n_rows", "n_held_out"), [(0.0, 20, 0), (0.9, 3, 3)])
def test_a_split_without_rows_on_both_sides_is_an_error_that_names_the_fraction(fraction, n_rows, n_held_out):
    X, y = make_data(n=n_rows)
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} would hold out {n_held_out} of") as error:
        small(early_stopping=True, validation_fraction=fraction).fit(X, y)
    assert f"n_samples={n_rows} rows" in str(error.value)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_not_held_out_is_what_is_trained_on(solver):
    X, y = make_data()
    rng = np.random.RandomState(0)
    initial = {
        "coef_init": [rng.normal(size=(4, 6)), rng.normal(size=(6, 3))],
        "intercept_init": [np.zeros(6), np.zeros(3)],
    }
    # One batch, so that the order of the rows is no matter.
    common = {"solver": solver, "max_iter": 1} | ({"batch_size": "auto"} if solver in UPDATES else {})
    witness = Witness()
    clf = small(early_stopping=True, scoring=witness, **common).fit(X, y, **initial)
    held_out = (X[:, None] == witness.X[0]).all(axis=2).any(axis=1)
    assert held_out.sum() == 9
    assert_array_equal(np.sort(y[held_out]), np.sort(witness.y[0]))
    alone = small(**common).fit(X[~held_out], y[~held_out], **initial)
    # TNC divides differences of gradients by their small distance, and rounding with them.
    assert_allclose(clf.loss_curve_, alone.loss_curve_, rtol=1e-8 if solver == "tnc" else 1e-12)
    assert_same_weights(clf, alone, atol=1e-5 if solver == "tnc" else 1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_goes_on_with_the_rows_held_out_before(solver):
    X, y = make_data()
    witness = Witness()
    clf = small(solver=solver, early_stopping=True, warm_start=True, scoring=witness, max_iter=2)
    clf.fit(X, y).fit(X, y)
    assert len(witness.X) > 2
    for held_out in witness.X[1:]:
        assert_array_equal(held_out, witness.X[0])


# What is found on the user's own data


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "out_activation"), OUTPUTS)
def test_accuracy_and_loss_after_every_epoch_are_scikit_learns(kind, out_activation, weighted):
    X, y, X_val, y_val = own_data(kind)
    w = np.random.RandomState(2).uniform(0.0, 3.0, len(y_val)) if weighted else None
    # Neither the penalty, nor smoothed labels, nor units left out make any difference to validation.
    clf = small(out_activation=out_activation, alpha=1.0, label_smoothing=0.2, dropout=0.3)
    clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    then = after_each_iteration(clf, X, y, 5)
    assert_allclose(clf.validation_loss_curve_, [weighted_loss(c, X_val, y_val, w) for c in then], rtol=1e-10)
    assert_allclose(
        clf.validation_scores_, [accuracy_score(y_val, c.predict(X_val), sample_weight=w) for c in then], rtol=1e-12
    )
    assert all(type(value) is float for value in clf.validation_scores_ + clf.validation_loss_curve_)
    assert np.ptp(clf.validation_loss_curve_) > 1e-3


@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_every_solver_validates_after_every_iteration(solver):
    X, y, X_val, y_val = own_data()
    clf = small(solver=solver, scoring="loss", early_stopping=True).fit(X, y, X_val=X_val, y_val=y_val)
    then = after_each_iteration(clf, X, y, clf.n_iter_)
    assert len(then) >= 3
    assert_allclose(clf.validation_loss_curve_, [weighted_loss(c, X_val, y_val) for c in then], rtol=1e-10)
    assert_allclose(clf.validation_scores_, np.negative(clf.validation_loss_curve_), rtol=0.0)


def test_without_validation_data_there_is_nothing_found():
    X, y, X_val, y_val = own_data()
    clf = small(warm_start=True).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(clf.validation_scores_) == len(clf.validation_loss_curve_) == 5
    clf.fit(X, y)
    assert clf.validation_scores_ is clf.validation_loss_curve_ is clf.best_validation_score_ is None
    assert len(clf.loss_curve_) == 10


def test_more_rows_than_are_computed_at_once_make_one_mean():
    X, y = make_data()
    X_val, y_val = make_data(n=2500, seed=1)
    clf = small(max_iter=1).fit(X, y, X_val=X_val, y_val=y_val)
    assert_allclose(clf.validation_loss_curve_, log_loss(y_val, clf.predict_proba(X_val)), rtol=1e-12)
    assert_allclose(clf.validation_scores_, accuracy_score(y_val, clf.predict(X_val)), rtol=1e-12)


@pytest.mark.parametrize("class_weight", [{0: 5.0, 1: 1.0, 2: 0.1}, "balanced"])
def test_class_weights_weigh_the_rows_to_validate_on_by_the_classes_that_are_trained_on(class_weight):
    X, y, X_val, y_val = own_data()
    rng = np.random.RandomState(2)
    w, w_val = rng.uniform(0.1, 3.0, len(y)), rng.uniform(0.1, 3.0, len(y_val))
    clf = small(class_weight=class_weight, max_iter=1)
    clf.fit(X, y, w, X_val=X_val, y_val=y_val, sample_weight_val=w_val)
    if class_weight == "balanced":
        class_weight = {label: w.sum() / (3 * w[y == label].sum()) for label in range(3)}
    row_weight = w_val * np.array([class_weight[label] for label in y_val])
    assert_allclose(clf.validation_scores_, clf.score(X_val, y_val, row_weight), rtol=1e-12)
    assert_allclose(clf.validation_loss_curve_, weighted_loss(clf, X_val, y_val, row_weight), rtol=1e-10)
    assert clf.validation_scores_ != [clf.score(X_val, y_val, w_val)]


def test_class_weights_of_labels_multiply():
    X, y, X_val, y_val = own_data("multilabel")
    class_weight = [{0: 1.0, 1: 3.0}, {0: 2.0, 1: 1.0}, {0: 1.0, 1: 0.1}]
    clf = small(class_weight=class_weight, max_iter=1).fit(X, y, X_val=X_val, y_val=y_val)
    row_weight = np.prod(
        [[table[label] for table, label in zip(class_weight, row, strict=True)] for row in y_val], axis=1
    )
    assert_allclose(clf.validation_loss_curve_, weighted_loss(clf, X_val, y_val, row_weight), rtol=1e-10)
    assert_allclose(clf.validation_scores_, clf.score(X_val, y_val, row_weight), rtol=1e-12)


@pytest.mark.parametrize("scoring", [None, "balanced_accuracy"])
def test_where_no_row_held_out_has_weight_all_count_alike(scoring):
    X, y = make_data()
    witness = Witness()
    small(early_stopping=True, scoring=witness, max_iter=1).fit(X, y)
    rows, labels = witness.X[0], witness.y[0]
    w = np.where((X[:, None] == rows).all(axis=2).any(axis=1), 0.0, 1.0)
    clf = small(early_stopping=True, scoring=scoring, max_iter=1).fit(X, y, w)
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


# Scores, and whether weights make a difference to them.
SCORES = {
    **dict.fromkeys(["balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr", "matthews_corrcoef"], True),
    **dict.fromkeys(["adjusted_rand_score", share_of_first_class, make_scorer(unweighted)], False),
    **dict.fromkeys([weighted_recall_of_first_class, make_scorer(balanced_accuracy_score, adjusted=True)], True),
}


@pytest.mark.parametrize("scoring", SCORES, ids=lambda s: getattr(s, "__name__", str(s)))
@pytest.mark.parametrize("early_stopping", [False, True])
def test_any_score_is_that_of_the_classifier_after_the_epoch(scoring, early_stopping):
    X, y, X_val, y_val = own_data()
    scorer, weights = get_scorer(scoring), np.random.RandomState(2).uniform(0.1, 3.0, len(y_val))
    clf = small(scoring=scoring, early_stopping=early_stopping) if early_stopping else small(scoring=scoring)
    then = after_each_iteration(clf, X, y, 5)
    for w in (None, weights):
        clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
        weight = {"sample_weight": w} if w is not None and SCORES[scoring] else {}
        assert_allclose(clf.validation_scores_, [scorer(c, X_val, y_val, **weight) for c in then], rtol=1e-10)
        assert clf.best_validation_score_ == max(clf.validation_scores_)
        assert_allclose(clf.validation_loss_curve_, [weighted_loss(c, X_val, y_val, w) for c in then], rtol=1e-10)
    plain = clone(clf).fit(X, y, X_val=X_val, y_val=y_val)
    assert SCORES[scoring] == (plain.validation_scores_ != clf.validation_scores_)


def test_weights_of_rows_held_out_reach_the_score():
    X, y = make_data()
    w = np.random.RandomState(2).uniform(0.1, 3.0, len(y))
    seen = []

    def score(estimator, X, y, sample_weight=None):
        seen.append((X, sample_weight))
        return float(np.average(estimator.predict(X) == y, weights=sample_weight))

    clf = small(early_stopping=True, scoring=score, class_weight={0: 2.0}).fit(X, y, w)
    accuracy = small(early_stopping=True, class_weight={0: 2.0}).fit(X, y, w)
    assert_allclose(clf.validation_scores_, accuracy.validation_scores_, rtol=1e-12)
    rows, row_weight = seen[0]
    held_out = [np.flatnonzero((row == X).all(axis=1)).item() for row in rows]
    assert_allclose(row_weight, (w * np.where(y == 0, 2.0, 1.0))[held_out], rtol=1e-12)


def test_a_score_of_ones_own_is_given_a_fitted_classifier_and_labels_as_they_are():
    X, y, X_val, y_val = own_data()
    names = np.array(["a", "b", "c"])
    witness = Witness()
    small(scoring=witness).fit(X.astype(np.float32), names[y], X_val=X_val.tolist(), y_val=names[y_val].tolist())
    assert len(witness.estimators) == 5
    for k, clf in enumerate(witness.estimators, start=1):
        alone = small(max_iter=k).fit(X.astype(np.float32), names[y])
        assert_array_equal(clf.predict(X_val), alone.predict(X_val))
        assert_array_equal(clf.predict_proba(X_val), alone.predict_proba(X_val))
    for rows, labels in zip(witness.X, witness.y, strict=True):
        assert rows.dtype == np.float32
        assert_array_equal(rows, X_val.astype(np.float32))
        assert_array_equal(labels, names[y_val])


def failing(estimator, X, y):
    raise ZeroDivisionError("no score today")


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_error_in_a_score_leaves_the_classifier_as_it_was(warm_start):
    X, y, X_val, y_val = own_data()
    clf = small(warm_start=warm_start).fit(X, y).set_params(scoring=failing)
    before = everything(clf)
    with pytest.raises(ZeroDivisionError, match="no score today"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert everything(clf) == before


# Early stopping


@pytest.mark.parametrize("solver", EXACT_SOLVERS)
@pytest.mark.parametrize("scoring", [None, "loss", "f1_macro"])
def test_with_own_data_early_stopping_trains_on_all_rows_and_keeps_the_best_weights(solver, scoring):
    X, y, X_val, y_val = own_data()
    clf = small(solver=solver, early_stopping=True, scoring=scoring, n_iter_no_change=3, max_iter=30, tol=1e-3)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    scores = clf.validation_scores_
    assert clf.best_iter_ == np.argmax(scores) + 1
    assert clf.best_validation_score_ == max(scores)
    # The same training on all rows, ended where the best weights are.
    alone = small(solver=solver, tol=1e-3, max_iter=clf.best_iter_).fit(X, y)
    assert_same_weights(clf, alone)
    assert clf.t_ == (clf.n_iter_ * len(X) if solver in UPDATES else 0)


@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc_ovr"])
def test_early_stopping_waits_for_the_chosen_score(scoring):
    X, y, X_val, y_val = own_data()
    tol, patience = 0.01, 4
    clf = small(early_stopping=True, scoring=scoring, n_iter_no_change=patience, max_iter=200, tol=tol)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    without_improvement, best, stops_after = 0, -np.inf, None
    for k, score in enumerate(clf.validation_scores_, start=1):
        without_improvement = 0 if score >= best + tol else without_improvement + 1
        best = max(best, score)
        if without_improvement > patience and stops_after is None:
            stops_after = k
    assert clf.n_iter_ == stops_after
    assert patience + 1 < stops_after < 200


def test_scores_differ_in_what_they_find_best():
    X, y, X_val, y_val = own_data()
    params = {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 40, "tol": 0.0}
    best = {
        scoring: small(scoring=scoring, **params).fit(X, y, X_val=X_val, y_val=y_val).best_iter_
        for scoring in (None, "loss", share_of_first_class)
    }
    assert len(set(best.values())) == 3


@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_without_early_stopping_validation_changes_no_number_of_training(solver):
    X, y, X_val, y_val = own_data()
    plain = small(solver=solver, max_iter=15).fit(X, y)
    clf = small(solver=solver, max_iter=15, scoring="loss").fit(X, y, X_val=X_val, y_val=y_val)
    assert_same_weights(clf, plain)
    names = [name for name in vars(plain) if name.endswith("_") and "validation" not in name]
    assert {"loss_curve_", "loss_", "best_loss_", "n_iter_", "best_iter_", "t_"} < set(names)
    for name in names:
        if name not in ("coefs_", "intercepts_", "classes_"):
            assert getattr(clf, name) == getattr(plain, name), name
    assert clf.best_iter_ == clf.n_iter_ == len(clf.validation_scores_)
    assert clf.best_validation_score_ == max(clf.validation_scores_)


def test_a_warm_start_keeps_weights_that_no_epoch_betters():
    X, y, X_val, y_val = own_data()
    data = {"X_val": X_val, "y_val": y_val}
    clf = small(early_stopping=True, scoring="loss", warm_start=True, max_iter=30, n_iter_no_change=2).fit(X, y, **data)
    best, first = clf.best_validation_score_, clf.n_iter_
    kept = [w.copy() for w in clf.coefs_]
    clf.set_params(learning_rate_init=5.0, max_iter=3).fit(X, y, **data)
    assert len(clf.validation_scores_) == len(clf.validation_loss_curve_) == len(clf.loss_curve_) == first + 3
    assert max(clf.validation_scores_[first:]) < best
    assert clf.best_validation_score_ == best == max(clf.validation_scores_)
    assert clf.best_iter_ == np.argmax(clf.validation_scores_) + 1
    for now, then in zip(clf.coefs_, kept, strict=True):
        assert_array_equal(now, then)


# Forms of data


FORMS_OF_ROWS = {
    "list": np.ndarray.tolist,
    "float32": lambda X: X.astype(np.float32),
    "Fortran order": np.asfortranarray,
    "csr": sp.csr_array,
    "csr matrix": sp.csr_matrix,
    "csc": sp.csc_array,
    "frame": pd.DataFrame,
}
FORMS_OF_LABELS = {"list": np.ndarray.tolist, "series": pd.Series, "float": lambda y: y.astype(float)}


@pytest.mark.parametrize("form", FORMS_OF_ROWS)
def test_rows_to_validate_on_may_come_in_any_form(form):
    X, y, X_val, y_val = own_data()
    X_val = X_val.astype(np.float32).astype(np.float64)
    expected = small(scoring="neg_log_loss").fit(X, y, X_val=X_val, y_val=y_val)
    got = small(scoring="neg_log_loss").fit(X, y, X_val=FORMS_OF_ROWS[form](X_val), y_val=y_val)
    assert_allclose(got.validation_scores_, expected.validation_scores_, rtol=1e-12)
    assert_allclose(got.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS_OF_LABELS)
def test_labels_to_validate_on_may_come_in_any_form(form):
    X, y, X_val, y_val = own_data()
    expected = small(scoring="f1_macro").fit(X, y, X_val=X_val, y_val=y_val)
    got = small(scoring="f1_macro").fit(X, y, X_val=X_val, y_val=FORMS_OF_LABELS[form](y_val))
    assert got.validation_scores_ == expected.validation_scores_
    assert got.validation_loss_curve_ == expected.validation_loss_curve_


def test_labels_in_a_column_are_taken_with_scikit_learns_warning():
    X, y, X_val, y_val = own_data()
    clf = small()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        clf.fit(X, y, X_val=X_val, y_val=y_val[:, None])
    assert clf.validation_scores_ == small().fit(X, y, X_val=X_val, y_val=y_val).validation_scores_


def test_strings_and_one_class_only_are_labels_to_validate_on():
    X, y, X_val, y_val = own_data()
    names = np.array(["a", "b", "c"], dtype=object)
    expected = small().fit(X, y, X_val=X_val[y_val == 2], y_val=y_val[y_val == 2])
    got = small().fit(X, names[y], X_val=X_val[y_val == 2], y_val=names[y_val[y_val == 2]])
    assert got.validation_scores_ == expected.validation_scores_
    recall = [clf.predict(X_val[y_val == 2]) == 2 for clf in after_each_iteration(expected, X, y, 5)]
    assert_allclose(expected.validation_scores_, np.mean(recall, axis=1), rtol=1e-12)


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("scoring", [None, "f1_macro"])
def test_a_sparse_indicator_is_a_multilabel_target_to_validate_on(container, scoring):
    X, y, X_val, y_val = own_data("multilabel")
    expected = small(scoring=scoring, max_iter=20).fit(X, y, X_val=X_val, y_val=y_val)
    got = small(scoring=scoring, max_iter=20).fit(X, container(y), X_val=X_val, y_val=container(y_val))
    assert_allclose(got.validation_scores_, expected.validation_scores_, rtol=1e-12)
    assert got.validation_loss_curve_ == expected.validation_loss_curve_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc_ovr", Witness()])
def test_frames_with_names_give_no_warning(scoring, early_stopping):
    X, y, X_val, y_val = own_data()
    names = ["a", "b", "c", "d"]
    expected = small(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    frame, series = pd.DataFrame(X, columns=names), pd.Series(y)
    data = {"X_val": pd.DataFrame(X_val, columns=names), "y_val": pd.Series(y_val)}
    got = small(scoring=scoring, early_stopping=early_stopping).fit(frame, series, **data)
    assert got.validation_scores_ == expected.validation_scores_
    assert got.feature_names_in_.tolist() == names
    if early_stopping:  # and where the rows are held out
        small(scoring=scoring, early_stopping=True).fit(frame, series)


def test_names_in_another_order_are_refused():
    X, y, X_val, y_val = own_data()
    frame, other = pd.DataFrame(X, columns=list("abcd")), pd.DataFrame(X_val, columns=list("abdc"))
    with pytest.raises(ValueError, match=r"X_val has the columns .* in the same order"):
        small().fit(frame, y, X_val=other, y_val=y_val)


# Errors

X, Y, X_VAL, Y_VAL = own_data()
UNFIT = {
    "no labels": ({"X_val": X_VAL}, "X_val is given without y_val: validation takes both"),
    "no rows": ({"y_val": Y_VAL}, "y_val is given without X_val: validation takes both"),
    "rows and weights": (
        {"X_val": X_VAL, "sample_weight_val": np.ones(len(Y_VAL))},
        "X_val is given without y_val: validation takes both",
    ),
    "weights alone": ({"sample_weight_val": np.ones(len(Y_VAL))}, "sample_weight_val is given without X_val and y_val"),
    "unknown label": ({"X_val": X_VAL, "y_val": Y_VAL + 1}, r"`y_val` has classes not in `self.classes_`: \[3\]"),
    "labels for one class": (
        {"X_val": X_VAL, "y_val": make_data("multilabel", 40)[1]},
        "y_val is multilabel, but the classifier has been trained on a target that is one class a row",
    ),
    "features": ({"X_val": X_VAL[:, :3], "y_val": Y_VAL}, "X_val has 3 features, but X has 4"),
    "nan": ({"X_val": np.where(X_VAL > 2, np.nan, X_VAL), "y_val": Y_VAL}, "contains NaN"),
    "nan labels": ({"X_val": X_VAL, "y_val": np.where(Y_VAL > 1, np.nan, Y_VAL)}, "NaN"),
    "lengths": ({"X_val": X_VAL, "y_val": Y_VAL[1:]}, "X_val has 40 rows and y_val 39"),
    "no row": ({"X_val": X_VAL[:0], "y_val": Y_VAL[:0]}, r"0 sample\(s\)"),
    "weights' length": (
        {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": np.ones(39)},
        r"sample_weight_val has the shape \(39,\); it must be \(40,\)",
    ),
    "negative weights": (
        {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": np.full(40, -2.0)},
        "Negative values in sample_weight_val, the least -2",
    ),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("trained", ["new", "trained", "warm start"])
@pytest.mark.parametrize("case", UNFIT)
def test_data_that_do_not_fit_are_refused_and_leave_the_classifier_as_it_was(case, trained, early_stopping):
    data, message = UNFIT[case]
    clf = small(early_stopping=early_stopping, max_iter=2, warm_start=trained == "warm start")
    if trained != "new":
        clf.fit(X, Y)
    before = everything(clf)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, Y, **data)
    assert everything(clf) == before


# Pipelines and searches


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pipeline_transforms_the_rows_to_validate_on(early_stopping):
    scale, shift = np.array([1.0, 10.0, 100.0, 0.1]), 5.0
    X, y, X_val, y_val = own_data()
    X, X_val = X * scale + shift, X_val * scale + shift
    w, w_val = np.random.RandomState(2).uniform(0.1, 3.0, len(y)), np.random.RandomState(3).uniform(size=len(y_val))
    params = {"early_stopping": early_stopping, "max_iter": 10}
    weights = {"sample_weight": w, "sample_weight_val": w_val}
    with sklearn.config_context(enable_metadata_routing=True):
        request = {"X_val": True, "y_val": True, "sample_weight_val": True, "sample_weight": True}
        clf = small(**params).set_fit_request(**request)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, clf, transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, **weights)
        with pytest.warns(
            UserWarning, match=r"X_val lies on another scale than X in . of 4.*transform_input=\['X_val'\]"
        ):
            not_scaled = make_pipeline(scaler, clone(clf)).fit(X, y, X_val=X_val, y_val=y_val, **weights)
    scaler = StandardScaler().fit(X)
    by_hand = small(**params).fit(
        scaler.transform(X), y, w, X_val=scaler.transform(X_val), y_val=y_val, sample_weight_val=w_val
    )
    assert pipeline[-1].validation_scores_ == by_hand.validation_scores_
    assert pipeline[-1].validation_loss_curve_ == by_hand.validation_loss_curve_
    assert_same_weights(pipeline[-1], by_hand)
    assert not_scaled[-1].validation_loss_curve_ != by_hand.validation_loss_curve_
    assert by_hand.validation_scores_[-1] > 0.6


def one_minus(p):
    return 1.0 - p


CANDIDATES = [
    {},
    {"activation": "gelu"},
    {"activation": ["mish", "softsign"]},
    {"activation": Activation(lambda z, out: np.copyto(out, z) or out, lambda a, out: out.fill(1.0) or out)},
    {"alpha": [3.0, 1.0, 0.3]},
    {"dropout": 0.3},
    {"dropout": [0.1, 0.4]},
    {"weight_decay": 0.2},
    {"label_smoothing": 0.3},
    {"max_grad_norm": 0.1},
    {"learning_rate": "cosine"},
    {"learning_rate": "one-cycle"},
    {"learning_rate": lambda p: 1.0 - p * p},
    {"learning_rate": "linear", "warmup_fraction": 0.4},
    {"early_stopping": True, "scoring": "loss"},
    {"early_stopping": True, "scoring": "neg_log_loss", "validation_fraction": 0.3},
    {"max_time": 1e-9},
]


def test_a_grid_search_over_a_pipeline_reaches_every_new_parameter():
    X, y = make_data()
    cv = StratifiedKFold(2)
    pipeline = make_pipeline(StandardScaler(), small(hidden_layer_sizes=(6, 4), max_iter=8))
    grid = [{f"backpropclassifier__{name}": [value] for name, value in params.items()} for params in CANDIDATES]
    search = GridSearchCV(pipeline, grid, cv=cv, scoring="neg_log_loss").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    for params, score in zip(CANDIDATES, scores, strict=True):
        alone = make_pipeline(StandardScaler(), small(hidden_layer_sizes=(6, 4), max_iter=8, **params))
        assert_allclose(score, cross_val_score(alone, X, y, cv=cv, scoring="neg_log_loss").mean(), rtol=1e-12)
    assert len(set(scores)) == len(CANDIDATES)
    assert search.best_estimator_[-1].get_params().items() >= CANDIDATES[search.best_index_].items()
