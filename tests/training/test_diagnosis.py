"""A fit that has learned nothing says so and names what helps; an ordinary fit says nothing of the kind."""

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
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._training.diagnosis import SAMPLE_ROWS, has_kinks, is_unscaled, sample

# Most tests train for a few epochs only, and are not about where those lead.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

REMEDIES = {
    "scoring": "set scoring='loss'",
    "scale": "StandardScaler",
    "alpha": "lower alpha=",
    "rate": "lower learning_rate_init=",
    "longer": "train longer",
}


def warnings_of(function, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args, **kwargs)
    return caught


def alarms(function, *args, **kwargs):
    """The messages that nothing was learned."""
    caught = warnings_of(function, *args, **kwargs)
    return [str(w.message) for w in caught if w.category is NothingLearnedWarning]


def remedies(message):
    return {name for name, text in REMEDIES.items() if text in message}


def numbers_in(message):
    """The two figures that a message compares."""
    figures = re.findall(r"(?:is|gives|has) (-?[\d.]+(?:e[+-]?\d+)?)", message)
    return [float(figure.rstrip(".")) for figure in figures]


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (20,), "max_iter": 50, "random_state": 0, **params})


def small_cv(**params):
    return BackpropClassifierCV(**{"hidden_layer_sizes": (20,), "max_iter": 50, "random_state": 0, **params})


def make_data(n=300, seed=0):
    """Rows of which the first column tells the class, 38 in 100 of the second one."""
    X = np.random.RandomState(seed).normal(size=(n, 5))
    return X, (X[:, 0] > 0.3).astype(int)


def make_rare():
    """1 row in 100 of the second class."""
    X, y = make_classification(1000, 20, weights=[0.99], flip_y=0, n_informative=5, random_state=1)
    return scale(X), y


def make_many_labels():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(600, 60))
    return X, (X @ rng.normal(size=(60, 39)) > 9).astype(int)


# The loss of the class frequencies


def least_constant_loss(loss, target, n_outputs, weight):
    """The least weighted mean loss of constant logits, by search."""

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
def test_a_fit_that_learns_nothing_names_the_fitting_remedies(case):
    clf, data, expected = ALARMS[case]
    found = alarms(clf.fit, *data())
    assert len(found) == 1
    assert "Nothing was learned" in found[0]
    assert remedies(found[0]) == expected
    mean, constant = numbers_in(found[0])
    assert mean >= constant


def test_alarm_of_unscaled_data_that_end_at_the_share_of_the_majority():
    X, y = make_data()
    clf = small(activation="logistic")
    assert len(alarms(clf.fit, 1e-4 * X, y)) == 1
    assert clf.score(1e-4 * X, y) == np.mean(y == 0)


def test_alarm_of_scikit_learns_class_where_the_module_is_imported():
    assert issubclass(skbp.NothingLearnedWarning, UserWarning)
    assert not issubclass(skbp.NothingLearnedWarning, ConvergenceWarning)


@pytest.mark.parametrize("scoring", ["loss", None])
def test_many_labels_learn_by_the_loss(scoring):
    # The remedy that the warning names helps.
    X, Y = make_many_labels()
    clf = small(early_stopping=True, max_iter=200, scoring=scoring, learning_rate_init=0.01)
    assert bool(alarms(clf.fit, X, Y)) == (scoring is None)


def test_an_alarm_of_many_labels_does_not_blame_the_learning_rate():
    # The loss is summed over the labels: with 39 of them that of a fresh network is 39 log 2 = 27.
    X, Y = make_many_labels()
    (found,) = alarms(small(max_iter=3).fit, X, Y)
    assert remedies(found) == {"longer"}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["binary", "three classes", "two units", "labels"])
def test_the_figures_are_the_mean_loss_and_that_of_the_class_frequencies(target, weighted, label_smoothing):
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
    # By label for each unit, smoothed.
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
def test_the_score_of_a_constant_is_that_of_the_majority_or_the_frequencies(scoring, weighted):
    X, y, init = make_always_majority()
    X_val, y_val, _ = make_always_majority(seed=1)
    weight = np.random.RandomState(0).uniform(0.5, 2.0, len(y_val)) if weighted else None
    if scoring in {"loss", "average_precision"}:
        # Of the validation rows, but for those the other way round.
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


