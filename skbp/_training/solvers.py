"""Outer loops: how the steps of training follow one another.

A solver is given an objective, the function to be minimised, and a monitor, which it tells of every epoch. It knows
nothing of networks. When it returns, the objective's parameters are the result and an `Outcome` says how it ended.
``SOLVERS`` maps the names that the estimator takes to the two kinds: epochs of mini-batches with an update rule, and
SciPy's minimisers on all rows.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from reprlib import Repr
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
from scipy.optimize import OptimizeResult

from skbp._training.schedules import Progress
from skbp._training.updates import UPDATES, UpdateRule

# An adaptive learning rate is not lowered further once it is at most this.
LOWEST_LEARNING_RATE = 1e-6

# L-BFGS-B also ends where F falls by less than this share of itself in an iteration: SciPy's default, which MLPClassifier
# keeps whatever its tol. Here it holds at the estimator's default tol and above.
LBFGS_FTOL = 1e7 * float(np.finfo(np.float64).eps)
DEFAULT_TOL = 1e-4

# Weights decay by at least this much at once, or at the end of the epoch: a factor closer to 1 float32 would round too much.
LEAST_DECAY = 1e-4


@dataclass
class Outcome:
    """How a solver ended.

    Attributes
    ----------
    status : {"converged", "max_iter", "max_fun", "max_time", "stopped", "failed", "diverged", "interrupted"}
        "stopped" is by a callback; "failed" is a SciPy method that gave up on its own.
    loss : float
        The objective: of the last finished epoch for mini-batches, at the final parameters for SciPy's methods; nan if
        there was none.
    warning : str
        What the user should know of it and do; empty if all is well.
    wants_advice : bool
        Whether the data or the network may be the cause, so that advice on them belongs to the warning.
    optimize_result : dict or None
        Of a SciPy method, figures of the final parameters and of the work done, as numbers and strings.
    """

    status: str
    loss: float
    warning: str = ""
    optimize_result: dict | None = None
    wants_advice: bool = False


def _interrupted(monitor, loss):
    warning = f"Training interrupted by user after {monitor.n_iter} iterations; the weights so far are kept."
    return Outcome("interrupted", loss, warning)


def _stopped(monitor, loss):
    """What ended training from outside: a callback, which needs no warning, or the clock."""
    warning = ""
    if monitor.stop_reason == "max_time":
        warning = (
            f"Training stopped after iteration {monitor.n_iter}, since max_time={monitor.max_time} seconds have passed, and "
            "the optimization hasn't converged yet."
        )
    return Outcome(monitor.stop_reason, loss, warning)


def _diverged(monitor, loss, advice=""):
    warning = (
        f"Training diverged: the objective was not finite in iteration {monitor.n_iter + 1}. The weights after iteration "
        f"{monitor.n_iter} are kept.{advice}"
    )
    return Outcome("diverged", loss, warning, wants_advice=True)


@dataclass
class MiniBatchSolver:
    """Epochs of steps on mini-batches, of one network or of all members of a stack at once.

    Every member of a stack goes through rows of its own. In an epoch all take as many steps: those with more rows than
    others leave some out, each epoch others if the rows are shuffled.

    Parameters
    ----------
    rule : UpdateRule
    schedule : callable (Progress) -> float
        The factor of the learning rate for the next step.
    learning_rate_init : float
    batch_size : int
    shuffle : bool
        Whether each epoch goes through the rows in a new random order.
    rngs : sequence of RandomState
        Of each member of a stack, or of the one network.
    progress : Progress
        Where training stands; kept up to date.
    horizon : int
        Epochs that make up the whole of training, by which the progress is measured.
    weight_decay : float, default=0.0
        Decoupled decay: an epoch of steps at the initial learning rate multiplies the weights, but not the biases, by
        exp(-weight_decay), each step by its share of the rows. It takes part in the schedule.
    max_grad_norm : float or None, default=None
        The norm to which longer gradients are shortened.
    planned : bool, default=False
        Whether the schedule is laid out for the whole of training, so that it is complete after the last epoch, and not cut
        off.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019,
    https://doi.org/10.48550/arXiv.1711.05101

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    https://doi.org/10.48550/arXiv.1211.5063, for the norm of the gradient.
    """

    # The estimator's parameters that a mini-batch solver uses, beside those of its rule.
    parameters: ClassVar[tuple[str, ...]] = (
        *("batch_size", "learning_rate", "learning_rate_init", "power_t", "warmup_fraction", "shuffle"),
        *("n_iter_no_change", "dropout", "weight_decay", "max_grad_norm"),
    )

    rule: UpdateRule
    schedule: Callable[[Progress], float]
    learning_rate_init: float
    batch_size: int
    shuffle: bool
    rngs: Sequence[np.random.RandomState]
    progress: Progress
    horizon: int
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    planned: bool = False

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return float(self.learning_rate_init * self.schedule(self.progress))

    def run(self, objective, monitor, max_iter, row_sets=None) -> Outcome:
        """Train for at most `max_iter` epochs.

        Parameters
        ----------
        objective : Objective
        monitor : Monitor
        max_iter : int
        row_sets : list of ndarray of int, default=None
            The rows that each member trains on, put into another order if the solver shuffles; None for one network and
            all rows.
        """
        params = objective.params
        objective.only_columns = self.rule.memoryless and self.max_grad_norm is None
        row_sets = [np.arange(objective.n_rows)] if row_sets is None else row_sets
        n_rows = min(map(len, row_sets))
        loss = math.nan
        try:
            for _ in range(max_iter):
                monitor.begin_iteration()
                self.advance(0.0, self.batch_size / n_rows)
                learning_rate = self.learning_rate
                epoch_loss = self._epoch(objective, self._order(row_sets, n_rows, params.members))
                # The losses of an epoch are those before each step: what the last step led to is looked at here.
                if not monitor.goes_on(np.isfinite(epoch_loss) & objective.is_finite()):
                    monitor.restore_last(params)
                    monitor.restore_best(params)
                    return _diverged(monitor, loss, f" Lower learning_rate_init={self.learning_rate_init:g}.")
                loss = epoch_loss
                self.progress.samples_seen += n_rows
                self.progress.epochs += 1
                monitor.record(loss, params, learning_rate, self.progress.samples_seen)
                if monitor.stalled and not self._lower_learning_rate(monitor):
                    monitor.restore_best(params)
                    return Outcome("converged", loss)
                if monitor.stop_reason:
                    monitor.restore_best(params)
                    return _stopped(monitor, loss)
        except KeyboardInterrupt:
            if not np.all(objective.is_finite()):
                monitor.restore_last(params)
            monitor.restore_best(params)
            return _interrupted(monitor, loss)
        monitor.restore_best(params)
        if self.planned:
            return Outcome("converged", loss)
        warning = (
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. Raise max_iter, or "
            "learning_rate_init if the loss still falls slowly."
        )
        return Outcome("max_iter", loss, warning, wants_advice=True)

    def advance(self, share_of_epoch, step):
        """Set the progress to a share of the present epoch, of which the next step is another."""
        self.progress.fraction = min(1.0, (self.progress.epochs + share_of_epoch) / self.horizon)
        self.progress.step = step / self.horizon

    def _order(self, row_sets, n_rows, members):
        """The rows of an epoch in their order, of a stack for each member."""
        if self.shuffle:
            for rows, rng in zip(row_sets, self.rngs, strict=True):
                rng.shuffle(rows)
        if members:
            return np.stack([rows[:n_rows] for rows in row_sets])
        return row_sets[0]

    def _epoch(self, objective, rows):
        """One step on each batch; the mean of the batches' objectives, or the first that is finite for no member."""
        in_place = not (self.shuffle or objective.params.members)
        finite = _any_finite if objective.params.members else math.isfinite
        n_rows = rows.shape[-1]
        total, n_counted, decay = 0.0, 0, 0.0
        for start in range(0, n_rows, self.batch_size):
            stop = min(start + self.batch_size, n_rows)
            share = (stop - start) / n_rows
            self.advance(start / n_rows, share)
            value = objective.value_and_gradient(slice(start, stop) if in_place else rows[..., start:stop])
            if value is None:  # all weights of the batch are zero
                continue
            if not finite(value):
                return value
            factor = self.schedule(self.progress)
            decay += self.weight_decay * factor * share
            if decay > LEAST_DECAY:
                objective.params.weight_vector *= math.exp(-decay)
                decay = 0.0
            self._step(objective, float(self.learning_rate_init * factor))
            total += value * (stop - start)
            n_counted += stop - start
        if decay > 0.0:
            objective.params.weight_vector *= math.exp(-decay)
        return total / n_counted

    def _step(self, objective, learning_rate):
        """Change the parameters by one step along the gradient at hand."""
        params, gradient = objective.params, objective.gradient
        if self.max_grad_norm is not None:
            # In float64: squares of float32 overflow long before a gradient does.
            norm = np.sqrt(np.vecdot(gradient.vector, gradient.vector, dtype=np.float64))
            shrink = np.minimum(self.max_grad_norm / norm, 1.0)
            gradient.vector *= shrink.astype(gradient.vector.dtype)[..., None]
        theta, by_theta = params.vector.reshape(-1), gradient.vector.reshape(-1)
        if objective.columns is not None:
            # Of the first layer, whose weights are the first in the vector, those of features that occur.
            weights, columns = params.weights[0], objective.columns
            moved = weights[columns]
            self.rule.step(moved.reshape(-1), gradient.weights[0][columns].reshape(-1), learning_rate)
            weights[columns] = moved
            theta, by_theta = theta[weights.size :], by_theta[weights.size :]
        self.rule.step(theta, by_theta, learning_rate)  # step 5

    def _lower_learning_rate(self, monitor):
        """Whether the schedule answers a stall with a smaller learning rate, which then gets its chance."""
        before = self.learning_rate
        self.progress.stalls += 1
        if before <= LOWEST_LEARNING_RATE or self.learning_rate >= before:
            self.progress.stalls -= 1
            monitor.announce_stall("Stopping.")
            return False
        monitor.announce_stall(f"Setting learning rate to {self.learning_rate:f}")
        monitor.reset_patience()
        return True


