"""The monitor keeps history, counts epochs without improvement, and brings back the weights worth keeping."""

import contextlib
import math
import os
import re
import sys
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp import BackpropClassifier
from skbp._network.parameters import Parameters
from skbp._training.monitor import Monitor
from skbp._training.solvers import SOLVERS


def parameters(number=0.0):
    params = Parameters((2, 1), np.float64)
    params.vector[...] = number
    return params


def scores(*values):
    """Validation whose score takes these values one after the other; the loss is ten times the score."""
    remaining = iter(values)

    def validate(params):
        score = next(remaining)
        return score, 10.0 * score

    return validate


def stopping(tol, n_iter_no_change, verbose, *values):
    """A monitor that stops early by these scores."""
    return Monitor(tol, n_iter_no_change, verbose, scores(*values), early_stopping=True)


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
    validate = scores(0.25, 0.5, 0.5, 0.625, 0.875)
    assert counts(falling, tol=0.25, validate=validate, early_stopping=True) == [0, 0, 1, 2, 0]


def test_a_validation_score_that_is_only_recorded_decides_nothing():
    monitor = Monitor(0.5, 10, False, scores(0.5, 0.75, 0.25, 0.25))
    params = train(monitor, [4.0, 5.0, 4.0, 3.0], start=9.0, trained=True)
    assert monitor.no_improvement_count == 0  # the loss has just fallen
    assert monitor.validation_scores == [0.5, 0.75, 0.25, 0.25]
    assert monitor.validation_loss_curve == [5.0, 7.5, 2.5, 2.5]
    assert (monitor.best_validation_score, monitor.best_iter) == (0.75, 2)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 4.0)


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
    monitor = stopping(0.0, 10, False, 0.5, 0.75, 0.25)
    params = train(monitor, [1.0, 1.0, 1.0])
    assert monitor.validates
    assert monitor.validation_scores == [0.5, 0.75, 0.25]
    assert monitor.validation_loss_curve == [5.0, 7.5, 2.5]
    assert (monitor.best_validation_score, monitor.best_iter) == (0.75, 2)
    assert_array_equal(params.vector, 3.0)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_of_equal_validation_scores_the_first_is_the_best():
    monitor = stopping(0.0, 10, False, 0.5, 0.75, 0.75)
    params = train(monitor, [1.0, 1.0, 1.0])
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_a_score_that_is_better_by_less_than_tol_is_kept_but_no_improvement():
    monitor = stopping(0.5, 10, False, 0.25, 0.5)
    params = train(monitor, [1.0, 1.0])
    assert monitor.no_improvement_count == 1
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_trained_weights_to_start_from_are_best_until_something_is_better():
    monitor = stopping(0.0, 10, False, 0.75, 0.5, 0.75)
    params = train(monitor, [1.0, 1.0], start=9.0, trained=True)
    assert monitor.best_validation_score == 0.75
    assert monitor.validation_scores == [0.5, 0.75]  # the score of the start is of no epoch
    assert monitor.best_iter == 0
    monitor.restore_best(params)
    assert_array_equal(params.vector, 9.0)


def test_better_weights_take_the_place_of_trained_ones():
    monitor = stopping(0.0, 10, False, 0.5, 0.25, 0.75)
    params = train(monitor, [1.0, 1.0], start=9.0, trained=True)
    monitor.restore_best(params)
    assert_array_equal(params.vector, 2.0)


def test_random_weights_to_start_from_are_never_the_best():
    monitor = stopping(0.0, 10, False, 0.25)
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


def test_the_learning_rates_that_are_reported_are_kept():
    monitor, params = Monitor(0.0, 10, False), parameters()
    monitor.start(params, trained=False)
    for rate in (0.5, 0.25):
        monitor.record(1.0, params, rate)
    assert monitor.learning_rate_curve == [0.5, 0.25]


def test_an_epoch_during_whose_validation_training_is_interrupted_counts_for_nothing():
    def validate(params):
        if params.vector[0] == 3.0:
            raise KeyboardInterrupt
        return 0.5, 0.5

    monitor = Monitor(0.0, 10, False, validate, early_stopping=True)
    with pytest.raises(KeyboardInterrupt):
        train(monitor, [3.0, 2.0, 1.0])
    assert (monitor.n_iter, monitor.loss_curve, monitor.validation_scores) == (2, [3.0, 2.0], [0.5, 0.5])
    params = parameters(3.0)
    monitor.restore_last(params)
    assert_array_equal(params.vector, 2.0)


# Time


def test_the_time_is_up_after_the_first_epoch_that_ends_at_max_time_or_later():
    monitor, params = Monitor(0.0, 10, False, max_time=0.05), parameters()
    monitor.start(params, trained=False)
    monitor.record(1.0, params)
    assert monitor.stop_reason == ""
    time.sleep(0.05)
    monitor.record(1.0, params)
    assert monitor.stop_reason == "max_time"


