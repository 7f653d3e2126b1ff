"""What a fit has come to: whether anything was learned, what stood in its way, and what helps.

A network that predicts the same for all rows is no error of arithmetic, so that nothing else notices it. It is found by
comparison: the mean loss with that of predicting the class frequencies, the validation score with that of a constant
prediction.
"""

from __future__ import annotations

from reprlib import Repr

import numpy as np
from scipy.sparse import issparse
from sklearn.dummy import DummyClassifier
from sklearn.utils.sparsefuncs import mean_variance_axis

from skbp._data import targets
from skbp._data.weights import times_power_of_2
from skbp._training import recipe
from skbp._training.updates import UPDATES

# The rows that are looked at first, evenly spaced over all: where the loss on them is below this share of that of the class
# frequencies, something has been learned, and the other rows need no look.
SAMPLE_ROWS = 1024
CLEARLY_BELOW = 0.95

# A constant prediction has at least the loss of the class frequencies. Rounding lets it look lower by about this share.
ROUNDING = 1e-5

# Columns with a root mean square above the one or below the other are not on the scale that initial weights are made for.
LARGE, SMALL = 10.0, 0.01

# The penalty rules where alpha, divided by the summed weights of a batch, is above this. On six data sets the accuracy fell
# by at most 0.2 points up to it, by up to 6 at ten times as much, and by up to 21 at a hundred times.
RULING_STRENGTH = 1e-3
# ... and the mean weight is at most this: with weights near 1, a large alpha is what the user asked for.
LIGHT = 0.1

# A mean loss above this many nats, and as many times that of the class frequencies, comes of steps that were too large, and
# not of too few: initial weights have no such loss.
HIGH_LOSS = 10.0

_SHORT = Repr()

SCALE = "scale the features, for example with sklearn.preprocessing.StandardScaler"


