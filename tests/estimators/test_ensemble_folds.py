"""The folds of an ensemble: how they are made, and what cv may be."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.utils._param_validation import InvalidParameterError
from small_ensembles import ROWS, SOLVER_KINDS, alone, assert_same_members, assert_same_network, small
from toy_datasets import TARGETS, even_folds

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_folds_are_stratified_and_shuffled():
    X, y = even_folds(n_rows=200)
    y = np.sort(y)  # without shuffling the folds would be consecutive rows of each class
    clf = small(max_iter=1).fit(X, y)
    for fold in clf.oof_indices_:
        assert_array_equal(np.bincount(y[fold]), np.bincount(y) // 5)
    unshuffled = [fold for _, fold in StratifiedKFold(5).split(X, y)]
    assert not any(np.array_equal(a, b) for a, b in zip(clf.oof_indices_, unshuffled, strict=True))
    other = small(max_iter=1, random_state=1).fit(X, y)
    assert not any(np.array_equal(a, b) for a, b in zip(clf.oof_indices_, other.oof_indices_, strict=True))


def test_a_class_with_fewer_rows_than_folds_gives_no_warning():
    X, _ = even_folds()
    y = np.repeat([0, 1, 2], [60, 37, 3])
    clf = small().fit(X, y)
    assert sorted(int((y[fold] == 2).sum()) for fold in clf.oof_indices_) == [0, 0, 1, 1, 1]
    assert np.isfinite(clf.oof_proba_).all()
    one_row = np.repeat([0, 1, 2], [60, 39, 1])
    clf = small().fit(X, one_row)
    (member,) = [m for m, fold in zip(clf.members_, clf.oof_indices_, strict=True) if 99 in fold]
    # The only row of its class is in one fold. The member of this fold never saw the class.
    assert member.predict_proba(X[99:])[0, 2] < 0.3
    assert_allclose(clf.oof_log_loss_, log_loss(one_row, clf.oof_proba_), rtol=1e-9)


@pytest.mark.parametrize(
    ("target", "n", "cv", "n_folds", "match"),
    [
        ("binary", 6, 5, 3, "cv=5 asks for more folds than any class has rows, 3: 3 folds are made"),
        ("binary", 4, 5, 2, "cv=5 asks for more folds than any class has rows, 2: 2 folds are made"),
        ("binary", 2, 5, 1, "cv=5 asks for more folds than any class has rows, 1: no folds are made"),
        ("binary", 1, 2, 1, "cv=2 asks for more folds than any class has rows, 1: no folds are made"),
        ("multilabel", 3, 5, 3, "cv=5 asks for more folds than there are rows, 3: 3 folds are made"),
        ("multilabel", 1, 5, 1, "cv=5 asks for more folds than there are rows, 1: no folds are made"),
    ],
)
def test_tiny_data_have_fewer_folds_with_a_warning(target, n, cv, n_folds, match):
    X, _ = even_folds(n_rows=n)
    y = np.arange(n) % 2
    if target == "multilabel":
        y = np.column_stack([y, 1 - y, y])
    with pytest.warns(UserWarning, match=match) as caught:
        clf = small(cv=cv, batch_size="auto").fit(X, y)
    assert [w.filename for w in caught if w.category is UserWarning] == [__file__]
    assert len(clf.members_) == n_folds
    assert (clf.oof_indices_ is None) == (n_folds == 1)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_as_many_folds_as_rows_of_the_largest_class_give_no_warning():
    X, _ = even_folds(n_rows=9)
    assert len(small(cv=5, batch_size="auto").fit(X, np.repeat([0, 1], [5, 4])).members_) == 5


@pytest.mark.parametrize("target", TARGETS)
def test_cv_none_means_four_folds(target):
    X, y = even_folds(target)
    none, four = (small(cv=cv, max_iter=1).fit(X, y) for cv in (None, 4))
    for fold, expected in zip(none.oof_indices_, four.oof_indices_, strict=True):
        assert_array_equal(fold, expected)


def test_rows_of_weight_zero_have_no_effect_without_folds():
    X, y = even_folds("binary")
    weight = np.zeros(len(X))
    weight[:7] = 1.0
    with pytest.warns(UserWarning, match="no folds are made"):
        clf = small(batch_size=3).fit(X, y, sample_weight=weight, groups=np.zeros(len(X)))
    with pytest.warns(UserWarning, match="no folds are made"):
        without = small(batch_size=3).fit(X[:7], y[:7], groups=np.zeros(7))
    assert_allclose(clf.predict_proba(X), without.predict_proba(X), rtol=1e-6)


SPLITTERS = [
    KFold(3),
    StratifiedKFold(4, shuffle=True, random_state=3),
    ShuffleSplit(3, test_size=0.3, random_state=0),
    PredefinedSplit(np.repeat([-1, 0, 1, -1], 25)),
]


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda splitter: type(splitter).__name__)
def test_there_is_a_member_for_each_split_of_a_splitter_or_an_iterable(splitter, solver):
    X, y = even_folds()
    splits = list(splitter.split(X, y))
    clf = small(cv=splitter, solver=solver).fit(X, y)
    for member, (train, fold), published in zip(clf.members_, splits, clf.oof_indices_, strict=True):
        assert_array_equal(published, fold)
        if (
            isinstance(splitter, (ShuffleSplit, PredefinedSplit)) or solver == "lbfgs"
        ):  # all training sets have equally many rows
            assert_same_network(member, alone(member, X, y, train, fold))
    masks = [tuple(np.isin(np.arange(100), part) for part in (sorted(train), sorted(fold))) for train, fold in splits]
    lists = [(train.tolist(), (fold - 100).tolist()) for train, fold in splits]
    for given in (splits, lists, iter(splits), (split for split in splits)):
        assert_same_members(clf, small(cv=given, solver=solver).fit(X, y), rtol=0.0, atol=0.0)
    if not isinstance(splitter, ShuffleSplit):  # a mask has no order
        assert_same_members(clf, small(cv=masks, solver=solver).fit(X, y), rtol=0.0, atol=0.0)


BAD_CV = [
    (0, InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    (1, InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    (2.5, InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    ("five", InvalidParameterError, "The 'cv' parameter of BackpropClassifierCV must be"),
    ([], ValueError, r"cv=\[\] makes no split"),
    ([(ROWS, ROWS[:0])], ValueError, "cv makes no split with rows to validate on"),
    ([(ROWS[:0], ROWS)], ValueError, "cv makes a split with no rows to train on"),
    ([(ROWS[:60], ROWS[50:])], ValueError, "10 rows both to train and to validate on, such as row 50"),
    (
        [(ROWS[:50], ROWS[50:] - 100), (ROWS[:51], ROWS[50:] - 100)],
        ValueError,
        "1 rows both to train and to validate on",
    ),
    (
        [(ROWS[:50], ROWS[50:] + 1)],
        ValueError,
        r"shape \(50,\) and type int64 that is neither row numbers from 0 to 99",
    ),
    ([(ROWS[:50] - 101, ROWS[50:])], ValueError, r"neither row numbers from 0 to 99 nor a mask of 100 booleans"),
    ([(ROWS[:50] / 2, ROWS[50:])], ValueError, r"shape \(50,\) and type float64"),
    ([(ROWS[:50, None], ROWS[50:])], ValueError, r"shape \(50, 1\)"),
    ([(ROWS[:50] < 20, ROWS[50:])], ValueError, r"shape \(50,\) and type bool"),
    (GroupKFold(3), ValueError, "The 'groups' parameter should not be None"),
    (KFold(101), ValueError, "Cannot have number of splits n_splits=101"),
]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("cv", "error", "match"), BAD_CV)
def test_an_invalid_cv_is_refused_and_changes_nothing(cv, error, match, trained):
    X, y = even_folds()
    clf = small()
    if trained:
        clf.fit(X, y)
    before = pickle.dumps({name: value for name, value in vars(clf).items() if name.endswith("_")})
    clf.set_params(cv=cv)
    with pytest.raises(error, match=match):
        clf.fit(X[:, :3] if trained else X, y)
    assert pickle.dumps({name: value for name, value in vars(clf).items() if name.endswith("_")}) == before
    assert clf.cv is cv
    clf.set_params(cv=5)
    if trained:
        assert clf.predict(X).shape == (100,)
    assert_same_members(clf.fit(X, y), small().fit(X, y), rtol=0.0, atol=0.0)


def test_a_split_with_training_rows_of_weight_zero_only_is_refused():
    X, y = even_folds()
    w = np.where(ROWS < 50, 0.0, 1.0)
    folds = [(ROWS[:50], ROWS[50:]), (ROWS[50:], ROWS[:50])]
    with pytest.raises(ValueError, match="no rows to train on, or none of positive weight"):
        small(cv=folds).fit(X, y, w)
    assert len(small(cv=folds[1:]).fit(X, y, w).members_) == 1


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_rows_of_weight_zero_can_be_left_out(solver):
    # They can be left out of the training sets and of the folds.
    X, y = even_folds()
    w = np.where(ROWS % 4 == 0, 0.0, 1.0)
    folds = [(ROWS[:50], ROWS[50:]), (ROWS[50:], ROWS[:50])]
    without = [(train[w[train] > 0.0], fold[w[fold] > 0.0]) for train, fold in folds]
    weighted, shorter = small(cv=folds, solver=solver).fit(X, y, w), small(cv=without, solver=solver).fit(X, y)
    assert_same_members(weighted, shorter)
    assert_allclose(weighted.temperature_, shorter.temperature_, rtol=1e-4)
    assert_allclose(weighted.oof_log_loss_, shorter.oof_log_loss_, rtol=1e-6)
    assert_allclose(weighted.oof_score_, shorter.oof_score_, rtol=1e-12)
