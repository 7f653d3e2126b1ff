"""What an ensemble publishes of the rows that its members did not see."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    ShuffleSplit,
)
from small_ensembles import (
    SOLVER_KINDS,
    assert_same_network,
    complement,
    linked,
    logits_of,
    mean_loss,
    small,
    standard_error,
)
from toy_datasets import OUTPUTS, TARGETS, even_folds, random_labels

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_folds_partition_the_rows(target, solver):
    X, y = even_folds(target)
    for cv in (2, 5, 7):
        clf = small(cv=cv, solver=solver, max_iter=1).fit(X, y)
        assert len(clf.members_) == len(clf.oof_indices_) == cv
        assert_array_equal(np.sort(np.concatenate(clf.oof_indices_)), np.arange(100))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_out_of_fold_probabilities_come_from_the_member_that_did_not_see_the_row(
    target, out_activation, solver, container
):
    X, y = even_folds(target)
    X = container(X)
    clf = small(solver=solver, out_activation=out_activation).fit(X, y)
    for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
        z = logits_of(member, X[fold])
        assert_allclose(clf.oof_proba_[fold], linked(z, clf.temperature_, clf), rtol=1e-9)
        plain = linked(z, 1.0, clf)
        decision = clf.oof_decision_function_[fold]
        if target == "multilabel":
            assert_allclose(decision, z, rtol=1e-8, atol=1e-10)
        elif target == "binary":
            assert_allclose(decision, logit(plain[:, 1]), rtol=1e-8, atol=1e-10)
        else:
            assert_allclose(decision, np.log(plain), rtol=1e-8, atol=1e-10)
    # The other members predict something else.
    others = linked(logits_of(clf.members_[0], X), clf.temperature_, clf)
    rest = complement(clf.oof_indices_[0])
    assert np.abs(others[rest] - clf.oof_proba_[rest]).max() > 0.01


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("target", "out_activation"), OUTPUTS)
def test_out_of_fold_log_loss_and_score_equal_scikit_learns(target, out_activation, weighted):
    X, y = even_folds(target)
    w = np.random.RandomState(1).uniform(0.0, 3.0, 100) if weighted else None
    # Class weights have an effect on training but not on the figures.
    class_weight = None if target == "multilabel" else {0: 3.0}
    clf = small(out_activation=out_activation, class_weight=class_weight).fit(X, y, w)
    assert_allclose(clf.oof_log_loss_, mean_loss(clf.oof_proba_, y, w), rtol=1e-9)
    predicted = (clf.oof_proba_ > 0.5).astype(int) if target == "multilabel" else clf.oof_proba_.argmax(axis=1)
    assert_allclose(clf.oof_score_, accuracy_score(y, predicted, sample_weight=w), rtol=1e-12)
    assert 0.2 < clf.oof_score_ < 1.0


def test_out_of_fold_log_loss_and_score_of_named_classes_equal_scikit_learns():
    X, y = even_folds()
    names = np.array(["red", "green", "blue"])[y]
    clf = small().fit(X, names)
    assert_array_equal(clf.classes_, ["blue", "green", "red"])
    assert_allclose(clf.oof_log_loss_, log_loss(names, clf.oof_proba_, labels=clf.classes_), rtol=1e-9)
    assert clf.oof_score_ == accuracy_score(names, clf.classes_[clf.oof_proba_.argmax(axis=1)])


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_the_weights_of_a_member_do_not_depend_on_its_fold(solver):
    # With one epoch or iteration the fold has nothing to choose from.
    X, y = even_folds()
    folds = [(np.arange(50), np.arange(50, 100)), (np.arange(50, 100), np.arange(50))]
    clf = small(cv=folds, max_iter=1, solver=solver).fit(X, y)
    rng = np.random.RandomState(1)
    other_X, other_y = X.copy(), y.copy()
    other_X[50:], other_y[50:] = 100.0 * rng.normal(size=(50, 5)), rng.permutation(y[50:])
    other = small(cv=folds, max_iter=1, solver=solver).fit(other_X, other_y)
    assert_same_network(clf.members_[0], other.members_[0], rtol=0.0, atol=0.0)
    assert np.abs(clf.members_[1].coefs_[0] - other.members_[1].coefs_[0]).max() > 1e-3


LEARNERS = {
    # One evaluation of the folds, after the labels are memorised. Only the temperature could hide a leak.
    "adam, one look": {"batch_size": 160, "max_iter": 8, "learning_rate_init": 0.03},
    # Many evaluations, from which every member chooses its epoch.
    "adam, many looks": {"batch_size": 16, "max_iter": 15, "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs", "max_iter": 15},
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_random_labels_are_not_predicted_out_of_fold(learner):
    # Nobody can predict random labels of unseen rows: the log loss is not below that of the prior, log 2. A member that
    # saw the rows has memorised their labels.
    excess = []
    for seed in range(6):
        X, y = random_labels(seed)
        params = {"hidden_layer_sizes": (100,), "dropout": 0.0, "label_smoothing": 0.0, **LEARNERS[learner]}
        clf = small(random_state=seed, **params).fit(X, y)
        se = standard_error(clf.oof_proba_, y)
        assert clf.oof_log_loss_ > math.log(2) - 3.0 * se
        assert clf.oof_score_ < 0.65
        excess.append((clf.oof_log_loss_ - math.log(2)) / se)
        assert max(member.loss_curve_[-1] for member in clf.members_) < 0.1
        if learner == "adam, one look":
            # The same weights are right for the training rows.
            for member, fold in zip(clf.members_, clf.oof_indices_, strict=True):
                train = complement(fold, 200)
                assert log_loss(y[train], member.predict_proba(X[train])) < 0.1
    assert np.mean(excess) > -3.0 / math.sqrt(6)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_rows_in_several_folds_are_averaged_and_rows_in_no_fold_are_nan(weighted):
    X, y = even_folds()
    w = np.random.RandomState(1).uniform(0.2, 3.0, 100) if weighted else None
    clf = small(cv=ShuffleSplit(4, test_size=0.3, random_state=0)).fit(X, y, w)
    saw_it_not = [[m for m, fold in zip(clf.members_, clf.oof_indices_, strict=True) if i in fold] for i in range(100)]
    assert {0, 1, 2} <= set(map(len, saw_it_not))
    for temperature, published in ((clf.temperature_, clf.oof_proba_), (1.0, np.exp(clf.oof_decision_function_))):
        for i, members in enumerate(saw_it_not):
            if members:
                probas = [linked(logits_of(m, X[i : i + 1]), temperature, clf)[0] for m in members]
                assert_allclose(published[i], np.mean(probas, axis=0), rtol=1e-9)
            else:
                assert np.isnan(published[i]).all()
    seen = np.array([bool(members) for members in saw_it_not])
    weight = None if w is None else w[seen]
    assert_allclose(clf.oof_log_loss_, log_loss(y[seen], clf.oof_proba_[seen], sample_weight=weight), rtol=1e-9)
    accuracy = accuracy_score(y[seen], clf.oof_proba_[seen].argmax(axis=1), sample_weight=weight)
    assert_allclose(clf.oof_score_, accuracy, rtol=1e-12)
