"""What a fit publishes: plain arrays, lists and numbers that agree with the history and with earlier calls."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp import BackpropClassifier
from skbp._estimators.publishing import CURVES, fitted_at, layers, publish, results, start_history
from skbp._network.parameters import Parameters
from skbp._training.history import History


def parameters():
    params = Parameters((3, 4, 2), np.float32)
    params.vector[...] = np.arange(params.vector.size)
    return params


def history_of(losses, scores=None, *, early_stopping=False, learning_rate=0.1):
    """A history with these losses and scores."""
    history, params = History(0.0, 10, scores is not None, early_stopping), parameters()
    history.start(params, None, trained=False)
    for k, loss in enumerate(losses, start=1):
        figures = (np.nan, np.nan) if scores is None else (scores[k - 1], -scores[k - 1])
        history.add(loss, params.vector, learning_rate, 60 * k, figures)
    return history


@pytest.fixture
def clf():
    """A classifier with a history without epochs."""
    clf = BackpropClassifier()
    start_history(clf)
    return clf


def test_a_history_without_epochs(clf):
    assert clf.loss_curve_ == []
    assert clf.learning_rate_curve_ is clf.validation_scores_ is clf.validation_loss_curve_ is None
    assert clf.optimize_result_ is clf.best_validation_score_ is None
    assert (clf.n_iter_, clf.t_, clf.best_iter_) == (0, 0, 0)
    assert (clf.loss_, clf.best_loss_) == (np.inf, np.inf)
    assert clf._training_state == {}


def test_layers_are_arrays_with_memory_of_their_own():
    params = parameters()
    published = layers(params)
    assert published["n_layers_"] == 3
    for found, mine in zip(published["coefs_"] + published["intercepts_"], params.weights + params.biases, strict=True):
        assert_array_equal(found, mine)
        assert found.dtype == np.float32
        assert found.base is None
        assert not np.shares_memory(found, params.vector)


def test_the_first_results_are_those_of_the_history(clf):
    found = results(clf, parameters(), history_of([3.0, 1.0, 2.0]))
    assert found["loss_curve_"] == [3.0, 1.0, 2.0]
    assert found["learning_rate_curve_"] == [0.1, 0.1, 0.1]
    assert found["validation_scores_"] is found["validation_loss_curve_"] is found["best_validation_score_"] is None
    assert (found["n_iter_"], found["t_"], found["loss_"], found["best_loss_"], found["best_iter_"]) == (
        3,
        180,
        2,
        1,
        3,
    )
    assert_array_equal(found["coefs_"][0], parameters().weights[0])
    assert clf.loss_curve_ == []  # nothing is published yet


def test_methods_of_scipy_have_no_learning_rates_and_no_samples():
    clf = BackpropClassifier(solver="lbfgs")
    start_history(clf)
    clf.t_ = 60
    history, params = History(0.0, 10), parameters()
    history.start(params, None, trained=False)
    history.add(1.0, params.vector, None, None, (np.nan, np.nan))
    found = results(clf, params, history)
    assert found["learning_rate_curve_"] is None
    assert found["t_"] == 60


@pytest.mark.parametrize("early_stopping", [False, True])
def test_validation_is_published(early_stopping, clf):
    found = results(clf, parameters(), history_of([3.0, 2.0, 1.0], [0.5, 0.75, 0.25], early_stopping=early_stopping))
    assert found["validation_scores_"] == [0.5, 0.75, 0.25]
    assert found["validation_loss_curve_"] == [-0.5, -0.75, -0.25]
    assert found["best_validation_score_"] == 0.75
    assert found["best_iter_"] == (2 if early_stopping else 3)
    assert found["best_loss_"] == (None if early_stopping else 1.0)


@pytest.mark.parametrize("extend", [False, True])
def test_curves_go_on_from_call_to_call(extend, clf):
    publish(clf, results(clf, parameters(), history_of([3.0, 2.0]), extend=extend))
    before = {name: getattr(clf, name) for name in CURVES}
    found = results(clf, parameters(), history_of([2.5, 2.25]), extend=extend)
    assert found["loss_curve_"] == [3.0, 2.0, 2.5, 2.25]
    assert found["learning_rate_curve_"] == [0.1] * 4
    assert (found["n_iter_"], found["best_iter_"], found["loss_"], found["best_loss_"]) == (2, 4, 2.25, 2.0)
    assert (found["loss_curve_"] is before["loss_curve_"]) == extend
    assert len(before["loss_curve_"]) == (4 if extend else 2)


def test_epochs_of_earlier_calls_without_a_figure_are_nan(clf):
    publish(clf, results(clf, parameters(), history_of([3.0, 2.0])))
    found = results(clf, parameters(), history_of([1.0], [0.5]))
    assert_array_equal(found["validation_scores_"], [np.nan, np.nan, 0.5])
    assert_array_equal(found["validation_loss_curve_"], [np.nan, np.nan, -0.5])


def test_a_call_without_validation_has_no_validation_curves(clf):
    publish(clf, results(clf, parameters(), history_of([3.0], [0.5])))
    found = results(clf, parameters(), history_of([2.0]))
    assert found["validation_scores_"] is found["validation_loss_curve_"] is found["best_validation_score_"] is None


def test_the_best_epoch_counts_along_all_calls(clf):
    publish(clf, results(clf, parameters(), history_of([3.0, 2.0], [0.5, 0.75], early_stopping=True)))
    assert clf.best_iter_ == 2
    better = results(clf, parameters(), history_of([1.0, 1.5], [0.8, 0.6], early_stopping=True))
    assert better["best_iter_"] == 3
    none = History(0.0, 10, True, True)
    none.start(parameters(), lambda params: (0.75, 0.1), trained=True)
    none.add(1.0, parameters().vector, 0.1, 60, (0.5, 0.5))
    assert results(clf, parameters(), none)["best_iter_"] == 2


def test_the_least_loss_of_all_calls_is_known_after_early_stopping(clf):
    publish(clf, results(clf, parameters(), history_of([0.5, 2.0], [0.5, 0.75], early_stopping=True)))
    assert clf.best_loss_ is None
    assert results(clf, parameters(), history_of([1.0]))["best_loss_"] == 0.5


def test_a_call_without_epochs_has_no_loss(clf):
    found = results(clf, parameters(), history_of([]))
    assert np.isnan(found["loss_"])
    assert (found["n_iter_"], found["best_loss_"], found["loss_curve_"]) == (0, np.inf, [])


def test_a_fitted_copy_has_the_parameters_and_no_history():
    clf = BackpropClassifier(max_iter=3, random_state=0, warm_start=True)  # a warm start keeps the generator
    X = np.random.RandomState(0).normal(size=(30, 3))
    with pytest.warns(UserWarning, match="Maximum iterations"):
        clf.fit(X, X[:, 0] > 0)
    params = Parameters((3, 100, 1), np.float64)
    params.vector[...] = 0.25
    copied = fitted_at(clf, params)
    assert type(copied) is BackpropClassifier
    assert copied.get_params() == clf.get_params()
    assert copied.loss_curve_ == []
    assert_array_equal(copied.coefs_[1], np.full((100, 1), 0.25))
    expected = np.maximum(0.25 * X.sum(axis=1) + 0.25, 0.0) * 25.0 + 0.25
    np.testing.assert_allclose(copied.decision_function(X), expected, rtol=1e-12)
    assert len(clf.loss_curve_) == 3
    # The copy draws from a generator of its own.
    assert copied._random_state is not clf._random_state
    assert copied._random_state.randint(10**6) == clf._random_state.randint(10**6)