def test_without_max_time_there_is_time():
    monitor = Monitor(0.0, 10, False)
    train(monitor, [1.0, 2.0, 3.0])
    assert monitor.stop_reason == ""


# What is printed


def without_seconds(line):
    """The line up to its last figure, which is the time since the start."""
    figures, seconds = re.fullmatch(r"(.*?)  +(\d+\.\d) s", line).groups()
    assert 0.0 <= float(seconds) < 60.0
    return figures


def test_verbose_prints_a_line_an_epoch_and_the_decision(capsys):
    monitor = Monitor(0.125, 2, True)
    train(monitor, [1.5, 0.25])
    monitor.announce_stall("Stopping.")
    *epochs, decision, stops = capsys.readouterr().out.splitlines()
    decision = f"{decision}\n{stops}"
    assert [without_seconds(line) for line in epochs] == [
        "Iteration    1  loss 1.5",
        "Iteration    2  loss 0.25",
    ]
    assert decision == ("Training loss did not improve more than tol=0.125 for 2 consecutive epochs.\nStopping.")


def test_verbose_prints_the_score_and_the_learning_rate_too(capsys):
    monitor, params = stopping(0.125, 2, 1, 0.75, -0.5), parameters()
    monitor.start(params, trained=False)
    monitor.record(1.5, params, 0.025)
    monitor.record(1.25, params, 1e-9)
    monitor.announce_stall("Stopping.")
    *epochs, decision, stops = capsys.readouterr().out.splitlines()
    decision = f"{decision}\n{stops}"
    assert [without_seconds(line) for line in epochs] == [
        "Iteration    1  loss 1.5       validation score 0.75       rate 0.025",
        "Iteration    2  loss 1.25      validation score -0.5       rate 1.000e-9",
    ]
    assert decision == ("Validation score did not improve more than tol=0.125 for 2 consecutive epochs.\nStopping.")


def test_the_figures_stand_below_one_another(capsys):
    monitor = Monitor(0.0, np.inf, True, scores(*np.linspace(-1.0, 1.0, 9_999)))
    params = parameters()
    monitor.start(params, trained=False)
    for loss in np.logspace(3.9, -2.9, 9_999):
        monitor.record(loss, params, loss)
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    for label in ("loss", "validation score", "rate", " s"):
        assert len({line.index(label) for line in lines}) == 1


@pytest.mark.parametrize("verbose", [1, True, 2])
def test_what_is_no_terminal_gets_lines(verbose, capsys):
    monitor = Monitor(0.0, 10, verbose)
    train(monitor, [1.0, 0.5, 0.25])
    monitor.finish()
    out = capsys.readouterr().out
    assert out.count("\n") == len(out.splitlines()) == 3
    assert not set(out) & {"\r", "\x1b"}