def test_cv_figures_are_out_of_fold():
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
def test_cv_alarm_if_and_only_if_the_out_of_fold_loss_is_not_below(n_classes, n):
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


def test_cv_alarm_of_random_labels():
    # What is learned of random labels holds for no other rows. The estimate is a little too good, so that some go unnoticed.
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
    """Each class a label, the first also where the second is."""
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
def test_no_alarm_of_ordinary_fits(name, params):
    assert alarms(BackpropClassifier(max_iter=50, random_state=0, **params).fit, *scaled(name)) == []


@pytest.mark.parametrize("name", LOADERS)
def test_no_alarm_of_ordinary_ensembles(name):
    assert alarms(BackpropClassifierCV(max_iter=30, random_state=0).fit, *scaled(name)) == []


@pytest.mark.parametrize("name", LOADERS)
def test_no_alarm_of_labels(name):
    X, y = scaled(name)
    params = {"max_iter": 50, "random_state": 0, "scoring": "loss", "early_stopping": True}
    assert alarms(BackpropClassifier(**params).fit, X, as_labels(y)) == []


@pytest.mark.parametrize("size", [1e-300, 1e-6, 1.0, 1e300])
def test_no_alarm_of_weighted_rows(size):
    X, y = scaled("breast_cancer")
    weight = np.random.RandomState(0).uniform(0.0, 2.0, len(X)) * size
    assert alarms(small(alpha=0.0, max_iter=30).fit, X, y, weight) == []
    assert alarms(small_cv(max_iter=20).fit, X, y, weight) == []


@pytest.mark.parametrize("clf", [small, small_cv])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_no_alarm_of_a_class_of_3_in_100(class_weight, clf):
    X, y = make_classification(1000, 20, weights=[0.97], flip_y=0, n_informative=5, random_state=1)
    params = {} if clf is small_cv else {"hidden_layer_sizes": (100,)}
    assert alarms(clf(class_weight=class_weight, **params).fit, scale(X), y) == []


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("out_activation", ["auto", "softmax", "logistic"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_alarm_of_a_single_class(label_smoothing, out_activation, early_stopping):
    # No prediction can be better than a constant one.
    X, _ = make_data(100)
    params = {"label_smoothing": label_smoothing, "out_activation": out_activation, "early_stopping": early_stopping}
    for max_iter in (1, 50):
        assert alarms(small(max_iter=max_iter, **params).fit, X, np.ones(100, dtype=int)) == []


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_alarm_of_a_single_class_in_cv(label_smoothing):
    X, _ = make_data(100)
    assert alarms(small_cv(label_smoothing=label_smoothing).fit, X, np.ones(100, dtype=int)) == []


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_alarm_of_labels_that_are_all_alike(label_smoothing):
    X, _ = make_data(100)
    labels = np.tile([0, 1, 1], (100, 1))
    assert alarms(small(label_smoothing=label_smoothing, max_iter=5).fit, X, labels) == []


@pytest.mark.parametrize("scoring", [None, "loss", "f1", "balanced_accuracy"])
@pytest.mark.parametrize("label", [0, 1])
def test_no_alarm_of_validation_rows_of_one_class(label, scoring):
    X, y = scaled("breast_cancer")
    clf = small(early_stopping=True, scoring=scoring, max_iter=30)
    of_one = y == label
    assert alarms(clf.fit, X, y, X_val=X[of_one], y_val=y[of_one]) == []


def test_no_alarm_of_partial_fit():
    X, y = make_data(30)
    clf = small(learning_rate_init=1e-6)
    for part in np.split(np.arange(30), 3):
        assert alarms(clf.partial_fit, X[part], y[part], classes=[0, 1]) == []


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=["plain", "early stopping"])
def test_no_alarm_of_a_warm_start(params):
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
def test_no_alarm_of_an_interrupt(clf, after):
    X, y = make_data(100)
    clf = clf(activation=Interrupter(after).activation, learning_rate_init=1e-6)
    caught = warnings_of(clf.fit, X, y)
    assert any("interrupted" in str(w.message) for w in caught)
    assert not any(w.category is NothingLearnedWarning for w in caught)


def test_no_alarm_where_the_rows_that_are_looked_at_first_mislead():
    X, y = make_data(4 * SAMPLE_ROWS)
    rng = np.random.RandomState(1)
    first = sample(len(X))
    y[first] = rng.randint(0, 2, len(first))
    assert alarms(small(max_iter=10).fit, X, y) == []


# The comparison with a constant prediction gives no warning of its own


def make_always_majority(n_classes=2, n=300, seed=0):
    """Rows, labels and the initial weights of a network better than a constant, which predicts the majority alone."""
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
def test_no_further_warning_of_an_undefined_metric(n_classes, scoring):
    X, y, init = make_always_majority(n_classes)
    clf = frozen(scoring=scoring)
    caught = warnings_of(clf.fit, X, y, X_val=X, y_val=y, **init)
    assert len(np.unique(clf.predict(X))) == 1
    undefined = [w for w in caught if w.category is UndefinedMetricWarning]
    # At most one an epoch, of the network's own predictions.
    assert len(undefined) in {0, clf.n_iter_}
    found = [str(w.message) for w in caught if w.category is NothingLearnedWarning]
    has_an_order = scoring in {"average_precision", "neg_log_loss"} or scoring.startswith("roc_auc")
    if scoring in {"positive_likelihood_ratio", "top_k_accuracy"}:  # these say nothing of such data
        assert len(found) <= 1
    else:
        assert [remedies(m) for m in found] == ([] if has_an_order else [{"scoring", "longer"}])


@pytest.mark.parametrize("scoring", ["precision", "f1", "f1_macro", "precision_macro", "jaccard", "recall"])
def test_a_score_above_that_of_a_constant_gives_no_warning_at_all(scoring):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 1))
    y = (2.0 * X[:, 0] - 3.0 + rng.logistic(size=300) > 0.0).astype(int)
    init = {"coef_init": [[[2.0]]], "intercept_init": [[-3.0]]}
    caught = warnings_of(frozen(scoring=scoring).fit, X, y, X_val=X, y_val=y, **init)
    assert {w.category for w in caught} == {ConvergenceWarning}