def _any_finite(values):
    return np.isfinite(values).any()


@dataclass(frozen=True)
class ScipyMethod:
    """What is to be known of a method of scipy.optimize.minimize.

    Parameters
    ----------
    name : str
        SciPy's name of it.
    tol : str
        The option that `tol` sets.
    options : tuple of str
        The options of the method that a user may set: none for printing or numerical derivatives.
    hessian : {"exact", "gauss-newton"} or None, default=None
        The matrix whose products the method is given unless the user says otherwise; None if it uses none.
    stops_on_norm : bool, default=False
        Whether the method compares its tolerance with the gradient's norm, which is larger than its largest element. Then
        that element is looked at after each iteration.
    precision : str or None, default=None
        The option that says how precise the gradient is, for a method that takes differences of gradients.
    summed : bool, default=False
        Whether the method is given the sum over the rows in place of the mean. Newton-CG takes a curvature along a
        direction below 6.7e-16, an absolute number, for none: on the scale of a mean that ends it at gradients of 1e-8.
    """

    name: str
    tol: str
    options: tuple[str, ...]
    hessian: str | None = None
    stops_on_norm: bool = False
    precision: str | None = None
    summed: bool = False


# What the options of SciPy's methods may be. An entry is a test of the value and what to say of it; whatever more a method
# asks of them, it says itself.
LARGEST = sys.float_info.max


