"""Training on partitions: by all solvers, with validation rows, and watched as in memory."""

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from partitioned import in_partitions
from sklearn.exceptions import ConvergenceWarning

from skbp import BackpropClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"])
def test_every_full_batch_solver_reaches_the_minimum(solver, make_data):
    X, y = make_data()
    clf = BackpropClassifier((), solver=solver, alpha=5.0, max_iter=500, tol=1e-7, random_state=0)
    clf.fit(in_partitions(X), in_partitions(y))
    same = BackpropClassifier((), solver="lbfgs", alpha=5.0, max_iter=500, tol=1e-9, random_state=0).fit(X, y)
    assert_allclose(clf.predict_proba(X), same.predict_proba(X), atol=1e-4 if solver == "tnc" else 1e-5)
    assert clf.optimize_result_["success"]
    assert clf.optimize_result_["n_evaluations"] >= clf.n_iter_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_without_shuffling_mini_batches_are_those_in_memory(solver, make_data, learner):
    X, y = make_data()
    clf = learner(solver=solver, shuffle=False, batch_size=10, max_iter=4)
    whole = (50, 100, 60)  # multiples of batch_size
    fitted = clf.fit(in_partitions(X, whole), in_partitions(y, whole))
    same = learner(solver=solver, shuffle=False, batch_size=10, max_iter=4).fit(X, y)
    assert_allclose(fitted.coefs_[0], same.coefs_[0], rtol=1e-13)
    assert_allclose(fitted.loss_curve_, same.loss_curve_, rtol=1e-13)
    assert fitted.t_ == same.t_ == 4 * 210


def test_mini_batches_repeat_and_learn(make_data, learner):
    X, y = make_data()
    fits = [learner(max_iter=60, learning_rate_init=0.01).fit(in_partitions(X), in_partitions(y)) for _ in range(2)]
    assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert fits[0].loss_ < 0.7 * fits[0].loss_curve_[0]
    assert fits[0].score(X, y) > 0.7
    other = learner(max_iter=60, learning_rate_init=0.01, random_state=1).fit(in_partitions(X), in_partitions(y))
    assert np.abs(other.coefs_[0] - fits[0].coefs_[0]).max() > 1e-3


def test_each_epoch_shuffles_partitions_and_rows(make_data, learner):
    # Four identical rows in each partition: only the order of partitions matters, then only that of the rows.
    X, y = make_data(n_rows=12)
    once = [
        learner(batch_size=1, max_iter=1, random_state=seed).fit(in_partitions(X, (4, 4, 4)), y) for seed in range(3)
    ]
    losses = {clf.loss_ for clf in once}
    assert len(losses) == 3
    many = learner(batch_size=4, max_iter=30, learning_rate_init=1e-12).fit(in_partitions(X, (4, 4, 4)), y)
    # With no step to speak of, the mean over the rows of an epoch is always that of all rows.
    assert_allclose(many.loss_curve_, many.loss_curve_[0], rtol=1e-8)


def test_partial_fit_goes_on(make_data, learner):
    X, y = make_data()
    clf = learner(shuffle=False, batch_size=10)
    same = learner(shuffle=False, batch_size=10)
    whole = (50, 100, 60)
    for _ in range(3):
        clf.partial_fit(in_partitions(X, whole), in_partitions(y, whole), classes=[0, 1, 2])
        same.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(clf.coefs_[0], same.coefs_[0], rtol=1e-12)
    assert clf.t_ == 3 * 210
    clf.partial_fit(X[:20], y[:20])
    assert clf.t_ == 3 * 210 + 20


def test_a_warm_start_goes_on(make_data, learner):
    X, y = make_data()
    clf = learner(solver="lbfgs", warm_start=True, max_iter=3).fit(X, y)
    first = clf.loss_
    clf.fit(in_partitions(X), in_partitions(y))
    assert clf.loss_ < first
    assert len(clf.loss_curve_) == 6
    with pytest.raises(ValueError, match="same classes"):
        clf.fit(in_partitions(X), in_partitions(np.where(y == 2, 0, y)))


