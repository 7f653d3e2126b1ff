"""A network with given weights, set by hand or trained elsewhere: what fits together and what does not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array

from skbp._data.targets import fit_binarizer, output_layer
from skbp._estimators.publishing import fitted_at
from skbp._network.parameters import Parameters
from skbp._training.layers import activation_records, check_layers


class GivenNetwork(NamedTuple):
    """A network that fits its classes.

    Attributes
    ----------
    params : Parameters
    binarizer : LabelBinarizer
        Fitted on the classes.
    out_activation : str
    is_auto : bool
        Whether "auto" would be the same output layer.
    """

    params: Parameters
    binarizer: LabelBinarizer
    out_activation: str
    is_auto: bool


def checked_network(coefs, intercepts, classes, out_activation, multilabel) -> GivenNetwork:
    """A network with these weights, biases and classes.

    Raises
    ------
    ValueError
        If the shapes do not fit each other or the classes, or a number is not finite.
    """
    with np.errstate(all="ignore"):  # sums of infinite numbers, which are refused
        params = _given_parameters(coefs, intercepts)
    n_outputs = params.units[-1]
    if multilabel and n_outputs < 2:
        raise ValueError("A multilabel target has at least two labels: for one, leave multilabel=False.")
    if out_activation == "auto":
        out_activation = "logistic" if n_outputs == 1 or multilabel else "softmax"
    classes = _checked_classes(classes, n_outputs, out_activation, multilabel)
    binarizer = fit_binarizer(np.repeat([[0], [1]], n_outputs, axis=1) if multilabel else classes)
    output_layer(out_activation, binarizer)
    is_auto = (out_activation, n_outputs) == output_layer("auto", binarizer)
    return GivenNetwork(params, binarizer, out_activation, is_auto)


def fitted_with(clf, given):
    """A copy of a classifier, fitted: with a given network, and without history.

    Raises
    ------
    ValueError
        If its activations are not as many as the hidden layers.
    """
    units = given.params.units
    activation_records(clf.activation, len(units) - 2)
    clf._label_binarizer, clf.classes_ = given.binarizer, given.binarizer.classes_
    clf.n_features_in_, clf.n_outputs_, clf.out_activation_ = units[0], units[-1], given.out_activation
    return fitted_at(clf, given.params)


def _given_parameters(coefs, intercepts):
    dtype: Any = np.float32 if all(getattr(w, "dtype", None) == np.float32 for w in coefs) else np.float64
    try:
        coefs = [check_array(w, dtype=dtype, copy=True, input_name="coefs") for w in coefs]
    except (TypeError, ValueError) as error:
        raise ValueError(f"coefs must be a list of matrices, one for each layer of weights: {error}") from error
    if not coefs:
        raise ValueError("coefs is empty: give the weights of at least one layer.")
    units = [coefs[0].shape[0], *(w.shape[1] for w in coefs)]
    shapes, wanted = [w.shape for w in coefs], list(pairwise(units))
    if shapes != wanted:  # before memory of the wanted shapes is taken
        raise ValueError(f"coefs has arrays of shapes {shapes}; they must be {wanted}.")
    params = Parameters(units, np.dtype(dtype))
    params.set(coefs, check_layers(intercepts, params.biases, "intercepts"))
    return params


def _checked_classes(classes, n_outputs, out_activation, multilabel):
    """The classes as an array, if they fit the number of output units."""
    classes = np.asarray(classes)
    if classes.ndim != 1:
        raise ValueError(f"classes must be a list of class labels; got {classes!r}.")
    n_classes = len(classes)
    if n_outputs != n_classes and not (out_activation == "logistic" and (n_outputs, n_classes) == (1, 2)):
        raise ValueError(
            f"{n_classes} classes need {n_classes} output units, or a single logistic one if there are two; the last "
            f"of coefs has {n_outputs} columns."
        )
    if not np.array_equal(np.unique(classes), classes):
        raise ValueError(f"classes must be sorted, each named once, as in `classes_`; got {classes!r}.")
    if multilabel and not np.array_equal(classes, np.arange(n_outputs)):
        raise ValueError(f"The classes of a multilabel target are its columns' numbers, {[*range(n_outputs)]}.")
    return classes
