"""Data made from a few words: rows, targets, sample weights, initial weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import scipy.sparse as sp


def table(seed, rows, columns, kind="float64", trait="plain"):
    """Rows of numbers.

    Parameters
    ----------
    seed, rows, columns : int
    kind : str
        A dtype, or a container of `_contained`, such as "csr", "csr int64" (the type of its indices), "frame" or "list".
    trait : str
        What is special about the numbers: a key of `_TRAITS`.
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


def labels(seed, rows, of, container="array", rare=False):
    """A target with one class for each row."""
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
    """Sample weights."""
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
    """Initial weights or biases, one array for each layer."""
    rng = np.random.RandomState(seed)
    shapes = [(i, o) if what == "weights" else (o,) for i, o in pairwise(units)]
    return [rng.normal(size=shape) * scale for shape in shapes]


def other_rows(X, kind):
    """Rows to predict for, made from the training rows."""
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
