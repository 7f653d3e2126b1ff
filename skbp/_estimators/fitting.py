"""The context of a fit: if the fit fails, nothing is lost and nothing is left behind."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbp._estimators.publishing import CURVES, publish, results
from skbp._notices import note, noting
from skbp._training.outcome import UnreachableRowsError

# scikit-learn's callbacks keep these on an estimator while it is fitted.
_CALLBACK_STATE = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


@contextmanager
def one_fit(estimator):
    """A context for a fit.

    NumPy's error settings have no effect in it. If it raises, the estimator and the generators given to it are as they were
    before. It gives its warnings after everything is published.
    """
    with noting(), np.errstate(all="ignore"), unchanged_on_error(estimator):
        yield


@contextmanager
def unchanged_on_error(estimator):
    """Undo the changes of a failing block to an estimator: a failed fit loses nothing."""
    before = estimator.__dict__.copy()
    # All other values are replaced and not changed in place.
    lengths = [(curve, len(curve)) for curve in map(before.get, CURVES) if curve is not None]
    drawn_from = [
        before.get("_random_state"),
        before.get("random_state"),
        getattr(before.get("cv"), "random_state", None),
    ]
    states = [(rng, rng.get_state()) for rng in drawn_from if isinstance(rng, np.random.RandomState)]
    try:
        yield
    except GeneratorExit:
        raise  # an interrupt came outside the block, which may be complete
    except BaseException:
        for rng, state in states:
            rng.set_state(state)
        for curve, length in lengths:
            del curve[length:]
        # scikit-learn needs these to end its callbacks.
        before.update({name: value for name, value in estimator.__dict__.items() if name in _CALLBACK_STATE})
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def publish_training(estimator, params, trained) -> None:
    """Publish the results of training. If an interrupt comes in the middle, they are published again, and it is noted."""

    def published():
        outcome = trained.outcome
        with unchanged_on_error(estimator):
            publish(estimator, results(estimator, params, trained.history, extend=True))
            estimator.loss_, estimator.optimize_result_ = outcome.loss, outcome.optimize_result
            if estimator.best_loss_ is not None:
                estimator.best_loss_ = min(estimator.best_loss_, outcome.loss)

    again_if_interrupted(published)


def again_if_interrupted(function):
    """Call a function. If an interrupt ends the call, note it and call again: training must not be lost."""
    try:
        return function()
    except KeyboardInterrupt:
        note_interrupt_after_training()
        return function()


@contextmanager
def after_training():
    """A context for what follows training. An interrupt or lost rows end it, and nothing that was trained is lost."""
    try:
        yield
    except KeyboardInterrupt:
        note_interrupt_after_training()
    except (UnreachableRowsError, OSError) as error:
        note(f"The rows were lost after training, which is complete: {error}")


def note_interrupt_after_training() -> None:
    note("Interrupted by user after training, which is complete.", ConvergenceWarning)
