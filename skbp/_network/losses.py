r"""Losses on logits, their derivatives, and their inverse links from logits to probabilities.

A loss takes the logits z, the network's last weighted sums, and not probabilities: log(softmax(z)) computed in one step
stays exact where a probability would round to 0 or 1, whereas a logarithm of clipped probabilities is flat there while
the gradient is not, and a line search that compares the two gives up. Both links are canonical: the derivative of the
loss with respect to the logits is the predicted less the true output.

``LOSSES`` maps the name of an output activation to its loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import entr

from skbp._network.activations import softplus


@dataclass(frozen=True)
class Loss(ABC):
    """A loss of the logits and its link.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        The share e of each row's target that is spread evenly: over the classes for softmax outputs, over 0 and 1 for
        each logistic one. The target y becomes (1 - e) y + e / K, K the number of classes that exclude each other.

    1. `logits` has the shape (*members, n_rows, n_outputs) and is never changed.
    2. `loss_gradient` writes all of `out`, in C order and of the shape of `logits`, and returns one number a row, of the
       shape (*members, n_rows).
    3. `hessian_product` writes all of `out`, of the shape of `logits`; the losses' Hessians by the logits do not depend on
       the target.
    4. `proba` and `log_proba` return new arrays of the shape and type of `logits`.
    5. `of_frequencies` is a float: with it a fit is compared that may have learned nothing.
    6. No probability is smaller than the least normal number of the type (2.2e-308 in float64, 1.2e-38 in float32), and
       no logarithm smaller than that number's: the two agree, and neither is 0 or -inf by rounding.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture for computer vision", CVPR 2016,
    https://doi.org/10.1109/CVPR.2016.308, for label smoothing.
    """

    label_smoothing: float = 0.0

    @abstractmethod
    def loss_gradient(self, logits, target, out):
        """Each row's loss, with the derivative by its logits, link(z) - y, written to `out`."""

    @abstractmethod
    def hessian_product(self, logits, tangent, out):
        """Each row's Hessian of the loss by the logits, times the row of `tangent`, written to `out`."""

    @abstractmethod
    def of_frequencies(self, frequencies):
        """The least mean loss of one prediction for all rows, given how often each output is true, in [0, 1]."""

    @abstractmethod
    def proba(self, logits):
        """The inverse link: the probabilities that the logits stand for."""

    @abstractmethod
    def log_proba(self, logits):
        """The logarithm of `proba`, computed from the logits."""


class SoftmaxLoss(Loss):
    r"""Cross-entropy of classes that exclude each other.

    .. math:: c(z, y) = \log \sum_k e^{z_k} - z_y, \qquad \partial c / \partial z_k = \operatorname{softmax}(z)_k - [k = y]

    The target is an integer array of shape (*members, n_rows), the index of each row's class: unlike one-hot rows its
    memory does not grow with the number of classes.
    """

    def loss_gradient(self, logits, target, out):
        # Where the true classes lie in `out` seen as one long row, which is found faster than by row and column.
        flat, true = out.reshape(-1), np.arange(0, out.size, out.shape[-1]).reshape(target.shape) + target
        # Shifted by their maximum the logits are at most 0: the exponentials cannot overflow, and one of them is 1.
        np.subtract(logits, _row_max(logits), out=out)
        expected_logits = flat.take(true)
        if self.label_smoothing > 0.0:
            expected_logits *= 1.0 - self.label_smoothing
            expected_logits += self.label_smoothing / logits.shape[-1] * _row_sum(out)
        np.exp(out, out=out)
        total = _row_sum(out)
        out /= total[..., None]
        flat[true] -= 1.0 - self.label_smoothing
        if self.label_smoothing > 0.0:
            out -= self.label_smoothing / logits.shape[-1]
        return np.log(total) - expected_logits

    def hessian_product(self, logits, tangent, out):
        # The Hessian is diag(p) - p p': p times the tangent's deviation from its mean under p.
        p = self.proba(logits)
        mean = np.sum(p * tangent, axis=-1, keepdims=True)
        np.subtract(tangent, mean, out=out)
        return np.multiply(out, p, out=out)

    def of_frequencies(self, frequencies):
        # The entropy of the target's mean, smoothed.
        smoothed = (1.0 - self.label_smoothing) * frequencies + self.label_smoothing / len(frequencies)
        return float(entr(smoothed).sum())

    def proba(self, logits):
        proba = np.exp(logits - logits.max(axis=-1, keepdims=True))
        proba /= proba.sum(axis=-1, keepdims=True)
        return np.maximum(proba, _least(logits), out=proba)

    def log_proba(self, logits):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return np.maximum(shifted, np.log(_least(logits)), out=shifted)


