"""A fuzz over all parameters of both classifiers with hostile data: what is drawn, what is called, what is judged.

A setting is a small program: parameters, data and calls, each as source text. It follows from the class, a seed and a
number alone, and its text is the snippet that repeats it. The judge runs the calls one by one and holds each of them to
the promises: a result is right, or an error or a warning names the argument of the user, and nothing else has changed.

    python tests/contract/fuzzing.py --settings 1500 --seed 0
    python tests/contract/fuzzing.py --seed 0 --number 17 --estimator BackpropClassifierCV

The first prints the outcomes and each kind of defect with a snippet, made as small as it can be. The second runs a
single setting and prints its text and all of its defects.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import inspect
import io
import pickle
import random
import re
import signal
import sys
import threading
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.utils._param_validation import InvalidParameterError
from threadpoolctl import ThreadpoolController

import skbp
from skbp import Activation, BackpropClassifier, BackpropClassifierCV

# What the texts of the settings use and this module does not.
TEXT_NAMES = (
    *(Decimal, Fraction, clone, GroupKFold, KFold, LeaveOneOut, PredefinedSplit, RepeatedKFold, ShuffleSplit),
    *(StratifiedKFold, TimeSeriesSplit),
)

ESTIMATORS = {"BackpropClassifier": BackpropClassifier, "BackpropClassifierCV": BackpropClassifierCV}
# For each setting of the former so many of the latter, which take longer.
SHARE = {"BackpropClassifier": 1.0, "BackpropClassifierCV": 0.6}
SECONDS_A_CALL = 20.0


# The user's own objects


class Own(Exception):
    """What a callable of the user raises: it must arrive as it is."""


def raises(*args, **kwargs):
    raise Own("an error of the user's own")


def gives(value):
    """A callable of the user that always returns one value."""
    return functools.partial(_give, value)


def _give(value, *args, **kwargs):
    return value


def share_right(estimator, X, y):
    return float(np.mean(estimator.predict(X) == y))


def half(p):
    return 1.0 - p / 2.0


def double(z, out):
    return np.multiply(z, 2.0, out=out)


def two(a, out):
    out.fill(2.0)
    return out


def _cube(z, out):
    with np.errstate(all="ignore"):
        out[...] = z * z * z
    return out


def _cube_slope(z, out):
    with np.errstate(all="ignore"):
        out[...] = 3.0 * z * z
    return out


def _nan_beyond_3(z, out):
    out[...] = np.where(np.abs(z) > 3.0, np.nan, z)
    return out


def _raise_on_a_table(z, out):
    if z.ndim > 1:
        raise Own("an error of the user's own activation")
    return np.copyto(out, z) or out


doubling = Activation(double, two)
cubing = Activation(_cube, _cube_slope, needs_z=True)
nan_beyond_3 = Activation(_nan_beyond_3, two)
raising = Activation(_raise_on_a_table, two)


class RaisingSplitter:
    def get_n_splits(self, X=None, y=None, groups=None):
        return 2

    def split(self, X, y=None, groups=None):
        raise Own("an error of the user's own splitter")


def halves(rows, times=2):
    """Pairs of row numbers: every `times`-th row is in the fold."""
    numbers = np.arange(rows)
    return [(numbers[numbers % times != k], numbers[numbers % times == k]) for k in range(times)]


# Data, described by words


def table(seed, rows, columns, kind="float64", trait="plain"):
    """Rows of numbers.

    Parameters
    ----------
    seed, rows, columns : int
    kind : str
        A dtype, "csr", "csr float32", "csc", "csr int64" (its indices), "frame", "list", "object", "fortran", "3-d"
        or "1-d".
    trait : str
        What is peculiar about the numbers: see the branches.
    """
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(rows, columns))
    place = (rng.randint(rows), rng.randint(columns)) if X.size else slice(0)
    with np.errstate(all="ignore"):
        _TRAITS[trait](X, place, rng)
        return _contained(X, kind)


def _set(X, place, value):
    X[place] = value


def _scale(X, by):
    X *= by


def _column(place):
    return (slice(None), place[1]) if isinstance(place, tuple) else place


_TRAITS = {
    "plain": lambda X, place, rng: None,
    "constant column": lambda X, place, rng: _set(X, _column(place), 3.0),
    "constant": lambda X, place, rng: _set(X, ..., -2.0),
    "zeros": lambda X, place, rng: _set(X, ..., 0.0),
    "1e3": lambda X, place, rng: _scale(X, 1e3),
    "1e30": lambda X, place, rng: _scale(X, 1e30),
    "1e150": lambda X, place, rng: _scale(X, 1e150),
    "1e300": lambda X, place, rng: _scale(X, 1e300),
    "1e-30": lambda X, place, rng: _scale(X, 1e-30),
    "1e-300": lambda X, place, rng: _scale(X, 1e-300),
    "scales by column": lambda X, place, rng: _scale(X, 10.0 ** rng.uniform(-300, 300, X.shape[1])),
    "scales by row": lambda X, place, rng: _scale(X, 10.0 ** rng.uniform(-300, 300, (len(X), 1))),
    "mild scales by column": lambda X, place, rng: _scale(X, 10.0 ** rng.uniform(-6, 6, X.shape[1])),
    "wild 1e300": lambda X, place, rng: _set(X, place, 1e300),
    "wild -1e30": lambda X, place, rng: _set(X, place, -1e30),
    "wild 1e-320": lambda X, place, rng: _set(X, place, 1e-320),
    "sparse": lambda X, place, rng: _set(X, np.abs(X) < 1.2, 0.0),
    "nan": lambda X, place, rng: _set(X, place, np.nan),
    "inf": lambda X, place, rng: _set(X, place, -np.inf),
    "all nan": lambda X, place, rng: _set(X, ..., np.nan),
}


def _contained(X, kind):
    containers = {
        "csr": sp.csr_array,
        "csr matrix": sp.csr_matrix,
        "csr float32": lambda X: sp.csr_array(X.astype(np.float32)),
        "csc": sp.csc_array,
        "csr int64": _with_long_indices,
        "frame": lambda X: pd.DataFrame(X, columns=[f"column {k}" for k in range(X.shape[1])]),
        "frame of two types": lambda X: pd.DataFrame(X).astype({0: np.float32}) if X.shape[1] else pd.DataFrame(X),
        "list": lambda X: X.tolist(),
        "object": lambda X: X.astype(object),
        "fortran": np.asfortranarray,
        "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
        "read-only": _read_only,
        "1-d": lambda X: X.ravel(),
        "3-d": lambda X: X[:, :, None],
        "strings": lambda X: np.full(X.shape, "a"),
        "some strings": lambda X: [["a", *row[1:]] for row in X.tolist()],
        "ragged": lambda X: [row[: 1 + i % 2] for i, row in enumerate(X.tolist())],
        "dates": lambda X: np.zeros(X.shape, "datetime64[s]"),
    }
    if kind in containers:
        return containers[kind](X)
    if np.dtype(kind).kind in "iub":
        X = np.clip(np.nan_to_num(X * 3.0), -1e4, 1e4) if kind != "bool" else X > 0.0
    return X.astype(kind)


def _with_long_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def _read_only(X):
    X.setflags(write=False)
    return X


# The labels that each kind of target is made of, as text. The first two are drawn often, the others ever less so.
LABELS = {
    "two ints": "[0, 1]",
    "two strings": "['no', 'yes']",
    "three ints": "[0, 1, 2]",
    "three strings": "['a', 'b', 'c']",
    "negative": "[-5, 3, 7]",
    "-1 and 1": "[-1, 1]",
    "bools": "[False, True]",
    "floats": "[1.0, 2.0, 5.0]",
    "big ints": "[-2**62, 0, 2**62]",
    "many": "list(range(30))",
    "one class": "[7]",
    "empty string": "['', 'b']",
    "two, one rare": "[0, 1]",
    "three, one rare": "['a', 'b', 'c']",
}
LABEL_WEIGHTS = (6, 4, 6, 4, 3, 2, 2, 2, 1, 2, 1, 1, 2, 2)
ODD_TARGETS = {
    "continuous": "np.random.RandomState({seed}).normal(size={rows})",
    "counts by column": "np.random.RandomState({seed}).randint(4, size=({rows}, 2))",
    "reals by column": "np.random.RandomState({seed}).normal(size=({rows}, 2))",
    "with nan": "np.array([np.nan, 1.0] * {rows})[:{rows}]",
    "infinite": "np.array([np.inf, 1.0] * {rows})[:{rows}]",
    "None": "None",
    "nones": "np.array([None, 'a'] * {rows}, dtype=object)[:{rows}]",
    "short": "[0, 1] * ({rows} // 2 - 1)",
    "long": "[0, 1] * {rows}",
    "3-d": "np.zeros(({rows}, 2, 2), dtype=int)",
    "mixed": "np.array([0, 'a'] * {rows}, dtype=object)[:{rows}]",
    "bytes": "np.array([b'a', b'b'] * {rows})[:{rows}]",
    "dates": "np.array(['2020-01-01', '2020-01-02'] * {rows}, dtype='datetime64[D]')[:{rows}]",
    "ragged": "[[0], [1, 2]] * {rows}",
    "complex": "np.array([0j, 1j] * {rows})[:{rows}]",
    "a text": "'abc'",
    "a number": "1",
    "huge ints": "[10**400, 1] * {rows}",
    "empty": "[]",
    "sparse reals": "sp.csr_array(np.random.RandomState({seed}).normal(size=({rows}, 2)))",
}


def labels(seed, rows, of, container="array", rare=False):
    """A target of one class a row."""
    rng = np.random.RandomState(seed)
    codes = rng.randint(len(of), size=rows)
    if rare and rows:
        codes %= len(of) - 1
        codes[0] = len(of) - 1
    y = np.array(of)[codes]
    return {
        "array": lambda: y,
        "list": y.tolist,
        "object": lambda: y.astype(object),
        "series": lambda: pd.Series(y),
        "categorical": lambda: pd.Series(y).astype("category"),
        "column": lambda: y[:, None],
        "tuple": lambda: tuple(y.tolist()),
    }[container]()


def label_matrix(seed, rows, n_labels, container="array", trait="plain"):
    """A multilabel target."""
    rng = np.random.RandomState(seed)
    y = (rng.uniform(size=(rows, n_labels)) < 0.4).astype(int)
    if trait == "zeros":
        y[:] = 0
    elif trait == "ones":
        y[:] = 1
    elif trait == "one-hot":
        y = np.eye(n_labels, dtype=int)[rng.randint(n_labels, size=rows)]
    return {
        "array": lambda: y,
        "list": y.tolist,
        "csr": lambda: sp.csr_array(y),
        "csr matrix": lambda: sp.csr_matrix(y),
        "frame": lambda: pd.DataFrame(y),
        "bool": lambda: y.astype(bool),
        "float": lambda: y.astype(float),
    }[container]()


def weights(seed, rows, kind):
    """Weights of rows."""
    rng = np.random.RandomState(seed)
    weight = rng.uniform(0.5, 2.0, size=rows)
    some = rng.uniform(size=rows) < 0.5
    return {
        "random": lambda: weight,
        "ones": lambda: np.ones(rows),
        "ints": lambda: rng.randint(4, size=rows),
        "list": weight.tolist,
        "series": lambda: pd.Series(weight),
        "float32": lambda: weight.astype(np.float32),
        "some zero": lambda: weight * some,
        "one positive": lambda: np.arange(rows) == rows - 1,
        "1e-300": lambda: weight * 1e-300,
        "5e-324": lambda: np.full(rows, 5e-324),
        "1e-40": lambda: weight * 1e-40,
        "1e300": lambda: weight * 1e300,
        "1e40": lambda: weight * 1e40,
        "600 decades": lambda: 10.0 ** rng.uniform(-300.0, 300.0, size=rows),
        "60 decades": lambda: 10.0 ** rng.uniform(-30.0, 30.0, size=rows),
        "one 1e300": lambda: np.where(np.arange(rows) == 0, 1e300, weight),
        "zeros": lambda: np.zeros(rows),
        "negative": lambda: np.where(some, -weight, weight),
        "-0.0": lambda: np.where(some, -0.0, weight),
        "nan": lambda: np.where(some, np.nan, weight),
        "inf": lambda: np.where(some, np.inf, weight),
        "short": lambda: weight[:-1],
        "column": lambda: weight[:, None],
        "strings": lambda: np.full(rows, "a"),
        "nones": lambda: [None] * rows,
        "huge ints": lambda: [10**400] * rows,
    }[kind]()


def initial(seed, units, what, scale=0.5):
    """Weights or biases of layers."""
    rng = np.random.RandomState(seed)
    shapes = [(i, o) if what == "weights" else (o,) for i, o in pairwise(units)]
    return [rng.normal(size=shape) * scale for shape in shapes]


def other_rows(X, kind):
    """Rows to predict for, made of those that were trained on."""
    if kind == "same":
        return X
    dense = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
    with np.errstate(all="ignore"):
        return {
            "one row": lambda: dense[:1],
            "float32": lambda: dense.astype(np.float32),
            "sparse": lambda: sp.csr_array(dense),
            "zeros": lambda: np.zeros_like(dense),
            "1e30": lambda: np.sign(dense) * 1e30,
            "float32 1e38": lambda: (np.sign(dense) * 1e38).astype(np.float32),
            "1e300": lambda: np.sign(dense) * 1e300,
            "1e-300": lambda: np.sign(dense) * 1e-300,
            "random": lambda: np.random.RandomState(0).normal(size=(5, dense.shape[1])),
            "many": lambda: np.resize(dense, (1100, dense.shape[1])),
        }[kind]()


# What the parameters are drawn from


def _texts(text):
    return text.split(" | ")


NO_NUMBERS = _texts(
    'np.nan | np.inf | -1 | -0.5 | "1" | None | [0.5] | (1, "a") | 1j | np.array([0.5]) | {} | -np.inf | -10**400 '
    '| object() | np.datetime64("2020-01-01") | np.float32("nan") | raises | b"1" | [None] | pd.NA '
    '| Decimal("0.5") | np.array(None)'
)
NO_FLAGS = _texts('0 | 1 | 2 | -1 | "yes" | None | [] | np.nan | [True] | np.array([True, False]) | 1.5 | object()')
NO_NAMES = _texts(
    '"unknown" | "" | None | 1 | b"adam" | [] | {} | ("a",) | np.nan | object() | np.array("adam") | 10**400'
)

ACTIVATIONS = _texts(
    '"identity" | "logistic" | "tanh" | "softsign" | "relu" | "leaky_relu" | "relu6" | "elu" | "selu" | "gelu" | "silu" '
    '| "softplus" | "mish"'
)
SOLVERS = _texts('"adam" | "sgd" | "lbfgs" | "bfgs" | "cg" | "newton-cg" | "trust-ncg" | "trust-krylov" | "tnc"')

# For each parameter texts of valid values, of borderline ones and of invalid ones. To the judge they are all alike: whether
# a value was taken or refused, it must have been so properly.
POOLS = {
    "hidden_layer_sizes": (
        _texts("() | 5 | (7,) | [4, 3] | (6, 5, 4) | (3, 4, 3, 2) | 20"),
        _texts(
            "1 | (1, 1) | np.array([5, 4]) | np.int64(6) | np.array(5) | range(2, 5) | [np.int32(3)] | np.uint8(4) | True "
            "| np.array([]) | (True, 2) | []"
        ),
        _texts(
            '0 | -3 | "5" | None | np.nan | 10**400 | (5, 0) | [[3]] | [3.0] | 2.5 | (5, None) | "abc" | {3} | {5: 3} '
            "| np.array([[3, 4]]) | Fraction(5) | np.float64(5) | [10**400] | (3, np.inf) | (np.nan,) | object() "
            "| -10**400 | [10**400, 10**400] | pd.Series([3, 4]) | iter([3])"
        ),
    ),
    "activation": (
        ACTIVATIONS,
        _texts("doubling | cubing | nan_beyond_3 | raising | np.str_('tanh')"),
        NO_NAMES
        + _texts(
            '["relu"] * 7 | [None] | ["unknown"] | {"relu": 1} | {"relu"} | np.array(["relu"]) | raises '
            "| Activation(double, two, initial_scale=-1.0) | Activation(double, two, initial_scale=np.nan) "
            "| Activation(double, two, initial_scale=0.0) | Activation(double, two, initial_scale=1e300) "
            "| Activation(double, two, initial_scale='a') | Activation(double, two, initial_scale=None) "
            "| Activation(double, two, initial_scale=10**400) | Activation(double, None) | Activation(raises, two) "
            "| Activation(double, gives(None)) | Activation(double, two, gives(np.nan)) | Activation"
        ),
    ),
    "solver": (SOLVERS, ["np.str_('lbfgs')"], NO_NAMES),
    "alpha": (
        _texts("0.0 | 1.0 | 1e-4 | 10 | 0.1"),
        _texts(
            "1e300 | 1e-320 | np.float32(0.1) | True | Fraction(1, 3) | np.array(0.5) | 10**400 | np.float64(1) | -0.0 "
            "| np.array([0.5]) | 1e40 | np.uint8(3) | np.float16(0.1) | np.longdouble(1) | [10**400]"
        ),
        [*NO_NUMBERS, "[0.1, None]", "[[0.1]]", "[0.1] * 9", "{0.1}", '["a"]', "[np.nan, 0.1]", "[-1.0]", "()"],
    ),
    "batch_size": (
        _texts('"auto" | 1 | 7 | 200'),
        _texts("1000 | 10**400 | np.int64(3) | np.uint8(200) | True"),
        [*NO_NUMBERS, "0", "2.0", '"all"', "0.5", "Fraction(5)"],
    ),
    "learning_rate": (
        _texts('"constant" | "invscaling" | "adaptive" | "cosine" | "linear" | "one-cycle" | half'),
        _texts(
            "gives(0.0) | gives(1e300) | gives(Fraction(1, 2)) | gives(True) | gives(np.float32(0.5)) | gives(1e-320) "
            "| gives(2) | gives(-0.0) | gives(np.array(0.5))"
        ),
        [
            *NO_NAMES,
            *_texts(
                'gives(np.nan) | gives(None) | gives("a") | gives(np.ones(2)) | gives(-1.0) | gives(np.inf) | gives(1j) '
                "| raises | gives(10**400) | gives(Decimal(1)) | gives([0.5]) | lambda: 1.0"
            ),
        ],
    ),
    "learning_rate_init": (
        _texts("0.001 | 0.01 | 0.1 | 1"),
        _texts(
            "1e-300 | 1e300 | 10**400 | np.float32(0.1) | Fraction(1, 100) | True | np.array(0.1) | 1e-320 | 100.0 "
            "| np.longdouble(0.1) | 1e10"
        ),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "power_t": (_texts("0.5 | 0.0 | 1.0"), _texts("1e300 | 100 | 10**400 | np.float32(1)"), NO_NUMBERS),
    "max_iter": (
        [str(n) for n in range(1, 9)],
        _texts("np.int64(3) | np.uint8(4) | True | np.int32(2)"),
        [*NO_NUMBERS, "0", "2.0", "0.5", "Fraction(3)"],
    ),
    "shuffle": (_texts("True | False"), _texts("np.True_ | np.False_"), NO_FLAGS),
    "random_state": (
        [str(n) for n in range(6)],
        _texts("np.random.RandomState(3) | None | np.int64(3) | np.random.mtrand._rand | True | 2**32 - 1"),
        _texts('np.random | -1 | "a" | 2**40 | np.random.default_rng(0) | 1.5 | np.nan | 10**400 | [] | object()'),
    ),
    "tol": (
        _texts("1e-4 | 0.0 | 1e-8 | 0.1"),
        _texts(
            "1e9 | 1e-300 | 1e300 | 10**400 | Fraction(1, 1000) | np.float32(1e-3) | 0 | True | np.array(1e-3) "
            "| 1e-320 | np.longdouble(1e-3)"
        ),
        NO_NUMBERS,
    ),
    "verbose": (
        _texts("False | True"),
        _texts("0 | 1 | 2 | 5 | np.int64(1) | 10**400 | np.True_"),
        ["np.nan", "-1", '"1"', "None", "[]", "0.5", "np.inf"],
    ),
    "warm_start": (_texts("True | False"), ["np.True_"], NO_FLAGS),
    "momentum": (
        _texts("0.0 | 0.5 | 0.9"),
        _texts("1.0 | 1 | np.float32(0.5) | True | np.array(0.5) | -0.0 | 1e-320"),
        [*NO_NUMBERS, "1.1", "10**400"],
    ),
    "nesterovs_momentum": (_texts("True | False"), ["np.True_"], NO_FLAGS),
    "early_stopping": (_texts("True | True | False"), ["np.True_"], NO_FLAGS),
    "validation_fraction": (
        _texts("0.1 | 0.3 | 0.5"),
        _texts("0.0 | 0 | 0.999 | 1e-300 | np.float32(0.3) | 1e-320 | np.array(0.2) | False"),
        [*NO_NUMBERS, "1.0", "1", "3", "10**400"],
    ),
    "beta_1": (
        _texts("0.0 | 0.5 | 0.99"),
        _texts("0 | np.float32(0.9) | 1 - 2.0**-53 | False | 1e-320 | np.array(0.5)"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "beta_2": (
        _texts("0.0 | 0.5 | 0.9999"),
        _texts("0 | np.float32(0.9) | 1 - 2.0**-53 | False | 1e-320 | np.array(0.5)"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "epsilon": (
        _texts("1e-8 | 1e-3 | 1.0"),
        _texts("1e-300 | 1e-320 | 1e300 | 10**400 | np.float32(1e-8) | True | np.array(1e-8)"),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "n_iter_no_change": (
        _texts("1 | 3 | 10 | np.inf"),
        _texts("10**400 | np.int64(2) | True | np.float32('inf') | float('inf')"),
        [*NO_NUMBERS[:1], *NO_NUMBERS[2:], "0", "2.0", "0.5"],
    ),
    "max_fun": (
        _texts("1 | 5 | 15000"),
        _texts("10**400 | np.int64(2) | True"),
        [*NO_NUMBERS, "0", "2.0"],
    ),
    "out_activation": (_texts('"auto" | "softmax" | "logistic"'), ["np.str_('softmax')"], NO_NAMES),
    "scoring": (
        _texts('None | "loss" | "accuracy" | "neg_log_loss" | "balanced_accuracy" | "f1_macro" | share_right'),
        _texts(
            '"roc_auc" | "f1" | "roc_auc_ovr" | "average_precision" | "neg_brier_score" | "r2" | gives(1.0) | gives(0) '
            "| gives(np.float32(0.5)) | gives(True) | gives(np.nan) | gives(-np.inf) | gives(np.inf) | gives(np.array(0.5)) "
            "| gives(1e300) | gives(Fraction(1, 2))"
        ),
        [
            *NO_NAMES,
            *_texts(
                'raises | gives(None) | gives("a") | gives(np.ones(2)) | gives(1j) | gives({}) | gives(10**400) | lambda: 1 '
                '| gives("0.5") | gives([0.5]) | gives(np.array([0.5])) | {"a": "accuracy"} | ["accuracy"] | gives(pd.NA)'
            ),
        ],
    ),
    "max_time": (
        _texts("None | 100.0"),
        _texts("1e-9 | 1e-320 | 1e300 | 10**400 | np.float32(9) | True | np.array(50.0)"),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "dropout": (
        _texts("0.0 | 0.2 | 0.5"),
        _texts("0.999 | 1 - 2.0**-53 | np.float32(0.3) | Fraction(1, 3) | 1e-320 | np.array(0.3) | 0 | False | -0.0"),
        [*NO_NUMBERS, "1.0", "1", "[0.1, None]", "[[0.1]]", "[0.1] * 9", '["a"]', "[1.0]", "{0.1}", "10**400", "()"],
    ),
    "weight_decay": (
        _texts("0.0 | 0.1 | 1.0"),
        _texts("1e300 | 1e-300 | 10**400 | np.float32(0.1) | 1e-320 | 800 | True | np.array(0.1)"),
        NO_NUMBERS,
    ),
    "label_smoothing": (
        _texts("0.0 | 0.1 | 0.5"),
        _texts("0.999 | 1 - 2.0**-53 | 1e-320 | np.float32(0.1) | np.array(0.1) | 0 | False"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "max_grad_norm": (
        _texts("None | 1.0 | 0.1"),
        _texts("1e-300 | 1e-320 | 1e300 | 10**400 | np.float32(1) | True | np.array(1.0)"),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "warmup_fraction": (
        _texts("0.0 | 0.3 | 0.5"),
        _texts("0.999 | 1 - 2.0**-53 | 1e-300 | 1e-320 | np.float32(0.3) | np.array(0.3) | 0 | False"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "dtype": (
        _texts('None | "float32" | "float64"'),
        ["np.str_('float32')"],
        _texts('"float16" | np.float32 | np.dtype("float32") | "f4" | int | "double" | 32 | [] | "" | np.nan | float'),
    ),
    "hessian": (_texts('"auto" | "exact" | "gauss-newton"'), ["np.str_('exact')"], NO_NAMES),
    "cv": (
        _texts(
            "2 | 3 | 5 | None | KFold(3) | StratifiedKFold(2, shuffle=True, random_state=0) | KFold(2, shuffle=True, "
            "random_state=1) | halves({rows}) | halves({rows}, 3)"
        ),
        _texts(
            "1 | 10 | True | np.int64(3) | 10**400 | GroupKFold(2) | ShuffleSplit(2, random_state=0) | LeaveOneOut() "
            "| TimeSeriesSplit(2) | RepeatedKFold(n_splits=2, n_repeats=2, random_state=0) | iter(halves({rows})) "
            "| PredefinedSplit([0, 1, 2] * 20) | (pair for pair in halves({rows})) | KFold(50) | np.uint8(2) "
            "| StratifiedKFold(10) | [(np.arange({rows}) > 3, np.arange({rows}) <= 3)] "
            "| [([0, 1, 2], [3])] | [([-1, -2, -3], [0])] | [([0, 0, 1], [2, 2])] "
            "| [(np.arange(4, {rows}), [0, 1]), ([2, 3], np.arange(4, {rows}))] "
            "| tuple(halves({rows})) | np.array([[[0, 1], [2, 3]], [[2, 3], [0, 1]]]) "
            "| PredefinedSplit([-1, 0] * ({rows} // 2))"
        ),
        _texts(
            '0 | -1 | 2.5 | np.nan | np.inf | "kfold" | object() | [] | iter([]) | {} | [None] | [1, 2] '
            '| [([0, 1], [1, 2])] | [(0, 1)] | [[0, 1, 2]] | [("a", "b")] | [([0.5], [1])] | [([0], [10**6])] '
            "| [([], [0])] | [([0, 1], [])] | [([0, 1], None)] | [([0], [1], [2])] | RaisingSplitter() "
            "| [(slice(0, 3), slice(3, 5))] | [([0, 10**400], [2])] | -10**400 | raises | KFold | [([[0, 1]], [[2]])] "
            "| [([np.nan], [1])] "
            "| [(None, [0])] | [([True, False], [0])] "
            '| "ab" | [([0, 1], "ab")] | [([0, "a"], [1])] | [([0], [-10**6])] | [([0, [1, 2]], [3])] | [({0, 1}, {2})] '
            "| pd.NA | [(range(3), [3j])] | 1.0"
        ),
    ),
}

# Options of SciPy's methods: of each some that it knows, and some that no method should take.
OPTIONS = {
    "lbfgs": _texts('{"maxcor": 3} | {"ftol": 1e-3} | {"maxls": 2} | {"maxiter": 2} | {"maxfun": 3} | {"gtol": 0.1}'),
    "bfgs": _texts('{"norm": 2} | {"xrtol": 0.1} | {"c1": 1e-3, "c2": 0.5} | {"gtol": 0.1}'),
    "cg": _texts('{"norm": 2} | {"c1": 1e-3, "c2": 0.5} | {"maxiter": 2} | {"norm": 1.5}'),
    "newton-cg": _texts('{"xtol": 0.1} | {"c1": 1e-3, "c2": 0.5} | {"maxiter": 2}'),
    "trust-ncg": _texts('{"eta": 0.1} | {"initial_trust_radius": 0.5} | {"max_trust_radius": 2.0} | {"gtol": 0.1}'),
    "trust-krylov": _texts('{"inexact": False} | {"initial_trust_radius": 0.5} | {"gtol": 0.1}'),
    "tnc": _texts('{"maxCGit": 3} | {"eta": 0.5} | {"stepmx": 2.0} | {"rescale": 1.0} | {"ftol": 0.1} | {"xtol": 0.1}'),
}
ODD_OPTIONS = _texts(
    '{} | {"unknown": 1} | {1: 2} | {"gtol": "a"} | {"gtol": np.nan} | {"gtol": None} | {"gtol": -1.0} | {"maxiter": 0} '
    '| {"maxiter": 2.5} | {"maxiter": "3"} | {"maxiter": -1} | {"maxiter": np.int64(2)} | {"maxiter": np.inf} '
    '| {"maxcor": -1} | {"maxcor": 0} | {"maxcor": 2.5} | {"maxcor": "a"} | {"maxls": 0} | {"ftol": None} | {"ftol": [1.0]} '
    '| {"norm": 0} | {"norm": "a"} | {"norm": np.inf} | {"c1": 2.0} | {"c1": "a"} | {"c2": -1.0} '
    '| {"eta": 5.0} | {"eta": "a"} '
    '| {"initial_trust_radius": -1.0} | {"initial_trust_radius": 1e9} '
    '| {"max_trust_radius": 0.0} | {"max_trust_radius": "a"} '
    '| {"hess_inv0": np.eye(3)} | {"hess_inv0": "a"} | {"xrtol": np.nan} | {"xtol": "a"} '
    '| {"xtol": np.nan} | {"scale": [1.0]} '
    '| {"offset": "a"} | {"accuracy": 1e300} | {"accuracy": "a"} | {"stepmx": -1.0} | {"minfev": np.nan} | {"maxCGit": 0} '
    '| {"maxCGit": "a"} | {"rescale": np.nan} | {"inexact": "a"} | {"inexact": None} | {"disp": True} | {"maxfun": 0} '
    '| {"maxfun": -1} | {"maxfun": "a"} | {"maxfun": 10**400} | [] | "gtol" | [("gtol", 1.0)] | 1 | {"gtol": 10**400} '
    '| {"gtol": np.array([0.1])} | {None: 1, "a": 2} | {"gtol": 1j} | {"maxcor": 10**400} | {"eps": 1e-3} | {"jac": None}'
)

DENSE_KINDS = _texts("float64 | float64 | float64 | float32 | int64 | bool | csr | frame | list")
ODD_KINDS = _texts(
    "csc | csr float32 | csr int64 | csr matrix | float16 | uint8 | object | fortran | strided "
    "| read-only | frame of two types"
)
BAD_KINDS = _texts("1-d | 3-d | strings | some strings | ragged | dates | complex128")
PLAIN_TRAITS = _texts("plain | plain | plain | plain | constant column | 1e3 | mild scales by column | sparse")
ODD_TRAITS = _texts(
    "constant | zeros | 1e30 | 1e150 | 1e300 | 1e-30 | 1e-300 | scales by column | scales by row | wild 1e300 | wild -1e30 "
    "| wild 1e-320"
)
BAD_TRAITS = _texts("nan | inf | all nan")
WEIGHTS = (
    _texts("random | ones | ints | list | series | float32 | some zero"),
    _texts("one positive | 1e-300 | 5e-324 | 1e-40 | 1e300 | 1e40 | 600 decades | 60 decades | one 1e300 | -0.0"),
    _texts("zeros | negative | nan | inf | short | column | strings | nones | huge ints"),
)
OTHER_WEIGHTS = _texts('2.0 | "a" | None | [] | {} | object() | 0.0 | -1')
VIEWS = _texts("one row | float32 | sparse | zeros | 1e30 | float32 1e38 | 1e300 | 1e-300 | random | many")


# Settings


@dataclass(frozen=True)
class Operation:
    """A call of a method that trains, or of set_params: the names and texts of its arguments."""

    method: str
    arguments: tuple[tuple[str, str], ...]

    @property
    def text(self):
        return f"clf.{self.method}({', '.join(f'{name}={text}' for name, text in self.arguments)})"

    def without(self, argument):
        return replace(self, arguments=tuple(pair for pair in self.arguments if pair[1] != argument))


@dataclass(frozen=True)
class Setting:
    """A program: parameters, data, calls.

    Parameters
    ----------
    estimator : str
    seed, number : int
        It was drawn by.
    params, data : dict of str to str
        Texts of values.
    operations : tuple of Operation
        What trains.
    views : tuple of str
        Other rows to predict for: see `other_rows`.
    numpy_raises : bool
        Whether the calls are made under ``np.errstate(all="raise")``.
    """

    estimator: str
    seed: int
    number: int
    params: dict[str, str]
    data: dict[str, str]
    operations: tuple[Operation, ...]
    views: tuple[str, ...]
    numpy_raises: bool = False

    @property
    def preparation(self):
        """Statements that come before the calls."""
        params = ", ".join(f"{name}={text}" for name, text in self.params.items())
        data = [f"{name} = {text}" for name, text in self.data.items()]
        return [*data, f"clf = {self.estimator}({params})"]

    def snippet(self, calls=None):
        """The program as text, of its calls those given."""
        lines = [
            "from fuzzing import *  # with tests/contract on the path",
            f"np.random.seed({self.number})",
            *self.preparation,
        ]
        if self.numpy_raises:
            lines.append('np.seterr(all="raise")')
        return "\n".join([*lines, *([op.text for op in self.operations] if calls is None else calls)])


def draw_setting(estimator, seed, number):
    """The setting of this number, from its seed, its number and the class alone."""
    return _Drawer(estimator, seed, number).setting()


class _Drawer:
    """Draws a setting."""

    def __init__(self, estimator, seed, number):
        self.estimator, self.seed, self.number = estimator, seed, number
        self.rng = random.Random(f"{estimator} {seed} {number}")
        self.cross_validates = estimator == "BackpropClassifierCV"
        self.names = [n for n in inspect.signature(ESTIMATORS[estimator].__init__).parameters if n != "self"]
        slots = [*self.names, *["X", "y", "sample_weight"] * 3, "calls", "groups", "X_val", "y_val", "coef_init"]
        # Most settings have nothing that must be refused: only then is there something to predict with.
        n_bad = self.rng.choices((0, 1, 2), (0.75, 0.2, 0.05))[0]
        self.bad = set(self.rng.sample(slots, n_bad))
        self.odd = self.rng.choice((0.0, 0.1, 0.3, 0.6))
        self.rows = self.rng.choice((1, 2, 3, 5, 8, 12, 20, 20, 30, 40, 60))
        self.columns = self.rng.choice((1, 2, 3, 4, 8))

    def setting(self):
        data = {"X": self._table(self.rows, "X"), "y": self._target()}
        params = self._params()
        fit_arguments = {}
        if self._often(0.3, "sample_weight"):
            fit_arguments["sample_weight"] = self._weights(self.rows, "sample_weight")
        fit_arguments |= self._groups() if self.cross_validates else {**self._own_validation(), **self._initial(params)}
        data |= fit_arguments
        operations = self._operations(tuple(fit_arguments), params)
        views = ("same", *self.rng.sample(VIEWS, self.rng.choice((0, 1, 2))))
        raises_ = self.rng.random() < 0.25
        return Setting(self.estimator, self.seed, self.number, params, data, tuple(operations), views, raises_)

    def _often(self, share, name):
        return name in self.bad or self.rng.random() < share

    def _pick(self, pools, name):
        """One of the texts: invalid if the name is to be bad, else now and then a borderline one."""
        valid, borderline, invalid = pools
        if name in self.bad:
            return self.rng.choice(invalid)
        return self.rng.choice(borderline if self.rng.random() < self.odd else valid)

    def _seed(self):
        return self.rng.randrange(1000)

    def _table(self, rows, name):
        kind = self.rng.choice(ODD_KINDS if self.rng.random() < self.odd / 2 else DENSE_KINDS)
        trait = self.rng.choice(ODD_TRAITS if self.rng.random() < self.odd else PLAIN_TRAITS)
        columns = self.columns
        if name in self.bad:
            flaw = self.rng.choice(("kind", "trait", "trait", "rows", "columns", "other"))
            kind = self.rng.choice(BAD_KINDS) if flaw == "kind" else kind
            trait = self.rng.choice(BAD_TRAITS) if flaw == "trait" else trait
            rows, columns = rows * (flaw != "rows"), columns * (flaw != "columns")
            if flaw == "other":
                return self.rng.choice(_texts('None | "abc" | [] | 1.0 | {} | [[]] | object() | np.array(1.0)'))
        return f"table({self._seed()}, {rows}, {columns}, {kind!r}, {trait!r})"

    def _target(self):
        rng = self.rng
        self.multilabel = 0
        self.labels = "[0, 1]"
        if "y" in self.bad:
            kind = rng.choice([*ODD_TARGETS])
            return ODD_TARGETS[kind].format(seed=self._seed(), rows=self.rows)
        if rng.random() < 0.2:
            self.multilabel = rng.choice((2, 3, 5))
            self.labels = str(list(range(self.multilabel)))
            container = rng.choice(("array", "array", "list", "csr", "csr matrix", "frame", "bool", "float"))
            trait = rng.choice(("plain", "plain", "plain", "zeros", "ones", "one-hot"))
            return f"label_matrix({self._seed()}, {self.rows}, {self.multilabel}, {container!r}, {trait!r})"
        kind = rng.choices([*LABELS], LABEL_WEIGHTS)[0]
        self.labels = LABELS[kind]
        containers = ["array", "array", "array", "list", "series", "categorical", "column", "tuple"]
        # Numbers as objects are no labels to scikit-learn.
        containers += ["object"] if "'" in self.labels or rng.random() < self.odd else []
        container = rng.choice(containers)
        rare = ", rare=True" if "rare" in kind else ""
        return f"labels({self._seed()}, {self.rows}, {self.labels}, {container!r}{rare})"

    def _weights(self, rows, name):
        if name in self.bad and self.rng.random() < 0.2:
            return self.rng.choice(OTHER_WEIGHTS)
        return f"weights({self._seed()}, {rows}, {self._pick(WEIGHTS, name)!r})"

    def _params(self):
        params = {}
        self.hidden = params["hidden_layer_sizes"] = self._pick(POOLS["hidden_layer_sizes"], "hidden_layer_sizes")
        self.n_hidden = _n_layers(self.hidden)
        shares = {"max_iter": 1.0, "random_state": 0.92, "solver": 0.6, "activation": 0.5, "dtype": 0.3, "cv": 0.7}
        shares |= {"class_weight": 0.2, "early_stopping": 0.2, "warm_start": 0.2}
        for name in self.names[1:]:
            if self._often(shares.get(name, 0.1), name):
                params[name] = self._value(name, params)
        if params.get("max_iter") in {"1", "2"} and self.rng.random() < 0.1:
            # As many iterations as no machine can do, and a limit of time: it must not come to arithmetic with the former.
            params |= {"max_iter": "10**400", "max_time": "0.01", "n_iter_no_change": "1"}
        elif self.rng.random() < 0.06:  # divergence
            params |= {"solver": '"sgd"', "learning_rate_init": self.rng.choice(("10.0", "1e3", "1e6", "1e100"))}
        return params

    def _value(self, name, params):
        rng = self.rng
        if name == "activation" and name not in self.bad and rng.random() < 0.25:
            return self._list(lambda: rng.choice(ACTIVATIONS), self.n_hidden)
        if name == "alpha" and name not in self.bad and rng.random() < 0.25:
            return self._list(lambda: rng.choice(("0.0", "0.1", "1", "np.float32(0.5)")), self.n_hidden + 1)
        if name == "dropout" and name not in self.bad and rng.random() < 0.25:
            return self._list(lambda: rng.choice(("0.0", "0.1", "0.5")), self.n_hidden)
        if name == "class_weight":
            return self._class_weight()
        if name == "solver_options":
            return self._solver_options(params.get("solver", '"adam"').strip('"'))
        return self._pick(POOLS[name], name).replace("{rows}", str(self.rows))

    def _list(self, one, n):
        return rf"[{', '.join(one() for _ in range(n))}]"

    def _class_weight(self):
        if "class_weight" in self.bad:
            value = self.rng.choice(
                _texts("-1.0 | np.nan | np.inf | 'a' | None | [1.0] | 10**400 | 1j | {} | pd.NA | -10**400 | object()")
            )
            whole = (
                "'unbalanced' | [] | 1.0 | [1.0] | {'no label': 3.0} | 'auto' | object() | [{}] | [None] | {None: 1.0}"
            )
            if self.rng.random() < 0.4:
                return self.rng.choice(_texts(whole))
        else:
            odd = _texts("1e300 | 1e-300 | 0.0 | 10**30 | np.float32(2) | Fraction(1, 2) | True | 1e40 | 5e-324")
            value = self.rng.choice(odd if self.rng.random() < self.odd else _texts("0.5 | 2.0 | 3"))
        if self.rng.random() < 0.3:
            return "'balanced'"
        if self.multilabel:
            return rf"[{{0: 1.0, 1: {value}}}] * {self.multilabel}"
        first = f"{self.labels}[{self.rng.choice((0, -1))}]"
        more = self.rng.choice([""] * 8 + _texts(", 'no label': 2.0 | , None: 2.0 | , 10**400: 1.0"))
        return rf"{{{first}: {value}{more}}}"

    def _solver_options(self, solver):
        if "solver_options" in self.bad or self.rng.random() < self.odd:
            return self.rng.choice(ODD_OPTIONS)
        return self.rng.choice(OPTIONS.get(solver, ["None"]))

    def _own_validation(self):
        if not (self.rng.random() < 0.2 or {"X_val", "y_val"} & self.bad):
            return {}
        rows = self.rng.choice((1, 3, 10, 15))
        y = f"label_matrix({self._seed()}, {rows}, {self.multilabel})"
        if not self.multilabel:
            y = f"labels({self._seed()}, {rows}, {self.labels})"
        if "y_val" in self.bad:
            kind = self.rng.choice([*ODD_TARGETS, "unseen", "unseen"])
            y = f"labels(0, {rows}, [0, 1, 2, 99])" if kind == "unseen" else ODD_TARGETS[kind].format(seed=0, rows=rows)
        X = f"table(0, {rows}, {self.columns + 1})" if "X_val" in self.bad and self.rng.random() < 0.3 else None
        given = {"X_val": X or self._table(rows, "X_val"), "y_val": y}
        if self.rng.random() < 0.3:
            given["sample_weight_val"] = self._weights(rows, "sample_weight_val")
        for name in ("X_val", "y_val"):
            if self.rng.random() < 0.05:
                del given[name]
        return given

    def _initial(self, params):
        if not self._often(0.08, "coef_init"):
            return {}
        if "coef_init" in self.bad and self.rng.random() < 0.5:
            odd = _texts(
                "[] | 'abc' | 1.0 | [None] | [[['a']]] | [np.eye(3)] * 7 | {} | [np.nan] | object() | np.eye(2) "
                "| [[[1], [1, 2]]]"
            )
            return {self.rng.choice(("coef_init", "intercept_init")): self.rng.choice(odd)}
        n_outputs = len(eval(self.labels))
        one_unit = n_outputs == 2 and not self.multilabel and params.get("out_activation", '"auto"') == '"auto"'
        units = [self.columns, *_hidden_units(self.hidden), 1 if one_unit else n_outputs]
        scale = self.rng.choice((["1e300", "1e40", "0.0", "1e-300", "np.nan"], ["0.5"])[self.rng.random() > self.odd])
        whats = {"coef_init": "weights", "intercept_init": "biases"}
        chosen = self.rng.choice((["coef_init"], ["intercept_init"], [*whats]))
        return {name: f"initial({self._seed()}, {units}, {whats[name]!r}, {scale})" for name in chosen}

    def _groups(self):
        if not self._often(0.12, "groups"):
            return {}
        good = (
            "np.arange({rows}) // 3 | ['a', 'b', 'c'] * 20 | np.zeros({rows}) | list(range({rows})) | [0, 1, 2, 3] * 15"
        )
        bad = (
            "[0, 1] | 'abc' | [None] * {rows} | [np.nan, 1.0] * {rows} | 1 | np.zeros(({rows}, 2)) | {} | [[0], [1, 2]]"
        )
        text = self.rng.choice(_texts(bad if "groups" in self.bad else good))
        return {"groups": text.replace("{rows}", str(self.rows))}

    def _operations(self, fit_arguments, params):
        """The calls that train: a fit for the most part, then others."""
        fit = Operation("fit", tuple((name, name) for name in ("X", "y", *fit_arguments)))
        if self.cross_validates:
            kinds = self.rng.choice(([], [], [], ["fit"], ["set_params", "fit"]))
        else:
            # Most solvers have no partial_fit.
            share = 3.0 if params.get("solver") in {None, '"adam"', '"sgd"'} else 0.3
            kinds = self.rng.choices(
                ("fit", "partial_fit", "set_params"), (3, share, 2), k=self.rng.choice((0, 0, 1, 2, 3))
            )
        first = "partial_fit" if not self.cross_validates and self.rng.random() < 0.07 * share else "fit"
        plain = tuple(pair for pair in fit.arguments if pair[0] in {"X", "y", "sample_weight"})
        made = {
            "fit": lambda: fit,
            "partial_fit": lambda: Operation("partial_fit", (*plain, *self._classes())),
            "set_params": lambda: Operation("set_params", (self._change(),)),
        }
        return [made[kind]() for kind in (first, *kinds)]

    def _classes(self):
        if "calls" in self.bad:
            odd = "[] | 'abc' | [0, 'a'] | [None] | [np.nan, 1.0] | 5 | [[0, 1]] | [10**400] | [0, 7, 99] | {} | [0.5, 1.5]"
            return [("classes", self.rng.choice(_texts(odd)))]
        asis, other = self.labels, [f"{self.labels}[::-1]", f"{self.labels} * 2", f"np.array({self.labels})", "None"]
        return [("classes", self.rng.choice([asis, asis, asis, *other]))] if self.rng.random() < 0.85 else []

    def _change(self):
        if "calls" in self.bad:
            name = self.rng.choice(self.names)
            if name in POOLS:
                return name, self.rng.choice(POOLS[name][2]).replace("{rows}", str(self.rows))
        name = self.rng.choice(("warm_start", "max_iter", "solver", "hidden_layer_sizes", "dtype", "early_stopping"))
        if name not in self.names:
            name = "solver"
        return name, self.rng.choice(POOLS[name][0])


def _hidden_units(text):
    """The widths that a text stands for; of one that is refused any."""
    value = eval(text)
    try:
        units = [int(size) for size in value] if np.iterable(value) else [int(value)]
    except (TypeError, ValueError, OverflowError):
        return [5]
    return units if all(0 < size < 1000 for size in units) else [5] * len(units)


def _n_layers(text):
    return len(_hidden_units(text))


# The judge

HERE = __file__
PACKAGES = {
    name: str(Path(module.__file__).parent)
    for name, module in {"skbp": skbp, "sklearn": sklearn, "numpy": np, "scipy": scipy}.items()
}
BLAS = ThreadpoolController()

# scikit-learn's own messages for bad input, which name no argument.
SKLEARN_MESSAGES = re.compile(
    r"Found array with (0|dim)|Expected 2D array|Expected a 2-dimensional container|inconsistent numbers of samples"
    r"|could not convert string to float|Unable to convert array of bytes/strings|setting an array element with a sequence"
    r"|inhomogeneous|Complex data not supported|Unknown label type|bad input shape|Mix of label|legacy multi-label"
    r"|labels represented as bytes|n_splits|Too many folds|The test_size|Sample weights must|Sparse (data|matrices)"
    r"|float\(\) argument must be|argument must be a string or a real number|int too large to convert to float"
    r"|not supported between instances|Singleton array|has no len\(\)|Expected sequence or array-like"
    r"|Input should have at least 1 dimension|[Ff]eature names|Encountered .* type|is not fitted yet"
)
CLEAR_TYPES = (ValueError, TypeError, InvalidParameterError, NotFittedError)  # and skbp's own kinds of the first two
# Words by which a message may name what the user gave.
OTHER_WORDS = {"features", "initial_scale", "slope", "function", "curvature"}
# The library as it was imported: it may be edited while settings run.
SOURCES = {str(path): path.read_text(encoding="utf-8").splitlines() for path in Path(PACKAGES["skbp"]).rglob("*.py")}


@dataclass(frozen=True)
class Defect:
    """What breaks a promise.

    Parameters
    ----------
    kind : str
        Which promise.
    where : str
        The line of skbp that is to blame as far as it is known, else the call.
    detail : str
        The message, or what was found.
    setting : Setting
    calls : tuple of str
        Those up to the one that broke it.
    """

    kind: str
    where: str
    detail: str
    setting: Setting = field(repr=False)
    calls: tuple[str, ...] = field(repr=False)

    @property
    def key(self):
        return self.kind, self.where

    def __str__(self):
        made = f"{self.setting.estimator}, seed {self.setting.seed}, number {self.setting.number}"
        return f"{self.kind}\n  at {self.where}\n  {self.detail}\n  ({made})\n{self.setting.snippet(self.calls)}"


@dataclass
class Reply:
    """What came of a call: a value or an error, and the warnings."""

    value: object = None
    error: BaseException | None = None
    warned: list = field(default_factory=list)


class TookTooLongError(BaseException):
    """A call that does not end."""


class Trial:
    """Runs a setting and judges it.

    Attributes
    ----------
    outcome : str
        Of the first call that trains, and "then ..." of the last if it is another kind.
    defects : list of Defect
    """

    def __init__(self, setting):
        self.setting = setting
        self.outcome = ""
        self.defects: list[Defect] = []
        self._calls: list[str] = []
        self._names = dict(globals())
        self._words = _words(ESTIMATORS[setting.estimator])
        self._divergence = self._convergence = False

    def run(self):
        rng = np.random.mtrand._rand  # that of np.random
        state = rng.get_state()
        rng.seed(self.setting.number)
        try:
            self._run()
        finally:
            rng.set_state(state)
        return self

    def _run(self):
        for statement in self.setting.preparation:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                prepared = self._evaluated(statement)
            if prepared.error is not None and not statement.startswith("clf = "):
                raise prepared.error
            if prepared.error is not None:  # an Activation that cannot be made
                self.outcome = self._judge_error(prepared, statement)
                return
        data = {name: frozen(self._names[name]) for name in self.setting.data}
        outcomes = [self._train(operation) for operation in self.setting.operations]
        self.outcome = next((outcome for outcome in outcomes if outcome), "no training")
        if self._fitted():
            self._predict_all()
            self._copies()
        else:
            self._unfitted()
            self._copies()
        for name, before in data.items():
            if frozen(self._names[name]) != before:
                self._found("the user's data have been changed", name, self.setting.data[name])

    # Calls

    def call(self, statement):
        """Run a statement, judge its warnings, its error and what it has left behind."""
        self._calls.append(statement)
        clf = self._names["clf"]
        before, process = frozen(vars(clf)), _process()
        reply = self._evaluated(statement, raises=self.setting.numpy_raises)
        for change in _changes(process, _process(), self._may_draw_globally()):
            self._found(f"process state changed: {change}", statement.split("(")[0], "")
        for warned in reply.warned:
            self._judge_warning(warned)
        after = frozen(vars(clf))
        if reply.error is not None and after != before:
            self._found("an error has changed the estimator", statement.split("(")[0], _differences(before, after))
        if reply.error is None and not re.match(r"clf\.(fit|partial_fit|set_params)", statement) and after != before:
            self._found("a call has changed the estimator", statement.split("(")[0], _differences(before, after))
        params, old = _parameters(after, clf), _parameters(before, clf)
        if not statement.startswith("clf.set_params") and params != old:
            self._found("parameters have been changed", statement.split("(")[0], _differences(old, params))
        return reply

    def _evaluated(self, statement, raises=False):
        """Evaluate an expression, or an assignment of one to a name."""
        target, _, expression = re.fullmatch(r"(?:(\w+) (=) )?(.*)", statement, re.DOTALL).groups()
        reply = Reply()
        code = compile(expression, HERE, "eval")
        quiet = contextlib.redirect_stdout(io.StringIO())
        with _recorded(reply.warned), quiet, _watchdog(), np.errstate(all="raise" if raises else None):
            # As they are in a process that has set them for good.
            try:
                self._names["_filters"] = list(warnings.filters)
                reply.value = eval(code, self._names)
            except (Exception, TookTooLongError) as error:  # noqa: BLE001, it is judged
                reply.error = error
            if warnings.filters != self._names["_filters"]:
                self._found("process state changed: warnings.filters", statement, "")
            if raises and set(np.geterr().values()) != {"raise"}:
                self._found("process state changed: np.geterr()", statement, "")
        if target and reply.error is None:
            self._names[target] = reply.value
        return reply

    def _may_draw_globally(self):
        given = self.setting.params.get("random_state", "None")
        return given in {"None", "np.random", "np.random.mtrand._rand"}

    def _found(self, kind, where, detail):
        # Predictions change nothing: of them only the last is needed.
        changing = re.compile(r"clf\.(fit|partial_fit|set_params)|(again|F) = ")
        before = [call for call in self._calls[:-1] if changing.match(call)]
        rows = [call for call in self._calls[:-1] if call.startswith("rows = ")][-1:]
        uses_rows = [*rows] if "(rows" in "".join(self._calls[-1:]) else []
        calls = (*before, *uses_rows, *self._calls[-1:])
        defect = Defect(kind, where, str(detail)[:400], self.setting, calls)
        if defect.key not in {known.key for known in self.defects}:
            self.defects.append(defect)

    def _hold(self, condition, kind, where, detail=""):
        if not condition:
            self._found(kind, where, detail)

    # Errors and warnings

    def _judge_error(self, reply, statement):
        """The outcome that an error makes."""
        error = reply.error
        name, message = type(error).__name__, str(error)
        frames = traceback.extract_tb(error.__traceback__)
        where = _place(frames)
        detail = f"{name}: {message}"
        if isinstance(error, TookTooLongError):
            self._found("a call takes too long", where, detail)
        elif self._is_own(error, frames):
            return "the user's own error"
        elif isinstance(error, AttributeError) and "has no attribute 'partial_fit'" in message:
            return "clear error: AttributeError of partial_fit"
        elif isinstance(error, FloatingPointError) and self._of_own_scoring(frames):
            return "an error of scikit-learn's metrics under np.seterr(all='raise')"
        elif type(error) not in CLEAR_TYPES and not _is_of_skbp(type(error)):
            self._found(f"bare error: {name}", where, detail)
        elif not self._is_clear(message, frames):
            self._found("bare error: names no argument", where, detail)
        else:
            return f"clear error: {name} of {self._named(message) or 'scikit-learn about the data'}"
        return f"bare error: {name}"

    def _is_own(self, error, frames):
        """Whether a callable of the user has raised it."""
        in_own = frames[-1].filename == HERE and frames[-1].name != "<module>"
        return isinstance(error, Own) or in_own or str(error).startswith("<lambda>() takes")

    def _named(self, message):
        named = [word for word in self._words if re.search(rf"(?<![\w]){word}(?!\w)", message)]
        return min(named, key=lambda word: re.search(rf"(?<![\w]){word}(?!\w)", message).start()) if named else ""

    def _is_clear(self, message, frames):
        last = frames[-1]
        if _package(last.filename) == "sklearn":
            of_splitter_or_score = re.search(r"model_selection[\\/]_split|sklearn[\\/]metrics", last.filename)
            return bool(self._named(message) or SKLEARN_MESSAGES.search(message) or of_splitter_or_score)
        if _package(last.filename) == "skbp":
            return _raises_there(last) and bool(self._named(message))
        # An error of numpy, scipy or pandas is clear only if scikit-learn lets it through on purpose.
        by_sklearn = any(_package(frame.filename) == "sklearn" for frame in frames[-6:])
        return by_sklearn and bool(SKLEARN_MESSAGES.search(message))

    def _judge_warning(self, warned):
        message, category = str(warned["message"]), warned["category"]
        frames, filename = warned["frames"], warned["filename"]
        issuer = next((frame for frame in reversed(frames) if "warnings.py" not in frame.filename), frames[-1])
        package = _package(issuer.filename)
        if issuer.filename == HERE:
            return  # the user's own
        if issubclass(category, ConvergenceWarning):
            self._convergence = True
            self._divergence |= "diverged" in message
        where, detail = _place(frames), f"{category.__name__}: {message}"
        bad = (RuntimeWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning)
        if issubclass(category, bad) or category.__module__.split(".")[0] in {"numpy", "scipy"}:
            if not self._of_own_scoring(frames):
                self._found(f"warning not for the user: {category.__name__}", where, detail)
        elif package in {"numpy", "scipy"}:
            self._found(f"warning of {package}", where, detail)
        elif package == "skbp":
            self._hold(issubclass(category, UserWarning), "warning that is no UserWarning", where, detail)
            self._hold(self._named(message), "warning names no argument", where, detail)
            # The user's own methods are called by scikit-learn's wrapper, which is skipped like a frame of skbp.
            self._hold(filename == HERE, "warning points at another file", where, f"{filename}: {detail}")

    def _of_own_scoring(self, frames):
        """Whether scikit-learn's metrics, which the user asked for by `scoring` or `score`, are what warns."""
        return any(re.search(r"sklearn[\\/]metrics", frame.filename) for frame in frames)

    # Training

    def _train(self, operation):
        self._convergence = self._divergence = False
        reply = self.call(operation.text)
        if operation.method == "set_params":
            return ""
        if reply.error is not None:
            return self._judge_error(reply, operation.text)
        self._hold(reply.value is self._names["clf"], "fit does not return the estimator", operation.text, reply.value)
        check = self._fitted_ensemble if "CV" in self.setting.estimator else self._fitted_network
        with np.errstate(all="ignore"):
            self._fitted_at_all()
            check()
        if self._divergence:
            return "fitted after divergence"
        return "fitted, with a ConvergenceWarning" if self._convergence else "fitted"

    def _fitted(self):
        return bool({"coefs_", "members_"} & set(vars(self._names["clf"])))

    def _fitted_at_all(self):
        """What is documented of either class."""
        clf, X = self._names["clf"], self._names["X"]
        for name in _documented_attributes(type(clf)):
            if name != "feature_names_in_":
                self._hold(hasattr(clf, name), "a documented attribute is missing", name, "")
        shape = np.shape(X) if not sp.issparse(X) else X.shape
        self._hold(clf.n_features_in_ == shape[1], "n_features_in_ is wrong", "n_features_in_", clf.n_features_in_)
        named = isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in X.columns)
        self._hold(hasattr(clf, "feature_names_in_") == named, "feature_names_in_ is wrong", "feature_names_in_", named)
        self._hold(type(clf.n_iter_) is int and clf.n_iter_ >= 0, "n_iter_ is wrong", "n_iter_", repr(clf.n_iter_))
        most = clf._most_iterations()
        self._hold(clf.n_iter_ <= most, "more iterations than allowed", "n_iter_", f"{clf.n_iter_!r} of {most!r}")

    def _fitted_network(self):
        clf = self._names["clf"]
        finite = all(np.isfinite(array).all() for array in (*clf.coefs_, *clf.intercepts_))
        self._hold(finite, "weights that are not finite", "coefs_, intercepts_")
        types = {array.dtype.name for array in (*clf.coefs_, *clf.intercepts_)}
        self._hold(types in ({"float32"}, {"float64"}), "weights of a wrong type", "coefs_, intercepts_", types)
        self._hold(len(clf.loss_curve_) >= clf.n_iter_, "loss_curve_ is too short", "loss_curve_", len(clf.loss_curve_))
        for name in ("loss_curve_", "learning_rate_curve_", "validation_scores_", "validation_loss_curve_"):
            curve = getattr(clf, name)
            floats = curve is None or all(type(value) is float for value in curve)
            self._hold(floats, "a curve has what is no float", name, repr(curve))
        for name in ("loss_curve_", "learning_rate_curve_"):
            # Calls by other solvers have no learning rate.
            curve = [value for value in getattr(clf, name) or [] if name == "loss_curve_" or value == value]
            self._hold(np.isfinite(curve).all(), "a curve is not finite", name, repr(curve))
        self._hold(type(clf.loss_) is float, "no Python float", "loss_", repr(clf.loss_))
        as_documented = np.isfinite(clf.loss_) or clf.n_iter_ == 0 or self._divergence
        self._hold(as_documented, "loss_ is not finite", "loss_", repr(clf.loss_))
        for name in ("best_loss_", "best_validation_score_"):
            value = getattr(clf, name)
            self._hold(value is None or type(value) is float, "no Python float", name, repr(value))
        self._hold(type(clf.t_) is int and clf.t_ >= 0, "no Python int", "t_", repr(clf.t_))
        for name in ("best_iter_", "n_layers_", "n_outputs_"):
            self._hold(isinstance(getattr(clf, name), int), "no Python int", name, repr(getattr(clf, name)))

    def _fitted_ensemble(self):
        clf = self._names["clf"]
        arrays = [array for member in clf.members_ for array in (*member.coefs_, *member.intercepts_)]
        self._hold(all(np.isfinite(a).all() for a in arrays), "weights that are not finite", "members_")
        if "nan_beyond_3" in str(self.setting.params):
            return
        temperature = clf.temperature_
        positive = type(temperature) is float and 0.0 < temperature < np.inf
        self._hold(positive, "temperature_ is no positive float", "temperature_", repr(temperature))
        if clf.oof_indices_ is None:
            return
        covered = np.unique(np.concatenate(clf.oof_indices_))
        proba = clf.oof_proba_[covered]
        self._hold(np.isfinite(proba).all(), "oof_proba_ is not finite", "oof_proba_", proba)
        self._hold(((proba >= 0) & (proba <= 1)).all(), "oof_proba_ is no probability", "oof_proba_", proba)
        decision = clf.oof_decision_function_[covered]
        self._hold(
            np.isfinite(decision).all(), "oof_decision_function_ is not finite", "oof_decision_function_", decision
        )
        loss, score = clf.oof_log_loss_, clf.oof_score_
        good_loss = type(loss) is float and np.isfinite(loss)
        self._hold(good_loss, "oof_log_loss_ is no finite float", "oof_log_loss_", repr(loss))
        good_score = type(score) is float and 0.0 <= score <= 1.0
        self._hold(good_score, "oof_score_ is no share", "oof_score_", repr(score))

    def _unfitted(self):
        reply = self.call("clf.predict(X)")
        unfitted = isinstance(reply.error, NotFittedError)
        self._hold(unfitted, "predict of an unfitted estimator", "clf.predict", repr(reply.error))

    # Predictions

    def _predict_all(self):
        for view in self.setting.views:
            made = self._evaluated(f"rows = other_rows(X, {view!r})")
            if made.error is None:  # X may be what fit has refused after an earlier call
                self._calls.append(f"rows = other_rows(X, {view!r})")
                self._predict(view)
        if not (self.setting.views and self._trains_on_the_data()):
            return
        reply = self.call("clf.score(X, y)")
        if reply.error is not None:
            outcome = self._judge_error(reply, "clf.score")
            refused = self.outcome.startswith("fitted") and outcome.startswith("clear")
            self._hold(not refused, "score refuses the data of fit", "clf.score", repr(reply.error))
        else:
            self._hold(0.0 <= reply.value <= 1.0, "score is no share", "clf.score", repr(reply.value))
        if "CV" not in self.setting.estimator:
            self._objective()

    def _trains_on_the_data(self):
        """Whether the last training call has been with these labels and columns, and without an error."""
        return self.outcome.startswith("fitted")

    def _predict(self, view):
        methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
        replies = {}
        for method in methods:
            reply = replies[method] = self.call(f"clf.{method}(rows)")
            if reply.error is not None:
                outcome = self._judge_error(reply, method)
                refused = view in {"same", "one row"} and self._trains_on_the_data() and outcome.startswith("clear")
                self._hold(not refused, "refuses rows that it was trained on", method, repr(reply.error))
        if any(reply.error is not None for reply in replies.values()):
            return
        values = [reply.value for reply in replies.values()]
        if "nan_beyond_3" in str(self.setting.params) or "raising" in str(self.setting.params):
            return
        with np.errstate(all="ignore"):
            self._consistent(view, *values)
            self._others(view, values[1])

    def _consistent(self, view, labels, proba, log_proba, decision):
        """Whether the four kinds of prediction are right and say the same."""
        clf, where = self._names["clf"], f"rows: {view}"
        multilabel = clf._label_binarizer.y_type_.startswith("multilabel")
        labels = labels.toarray() if sp.issparse(labels) else np.asarray(labels)
        single = proba.dtype == np.float32 or "CV" in self.setting.estimator
        close = 1e-5 if single else 1e-9
        n_classes = len(clf.classes_)
        self._hold(proba.shape[1] == n_classes, "predict_proba has a wrong shape", where, proba.shape)
        finite = {"predict_proba": proba, "predict_log_proba": log_proba, "decision_function": decision}
        for name, array in finite.items():
            self._hold(np.isfinite(array).all(), f"{name} is not finite", where, array[~np.isfinite(array)][:5])
        if not all(np.isfinite(array).all() for array in finite.values()):
            return
        self._hold(((proba >= 0) & (proba <= 1)).all(), "predict_proba is no probability", where, proba)
        if not multilabel:
            sums = np.abs(proba.sum(axis=1, dtype=np.float64) - 1.0).max()
            self._hold(
                sums <= (1e-5 if proba.dtype == np.float32 else 1e-9), "predict_proba does not sum to 1", where, sums
            )
            self._hold(np.isin(labels, clf.classes_).all(), "predict gives unknown classes", where, labels)
        else:
            self._hold(np.isin(labels, (0, 1)).all(), "predict gives unknown classes", where, labels)
        large = proba > 1e-6
        off = np.abs(np.log(proba[large].astype(np.float64)) - log_proba[large]) / (1.0 + np.abs(log_proba[large]))
        off = off.max(initial=0.0)
        self._hold(off <= 10 * close, "predict_log_proba is no logarithm of predict_proba", where, off)
        self._same_label(where, labels, proba.astype(np.float64), decision.astype(np.float64), multilabel, close)

    def _same_label(self, where, labels, proba, decision, multilabel, close):
        """Whether predict is what probabilities and decision function say, ties aside."""
        classes = self._names["clf"].classes_
        if multilabel:
            by_proba, sure = proba > 0.5, np.abs(proba - 0.5) > close
            by_decision, clear = decision > 0.0, np.abs(decision) > close
            self._hold((by_proba == labels)[sure].all(), "predict is not what predict_proba says", where)
            self._hold((by_decision == labels)[clear].all(), "predict is not what decision_function says", where)
            return
        codes = np.array([int(np.flatnonzero(classes == label)[0]) for label in labels])
        of_label = proba[np.arange(len(codes)), codes]
        best = proba.max(axis=1)
        self._hold((of_label >= best - close).all(), "predict is not what predict_proba says", where, [of_label, best])
        if len(classes) == 2:
            clear = np.abs(decision) > close
            says = ((decision > 0.0) == (codes == 1))[clear]
            self._hold(decision.ndim == 1, "decision_function has a wrong shape", where, decision.shape)
            self._hold(says.all(), "predict is not what decision_function says", where, decision)
        elif len(classes) > 2:
            best = decision.max(axis=1)
            of_label = decision[np.arange(len(codes)), codes]
            enough = of_label >= best - close * (1.0 + np.abs(best))
            self._hold(enough.all(), "predict is not what decision_function says", where, [of_label, best])

    def _others(self, view, proba):
        """What only one of the classes has."""
        if "CV" in self.setting.estimator:
            reply = self.call("clf.predict_proba_members(rows)")
            if reply.error is not None:
                self._judge_error(reply, "predict_proba_members")
                return
            off = np.abs(reply.value.mean(axis=0) - proba).max()
            self._hold(off <= 1e-5, "predict_proba is no mean over the members", f"rows: {view}", off)
            return
        layers = _texts('-1 | 0 | -1 | 0 | np.int64(0) | 5 | "a" | None | 10**400 | 0.0')
        reply = self.call(f"clf.hidden_features(rows, {layers[self.setting.number % len(layers)]})")
        if reply.error is not None:
            self._judge_error(reply, "hidden_features")
            return
        same_length = len(reply.value) == len(proba) and reply.value.dtype == proba.dtype
        self._hold(same_length, "hidden_features has a wrong shape or type", f"rows: {view}", reply.value.shape)
        if view in {"same", "random", "zeros"} and not re.search("1e300|wild|scales|cubing", str(self.setting)):
            finite = np.isfinite(reply.value).all()
            self._hold(finite, "hidden_features is not finite", f"rows: {view}", reply.value)

    def _objective(self):
        reply = self.call("F = clf.objective(X, y)")
        if reply.error is not None:
            self._judge_error(reply, "objective")
            return
        function = reply.value
        for statement in ("F.value_and_gradient(F.theta0)", "F.hessp(F.theta0, F.theta0)"):
            reply = self.call(statement)
            if reply.error is not None:
                self._judge_error(reply, statement)
            elif "hessp" in statement:
                same = reply.value.shape == function.theta0.shape and reply.value.dtype == np.float64
                self._hold(same, "hessp has a wrong shape or type", statement, reply.value.shape)
            else:
                value, gradient = reply.value
                self._hold(type(value) is float, "the objective is no Python float", statement, repr(value))
                same = gradient.shape == function.theta0.shape and gradient.dtype == np.float64
                self._hold(same, "the gradient has a wrong shape or type", statement, gradient.shape)

    # Copies

    def _copies(self):
        """Pickle, clone, get_params and set_params, where the parameters allow them."""
        clf = self._names["clf"]
        if _works(pickle.dumps, clf.get_params(deep=False)):
            reply = self.call("again = pickle.loads(pickle.dumps(clf))")
            if reply.error is not None:
                self._judge_error(reply, "pickle")
            elif self._fitted():
                self._same_after_pickle(self._evaluated("rows = other_rows(X, 'same')"))
        if all(_works(functools.partial(clone, safe=False), value) for value in clf.get_params(deep=False).values()):
            reply = self.call("clone(clf)")
            if reply.error is not None:
                self._judge_error(reply, "clone")
            else:
                fresh, old = reply.value.get_params(deep=False), clf.get_params(deep=False)
                bare = set(vars(reply.value)) == set(old)
                self._hold(bare, "a clone has more than parameters", "clone", sorted(vars(reply.value)))
                self._hold(_comparable(fresh) == _comparable(old), "a clone has other parameters", "clone", "")
        if "cv" not in self.setting.params:  # deep parameters of splitters are none of skbp
            reply = self.call("clf.set_params(**clf.get_params())")
            if reply.error is not None:
                self._judge_error(reply, "set_params")

    def _same_after_pickle(self, made):
        if made.error is not None:
            return
        methods = ("predict", "predict_proba", "predict_log_proba", "decision_function")
        for method in methods:
            with np.errstate(all="ignore"):
                before, after = self._evaluated(f"clf.{method}(rows)"), self._evaluated(f"again.{method}(rows)")
            same = (before.error is None) == (after.error is None) and frozen(before.value) == frozen(after.value)
            self._hold(same, "other predictions after pickling", method, repr(after.error or ""))


