r"""A second view of a table: each number by how far it goes through the quantiles of its column.

A column with the distinct quantiles e_0 < e_1 < ... < e_B becomes B columns

.. math:: b_i = \operatorname{clip}\left( \frac{x - e_i}{e_{i+1} - e_i}, 0, 1 \right)

(Gorishniy, Rubachev and Babenko, 2022). A network on them can bend at each quantile from the start, and a network on plain
numbers is smooth. The two make different errors, so their mean is better than either.

All columns of a feature are multiplied by its relevance. So the network starts from what another one has found.

References
----------
Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS 2022,
https://doi.org/10.48550/arXiv.2203.05556
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_array, check_is_fitted, validate_data

# A feature counts at most this many times as much as one of ordinary relevance.
MOST_RELEVANT = 4.0

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
    lower_, width_ : ndarray of shape (n_columns_out,)
        e_i and e_{i+1} - e_i. A column of 0 and 1 is a bin from 0 to 1.
    mean_ : ndarray of shape (n_columns_out,)
        The mean of b_i; 0 for a column of 0 and 1.
    relevance_ : ndarray of shape (n_columns_out,)
        The factor of each column. Its mean square over the columns of X is 1.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Their names, if they have any.
    """

    def __init__(self, n_bins=16):
        self.n_bins = n_bins

    def fit(self, X, y=None, relevance=None):  # noqa: ARG002, scikit-learn passes y
        """Find the quantiles.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Finite numbers.
        y : None
            Ignored.
        relevance : array-like of shape (n_columns,), default=None
            How much each column counts, on any scale; None for all the same.

        Returns
        -------
        self : QuantileBins
            The fitted transformer itself.
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        features, lower, upper = [], [], []
        for j, column in enumerate(X.T):
            edges = np.array([0.0, 1.0])
            if not np.all((column == 0.0) | (column == 1.0)):
                edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, self.n_bins + 1)))
            features += [j] * (len(edges) - 1)
            lower += edges[:-1].tolist()
            upper += edges[1:].tolist()
        self.feature_ = np.array(features, dtype=np.intp)
        self.lower_ = np.array(lower, dtype=np.float64)
        self.width_ = np.array(upper, dtype=np.float64) - self.lower_
        self.relevance_ = _relevance(relevance, X.shape[1])[self.feature_]
        self.mean_ = np.zeros(len(features))
        binary = np.bincount(self.feature_, minlength=X.shape[1])[self.feature_] == 1
        binary &= (self.lower_ == 0.0) & (self.width_ == 1.0)
        total = np.zeros(len(features))
        for block in self._blocks(X):
            total += self._bins(X[block]).sum(axis=0)
        self.mean_ = np.where(binary, 0.0, total / len(X))
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

    def encoded(self, X):
        """`transform` of float rows that are already checked."""
        out = np.zeros((len(X), len(self.feature_)), X.dtype)
        for block in self._blocks(X):
            b = self._bins(X[block])
            b -= self.mean_
            out[block] = np.multiply(b, self.relevance_, out=b)
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
        single = np.bincount(self.feature_)[self.feature_] == 1
        return np.array(
            [name if one else f"{name} > {e:.4g}" for name, one, e in zip(names, single, self.lower_, strict=True)],
            dtype=object,
        )

    def _bins(self, X):
        b = X.take(self.feature_, axis=1).astype(np.float64)
        b -= self.lower_
        b /= self.width_
        return np.clip(b, 0.0, 1.0, out=b)

    def _blocks(self, X):
        step = max(1, BLOCK // max(1, len(self.feature_)))
        return [slice(start, start + step) for start in range(0, len(X), step)]


def _relevance(relevance, n_columns):
    """Factors with a mean square of 1, none far above the others."""
    factors = np.ones(n_columns) if relevance is None else np.asarray(relevance, dtype=np.float64)
    for most in (MOST_RELEVANT, np.inf):
        size = np.sqrt(np.mean(np.square(factors)))
        factors = np.minimum(factors / size, most) if size > 0.0 else np.ones(n_columns)
    return factors
