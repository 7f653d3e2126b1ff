"""An estimator's parameters, resolved once: what training needs to know in addition to the data."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

import numpy as np

from skbp._network.activations import Activation
from skbp._network.dropout import Dropout
from skbp._network.losses import Loss
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._notices import UnusedParameterWarning, note
from skbp._training.layers import activation_records, alphas, checked_units, dropout_rates, hidden_units, initial_scales
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.schedules import OPEN_ENDED, Progress, learning_rate_factor
from skbp._training.scipy_solver import ScipySolver
from skbp._training.solvers import unused_parameters
from skbp._training.threads import core_threads
from skbp._training.updates import UPDATES

_SHORT = Repr()

# Rows of a mini-batch where batch_size is "auto", as in MLPClassifier.
AUTO_BATCH_SIZE = 200


@dataclass
class Recipe:
    """How to train: a network's parameters in one form, checked against each other.

    Fields without a description are the estimator's parameters of that name.

    Attributes
    ----------
    hidden : list of int
        Widths of the hidden layers.
    activations : list of Activation
        One for each hidden layer.
    scales : list of float
        For each layer the scale of its initial parameters.
    alpha : float or list of float
    dropout : list of float
        A rate for each hidden layer.
    horizon : int
        `max_iter`, the whole of training for the schedules. A call of `partial_fit` is one epoch of it.
    loss : Loss or None
        With label smoothing. It is known when the labels are.
    share_of_time : float or None
        Seconds of `max_time` for this training, if several follow each other.
    """

    solver: str
    hidden: list[int]
    activations: list[Activation]
    scales: list[float]
    alpha: float | list[float]
    dropout: list[float]
    batch_size: int | str
    learning_rate: str | Callable[[float], float]
    learning_rate_init: float
    power_t: float
    warmup_fraction: float
    shuffle: bool
    weight_decay: float
    max_grad_norm: float | None
    label_smoothing: float
    max_iter: int
    horizon: int
    max_time: float | None
    tol: float
    n_iter_no_change: float
    early_stopping: bool
    scoring: Any
    max_fun: int
    hessian: str
    solver_options: dict | None
    of_rule: dict
    loss: Loss | None = None
    share_of_time: float | None = None

    @classmethod
    def of(cls, params, **changed) -> Recipe:
        """The recipe of an estimator's parameters.

        Parameters
        ----------
        params : dict
            As `get_params` gives them.
        **changed
            Values that replace those of the estimator.
        """
        params = params | changed
        hidden = hidden_units(params["hidden_layer_sizes"])
        activations = activation_records(params["activation"], len(hidden))
        rule = UPDATES.get(params["solver"])
        options = params["solver_options"] or {}
        most = params["max_iter"] if rule is not None else options.get("maxiter")
        resolved = {
            "hidden": hidden,
            "activations": activations,
            "scales": initial_scales(params["activation"], activations),
            "alpha": alphas(params["alpha"], len(hidden)),
            "dropout": dropout_rates(params["dropout"], len(hidden)),
            "weight_decay": float(params["weight_decay"]),
            "label_smoothing": float(params["label_smoothing"]),
            "max_iter": most if isinstance(most, Integral) else params["max_iter"],
            "horizon": params["max_iter"],
            "of_rule": {name: params[name] for name in rule.parameters} if rule is not None else {},
        }
        unchanged = {name: params[name] for name in UNCHANGED if name in params}
        return cls(**resolved, **unchanged)

    @property
    def stochastic(self) -> bool:
        """Whether the solver takes mini-batches."""
        return self.solver in UPDATES

    def for_loss(self, loss) -> Recipe:
        """The recipe for a target with this loss."""
        recipe = copy.copy(self)
        recipe.loss = replace(loss, label_smoothing=self.label_smoothing)
        return recipe

    def for_one_epoch(self) -> Recipe:
        """The recipe of a call of `partial_fit`."""
        return replace(self, max_iter=1, max_time=None, early_stopping=False)

    def batch_rows(self, n_rows) -> int:
        """Rows in a step of one network: a mini-batch, or all rows with SciPy's methods."""
        if not self.stochastic:
            return n_rows
        return min(AUTO_BATCH_SIZE if isinstance(self.batch_size, str) else int(self.batch_size), n_rows)

    def units(self, n_features, n_outputs, dtype) -> list[int]:
        """Width of every layer from the input to the output."""
        return checked_units([n_features, *self.hidden, n_outputs], dtype)

    def draw(self, units, dtype, rng) -> Parameters:
        """Initial parameters, drawn at random."""
        params = Parameters(units, dtype)
        params.draw(self.scales, rng)
        return params

    def make_dropout(self, rngs) -> Dropout | None:
        """What leaves out units in training; None if nothing does."""
        # SciPy's methods minimise one fixed function of all rows. A random network does not give one.
        return Dropout(self.dropout, rngs) if any(self.dropout) and self.stochastic else None

    def make_objective(self, params, rows, dropout=None, *, skips_zeros=False) -> Objective:
        """F at some parameters. The weights of `rows` are divided by a common factor, so alpha must be too."""
        exponent = -rows.weight_exponent
        with np.errstate(over="ignore", under="ignore"):
            alpha = np.ldexp(self.alpha, exponent)
        alpha = float(alpha) if alpha.ndim == 0 else alpha.tolist()
        return Objective(
            params,
            self.activations,
            self.loss,
            alpha,
            dropout,
            skips_zeros=skips_zeros,
            n_threads=core_threads(),
        )

    def make_solver(self, n_rows, rngs: Sequence[np.random.RandomState], samples_seen=0):
        """The solver.

        Parameters
        ----------
        n_rows : int
            Rows of an epoch.
        rngs : sequence of RandomState
            For the network, or for each member of a stack. They put the rows in order.
        samples_seen : int, default=0
            Rows that earlier calls have processed.
        """
        if not self.stochastic:
            return ScipySolver(self.solver, self.tol, self.max_fun, self.hessian, self.solver_options)
        if not isinstance(self.batch_size, str) and self.batch_size > n_rows:
            note(f"batch_size={self.batch_size} is larger than the number of rows, {n_rows}, and is clipped to it.")
        return MiniBatchSolver(
            UPDATES[self.solver](**self.of_rule),
            learning_rate_factor(self.learning_rate, self.power_t, self.warmup_fraction),
            self.learning_rate_init,
            self.batch_rows(n_rows),
            self.shuffle,
            rngs,
            Progress(samples_seen=samples_seen),
            self.horizon,
            self.weight_decay,
            self.max_grad_norm,
            planned=callable(self.learning_rate) or self.learning_rate not in OPEN_ENDED,
        )


