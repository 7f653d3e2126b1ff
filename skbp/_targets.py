"""From labels to what the losses want, and back from logits to labels and class probabilities.

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

import numpy as np
from sklearn.preprocessing import LabelBinarizer, LabelEncoder
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from skbp._losses import LOSSES, log_sigmoid


def fit_binarizer(y):
    """A LabelBinarizer for the labels `y`; an error says what targets are possible."""
    target_type = type_of_target(y, input_name="y")
    if target_type == "multiclass-multioutput":
        raise ValueError(
            "Multioutput targets with several classes each are not supported: y must be 1-d, or 2-d with 0 and 1 only "
            "(multilabel). Wrap the estimator in sklearn.multioutput.MultiOutputClassifier instead."
        )
    check_classification_targets(y)
    return LabelBinarizer().fit(y)


def is_multilabel(binarizer):
    return binarizer.y_type_.startswith("multilabel")


def output_layer(out_activation, binarizer):
    """The output activation and the number of output units, by the table above."""
    n_classes = len(binarizer.classes_)
    if is_multilabel(binarizer):
        if out_activation == "softmax":
            raise ValueError(
                "out_activation='softmax' is for classes that exclude each other, but y is multilabel. Use 'auto' or "
                "'logistic'."
            )
        return "logistic", n_classes
    if out_activation != "auto":
        return out_activation, n_classes
    return ("softmax", n_classes) if n_classes > 2 else ("logistic", 1)


def check_known_labels(y, binarizer, all_of_them, name="y"):
    """Raise if `y` has labels not seen before, or, where `all_of_them`, lacks one."""
    multilabel = type_of_target(y, input_name=name).startswith("multilabel")
    if multilabel != is_multilabel(binarizer):
        kinds = ("one class a row", "multilabel")
        raise ValueError(
            f"{name} is {kinds[multilabel]}, but the classifier has been trained on a target that is "
            f"{kinds[not multilabel]}. Call fit with warm_start=False, or use a fresh clone."
        )
    seen, labels = binarizer.classes_, unique_labels(y)
    if all_of_them and set(labels) != set(seen):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
            f"{seen}, `y` has {labels}"
        )
    unseen = np.setdiff1d(labels, seen)
    if len(unseen):
        remedy = "Name every class in the first call to partial_fit, or call fit."
        if name != "y":
            remedy = "Leave those rows out, or train on rows of those classes too."
        raise ValueError(f"`{name}` has classes not in `self.classes_`: {unseen}. `self.classes_` has {seen}. {remedy}")


def class_codes(y, binarizer):
    """Labels as integers: (n_samples,) class indices, or (n_samples, n_labels) of 0 and 1 if multilabel.

    Class indices are of the smallest type that holds them: of a million rows they are the largest thing that stays.
    """
    if is_multilabel(binarizer):
        return binarizer.transform(y)
    encoder = LabelEncoder()
    encoder.classes_ = binarizer.classes_
    return encoder.transform(y).astype(np.min_scalar_type(len(binarizer.classes_) - 1))


def encode(codes, out_activation, n_outputs):
    """The target as the loss of the output activation wants it."""
    if out_activation == "softmax":
        return codes
    if codes.ndim == 2:
        return codes.astype(bool)
    return codes[:, None] == (np.arange(n_outputs) if n_outputs > 1 else 1)


def decode(logits, binarizer):
    """The predicted labels, shaped and typed as the labels that the binarizer was fitted on."""
    if is_multilabel(binarizer):
        return binarizer.inverse_transform((logits > 0.0).astype(np.intp))
    if len(binarizer.classes_) == 1:
        return np.repeat(binarizer.classes_, len(logits))
    return binarizer.classes_[predicted_codes(logits)]


def predicted_codes(logits):
    """The index of the most probable class; a single logit is of the second of two."""
    return (logits[:, 0] > 0.0).astype(np.intp) if logits.shape[1] == 1 else logits.argmax(axis=1)


def accuracy(logits, codes, row_weight):
    """The weighted share of rows predicted right, in all labels if there are several; unweighted if no row weighs."""
    right = ((logits > 0.0) == codes).all(axis=1) if codes.ndim == 2 else predicted_codes(logits) == codes
    return float(np.average(right, weights=row_weight if row_weight is not None and row_weight.any() else None))


def decision(logits, out_activation, binarizer):
    """The logits as scikit-learn's decision function: (n_samples,), the log odds of the second class, if there are two."""
    if is_multilabel(binarizer) or len(binarizer.classes_) > 2:
        return logits
    if logits.shape[1] == 1:
        return logits[:, 0]
    scores = _class_scores(logits, out_activation, binarizer)
    return scores[:, 1] - scores[:, 0]


