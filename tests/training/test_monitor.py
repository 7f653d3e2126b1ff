"""The monitor records epochs, asks the held-out rows, tells the watchers, and watches the clock."""

import math
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp._training.history import History, StackHistory
from skbp._training.monitor import Monitor


class HeldOut:
    """Held-out rows with these scores one after the other. The loss is ten times the score."""

    def __init__(self, *scores):
        self.scores, self.seen = iter(scores), []

    def __call__(self, params):
        self.seen.append(params.vector.copy())
        score = next(self.scores)
        return score, 10.0 * score


@pytest.fixture
def record(parameters):
    """A function that reports epochs to a monitor."""

    def record(monitor, losses, start=0.0, trained=False):
        """Report epochs to the monitor. After the k-th, counted from 1, every parameter is k. Return the parameters."""
        params = parameters(start)
        monitor.start(params, trained)
        for k, loss in enumerate(losses, start=1):
            params.vector[...] = k
            monitor.record(loss, params)
        return params

    return record


# Epochs


def test_an_epoch_goes_into_the_history_with_all_of_its_figures(parameters):
    history = History(0.0, 10, True, True)
    monitor, params = Monitor(history, HeldOut(0.5, 0.25)), parameters()
    monitor.start(params)
    for k in (1, 2):
        params.vector[...] = k
        monitor.record(3.0 - k, params, 0.1 * k, 60 * k)
    assert monitor.n_iter == history.n_iter == 2
    assert history.loss_curve == [2.0, 1.0]
    assert history.learning_rate_curve == [0.1, 0.2]
    assert history.samples_seen == 120
    assert history.validation_scores == [0.5, 0.25]
    assert history.validation_loss_curve == [5.0, 2.5]
    monitor.restore_best(params)
    assert_array_equal(params.vector, 1.0)
    monitor.restore_last(params)
    assert_array_equal(params.vector, 2.0)


@pytest.mark.parametrize("trained", [False, True])
def test_trained_weights_at_the_start_are_judged(trained, record):
    held_out = HeldOut(*([0.75] if trained else []), 0.5)
    monitor = Monitor(History(0.0, 10, True, True), held_out)
    params = record(monitor, [1.0], start=9.0, trained=trained)
    assert len(held_out.seen) == 1 + trained
    monitor.restore_best(params)
    assert_array_equal(params.vector, 9.0 if trained else 1.0)


def test_without_held_out_rows_there_are_no_figures(Watcher, parameters, record):
    monitor = Monitor(History(0.0, 10), watchers=[watcher := Watcher()])
    record(monitor, [1.0])
    (_, _, _, figures, *_) = watcher.calls[0]
    assert np.isnan(figures).all()
    stack = Monitor(StackHistory(2, 0.0, 10), watchers=[watcher := Watcher()])
    params = parameters(members=(2,))
    stack.start(params)
    stack.record(np.ones(2), params)
    (_, _, _, figures, *_) = watcher.calls[0]
    assert np.shape(figures) == (2, 2)
    assert np.isnan(figures).all()


def test_training_has_stalled_when_the_history_has(parameters, record):
    monitor = Monitor(History(0.1, 1))
    record(monitor, [1.0, 1.0])
    assert not monitor.stalled
    monitor.record(1.0, parameters())
    assert monitor.stalled


# Looks at the held-out rows


@pytest.mark.parametrize(
    ("every", "max_iter", "looks"),
    [(1, None, [1, 2, 3, 4, 5, 6, 7]), (3, None, [3, 6]), (3, 7, [3, 6, 7]), (3, 6, [3, 6]), (10, 7, [7])],
)
def test_there_is_a_look_every_few_epochs_and_after_the_last(every, max_iter, looks, record):
    held_out = HeldOut(*np.linspace(0.1, 0.9, 7))
    history = History(0.0, 10, True, True)
    record(Monitor(history, held_out, max_iter=max_iter, every=every), [1.0] * 7)
    assert [theta[0] for theta in held_out.seen] == looks
    found = [k for k, score in enumerate(history.validation_scores, start=1) if not math.isnan(score)]
    assert found == looks


def test_only_an_epoch_with_a_look_can_tell_that_training_has_stalled(record):
    history = History(0.0, 1, True, True)
    monitor = Monitor(history, HeldOut(0.5, 0.25), every=4)
    params = record(monitor, [1.0] * 7)
    assert history.stalled
    assert not monitor.stalled
    monitor.record(1.0, params)
    assert monitor.stalled


def test_weights_after_the_last_look_are_judged_at_the_end(record):
    held_out, history = HeldOut(0.5, 0.75), History(0.0, 10, True, True)
    monitor = Monitor(history, held_out, every=2)
    params = record(monitor, [1.0] * 3)
    params.vector[...] = math.nan
    monitor.restore_best(params)
    assert [theta[0] for theta in held_out.seen] == [2.0, 3.0]
    assert history.validation_scores[1:] == [0.5, 0.75]
    assert_array_equal(params.vector, 3.0)
    monitor.restore_best(params)  # looks no more
    assert len(held_out.seen) == 2


def test_after_a_look_nothing_is_judged_again(record):
    held_out = HeldOut(0.5, 0.25)
    monitor = Monitor(History(0.0, 10, True, True), held_out)
    params = record(monitor, [1.0] * 2)
    monitor.restore_best(params)
    assert len(held_out.seen) == 2
    assert_array_equal(params.vector, 1.0)


