"""The lines that a verbose fit prints."""

import re

import pytest
from numpy.testing import assert_allclose
from registries import SOLVERS, UPDATES
from small_networks import small
from toy_datasets import linear_rule

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_a_line_for_each_iteration(solver, early_stopping, capsys):
    X, y = linear_rule("binary")
    clf = small(solver=solver, early_stopping=early_stopping, max_iter=4, verbose=True).fit(X, y)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split("  loss ")[0] for line in lines] == [f"Iteration    {k}" for k in range(1, clf.n_iter_ + 1)]
    figures = {
        "loss": clf.loss_curve_,
        "validation score": clf.validation_scores_,
        "rate": clf.learning_rate_curve_,
    }
    for label, expected in figures.items():
        printed = [float(figure) for figure in re.findall(rf"  {label} ([\d.e+-]+) ", out)]
        assert_allclose(printed, expected or [], rtol=5e-4)
    assert (clf.validation_scores_ is not None, clf.learning_rate_curve_ is not None) == (
        early_stopping,
        solver in UPDATES,
    )
    seconds = [float(re.search(r" (\d+\.\d) s$", line)[1]) for line in lines]
    assert seconds == sorted(seconds)
    assert len({len(line) for line in lines}) == 1
    clf.set_params(verbose=False).fit(X, y)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("solver_options", "n"), [({"maxiter": 3}, 3), ({"maxiter": 12}, 12), ({"maxiter": None}, 5)])
def test_verbose_counts_up_to_the_maxiter_of_solver_options(solver_options, n, capsys):
    X, y = linear_rule("binary")
    clf = small(solver="lbfgs", solver_options=solver_options, verbose=True).fit(X, y)
    assert clf.n_iter_ == n
    assert [line.split("  loss")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"Iteration {k:>4}" for k in range(1, n + 1)
    ]


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_1_and_2_print_the_same_without_a_terminal(verbose, capsys):
    X, y = linear_rule("binary")

    def printed(verbose):
        small(verbose=verbose, early_stopping=True, learning_rate="cosine").fit(X, y)
        return [line.rpartition("  ")[0] for line in capsys.readouterr().out.splitlines()]

    assert printed(verbose) == printed(True)
    assert len(printed(verbose)) == 5


def test_verbose_prints_why_training_stops_and_when_the_learning_rate_falls(capsys):
    X, y = linear_rule("binary")
    common = {"solver": "sgd", "verbose": True, "max_iter": 100, "tol": 1.0, "n_iter_no_change": 1}
    small(**common).fit(X, y)
    assert re.search(r"(?s)Training loss did not improve .* tol=1 for 1 .*Stopping", capsys.readouterr().out)
    small(learning_rate="adaptive", **common).fit(X, y)
    assert "Setting learning rate to 0.0002" in capsys.readouterr().out.replace("\n", " ")
