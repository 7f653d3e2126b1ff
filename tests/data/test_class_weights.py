"""Weights of classes, compared with scikit-learn's compute_sample_weight."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_sample_weight

from skbp._data.class_weights import class_weights_of_rows


@pytest.fixture
def weights_of_rows(target_of):
    """A function from class weights, labels and sample weights to the weight of each row."""

    def weights_of_rows(class_weight, y, sample_weight=None):
        target = target_of(y)
        codes = target.codes(y)
        counts = target.class_counts(codes, sample_weight)
        return np.prod(class_weights_of_rows(class_weight, codes, target, counts), axis=0)

    return weights_of_rows


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one class"])
def test_balanced_weights_are_those_of_compute_sample_weight(kind, labels, weights_of_rows):
    y = labels[kind]
    assert_allclose(weights_of_rows("balanced", y), compute_sample_weight("balanced", y), rtol=1e-14)


@pytest.mark.parametrize(
    ("class_weight", "kind"),
    [
        ({"no": 2.0, "yes": 0.25}, "binary"),
        ({3: 0.0, 7: 5, 11: 1.5}, "multiclass"),
        ([{0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.0}, {0: 3.0, 1: 4.0}], "multilabel"),
    ],
)
def test_given_weights_are_those_of_compute_sample_weight(class_weight, kind, labels, weights_of_rows):
    y = labels[kind]
    assert_allclose(weights_of_rows(class_weight, y), compute_sample_weight(class_weight, y), rtol=1e-14)


def test_a_class_without_a_weight_has_weight_one(labels, weights_of_rows):
    y = labels["multiclass"]
    assert_array_equal(weights_of_rows({3: 5.0}, y), np.where(y == 3, 5.0, 1.0))
    y = labels["multilabel"]
    assert_array_equal(weights_of_rows([{1: 2.0}, {}, {}], y), np.where(y[:, 0], 2.0, 1.0))


def test_there_are_as_many_factors_as_target_columns(labels, target_of):
    for kind, n_columns in (("multiclass", 1), ("multilabel", 3)):
        target = target_of(labels[kind])
        codes = target.codes(labels[kind])
        factors = class_weights_of_rows("balanced", codes, target, target.class_counts(codes))
        assert [factor.shape for factor in factors] == [(len(codes),)] * n_columns


def test_balanced_weighted_counts_equal_those_of_repeated_rows(labels, weights_of_rows):
    w = np.array([1, 2, 3, 0, 2, 1])
    repeated = weights_of_rows("balanced", np.repeat(labels["multiclass"], w))
    assert_allclose(np.repeat(weights_of_rows("balanced", labels["multiclass"], w), w), repeated, rtol=1e-14)


def test_a_class_without_rows_has_no_part_in_balanced_weights(target_of):
    target = target_of(np.array([3, 7, 11]))
    codes = target.codes(np.array([3, 3, 3, 11]))
    (factor,) = class_weights_of_rows("balanced", codes, target, target.class_counts(codes))
    assert_allclose(factor, compute_sample_weight("balanced", [3, 3, 3, 11]), rtol=1e-14)


@pytest.mark.parametrize(
    ("class_weight", "kind", "message"),
    [
        ({"no": 1.0, "maybe": 2.0}, "binary", r"'maybe'.*does not have.*'yes'"),
        ({"no": -1.0}, "binary", r"-1\.0.*not negative"),
        ({"no": np.inf}, "binary", r"inf.*finite"),
        ({"no": np.nan}, "binary", r"nan.*finite"),
        ([{0: 1.0}], "binary", r"must be 'balanced' or a dict"),
        ({0: 1.0}, "multilabel", r"must be 'balanced' or a list of 3 dicts"),
        ([{0: 1.0}], "multilabel", r"must be 'balanced' or a list of 3 dicts"),
        ([1.0, 2.0, 3.0], "multilabel", r"must be 'balanced' or a list of 3 dicts"),
    ],
)
def test_unusable_class_weights_are_refused(class_weight, kind, message, labels, weights_of_rows):
    with pytest.raises(ValueError, match=message):
        weights_of_rows(class_weight, labels[kind])


@pytest.mark.parametrize("wrong", [np.float32("inf"), np.float16("inf"), np.float64("nan"), -1.0, "1"])
def test_weights_of_classes_are_finite_numbers_of_any_type(wrong, labels, weights_of_rows):
    with pytest.raises(ValueError, match="must be finite and not negative numbers"):
        weights_of_rows({"no": wrong}, labels["binary"])
    assert set(weights_of_rows({"no": np.float32(2.5)}, labels["binary"])) == {1.0, 2.5}
