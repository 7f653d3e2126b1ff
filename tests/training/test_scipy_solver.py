"""SciPy's methods: every iteration is recorded, every end is reported, and the parameters that remain are right."""

import gc
import math
import re
import weakref

import numpy as np
import pytest
import scipy
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version

from skbp import BackpropClassifier
from skbp._data.rows import Rows
from skbp._network.activations import ACTIVATIONS, Activation
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._training.outcome import SolverError
from skbp._training.scipy_methods import SCIPY_METHODS
from skbp._training.scipy_solver import LBFGS_FTOL, ScipySolver

every_method = pytest.mark.parametrize("method", list(SCIPY_METHODS))


@pytest.fixture
def elongated(LeastSquares):
    """A function that makes an objective with very different curvatures, for which a method needs some iterations."""

    def elongated(**given):
        return LeastSquares(LeastSquares.ELONGATED, **{"n_rows": 12, **given})

    return elongated


def largest_slope(on, theta):
    """The largest absolute element of the gradient by its formula."""
    return abs(on.curvature * (theta - on.minimum)).max()


# Iterations


@every_method
def test_every_iteration_is_recorded_with_the_objective_at_its_parameters(method, elongated, run):
    on = elongated()
    values = []

    def score(params):
        values.append(on.value())
        return float(len(values)), 0.0

    outcome, history = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200, held_out=score)
    assert (outcome.status, outcome.warning) == ("converged", "")
    assert history.n_iter == len(history.loss_curve) > 5
    assert history.loss_curve == pytest.approx(values, rel=1e-12)
    assert history.loss_curve == sorted(history.loss_curve, reverse=True)
    assert outcome.loss == history.loss_curve[-1]


@every_method
def test_every_evaluation_is_of_all_rows_and_counted_as_is_every_product(method, elongated, run):
    on = elongated(n_rows=17)
    outcome, history = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200)
    assert all(len(rows) == 17 for rows in on.visits)
    assert len(on.visits) >= history.n_iter
    assert (len(on.products) > 0) == (SCIPY_METHODS[method].hessian is not None)
    assert outcome.optimize_result["n_evaluations"] == len(on.visits)
    assert outcome.optimize_result["n_products"] == len(on.products)


@every_method
def test_scipy_gets_copies_of_the_gradient(method, LeastSquares, run, monkeypatch):
    # BFGS, CG and trust-ncg keep what they are given, and go astray if the next evaluation changes it. Some methods copy
    # it themselves, so the result of a run would not tell. So the function that SciPy gets is tested.
    minimize, changes = scipy.optimize.minimize, []

    def watched(fun, x0, **given):
        gradient = fun(x0)[1]
        before = gradient.copy()
        other = fun(x0 + 1.0)[1]
        changes.append(abs(gradient - before).max())
        assert abs(other - before).min() > 0.1
        return minimize(fun, x0, **given)

    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    run(ScipySolver(method, 1e-6, 1000), LeastSquares(), max_iter=5, tol=0.0)
    assert changes == [0.0]


class _Kinked:
    """An activation that counts the calls of its second derivative."""

    def __init__(self):
        self.calls = 0
        tanh = ACTIVATIONS["tanh"]

        def curvature(a, out):
            self.calls += 1
            return tanh.curvature(a, out)

        self.record = Activation(tanh.function, tanh.slope, curvature)
        self.calls = 0


