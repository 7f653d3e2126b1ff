"""Weights of rows: the loss depends on their ratios only. Their common factor matters beside a penalty."""

import inspect
import math
import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier
from small_networks import with_rounding_kept_small

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._data.weights import checked_weight, of_mean_one, relative_weights, shares
from skbp._training.solvers import SOLVERS

# Most tests train for a few epochs only, so they neither converge nor learn.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

FACTORS = [1e-300, 1e-42, 1e-8, 3.7, 1e39, 1e300]
POWERS_OF_2 = [-990, -140, -1, 1, 130, 990]

positive = st.floats(min_value=1e-300, max_value=1e300)


def exact(array, exponent=0):
    """Each number times a power of 2 as a fraction."""
    return [Fraction(value) * Fraction(2) ** exponent for value in np.asarray(array, dtype=np.float64).tolist()]


def assert_close(fractions, expected):
    """Equal up to a share of 1e-12."""
    for one, other in zip(fractions, expected, strict=True):
        assert abs(one - other) <= Fraction(1, 10**12) * other


def make_data(n=60, n_classes=2, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    return X, (X[:, :n_classes] + 0.7 * rng.normal(size=(n, n_classes))).argmax(axis=1)


def make_labels(n=60, n_labels=3, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    return X, (X[:, :n_labels] + 0.7 * rng.normal(size=(n, n_labels)) > 0.3).astype(int)


TARGETS = {"binary": make_data, "multiclass": lambda: make_data(n_classes=3), "multilabel": make_labels}
every_target = pytest.mark.parametrize("target", TARGETS)
every_factor = pytest.mark.parametrize("factor", FACTORS)


def uneven(n, seed=1):
    """Weights between 1/2 and 2."""
    return np.random.RandomState(seed).uniform(0.5, 2.0, n)


def small(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def small_cv(**params):
    given = {"hidden_layer_sizes": (5,), "cv": 3, "max_iter": 5, "random_state": 0, "dtype": "float64", "scale": False}
    given |= {"n_repeats": 1, "activation": "relu"}
    given |= params
    return BackpropClassifierCV(**given)


def with_rate(solver, learning_rate_init=0.02):
    return {"solver": solver} | ({"learning_rate_init": learning_rate_init} if solver in {"adam", "sgd"} else {})


def assert_same_network(one, other, rtol=0.0):
    assert one.n_iter_ == other.n_iter_
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_allclose(a, b, rtol=rtol, atol=0.1 * rtol)


def messages(function, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args, **kwargs)
    return [str(w.message) for w in caught]


# Weights as they are given


WRONG_WEIGHTS = {
    "nan": ([1.0, np.nan, 1.0], "must have a finite number for each row.*NaN"),
    "inf": ([1.0, np.inf, 1.0], "must have a finite number for each row.*infinity"),
    "beyond float64": ([1, 10**400, 1], "must have a finite number for each row"),
    "text": (["a", "b", "c"], "must have a finite number for each row"),
    "ragged": ([[1.0], [1.0, 2.0], 3.0], "must have a finite number for each row"),
    "short": ([1.0, 1.0], r"has the shape \(2,\); it must be \(3,\)"),
    "empty": ([], r"has the shape \(0,\); it must be \(3,\)"),
    "column": ([[1.0], [1.0], [1.0]], r"has the shape \(3, 1\); it must be \(3,\)"),
    "negative": ([1.0, -2.5, 0.0], "Negative values in .*, the least -2.5: weights must be at least 0"),
    "negative number": (-1.0, "Negative values in .*, the least -1"),
}


@pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val"])
@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_wrong_weights_are_refused_by_the_name_of_the_argument(case, name):
    weight, message = WRONG_WEIGHTS[case]
    with pytest.raises(ValueError, match=message) as error:
        checked_weight(weight, 3, name)
    assert re.findall(r"sample_weight\w*", str(error.value))[0] == name


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_a_fit_refuses_wrong_weights_by_the_name_of_the_argument(case):
    weight, message = WRONG_WEIGHTS[case]
    X, y = np.eye(3), [0, 1, 1]
    for clf in (small(), small_cv()):
        with pytest.raises(ValueError, match=message) as error:
            clf.fit(X, y, weight)
        assert re.findall(r"sample_weight\w*", str(error.value))[0] == "sample_weight"
    with pytest.raises(ValueError, match=message) as error:
        small().fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    assert re.findall(r"sample_weight\w*", str(error.value))[0] == "sample_weight_val"


@pytest.mark.parametrize("given", [2, 2.0, np.float32(2.0), np.array(2.0), [2, 2, 2], np.full(3, 2, dtype=np.int8)])
def test_right_weights_become_a_vector_of_float64(given):
    weight = checked_weight(given, 3, "sample_weight")
    assert weight.dtype == np.float64
    assert_array_equal(weight, [2.0, 2.0, 2.0])


def test_no_weights_stay_none():
    assert checked_weight(None, 3, "sample_weight") is None


# The arithmetic of weights


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.just(0.0), st.floats(0.5, 1e10)), min_size=1, max_size=8), st.sampled_from(FACTORS))
def test_relative_weights_are_exact(weight, factor):
    weight = np.array(weight) * min(factor, 1e290)
    relative, exponent = relative_weights(weight)
    assert exact(relative, exponent) == exact(weight)
    assert not weight.any() or 0.5 <= relative.max() < 2.0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=8))
