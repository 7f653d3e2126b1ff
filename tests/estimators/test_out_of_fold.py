"""The temperature is the best one. Interrupts, little time and large data do no harm while it is computed."""

import math
import sys
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss

import skbp
from skbp import Activation, BackpropClassifierCV
from skbp._data.targets import fit_binarizer, make_target
from skbp._estimators.out_of_fold import CHUNK_ELEMENTS, FEW_ELEMENTS, OutOfFold, _row_chunks
from skbp._network.activations import ACTIVATIONS

# Most tests train for a few epochs only, so they do not converge and learn nothing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

TARGETS = ["binary", "multiclass", "multilabel"]
every_kind = pytest.mark.parametrize("kind", TARGETS)


def link(kind):
    """The function from logits to probabilities, independent of the package."""
    if kind == "binary":
        return lambda z: np.hstack([expit(-z), expit(z)])
    if kind == "multiclass":
        return lambda z: softmax(z, axis=1)
    return lambda z: np.clip(expit(z), 1e-300, 1 - 1e-16)


def target(kind, n_outputs):
    """The target of an output layer with the automatic activation."""
    if kind == "multilabel":
        return make_target(fit_binarizer(np.eye(n_outputs, dtype=int)), "logistic", n_outputs)
    if kind == "binary":
        return make_target(fit_binarizer([0, 1]), "logistic", 1)
    return make_target(fit_binarizer(np.arange(n_outputs)), "softmax", n_outputs)


def out_of_fold(kind, folds, logits, linked=None):
    return OutOfFold(folds, logits, linked or link(kind), target(kind, logits[0].shape[1]))


def make_logits(kind, n, n_classes=4, temperature=1.7, seed=0, dtype=np.float32):
    """Logits that are calibrated when divided by the temperature, and the labels."""
    rng = np.random.RandomState(seed)
    z = rng.normal(size=(n, {"binary": 1}.get(kind, n_classes))) * 2.0
    if kind == "multiclass":
        codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    else:
        codes = (z + rng.logistic(size=z.shape) > 0.0).astype(int)
        codes = codes[:, 0] if kind == "binary" else codes
    return (temperature * z).astype(dtype), codes


def row_losses(kind, z, codes):
    """The log loss of each row of float64 logits."""
    if kind == "binary":
        return np.logaddexp(0.0, (1 - 2 * codes) * z[:, 0])
    if kind == "multiclass":
        return np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), codes]
    return np.logaddexp(0.0, (1 - 2 * codes) * z).sum(axis=1)


def mean_log_loss(kind, folds, logits, codes, weight):
    """The mean log loss as a function of the temperature."""
    rows, z = np.concatenate(folds), np.concatenate(logits).astype(np.float64)
    weight = np.ones(len(rows)) if weight is None else weight[rows]
    return lambda temperature: np.average(row_losses(kind, z / temperature, codes[rows]), weights=weight)


def brute_force(loss):
    """The logarithm of the best temperature: the best of a grid, then refined."""
    grid = np.linspace(-2.0, 2.0, 81)
    k = np.argmin([loss(math.exp(t)) for t in grid])
    bounds = grid[max(k - 1, 0)], grid[min(k + 1, 80)]
    return minimize_scalar(lambda t: loss(math.exp(t)), bounds=bounds, method="bounded", options={"xatol": 1e-9}).x


def folds_of(n, n_folds=3, seed=0):
    return np.array_split(np.random.RandomState(seed).permutation(n), n_folds)


def found(kind, folds, logits, codes, weight=None, deadline=math.inf):
    (temperature,), _ = out_of_fold(kind, folds, logits).calibrate(codes, weight, deadline)
    return temperature


# The temperature


