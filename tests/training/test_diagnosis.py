"""A fit that has learned nothing gives a warning with remedies. An ordinary fit gives none."""

import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale

import skbp
from skbp import Activation, BackpropClassifier, BackpropClassifierCV, NothingLearnedWarning
from skbp._data.rows import Rows, evenly_spaced
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._training import diagnosis
from skbp._training.diagnosis import SAMPLE_ROWS, has_kinks, is_unscaled, nothing_learned

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

REMEDIES = {
    "scoring": "set scoring='loss'",
    "scale": "StandardScaler",
    "alpha": "lower alpha, now ",
    "rate": "lower learning_rate_init, now ",
    "longer": "train longer",
}


@pytest.fixture
def alarms(warnings_of):
    """A function that gives the messages of a call that nothing was learned."""

    def alarms(function, *args, **kwargs):
        caught = warnings_of(function, *args, **kwargs)
        return [str(w.message) for w in caught if w.category is NothingLearnedWarning]

    return alarms


def remedies(message):
    return {name for name, text in REMEDIES.items() if text in message}


def numbers_in(message):
    """The two figures that a message compares."""
    figures = re.findall(r"(?:is|gives|has) (-?[\d.]+(?:e[+-]?\d+)?)", message)
    return [float(figure.rstrip(".")) for figure in figures]


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (20,), "max_iter": 50, "random_state": 0, **params})


def small_cv(**params):
    return BackpropClassifierCV(
        **{
            "hidden_layer_sizes": (20,),
            "max_iter": 50,
            "random_state": 0,
            "scale": False,
            "n_repeats": 1,
            "activation": "relu",
            **params,
        }
    )


def make_data(n=300, seed=0):
    """Rows with a class that follows from the first column. 38 in 100 are of the second class."""
    X = np.random.RandomState(seed).normal(size=(n, 5))
    return X, (X[:, 0] > 0.3).astype(int)


def make_rare():
    """Rows of two classes. 1 in 100 is of the second class."""
    X, y = make_classification(1000, 20, weights=[0.99], flip_y=0, n_informative=5, random_state=1)
    return scale(X), y


def make_many_labels():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(600, 60))
    return X, (X @ rng.normal(size=(60, 39)) > 9).astype(int)


# The loss of the class frequencies


