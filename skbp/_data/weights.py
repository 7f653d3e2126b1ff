"""Weights of rows, on a scale on which sums and products neither overflow nor round to 0.

The mean loss depends only on the ratios of the weights s_i, but a user's weights may have any common factor. The weights of
AdaBoost sum to 1, and the weights of a physicist's events may be 1e-8 or 1e30. So a common factor, a power of 2, is split
off before weights are summed or cast. The penalty needs it again, because its strength is alpha / sum_i s_i.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_array


def checked_weight(weight, n_rows, name):
    """Check weights of rows: one number for all rows, or one for each. Returns them as float64, or None.

    Parameters
    ----------
    weight : float, array-like of shape (n_rows,), or None
    n_rows : int
    name : str
        The user's argument, for the messages.
    """
    if weight is None:
        return None
    try:
        weight = check_array(
            weight, ensure_2d=False, ensure_min_samples=0, allow_nd=True, dtype=np.float64, order="C", input_name=name
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must have a finite number for each row, or be None: {error}") from error
    if weight.ndim == 0:
        weight = np.full(n_rows, weight)
    if weight.shape != (n_rows,):
        raise ValueError(f"{name} has the shape {weight.shape}; it must be ({n_rows},), a number for each row.")
    if (weight < 0.0).any():
        raise ValueError(f"Negative values in {name}, the least {weight.min():g}: weights must be at least 0.")
    return weight


def relative_weights(*factors):
    """The product of weights, divided by a power of 2 so that its largest element is at least 1 and less than 2.

    Parameters
    ----------
    *factors : ndarray of shape (n,)
        At least 0, of any size. The product neither overflows nor underflows.

    Returns
    -------
    relative : ndarray of shape (n,)
    exponent : int
        The product is ``relative * 2.0**exponent``.
    """
    mantissa, exponents = np.frexp(factors[0])
    for factor in factors[1:]:
        other, others = np.frexp(factor)
        mantissa, carried = np.frexp(mantissa * other)  # the plain product of hundreds of factors would underflow
        exponents = exponents + others + carried
    if not mantissa.any():
        return mantissa, 0
    exponent = int(exponents[mantissa > 0.0].max()) - 1
    return np.ldexp(mantissa, exponents - exponent), exponent


def of_mean_one(weight):
    """Weights, divided by the mean of the positive ones. The result does not depend on a common factor."""
    weight = weight / weight.max()
    return weight / weight[weight > 0.0].mean()


def shares(weight, indices):
    """The weights of some rows as shares that sum to 1. All are equal if there are no weights or none is positive.

    Parameters
    ----------
    weight : ndarray of shape (n_rows,) or None
    indices : ndarray of int
    """
    chosen = None if weight is None else weight[indices]
    if chosen is None or not chosen.any():
        return np.full(len(indices), 1.0 / len(indices))
    relative, _ = relative_weights(chosen)
    return relative / relative.sum()
