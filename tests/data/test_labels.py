"""Labels: which kinds there are, which are refused, and whether they fit those that are known."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import type_of_target

from skbp._data.labels import as_vector, check_known_labels, check_labels, is_multilabel, is_one_hot, target_type
from skbp._data.targets import fit_binarizer

KINDS = ["binary", "multiclass", "multilabel", "one class"]


# Labels as they are given


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_numbers_and_text_are_accepted(kind, labels):
    for y in (labels[kind], labels[kind].tolist(), labels[kind].astype(str), labels[kind].astype(str).astype(object)):
        check_labels(y)
    check_labels(sp.csr_array(labels["multilabel"]))


MISSING = [None, np.nan, float("nan"), np.float32("nan"), np.datetime64("NaT", "s")]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
@pytest.mark.parametrize("row", [0, 2])
def test_a_missing_label_is_refused_with_its_row(row, missing):
    y = np.array(["a", "b", "c", "a"], dtype=object)
    y[row] = missing
    if isinstance(missing, np.datetime64):
        y[row] = type("NaTType", (), {})()  # the type that pandas gives to a missing date
    with pytest.raises(ValueError, match=rf"^y_val has missing values, the first in row {row}: leave out the rows"):
        check_labels(y, "y_val")


def test_the_row_of_a_missing_label_in_several_columns_is_counted_by_rows():
    y = np.array([["a", "b"], ["a", "c"], ["b", None]], dtype=object)
    with pytest.raises(ValueError, match="the first in row 2"):
        check_labels(y)


@pytest.mark.parametrize(
    ("values", "types", "to"),
    [
        ([True, False, np.True_], "bool, bool|bool", "bool"),
        ([1, 2, np.int8(3)], "int, int8", "int"),
        ([1, 2.0, np.float32(3)], "float, float32, int", "float"),
        (["a", 1, 2.0], "float, int, str", "str"),
        ([1, True], "bool, int", "int"),
    ],
)
def test_objects_that_are_not_all_text_are_refused_with_a_type_to_cast_to(values, types, to):
    with pytest.raises(ValueError, match=rf"labels of type ({types})\. Pass y\.astype\({to}\)\.$"):
        check_labels(np.array(values, dtype=object))


@pytest.mark.parametrize("container", [list, tuple, set, np.array])
def test_rows_of_several_labels_are_refused_with_the_encoder(container):
    y = np.empty(2, dtype=object)
    y[:] = [container([1, 2]), container([1])]
    with pytest.raises(ValueError, match=r"^y has several labels a row: .*MultiLabelBinarizer"):
        check_labels(y)


def test_ragged_labels_are_refused():
    with pytest.raises(ValueError, match=r"^y is no array of labels: "):
        check_labels([[1, 2], [1]])


@pytest.mark.parametrize("y", [np.array([], dtype=object), np.array("a", dtype=object)])
def test_no_labels_are_left_to_scikit_learn(y):
    check_labels(y)


def test_a_column_becomes_a_vector_with_scikit_learns_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert_array_equal(as_vector(np.array([[1], [0]])), [1, 0])
    for y in (np.array([1, 0]), np.array([[1, 0], [0, 1]])):
        assert as_vector(y) is y


# Kinds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist])
def test_the_kind_of_labels_is_that_of_scikit_learn(container, kind, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a single class in some versions
        expected = type_of_target(labels[kind])
    assert target_type(container(labels[kind])) == expected


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix])
def test_sparse_indicators_are_multilabel(container, labels):
    assert target_type(container(labels["multilabel"])) == "multilabel-indicator"


@pytest.mark.parametrize("kind", KINDS)
def test_a_binarizer_knows_whether_there_are_several_labels(kind, labels):
    assert is_multilabel(fit_binarizer(labels[kind])) == (kind == "multilabel")


@pytest.mark.parametrize("y", [np.array([0.5, 1.2, 3.3]), np.array([[0.5, 1.0], [2.0, 3.1]])])
def test_continuous_targets_are_refused(y):
    for check in (target_type, fit_binarizer):
        with pytest.raises(ValueError, match=r"Unknown label type: continuous.*classifier"):
            check(y)


def test_several_multiclass_targets_are_refused_with_a_remedy():
    y = np.array([[1, 2], [3, 1], [2, 2]])
    for check in (target_type, fit_binarizer):
        with pytest.raises(ValueError, match=r"(?s)[Mm]ultioutput.*multilabel.*MultiOutputClassifier"):
            check(y)


def test_a_single_label_without_an_array_is_refused():
    with pytest.raises(ValueError, match=r"^y_val must be an array of labels; got 'abc'\.$"):
        target_type("abc", "y_val")


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_several_columns_must_have_0_and_1_only(container):
    with pytest.raises(ValueError, match=r"^y has several columns with the values .*2\], but") as error:
        target_type(container(np.array([[0, 2], [2, 0], [2, 2]])))
    assert "Pass 1 where a label holds and 0 elsewhere, for example (y == 2).astype(int)" in str(error.value)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 0], [0, 1], [1, 0]], True),
        ([[1, 0], [0, 1], [1, 1]], False),
        ([[1, 0], [0, 1], [0, 0]], False),
        ([[1, 0], [0, 1]], False),  # no more rows than columns
    ],
)
def test_rows_with_a_single_1_look_one_hot(rows, expected, container):
    assert is_one_hot(container(np.array(rows))) is expected


# Labels known from before


def test_known_labels_may_be_fewer_unless_all_are_asked_for(labels):
    binarizer = fit_binarizer(labels["multiclass"])
    check_known_labels(labels["multiclass"], binarizer, all_of_them=True)
    check_known_labels(np.array([3, 7, 3]), binarizer, all_of_them=False)
    with pytest.raises(ValueError, match=r"warm_start can only be used where `y` has the same classes"):
        check_known_labels(np.array([3, 7, 3]), binarizer, all_of_them=True)


@pytest.mark.parametrize("all_of_them", [False, True])
def test_unknown_labels_are_named(all_of_them, labels):
    binarizer = fit_binarizer(labels["multiclass"])
    with pytest.raises(ValueError, match=r"(?s)3.*7.*11.*12|12.*3.*7.*11"):
        check_known_labels(np.array([3, 12, 11, 7]), binarizer, all_of_them)


def test_labels_that_do_not_fit_are_called_by_their_name(labels):
    binarizer = fit_binarizer(labels["multiclass"])
    with pytest.raises(ValueError, match=r"^`y_val` has classes not in `self.classes_`: \[12\]"):
        check_known_labels(np.array([3, 12]), binarizer, False, "y_val")
    with pytest.raises(ValueError, match=r"^y_val is multilabel, but .* a target that is one class a row"):
        check_known_labels(labels["multilabel"], binarizer, False, "y_val")
    with pytest.raises(ValueError, match=r"^y is one class a row, but .* a target that is multilabel"):
        check_known_labels(labels["multiclass"], fit_binarizer(labels["multilabel"]), False)


def test_one_hot_labels_in_place_of_classes_get_a_remedy(labels):
    binarizer = fit_binarizer(labels["multiclass"])
    with pytest.raises(ValueError, match=r"It looks one-hot: pass y_val\.argmax\(axis=1\)\.$"):
        check_known_labels(np.eye(3, dtype=int)[[0, 1, 2, 0]], binarizer, False, "y_val")


def test_another_number_of_labels_is_refused(labels):
    binarizer = fit_binarizer(labels["multilabel"])
    with pytest.raises(ValueError, match=r"^y_val has 2 columns, but the classifier has been trained on 3 labels"):
        check_known_labels(labels["multilabel"][:, :2], binarizer, False, "y_val")


@pytest.mark.parametrize(("known", "given"), [("binary", "multiclass"), ("multiclass", "binary")])
def test_text_and_numbers_do_not_mix(known, given, labels):
    with pytest.raises(ValueError, match=r"^y has labels of type .*, but those known, .*, are of type "):
        check_known_labels(labels[given], fit_binarizer(labels[known]), False)


@pytest.mark.parametrize("classes", [{}, {1: 2}, object()])
def test_classes_that_are_no_list_are_refused_by_name(classes):
    with pytest.raises(ValueError, match="classes must be a list or an array of labels"):
        check_labels(classes, "classes")
