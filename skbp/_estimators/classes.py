"""What both classifiers add to an estimator of networks: labels, classes and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from skbp._data.class_weights import class_weights_of_rows
from skbp._data.labels import check_known_labels, check_labels, is_multilabel, is_one_hot
from skbp._data.targets import fit_binarizer, make_target, output_layer
from skbp._data.weights import relative_weights
from skbp._network.losses import LOSSES
from skbp._notices import note


class Classes(ClassifierMixin):
    """The hooks of a classifier: how y is encoded, and what class weights do.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    out_activation_ : str
    n_outputs_ : int
    """

    classes_: NDArray[Any]
    out_activation_: str
    n_outputs_: int

    # The summed weight of each class of each target column so far, divided by 2 to the power that stands beside it.
    _class_counts: tuple[list[np.ndarray], int]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        exclusive = self.out_activation in LOSSES and LOSSES[self.out_activation].exclusive
        tags.classifier_tags.multi_label = not exclusive
        return tags

    @property
    def _target(self):
        return make_target(self._label_binarizer, self.out_activation_, self.n_outputs_)

    def _check_y(self, y):
        check_labels(y)

    def _encode_y(self, y, known, same_labels):
        """Labels as integer codes. The classes and the output layer are published.

        Labels that are `known` from before may not be joined by others nor, if `same_labels`, lack any.
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
        counts = self._target.class_counts(codes, relative)
        if incremental and hasattr(self, "_class_counts"):
            seen, seen_exponent = self._class_counts
            common = max(exponent, seen_exponent)
            counts = [
                np.ldexp(new, exponent - common) + np.ldexp(old, seen_exponent - common)
                for new, old in zip(counts, seen, strict=True)
            ]
            exponent = common
        self._class_counts = counts, exponent
        weight, exponent = self._times_class_weight(sample_weight, codes)
        if weight is not None and not weight.any():
            by = "sample_weight" if self.class_weight is None else "sample_weight and class_weight"
            raise ValueError(f"The weights of all rows are zero by {by}: at least one must be positive.")
        return weight, exponent

    def _times_class_weight(self, sample_weight, codes):
        factors = [] if sample_weight is None else [sample_weight]
        if self.class_weight is not None:
            factors += class_weights_of_rows(self.class_weight, codes, self._target, self._class_counts[0])
        return relative_weights(*factors) if factors else (None, 0)
