"""What a worker does with one partition: check it, report on it, encode it, and sum over its rows. All of it is pure."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse, vstack
from sklearn.metrics import accuracy_score

from skbp._data.labels import target_type
from skbp._data.rows import Rows
from skbp._data.weights import checked_weight, relative_weights
from skbp._distributed.collections import TRAINING, VALIDATION
from skbp._network.curvature import Curvature
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._training.threads import blas_threads, core_threads


class Checked:
    """One partition, validated.

    Attributes
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features), or None without rows
    y : ndarray or sparse matrix of n_rows
    weight : ndarray of shape (n_rows,) or None
    names : ndarray of str, or None
        The names of the columns.
    """

    def __init__(self, X=None, y=None, weight=None, names=None):
        self.X, self.y, self.weight, self.names = X, y, weight, names

    def __len__(self):
        return 0 if self.X is None else self.X.shape[0]


@dataclass
class Facts:
    """What the checks of some partitions have found.

    Attributes
    ----------
    n_rows : list of int
        For each partition.
    dtypes : set of dtype
    sparse : bool
        Whether any X is sparse.
    mixes_sparse : bool
        Whether only some of them are.
    n_features : int
    names : ndarray of str or None
    norm : float
        A bound on the Euclidean norm of a row.
    y : ndarray, sparse matrix or None
        Some rows of y, with all of its labels, and one with several labels if there is any.
    """

    n_rows: list[int]
    dtypes: set
    sparse: bool
    mixes_sparse: bool
    n_features: int
    names: Any
    norm: float
    y: Any


def _check_lengths(X, y, weight, names):
    for name, rows in zip(names[1:], (y, weight), strict=True):
        if rows is not None and rows.shape[0] != X.shape[0]:
            raise ValueError(
                f"A partition of {names[0]} has {X.shape[0]} rows, and the same partition of {name} has {rows.shape[0]}. "
                f"Split both at the same rows: rechunk {name} to the chunks of {names[0]}, or take both from one data frame."
            )


def checked_for_validation(checks, X, y, weight, dtype) -> Checked:
    """One partition of the user's validation data, validated like those in memory."""
    _check_lengths(X, y, weight, VALIDATION)
    if not X.shape[0]:
        return Checked()
    with _in_one_partition():
        X = checks._checked_like_X(X, dtype)
        y = checks._checked_like_y(y if issparse(y) else np.asarray(y), X.shape[0])
        return Checked(X, y, checked_weight(weight, X.shape[0], VALIDATION[-1]))


def checked(checks, X, y, weight, resume) -> Checked:
    """One partition, validated as `fit` validates its data.

    Parameters
    ----------
    checks : estimator
        With the attributes that the checks need.
    X : {ndarray, sparse matrix, data frame}
    y : {ndarray, sparse matrix, series, data frame}
    weight : {ndarray, series} or None
    resume : bool
    """
    _check_lengths(X, y, weight, TRAINING)
    n_rows = X.shape[0]
    if not n_rows:
        return Checked()
    checks = copy.copy(checks)  # tasks side by side share it
    with _in_one_partition():
        X, y = checks._check_data(X, y if issparse(y) else np.asarray(y), resume)
        weight = checked_weight(weight, n_rows, "sample_weight")
    return Checked(X, y, weight, getattr(checks, "feature_names_in_", None))


