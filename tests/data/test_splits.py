"""Splits: rows held out as scikit-learn does, and folds that are stratified, checked and limited by the rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, train_test_split

from skbp._data.rows import Rows
from skbp._data.splits import DEFAULT_FOLDS, fold_splits, hold_out


def in_proportion(counts, seed=0):
    """Class numbers in random order. Each occurs as often as asked for."""
    return np.random.RandomState(seed).permutation(np.repeat(np.arange(len(counts)), counts))


# Rows that are held out


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("counts", [[10, 30, 60], [7, 9, 11, 40], [2, 50, 50]])
def test_the_split_of_three_classes_and_more_is_scikit_learns_stratified_one(counts, seed, target_of):
    y = in_proportion(counts)
    target = target_of(y)
    ours = hold_out(target.strata(target.codes(y)), len(y), 0.25, np.random.RandomState(seed))
    theirs = train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=np.random.RandomState(seed))
    for rows, expected in zip(ours, theirs, strict=True):
        assert_array_equal(rows, expected)


# A single row of a class; fewer rows held out than there are classes; fewer left to train on; several labels.
NOT_TO_BE_STRATIFIED = {
    "a single row": (in_proportion([1, 20, 20]), 0.25),
    "few held out": (in_proportion([5, 5, 5, 5]), 0.1),
    "few trained on": (in_proportion([3, 3, 3]), 0.8),
    "two rows": (np.array([0, 1]), 0.5),
    "multilabel": (np.random.RandomState(0).randint(0, 2, (40, 3)), 0.2),
}


@pytest.mark.parametrize("case", NOT_TO_BE_STRATIFIED)
def test_the_split_is_a_plain_one_if_it_cannot_be_stratified(case, target_of):
    y, fraction = NOT_TO_BE_STRATIFIED[case]
    target = target_of(y)
    ours = hold_out(target.strata(target.codes(y)), len(y), fraction, np.random.RandomState(3))
    theirs = train_test_split(np.arange(len(y)), test_size=fraction, random_state=np.random.RandomState(3))
    for rows, expected in zip(ours, theirs, strict=True):
        assert_array_equal(rows, expected)


@pytest.mark.parametrize(("fraction", "n_rows", "n_held_out"), [(0.0, 20, 0), (0.9, 3, 3), (0.5, 1, 1)])
def test_a_split_without_rows_on_both_sides_is_an_error_that_names_the_fraction(fraction, n_rows, n_held_out):
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} would hold out {n_held_out} of") as error:
        hold_out(None, n_rows, fraction, np.random.RandomState(0))
    assert f"n_samples={n_rows} rows" in str(error.value)


# Folds


def rows_with(codes, weight=None):
    """Rows with these codes. The number of a row is its only feature."""
    n = len(codes)
    return Rows(np.arange(float(n))[:, None], codes, codes, codes, weight)


def splits_of(cv, codes, groups=None, weight=None, seed=0):
    return fold_splits(cv, rows_with(codes, weight), groups, np.random.RandomState(seed))


def assert_partition(splits, n_rows):
    """Assert that every row is in one fold and trained on in all other splits."""
    assert_array_equal(np.sort(np.concatenate([fold for _, fold in splits])), np.arange(n_rows))
    for train, fold in splits:
        assert_array_equal(np.sort(np.concatenate([train, fold])), np.arange(n_rows))


LABELS = np.random.RandomState(0).randint(0, 2, (30, 3))


@pytest.mark.parametrize("codes", [in_proportion([12, 18]), in_proportion([2, 10, 18]), LABELS])
@pytest.mark.parametrize("cv", [2, 3, np.int64(4), None])
def test_a_number_of_folds_partitions_the_rows(cv, codes):
    splits = splits_of(cv, codes)
    assert len(splits) == (DEFAULT_FOLDS if cv is None else cv)
    assert_partition(splits, 30)


@pytest.mark.parametrize("counts", [[12, 18], [10, 9, 11]])
def test_folds_are_those_of_scikit_learns_stratified_splitter(counts):
    codes = in_proportion(counts)
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    expected = StratifiedKFold(3, shuffle=True, random_state=seed).split(codes, codes)
    for ours, theirs in zip(splits_of(3, codes, seed=3), expected, strict=True):
        for part, wanted in zip(ours, theirs, strict=True):
            assert_array_equal(part, wanted)


def test_folds_of_several_labels_are_those_of_a_plain_splitter():
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    expected = KFold(3, shuffle=True, random_state=seed).split(LABELS)
    for ours, theirs in zip(splits_of(3, LABELS, seed=3), expected, strict=True):
        for part, wanted in zip(ours, theirs, strict=True):
            assert_array_equal(part, wanted)


def test_a_class_with_fewer_rows_than_folds_is_dealt_out_evenly():
    codes = in_proportion([3, 41, 18])
    splits = splits_of(5, codes)
    assert_partition(splits, 62)
    sizes = [len(fold) for _, fold in splits]
    assert max(sizes) - min(sizes) <= 1
    for label in range(3):
        counts = [np.sum(codes[fold] == label) for _, fold in splits]
        assert max(counts) - min(counts) <= 1
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(splits, splits_of(5, codes, seed=1), strict=True))


@pytest.mark.parametrize("codes", [in_proportion([2, 18, 20]), np.random.RandomState(0).randint(0, 2, (40, 3))])
def test_a_group_is_in_one_fold(codes):
    groups = np.random.RandomState(1).randint(0, 12, 40)
    splits = splits_of(4, codes, groups)
    assert_partition(splits, 40)
    for train, fold in splits:
        assert not set(groups[train]) & set(groups[fold])


@pytest.mark.parametrize(
    ("codes", "groups", "limit"),
    [
        (in_proportion([2, 4]), None, "any class has rows, 4"),
        (LABELS[:4], None, "there are rows, 4"),
        (in_proportion([10, 10]), np.arange(20) % 4, "there are groups, 4"),
    ],
)
def test_there_are_no_more_folds_than_the_rows_allow(codes, groups, limit):
    with pytest.warns(UserWarning, match=f"cv=7 asks for more folds than {limit}: 4 folds are made"):
        splits = splits_of(7, codes, groups)
    assert len(splits) == 4
    assert_partition(splits, len(codes))


def test_a_single_fold_is_no_fold():
    with pytest.warns(UserWarning, match="no folds are made. One member trains, uncalibrated"):
        ((train, fold),) = splits_of(5, np.arange(6))
    assert_array_equal(train, np.arange(6))
    assert fold is None
    ((train, fold),) = splits_of(1, np.zeros(6, dtype=int), weight=np.array([1.0, 0.0, 2.0, 0.0, 1.0, 1.0]))
    assert_array_equal(train, [0, 2, 4, 5])
    assert fold is None


def test_rows_without_weight_are_judged_but_not_trained_on():
    weight = np.ones(30)
    weight[::4] = 0.0
    codes = in_proportion([12, 18])
    for (train, fold), (expected, same_fold) in zip(
        splits_of(3, codes, weight=weight), splits_of(3, codes), strict=True
    ):
        assert_array_equal(train, expected[weight[expected] > 0.0])
        assert_array_equal(fold, same_fold)


# Splitters and iterables


def test_a_splitter_gets_the_rows_the_codes_and_the_groups():
    codes, groups = in_proportion([12, 18]), np.arange(30) % 5
    for ours, theirs in zip(
        splits_of(GroupKFold(3), codes, groups), GroupKFold(3).split(codes, codes, groups), strict=True
    ):
        for part, wanted in zip(ours, theirs, strict=True):
            assert_array_equal(part, wanted)


def test_masks_negative_numbers_and_lists_stand_for_row_numbers():
    rows = np.arange(6)
    expected = [(rows[:4], rows[4:]), (rows[3:], rows[:3])]
    for splits in (
        expected,
        [(np.isin(rows, train), np.isin(rows, fold)) for train, fold in expected],
        [[(train - 6).tolist(), fold.astype(np.uint8)] for train, fold in expected],
        iter(expected),
    ):
        for ours, theirs in zip(splits_of(splits, np.zeros(6, dtype=int)), expected, strict=True):
            for part, wanted in zip(ours, theirs, strict=True):
                assert_array_equal(part, wanted)


def test_a_split_without_a_fold_is_left_out():
    rows = np.arange(6)
    ((train, fold),) = splits_of([(rows, []), (rows[:4], rows[4:])], np.zeros(6, dtype=int))
    assert_array_equal(train, rows[:4])
    assert_array_equal(fold, rows[4:])


ROWS = np.arange(6)
WRONG_SPLITS = {
    "nothing": ([], r"cv=\[\] makes no split.*give a list of its pairs, or a splitter"),
    "no pair": ([ROWS], r"cv makes a split that is array\(.*each must be a pair"),
    "three parts": ([(ROWS[:2], ROWS[2:4], ROWS[4:])], "each must be a pair"),
    "ragged": ([(ROWS[:3], [[1], [2, 3]])], "cv makes a split with a part that is no array"),
    "floats": ([(ROWS[:3], ROWS[3:] + 0.0)], r"shape \(3,\) and type float64 .* numbers from 0 to 5 nor a mask of 6"),
    "2-d": ([(ROWS[:3], ROWS[3:, None])], r"shape \(3, 1\)"),
    "too large": ([(ROWS[:3], [5, 6])], "numbers from 0 to 5"),
    "too small": ([(ROWS[:3], [-7])], "numbers from 0 to 5"),
    "a short mask": ([(ROWS[:5] > 1, ROWS > 4)], "mask of 6 booleans"),
    "none to train on": ([(ROWS[:0], ROWS)], "no rows to train on"),
    "no weight to train on": ([(ROWS[:1], ROWS[1:])], "no rows to train on, or none of positive weight"),
    "overlapping": ([(ROWS[:5], ROWS[3:])], "2 rows both to train and to validate on, such as row 3"),
    "no fold": ([(ROWS, [])], "no split with rows to validate on"),
}


@pytest.mark.parametrize("case", WRONG_SPLITS)
def test_wrong_splits_are_refused(case):
    splits, message = WRONG_SPLITS[case]
    weight = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=message):
        splits_of(splits, np.zeros(6, dtype=int), weight=weight)


WRONG_GROUPS = {
    "too few": (np.arange(5), "groups has 5 labels for 6 rows"),
    "2-d": (np.zeros((6, 2)), "groups must have a label for each row"),
    "of mixed type": (np.array(["a", 1] * 3, dtype=object), "groups must have a label for each row"),
    "missing": (np.array([0.0, 1.0, np.nan] * 2), "groups has missing values: give each row a group"),
}


@pytest.mark.parametrize("case", WRONG_GROUPS)
def test_wrong_groups_are_refused(case):
    groups, message = WRONG_GROUPS[case]
    with pytest.raises(ValueError, match=message):
        splits_of(2, np.zeros(6, dtype=int), groups)
