"""The monitor keeps history, counts epochs without improvement, and brings back the weights worth keeping."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp._monitor import Monitor
from skbp._parameters import Parameters


def parameters(number=0.0):
    params = Parameters((2, 1), np.float64)
    params.vector[...] = number
    return params


def scores(*values):
    """A validation score that takes these values one after the other."""
    remaining = iter(values)
    return lambda params: next(remaining)


def train(monitor, losses, start=0.0, trained=False):
    """Report epochs to the monitor; after the k-th, counted from 1, every parameter is k."""
    params = parameters(start)
    monitor.start(params, trained)
    for k, loss in enumerate(losses, start=1):
        params.vector[...] = k
        monitor.record(loss, params)
    return params


def counts(losses, tol, **given):
    """The count of epochs without improvement after each of the epochs."""
    monitor, params, result = Monitor(tol, 10, False, **given), parameters(), []
    monitor.start(params, trained=False)
    for loss in losses:
        monitor.record(loss, params)
        result.append(monitor.no_improvement_count)
    return result


def test_history_is_kept():
    monitor = Monitor(0.0, 10, False)
    assert (monitor.n_iter, monitor.loss_curve, monitor.best_loss) == (0, [], math.inf)
    train(monitor, [3.0, 1.0, 2.0])
    assert (monitor.n_iter, monitor.loss_curve, monitor.best_loss) == (3, [3.0, 1.0, 2.0], 1.0)
    assert not monitor.validates
    assert monitor.validation_scores == []


def test_a_fall_of_the_loss_by_tol_is_an_improvement_and_a_smaller_one_is_not():
    assert counts([4.0, 3.5, 3.0, 2.75, 2.5, 2.0], tol=0.5) == [0, 0, 0, 1, 2, 0]


def test_the_loss_is_compared_with_the_best_so_far():
    assert counts([1.0, 5.0, 4.0, 3.0, 0.5], tol=0.1) == [0, 1, 2, 3, 0]


def test_small_falls_do_not_add_up_to_an_improvement():
    assert counts([1.0, 0.95, 0.9, 0.85, 0.8], tol=0.1) == [0, 1, 2, 3, 4]


def test_a_validation_score_decides_in_place_of_the_loss():
    falling = [5.0, 4.0, 3.0, 2.0, 1.0]
    assert counts(falling, tol=0.25, validation_score=scores(0.25, 0.5, 0.5, 0.625, 0.875)) == [0, 0, 1, 2, 0]


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_training_has_stalled_after_one_more_epoch_than_n_iter_no_change(n_iter_no_change):
    monitor = Monitor(1e-4, n_iter_no_change, False)
    train(monitor, [1.0] * (n_iter_no_change + 1))
    assert not monitor.stalled
    monitor.record(1.0, parameters())
    assert monitor.stalled


def test_with_infinite_patience_training_never_stalls():
    monitor = Monitor(1e-4, np.inf, False)
    train(monitor, [1.0] * 100)
    assert monitor.no_improvement_count == 99
    assert not monitor.stalled


def test_the_best_validation_score_and_its_weights_are_kept():
    monitor = Monitor(0.0, 10, False, scores(0.5, 0.75, 0.25))
    params = train(monitor, [1.0, 1.0, 1.0])
    assert monitor.validates
    assert monitor.validation_scores == [0.5, 0.75, 0.25]
    assert monitor.best_validation_score == 0.75
    assert_array_equal(params.vector, 3.0)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_of_equal_validation_scores_the_first_is_the_best():
    monitor = Monitor(0.0, 10, False, scores(0.5, 0.75, 0.75))
    params = train(monitor, [1.0, 1.0, 1.0])
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_a_score_that_is_better_by_less_than_tol_is_kept_but_no_improvement():
    monitor = Monitor(0.5, 10, False, scores(0.25, 0.5))
    params = train(monitor, [1.0, 1.0])
    assert monitor.no_improvement_count == 1
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_trained_weights_to_start_from_are_best_until_something_is_better():
    monitor = Monitor(0.0, 10, False, scores(0.75, 0.5, 0.75))
    params = train(monitor, [1.0, 1.0], start=9.0, trained=True)
    assert monitor.best_validation_score == 0.75
    assert monitor.validation_scores == [0.5, 0.75]  # the score of the start is of no epoch
    monitor.restore_best(params)
    assert_array_equal(params.vector, 9.0)


def test_better_weights_take_the_place_of_trained_ones():
    monitor = Monitor(0.0, 10, False, scores(0.5, 0.25, 0.75))
    params = train(monitor, [1.0, 1.0], start=9.0, trained=True)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_random_weights_to_start_from_are_never_the_best():
    monitor = Monitor(0.0, 10, False, scores(0.25))
    params = train(monitor, [1.0], start=9.0, trained=False)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 1.0)


def test_without_validation_the_best_weights_are_the_current_ones():
    monitor = Monitor(0.0, 10, False)
    params = train(monitor, [1.0, 5.0], start=9.0, trained=True)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_the_last_weights_are_those_of_the_last_recorded_epoch():
    monitor = Monitor(0.0, 10, False)
    params = train(monitor, [1.0, 5.0])
    params.vector[...] = np.nan
    monitor.restore_last(params)
    assert_array_equal(params.vector, 2.0)


def test_before_any_epoch_the_last_weights_are_those_of_the_start():
    monitor = Monitor(0.0, 10, False)
    params = train(monitor, [], start=9.0)
    params.vector[...] = np.nan
    monitor.restore_last(params)
    assert_array_equal(params.vector, 9.0)


def test_verbose_prints_a_line_an_epoch_and_the_decision(capsys):
    monitor = Monitor(0.125, 2, True)
    train(monitor, [1.5, 0.25])
    monitor.announce_stall("Stopping.")
    assert capsys.readouterr().out.splitlines() == [
        "Iteration 1, loss = 1.50000000",
        "Iteration 2, loss = 0.25000000",
        "Training loss did not improve more than tol=0.125000 for 2 consecutive epochs. Stopping.",
    ]


def test_verbose_prints_validation_scores(capsys):
    monitor = Monitor(0.125, 2, True, scores(0.75))
    train(monitor, [1.5])
    monitor.announce_stall("Stopping.")
    assert capsys.readouterr().out.splitlines() == [
        "Iteration 1, loss = 1.50000000",
        "Validation score: 0.750000",
        "Validation score did not improve more than tol=0.125000 for 2 consecutive epochs. Stopping.",
    ]


def test_otherwise_it_is_silent(capsys):
    monitor = Monitor(0.125, 2, False, scores(0.75))
    train(monitor, [1.5])
    monitor.announce_stall("Stopping.")
    assert capsys.readouterr().out == ""