def test_relative_weights_of_a_product_are_rounded_once(pairs):
    one, other = np.array(pairs).T
    relative, exponent = relative_weights(one, other)
    products = [a * b for a, b in zip(exact(one), exact(other), strict=True)]
    assert 0.5 <= relative.max() < 2.0
    for value, product in zip(exact(relative, exponent), products, strict=True):
        if value > Fraction(2) ** (exponent - 1000):
            assert abs(value - product) <= product / 2**53
        else:  # compared with the largest it is 0 or almost 0
            assert product <= Fraction(2) ** (exponent - 999)


def test_relative_weights_of_products_beyond_all_floats():
    relative, exponent = relative_weights(*[np.array([1e300, 5e299, 0.0])] * 4)
    assert_close(exact(relative, exponent), [Fraction(10) ** 1200, Fraction(5) ** 4 * Fraction(10) ** 1196, 0])
    relative, exponent = relative_weights(*[np.array([1e-300, 2e-300])] * 4)
    assert_close(exact(relative, exponent), [Fraction(1, 10**1200), Fraction(16, 10**1200)])


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.7, 3.0])
def test_relative_weights_of_any_number_of_factors(factor):
    # A target of many labels has as many factors.
    factors = [np.array([factor, factor])] * 1500 + [np.array([1.0, 3.0])]
    relative, exponent = relative_weights(*factors)
    assert 0.5 <= relative.max() < 2.0
    assert_close(exact(relative, exponent), [Fraction(factor) ** 1500, 3 * Fraction(factor) ** 1500])


def test_relative_weights_of_zeros():
    relative, exponent = relative_weights(np.zeros(3), np.full(3, 1e300))
    assert_array_equal(relative, np.zeros(3))
    assert exponent == 0


@every_factor
def test_weights_of_mean_one_are_the_same_whatever_the_common_factor(factor):
    weight = uneven(30)
    weight[::7] = 0.0
    scaled = of_mean_one(weight * factor)
    assert_allclose(scaled, of_mean_one(weight), rtol=1e-14)
    assert scaled[scaled > 0.0].mean() == pytest.approx(1.0, rel=1e-14)
    assert_allclose(scaled, weight / weight[weight > 0.0].mean(), rtol=1e-14)


@pytest.mark.parametrize("exponent", POWERS_OF_2)
def test_weights_of_mean_one_are_the_same_bits_for_powers_of_2(exponent):
    weight = uneven(30)
    assert_array_equal(of_mean_one(np.ldexp(weight, exponent)), of_mean_one(weight))


@every_factor
def test_equal_weights_of_mean_one_are_ones(factor):
    assert_array_equal(of_mean_one(np.full(7, factor)), np.ones(7))


@every_factor
def test_shares_sum_to_one_whatever_the_common_factor(factor):
    weight, indices = uneven(30), np.array([3, 1, 4, 15, 9, 2, 6])
    share = shares(weight * factor, indices)
    assert_allclose(share, weight[indices] / weight[indices].sum(), rtol=1e-14)
    assert share.sum() == pytest.approx(1.0, rel=1e-14)


