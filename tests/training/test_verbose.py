"""What `verbose` prints: lines of at most 80 characters, whose figures are those of the fitted attributes."""

import io
import itertools
import math
import re
from contextlib import contextmanager, redirect_stdout

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._training.monitor import LINE_WIDTH, Monitor, _Printer
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# A few epochs neither converge nor learn, and strange scales are meant. None of that is the point here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]

rng = np.random.RandomState(0)
X = rng.normal(size=(45, 4))
y = X[:, :3].argmax(axis=1)

NETS = [BackpropClassifier, BackpropClassifierCV]
BOTH = pytest.mark.parametrize("Net", NETS)


def small(Net=BackpropClassifier, **params):
    params = {"hidden_layer_sizes": (3,), "max_iter": 4, "random_state": 0, "verbose": 1, "tol": 0.0, **params}
    return Net(**params | ({"cv": 3} if Net is BackpropClassifierCV else {}))


class Terminal(io.StringIO):
    """Keeps what it is sent, and says that it is a terminal."""

    def isatty(self):
        return True

    def lines(self):
        """Every line that was ever to be seen on it."""
        return [line.replace("\x1b[K", "") for line in re.split("[\r\n]", self.getvalue())]


@contextmanager
def on_a_terminal(monkeypatch, columns=200):
    """A terminal in the place of standard output: a wide one, so that it is not its width that keeps lines short."""
    monkeypatch.setenv("COLUMNS", str(columns))
    with redirect_stdout(Terminal()) as terminal:
        yield terminal


FIGURE = r"(-?(?:\d[\d.e+-]*|inf))? *"
# Long figures leave no room for columns, and the longest none for the seconds.
LINE = re.compile(
    rf"Iteration +(?P<n>\d+) +loss {FIGURE.replace('(-', '(?P<loss>-', 1)}"
    rf"(?: *(?P<name>validation (?:loss|score))(?: {FIGURE.replace('(-', '(?P<score>-', 1)})?)?"
    rf"(?: *rate {FIGURE.replace('(-', '(?P<rate>-', 1)})?"
    r"(?: *(?P<seconds>\d+(?:\.\d)?) s)?"
)


def parsed(line):
    """What a line says, as a dict."""
    match = LINE.fullmatch(line)
    assert match, line
    return match.groupdict()


def iterations(out):
    return [parsed(line) for line in out.splitlines() if line.startswith("Iteration")]


def figures(lines, name):
    """The figures of a name, one a line; nan where there is none."""
    return [float(line[name] or "nan") for line in lines]


def assert_narrow(lines):
    assert lines
    assert max(map(len, lines)) <= 80, max(lines, key=len)


def assert_four_digits(printed, figures):
    assert_allclose(printed, figures, rtol=5.001e-4, atol=0.0)


def of_a_scorer(estimator, X, y):
    return -1.2345e-5 - estimator.predict_proba(X)[0, 0] * 1e-9


SCORINGS = {"None": None, "loss": "loss", "roc_auc_ovr": "roc_auc_ovr", "callable": of_a_scorer}
VALIDATION = {
    "none": ({}, {}),
    "early stopping": ({"early_stopping": True, "validation_fraction": 0.4}, {}),
    "X_val": ({}, {"X_val": X, "y_val": y}),
    "both": ({"early_stopping": True}, {"X_val": X, "y_val": y}),
}