class LogisticLoss(Loss):
    r"""Binary cross-entropy of each output unit, summed over the units.

    .. math::

        c(z, y) = \sum_k \log(1 + e^{z_k}) - y_k z_k, \qquad \partial c / \partial z_k = \sigma(z_k) - y_k

    The target is a boolean array of the shape of the logits.
    """

    def loss_gradient(self, logits, target, out):
        # In terms of the logit of being wrong, (1 - 2 y) z, the loss is its softplus: no term cancels another, whatever
        # the size of the logits.
        sign = 1.0 - 2.0 * target.astype(logits.dtype)
        wrong = logits * sign
        softplus(wrong, out=out)
        losses = _row_sum(out)
        # The logistic function is exp(z - softplus(z)): exact in both tails, and softplus is at hand.
        np.subtract(wrong, out, out=out)
        np.exp(out, out=out)
        if self.label_smoothing > 0.0:
            # Half of what is spread falls to the wrong label: (1 - e/2) softplus(w) + e/2 softplus(-w).
            losses -= 0.5 * self.label_smoothing * _row_sum(wrong)
            out -= 0.5 * self.label_smoothing
        out *= sign
        return losses

    def hessian_product(self, logits, tangent, out):
        # The Hessian is diagonal, sigma(z) sigma(-z), of which neither factor is a difference.
        np.multiply(tangent, np.exp(log_sigmoid(logits)), out=out)
        return np.multiply(out, np.exp(log_sigmoid(-logits)), out=out)

    def of_frequencies(self, frequencies):
        smoothed = (1.0 - self.label_smoothing) * frequencies + 0.5 * self.label_smoothing
        return float((entr(smoothed) + entr(1.0 - smoothed)).sum())

    def proba(self, logits):
        proba = np.exp(log_sigmoid(logits))
        # Rounding must not turn a probability into a certainty.
        return np.clip(proba, _least(logits), 1.0 - np.finfo(logits.dtype).epsneg, out=proba)

    def log_proba(self, logits):
        log_proba = log_sigmoid(logits)
        # Near 1 probabilities that differ in exact arithmetic round to one; their logarithms are then alike as well, so that
        # both put the labels of a row into the same order.
        np.log(self.proba(logits), out=log_proba, where=logits > 0.0)
        return np.maximum(log_proba, np.log(_least(logits)), out=log_proba)


# Rows shorter than this NumPy reduces so slowly that a transposed copy, reduced along its columns, takes a third of it.
SHORT_ROW = 64


def _row_max(logits):
    """The largest of each row, as a column."""
    if logits.shape[-1] < SHORT_ROW:
        return np.ascontiguousarray(logits.mT).max(axis=-2)[..., None]
    return logits.max(axis=-1, keepdims=True)


def _row_sum(values):
    """The sum of each row, as a matrix product: two to four times as fast as NumPy's sum."""
    n = values.shape[-1]
    return values[..., 0].copy() if n == 1 else values @ _ones(n, values.dtype)


@lru_cache
def _ones(n, dtype):
    return np.ones(n, dtype)


def log_sigmoid(z):
    """log(1 / (1 + exp(-z))), which is -softplus(-z), exact in both tails."""
    negated = -z
    softplus(negated, out=negated)
    return np.negative(negated, out=negated)


def _least(logits):
    return np.finfo(logits.dtype).tiny


LOSSES: dict[str, Loss] = {"softmax": SoftmaxLoss(), "logistic": LogisticLoss()}