def test_shares_over_600_decades():
    share = shares(np.array([1e-300, 1e300, 1e300, 5e-324]), np.arange(4))
    assert_array_equal(share, [0.0, 0.5, 0.5, 0.0])
    # Rows that are left out have no effect on the scale.
    share = shares(np.array([1e-300, 1e300, 3e-300]), np.array([0, 2]))
    assert_allclose(share, [0.25, 0.75], rtol=1e-14)


@pytest.mark.parametrize("weight", [None, np.array([0.0, 1.0, 0.0, 0.0])])
def test_shares_are_equal_if_there_are_no_weights(weight):
    assert_array_equal(shares(weight, np.array([0, 2, 3, 2])), np.full(4, 0.25))


# BackpropClassifierCV: only ratios matter


@every_target
@every_factor
def test_cv_equal_weights_of_any_size_give_the_same_bits(factor, target):
    X, y = TARGETS[target]()
    one, other = (small_cv().fit(X, y, np.full(len(X), size)) for size in (1.0, factor))
    assert_array_equal(other.predict_proba(X), one.predict_proba(X))
    assert_allclose(other.oof_log_loss_, one.oof_log_loss_, rtol=1e-12)
    assert_allclose(other.oof_score_, one.oof_score_, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.01, [0.3, 0.0]])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@every_factor
def test_cv_weights_of_any_common_factor_give_the_same(factor, solver, alpha):
    X, y = make_data(n_classes=3)
    params = {"alpha": alpha, **with_rate(solver)}
    one, other = (small_cv(**params).fit(X, y, uneven(len(X)) * size) for size in (1.0, factor))
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6)
    assert_allclose(other.temperature_, one.temperature_, rtol=1e-5)
    assert_allclose(other.oof_log_loss_, one.oof_log_loss_, rtol=1e-6)
    assert_allclose(other.oof_score_, one.oof_score_, rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_cv_every_solver(factor, solver):
    X, y = make_data()
    params = {"max_iter": 3, **with_rate(solver)}
    one, other = (small_cv(**params).fit(X, y, uneven(len(X)) * size) for size in (1.0, factor))
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("exponent", POWERS_OF_2)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cv_weights_of_a_common_power_of_2_give_the_same_bits(dtype, exponent):
    X, y = make_data()
    fits = [small_cv(dtype=dtype).fit(X, y, np.ldexp(uneven(len(X)), e)) for e in (0, exponent)]
    assert_array_equal(fits[1].predict_proba(X), fits[0].predict_proba(X))


@every_target
@every_factor
def test_cv_class_weights_of_any_common_factor_give_the_same(factor, target):
    X, y = TARGETS[target]()

    def class_weight(size):
        if target == "multilabel":
            return [{0: 1.0, 1: 3.0}, {0: size, 1: 2.0 * size}, {0: 2.0, 1: 1.0}]
        return {label: size * (1.0 + label) for label in np.unique(y).tolist()}

    one, other = (small_cv(class_weight=class_weight(size)).fit(X, y) for size in (1.0, factor))
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6)
    one, other = (
        small_cv(class_weight=class_weight(size)).fit(X, y, uneven(len(X)) * by)
        for size, by in ((1, 1), (factor, 1e-200))
    )
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6)


@every_target
@every_factor
def test_cv_balanced_class_weights_give_the_same(factor, target):
    X, y = TARGETS[target]()
    fits = [small_cv(class_weight="balanced").fit(X, y, uneven(len(X)) * size) for size in (1.0, factor)]
    assert_allclose(fits[1].predict_proba(X), fits[0].predict_proba(X), rtol=1e-6)


# BackpropClassifier: without a penalty only ratios matter, and with one their ratio to alpha too


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-4), ("float64", 1e-6)])
@pytest.mark.parametrize("solver", SOLVERS)
@every_factor
def test_without_penalty_the_common_factor_cancels(factor, solver, dtype, rtol):
    X, y = make_data()
    params = {"alpha": 0.0, "dtype": dtype, "max_iter": 3, **with_rate(solver), **with_rounding_kept_small(solver)}
    one, other = (small(**params).fit(X, y, uneven(len(X)) * size) for size in (1.0, factor))
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=rtol)
    assert_allclose(other.loss_, one.loss_, rtol=rtol)


@every_target
@every_factor
def test_without_penalty_the_common_factor_cancels_for_every_target(factor, target):
    X, y = TARGETS[target]()
    for params in ({}, {"class_weight": "balanced"}, {"early_stopping": True}):
        one, other = (small(alpha=0.0, **params).fit(X, y, uneven(len(X)) * size) for size in (1.0, factor))
        assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6)
        assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.01, [0.05, 0.0]])