@pytest.mark.filterwarnings("ignore::skbp.UnusedParameterWarning")
@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("validation", VALIDATION)
@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_lines_of_one_network_are_narrow_and_right(solver, scoring, validation, verbose, capsys):
    params, arguments = VALIDATION[validation]
    clf = small(solver=solver, scoring=SCORINGS[scoring], verbose=verbose, **params).fit(X, y, **arguments)
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    lines = iterations(out)
    assert [int(line["n"]) for line in lines] == list(range(1, clf.n_iter_ + 1))
    assert_four_digits(figures(lines, "loss"), clf.loss_curve_)
    if validation == "none":
        assert {line["name"] for line in lines} == {None}
    elif scoring == "loss":
        assert {line["name"] for line in lines} == {"validation loss"}
        assert_four_digits(figures(lines, "score"), clf.validation_loss_curve_)
        assert min(figures(lines, "score")) > 0.0
    else:
        assert {line["name"] for line in lines} == {"validation score"}
        assert_four_digits(figures(lines, "score"), clf.validation_scores_)
    if solver in UPDATES:
        assert_four_digits(figures(lines, "rate"), clf.learning_rate_curve_)
    else:
        assert {line["rate"] for line in lines} == {None}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("verbose", [1, 2])
def test_lines_of_several_networks_are_narrow_and_right(solver, verbose, capsys):
    clf = small(BackpropClassifierCV, solver=solver, verbose=verbose, max_iter=12).fit(X, y)
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    lines = iterations(out)
    assert {line["name"] for line in lines} == {"validation loss"}
    losses = [member.loss_curve_ for member in clf.members_]
    if solver in UPDATES:
        assert len(lines) == clf.n_iter_
        assert_four_digits(figures(lines, "loss"), np.mean(losses, axis=0))
        # They are looked at after some epochs only, at least after the last.
        wanted = np.mean(clf.validation_loss_curves_, axis=0)
        assert np.isfinite(wanted[-1])
        assert_four_digits(figures(lines, "score"), wanted)
        assert_four_digits(figures(lines, "rate"), clf.members_[0].learning_rate_curve_)
    else:
        assert_four_digits(figures(lines, "loss"), np.concatenate(losses))
        assert_four_digits(figures(lines, "score"), np.concatenate(clf.validation_loss_curves_))


@BOTH
@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.4])
@pytest.mark.parametrize("schedule", [*SCHEDULES, lambda progress: 1e-7 / 3], ids=[*SCHEDULES, "function"])
def test_lines_are_narrow_with_every_schedule(schedule, warmup_fraction, verbose, Net, monkeypatch):
    clf = small(Net, learning_rate=schedule, warmup_fraction=warmup_fraction, verbose=verbose, max_iter=9)
    with on_a_terminal(monkeypatch) as terminal:
        clf.fit(X, y)
    assert_narrow(terminal.lines())
    last = [line for line in terminal.lines() if line.startswith("Iteration")][-1]
    curve = getattr(clf, "members_", [clf])[0].learning_rate_curve_
    assert int(parsed(last)["n"]) == len(curve) == 9
    assert_four_digits(float(parsed(last)["rate"]), curve[-1])


@BOTH
@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("solver", SOLVERS)
def test_lines_on_a_terminal_are_narrow_and_the_last_figures_stay(solver, verbose, Net, monkeypatch):
    with on_a_terminal(monkeypatch) as terminal:
        clf = small(Net, solver=solver, verbose=verbose).fit(X, y)
    assert_narrow(terminal.lines())
    text = terminal.getvalue()
    assert text.endswith("\n")
    last = parsed([line for line in terminal.lines() if line][-1])
    member = getattr(clf, "members_", [clf])[-1]
    assert int(last["n"]) == len(member.loss_curve_)
    losses = [m.loss_curve_[-1] for m in getattr(clf, "members_", [clf])]
    assert_four_digits(float(last["loss"]), np.mean(losses) if solver in UPDATES else losses[-1])
    live = verbose == 2
    assert ("\r" in text) == ("\x1b[K" in text) == live
    if not live:
        side_by_side = solver in UPDATES
        members = getattr(clf, "members_", [clf])
        assert text.count("\n") == sum(len(m.loss_curve_) for m in (members[:1] if side_by_side else members))