@functools.cache
def _words(cls):
    """Everything that the user can name in a call."""
    methods = {"__init__", "fit", "partial_fit", "objective", "hidden_features"} & set(dir(cls))
    names = {name for method in methods for name in inspect.signature(getattr(cls, method)).parameters}
    return sorted((names | OTHER_WORDS) - {"self"})


def _is_of_skbp(error_type):
    return issubclass(error_type, ValueError | TypeError) and error_type.__module__.startswith("skbp")


@functools.cache
def _documented_attributes(cls):
    section = inspect.getdoc(cls).split("Attributes\n----------\n")[1].split("\n\n")[0]
    return re.findall(r"^(\w+_) : ", section, re.MULTILINE)


def _package(filename):
    return next((name for name, folder in PACKAGES.items() if filename.startswith(folder)), "")


def _place(frames):
    """The innermost line of skbp, and what it called if that is where it happened."""
    for frame in reversed(frames):
        if _package(frame.filename) == "skbp":
            path = Path(frame.filename).relative_to(Path(PACKAGES["skbp"]).parent)
            return f"{path.as_posix()}:{frame.lineno} in {frame.name}"
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno} in {last.name}"


def _raises_there(frame):
    """Whether a line is a raise statement, and not one that an error came to."""
    return SOURCES[frame.filename][frame.lineno - 1].lstrip().startswith("raise")