# Fields that are the estimator's parameters as they are.
UNCHANGED = (
    *("solver", "batch_size", "learning_rate", "learning_rate_init", "power_t", "warmup_fraction", "shuffle"),
    *("max_grad_norm", "max_time", "tol", "n_iter_no_change", "early_stopping", "scoring", "max_fun", "hessian"),
    "solver_options",
)


def warn_of_unused_parameters(estimator, early_stopping, own_validation_data):
    """Warn of parameters that are not at their defaults and have no effect. The warning says why they have none.

    Parameters
    ----------
    estimator : BackpropClassifier or BackpropClassifierCV
    early_stopping : bool
    own_validation_data : bool
        Whether `fit` is given validation data.
    """
    solver = f"solver={estimator.solver!r}"
    because = dict.fromkeys(unused_parameters(estimator.solver), solver)
    if isinstance(estimator.dropout, Real) and estimator.dropout and not hidden_units(estimator.hidden_layer_sizes):
        because["dropout"] = f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}"
    if not (isinstance(estimator.dropout, str) or np.any(estimator.dropout)):
        because.pop("dropout", None)  # 0 asks for nothing
    if estimator.learning_rate != "invscaling":
        because.setdefault("power_t", f"learning_rate={estimator.learning_rate!r}")
    if early_stopping:
        because.pop("n_iter_no_change", None)
    if own_validation_data:
        because["validation_fraction"] = "X_val given to fit"
    elif not early_stopping:
        because["validation_fraction"] = because["scoring"] = "early_stopping=False"
    parameters = inspect.signature(type(estimator).__init__).parameters
    for name in parameters:
        if name in because and not _equal(getattr(estimator, name), parameters[name].default):
            value = _SHORT.repr(getattr(estimator, name))
            note(f"{name}={value} has no effect with {because[name]}.", UnusedParameterWarning)


def _equal(value, default):
    """Whether a parameter, which may be an array, is at its default."""
    return value is default or (np.ndim(value) == np.ndim(default) == 0 and bool(value == default))
