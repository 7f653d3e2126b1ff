"""Outcomes: what is said when the user, a callback, the clock or divergence ends training."""

import math

import pytest

from skbp._training.history import History
from skbp._training.monitor import Monitor
from skbp._training.outcome import NothingTrainedError, Outcome, SolverError, diverged, interrupted, stopped


@pytest.fixture
def after_two_epochs(parameters):
    """A function that makes a monitor with two epochs."""

    def after_two_epochs(watchers=(), max_time=None):
        monitor, params = Monitor(History(0.0, 10), None, watchers, max_time), parameters()
        monitor.start(params)
        for loss in (2.0, 1.0):
            monitor.record(loss, params)
        return monitor

    return after_two_epochs


def test_an_outcome_is_quiet_by_default():
    outcome = Outcome("converged", 0.5)
    assert (outcome.warning, outcome.optimize_result, outcome.wants_advice) == ("", None, False)


def test_an_interrupt_names_the_iterations_that_are_kept(after_two_epochs):
    outcome = interrupted(after_two_epochs(), 0.5)
    assert (outcome.status, outcome.loss, outcome.wants_advice) == ("interrupted", 0.5, False)
    assert outcome.warning == "Training interrupted by user after 2 iterations; the weights so far are kept."


def test_a_callback_that_stops_training_gives_no_warning(Watcher, after_two_epochs):
    outcome = stopped(after_two_epochs([Watcher(stops_at=2)]), 0.5)
    assert (outcome.status, outcome.warning, outcome.wants_advice) == ("stopped", "", False)


def test_the_clock_is_named_with_max_time(after_two_epochs):
    outcome = stopped(after_two_epochs(max_time=1e-9), 0.5)
    assert (outcome.status, outcome.wants_advice) == ("max_time", False)
    assert outcome.warning == (
        "Training stopped after iteration 2, since max_time=1e-09 seconds have passed, and the optimization hasn't "
        "converged yet."
    )


@pytest.mark.parametrize("advice", ["", " Lower it."])
def test_divergence_names_the_iteration_and_wants_advice(advice, after_two_epochs):
    outcome = diverged(after_two_epochs(), math.nan, advice)
    assert outcome.status == "diverged"
    assert math.isnan(outcome.loss)
    assert outcome.wants_advice
    assert outcome.warning == (
        "Training diverged: the objective was not finite in iteration 3. The weights after iteration 2 are kept."
        + advice
    )


def test_errors_of_training_are_errors_of_values():
    assert issubclass(SolverError, ValueError)
    assert issubclass(NothingTrainedError, ValueError)
