"""The layers that an estimator's parameters ask for: widths, activations, one number or one number a layer.

The constructor takes these in several forms. Here each is brought into one form, and what does not fit the network is an
error.
"""

from __future__ import annotations

import math
from itertools import pairwise
from numbers import Integral, Real
from reprlib import Repr

import numpy as np
from sklearn.utils import check_array

from skbp._network.activations import ACTIVATIONS, Activation, activation_record
from skbp._training.names import check_float

_SHORT = Repr()

# The initial scale of a network without hidden layers if `activation` is a list, and so empty.
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


def checked_units(units, dtype):
    """Widths of all layers. It is an error if memory cannot hold the parameters between them."""
    n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))
    if n_parameters > np.iinfo(np.intp).max // dtype.itemsize:
        raise ValueError(
            f"hidden_layer_sizes={_SHORT.repr(tuple(units[1:-1]))} makes more parameters than can be addressed in memory: "
            "use smaller layers."
        )
    return units


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


def initial_scales(activation, activations):
    """For each layer the scale of its initial parameters.

    A hidden layer has the scale of its activation. The output layer has that of the last hidden layer.
    """
    if activations:
        scales = [*(record.initial_scale for record in activations), activations[-1].initial_scale]
    else:
        # Without hidden layers this is the only effect of the activation, as in MLPClassifier.
        named = isinstance(activation, (str, Activation))
        scales = [activation_record(activation).initial_scale if named else GLOROT_SCALE]
    for scale in scales:
        if not (isinstance(scale, Real) and 0.0 < float(scale) < math.inf):
            raise ValueError(
                f"initial_scale of the Activation given as activation is {scale!r}; it must be a number > 0."
            )
    return scales


def one_or_per_layer(value, n_layers, name, layers, below=math.inf):
    """A number as a float, or a list with a number for each layer. Each is at least 0 and less than `below`."""
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
        raise ValueError(f"{name} has {len(numbers)} entries, but there must be {n_layers}, one for each of {layers}.")
    return [float(number) for number in numbers]


def alphas(alpha, n_hidden_layers):
    """The strength of the penalty: one number, or one for each layer of weights."""
    return one_or_per_layer(alpha, n_hidden_layers + 1, "alpha", "the layers of weights, hidden and output")


def dropout_rates(dropout, n_hidden_layers):
    """The rate of each hidden layer."""
    rates = one_or_per_layer(dropout, n_hidden_layers, "dropout", "the hidden layers", below=1.0)
    return [rates] * n_hidden_layers if isinstance(rates, float) else rates


def set_given(params, coef_init, intercept_init):
    """Replace initial parameters by those that the user gives."""
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
