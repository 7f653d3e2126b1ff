"""Labels to codes, targets, weights and back, against LabelBinarizer, compute_sample_weight and closed forms."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit, log_softmax, logit, softmax
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight

from skbp._data import targets
from skbp._network.losses import LOSSES

BINARY = np.array(["no", "yes", "yes", "no", "yes"])
MULTICLASS = np.array([7, 3, 11, 3, 7, 3])
MULTILABEL = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 1]])
ONE_CLASS = np.array([4, 4, 4])
ALL = [BINARY, MULTICLASS, MULTILABEL, ONE_CLASS]
NAMES = ["binary", "multiclass", "multilabel", "one class"]


def logits_for(n_columns, dtype=np.float64):
    return (3.0 * np.random.RandomState(0).normal(size=(8, n_columns))).astype(dtype)


@pytest.mark.parametrize("y", ALL, ids=NAMES)
def test_fit_binarizer_knows_the_classes(y):
    binarizer = targets.fit_binarizer(y)
    assert_array_equal(binarizer.classes_, np.arange(3) if y.ndim == 2 else np.unique(y))
    assert targets.is_multilabel(binarizer) == (y.ndim == 2)


@pytest.mark.parametrize("y", [np.array([0.5, 1.2, 3.3]), np.array([[0.5, 1.0], [2.0, 3.1]])])
def test_continuous_targets_are_refused(y):
    with pytest.raises(ValueError, match=r"Unknown label type: continuous.*classifier"):
        targets.fit_binarizer(y)


def test_several_multiclass_targets_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"(?s)[Mm]ultioutput.*multilabel.*MultiOutputClassifier"):
        targets.fit_binarizer(np.array([[1, 2], [3, 1], [2, 2]]))


@pytest.mark.parametrize(
    ("y", "out_activation", "expected"),
    [
        (BINARY, "auto", ("logistic", 1)),
        (BINARY, "softmax", ("softmax", 2)),
        (BINARY, "logistic", ("logistic", 2)),
        (MULTICLASS, "auto", ("softmax", 3)),
        (MULTICLASS, "softmax", ("softmax", 3)),
        (MULTICLASS, "logistic", ("logistic", 3)),
        (MULTILABEL, "auto", ("logistic", 3)),
        (MULTILABEL, "logistic", ("logistic", 3)),
        (ONE_CLASS, "auto", ("logistic", 1)),
        (ONE_CLASS, "softmax", ("softmax", 1)),
    ],
)
def test_output_layer_follows_from_the_target_and_out_activation(y, out_activation, expected):
    assert targets.output_layer(out_activation, targets.fit_binarizer(y)) == expected


def test_softmax_is_refused_for_labels_that_do_not_exclude_each_other():
    with pytest.raises(ValueError, match=r"softmax.*multilabel.*'auto' or 'logistic'"):
        targets.output_layer("softmax", targets.fit_binarizer(MULTILABEL))


@pytest.mark.parametrize("y", [BINARY, MULTICLASS, ONE_CLASS], ids=["binary", "multiclass", "one class"])
def test_class_codes_are_the_positions_in_classes(y):
    codes = targets.class_codes(y, targets.fit_binarizer(y))
    assert np.issubdtype(codes.dtype, np.integer)
    assert_array_equal(np.unique(y)[codes], y)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_array])
def test_class_codes_of_labels_are_the_dense_indicators(container):
    y = container(MULTILABEL)
    codes = targets.class_codes(y, targets.fit_binarizer(y))
    assert isinstance(codes, np.ndarray)
    assert_array_equal(codes, MULTILABEL)


def test_codes_of_a_part_of_the_classes_are_those_of_the_whole():
    binarizer = targets.fit_binarizer(MULTICLASS)
    assert_array_equal(targets.class_codes(np.array([11, 11, 3]), binarizer), [2, 2, 0])


@pytest.mark.parametrize("y", [BINARY, MULTICLASS, MULTILABEL], ids=["binary", "multiclass", "multilabel"])
def test_the_target_of_the_automatic_logistic_output_is_that_of_label_binarizer(y):
    binarizer = targets.fit_binarizer(y)
    codes = targets.class_codes(y, binarizer)
    expected = LabelBinarizer().fit_transform(y)
    target = targets.encode(codes, "logistic", expected.shape[1])
    assert target.dtype == bool
    assert_array_equal(target, expected)


def test_the_target_of_two_logistic_units_is_one_hot():
    codes = targets.class_codes(BINARY, targets.fit_binarizer(BINARY))
    assert_array_equal(targets.encode(codes, "logistic", 2), np.eye(2)[codes])


def test_the_target_of_softmax_is_the_class_index():
    codes = np.array([2, 0, 1])
    assert_array_equal(targets.encode(codes, "softmax", 3), codes)


@pytest.mark.parametrize(
    ("y", "n_units", "expected"),
    [
        (BINARY, 1, lambda z: np.where(z[:, 0] > 0, "yes", "no")),
        (BINARY, 2, lambda z: np.where(z[:, 1] > z[:, 0], "yes", "no")),
        (MULTICLASS, 3, lambda z: np.array([3, 7, 11])[z.argmax(axis=1)]),
        (MULTILABEL, 3, lambda z: (expit(z) > 0.5).astype(int)),
        (ONE_CLASS, 1, lambda z: np.full(len(z), 4)),
    ],
)
def test_decode_gives_the_labels_of_the_largest_probability(y, n_units, expected):
    z = logits_for(n_units)
    labels = targets.decode(z, targets.fit_binarizer(y))
    assert_array_equal(labels, expected(z))
    assert labels.dtype == y.dtype


@pytest.mark.parametrize("y", ALL, ids=NAMES)
@pytest.mark.parametrize("out_activation", LOSSES)
def test_decode_undoes_the_codes(y, out_activation):
    binarizer = targets.fit_binarizer(y)
    if y.ndim == 2 and out_activation == "softmax":
        with pytest.raises(ValueError, match="softmax"):
            targets.output_layer(out_activation, binarizer)
        return
    codes = targets.class_codes(y, binarizer)
    n_units = targets.output_layer(out_activation, binarizer)[1]
    hot = codes if codes.ndim == 2 else np.eye(n_units)[codes]
    assert_array_equal(targets.decode(8.0 * hot - 4.0, binarizer), y)


def test_decode_of_sparse_labels_is_sparse():
    binarizer = targets.fit_binarizer(sp.csr_matrix(MULTILABEL))
    labels = targets.decode(4.0 * MULTILABEL - 2.0, binarizer)
    assert sp.issparse(labels)
    assert_array_equal(labels.toarray(), MULTILABEL)


def test_a_logit_of_zero_is_of_the_first_class():
    assert_array_equal(targets.predicted_codes(np.array([[0.0], [1e-300], [-1e-300]])), [0, 1, 0])
    assert_array_equal(targets.predicted_codes(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])), [0, 1])


@pytest.mark.parametrize(
    "weight", [None, [1.0, 0.0, 2.5, 0.5, 3.0, 1.0, 0.0, 4.0], [0.0] * 8], ids=["none", "some", "all zero"]
)
@pytest.mark.parametrize(("y", "n_units"), [(BINARY, 1), (BINARY, 2), (MULTICLASS, 3), (MULTILABEL, 3)])
def test_accuracy_is_that_of_the_decoded_labels_unweighted_if_no_row_weighs(y, n_units, weight):
    z, binarizer = logits_for(n_units), targets.fit_binarizer(y)
    predicted = targets.decode(z, binarizer)
    labels = predicted.copy()
    labels[::3] = y[:3]  # some of which are the predicted ones too
    expected = accuracy_score(labels, predicted, sample_weight=weight if np.any(weight) else None)
    assert 0.0 < expected < 1.0
    weight = None if weight is None else np.array(weight)
    found = targets.accuracy(z, targets.class_codes(labels, binarizer), weight)
    assert type(found) is float
    assert found == pytest.approx(expected, rel=1e-14)


def normalised(p):
    return p / p.sum(axis=1, keepdims=True)


# For each output layer the probabilities by their closed form.
PROBA = [
    (BINARY, "logistic", 1, lambda z: np.hstack([expit(-z), expit(z)])),
    (BINARY, "softmax", 2, lambda z: softmax(z, axis=1)),
    (BINARY, "logistic", 2, lambda z: normalised(expit(z))),
    (MULTICLASS, "softmax", 3, lambda z: softmax(z, axis=1)),
    (MULTICLASS, "logistic", 3, lambda z: normalised(expit(z))),
    (MULTILABEL, "logistic", 3, expit),
    (ONE_CLASS, "logistic", 1, np.ones_like),
    (ONE_CLASS, "softmax", 1, np.ones_like),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("y", "out_activation", "n_units", "expected"), PROBA)
def test_class_proba_is_the_closed_form_in_the_type_of_the_logits(y, out_activation, n_units, expected, dtype):
    z = logits_for(n_units, dtype)
    proba = targets.class_proba(z, out_activation, targets.fit_binarizer(y))
    log_proba = targets.class_log_proba(z, out_activation, targets.fit_binarizer(y))
    assert proba.dtype == log_proba.dtype == dtype
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert_allclose(proba, expected(z.astype(np.float64)), rtol=rtol)
    assert_allclose(log_proba, np.log(expected(z.astype(np.float64))), rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("y", "out_activation", "n_units", "expected"), PROBA[:6])
def test_decision_is_the_log_odds_of_two_classes_and_else_the_logits(y, out_activation, n_units, expected):
    z = logits_for(n_units)
    decision = targets.decision(z, out_activation, targets.fit_binarizer(y))
    if y is BINARY:
        assert_allclose(decision, logit(expected(z)[:, 1]), rtol=1e-10, atol=1e-12)
    else:
        assert_array_equal(decision, z)


def test_log_proba_stays_exact_where_proba_rounds():
    z = np.array([[700.0, -700.0, 0.0]])
    got = targets.class_log_proba(z, "softmax", targets.fit_binarizer(MULTICLASS))
    assert_allclose(got[0, 2], -700.0, rtol=1e-14)
    assert_allclose(got[0, :1], log_softmax(z, axis=1)[0, :1], atol=1e-300)
    one = targets.class_log_proba(np.array([[600.0]]), "logistic", targets.fit_binarizer(BINARY))
    assert_allclose(one, [[-600.0, log_expit(600.0)]], rtol=1e-14, atol=1e-15)


# Class weights


def weights_of_rows(class_weight, y, sample_weight=None):
    binarizer = targets.fit_binarizer(y)
    codes = targets.class_codes(y, binarizer)
    counts = targets.class_counts(codes, binarizer, sample_weight)
    return np.prod(targets.class_weights_of_rows(class_weight, codes, binarizer, counts), axis=0)


@pytest.mark.parametrize("y", ALL, ids=NAMES)
def test_balanced_weights_are_those_of_compute_sample_weight(y):
    assert_allclose(weights_of_rows("balanced", y), compute_sample_weight("balanced", y), rtol=1e-14)


@pytest.mark.parametrize(
    ("class_weight", "y"),
    [
        ({"no": 2.0, "yes": 0.25}, BINARY),
        ({3: 0.0, 7: 5, 11: 1.5}, MULTICLASS),
        ([{0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.0}, {0: 3.0, 1: 4.0}], MULTILABEL),
    ],
)
def test_given_weights_are_those_of_compute_sample_weight(class_weight, y):
    assert_allclose(weights_of_rows(class_weight, y), compute_sample_weight(class_weight, y), rtol=1e-14)


def test_a_class_without_a_weight_has_weight_one():
    assert_array_equal(weights_of_rows({3: 5.0}, MULTICLASS), np.where(MULTICLASS == 3, 5.0, 1.0))
    tables = [{1: 2.0}, {}, {}]
    assert_array_equal(weights_of_rows(tables, MULTILABEL), np.where(MULTILABEL[:, 0], 2.0, 1.0))


def test_class_counts_sum_the_weights():
    binarizer = targets.fit_binarizer(MULTICLASS)
    codes = targets.class_codes(MULTICLASS, binarizer)
    (counts,) = targets.class_counts(codes, binarizer)
    assert_array_equal(counts, [(label == MULTICLASS).sum() for label in (3, 7, 11)])
    w = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    (counts,) = targets.class_counts(codes, binarizer, w)
    assert_array_equal(counts, [w[label == MULTICLASS].sum() for label in (3, 7, 11)])


def test_class_counts_of_labels_count_each_column():
    binarizer = targets.fit_binarizer(MULTILABEL)
    counts = targets.class_counts(MULTILABEL, binarizer, np.array([1.0, 2.0, 4.0, 8.0]))
    assert_array_equal(counts, [[10.0, 5.0], [3.0, 12.0], [6.0, 9.0]])


def test_balanced_weighted_counts_equal_those_of_repeated_rows():
    w = np.array([1, 2, 3, 0, 2, 1])
    repeated = weights_of_rows("balanced", np.repeat(MULTICLASS, w))
    assert_allclose(np.repeat(weights_of_rows("balanced", MULTICLASS, w), w), repeated, rtol=1e-14)


@pytest.mark.parametrize(
    ("class_weight", "y", "message"),
    [
        ({"no": 1.0, "maybe": 2.0}, BINARY, r"'maybe'.*does not have.*'yes'"),
        ({"no": -1.0}, BINARY, r"-1\.0.*not negative"),
        ({"no": np.inf}, BINARY, r"inf.*finite"),
        ({"no": np.nan}, BINARY, r"nan.*finite"),
        ([{0: 1.0}], BINARY, r"must be 'balanced' or a dict"),
        ({0: 1.0}, MULTILABEL, r"must be 'balanced' or a list of 3 dicts"),
        ([{0: 1.0}], MULTILABEL, r"must be 'balanced' or a list of 3 dicts"),
        ([1.0, 2.0, 3.0], MULTILABEL, r"must be 'balanced' or a list of 3 dicts"),
    ],
)
def test_unusable_class_weights_are_refused(class_weight, y, message):
    with pytest.raises(ValueError, match=message):
        weights_of_rows(class_weight, y)


# Labels known from before


def test_known_labels_may_be_fewer_unless_all_are_asked_for():
    binarizer = targets.fit_binarizer(MULTICLASS)
    targets.check_known_labels(MULTICLASS, binarizer, all_of_them=True)
    targets.check_known_labels(np.array([3, 7, 3]), binarizer, all_of_them=False)
    with pytest.raises(ValueError, match=r"warm_start can only be used where `y` has the same classes"):
        targets.check_known_labels(np.array([3, 7, 3]), binarizer, all_of_them=True)


@pytest.mark.parametrize("all_of_them", [False, True])
def test_unknown_labels_are_named(all_of_them):
    binarizer = targets.fit_binarizer(MULTICLASS)
    with pytest.raises(ValueError, match=r"(?s)3.*7.*11.*12|12.*3.*7.*11"):
        targets.check_known_labels(np.array([3, 12, 11, 7]), binarizer, all_of_them)


def test_labels_that_do_not_fit_are_called_by_their_name():
    binarizer = targets.fit_binarizer(MULTICLASS)
    with pytest.raises(ValueError, match=r"^`y_val` has classes not in `self.classes_`: \[12\]"):
        targets.check_known_labels(np.array([3, 12]), binarizer, False, "y_val")
    with pytest.raises(ValueError, match=r"^y_val is multilabel, but .* a target that is one class a row"):
        targets.check_known_labels(MULTILABEL, binarizer, False, "y_val")
    with pytest.raises(ValueError, match=r"^y is one class a row, but .* a target that is multilabel"):
        targets.check_known_labels(MULTICLASS, targets.fit_binarizer(MULTILABEL), False)
