"""Groups: rows of one group are in one fold."""

import math

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_ensembles import (
    ROWS,
    SOLVER_KINDS,
    assert_no_group_straddles,
    assert_same_members,
    small,
    splits_of,
    standard_error,
)
from toy_datasets import TARGETS, even_folds, random_labels

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("grouped", [True, False])
def test_repeated_rows_leak_their_labels_unless_they_are_in_one_group(grouped):
    # Every row occurs four times. Without groups a member trains on some of the copies and predicts the others.
    X, y = random_labels(0, n_rows=60)
    X, y, groups = np.repeat(X, 4, axis=0), np.repeat(y, 4), np.repeat(np.arange(60), 4)
    params = {"hidden_layer_sizes": (100,), "dropout": 0.0, "label_smoothing": 0.0, "max_iter": 10}
    clf = small(**params).fit(X, y, groups=groups if grouped else None)
    if grouped:
        se = 2.0 * standard_error(clf.oof_proba_, y)  # the four rows of a group count as one
        assert clf.oof_log_loss_ > math.log(2) - 3.0 * se
    else:
        assert clf.oof_log_loss_ < 0.2


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cv", [4, GroupKFold(4)], ids=["int", "splitter"])
def test_groups_are_in_one_fold(cv, target, solver):
    X, y = even_folds(target)
    groups = np.random.RandomState(2).randint(25, size=100)
    clf = small(cv=cv, solver=solver, max_iter=1).fit(X, y, groups=groups)
    assert len(clf.members_) == 4
    assert_no_group_straddles(clf, groups)
    without = small(cv=4, max_iter=1).fit(X, y)
    assert any(not set(groups[train]).isdisjoint(groups[fold]) for train, fold in splits_of(without))


def test_groups_of_any_type_are_accepted():
    X, y = even_folds()
    groups = np.arange(100) % 20
    clf = small(max_iter=1).fit(X, y, groups=groups)
    assert_no_group_straddles(clf, groups)
    for other in (groups.tolist(), pd.Series(groups), np.array(list("abcdefghijklmnopqrst"))[groups]):
        again = small(max_iter=1).fit(X, y, groups=other)
        for one, two in zip(clf.oof_indices_, again.oof_indices_, strict=True):
            assert_array_equal(one, two)


# Each pair of rows is a group. Without groups some pair would be in two folds.
PAIRS = np.arange(100) // 2


@pytest.mark.parametrize("cv", [4, GroupKFold(4)], ids=["int", "splitter"])
def test_groups_reach_the_folds_by_metadata_routing(cv):
    X, y = even_folds()
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), small(cv=cv, max_iter=1)).fit(X, y, groups=PAIRS)
        assert_no_group_straddles(pipeline[-1], PAIRS)
        result = cross_validate(
            pipeline, X, y, cv=GroupKFold(3), params={"groups": PAIRS}, return_estimator=True, return_indices=True
        )
        for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
            assert_no_group_straddles(fitted[-1], PAIRS[train])
        search = GridSearchCV(small(cv=cv, max_iter=1), {"alpha": [0.1]}, cv=GroupKFold(3)).fit(X, y, groups=PAIRS)
        assert_no_group_straddles(search.best_estimator_, PAIRS)


@pytest.mark.parametrize("cv", [4, GroupKFold(4)], ids=["int", "splitter"])
def test_groups_reach_the_folds_without_metadata_routing(cv):
    X, y = even_folds()
    pipeline = make_pipeline(StandardScaler(), small(cv=cv, max_iter=1))
    pipeline.fit(X, y, backpropclassifiercv__groups=PAIRS)
    assert_no_group_straddles(pipeline[-1], PAIRS)
    result = cross_validate(
        small(cv=cv, max_iter=1), X, y, cv=3, params={"groups": PAIRS}, return_estimator=True, return_indices=True
    )
    for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        assert_no_group_straddles(fitted, PAIRS[train])


def test_metadata_routing_does_not_ask_for_groups_that_are_not_used():
    X, y = even_folds()
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100)
    with sklearn.config_context(enable_metadata_routing=True):
        for cv in (5, None, StratifiedKFold(5), [(np.arange(50), np.arange(50, 100))]):
            clf = small(cv=cv, max_iter=1)
            cross_validate(clf, X, y, cv=2 if cv is None or cv == 5 else [(ROWS, ROWS)], params={})
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        weighted = make_pipeline(scaler, small().set_fit_request(sample_weight=True)).fit(X, y, sample_weight=w)
    assert_same_members(weighted[-1], small().fit(StandardScaler().fit_transform(X), y, w), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n_groups", "there_are"), [(3, "3"), (1, "no")])
def test_few_groups_make_fewer_folds_with_a_warning(n_groups, there_are, target):
    X, y = even_folds(target)
    groups = np.arange(100) % n_groups
    clf = small()
    with pytest.warns(
        UserWarning, match=f"cv=5 asks for more folds than there are groups, {n_groups}: {there_are} folds are made"
    ):
        clf.fit(X, y, groups=groups)
    assert len(clf.members_) == n_groups
    if n_groups > 1:
        assert_no_group_straddles(clf, groups)


def test_groups_are_in_one_fold_by_default():
    X, y = even_folds("binary")
    groups = np.arange(len(X)) % 10
    for fold in small(cv=None, max_iter=1).fit(X, y, groups=groups).oof_indices_:
        assert set(groups[fold]).isdisjoint(np.delete(groups, fold))


@pytest.mark.parametrize(
    ("groups", "match"), [(np.zeros(99), "groups has 99 labels for 100 rows"), (np.zeros(101), "groups has 101 labels")]
)
@pytest.mark.parametrize("cv", [5, GroupKFold(2)], ids=["int", "splitter"])
def test_groups_of_the_wrong_length_are_refused(groups, match, cv):
    X, y = even_folds()
    with pytest.raises(ValueError, match=match):
        small(cv=cv).fit(X, y, groups=groups)
