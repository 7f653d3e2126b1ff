"""Parameters of an ensemble: verbose, and parameters with and without an effect."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from registries import SCIPY_SOLVERS, UPDATES
from small_ensembles import SOLVER_KINDS, small
from toy_datasets import even_folds

from skbp._training.solvers import SCIPY_METHODS

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def figures(output):
    """The numbers of every line: iteration, objective, validation loss."""
    found = []
    for line in output.splitlines():
        words = line.split()
        if words[0] == "Iteration":
            after = {word: words[i + 1] for i, word in enumerate(words[:-1])}
            losses = [words[i + 1] for i, word in enumerate(words) if word == "loss"]
            found.append((int(after["Iteration"]), *(float(loss) if loss != "rate" else np.nan for loss in losses)))
    return found


def test_verbose_lines_have_the_means_over_the_members(capsys):
    X, y = even_folds()
    clf = small(verbose=1, n_iter_no_change=1, tol=0.05, max_iter=50).fit(X, y)
    output = capsys.readouterr().out
    iterations, objectives, scores = np.array(figures(output)).T
    assert_array_equal(iterations, np.arange(1, clf.n_iter_ + 1))
    assert_allclose(objectives, np.mean([m.loss_curve_ for m in clf.members_], axis=0), rtol=5e-4)
    assert_allclose(scores, np.mean(clf.validation_loss_curves_, axis=0), rtol=5e-4)
    assert "Validation loss did not improve more than tol=0.05" in output


def test_verbose_prints_a_line_for_each_iteration_of_a_member_trained_alone(capsys):
    X, y = even_folds()
    clf = small(solver="lbfgs", verbose=1, cv=2, max_iter=4).fit(X, y)
    lines = figures(capsys.readouterr().out)
    curves = [np.c_[range(1, 5), member.loss_curve_, member.validation_loss_curve_] for member in clf.members_]
    assert_allclose(lines, np.vstack(curves), rtol=5e-4)


@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_nothing_is_printed_without_verbose(solver, capsys):
    X, y = even_folds()
    small(solver=solver, max_time=1e-9).fit(X, y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_power_t_has_an_effect_with_invscaling_only(solver):
    X, y = even_folds()
    expected = "learning_rate='constant'" if solver == "adam" else "solver='lbfgs'"
    with pytest.warns(UserWarning, match=f"power_t=0.3 has no effect with {expected}"):
        small(solver=solver, power_t=0.3).fit(X, y)


@pytest.mark.parametrize("solver", [*UPDATES, *SCIPY_SOLVERS])
def test_n_iter_no_change_has_an_effect_with_every_solver(solver):
    X, y = even_folds()
    params = {"solver": solver, "n_iter_no_change": 1, "tol": 0.3, "max_iter": 30}
    if solver in SCIPY_SOLVERS:
        params["solver_options"] = {SCIPY_METHODS[solver].tol: 1e-10}
    clf = small(**params).fit(X, y)
    # An improvement by 0.3 is rare. Training ends two iterations after the last one.
    assert clf.n_iter_ < 10


def test_dropout_may_be_given_as_an_array():
    X, y = even_folds("binary")
    one, other = (small(hidden_layer_sizes=(6, 5), dropout=d).fit(X, y) for d in (np.array([0.1, 0.2]), [0.1, 0.2]))
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
