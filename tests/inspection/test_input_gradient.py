"""The gradient by the input equals central differences of what predictions show, for every activation and output layer."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS
from scipy.sparse import csc_array, csr_array
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_networks import random_weights

from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp.inspection import input_gradient

X = np.random.default_rng(0).normal(size=(9, 4))
TARGETS = {
    "two classes": ([0, 1], {}, 1),
    "two softmax outputs": (["a", "b"], {"out_activation": "softmax"}, 2),
    "softmax": (["a", "b", "c"], {}, 3),
    "one against all": (["a", "b", "c"], {"out_activation": "logistic"}, 3),
    "multilabel": ([0, 1, 2], {"multilabel": True}, 3),
}


def network(target="softmax", hidden=(5, 3), activation="tanh"):
    classes, params, n_outputs = TARGETS[target]
    weights = random_weights([4, *hidden, n_outputs])
    return BackpropClassifier.from_weights(*weights, classes=classes, activation=activation, **params)


def labels(clf):
    rng = np.random.default_rng(1)
    if clf.predict(X).ndim == 2:
        return rng.integers(2, size=(len(X), len(clf.classes_)))
    return clf.classes_[rng.integers(len(clf.classes_), size=len(X))]


def by_differences(function, h=1e-4):
    """The derivatives of a function of rows by each feature, by the five-point formula."""
    columns = []
    for e in h * np.eye(X.shape[1]):
        near, far = function(X + e) - function(X - e), function(X + 2 * e) - function(X - 2 * e)
        columns.append((8 * near - far) / (12 * h))
    return np.stack(columns, axis=1)


def logit(clf, label):
    """A function of rows: the logit of a class."""
    if clf.n_outputs_ == 1:
        return lambda rows: clf.decision_function(rows) * (1 if label == clf.classes_[-1] else -1)
    z = clf.coefs_[-1], clf.intercepts_[-1]
    k = clf.classes_.tolist().index(label)
    return lambda rows: (clf.hidden_features(rows) @ z[0] + z[1])[:, k]


def loss(clf, y, smoothing=0.0):
    """A function of rows: the loss of each, from the probabilities."""

    def of(rows):
        z = clf.hidden_features(rows) @ clf.coefs_[-1] + clf.intercepts_[-1]
        if clf.out_activation_ == "softmax":
            target = (y[:, None] == clf.classes_) * (1.0 - smoothing) + smoothing / len(clf.classes_)
            return np.log(np.exp(z).sum(axis=1)) - (target * z).sum(axis=1)
        target = y if y.ndim == 2 else y[:, None] == (clf.classes_ if z.shape[1] > 1 else clf.classes_[-1:])
        target = target * (1.0 - smoothing) + smoothing / 2
        return (np.logaddexp(0.0, z) - target * z).sum(axis=1)

    return of


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_it_equals_central_differences(activation, target):
    clf = network(target, activation=activation)
    y = labels(clf)
    for label in clf.classes_:
        assert_allclose(input_gradient(clf, X, label), by_differences(logit(clf, label)), rtol=1e-7, atol=1e-8)
    assert_allclose(input_gradient(clf, X, "loss", y), by_differences(loss(clf, y)), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("target", TARGETS)
def test_label_smoothing_counts_and_class_weights_and_the_penalty_do_not(target):
    clf = network(target)
    y = labels(clf)
    expected = by_differences(loss(clf, y, smoothing=0.3))
    clf.set_params(label_smoothing=0.3, alpha=5.0, class_weight="balanced", dropout=0.5)
    assert_allclose(input_gradient(clf, X, "loss", y), expected, rtol=1e-7, atol=1e-8)


def test_without_hidden_layers_it_is_the_weights():
    clf = network(hidden=())
    assert_array_equal(input_gradient(clf, X, "b"), np.tile(clf.coefs_[0][:, 1], (len(X), 1)))


def test_an_activation_of_ones_own():
    cube = Activation(
        lambda z, out: np.power(z, 3, out=out), lambda z, out: np.multiply(3.0, z * z, out=out), needs_z=True
    )
    clf = network(activation=[cube, "silu"])
    assert_allclose(input_gradient(clf, X, "a"), by_differences(logit(clf, "a")), rtol=1e-6, atol=1e-7)


def test_minus_the_loss_of_a_class_is_the_gradient_of_its_log_probability():
    clf = network()
    y = np.full(len(X), "c")
    expected = by_differences(lambda rows: clf.predict_log_proba(rows)[:, 2])
    assert_allclose(-input_gradient(clf, X, "loss", y), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("of", ["b", "loss"])
def test_chunks_sparse_rows_and_lists_give_the_same(of):
    clf = network()
    y = labels(clf) if of == "loss" else None
    expected = input_gradient(clf, X, of, y)
    assert expected.dtype == np.float64
    many, of_many = np.tile(X, (250, 1)), None if y is None else np.tile(y, 250)
    for rows in (many, csr_array(many), csc_array(many), many.tolist()):
        result = input_gradient(clf, rows, of, of_many)
        assert_allclose(result, np.tile(expected, (250, 1)), rtol=1e-11, atol=1e-14)
    # Sums in float64, also of float32 rows and weights.
    single = BackpropClassifier.from_weights(
        *[[a.astype(np.float32) for a in arrays] for arrays in random_weights([4, 5, 3, 3])],
        classes=["a", "b", "c"],
        activation="tanh",
    )
    assert_allclose(input_gradient(single, X.astype(np.float32), of, y), expected, rtol=1e-5, atol=1e-6)


def test_memory_does_not_grow_with_the_rows_beside_the_result():
    clf = network(hidden=(200,))
    rows = np.tile(X, (2_000, 1))
    tracemalloc.start()
    try:
        result = input_gradient(clf, rows, "a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * result.nbytes + 2**24 < rows.shape[0] * 200 * 8


def test_sparse_multilabel_targets():
    clf = network("multilabel")
    y = labels(clf)
    assert_allclose(input_gradient(clf, X, "loss", csr_array(y)), input_gradient(clf, X, "loss", y), rtol=1e-12)


def test_a_pipeline_transforms_the_rows_and_the_gradient_is_by_the_networks_input():
    y = labels(network())
    scaled = StandardScaler().fit(X)
    clf = network()
    assert_array_equal(
        input_gradient(make_pipeline(scaled, clf), X, "a"), input_gradient(clf, scaled.transform(X), "a")
    )
    assert_array_equal(
        input_gradient(make_pipeline(scaled, clf), X, "loss", y), input_gradient(clf, scaled.transform(X), "loss", y)
    )


def test_a_frame_has_the_names_of_the_features():
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = BackpropClassifier(3, "tanh", solver="lbfgs", max_iter=2000, alpha=1.0, random_state=0).fit(
        frame, X[:, 0] > 0.0
    )
    assert_array_equal(input_gradient(clf, frame, True), -input_gradient(clf, frame, False))
    with pytest.raises(ValueError, match="feature names should match"):
        input_gradient(clf, frame.rename(columns={"a": "e"}), True)


def test_a_member_of_an_ensemble_takes_what_its_view_returns():
    y = np.arange(60) % 2
    rows = np.random.default_rng(0).normal(size=(60, 3)) + y[:, None]
    clf = BackpropClassifierCV(3, cv=2, random_state=0).fit(rows, y)
    with pytest.raises(TypeError, match=r"BackpropClassifierCV, which is 4 networks: pass one of its members_"):
        input_gradient(clf, rows, 1)
    for member, view in zip(clf.members_, clf.views_, strict=True):
        seen = view.transform(rows)
        assert input_gradient(member, seen, 1).shape == seen.shape


def test_a_class_called_loss():
    clf = BackpropClassifier.from_weights(*random_weights([4, 1]), classes=["gain", "loss"])
    assert_array_equal(input_gradient(clf, X, "loss"), -input_gradient(clf, X, "gain"))
    assert_array_equal(input_gradient(clf, X, "loss"), np.tile(clf.coefs_[0].T, (len(X), 1)))
    of_loss = input_gradient(clf, X, "loss", np.full(len(X), "gain"))
    assert_allclose(of_loss, clf.predict_proba(X)[:, [1]] * clf.coefs_[0].T)


@pytest.mark.parametrize(
    ("of", "y", "message"),
    [
        ("d", None, r"of='d' must be 'loss' or one of the classes that clf knows, its classes_: \['a', 'b', 'c'\]"),
        (["a"], None, r"of=\['a'\] must be 'loss' or one of the classes"),
        (None, None, "of=None must be 'loss' or one of the classes"),
        ("loss", None, "of='loss' needs y, the labels of the rows of X"),
        ("a", ["a"] * 9, "y is given, and of='a': y is only for of='loss'"),
        ("loss", ["a"] * 8, "X has 9 rows and y 8: they must be as many"),
        ("loss", "a", "X has 9 rows and y 0: they must be as many"),
        ("loss", ["a"] * 8 + ["d"], r"y has labels that clf does not know: \['d'\]"),
    ],
)
def test_wrong_arguments_are_named(of, y, message):
    with pytest.raises(ValueError, match=message):
        input_gradient(network(), X, of, y)


def test_wrong_estimators_are_named():
    with pytest.raises(NotFittedError):
        input_gradient(BackpropClassifier(), X, 0)
    with pytest.raises(TypeError, match="clf is of type StandardScaler"):
        input_gradient(StandardScaler(), X, 0)
    with pytest.raises(TypeError, match="clf is of type MLPClassifier, which has no `objective`"):
        input_gradient(MLPClassifier(), X, 0)
    with pytest.raises(ValueError, match="X has 3 features, but BackpropClassifier is expecting 4"):
        input_gradient(network(), X[:, :3], "a")


def test_a_gradient_beyond_the_largest_number_is_an_error():
    clf = BackpropClassifier.from_weights([[[1e200]], [[1e200]]], [[0.0], [0.0]], classes=[0, 1], activation="identity")
    with pytest.raises(ValueError, match="The gradient by the input is not finite"):
        input_gradient(clf, [[1e-300]], 1)