def least_constant_loss(loss, target, n_outputs, weight):
    """The least weighted mean loss of constant logits, found by search."""

    def mean(logits):
        rows = np.tile(logits, (len(weight), 1))
        out = np.zeros_like(rows)
        losses = loss.loss_gradient(rows, target, out)
        return losses @ weight, weight @ out

    return minimize(mean, np.zeros(n_outputs), jac=True, tol=1e-12).fun


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 7])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_frequencies_is_the_least_of_constant_logits(name, label_smoothing, n_outputs, seed):
    loss = replace(LOSSES[name], label_smoothing=label_smoothing)
    rng = np.random.RandomState(seed)
    weight = rng.dirichlet(np.ones(40))
    if name == "softmax":
        target = rng.randint(0, n_outputs, 40)
        frequencies = np.bincount(target, weight, minlength=n_outputs)
    else:
        target = rng.uniform(size=(40, n_outputs)) < rng.uniform(size=n_outputs)
        frequencies = weight @ target
    found = loss.of_frequencies(frequencies)
    assert isinstance(found, float)
    assert_allclose(found, least_constant_loss(loss, target, n_outputs, weight), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_certain_frequencies(name):
    frequencies = np.array([1.0, 0.0, 0.0])
    assert LOSSES[name].of_frequencies(frequencies) == 0.0
    smoothed = replace(LOSSES[name], label_smoothing=0.3).of_frequencies(frequencies)
    share = [0.8, 0.1, 0.1] if name == "softmax" else [0.85, 0.15]
    assert_allclose(smoothed, -np.sum(share * np.log(share)) * (1 if name == "softmax" else 3), rtol=1e-12)


# Alarms


ALARMS = {
    "features of size 1e-4": (
        small(activation="logistic"),
        lambda: (1e-4 * make_data()[0], make_data()[1]),
        {"scale", "longer"},
    ),
    "features of size 1e3": (small(), lambda: (1e3 + 1e3 * make_data()[0], make_data()[1]), {"scale", "longer"}),
    "wine as it comes": (small(hidden_layer_sizes=100), lambda: load_wine(return_X_y=True), {"scale", "longer"}),
    "sgd at a rate of 50": (small(solver="sgd", learning_rate_init=50.0), make_data, {"rate"}),
    "a penalty of 1e4": (small(alpha=1e4), make_data, {"alpha", "longer"}),
    "a penalty of 1e4, lbfgs": (small(alpha=1e4, solver="lbfgs"), make_data, {"alpha"}),
    "one short epoch": (small(max_iter=1, learning_rate_init=1e-6), make_data, {"longer"}),
    "39 labels, accuracy": (small(early_stopping=True, max_iter=200), make_many_labels, {"scoring", "longer"}),
    "1 % of a rare class, accuracy": (small(early_stopping=True, max_iter=200), make_rare, {"scoring", "longer"}),
    "1 % of a rare class, f1 of 0": (small(early_stopping=True, scoring="f1"), make_rare, {"scoring", "longer"}),
    "all at once": (
        small(early_stopping=True, alpha=1e4, learning_rate_init=1e-6),
        lambda: (1e-4 * make_data()[0], make_data()[1]),
        {"scoring", "scale", "alpha", "longer"},
    ),
    "cv, sgd at a rate of 50": (small_cv(solver="sgd", learning_rate_init=50.0), make_data, {"rate"}),
    "cv, features of size 1e4": (small_cv(), lambda: (1e4 + 1e4 * make_data()[0], make_data()[1]), {"scale", "longer"}),
}


@pytest.mark.parametrize("case", ALARMS)
def test_a_fit_that_learns_nothing_names_the_fitting_remedies(case, alarms):
    clf, data, expected = ALARMS[case]
    found = alarms(clf.fit, *data())
    assert len(found) == 1
    assert "Nothing was learned" in found[0]
    assert remedies(found[0]) == expected
    mean, constant = numbers_in(found[0])
    assert mean >= constant


def test_alarm_of_unscaled_data_that_end_at_the_share_of_the_majority(alarms):
    X, y = make_data()
    clf = small(activation="logistic")
    assert len(alarms(clf.fit, 1e-4 * X, y)) == 1
    assert clf.score(1e-4 * X, y) == np.mean(y == 0)


def test_the_warning_is_a_user_warning_but_no_convergence_warning():
    assert issubclass(skbp.NothingLearnedWarning, UserWarning)
    assert not issubclass(skbp.NothingLearnedWarning, ConvergenceWarning)


@pytest.mark.parametrize("scoring", ["loss", None])
def test_many_labels_learn_by_the_loss(scoring, alarms):
    # The remedy in the warning helps.
    X, Y = make_many_labels()
    clf = small(early_stopping=True, max_iter=200, scoring=scoring, learning_rate_init=0.01)
    assert bool(alarms(clf.fit, X, Y)) == (scoring is None)


def test_an_alarm_of_many_labels_does_not_name_the_learning_rate(alarms):
    # The loss is summed over the labels: for 39 labels that of a fresh network is 39 log 2 = 27.
    X, Y = make_many_labels()
    (found,) = alarms(small(max_iter=3).fit, X, Y)
    assert remedies(found) == {"longer"}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["binary", "three classes", "two units", "labels"])
