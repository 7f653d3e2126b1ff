"""Validation data, held out or the user's own: what early stopping keeps, in which forms they may come, and their errors."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbp import Activation
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# A few epochs do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# trust-krylov does not repeat itself bit for bit, so that two runs may differ.
EXACT_SOLVERS = [solver for solver in SOLVERS if solver != "trust-krylov"]


# Rows that are held out


def in_proportion(counts, seed=0):
    """Class numbers in random order. Each occurs as often as asked for."""
    return np.random.RandomState(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("labels", [np.array([0, 1, 2]), np.array(["few", "many", "more"])], ids=["int", "str"])
def test_early_stopping_holds_out_three_classes_in_their_proportions(solver, labels, learner, witness):
    y = labels[in_proportion([10, 30, 60])]
    X = np.random.RandomState(0).normal(size=(100, 2))
    learner(solver=solver, early_stopping=True, validation_fraction=0.2, scoring=witness, max_iter=2).fit(X, y)
    assert len(witness.y) >= 1
    for held_out in witness.y:
        assert [np.sum(held_out == label) for label in labels] == [2, 6, 12]


# A single row of a class; fewer rows held out than there are classes; fewer left to train on; several labels.
NOT_TO_BE_STRATIFIED = {
    "a single row": (in_proportion([1, 20, 20]), 0.25),
    "few held out": (in_proportion([5, 5, 5, 5]), 0.1),
    "few trained on": (in_proportion([3, 3, 3]), 0.8),
    "two rows": (np.array([0, 1]), 0.5),
    "multilabel": (np.random.RandomState(0).randint(0, 2, (40, 3)), 0.2),
}


@pytest.mark.parametrize("case", NOT_TO_BE_STRATIFIED)
def test_rows_are_held_out_if_they_cannot_be_stratified(case, learner, witness):
    y, fraction = NOT_TO_BE_STRATIFIED[case]
    train, held_out = train_test_split(np.arange(len(y)), test_size=fraction, random_state=0)
    X = np.random.RandomState(0).normal(size=(len(y), 2))
    params = {"early_stopping": True, "validation_fraction": fraction, "batch_size": "auto", "scoring": witness}
    clf = learner(**params).fit(X, y)
    assert clf.t_ == clf.n_iter_ * len(train)
    assert {len(rows) for rows in witness.X} == {len(held_out)}


@pytest.mark.parametrize("counts", [[1, 30], [30, 1]])
def test_two_classes_with_a_single_row_in_one_are_split(counts, learner):
    y = in_proportion(counts)
    X = np.random.RandomState(0).normal(size=(31, 2))
    clf = learner(early_stopping=True).fit(X, y)
    assert len(clf.validation_scores_) == clf.n_iter_


@pytest.mark.parametrize(("fraction", "n_rows", "n_held_out"), [(0.0, 20, 0), (0.9, 3, 3)])
def test_a_split_without_rows_on_both_sides_is_an_error_that_names_the_fraction(
    fraction, n_rows, n_held_out, learner, linear_rule
):
    X, y = linear_rule(n_rows=n_rows)
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} would hold out {n_held_out} of") as error:
        learner(early_stopping=True, validation_fraction=fraction).fit(X, y)
    assert f"n_samples={n_rows} rows" in str(error.value)


@pytest.mark.parametrize("solver", SOLVERS)
def test_all_rows_that_are_not_held_out_are_trained_on(solver, learner, linear_rule, witness, assert_same_weights):
    X, y = linear_rule(n_rows=90)
    rng = np.random.RandomState(0)
    initial = {
        "coef_init": [rng.normal(size=(4, 6)), rng.normal(size=(6, 3))],
        "intercept_init": [np.zeros(6), np.zeros(3)],
    }
    # With one batch the order of the rows does not matter.
    common = {"solver": solver, "max_iter": 1} | ({"batch_size": "auto"} if solver in UPDATES else {})
    clf = learner(early_stopping=True, scoring=witness, **common).fit(X, y, **initial)
    held_out = (X[:, None] == witness.X[0]).all(axis=2).any(axis=1)
    assert held_out.sum() == 9
    assert_array_equal(np.sort(y[held_out]), np.sort(witness.y[0]))
    alone = learner(**common).fit(X[~held_out], y[~held_out], **initial)
    # TNC divides differences of gradients by their small distance, which magnifies rounding.
    assert_allclose(clf.loss_curve_, alone.loss_curve_, rtol=1e-8 if solver == "tnc" else 1e-12)
    assert_same_weights(clf, alone, atol=1e-5 if solver == "tnc" else 1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_goes_on_with_the_rows_held_out_before(solver, learner, linear_rule, witness):
    X, y = linear_rule(n_rows=90)
    clf = learner(solver=solver, early_stopping=True, warm_start=True, scoring=witness, max_iter=2)
    clf.fit(X, y).fit(X, y)
    assert len(witness.X) > 2
    for held_out in witness.X[1:]:
        assert_array_equal(held_out, witness.X[0])


# Early stopping


@pytest.mark.parametrize("solver", EXACT_SOLVERS)
@pytest.mark.parametrize("scoring", [None, "loss", "f1_macro"])
def test_with_own_data_early_stopping_trains_on_all_rows_and_keeps_the_best_weights(
    solver, scoring, learner, own_data, assert_same_weights
):
    X, y, X_val, y_val = own_data()
    clf = learner(solver=solver, early_stopping=True, scoring=scoring, n_iter_no_change=3, max_iter=30, tol=1e-3)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    scores = clf.validation_scores_
    assert clf.best_iter_ == np.argmax(scores) + 1
    assert clf.best_validation_score_ == max(scores)
    # The same training on all rows, which ends at the best weights.
    alone = learner(solver=solver, tol=1e-3, max_iter=clf.best_iter_).fit(X, y)
    assert_same_weights(clf, alone)
    assert clf.t_ == (clf.n_iter_ * len(X) if solver in UPDATES else 0)


@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc_ovr"])
def test_early_stopping_waits_for_the_chosen_score(scoring, learner, own_data):
    X, y, X_val, y_val = own_data()
    tol, patience = 0.01, 4
    clf = learner(early_stopping=True, scoring=scoring, n_iter_no_change=patience, max_iter=200, tol=tol)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    without_improvement, best, stops_after = 0, -np.inf, None
    for k, score in enumerate(clf.validation_scores_, start=1):
        without_improvement = 0 if score >= best + tol else without_improvement + 1
        best = max(best, score)
        if without_improvement > patience and stops_after is None:
            stops_after = k
    assert clf.n_iter_ == stops_after
    assert patience + 1 < stops_after < 200


def test_different_scores_have_different_best_epochs(learner, own_data):
    X, y, X_val, y_val = own_data()
    params = {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 40, "tol": 0.0}

    def share_of_first_class(estimator, X, y):
        return float(np.mean(estimator.predict(X) == 0))

    best = {
        scoring: learner(scoring=scoring, **params).fit(X, y, X_val=X_val, y_val=y_val).best_iter_
        for scoring in (None, "loss", share_of_first_class)
    }
    assert len(set(best.values())) == 3


@pytest.mark.parametrize("solver", EXACT_SOLVERS)
def test_without_early_stopping_validation_does_not_change_training(solver, learner, own_data, assert_same_weights):
    X, y, X_val, y_val = own_data()
    plain = learner(solver=solver, max_iter=15).fit(X, y)
    clf = learner(solver=solver, max_iter=15, scoring="loss").fit(X, y, X_val=X_val, y_val=y_val)
    assert_same_weights(clf, plain)
    names = [name for name in vars(plain) if name.endswith("_") and "validation" not in name]
    assert {"loss_curve_", "loss_", "best_loss_", "n_iter_", "best_iter_", "t_"} < set(names)
    for name in names:
        if name not in ("coefs_", "intercepts_", "classes_"):
            assert getattr(clf, name) == getattr(plain, name), name
    assert clf.best_iter_ == clf.n_iter_ == len(clf.validation_scores_)
    assert clf.best_validation_score_ == max(clf.validation_scores_)


def test_a_warm_start_keeps_the_weights_if_no_epoch_is_better(learner, own_data):
    X, y, X_val, y_val = own_data()
    data = {"X_val": X_val, "y_val": y_val}
    clf = learner(early_stopping=True, scoring="loss", warm_start=True, max_iter=30, n_iter_no_change=2).fit(
        X, y, **data
    )
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
def test_validation_rows_may_come_in_any_form(form, learner, own_data):
    X, y, X_val, y_val = own_data()
    X_val = X_val.astype(np.float32).astype(np.float64)
    expected = learner(scoring="neg_log_loss").fit(X, y, X_val=X_val, y_val=y_val)
    got = learner(scoring="neg_log_loss").fit(X, y, X_val=FORMS_OF_ROWS[form](X_val), y_val=y_val)
    assert_allclose(got.validation_scores_, expected.validation_scores_, rtol=1e-12)
    assert_allclose(got.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS_OF_LABELS)
def test_validation_labels_may_come_in_any_form(form, learner, own_data):
    X, y, X_val, y_val = own_data()
    expected = learner(scoring="f1_macro").fit(X, y, X_val=X_val, y_val=y_val)
    got = learner(scoring="f1_macro").fit(X, y, X_val=X_val, y_val=FORMS_OF_LABELS[form](y_val))
    assert got.validation_scores_ == expected.validation_scores_
    assert got.validation_loss_curve_ == expected.validation_loss_curve_


def test_labels_in_a_column_are_taken_with_scikit_learns_warning(learner, own_data):
    X, y, X_val, y_val = own_data()
    clf = learner()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        clf.fit(X, y, X_val=X_val, y_val=y_val[:, None])
    assert clf.validation_scores_ == learner().fit(X, y, X_val=X_val, y_val=y_val).validation_scores_


def test_validation_labels_may_be_text_and_of_one_class_only(learner, own_data, after_each_iteration):
    X, y, X_val, y_val = own_data()
    names = np.array(["a", "b", "c"], dtype=object)
    expected = learner().fit(X, y, X_val=X_val[y_val == 2], y_val=y_val[y_val == 2])
    got = learner().fit(X, names[y], X_val=X_val[y_val == 2], y_val=names[y_val[y_val == 2]])
    assert got.validation_scores_ == expected.validation_scores_
    recall = [clf.predict(X_val[y_val == 2]) == 2 for clf in after_each_iteration(expected, X, y, 5)]
    assert_allclose(expected.validation_scores_, np.mean(recall, axis=1), rtol=1e-12)


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("scoring", [None, "f1_macro"])
def test_validation_labels_may_be_a_sparse_indicator(container, scoring, learner, own_data):
    X, y, X_val, y_val = own_data("multilabel")
    expected = learner(scoring=scoring, max_iter=20).fit(X, y, X_val=X_val, y_val=y_val)
    got = learner(scoring=scoring, max_iter=20).fit(X, container(y), X_val=X_val, y_val=container(y_val))
    assert_allclose(got.validation_scores_, expected.validation_scores_, rtol=1e-12)
    assert got.validation_loss_curve_ == expected.validation_loss_curve_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc_ovr", "witness"])
def test_frames_with_names_give_no_warning(scoring, early_stopping, learner, own_data, witness):
    X, y, X_val, y_val = own_data()
    scoring = witness if scoring == "witness" else scoring
    names = ["a", "b", "c", "d"]
    expected = learner(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    frame, series = pd.DataFrame(X, columns=names), pd.Series(y)
    data = {"X_val": pd.DataFrame(X_val, columns=names), "y_val": pd.Series(y_val)}
    got = learner(scoring=scoring, early_stopping=early_stopping).fit(frame, series, **data)
    assert got.validation_scores_ == expected.validation_scores_
    assert got.feature_names_in_.tolist() == names
    if early_stopping:  # the rows may also be held out
        learner(scoring=scoring, early_stopping=True).fit(frame, series)


def test_names_in_another_order_are_refused(learner, own_data):
    X, y, X_val, y_val = own_data()
    frame, other = pd.DataFrame(X, columns=list("abcd")), pd.DataFrame(X_val, columns=list("abdc"))
    with pytest.raises(ValueError, match=r"X_val has the columns .* in the same order"):
        learner().fit(frame, y, X_val=other, y_val=y_val)


# Errors

UNFIT = {
    "no labels": (lambda X_val, y_val: {"X_val": X_val}, "X_val is given without y_val: validation takes both"),
    "no rows": (lambda X_val, y_val: {"y_val": y_val}, "y_val is given without X_val: validation takes both"),
    "rows and weights": (
        lambda X_val, y_val: {"X_val": X_val, "sample_weight_val": np.ones(len(y_val))},
        "X_val is given without y_val: validation takes both",
    ),
    "weights alone": (
        lambda X_val, y_val: {"sample_weight_val": np.ones(len(y_val))},
        "sample_weight_val is given without X_val and y_val",
    ),
    "unknown label": (
        lambda X_val, y_val: {"X_val": X_val, "y_val": y_val + 1},
        r"`y_val` has classes not in `self.classes_`: \[3\]",
    ),
    "labels for one class": (
        lambda X_val, y_val: {"X_val": X_val, "y_val": (X_val[:, :3] > 0).astype(int)},
        "y_val is multilabel, but the classifier has been trained on a target that is one class a row",
    ),
    "features": (lambda X_val, y_val: {"X_val": X_val[:, :3], "y_val": y_val}, "X_val has 3 features, but X has 4"),
    "nan": (lambda X_val, y_val: {"X_val": np.where(X_val > 2, np.nan, X_val), "y_val": y_val}, "contains NaN"),
    "nan labels": (lambda X_val, y_val: {"X_val": X_val, "y_val": np.where(y_val > 1, np.nan, y_val)}, "NaN"),
    "lengths": (lambda X_val, y_val: {"X_val": X_val, "y_val": y_val[1:]}, "X_val has 40 rows and y_val 39"),
    "no row": (lambda X_val, y_val: {"X_val": X_val[:0], "y_val": y_val[:0]}, r"0 sample\(s\)"),
    "weights' length": (
        lambda X_val, y_val: {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.ones(39)},
        r"sample_weight_val has the shape \(39,\); it must be \(40,\)",
    ),
    "negative weights": (
        lambda X_val, y_val: {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.full(40, -2.0)},
        "Negative values in sample_weight_val, the least -2",
    ),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("trained", ["new", "trained", "warm start"])
@pytest.mark.parametrize("case", UNFIT)
def test_data_that_do_not_fit_are_refused_and_leave_the_classifier_as_it_was(
    case, trained, early_stopping, learner, own_data, everything
):
    X, y, X_val, y_val = own_data()
    data, message = UNFIT[case]
    clf = learner(early_stopping=early_stopping, max_iter=2, warm_start=trained == "warm start")
    if trained != "new":
        clf.fit(X, y)
    before = everything(clf)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, **data(X_val, y_val))
    assert everything(clf) == before


# Pipelines and searches


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pipeline_transforms_the_validation_rows(early_stopping, learner, own_data, assert_same_weights):
    scale, shift = np.array([1.0, 10.0, 100.0, 0.1]), 5.0
    X, y, X_val, y_val = own_data()
    X, X_val = X * scale + shift, X_val * scale + shift
    w, w_val = np.random.RandomState(2).uniform(0.1, 3.0, len(y)), np.random.RandomState(3).uniform(size=len(y_val))
    params = {"early_stopping": early_stopping, "max_iter": 10}
    weights = {"sample_weight": w, "sample_weight_val": w_val}
    with sklearn.config_context(enable_metadata_routing=True):
        request = {"X_val": True, "y_val": True, "sample_weight_val": True, "sample_weight": True}
        clf = learner(**params).set_fit_request(**request)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, clf, transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, **weights)
        with pytest.warns(
            UserWarning, match=r"X_val lies on another scale than X in . of 4.*transform_input=\['X_val'\]"
        ):
            not_scaled = make_pipeline(scaler, clone(clf)).fit(X, y, X_val=X_val, y_val=y_val, **weights)
    scaler = StandardScaler().fit(X)
    by_hand = learner(**params).fit(
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


def test_a_grid_search_over_a_pipeline_reaches_every_new_parameter(learner, linear_rule):
    X, y = linear_rule(n_rows=90)
    cv = StratifiedKFold(2)
    pipeline = make_pipeline(StandardScaler(), learner(hidden_layer_sizes=(6, 4), max_iter=8))
    grid = [{f"backpropclassifier__{name}": [value] for name, value in params.items()} for params in CANDIDATES]
    search = GridSearchCV(pipeline, grid, cv=cv, scoring="neg_log_loss").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    for params, score in zip(CANDIDATES, scores, strict=True):
        alone = make_pipeline(StandardScaler(), learner(hidden_layer_sizes=(6, 4), max_iter=8, **params))
        assert_allclose(score, cross_val_score(alone, X, y, cv=cv, scoring="neg_log_loss").mean(), rtol=1e-12)
    assert len(set(scores)) == len(CANDIDATES)
    assert search.best_estimator_[-1].get_params().items() >= CANDIDATES[search.best_index_].items()
