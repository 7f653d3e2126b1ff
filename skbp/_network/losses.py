r"""Losses of the logits, their derivatives, and the probabilities that logits stand for.

A loss takes the logits z, the weighted sums of the last layer, and not probabilities. log(softmax(z)) in one step stays
exact where a probability would round to 0 or 1. The logarithm of a clipped probability is flat there, while the gradient
is not, and a line search that compares the two gives up. Both links are canonical: the derivative of the loss by the
logits is the predicted output minus the true output.

``LOSSES`` maps the name of an output activation to its loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.special import entr

from skbp._network.activations import softplus


@dataclass(frozen=True)
class Loss(ABC):
    """A loss of the logits and the link from logits to probabilities.

    A subclass keeps these rules:

    1. `logits` has the shape (*members, n_rows, n_outputs). No method changes it.
    2. `loss_gradient` writes all of `out`, which is in C order and has the shape of `logits`. It returns one number a row,
       in the shape (*members, n_rows).
    3. `hessian_product` writes all of `out`, which has the shape of `logits`. The Hessian of the loss by the logits does not
       depend on the target.
    4. `proba` and `log_proba` return new arrays of the shape and type of `logits`.
    5. `of_frequencies` returns a float. A fit has learned nothing if its loss is not below this number.
    6. No probability is smaller than the least normal number of the type (2.2e-308 in float64, 1.2e-38 in float32), and no
       logarithm is smaller than the logarithm of that number. So the two agree, and rounding makes neither 0 nor -inf.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        The share e of each row's target that is spread evenly over K values: over the classes if they exclude each other,
        else over 0 and 1 for each output. The target y becomes (1 - e) y + e / K.

    Attributes
    ----------
    name : str
        Its key in ``LOSSES``, and a value of the estimators' `out_activation`.
    exclusive : bool
        True if the outputs are classes that exclude each other. Then the target is the index of a row's class and the
        probabilities of a row sum to 1. False if each output is a yes or no of its own. Then the target is boolean.
    formula, delta_formula : str
        The loss of one row as text, in terms of the targets y_k and the probabilities p_k, and its derivative by the logits.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture for computer vision", CVPR 2016,
    https://doi.org/10.1109/CVPR.2016.308, for label smoothing.
    """

    name: ClassVar[str] = ""
    exclusive: ClassVar[bool] = False
    formula: ClassVar[str] = "c"
    delta_formula: ClassVar[str] = "p - y"

    label_smoothing: float = 0.0

    @abstractmethod
    def loss_gradient(self, logits, target, out):
        """Return each row's loss. Write its derivative by the logits to `out`: link(z) - y."""

    @abstractmethod
    def hessian_product(self, logits, tangent, out):
        """Multiply each row's Hessian of the loss by the logits with the row of `tangent`. Write the product to `out`."""

    def fisher_root(self, logits, coefficients):
        """Each row's product R c of a root of the Hessian of the loss by the logits, R R' = H, with one vector c."""
        basis = np.eye(logits.shape[-1], dtype=logits.dtype)
        columns = [
            self.hessian_product(logits, np.broadcast_to(one, logits.shape), np.zeros_like(logits)) for one in basis
        ]
        values, vectors = np.linalg.eigh(np.stack(columns, axis=-1))
        return (vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ coefficients

    @abstractmethod
    def of_frequencies(self, frequencies):
        """The least mean loss of one prediction for all rows, if each output is true with these frequencies in [0, 1]."""

    @abstractmethod
    def proba(self, logits):
        """The probability of each output."""

    @abstractmethod
    def log_proba(self, logits):
        """The logarithm of `proba`, computed from the logits."""

    def target(self, codes, n_outputs):
        """The target that `loss_gradient` takes.

        Parameters
        ----------
        codes : ndarray of int of shape (n_rows,) or (n_rows, n_outputs)
            The index of each row's class, or a 0 or 1 for each output.
        n_outputs : int
            One output for two classes stands for the second class.

        Returns
        -------
        target : ndarray of int of shape (n_rows,) if `exclusive`, else ndarray of bool of shape (n_rows, n_outputs)
        """
        if self.exclusive:
            return codes
        if codes.ndim == 2:
            return codes.astype(bool)
        return codes[:, None] == (np.arange(n_outputs) if n_outputs > 1 else 1)

    def dense_target(self, target, n_outputs):
        """The targets y_k of each output, smoothed, as floats of shape (n_rows, n_outputs)."""
        dense = np.eye(n_outputs)[target] if self.exclusive else target.astype(np.float64)
        n_values = n_outputs if self.exclusive else 2
        return (1.0 - self.label_smoothing) * dense + self.label_smoothing / n_values

    def frequencies(self, target, share, n_outputs):
        """How often each output is true. The shares of the rows sum to 1."""
        return np.bincount(target, share, minlength=n_outputs) if self.exclusive else share @ target

    def class_scores(self, logits):
        """Numbers with the property that their softmax is the probabilities of classes that exclude each other.

        Parameters
        ----------
        logits : ndarray of shape (n_rows, n_outputs)

        Returns
        -------
        scores : ndarray of shape (n_rows, n_classes)
            For one output there are two classes: the output is false or true.
        """
        if logits.shape[1] > 1:
            return self.log_proba(logits)
        proba = np.clip(self.proba(logits), _least(logits), 1.0 - np.finfo(logits.dtype).epsneg)
        return np.concatenate([np.log1p(-proba), np.log(proba)], axis=1)


class SoftmaxLoss(Loss):
    r"""Cross-entropy of classes that exclude each other.

    .. math:: c(z, y) = \log \sum_k e^{z_k} - z_y, \qquad \partial c / \partial z_k = \operatorname{softmax}(z)_k - [k = y]

    The target is an integer array of shape (*members, n_rows): the index of each row's class. Its memory does not grow
    with the number of classes, as that of one-hot rows would.
    """

    name = "softmax"
    exclusive = True
    formula = "c = -sum_k y_k log p_k"

    def loss_gradient(self, logits, target, out):
        # The places of the true classes in `out` as one long row: NumPy finds them faster than by row and column.
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

    def fisher_root(self, logits, coefficients):
        # Column k of R is sqrt(p_k) (e_k - p).
        p = self.proba(logits)
        scaled = np.sqrt(p) * coefficients
        return scaled - p * np.sum(scaled, axis=-1, keepdims=True)

    def of_frequencies(self, frequencies):
        # The entropy of the smoothed mean target.
        smoothed = (1.0 - self.label_smoothing) * frequencies + self.label_smoothing / len(frequencies)
        return float(entr(smoothed).sum())

    def proba(self, logits):
        proba = np.exp(logits - _row_max(logits))
        proba /= _row_sum(proba)[..., None]
        return np.maximum(proba, _least(logits), out=proba)

    def log_proba(self, logits):
        shifted = logits - _row_max(logits)
        shifted -= np.log(_row_sum(np.exp(shifted)))[..., None]
        return np.maximum(shifted, np.log(_least(logits)), out=shifted)

    def class_scores(self, logits):
        return logits


class LogisticLoss(Loss):
    r"""Binary cross-entropy of each output, summed over the outputs.

    .. math::

        c(z, y) = \sum_k \log(1 + e^{z_k}) - y_k z_k, \qquad \partial c / \partial z_k = \sigma(z_k) - y_k

    The target is a boolean array of the shape of the logits.
    """

    name = "logistic"
    exclusive = False
    formula = "c = -sum_k (y_k log p_k + (1 - y_k) log(1 - p_k))"

    def loss_gradient(self, logits, target, out):
        # (1 - 2 y) z is the logit of being wrong. The loss is its softplus: no term cancels another, even for large
        # logits.
        sign = 1.0 - 2.0 * target.astype(logits.dtype)
        wrong = logits * sign
        softplus(wrong, out=out)
        losses = _row_sum(out)
        # The logistic function is exp(z - softplus(z)). It is exact in both tails, and softplus is already computed.
        np.subtract(wrong, out, out=out)
        np.exp(out, out=out)
        if self.label_smoothing > 0.0:
            # Half of the smoothed share goes to the wrong label: (1 - e/2) softplus(w) + e/2 softplus(-w).
            losses -= 0.5 * self.label_smoothing * _row_sum(wrong)
            out -= 0.5 * self.label_smoothing
        out *= sign
        return losses

    def hessian_product(self, logits, tangent, out):
        # The Hessian is diagonal: sigma(z) sigma(-z). Neither factor is a difference.
        np.multiply(tangent, np.exp(log_sigmoid(logits)), out=out)
        return np.multiply(out, np.exp(log_sigmoid(-logits)), out=out)

    def fisher_root(self, logits, coefficients):
        return np.exp(0.5 * (log_sigmoid(logits) + log_sigmoid(-logits))) * coefficients

    def of_frequencies(self, frequencies):
        smoothed = (1.0 - self.label_smoothing) * frequencies + 0.5 * self.label_smoothing
        return float((entr(smoothed) + entr(1.0 - smoothed)).sum())

    def proba(self, logits):
        proba = np.exp(log_sigmoid(logits))
        # Rounding must not turn a probability into a certainty.
        return np.clip(proba, _least(logits), 1.0 - np.finfo(logits.dtype).epsneg, out=proba)

    def log_proba(self, logits):
        log_proba = log_sigmoid(logits)
        # Near 1, probabilities that differ in exact arithmetic round to the same number. Their logarithms must be equal
        # too, so that both put the labels of a row into the same order.
        np.log(self.proba(logits), out=log_proba, where=logits > 0.0)
        return np.maximum(log_proba, np.log(_least(logits)), out=log_proba)

    def class_scores(self, logits):
        if logits.shape[1] > 1:
            return log_sigmoid(logits)
        # The softmax of (0, z) is (1 - sigma(z), sigma(z)).
        scores = np.zeros((len(logits), 2), logits.dtype)
        scores[:, 1:] = logits
        return scores


# NumPy reduces shorter rows slowly. A transposed copy, reduced along its columns, takes a third of the time.
SHORT_ROW = 64


def _row_max(logits):
    """The largest number of each row, as a column."""
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


def weigh(losses, delta, batch):
    """Give each row its share s_i / S of the mean: multiply the rows of `delta` in place, and return the mean loss."""
    weight = batch.weight
    if weight is None:
        delta *= 1.0 / batch.total
        return np.add.reduce(losses, axis=-1, dtype=np.float64) / batch.total  # (3)
    # The shares are in [0, 1], whatever the scale of the weights.
    share = weight / np.expand_dims(batch.total, -1)
    delta *= share.astype(delta.dtype, copy=False)[..., None]
    return np.add.reduce(losses * share, axis=-1)  # (3)


LOSSES: dict[str, Loss] = {loss.name: loss() for loss in (SoftmaxLoss, LogisticLoss)}