@pytest.mark.parametrize("columns", [20, 40, 79])
def test_a_live_line_is_narrower_than_a_narrow_terminal(columns, monkeypatch):
    with on_a_terminal(monkeypatch, columns) as terminal:
        small(verbose=2, early_stopping=True).fit(X, y)
    lines = [line for line in terminal.lines() if line]
    assert max(map(len, lines)) < columns
    assert lines[-1].startswith("Iteration    4")


@pytest.mark.parametrize("scoring", ["loss", None, lambda estimator, X, y: -0.98765], ids=["loss", "None", "callable"])
def test_lines_of_more_than_9999_epochs_are_narrow(scoring, capsys):
    params = {"max_iter": 10_050, "n_iter_no_change": np.inf, "learning_rate_init": 1e-9, "hidden_layer_sizes": (1,)}
    clf = small(scoring=scoring, early_stopping=True, **params).fit(X[:6], y[:6], X_val=X[:5], y_val=y[:5])
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    lines = iterations(out)
    assert int(lines[-1]["n"]) == clf.n_iter_ == 10_050
    assert_four_digits(figures(lines, "loss"), clf.loss_curve_)
    wanted = clf.validation_loss_curve_ if scoring == "loss" else clf.validation_scores_
    assert_four_digits(figures(lines, "score"), wanted)


def network_of_logit(logit):
    """Data and initial weights of a network without hidden layers that is right by this logit in every row."""
    signs = np.array([-1.0, 1.0] * 10)
    return signs[:, None], (signs > 0).astype(int), {"coef_init": [[[logit]]], "intercept_init": [[0.0]]}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("scoring", [None, "loss"])
@pytest.mark.parametrize("rate", [1e-300, 1e-120, 1e-12])
@pytest.mark.parametrize("logit", [700.0, 300.0, 20.0, -5.0, -12345.678, -1.2345e100, -1.2345e300])
@pytest.mark.parametrize("verbose", [1, 2])
def test_lines_of_huge_and_tiny_losses_are_narrow_and_right(verbose, logit, rate, scoring, capsys):
    rows, labels, initial = network_of_logit(logit)
    params = {"hidden_layer_sizes": (), "solver": "sgd", "alpha": 0.0, "learning_rate_init": rate, "verbose": verbose}
    clf = small(**params, scoring=scoring, max_iter=2)
    clf.fit(rows, labels, X_val=rows, y_val=labels, **initial)
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    lines = iterations(out)
    assert_four_digits(figures(lines, "loss"), clf.loss_curve_)
    assert_four_digits(figures(lines, "rate"), clf.learning_rate_curve_)
    wanted = clf.validation_loss_curve_ if scoring == "loss" else clf.validation_scores_
    assert_four_digits(figures(lines, "score"), wanted)
    assert math.isclose(clf.loss_curve_[0], np.logaddexp(0.0, -logit), rel_tol=1e-9)


