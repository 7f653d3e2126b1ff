r"""Columns of numbers as a network learns from them best: near 0, of similar size, without far outliers, without gaps.

A value x of a column becomes

.. math:: z = \frac{x - m}{s}, \qquad u = \frac{z}{\sqrt{1 + (z / 3)^2}}, \qquad \frac{u - \bar u}{\sigma_u}

with the median m and the interquartile range s of the column, and the mean and the standard deviation of u. Values within
two ranges of the median change little. No u is beyond 3. So a wrong decimal point or a failed sensor in one row does not
squeeze all other rows together, as it would with the mean and the standard deviation of x.

Everything is computed in float64. The scale is not folded into the weights of the first layer: float32 weights cannot
resolve a column with a mean of 10^6 standard deviations.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_array, check_is_fitted, validate_data

from skbp._data.tables import as_numbers, listed
from skbp._notices import note

# Where u levels off, in interquartile ranges.
BEND = 3.0

# Beyond this z / 3, u is 3 in any precision, and squares could overflow.
FARTHEST = 1e9

# Rows are scaled in blocks of this many numbers, which stay in the processor's cache.
BLOCK = 2**15


class ColumnScaler(TransformerMixin, BaseEstimator):
    """Scale the columns of a table of numbers, and fill their gaps with the median.

    Columns of 0 and 1 keep their values. A column without any value is left out, with a warning. Sparse columns are divided
    by their largest absolute value, and gaps become 0.

    Parameters
    ----------
    scale : bool, default=True
        False only fills gaps.

    Attributes
    ----------
    kept_ : ndarray of int
        The columns that have values.
    fill_ : ndarray of shape (n_kept,)
        The median of each of these columns; 0 if the rows are sparse.
    center_, scale_ : ndarray of shape (n_kept,)
        m and s.
    bend_ : ndarray of shape (n_kept,)
        1/3 for columns that are bent, 0 for those that keep their values.
    mean_, deviation_ : ndarray of shape (n_kept,)
        Mean and standard deviation of u.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, if they have any.
    """

    def __init__(self, scale=True):
        self.scale = scale

    def fit(self, X, y=None):  # noqa: ARG002, scikit-learn passes y
        """Learn medians, ranges, means and deviations.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Numbers; nan or None where a value is missing.
        y : None
            Ignored.

        Returns
        -------
        self : ColumnScaler
            The fitted transformer itself.
        """
        X = self._numbers(X, reset=True)
        with np.errstate(all="ignore"):
            (self._fit_sparse if issparse(X) else self._fit_dense)(X)
        return self

    def _fit_sparse(self, X):
        n = X.shape[1]
        self.kept_ = np.arange(n)
        self.fill_ = self.center_ = self.bend_ = self.mean_ = np.zeros(n)
        self.scale_ = self.deviation_ = np.ones(n)
        if self.scale:
            largest = np.zeros(n)
            np.fmax.at(largest, X.indices, np.abs(X.data))
            self.scale_ = np.where(largest > 0.0, largest, 1.0)

    def _fit_dense(self, X):
        missing = np.isnan(X) if np.isnan(X.sum()) else None
        self.kept_ = np.arange(X.shape[1])
        if missing is not None:
            empty = missing.all(axis=0)
            self.kept_ = np.flatnonzero(~empty)
            if empty.any():
                names = self._names()[empty]
                note(f"X has {listed(names)} without a value in any row. A network does not see what is empty.")
            X, missing = X[:, self.kept_], missing[:, self.kept_]
        n = X.shape[1]
        self.fill_ = self.center_ = self.bend_ = self.mean_ = np.zeros(n)
        self.scale_ = self.deviation_ = np.ones(n)
        if not n or (missing is None and not self.scale):
            return
        quantiles = np.quantile if missing is None else np.nanquantile
        low, self.fill_, high = quantiles(X, [0.25, 0.5, 0.75], axis=0).astype(np.float64)
        if not self.scale:
            return
        bent = ~np.all((X == 0.0) | (X == 1.0) | (False if missing is None else missing), axis=0)
        # Halves first: the difference of two large numbers could overflow.
        spread = 2.0 * (high / 2.0 - low / 2.0)
        half_range = np.fmax.reduce(X, axis=0) / 2.0 - np.fmin.reduce(X, axis=0) / 2.0
        spread = np.where(spread > 0.0, spread, half_range)
        self.center_ = np.where(bent, self.fill_, 0.0)
        self.scale_ = np.where(bent & (spread > 0.0), np.minimum(spread, np.finfo(np.float64).max), 1.0)
        self.bend_ = np.where(bent, 1.0 / BEND, 0.0)
        self.mean_, self.deviation_ = self._moments(X, bent)

    def _moments(self, X, bent):
        """The mean and the standard deviation of u. A column of equal values has deviation 1."""
        n, total, squares = len(X), 0.0, 0.0
        for block in _blocks(X):
            u = self._bent(X[block])
            total = total + u.sum(axis=0)
            squares = squares + np.square(u).sum(axis=0)
        mean = total / n
        # u is at most 3, so that its square loses few digits.
        deviation = np.sqrt(np.maximum(squares / n - mean * mean, 0.0))
        return np.where(bent, mean, 0.0), np.where(bent & (deviation > 1e-7), deviation, 1.0)

    def _bent(self, x, columns=slice(None)):
        """u of some rows, or of some numbers of these columns."""
        center, scale, bend = self.center_[columns], self.scale_[columns], self.bend_[columns]
        z = np.subtract(x, center, dtype=np.float64)
        z /= scale
        if np.isnan(z.sum()):
            np.copyto(z, (self.fill_[columns] - center) / scale, where=np.isnan(z))
        farthest = FARTHEST / bend
        np.clip(z, -farthest, farthest, out=z)
        root = z * bend
        root *= root
        root += 1.0
        z /= np.sqrt(root, out=root)
        return z

    def transform(self, X):
        """Scale rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Numbers; nan or None where a value is missing.

        Returns
        -------
        scaled : {ndarray, CSR array} of shape (n_rows, n_features_out)
            float32 if X is, else float64.
        """
        check_is_fitted(self)
        return self.scaled(self._numbers(X, reset=False))

    def scaled(self, X):
        """`transform` of float rows that are already checked."""
        with np.errstate(all="ignore"):
            if len(self.kept_) < X.shape[1]:
                X = X[:, self.kept_]
            return self._scaled_sparse(X) if issparse(X) else self._scaled_dense(X)

    def _scaled_sparse(self, X):
        if self.center_.any() or self.mean_.any():  # 0 does not stay 0
            return self._scaled_dense(X.toarray())
        u = self._bent(X.data, X.indices)
        u /= self.deviation_[X.indices]
        return type(X)((u.astype(X.dtype, copy=False), X.indices, X.indptr), shape=X.shape, copy=False)

    def _scaled_dense(self, X):
        if not self.scale and not np.isnan(X.sum()):
            return X
        out = np.zeros(X.shape, X.dtype)
        for block in _blocks(X):
            u = self._bent(X[block])
            u -= self.mean_
            out[block] = np.divide(u, self.deviation_, out=u)
        return out

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns; those of `fit` by default.

        Returns
        -------
        names : ndarray of str
            Names of the columns that are kept.
        """
        check_is_fitted(self)
        return np.asarray(_check_feature_names_in(self, input_features), dtype=object)[self.kept_]

    def _names(self):
        return np.array(list(map(repr, getattr(self, "feature_names_in_", range(self.n_features_in_)))))

    def _numbers(self, X, *, reset):
        """Rows as float32 or float64, without inf."""
        validate_data(self, X, reset=reset, skip_check_array=True)
        return check_array(
            as_numbers(X),
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
            ensure_min_samples=0,
            input_name="X",
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags


def _blocks(X):
    step = max(1, BLOCK // max(1, X.shape[1]))
    return [slice(start, start + step) for start in range(0, len(X), step)]
