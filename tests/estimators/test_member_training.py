"""Members that see two views train in two parts. Whatever happens to the second, the first is not lost."""

import contextlib
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from interrupting import interrupt_at
from numpy.testing import assert_allclose, assert_array_equal
from recording import Recorder, around, epochs, with_callbacks
from registries import ACTIVATIONS
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit
from small_ensembles import SOLVER_KINDS, assert_same_network

from skbp import BackpropClassifier, BackpropClassifierCV, UnusedParameterWarning
from skbp._data.quantile_bins import QuantileBins
from skbp._estimators import ensemble
from skbp._network.losses import LOSSES
from skbp._network.sensitivity import sensitivity
from skbp._training.recipe import Recipe

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rows(n_classes=3, n_features=5):
    return make_classification(
        90, n_features, n_informative=4, n_redundant=0, n_classes=n_classes, n_clusters_per_class=1, random_state=0
    )


def two_views(**params):
    given = {"hidden_layer_sizes": (6,), "cv": 3, "max_iter": 5, "n_iter_no_change": np.inf, "random_state": 0}
    if params.get("solver", "adam") != "adam":
        given.pop("n_iter_no_change")
    return BackpropClassifierCV(**given | params)


def is_binned(clf):
    return [view is not clf.preprocessor_ for view in clf.views_]


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_the_second_half_of_the_members_are_networks_on_quantile_bins(solver, monkeypatch):
    X, y = rows()
    draw = Recipe.draw
    params = {"solver": solver, "dtype": "float64", "alpha": 0.1, "label_smoothing": 0.0}
    if solver == "adam":
        params["batch_size"] = 8  # a member on its own looks at its fold after every epoch
    clf = two_views(**params).fit(X, y)
    assert is_binned(clf) == [False] * 3 + [True] * 3
    plain = two_views(**params, n_repeats=1).fit(X, y)
    for member, other in zip(clf.members_[:3], plain.members_[:3], strict=True):
        assert_same_network(member, other)
    for k in (3, 4, 5):
        member, fold = clf.members_[k], clf.oof_indices_[k]
        train = np.setdiff1d(np.arange(len(X)), fold)
        assert_array_equal(fold, clf.oof_indices_[k - 3])
        Z = clf.views_[k].transform(X)
        monkeypatch.setattr(Recipe, "draw", scaled(draw, factors_of(clf, k, X)))
        alone = BackpropClassifier(**member.get_params()).fit(Z[train], y[train], X_val=Z[fold], y_val=y[fold])
        assert_same_network(member, alone)


def factors_of(clf, k, X):
    """By the formula, what multiplies the initial weights of member k on bins: the plain member of its fold decides."""
    plain, bins = clf.members_[k - 3], clf.views_[k][-1]
    activations = [ACTIVATIONS[clf.activation]] * (plain.n_layers_ - 2)
    found = sensitivity(plain.coefs_, plain.intercepts_, activations, LOSSES["softmax"], clf.preprocessor_.transform(X))
    factors = np.sqrt(found / found.mean())
    assert factors.max() < 4.0
    return factors[bins.feature_]


def scaled(draw, factors):
    def scaled_draw(*given):
        params = draw(*given)
        params.weights[0][...] *= factors[:, None]
        return params

    return scaled_draw


def test_the_importances_tell_what_the_plain_members_depend_on():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 6)) * 10.0 ** np.arange(6)
    y = (X[:, 1] / 10.0 + 0.3 * rng.normal(size=400) > 0.0).astype(int)
    clf = two_views(max_iter=50).fit(X, y)
    assert clf.feature_importances_.shape == (6,)
    assert_allclose(clf.feature_importances_.sum(), 1.0)
    assert clf.feature_importances_.argmax() == 1
    assert clf.feature_importances_[1] > 0.8