def test_members_that_diverged_between_looks_are_judged_at_the_end(parameters):
    history = StackHistory(2, 0.0, 10, True, True)
    scores = iter([np.array([0.5, 0.5]), np.array([0.25, 0.75])])

    def held_out(params):
        return (score := next(scores)), -score

    monitor, params = Monitor(history, held_out, every=2), parameters(members=(2,))
    monitor.start(params)
    for k in (1, 2, 3):
        params.vector[...] = k
        monitor.record(np.full(2, 1.0), params)
    params.vector[...] = 4.0
    assert history.goes_on(np.array([True, False]))  # the second member diverges in the fourth epoch
    monitor.restore_best(params)
    assert_array_equal(params.vector[:, 0], [2.0, 3.0])
    assert [member.n_iter for member in history.members] == [3, 3]
    assert history.members[1].validation_scores[1:] == [0.5, 0.75]


# Watchers


def test_watchers_are_told_of_every_epoch(Watcher, parameters):
    history = History(0.0, 10, True, False)
    monitor, params = Monitor(history, HeldOut(0.5, 0.25), [one := Watcher(), other := Watcher()]), parameters()
    monitor.start(params)
    for k in (1, 2):
        monitor.begin_epoch()
        params.vector[...] = k
        monitor.record(3.0 - k, params, 0.1)
    monitor.announce_stall("Stopping.")
    monitor.close()
    assert one.calls == other.calls
    begin, first, again, second, stall, close = one.calls
    assert begin == again == "begin"
    assert first[:-1] == (2.0, 1.0, 0.1, (0.5, 5.0), 1)
    assert second[:-1] == (1.0, 2.0, 0.1, (0.25, 2.5), 2)
    assert 0.0 <= first[-1] <= second[-1] < 60.0
    assert stall == (history, "Stopping.")
    assert close == "close"


@pytest.mark.parametrize("stops_at", [(2, None), (None, 2), (2, 2)])
def test_one_watcher_is_enough_to_stop_and_all_are_told(stops_at, Watcher, parameters, record):
    watchers = [Watcher(epoch) for epoch in stops_at]
    monitor = Monitor(History(0.0, 10), watchers=watchers)
    record(monitor, [1.0])
    assert monitor.stop_reason == ""
    monitor.record(1.0, parameters())
    assert monitor.stop_reason == "stopped"
    assert [len(watcher.calls) for watcher in watchers] == [2, 2]


# Time


def test_the_time_is_up_after_the_first_epoch_that_ends_at_max_time_or_later(parameters):
    monitor, params = Monitor(History(0.0, 10), max_time=0.05), parameters()
    monitor.start(params)
    monitor.record(1.0, params)
    assert monitor.stop_reason == ""
    time.sleep(0.05)
    monitor.record(1.0, params)
    assert monitor.stop_reason == "max_time"
    assert monitor.seconds >= 0.05


def test_a_watcher_that_stops_takes_precedence_over_the_time(Watcher, record):
    monitor = Monitor(History(0.0, 10), watchers=[Watcher(1)], max_time=1e-9)
    record(monitor, [1.0])
    assert monitor.stop_reason == "stopped"


def test_without_max_time_training_does_not_stop(record):
    monitor = Monitor(History(0.0, 10))
    record(monitor, [1.0, 2.0, 3.0])
    assert monitor.stop_reason == ""


# Interrupts


def test_an_epoch_with_an_interrupted_validation_does_not_count(parameters, record):
    def held_out(params):
        if params.vector[0] == 3.0:
            raise KeyboardInterrupt
        return 0.5, 0.5

    history = History(0.0, 10, True, True)
    monitor = Monitor(history, held_out)
    with pytest.raises(KeyboardInterrupt):
        record(monitor, [3.0, 2.0, 1.0])
    assert (history.n_iter, history.loss_curve, history.validation_scores) == (2, [3.0, 2.0], [0.5, 0.5])
    params = parameters(3.0)
    monitor.restore_last(params)
    assert_array_equal(params.vector, 2.0)


def interrupted_at(k, monitor, params):
    """Record an epoch and interrupt it at its k-th bytecode. Returns whether there was one."""
    left = k
    files = {sys.modules[one.__module__].__file__ for one in (Monitor, History)}

    def trace(frame, event, arg):
        nonlocal left
        # Not what else may run in between, such as callbacks of the garbage collector.
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(before)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        monitor.record(1.0, params)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_leaves_an_epoch_with_all_of_its_figures_or_with_none(parameters):
    k, lengths = 0, set()
    while True:
        history = History(0.0, 10, True, True)
        monitor, params = Monitor(history, HeldOut(0.1, 0.2, 0.3)), parameters(1.0)
        monitor.start(params)
        monitor.record(2.0, params)
        params.vector[...] = 2.0
        if not interrupted_at(k, monitor, params):
            break
        n_iter = history.n_iter
        assert len(history.loss_curve) == n_iter
        assert history.validation_scores == [0.1, 0.2][:n_iter]
        assert history.validation_loss_curve == [1.0, 2.0][:n_iter]
        assert (history.best_validation_score, history.best_iter) == (history.validation_scores[-1], n_iter)
        monitor.restore_best(params)
        assert params.vector[0] == n_iter
        monitor.record(0.5, params)
        assert history.loss_curve == ([2.0, 1.0, 0.5] if n_iter == 2 else [2.0, 0.5])
        lengths.add(n_iter)
        k += 1
    assert k > 100
    assert lengths == {1, 2}
