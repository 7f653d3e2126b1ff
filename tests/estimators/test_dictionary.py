"""A network survives as JSON with all bits. Hostile content is refused, or it is the network that it says."""

import copy
import json
import random
import warnings

import numpy as np
import pytest
from mutilated import changed, mutilated
from numpy.testing import assert_array_equal
from registries import ACTIVATIONS, SOLVERS
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from small_networks import assert_same_weights, random_weights, small
from toy_datasets import linear_rule

import skbp
from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp._estimators.plain_data import written_array

pytestmark = pytest.mark.filterwarnings(
    "ignore::skbp.NothingLearnedWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::skbp.UnusedParameterWarning",
)

X, Y = linear_rule(noise=0.0)
LABELS = (X[:, :3] > 0.0).astype(int)
PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "decision_function")

# The labels that the three classes of Y get.
CLASSES = {
    "str": np.array(["a", "bb", "c"]),
    "wide str": np.array(["a", "bb", "c"], dtype="U9"),
    "object": np.array(["a", "bb", "c"], dtype=object),
    "int64": np.array([-1, 0, 2**40]),
    "uint8": np.array([0, 1, 255], dtype=np.uint8),
    "float64": np.array([0.0, 1.0, 5.0]),
    "float32": np.array([0.0, 1.0, 5.0], dtype=np.float32),
    "bool": np.array([False, True, True]),
}


def through_json(clf):
    return type(clf).from_dict(json.loads(json.dumps(clf.to_dict(), allow_nan=False)))


def assert_same(one, other, rows=X):
    for X_of_type in (rows, rows.astype(np.float32)):
        for method in PREDICTIONS:
            expected, got = getattr(other, method)(X_of_type), getattr(one, method)(X_of_type)
            assert type(got) is type(expected)
            assert got.dtype == expected.dtype
            if method == "predict" and not isinstance(got, np.ndarray):
                got, expected = got.toarray(), expected.toarray()
            assert_array_equal(got, expected)
    assert one.classes_.dtype == other.classes_.dtype
    assert_array_equal(one.classes_, other.classes_)
    assert one.to_dict() == other.to_dict()
    params = {name: v.item() if isinstance(v, np.generic) else v for name, v in other.get_params().items()}
    assert repr(one.get_params()) == repr(params)


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("labels", CLASSES)
def test_predictions_and_the_type_of_the_labels_are_the_same(labels, dtype):
    clf = small(dtype=dtype).fit(X, CLASSES[labels][Y])
    assert_same(through_json(clf), clf)


@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_multilabel_targets_and_whether_they_are_sparse(container):
    clf = small().fit(X, container(LABELS))
    assert_same(through_json(clf), clf)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_history_of_every_solver(solver, early_stopping):
    clf = small(solver=solver, early_stopping=early_stopping, scoring="loss" if early_stopping else None).fit(X, Y)
    back = through_json(clf)
    assert_same(back, clf)
    for name in [name for name in vars(clf) if name.endswith("_") and not name.startswith("_")]:
        assert type(getattr(back, name)) is type(getattr(clf, name)), name
        np.testing.assert_equal(getattr(back, name), getattr(clf, name))


@pytest.mark.parametrize("activation", [*ACTIVATIONS, ["tanh", "gelu"]], ids=str)
def test_every_activation(activation):
    clf = BackpropClassifier((5, 3), activation, max_iter=2, random_state=0).fit(X, Y)
    assert_same(through_json(clf), clf)


PARAMETERS = [
    {"hidden_layer_sizes": np.array([4, 3]), "alpha": np.array([0.1, 0.2, 0.3]), "dropout": [0.1, 0.2]},
    {"hidden_layer_sizes": (), "n_iter_no_change": np.inf, "momentum": np.float32(0.3)},
    {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "max_time": 60.0, "batch_size": np.int64(7)},
    {"solver": "lbfgs", "solver_options": {"maxcor": 5, "gtol": 1e-9}},
    {"out_activation": "logistic", "label_smoothing": 0.1, "verbose": False, "random_state": None},
]


@pytest.mark.parametrize("params", PARAMETERS, ids=str)
def test_parameters_keep_value_and_type(params):
    clf = small(**params).fit(X, Y)
    back = through_json(clf)
    assert_same(back, clf, X)
    for name in params:
        given, got = getattr(clf, name), getattr(back, name)
        assert type(got) is (type(given.item()) if isinstance(given, np.generic) else type(given))


def test_the_names_of_the_features():
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    clf = small().fit(frame, Y)
    back = through_json(clf)
    assert_array_equal(back.feature_names_in_, clf.feature_names_in_)
    assert back.feature_names_in_.dtype == object
    assert_array_equal(back.predict_proba(frame), clf.predict_proba(frame))
    assert not hasattr(through_json(small().fit(X, Y)), "feature_names_in_")


