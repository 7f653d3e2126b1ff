"""From an estimator's parameters to the parts that train: layers, initial weights, objective, solver.

What the constructor takes in several forms (one number or one a layer, a name or a record) is brought into one here, and
what does not fit the network is refused.
"""

from __future__ import annotations

import inspect
import math
from itertools import pairwise
from numbers import Integral, Real
from reprlib import Repr

import numpy as np
from sklearn.utils import check_array

from skbp._network.activations import ACTIVATIONS, Activation, activation_record
from skbp._network.dropout import Dropout
from skbp._notices import UnusedParameterWarning, note
from skbp._training.names import check_float
from skbp._training.schedules import OPEN_ENDED, Progress, learning_rate_factor
from skbp._training.solvers import SOLVERS, MiniBatchSolver, ScipySolver, parameters_of
from skbp._training.updates import UPDATES

_SHORT = Repr()

# The initial scale of a network without hidden layers whose activation is a list, hence empty.
GLOROT_SCALE = 6.0


def hidden_units(hidden_layer_sizes):
    """Widths of the hidden layers as a list of int."""
    of_layers = not isinstance(hidden_layer_sizes, str) and np.iterable(hidden_layer_sizes)
    sizes = list(hidden_layer_sizes) if of_layers else [hidden_layer_sizes]
    no_integers = [size for size in sizes if not _is_integer(size)]
    if no_integers:
        wrong = no_integers[0]
        hint = "it is a number of units, a sequence of them, one for each hidden layer, or () for none"
        if isinstance(wrong, (float, np.floating)) and float(wrong).is_integer():
            hint = f"write {float(wrong):.0f}, or convert what a search returns by int()"
        elif isinstance(wrong, str):
            hint = "it is text: pass the numbers themselves, which ast.literal_eval reads from it"
        elif np.iterable(wrong):
            hint = "one number for each hidden layer, as (10, 5), makes a network"
        raise ValueError(f"hidden_layer_sizes must be integers > 0; got {_SHORT.repr(wrong)}: {hint}.")
    if not all(int(size) > 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be > 0, got {hidden_layer_sizes}: it is a number of units, a sequence of them, one "
            "for each hidden layer, or () for none."
        )
    return [int(size) for size in sizes]


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def activation_records(activation, n_hidden_layers):
    """One record for each hidden layer."""
    if isinstance(activation, (str, Activation)):
        return [activation_record(activation)] * n_hidden_layers
    for one in activation:
        if not (isinstance(one, Activation) or (isinstance(one, str) and one in ACTIVATIONS)):
            raise ValueError(f"activation has {one!r}; each must be one of {sorted(ACTIVATIONS)} or a skbp.Activation.")
    if len(activation) != n_hidden_layers:
        raise ValueError(
            f"activation has {len(activation)} entries, one for each hidden layer, but hidden_layer_sizes makes "
            f"{n_hidden_layers} hidden layers."
        )
    return [activation_record(one) for one in activation]


def one_or_per_layer(value, n_layers, name, layers, below=math.inf):
    """A number as it is, or a list of a number for each layer; each at least 0 and less than `below`."""
    if isinstance(value, Real):
        return float(value)
    if not np.iterable(value) or isinstance(value, (str, dict, set)):
        raise ValueError(f"{name}={value!r} must be a number, or a list of numbers, one for each of {layers}.")
    numbers = list(value)
    for number in numbers:
        if isinstance(number, Real):
            check_float(number, f"{name} has an element that")
    if not all(isinstance(number, Real) and 0.0 <= float(number) < below for number in numbers):
        allowed = "of at least 0" if below == math.inf else f"of at least 0 and less than {below:g}"
        raise ValueError(f"{name}={value!r} must be a number {allowed}, or one such number for each of {layers}.")
    if len(numbers) != n_layers:
        raise ValueError(f"{name} has {len(numbers)} entries, one for each of {layers}, of which there are {n_layers}.")
    return [float(number) for number in numbers]


def alphas(alpha, n_hidden_layers):
    """The strength of the penalty, one number or one for each layer of weights."""
    return one_or_per_layer(alpha, n_hidden_layers + 1, "alpha", "the layers of weights, hidden and output")


def dropout_rates(dropout, n_hidden_layers):
    """The rate of each hidden layer."""
    rates = one_or_per_layer(dropout, n_hidden_layers, "dropout", "the hidden layers", below=1.0)
    return [rates] * n_hidden_layers if isinstance(rates, float) else rates


def make_dropout(clf, n_hidden_layers, rngs):
    """What leaves out units in training, or None if nothing does."""
    rates = dropout_rates(clf.dropout, n_hidden_layers)
    # SciPy's methods minimise one function of all rows, which a random part of the network is not.
    return Dropout(rates, rngs) if any(rates) and clf.solver in UPDATES else None


def checked_units(units, dtype):
    """Widths of all layers, if the parameters between them can be held in memory at all."""
    n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))
    if n_parameters > np.iinfo(np.intp).max // dtype.itemsize:
        raise ValueError(
            f"hidden_layer_sizes={_SHORT.repr(tuple(units[1:-1]))} makes more parameters than can be addressed in memory: "
            "use smaller layers."
        )
    return units


