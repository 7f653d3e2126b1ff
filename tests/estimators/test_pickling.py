"""Pickles hold the version that wrote them. Another version gives a warning and uses defaults for missing parameters."""

import copy
import inspect
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn.exceptions
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from toy_datasets import linear_rule

import skbp
from skbp import BackpropClassifier, BackpropClassifierCV, HiddenFeatures, InconsistentVersionWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::skbp.NothingLearnedWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)

X, Y = linear_rule(noise=0.0)


def network(**params):
    return BackpropClassifier((5, 4), **{"max_iter": 4, "random_state": 0, **params})


ESTIMATORS = {
    "BackpropClassifier": network,
    "BackpropClassifierCV": lambda: BackpropClassifierCV(5, cv=2, max_iter=4, random_state=0),
    "HiddenFeatures": lambda: HiddenFeatures(network(), layer=0),
}
# The parameters with defaults.
WITH_DEFAULTS = [(name, param) for name, make in ESTIMATORS.items() for param in make().get_params(deep=False)]
WITH_DEFAULTS.remove(("HiddenFeatures", "classifier"))


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return ESTIMATORS[request.param]().fit(X, Y)


def result(estimator):
    """The probabilities or features for X."""
    return estimator.transform(X) if isinstance(estimator, HiddenFeatures) else estimator.predict_proba(X)


def quietly_loaded(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pickle.loads(data)


def loaded(load, *args):
    """The loaded object, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return load(*args), caught


def pickled_by(version, estimator):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skbp._estimators.pickling.__version__", version)
        return pickle.dumps(estimator)


def from_state(estimator, state):
    """The estimator that unpickling makes from a state."""
    new = type(estimator).__new__(type(estimator))
    new.__setstate__(state)
    return new


def assert_equal(one, other):
    """Assert that two values are equal. Estimators are compared by their public attributes."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    elif isinstance(one, np.random.RandomState):
        assert_equal(one.get_state(legacy=False), other.get_state(legacy=False))
    elif isinstance(one, BaseEstimator):
        assert_equal(public(one), public(other))
    else:
        np.testing.assert_equal(one, other)  # nan equals nan


def public(estimator):
    return {name: value for name, value in vars(estimator).items() if not name.startswith("_")}


# The same version


def test_a_pickle_has_the_version_and_the_estimator_does_not(estimator):
    data = pickle.dumps(estimator)
    assert skbp.__version__.encode() in data
    assert estimator.__getstate__()["_skbp_version"] == skbp.__version__
    for one in (estimator, quietly_loaded(data)):
        assert not [name for name in vars(one) if "version" in name]


def test_unpickling_restores_all_public_attributes(estimator):
    back = quietly_loaded(pickle.dumps(estimator))
    assert_equal(public(back), public(estimator))
    assert_array_equal(result(back), result(estimator))


def test_unpickling_restores_an_estimator_that_is_not_fitted(estimator):
    bare = clone(estimator)
    back = quietly_loaded(pickle.dumps(bare))
    assert_equal(vars(back), vars(bare))
    assert_array_equal(result(back.fit(X, Y)), result(estimator))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_unpickling_restores_everything_for_a_warm_start(solver):
    clf = network(warm_start=True, solver=solver).fit(X, Y)
    back = quietly_loaded(pickle.dumps(clf))
    assert_equal(vars(back), vars(clf))
    for a, b in zip(back.fit(X, Y).coefs_, clf.fit(X, Y).coefs_, strict=True):
        assert_array_equal(a, b)
    assert_array_equal(back.loss_curve_, clf.loss_curve_)
    assert len(clf.loss_curve_) > 4


def test_partial_fit_continues_from_a_pickle():
    clf = network().partial_fit(X, Y, classes=[0, 1, 2])
    back = quietly_loaded(pickle.dumps(clf))
    assert_equal(vars(back), vars(clf))
    assert_array_equal(back.partial_fit(X, Y).predict_proba(X), clf.partial_fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_has_the_version(protocol, estimator):
    data = pickle.dumps(estimator, protocol)
    assert skbp.__version__.encode() in data
    assert_array_equal(result(quietly_loaded(data)), result(estimator))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, clone], ids=lambda function: function.__name__)
def test_copies_give_no_warning(copied, estimator):
    before = dict(vars(estimator))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = copied(estimator)
    assert_equal(other.get_params(deep=False), estimator.get_params(deep=False))
    assert_equal(vars(estimator), before)
    if copied is not clone:
        assert_equal(public(other), public(estimator))
        assert_array_equal(result(other), result(estimator))


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_gives_no_warning(compress, estimator, tmp_path):
    joblib.dump(estimator, tmp_path / "estimator", compress=compress)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = joblib.load(tmp_path / "estimator")
    assert_equal(public(back), public(estimator))
    assert_array_equal(result(back), result(estimator))


def test_unpickling_restores_a_frozen_transformer():
    transformer = network().fit(X, Y).as_transformer()
    back = quietly_loaded(pickle.dumps(transformer))
    assert isinstance(back.classifier_, FrozenEstimator)
    assert_array_equal(back.transform(X), transformer.transform(X))


