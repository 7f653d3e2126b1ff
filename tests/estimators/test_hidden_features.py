"""Hidden layers as features: activations computed by hand, and the transformer in scikit-learn's tools."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from copies import ROUTES
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from toy_datasets import linear_rule

from skbp import Activation, BackpropClassifier, HiddenFeatures

# A few epochs make features that differ from the initial ones. They do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SIZES = (7, 5, 3)


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": SIZES, "max_iter": 3, "random_state": 0, **params})


def by_hand(clf, X, layer):
    """The activations of a hidden layer, counted from 0, by the definition of the forward pass."""
    names = [clf.activation] * len(SIZES) if isinstance(clf.activation, str) else clf.activation
    for coef, intercept, name in list(zip(clf.coefs_[:-1], clf.intercepts_[:-1], names, strict=True))[: layer + 1]:
        z = X @ coef + intercept
        X = ACTIVATIONS[name].function(z, np.empty_like(z))
    return X


X, y = linear_rule(noise=0.0)


# hidden_features


@pytest.mark.parametrize("layer", range(3))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_features_are_the_activations_of_the_layer(activation, layer):
    rng, units = np.random.RandomState(0), (4, *SIZES, 3)
    coefs = [rng.normal(size=shape) for shape in pairwise(units)]
    intercepts = [rng.normal(size=width) for width in units[1:]]
    clf = BackpropClassifier.from_weights(coefs, intercepts, classes=[0, 1, 2], activation=activation)
    expected = by_hand(clf, X, layer)
    assert expected.std() > 0.1
    for index in (layer, layer - 3):
        assert_allclose(clf.hidden_features(X, index), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer", range(3))
def test_each_layer_has_its_own_activation(layer):
    clf = small(activation=["tanh", "mish", "relu6"]).fit(X, y)
    assert_allclose(clf.hidden_features(X, layer), by_hand(clf, X, layer), rtol=1e-10, atol=1e-12)


def test_the_default_layer_is_the_last_one_which_feeds_the_output_layer():
    clf = small().fit(X, y)
    assert_array_equal(clf.hidden_features(X), clf.hidden_features(X, 2))
    logits = clf.hidden_features(X) @ clf.coefs_[-1] + clf.intercepts_[-1]
    assert_allclose(logits, clf.decision_function(X), rtol=1e-12)


def test_features_of_an_activation_of_the_user():
    cube = Activation(
        function=lambda z, out: np.power(z, 3, out=out),
        slope=lambda a, out: np.multiply(np.cbrt(a) ** 2, 3.0, out=out),
    )
    clf = small(hidden_layer_sizes=(5,), activation=cube).fit(X, y)
    assert_allclose(clf.hidden_features(X), (X @ clf.coefs_[0] + clf.intercepts_[0]) ** 3, rtol=1e-10, atol=1e-14)


def test_dropout_has_no_effect_on_features():
    clf = small(dropout=0.5).fit(X, y)
    for layer in range(3):
        assert_allclose(clf.hidden_features(X, layer), by_hand(clf, X, layer), rtol=1e-10, atol=1e-12)


def test_rows_in_several_chunks_have_the_same_features():
    many, _ = linear_rule(n_rows=2500, seed=1, noise=0.0)
    clf = small(activation="gelu").fit(X, y)
    for layer in range(3):
        assert_allclose(clf.hidden_features(many, layer), by_hand(clf, many, layer), rtol=1e-10, atol=1e-12)
        one_by_one = np.vstack([clf.hidden_features(many[i : i + 500], layer) for i in range(0, 2500, 500)])
        assert_allclose(clf.hidden_features(many, layer), one_by_one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, np.asfortranarray, pd.DataFrame])
def test_rows_may_be_in_any_container(container):
    some = np.where(np.abs(X) > 0.5, X, 0.0)
    clf = small(activation="silu").fit(some, y)
    for layer in range(3):
        assert_allclose(clf.hidden_features(container(some), layer), by_hand(clf, some, layer), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_features_have_the_type_of_the_rows(dtype):
    clf = small(dtype=dtype).fit(X, y)
    for rows, expected_type, rtol in ((X, np.float64, 1e-10), (X.astype(np.float32), np.float32, 1e-4)):
        features = clf.hidden_features(rows, 1)
        assert features.dtype == expected_type
        assert_allclose(features, by_hand(clf, X, 1), rtol=rtol, atol=1e-6 if rtol > 1e-5 else 1e-12)
    assert clf.hidden_features(X.astype(int), 0).dtype == np.float64


@pytest.mark.parametrize("layer", [3, -4, 10, 1.0, "last", None])
def test_a_layer_that_does_not_exist_is_an_error_that_names_the_layers(layer):
    clf = small().fit(X, y)
    for method in (lambda: clf.hidden_features(X, layer), lambda: clf.as_transformer(layer)):
        with pytest.raises(ValueError, match=f"layer={layer!r} is no hidden layer: it must be from -3 to 2") as error:
            method()
        assert str(error.value).endswith("0 is the first hidden layer, -1 the last.")


def test_a_network_without_hidden_layers_has_no_features():
    clf = small(hidden_layer_sizes=()).fit(X, y)
    for method in (lambda: clf.hidden_features(X), clf.as_transformer):
        with pytest.raises(ValueError, match=r"no hidden layer, since hidden_layer_sizes=\(\)"):
            method()


def test_a_classifier_that_is_not_fitted_has_no_features():
    for method in (lambda: small().hidden_features(X), lambda: small().as_transformer()):
        with pytest.raises(NotFittedError):
            method()


def test_rows_are_validated():
    clf = small().fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.raises(ValueError, match="X has 3 features, but BackpropClassifier is expecting 4"):
        small().fit(X, y).hidden_features(X[:, :3])
    with pytest.raises(ValueError, match="feature names should match"):
        clf.hidden_features(pd.DataFrame(X, columns=list("abce")))
    with pytest.raises(ValueError, match="NaN"):
        clf.hidden_features(pd.DataFrame(np.where(X > 1, np.nan, X), columns=list("abcd")))


def test_features_of_weights_given_by_hand():
    xor = BackpropClassifier.from_weights(
        [[[1, 1], [1, 1]], [[1], [-2]]], [[0, -1], [-0.5]], classes=[0, 1], activation="relu"
    )
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert_array_equal(xor.hidden_features(corners), [[0, 0], [1, 0], [1, 0], [2, 1]])
    assert_array_equal(xor.as_transformer().transform(corners), [[0, 0], [1, 0], [1, 0], [2, 1]])


# as_transformer


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_a_transformer_returns_the_features_of_its_layer_with_names(layer):
    clf = small().fit(X, y)
    transformer = clf.as_transformer(layer)
    assert isinstance(transformer, HiddenFeatures)
    assert_array_equal(transformer.transform(X), clf.hidden_features(X, layer))
    names = [f"hiddenfeatures{i}" for i in range(SIZES[layer])]
    assert transformer.get_feature_names_out().tolist() == names
    assert transformer.n_features_in_ == 4


def test_a_transformer_accepts_and_returns_frames():
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(60) + 100)
    clf = small().fit(frame, y)
    transformer = clf.as_transformer().set_output(transform="pandas")
    features = transformer.transform(frame)
    assert features.columns.tolist() == ["hiddenfeatures0", "hiddenfeatures1", "hiddenfeatures2"]
    assert features.index.tolist() == frame.index.tolist()
    assert_array_equal(features.to_numpy(), clf.hidden_features(frame))
    assert transformer.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        transformer.transform(frame.rename(columns={"a": "z"}))


CHANGES = {
    "fit": lambda clf: clf.set_params(random_state=1).fit(X, y),
    "another network": lambda clf: clf.set_params(hidden_layer_sizes=(4,), activation="tanh").fit(X[:, :2], y),
    "warm start": lambda clf: clf.set_params(warm_start=True).fit(X, y),
    "partial_fit": lambda clf: clf.partial_fit(X, y),
    "parameters": lambda clf: clf.set_params(activation="logistic"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_transformer_keeps_its_weights_when_the_classifier_changes(change):
    clf = small().fit(X, y)
    transformer, then = clf.as_transformer(), clf.hidden_features(X)
    CHANGES[change](clf)
    assert_array_equal(transformer.transform(X), then)
    assert change == "another network" or not np.array_equal(clf.hidden_features(X), then)


@pytest.mark.parametrize("route", ROUTES)
def test_a_copy_of_a_transformer_returns_the_same_features(route):
    transformer = small(activation=["gelu", "tanh", "relu"]).fit(X, y).as_transformer(1)
    again = ROUTES[route](transformer)
    assert_array_equal(again.transform(X), transformer.transform(X))
    assert again.get_feature_names_out().tolist() == transformer.get_feature_names_out().tolist()
    fitted = HiddenFeatures(small(), layer=0).fit(X, y)
    assert_array_equal(ROUTES[route](fitted).transform(X), fitted.transform(X))


def test_fitting_a_transformer_of_a_fitted_network_does_not_train_it():
    clf = small(warm_start=True).fit(X, y)
    transformer, then = clf.as_transformer(), clf.hidden_features(X)
    other = np.roll(y, 1)
    for fitted in (transformer.fit(X, other), clone(transformer).fit(X, other)):
        assert_array_equal(fitted.transform(X), then)
    assert_array_equal(clf.hidden_features(X), then)


def test_metadata_reach_the_network_that_requests_them():
    weight = np.where(y == y[0], 5.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        features = HiddenFeatures(small().set_fit_request(sample_weight=True))
        pipeline = make_pipeline(features, LogisticRegression().set_fit_request(sample_weight=False))
        pipeline.fit(X, y, sample_weight=weight)
    assert_array_equal(pipeline[:-1].transform(X), small().fit(X, y, sample_weight=weight).hidden_features(X))


# HiddenFeatures


def test_fit_trains_a_copy_of_the_network():
    clf = small()
    features = HiddenFeatures(clf, layer=1).fit(X, y)
    assert not hasattr(clf, "coefs_")
    assert features.classifier is clf
    alone = small().fit(X, y)
    assert_array_equal(features.transform(X), alone.hidden_features(X, 1))
    assert_array_equal(features.classifier_.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(HiddenFeatures(small(), layer=1).fit_transform(X, y), alone.hidden_features(X, 1))


def test_fit_passes_its_arguments_to_the_network():
    w = np.random.RandomState(0).uniform(0.1, 3.0, len(y))
    other = linear_rule(n_rows=20, seed=1, noise=0.0)
    features = HiddenFeatures(small()).fit(X, y, sample_weight=w, X_val=other[0], y_val=other[1])
    alone = small().fit(X, y, w, X_val=other[0], y_val=other[1])
    assert_array_equal(features.transform(X), alone.hidden_features(X))
    assert features.classifier_.validation_scores_ == alone.validation_scores_
    assert not np.array_equal(features.transform(X), small().fit(X, y).hidden_features(X))
    pipeline = make_pipeline(HiddenFeatures(small()), LogisticRegression()).fit(X, y, hiddenfeatures__sample_weight=w)
    assert_array_equal(pipeline[0].transform(X), features.transform(X))


def test_in_a_pipeline_it_passes_features_on():
    pipeline = make_pipeline(StandardScaler(), HiddenFeatures(small()), LogisticRegression()).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    features = small().fit(Z, y).hidden_features(Z)
    by_itself = LogisticRegression().fit(features, y)
    assert_array_equal(pipeline.predict_proba(X), by_itself.predict_proba(features))
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"hiddenfeatures{i}" for i in range(3)]


def test_layers_side_by_side_have_different_names():
    clf = small().fit(X, y)
    union = FeatureUnion([("first", clf.as_transformer(0)), ("last", clf.as_transformer(-1))])
    assert_array_equal(union.transform(X), np.hstack([clf.hidden_features(X, 0), clf.hidden_features(X, 2)]))
    expected = [f"first__hiddenfeatures{i}" for i in range(7)] + [f"last__hiddenfeatures{i}" for i in range(3)]
    assert union.get_feature_names_out().tolist() == expected


def test_a_search_reaches_the_network_and_the_layer():
    pipeline = make_pipeline(HiddenFeatures(small()), LogisticRegression())
    grid = {"hiddenfeatures__layer": [0, 2], "hiddenfeatures__classifier__activation": ["relu", "gelu"]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    best = search.best_params_
    network = small(activation=best["hiddenfeatures__classifier__activation"]).fit(X, y)
    features = network.hidden_features(X, best["hiddenfeatures__layer"])
    assert_array_equal(search.predict_proba(X), LogisticRegression().fit(features, y).predict_proba(features))


def test_a_clone_has_the_parameters_and_nothing_fitted():
    original = HiddenFeatures(small(), layer=1)
    fresh = clone(original)
    assert fresh.layer == 1
    assert fresh.classifier is not original.classifier
    assert fresh.classifier.get_params() == original.classifier.get_params()
    assert set(vars(fresh)) == {"classifier", "layer"}
    assert not hasattr(fresh.classifier, "coefs_")
    with pytest.raises(NotFittedError):
        fresh.transform(X)
    assert_array_equal(fresh.fit_transform(X, y), small().fit(X, y).hidden_features(X, 1))


def test_it_accepts_frames_and_then_arrays():
    features = HiddenFeatures(small()).fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert features.feature_names_in_.tolist() == list("abcd")
    features.fit(X, y)
    assert not hasattr(features, "feature_names_in_")
    assert_array_equal(features.transform(X), small().fit(X, y).hidden_features(X))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"layer": 3}, ValueError, "layer=3 is no hidden layer"),
        ({"layer": 0.5}, InvalidParameterError, "The 'layer' parameter of HiddenFeatures must be"),
        ({"classifier": LogisticRegression()}, InvalidParameterError, "The 'classifier' parameter of HiddenFeatures"),
        ({"classifier": small(hidden_layer_sizes=())}, ValueError, "no hidden layer"),
        ({"classifier": small(alpha=-1.0)}, InvalidParameterError, "The 'alpha' parameter of BackpropClassifier"),
    ],
)
def test_invalid_parameters_are_refused_and_change_nothing(params, error, message):
    features = HiddenFeatures(small()).fit(X, y)
    before = features.transform(X)
    attributes = set(vars(features))
    features.set_params(**params)
    with pytest.raises(error, match=message):
        features.fit(X, y)
    assert set(vars(features)) == attributes
    features.set_params(layer=-1)
    assert_array_equal(features.transform(X), before)


def test_sparse_and_multilabel_data_are_accepted():
    labels = (X[:, :3] > 0).astype(int)
    features = HiddenFeatures(small()).fit(sp.csr_array(X), labels)
    assert_array_equal(features.transform(sp.csr_array(X)), small().fit(sp.csr_array(X), labels).hidden_features(X))
    union = make_union(HiddenFeatures(small(random_state=1)), HiddenFeatures(small(random_state=2)))
    both = union.fit_transform(X, labels)
    for i, seed in enumerate((1, 2)):
        alone = small(random_state=seed).fit(X, labels).hidden_features(X)
        assert_array_equal(both[:, 3 * i : 3 * i + 3], alone)