def test_the_figures_are_the_mean_loss_and_that_of_the_class_frequencies(target, weighted, label_smoothing, alarms):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(80, 4)), (rng.uniform(size=80) < 0.1).astype(int)
    params = {"max_iter": 1, "solver": "sgd", "learning_rate_init": 1e-9, "label_smoothing": label_smoothing}
    params |= {"dropout": 0.5, "alpha": 5.0}  # neither counts
    if target == "three classes":
        y[::9] = 2
    elif target == "two units":
        params["out_activation"] = "logistic"
    elif target == "labels":
        y = np.column_stack([y, np.arange(80) % 20 == 0, rng.uniform(size=80) < 0.1]).astype(int)
    weight = rng.uniform(0.5, 2.0, 80) * 1e-3 if weighted else None
    clf = small(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        clf.fit(X, y, weight)
    (found,) = [m for m in alarms(clf.fit, X, y, weight) if "penalty" not in m]
    share = np.full(80, 1 / 80) if weight is None else weight / weight.sum()
    # The targets of each unit, smoothed.
    Y = y if y.ndim == 2 else np.eye(y.max() + 1)[y]
    e, K = label_smoothing, Y.shape[1]
    logits = clf.decision_function(X)
    if target in {"binary", "three classes"}:
        T = (1 - e) * Y + e / K
        P, f = clf.predict_proba(X), share @ T
        expected = -(share @ (T * np.log(P)).sum(axis=1)), -(f * np.log(f)).sum()
    else:
        if target == "two units":
            weights, biases = clf.coefs_, clf.intercepts_
            logits = np.maximum(X @ weights[0] + biases[0], 0.0) @ weights[1] + biases[1]
        T = (1 - e) * Y + e / 2
        f = share @ T
        expected = (
            share @ (np.logaddexp(0.0, logits) - T * logits).sum(axis=1),
            -(f * np.log(f) + (1 - f) * np.log(1 - f)).sum(),
        )
    assert_allclose(numbers_in(found), expected, rtol=1e-3)


@pytest.mark.parametrize("scoring", [None, "loss", "f1", "balanced_accuracy", "average_precision"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_of_a_constant_is_that_of_the_majority_or_the_frequencies(scoring, weighted, alarms):
    X, y, init = make_always_majority()
    X_val, y_val, _ = make_always_majority(seed=1)
    weight = np.random.RandomState(0).uniform(0.5, 2.0, len(y_val)) if weighted else None
    if scoring in {"loss", "average_precision"}:
        # These scores need validation rows that the network gets wrong.
        X_val = -X_val
    clf = frozen(scoring=scoring)
    (found,) = alarms(clf.fit, X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight, **init)
    assert "by the validation score" in found
    best, constant = numbers_in(found)
    assert_allclose(best, clf.best_validation_score_, rtol=1e-3)
    share = np.average(y_val, weights=weight)
    expected = {
        None: 1.0 - share,
        "loss": -log_loss(y_val, np.full(len(y_val), share), sample_weight=weight),
        "f1": 0.0,
        "balanced_accuracy": 0.5,
        "average_precision": share,
    }
    assert_allclose(constant, expected[scoring], rtol=1e-3)


def test_cv_figures_are_out_of_fold(alarms):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(100, 5)), rng.randint(0, 2, 100)
    clf = small_cv()
    found = []
    while not found:
        found = alarms(clf.set_params(random_state=rng).fit, X, y)
    f = np.bincount(y) / 100
    assert_allclose(numbers_in(found[0]), [clf.oof_log_loss_, -(f * np.log(f)).sum()], rtol=1e-3)
    assert remedies(found[0]) == {"longer"}
    assert "holds for other rows" in found[0]


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_cv_alarm_if_and_only_if_the_out_of_fold_loss_is_not_below(n_classes, n, alarms):
    seen = set()
    for seed in range(6):
        rng = np.random.RandomState(seed)
        X, y = rng.normal(size=(n, 5)), rng.randint(0, n_classes, n)
        clf = small_cv(random_state=seed)
        f = np.bincount(y) / n
        alarmed = bool(alarms(clf.fit, X, y))
        assert alarmed == (clf.oof_log_loss_ >= -(f * np.log(f)).sum() * (1 - 1e-5))
        seen.add(alarmed)
    assert True in seen


def test_cv_alarm_of_random_labels(alarms):
    # What a network learns from random labels does not hold for other rows. The estimate is a little too good, so that
    # there is not always an alarm.
    found, expected = [], []
    for seed in range(10):
        rng = np.random.RandomState(seed)
        X, y = rng.normal(size=(200, 5)), rng.randint(0, 2, 200)
        clf = small_cv(random_state=seed)
        found.append(bool(alarms(clf.fit, X, y)))
        p = y.mean()
        expected.append(clf.oof_log_loss_ >= -p * math.log(p) - (1 - p) * math.log(1 - p))
    assert found == expected
    assert sum(found) >= 3


# No false alarms


LOADERS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


def scaled(name):
    X, y = LOADERS[name](return_X_y=True)
    return scale(X), y


def as_labels(y):
    """Each class as a label. Rows of the second class have the first label too."""
    labels = np.eye(y.max() + 1, dtype=int)[y]
    labels[:, 0] |= labels[:, 1]
    return labels if labels.shape[1] > 2 else np.column_stack([labels, labels[:, 1]])


ORDINARY = {
    "defaults": {},
    "sgd": {"solver": "sgd"},
    "lbfgs": {"solver": "lbfgs"},
    "tnc": {"solver": "tnc"},
    "early stopping": {"early_stopping": True},
    "early stopping by the loss": {"early_stopping": True, "scoring": "loss"},
    "label smoothing": {"label_smoothing": 0.3},
    "dropout": {"dropout": 0.5},
    "logistic units": {"out_activation": "logistic"},
    "float32": {"dtype": "float32"},
    "balanced": {"class_weight": "balanced"},
}


@pytest.mark.parametrize("params", ORDINARY.values(), ids=ORDINARY)
@pytest.mark.parametrize("name", LOADERS)
def test_no_alarm_of_ordinary_fits(name, params, alarms):
    assert alarms(BackpropClassifier(max_iter=50, random_state=0, **params).fit, *scaled(name)) == []


@pytest.mark.parametrize("name", LOADERS)
def test_no_alarm_of_ordinary_ensembles(name, alarms):
    assert alarms(BackpropClassifierCV(max_iter=30, random_state=0).fit, *scaled(name)) == []


@pytest.mark.parametrize("name", LOADERS)
def test_no_alarm_of_labels(name, alarms):
    X, y = scaled(name)
    params = {"max_iter": 50, "random_state": 0, "scoring": "loss", "early_stopping": True}
    assert alarms(BackpropClassifier(**params).fit, X, as_labels(y)) == []


@pytest.mark.parametrize("size", [1e-300, 1e-6, 1.0, 1e300])
def test_no_alarm_of_weighted_rows(size, alarms):
    X, y = scaled("breast_cancer")
    weight = np.random.RandomState(0).uniform(0.0, 2.0, len(X)) * size
    assert alarms(small(alpha=0.0, max_iter=30).fit, X, y, weight) == []
    assert alarms(small_cv(max_iter=20).fit, X, y, weight) == []


@pytest.mark.parametrize("clf", [small, small_cv])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_no_alarm_of_a_class_of_3_in_100(class_weight, clf, alarms):
    X, y = make_classification(1000, 20, weights=[0.97], flip_y=0, n_informative=5, random_state=1)
    params = {} if clf is small_cv else {"hidden_layer_sizes": (100,)}
    assert alarms(clf(class_weight=class_weight, **params).fit, scale(X), y) == []


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_alarm_of_a_single_class(label_smoothing, out_activation, early_stopping, alarms):
    # No prediction can be better than a constant one.
    X, _ = make_data(100)
    params = {"label_smoothing": label_smoothing, "out_activation": out_activation, "early_stopping": early_stopping}
    for max_iter in (1, 50):
        assert alarms(small(max_iter=max_iter, **params).fit, X, np.ones(100, dtype=int)) == []


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_alarm_of_a_single_class_in_cv(label_smoothing, alarms):
    X, _ = make_data(100)
    assert alarms(small_cv(label_smoothing=label_smoothing).fit, X, np.ones(100, dtype=int)) == []


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_alarm_of_labels_that_are_all_alike(label_smoothing, alarms):
    X, _ = make_data(100)
    labels = np.tile([0, 1, 1], (100, 1))
    assert alarms(small(label_smoothing=label_smoothing, max_iter=5).fit, X, labels) == []


@pytest.mark.parametrize("scoring", [None, "loss", "f1", "balanced_accuracy"])
@pytest.mark.parametrize("label", [0, 1])
def test_no_alarm_of_validation_rows_of_one_class(label, scoring, alarms):
    X, y = scaled("breast_cancer")
    clf = small(early_stopping=True, scoring=scoring, max_iter=30)
    of_one = y == label
    assert alarms(clf.fit, X, y, X_val=X[of_one], y_val=y[of_one]) == []


def test_no_alarm_of_partial_fit(alarms):
    X, y = make_data(30)
    clf = small(learning_rate_init=1e-6)
    for part in np.split(np.arange(30), 3):
        assert alarms(clf.partial_fit, X[part], y[part], classes=[0, 1]) == []


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=["plain", "early stopping"])
def test_no_alarm_of_a_warm_start(params, alarms):
    X, y = scaled("breast_cancer")
    clf = small(warm_start=True, max_iter=30, **params)
    for max_iter in (30, 1, 1, 5):
        assert alarms(clf.set_params(max_iter=max_iter).fit, X, y) == []


class Interrupter:
    """An activation that interrupts training at a call."""

    def __init__(self, after):
        self.calls = -(10**9)
        relu = ACTIVATIONS["relu"]

        def function(z, out):
            self.calls += 1
            if self.calls == after:
                raise KeyboardInterrupt
            return relu.function(z, out)

        self.activation = Activation(function, relu.slope)
        self.calls = 0


@pytest.mark.parametrize("after", [3, 5, 8])  # the first is of the second step at the earliest
@pytest.mark.parametrize("clf", [small, small_cv])
def test_no_alarm_of_an_interrupt(clf, after, warnings_of):
    X, y = make_data(100)
    clf = clf(activation=Interrupter(after).activation, learning_rate_init=1e-6)
    caught = warnings_of(clf.fit, X, y)
    assert any("interrupted" in str(w.message) for w in caught)
    assert not any(w.category is NothingLearnedWarning for w in caught)


def test_no_alarm_if_the_first_sample_of_rows_misleads(alarms):
    X, y = make_data(4 * SAMPLE_ROWS)
    rng = np.random.RandomState(1)
    first = evenly_spaced(len(X), SAMPLE_ROWS)
    y[first] = rng.randint(0, 2, len(first))
    assert alarms(small(max_iter=10).fit, X, y) == []


# The comparison with a constant prediction gives no warning of its own


def make_always_majority(n_classes=2, n=300, seed=0):
    """Rows, labels and initial weights. The network is better than a constant, but predicts the majority class only."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 3)).clip(-2.5, 2.5)
    logits = np.column_stack([np.zeros(n), X[:, : n_classes - 1] - 2.8])
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    W = np.eye(3)[:, : n_classes - 1]
    b = np.full(n_classes - 1, -2.8)
    if n_classes > 2:
        W, b = np.column_stack([np.zeros(3), W]), np.concatenate([[0.0], b])
    return X, y, {"coef_init": [W], "intercept_init": [b]}


def frozen(**params):
    params = {
        "solver": "sgd",
        "learning_rate_init": 1e-12,
        "max_iter": 3,
        "alpha": 0.0,
        "early_stopping": True,
    } | params
    return BackpropClassifier((), random_state=0, **params)


SCORERS = ["accuracy", "f1", "precision", "recall", "jaccard", "matthews_corrcoef", "balanced_accuracy"]
SCORERS += ["positive_likelihood_ratio", "roc_auc", "average_precision", "neg_log_loss", "top_k_accuracy"]
OF_ALL_CLASSES = [
    "f1_macro",
    "precision_macro",
    "precision_weighted",
    "recall_macro",
    "jaccard_weighted",
    "roc_auc_ovr",
]


@pytest.mark.parametrize(
    ("n_classes", "scoring"), [(2, s) for s in SCORERS] + [(k, s) for k in (2, 3) for s in OF_ALL_CLASSES]
)
def test_no_further_warning_of_an_undefined_metric(n_classes, scoring, warnings_of):
    X, y, init = make_always_majority(n_classes)
    clf = frozen(scoring=scoring)
    caught = warnings_of(clf.fit, X, y, X_val=X, y_val=y, **init)
    assert len(np.unique(clf.predict(X))) == 1
    undefined = [w for w in caught if w.category is UndefinedMetricWarning]
    # At most one an epoch, for the network's own predictions.
    assert len(undefined) in {0, clf.n_iter_}
    found = [str(w.message) for w in caught if w.category is NothingLearnedWarning]
    has_an_order = scoring in {"average_precision", "neg_log_loss"} or scoring.startswith("roc_auc")
    if scoring in {"positive_likelihood_ratio", "top_k_accuracy"}:  # these say nothing of such data
        assert len(found) <= 1
    else:
        assert [remedies(m) for m in found] == ([] if has_an_order else [{"scoring", "longer"}])


@pytest.mark.parametrize("scoring", ["precision", "f1", "f1_macro", "precision_macro", "jaccard", "recall"])
def test_a_score_above_that_of_a_constant_gives_no_warning_at_all(scoring, warnings_of):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 1))
    y = (2.0 * X[:, 0] - 3.0 + rng.logistic(size=300) > 0.0).astype(int)
    init = {"coef_init": [[[2.0]]], "intercept_init": [[-3.0]]}
    caught = warnings_of(frozen(scoring=scoring).fit, X, y, X_val=X, y_val=y, **init)
    assert {w.category for w in caught} == {ConvergenceWarning}


def test_a_users_own_scorer_is_not_compared(alarms):
    X, y, init = make_always_majority()
    seen = []

    def scoring(clf, X, y):
        seen.append(type(clf))
        return 0.0

    assert alarms(frozen(scoring=scoring).fit, X, y, X_val=X, y_val=y, **init) == []
    assert set(seen) == {BackpropClassifier}


# Advice if a method does not reach its tolerance


@pytest.fixture
def convergence_warning(warnings_of):
    """A function that gives the only message of a fit that it did not converge."""

    def convergence_warning(clf, X, y):
        (found,) = [str(w.message) for w in warnings_of(clf.fit, X, y) if w.category is ConvergenceWarning]
        return found

    return convergence_warning


KINKED = {"relu", "leaky_relu", "relu6", "selu"}


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_advice_names_the_activation_only_if_its_slope_jumps(activation, solver, convergence_warning):
    X, y = make_data()
    clf = small(solver=solver, activation=activation, max_iter=3, tol=1e-9)
    scaled_data = convergence_warning(clf, X, y)
    assert "failed to converge" in scaled_data
    assert ("The slope of the activation jumps at 0" in scaled_data) == (activation in KINKED)
    assert "StandardScaler" not in scaled_data
    for size in (1e-3, 1e3):
        unscaled = convergence_warning(clf, size * X, y)
        assert "slope" not in unscaled
        assert "scale the features, for example with sklearn.preprocessing.StandardScaler" in unscaled


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_no_such_advice_for_mini_batches(solver, convergence_warning):
    X, y = make_data()
    found = convergence_warning(small(solver=solver, max_iter=3), X, y)
    assert "slope" not in found


def test_kinks():
    for name, record in ACTIVATIONS.items():
        assert has_kinks([ACTIVATIONS["tanh"], record]) == (name in KINKED)
    assert not has_kinks([])


# Parts


def rows_of(X):
    nothing = np.zeros(X.shape[0])
    return Rows(X, nothing, nothing, nothing, None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (1.0, False),
        (9.9, False),
        (10.1, True),
        (1e30, True),
        (0.011, False),
        (0.009, True),
        (1e-30, True),
        (0.0, False),
    ],
)
def test_features_are_unscaled_by_their_root_mean_square(column, expected, container, dtype):
    rng = np.random.RandomState(0)
    X = scale(rng.normal(size=(3000, 2)))
    X[:, 1] = 0.0
    X[:, 0] *= column
    assert is_unscaled(rows_of(container(X.astype(dtype)))) is expected


def test_a_column_far_from_0_is_unscaled():
    X, _ = make_data()
    X[:, 2] += 1000.0
    assert is_unscaled(rows_of(X))


@pytest.mark.parametrize("n_rows", [1, 2, 1023, 1024, 1025, 100_000])
def test_the_sample_is_evenly_spaced_over_all_rows(n_rows):
    indices = evenly_spaced(n_rows, SAMPLE_ROWS)
    assert len(indices) == min(n_rows, SAMPLE_ROWS)
    assert indices[0] == 0
    assert indices[-1] == n_rows - 1
    assert np.ptp(np.diff(indices)) <= 1 if n_rows > 1 else True
    assert_array_equal(indices, np.unique(indices))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [100, 3 * SAMPLE_ROWS])
def test_nothing_is_learned_if_the_loss_is_that_of_the_frequencies(n, weighted, recipe_of):
    X, y = make_data(n)
    weight = np.random.RandomState(1).uniform(size=n) if weighted else None
    target = y[:, None] == 1
    rows = Rows(X, y, y, target, weight)
    share = np.average(y, weights=weight)
    recipe = recipe_of(hidden_layer_sizes=(), alpha=7.0).for_loss(LOSSES["logistic"])
    params = recipe.draw([5, 1], X.dtype, np.random.RandomState(0))
    params.vector[...] = 0.0
    params.biases[0][...] = np.log(share / (1.0 - share))
    objective = recipe.make_objective(params, rows)
    figures = nothing_learned(objective, rows, 1)
    assert_allclose(figures, [log_loss(y, np.full(n, share), sample_weight=weight)] * 2, rtol=1e-10)
    params.weights[0][0] = 2.0
    assert nothing_learned(objective, rows, 1) is None


def test_weights_that_are_all_zero_in_the_sample_leave_the_other_rows(recipe_of):
    X, y = make_data(4 * SAMPLE_ROWS)
    weight = np.ones(len(X))
    weight[evenly_spaced(len(X), SAMPLE_ROWS)] = 0.0
    recipe = recipe_of(hidden_layer_sizes=()).for_loss(LOSSES["softmax"])
    rows = Rows(X, y, y, y, weight)
    params = recipe.draw([5, 2], X.dtype, np.random.RandomState(0))
    params.vector[...] = 0.0
    mean, _ = nothing_learned(recipe.make_objective(params, rows), rows, 2)
    assert_allclose(mean, np.log(2.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("params", "size", "expected"),
    [
        ({"batch_size": 20}, None, 0.5 / 20),
        ({"solver": "lbfgs"}, None, 0.5 / 100),
        ({"batch_size": 20}, 4.0, 0.5 / 80),
        ({"alpha": [0.1, 0.5]}, 1e-3, 0.5 / 0.1),
        ({"alpha": 0.0}, 1e-300, 0.0),
        ({}, 0.0, np.inf),
    ],
)
def test_the_strength_of_the_penalty_is_that_of_a_batch_of_mean_weight(params, size, expected, recipe_of):
    weight = None if size is None else np.full(100, size)
    rows = Rows(make_data(100)[0], None, None, None, weight)
    recipe = recipe_of(**{"alpha": 0.5, "hidden_layer_sizes": (3,)} | params)
    assert diagnosis.penalty_strength(recipe, rows) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("params", "size", "expected"),
    [
        ({}, 1.0, "lower learning_rate_init, now 0.001"),
        ({}, 1e6, "scale the features, .*StandardScaler; lower learning_rate_init, now 0.001"),
        ({"alpha": 1e6}, 1.0, "lower alpha, now 1000000.0; lower learning_rate_init"),
        ({"solver": "lbfgs", "solver_options": {"maxls": 1}}, 1.0, r"give other solver_options=\{'maxls': 1\}"),
        ({"solver": "lbfgs"}, 1.0, "check the activation and coef_init"),
    ],
)
def test_an_objective_that_is_never_finite_has_remedies(params, size, expected, recipe_of):
    message = diagnosis.diverged_at_once(recipe_of(**params), rows_of(size * make_data(100)[0]))
    assert re.search(f"To help: {expected}", message)