def _is_number(value: Any, least=-LARGEST, most=LARGEST) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(least <= value <= most)


def _integer(least):
    return lambda value: isinstance(value, Integral) and value >= least, f"an integer of at least {least}"


def _numbers(value):
    try:
        return bool(np.isfinite(np.asarray(value, dtype=np.float64)).all())
    except (TypeError, ValueError, OverflowError):
        return False


_ARRAY = _numbers, "finite numbers"
OPTION_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("maxcor", "maxfun", "maxiter", "maxls"), _integer(1)),
    "maxCGit": _integer(-1),
    **dict.fromkeys(
        ("xrtol", "initial_trust_radius", "max_trust_radius"),
        (lambda value: _is_number(value, 0.0), "a finite number of at least 0"),
    ),
    # Of TNC -1 stands for its own default.
    **dict.fromkeys(
        ("ftol", "gtol", "xtol", "eta", "stepmx", "accuracy", "minfev", "rescale"), (_is_number, "a finite number")
    ),
    **dict.fromkeys(("c1", "c2"), (lambda value: _is_number(value, 0.0, 1.0), "a number in [0, 1]")),
    "norm": (
        lambda value: _is_number(value, -math.inf, math.inf) and value != 0 and not LARGEST < abs(value) < math.inf,
        "a number other than 0, or inf",
    ),
    "inexact": (lambda value: isinstance(value, (bool, np.bool_)), "True or False"),
    **dict.fromkeys(("hess_inv0", "scale", "offset"), _ARRAY),
}

