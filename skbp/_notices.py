"""Warnings: their categories, and how a fit gives them.

A fit collects its warnings and gives them after everything is published. So nothing that was trained is lost if a filter
turns warnings into errors. Each warning points at the line of the user's code that called the fit, if this process has such
a line, however many frames lie between.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

from sklearn.exceptions import InconsistentVersionWarning as SklearnInconsistentVersionWarning

# Frames of these packages lie between the user's line and the warning. A worker process may have no other frames.
BETWEEN = {"skbp", "sklearn", "joblib", "contextlib", "multiprocessing", "concurrent", "threading", "runpy"}


class UnusedParameterWarning(UserWarning):
    """A parameter has no effect with the solver or with the other parameters.

    A grid search over parameters that only some solvers use gives this warning in many fits. This line silences it::

        warnings.simplefilter("ignore", skbp.UnusedParameterWarning)
    """


class NothingLearnedWarning(UserWarning):
    """The fitted network is no better than a constant prediction.

    Either the objective without its penalty is not below that of predicting the class frequencies, or the best validation
    score is not above the score of a constant prediction.
    """


class InconsistentVersionWarning(SklearnInconsistentVersionWarning):
    """Another version of skbp wrote the pickle that is loaded.

    Parameters
    ----------
    estimator_name : str
        Name of the estimator's class.
    current_version : str
        Version of skbp that loads the pickle.
    original_version : str
        Version of skbp that wrote the pickle.
    """

    def __init__(self, *, estimator_name, current_version, original_version):
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=current_version,
            original_sklearn_version=original_version,
        )

    def __reduce__(self):
        # A worker process sends the warning as a pickle.
        names = ("estimator_name", "current_version", "original_version")
        values = (self.estimator_name, self.current_sklearn_version, self.original_sklearn_version)
        return partial(type(self), **dict(zip(names, values, strict=True))), ()

    def __str__(self):
        return (
            f"This {self.estimator_name} was pickled by skbp {self.original_sklearn_version} and is loaded by skbp "
            f"{self.current_sklearn_version}. It may fail or give other results. Fit it again with this version."
        )


_collected: ContextVar[list | None] = ContextVar("collected", default=None)


def note(message, category=UserWarning):
    """Give a warning at once. Inside `noting`, give it at the end of `noting`.

    Parameters
    ----------
    message : str or Warning
    category : type of Warning, default=UserWarning
        Category of a message that is a str.
    """
    collected = _collected.get()
    if collected is None:
        warnings.warn(message, category, stacklevel=_users_level())
    elif (message, category) not in collected:
        collected.append((message, category))


@contextmanager
def noting():
    """A context that collects warnings and gives each of them once, at its end.

    If the block raises an error, it gives no warnings.
    """
    collected: list = []
    token = _collected.set(collected)
    try:
        yield
    finally:
        _collected.reset(token)
    for message, category in collected:
        warnings.warn(message, category, stacklevel=_users_level())


def _users_level():
    """The `stacklevel`, counted from the caller, of the innermost frame of the user's code; 1 if there is none."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _package(frame) in BETWEEN:
        level, frame = level + 1, frame.f_back
    return level if _package(frame) not in BETWEEN else 1


def _package(frame):
    return (frame.f_globals.get("__name__") or "").partition(".")[0]
