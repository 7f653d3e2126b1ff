"""From labels to codes and targets, and from logits back, compared with LabelBinarizer and closed forms."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit, log_softmax, logit, softmax
from sklearn.metrics import log_loss
from sklearn.preprocessing import LabelBinarizer

from skbp._data.targets import ClassTarget, LabelsTarget, fit_binarizer, make_target, output_layer
from skbp._network.losses import LOSSES

KINDS = ["binary", "multiclass", "multilabel", "one class"]


def logits_for(n_columns, dtype=np.float64):
    return (3.0 * np.random.RandomState(0).normal(size=(8, n_columns))).astype(dtype)


# The output layer


@pytest.mark.parametrize("kind", KINDS)
def test_fit_binarizer_knows_the_classes(kind, labels):
    y = labels[kind]
    assert_array_equal(fit_binarizer(y).classes_, np.arange(3) if y.ndim == 2 else np.unique(y))


@pytest.mark.parametrize(
    ("kind", "out_activation", "expected"),
    [
        ("binary", "auto", ("logistic", 1)),
        ("binary", "softmax", ("softmax", 2)),
        ("binary", "logistic", ("logistic", 2)),
        ("multiclass", "auto", ("softmax", 3)),
        ("multiclass", "softmax", ("softmax", 3)),
        ("multiclass", "logistic", ("logistic", 3)),
        ("multilabel", "auto", ("logistic", 3)),
        ("multilabel", "logistic", ("logistic", 3)),
        ("one class", "auto", ("logistic", 1)),
        ("one class", "softmax", ("softmax", 1)),
    ],
)
def test_output_layer_follows_from_the_target_and_out_activation(kind, out_activation, expected, labels):
    assert output_layer(out_activation, fit_binarizer(labels[kind])) == expected


def test_softmax_is_refused_for_labels_that_do_not_exclude_each_other(labels):
    with pytest.raises(ValueError, match=r"softmax.*multilabel.*'auto' or 'logistic'"):
        output_layer("softmax", fit_binarizer(labels["multilabel"]))
    with pytest.raises(ValueError, match=r"softmax.*multilabel.*y looks one-hot: pass y\.argmax\(axis=1\)"):
        output_layer("softmax", fit_binarizer(labels["multilabel"]), one_hot=True)


@pytest.mark.parametrize("kind", KINDS)
def test_several_labels_have_a_target_of_their_own(kind, labels, target_of):
    target = target_of(labels[kind])
    assert type(target) is (LabelsTarget if kind == "multilabel" else ClassTarget)
    assert target.multilabel == (kind == "multilabel")
    assert_array_equal(target.classes, fit_binarizer(labels[kind]).classes_)


@pytest.mark.parametrize("out_activation", LOSSES)
def test_a_target_has_the_loss_and_the_units_of_its_output_layer(out_activation, labels):
    binarizer = fit_binarizer(labels["multiclass"])
    target = make_target(binarizer, *output_layer(out_activation, binarizer))
    assert target.loss is LOSSES[out_activation]
    assert target.n_outputs == 3


# Codes


@pytest.mark.parametrize("kind", ["binary", "multiclass", "one class"])
def test_codes_are_the_positions_in_classes(kind, labels, target_of):
    y = labels[kind]
    codes = target_of(y).codes(y)
    assert np.issubdtype(codes.dtype, np.integer)
    assert_array_equal(np.unique(y)[codes], y)


@pytest.mark.parametrize(("n_classes", "dtype"), [(2, np.uint8), (256, np.uint8), (257, np.uint16)])
def test_codes_have_the_smallest_type_that_holds_them(n_classes, dtype, target_of):
    assert target_of(np.arange(n_classes)).codes(np.arange(n_classes)).dtype == dtype


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_array])
def test_codes_of_several_labels_are_the_dense_indicators(container, labels, target_of):
    y = container(labels["multilabel"])
    codes = target_of(y).codes(y)
    assert isinstance(codes, np.ndarray)
    assert_array_equal(codes, labels["multilabel"])


def test_codes_of_some_of_the_classes_are_those_of_all_classes(labels, target_of):
    assert_array_equal(target_of(labels["multiclass"]).codes(np.array([11, 11, 3])), [2, 2, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_each_column_of_codes_has_classes_of_its_own(kind, labels, target_of):
    target = target_of(labels[kind])
    codes = target.codes(labels[kind])
    columns = target.columns(codes)
    assert len(columns) == (3 if kind == "multilabel" else 1)
    assert_array_equal(np.column_stack(columns), codes.reshape(len(codes), -1))


def test_a_split_is_stratified_by_class_and_not_by_several_labels(labels, target_of):
    strata = {kind: target_of(y).strata(target_of(y).codes(y)) for kind, y in labels.items()}
    assert_array_equal(strata["multiclass"], [1, 0, 2, 0, 1, 0])
    assert strata["multilabel"] is None
    for kind in ("binary", "one class"):
        # scikit-learn's MLPClassifier passes text for two classes, which decides the order of its random numbers.
        assert strata[kind].dtype.kind == "U"
    assert len(np.unique(strata["binary"])) == 2


# Targets of the loss


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_the_target_of_the_automatic_logistic_output_is_that_of_label_binarizer(kind, labels):
    y, binarizer = labels[kind], fit_binarizer(labels[kind])
    expected = LabelBinarizer().fit_transform(y)
    target = make_target(binarizer, "logistic", expected.shape[1])
    encoded = target.encode(target.codes(y))
    assert encoded.dtype == bool
    assert_array_equal(encoded, expected)


def test_the_target_of_two_logistic_units_is_one_hot(labels, target_of):
    target = target_of(labels["binary"], "logistic")
    codes = target.codes(labels["binary"])
    assert_array_equal(target.encode(codes), np.eye(2)[codes])


def test_the_target_of_softmax_is_the_class_index(labels, target_of):
    codes = np.array([2, 0, 1])
    assert_array_equal(target_of(labels["multiclass"], "softmax").encode(codes), codes)


# Predictions


@pytest.mark.parametrize(
    ("kind", "out_activation", "n_units", "expected"),
    [
        ("binary", "auto", 1, lambda z: np.where(z[:, 0] > 0, "yes", "no")),
        ("binary", "softmax", 2, lambda z: np.where(z[:, 1] > z[:, 0], "yes", "no")),
        ("multiclass", "auto", 3, lambda z: np.array([3, 7, 11])[z.argmax(axis=1)]),
        ("multilabel", "auto", 3, lambda z: (expit(z) > 0.5).astype(int)),
        ("one class", "auto", 1, lambda z: np.full(len(z), 4)),
    ],
)
def test_predict_gives_the_labels_of_the_largest_probability(
    kind, out_activation, n_units, expected, labels, target_of
):
    z = logits_for(n_units)
    predicted = target_of(labels[kind], out_activation).predict(z)
    assert_array_equal(predicted, expected(z))
    assert predicted.dtype == labels[kind].dtype


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("out_activation", LOSSES)
def test_predict_and_labels_undo_the_codes(kind, out_activation, labels, target_of):
    y = labels[kind]
    if kind == "multilabel" and out_activation == "softmax":
        with pytest.raises(ValueError, match="softmax"):
            target_of(y, out_activation)
        return
    target = target_of(y, out_activation)
    codes = target.codes(y)
    hot = codes if codes.ndim == 2 else np.eye(target.n_outputs)[codes]
    assert_array_equal(target.predict(8.0 * hot - 4.0), y)
    assert_array_equal(target.labels(codes), y)


def test_predicted_labels_are_sparse_if_the_labels_were(labels, target_of):
    target = target_of(sp.csr_matrix(labels["multilabel"]))
    predicted = target.predict(4.0 * labels["multilabel"] - 2.0)
    assert sp.issparse(predicted)
    assert_array_equal(predicted.toarray(), labels["multilabel"])


def test_a_logit_of_zero_predicts_the_first_class(labels, target_of):
    binary, multiclass = target_of(labels["binary"]), target_of(labels["multiclass"])
    assert_array_equal(binary.predict(np.array([[0.0], [1e-300], [-1e-300]])), ["no", "yes", "no"])
    assert_array_equal(multiclass.predict(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])), [3, 7])
    z = np.array([[0.0], [1e-300], [-1e-300]])
    assert_array_equal(binary.is_right(z, np.array([0, 0, 0])), [True, False, True])


# Probabilities


def normalised(p):
    return p / p.sum(axis=1, keepdims=True)


# For each output layer the closed form of the probabilities.
PROBA = [
    ("binary", "auto", lambda z: np.hstack([expit(-z), expit(z)])),
    ("binary", "softmax", lambda z: softmax(z, axis=1)),
    ("binary", "logistic", lambda z: normalised(expit(z))),
    ("multiclass", "softmax", lambda z: softmax(z, axis=1)),
    ("multiclass", "logistic", lambda z: normalised(expit(z))),
    ("multilabel", "logistic", expit),
    ("one class", "auto", np.ones_like),
    ("one class", "softmax", np.ones_like),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "out_activation", "expected"), PROBA)
def test_proba_is_the_closed_form_in_the_type_of_the_logits(kind, out_activation, expected, dtype, labels, target_of):
    target = target_of(labels[kind], out_activation)
    z = logits_for(target.n_outputs, dtype)
    proba, log_proba = target.proba(z), target.log_proba(z)
    assert proba.dtype == log_proba.dtype == dtype
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert_allclose(proba, expected(z.astype(np.float64)), rtol=rtol)
    assert_allclose(log_proba, np.log(expected(z.astype(np.float64))), rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("kind", "out_activation", "expected"), PROBA[:6])
def test_decision_is_the_log_odds_of_two_classes_and_else_the_logits(kind, out_activation, expected, labels, target_of):
    target = target_of(labels[kind], out_activation)
    z = logits_for(target.n_outputs)
    decision = target.decision(z)
    if kind == "binary":
        assert_allclose(decision, logit(expected(z)[:, 1]), rtol=1e-10, atol=1e-12)
    else:
        assert_array_equal(decision, z)


def test_the_decision_for_a_single_class_is_zero(labels, target_of):
    for out_activation in ("auto", "softmax"):
        decision = target_of(labels["one class"], out_activation).decision(logits_for(1, np.float32))
        assert_array_equal(decision, np.zeros(8))
        assert decision.dtype == np.float32


def test_log_proba_stays_exact_where_proba_rounds(labels, target_of):
    z = np.array([[700.0, -700.0, 0.0]])
    found = target_of(labels["multiclass"], "softmax").log_proba(z)
    assert_allclose(found[0, 2], -700.0, rtol=1e-14)
    assert_allclose(found[0, :1], log_softmax(z, axis=1)[0, :1], atol=1e-300)
    one = target_of(labels["binary"]).log_proba(np.array([[600.0]]))
    assert_allclose(one, [[-600.0, log_expit(600.0)]], rtol=1e-14, atol=1e-15)


# From probabilities


@pytest.mark.parametrize(("kind", "out_activation", "expected"), PROBA)
def test_codes_by_proba_are_those_of_the_predicted_labels(kind, out_activation, expected, labels, target_of):
    target = target_of(labels[kind], out_activation)
    z = logits_for(target.n_outputs)
    assert_array_equal(target.labels(target.codes_by_proba(target.proba(z))), target.predict(z))


@pytest.mark.parametrize(("kind", "out_activation", "expected"), PROBA[:6])
def test_the_decision_by_proba_is_the_log_odds_or_the_logarithms(kind, out_activation, expected, labels, target_of):
    target = target_of(labels[kind], out_activation)
    z = logits_for(target.n_outputs)
    decision = target.decision_by_proba(lambda sign: target.proba(sign * z))
    p = expected(z)
    wanted = {"binary": lambda: logit(p[:, 1]), "multiclass": lambda: np.log(p), "multilabel": lambda: logit(p)}[kind]()
    assert_allclose(decision, wanted, rtol=1e-10, atol=1e-12)


def test_the_decision_by_proba_keeps_apart_labels_that_are_almost_certain(labels, target_of):
    target = target_of(labels["multilabel"])
    z = np.array([[50.0, 60.0, 70.0]])  # 1 - p rounds to 0 for each
    decision = target.decision_by_proba(lambda sign: target.proba(sign * z))
    assert_allclose(decision, z, rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_log_losses_are_those_of_scikit_learn(kind, labels, target_of):
    target = target_of(labels[kind])
    codes = target.codes(labels[kind])
    proba = target.proba(logits_for(target.n_outputs))[: len(codes)]
    losses = target.log_losses(proba, codes)
    assert losses.shape == (len(codes),)
    if kind == "multilabel":
        expected = sum(log_loss(column, p, labels=[0, 1]) for column, p in zip(codes.T, proba.T, strict=True))
    else:
        expected = log_loss(labels[kind], proba, labels=target.classes)
    assert_allclose(losses.mean(), expected, rtol=1e-12)


# Counts


def test_class_counts_sum_the_weights(labels, target_of):
    y, target = labels["multiclass"], target_of(labels["multiclass"])
    codes = target.codes(y)
    (counts,) = target.class_counts(codes)
    assert_array_equal(counts, [(label == y).sum() for label in (3, 7, 11)])
    w = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    (counts,) = target.class_counts(codes, w)
    assert_array_equal(counts, [w[label == y].sum() for label in (3, 7, 11)])


def test_class_counts_of_several_labels_count_each_column(labels, target_of):
    counts = target_of(labels["multilabel"]).class_counts(labels["multilabel"], np.array([1.0, 2.0, 4.0, 8.0]))
    assert_array_equal(counts, [[10.0, 5.0], [3.0, 12.0], [6.0, 9.0]])


@pytest.mark.parametrize("out_activation", ["auto", "logistic"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_entropy_is_the_log_loss_of_predicting_the_class_frequencies(kind, out_activation, labels, target_of):
    target = target_of(labels[kind], out_activation)
    codes = target.codes(labels[kind])
    share = np.random.RandomState(0).dirichlet(np.ones(len(codes)))
    f = share @ codes if kind == "multilabel" else np.bincount(codes, share)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = f * np.log(f) + (1 - f) * np.log(1 - f) if kind == "multilabel" else f * np.log(f)
    assert target.entropy(codes, np.arange(len(codes)), share) == pytest.approx(
        -np.nan_to_num(terms).sum(), rel=1e-12, abs=1e-15
    )
