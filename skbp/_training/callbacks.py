"""The bridge to scikit-learn's callbacks."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """A replacement for versions of scikit-learn without callbacks."""


__all__ = ["CallbackSupportMixin", "EpochCallbacks"]


class EpochCallbacks:
    """Tells scikit-learn's callbacks of every epoch.

    Parameters
    ----------
    estimator : estimator
        The one that is being fitted.
    context : sklearn.callback.CallbackContext
        The context of the fit. It gets a subtask for each epoch.
    data : dict
        `X`, `y` and `metadata` for the callbacks that ask for them. A callable is called then.
    attributes_at : callable (Parameters, History) -> dict
        The fitted attributes as they would be if training ended now.
    published : bool, default=True
        Whether the estimator is a fitted one when training ends, and not only a part of it.

    Attributes
    ----------
    stops : bool
        After training, whether a callback wants the tasks that follow to be left out.
    """

    def __init__(self, estimator, context, data, attributes_at, published=True):
        self._estimator, self._context, self._data, self._attributes_at = estimator, context, data, attributes_at
        self._at_end: dict = {"reconstruction_attributes": {}} if published else {}
        self._epoch: Any = None
        self.stops = False
        context.call_on_fit_task_begin(estimator=estimator, **data)

    def begin_epoch(self):
        """An epoch begins."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self, loss, params, learning_rate, figures, monitor):  # noqa: ARG002, a watcher's signature
        """An epoch has ended. Returns whether a callback wants training to stop."""
        epoch, self._epoch = self._epoch, None
        return epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=lambda: self._attributes_at(params, monitor.history),
            **self._data,
        )

    def stall(self, history, decision):
        """Callbacks are not told."""

    def close(self):
        """Training has ended and all is published. An epoch that was cut short has no figures."""
        if self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._estimator)
        self.stops = self._context.call_on_fit_task_end(estimator=self._estimator, **self._at_end, **self._data)

    def show(self, attributes_at) -> EpochCallbacks:
        """From now on take the fitted attributes from this function."""
        self._attributes_at = attributes_at
        return self

    def of_member(self, attributes_at, max_subtasks) -> EpochCallbacks:
        """The callbacks for one of several networks that train one after another: a subtask with epochs of its own."""
        context = self._context.subcontext(task_name="member", max_subtasks=max_subtasks)
        return EpochCallbacks(self._estimator, context, self._data, attributes_at, published=False)
