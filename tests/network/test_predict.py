"""The forward pass of predictions equals the equations, and if sums overflow it is finite and on the right side.

If sums overflow, the reference is the same network in decimal arithmetic. Its exponents have room.
"""

import decimal
from decimal import Decimal
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax

from skbp import Activation, BackpropClassifier, BackpropClassifierCV
from skbp._data.rows import Rows
from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._network.predict import ROOM, Forward, logits_of_all, shrunk
from skbp._network.tape import CHUNK_ROWS
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# A few epochs make networks with weights that are no longer random. They need not be good ones.
pytestmark = pytest.mark.filterwarnings(
    "ignore::skbp.NothingLearnedWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)

CLASSES = [BackpropClassifier, BackpropClassifierCV]


def network(name, units, weight_size=1.0, seed=0, dtype=np.float64):
    """Random weights and biases, and the records of the activations."""
    rng = np.random.RandomState(seed)
    weights = [weight_size * rng.normal(size=pair) for pair in pairwise(units)]
    biases = [rng.normal(size=n) for n in units[1:]]
    records = [ACTIVATIONS[name]] * (len(weights) - 1)
    return [w.astype(dtype) for w in weights], [b.astype(dtype) for b in biases], records


def batches_of(X):
    """All rows in chunks."""
    return Rows(X, None, None, None, None).chunks()


def predicted(weights, biases, records, X, **options):
    """The logits of all rows in the type of X."""
    return logits_of_all(Forward(weights, biases, records, X.dtype, **options), batches_of(X))


# Rows without overflow


def plain(weights, biases, records, X):
    """The network by its equations, in float64."""
    a = (X.toarray() if sp.issparse(X) else X).astype(np.float64)
    for w, b, record in zip(weights[:-1], biases[:-1], records, strict=True):
        z = a @ w.astype(np.float64) + b
        a = record.function(z, out=np.full_like(z, np.nan))
    return a @ weights[-1].astype(np.float64) + biases[-1]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_logits_are_those_of_the_equations(name, dtype, container):
    weights, biases, records = network(name, (5, 8, 7, 3))
    X = np.random.RandomState(1).normal(size=(2 * CHUNK_ROWS + 300, 5)).astype(dtype)
    X[X < -0.5] = 0.0
    expected = plain(weights, biases, records, X)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for n_rows in (1, CHUNK_ROWS, CHUNK_ROWS + 1, len(X)):
        logits = predicted(weights, biases, records, container(X[:n_rows]))
        assert logits.dtype == dtype
        assert_allclose(logits, expected[:n_rows], rtol=tolerance, atol=tolerance)


def test_without_a_hidden_layer_the_logits_are_one_product():
    weights, biases, _ = network("relu", (5, 3))
    X = np.random.RandomState(1).normal(size=(20, 5))
    assert_allclose(predicted(weights, biases, [], X), X @ weights[0] + biases[0], rtol=1e-14, atol=1e-14)


def test_logits_are_arrays_of_their_own():
    weights, biases, records = network("tanh", (5, 8, 3))
    X = np.random.RandomState(1).normal(size=(2 * CHUNK_ROWS, 5))
    before = X.copy()
    network_at_work = Forward(weights, biases, records, X.dtype)
    logits = logits_of_all(network_at_work, batches_of(X))
    kept = logits.copy()
    logits_of_all(network_at_work, batches_of(X[::-1].copy()))
    assert_array_equal(logits, kept)
    assert_array_equal(X, before)


@pytest.mark.parametrize("n_rows", [1, CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 452])
def test_logits_do_not_depend_on_chunks(problem, container, n_rows):
    p = problem(n_rows)
    p.X.flags.writeable = False
    weights, biases = p.params.weights, p.params.biases
    logits = predicted(weights, biases, p.records, container(p.X))
    expected = np.tanh(p.X @ weights[0] + biases[0]) @ weights[1] + biases[1]
    assert_allclose(logits, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_rows", [10, 2 * CHUNK_ROWS + 452])
def test_logits_have_the_type_of_the_rows(problem, n_rows):
    p = problem(n_rows)
    weights, biases = p.params.copies()
    wide = predicted(weights, biases, p.records, p.X)
    narrow = predicted(weights, biases, p.records, p.X.astype(np.float32))
    assert narrow.dtype == np.float32
    assert_allclose(narrow, wide, rtol=1e-4, atol=1e-5)
    assert weights[0].dtype == np.float64
    narrow_weights = [w.astype(np.float32) for w in weights]
    assert predicted(narrow_weights, biases, p.records, p.X).dtype == np.float64


def test_predictions_of_one_chunk_are_not_overwritten_by_later_ones(problem):
    p = problem(10)
    network_at_work = Forward(p.params.weights, p.params.biases, p.records, np.float64)
    first = logits_of_all(network_at_work, batches_of(p.X))
    kept = first.copy()
    logits_of_all(network_at_work, batches_of(-p.X))
    assert_array_equal(first, kept)


def test_a_forward_pass_knows_its_widths_and_chunks_may_grow_and_shrink(problem):
    p = problem(30, (4, 3))
    one = Forward(p.params.weights, p.params.biases, p.records, np.float64)
    assert one.units == [5, 4, 3, 3]
    expected = plain(*p.params.copies(), p.records, p.X)
    for rows in (slice(0, 3), slice(0, 30), slice(5, 12), slice(29, 30)):
        assert_allclose(one.logits(p.X[rows]), expected[rows], rtol=1e-12, atol=1e-14)
        assert_allclose(one.plain_logits(p.X[rows]), expected[rows], rtol=1e-12, atol=1e-14)


# Rows with overflow


def decimal_activation(record, z):
    """f(z) of a number of any size. Beyond 1e30 every f is constant or a straight line through 0."""
    far = Decimal("1e30")
    near = max(-far, min(far, z))
    f = Decimal(float(record.function(np.array([float(near)]), out=np.zeros(1))[0]))
    return f * (z / near) if near != z and abs(f) > 10 else f


def decimal_logits(weights, biases, records, row):
    """The logits of a row in decimal numbers of 60 digits, and whether no sum cancels down to a thousandth of its terms."""
    a, clear = [Decimal(float(x)) for x in row], True
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        sums = []
        for column, b in zip(weight.T, bias, strict=True):
            terms = [x * Decimal(float(w)) for x, w in zip(a, column, strict=True)] + [Decimal(float(b))]
            sums.append(sum(terms))
            clear &= abs(sums[-1]) > sum(map(abs, terms)) / 1000
        a = [decimal_activation(records[layer], z) for z in sums] if layer < len(records) else sums
    return a, clear


def exact_proba(weights, biases, records, X):
    """Class probabilities of rows, and the rows that rounding in the type of X cannot affect."""
    result, clear = [], []
    with decimal.localcontext(prec=60, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN):
        for row in X:
            logits, is_clear = decimal_logits(weights, biases, records, row)
            logits = [Decimal(0), *logits] if len(logits) == 1 else logits
            largest = max(logits)
            # For two large logits that nearly agree, rounding decides which one is larger.
            others = sorted(logits)[:-1]
            is_clear &= largest - others[-1] > max(map(abs, logits)) / 1000
            clear.append(is_clear)
            result.append(softmax([float(max(z - largest, Decimal(-2000))) for z in logits]))
    return np.array(result), np.array(clear)


# The types of rows and of weights, and their sizes. The type of the rows cannot hold the weights of the last two cases.
OVERFLOWS = {
    "float32 rows": (np.float32, np.float32, 3e38, 1.0),
    "float64 rows": (np.float64, np.float64, 1e308, 1.0),
    "float64 weights": (np.float64, np.float64, 1.0, 1e300),
    "float64 rows and weights": (np.float64, np.float64, 1e308, 1e300),
    "weights beyond float32": (np.float32, np.float64, 1.0, 1e300),
    "both beyond float32": (np.float32, np.float64, 3e38, 1e300),
}


@pytest.mark.parametrize("hidden", [(6,), (6,) * 7], ids=["shallow", "deep"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("case", OVERFLOWS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_sums_that_overflow_saturate_in_the_right_direction(name, case, n_outputs, hidden):
    dtype, weight_dtype, size, weight_size = OVERFLOWS[case]
    weights, biases, records = network(name, (4, *hidden, n_outputs), weight_size, dtype=weight_dtype)
    X = (size * np.random.RandomState(2).uniform(-1.0, 1.0, size=(16, 4))).astype(dtype)
    clf = BackpropClassifier.from_weights(weights, biases, classes=np.arange(max(2, n_outputs)), activation=name)
    logits, proba = clf.decision_function(X), clf.predict_proba(X)
    assert logits.dtype == proba.dtype == dtype
    assert np.isfinite(logits).all()
    assert np.isfinite(clf.predict_log_proba(X)).all()
    assert np.isfinite(clf.hidden_features(X)).all()
    expected, clear = exact_proba(weights, biases, records, X)
    assert clear.sum() >= 5
    # Rounding shows in a logit of ordinary size.
    assert_allclose(proba[clear], expected[clear], rtol=0.0, atol=0.02)
    assert_array_equal(clf.predict(X)[clear], expected[clear].argmax(axis=1))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "identity"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(("dtype", "factor"), [(np.float32, 1e37), (np.float64, 1e300), (np.float64, 1e307)])
def test_a_homogeneous_network_decides_for_a_multiple_of_a_row_as_for_the_row(name, n_outputs, dtype, factor):
    """f(c x) = c f(x). So without biases all logits are multiplied by c too."""
    weights, biases, _ = network(name, (4, 50, 50, 50, n_outputs))
    clf = BackpropClassifier.from_weights(
        [30.0 * w for w in weights], [0.0 * b for b in biases], classes=np.arange(max(2, n_outputs)), activation=name
    )
    X = np.random.RandomState(3).uniform(-5.0, 5.0, size=(300, 4)).astype(dtype)
    logits = clf.decision_function(X).reshape(300, -1)
    large = clf.decision_function(dtype(factor) * X).reshape(300, -1)
    assert np.isfinite(large).all()
    scale, large_scale = (np.abs(z).max(axis=1, keepdims=True) for z in (logits, large))
    # Rows keep the proportions of their logits.
    assert_allclose(large / large_scale, logits / scale, rtol=0.0, atol=1e-4 if dtype == np.float32 else 1e-10)
    assert (clf.predict(dtype(factor) * X) == clf.predict(X)).mean() > 0.99


@pytest.mark.parametrize("name", ["tanh", "logistic", "softsign", "relu6"])
def test_a_sum_of_ordinary_size_counts_beside_one_that_overflows(name):
    """One unit is saturated and the other is not. A bounded activation makes both of the same size."""
    weights = [np.array([[1e100, 0.0], [-1.1e100, 0.0], [0.0, 0.5]]), np.array([[1.0], [10.0]])]
    biases = [np.zeros(2), np.zeros(1)]
    X = np.array([[1e300, 1e300, 1.0], [1e300, 1e300, -1.0]])
    clf = BackpropClassifier.from_weights(weights, biases, classes=[0, 1], activation=name)
    expected, _ = exact_proba(weights, biases, [ACTIVATIONS[name]], X)
    assert_allclose(clf.predict_proba(X), expected, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("name", ["tanh", "logistic", "softsign", "relu6"])
@pytest.mark.parametrize(("n_rows", "n_units"), [(1, 1), (1, 16), (16, 1), (16, 16)])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 3e38), (np.float64, 1e308)])
def test_a_partial_sum_that_overflows_does_not_decide(name, n_units, n_rows, dtype, size):
    """The first two terms are beyond the largest number, and the sum of all terms has the other sign.

    A bounded activation hides the infinite sum, so that the logits do not show it.
    """
    X = np.full((n_rows, 4), size, dtype)
    first = np.tile(np.array([[2.0], [2.0], [-3.0], [-3.0]]), (1, n_units))
    weights, biases = (
        [first.astype(dtype), np.ones((n_units, 1), dtype)],
        [np.zeros(n_units, dtype), np.zeros(1, dtype)],
    )
    clf = BackpropClassifier.from_weights(weights, biases, classes=[0, 1], activation=name)
    expected, _ = exact_proba(weights, biases, [ACTIVATIONS[name]], X[:1])
    assert_allclose(clf.predict_proba(X), np.tile(expected, (n_rows, 1)), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("n_rows", [40, CHUNK_ROWS + 40])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e38), (np.float64, 1e308)])
@pytest.mark.parametrize("name", ["relu", "identity", "selu", "gelu", "softplus"])
def test_rows_that_overflow_do_not_change_other_rows(name, dtype, size, n_rows, container):
    weights, biases, records = network(name, (5, 8, 8, 3))
    X = np.random.RandomState(1).normal(size=(n_rows, 5)).astype(dtype)
    far = np.arange(n_rows) % 10 == 3
    with np.errstate(all="ignore"):
        ordinary = predicted(weights, biases, records, container(X))
        X[far] = np.where(X[far] > 0, size, -size)
        logits = predicted(weights, biases, records, container(X))
    assert_array_equal(logits[~far], ordinary[~far])
    assert np.isfinite(logits).all()
    # All units of a layer may be at 0.
    assert (np.abs(logits[far]).max(axis=1) > size / 1e3).mean() > 0.5


def overflowing_network():
    """A network of two logits, 2e200 and -1e190 times the only feature."""
    return [np.array([[2e200, -1e190]])], [np.array([0.0, 0.0])], []


def test_a_row_with_a_logit_beyond_the_largest_number_is_scaled_down_or_cut_off():
    weights, biases, records = overflowing_network()
    X = np.array([[1e200], [1.0], [-1e107], [1e108]])
    largest = np.finfo(np.float64).max
    with np.errstate(all="ignore"):
        scaled = predicted(weights, biases, records, X)
        cut = predicted(weights, biases, records, X, to_scale=False)
    ordinary = [[2e200, -1e190], [-2e307, 1e297]]
    # The first and the last row keep the ratio of their logits and leave room for sums of losses.
    for row in (0, 3):
        assert_allclose(scaled[row, 0] / scaled[row, 1], -2e10, rtol=1e-12)
        assert ROOM * largest / 4 < scaled[row, 0] <= ROOM * largest
    assert_allclose(scaled[1:3], ordinary, rtol=1e-15)
    assert_array_equal(cut[0], [largest, -largest])
    assert_allclose(cut[1:3], ordinary, rtol=1e-15)
    assert_allclose(cut[3], [largest, -1e298], rtol=1e-12)


def test_a_single_logit_beyond_the_largest_number_is_cut_off():
    X = np.array([[1e200], [-1e200], [1.0]])
    largest = np.finfo(np.float64).max
    for to_scale in (True, False):
        with np.errstate(all="ignore"):
            logits = predicted([np.array([[1e200]])], [np.zeros(1)], [], X, to_scale=to_scale)
        assert_array_equal(logits, [[largest], [-largest], [1e200]])


def test_plain_logits_overflow():
    weights, biases, records = overflowing_network()
    with np.errstate(all="ignore"):
        logits = Forward(weights, biases, records, np.float64).plain_logits(np.array([[1e200], [1.0]]))
    assert_array_equal(logits, [[np.inf, -np.inf], [2e200, -1e190]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shrunk_leaves_room_and_does_not_change_other_rows(dtype):
    largest = np.finfo(dtype).max
    z = np.array([[largest, -largest / 2], [1.0, -3.0], [0.0, 0.0], [ROOM * largest, 1.0]], dtype)
    with np.errstate(all="ignore"):
        found = shrunk(z)
    assert found.dtype == dtype
    assert_allclose(found[0], [ROOM * largest, -ROOM * largest / 2], rtol=4 * np.finfo(dtype).eps)
    assert_array_equal(found[1:], z[1:])


# Predictions of the estimators


@cache
def fitted(cls, kind, data, dtype="float32", activation="relu", out_activation="auto"):
    extra = {"cv": 3} if cls is BackpropClassifierCV else {"learning_rate_init": 0.01}
    clf = cls((9, 9), activation, dtype=dtype, out_activation=out_activation, max_iter=12, random_state=0, **extra)
    return clf.fit(*data(kind))


def far_rows(X, dtype):
    """Ordinary rows, rows of all sizes up to the largest number of the type, and rows with a few such numbers."""
    X = X[:40]
    sizes = np.geomspace(1.0, np.finfo(dtype).max / 4, 40)[:, None]
    mixed = np.where(np.abs(X) > 1.0, np.sign(X) * np.finfo(dtype).max / 2, X)
    return np.concatenate([X, X / np.abs(X).max() * sizes, mixed]).astype(dtype)


CASES = [("binary", out) for out in ("auto", *LOSSES)] + [("multiclass", out) for out in ("auto", *LOSSES)]
CASES += [("multilabel", "auto")]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("trained_in", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "out_activation"), CASES)
@pytest.mark.parametrize("cls", CLASSES)
def test_all_predictions_are_finite_and_agree(informative, cls, kind, out_activation, trained_in, dtype):
    clf = fitted(cls, kind, informative, trained_in, out_activation=out_activation)
    X = far_rows(informative(kind)[0], dtype)
    assert np.isfinite(clf.predict_proba(sp.csr_array(X))).all()
    assert np.isfinite(clf.decision_function(sp.csr_array(X))).all()
    proba, log_proba, decision = clf.predict_proba(X), clf.predict_log_proba(X), clf.decision_function(X)
    for values in (proba, log_proba, decision):
        assert values.dtype == dtype
        assert np.isfinite(values).all()
    assert proba.min() > 0.0
    assert_allclose(log_proba, np.log(proba), rtol=1e-4, atol=1e-4)
    labels = clf.predict(X)
    if kind == "multilabel":
        assert proba.max() < 1.0
        assert_array_equal(labels, (decision > 0.0).astype(int))
        assert (proba[labels == 1] >= 0.5).all()
        assert (proba[labels == 0] <= 0.5).all()
    else:
        assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
        by_decision = (decision > 0.0).astype(int) if kind == "binary" else decision.argmax(axis=1)
        # If several logistic units are certain, their classes are equally probable.
        for best in (np.searchsorted(clf.classes_, labels), by_decision):
            assert_allclose(proba[np.arange(len(X)), best], proba.max(axis=1), rtol=1e-5)
    if kind == "binary":
        odds = np.clip(decision.astype(np.float64), -600.0, 600.0)
        assert_allclose(proba[:, 1], expit(odds), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("cls", CLASSES)
def test_rows_far_away_are_predicted_with_the_limit_of_the_probabilities(informative, cls, name, kind, dtype):
    """Along a ray from 0 the probabilities come to a limit. They stay there up to the largest number."""
    clf = fitted(cls, kind, informative, "float64", name)
    X = informative(kind)[0][:30] / 4.0
    limits = [clf.predict_proba((size * X).astype(dtype)) for size in (1e20, 1e30)]
    X = X / np.abs(X).max()
    proba = clf.predict_proba((np.finfo(dtype).max * X).astype(dtype))
    assert np.isfinite(proba).all()
    settled = np.abs(limits[0] - limits[1]).max(axis=1) < 1e-6
    assert settled.mean() > 0.8
    assert_allclose(proba[settled], limits[1][settled], rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hidden_features_are_finite_in_every_layer(informative, name, dtype):
    clf = fitted(BackpropClassifier, "multiclass", informative, "float64", name)
    X = far_rows(informative("multiclass")[0], dtype)
    for layer in range(2):
        features = clf.hidden_features(X, layer)
        assert features.dtype == dtype
        assert np.isfinite(features).all()
    transformer = clf.as_transformer()
    assert_array_equal(transformer.transform(X), features)
    # For ordinary rows they are the input of the output layer.
    near = X[:40]
    logits = clf.hidden_features(near) @ clf.coefs_[-1] + clf.intercepts_[-1]
    assert_allclose(logits, clf.decision_function(near), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_probabilities_of_members_are_finite_and_their_mean_is_the_prediction(informative, kind, dtype):
    clf = fitted(BackpropClassifierCV, kind, informative)
    X = far_rows(informative(kind)[0], dtype)
    of_members = clf.predict_proba_members(X)
    assert of_members.dtype == dtype
    assert of_members.shape[:2] == (6, len(X))
    assert np.isfinite(of_members).all()
    mean = np.tensordot(clf.member_weights_, of_members, 1)
    assert_allclose(mean, clf.predict_proba(X), rtol=1e-5, atol=0.0)


# Networks that are not finite


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match=r"coefs contains (NaN|infinity)"):
        BackpropClassifier.from_weights([[[1.0], [value]]], [[0.0]], classes=[0, 1])
    with pytest.raises(ValueError, match=r"intercepts contains (NaN|infinity)"):
        BackpropClassifier.from_weights([[[1.0], [1.0]]], [[value]], classes=[0, 1])


PREDICTIONS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("layer", [0, 1])
def test_weights_set_to_nan_by_hand_are_an_error(layer, name):
    weights, biases, _ = network(name, (4, 5, 3))
    clf = BackpropClassifier.from_weights(weights, biases, classes=[0, 1, 2], activation=name)
    clf.coefs_[layer][0, 0] = np.nan
    for method in PREDICTIONS:
        with pytest.raises(ValueError, match="nan: its weights are not finite, or its activation gives nan"):
            getattr(clf, method)(np.ones((3, 4)))


@pytest.mark.parametrize("method", [*PREDICTIONS, "predict_proba_members"])
def test_a_member_with_weights_of_nan_is_an_error(informative, method):
    clf = BackpropClassifierCV(5, cv=2, max_iter=3, random_state=0).fit(*informative("multiclass"))
    clf.members_[1].intercepts_[0][2] = np.nan
    with pytest.raises(ValueError, match="nan: its weights are not finite"):
        getattr(clf, method)(np.ones((3, 6)))


def root_below_50(z, out):
    """sqrt(50 - z), which is nan for larger z."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(50.0 - z, out=out)


def root_slope(a, out):
    return np.divide(-0.5, a, out=out)


@pytest.mark.parametrize("method", PREDICTIONS)
def test_an_activation_that_gives_nan_for_a_finite_number_is_an_error(method):
    clf = BackpropClassifier.from_weights(
        [[[1.0]], [[1.0]]], [[0.0], [-3.0]], classes=[0, 1], activation=Activation(root_below_50, root_slope)
    )
    assert_array_equal(clf.predict([[1.0], [49.0]]), [1, 0])
    with pytest.raises(ValueError, match="its activation gives nan"):
        getattr(clf, method)([[1.0], [51.0]])


def test_logits_of_all_rows_are_plain_ones_if_an_activation_gives_nan():
    activation = Activation(root_below_50, root_slope)
    one = Forward([np.ones((1, 1)), np.ones((1, 1))], [np.zeros(1), np.array([-3.0])], [activation], np.float64)
    X = np.array([[1.0], [51.0], [49.0]])
    with pytest.raises(ValueError, match="its activation gives nan"):
        one.logits(X)
    assert_allclose(logits_of_all(one, batches_of(X)), [[4.0], [np.nan], [-2.0]])


def test_hidden_features_of_an_activation_that_gives_nan_are_an_error():
    clf = BackpropClassifier.from_weights(
        [[[1.0]], [[1.0]]], [[0.0], [-3.0]], classes=[0, 1], activation=Activation(root_below_50, root_slope)
    )
    assert_allclose(clf.hidden_features([[1.0], [49.0]]), [[7.0], [1.0]])
    with pytest.raises(ValueError, match="activation gives nan"):
        clf.hidden_features([[1.0], [51.0]])


# NumPy raises errors for overflow and rounding to 0 if the user asks for it


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("cls", CLASSES)
def test_fits_and_predictions_under_strict_settings(informative, cls, name, dtype):
    X, y = informative("multiclass")
    extra = {"cv": 2} if cls is BackpropClassifierCV else {"early_stopping": True}
    # Some columns large, some small, so that activations saturate and probabilities round to 0.
    clf = cls(6, name, dtype=dtype, max_iter=4, random_state=0, **extra).fit(X * np.geomspace(1e-20, 1e3, 6), y)
    for rows_dtype in (np.float32, np.float64):
        far = far_rows(X, rows_dtype)
        for rows in (far, sp.csr_array(far)):
            for method in PREDICTIONS:
                getattr(clf, method)(rows)
            if cls is BackpropClassifierCV:
                clf.predict_proba_members(rows)
            else:
                clf.hidden_features(rows)
    clf.score(X, y)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("cls", CLASSES)
def test_every_solver_under_strict_settings(informative, kind, cls, solver):
    X, y = informative(kind)
    extra = {"cv": 2} if cls is BackpropClassifierCV else {}
    clf = cls(4, "silu", solver=solver, max_iter=3, random_state=0, **extra).fit(X, y)
    assert np.isfinite(clf.predict_proba(far_rows(X, np.float64))).all()


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("solver", UPDATES)
@pytest.mark.parametrize("cls", CLASSES)
def test_training_that_diverges_under_strict_settings(informative, cls, solver):
    def explodes(fraction):
        return 1.0 if fraction < 0.5 else 1e200

    extra = {"cv": 2} if cls is BackpropClassifierCV else {}
    X, y = informative("multiclass")
    clf = cls(4, solver=solver, learning_rate=explodes, max_iter=8, random_state=0, **extra).fit(X, y)
    assert 0 < clf.n_iter_ < 8
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.usefixtures("strict")
def test_calls_of_partial_fit_under_strict_settings(informative):
    X, y = informative("multiclass")
    clf = BackpropClassifier(4, random_state=0, class_weight="balanced")
    for _ in range(3):
        clf.partial_fit(X * 1e3, y, classes=[0, 1, 2])
    assert len(clf.loss_curve_) == 3
