"""A network predicts the same as an MLPClassifier and back, and trains further there as here."""

import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_networks import assert_same_weights, random_weights, small
from toy_datasets import linear_rule

from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp._estimators.exchange import MLP_ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = linear_rule(noise=0.0)
TARGETS = {
    "two classes": Y > 0,
    "three classes": np.array(["a", "b", "c"], dtype=object)[Y],
    "multilabel": (X[:, :3] > 0.0).astype(int),
    "sparse multilabel": csr_array((X[:, :3] > 0.0).astype(int)),
}


def mlp(**params):
    return MLPClassifier(**{"hidden_layer_sizes": (5, 3), "max_iter": 5, "random_state": 0, **params})


def dense(labels):
    return labels.toarray() if issparse(labels) else labels


def assert_same_predictions(one, other):
    for method in ("predict", "predict_proba", "predict_log_proba"):
        expected, got = getattr(other, method)(X), getattr(one, method)(X)
        assert type(got) is type(expected)
        (assert_array_equal if method == "predict" else assert_allclose)(dense(got), dense(expected))
    assert_array_equal(one.classes_, other.classes_)
    assert one.classes_.dtype == other.classes_.dtype


def test_the_activations_are_those_of_mlpclassifier():
    assert set(MLP_ACTIVATIONS) == MLPClassifier._parameter_constraints["activation"][0].options


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", MLP_ACTIVATIONS)
def test_both_ways_predict_the_same(activation, target):
    y = TARGETS[target]
    theirs = mlp(activation=activation).fit(X, y)
    ours = BackpropClassifier.from_mlp_classifier(theirs)
    assert_same_predictions(ours, theirs)
    assert_same_predictions(ours.to_mlp_classifier(), theirs)
    trained_here = small(activation=activation).fit(X, y)
    assert_same_predictions(trained_here.to_mlp_classifier(), trained_here)
    score = [clf.score(X, dense(y)) for clf in (ours, ours.to_mlp_classifier(), theirs)]
    assert score[0] == score[1] == score[2]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_network_that_goes_there_and_back_has_everything_it_had(solver, early_stopping):
    theirs = mlp(solver=solver, early_stopping=early_stopping, alpha=0.5).fit(X, Y)
    ours = BackpropClassifier.from_mlp_classifier(theirs)
    again = ours.to_mlp_classifier()
    assert again.get_params() == theirs.get_params()
    assert {name: ours.get_params()[name] for name in theirs.get_params()} == theirs.get_params()
    # MLPClassifier knows what these are with mini-batches only.
    of_training = {
        "_optimizer",
        "_random_state",
        "_coef_indptr",
        "_intercept_indptr",
        "_best_coefs",
        "_best_intercepts",
    }
    names = [name for name in vars(theirs) if name.endswith("_") or name.startswith("_")]
    for name in set(names) - of_training - {"_label_binarizer", "_no_improvement_count"}:
        np.testing.assert_equal(getattr(again, name), getattr(theirs, name))
    assert_same_weights(again, theirs)
    assert not any(np.shares_memory(a, b) for a, b in zip(again.coefs_ + ours.coefs_, theirs.coefs_ * 2, strict=True))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("target", ["two classes", "multilabel"])
def test_training_there_publishes_what_training_here_publishes(solver, early_stopping, target):
    params = {"solver": solver, "early_stopping": early_stopping, "hidden_layer_sizes": (5, 3)}
    ours = small(**params).fit(X, TARGETS[target])
    theirs = mlp(**params).fit(X, TARGETS[target])
    there = ours.to_mlp_classifier()
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert type(getattr(there, name)) is type(getattr(theirs, name))
    if solver != "lbfgs":
        assert len(there.loss_curve_) == len(theirs.loss_curve_)
        assert_allclose(there.loss_curve_[0], theirs.loss_curve_[0], rtol=0.2)
        assert (there.best_loss_ is None, there.validation_scores_ is None) == (early_stopping, not early_stopping)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_goes_on_there_as_here(solver):
    params = {"solver": solver, "shuffle": False, "learning_rate_init": 0.01}
    ours = small(**params).fit(X, Y)
    there = ours.to_mlp_classifier()
    anew = BackpropClassifier.from_mlp_classifier(there)
    for _ in range(3):
        there.partial_fit(X, Y)
        anew.partial_fit(X, Y)
    assert_allclose(there.predict_proba(X), anew.predict_proba(X), rtol=1e-6)
    assert_allclose(there.loss_curve_, anew.loss_curve_, rtol=1e-6)
    assert len(there.loss_curve_) == 8
    assert there.t_ == anew.t_ == 8 * len(X)
    assert len(ours.loss_curve_) == 5


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_goes_on_there(solver, early_stopping):
    ours = small(solver=solver, early_stopping=early_stopping, warm_start=True, max_iter=20).fit(X, Y)
    there = ours.to_mlp_classifier()
    before = there.predict_proba(X)
    # Nothing improves with this learning rate, so the best weights stay those of before.
    there.set_params(learning_rate_init=1e-30, max_iter=2, tol=1e10, max_fun=1).fit(X, Y)
    if solver != "lbfgs":
        assert_allclose(there.predict_proba(X), before, rtol=1e-6)
        assert len(there.loss_curve_) == len(ours.loss_curve_) + there.n_iter_
        back = BackpropClassifier.from_mlp_classifier(ours.to_mlp_classifier()).fit(X, Y)
        assert len(back.loss_curve_) == len(ours.loss_curve_) + back.n_iter_


