"""Which columns of a table hold numbers and which hold categories, and the transformer that a network gets them from.

Numbers are scaled (column_scaler.py). Each category becomes a column of 0 and 1, and a missing value is a category too.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from skbp._data.column_scaler import ColumnScaler
from skbp._data.tables import (
    CATEGORY,
    NUMBER,
    TEXT,
    as_categories,
    check_columns,
    is_mixed,
    kinds_of,
    kinds_of_categories,
    listed,
    names_of,
    refusal,
)
from skbp._notices import note

# Categories with fewer rows than this share a column, also with those that are new at prediction.
LEAST_ROWS_OF_A_CATEGORY = 5

# The rows are sparse if less than this share of their numbers is not 0. Products with sparse rows take several times as long
# for each of their numbers.
SPARSE_SHARE = 0.05

FROM_DTYPE = "from_dtype"

_IN_WORDS = {TEXT: "text", NUMBER: "numbers"}


class Categories(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """The columns of a table as Python objects, None where a value is missing.

    Frames of different types have different signs for a missing value. An encoder after this transformer knows only one.
    Columns of numbers do not match text: 1010 is not "1010".

    Attributes
    ----------
    kinds_ : list of str
        "text" or "number" for each column, "" for one without any value.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, if they have any.
    """

    def fit(self, X, y=None):  # noqa: ARG002, scikit-learn passes y
        """Learn the names of the columns.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_rows, n_features)
            Categories of any type.
        y : None
            Ignored.

        Returns
        -------
        self : Categories
            The fitted transformer itself.
        """
        check_columns(self, X, reset=True)
        names = names_of(X)
        self.kinds_ = kinds_of_categories(as_categories(X), names)
        empty = [name for name, kind in zip(names, self.kinds_, strict=True) if not kind]
        if empty:
            note(f"X has {listed(empty)} without a value in any row.")
        return self

    def transform(self, X):
        """Take the values out of their table.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_rows, n_features)
            Categories of any type.

        Returns
        -------
        values : ndarray of object of shape (n_rows, n_features)
            str, numbers, or None.
        """
        check_is_fitted(self, "n_features_in_")
        check_columns(self, X, reset=False)
        values, names = as_categories(X), names_of(X)
        for name, kind, known in zip(names, kinds_of_categories(values, names), self.kinds_, strict=True):
            if kind and known and kind != known:
                raise ValueError(
                    f"Column {name} of X holds {_IN_WORDS[kind]}, but held {_IN_WORDS[known]} in fit. Convert it: the "
                    "encoder finds a category only as the same type."
                )
        return values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags


def categorical_columns(X, categorical_features):
    """Which columns of a table are categories.

    Parameters
    ----------
    X : {ndarray, sparse matrix, data frame} of shape (n_rows, n_columns)
    categorical_features : "from_dtype", None, or array-like of bool, int or str
        As the parameter of `BackpropClassifierCV`.

    Returns
    -------
    categorical : ndarray of bool of shape (n_columns,)

    Raises
    ------
    ValueError
        If `categorical_features` does not fit the table, or a column holds neither numbers nor categories.
    """
    kinds, names = (kinds_of(X) if is_mixed(X) else [NUMBER] * X.shape[1]), names_of(X)
    if isinstance(categorical_features, str) and categorical_features == FROM_DTYPE:
        categorical = np.array([kind in {TEXT, CATEGORY} for kind in kinds], dtype=bool)
    else:
        categorical = _listed(categorical_features, X)
    if issparse(X) and categorical.any():
        raise ValueError("categorical_features needs dense X: give X.toarray(), or encode the categories before.")
    for name, kind, is_category in zip(names, kinds, categorical, strict=True):
        if kind not in {NUMBER, TEXT, CATEGORY}:
            raise ValueError(refusal(name, kind))
        if kind == TEXT and not is_category:
            raise ValueError(
                f"Column {name} of X holds text, but is not in categorical_features: add it, or set "
                "categorical_features='from_dtype', which takes all text for categories."
            )
    return categorical


def _listed(categorical_features, X):
    """A mask of columns from a mask, numbers or names."""
    n_columns = X.shape[1]
    categorical = np.zeros(n_columns, dtype=bool)
    listed = np.asarray([] if categorical_features is None else categorical_features)
    if listed.ndim != 1:
        raise ValueError("categorical_features must be a list of column names, of column numbers, or a mask.")
    if not listed.size:
        return categorical
    if listed.dtype == bool:
        if len(listed) != n_columns:
            raise ValueError(f"categorical_features is a mask of {len(listed)} columns, but X has {n_columns}.")
        return listed
    if listed.dtype.kind in "iu":
        wrong = listed[(listed < 0) | (listed >= n_columns)]
        if wrong.size:
            raise ValueError(
                f"categorical_features has {wrong.tolist()}, but the columns of X have the numbers 0 to {n_columns - 1}."
            )
        categorical[listed] = True
        return categorical
    if not all(isinstance(name, str) for name in listed):
        raise ValueError(
            f"categorical_features={categorical_features!r} must hold column names, column numbers, or True and False."
        )
    names = list(getattr(X, "columns", []))
    if not names:
        raise ValueError("categorical_features has names, but X has none: give column numbers or a mask.")
    unknown = sorted(set(listed.tolist()) - set(names))
    if unknown:
        raise ValueError(f"categorical_features has {unknown}, which X does not have. Its columns are {names}.")
    categorical[[names.index(name) for name in listed]] = True
    return categorical


def warn_of_rare_categories(encoder, names):
    """Warn of columns of which no category is frequent.

    Parameters
    ----------
    encoder : OneHotEncoder
        Fitted.
    names : list of str
        What messages call its columns.
    """
    for name, all_of_column, rare in zip(names, encoder.categories_, encoder.infrequent_categories_, strict=True):
        if rare is not None and len(rare) == len(all_of_column) > 1:
            note(
                f"Column {name} of X has {len(rare)} categories, and none has {LEAST_ROWS_OF_A_CATEGORY} rows: nothing can "
                "be learned from it. If it holds numbers as text, convert it to numbers. If it is a key or free text, leave "
                "it out."
            )


def make_preprocessor(categorical, scale):
    """An unfitted transformer for a table.

    Parameters
    ----------
    categorical : ndarray of bool of shape (n_columns,)
    scale : bool
        Whether to scale numbers.

    Returns
    -------
    preprocessor : ColumnScaler, or ColumnTransformer if there are categories
    """
    if not categorical.any():
        return ColumnScaler(scale)
    one_hot = OneHotEncoder(
        min_frequency=LEAST_ROWS_OF_A_CATEGORY, handle_unknown="infrequent_if_exist", dtype=np.float64
    )
    return ColumnTransformer(
        [
            ("numbers", ColumnScaler(scale), np.flatnonzero(~categorical)),
            ("categories", make_pipeline(Categories(), one_hot), np.flatnonzero(categorical)),
        ],
        sparse_threshold=SPARSE_SHARE,
        verbose_feature_names_out=False,
    )