def test_importances_belong_to_the_columns_of_the_table():
    pandas = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    X = pandas.DataFrame(
        {
            "noise": rng.normal(size=300),
            "town": rng.choice(["a", "b", "c", "rare"], 300, p=[0.4, 0.3, 0.29, 0.01]),
            "empty": np.nan,
            "size": rng.normal(size=300),
        }
    )
    y = (X["town"] == "a") ^ (X["size"] > 1.5)
    with pytest.warns(UserWarning, match="without a value"):
        clf = two_views(max_iter=100).fit(X, y)
    only = two_views(max_iter=3).fit(X[["town"]], y)
    assert_array_equal(only.feature_importances_, [1.0])
    noise, town, empty, size = clf.feature_importances_
    assert empty == 0.0
    assert town > size > noise


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [False] * 3 + [True] * 3),
        ({"n_repeats": 1}, [False] * 3),
        ({"n_repeats": 3}, [False] * 6 + [True] * 3),
        ({"quantile_bins": 0}, [False] * 6),
        ({"quantile_bins": 3}, [False] * 3 + [True] * 3),
        ({"cv": KFold(3)}, [False] * 3),
        ({"cv": RepeatedKFold(n_splits=2, n_repeats=2, random_state=0)}, [False] * 4),
        ({"cv": ShuffleSplit(4, random_state=0)}, [False] * 4),
        ({"cv": [*KFold(2).split(np.zeros(90)), *KFold(3).split(np.zeros(90))]}, [False] * 5),
    ],
    ids=str,
)
def test_which_members_see_bins(params, expected):
    clf = two_views(max_iter=2, **params).fit(*rows())
    assert is_binned(clf) == expected
    assert_allclose(clf.member_weights_.sum(), 1.0)
    n_plain = expected.count(False)
    assert len({*clf.member_weights_[:n_plain]}) == len({*clf.temperatures_[:n_plain]}) == 1
    if params.get("quantile_bins") == 3:
        assert clf.views_[-1].transform(rows()[0]).shape[1] == 15


def test_bins_are_left_out_where_they_do_not_pay():
    X, y = rows()
    rng = np.random.RandomState(0)
    many_classes = np.arange(90) % 10
    labels = rng.randint(0, 2, (90, 3))
    for data, target in ((X, many_classes), (X, labels), ((X > 0.0).astype(float), y)):
        clf = two_views(max_iter=2).fit(data, target)
        assert len(clf.members_) == 6
        assert is_binned(clf) == [False] * 6
    assert any(is_binned(two_views(max_iter=2, quantile_bins=4).fit(X, many_classes)))


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_an_interrupt_in_the_second_part_keeps_the_first_and_what_is_trained_since(solver):
    X, y = rows()
    whole = two_views(solver=solver).fit(X, y)
    # The epoch in which the interrupt comes is counted in each part. The third line 2 is that of the second part.
    n = 2 if solver == "adam" else 5
    clf = two_views(solver=solver, verbose=1)
    with interrupt_at(2, n), pytest.warns(ConvergenceWarning, match=r"[Ii]nterrupted"):
        clf.fit(X, y)
    assert len(clf.members_) == (6 if solver == "adam" else 5)
    for member, other in zip(clf.members_[:3], whole.members_[:3], strict=True):
        assert_same_network(member, other, rtol=0.0, atol=0.0)
    assert clf.members_[-1].n_iter_ == 2
    assert np.isfinite(clf.predict_proba(X)).all()


def test_an_interrupt_before_the_second_part_keeps_the_first(monkeypatch):
    X, y = rows()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    clf = two_views()
    monkeypatch.setattr(QuantileBins, "encoded", interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted by user"):
        clf.fit(X, y)
    assert is_binned(clf) == [False] * 3
    assert_allclose(clf.member_weights_, 1.0 / 3.0)


@pytest.mark.parametrize("function", ["sensitivity", "of_members"])
def test_an_interrupt_after_the_first_part_keeps_it_and_ends_training(monkeypatch, function):
    X, y = rows()
    whole, calls = two_views().fit(X, y), []
    right = getattr(ensemble, function)

    def interrupt_once(*args):
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return right(*args)

    monkeypatch.setattr(ensemble, function, interrupt_once)
    with pytest.warns(ConvergenceWarning, match=r"3 of 6 members are left out.* interrupted by user"):
        clf = two_views().fit(X, y)
    assert is_binned(clf) == [False] * 3
    assert_array_equal(clf.feature_importances_, whole.feature_importances_)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"cv": KFold(3), "n_repeats": 3}, "n_repeats=3 has no effect: cv is not a number"),
        ({"cv": KFold(3), "quantile_bins": 4}, "quantile_bins=4 has no effect: cv is not a number"),
        ({"n_repeats": 1, "quantile_bins": 4}, "quantile_bins=4 has no effect: n_repeats is 1"),
    ],
    ids=str,
)
def test_repeats_and_bins_that_cannot_be_had_are_named(params, expected):
    with pytest.warns(UnusedParameterWarning, match=expected):
        two_views(**params, max_iter=2).fit(*rows())