def test_unpickling_restores_a_subclass():
    back = quietly_loaded(pickle.dumps(Subclass(shift=1.0, hidden_layer_sizes=5, max_iter=3).fit(X, Y)))
    assert (type(back), back.shift, back.hidden_layer_sizes) == (Subclass, 1.0, 5)


class Subclass(BackpropClassifier):
    def __init__(self, shift=0.5, hidden_layer_sizes=(100,), max_iter=200):
        super().__init__(hidden_layer_sizes, max_iter=max_iter)
        self.shift = shift


# Other versions


@pytest.mark.parametrize("version", ["0.0.1", "99.1", "1.0.dev0"])
def test_a_pickle_of_another_version_is_loaded_with_a_warning(version, estimator):
    back, caught = loaded(pickle.loads, pickled_by(version, estimator))
    # Networks within an estimator give warnings of their own.
    ours = [one for one in caught if one.message.estimator_name == type(estimator).__name__]
    assert len(ours) == 1
    warning = ours[0].message
    assert type(warning) is InconsistentVersionWarning
    assert isinstance(warning, sklearn.exceptions.InconsistentVersionWarning)
    assert isinstance(warning, UserWarning)
    for text in (type(estimator).__name__, f"pickled by skbp {version}", f"loaded by skbp {skbp.__version__}"):
        assert text in str(warning)
    assert "scikit-learn" not in str(warning)
    assert_equal(public(back), public(estimator))
    assert_array_equal(result(back), result(estimator))
    # A new pickle has the current version.
    assert_array_equal(result(quietly_loaded(pickle.dumps(back))), result(estimator))


def test_the_warning_points_to_the_line_that_loads(estimator):
    data = pickled_by("0.0.1", estimator)
    line = inspect.currentframe().f_lineno + 1
    _, caught = loaded(lambda: pickle.loads(data))
    assert {(one.filename, one.lineno) for one in caught} == {(__file__, line)}


def test_a_pickle_without_a_version_is_loaded_with_a_warning(estimator):
    state = dict(estimator.__getstate__())
    del state["_skbp_version"]
    back, caught = loaded(from_state, estimator, state)
    assert len(caught) == 1
    assert caught[0].category is InconsistentVersionWarning
    assert "of an unknown version" in str(caught[0].message)
    assert skbp.__version__ in str(caught[0].message)
    assert_array_equal(result(back), result(estimator))


def test_a_filter_for_scikit_learns_category_ignores_the_warning(estimator):
    data = pickled_by("0.0.1", estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", sklearn.exceptions.InconsistentVersionWarning)
        assert_array_equal(result(pickle.loads(data)), result(estimator))


def test_the_warning_may_be_an_error(estimator):
    data = pickled_by("0.0.1", estimator)
    with pytest.raises(InconsistentVersionWarning, match=r"0\.0\.1"):
        pickle.loads(data)


def test_the_warning_has_its_figures_as_attributes():
    warning = InconsistentVersionWarning(estimator_name="A", current_version="2", original_version="1")
    assert (warning.estimator_name, warning.original_sklearn_version) == ("A", "1")
    assert "A was pickled by skbp 1 and is loaded by skbp 2" in str(warning)


@pytest.mark.parametrize(("name", "param"), WITH_DEFAULTS)
def test_a_parameter_that_is_missing_in_the_pickle_gets_its_default(name, param):
    estimator = fitted(name)
    default = inspect.signature(type(estimator)).parameters[param].default
    state = {key: value for key, value in estimator.__getstate__().items() if key != param}
    back, _ = loaded(from_state, estimator, {**state, "_skbp_version": "0.0.1"})
    assert_equal(getattr(back, param), default)
    assert_equal(back.get_params(deep=False), {**estimator.get_params(deep=False), param: default})
    assert type(estimator).__name__ in repr(back)
    assert_equal(clone(back).get_params(deep=False), back.get_params(deep=False))
    if param not in ("hidden_layer_sizes", "layer"):  # the fitted weights have another shape than by default
        assert_array_equal(result(back), result(estimator))
    quietly_loaded(pickle.dumps(back))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_all_parameters_with_defaults_may_be_missing_at_once(name):
    estimator = fitted(name)
    params = estimator.get_params(deep=False)
    required = {"classifier"}
    state = {key: value for key, value in estimator.__getstate__().items() if key not in params or key in required}
    back, caught = loaded(from_state, estimator, {**state, "_skbp_version": "0.0.1"})
    assert [one.category for one in caught] == [InconsistentVersionWarning]
    fresh = type(estimator)(**{key: value for key, value in params.items() if key in required})
    assert_equal(back.get_params(deep=False), fresh.get_params(deep=False))


FITTED: dict = {}


def fitted(name):
    if name not in FITTED:
        FITTED[name] = ESTIMATORS[name]().fit(X, Y)
    return FITTED[name]


def test_a_default_does_not_replace_a_parameter_of_the_pickle():
    clf = network(alpha=0.7, solver="lbfgs", dtype="float32")
    back, _ = loaded(pickle.loads, pickled_by("0.0.1", clf))
    assert_equal(back.get_params(), clf.get_params())