@every_kind
@pytest.mark.parametrize("missing", [1, 4])
def test_a_view_with_a_missing_member_is_calibrated_on_the_rows_that_it_has(missing, kind):
    z, codes = make_logits(kind, 600, temperature=2.0)
    folds = folds_of(600) * 2
    logits = [z[fold] for fold in folds]
    whole = OutOfFold(folds, logits, link(kind), target(kind, z.shape[1]), 3)
    temperatures, second = whole.calibrate(codes, None, math.inf)
    assert_allclose(second, 0.5, atol=0.01)
    del folds[missing], logits[missing]
    partly = OutOfFold(folds, logits, link(kind), target(kind, z.shape[1]), 3 if missing > 2 else 2)
    assert_allclose(partly.calibrate(codes, None, math.inf)[0], temperatures, rtol=0.2)
    proba = partly.mean_proba(600, [1.0, 1.0], 0.5)
    assert_allclose(proba, whole.mean_proba(600, [1.0, 1.0], 0.5), rtol=1e-6)


@every_kind
@pytest.mark.parametrize("right", [True, False])
def test_no_temperature_of_two_views_leaves_the_range_of_the_search(right, kind):
    z, codes = make_logits(kind, 60, temperature=1e-3)
    z += 1e-2 * (np.eye(4)[codes] if kind == "multiclass" else 2 * codes.reshape(60, -1) - 1) * (1 if right else -1)
    folds = folds_of(60) * 2
    views = OutOfFold(folds, [z[fold].astype(np.float32) for fold in folds], link(kind), target(kind, z.shape[1]), 3)
    temperatures, _ = views.calibrate(codes, None, math.inf)
    assert_allclose(temperatures, math.exp(-2.0 if right else 2.0), rtol=1e-4)


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_temperature_is_that_of_the_least_log_loss(dtype, temperature, weighted, kind):
    z, codes = make_logits(kind, 400, temperature=temperature, dtype=dtype)
    folds = folds_of(400)
    logits = [z[fold] for fold in folds]
    weight = np.random.RandomState(0).exponential(size=400) if weighted else None
    best = brute_force(mean_log_loss(kind, folds, logits, codes, weight))
    assert abs(best) < 2.0
    assert_allclose(math.log(found(kind, folds, logits, codes, weight)), best, atol=2e-5)


def mean_loss_of_means(kind, folds, logits, codes, weight):
    """The mean log loss of the mean probabilities of each row, as a function of the temperature."""

    def loss(temperature):
        sums = None
        counts = np.zeros((len(codes), 1))
        for fold, z in zip(folds, logits, strict=True):
            p = link(kind)(z.astype(np.float64) / temperature)
            sums = np.zeros((len(codes), p.shape[1])) if sums is None else sums
            sums[fold] += p
            counts[fold] += 1
        covered = np.flatnonzero(counts)
        p, y = (sums / np.maximum(counts, 1))[covered], codes[covered]
        if kind == "multilabel":
            losses = -np.where(y == 1, np.log(p), np.log1p(-p)).sum(axis=1)
        else:
            losses = -np.log(p[np.arange(len(y)), y])
        return np.average(losses, weights=weight[covered])

    return loss


@every_kind
def test_the_honest_predictions_of_a_row_are_averaged_and_rows_in_no_fold_do_not_count(kind):
    rng = np.random.RandomState(0)
    z, codes = make_logits(kind, 300)
    folds = [rng.permutation(200)[:90] for _ in range(4)]  # the folds overlap and leave out the last third
    logits = [z[fold] + rng.normal(size=z[fold].shape).astype(z.dtype) for fold in folds]
    weight = rng.exponential(size=300)
    loss = mean_loss_of_means(kind, folds, logits, codes, weight)
    assert_allclose(math.log(found(kind, folds, logits, codes, weight)), brute_force(loss), atol=2e-5)
    weight[200:] = 1e6
    assert found(kind, folds, logits, codes, weight) == found(
        kind, folds, logits, codes, np.where(weight > 1e5, 0.0, weight)
    )


