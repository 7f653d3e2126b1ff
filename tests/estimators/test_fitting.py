"""The frame of a fit: a failure undoes every change, and warnings come when everything is published."""

import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._estimators import ensemble, fitting, member_training, publishing
from skbp._estimators.fitting import one_fit, unchanged_on_error
from skbp._estimators.publishing import CURVES
from skbp._notices import note
from skbp._training import diagnosis
from skbp._training.train import Trained

X = np.random.RandomState(0).normal(size=(30, 3))
y = (X[:, 0] > 0).astype(int)


def trained_network():
    """A network in training, with a generator that further calls go on from. Returns it too."""
    clf = BackpropClassifier((3,), random_state=0).partial_fit(X, y, classes=[0, 1])
    return clf, [clf._random_state]


def new_ensemble():
    """An ensemble that draws from the user's generators. Returns them too."""
    generators = [np.random.RandomState(1), np.random.RandomState(2)]
    cv = KFold(2, shuffle=True, random_state=generators[1])
    return BackpropClassifierCV(random_state=generators[0], cv=cv), generators


def change(estimator, generators):
    """Do to an estimator what a fit may do."""
    for rng in generators:
        rng.randint(10**6)
    for name in CURVES:
        curve = getattr(estimator, name, None)
        if curve is not None:
            curve.extend([5.0, 6.0])
    estimator.coefs_ = [np.zeros((3, 1))]
    estimator.n_iter_ = 7
    estimator.set_params(random_state=5)


def change_and_fail(estimator, generators, error):
    change(estimator, generators)
    raise error


every_estimator = pytest.mark.parametrize("make", [trained_network, new_ensemble])
every_frame = pytest.mark.parametrize("frame", [unchanged_on_error, one_fit])


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit()], ids=repr)
@every_frame
@every_estimator
def test_an_error_undoes_every_change(make, frame, error):
    (estimator, generators), (expected, same_generators) = make(), make()
    before = dict(vars(estimator))
    with pytest.raises(type(error)) as caught, frame(estimator):
        change_and_fail(estimator, generators, error)
    assert caught.value is error
    assert list(vars(estimator)) == list(before)
    for name, value in before.items():
        assert vars(estimator)[name] is value
    for name in CURVES:
        assert getattr(estimator, name, None) == getattr(expected, name, None)
    assert [rng.randint(10**6) for rng in generators] == [rng.randint(10**6) for rng in same_generators]


@every_frame
@every_estimator
def test_without_an_error_every_change_stays(make, frame):
    (estimator, generators), (unchanged, same_generators) = make(), make()
    with frame(estimator):
        change(estimator, generators)
    assert estimator.n_iter_ == 7
    assert estimator.random_state == 5
    if make is trained_network:
        assert estimator.loss_curve_ == [*unchanged.loss_curve_, 5.0, 6.0]
    assert [rng.randint(10**6) for rng in generators] != [rng.randint(10**6) for rng in same_generators]


def test_a_network_goes_on_after_a_failed_call_as_if_there_had_been_none():
    (clf, generators), (expected, _) = trained_network(), trained_network()
    with pytest.raises(ValueError, match="wrong"), unchanged_on_error(clf):
        change_and_fail(clf, generators, ValueError("wrong"))
    for one in (clf, expected):
        one.partial_fit(X, y)
    assert clf.loss_curve_ == expected.loss_curve_
    for a, b in zip(clf.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_numpys_settings_for_errors_have_no_effect_in_a_fit():
    large, zero = np.array([1e308]), np.zeros(1)
    with np.errstate(all="raise"):
        with one_fit(BackpropClassifier()):
            assert np.isinf(large * 10.0).all()
            assert np.isnan(zero / zero).all()
        with pytest.raises(FloatingPointError):
            large * 10.0


def publish_and_note(estimator):
    note("look out")
    note("look out")
    estimator.n_iter_ = 7


def test_warnings_come_once_when_everything_is_published():
    estimator = BackpropClassifier()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with one_fit(estimator):
            publish_and_note(estimator)
            assert not caught
    assert [str(w.message) for w in caught] == ["look out"]
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_a_warning_that_a_filter_makes_an_error_loses_nothing():
    estimator = BackpropClassifier()
    with pytest.raises(UserWarning, match="look out"), one_fit(estimator):
        publish_and_note(estimator)
    assert estimator.n_iter_ == 7


@pytest.mark.filterwarnings("error")
def test_an_error_takes_the_place_of_the_warnings():
    estimator = BackpropClassifier()

    def fails():
        publish_and_note(estimator)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), one_fit(estimator):
        fails()
    assert not hasattr(estimator, "n_iter_")


def interrupt_once(monkeypatch, module, name, after=0):
    """Let one call of a function of a module raise KeyboardInterrupt in its place."""
    function, calls = getattr(module, name), []

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) == after + 1:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, interrupted)
    return calls


plain_ensemble = partial(BackpropClassifierCV, n_repeats=1)


@pytest.mark.parametrize(
    ("make", "module", "name"),
    [
        (BackpropClassifier, publishing, "layers"),
        (BackpropClassifier, fitting, "publish"),
        (BackpropClassifier, diagnosis, "advice"),
        (BackpropClassifier, diagnosis, "is_unscaled"),
        (plain_ensemble, publishing, "layers"),
        (plain_ensemble, diagnosis, "advice"),
        (partial(BackpropClassifierCV, solver="lbfgs"), diagnosis, "advice"),
        (partial(BackpropClassifier, solver="lbfgs"), diagnosis, "advice"),
        (partial(BackpropClassifier, solver="lbfgs"), publishing, "layers"),
        (BackpropClassifier, Trained, "close"),
        (partial(BackpropClassifierCV, solver="lbfgs"), Trained, "close"),
        (plain_ensemble, ensemble, "of_members"),
        (plain_ensemble, member_training, "_was_finite"),
    ],
)
def test_an_interrupt_after_training_loses_nothing(make, module, name, monkeypatch):
    X, y = np.random.default_rng(0).standard_normal((60, 3)), np.arange(60) % 2
    params = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": (4,)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        whole = make(**params).fit(X, y)
        calls = interrupt_once(monkeypatch, module, name)
        clf = make(**params).fit(X, y)
    assert calls
    assert "Interrupted by user after training, which is complete." in [str(one.message) for one in caught]
    assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))
    assert clf.n_iter_ == whole.n_iter_
    if make is BackpropClassifier:
        assert clf.loss_curve_ == whole.loss_curve_