_TRUST_REGION = ("initial_trust_radius", "max_trust_radius", "eta", "gtol", "maxiter")

_TRUNCATED_NEWTON = ("scale", "offset", "maxCGit", "eta", "stepmx", "accuracy", "minfev", "ftol", "xtol", "gtol")

SCIPY_METHODS = {
    "lbfgs": ScipyMethod("L-BFGS-B", "gtol", ("maxcor", "ftol", "gtol", "maxfun", "maxiter", "maxls")),
    "bfgs": ScipyMethod("BFGS", "gtol", ("gtol", "norm", "maxiter", "xrtol", "c1", "c2", "hess_inv0")),
    "cg": ScipyMethod("CG", "gtol", ("gtol", "norm", "maxiter", "c1", "c2")),
    "newton-cg": ScipyMethod("Newton-CG", "xtol", ("xtol", "maxiter", "c1", "c2"), hessian="exact", summed=True),
    "trust-ncg": ScipyMethod("trust-ncg", "gtol", _TRUST_REGION, hessian="exact", stops_on_norm=True),
    "trust-krylov": ScipyMethod(
        "trust-krylov", "gtol", (*_TRUST_REGION, "inexact"), hessian="exact", stops_on_norm=True
    ),
    "tnc": ScipyMethod(
        "TNC",
        "gtol",
        (*_TRUNCATED_NEWTON, "rescale", "maxfun"),
        precision="accuracy",
    ),
}


# Options may be arrays.
_SHORT = Repr()
_SHORT.maxother = _SHORT.maxstring = 60


class SolverError(ValueError):
    """An error that a SciPy method raised of its own."""


class _Stop(StopIteration):
    """Ends a SciPy method after an iteration; every method catches it but TNC, which lets it through."""


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
    """The callback of a SciPy method: tells the monitor, and stops the method where there is reason to."""

    def __init__(self, scaled, params, monitor, max_iter, max_fun, tol):
        self._scaled, self._function, self._params, self._monitor = scaled, scaled.function, params, monitor
        self._max_iter, self._max_fun, self._tol = max_iter, max_fun, tol
        self.reason = ""

    def __call__(self, intermediate_result):
        if not math.isfinite(intermediate_result.fun):
            self.reason = "diverged"
            raise _Stop
        np.copyto(self._params.vector, intermediate_result.x)
        value = float(intermediate_result.fun) / self._scaled.scale
        # After a rejected step F is as before, and the gradient at hand is that of the rejected point.
        moved = self._monitor.last_loss != value
        self._monitor.record(value, self._params)
        if self._monitor.early_stopping and self._monitor.stalled:
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
        self._monitor.begin_iteration()

    def at(self, x):
        """For TNC, which passes the point alone."""
        self(OptimizeResult(x=x, fun=self._function.value(x)))


