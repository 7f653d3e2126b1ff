"""The printer writes a line for every epoch, or one line again and again, and no line is too wide."""

import contextlib
import itertools
import math
import os
import re
import threading
import time

import numpy as np
import pytest

from skbp import BackpropClassifier
from skbp._training.history import History, StackHistory
from skbp._training.monitor import Monitor
from skbp._training.printer import LINE_WIDTH, Printer
from skbp._training.solvers import SOLVERS


def verbose(level, tol=0.0, n_iter_no_change=10, held_out=None, *, score_is_loss=False):
    """A monitor that prints."""
    history = History(tol, n_iter_no_change, held_out is not None, held_out is not None)
    return Monitor(history, held_out, [Printer(level, score_is_loss)])


def scores(*values):
    """Held-out rows with these scores one after the other."""
    remaining = iter(values)
    return lambda params: (next(remaining), math.nan)


@pytest.fixture
def record(parameters):
    """A function that reports epochs to a monitor."""

    def record(monitor, losses, learning_rates=None):
        params = parameters()
        monitor.start(params)
        for k, loss in enumerate(losses):
            monitor.record(loss, params, None if learning_rates is None else learning_rates[k])
        return params

    return record


def without_seconds(line):
    """The line without its last figure, which is the time since the start."""
    figures, seconds = re.fullmatch(r"(.*?)  +(\d+\.\d) s", line).groups()
    assert 0.0 <= float(seconds) < 60.0
    return figures


# Lines


def test_there_is_a_line_for_every_epoch_and_one_for_a_decision(record, capsys):
    monitor = verbose(True, 0.125, 2)
    record(monitor, [1.5, 0.25])
    monitor.announce_stall("Stopping.")
    *epochs, decision, stops = capsys.readouterr().out.splitlines()
    assert [without_seconds(line) for line in epochs] == [
        "Iteration    1  loss 1.5",
        "Iteration    2  loss 0.25",
    ]
    assert decision == "Training loss did not improve more than tol=0.125 for 2 consecutive epochs."
    assert stops == "Stopping."


def test_a_line_has_the_score_and_the_learning_rate_too(record, capsys):
    monitor = verbose(1, 0.125, 2, scores(0.75, -0.5))
    record(monitor, [1.5, 1.25], [0.025, 1e-9])
    monitor.announce_stall("Stopping.")
    *epochs, decision, stops = capsys.readouterr().out.splitlines()
    assert [without_seconds(line) for line in epochs] == [
        "Iteration    1  loss 1.5       validation score 0.75       rate 0.025",
        "Iteration    2  loss 1.25      validation score -0.5       rate 1.000e-9",
    ]
    assert decision == "Validation score did not improve more than tol=0.125 for 2 consecutive epochs."
    assert stops == "Stopping."


def test_a_score_that_is_a_loss_is_shown_as_a_loss(record, capsys):
    monitor = verbose(1, 0.125, 2, scores(-0.75), score_is_loss=True)
    record(monitor, [1.5])
    monitor.announce_stall("Stopping.")
    epoch, decision, *_ = capsys.readouterr().out.splitlines()
    assert without_seconds(epoch) == "Iteration    1  loss 1.5       validation loss 0.75"
    assert decision.startswith("Validation loss did not improve")