def _process():
    """What of the process a call must leave as it was."""
    return {
        "np.geterr()": np.geterr(),
        "BLAS threads": [library.num_threads for library in BLAS.lib_controllers],
        "np.random": frozen(np.random.mtrand._rand),
        "scikit-learn's configuration": sklearn.get_config(),
        "threads": threading.active_count(),
        "print options": repr(np.get_printoptions()),
        "sys.stdout": id(sys.stdout),
    }


def _changes(before, after, may_draw):
    return [name for name in before if before[name] != after[name] and not (name == "np.random" and may_draw)]


@contextlib.contextmanager
def _recorded(warned):
    """Append every warning with the frames that it comes from."""

    def note(message, category, filename, lineno, file=None, line=None):
        frames = [
            traceback.FrameSummary(frame.f_code.co_filename, number, frame.f_code.co_name, lookup_line=False)
            for frame, number in traceback.walk_stack(sys._getframe(1))
        ][::-1]
        warned.append({"message": message, "category": category, "filename": filename, "frames": frames})

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield


@contextlib.contextmanager
def _watchdog():
    """End a call that does not end, where the system has alarms."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(*args):
        raise TookTooLongError(f"longer than {SECONDS_A_CALL} seconds")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CALL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _works(function, value):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(value)
    except Exception:  # noqa: BLE001, whatever it is
        return False
    return True


def frozen(value):
    """A value that compares equal if and only if all that is in another is the same, bit for bit."""
    if isinstance(value, np.ndarray):
        content = tuple(map(frozen, value.ravel().tolist())) if value.dtype == object else value.tobytes()
        return "array", value.dtype.str, value.shape, content
    if isinstance(value, np.random.RandomState):
        return "RandomState", *map(frozen, value.get_state())
    if sp.issparse(value):
        parts = [frozen(getattr(value, name, None)) for name in ("data", "indices", "indptr")]
        return type(value).__name__, value.shape, *parts
    if isinstance(value, pd.DataFrame | pd.Series):
        return type(value).__name__, frozen(value.to_numpy()), frozen(list(value.index))
    if isinstance(value, dict):
        return "dict", tuple((frozen(key), frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(map(frozen, value))
    if isinstance(value, BaseEstimator):
        return type(value).__name__, frozen(vars(value))
    if isinstance(value, functools.partial):
        return "partial", frozen(value.args)
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | Fraction | Decimal):
        return type(value).__name__, repr(value)
    return type(value).__name__, id(value)


def _parameters(state, clf):
    """The parameters in a frozen estimator, a generator of random numbers aside."""
    names = set(inspect.signature(type(clf).__init__).parameters) - {"random_state"}
    return "dict", tuple(item for item in state[1] if item[0][1].strip("'") in names)


def _differences(before, after):
    old, new = dict(before[1]), dict(after[1])
    return ", ".join(key[1] for key in {**old, **new} if old.get(key) != new.get(key))


def _comparable(params):
    """Parameters without the identity of what a clone copies."""
    return re.sub(r"0x[0-9A-Fa-f]+", "", repr(sorted(params.items())))


# Many settings


def run(estimator, seed, number):
    """Run one setting."""
    return Trial(draw_setting(estimator, seed, number)).run()


def run_many(estimator, seed, numbers):
    """Count outcomes and gather defects, one of each kind and place, with how often it was found."""
    outcomes, counts, examples = Counter(), Counter(), {}
    for number in numbers:
        trial = run(estimator, seed, number)
        outcomes[trial.outcome] += 1
        for defect in trial.defects:
            counts[defect.key] += 1
            examples.setdefault(defect.key, defect)
    return outcomes, counts, examples


def smallest(defect, tries=250):
    """The same defect in the smallest setting that leaving things out leads to."""
    found = defect
    while tries > 0:
        for setting in _smaller(found.setting):
            tries -= 1
            again = [other for other in Trial(setting).run().defects if other.key == defect.key]
            if again:
                found = again[0]
                break
        else:
            break
    return found


def _smaller(setting):
    """Settings with one thing less."""
    for k in range(len(setting.operations)):
        if len(setting.operations) > 1:
            yield replace(setting, operations=setting.operations[:k] + setting.operations[k + 1 :])
    if setting.numpy_raises:
        yield replace(setting, numpy_raises=False)
    for view in setting.views:
        yield replace(setting, views=tuple(other for other in setting.views if other != view))
    for name in setting.data:
        if name not in {"X", "y"}:
            data = {other: text for other, text in setting.data.items() if other != name}
            yield replace(setting, data=data, operations=tuple(op.without(name) for op in setting.operations))
    for name in setting.params:
        # Without a number of iterations it would take long.
        if name != "max_iter" or "max_iter" in str(setting.operations):
            yield replace(setting, params={other: text for other, text in setting.params.items() if other != name})
    plain = {"X": r", '[^']*', '[^']*'\)$", "y": r", '[^']*'(, rare=True)?\)$"}
    for name, tail in plain.items():
        text = re.sub(tail, ")", setting.data[name])
        if text != setting.data[name]:
            yield replace(setting, data={**setting.data, name: text})


def report(estimator, seed, n_settings, shrink=True):
    """Run settings from number 0 on, and print what came of them; returns the number of kinds of defects."""
    outcomes, counts, examples = run_many(estimator, seed, range(n_settings))
    print(f"{estimator}: {n_settings} settings of seed {seed}")
    for outcome, count in outcomes.most_common():
        print(f"{count:6d}  {outcome}")
    print(f"{len(examples)} kinds of defects")
    for key, count in counts.most_common():
        defect = smallest(examples[key]) if shrink else examples[key]
        print(f"\n{count} x {defect}")
    print()
    return len(examples)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--settings", type=int, default=1500, help="of BackpropClassifier; of the other 0.6 times as many"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--number", type=int, help="run only this setting")
    parser.add_argument("--estimator", choices=[*ESTIMATORS], help="run only this class")
    parser.add_argument("--as-drawn", action="store_true", help="do not make the snippets small")
    arguments = parser.parse_args()
    chosen = [arguments.estimator] if arguments.estimator else [*ESTIMATORS]
    found = 0
    for estimator in chosen:
        if arguments.number is not None:
            trial = run(estimator, arguments.seed, arguments.number)
            print(f"{trial.setting.snippet()}\n# {trial.outcome}, views {trial.setting.views}\n")
            for defect in trial.defects:
                print(f"{defect}\n")
            found += len(trial.defects)
        else:
            n_settings = round(arguments.settings * SHARE[estimator])
            found += report(estimator, arguments.seed, n_settings, shrink=not arguments.as_drawn)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