def sample(n_rows):
    """Indices of at most SAMPLE_ROWS rows, evenly spaced."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, SAMPLE_ROWS)).astype(np.intp))


def has_learned(objective, rows, loss, n_outputs):
    """Whether the objective without penalty and dropout is below that of predicting the class frequencies.

    Parameters
    ----------
    objective : Objective
        Without dropout.
    rows : Rows
        Those that the objective is on.
    loss : Loss
        That of the objective.
    n_outputs : int

    Returns
    -------
    figures : (float, float) or None
        If it is not, the mean loss and that of the class frequencies.
    """

    def figures(indices):
        total, summed, counts = 0.0, 0.0, np.zeros(n_outputs)
        for start in range(0, len(indices), SAMPLE_ROWS):
            chunk = np.asarray(indices[start : start + SAMPLE_ROWS])
            weight = np.ones(len(chunk)) if rows.row_weight is None else rows.row_weight[chunk]
            total += float(weight.sum())
            summed += float(objective.row_losses(chunk) @ weight)
            counts += targets.frequencies(objective.target[chunk], weight, n_outputs)
        if total == 0.0:
            return np.inf, 0.0
        frequencies = counts / total
        # Where all rows have the same labels, there is nothing to be learned.
        alike = np.isclose(frequencies, np.round(frequencies), atol=ROUNDING).all()
        return summed / total, 0.0 if alike else loss.of_frequencies(frequencies)

    indices = sample(objective.n_rows)
    mean, constant = figures(indices)
    if mean < CLEARLY_BELOW * constant:
        return None
    if len(indices) < objective.n_rows:
        mean, constant = figures(range(objective.n_rows))
    return None if is_below(mean, constant) else (mean, constant)


def is_below(mean, constant):
    """Whether a mean loss is below that of the class frequencies, or these belong to one class: nothing can be below."""
    return constant <= ROUNDING or mean < constant * (1.0 - ROUNDING)


def constant_score(validation, y_train):
    """The validation score of a constant prediction, or None where it cannot be told or nothing can be above it.

    Parameters
    ----------
    validation : Validation
    y_train : ndarray or sparse matrix
        The labels of the rows that are trained on.
    """
    y = y_train.toarray() if issparse(y_train) else y_train
    return validation.score_of_constant(DummyClassifier(strategy="prior").fit(np.zeros((len(y), 1)), y))


def _mean_weight(rows):
    if rows.row_weight is None:
        return 1.0
    return times_power_of_2(float(rows.row_weight.mean()), rows.weight_exponent)


def penalty_strength(alpha, rows, batch_rows):
    """alpha / S for a batch of rows of mean weight: what the penalty weighs beside the mean loss."""
    largest, weight_sum = float(np.max(alpha)), _mean_weight(rows) * batch_rows
    if weight_sum > 0.0:
        return largest / weight_sum
    return np.inf if largest else 0.0


def penalty_warning(alpha, rows, batch_rows):
    """What to say where light sample weights let the penalty rule, else nothing."""
    if rows.row_weight is None:
        return ""
    mean = _mean_weight(rows)
    if mean > LIGHT or penalty_strength(alpha, rows, batch_rows) <= RULING_STRENGTH:
        return ""
    return (
        f"The penalty rules over the loss: alpha={alpha} is divided by the sum of the weights, and the mean of "
        f"sample_weight times class_weight is {mean:.2g}. Divide sample_weight by its mean, or lower alpha as much."
    )


def is_unscaled(X):
    """Whether the largest column, by root mean square, is on another scale than initial weights are made for."""
    rows = X[sample(X.shape[0])]
    if issparse(rows):
        mean, variance = mean_variance_axis(rows.astype(np.float64), axis=0)
    else:
        rows = rows.astype(np.float64)
        mean, variance = rows.mean(axis=0), rows.var(axis=0)
    size = np.sqrt(mean**2 + variance)
    size = size[size > 0.0]
    return bool(size.size and not SMALL <= size.max() <= LARGE)


def has_kinks(activations):
    """Whether the slope of a hidden layer jumps at 0, so that the gradient need not become small near a minimum."""
    z = np.array([-1e-9, 1e-9])
    for activation in activations:
        given = z if activation.needs_z else activation.function(z, out=np.zeros_like(z))
        left, right = activation.slope(given, out=np.zeros_like(z))
        if not np.isclose(left, right):
            return True
    return False


def advice(clf, rows, diverged=False):
    """What may help where a method did not reach its tolerance or diverged."""
    if is_unscaled(rows.X):
        return f" To help: {SCALE}."
    activations = recipe.activation_records(clf.activation, len(recipe.hidden_units(clf.hidden_layer_sizes)))
    if clf.solver not in UPDATES and has_kinks(activations):
        return (
            " The slope of the activation jumps at 0, as that of relu does, so that the gradient need not become small near "
            f"a minimum. To help: a smooth activation, such as 'tanh' or 'softplus', a larger tol={clf.tol}, or "
            "solver='adam'."
        )
    if diverged and clf.solver not in UPDATES:
        return f" To help: another random_state, a larger alpha={clf.alpha}, or another activation."
    return ""


def after_an_error(rows):
    """What may help where a method ended in an error of its own."""
    return f"To help: {SCALE if is_unscaled(rows.X) else 'give other solver_options, or take another solver'}."


def diverged_at_once(clf, rows, batch_rows):
    """What to say where there are no weights to keep."""
    found = [SCALE] if is_unscaled(rows.X) else []
    if penalty_strength(clf.alpha, rows, batch_rows) > 1.0:
        found.append(f"lower alpha={clf.alpha}")
    if clf.solver in UPDATES:
        found.append(f"lower learning_rate_init={clf.learning_rate_init}")
    elif clf.solver_options:
        found.append(f"give other solver_options={_SHORT.repr(clf.solver_options)}")
    if not found:
        found.append("look at what the activation and coef_init make of X")
    return (
        "Training produced a non-finite objective in its first iteration, so there are no weights to keep. To help: "
        f"{'; '.join(found)}."
    )


def remedies(clf, rows, batch_rows, mean, constant=1.0):
    """What may help where nothing was learned, the likeliest cause first.

    Parameters
    ----------
    clf : BackpropClassifier or BackpropClassifierCV
    rows : Rows
        Those that were trained on.
    batch_rows : int
    mean, constant : float
        The mean loss, and that of the class frequencies.
    """
    found = []
    if getattr(clf, "early_stopping", False) and clf.scoring != "loss":
        found.append("set scoring='loss', which notices progress that other scores do not")
    if is_unscaled(rows.X):
        found.append(SCALE)
    if penalty_strength(clf.alpha, rows, batch_rows) > 10.0 * RULING_STRENGTH:
        found.append(f"lower alpha={clf.alpha}")
    if clf.solver in UPDATES and not mean < HIGH_LOSS * max(1.0, constant):
        found.append(f"lower learning_rate_init={clf.learning_rate_init}")
    elif clf.solver in UPDATES:
        found.append(
            f"train longer (max_iter={clf.max_iter}, n_iter_no_change={clf.n_iter_no_change}) or change "
            f"learning_rate_init={clf.learning_rate_init}"
        )
    elif not found:
        found.append(f"train longer (max_iter={clf.max_iter}), or take another solver or random_state")
    return f"To help: {'; '.join(found)}. It may also be that X does not tell the classes apart."
