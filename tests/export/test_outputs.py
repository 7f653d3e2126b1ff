"""Labels, probabilities and decision functions of every kind of target."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

from exported import assert_same, outputs
from numpy.testing import assert_allclose, assert_array_equal
from registries import LOSSES
from sklearn.datasets import load_iris

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._network.losses import SoftmaxLoss
from skbp.onnx import to_onnx
from skbp.onnx.outputs import class_labels

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
TARGETS = {
    "one logistic unit": ({}, y > 0),
    "two softmax units": ({"out_activation": "softmax"}, NAMES == "setosa"),
    "two logistic units": ({"out_activation": "logistic"}, y > 0),
    "softmax": ({}, NAMES),
    "three logistic units": ({"out_activation": "logistic"}, NAMES),
    "three labels": ({}, np.stack([y > 0, y > 1, X[:, 0] > 6.0], axis=1).astype(int)),
    "two labels": ({}, np.stack([y > 0, X[:, 0] > 6.0], axis=1).astype(int)),
    "one class": ({}, np.full(len(y), 7)),
    "integers": ({}, 10 * y - 5),
    "floats": ({}, y.astype(float)),
    "objects": ({}, NAMES.astype(object)),
}
ESTIMATORS = {
    "network": lambda **params: BackpropClassifier((6,), max_iter=30, random_state=0, **params),
    "ensemble": lambda **params: BackpropClassifierCV((6,), cv=3, max_iter=30, random_state=0, dtype=None, **params),
}
every_estimator = pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
every_target = pytest.mark.parametrize("target", TARGETS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_estimator
@every_target
def test_labels_and_probabilities_are_those_of_the_classifier(target, make, dtype):
    params, labels = TARGETS[target]
    assert_same(make(**params).fit(X.astype(dtype), labels), X.astype(dtype))


@every_estimator
@every_target
def test_raw_scores_are_the_decision_function(target, make):
    params, labels = TARGETS[target]
    clf = make(**params).fit(X, labels)
    _, scores = outputs(clf, X, options={"raw_scores": True})
    expected = clf.decision_function(X)
    if expected.ndim == 1:
        expected = np.stack([-expected, expected], axis=1)[:, -len(clf.classes_) :]
    assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)


def test_a_multilabel_target_of_two_labels_has_two_columns():
    clf = ESTIMATORS["network"]().fit(X, TARGETS["two labels"][1])
    label, probabilities = outputs(clf, X)
    assert label.shape == probabilities.shape == (len(X), 2)


def test_probabilities_saturate_as_those_of_the_classifier():
    labels = TARGETS["two labels"][1]
    for target in (y, y > 0, labels):
        clf = ESTIMATORS["network"]().fit(X, target)
        clf.coefs_ = [1e3 * w for w in clf.coefs_]
        assert_same(clf, X)
        assert 0.0 < outputs(clf, X)[1].min() < 1e-300
    assert outputs(clf, X)[1].max() == clf.predict_proba(X).max() < 1.0


def test_class_numbers_can_take_the_place_of_labels():
    clf = ESTIMATORS["network"]().fit(X, NAMES)
    label, _ = outputs(clf, X, options={"nocl": True})
    assert_array_equal(clf.classes_[label], clf.predict(X))


def test_a_loss_that_was_added_is_refused(monkeypatch):
    class Tempered(SoftmaxLoss):
        name = "tempered"

    monkeypatch.setitem(LOSSES, "tempered", Tempered())
    clf = ESTIMATORS["network"](out_activation="tempered").fit(X, y)
    with pytest.raises(NotImplementedError, match="out_activation='tempered' has no ONNX expression"):
        to_onnx(clf, X)


def test_class_labels_beyond_int64_are_refused():
    with pytest.raises(ValueError, match="text or int64, but the classes are"):
        class_labels(np.array([0.0, 1e20]))
