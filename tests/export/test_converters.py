"""Our estimators inside those of scikit-learn, converted by skl2onnx with its options."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

import skl2onnx
from exported import assert_same, outputs, run
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skbp import BackpropClassifier, BackpropClassifierCV, HiddenFeatures
from skbp.onnx import to_onnx

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
NETWORK = BackpropClassifier((6,), "tanh", max_iter=30, random_state=0)
ENSEMBLE = BackpropClassifierCV((6,), cv=3, max_iter=30, random_state=0, dtype=None)
SCALED = make_pipeline(StandardScaler(), NETWORK)
MIXED = [("network", NETWORK), ("linear", LogisticRegression())]

every_type = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@every_type
@pytest.mark.parametrize(
    "estimator",
    [
        SCALED,
        make_pipeline(StandardScaler(), ENSEMBLE),
        GridSearchCV(SCALED, {"backpropclassifier__alpha": [0.1, 1.0]}, cv=2),
        CalibratedClassifierCV(NETWORK, cv=2),
        VotingClassifier(MIXED, voting="soft", flatten_transform=False),
        StackingClassifier(MIXED, cv=2),
        BaggingClassifier(NETWORK, n_estimators=2, random_state=0),
        make_pipeline(HiddenFeatures(NETWORK), LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator[-1] if hasattr(estimator, "steps") else estimator).__name__,
)
@pytest.mark.parametrize("labels", [NAMES, y > 0], ids=["text", "bool"])
def test_inside_estimators_of_scikit_learn(estimator, labels, dtype):
    narrow = X.astype(dtype)
    estimator.fit(narrow, labels)
    label, probabilities = outputs(estimator, narrow)
    assert_array_equal(label, estimator.predict(narrow))
    assert_allclose(
        probabilities, estimator.predict_proba(narrow), rtol=0.0, atol=1e-6 if dtype == np.float32 else 1e-12
    )


def test_after_a_column_transformer():
    table = pd.DataFrame(X, columns=list("abcd")).assign(city=np.where(np.arange(150) % 3, "Rome", "Oslo"))
    columns = make_column_transformer((StandardScaler(), list("abcd")), (OneHotEncoder(), ["city"]))
    assert_same(make_pipeline(columns, NETWORK).fit(table, NAMES), table)


def test_rows_of_float32_for_a_network_of_float64_and_the_reverse():
    for given, other in ((np.float32, np.float64), (np.float64, np.float32)):
        for clf in (NETWORK, ENSEMBLE):
            assert_same(clf.fit(X.astype(given), NAMES), X.astype(other))


def test_integers_are_computed_in_float64():
    whole = np.round(10.0 * X).astype(np.int64)
    assert_same(NETWORK.fit(whole, NAMES), whole)
    model = skl2onnx.to_onnx(NETWORK, whole[:1], options={"zipmap": False})
    _, probabilities = run(model, {"X": whole})
    assert_allclose(probabilities, NETWORK.predict_proba(whole), rtol=0.0, atol=1e-12)


@every_type
@pytest.mark.parametrize("estimator", [NETWORK, SCALED, ENSEMBLE], ids=["network", "pipeline", "ensemble"])
def test_skl2onnx_converts_with_its_own_defaults(estimator, dtype):
    narrow = X.astype(dtype)
    estimator.fit(narrow, NAMES)
    label, dictionaries = run(skl2onnx.to_onnx(estimator, narrow[:1]), {"X": narrow})
    assert_array_equal(label, estimator.predict(narrow))
    found = [[one[name] for name in estimator.classes_] for one in dictionaries]
    assert_allclose(found, estimator.predict_proba(narrow), rtol=0.0, atol=1e-6)


def test_the_options_for_other_outputs():
    NETWORK.fit(X, NAMES)
    expected = NETWORK.predict_proba(X)
    _, *columns = outputs(NETWORK, X, options={"zipmap": "columns"})
    assert_allclose(np.stack(columns, axis=1), expected, rtol=0.0, atol=1e-12)
    label, probabilities, classes = outputs(NETWORK, X, options={"output_class_labels": True})
    assert_array_equal(classes, NETWORK.classes_)
    assert_array_equal(label, NETWORK.predict(X))
    assert_allclose(probabilities, expected, rtol=0.0, atol=1e-12)


def test_several_labels_cannot_be_dictionaries():
    labels = np.stack([y > 0, X[:, 0] > 6.0], axis=1).astype(int)
    with pytest.raises(ValueError, match=r"zipmap=True is for classes that exclude each other.* set zipmap=False"):
        skl2onnx.to_onnx(NETWORK.fit(X, labels), X[:1])


@every_type
@pytest.mark.parametrize("layer", [0, 1])
def test_hidden_features(layer, dtype):
    narrow = X.astype(dtype)
    network = BackpropClassifier((6, 4), "gelu", max_iter=30, random_state=0).fit(narrow, NAMES)
    for transformer in (network.as_transformer(layer), HiddenFeatures(network, layer).fit(narrow, NAMES)):
        (features,) = outputs(transformer, narrow)
        expected = transformer.transform(narrow)
        assert features.dtype == expected.dtype
        assert_allclose(features, expected, rtol=0.0, atol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("opset", [13, 15, 17, 18])
def test_older_versions_of_the_operators(opset):
    table = pd.DataFrame(X, columns=list("abcd")).assign(city=np.where(np.arange(150) % 3, "Rome", "Oslo"))
    assert_same(ENSEMBLE.fit(table, NAMES), table, target_opset=opset)


def test_too_old_a_version_is_refused():
    with pytest.raises(ValueError, match="target_opset=12 is too old for skbp's converters: give 13 or more"):
        to_onnx(NETWORK.fit(X, y), X, target_opset=12)


@pytest.mark.parametrize("clf", [NETWORK, ENSEMBLE], ids=["network", "ensemble"])
def test_inputs_of_another_width_are_refused(clf):
    clf.fit(X, y)
    with pytest.raises(ValueError, match=f"The ONNX inputs have 3 columns, but {type(clf).__name__} was trained on 4"):
        to_onnx(clf, X[:, :3])
    free = [("X", skl2onnx.common.data_types.DoubleTensorType([None, None]))]
    model = skl2onnx.to_onnx(clf, initial_types=free, options={"zipmap": False})
    assert_array_equal(run(model, {"X": X})[0], clf.predict(X))
