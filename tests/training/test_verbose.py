"""Verbose fits print lines of at most 80 characters with the figures of the fitted attributes."""

import io
import math
import re
from contextlib import contextmanager, redirect_stdout

import numpy as np
import pytest

from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# A few epochs neither converge nor learn.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skbp.NothingLearnedWarning"),
]


@pytest.fixture
def X(linear_rule):
    return linear_rule(n_rows=45, noise=0.0)[0]


@pytest.fixture
def y(linear_rule):
    return linear_rule(n_rows=45, noise=0.0)[1]


NETS = [BackpropClassifier, BackpropClassifierCV]
BOTH = pytest.mark.parametrize("Net", NETS)


def small(Net=BackpropClassifier, **params):
    params = {"hidden_layer_sizes": (3,), "max_iter": 4, "random_state": 0, "verbose": 1, "tol": 0.0, **params}
    return Net(**params | ({"cv": 3, "n_repeats": 1} if Net is BackpropClassifierCV else {}))


class Terminal(io.StringIO):
    """Keeps the text that it is sent, and says that it is a terminal."""

    def isatty(self):
        return True

    def lines(self):
        """Every line that it has ever shown."""
        return [line.replace("\x1b[K", "") for line in re.split("[\r\n]", self.getvalue())]


@contextmanager
def on_a_terminal(monkeypatch, columns=200):
    """A terminal as standard output. It is wide, so that its width does not shorten any line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    with redirect_stdout(Terminal()) as terminal:
        yield terminal


def of_a_scorer(estimator, X, y):
    return -1.2345e-5 - estimator.predict_proba(X)[0, 0] * 1e-9


SCORINGS = {"None": None, "loss": "loss", "roc_auc_ovr": "roc_auc_ovr", "callable": of_a_scorer}
# Parameters, and whether fit gets validation data.
VALIDATION = {
    "none": ({}, False),
    "early stopping": ({"early_stopping": True, "validation_fraction": 0.4}, False),
    "X_val": ({}, True),
    "both": ({"early_stopping": True}, True),
}


@pytest.mark.filterwarnings("ignore::skbp.UnusedParameterWarning")
@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("validation", VALIDATION)
@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_lines_of_one_network_are_narrow_and_right(solver, scoring, validation, verbose, X, y, printed, capsys):
    params, own = VALIDATION[validation]
    arguments = {"X_val": X, "y_val": y} if own else {}
    clf = small(solver=solver, scoring=SCORINGS[scoring], verbose=verbose, **params).fit(X, y, **arguments)
    out = capsys.readouterr().out
    printed.assert_narrow(out.splitlines())
    lines = printed.epochs(out)
    assert [int(line["n"]) for line in lines] == list(range(1, clf.n_iter_ + 1))
    printed.assert_four_digits(printed.figures(lines, "loss"), clf.loss_curve_)
    if validation == "none":
        assert {line["name"] for line in lines} == {None}
    elif scoring == "loss":
        assert {line["name"] for line in lines} == {"validation loss"}
        printed.assert_four_digits(printed.figures(lines, "score"), clf.validation_loss_curve_)
        assert min(printed.figures(lines, "score")) > 0.0
    else:
        assert {line["name"] for line in lines} == {"validation score"}
        printed.assert_four_digits(printed.figures(lines, "score"), clf.validation_scores_)
    if solver in UPDATES:
        printed.assert_four_digits(printed.figures(lines, "rate"), clf.learning_rate_curve_)
    else:
        assert {line["rate"] for line in lines} == {None}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("verbose", [1, 2])
def test_lines_of_several_networks_are_narrow_and_right(solver, verbose, X, y, printed, capsys):
    clf = small(BackpropClassifierCV, solver=solver, verbose=verbose, max_iter=12).fit(X, y)
    out = capsys.readouterr().out
    printed.assert_narrow(out.splitlines())
    lines = printed.epochs(out)
    assert {line["name"] for line in lines} == {"validation loss"}
    losses = [member.loss_curve_ for member in clf.members_]
    if solver in UPDATES:
        assert len(lines) == clf.n_iter_
        printed.assert_four_digits(printed.figures(lines, "loss"), np.mean(losses, axis=0))
        # The folds are looked at after some epochs only, and always after the last.
        wanted = np.mean(clf.validation_loss_curves_, axis=0)
        assert np.isfinite(wanted[-1])
        printed.assert_four_digits(printed.figures(lines, "score"), wanted)
        printed.assert_four_digits(printed.figures(lines, "rate"), clf.members_[0].learning_rate_curve_)
    else:
        printed.assert_four_digits(printed.figures(lines, "loss"), np.concatenate(losses))
        printed.assert_four_digits(printed.figures(lines, "score"), np.concatenate(clf.validation_loss_curves_))


@BOTH
@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.4])
@pytest.mark.parametrize("schedule", [*SCHEDULES, lambda progress: 1e-7 / 3], ids=[*SCHEDULES, "function"])
def test_lines_are_narrow_with_every_schedule(schedule, warmup_fraction, verbose, Net, X, y, printed, monkeypatch):
    clf = small(Net, learning_rate=schedule, warmup_fraction=warmup_fraction, verbose=verbose, max_iter=9)
    with on_a_terminal(monkeypatch) as terminal:
        clf.fit(X, y)
    printed.assert_narrow(terminal.lines())
    last = [line for line in terminal.lines() if line.startswith("Iteration")][-1]
    curve = getattr(clf, "members_", [clf])[0].learning_rate_curve_
    assert int(printed.parsed(last)["n"]) == len(curve) == 9
    printed.assert_four_digits(float(printed.parsed(last)["rate"]), curve[-1])


@BOTH
@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("solver", SOLVERS)
def test_lines_on_a_terminal_are_narrow_and_the_last_figures_stay(solver, verbose, Net, X, y, printed, monkeypatch):
    with on_a_terminal(monkeypatch) as terminal:
        clf = small(Net, solver=solver, verbose=verbose).fit(X, y)
    printed.assert_narrow(terminal.lines())
    text = terminal.getvalue()
    assert text.endswith("\n")
    last = printed.parsed([line for line in terminal.lines() if line][-1])
    member = getattr(clf, "members_", [clf])[-1]
    assert int(last["n"]) == len(member.loss_curve_)
    losses = [m.loss_curve_[-1] for m in getattr(clf, "members_", [clf])]
    printed.assert_four_digits(float(last["loss"]), np.mean(losses) if solver in UPDATES else losses[-1])
    live = verbose == 2
    assert ("\r" in text) == ("\x1b[K" in text) == live
    if not live:
        side_by_side = solver in UPDATES
        members = getattr(clf, "members_", [clf])
        assert text.count("\n") == sum(len(m.loss_curve_) for m in (members[:1] if side_by_side else members))


@pytest.mark.parametrize("columns", [20, 40, 79])
def test_a_live_line_is_narrower_than_a_narrow_terminal(columns, X, y, monkeypatch):
    with on_a_terminal(monkeypatch, columns) as terminal:
        small(verbose=2, early_stopping=True).fit(X, y)
    lines = [line for line in terminal.lines() if line]
    assert max(map(len, lines)) < columns
    assert lines[-1].startswith("Iteration    4")


@pytest.mark.parametrize("scoring", ["loss", None, lambda estimator, X, y: -0.98765], ids=["loss", "None", "callable"])
def test_lines_of_more_than_9999_epochs_are_narrow(scoring, X, y, printed, capsys):
    params = {"max_iter": 10_050, "n_iter_no_change": np.inf, "learning_rate_init": 1e-9, "hidden_layer_sizes": (1,)}
    clf = small(scoring=scoring, early_stopping=True, **params).fit(X[:6], y[:6], X_val=X[:5], y_val=y[:5])
    out = capsys.readouterr().out
    printed.assert_narrow(out.splitlines())
    lines = printed.epochs(out)
    assert int(lines[-1]["n"]) == clf.n_iter_ == 10_050
    printed.assert_four_digits(printed.figures(lines, "loss"), clf.loss_curve_)
    wanted = clf.validation_loss_curve_ if scoring == "loss" else clf.validation_scores_
    printed.assert_four_digits(printed.figures(lines, "score"), wanted)


def network_of_logit(logit):
    """Data and initial weights of a network without hidden layers. Every row has this logit, negated in the first class."""
    signs = np.array([-1.0, 1.0] * 10)
    return signs[:, None], (signs > 0).astype(int), {"coef_init": [[[logit]]], "intercept_init": [[0.0]]}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("scoring", [None, "loss"])
@pytest.mark.parametrize("rate", [1e-300, 1e-120, 1e-12])
@pytest.mark.parametrize("logit", [700.0, 300.0, 20.0, -5.0, -12345.678, -1.2345e100, -1.2345e300])
@pytest.mark.parametrize("verbose", [1, 2])
def test_lines_of_huge_and_tiny_losses_are_narrow_and_right(verbose, logit, rate, scoring, printed, capsys):
    rows, labels, initial = network_of_logit(logit)
    params = {"hidden_layer_sizes": (), "solver": "sgd", "alpha": 0.0, "learning_rate_init": rate, "verbose": verbose}
    clf = small(**params, scoring=scoring, max_iter=2)
    clf.fit(rows, labels, X_val=rows, y_val=labels, **initial)
    out = capsys.readouterr().out
    printed.assert_narrow(out.splitlines())
    lines = printed.epochs(out)
    printed.assert_four_digits(printed.figures(lines, "loss"), clf.loss_curve_)
    printed.assert_four_digits(printed.figures(lines, "rate"), clf.learning_rate_curve_)
    wanted = clf.validation_loss_curve_ if scoring == "loss" else clf.validation_scores_
    printed.assert_four_digits(printed.figures(lines, "score"), wanted)
    assert math.isclose(clf.loss_curve_[0], np.logaddexp(0.0, -logit), rel_tol=1e-9)


@pytest.mark.parametrize(
    "score", [1.2345e-100, -1.2345e-100, 1.2345e100, -1.2345e100, -12345.678, 1e-9, -0.98765, 1234567]
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_lines_of_any_score_are_narrow_and_right(score, solver, X, y, printed, capsys):
    clf = small(solver=solver, early_stopping=True, scoring=lambda estimator, X, y: score).fit(X, y)
    out = capsys.readouterr().out
    printed.assert_narrow(out.splitlines())
    printed.assert_four_digits(printed.figures(printed.epochs(out), "score"), clf.validation_scores_)


# Decisions


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("solver", UPDATES)
@pytest.mark.parametrize("scoring", [None, "loss"])
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_decisions_are_wrapped(learning_rate, scoring, solver, verbose, X, y, printed, capsys):
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
    printed.assert_narrow(out.splitlines())
    decision = " ".join(line for line in out.splitlines() if not line.startswith("Iteration"))
    what = "Validation loss" if scoring else "Training loss"
    assert decision.startswith(f"{what} did not improve more than tol=10 for 1 consecutive epochs.")
    assert decision.endswith("Stopping.")
    assert ("Setting learning rate to" in decision) == (learning_rate == "adaptive")


@pytest.mark.parametrize("solver", SCIPY_METHODS)
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_decisions_of_early_stopping_by_scipy_are_wrapped(scoring, solver, X, y, printed, capsys):
    params = {"tol": 1e-4, "n_iter_no_change": 1, "max_iter": 99, "alpha": 1e-9}
    constant = {"scoring": lambda estimator, X, y: 0.5} if scoring is None else {"scoring": scoring}
    small(solver=solver, early_stopping=True, **params, **constant).fit(X, y, X_val=X, y_val=(y + 1) % 3)
    out = capsys.readouterr().out
    printed.assert_narrow(out.splitlines())
    decision = " ".join(line for line in out.splitlines() if not line.startswith("Iteration"))
    what = "Validation loss" if scoring else "Validation score"
    assert decision == f"{what} did not improve more than tol=0.0001 for 1 consecutive epochs. Stopping."


@BOTH
@pytest.mark.parametrize("verbose", [0, False])
def test_without_verbose_nothing_is_printed(verbose, Net, X, y, capsys):
    small(Net, verbose=verbose, tol=10.0, n_iter_no_change=1, max_iter=9).fit(X, y)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