def test_a_stack_has_one_line_with_the_means_over_the_members_that_are_left(parameters, capsys):
    found = iter([np.array([0.5, 1.0, 0.75]), np.array([0.25, math.nan, 0.75])])
    history = StackHistory(3, 0.0, 10, True, False)
    monitor = Monitor(history, lambda params: (next(found), np.zeros(3)), [Printer(1)])
    params = parameters(members=(3,))
    monitor.start(params)
    monitor.record(np.array([1.0, 2.0, 3.0]), params)
    history.goes_on(np.array([True, False, True]))
    monitor.record(np.array([1.0, math.nan, 2.0]), params)
    lines = [without_seconds(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Iteration    1  loss 2         validation score 0.75",
        "Iteration    2  loss 1.5       validation score 0.5",
    ]


def test_the_figures_are_in_columns(record, capsys):
    monitor = verbose(True, held_out=scores(*np.linspace(-1.0, 1.0, 9_999)))
    losses = np.logspace(3.9, -2.9, 9_999)
    record(monitor, losses, losses)
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    for label in ("loss", "validation score", "rate", " s"):
        assert len({line.index(label) for line in lines}) == 1


@pytest.mark.parametrize("level", [1, True, 2])
def test_lines_go_to_everything_that_is_no_terminal(level, record, capsys):
    monitor = verbose(level)
    record(monitor, [1.0, 0.5, 0.25])
    monitor.close()
    out = capsys.readouterr().out
    assert out.count("\n") == len(out.splitlines()) == 3
    assert not set(out) & {"\r", "\x1b"}


# Terminals


@contextlib.contextmanager
def on_a_terminal(monkeypatch, columns=80):
    """A pseudo-terminal as standard output. Afterwards the list has the text that it was sent."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are for POSIX")
    monkeypatch.setenv("COLUMNS", str(columns))
    ours, theirs = pty.openpty()
    sent = []

    def read():
        text = ""
        while not text.endswith("END"):
            text += os.read(ours, 1000).decode()
        sent.append(text.removesuffix("END"))

    # A terminal that nobody reads takes a few kilobytes. Then the writer has to wait.
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
    """The lines that a terminal shows after this text."""
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


def test_verbose_2_writes_one_line_again_and_again_on_a_terminal(record, monkeypatch):
    with on_a_terminal(monkeypatch) as sent:
        monitor = verbose(2)
        params = record(monitor, [1e9])
        time.sleep(0.11)  # it is not written again before
        for loss in (0.25, 0.125):
            monitor.record(loss, params)
        monitor.close()
    text = sent[0]
    assert text.count("\n") == 1
    shown = [without_seconds(line) for line in re.findall("\r(Iteration[^\r\x1b]*)\x1b", text)]
    assert list(dict.fromkeys(shown)) == [
        "Iteration    1  loss 1.000e9",
        "Iteration    2  loss 0.25",
        "Iteration    3  loss 0.125",  # the last is always written
    ]
    last, rest = visible(text)
    assert (without_seconds(last), rest) == (shown[-1], "")


def test_a_live_line_is_written_at_most_ten_times_a_second(record, monkeypatch):
    start = time.perf_counter()
    with on_a_terminal(monkeypatch) as sent:
        monitor = verbose(2, n_iter_no_change=np.inf)
        record(monitor, [1.0] * 300)
        seconds = time.perf_counter() - start
        monitor.close()
    # The first, one in each tenth of a second, the last, and the end of a line.
    assert 2 <= sent[0].count("\r") - 1 <= 10 * seconds + 2
    assert without_seconds(visible(sent[0])[0]) == "Iteration  300  loss 1"


def test_a_live_line_is_narrower_than_the_terminal(record, monkeypatch):
    with on_a_terminal(monkeypatch, columns=60) as sent:
        monitor = verbose(2, held_out=scores(0.5))
        record(monitor, [1.0], [0.1])
        monitor.close()
    line, rest = visible(sent[0])
    assert len(line) == 59
    assert line.startswith("Iteration    1  loss 1         validation")
    assert rest == ""


def test_a_decision_stays_above_the_live_line(record, monkeypatch):
    with on_a_terminal(monkeypatch) as sent:
        monitor = verbose(2, 0.125, 2)
        params = record(monitor, [1.0, 1.0])
        monitor.announce_stall("Setting learning rate to 0.2")
        monitor.record(0.5, params)
        monitor.close()
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


@pytest.mark.parametrize("level", [1, True])
def test_verbose_1_prints_lines_on_a_terminal_too(level, record, monkeypatch):
    with on_a_terminal(monkeypatch) as sent:
        monitor = verbose(level)
        record(monitor, [1.0, 0.5, 0.25])
        monitor.close()
    *lines, rest = visible(sent[0])
    assert [without_seconds(line) for line in lines] == [
        "Iteration    1  loss 1",
        "Iteration    2  loss 0.5",
        "Iteration    3  loss 0.25",
    ]
    assert rest == ""
    assert "\x1b" not in sent[0]


def test_without_a_printer_nothing_is_printed(record, capsys):
    monitor = Monitor(History(0.125, 2, True, True), scores(0.75))
    record(monitor, [1.5])
    monitor.announce_stall("Stopping.")
    monitor.close()
    assert capsys.readouterr().out == ""


# All figures that a line may have, for which a fit would take hours

LOSSES = [0.0, 1.2345e-300, 1.2345e-5, 0.00123456, 0.123456, 1234.56, 9999.6, 123456.7, 1.2345e12, 1.2345e300, math.inf]
SCORES = [
    None,
    math.nan,
    0.0,
    0.98765,
    -0.98765,
    1.2345e-5,
    -1.2345e-5,
    -1.2345e12,
    -1.2345e-100,
    -1.2345e300,
    -math.inf,
]
RATES = [None, 0.0, 0.001, 0.12345, 1.2345e-5, 1.2345e-300, 12345.6]
SECONDS = [0.0, 9.94, 99.96, 999.94, 1000.0, 12345.6, 360_000.0]


@pytest.fixture
def after_epochs(parameters):
    """A function that makes a monitor with many epochs."""

    def after_epochs(n_iter, validates):
        """A monitor that has recorded this many epochs."""
        monitor, params = Monitor(History(0.0, np.inf, validates)), parameters()
        monitor.start(params)
        for _ in range(n_iter):
            monitor.record(1.0, params)
        return monitor, params

    return after_epochs


@pytest.mark.parametrize("score_is_loss", [False, True])
@pytest.mark.parametrize("n_iter", [1, 9_999, 10_000, 99_999])
def test_no_line_is_too_wide_whatever_the_figures(n_iter, score_is_loss, printed, after_epochs, capsys):
    printer = Printer(1, score_is_loss)
    now = {validates: after_epochs(n_iter, validates) for validates in (False, True)}
    cases = list(itertools.product(LOSSES, SCORES, RATES, SECONDS))
    for loss, score, rate, seconds in cases:
        monitor, params = now[score is not None]
        monitor.seconds = seconds
        printer.end_epoch(loss, params, rate, (math.nan if score is None else score, math.nan), monitor)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(cases)
    wide = [line for line in lines if len(line) > LINE_WIDTH]
    assert not wide, f"{len(wide)} of {len(lines)}, such as {min(wide, key=len)!r}"
    sign = -1.0 if score_is_loss else 1.0
    for line, (loss, score, rate, seconds) in zip(map(printed.parsed, lines), cases, strict=True):
        assert int(line["n"]) == n_iter
        printed.assert_four_digits(float(line["loss"]), loss)
        assert (line["name"] is None) == (score is None)
        if score is not None:
            assert line["name"] == ("validation loss" if score_is_loss else "validation score")
            printed.assert_four_digits(float(line["score"] or "nan"), sign * score)
        assert (line["rate"] is None) == (rate is None)
        if rate is not None:
            printed.assert_four_digits(float(line["rate"]), rate)
        assert line["seconds"] is None or abs(float(line["seconds"]) - seconds) <= 0.5


@pytest.mark.parametrize("score_is_loss", [False, True])
def test_usual_lines_of_ten_thousand_epochs_and_some_minutes_are_narrow(score_is_loss, printed, after_epochs, capsys):
    printer = Printer(1, score_is_loss)
    monitor, params = after_epochs(10_000, True)
    for seconds in (0.1, 12.3, 123.4, 999.9, 1234.0, 98_765.0):
        monitor.seconds = seconds
        printer.end_epoch(0.1234, params, 0.001, (0.9876, math.nan), monitor)
    printed.assert_narrow(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("tol", [0.0, 1e-4, 1.23456789e-300, 1.23456789e300])
@pytest.mark.parametrize("n_iter_no_change", [1, 10**6, 10**30])
@pytest.mark.parametrize("level", [1, 2])
def test_decisions_of_any_figures_are_wrapped(tol, n_iter_no_change, level, printed, monkeypatch):
    with on_a_terminal(monkeypatch, columns=200) as sent:
        for score_is_loss in (False, True):
            monitor = verbose(level, tol, n_iter_no_change, scores(), score_is_loss=score_is_loss)
            monitor.announce_stall(f"Setting learning rate to {1.2345e-5:f}")
    printed.assert_narrow(visible(sent[0]))
    assert "  " not in sent[0]
