"""Networks are found in pipelines and ensembles, and units have the names of the user's data."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from registries import ACTIVATIONS
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp.inspection import NetworkDisplay, WeightsDisplay, _subject

IRIS = load_iris()
X, y = IRIS.data, IRIS.target

# The networks are trained for a few epochs only, to have weights.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Nothing was learned")


def network(hidden_layer_sizes=3, **params):
    return BackpropClassifier(hidden_layer_sizes, max_iter=2, random_state=0, **params)


def test_the_network_of_a_classifier_or_a_pipeline():
    clf = network().fit(X, y)
    pipeline = make_pipeline(StandardScaler(), network()).fit(X, y)
    mlp = MLPClassifier(3, max_iter=2).fit(X, y)
    for given, found in [(clf, clf), (pipeline, pipeline[-1]), (make_pipeline(clf), clf), (mlp, mlp)]:
        assert _subject.fitted_network(given) is found
        assert _subject.fitted_networks(given) == [found]


def test_the_networks_of_an_ensemble_are_its_members():
    ensemble = BackpropClassifierCV(3, cv=3, n_repeats=1, max_iter=2, random_state=0).fit(X, y)
    assert _subject.fitted_networks(ensemble) == ensemble.members_
    for given in (ensemble, make_pipeline(StandardScaler(), ensemble)):
        with pytest.raises(TypeError, match=r"BackpropClassifierCV, which is 3 networks.*such as members_\[0\]"):
            _subject.fitted_network(given)
    assert _subject.fitted_network(ensemble.members_[1]) is ensemble.members_[1]


@pytest.mark.parametrize("find", [_subject.fitted_network, _subject.fitted_networks])
def test_an_estimator_that_is_not_fitted_or_no_network_is_an_error(find):
    for unfitted in (network(), BackpropClassifierCV(), make_pipeline(StandardScaler(), network())):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            find(unfitted)
    logistic = LogisticRegression().fit(X, y)
    for given, kind in [
        (logistic, "of type LogisticRegression, which"),
        (make_pipeline(StandardScaler(), logistic), "a pipeline that ends in a step of type LogisticRegression, which"),
        (Pipeline([("nothing", "passthrough")]), "a pipeline that ends in a step of type str, which"),
        (MLPRegressor(hidden_layer_sizes=(3,), max_iter=2).fit(X, y), "of type MLPRegressor, which"),
        (None, "of type NoneType, which"),
        (BackpropClassifier, "the class BackpropClassifier: pass an instance instead"),
    ]:
        with pytest.raises(TypeError, match=rf"^estimator is {kind}.* a BackpropClassifier"):
            find(given)


def test_a_pipeline_transforms_the_rows():
    pipeline = make_pipeline(StandardScaler(), network()).fit(X, y)
    nested = make_pipeline(StandardScaler(), make_pipeline(FunctionTransformer(np.negative), pipeline[-1]))
    nested[0].fit(X)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    for given, expected in [(pipeline, scaled), (nested, -scaled)]:
        with _subject.network_and_rows(given, "clf", X) as (found, rows):
            assert found is pipeline[-1]
            assert_allclose(rows, expected)
    for alone in (pipeline[-1], make_pipeline(pipeline[-1])):
        with _subject.network_and_rows(alone, "clf", X) as (found, same):
            assert found is pipeline[-1]
            assert same is X


def test_floating_point_errors_are_ignored_inside_and_the_users_outside():
    seen = []

    def looked(rows):
        seen.append(np.geterr()["divide"])
        return rows

    pipeline = make_pipeline(FunctionTransformer(looked), network().fit(X, y))
    with np.errstate(all="raise"):
        with _subject.network_and_rows(pipeline, "clf", X):
            assert set(np.geterr().values()) == {"ignore"}
        with pytest.raises(KeyError), _subject.network_and_rows(pipeline, "clf", X):
            raise KeyError
        assert set(np.geterr().values()) == {"raise"}
    assert seen == ["raise", "raise"]


def test_a_vector_of_parameters_is_split_into_layers():
    clf = network((3, 2)).fit(X, y)
    objective = clf.objective(X, y)
    coefs, intercepts = _subject.by_layer(objective.theta0, [4, 3, 2, 3])
    for found, expected in zip(coefs + intercepts, clf.coefs_ + clf.intercepts_, strict=True):
        assert_array_equal(found, expected)


def test_an_exact_copy_computes_in_float64_and_does_not_change_the_classifier():
    clf = network(solver="newton-cg", dtype="float32", hessian="gauss-newton", alpha=1.0).fit(X, y)
    exact = _subject.exact(clf, alpha=0.0)
    assert (exact.dtype, exact.hessian, exact.alpha) == ("float64", "exact", 0.0)
    assert (clf.dtype, clf.hessian, clf.alpha) == ("float32", "gauss-newton", 1.0)
    assert exact.coefs_ is clf.coefs_


def test_features_have_given_names_or_those_of_the_data_or_numbers():
    plain = network().fit(X, y)
    named = network().fit(pd.DataFrame(X, columns=["a", "b", "c", "d"]), y)
    assert _subject.names_of_features(plain, None) == ["x0", "x1", "x2", "x3"]
    assert _subject.names_of_features(named, None) == ["a", "b", "c", "d"]
    assert _subject.names_of_features(named, np.array(IRIS.feature_names)) == IRIS.feature_names
    with pytest.raises(ValueError, match="feature_names has 2 names; the network has 4 features"):
        _subject.names_of_features(named, ["a", "b"])


FRAME = pd.DataFrame(X[:, :2], columns=["length", "width"]).assign(colour=np.array(["red", "blue"])[y % 2])


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer that gets the names of its input as an argument."""

    def fit(self, X, y):
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        return self

    def transform(self, X):
        return 2.0 * X.to_numpy()

    def get_feature_names_out(self, input_features):
        return [f"2 {name}" for name in input_features]