@every_kind
def test_two_views_have_a_temperature_each_and_a_weight_half_way_to_the_best(kind):
    rng = np.random.RandomState(5)
    z, codes = make_logits(kind, 600, temperature=1.0, dtype=np.float64)
    # The second view is better and too timid, the first is noisy and too sure.
    one, two = 2.0 * (z + 1.5 * rng.normal(size=z.shape)), 0.7 * (z + 0.7 * rng.normal(size=z.shape))
    folds = [*folds_of(600), *folds_of(600, seed=1)]
    logits = [*(one[fold] for fold in folds[:3]), *(two[fold] for fold in folds[3:])]
    judged = OutOfFold(folds, logits, link(kind), target(kind, z.shape[1]), 3)
    temperatures, second = judged.calibrate(codes, None, math.inf)
    everything, weight = [np.arange(600)], np.ones(600)
    alone = [math.exp(brute_force(mean_loss_of_means(kind, everything, [view], codes, weight))) for view in (one, two)]

    def loss(w, factor):
        p = (1.0 - w) * link(kind)(one / (alone[0] * factor)) + w * link(kind)(two / (alone[1] * factor))
        if kind == "multilabel":
            return -np.where(codes == 1, np.log(p), np.log1p(-p)).sum(axis=1).mean()
        return -np.log(p[np.arange(600), codes]).mean()

    best = minimize_scalar(lambda w: loss(w, 1.0), bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-9}).x
    assert best > 0.6
    assert_allclose(second, (best + 0.5) / 2.0, atol=1e-4)
    common = math.exp(brute_force(lambda factor: loss(second, factor)))
    assert_allclose(temperatures, np.multiply(alone, common), rtol=1e-3)
    proba = judged.mean_proba(600, [1.0 / t for t in temperatures], second)
    expected = (1.0 - second) * link(kind)(one / temperatures[0]) + second * link(kind)(two / temperatures[1])
    assert_allclose(proba, expected, rtol=1e-12)


@every_kind
def test_a_row_without_a_prediction_of_one_view_has_that_of_the_other(kind):
    z, _ = make_logits(kind, 4, dtype=np.float64)
    judged = OutOfFold([np.array([0, 1]), np.array([1, 2])], [z[:2], z[1:3]], link(kind), target(kind, z.shape[1]), 1)
    with np.errstate(invalid="ignore"):
        proba = judged.mean_proba(4, [1.0, 1.0], 0.3)
    assert_allclose(proba[:3], link(kind)(z[:3]), rtol=1e-12)
    assert np.isnan(proba[3]).all()


@every_kind
@pytest.mark.parametrize("temperature", [0.01, 100.0])
def test_the_temperature_is_bounded(temperature, kind):
    z, codes = make_logits(kind, 200, temperature=temperature, dtype=np.float64)
    log_temperature = math.log(found(kind, [np.arange(200)], [z], codes))
    assert_allclose(log_temperature, math.copysign(2.0, math.log(temperature)), atol=1e-3)


@every_kind
def test_if_all_weights_are_zero_all_rows_count_the_same(kind):
    z, codes = make_logits(kind, 100)
    folds = folds_of(100)
    logits = [z[fold] for fold in folds]
    assert found(kind, folds, logits, codes, np.zeros(100)) == found(kind, folds, logits, codes)


@every_kind
def test_a_common_factor_of_the_weights_has_no_effect(kind):
    z, codes = make_logits(kind, 100)
    weight = np.random.RandomState(0).exponential(size=100)
    one, other = (found(kind, [np.arange(100)], [z], codes, weight * size) for size in (1.0, 1e-200))
    assert_allclose(one, other, rtol=1e-6)


# Chunks


def large(kind, n_classes=150):
    """More elements than one chunk, in folds of several sizes."""
    n = int(2.5 * CHUNK_ELEMENTS) // (1 if kind == "binary" else n_classes)
    z, codes = make_logits(kind, n, n_classes)
    ends = [n // 10, n // 5, n]
    folds = np.split(np.random.RandomState(1).permutation(n), ends[:-1])
    return folds, [z[fold] for fold in folds], codes


@every_kind
def test_chunks_have_no_effect_on_the_result(kind):
    folds, logits, codes = large(kind)
    assert max(z.size for z in logits) > CHUNK_ELEMENTS
    loss = mean_log_loss(kind, folds, logits, codes, None)
    temperature = found(kind, folds, logits, codes)
    assert loss(temperature) <= min(loss(temperature * 1.001), loss(temperature / 1.001))
    proba = out_of_fold(kind, folds, logits).mean_proba(len(codes), [0.5])
    expected = np.zeros_like(proba)
    for fold, z in zip(folds, logits, strict=True):
        expected[fold] = link(kind)(0.5 * z.astype(np.float64))
    assert_allclose(proba, expected, rtol=1e-13)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (0, 3), (10, 10**6), (10**6, 1), (700_001, 3), (1000, 1000)])