def test_scores_that_are_no_accuracies_stay_here():
    ours = small(early_stopping=True, scoring="loss").fit(X, Y)
    with pytest.warns(
        UserWarning, match="MLPClassifier has no scoring='loss'. Its predictions are the same, but further training"
    ):
        there = ours.to_mlp_classifier()
    assert (there.validation_scores_, there.best_validation_score_) == ([], -np.inf)
    with pytest.warns(UserWarning, match="scoring"):
        there = ours.set_params(warm_start=True).to_mlp_classifier().fit(X, Y)
    assert max(there.validation_scores_) == there.best_validation_score_ >= 0.0


def test_the_best_iteration_is_that_of_the_best_score():
    theirs = mlp(early_stopping=True, max_iter=30).fit(X, Y)
    ours = BackpropClassifier.from_mlp_classifier(theirs)
    assert ours.validation_scores_[ours.best_iter_ - 1] == theirs.best_validation_score_ == ours.best_validation_score_
    assert BackpropClassifier.from_mlp_classifier(mlp(solver="lbfgs").fit(X, Y)).best_iter_ == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_weights_and_of_the_probabilities(dtype):
    ours = small().fit(X.astype(dtype), Y)
    there = ours.to_mlp_classifier()
    assert there.coefs_[0].dtype == BackpropClassifier.from_mlp_classifier(there).coefs_[0].dtype == dtype
    rows = X.astype(dtype)
    assert there.predict_proba(rows).dtype == ours.predict_proba(rows).dtype == dtype
    assert_allclose(there.predict_proba(rows), ours.predict_proba(rows), rtol=1e-4 if dtype == np.float32 else 1e-10)


def test_names_of_features_go_along():
    frame = pd.DataFrame(X, columns=list("abcdefgh")[: X.shape[1]])
    ours = small().fit(frame, Y)
    for clf in (ours.to_mlp_classifier(), BackpropClassifier.from_mlp_classifier(mlp().fit(frame, Y))):
        assert_array_equal(clf.feature_names_in_, frame.columns)
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(frame[frame.columns[::-1]])
    assert not hasattr(small().fit(X, Y).to_mlp_classifier(), "feature_names_in_")


def test_a_network_without_hidden_layers_and_one_with_given_weights():
    for activation in ("gelu", [], "tanh"):
        ours = small(hidden_layer_sizes=(), activation=activation).fit(X, Y)
        there = ours.to_mlp_classifier()
        assert_same_predictions(there, ours)
        assert there.activation == ("tanh" if activation == "tanh" else "relu")
    given = BackpropClassifier.from_weights([[[20.0], [20.0]]], [[-30.0]], classes=["no", "yes"])
    assert given.to_mlp_classifier().predict([[1.0, 1.0], [0.0, 1.0]]).tolist() == ["yes", "no"]
    assert given.to_mlp_classifier().partial_fit([[1.0, 1.0]], ["yes"]).t_ == 1


def test_a_list_of_one_activation_and_a_member_of_an_ensemble():
    ours = BackpropClassifier((4, 3), ["tanh", "tanh"], max_iter=2, random_state=0).fit(X, Y)
    assert ours.to_mlp_classifier().activation == "tanh"
    clf = BackpropClassifierCV(3, "tanh", cv=2, n_repeats=1, max_iter=2, random_state=0).fit(X, Y)
    member, rows = clf.members_[0], clf.views_[0].transform(X)
    with pytest.warns(UserWarning, match="MLPClassifier has no .*dropout=0.15.*label_smoothing=0.05"):
        there = member.to_mlp_classifier()
    assert_allclose(there.predict_proba(rows), member.predict_proba(rows), rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "lost"),
    [
        ({"alpha": [0.1, 0.2]}, r"alpha=\[0.1, 0.2\]"),
        ({"solver": "trust-ncg"}, "solver='trust-ncg'"),
        ({"learning_rate": "cosine", "dropout": 0.1}, "learning_rate='cosine', dropout=0.1"),
        ({"class_weight": "balanced"}, "class_weight='balanced'"),
        ({"dtype": "float32"}, "dtype='float32'"),
    ],
)
def test_parameters_that_mlpclassifier_lacks_are_named(params, lost):
    ours = small(**params).fit(X, Y)
    with pytest.warns(
        UserWarning, match=f"^MLPClassifier has no {lost}. Its predictions are the same, but further training"
    ) as caught:
        there = ours.to_mlp_classifier()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_allclose(there.predict_proba(X), ours.predict_proba(X), rtol=1e-5)
    assert there.alpha == 0.0001
    assert there.solver == "adam"


