"""Networks are found in what the user has at hand, and units have the names that the user knows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._activations import ACTIVATIONS
from skbp.inspection import _subject

IRIS = load_iris()
X, y = IRIS.data, IRIS.target

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def network(hidden_layer_sizes=3, **params):
    return BackpropClassifier(hidden_layer_sizes, max_iter=2, random_state=0, **params)


def test_a_classifier_is_itself_and_a_pipeline_its_last_step():
    clf = network().fit(X, y)
    pipeline = make_pipeline(StandardScaler(), network()).fit(X, y)
    mlp = MLPClassifier(3, max_iter=2).fit(X, y)
    for given, found in [(clf, clf), (pipeline, pipeline[-1]), (make_pipeline(clf), clf), (mlp, mlp)]:
        assert _subject.fitted_network(given) is found
        assert _subject.fitted_networks(given) == [found]


def test_an_ensemble_is_its_members_and_not_one_network():
    ensemble = BackpropClassifierCV(3, cv=3, max_iter=2, random_state=0).fit(X, y)
    assert _subject.fitted_networks(ensemble) == ensemble.members_
    for given in (ensemble, make_pipeline(StandardScaler(), ensemble)):
        with pytest.raises(TypeError, match=r"This BackpropClassifierCV is 3 networks.*such as members_\[0\]"):
            _subject.fitted_network(given)
    assert _subject.fitted_network(ensemble.members_[1]) is ensemble.members_[1]


@pytest.mark.parametrize("find", [_subject.fitted_network, _subject.fitted_networks])
def test_what_is_not_fitted_or_no_network_is_named(find):
    for unfitted in (network(), BackpropClassifierCV(), make_pipeline(StandardScaler(), network())):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            find(unfitted)
    with pytest.raises(TypeError, match="LogisticRegression is no network: pass a BackpropClassifier"):
        find(LogisticRegression().fit(X, y))


def test_rows_are_those_that_the_network_sees():
    pipeline = make_pipeline(StandardScaler(), network()).fit(X, y)
    found, rows = _subject.network_and_rows(pipeline, X)
    assert found is pipeline[-1]
    assert_allclose(rows, (X - X.mean(axis=0)) / X.std(axis=0))
    for alone in (found, make_pipeline(found)):
        of_it, same = _subject.network_and_rows(alone, X)
        assert of_it is found
        assert same is X


def test_an_exact_copy_computes_in_float64_and_leaves_the_classifier_alone():
    clf = network(solver="newton-cg", dtype="float32", hessian="gauss-newton", alpha=1.0).fit(X, y)
    exact = _subject.exact(clf, alpha=0.0)
    assert (exact.dtype, exact.hessian, exact.alpha) == ("float64", "exact", 0.0)
    assert (clf.dtype, clf.hessian, clf.alpha) == ("float32", "gauss-newton", 1.0)
    assert exact.coefs_ is clf.coefs_


def test_features_have_the_names_given_or_of_the_data_or_numbers():
    plain = network().fit(X, y)
    named = network().fit(pd.DataFrame(X, columns=["a", "b", "c", "d"]), y)
    assert _subject.names_of_features(plain, None) == ["x0", "x1", "x2", "x3"]
    assert _subject.names_of_features(named, None) == ["a", "b", "c", "d"]
    assert _subject.names_of_features(named, np.array(IRIS.feature_names)) == IRIS.feature_names
    with pytest.raises(ValueError, match="feature_names has 2 names; the network has 4 features"):
        _subject.names_of_features(named, ["a", "b"])


def test_outputs_have_the_names_given_or_of_their_classes():
    labels = IRIS.target_names[y]
    clf = network().fit(X, labels)
    assert _subject.names_of_outputs(clf, None) == ["setosa", "versicolor", "virginica"]
    assert _subject.names_of_outputs(clf, ["a", "b", "c"]) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="class_names has 2 names; the network has 3 output units"):
        _subject.names_of_outputs(clf, ["a", "b"])


def test_a_single_unit_is_that_of_the_second_of_two_classes_or_of_the_only_one():
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


def test_labels_of_a_multilabel_target_are_outputs():
    rows, labels = make_multilabel_classification(20, 5, n_classes=4, random_state=0)
    clf = network().fit(rows, labels)
    assert _subject.names_of_outputs(clf, None) == ["0", "1", "2", "3"]
    assert _subject.names_of_outputs(clf, list("abcd")) == list("abcd")


def test_layers_have_the_names_of_their_functions():
    clf = network((3, 2), activation=["tanh", ACTIVATIONS["relu"]]).fit(X, y)
    assert _subject.names_of_activations(clf) == ["tanh", "f", "softmax"]
    assert _subject.names_of_activations(network((3, 2), activation="elu").fit(X, y)) == ["elu", "elu", "softmax"]
    assert _subject.names_of_activations(network(()).fit(X[:100], y[:100])) == ["logistic"]
    assert _subject.names_of_activations(MLPClassifier(3, max_iter=2).fit(X, y)) == ["relu", "softmax"]
