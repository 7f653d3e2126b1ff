"""A new activation, loss, update rule and schedule: each one entry in a registry, and the whole estimator works with it."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp._estimators import types
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES, Loss
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES, UpdateRule
from skbp.inspection import check_gradient, check_hessian_product, trace

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


def _bent(z, out):
    np.copyto(out, (np.sqrt(z * z + 1.0) - 1.0) / 2.0 + z / 2.0)
    return out


def _bent_slope(z, out):
    np.copyto(out, 0.5 * z / np.sqrt(z * z + 1.0) + 0.5)
    return out


def _bent_curvature(z, out):
    np.copyto(out, 0.5 * (z * z + 1.0) ** -1.5)
    return out


BENT = Activation(_bent, _bent_slope, _bent_curvature, needs_z=True, name="bent")


@dataclass(frozen=True)
class TemperedLoss(Loss):
    """The cross-entropy of the softmax of z / 4, times 4. Its probabilities are not the softmax of the logits."""

    name = "tempered"
    exclusive = True
    formula = "c = -4 sum_k y_k log p_k"

    def loss_gradient(self, logits, target, out):
        p = softmax(logits / 4.0, axis=-1)
        y = np.zeros_like(p)
        np.put_along_axis(y, target[..., None].astype(int), 1.0, axis=-1)
        y = (1.0 - self.label_smoothing) * y + self.label_smoothing / p.shape[-1]
        np.copyto(out, p - y)
        return -4.0 * np.sum(y * np.log(p), axis=-1)

    def hessian_product(self, logits, tangent, out):
        p = softmax(logits / 4.0, axis=-1)
        np.copyto(out, p * (tangent - np.sum(p * tangent, axis=-1, keepdims=True)) / 4.0)
        return out

    def of_frequencies(self, frequencies):
        smoothed = (1.0 - self.label_smoothing) * frequencies + self.label_smoothing / len(frequencies)
        return float(-4.0 * np.sum(smoothed * np.log(np.maximum(smoothed, 1e-300))))

    def proba(self, logits):
        return softmax(logits / 4.0, axis=-1).astype(logits.dtype)

    def log_proba(self, logits):
        return np.log(self.proba(logits))


@dataclass(frozen=True)
class SharpLoss(Loss):
    """The binary cross-entropy of sigma(2 z), halved, of each output. It says nothing of classes, names or formulas."""

    def loss_gradient(self, logits, target, out):
        y = (1.0 - self.label_smoothing) * target + 0.5 * self.label_smoothing
        np.copyto(out, expit(2.0 * logits) - y)
        return 0.5 * np.sum(np.logaddexp(0.0, 2.0 * logits) - 2.0 * y * logits, axis=-1)

    def hessian_product(self, logits, tangent, out):
        np.copyto(out, 2.0 * expit(2.0 * logits) * expit(-2.0 * logits) * tangent)
        return out

    def of_frequencies(self, frequencies):
        p = np.clip((1.0 - self.label_smoothing) * frequencies + 0.5 * self.label_smoothing, 1e-12, 1.0 - 1e-12)
        return float(-0.5 * np.sum(p * np.log(p) + (1.0 - p) * np.log(1.0 - p)))

    def proba(self, logits):
        return expit(2.0 * logits)

    def log_proba(self, logits):
        return -np.logaddexp(0.0, -2.0 * logits)


class SignDescent(UpdateRule):
    """theta <- theta - eta sign(v) with v <- mu v + g."""

    parameters = ("momentum",)

    def __init__(self, momentum):
        super().__init__()
        self.momentum = float(momentum)

    def step(self, theta, gradient, learning_rate):
        if not self.state:
            self.state = {"velocity": np.zeros_like(theta)}
        self.state["velocity"] *= self.momentum
        self.state["velocity"] += gradient
        theta -= learning_rate * np.sign(self.state["velocity"])


def halving(progress, power_t):
    return 0.5 ** (4.0 * progress.fraction)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "bent", BENT)
    monkeypatch.setitem(LOSSES, "tempered", TemperedLoss())
    monkeypatch.setitem(LOSSES, "sharp", SharpLoss())
    monkeypatch.setitem(UPDATES, "sign", SignDescent)
    monkeypatch.setitem(SCHEDULES, "halving", halving)


NEW = {
    "activation": "bent",
    "out_activation": "tempered",
    "solver": "sign",
    "learning_rate": "halving",
    "learning_rate_init": 0.01,
    "batch_size": 16,
    "momentum": 0.5,
    "label_smoothing": 0.1,
}


def probabilities(name, logits):
    """Class probabilities that follow from the logits, written independently of the losses."""
    if name == "tempered":
        return softmax(logits / 4.0, axis=1)
    p = expit(2.0 * logits)
    return p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("out_activation", ["tempered", "sharp"])
@pytest.mark.parametrize("solver", ["sign", "adam", "lbfgs", "newton-cg"])
def test_a_classifier_learns_with_them_and_its_probabilities_are_those_of_the_loss(out_activation, solver):
    params = NEW | {"out_activation": out_activation, "solver": solver}
    if solver in ("lbfgs", "newton-cg"):
        params = {name: params[name] for name in ("activation", "out_activation", "solver", "label_smoothing")}
    elif solver == "adam":
        del params["momentum"]
    clf = BackpropClassifier((8,), random_state=0, max_iter=40, **params).fit(X, NAMES)
    assert clf.score(X, NAMES) > 0.9
    logits, proba = clf.decision_function(X), clf.predict_proba(X)
    assert_allclose(proba, probabilities(out_activation, logits), rtol=1e-9)
    assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-6, atol=1e-9)
    assert_array_equal(clf.predict(X), clf.classes_[logits.argmax(axis=1)])


@pytest.mark.parametrize("out_activation", ["tempered", "sharp"])
def test_their_derivatives_are_right(out_activation):
    clf = BackpropClassifier((5, 4), "bent", out_activation=out_activation, label_smoothing=0.1, random_state=0)
    assert check_gradient(clf, X, NAMES).passed
    assert check_hessian_product(clf, X, NAMES).passed


def test_two_classes_have_the_probabilities_of_the_loss_too():
    for name in ("tempered", "sharp"):
        clf = BackpropClassifier((4,), out_activation=name, random_state=0, max_iter=20).fit(X, y == 0)
        assert clf.n_outputs_ == 2
        odds = clf.decision_function(X)
        assert_allclose(clf.predict_proba(X)[:, 1], expit(odds), rtol=1e-9)
        assert_array_equal(clf.predict(X), odds > 0)


def test_labels_have_the_probabilities_of_the_loss():
    rows, labels = make_multilabel_classification(80, 6, n_classes=3, random_state=0)
    clf = BackpropClassifier((6,), out_activation="sharp", random_state=0, max_iter=20).fit(rows / 9.0, labels)
    assert_allclose(clf.predict_proba(rows), expit(2.0 * clf.decision_function(rows)), rtol=1e-9)
    with pytest.raises(ValueError, match="out_activation='tempered' is for classes that exclude each other"):
        BackpropClassifier(out_activation="tempered").fit(rows, labels)


def test_an_ensemble_trains_with_them_as_a_stack():
    ensemble = BackpropClassifierCV((8,), cv=3, random_state=0, max_iter=40, scale=False, n_repeats=1, **NEW).fit(
        X, NAMES
    )
    assert ensemble.score(X, NAMES) > 0.9
    mean = np.mean(
        [probabilities("tempered", m.decision_function(X) / ensemble.temperature_) for m in ensemble.members_], axis=0
    )
    assert_allclose(ensemble.predict_proba(X), mean, rtol=1e-5)


def test_training_goes_on_with_the_state_of_a_new_rule():
    whole = BackpropClassifier((4,), random_state=0, max_iter=5, shuffle=False, **NEW).fit(X, NAMES)
    clf = BackpropClassifier((4,), random_state=0, max_iter=5, shuffle=False, **NEW)
    for _ in range(5):
        clf.partial_fit(X, NAMES, classes=whole.classes_)
    for one, other in zip(whole.coefs_, clf.coefs_, strict=True):
        assert_array_equal(one, other)


def test_a_trace_shows_the_formula_of_a_new_loss():
    clf = make_pipeline(StandardScaler(), BackpropClassifier((4,), random_state=0, max_iter=3, **NEW)).fit(X, NAMES)
    text = str(trace(clf, X[0], NAMES[0]))
    assert "c = -4 sum_k y_k log p_k" in text
    assert "bent(z_1)" in text


def test_messages_name_the_new_entries():
    with pytest.raises(ValueError, match=r"'bent'.*Did you mean 'bent'"):
        BackpropClassifier(activation="bend").fit(X, y)
    with pytest.raises(ValueError, match="'tempered'"):
        BackpropClassifier(out_activation="temper").fit(X, y)


def test_the_types_name_what_the_registries_have():
    assert set(get_args(types.ActivationName)) == ACTIVATIONS.keys() - {"bent"}
    assert set(get_args(types.OutActivation)) == {"auto", *LOSSES} - {"tempered", "sharp"}
    assert set(get_args(types.Solver)) == SOLVERS.keys() - {"sign"}
    assert set(get_args(get_args(types.Schedule)[0])) == SCHEDULES.keys() - {"halving"}


def test_every_record_has_the_name_of_its_entry():
    for registry in (ACTIVATIONS, LOSSES, UPDATES):
        assert {name: record.name for name, record in registry.items() if name not in {"sign", "sharp"}} == {
            name: name for name in registry if name not in {"sign", "sharp"}
        }