def test_chunks_cover_all_rows_in_order(n_rows, n_columns):
    chunks = _row_chunks(n_rows, n_columns)
    assert_array_equal(np.concatenate([np.arange(n_rows)[c] for c in chunks] or [[]]), np.arange(n_rows))
    assert all((c.stop - c.start) * n_columns <= max(CHUNK_ELEMENTS, n_columns) for c in chunks)
    assert len(chunks) <= n_rows * max(1, 2 * n_columns / CHUNK_ELEMENTS)


@every_kind
def test_mean_proba_of_rows_in_several_folds_and_in_none(kind):
    rng = np.random.RandomState(0)
    folds = [np.array([0, 1, 2]), np.array([2, 3]), np.array([5, 2, 0])]
    n_outputs = 1 if kind == "binary" else 3
    logits = [rng.normal(size=(len(fold), n_outputs)).astype(np.float32) for fold in folds]
    with np.errstate(invalid="ignore"):
        proba = out_of_fold(kind, folds, logits).mean_proba(6, [0.7])
    assert proba.dtype == np.float64
    by_row = [[] for _ in range(6)]
    for fold, z in zip(folds, logits, strict=True):
        for row, p in zip(fold, link(kind)(0.7 * z.astype(np.float64)), strict=True):
            by_row[row].append(p)
    assert [len(p) for p in by_row] == [2, 1, 3, 1, 0, 1]
    for row in (0, 1, 2, 3, 5):
        assert_allclose(proba[row], np.mean(by_row[row], axis=0), rtol=1e-14)
    assert np.isnan(proba[4]).all()


# Decisions and figures


def overlapping(kind, seed=0):
    """Logits of folds that overlap, and codes. Row 4 is in no fold."""
    rng = np.random.RandomState(seed)
    folds = [np.array([0, 1, 2]), np.array([2, 3]), np.array([5, 2, 0])]
    logits = [rng.normal(size=(len(fold), 1 if kind == "binary" else 3)) for fold in folds]
    codes = {
        "binary": rng.randint(0, 2, 6),
        "multiclass": rng.randint(0, 3, 6),
        "multilabel": rng.randint(0, 2, (6, 3)),
    }
    return folds, logits, codes[kind]


@every_kind
def test_the_covered_rows_are_those_in_a_fold(kind):
    folds, logits, _ = overlapping(kind)
    assert_array_equal(out_of_fold(kind, folds, logits).covered, [0, 1, 2, 3, 5])


@every_kind
def test_the_mean_decision_is_that_of_the_mean_probabilities(kind):
    folds, logits, _ = overlapping(kind)
    judged = out_of_fold(kind, folds, logits)
    with np.errstate(invalid="ignore"):
        proba, decision = judged.mean_proba(6, [1.0]), judged.mean_decision(6)
    assert np.isnan(decision[4]).all()
    p = proba[judged.covered]
    expected = {"binary": lambda: logit(p[:, 1]), "multiclass": lambda: np.log(p), "multilabel": lambda: logit(p)}[
        kind
    ]()
    assert_allclose(decision[judged.covered], expected, rtol=1e-10, atol=1e-12)