@contextlib.contextmanager
def on_a_terminal(monkeypatch, columns=80):
    """A pseudo-terminal in the place of standard output; what it was sent is in the list afterwards."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are for POSIX")
    monkeypatch.setenv("COLUMNS", str(columns))
    ours, theirs = pty.openpty()
    sent = []

    def read():
        text = ""
        while not text.endswith("END"):
            text += os.read(ours, 1000).decode()
        sent.append(text.removesuffix("END"))

    # A terminal that nobody reads from takes a few kilobytes, and then makes the writer wait.
    reader = threading.Thread(target=read)
    reader.start()
    with open(theirs, "w") as terminal:
        try:
            with contextlib.redirect_stdout(terminal):
                yield sent
        finally:
            terminal.write("END")
            terminal.flush()
            reader.join()
            os.close(ours)


def visible(sent):
    """The lines that a terminal shows after what was sent to it."""
    lines, column = [""], 0
    for piece in re.split("(\r\n|\r|\x1b\\[K)", sent):
        if piece == "\r\n":
            lines.append("")
            column = 0
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[K":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column] + piece + lines[-1][column + len(piece) :]
            column += len(piece)
    return lines


def test_on_a_terminal_verbose_2_is_one_line_that_is_written_over(monkeypatch):
    with on_a_terminal(monkeypatch) as sent:
        monitor = Monitor(0.0, 10, 2)
        params = train(monitor, [1e9])
        time.sleep(0.11)  # it is written again no sooner
        for loss in (0.25, 0.125):
            monitor.record(loss, params)
        monitor.finish()
    text = sent[0]
    assert text.count("\n") == 1
    shown = [without_seconds(line) for line in re.findall("\r(Iteration[^\r\x1b]*)\x1b", text)]
    assert list(dict.fromkeys(shown)) == [
        "Iteration    1  loss 1.000e9",
        "Iteration    2  loss 0.25",
        "Iteration    3  loss 0.125",  # the last, whenever it came
    ]
    last, rest = visible(text)
    assert (without_seconds(last), rest) == (shown[-1], "")


def test_a_live_line_is_written_at_most_ten_times_a_second(monkeypatch):
    start = time.perf_counter()
    with on_a_terminal(monkeypatch) as sent:
        monitor = Monitor(0.0, np.inf, 2)
        train(monitor, [1.0] * 300)
        seconds = time.perf_counter() - start
        monitor.finish()
    assert (
        2 <= sent[0].count("\r") - 1 <= 10 * seconds + 2
    )  # the first, one each tenth of a second, the end; a line's end
    assert without_seconds(visible(sent[0])[0]) == "Iteration  300  loss 1"


def test_a_live_line_is_no_wider_than_the_terminal(monkeypatch):
    with on_a_terminal(monkeypatch, columns=60) as sent:
        monitor, params = Monitor(0.0, 10, 2, scores(0.5)), parameters()
        monitor.start(params, trained=False)
        monitor.record(1.0, params, 0.1)
        monitor.finish()
    line, rest = visible(sent[0])
    assert len(line) == 59
    assert line.startswith("Iteration    1  loss 1         validation")
    assert rest == ""


def test_a_decision_stays_above_the_live_line(monkeypatch):
    with on_a_terminal(monkeypatch) as sent:
        monitor = Monitor(0.125, 2, 2)
        params = train(monitor, [1.0, 1.0])
        monitor.announce_stall("Setting learning rate to 0.2")
        monitor.record(0.5, params)
        monitor.finish()
    before, *decision, after, rest = visible(sent[0])
    assert without_seconds(before) == "Iteration    2  loss 1"
    assert " ".join(decision).endswith("consecutive epochs. Setting learning rate to 0.2")
    assert without_seconds(after) == "Iteration    3  loss 0.5"
    assert rest == ""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_with_verbose_2_leaves_one_line_on_a_terminal(solver, early_stopping, monkeypatch):
    X = np.random.RandomState(0).normal(size=(60, 4))
    clf = BackpropClassifier((5,), solver=solver, max_iter=8, random_state=0, verbose=2, early_stopping=early_stopping)
    with on_a_terminal(monkeypatch, columns=200) as sent:
        clf.fit(X, np.sign(X[:, 0]))
    line, rest = visible(sent[0])
    assert without_seconds(line).startswith(f"Iteration    {clf.n_iter_}  loss ")
    assert ("validation score" in line) == early_stopping
    assert ("rate 0.001" in line) == (clf.learning_rate_curve_ is not None)
    assert rest == ""
    assert clf.n_iter_ > 1


@pytest.mark.parametrize("verbose", [1, True])
def test_on_a_terminal_verbose_1_prints_lines(verbose, monkeypatch):
    with on_a_terminal(monkeypatch) as sent:
        monitor = Monitor(0.0, 10, verbose)
        train(monitor, [1.0, 0.5, 0.25])
        monitor.finish()
    *lines, rest = visible(sent[0])
    assert [without_seconds(line) for line in lines] == [
        "Iteration    1  loss 1",
        "Iteration    2  loss 0.5",
        "Iteration    3  loss 0.25",
    ]
    assert rest == ""
    assert "\x1b" not in sent[0]


def test_otherwise_it_is_silent(capsys):
    monitor = stopping(0.125, 2, False, 0.75)
    train(monitor, [1.5])
    monitor.announce_stall("Stopping.")
    monitor.finish()
    assert capsys.readouterr().out == ""


def interrupted_at(k, monitor, params):
    """Record an epoch and interrupt that at its k-th bytecode; whether there was one."""
    left = k

    def trace(frame, event, arg):
        nonlocal left
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


def test_an_interrupt_leaves_an_epoch_with_all_its_figures_or_with_none():
    k, lengths = 0, set()
    while True:
        monitor, params = stopping(0.0, 10, False, 0.1, 0.2, 0.3), parameters(1.0)
        monitor.start(params, trained=False)
        monitor.record(2.0, params)
        params.vector[...] = 2.0
        if not interrupted_at(k, monitor, params):
            break
        n_iter = monitor.n_iter
        assert len(monitor.loss_curve) == n_iter
        assert monitor.validation_scores == [0.1, 0.2][:n_iter]
        assert monitor.validation_loss_curve == [1.0, 2.0][:n_iter]
        assert (monitor.best_validation_score, monitor.best_iter) == (monitor.validation_scores[-1], n_iter)
        monitor.restore_best(params)
        assert params.vector[0] == n_iter
        monitor.record(0.5, params)
        assert monitor.loss_curve == ([2.0, 1.0, 0.5] if n_iter == 2 else [2.0, 0.5])
        lengths.add(n_iter)
        k += 1
    assert k > 100
    assert lengths == {1, 2}