@pytest.mark.parametrize("method", [name for name in SCIPY_METHODS if SCIPY_METHODS[name].hessian])
@pytest.mark.parametrize("hessian", ["auto", "exact", "gauss-newton"])
def test_hessian_says_which_matrix_the_products_are_with(method, hessian, run):
    # The Hessian has second derivatives of the activation, and the Gauss-Newton matrix has none.
    activation, rng = _Kinked(), np.random.RandomState(0)
    X, target = rng.normal(size=(30, 3)), rng.uniform(size=(30, 1)) < 0.5
    params = Parameters((3, 4, 1), np.float64)
    params.vector[...] = rng.normal(size=params.vector.size)
    objective = Objective(params, [activation.record], LOSSES["logistic"], 0.1)
    objective.rows = Rows(X, None, None, target, None)
    outcome, _ = run(ScipySolver(method, 1e-6, 1000, hessian), objective, max_iter=5)
    assert outcome.optimize_result["n_products"] > 0
    exact = SCIPY_METHODS[method].hessian == "exact" if hessian == "auto" else hessian == "exact"
    assert activation.calls == (outcome.optimize_result["n_products"] if exact else 0)


# Convergence


# TNC has a test of its own.
@pytest.mark.parametrize(
    "method", [name for name in SCIPY_METHODS if SCIPY_METHODS[name].tol == "gtol" and name != "tnc"]
)
@pytest.mark.parametrize("tol", [100.0, 1.0, 0.01])
def test_it_converges_as_soon_as_no_element_of_the_gradient_exceeds_tol(method, tol, elongated, run, Trace):
    on, trace = elongated(exact=True), Trace(0.0)
    outcome, _ = run(ScipySolver(method, tol, 1000), on, max_iter=200, n_iter_no_change=np.inf, held_out=trace)
    largest = [largest_slope(on, theta) for theta in trace.seen]
    assert outcome.status == "converged"
    assert largest[-1] <= tol < min(largest[:-1])


@pytest.mark.parametrize("tol", [100.0, 1.0, 0.01])
def test_tnc_converges_as_soon_as_the_norm_of_the_scaled_gradient_is_at_most_tol(tol, elongated, run, Trace):
    # TNC multiplies the gradient by 1 + abs(theta) at the start, which is 4 here. So it goes on for longer than the others.
    on, trace = elongated(exact=True), Trace(0.0)
    outcome, _ = run(ScipySolver("tnc", tol, 1000), on, max_iter=200, n_iter_no_change=np.inf, held_out=trace)
    norms = [4.0 * np.linalg.norm(on.curvature * (theta - on.minimum)) for theta in trace.seen]
    assert outcome.status == "converged"
    assert norms[-1] <= tol < min(norms[:-1])
    assert largest_slope(on, trace.seen[-1]) <= tol


@pytest.mark.parametrize("method", [name for name in SCIPY_METHODS if SCIPY_METHODS[name].tol == "xtol"])
@pytest.mark.parametrize("tol", [0.3, 0.01])
def test_it_converges_as_soon_as_the_mean_element_of_a_step_is_at_most_tol(method, tol, elongated, run, Trace):
    on, trace = elongated(exact=True), Trace(0.0)
    start = on.params.vector.copy()
    outcome, _ = run(ScipySolver(method, tol, 1000), on, max_iter=200, n_iter_no_change=np.inf, held_out=trace)
    steps = abs(np.diff([start, *trace.seen], axis=0)).mean(axis=1)
    assert outcome.status == "converged"
    assert steps[-1] <= tol < min(steps[:-1])


@every_method
def test_a_loss_that_does_not_fall_by_tol_does_not_end_it(method, elongated, run):
    # Patience is for the validation score. Without one the method's own test of the gradient decides.
    on = elongated(exact=True)
    outcome, history = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200, tol=1e6, n_iter_no_change=1)
    assert history.n_iter > 5
    assert_allclose(on.params.vector, on.minimum, atol=1e-3)
    assert outcome.status == "converged"


# Other ends


@every_method
def test_max_iter_is_named_with_its_value(method, elongated, run):
    on = elongated()
    outcome, history = run(ScipySolver(method, 1e-6, 1000), on, max_iter=3)
    assert (outcome.status, history.n_iter) == ("max_iter", 3)
    assert "Raise max_iter, now 3" in outcome.warning
    assert "after 3 iteration" in outcome.warning
    assert outcome.loss == pytest.approx(on.value(), rel=1e-12)
    assert outcome.loss == history.loss_curve[-1]