def test_a_generator_is_copied():
    rng = np.random.RandomState(0)
    ours = small(random_state=rng).fit(X, Y)
    there = ours.to_mlp_classifier()
    assert there.random_state is not rng
    assert there.random_state.randint(1000) == clone(ours).random_state.randint(1000)


SINE = Activation(lambda z, out: np.sin(z, out=out), lambda z, out: np.cos(z, out=out), needs_z=True, name="tanh")


def given(activation="relu", n_outputs=3, classes=(0, 1, 2), **params):
    return BackpropClassifier.from_weights(
        *random_weights([4, 3, 2, n_outputs]), classes=list(classes), activation=activation, **params
    )


@pytest.mark.parametrize(
    ("clf", "message"),
    [
        (
            given("gelu"),
            "activation='gelu': MLPClassifier has the activations .*'relu'.* only. Train with one of these",
        ),
        (given(SINE), "MLPClassifier has the activations .* only"),
        (
            given(["relu", "tanh"]),
            "activation=.*'relu', 'tanh'.*: the hidden layers of an MLPClassifier have one activation",
        ),
        (
            given(n_outputs=2, classes=(0, 1), out_activation="softmax"),
            r"2 softmax unit\(s\), but .* is 1 logistic unit",
        ),
        (given(n_outputs=2, classes=(0, 1), out_activation="logistic"), r"2 logistic unit\(s\), but .* is 1 logistic"),
        (
            given(out_activation="logistic"),
            r"3 logistic unit\(s\), but .* is 3 softmax unit\(s\): train with out_activation=",
        ),
        (given(n_outputs=1, classes=(0,)), "There is a single class, 0, for which .* fit on two classes at least"),
    ],
    ids=range(7),
)
def test_a_network_that_mlpclassifier_does_not_have_is_an_error(clf, message):
    with pytest.raises(ValueError, match=message):
        clf.to_mlp_classifier()


def test_what_is_no_fitted_mlpclassifier_is_an_error():
    with pytest.raises(NotFittedError, match="This BackpropClassifier instance is not fitted yet"):
        BackpropClassifier().to_mlp_classifier()
    with pytest.raises(NotFittedError, match="This MLPClassifier instance is not fitted yet"):
        BackpropClassifier.from_mlp_classifier(MLPClassifier())
    pipeline = make_pipeline(StandardScaler(), mlp()).fit(X, Y)
    for wrong, kind in [
        (
            pipeline,
            "of type Pipeline: pass a fitted .*MLPClassifier. If it is in a pipeline or a search, pass the step",
        ),
        (MLPRegressor(), "of type MLPRegressor: pass"),
        (small(), "of type BackpropClassifier: pass"),
        (MLPClassifier, "the class MLPClassifier: pass"),
        (None, "of type NoneType: pass"),
    ]:
        with pytest.raises(TypeError, match=f"^mlp is {kind}"):
            BackpropClassifier.from_mlp_classifier(wrong)
    with pytest.raises(ValueError, match="mlp knows the class 1 only, for which MLPClassifier gives two probabilities"):
        BackpropClassifier.from_mlp_classifier(mlp().fit(X, np.ones(len(X), dtype=int)))


def test_weights_that_do_not_fit_each_other_are_an_error():
    theirs = mlp().fit(X, Y)
    theirs.coefs_ = theirs.coefs_[:-1]
    with pytest.raises(ValueError, match="intercepts has 3 arrays for 2 layers"):
        BackpropClassifier.from_mlp_classifier(theirs)


def test_the_exchange_gives_no_warning_for_defaults():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = BackpropClassifier.from_weights(*random_weights([4, 3, 3]), classes=[0, 1, 2])
        assert_same_predictions(BackpropClassifier.from_mlp_classifier(ours.to_mlp_classifier()), ours)


def test_a_file_of_skops_needs_no_trust():
    there = small().fit(X, Y).to_mlp_classifier()
    data = skops.io.dumps(there)
    assert skops.io.get_untrusted_types(data=data) == []
    assert_array_equal(skops.io.loads(data).predict_proba(X), there.predict_proba(X))