def test_validation_rows_in_partitions_and_in_memory_give_the_same_curves(make_data, learner):
    X, y = make_data()
    X_val, y_val = make_data(n_rows=90)
    X_val, w_val = X_val + 0.1, np.linspace(0.0, 2.0, 90)
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": w_val}
    chunked = {name: da.from_array(values, chunks=(40, *values.shape[1:])) for name, values in given.items()}
    same = learner(solver="lbfgs", class_weight="balanced").fit(X, y, **given)
    for rows, labels, validation in [
        (in_partitions(X), in_partitions(y), given),
        (in_partitions(X), in_partitions(y), chunked),
        (X, y, chunked),
    ]:
        clf = learner(solver="lbfgs", class_weight="balanced").fit(rows, labels, **validation)
        assert_allclose(clf.validation_loss_curve_, same.validation_loss_curve_, rtol=1e-9)
        assert_allclose(clf.validation_scores_, same.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_early_stopping_holds_out_rows_of_every_partition(scoring, make_data, learner):
    X, y = make_data()
    clf = learner(early_stopping=True, scoring=scoring, max_iter=30, learning_rate_init=0.05)
    clf.fit(in_partitions(X), in_partitions(y))
    n_held_out = 210 - clf.t_ / clf.n_iter_
    assert abs(n_held_out - 21) <= 4  # each of four partitions rounds up or down
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    again = learner(early_stopping=True, scoring=scoring, max_iter=30, learning_rate_init=0.05)
    assert_array_equal(again.fit(in_partitions(X), in_partitions(y)).coefs_[0], clf.coefs_[0])


def test_a_scorer_takes_validation_rows_in_memory_only(make_data, learner):
    X, y = make_data()
    clf = learner(early_stopping=True, scoring="balanced_accuracy")
    with pytest.raises(ValueError, match=r"scoring takes all validation rows in memory.*scoring='loss'"):
        clf.fit(in_partitions(X), in_partitions(y))
    clf.fit(in_partitions(X), in_partitions(y), X_val=X[:50], y_val=y[:50])
    assert len(clf.validation_scores_) == clf.n_iter_


def test_training_is_watched_and_stopped_as_in_memory(make_data, learner, capsys):
    X, y = make_data()
    learner(solver="lbfgs", verbose=True).fit(in_partitions(X), in_partitions(y))
    assert "Iteration    5  loss" in capsys.readouterr().out
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clf = learner(solver="lbfgs", max_time=1e-9).fit(in_partitions(X), in_partitions(y))
    assert clf.n_iter_ == 1


def test_an_unscaled_table_gets_the_advice(make_data, learner):
    X, y = make_data()
    with pytest.warns(ConvergenceWarning, match="StandardScaler"):
        learner(solver="lbfgs").fit(in_partitions(1e4 * X), in_partitions(y))


def test_small_partitions_hold_out_no_more_than_their_share(make_data, learner):
    X, y = make_data()
    clf = learner(early_stopping=True, max_iter=2).fit(da.from_array(X, chunks=(1, 6)), da.from_array(y, chunks=1))
    assert 10 <= 210 - clf.t_ / clf.n_iter_ <= 35  # 21 are expected, with a standard deviation of 4.3
    with pytest.raises(ValueError, match="would hold out 0 of n_samples=3"):
        learner(early_stopping=True, validation_fraction=1e-9).fit(da.from_array(X[:3], chunks=(3, 6)), y[:3])


def test_the_tape_needs_rows_in_memory(make_data, learner):
    X, y = make_data()
    F = learner().objective(in_partitions(X), in_partitions(y))
    with pytest.raises(ValueError, match="The rows lie in partitions"):
        F.tape(F.theta0)