@every_method
def test_max_fun_is_named_with_its_value(method, elongated, run):
    on = elongated()
    outcome, _ = run(ScipySolver(method, 1e-6, 5), on, max_iter=200)
    assert outcome.status == "max_fun"
    assert "Raise max_fun, now 5" in outcome.warning
    assert "max_iter" not in outcome.warning
    assert 5 <= len(on.visits) <= 8  # SciPy may finish its line search
    assert outcome.loss == pytest.approx(on.value(), rel=1e-12)


@every_method
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_longer_finite_leave_the_last_finite_parameters(method, value, elongated, run):
    on = elongated(events=dict.fromkeys(range(6, 2000), value))
    with np.errstate(all="ignore"):
        outcome, history = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200)
    assert outcome.status in {"diverged", "failed"}
    assert outcome.warning
    assert history.n_iter >= 1
    assert np.isfinite(history.loss_curve).all()
    assert on.value() == pytest.approx(history.loss_curve[-1], rel=1e-12)
    assert outcome.loss == history.loss_curve[-1]


@every_method
@pytest.mark.parametrize("evaluation", [6, 9])
def test_an_interrupt_leaves_the_parameters_of_the_last_iteration(method, evaluation, elongated, run):
    on = elongated(events={evaluation: KeyboardInterrupt})
    outcome, history = run(ScipySolver(method, 1e-6, 1000), on, max_iter=200)
    assert outcome.status == "interrupted"
    assert history.n_iter >= 1
    assert on.value() == pytest.approx(history.loss_curve[-1], rel=1e-12)
    assert outcome.loss == history.loss_curve[-1]
    assert outcome.optimize_result["n_evaluations"] == evaluation - 1  # the interrupted one does not count
    assert outcome.optimize_result["max_gradient"] == pytest.approx(largest_slope(on, on.params.vector), rel=1e-10)


@every_method
def test_nothing_is_printed_unless_verbose(method, elongated, run, capfd):
    # SciPy's own printing does not go through the printer, and compiled code not even through sys.stdout.
    run(ScipySolver(method, 1e-6, 1000), elongated(), max_iter=20)
    assert capfd.readouterr() == ("", "")
    _, history = run(ScipySolver(method, 1e-6, 1000), elongated(), max_iter=20, verbose=True)
    printed = capfd.readouterr().out.splitlines()
    assert len(printed) == history.n_iter > 3
    for k, (line, loss) in enumerate(zip(printed, history.loss_curve, strict=True), start=1):
        assert re.fullmatch(rf"Iteration +{k}  loss {loss:.4g} +\d+\.\d s", line)


# Options


@every_method
def test_an_unknown_option_is_an_error_that_lists_the_known_ones(method, LeastSquares, run):
    solver = ScipySolver(method, 1e-6, 1000, options={SCIPY_METHODS[method].tol: 5, "gtoll": 1e-3, "disp": True})
    with pytest.raises(ValueError, match="does not know") as error:
        run(solver, LeastSquares())
    assert "['disp', 'gtoll']" in str(error.value)
    assert repr(method) in str(error.value)
    assert str(sorted(SCIPY_METHODS[method].options)) in str(error.value)


@every_method
def test_options_take_precedence_over_the_parameters(method, elongated, run):
    solver = ScipySolver(method, 1e-6, 1000)
    if "maxiter" in SCIPY_METHODS[method].options:
        solver.options = {"maxiter": 2}
        outcome, history = run(solver, elongated(), max_iter=100)
        assert (outcome.status, history.n_iter) == ("max_iter", 2)
        assert "Raise solver_options: maxiter, now 2" in outcome.warning
    _, strict = run(ScipySolver(method, 1e-6, 1000), elongated(), max_iter=100)
    solver.options = {SCIPY_METHODS[method].tol: 10.0}
    outcome, loose = run(solver, elongated(), max_iter=100)
    assert outcome.status == "converged"
    assert loose.n_iter < strict.n_iter