def test_the_mean_decision_of_labels_that_are_almost_certain_is_exact():
    z = np.array([[40.0, 50.0, -60.0]])
    decision = out_of_fold("multilabel", [np.array([0])], [z], expit).mean_decision(1)
    assert_allclose(decision, z, rtol=1e-12)


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_the_figures_are_the_weighted_log_loss_and_accuracy_of_the_covered_rows(weighted, kind):
    folds, logits, codes = overlapping(kind)
    judged = out_of_fold(kind, folds, logits)
    weight = np.array([1.0, 0.0, 2.0, 0.5, 100.0, 3.0]) if weighted else None
    with np.errstate(invalid="ignore"):
        proba = judged.mean_proba(6, [0.7])
    p, truth = proba[judged.covered], codes[judged.covered]
    share = None if weight is None else weight[judged.covered]
    if kind == "multilabel":
        losses = -np.where(truth == 1, np.log(p), np.log1p(-p)).sum(axis=1)
        right = ((p > 0.5) == truth).all(axis=1)
    else:
        losses = -np.log(p[np.arange(5), truth])
        right = p.argmax(axis=1) == truth
    loss, score = judged.judge(proba, codes, weight)
    assert loss == pytest.approx(np.average(losses, weights=share), rel=1e-12)
    assert score == pytest.approx(np.average(right, weights=share), rel=1e-12)
    assert type(loss) is type(score) is float


# Time


@every_kind
def test_after_the_deadline_the_temperature_comes_from_a_sample(kind):
    folds, logits, codes = large(kind)
    assert sum(z.size for z in logits) > 2 * FEW_ELEMENTS
    full, few = (found(kind, folds, logits, codes, deadline=d) for d in (math.inf, 0.0))
    assert full != few
    assert_allclose(few, full, rtol=0.05)
    # The sample has rows of every fold and respects their weights.
    weight = np.random.RandomState(0).exponential(size=len(codes))
    full, few = (found(kind, folds, logits, codes, weight, deadline=d) for d in (math.inf, 0.0))
    assert_allclose(few, full, rtol=0.05)


@every_kind
def test_few_rows_are_all_used_even_after_the_deadline(kind):
    z, codes = make_logits(kind, 50)
    assert found(kind, [np.arange(50)], [z], codes, deadline=0.0) == found(kind, [np.arange(50)], [z], codes)


@pytest.mark.parametrize("n_looks", [1, 2, 3, 5])
def test_a_search_that_the_deadline_ends_is_not_worse_than_temperature_1(n_looks):
    z, codes = make_logits("multiclass", 300, temperature=1.0)
    seconds, calls = 0.15, []

    def slow(logits):
        calls.append(len(logits))
        time.sleep(seconds)
        return softmax(logits, axis=1)

    searched = out_of_fold("multiclass", [np.arange(300)], [z], slow)
    (temperature,), _ = searched.calibrate(codes, None, time.perf_counter() + (n_looks - 0.5) * seconds)
    assert len(calls) <= n_looks + 1
    loss = mean_log_loss("multiclass", [np.arange(300)], [z], codes, None)
    assert loss(temperature) <= loss(1.0) + 1e-6


# Saturated logits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_near_the_largest_number_saturate(dtype):
    limit = np.finfo(dtype).max / 64
    for size, expected in ((1.0, False), (0.99 * limit, False), (1.01 * limit, True), (-1.01 * limit, True)):
        logits = [np.zeros((3, 2), dtype), np.array([[0.0, size]], dtype)]
        assert out_of_fold("multiclass", [np.arange(3), np.array([3])], logits).saturates() is expected


# In a fit