@pytest.mark.parametrize(
    ("steps", "rows", "names"),
    [
        ([StandardScaler()], FRAME[["length", "width"]], ["length", "width"]),
        ([StandardScaler(), PCA(2)], FRAME[["length", "width"]], ["pca0", "pca1"]),
        ([StandardScaler()], X, ["x0", "x1", "x2", "x3"]),
        (
            [make_column_transformer((OneHotEncoder(), ["colour"]), remainder=StandardScaler())],
            FRAME,
            ["onehotencoder__colour_blue", "onehotencoder__colour_red", "remainder__length", "remainder__width"],
        ),
        (
            [FunctionTransformer(np.abs, feature_names_out="one-to-one")],
            FRAME[["length", "width"]],
            ["length", "width"],
        ),
        ([Doubled()], FRAME[["length", "width"]], ["2 length", "2 width"]),
        # The names are not known, or their number is not that of the features.
        ([FunctionTransformer(np.asarray)], FRAME[["length", "width"]], ["x0", "x1"]),
        ([StandardScaler(), FunctionTransformer(np.abs)], FRAME[["length", "width"]], ["x0", "x1"]),
        (
            [FunctionTransformer(lambda X: np.hstack([X, X]), feature_names_out="one-to-one")],
            X[:, :2],
            ["x0", "x1", "x2", "x3"],
        ),
        # A step that returns a DataFrame gives the network the names.
        ([FunctionTransformer()], FRAME[["length", "width"]], ["length", "width"]),
        ([PCA(2).set_output(transform="pandas")], X, ["pca0", "pca1"]),
        ([make_pipeline(StandardScaler()), "passthrough"], FRAME[["length", "width"]], ["length", "width"]),
        ([], FRAME[["length", "width"]], ["length", "width"]),
        ([], X, ["x0", "x1", "x2", "x3"]),
    ],
)
def test_features_of_a_pipeline_have_the_names_from_its_steps(steps, rows, names):
    pipeline = make_pipeline(*steps, network()).fit(rows, y)
    assert _subject.names_of_features(pipeline, None) == names
    given = [f"my {name}" for name in names]
    assert _subject.names_of_features(pipeline, given) == given
    heat_map = WeightsDisplay.from_estimator(pipeline).ax_
    assert [label.get_text() for label in heat_map.get_yticklabels()] == names
    drawing = NetworkDisplay.from_estimator(pipeline)
    assert [text.get_text() for text in drawing.labels_["features"]] == names
    nested = make_pipeline(*steps[:1], make_pipeline(*steps[1:], pipeline[-1]))
    assert _subject.names_of_features(nested, None) == names