@pytest.mark.parametrize(("tol", "expected"), [(1.0, LBFGS_FTOL), (1e-4, LBFGS_FTOL), (1e-6, 1e-4 * LBFGS_FTOL)])
def test_ftol_of_lbfgs_follows_tol_below_its_default(tol, expected, LeastSquares, run, monkeypatch):
    minimize, given = scipy.optimize.minimize, []

    def watched(*args, options, **kwargs):
        given.append(options)
        return minimize(*args, options=options, **kwargs)

    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    run(ScipySolver("lbfgs", tol, 1000), LeastSquares())
    assert given[0]["ftol"] == pytest.approx(expected, rel=1e-12)
    assert given[0]["gtol"] == tol


# Errors


def test_an_error_of_scipy_before_the_first_iteration_is_a_solver_error(LeastSquares, run):
    solver = ScipySolver("bfgs", 1e-6, 1000, options={"hess_inv0": np.eye(7)})
    with pytest.raises(SolverError, match=r"solver='bfgs' calls, ended in an error with tol=1e-06") as error:
        run(solver, LeastSquares())
    cause = error.value.__cause__
    assert f"{type(cause).__name__}: {cause}" in str(error.value)


def test_an_error_of_scipy_after_some_iterations_keeps_the_training(elongated, run, monkeypatch):
    minimize = scipy.optimize.minimize

    def failing(*args, callback, **kwargs):
        n_calls = 0

        def failing_at_the_third(intermediate_result):
            nonlocal n_calls
            n_calls += 1
            callback(intermediate_result=intermediate_result)
            if n_calls == 3:
                raise ArithmeticError("too hard")

        return minimize(*args, callback=failing_at_the_third, **kwargs)

    monkeypatch.setattr(scipy.optimize, "minimize", failing)
    on = elongated()
    outcome, history = run(ScipySolver("bfgs", 1e-6, 1000), on, max_iter=50)
    assert (outcome.status, history.n_iter) == ("failed", 3)
    assert "ArithmeticError: too hard" in outcome.warning
    assert on.value() == pytest.approx(history.loss_curve[-1], rel=1e-12)


@every_method
@pytest.mark.parametrize(
    "error", [StopIteration("mine"), ZeroDivisionError("mine")], ids=lambda error: type(error).__name__
)
def test_an_error_of_the_users_function_arrives_unchanged(method, error, LeastSquares, run):
    def score(params):
        raise error

    with pytest.raises(type(error)) as caught:
        run(ScipySolver(method, 1e-6, 1000), LeastSquares(), held_out=score)
    assert caught.value is error


def test_the_parameters_keep_their_type(LeastSquares, run):
    on = LeastSquares(dtype=np.float32, exact=True)
    run(ScipySolver("lbfgs", 1e-6, 1000), on, max_iter=50)
    assert on.params.vector.dtype == np.float32
    assert_array_equal(on.visits[0], np.arange(10))


# Older versions keep the functions that they call in reference cycles of their own, until the garbage is collected.
@pytest.mark.skipif(parse_version(scipy.__version__) < parse_version("1.17"), reason="SciPy keeps its own references.")
@pytest.mark.parametrize("solver", SCIPY_METHODS)
def test_a_fit_that_ends_early_keeps_no_data_alive(solver):
    X, y = np.random.default_rng(0).standard_normal((40, 3)), np.arange(40) % 2
    data = weakref.ref(X)
    gc.collect()
    gc.disable()
    try:
        with pytest.warns(ConvergenceWarning):
            BackpropClassifier((4,), solver=solver, max_iter=1, tol=1e-12, random_state=0).fit(X, y)
        del X
        assert data() is None
    finally:
        gc.enable()
