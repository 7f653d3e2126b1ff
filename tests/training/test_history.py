"""The history keeps the curves, counts epochs without improvement, and brings back the best weights."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp._training.history import History, StackHistory

NOTHING = math.nan, math.nan


@pytest.fixture
def record(parameters):
    """A function that adds epochs to a history."""

    def record(history, losses, scores=None, *, start=0.0, score_of_start=None, learning_rates=None):
        """Start the history and add epochs. After the k-th, counted from 1, every parameter is k. Return the parameters.

        The validation loss is ten times the score. A score of the start says that the start has trained weights.
        """
        params = parameters(start)
        history.start(params, lambda params: (score_of_start, math.nan), trained=score_of_start is not None)
        for k, loss in enumerate(losses, start=1):
            params.vector[...] = k
            figures = NOTHING if scores is None else (scores[k - 1], 10.0 * scores[k - 1])
            history.add(loss, params.vector, None if learning_rates is None else learning_rates[k - 1], 60 * k, figures)
        return params

    return record


@pytest.fixture
def counts(record):
    """A function that counts the epochs without improvement."""

    def counts(losses, tol, scores=None):
        """The number of epochs without improvement after each epoch. If there are scores, they decide."""
        early_stopping = scores is not None
        result = []
        for n in range(1, len(losses) + 1):
            history = History(tol, 10, early_stopping, early_stopping)
            record(history, losses[:n], scores)
            result.append(history.no_improvement_count)
        return result

    return counts


def stopping(tol, n_iter_no_change=10):
    """A history in which the validation score decides."""
    return History(tol, n_iter_no_change, validates=True, early_stopping=True)


# Curves


def test_curves_are_kept(record):
    history = History(0.0, 10)
    assert (history.n_iter, history.loss_curve, history.best_loss) == (0, [], math.inf)
    assert math.isnan(history.last_loss)
    record(history, [3.0, 1.0, 2.0])
    assert (history.n_iter, history.loss_curve, history.best_loss) == (3, [3.0, 1.0, 2.0], 1.0)
    assert (history.last_loss, history.samples_seen) == (2.0, 180)
    assert not history.validates
    assert history.validation_scores == history.validation_loss_curve == []


def test_the_learning_rates_are_kept_if_there_are_any(record):
    history = History(0.0, 10)
    record(history, [1.0, 1.0], learning_rates=[0.5, 0.25])
    assert history.learning_rate_curve == [0.5, 0.25]
    without = History(0.0, 10)
    record(without, [1.0, 1.0])
    assert without.learning_rate_curve == []


# Patience


def test_a_fall_of_the_loss_by_tol_is_an_improvement_and_a_smaller_one_is_not(counts):
    assert counts([4.0, 3.5, 3.0, 2.75, 2.5, 2.0], tol=0.5) == [0, 0, 0, 1, 2, 0]


def test_the_loss_is_compared_with_the_best_so_far(counts):
    assert counts([1.0, 5.0, 4.0, 3.0, 0.5], tol=0.1) == [0, 1, 2, 3, 0]


def test_small_falls_do_not_add_up_to_an_improvement(counts):
    assert counts([1.0, 0.95, 0.9, 0.85, 0.8], tol=0.1) == [0, 1, 2, 3, 4]


def test_with_early_stopping_the_validation_score_decides_and_not_the_loss(counts):
    falling = [5.0, 4.0, 3.0, 2.0, 1.0]
    assert counts(falling, tol=0.25, scores=[0.25, 0.5, 0.5, 0.625, 0.875]) == [0, 0, 1, 2, 0]


def test_a_validation_score_without_early_stopping_decides_nothing(record):
    history = History(0.5, 10, validates=True)
    params = record(history, [4.0, 5.0, 4.0, 3.0], [0.5, 0.75, 0.25, 0.25], start=9.0, score_of_start=0.0)
    assert history.no_improvement_count == 0  # the loss has just fallen
    assert history.validation_scores == [0.5, 0.75, 0.25, 0.25]
    assert history.validation_loss_curve == [5.0, 7.5, 2.5, 2.5]
    assert (history.best_validation_score, history.best_iter) == (0.75, 2)
    history.restore_best(params)
    assert_array_equal(params.vector, 4.0)


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_training_has_stalled_after_one_more_epoch_than_n_iter_no_change(n_iter_no_change, parameters, record):
    history = History(1e-4, n_iter_no_change)
    record(history, [1.0] * (n_iter_no_change + 1))
    assert not history.stalled
    history.add(1.0, parameters().vector, None, None, NOTHING)
    assert history.stalled
    history.reset_patience()
    assert (history.no_improvement_count, history.stalled) == (0, False)


def test_with_infinite_patience_training_never_stalls(record):
    history = History(1e-4, np.inf)
    record(history, [1.0] * 100)
    assert history.no_improvement_count == 99
    assert not history.stalled


def test_a_history_continues_the_state_of_another(record):
    first, second = History(0.1, 10), History(0.1, 10)
    record(first, [2.0, 3.0, 2.0])
    assert first.state == {"no_improvement_count": 2, "best_loss": 2.0}
    second.state = dict(first.state)
    assert second.n_iter == 0
    record(second, [1.95])
    assert (second.no_improvement_count, second.best_loss) == (3, 1.95)
    assert second.loss_curve == [1.95]


# Weights


def test_the_best_validation_score_and_its_weights_are_kept(record):
    history = stopping(0.0)
    params = record(history, [1.0, 1.0, 1.0], [0.5, 0.75, 0.25])
    assert history.validates
    assert history.validation_scores == [0.5, 0.75, 0.25]
    assert history.validation_loss_curve == [5.0, 7.5, 2.5]
    assert (history.best_validation_score, history.best_iter) == (0.75, 2)
    assert_array_equal(params.vector, 3.0)
    history.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_the_first_of_equal_validation_scores_is_the_best(record):
    history = stopping(0.0)
    params = record(history, [1.0, 1.0, 1.0], [0.5, 0.75, 0.75])
    history.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_a_score_that_is_better_by_less_than_tol_is_kept_but_no_improvement(record):
    history = stopping(0.5)
    params = record(history, [1.0, 1.0], [0.25, 0.5])
    assert history.no_improvement_count == 1
    history.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_trained_weights_at_the_start_are_the_best_until_a_score_is_better(record):
    history = stopping(0.0)
    params = record(history, [1.0, 1.0], [0.5, 0.75], start=9.0, score_of_start=0.75)
    assert history.best_validation_score == 0.75
    assert history.validation_scores == [0.5, 0.75]  # the score of the start belongs to no epoch
    assert history.best_iter == 0
    history.restore_best(params)
    assert_array_equal(params.vector, 9.0)


def test_better_weights_replace_trained_ones(record):
    history = stopping(0.0)
    params = record(history, [1.0, 1.0], [0.25, 0.75], start=9.0, score_of_start=0.5)
    history.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_random_weights_at_the_start_are_never_the_best(record):
    history = stopping(0.0)
    params = record(history, [1.0], [0.25], start=9.0)
    history.restore_best(params)
    assert_array_equal(params.vector, 1.0)


def test_without_validation_the_best_weights_are_the_current_ones(record):
    history = History(0.0, 10)
    params = record(history, [1.0, 5.0], start=9.0, score_of_start=1.0)
    history.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_the_last_weights_are_those_of_the_last_recorded_epoch(record):
    history = History(0.0, 10)
    params = record(history, [1.0, 5.0])
    params.vector[...] = np.nan
    history.restore_last(params)
    assert_array_equal(params.vector, 2.0)


def test_before_any_epoch_the_last_weights_are_those_of_the_start(record):
    history = History(0.0, 10)
    params = record(history, [], start=9.0)
    assert history.is_at_start(params)
    params.vector[...] = np.nan
    assert not history.is_at_start(params)
    history.restore_last(params)
    assert_array_equal(params.vector, 9.0)


def test_a_second_look_replaces_the_figures_of_the_last_epoch(record):
    history = stopping(0.0)
    params = record(history, [3.0, 2.0], [0.5, math.nan])
    assert (history.best_iter, math.isnan(history.validation_scores[1])) == (1, True)
    history.look_again((0.75, 0.1))
    assert history.validation_scores == [0.5, 0.75]
    assert history.validation_loss_curve == [5.0, 0.1]
    assert (history.best_validation_score, history.best_iter) == (0.75, 2)
    history.restore_best(params)
    assert_array_equal(params.vector, 2.0)
    history.look_again((0.25, 0.2))  # no better than the first epoch was
    assert history.best_validation_score == 0.75


def test_one_network_goes_on_while_it_is_finite():
    history = History(0.0, 10)
    assert history.goes_on(np.True_) is True
    assert history.goes_on(np.False_) is False
    assert not history.has_lost_members
    assert history.mean(np.float64(0.5)) == 0.5


# Stacks


@pytest.fixture
def record_stack(parameters):
    """A function that adds epochs to the history of a stack."""

    def record_stack(history, losses, scores=None):
        """Add epochs to the history of a stack. After the k-th, every parameter of member i is 10 i + k."""
        n_members = len(history.members)
        params = parameters(members=(n_members,))
        params.vector[...] = 10.0 * np.arange(n_members)[:, None]
        history.start(params, None, trained=False)
        for k, loss in enumerate(losses, start=1):
            params.vector += 1.0
            nothing = np.full(n_members, math.nan)
            figures = (
                (nothing, nothing) if scores is None else (np.array(scores[k - 1]), 10.0 * np.array(scores[k - 1]))
            )
            history.add(np.array(loss), params.vector, 0.1, 20 * k, figures)
        return params

    return record_stack


def test_every_member_has_a_history_of_its_own(record_stack):
    history = StackHistory(2, 0.5, 10, True, False)
    record_stack(history, [[4.0, 5.0], [3.0, 6.0]], [[0.1, 0.2], [0.3, 0.4]])
    first, second = history.members
    assert (first.loss_curve, second.loss_curve) == ([4.0, 3.0], [5.0, 6.0])
    assert (first.validation_scores, second.validation_scores) == ([0.1, 0.3], [0.2, 0.4])
    assert second.validation_loss_curve == [2.0, 4.0]
    assert (first.no_improvement_count, second.no_improvement_count) == (0, 1)
    assert first.learning_rate_curve == second.learning_rate_curve == [0.1, 0.1]
    assert first.samples_seen == 40
    assert history.n_iter == 2
    assert all(type(loss) is float for loss in first.loss_curve + first.validation_scores)


def test_every_member_keeps_its_own_best_weights(record_stack):
    history = StackHistory(2, 0.0, 10, True, True)
    params = record_stack(history, [[1.0, 1.0]] * 3, [[0.1, 0.9], [0.5, 0.2], [0.3, 0.4]])
    history.restore_best(params)
    assert_array_equal(params.vector[:, 0], [2.0, 11.0])
    assert [member.best_iter for member in history.members] == [2, 1]
    history.restore_last(params)
    assert_array_equal(params.vector[:, 0], [3.0, 13.0])
    assert (history.validates, history.early_stopping) == (True, True)


def test_a_stack_has_stalled_when_all_of_its_members_have(record_stack):
    history = StackHistory(2, 0.1, 1)
    record_stack(history, [[1.0, 3.0], [1.0, 2.0], [1.0, 1.0]])
    assert [member.stalled for member in history.members] == [True, False]
    assert not history.stalled
    history.add(np.ones(2), np.zeros((2, 3)), 0.1, 80, (np.zeros(2), np.zeros(2)))
    history.add(np.ones(2), np.zeros((2, 3)), 0.1, 100, (np.zeros(2), np.zeros(2)))
    assert history.stalled
    history.reset_patience()
    assert not history.stalled
    assert [member.no_improvement_count for member in history.members] == [0, 0]


def test_a_member_that_diverges_keeps_its_history_and_the_others_go_on(record_stack):
    history = StackHistory(3, 0.1, 1)
    params = record_stack(history, [[1.0, 2.0, 3.0]])
    assert not history.has_lost_members
    assert history.goes_on(np.array([True, False, True]))
    assert history.has_lost_members
    params.vector += 1.0
    history.add(np.array([0.5, math.nan, 2.5]), params.vector, 0.1, 40, (np.zeros(3), np.zeros(3)))
    assert [member.loss_curve for member in history.members] == [[1.0, 0.5], [2.0], [3.0, 2.5]]
    assert history.n_iter == 2
    assert history.mean(np.array([0.5, math.nan, 2.5])) == 1.5
    history.restore_last(params)
    assert_array_equal(params.vector[:, 0], [2.0, 11.0, 22.0])
    # A member does not come back.
    assert history.goes_on(np.array([True, True, False]))
    assert_array_equal(history.diverged, [False, True, True])
    assert not history.goes_on(np.array([False, True, True]))


def test_only_members_that_are_left_can_stall(record_stack):
    history = StackHistory(2, 0.1, 1)
    record_stack(history, [[3.0, 1.0]])
    history.goes_on(np.array([False, True]))
    for _ in range(2):
        history.add(np.ones(2), np.zeros((2, 3)), 0.1, 40, (np.zeros(2), np.zeros(2)))
    assert not history.members[0].stalled
    assert history.stalled


def test_a_second_look_fills_in_missing_figures_only(record_stack):
    history = StackHistory(3, 0.0, 10, True, True)
    record_stack(history, [[1.0, 1.0, 1.0]] * 2, [[0.5, 0.5, 0.5], [math.nan, 0.25, math.nan]])
    history.look_again((np.array([0.75, 0.9, 0.1]), np.array([1.0, 2.0, 3.0])))
    assert [member.validation_scores for member in history.members] == [[0.5, 0.75], [0.5, 0.25], [0.5, 0.1]]
    assert history.members[0].validation_loss_curve == [5.0, 1.0]
    assert [member.best_iter for member in history.members] == [2, 1, 1]
    without_epochs = StackHistory(1, 0.0, 10, True, True)
    record_stack(without_epochs, [])
    without_epochs.look_again((np.ones(1), np.ones(1)))
    assert without_epochs.members[0].validation_scores == []


def test_a_stack_is_at_its_start_if_no_member_has_moved(record_stack):
    history = StackHistory(2, 0.0, 10)
    params = record_stack(history, [])
    assert history.is_at_start(params)
    params.vector[1, 0] += 1.0
    assert not history.is_at_start(params)
