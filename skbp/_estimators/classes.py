"""What both classifiers add to an estimator of networks: labels, classes and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from skbp._data.arrays import is_dask
from skbp._data.class_weights import class_weights_of_rows
from skbp._data.labels import check_known_labels, check_labels, is_multilabel, is_one_hot, target_type
from skbp._data.targets import fit_binarizer, make_target, output_layer
from skbp._data.weights import relative_weights
from skbp._estimators.types import Matrix
from skbp._network.losses import LOSSES
from skbp._notices import note


class Classes(ClassifierMixin):
    """Predictions of classes, and the hooks of a classifier: how y is encoded, and what class weights do.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    out_activation_ : str
    n_outputs_ : int
    """

    classes_: NDArray[Any]
    out_activation_: str
    n_outputs_: int

    # For each target column, the summed weight of each class so far, divided by a power of 2; and the exponent.
    _class_counts: tuple[list[np.ndarray], int]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # A value of the wrong type is an error of `fit`, not of the tags.
        name = self.out_activation if isinstance(self.out_activation, str) else ""
        exclusive = name in LOSSES and LOSSES[name].exclusive
        tags.classifier_tags.multi_label = not exclusive
        return tags

    @property
    def _target(self):
        return make_target(self._label_binarizer, self.out_activation_, self.n_outputs_)

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,), or of shape (n_samples, n_labels) if multilabel
            The most probable class of each row. For a multilabel target 1 where the probability of a label exceeds 0.5, as
            a sparse matrix if the classifier was trained on one.
        """
        return self._predicted(self._labels_of, X)

    def decision_function(self, X: Matrix) -> NDArray[np.floating[Any]]:
        """One score for each class: the logits, or log probabilities if several networks are averaged.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            For two classes the log odds of the second, log(p / (1 - p)). For more classes, the logits of one network, or
            log(p) of averaged networks. For a multilabel target the log odds of each label.
        """
        return self._predicted(self._decision_of, X)

    def predict_proba(self, X: Matrix) -> NDArray[np.floating[Any]]:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, in the type of X if that is float32, else float64. Rows sum to 1, except for a
            multilabel target: there each column is the probability of one label, strictly between 0 and 1.
        """
        return self._predicted(self._proba_of, X)

    def predict_log_proba(self, X: Matrix) -> NDArray[np.floating[Any]]:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Finite also where `predict_proba` rounds to 0.
        """
        return self._predicted(self._log_proba_of, X)

    def score(self, X: Matrix, y: Matrix, sample_weight: ArrayLike | None = None) -> float:
        """The accuracy of the predicted labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Their true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            The weighted share of the rows with right labels; for a multilabel target, with all labels right.
        """
        if is_dask(X):
            from skbp._distributed.predictions import score_of  # noqa: PLC0415

            return score_of(self, X, y, sample_weight)
        return super().score(X, y, sample_weight)

    def _labels_of(self, logits):
        """The labels that logits predict."""
        return self._target.predict(logits)

    def _decision_of(self, logits):
        return self._target.decision(logits)

    def _proba_of(self, logits):
        return self._target.proba(logits)

    def _log_proba_of(self, logits):
        return self._target.log_proba(logits)

    def _check_y(self, y):
        check_labels(y)

    def _encode_y(self, y, known, same_labels):
        """Labels as integer codes. The classes and the output layer are published.

        If the labels are `known` from an earlier call, y may have no new labels. If `same_labels`, it must have all of them.
        """
        if not known:
            self._label_binarizer = fit_binarizer(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            check_known_labels(y, self._label_binarizer, all_of_them=same_labels)
        one_hot = is_multilabel(self._label_binarizer) and is_one_hot(y)
        self.out_activation_, self.n_outputs_ = output_layer(self.out_activation, self._label_binarizer, one_hot)
        if one_hot and not known:
            note("y looks one-hot: each row has a single 1. For classes that exclude each other pass y.argmax(axis=1).")
        return self._target.codes(y)

    def _weights(self, sample_weight, codes, incremental):
        """The product of sample and class weights, without a common power of 2, and its exponent; None for ones."""
        relative, exponent = (None, 0) if sample_weight is None else relative_weights(sample_weight)
        self._count_classes(self._target.class_counts(codes, relative), exponent, incremental)
        weight, exponent = self._times_class_weight(sample_weight, codes)
        if weight is not None and not weight.any():
            raise self._weightless(sample_weight)
        return weight, exponent

    def _count_classes(self, counts, exponent, incremental):
        """Publish the summed weight of each class, divided by 2 to the exponent, or add it to that of earlier calls."""
        if incremental and hasattr(self, "_class_counts"):
            seen, seen_exponent = self._class_counts
            common = max(exponent, seen_exponent)
            counts = [
                np.ldexp(new, exponent - common) + np.ldexp(old, seen_exponent - common)
                for new, old in zip(counts, seen, strict=True)
            ]
            exponent = common
        self._class_counts = counts, exponent

    def _weightless(self, sample_weight):
        """The error if no row has a positive weight."""
        given = {"sample_weight": sample_weight, "class_weight": self.class_weight}
        by = " times ".join(name for name, value in given.items() if value is not None)
        return ValueError(f"{by} makes the weights of all rows zero: at least one must be positive.")

    def _times_class_weight(self, sample_weight, codes):
        factors = [] if sample_weight is None else [sample_weight]
        if self.class_weight is not None:
            factors += class_weights_of_rows(self.class_weight, codes, self._target, self._class_counts[0])
        return relative_weights(*factors) if factors else (None, 0)


class ClassesOfOneNetwork(Classes):
    """The same for a single network, which takes validation data of the user and is trained further."""

    def _checked_like_y(self, y_val, n_rows):
        check_labels(y_val, "y_val")
        y_val = super()._checked_like_y(y_val, n_rows)
        check_known_labels(y_val, self._label_binarizer, all_of_them=False, name="y_val")
        return y_val

    def _weights_of_validation(self, weight, codes):
        return self._times_class_weight(weight, codes)

    def _start_with_classes(self, y, classes):
        """Fit the binarizer of the first call of `partial_fit`, on the classes or on a multilabel y."""
        if is_dask(y):  # each partition is checked where it lies
            y = np.eye(y.shape[1], dtype=int) if y.ndim == 2 and y.shape[1] > 1 else classes
        check_labels(y)
        multilabel = target_type(y).startswith("multilabel")
        self._label_binarizer = fit_binarizer(y if multilabel else classes)
        if not np.array_equal(self.classes_, self._label_binarizer.classes_):
            raise ValueError(
                f"classes={classes!r} does not fit the multilabel y: its classes are the numbers of its columns, "
                f"{self._label_binarizer.classes_.tolist()}."
            )

    def _check_third_argument(self, sample_weight, classes):
        """In other classifiers the third argument of partial_fit is classes."""
        if sample_weight is None or classes is not None or is_dask(sample_weight):
            return
        meant = "The third argument of partial_fit is sample_weight. If you meant classes, write classes=... ."
        if not hasattr(self, "classes_"):
            raise ValueError(f"classes must be passed on the first call to partial_fit. {meant}")
        weight = np.asarray(sample_weight)
        if weight.shape == self.classes_.shape and (weight.astype(object) == self.classes_.astype(object)).all():
            raise ValueError(f"sample_weight={weight.tolist()} equals classes_. {meant}")