def class_log_proba(logits, out_activation, binarizer):
    """Logarithms of the class probabilities, (n_samples, n_classes)."""
    if is_multilabel(binarizer):
        return LOSSES[out_activation].log_proba(logits)
    return LOSSES["softmax"].log_proba(_class_scores(logits, out_activation, binarizer))


def class_proba(logits, out_activation, binarizer):
    """The class probabilities, (n_samples, n_classes); labels' probabilities if multilabel."""
    if is_multilabel(binarizer):
        return LOSSES[out_activation].proba(logits)
    return LOSSES["softmax"].proba(_class_scores(logits, out_activation, binarizer))


def decision_of_proba(proba, binarizer):
    """Probabilities of classes as scikit-learn's decision function: log odds, or of more than two logarithms."""
    with np.errstate(divide="ignore"):
        log_proba = np.log(proba)
    return log_proba if len(binarizer.classes_) > 2 else log_proba[:, -1] - log_proba[:, 0]


def codes_by_proba(proba, multilabel):
    """The codes of the labels that class probabilities predict."""
    return (proba > 0.5).astype(np.intp) if multilabel else proba.argmax(axis=1)


def log_losses(proba, codes):
    """Each row's log loss; of a multilabel target the sum over the labels."""
    if codes.ndim == 2:
        return -np.where(codes, np.log(proba), np.log1p(-proba)).sum(axis=1)
    return -np.log(proba[np.arange(len(codes)), codes])


def class_weights_of_rows(class_weight, codes, binarizer, counts):
    """Each row's weight by its class; with several labels, the product over them.

    Parameters
    ----------
    class_weight : "balanced", dict, or list of dict
        "balanced": total / (number of classes * count of the class) with the counts of `counts`. A dict gives a weight
        for each class, 1 if absent; for multilabel targets it is a list with one dict {0: weight, 1: weight} a label.
    codes : ndarray of int
        As `class_codes` gives it.
    binarizer : LabelBinarizer
    counts : list of ndarray
        For each target column the weighted count of each of its classes, as `class_counts` gives it.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
    """
    multilabel = is_multilabel(binarizer)
    columns = codes.T if multilabel else [codes]
    if isinstance(class_weight, str):
        tables = [_balanced(count) for count in counts]
    elif not _fits(class_weight, len(columns) if multilabel else None):
        wanted = f"a list of {len(columns)} dicts {{0: weight, 1: weight}}, one a label" if multilabel else "a dict"
        raise ValueError(f"class_weight={class_weight!r} does not fit the target: it must be 'balanced' or {wanted}.")
    elif multilabel:
        tables = [_table(weights, [0, 1]) for weights in class_weight]
    else:
        tables = [_table(class_weight, binarizer.classes_.tolist())]
    weights = np.ones(len(codes))
    for table, column in zip(tables, columns, strict=True):
        weights *= table[column]
    return weights


def class_counts(codes, binarizer, sample_weight=None):
    """For each target column the summed weight of each of its classes."""
    if is_multilabel(binarizer):
        return [np.bincount(column, sample_weight, minlength=2) for column in codes.T]
    return [np.bincount(codes, sample_weight, minlength=len(binarizer.classes_))]


def _balanced(counts):
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def _fits(class_weight, n_labels):
    """Whether it is a dict or, for a multilabel target, a list of as many dicts as there are labels."""
    if n_labels is None:
        return isinstance(class_weight, dict)
    return (
        isinstance(class_weight, list)
        and len(class_weight) == n_labels
        and all(isinstance(weights, dict) for weights in class_weight)
    )


def _table(class_weight, classes):
    """Weights in the order of the classes; an unknown class is an error if a known one has no weight: a misspelling."""
    unknown = [label for label in class_weight if label not in classes]
    missing = [label for label in classes if label not in class_weight]
    if unknown and missing:
        raise ValueError(f"class_weight names {unknown}, which y does not have, and no weight for {missing}.")
    table = np.array([class_weight.get(label, 1.0) for label in classes], dtype=np.float64)
    if not (np.isfinite(table).all() and (table >= 0.0).all()):
        raise ValueError(f"class_weight={class_weight!r} must be finite and not negative.")
    return table


def _class_scores(logits, out_activation, binarizer):
    """Numbers whose softmax over the classes is their probabilities."""
    if len(binarizer.classes_) == 1:
        return np.zeros_like(logits)
    if out_activation == "softmax":
        return logits
    if logits.shape[1] == 1:
        # The softmax of (0, z) is (1 - sigma(z), sigma(z)).
        scores = np.zeros((len(logits), 2), logits.dtype)
        scores[:, 1:] = logits
        return scores
    return log_sigmoid(logits)
