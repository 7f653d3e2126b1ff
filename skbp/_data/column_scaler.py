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
from sklearn.utils.validation import _check_feature_names_in, check_array, check_is_fitted

from skbp import _core
from skbp._data.tables import as_numbers, check_columns, infinities_named, listed
from skbp._notices import note

# The rows of `coefficients_`.
CENTER, FACTOR, GAP, BEND, LARGEST, MEAN, LAST_FACTOR = range(7)

# Where u levels off, in interquartile ranges.
LEVEL = 3.0

# Beyond this z, u is at its level in any precision. Squares of larger numbers could overflow.
FARTHEST = 1e9

# A smaller s would make 1/s overflow.
SMALLEST = 2.0**-1000

# The z of two values is a little beyond -1 and 1, where it is cut off.
BEYOND = 1.0 + 2.0**-20

# Smaller deviations of u are rounding.
SAME = 1e-7

# Rows are scaled in blocks of this many numbers, which stay in the processor's cache.
BLOCK = 2**15


class ColumnScaler(TransformerMixin, BaseEstimator):
    """Scale the columns of a table of numbers, and fill their gaps with the median.

    A column of two values becomes one of 0 and 1, where values beyond the two and gaps count as one of them. A column of one
    value becomes 0. A column without any value is left out, with a warning. Sparse columns are divided by their largest
    absolute value, and gaps become 0.

    Parameters
    ----------
    scale : bool, default=True
        False only fills gaps.

    Attributes
    ----------
    kept_ : ndarray of int
        The columns that have values.
    coefficients_ : ndarray of float64 of shape (7, n_kept)
        For each of these columns m, 1/s, the z that fills gaps, 1/3, the largest z, the mean of u, and 1 / its standard
        deviation. Two values become z = -1 and 1, no other z is beyond these, and u is z.
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
        self._start(X.shape[1])
        if self.scale:
            largest = np.zeros(X.shape[1])
            np.fmax.at(largest, X.indices, np.abs(X.data))
            self.coefficients_[FACTOR] = 1.0 / np.where(largest > 0.0, np.maximum(largest, SMALLEST), 1.0)

    def _fit_dense(self, X):
        self._start(X.shape[1])
        missing = np.isnan(X) if np.isnan(X.sum()) else np.zeros((1, X.shape[1]), dtype=bool)
        quantiles = np.nanquantile if missing.any() else np.quantile
        if missing.all(axis=0).any():
            self._leave_out(missing.all(axis=0))
            X, missing = X[:, self.kept_], missing[:, self.kept_]
        if not X.shape[1] or not (self.scale or missing.any()):
            return
        low, median, high = quantiles(X, [0.25, 0.5, 0.75], axis=0).astype(np.float64)
        self.coefficients_[GAP] = median
        if self.scale:
            least, most = (reduce(X, axis=0).astype(np.float64) for reduce in (np.fmin.reduce, np.fmax.reduce))
            # Halves first: the difference of two large numbers could overflow.
            half_range, spread = most / 2.0 - least / 2.0, 2.0 * (high / 2.0 - low / 2.0)
            of_two = np.all(missing | (least == X) | (most == X), axis=0)
            self._bend(X, ~of_two, median, np.where(spread > 0.0, spread, half_range))
            self._set_two_values(of_two, least / 2.0 + most / 2.0, half_range, median)
            self.coefficients_[:, of_two & (half_range < SMALLEST)] = 0.0

    def _start(self, n_columns):
        """Coefficients that leave columns as they are."""
        self.kept_ = np.arange(n_columns)
        self.coefficients_ = np.zeros((7, n_columns))
        self.coefficients_[[FACTOR, LAST_FACTOR]] = 1.0
        self.coefficients_[LARGEST] = np.inf

    def _leave_out(self, empty):
        names = np.array(list(map(repr, getattr(self, "feature_names_in_", range(len(empty))))))
        note(f"X has {listed(names[empty])} without a value in any row. Empty columns are left out.")
        self.kept_, self.coefficients_ = np.flatnonzero(~empty), self.coefficients_[:, ~empty]

    def _set(self, columns, row, values):
        self.coefficients_[row, columns] = values[columns]

    def _set_two_values(self, columns, middle, half_range, median):
        """Set the coefficients of columns of two values. Rounding must not keep them from 0 and 1."""
        self._set(columns, CENTER, middle)
        self._set(columns, FACTOR, BEYOND / _positive(half_range))
        self._set(columns, GAP, np.where(median > middle, 1.0, -1.0))
        for row, value in ((LARGEST, 1.0), (MEAN, -1.0), (LAST_FACTOR, 0.5)):
            self.coefficients_[row, columns] = value

    def _bend(self, X, bent, median, spread):
        """Set the coefficients of the columns that are scaled."""
        self._set(bent, CENTER, median)
        self._set(bent, FACTOR, 1.0 / _positive(spread))
        for row, value in ((GAP, 0.0), (BEND, 1.0 / LEVEL), (LARGEST, FARTHEST)):
            self.coefficients_[row, bent] = value
        n, total, squares = len(X), np.zeros(X.shape[1]), np.zeros(X.shape[1])
        for block in _blocks(X):
            u = _bent(X[block], self.coefficients_)
            total = total + u.sum(axis=0)
            squares = squares + np.square(u).sum(axis=0)
        # u is at most 3, so that the difference of squares loses few digits. A column of equal values has deviation 0.
        deviation = np.sqrt(np.maximum(squares / n - np.square(total / n), 0.0))
        self._set(bent, MEAN, total / n)
        self._set(bent, LAST_FACTOR, 1.0 / np.where(deviation > SAME, deviation, 1.0))

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

    def scaled(self, X, n_threads=0):
        """`transform` of float rows that are already checked.

        Parameters
        ----------
        X : {ndarray, CSR array} of shape (n_rows, n_features)
        n_threads : int, default=0
            The most threads of the compiled core; 0 for NumPy's code.
        """
        with np.errstate(all="ignore"):
            if len(self.kept_) < X.shape[1]:
                X = X[:, self.kept_]
            return self._scaled_sparse(X) if issparse(X) else self._scaled_dense(X, n_threads)

    def _scaled_sparse(self, X):
        if self.coefficients_[[CENTER, MEAN]].any():  # 0 does not stay 0
            return self._scaled_dense(X.toarray(), 0)
        coefficients = self.coefficients_[:, X.indices]
        numbers = _bent(X.data, coefficients) * coefficients[LAST_FACTOR]
        return type(X)((numbers.astype(X.dtype, copy=False), X.indices, X.indptr), shape=X.shape, copy=False)

    def _scaled_dense(self, X, n_threads):
        if not self.scale and not np.isnan(X.sum()):
            return X
        out = np.zeros(X.shape, X.dtype)
        if n_threads and _core.scale_columns is not None and X.dtype.char in _core.TYPES and X.flags.aligned:
            _core.scale_columns(X, out, self.coefficients_, n_threads)
            return out
        for block in _blocks(X):
            u = _bent(X[block], self.coefficients_)
            u -= self.coefficients_[MEAN]
            out[block] = np.multiply(u, self.coefficients_[LAST_FACTOR], out=u)
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

    def _numbers(self, X, *, reset):
        """Rows as float32 or float64, without inf."""
        check_columns(self, X, reset=reset)
        with infinities_named(X):
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


def _positive(spread):
    """Divisors that are neither 0 nor too small or too large for a division by them."""
    return np.where(spread > 0.0, spread.clip(SMALLEST, 1.0 / SMALLEST), 1.0)


def _bent(x, coefficients):
    """u of rows, or of single numbers with their coefficients."""
    z = np.subtract(x, coefficients[CENTER], dtype=np.float64)
    z *= coefficients[FACTOR]
    if np.isnan(z.sum()):
        np.copyto(z, coefficients[GAP], where=np.isnan(z))
    np.clip(z, -coefficients[LARGEST], coefficients[LARGEST], out=z)
    root = z * coefficients[BEND]
    root *= root
    root += 1.0
    z /= np.sqrt(root, out=root)
    return z


def _blocks(X):
    step = max(1, BLOCK // max(1, X.shape[1]))
    return [slice(start, start + step) for start in range(0, len(X), step)]