def test_a_scorer_of_the_users_own_is_not_compared():
    X, y, init = make_always_majority()
    seen = []

    def scoring(clf, X, y):
        seen.append(type(clf))
        return 0.0

    assert alarms(frozen(scoring=scoring).fit, X, y, X_val=X, y_val=y, **init) == []
    assert set(seen) == {BackpropClassifier}


# Advice where a method does not reach its tolerance


def convergence_warning(clf, X, y):
    (found,) = [str(w.message) for w in warnings_of(clf.fit, X, y) if w.category is ConvergenceWarning]
    return found


KINKED = {"relu", "leaky_relu", "relu6", "selu"}


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_advice_speaks_of_the_activation_only_where_its_slope_jumps(activation, solver):
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
def test_no_such_advice_for_mini_batches(solver):
    X, y = make_data()
    found = convergence_warning(small(solver=solver, max_iter=3), X, y)
    assert "slope" not in found


def test_kinks():
    for name, record in ACTIVATIONS.items():
        assert has_kinks([ACTIVATIONS["tanh"], record]) == (name in KINKED)
    assert not has_kinks([])


# Parts


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
    assert is_unscaled(container(X.astype(dtype))) is expected


def test_a_column_far_from_0_is_unscaled():
    X, _ = make_data()
    X[:, 2] += 1000.0
    assert is_unscaled(X)


@pytest.mark.parametrize("n_rows", [1, 2, 1023, 1024, 1025, 100_000])
def test_the_sample_is_evenly_spaced_over_all_rows(n_rows):
    indices = sample(n_rows)
    assert len(indices) == min(n_rows, SAMPLE_ROWS)
    assert indices[0] == 0
    assert indices[-1] == n_rows - 1
    assert np.ptp(np.diff(indices)) <= 1 if n_rows > 1 else True
    assert_array_equal(indices, np.unique(indices))
