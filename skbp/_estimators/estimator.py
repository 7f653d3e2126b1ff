"""What all estimators share: parameters and data validated, predictions chunk by chunk, callbacks.

It knows neither classes nor the number of networks.
"""

from __future__ import annotations

import copy
import functools
import math
from contextlib import contextmanager
from numbers import Integral, Real
from types import MethodType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse, vstack
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing, check_array, check_X_y
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skbp._data.arrays import is_dask
from skbp._data.disk import DiskArray, is_on_disk, rows_of
from skbp._data.labels import as_vector
from skbp._data.rows import Rows, chunks
from skbp._data.tables import faults, is_frame, with_names_of
from skbp._data.targets import Target
from skbp._data.weights import checked_weight
from skbp._estimators.pickling import VersionedState, defaults
from skbp._network.activations import ACTIVATIONS, Activation
from skbp._network.losses import LOSSES
from skbp._training.callbacks import CallbackSupportMixin, EpochCallbacks
from skbp._training.names import Names, check_names_and_numbers
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SOLVERS
from skbp._training.threads import blas_threads
from skbp._training.updates import UPDATES

FLOATS = (np.float64, np.float32)

# Each chunk of a frame has a large fixed cost.
FRAME_CHUNK_ROWS = 2**14


class NetworkEstimator(VersionedState, CallbackSupportMixin, BaseEstimator):
    """An estimator made of networks.

    A subclass has the parameters of the constraints below and these hooks:

    - ``_check_y(y)``: an error for a y that scikit-learn's validation would not explain.
    - ``_encode_y(y, known, same_labels)``: y in numbers. It publishes what follows from y for the output layer.
    - ``_weights(sample_weight, codes, incremental)``: the weights of the rows without a common factor of 2^exponent, and
      the exponent.
    - ``_target``: the target of the fitted output layer.
    - ``_forward(dtype)``: the forward pass of predictions, with ``units`` and ``logits(X)``.
    """

    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_outputs_: int

    # A member of an ensemble takes what a transformer returns: an array, which has no names.
    _takes_nameless_rows = False

    # The HTML representation links to this page.
    _doc_link_module = "skbp"
    _doc_link_template = "https://skbp.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [Names(ACTIVATIONS), Activation, list, tuple],
        "solver": [Names(SOLVERS)],
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Names(SCHEDULES), callable],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "out_activation": [Names({"auto"}, LOSSES)],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "hessian": [StrOptions({"auto", "exact", "gauss-newton"})],
        "solver_options": [dict, None],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _validate_params(self):
        check_names_and_numbers(self, self._parameter_constraints)
        super()._validate_params()

    def _params(self) -> dict[str, Any]:
        """All parameters by name, as `get_params` gives them, in a tenth of the time."""
        return {name: getattr(self, name) for name in self._parameter_constraints}

    def _predicted(self, make, X, make_forward=None):
        """Compute something from the logits of all rows, chunk by chunk: only the memory for the result grows.

        Parameters
        ----------
        make : callable (logits) -> result
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        make_forward : callable (dtype) -> forward pass, default=None
            None is that of the whole network.
        """
        if is_dask(X):
            return self._predicted_lazily(make, X, make_forward)
        if is_on_disk(X) and X.shape[0]:
            parts = DiskArray(X).blocks()
            return _gathered(((rows, self._predicted(make, part, make_forward)) for rows, part in parts), X.shape[0])
        # Probabilities that round to 0 and sums that overflow are no errors, even if the user's settings say so.
        with np.errstate(all="ignore"):
            X = self._checked_rows(X)
            network, n_rows = (make_forward or self._forward)(self._row_type(X)), X.shape[0]
            chunk_rows = max(network.chunk_rows, FRAME_CHUNK_ROWS if is_frame(X) else 0)
            with blas_threads(network.units, min(n_rows, chunk_rows), issparse(X), uses_core=network.uses_core):
                if n_rows <= chunk_rows:
                    return make(network.logits(self._prepared(X)))
                parts = chunks(X, chunk_rows)
                return _gathered(((rows, make(network.logits(self._prepared(part)))) for rows, part in parts), n_rows)

    def _predicted_lazily(self, make, X, make_forward):
        """The same for a Dask collection, partition by partition. Nothing of Dask is imported before."""
        from skbp._distributed.predictions import lazily  # noqa: PLC0415

        check_is_fitted(self)
        model = copy.copy(self)  # a later fit does not change the result
        if hasattr(make, "__func__"):
            make = MethodType(make.__func__, model)
        return lazily(X, functools.partial(model._predicted, make, make_forward=make_forward))

    @property
    def _target(self) -> Target:
        raise NotImplementedError

    def _forward(self, dtype):
        raise NotImplementedError

    def _checked_rows(self, X):
        """Rows to predict for, validated. Call it where NumPy ignores errors: sums may overflow."""
        if self._pass_unchanged(X):
            return X
        check_is_fitted(self)
        checked = with_names_of(X, self) if self._takes_nameless_rows else self
        with _columns_named(X):
            return validate_data(checked, X, accept_sparse="csr", dtype=FLOATS, reset=False)

    def _row_type(self, X):
        """The type of the floats that rows are computed in."""
        return X.dtype

    def _prepared(self, rows):
        """Checked rows as the networks take them."""
        return rows

    @property
    def _order(self):
        """The order of X. Batches are gathered by rows. From any other order each gather would copy all of X first."""
        return "C" if self.solver in UPDATES else None

    def _pass_unchanged(self, X):
        """Whether validation would not change the rows. It takes some ten times as long as predicting for one row."""
        if not (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and (self._takes_nameless_rows or not hasattr(self, "feature_names_in_"))
        ):
            return False
        return math.isfinite(np.add.reduce(X, axis=None))  # if the sum overflows, scikit-learn decides

    def _training_rows(self, X, y, sample_weight, hidden, *, resume=False, same_labels=True, incremental=False) -> Rows:
        """The data validated and encoded.

        Parameters
        ----------
        X, y, sample_weight
            As the user gave them.
        hidden : list of int
            Widths of the hidden layers.
        resume : bool, default=False
            Whether training goes on from an earlier call.
        same_labels : bool, default=True
            Whether y must then have the same labels as before.
        incremental : bool, default=False
            Whether the counts of the classes go on from call to call.
        """
        if is_dask(X) or is_dask(y) or is_dask(sample_weight):
            return self._partitioned_rows(
                X, y, sample_weight, hidden, resume=resume, same_labels=same_labels, incremental=incremental
            )
        X, y = self._check_data(X, y, resume)
        codes = self._encode_y(y, resume or incremental, same_labels)
        weight, exponent = self._weights(checked_weight(sample_weight, X.shape[0], "sample_weight"), codes, incremental)
        return rows_of(X, y, codes, self._target.encode(codes), weight, exponent, sum(hidden) + self.n_outputs_)

    def _partitioned_rows(self, X, y, sample_weight, hidden, **how):
        """The same for Dask collections. Nothing of Dask is imported before."""
        from skbp._distributed.encoding import partitioned_rows  # noqa: PLC0415

        return partitioned_rows(self, X, y, sample_weight, hidden, **how)

    def _encode_y(self, y, known, same_labels):
        raise NotImplementedError

    def _weights(self, sample_weight, codes, incremental):
        raise NotImplementedError

    def _check_y(self, y):
        """Refuse a y that scikit-learn's validation would not explain."""

    def _check_data(self, X, y, resume):
        """X as C-ordered floats of the type to compute in, y as an array or sparse indicator."""
        self._check_y(y)
        # With shuffled batches, each row of a batch would be a read of its own.
        if is_on_disk(X) and X.shape[0] and self.solver not in UPDATES:
            X = self._checked_on_disk(X, resume)
            _, y = check_X_y(np.broadcast_to(0.0, (len(X), 1)), y, multi_output=True, estimator=self)
            return X, as_vector(y)
        dtype = self._wanted_type(resume)
        checked = with_names_of(X, self) if resume and self._takes_nameless_rows else self
        # Validated before the cast to float32, in which large numbers become inf.
        with _columns_named(X):
            X, y = validate_data(
                checked,
                X,
                y,
                accept_sparse="csr",
                multi_output=True,
                dtype=FLOATS,
                order=self._order,
                reset=not resume,
            )
        return self._cast(X, dtype, "X"), as_vector(y)

    def _wanted_type(self, resume):
        """The type to compute in, or the types that may stay."""
        return self.dtype or (self.coefs_[0].dtype if resume else FLOATS)

    def _checked_on_disk(self, X, resume) -> DiskArray:
        """Rows in a file, validated block by block."""
        largest, dtype = 0.0, self._wanted_type(resume)
        validate_data(self, X, skip_check_array=True, reset=not resume)
        for _, block in DiskArray(X).blocks():
            with _columns_named(block):
                floats = check_array(block, dtype=FLOATS, estimator=self, input_name="X")
            floats = self._cast(floats, dtype, "X")
            largest = max(largest, float(floats.max()), -float(floats.min()))
        return DiskArray(X, floats.dtype, largest)

    def _cast(self, X, dtype, name):
        """Floats as those of a type, or of one of two types, if it can hold them."""
        if X.dtype == dtype or isinstance(dtype, tuple):
            return X
        with np.errstate(all="ignore"):
            cast = X.astype(dtype)
            values = cast.data if issparse(cast) else cast
            if np.isfinite(values.sum()) or np.isfinite(values).all():
                return cast
        largest = np.abs(X.data if issparse(X) else X).max()
        which = "dtype='float32'" if self.dtype else "the float32 that the network was trained in"
        cls: Any = type(self)
        if defaults(cls)["dtype"] == self.dtype == "float32":
            which += ", the default here,"
        raise ValueError(
            f"{name} has values up to {largest:.2g}, but {which} ends at 3.4e38. Scale {name}, for example with "
            "sklearn.preprocessing.StandardScaler, or set dtype='float64'."
        )

    def _epoch_callbacks(self, data, attributes_at, max_subtasks, train=None, task_name="fit"):
        """The bridge to scikit-learn's callbacks, if there are any.

        They see the data, X, y and sample_weight, as the user gave them, without the rows that are not in `train`.
        """
        if not getattr(self, "_skl_callbacks", None):
            return None

        def trained_on(values):
            return values if train is None or values is None else _safe_indexing(values, train)

        X, y, sample_weight = data
        arguments: dict = {"X": functools.cache(lambda: trained_on(X)), "y": functools.cache(lambda: trained_on(y))}
        if sample_weight is not None:
            arguments["metadata"] = functools.cache(lambda: {"sample_weight": trained_on(sample_weight)})
        context = self._init_callback_context(task_name=task_name, max_subtasks=max_subtasks)
        return EpochCallbacks(self, context, arguments, attributes_at)