def initial_scales(activation, activations):
    """For each layer the scale by which its parameters are drawn.

    A hidden layer's is that of its activation, the output layer's that of the last hidden one.
    """
    if activations:
        scales = [*(record.initial_scale for record in activations), activations[-1].initial_scale]
    else:
        # Without hidden layers the activation has no other effect than this one, as in MLPClassifier.
        named = isinstance(activation, (str, Activation))
        scales = [activation_record(activation).initial_scale if named else GLOROT_SCALE]
    for scale in scales:
        if not (isinstance(scale, Real) and 0.0 < float(scale) < math.inf):
            raise ValueError(
                f"initial_scale of the Activation given as activation is {scale!r}; it must be a number > 0."
            )
    return scales


def set_given(params, coef_init, intercept_init):
    """Put what the caller gives in the place of initial parameters."""
    if coef_init is None and intercept_init is None:
        return
    params.set(
        params.weights if coef_init is None else check_layers(coef_init, params.weights, "coef_init"),
        params.biases if intercept_init is None else check_layers(intercept_init, params.biases, "intercept_init"),
    )


def check_layers(arrays, like, name):
    """Arrays, one for each layer, of the shapes and type of those in `like`."""
    shapes = [array.shape for array in like]
    if not isinstance(arrays, (list, tuple, np.ndarray)):
        raise TypeError(f"{name} is {arrays!r}; it must be a list of arrays, one a layer, of shapes {shapes}.")
    if len(arrays) != len(shapes):
        raise ValueError(f"{name} has {len(arrays)} arrays for {len(shapes)} layers; their shapes must be {shapes}.")
    checked = [check_array(a, ensure_2d=False, dtype=like[0].dtype, input_name=name) for a in arrays]
    if [array.shape for array in checked] != shapes:
        raise ValueError(f"{name} has arrays of shapes {[a.shape for a in checked]}; they must be {shapes}.")
    return checked


def batch_rows(clf, n_rows):
    """Rows in a step of one network: a mini-batch, or all with SciPy's methods."""
    if clf.solver not in UPDATES:
        return n_rows
    return min(200 if clf.batch_size == "auto" else int(clf.batch_size), n_rows)


def make_solver(clf, n_rows, rngs):
    """The solver that the parameters ask for.

    Parameters
    ----------
    clf : BackpropClassifier
        Whose parameters they are.
    n_rows : int
        To train on.
    rngs : sequence of RandomState
        For the network, or for each member of a stack, what puts its rows in order.
    """
    if SOLVERS[clf.solver] is ScipySolver:
        return ScipySolver(clf.solver, clf.tol, clf.max_fun, clf.hessian, clf.solver_options)
    if clf.batch_size != "auto" and clf.batch_size > n_rows:
        note(f"batch_size={clf.batch_size} is larger than the number of rows, {n_rows}, and is clipped to it.")
    rule = UPDATES[clf.solver]
    return MiniBatchSolver(
        rule(**{name: getattr(clf, name) for name in rule.parameters}),
        learning_rate_factor(clf.learning_rate, clf.power_t, clf.warmup_fraction),
        clf.learning_rate_init,
        batch_rows(clf, n_rows),
        clf.shuffle,
        rngs,
        Progress(samples_seen=clf.t_),
        clf.max_iter,
        float(clf.weight_decay),
        clf.max_grad_norm,
        planned=callable(clf.learning_rate) or clf.learning_rate not in OPEN_ENDED,
    )


OF_SOME_SOLVERS = set().union(*map(parameters_of, SOLVERS))


def warn_of_unused_parameters(clf, early_stopping, own_validation_data):
    """Warn of parameters at other than their defaults that have no effect, and say because of what.

    Parameters
    ----------
    clf : BackpropClassifier or BackpropClassifierCV
    early_stopping : bool
    own_validation_data : bool
        Whether `fit` is given validation data.
    """
    solver = f"solver={clf.solver!r}"
    because = dict.fromkeys(OF_SOME_SOLVERS - parameters_of(clf.solver), solver)
    if isinstance(clf.dropout, Real) and clf.dropout and not hidden_units(clf.hidden_layer_sizes):
        because["dropout"] = f"hidden_layer_sizes={clf.hidden_layer_sizes!r}"
    if not (isinstance(clf.dropout, str) or np.any(clf.dropout)):
        because.pop("dropout", None)  # 0 asks for nothing
    if clf.learning_rate != "invscaling":
        because.setdefault("power_t", f"learning_rate={clf.learning_rate!r}")
    if early_stopping:
        because.pop("n_iter_no_change", None)
    if own_validation_data:
        because["validation_fraction"] = "X_val given to fit"
    elif not early_stopping:
        because["validation_fraction"] = because["scoring"] = "early_stopping=False"
    parameters = inspect.signature(type(clf).__init__).parameters
    for name in parameters:
        if name in because and not _equal(getattr(clf, name), parameters[name].default):
            value = _SHORT.repr(getattr(clf, name))
            note(f"{name}={value} has no effect with {because[name]}.", UnusedParameterWarning)


def _equal(value, default):
    """Whether a parameter, which may be an array, is at its default."""
    return value is default or (np.ndim(value) == np.ndim(default) == 0 and bool(value == default))