def test_a_network_with_given_weights_which_has_no_history():
    clf = BackpropClassifier.from_weights([[[20.0], [20.0]]], [[-30.0]], classes=["no", "yes"])
    back = through_json(clf)
    assert_same(back, clf, np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert (back.loss_curve_, back.loss_, back.n_iter_) == ([], np.inf, 0)


def test_a_single_class():
    clf = small().fit(X, np.full(len(X), "only"))
    assert_same(through_json(clf), clf)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_further_training_starts_from_the_weights_as_after_from_weights(solver):
    clf = small(solver=solver).fit(X, Y)
    back = through_json(clf)
    anew = BackpropClassifier.from_weights(clf.coefs_, clf.intercepts_, classes=clf.classes_)
    anew.set_params(**clf.get_params())
    for _ in range(2):
        assert_same_weights(back.partial_fit(X, Y), anew.partial_fit(X, Y))
    # The history goes on, and the original does not change.
    assert len(back.loss_curve_) == 7
    assert (len(clf.loss_curve_), len(anew.loss_curve_)) == (5, 2)
    assert back.t_ == 7 * len(X)
    warm = through_json(clf).set_params(warm_start=True).fit(X, Y)
    assert len(warm.loss_curve_) == 10


def test_the_content_shares_nothing_with_the_classifier():
    clf = small(class_weight={0: 1.0, 1: 2.0, 2: 1.0}).fit(X, Y)
    content = clf.to_dict()
    back = BackpropClassifier.from_dict(content)
    before = copy.deepcopy(content)
    back.partial_fit(X, Y)
    back.class_weight[0] = 5.0
    back.coefs_[0][:] = 0.0
    assert content == before == clf.to_dict()


def test_the_entries():
    content = small().fit(X, Y).to_dict()
    assert list(content) == ["format", "estimator", "version", "parameters", "target", "feature_names", "network"]
    assert (content["format"], content["estimator"], content["version"]) == (1, "BackpropClassifier", skbp.__version__)
    assert content["target"] == {
        "classes": {"dtype": "int64", "values": [0, 1, 2]},
        "multilabel": False,
        "sparse": False,
        "out_activation": "softmax",
    }


def schedule(fraction):
    return 1.0 - fraction


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": schedule}, "the parameter learning_rate, which is of type function.* by set_params first"),
        ({"random_state": np.random.RandomState(0)}, "the parameter random_state.*with an int or None first"),
        ({"scoring": len, "early_stopping": True}, "the parameter scoring, which is of type builtin_function"),
        ({"activation": ACTIVATIONS["relu"]}, "the parameter activation, which is of type Activation.*pickle"),
        ({"activation": ["relu", ACTIVATIONS["relu"]]}, "the parameter activation, which is of type Activation"),
        (
            {"solver": "lbfgs", "solver_options": {"x": object()}},
            "the parameter solver_options, which is of type object",
        ),
    ],
)
def test_parameters_without_a_plain_form_are_named_with_a_remedy(params, message):
    clf = BackpropClassifier.from_weights(*random_weights([4, 3, 3, 3]), classes=[0, 1, 2]).set_params(**params)
    with pytest.raises(TypeError, match=f"to_dict cannot write {message}"):
        clf.to_dict()


def test_what_cannot_be_written_is_an_error():
    with pytest.raises(NotFittedError):
        BackpropClassifier().to_dict()
    clf = small().fit(X, Y)
    with pytest.raises(ValueError, match="The 'solver' parameter of BackpropClassifier must be"):
        clf.set_params(solver="none").to_dict()
    with pytest.raises(ValueError, match="activation has 2 entries"):
        clf.set_params(solver="adam", activation=["tanh", "tanh"]).to_dict()


def test_a_subclass_writes_its_own_name():
    class Special(BackpropClassifier):
        pass

    content = Special(3, max_iter=1).fit(X, Y).to_dict()
    assert isinstance(Special.from_dict(content), Special)
    with pytest.raises(ValueError, match="content is of the class 'Special', not of BackpropClassifier"):
        BackpropClassifier.from_dict(content)


def test_a_classifier_that_a_search_found():
    search = GridSearchCV(small(), {"alpha": np.array([0.1, 1.0])}, cv=2).fit(X, Y)
    assert_same(through_json(search.best_estimator_), search.best_estimator_)


# Hostile content


HOSTILE = "__import__('os').system('false')"


@pytest.fixture(scope="module")
def content():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = small(class_weight={"a": 1.0, "bb": 2.0}, hidden_layer_sizes=(2,), alpha=[0.1, 0.2])
        return clf.fit(X, CLASSES["str"][Y]).to_dict()