@pytest.mark.parametrize("solver", SOLVERS)
@every_factor
def test_a_common_factor_of_weights_and_alpha_cancels(factor, solver, alpha):
    X, y = make_data()
    params = {"max_iter": 3, **with_rate(solver)}
    one = small(alpha=alpha, **params).fit(X, y, uneven(len(X)))
    scaled = np.multiply(alpha, factor).tolist()
    other = small(alpha=scaled, **params).fit(X, y, uneven(len(X)) * factor)
    # TNC takes differences of gradients, which magnify rounding.
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6, atol=1e-6 if solver == "tnc" else 0.0)
    assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("exponent", POWERS_OF_2)
def test_a_common_power_of_2_of_weights_and_alpha_gives_the_same_bits(exponent, solver, dtype):
    X, y = make_data(n_classes=3)
    params = {"dtype": dtype, **with_rate(solver)}
    one = small(alpha=0.01, **params).fit(X, y, uneven(len(X)))
    other = small(alpha=math.ldexp(0.01, exponent), **params).fit(X, y, np.ldexp(uneven(len(X)), exponent))
    assert_same_network(other, one)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_a_row_of_integer_weight_equals_as_many_rows(solver, alpha):
    X, y = make_data(n_classes=3)
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    params = {"alpha": alpha, **with_rate(solver), "max_iter": 10}
    if solver == "sgd":
        params["batch_size"] = int(weight.sum())
    repeated = small(**params).fit(X.repeat(weight, axis=0), y.repeat(weight))
    if solver == "sgd":
        params["batch_size"] = len(X)
    weighted = small(**params).fit(X, y, weight)
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The penalty dominates")
@pytest.mark.skipif(
    "sample_weight" not in inspect.signature(MLPClassifier.fit).parameters, reason="scikit-learn without sample_weight"
)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("exponent", [-4, 0, 4])
def test_weights_have_the_same_meaning_as_in_scikit_learn(exponent, solver):
    X, y = make_data(n_classes=3)
    params = {"solver": solver, "alpha": 0.5, "max_iter": 10, "random_state": 0, "hidden_layer_sizes": (5,)}
    weight = np.ldexp(uneven(len(X)), exponent)
    ours, theirs = BackpropClassifier(**params).fit(X, y, weight), MLPClassifier(**params).fit(X, y, weight)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_over_600_decades_give_finite_results(dtype, solver):
    X, y = make_data(n_classes=3)
    weight = 10.0 ** np.linspace(-300, 300, len(X))
    for clf in (small, small_cv):
        fitted = clf(dtype=dtype, max_iter=3, **with_rate(solver)).fit(X, y, weight)
        assert np.isfinite(fitted.predict_proba(X)).all()
    assert np.isfinite([fitted.oof_log_loss_, fitted.oof_score_]).all()
    fitted = small(dtype=dtype, max_iter=3, class_weight="balanced", **with_rate(solver)).fit(X, y, weight)
    assert np.isfinite(fitted.predict_proba(X)).all()