NOT_LISTS = ["abcd", b"abcd", 4, {"a", "b", "c"}, {0: "a", 1: "b", 2: "c"}, iter("abc"), np.array("a"), np.ones((3, 1))]


@pytest.mark.parametrize("given", NOT_LISTS, ids=lambda given: type(given).__name__)
@pytest.mark.parametrize("hidden", [(), 3], ids=["no hidden layer", "hidden layer"])
def test_names_that_are_not_a_list_are_refused(given, hidden):
    clf = network(hidden).fit(X[:, :3], y)
    for argument in ("feature_names", "class_names"):
        for display in (WeightsDisplay, NetworkDisplay):
            with pytest.raises(TypeError, match=f"^{argument} must be a list of names. Got "):
                display.from_estimator(clf, **{argument: given})
            with pytest.raises(ValueError, match=f"^{argument} has 2 names; the network has 3"):
                display.from_estimator(clf, **{argument: ["a", "b"]})


def test_outputs_have_given_names_or_those_of_the_classes():
    labels = IRIS.target_names[y]
    clf = network().fit(X, labels)
    assert _subject.names_of_outputs(clf, None) == ["setosa", "versicolor", "virginica"]
    assert _subject.names_of_outputs(clf, ["a", "b", "c"]) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="class_names has 2 names; the network has 3 output units"):
        _subject.names_of_outputs(clf, ["a", "b"])


def test_a_single_output_unit_has_the_name_of_the_second_or_the_only_class():
    binary = network().fit(X[:100], IRIS.target_names[y[:100]])
    assert _subject.names_of_outputs(binary, None) == ["versicolor"]
    for given in (["no", "yes"], ["yes"]):
        assert _subject.names_of_outputs(binary, given) == ["yes"]
    with pytest.raises(ValueError, match="class_names has 3 names; the network has one output unit, for two classes"):
        _subject.names_of_outputs(binary, ["a", "b", "c"])
    two_units = network(out_activation="softmax").fit(X[:100], y[:100])
    assert _subject.names_of_outputs(two_units, None) == ["0", "1"]
    alone = network().fit(X[:50], ["only"] * 50)
    assert _subject.names_of_outputs(alone, None) == ["only"]


def test_outputs_of_a_multilabel_target():
    rows, labels = make_multilabel_classification(20, 5, n_classes=4, random_state=0)
    clf = network().fit(rows, labels)
    assert _subject.names_of_outputs(clf, None) == ["0", "1", "2", "3"]
    assert _subject.names_of_outputs(clf, list("abcd")) == list("abcd")


def test_layers_have_the_names_of_their_activations():
    clf = network((3, 2), activation=["tanh", ACTIVATIONS["relu"]]).fit(X, y)
    assert _subject.names_of_activations(clf) == ["tanh", "relu", "softmax"]
    assert _subject.names_of_activations(network((3, 2), activation="elu").fit(X, y)) == ["elu", "elu", "softmax"]
    assert _subject.names_of_activations(network(()).fit(X[:100], y[:100])) == ["logistic"]
    assert _subject.names_of_activations(MLPClassifier(3, max_iter=2).fit(X, y)) == ["relu", "softmax"]