@contextmanager
def _in_one_partition():
    """A context for checks. Numbers of rows in their errors are those of one partition."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"In one of the partitions: {error}") from error


def facts(part) -> Facts:
    """What one partition reports."""
    if not len(part):
        return Facts([0], set(), False, False, -1, None, 0.0, None)
    rows = Rows(part.X, None, None, None, None)
    return Facts(
        [len(part)], {part.X.dtype}, rows.sparse, False, rows.n_features, part.names, rows.norm, _some_rows(part.y)
    )


def _some_rows(y):
    """A few rows of y that show all of its labels and of what kind it is."""
    if not target_type(y).startswith("multilabel"):
        # Each label three times: scikit-learn warns of labels that hardly repeat.
        return np.repeat(np.unique(y), 3)
    several = np.flatnonzero(np.asarray(y.sum(axis=1)).ravel() != 1)[:1]
    return y[np.concatenate([np.arange(min(y.shape[0], y.shape[1] + 1)), several])]


def merged_facts(parts) -> Facts:
    """The facts of several partitions.

    Raises
    ------
    ValueError
        If they do not have the same columns, or some have text for labels and some numbers.
    """
    with_rows = [part for part in parts if part.n_features >= 0]
    n_rows = [n for part in parts for n in part.n_rows]
    if not with_rows:
        return Facts(n_rows, set(), False, False, -1, None, 0.0, None)
    first = with_rows[0]
    for part in with_rows[1:]:
        if part.n_features != first.n_features:
            raise ValueError(
                f"A partition of X has {part.n_features} columns, and another has {first.n_features}: give the same."
            )
        if not np.array_equal(part.names, first.names):
            raise ValueError(
                f"A partition of X has the columns {_shown(part.names)}, and another has {_shown(first.names)}: give the "
                "same in the same order."
            )
    ys = [part.y for part in with_rows]
    return Facts(
        n_rows,
        set().union(*(part.dtypes for part in with_rows)),
        any(part.sparse for part in with_rows),
        len({part.sparse for part in with_rows}) > 1 or any(part.mixes_sparse for part in with_rows),
        first.n_features,
        first.names,
        max(part.norm for part in with_rows),
        _merged_labels(ys),
    )


def _shown(names):
    return None if names is None else names.tolist()


def _merged_labels(ys):
    first = ys[0]
    for y in ys:
        if (y.ndim, y.shape[1:]) != (first.ndim, first.shape[1:]):
            raise ValueError(f"A partition of y has rows of shape {y.shape[1:]}, and another of {first.shape[1:]}.")
        if y.ndim == 1 and (y.dtype.kind in "USO") != (first.dtype.kind in "USO"):
            raise ValueError(
                f"y has labels of type {first.dtype} in one partition and of type {y.dtype} in another: give one type."
            )
    return _some_rows(vstack(ys, format="csr") if any(map(issparse, ys)) else np.concatenate(ys))


def as_type(part, dtype, sparse) -> Checked:
    """A partition with X of a type, sparse or not."""
    X = part.X.astype(dtype, copy=False)
    return Checked(csr_array(X) if sparse and not issparse(X) else X, part.y, part.weight, part.names)


def counts(part, checks):
    """For each target column the summed weight of each class, divided by 2 to the exponent, and the exponent."""
    codes = checks._target.codes(part.y)
    weight, exponent = (None, 0) if part.weight is None else relative_weights(part.weight)
    return checks._target.class_counts(codes, weight), exponent


def merged_counts(parts):
    """The counts of several partitions together."""
    common = max(exponent for _, exponent in parts)
    scaled = [[np.ldexp(one, exponent - common) for one in counted] for counted, exponent in parts]
    return [sum(columns) for columns in zip(*scaled, strict=True)], common


def rows_of(part, checks, n_units) -> Rows:
    """A partition as rows. Their weights are divided by the common factor of this partition."""
    target = checks._target
    codes = target.codes(part.y)
    weight, exponent = checks._times_class_weight(part.weight, codes)
    return aligned(Rows(part.X, codes, codes, target.encode(codes), weight, exponent, n_units))


def subset(rows, indices) -> Rows:
    return rows.subset(indices)


def exponent_of(rows):
    """The exponent of the common factor, or None if all weights are 0."""
    return rows.weight_exponent if rows.weight is None or rows.weight.any() else None


def largest(exponents):
    return max((one for one in exponents if one is not None), default=None)


def with_exponent(rows, exponent) -> Rows:
    """The same rows, with weights divided by 2 to the exponent."""
    if rows.weight is None:
        return rows
    weight = np.ldexp(rows.weight, rows.weight_exponent - exponent)
    return Rows(rows.X, rows.y, rows.codes, rows.target, weight, exponent, rows.n_units)


def length_and_weight(rows):
    """The number of rows, and the sum of their weights."""
    return len(rows), float(len(rows)) if rows.weight is None else float(rows.weight.sum())


def split_off(rows, target, n_held_out, seed):
    """The rest of one partition, and so many rows of it at random."""
    if n_held_out in {0, len(rows)}:
        nothing = rows.subset(slice(0, 0))
        return (nothing, rows) if n_held_out else (rows, nothing)
    # The share is rounded up to this number.
    rest, held_out, _ = rows.split_off(target, (n_held_out - 0.5) / len(rows), np.random.RandomState(seed))
    return rest, held_out


def right_and_all(X, y, weight, model):
    """The summed weight of the rows that a classifier predicts right, and of all rows."""
    _check_lengths(X, y, weight, TRAINING)
    if not X.shape[0]:
        return 0.0, 0.0
    y = y if issparse(y) else np.asarray(y)
    weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight)
    return float(accuracy_score(y, model.predict(X), sample_weight=weight, normalize=False)), float(weight.sum())


def quietly(rows, function, *arguments):
    """Call a function of rows and more where NumPy ignores errors: sums may overflow."""
    with np.errstate(all="ignore"):
        return function(rows, *arguments)


class Network:
    """What a worker needs to know of a network, apart from its parameters.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective):
        self.units, self.dtype = objective.params.units, objective.params.vector.dtype
        self.activations, self.loss = objective.activations, objective.loss

    def objective_at(self, theta):
        """The objective without its penalty. One thread of the core: the bits must not depend on the worker."""
        params = Parameters(self.units, self.dtype)
        np.copyto(params.vector, theta)
        return Objective(params, self.activations, self.loss, 0.0, n_threads=min(1, core_threads()))


def aligned(rows) -> Rows:
    """The same rows with arrays at addresses that NumPy computes with directly.

    Arrays that have come from another worker may begin at any byte. NumPy computes with a copy of them, by another loop that
    rounds differently. Then the bits of a result would depend on where a partition has been.
    """
    X, target, weight = rows.X, rows.target, rows.weight
    if issparse(X):
        X = type(X)((_aligned(X.data), _aligned(X.indices), _aligned(X.indptr)), X.shape, copy=False)
    else:
        X = _aligned(X)
    weight = None if weight is None else _aligned(weight)
    return Rows(X, rows.y, rows.codes, _aligned(target), weight, rows.weight_exponent, rows.n_units)


def _aligned(array):
    return array if array.flags.aligned else array.copy()


def value_and_gradient(rows, network, theta, total):
    """The share of some rows in F and in its gradient, without the penalty.

    Parameters
    ----------
    rows : Rows
    network : Network
    theta : ndarray of shape (n_parameters,)
    total : float
        S of all partitions.
    """
    objective, rows = network.objective_at(theta), aligned(rows)
    with blas_threads(network.units, rows.rows_at_once, rows.sparse, uses_core=objective.uses_core):
        value = objective.value_and_gradient(rows.chunks(total))
    return value, objective.gradient.vector


def hessian_product(rows, network, theta, direction, total, gauss_newton):
    """The share of some rows in H v, without the penalty, as a tuple of one array."""
    objective, rows = network.objective_at(theta), aligned(rows)
    with blas_threads(network.units, rows.rows_at_once, rows.sparse):
        return (Curvature(objective, rows.chunks(total)).product(direction, gauss_newton),)