def data(kind="multiclass", n_rows=90):
    """Normal rows of four features, and labels that follow from three of them plus noise."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, 4))
    scores = X[:, :3] + rng.normal(size=(n_rows, 3))
    y = {"binary": scores[:, 0] > 0.3, "multiclass": scores.argmax(axis=1), "multilabel": scores > 0.3}[kind]
    return X, y.astype(int)


def small(**params):
    given = {
        "hidden_layer_sizes": (5,),
        "cv": 3,
        "max_iter": 8,
        "random_state": 0,
        "learning_rate_init": 0.02,
        "scale": False,
        "n_repeats": 1,
        "activation": "relu",
    }
    return BackpropClassifierCV(**given | params)


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_publishes_the_predictions_of_its_members_for_unseen_rows(weighted, kind):
    X, y = data(kind)
    weight = np.random.RandomState(0).exponential(size=len(X)) if weighted else None
    clf = small(dtype="float64").fit(X, y, weight)
    logits = [
        np.reshape(member.decision_function(X[fold]), (len(fold), -1))
        for member, fold in zip(clf.members_, clf.oof_indices_, strict=True)
    ]
    best = brute_force(mean_log_loss(kind, clf.oof_indices_, logits, y, weight))
    assert_allclose(math.log(clf.temperature_), best, atol=2e-5)
    expected = np.zeros_like(clf.oof_proba_)
    for fold, z in zip(clf.oof_indices_, logits, strict=True):
        expected[fold] = link(kind)(z / clf.temperature_)
    assert_allclose(clf.oof_proba_, expected, rtol=1e-12)
    losses = -np.log(np.where(y == 1, expected, 1 - expected)).sum(axis=1) if kind == "multilabel" else None
    loss = log_loss(y, expected, sample_weight=weight) if losses is None else np.average(losses, weights=weight)
    assert_allclose(clf.oof_log_loss_, loss, rtol=1e-12)
    predicted = expected > 0.5 if kind == "multilabel" else expected.argmax(axis=1)
    assert_allclose(clf.oof_score_, accuracy_score(y, predicted, sample_weight=weight), rtol=1e-12)


@every_kind
def test_saturated_logits_give_a_temperature_of_1_and_a_warning(kind):
    X, y = data(kind)
    # SciPy's method trains on its own rows only, and the rows of the fold are far away.
    X = X.astype(np.float32)
    X[60:90] *= np.float32(3e38) / np.abs(X[60:90]).max()
    rows = np.arange(len(X))
    split = [(np.delete(rows, np.s_[60:90]), rows[60:90])]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = small(solver="lbfgs", cv=split, max_iter=20).fit(X, y)
    said = [str(w.message) for w in caught if "logits beyond the largest number" in str(w.message)]
    assert len(said) == 1
    assert "temperature_ is 1" in said[0]
    assert "StandardScaler" in said[0]
    assert clf.temperature_ == 1.0
    covered = np.concatenate(clf.oof_indices_)
    for values in (
        clf.oof_proba_[covered],
        clf.oof_decision_function_[covered],
        clf.predict_proba(X),
        clf.decision_function(X),
    ):
        assert np.isfinite(values).all()
    assert np.isfinite([clf.oof_log_loss_, clf.oof_score_]).all()


def counting(relu=ACTIVATIONS["relu"]):
    """relu that counts its calls and interrupts at one of them."""
    at = {"count": 0, "interrupt": math.inf}

    def function(z, out):
        at["count"] += 1
        if at["count"] == at["interrupt"]:
            raise KeyboardInterrupt
        return relu.function(z, out)

    activation = Activation(function, relu.slope, initial_scale=relu.initial_scale)
    at["count"] = 0
    return activation, at


def assert_kept_without_calibration(clf, whole, X, caught):
    """Assert that an interrupted fit equals a whole one except for the results of calibration."""
    assert sum("Calibration interrupted by user" in str(w.message) for w in caught) == 1
    assert {w.category for w in caught} <= {ConvergenceWarning, skbp.NothingLearnedWarning}
    assert len(clf.members_) == len(whole.members_)
    for one, other in zip(clf.members_, whole.members_, strict=True):
        for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
            assert_array_equal(a, b)
    assert_array_equal(clf.best_iters_, whole.best_iters_)
    assert clf.temperature_ == 1.0
    assert clf.oof_proba_ is clf.oof_decision_function_ is clf.oof_log_loss_ is clf.oof_score_ is None
    assert_allclose(clf.predict_proba(X), clf.predict_proba_members(X).mean(axis=0), rtol=1e-6)
    assert_array_equal(clf.predict(X), whole.predict(X) if whole.temperature_ == 1.0 else clf.predict(X))
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_while_the_members_predict_their_folds_keeps_the_members(solver):
    X, y = data()
    activation, at = counting()
    params = {"activation": activation, "solver": solver}
    params |= {"learning_rate_init": "auto"} if solver == "lbfgs" else {}
    whole = small(**params).fit(X, y)
    n_calls = at["count"]
    # The last three calls are those of the three folds, with one hidden layer each.
    for back in range(3):
        at |= {"count": 0, "interrupt": n_calls - back}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = small(**params).fit(X, y)
        assert at["count"] == at["interrupt"]
        at["interrupt"] = math.inf
        assert_kept_without_calibration(clf, whole, X, caught)


def interrupted_within(name, k, function):
    """Call `function` and interrupt it at the k-th line of skbp within skbp's function `name`. Return whether it got there.

    A KeyboardInterrupt that `function` does not catch is a failure.
    """
    left, inside = k, False

    def trace(frame, event, arg):
        nonlocal left, inside
        own = frame.f_globals.get("__name__", "").startswith("skbp")
        if event == "call":
            inside = inside or (own and frame.f_code.co_name == name)
            return trace if own else None
        if inside and event == "line" and own:
            left -= 1
            if left < 0:
                sys.settrace(before)
                raise KeyboardInterrupt
        if event == "return" and frame.f_code.co_name == name:
            inside = False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        sys.settrace(before)
        pytest.fail(f"the interrupt at line {k} within {name} has come through")
    finally:
        sys.settrace(before)
    return left < 0


@every_kind
def test_an_interrupt_anywhere_in_calibration_keeps_the_members(kind):
    X, y = data(kind, 40)
    whole = small(max_iter=2).fit(X, y)
    n_interrupts = 0
    for k in [*range(0, 60, 3), *np.geomspace(60, 20_000, 40).astype(int)]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = small(max_iter=2)
            if not interrupted_within("_estimate", k, lambda clf=clf: clf.fit(X, y)):
                break
        n_interrupts += 1
        assert_kept_without_calibration(clf, whole, X, caught)
    assert n_interrupts > 30


def test_an_interrupt_after_calibration_keeps_the_members():
    # At this point the out-of-fold predictions are compared with the class frequencies, which may take long.
    X, y = data(n_rows=40)
    whole = small(max_iter=2).fit(X, y)
    for k in (0, 5, 15):
        clf = small(max_iter=2)
        assert interrupted_within("_warn_if_nothing_learned", k, lambda clf=clf: clf.fit(X, y))
        assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))
        assert clf.temperature_ == whole.temperature_


def test_an_interrupt_after_training_keeps_the_network():
    # At this point the loss is compared with that of the class frequencies, which may need a pass over all rows.
    X, y = data(n_rows=40)
    params = {"max_iter": 3, "random_state": 0}
    whole = skbp.BackpropClassifier(**params).fit(X, y)
    for k in (0, 5, 15):
        clf = skbp.BackpropClassifier(**params)
        assert interrupted_within("_warn_if_nothing_learned", k, lambda clf=clf: clf.fit(X, y))
        assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_max_time_bounds_the_whole_fit(solver):
    X, y = np.random.default_rng(0).standard_normal((10_000, 5)), np.arange(10_000) % 1000
    start = time.process_time()
    clf = BackpropClassifierCV((5,), max_iter=50, max_time=0.5, solver=solver, random_state=0).fit(X, y)
    assert time.process_time() - start < 3.0
    assert clf.oof_proba_.shape == (10_000, 1000)
    assert np.isfinite(clf.oof_log_loss_)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_memory_beside_the_published_arrays_is_one_copy_of_the_logits(kind):
    n_rows, n_classes = 24_000, 200
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    y = np.arange(n_rows) % n_classes
    published = 2
    if kind == "multilabel":
        y = np.eye(n_classes, dtype=np.int8)[y]
        y[:, 0] = 1 - y[:, 1]
    clf = small(max_iter=1)
    tracemalloc.start()
    try:
        clf.fit(X, y)
        used, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    elements = 8 * n_rows * n_classes
    assert used > published * elements
    if kind == "multilabel":
        # The labels as codes and as booleans, and the probabilities of absent labels.
        published += 1 + 1 / 8 + 1
    assert peak < (published + 0.5) * elements + 2.5e7