class _Scaled:
    """The objective times a factor, as SciPy's methods want it.

    Where the value or the gradient is not finite, the value is inf: SciPy's methods step back from it, not all of them from
    nan. A product with the Hessian that is not finite ends the method.

    Attributes
    ----------
    always_finite : bool
        Whether all was finite so far.
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
        Set as the option that ScipyMethod names: for "newton-cg" the mean absolute element of a step, for all others the
        largest absolute element of the gradient, at which the method is content.
    max_fun : int
        Evaluations of the objective at the most, looked at after each iteration.
    hessian : {"auto", "exact", "gauss-newton"}, default="auto"
        Whose products the method is given, if it uses any; "auto" is as ScipyMethod says.
    options : dict, default=None
        Options of the method. They take precedence over what the other parameters set.
    """

    # The estimator's parameters that every method uses; those that take products with the Hessian also use `hessian`.
    parameters: ClassVar[tuple[str, ...]] = ("max_fun", "solver_options")

    method: str
    tol: float
    max_fun: int
    hessian: str = "auto"
    options: dict | None = None

    def run(self, objective, monitor, max_iter) -> Outcome:
        """Train for at most `max_iter` iterations of the method."""
        method, params = SCIPY_METHODS[self.method], objective.params
        function = objective.as_function(method.hessian if self.hessian == "auto" else self.hessian)
        options = self._all_options(method, max_iter, params.vector.dtype)
        # A power of 2 near the number of rows: scaling by it rounds nothing.
        scale = 2.0 ** math.ceil(math.log2(objective.n_rows)) if method.summed else 1.0
        largest_gradient = options[method.tol] if method.stops_on_norm else None
        scaled = _Scaled(function, scale)
        after_iteration = _AfterIteration(
            scaled, params, monitor, options["maxiter"], options["maxfun"], largest_gradient
        )
        result = OptimizeResult(status=-1, message="", success=False)
        reason = ""
        try:
            monitor.begin_iteration()
            if not math.isfinite(scaled.value_and_gradient(function.theta0)[0]):
                raise _Stop
            result = self._minimize(
                method,
                function.theta0,
                {name: value for name, value in options.items() if name in method.options},
                scaled,
                after_iteration.at if method.name == "TNC" else after_iteration,
            )
        except _Stop:
            pass
        except KeyboardInterrupt:
            reason = "interrupted"
            result.message = "Interrupted."
        except SolverError as error:
            if not monitor.n_iter:
                raise
            # What was trained so far is kept.
            result.message = str(error)
        if after_iteration.reason:
            result.status, result.message = -1, _STOPPED[after_iteration.reason]
            result.success = after_iteration.reason == "small gradient"
        monitor.restore_last(params)
        monitor.restore_best(params)
        try:
            figures = self._figures(function, params, monitor, result)
        except KeyboardInterrupt:
            reason = reason or "interrupted"
            figures = self._figures(function, params, monitor, result)
        if not math.isfinite(figures["fun"]):
            reason = "diverged"
        elif not reason and (figures["max_gradient"] <= self.tol or (result.success and scaled.always_finite)):
            reason = "converged"
        elif not reason and not scaled.always_finite and not after_iteration.reason:
            reason = "diverged"
        elif not reason:
            spent = function.n_evaluations >= options["maxfun"]
            reason = after_iteration.reason or ("max_fun" if spent else "failed")
        return self._outcome(reason, figures, monitor, options)

    def _minimize(self, method, theta0, options, scaled, callback):
        """Call SciPy; an error that is its own, and not one of what it calls, becomes a `SolverError`."""
        ours: list[BaseException] = []

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
                options=options,
                callback=guarded(callback),
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
            ours.clear()  # their tracebacks hold the frames that hold the data

    def _all_options(self, method, max_iter, dtype):
        """The user's options over those that the parameters set, limits that the method does not know included."""
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
            # Near a minimum F is quadratic in the gradient: at SciPy's ftol a tol below the default would be without effect.
            options["ftol"] = LBFGS_FTOL * min(1.0, self.tol / DEFAULT_TOL) ** 2
        if method.precision:
            options[method.precision] = float(np.finfo(dtype).eps) ** 0.5
        return options | given

    def _figures(self, function, params, monitor, result):
        """The final objective and gradient, and the work done, as numbers and strings."""
        n_evaluations, n_products = function.n_evaluations, function.n_products
        value, gradient = function.value_and_gradient(params.vector)
        return {
            "fun": float(value),
            "max_gradient": float(np.abs(gradient).max()),
            "n_iter": monitor.n_iter,
            "n_evaluations": n_evaluations,
            "n_products": n_products,
            "success": bool(result.success),
            "status": int(result.status),
            "message": str(result.message),
        }

    def _outcome(self, status, figures, monitor, options):
        loss = figures["fun"]
        if status == "interrupted":
            outcome = _interrupted(monitor, loss)
        elif status == "diverged":
            outcome = _diverged(monitor, loss)
        elif status in {"stopped", "max_time"}:
            outcome = _stopped(monitor, loss)
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


def parameters_of(solver) -> set[str]:
    """Those of the estimator's parameters that the solver uses and not every other one does."""
    if solver in UPDATES:
        return {*MiniBatchSolver.parameters, *UPDATES[solver].parameters}
    return {*ScipySolver.parameters, *(["hessian"] if SCIPY_METHODS[solver].hessian else [])}


SOLVERS = {
    **dict.fromkeys(UPDATES, MiniBatchSolver),
    **dict.fromkeys(SCIPY_METHODS, ScipySolver),
}
