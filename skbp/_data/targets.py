"""A target: what the network is to predict, from the user's labels to the loss and back from logits to predictions.

Which output layer a target gets:

=============  ===================  ==========  ===========================================================
target         `out_activation`     units       meaning
=============  ===================  ==========  ===========================================================
binary         "auto"               1 logistic  the logit of the second class
multiclass     "auto"               K softmax   one class excludes the others
multilabel     "auto", "logistic"   K logistic  each label for itself
one of K       "softmax"            K softmax   as above, also for two classes
one of K       "logistic"           K logistic  each unit against all others; probabilities normalised over classes
=============  ===================  ==========  ===========================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from sklearn.preprocessing import LabelBinarizer, LabelEncoder

from skbp._data.labels import is_multilabel, known_codes, target_type
from skbp._network.losses import LOSSES

# So many labels are encoded or counted at once. That bounds the memory beside the codes themselves.
AT_ONCE = 2**20


class Target(ABC):
    """What a network with this output layer is to predict.

    Parameters
    ----------
    binarizer : LabelBinarizer
        Fitted on the labels.
    out_activation : str
        A key of ``LOSSES``.
    n_outputs : int
        Units of the output layer.

    Attributes
    ----------
    loss : Loss
        It encodes targets as numbers and turns logits into probabilities.
    classes : ndarray of shape (n_classes,)
    multilabel : bool
        Whether a row may have several labels.
    """

    multilabel: bool

    def __init__(self, binarizer, out_activation, n_outputs):
        self._binarizer = binarizer
        self.loss, self.n_outputs = LOSSES[out_activation], n_outputs
        self.classes = binarizer.classes_

    def encode(self, codes):
        """Codes as the target of the loss."""
        return self.loss.target(codes, self.n_outputs)

    @abstractmethod
    def codes(self, y):
        """Labels as integers."""

    @abstractmethod
    def columns(self, codes):
        """The columns of codes, each with classes of its own."""

    @abstractmethod
    def strata(self, codes):
        """The class of each row to stratify a split by, or None."""

    @abstractmethod
    def predict(self, logits):
        """The predicted labels, of the shape and type of the labels that the user gave."""

    @abstractmethod
    def decision(self, logits):
        """The logits as scikit-learn's decision function: of shape (n_samples,) for two classes."""

    @abstractmethod
    def proba(self, logits):
        """The probability of each class, of shape (n_samples, n_classes)."""

    @abstractmethod
    def log_proba(self, logits):
        """The logarithm of `proba`, computed from the logits."""

    @abstractmethod
    def is_right(self, logits, codes):
        """Whether each row is predicted right: in all labels if there are several."""

    @abstractmethod
    def codes_by_proba(self, proba):
        """The codes of the labels that class probabilities predict."""

    @abstractmethod
    def labels(self, codes):
        """Codes as labels."""

    @abstractmethod
    def decision_by_proba(self, mean_proba):
        """The decision function of mean probabilities.

        Parameters
        ----------
        mean_proba : callable (sign) -> ndarray of shape (n_samples, n_classes)
            The probabilities if the logits had this sign, 1.0 or -1.0. That of -1.0 is the probability that a label is
            absent. As a difference from 1 it would round to 0, and labels that are almost certain would tie.
        """

    @abstractmethod
    def log_losses(self, proba, codes):
        """The log loss of each row; for several labels the sum over them."""

    def class_counts(self, codes, sample_weight=None):
        """For each column the summed weight of each of its classes."""
        n_classes = 2 if self.multilabel else len(self.classes)
        return [_counted(column, sample_weight, n_classes) for column in self.columns(codes)]

    def entropy(self, codes, indices, share):
        """The log loss of a prediction of the class frequencies for some rows. The shares of these rows sum to 1."""
        loss = LOSSES["logistic" if self.multilabel else "softmax"]
        target = loss.target(codes, len(self.classes))[indices]  # codes may be eight times as large
        return loss.of_frequencies(loss.frequencies(target, share, len(self.classes)))


