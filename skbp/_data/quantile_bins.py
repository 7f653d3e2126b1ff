r"""A second view of a table: each number by how far it goes through the quantiles of its column.

A column with the distinct quantiles e_0 < e_1 < ... < e_B becomes B columns

.. math:: b_i = \operatorname{clip}\left( \frac{x - e_i}{e_{i+1} - e_i}, 0, 1 \right)

(Gorishniy, Rubachev and Babenko, 2022). A network on them can bend at each quantile from the start, and a network on plain
numbers is smooth. The two make different errors, so their mean is better than either. The columns are centred.

References
----------
Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS 2022,
https://doi.org/10.48550/arXiv.2203.05556
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_array, check_is_fitted, validate_data

from skbp import _core

# The rows of `coefficients_`.
LOWER, WIDTH, MEAN = range(3)

# Rows are encoded in blocks of this many numbers.
BLOCK = 2**17


class QuantileBins(TransformerMixin, BaseEstimator):
    """Encode numbers by the quantiles of their columns. Columns of 0 and 1 keep their values.

    Parameters
    ----------
    n_bins : int, default=16
        The most bins of a column.

    Attributes
    ----------
    feature_ : ndarray of int of shape (n_columns_out,)
        The column of X that each column comes from.
    coefficients_ : ndarray of shape (3, n_columns_out)
        For each column e_i, e_{i+1} - e_i, and the mean of b_i. A column of 0 and 1 is a bin from 0 to 1 with mean 0.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Their names, if they have any.
    """

    def __init__(self, n_bins=16):
        self.n_bins = n_bins

    def fit(self, X, y=None):  # noqa: ARG002, scikit-learn passes y
        """Find the quantiles.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Finite numbers.
        y : None
            Ignored.

        Returns
        -------
        self : QuantileBins
            The fitted transformer itself.
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        features, lower, upper = [], [], []
        binary = np.all((X == 0.0) | (X == 1.0), axis=0)
        for j, column in enumerate(X.T):
            edges = np.array([0.0, 1.0])
            if not binary[j]:
                edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, self.n_bins + 1)))
            features += [j] * (len(edges) - 1)
            lower += edges[:-1].tolist()
            upper += edges[1:].tolist()
        self.feature_ = np.array(features, dtype=np.intp)
        starts, ends = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
        self.coefficients_ = np.stack([starts, ends - starts, np.zeros(len(starts))])
        total = np.zeros(len(features))
        for block in self._blocks(X):
            total += self._bins(X[block]).sum(axis=0)
        self.coefficients_[MEAN] = np.where(binary[self.feature_], 0.0, total / len(X))
        return self

    def transform(self, X):
        """Encode rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Finite numbers.

        Returns
        -------
        encoded : ndarray of shape (n_rows, n_columns_out)
            float32 if X is, else float64.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=(np.float64, np.float32))
        if X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {X.shape[1]} columns, but QuantileBins is fitted on {self.n_features_in_}.")
        return self.encoded(X)

    def encoded(self, X, n_threads=0):
        """`transform` of float rows that are already checked.

        `n_threads` is the most threads of the compiled core; with 0 NumPy computes.
        """
        out = np.zeros((len(X), len(self.feature_)), X.dtype)
        if n_threads and _core.encode_bins is not None and X.dtype.char in _core.TYPES and X.flags.aligned:
            _core.encode_bins(X, out, self.feature_, self.coefficients_, n_threads)
            return out
        for block in self._blocks(X):
            out[block] = self._bins(X[block]) - self.coefficients_[MEAN]
        return out

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; those of `fit` by default.

        Returns
        -------
        names : ndarray of str
            The name of the column of X, for a bin with "> e_i".
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)[self.feature_]
        single, edges = np.bincount(self.feature_)[self.feature_] == 1, self.coefficients_[LOWER].tolist()
        texts = [f"{e:.4g}" for e in edges]
        if len(set(zip(self.feature_, texts, strict=True))) < len(texts):
            texts = list(map(repr, edges))
        parts = zip(names, single, texts, strict=True)
        return np.array([name if one else f"{name} > {text}" for name, one, text in parts], dtype=object)

    def _bins(self, X):
        b = X.take(self.feature_, axis=1).astype(np.float64)
        with np.errstate(over="ignore"):
            b -= self.coefficients_[LOWER]
            b /= self.coefficients_[WIDTH]
        return np.clip(b, 0.0, 1.0, out=b)

    def _blocks(self, X):
        step = max(1, BLOCK // max(1, len(self.feature_)))
        return [slice(start, start + step) for start in range(0, len(X), step)]
