"""Training on all rows by a method of scipy.optimize."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from reprlib import Repr
from typing import ClassVar

import numpy as np
import scipy.optimize
from scipy.optimize import OptimizeResult

from skbp._network.function import ObjectiveFunction
from skbp._training.outcome import (
    Outcome,
    SolverError,
    UnreachableRowsError,
    diverged,
    interrupted,
    stopped,
    unreachable,
)
from skbp._training.scipy_methods import OPTION_VALUES, SCIPY_METHODS

# L-BFGS-B also ends where F falls by less than this share of itself in an iteration. It is SciPy's default, and
# MLPClassifier keeps it for every tol. Here it holds at the estimator's default tol and above.
LBFGS_FTOL = 1e7 * float(np.finfo(np.float64).eps)
DEFAULT_TOL = 1e-4

# Options may be arrays.
_SHORT = Repr()
_SHORT.maxother = _SHORT.maxstring = 60


class _Stop(StopIteration):
    """Ends a SciPy method after an iteration. TNC lets it through. All other methods catch it."""


_STOPPED = {
    "max_iter": "Maximum number of iterations reached.",
    "max_fun": "Maximum number of evaluations reached.",
    "converged": "The validation score improves no longer.",
    "small gradient": "No element of the gradient exceeds the tolerance.",
    "diverged": "The objective is not finite.",
    "max_time": "The time is up.",
    "stopped": "A callback asked to stop.",
}


class _AfterIteration:
    """The callback of a SciPy method. It tells the monitor, and stops the method if there is a reason to.

    Parameters
    ----------
    scaled : _Scaled
    params : Parameters
        They are set to the point of every iteration.
    monitor : Monitor
    options : dict
        They include "maxiter" and "maxfun".
    tol : float or None
        The largest element of the gradient at which to stop; None leaves that to the method.
    """

    def __init__(self, scaled, params, monitor, options, tol):
        self._scaled, self._function, self._params, self._monitor = scaled, scaled.function, params, monitor
        self._max_iter, self._max_fun, self._tol = options["maxiter"], options["maxfun"], tol
        self.reason = ""

    def __call__(self, intermediate_result):
        if not math.isfinite(intermediate_result.fun):
            self.reason = "diverged"
            raise _Stop
        np.copyto(self._params.vector, intermediate_result.x)
        value = float(intermediate_result.fun) / self._scaled.scale
        # After a rejected step F is as before, and the stored gradient is that of the rejected point.
        moved = self._monitor.history.last_loss != value
        self._monitor.record(value, self._params)
        if self._monitor.history.early_stopping and self._monitor.stalled:
            self._monitor.announce_stall("Stopping.")
            self.reason = "converged"
        elif self._tol and moved and np.abs(self._function.gradient(intermediate_result.x)).max() <= self._tol:
            self.reason = "small gradient"
        elif self._monitor.n_iter >= self._max_iter:
            self.reason = "max_iter"
        elif self._function.n_evaluations > self._max_fun:
            self.reason = "max_fun"
        else:
            self.reason = self._monitor.stop_reason
        if self.reason:
            raise _Stop
        self._monitor.begin_epoch()

    def at(self, x):
        """For TNC, which passes the point alone."""
        self(OptimizeResult(x=x, fun=self._function.value(x)))


class _Scaled:
    """The objective times a factor, in the form that SciPy's methods want.

    If the value or the gradient is not finite, the value is inf. All of SciPy's methods step back from inf, but not all of
    them from nan. A product with the Hessian that is not finite ends the method.

    Attributes
    ----------
    always_finite : bool
        Whether everything was finite so far.
    """

    def __init__(self, function, scale):
        self.function, self.scale = function, scale
        self.always_finite = True

    def value_and_gradient(self, theta):
        value, gradient = self.function.value_and_gradient(theta)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            self.always_finite, value = False, math.inf
        return self.scale * value, self.scale * gradient

    def hessp(self, theta, v):
        product = self.function.hessp(theta, v)
        if not np.isfinite(product).all():
            self.always_finite = False
            raise _Stop
        return self.scale * product


@dataclass
class ScipySolver:
    """Minimise the objective on all rows with a method of scipy.optimize.

    Parameters
    ----------
    method : str
        A key of SCIPY_METHODS.
    tol : float
        The option that ScipyMethod names: the mean absolute element of a step for "newton-cg", and the largest absolute
        element of the gradient for all others, at which the method ends.
    max_fun : int
        Most evaluations of the objective. They are counted after each iteration.
    hessian : {"auto", "exact", "gauss-newton"}, default="auto"
        The matrix for products, if the method uses any. "auto" leaves the choice to ScipyMethod.
    options : dict, default=None
        Options of the method. They take precedence over the other parameters.
    """

    skips_zeros: ClassVar[bool] = False

    # The estimator's parameters that every method uses. Methods that take products with the Hessian also use `hessian`.
    parameters: ClassVar[tuple[str, ...]] = ("max_fun", "solver_options")

    method: str
    tol: float
    max_fun: int
    hessian: str = "auto"
    options: dict | None = None

    def run(self, objective, rows, monitor, max_iter) -> Outcome:
        """Train for at most `max_iter` iterations of the method.

        Parameters
        ----------
        objective : Objective
        rows : Rows
        monitor : Monitor
        max_iter : int
        """
        method, params = SCIPY_METHODS[self.method], objective.params
        function = ObjectiveFunction(objective, rows, method.hessian if self.hessian == "auto" else self.hessian)
        try:
            return self._run(function, params, rows, monitor, max_iter)
        except (UnreachableRowsError, OSError) as error:  # the latter from a file with the rows
            outcome = unreachable(monitor, params, error)
            outcome.optimize_result = self._summary(
                function, monitor, OptimizeResult(status=-1, message=str(error), success=False), outcome.loss, math.nan
            )
            return outcome

    def _run(self, function, params, rows, monitor, max_iter):
        """Train, and say how it ended."""
        method = SCIPY_METHODS[self.method]
        options = self._all_options(method, max_iter, params.vector.dtype)
        # A power of 2 near the number of rows: a product with it is exact.
        scaled = _Scaled(function, 2.0 ** math.ceil(math.log2(len(rows))) if method.summed else 1.0)
        smallest = options[method.tol] if method.stops_on_norm else None
        after_iteration = _AfterIteration(scaled, params, monitor, options, smallest)
        result, was_interrupted = self._result(method, options, scaled, after_iteration, monitor)
        monitor.restore_last(params)
        monitor.restore_best(params)
        try:
            figures = self._figures(function, params, monitor, result)
        except KeyboardInterrupt:
            was_interrupted = True
            figures = self._figures(function, params, monitor, result)
        if not math.isfinite(figures["fun"]):
            status = "diverged"
        elif was_interrupted:
            status = "interrupted"
        elif figures["max_gradient"] <= self.tol or (result.success and scaled.always_finite):
            status = "converged"
        elif after_iteration.reason:
            status = after_iteration.reason
        elif not scaled.always_finite:
            status = "diverged"
        else:
            status = "max_fun" if function.n_evaluations >= options["maxfun"] else "failed"
        return self._outcome(status, figures, monitor, options)

    def _result(self, method, options, scaled, after_iteration, monitor):
        """What SciPy returns, or what stopped it, and whether that was the user."""
        result, was_interrupted = OptimizeResult(status=-1, message="", success=False), False
        theta0 = scaled.function.theta0
        try:
            monitor.begin_epoch()
            if not math.isfinite(scaled.value_and_gradient(theta0)[0]):
                raise _Stop
            result = self._minimize(method, theta0, options, scaled, after_iteration)
        except _Stop:
            pass
        except KeyboardInterrupt:
            was_interrupted, result.message = True, "Interrupted."
        except SolverError as error:
            if not monitor.n_iter or isinstance(error, UnreachableRowsError):
                raise
            # The training so far is kept.
            result.message = str(error)
        if after_iteration.reason:
            result.status, result.message = -1, _STOPPED[after_iteration.reason]
            result.success = after_iteration.reason == "small gradient"
        return result, was_interrupted

    def _minimize(self, method, theta0, options, scaled, after_iteration):
        """Call SciPy. An error that SciPy raises itself, and not a function that it calls, becomes a `SolverError`."""
        ours: list[BaseException] = []
        own: BaseException | None = None

        def guarded(function):
            @functools.wraps(function)  # SciPy looks at the names of a callback's arguments
            def call(*args, **kwargs):
                try:
                    return function(*args, **kwargs)
                except BaseException as error:
                    ours.append(error)
                    raise

            return call

        try:
            result = scipy.optimize.minimize(
                guarded(scaled.value_and_gradient),
                theta0,
                method=method.name,
                jac=True,
                hessp=guarded(scaled.hessp) if method.hessian else None,
                options={name: value for name, value in options.items() if name in method.options},
                callback=guarded(after_iteration.at if method.name == "TNC" else after_iteration),
            )
        except Exception as error:
            if any(error is one for one in ours):
                raise
            raise SolverError(
                f"scipy.optimize.minimize, which solver={self.method!r} calls, ended in an error with tol={self.tol} and "
                f"solver_options={_SHORT.repr(self.options)}: {type(error).__name__}: {error}."
            ) from error
        else:
            # Most methods take a StopIteration of the user's function for ours.
            for own in ours:
                if not isinstance(own, _Stop):
                    raise own
            return result
        finally:
            own = None
            ours.clear()  # their tracebacks refer to frames that refer to the data

    def _all_options(self, method, max_iter, dtype):
        """The user's options over those of the parameters. Limits that the method does not know are included."""
        given = {name: value for name, value in (self.options or {}).items() if value is not None}
        unknown = sorted(set(given) - set(method.options), key=str)
        if unknown:
            raise ValueError(
                f"solver_options has {unknown}, which solver={self.method!r} does not know. It knows "
                f"{sorted(method.options)}."
            )
        for name, value in given.items():
            test, allowed = OPTION_VALUES[name]
            if not test(value):
                raise ValueError(f"solver_options has {name}={_SHORT.repr(value)}; it must be {allowed}.")
        options = {method.tol: self.tol, "maxiter": max_iter, "maxfun": self.max_fun}
        if method.name == "L-BFGS-B":
            # Near a minimum F is quadratic in the gradient. At SciPy's ftol a tol below the default would have no effect.
            options["ftol"] = LBFGS_FTOL * min(1.0, self.tol / DEFAULT_TOL) ** 2
        if method.precision:
            options[method.precision] = float(np.finfo(dtype).eps) ** 0.5
        return options | given

    def _figures(self, function, params, monitor, result):
        """The final objective and gradient, and the work, as numbers and strings."""
        n_evaluations = function.n_evaluations
        value, gradient = function.value_and_gradient(params.vector)
        figures = self._summary(function, monitor, result, float(value), float(np.abs(gradient).max()))
        return figures | {"n_evaluations": n_evaluations}

    def _summary(self, function, monitor, result, value, max_gradient):
        return {
            "fun": value,
            "max_gradient": max_gradient,
            "n_iter": monitor.n_iter,
            "n_evaluations": function.n_evaluations,
            "n_products": function.n_products,
            "success": bool(result.success),
            "status": int(result.status),
            "message": str(result.message),
        }

    def _outcome(self, status, figures, monitor, options):
        loss = figures["fun"]
        if status == "interrupted":
            outcome = interrupted(monitor, loss)
        elif status == "diverged":
            outcome = diverged(monitor, loss)
        elif status in {"stopped", "max_time"}:
            outcome = stopped(monitor, loss)
        else:
            outcome = Outcome(status, loss)
        given = self.options or {}
        remedies = {
            "max_iter": f"Raise {'solver_options: maxiter' if 'maxiter' in given else 'max_iter'}, now {options['maxiter']}",
            "max_fun": f"Raise {'solver_options: maxfun' if 'maxfun' in given else 'max_fun'}, now {options['maxfun']}",
            "failed": f"Raise tol={self.tol} or try another solver",
        }
        if status in remedies:
            outcome.warning = (
                f"{self.method} failed to converge after {figures['n_iter']} iteration(s) and {figures['n_evaluations']} "
                f"evaluations: {figures['message']} The largest element of the gradient is "
                f"{figures['max_gradient']:.2g}. {remedies[status]}."
            )
            outcome.wants_advice = True
        outcome.optimize_result = figures
        return outcome