def test_bins_that_the_data_do_not_allow_are_named():
    X, y = rows()
    for data, labels, reason in (
        (sp.csr_array(X), y, "X is sparse"),
        (np.full((90, 2), 5.0), y, "every column of X has one value"),
        (X[:3], np.arange(3), "there are no folds"),
    ):
        with pytest.warns(UnusedParameterWarning, match=f"quantile_bins=4 has no effect: {reason}"), quiet():
            clf = two_views(quantile_bins=4, max_iter=2, scale=False).fit(data, labels)
        assert not any(is_binned(clf))


@contextlib.contextmanager
def quiet():
    """No other warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "cv=3 asks for more folds|Nothing was learned", UserWarning)
        yield


def test_without_memory_for_the_bins_the_plain_members_are_kept(monkeypatch):
    X, y = rows()

    def fails(*args):
        raise MemoryError("no memory")

    monkeypatch.setattr(QuantileBins, "encoded", fails)
    with pytest.warns(ConvergenceWarning, match="Members on quantile bins: no memory"):
        clf = two_views().fit(X, y)
    assert is_binned(clf) == [False] * 3


def test_the_order_of_the_rows_does_not_decide_what_matters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1800, 3))
    # The feature that matters alternates from row to row.
    X[:, 2] = np.arange(1800) % 3
    y = np.where(X[:, 2] == 0, X[:, 0], X[:, 1]) > 0.0
    importances = two_views(max_iter=30).fit(X, y).feature_importances_
    assert importances[:2].min() > 0.1


def test_rows_of_weight_zero_do_not_make_bins():
    X, y = rows()
    X[:60] = 3.0
    weight = np.where(np.arange(90) < 60, 1.0, 0.0)
    clf = two_views(max_iter=2, scale=False).fit(X, y, sample_weight=weight)
    assert is_binned(clf) == [False] * 6
    X, y = rows()
    X[60:] *= 50.0
    clf = two_views(max_iter=2, scale=False).fit(X, y, sample_weight=weight)
    expected = QuantileBins().fit(X[:60].astype(np.float32))
    assert_array_equal(clf.views_[-1][-1].coefficients_, expected.coefficients_)


def test_with_one_class_nothing_matters():
    clf = two_views(max_iter=2).fit(rows()[0], np.zeros(90))
    assert_array_equal(clf.feature_importances_, 0.0)
    assert_array_equal(clf.temperatures_, 1.0)
    assert_allclose(clf.member_weights_, 1.0 / 6.0)


def test_max_time_is_shared_by_both_parts():
    X, y = rows()
    clf = two_views(max_time=0.6, max_iter=10**6, tol=0.0)
    started = time.process_time()
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clf.fit(X, y)
    assert time.process_time() - started < 10.0
    assert is_binned(clf) == [False] * 3 + [True] * 3
    assert min(member.n_iter_ for member in clf.members_) >= 1


@with_callbacks
def test_the_epochs_of_both_parts_are_subtasks_of_one_fit():
    X, y = rows()
    recorder = Recorder()
    clf = two_views(max_iter=3).set_callbacks(recorder).fit(X, y)
    assert recorder.calls == around(*epochs(6))
    assert recorder.given[0]["context"].max_subtasks == 6
    assert [len(shown.members_) for shown in recorder.shown()] == [3] * 3 + [6] * 3
    for shown in recorder.shown():
        proba = shown.predict_proba_members(X)
        assert_allclose(shown.predict_proba(X), proba.mean(axis=0), rtol=1e-10)
    assert_array_equal(recorder.shown("fit")[0].predict_proba(X), clf.predict_proba(X))


@with_callbacks
def test_a_callback_that_ends_the_first_part_ends_training():
    X, y = rows()
    recorder = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 1)
    clf = two_views().set_callbacks(recorder).fit(X, y)
    assert len(clf.members_) == 3
    assert clf.n_iter_ == 2
    assert recorder.calls == around(*epochs(2))


def test_parameters_of_the_ensemble_are_validated():
    X, y = rows()
    for params in ({"n_repeats": 0}, {"n_repeats": 1.5}, {"quantile_bins": -1}, {"quantile_bins": "many"}):
        with pytest.raises(ValueError, match=next(iter(params))):
            two_views(**params).fit(X, y)
