"""Whether the objective is finite at the parameters of the moment: whether training has diverged."""

from __future__ import annotations

import numpy as np

from skbp._network.activations import LINEAR_GROWTH
from skbp._network.predict import ROOM, Forward


def is_finite(params, activations, rows, n_threads=0):
    """Whether the logits of all rows leave room below the largest number.

    Two bounds make a forward pass unnecessary for parameters of ordinary size. With N the norm of all parameters, the norm
    of z_l is at most N (norm of a_{l-1} + 1), and `LINEAR_GROWTH` bounds the norm of a_l.

    Parameters
    ----------
    params : Parameters
    activations : sequence of Activation
    rows : Rows
        They have `norm`, a bound on the Euclidean norm of a row, and `chunks`.
    n_threads : int, default=0
        As in `Forward`.

    Returns
    -------
    finite : bool, or ndarray of bool of shape (n_members,)
    """
    vector = params.vector
    norm = np.sqrt(np.vecdot(vector, vector)).astype(np.float64)
    bounded = _bound_of_logits(norm, params.units, activations, rows) < ROOM * float(np.finfo(vector.dtype).max)
    if not params.members:
        return bool(bounded) or _is_seen_finite(params, activations, rows, n_threads)
    if bounded.all():
        return bounded
    return np.array(
        [known or _is_seen_finite(params.member(i), activations, rows, n_threads) for i, known in enumerate(bounded)]
    )


def _bound_of_logits(norm, units, activations, rows):
    """A bound on all sums and activations of all rows, from the norm of the parameters."""
    if not all(activation.grows_linearly for activation in activations):
        return np.full_like(norm, np.inf)
    factor, constant = LINEAR_GROWTH
    size = bound = rows.norm
    for width in units[1:]:
        z = norm * (size + 1.0)
        size = factor * z + constant * width**0.5
        bound = np.maximum(bound, size)
    return bound


def _is_seen_finite(params, activations, rows, n_threads):
    """Whether a forward pass of one network over all rows gives finite logits."""
    if not np.isfinite(params.vector).all():
        return False
    network = Forward(params.weights, params.biases, activations, params.vector.dtype, n_threads=n_threads)
    limit = ROOM * float(np.finfo(params.vector.dtype).max)
    return all((np.abs(network.plain_logits(batch.X)) <= limit).all() for batch in rows.chunks())
