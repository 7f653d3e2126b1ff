"""What a fit publishes: the fitted attributes of one network, as plain arrays, lists and numbers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from skbp._training.updates import is_stochastic

# Further training makes these lists longer in place. A call must not cost more than the one before it.
CURVES = ("loss_curve_", "learning_rate_curve_", "validation_scores_", "validation_loss_curve_")


def publish(estimator, attributes: dict[str, Any]) -> None:
    """Set attributes of an estimator."""
    for name, value in attributes.items():
        setattr(estimator, name, value)


def start_history(estimator) -> None:
    """Publish a history without epochs."""
    nothing: dict[str, Any] = dict.fromkeys((*CURVES, "optimize_result_", "best_validation_score_"))
    publish(
        estimator,
        {
            **nothing,
            "loss_curve_": [],
            "n_iter_": 0,
            "t_": 0,
            "loss_": np.inf,
            "best_loss_": np.inf,
            "best_iter_": 0,
            "_training_state": {},
        },
    )


def layers(params) -> dict[str, Any]:
    """The fitted attributes that are the network itself."""
    coefs, intercepts = params.copies()
    return {"coefs_": coefs, "intercepts_": intercepts, "n_layers_": len(params.units)}


def results(estimator, params, history, *, extend=False) -> dict[str, Any]:
    """The fitted attributes after the epochs of a history.

    Parameters
    ----------
    estimator : estimator
        Its curves are those of the calls that this one continues.
    params : Parameters
        The parameters of one network.
    history : History
    extend : bool, default=False
        Whether to make the curves longer in place.
    """
    before, losses = len(estimator.loss_curve_), history.loss_curve
    new = {"loss_curve_": losses}
    if is_stochastic(estimator.solver):
        new["learning_rate_curve_"] = history.learning_rate_curve
    if history.validates:
        new["validation_scores_"] = history.validation_scores
        new["validation_loss_curve_"] = history.validation_loss_curve
    best_iter = before + history.n_iter
    if history.early_stopping:
        best_iter = before + history.best_iter if history.best_iter else estimator.best_iter_
    attributes = {
        **layers(params),
        "n_iter_": history.n_iter,
        "t_": estimator.t_ if history.samples_seen is None else history.samples_seen,
        "loss_": losses[-1] if losses else np.nan,
        "best_iter_": best_iter,
        "best_loss_": None if history.early_stopping else min([_least_loss(estimator), *losses]),
        "best_validation_score_": history.best_validation_score if history.validates else None,
    }
    for name in CURVES:
        attributes[name] = _longer_curve(getattr(estimator, name), new[name], before, extend) if name in new else None
    return attributes


def fitted_at(estimator, params):
    """A copy of an estimator, fitted, with these parameters and no history."""
    fitted = copy.copy(estimator)
    if hasattr(fitted, "_random_state"):
        fitted._random_state = copy.deepcopy(fitted._random_state)
    start_history(fitted)
    publish(fitted, layers(params))
    return fitted


def _least_loss(estimator):
    """The least loss of the calls that this one continues."""
    return min(estimator.loss_curve_, default=np.inf) if estimator.best_loss_ is None else estimator.best_loss_


def _longer_curve(curve, new, before, extend):
    """A curve of the calls that this one continues, nan where they had none, followed by that of this call."""
    if curve is None:
        return [np.nan] * before + new
    if not extend:
        return curve + new
    curve.extend(new)
    return curve