@pytest.mark.parametrize(
    "score", [1.2345e-100, -1.2345e-100, 1.2345e100, -1.2345e100, -12345.678, 1e-9, -0.98765, 1234567]
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_lines_of_any_score_are_narrow_and_right(score, solver, capsys):
    clf = small(solver=solver, early_stopping=True, scoring=lambda estimator, X, y: score).fit(X, y)
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    assert_four_digits(figures(iterations(out), "score"), clf.validation_scores_)


# The printer itself, for what would take hours


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


@pytest.mark.parametrize("score_is_loss", [False, True])
@pytest.mark.parametrize("n_iter", [1, 9_999, 10_000, 99_999])
def test_no_line_is_wider_whatever_the_figures(n_iter, score_is_loss, capsys):
    printer = _Printer(1, score_is_loss)
    cases = list(itertools.product(LOSSES, SCORES, RATES, SECONDS))
    for loss, score, rate, seconds in cases:
        printer.iteration(n_iter, loss, score, rate, seconds)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(cases)
    wide = [line for line in lines if len(line) > LINE_WIDTH]
    assert not wide, f"{len(wide)} of {len(lines)}, such as {min(wide, key=len)!r}"
    sign = -1.0 if score_is_loss else 1.0
    for line, (loss, score, rate, seconds) in zip(map(parsed, lines), cases, strict=True):
        assert_four_digits(float(line["loss"]), loss)
        assert (line["name"] is None) == (score is None)
        if score is not None:
            assert line["name"] == ("validation loss" if score_is_loss else "validation score")
            assert_four_digits(float(line["score"] or "nan"), sign * score)
        assert (line["rate"] is None) == (rate is None)
        if rate is not None:
            assert_four_digits(float(line["rate"]), rate)
        assert line["seconds"] is None or abs(float(line["seconds"]) - seconds) <= 0.5


@pytest.mark.parametrize("score_is_loss", [False, True])
def test_usual_lines_of_ten_thousand_epochs_and_some_minutes_are_narrow(score_is_loss, capsys):
    printer = _Printer(1, score_is_loss)
    for seconds in (0.1, 12.3, 123.4, 999.9, 1234.0, 98_765.0):
        printer.iteration(10_000, 0.1234, 0.9876, 0.001, seconds)
    assert_narrow(capsys.readouterr().out.splitlines())


# Remarks


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("solver", UPDATES)
@pytest.mark.parametrize("scoring", [None, "loss"])
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_remarks_are_wrapped(learning_rate, scoring, solver, verbose, capsys):
    params = {
        "learning_rate": learning_rate,
        "tol": 10.0,
        "n_iter_no_change": 1,
        "learning_rate_init": 1e-5,
        "max_iter": 99,
    }
    early_stopping = {"early_stopping": True, "scoring": scoring} if scoring else {}
    small(solver=solver, verbose=verbose, **params, **early_stopping).fit(X, y)
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    remark = " ".join(line for line in out.splitlines() if not line.startswith("Iteration"))
    what = "Validation loss" if scoring else "Training loss"
    assert remark.startswith(f"{what} did not improve more than tol=10 for 1 consecutive epochs.")
    assert remark.endswith("Stopping.")
    assert ("Setting learning rate to" in remark) == (learning_rate == "adaptive")


@pytest.mark.parametrize("solver", SCIPY_METHODS)
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_remarks_of_early_stopping_by_scipy_are_wrapped(scoring, solver, capsys):
    params = {"tol": 1e-4, "n_iter_no_change": 1, "max_iter": 99, "alpha": 1e-9}
    constant = {"scoring": lambda estimator, X, y: 0.5} if scoring is None else {"scoring": scoring}
    small(solver=solver, early_stopping=True, **params, **constant).fit(X, y, X_val=X, y_val=(y + 1) % 3)
    out = capsys.readouterr().out
    assert_narrow(out.splitlines())
    remark = " ".join(line for line in out.splitlines() if not line.startswith("Iteration"))
    what = "Validation loss" if scoring else "Validation score"
    assert remark == f"{what} did not improve more than tol=0.0001 for 1 consecutive epochs. Stopping."


@pytest.mark.parametrize("tol", [0.0, 1e-4, 1.23456789e-300, 1.23456789e300])
@pytest.mark.parametrize("n_iter_no_change", [1, 10**6, 10**30])
@pytest.mark.parametrize("verbose", [1, 2])
def test_remarks_of_any_figures_are_wrapped(tol, n_iter_no_change, verbose, monkeypatch):
    with on_a_terminal(monkeypatch) as terminal:
        for score_is_loss in (False, True):
            monitor = Monitor(tol, n_iter_no_change, verbose, early_stopping=True, score_is_loss=score_is_loss)
            monitor.announce_stall(f"Setting learning rate to {1.2345e-5:f}")
    assert_narrow(terminal.lines())
    assert "  " not in terminal.getvalue()


@BOTH
@pytest.mark.parametrize("verbose", [0, False])
def test_otherwise_nothing_is_printed(verbose, Net, capsys):
    small(Net, verbose=verbose, tol=10.0, n_iter_no_change=1, max_iter=9).fit(X, y)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