@every_factor
@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc", "f1"])
def test_only_the_ratios_of_validation_weights_matter(scoring, factor):
    X, y = make_data()
    X_val, y_val = make_data(30, seed=5)
    params = {"scoring": scoring, "early_stopping": True}
    one, other, without = (
        small(**params).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
        for weight in (uneven(30), uneven(30) * factor, None)
    )
    assert_allclose(other.validation_scores_, one.validation_scores_, rtol=1e-12)
    assert_allclose(other.validation_loss_curve_, one.validation_loss_curve_, rtol=1e-12)
    assert not np.allclose(without.validation_loss_curve_, one.validation_loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("scoring", [None, "loss", "accuracy"])
def test_weights_of_validation_rows_over_600_decades(scoring):
    X, y = make_data()
    X_val, y_val = make_data(30, seed=5)
    weight = 10.0 ** np.linspace(300, -300, 30)
    clf = small(scoring=scoring, early_stopping=True)
    clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    assert np.isfinite(clf.validation_loss_curve_ + clf.validation_scores_).all()


# Weights that are all zero


def test_zero_weights_of_all_rows_name_their_argument():
    X, y = make_data()
    zeros, half = np.zeros(len(X)), np.where(y == 0, 1.0, 0.0)
    only_sample_weight = "^sample_weight makes the weights of all rows zero: "
    with_class_weight = "^(sample_weight times )?class_weight makes the weights of all rows zero: "
    nothing = {0: 0.0, 1: 0.0}
    for clf in (small, small_cv):
        with pytest.raises(ValueError, match=only_sample_weight):
            clf().fit(X, y, zeros)
        with pytest.raises(ValueError, match=only_sample_weight):
            clf().fit(X, y, 0.0)
        with pytest.raises(ValueError, match=with_class_weight):
            clf(class_weight=nothing).fit(X, y)
        with pytest.raises(ValueError, match=with_class_weight):
            clf(class_weight={0: 0.0, 1: 1e300}).fit(X, y, half)
        with pytest.raises(ValueError, match=with_class_weight):
            clf(class_weight="balanced").fit(X, y, zeros)
    with pytest.raises(ValueError, match=only_sample_weight):
        small().partial_fit(X, y, zeros, classes=[0, 1])
    with pytest.raises(ValueError, match=with_class_weight):
        small(class_weight=nothing).partial_fit(X, y, classes=[0, 1])


def test_zero_weights_of_all_rows_that_are_not_held_out():
    X, y = make_data()
    held_out_only = np.zeros(len(X))
    clf = small(early_stopping=True, validation_fraction=0.5)
    for i in range(len(X)):
        weight = held_out_only.copy()
        weight[i] = 1e-300
        try:
            clf.fit(X, y, weight)
        except ValueError as error:
            assert "once early_stopping has held out some" in str(error)  # noqa: PT017
            break
    else:
        pytest.fail("no row is held out")


@pytest.mark.parametrize("clf", [small, small_cv])
def test_class_weights_of_very_many_labels(clf):
    # A row's weight is the product of as many factors as there are labels.
    rng = np.random.RandomState(0)
    X, Y = rng.normal(size=(20, 3)), rng.randint(0, 2, (20, 1100))
    one = clf(max_iter=2).fit(X, Y, np.ones(20))
    other = clf(max_iter=2, class_weight=[{0: 1.0, 1: 1.0}] * 1100).fit(X, Y)
    assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6)


# partial_fit


def balanced(y, weight):
    """The weights that "balanced" stands for as a dict."""
    counts = np.bincount(y, weight)
    return dict(enumerate(counts.sum() / (len(counts) * counts)))


@pytest.mark.parametrize("factor", [1e-300, 1e-8, 1.0, 1e38, 1e300])
def test_balanced_class_weights_of_partial_fit_use_the_counts_of_all_calls(factor):
    X, y = make_data(90)
    weight = uneven(90)
    parts = [slice(0, 20), slice(20, 50), slice(50, 90)]
    counted, given = small(alpha=0.0, class_weight="balanced"), small(alpha=0.0)
    for part in parts:
        counted.partial_fit(X[part], y[part], weight[part] * factor, classes=[0, 1])
        given.set_params(class_weight=balanced(y[: part.stop], weight[: part.stop]))
        given.partial_fit(X[part], y[part], weight[part], classes=[0, 1])
    assert_same_network(counted, given, rtol=1e-9)


