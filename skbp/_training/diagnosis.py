"""The diagnosis after a fit: whether anything was learned, what prevented it, and what helps.

A network that predicts the same for all rows causes no arithmetic error, so nothing else notices it. Two comparisons find
it: the mean loss with that of predicting the class frequencies, and the validation score with that of a constant prediction.
"""

from __future__ import annotations

import math
from reprlib import Repr

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

# The number of rows that are checked first, evenly spaced. If their loss is below this share of the loss of the class
# frequencies, something has been learned, and the other rows need no check.
SAMPLE_ROWS = 1024
CLEARLY_BELOW = 0.95

# A constant prediction has at least the loss of the class frequencies. Rounding makes it look lower by about this share.
ROUNDING = 1e-5

# Initial weights suit columns with a root mean square between these.
LARGE, SMALL = 10.0, 0.01

# The penalty dominates if alpha, divided by the summed weights of a batch, is above this. On six data sets the accuracy fell
# by at most 0.2 points up to it, by up to 6 at ten times as much, and by up to 21 at a hundred times.
DOMINANT_STRENGTH = 1e-3
# The warning also requires that the mean weight is at most this. With weights near 1 the user asked for a large alpha.
LIGHT = 0.1

# A mean loss above this many nats, and above this many times the loss of the class frequencies, comes from steps that are
# too large, not from too few steps. Initial weights have no such loss.
HIGH_LOSS = 10.0

_SHORT = Repr()

SCALE = "scale the features, for example with sklearn.preprocessing.StandardScaler"


def nothing_learned(objective, rows, n_outputs):
    """Whether the objective without penalty and dropout is not below that of predicting the class frequencies.

    Parameters
    ----------
    objective : Objective
        Without dropout.
    rows : Rows
    n_outputs : int

    Returns
    -------
    figures : (float, float) or None
        If it is not below, the mean loss and that of the class frequencies; else None.
    """

    def figures(rows):
        total, summed, counts = 0.0, 0.0, np.zeros(n_outputs)
        for batch in rows.chunks():
            weight = np.ones(batch.n_rows) if batch.weight is None else batch.weight
            total += float(weight.sum())
            summed += float(objective.row_losses([batch]) @ weight)
            counts += objective.loss.frequencies(batch.target, weight, n_outputs)
        if total == 0.0:
            return np.inf, 0.0
        frequencies = counts / total
        # If all rows have the same labels, there is nothing to learn.
        alike = np.isclose(frequencies, np.round(frequencies), atol=ROUNDING).all()
        return summed / total, 0.0 if alike else objective.loss.of_frequencies(frequencies)

    mean, constant = figures(rows.sample(SAMPLE_ROWS))
    if mean < CLEARLY_BELOW * constant:
        return None
    if len(rows) > SAMPLE_ROWS:
        mean, constant = figures(rows)
    return None if is_below(mean, constant) else (mean, constant)


def is_below(mean, constant):
    """Whether a mean loss is below that of the class frequencies, or there is one class only and nothing can be below."""
    return constant <= ROUNDING or mean < constant * (1.0 - ROUNDING)


def _mean_weight(rows):
    if rows.mean_weight is None:
        return 1.0
    try:
        return math.ldexp(rows.mean_weight, rows.weight_exponent)
    except OverflowError:
        return math.inf


def penalty_strength(recipe, rows):
    """alpha / S for a batch of rows of mean weight: the penalty's weight relative to the mean loss."""
    largest, weight_sum = float(np.max(recipe.alpha)), _mean_weight(rows) * recipe.batch_rows(len(rows))
    if weight_sum > 0.0:
        return largest / weight_sum
    return np.inf if largest else 0.0


def penalty_warning(recipe, rows):
    """The warning if light sample weights let the penalty dominate, else an empty string."""
    if rows.mean_weight is None:
        return ""
    mean = _mean_weight(rows)
    if mean > LIGHT or penalty_strength(recipe, rows) <= DOMINANT_STRENGTH:
        return ""
    return (
        f"The penalty dominates the loss: alpha={recipe.alpha} is divided by the sum of the weights, and the mean of "
        f"sample_weight times class_weight is {mean:.2g}. Divide sample_weight by its mean, or multiply alpha by that mean."
    )


def is_unscaled(rows):
    """Whether the largest column, by root mean square, is too large or too small for initial weights."""
    X = rows.sample(SAMPLE_ROWS).X
    if issparse(X):
        mean, variance = mean_variance_axis(X.astype(np.float64), axis=0)
    else:
        X = X.astype(np.float64)
        mean, variance = X.mean(axis=0), X.var(axis=0)
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


def advice(recipe, rows, diverged=False):
    """What may help if a method did not reach its tolerance or diverged."""
    if is_unscaled(rows):
        return f" To help: {SCALE}."
    if not recipe.stochastic and has_kinks(recipe.activations):
        return (
            " The slope of the activation jumps at 0, as that of relu does, so that the gradient need not become small near "
            f"a minimum. To help: a smooth activation, such as 'tanh' or 'softplus', a larger tol={recipe.tol}, or "
            "solver='adam'."
        )
    if diverged and not recipe.stochastic:
        return f" To help: another random_state, a larger alpha={recipe.alpha}, or another activation."
    return ""


def after_an_error(rows):
    """What may help if a method ended in an error of its own."""
    return f"To help: {SCALE if is_unscaled(rows) else 'give other solver_options, or take another solver'}."


def diverged_at_once(recipe, rows):
    """The error message if there are no weights to keep."""
    found = [SCALE] if is_unscaled(rows) else []
    if penalty_strength(recipe, rows) > 1.0:
        found.append(f"lower alpha, now {recipe.alpha}")
    if recipe.stochastic:
        found.append(f"lower learning_rate_init, now {recipe.learning_rate_init}")
    elif recipe.solver_options:
        found.append(f"give other solver_options={_SHORT.repr(recipe.solver_options)}")
    if not found:
        found.append("check the activation and coef_init")
    return (
        "Training produced a non-finite objective in its first iteration, so there are no weights to keep. To help: "
        f"{'; '.join(found)}."
    )


def remedies(recipe, rows, mean, constant=1.0):
    """What may help if nothing was learned, the likeliest cause first.

    Parameters
    ----------
    recipe : Recipe
    rows : Rows
        The rows that were trained on.
    mean, constant : float
        The mean loss, and that of the class frequencies.
    """
    found = []
    if recipe.early_stopping and recipe.scoring != "loss":
        found.append("set scoring='loss', which notices progress that other scores do not")
    if is_unscaled(rows):
        found.append(SCALE)
    if penalty_strength(recipe, rows) > 10.0 * DOMINANT_STRENGTH:
        found.append(f"lower alpha, now {recipe.alpha}")
    if recipe.stochastic and not mean < HIGH_LOSS * max(1.0, constant):
        found.append(f"lower learning_rate_init, now {recipe.learning_rate_init}")
    elif recipe.stochastic:
        found.append(
            f"train longer (max_iter={recipe.horizon}, n_iter_no_change={recipe.n_iter_no_change}) or change "
            f"learning_rate_init={recipe.learning_rate_init}"
        )
    elif not found:
        found.append(f"train longer (max_iter={recipe.horizon}), or take another solver or random_state")
    return f"To help: {'; '.join(found)}. It may also be that X does not tell the classes apart."
