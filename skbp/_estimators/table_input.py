"""An estimator that takes a table as it comes: numbers on any scale, categories, gaps."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from skbp._data.column_scaler import ColumnScaler
from skbp._data.columns import FROM_DTYPE, categorical_columns, make_preprocessor, warn_of_rare_categories
from skbp._data.labels import as_vector
from skbp._data.tables import as_table, for_names, infinities_named, is_mixed, names_of
from skbp._estimators.estimator import NetworkEstimator
from skbp._training.threads import core_threads

FLOATS = (np.float64, np.float32)


class TableInput(NetworkEstimator):
    """An estimator that prepares a table for its networks.

    Attributes
    ----------
    preprocessor_ : transformer
        Its output is what the networks take.
    """

    preprocessor_: Any

    _parameter_constraints: ClassVar[dict] = {
        **NetworkEstimator._parameter_constraints,
        "scale": ["boolean"],
        "categorical_features": ["array-like", StrOptions({FROM_DTYPE}), None],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    def _check_data(self, X, y, resume):  # noqa: ARG002, it never resumes
        self._check_y(y)
        table = as_table(X)
        mixed = is_mixed(table)
        how = {"accept_sparse": "csr", "multi_output": True, "dtype": FLOATS, "order": self._order}
        if mixed:
            self._check_shape(X, table.shape, reset=True)
        else:
            with infinities_named(table):
                table, y = validate_data(self, X, y, ensure_all_finite="allow-nan", **how)
        self.preprocessor_ = make_preprocessor(categorical_columns(table, self.categorical_features), self.scale)
        with config_context(transform_output="default"):
            self.preprocessor_.fit(table)
        self._make_names_unique()
        if not isinstance(self.preprocessor_, ColumnScaler):
            encoder, columns = self._of_kind("categories")
            warn_of_rare_categories(encoder[-1], np.array(names_of(table))[columns])
        prepared = self._prepared(table)
        if mixed:
            prepared, y = check_X_y(prepared, y, estimator=self, **how)
        if not prepared.shape[1]:
            raise ValueError("X has no value in any column.")
        return self._cast(prepared, self.dtype or FLOATS, "X"), as_vector(y)

    def _checked_rows(self, X):
        if self._pass_unchanged(X):
            return X
        check_is_fitted(self)
        table = as_table(X)
        if is_mixed(table):
            self._check_shape(X, table.shape, reset=False)
            return table
        if issparse(table) and not isinstance(self.preprocessor_, ColumnScaler):
            raise ValueError(
                "X is sparse, but some of its columns are categories, which need dense X: give X.toarray()."
            )
        with infinities_named(table):
            return validate_data(self, X, accept_sparse="csr", dtype=FLOATS, ensure_all_finite="allow-nan", reset=False)

    def _check_shape(self, X, shape, *, reset):
        """Check names and number of the columns, and that there are rows. The values are checked where they are used."""
        validate_data(self, for_names(X), skip_check_array=True, reset=reset)
        check_array(np.broadcast_to(0.0, shape), estimator=self)

    def _make_names_unique(self):
        """Give names a prefix if a column is called like a category of another column."""
        try:
            self.preprocessor_.get_feature_names_out()
        except ValueError:
            self.preprocessor_.set_params(verbose_feature_names_out=True)

    def _row_type(self, X):
        return X.dtype if self._only_scales(X) else self._prepared(X[:1]).dtype

    def _only_scales(self, rows):
        """Whether checked rows are numbers that need no step but the scaler."""
        return isinstance(self.preprocessor_, ColumnScaler) and not is_mixed(rows)

    def _prepared(self, rows):
        if self._only_scales(rows):
            return self.preprocessor_.scaled(rows, core_threads())
        with config_context(transform_output="default"):
            return self.preprocessor_.transform(rows)

    def _give_columns(self, estimator, names=None):
        """Publish which columns a network or a transformer takes: by default those of `preprocessor_`."""
        names = self.preprocessor_.get_feature_names_out() if names is None else names
        estimator.n_features_in_, estimator._takes_nameless_rows = len(names), True
        if hasattr(self, "feature_names_in_"):
            estimator.feature_names_in_ = names

    def _by_column_of_X(self, values):
        """The sums of the values of the prepared columns that come from the same column of X, as shares of all."""
        total = np.zeros(self.n_features_in_)
        np.add.at(total, self._column_of_X(), values)
        return total / total.sum() if total.any() else total

    def _column_of_X(self):
        """The column of X that each prepared column comes from."""
        if isinstance(self.preprocessor_, ColumnScaler):
            return self.preprocessor_.kept_
        scaler, numbers = self._of_kind("numbers")
        encoder, categories = self._of_kind("categories")
        one_hot = encoder[-1]
        # Rare categories share one column.
        rare = [0 if one is None else len(one) - 1 for one in one_hot.infrequent_categories_]
        widths = [len(one) - n_rare for one, n_rare in zip(one_hot.categories_, rare, strict=True)]
        kept = numbers[scaler.kept_] if len(numbers) else numbers  # a transformer of no columns is not fitted
        return np.concatenate([kept, np.repeat(categories, widths)])

    def _of_kind(self, name):
        """The transformer of the numbers or of the categories, and their columns."""
        return next((one, columns) for of, one, columns in self.preprocessor_.transformers_ if of == name)