@pytest.mark.parametrize(
    "factors", [(1.0, 1e300, 1e300), (1e-300, 1e-300, 1e300), (1.0, 1e-20, 1e-20), (1e300, 1.0, 2.0)]
)
def test_balanced_class_weights_of_partial_fit_with_calls_of_different_scales(factors):
    X, y = make_data(90)
    weight = uneven(90)
    scaled = [Fraction(w) * Fraction(factors[i // 30]) for i, w in enumerate(weight)]
    counted, given = small(alpha=0.0, class_weight="balanced"), small(alpha=0.0)
    for i, start in enumerate(range(0, 90, 30)):
        part, stop = slice(start, start + 30), start + 30
        counted.partial_fit(X[part], y[part], weight[part] * factors[i], classes=[0, 1])
        of_class = [sum(s for s, label in zip(scaled[:stop], y, strict=False) if label == k) for k in (0, 1)]
        given.set_params(class_weight={k: float(sum(of_class) / (2 * of_class[k])) for k in (0, 1)})
        given.partial_fit(X[part], y[part], weight[part], classes=[0, 1])
    assert_same_network(counted, given, rtol=1e-9)


def test_balanced_class_weights_of_partial_fit_without_sample_weight():
    X, y = make_data(90)
    counted, ones = small(class_weight="balanced"), small(class_weight="balanced")
    for start in range(0, 90, 30):
        part = slice(start, start + 30)
        counted.partial_fit(X[part], y[part], classes=[0, 1])
        ones.partial_fit(X[part], y[part], np.ones(30), classes=[0, 1])
    assert_same_network(counted, ones, rtol=1e-12)


# Light weights, which the penalty outweighs


def penalty_warnings(clf, *args, **kwargs):
    return [m for m in messages(clf.fit, *args, **kwargs) if "penalty dominates" in m]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_light_weights_give_one_warning(solver):
    X, y = make_data(500)
    clf = small(**with_rate(solver, 0.001), alpha=0.0001 if solver != "lbfgs" else 0.001)
    found = penalty_warnings(clf, X, y, np.full(500, 1e-5))
    assert len(found) == 1
    assert f"alpha={clf.alpha}" in found[0]
    assert "sample_weight" in found[0]
    assert "1e-05" in found[0]
    assert "Divide sample_weight by its mean" in found[0]


def test_light_weights_of_every_source_give_one_warning():
    X, y = make_data(100)
    light = np.full(100, 1e-5)
    assert len(penalty_warnings(small(class_weight={0: 1e-5, 1: 1e-5}), X, y)) == 1
    assert len(penalty_warnings(small(class_weight={0: 1e-3, 1: 1e-3}), X, y, np.full(100, 1e-3))) == 1
    assert len(penalty_warnings(small(alpha=[0.0, 0.01]), X, y, light)) == 1
    assert len(penalty_warnings(small(early_stopping=True), X, y, light)) == 1
    assert len(penalty_warnings(small(dtype="float32"), X, y, np.full(100, 1e-300))) == 1
    found = messages(small().partial_fit, X, y, light, classes=[0, 1])
    assert len([m for m in found if "penalty dominates" in m]) == 1
    # The mean decides: the weights of AdaBoost sum to 1.
    assert len(penalty_warnings(small(), X, y, np.where(np.arange(100) == 0, 1e-3, 0.0))) == 1


@pytest.mark.parametrize("weight", [None, 1.0, 0.01, 10.0, 1e8, 1e300])
@pytest.mark.parametrize("n", [60, 500])
def test_weights_that_are_not_light_give_no_warning(n, weight):
    X, y = make_data(n)
    assert penalty_warnings(small(), X, y, weight) == []
    assert penalty_warnings(small(alpha=10.0), X, y, None if weight is None else max(weight, 1.0)) == []


@pytest.mark.parametrize("size", [1e-300, 1e-5])
def test_light_weights_without_penalty_give_no_warning(size):
    X, y = make_data()
    assert penalty_warnings(small(alpha=0.0), X, y, np.full(len(X), size)) == []
    assert penalty_warnings(small(alpha=[0.0, 0.0]), X, y, np.full(len(X), size)) == []
    assert penalty_warnings(small(alpha=1e-4 * size), X, y, np.full(len(X), size)) == []


@pytest.mark.parametrize("size", [1e-300, 1e-5, 1.0, 1e300])
def test_cv_does_not_warn_of_the_scale_of_weights(size):
    X, y = make_data()
    found = messages(small_cv().fit, X, y, np.full(len(X), size))
    assert [m for m in found if "penalty" in m or "alpha" in m] == []
    found = messages(small_cv(class_weight={0: size, 1: 2 * size}).fit, X, y)
    assert [m for m in found if "penalty dominates" in m] == []


@pytest.mark.filterwarnings("ignore:The penalty dominates")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_an_overflowing_penalty_leaves_finite_weights_near_0(solver, dtype):
    # alpha / S is beyond the largest number, as is its product with a weight.
    X, y = make_data()
    clf = small(alpha=1e300, dtype=dtype, **with_rate(solver))
    try:
        clf.fit(X, y, np.full(len(X), 1e-300))
    except ValueError as error:
        assert "lower alpha, now 1e+300" in str(error)  # noqa: PT017
        return
    assert np.isfinite(clf.predict_proba(X)).all()
    assert np.isfinite(clf.loss_)