def array(*shape, dtype="float64"):
    return written_array(np.ones(shape, dtype))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format"], 2, "content has the format 2, and this version of skbp, .*, reads format 1"),
        (["format"], True, "content has the format True"),
        (["format"], [1], "content has the format"),
        (["estimator"], "BackpropClassifierCV", "content is of the class 'BackpropClassifierCV', not of BackpropCl"),
        (["version"], 1, "content.version must be of type str"),
        (["more"], 1, r"content must have the keys .*it lacks \[\] and has \['more'\]"),
        (["parameters", "more"], 1, r"content.parameters must have the keys .* has \['more'\]"),
        (["parameters", "solver"], "newton", "The 'solver' parameter of BackpropClassifier must be"),
        (["parameters", "activation"], "relu; import os", "The 'activation' parameter of BackpropClassifier"),
        (["parameters", "activation"], ["tanh", "tanh"], "activation has 2 entries"),
        (["parameters", "activation"], [HOSTILE], "activation has .* each must be one of"),
        (["parameters", "alpha"], {"array": {}}, "content.parameters.alpha must have the keys"),
        (
            ["parameters", "learning_rate"],
            {"callable": HOSTILE},
            "content.parameters.learning_rate must be a dict with",
        ),
        (
            ["target", "out_activation"],
            "auto",
            r"content.target.out_activation must be one of \['logistic', 'softmax'\]",
        ),
        (["target", "multilabel"], True, "content.network is no network that fits content.target"),
        (["target", "multilabel"], 0, "content.target.multilabel must be of type bool"),
        (["target", "sparse"], True, "content.target.sparse must be false if multilabel is false"),
        (["target", "classes", "values"], ["a", "b"], "2 classes need 2 output units"),
        (["target", "classes", "values"], ["b", "a", "c"], "classes must be sorted"),
        (["target", "classes", "values"], ["a", "a", "c"], "classes must be sorted, each named once"),
        (["feature_names"], ["a"], r"content.feature_names must be None or a list of \d+ names"),
        (["feature_names"], "abcde", "content.feature_names must be of type list"),
        (["network", "coefs"], [], "coefs is empty"),
        (["network", "coefs", 0, "shape"], [10**9, 10**9], r"content.network.coefs\[0\].base64 has"),
        (["network", "coefs", 0], array(1, 2**18), r"coefs has arrays of shapes"),
        (["network", "coefs", 0], array(5, 2, dtype="float32"), "must all have the same dtype"),
        (
            ["network", "intercepts", 0],
            array(2, 1),
            r"content.network.intercepts\[0\].shape must be a list of 1 numbers",
        ),
        (["network", "intercepts", 0], array(3), "intercepts has arrays of shapes"),
        (["network", "intercepts"], [], "intercepts has 0 arrays"),
        (["network", "history", "n_iter_"], -1, "content.network.history.n_iter_ must be from 0"),
        (["network", "history", "n_iter_"], None, "content.network.history.n_iter_ must be of type int"),
        (["network", "history", "loss_curve_"], None, "content.network.history.loss_curve_ must be of type list"),
        (["network", "history", "loss_curve_"], ["0"], r"content.network.history.loss_curve_\[0\] must be a number"),
        (
            ["network", "history", "optimize_result_"],
            5,
            "content.network.history.optimize_result_ must be None or a dict",
        ),
    ],
)
def test_wrong_content_is_refused_with_its_place(content, path, value, message):
    with pytest.raises(ValueError, match=message):
        BackpropClassifier.from_dict(changed(content, path, value))


@pytest.mark.parametrize("wrong", [None, [], "{}", b"", 5, BackpropClassifier()])
def test_content_that_is_no_dict_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=r"content must be a dict, as to_dict returns and json.loads reads; got"):
        BackpropClassifier.from_dict(wrong)


def test_weights_that_are_not_finite_are_refused(content):
    weights = content["network"]["coefs"][0]
    nan = written_array(np.full(weights["shape"], np.nan))
    with pytest.raises(ValueError, match=r"content.network is no network that fits content.target: .*contains NaN"):
        BackpropClassifier.from_dict(changed(content, ["network", "coefs", 0], nan))


def test_content_of_an_ensemble_is_refused_by_the_class_of_one_network(content):
    with pytest.raises(ValueError, match="content is of the class 'BackpropClassifier', not of BackpropClassifierCV"):
        BackpropClassifierCV.from_dict(content)


def test_of_800_mutilated_files_each_is_refused_or_is_what_it_says(content):
    rng, outcomes = random.Random(0), {"loaded": 0, "refused": 0}
    for _ in range(800):
        file = mutilated(content, rng)
        try:
            clf = BackpropClassifier.from_dict(copy.deepcopy(file))
        except (TypeError, ValueError):
            outcomes["refused"] += 1
            continue
        outcomes["loaded"] += 1
        again = clf.to_dict() | {"version": file["version"]}
        assert again == file
        proba = clf.predict_proba(X[:5, : clf.n_features_in_])
        assert np.isfinite(proba).all()
    assert min(outcomes.values()) > 50


def test_an_own_activation_is_not_found_by_name():
    mine = Activation(lambda z, out: np.sin(z, out=out), lambda z, out: np.cos(z, out=out), needs_z=True, name="tanh")
    clf = BackpropClassifier.from_weights(*random_weights([4, 3, 3]), classes=[0, 1, 2], activation=mine)
    with pytest.raises(TypeError, match="the parameter activation"):
        clf.to_dict()
