"""Every solver minimises an objective, says how it ended, and leaves usable parameters."""

import math
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp._training.minibatch import MiniBatchSolver
from skbp._training.scipy_methods import SCIPY_METHODS
from skbp._training.scipy_solver import ScipySolver
from skbp._training.solvers import SOLVERS, parameters_of
from skbp._training.updates import UPDATES

ARGUMENTS = {"momentum": 0.9, "nesterovs_momentum": True, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}

every_solver = pytest.mark.parametrize("name", list(SOLVERS))


@pytest.fixture
def solver_named(mini_batches):
    """A function from the name of a solver to the solver."""

    def solver_named(name):
        if name in SCIPY_METHODS:
            return ScipySolver(name, 1e-8, max_fun=1000)
        rule = UPDATES[name]
        return mini_batches(rule(**{argument: ARGUMENTS[argument] for argument in rule.parameters}), shuffle=True)

    return solver_named


@pytest.fixture
def elongated(LeastSquares):
    """A function that makes an objective with very different curvatures, for which a method needs some iterations."""

    def elongated(**given):
        return LeastSquares(LeastSquares.ELONGATED / 100, n_rows=12, **given)

    return elongated


def test_every_solver_is_of_one_of_two_kinds():
    assert set(SOLVERS) == {*UPDATES, *SCIPY_METHODS}
    assert not UPDATES.keys() & SCIPY_METHODS.keys()


def test_the_parameters_of_a_solver_are_those_of_its_kind_and_its_own():
    assert parameters_of("sgd") == {*MiniBatchSolver.parameters, "momentum", "nesterovs_momentum"}
    assert parameters_of("adam") == {*MiniBatchSolver.parameters, "beta_1", "beta_2", "epsilon"}
    for name, method in SCIPY_METHODS.items():
        assert parameters_of(name) - {"hessian"} == set(ScipySolver.parameters)
        assert ("hessian" in parameters_of(name)) == (method.hessian is not None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_solver
def test_it_reaches_the_minimum(name, dtype, solver_named, LeastSquares, run):
    on = LeastSquares(exact=True, dtype=dtype)
    outcome, _ = run(solver_named(name), on, max_iter=400, tol=0.0)
    assert outcome.loss < 1e-6
    assert on.params.vector.dtype == dtype
    assert_allclose(on.params.vector, on.minimum, atol=1e-3)


@every_solver
def test_at_max_iter_it_says_what_to_raise(name, solver_named, elongated, run):
    outcome, history = run(solver_named(name), elongated(), max_iter=3)
    assert outcome.status == "max_iter"
    assert "max_iter" in outcome.warning
    assert "Raise" in outcome.warning
    assert history.n_iter == len(history.loss_curve) == 3


@pytest.mark.parametrize("evaluation", [1, 2, 5, 9])
@every_solver
def test_an_interrupt_leaves_usable_parameters(name, evaluation, solver_named, elongated, run):
    on = elongated(events={evaluation: KeyboardInterrupt})
    before = on.value()
    outcome, history = run(solver_named(name), on, max_iter=20)
    assert evaluation <= len(on.visits) <= evaluation + 1  # SciPy's methods evaluate once more at the end
    assert outcome.status == "interrupted"
    assert "interrupted" in outcome.warning
    assert f"after {history.n_iter} iterations" in outcome.warning
    assert np.isfinite(on.params.vector).all()
    assert on.value() <= before


@every_solver
def test_an_interrupt_during_early_stopping_leaves_the_best_parameters(name, solver_named, elongated, run, Trace):
    on = elongated()

    class InterruptingTrace(Trace):
        def __call__(self, params):
            if len(self.seen) == 2:
                on.events[len(on.visits) + 1] = KeyboardInterrupt
            return super().__call__(params)

    trace = InterruptingTrace(0.5, 0.75, 0.25)
    outcome, history = run(solver_named(name), on, max_iter=20, held_out=trace)
    assert outcome.status == "interrupted"
    assert history.n_iter == 3
    assert_array_equal(on.params.vector, trace.seen[1])


@every_solver
def test_a_validation_score_that_stops_rising_ends_training_at_the_best_parameters(
    name, solver_named, elongated, run, Trace, capsys
):
    trace, on = Trace(0.25, 0.5, 0.75, 0.5, 0.75, 0.25), elongated()
    outcome, history = run(solver_named(name), on, max_iter=50, n_iter_no_change=2, held_out=trace, verbose=True)
    assert (outcome.status, outcome.warning) == ("converged", "")
    assert history.n_iter == 6  # three epochs with an improvement, then n_iter_no_change + 1 epochs without
    assert history.validation_scores == [0.25, 0.5, 0.75, 0.5, 0.75, 0.25]
    assert_array_equal(on.params.vector, trace.seen[2])
    assert "Validation score did not improve" in capsys.readouterr().out


@every_solver
def test_a_first_value_that_is_not_finite_leaves_the_parameters_of_the_start(name, solver_named, LeastSquares, run):
    on = LeastSquares(events=dict.fromkeys(range(1, 1000), math.nan))
    outcome, history = run(solver_named(name), on)
    assert outcome.status == "diverged"
    assert math.isnan(outcome.loss)
    assert history.n_iter == 0
    assert_array_equal(on.params.vector, 3.0)


@every_solver
def test_when_the_time_is_up_it_stops_after_the_iteration_and_says_so(name, solver_named, elongated, run):
    on = elongated()
    outcome, history = run(solver_named(name), on, max_iter=50, max_time=1e-9)
    assert (outcome.status, history.n_iter) == ("max_time", 1)
    assert "after iteration 1, since max_time=1e-09 seconds have passed" in outcome.warning
    shorter = elongated()
    run(solver_named(name), shorter, max_iter=1)
    assert_allclose(on.params.vector, shorter.params.vector, rtol=1e-12)


@every_solver
def test_when_the_time_is_up_the_best_parameters_are_kept(name, solver_named, elongated, run, Trace):
    class SlowTrace(Trace):
        def __call__(self, params):
            time.sleep(0.1 if len(self.seen) == 3 else 0.0)
            return super().__call__(params)

    on, trace = elongated(), SlowTrace(0.5, 0.75, 0.25)
    outcome, history = run(solver_named(name), on, max_iter=50, held_out=trace, max_time=0.1)
    assert outcome.status == "max_time"
    assert history.n_iter <= 4
    assert_array_equal(on.params.vector, trace.seen[np.argmax(history.validation_scores)])