@contextmanager
def _columns_named(X):
    """A context in which scikit-learn checks rows of numbers. Its error gets the names of the columns with other values."""
    try:
        yield
    except (TypeError, ValueError) as error:
        try:
            found = faults(X)
        except Exception:  # noqa: BLE001, the first error is the one to report
            found = []
        if not found:
            raise
        first_line = str(error).partition("\n")[0].rstrip(".")
        raise type(error)(
            f"{first_line}. X has {' and '.join(found)}. One network takes finite numbers only: use "
            "BackpropClassifierCV, which takes text, categories and missing values, or a pipeline with "
            "sklearn.preprocessing.OneHotEncoder and sklearn.impute.SimpleImputer."
        ) from error


def _gathered(parts, n_rows):
    """The results of chunks as one array, or as one sparse matrix.

    Parameters
    ----------
    parts : iterator of (slice, result)
    n_rows : int
    """
    chunk, first = next(parts)
    if issparse(first):  # labels, if the classifier was trained on sparse ones
        return vstack([first, *(part for _, part in parts)], format=first.format)
    # Rows are the last axis but one, or the only axis.
    axis = max(0, first.ndim - 2)
    shape = (*first.shape[:axis], n_rows, *first.shape[axis + 1 :])
    result = np.zeros(shape, first.dtype)
    of_rows = (slice(None),) * axis
    result[(*of_rows, chunk)] = first
    del first  # its memory is free for the next chunk
    for chunk, part in parts:
        result[(*of_rows, chunk)] = part
        del part
    return result