class ClassTarget(Target):
    """One of several classes that exclude each other."""

    multilabel = False

    def codes(self, y):
        # The smallest type that holds them: for a million rows, no other array that is kept is as large.
        smallest = np.min_scalar_type(len(self.classes) - 1)
        if len(y) <= AT_ONCE:
            return self._codes(y).astype(smallest)
        return np.concatenate([self._codes(y[part]).astype(smallest) for part in _parts(len(y))])

    def _codes(self, y):
        codes = known_codes(y, self.classes)
        if codes is None:
            encoder = LabelEncoder()
            encoder.classes_ = self.classes
            codes = encoder.transform(y)
        return codes

    def columns(self, codes):
        return [codes]

    def strata(self, codes):
        return (codes == 1).astype(str) if len(self.classes) <= 2 else codes

    def predict(self, logits):
        return self.classes[self._predicted_codes(logits)]

    def decision(self, logits):
        if len(self.classes) > 2:
            return logits
        if len(self.classes) == 1:
            return np.zeros(len(logits), logits.dtype)  # there is no other class
        if logits.shape[1] == 1:
            return logits[:, 0]
        scores = self._class_scores(logits)
        limit = np.finfo(scores.dtype).max
        return (scores[:, 1] - scores[:, 0]).clip(-limit, limit)

    def proba(self, logits):
        return LOSSES["softmax"].proba(self._class_scores(logits))

    def log_proba(self, logits):
        return LOSSES["softmax"].log_proba(self._class_scores(logits))

    def is_right(self, logits, codes):
        return self._predicted_codes(logits) == codes

    def codes_by_proba(self, proba):
        return proba.argmax(axis=1)

    def labels(self, codes):
        return self.classes[codes]

    def decision_by_proba(self, mean_proba):
        with np.errstate(divide="ignore"):
            log_proba = np.log(mean_proba(1.0))
        return log_proba if len(self.classes) > 2 else log_proba[:, -1] - log_proba[:, 0]

    def log_losses(self, proba, codes):
        return -np.log(proba[np.arange(len(codes)), codes])

    def _predicted_codes(self, logits):
        """The index of the most probable class. A single logit is that of the second of two classes."""
        if len(self.classes) == 1:
            return np.zeros(len(logits), dtype=np.intp)
        return (logits[:, 0] > 0.0).astype(np.intp) if logits.shape[1] == 1 else logits.argmax(axis=1)

    def _class_scores(self, logits):
        """Numbers with the property that their softmax over the classes is the probabilities."""
        return np.zeros_like(logits) if len(self.classes) == 1 else self.loss.class_scores(logits)


class LabelsTarget(Target):
    """Several labels that do not exclude each other. Each is true or false."""

    multilabel = True

    def codes(self, y):
        return self._binarizer.transform(y)

    def columns(self, codes):
        return list(codes.T)

    def strata(self, codes):  # noqa: ARG002
        return None

    def predict(self, logits):
        return self.labels((logits > 0.0).astype(np.intp))

    def decision(self, logits):
        return logits

    def proba(self, logits):
        return self.loss.proba(logits)

    def log_proba(self, logits):
        return self.loss.log_proba(logits)

    def is_right(self, logits, codes):
        return ((logits > 0.0) == codes).all(axis=1)

    def codes_by_proba(self, proba):
        return (proba > 0.5).astype(np.intp)

    def labels(self, codes):
        return self._binarizer.inverse_transform(codes)  # sparse if y was

    def decision_by_proba(self, mean_proba):
        return np.log(mean_proba(1.0)) - np.log(mean_proba(-1.0))

    def log_losses(self, proba, codes):
        return -np.where(codes, np.log(proba), np.log1p(-proba)).sum(axis=1)


def _parts(n_rows):
    """Slices of at most AT_ONCE rows."""
    return [slice(start, start + AT_ONCE) for start in range(0, n_rows, AT_ONCE)]


def _counted(column, weight, n_classes):
    """The summed weight of each class. NumPy counts in 8 bytes for each row."""
    if len(column) <= AT_ONCE:
        return np.bincount(column, weight, minlength=n_classes)
    weights = (None if weight is None else weight[part] for part in _parts(len(column)))
    return sum(
        np.bincount(column[part], some, minlength=n_classes)
        for part, some in zip(_parts(len(column)), weights, strict=True)
    )


def fit_binarizer(y):
    """A LabelBinarizer for the labels `y`. An error says which targets are possible."""
    target_type(y)
    return LabelBinarizer().fit(y)


def make_target(binarizer, out_activation, n_outputs) -> Target:
    """The target of fitted labels with an output layer."""
    return (LabelsTarget if is_multilabel(binarizer) else ClassTarget)(binarizer, out_activation, n_outputs)


def output_layer(out_activation, binarizer, one_hot=False):
    """The output activation and the number of output units, by the table above.

    `one_hot` says that the target looks like one-hot rows of classes that exclude each other.
    """
    n_classes = len(binarizer.classes_)
    if is_multilabel(binarizer):
        if out_activation == "auto":
            out_activation = "logistic"
        elif LOSSES[out_activation].exclusive:
            remedy = "y looks one-hot: pass y.argmax(axis=1)." if one_hot else "Use 'auto' or 'logistic'."
            raise ValueError(
                f"out_activation={out_activation!r} is for classes that exclude each other, but y is multilabel. {remedy}"
            )
        return out_activation, n_classes
    if out_activation != "auto":
        return out_activation, n_classes
    return ("softmax", n_classes) if n_classes > 2 else ("logistic", 1)
