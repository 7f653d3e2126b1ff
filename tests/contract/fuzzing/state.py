"""The state of estimators and of the process, and guards around a call."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import signal
import sys
import threading
import traceback
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator
from threadpoolctl import ThreadpoolController

SECONDS_A_CALL = 20.0
BLAS = ThreadpoolController()


class TookTooLongError(BaseException):
    """A call that does not end."""


def frozen(value):
    """A value that equals another if and only if their contents are the same, bit for bit."""
    if isinstance(value, np.ndarray):
        content = tuple(map(frozen, value.ravel().tolist())) if value.dtype == object else value.tobytes()
        return "array", value.dtype.str, value.shape, content
    if isinstance(value, np.random.RandomState):
        return "RandomState", *map(frozen, value.get_state())
    if sp.issparse(value):
        parts = [frozen(getattr(value, name, None)) for name in ("data", "indices", "indptr")]
        return type(value).__name__, value.shape, *parts
    if isinstance(value, pd.DataFrame | pd.Series):
        return type(value).__name__, frozen(value.to_numpy()), frozen(list(value.index))
    if isinstance(value, dict):
        return "dict", tuple((frozen(key), frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(map(frozen, value))
    if isinstance(value, BaseEstimator):
        return type(value).__name__, frozen(vars(value))
    if isinstance(value, functools.partial):
        return "partial", frozen(value.args)
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | Fraction | Decimal):
        return type(value).__name__, repr(value)
    return type(value).__name__, id(value)


def parameters(state, clf):
    """The parameters in a frozen estimator, without random_state."""
    names = set(inspect.signature(type(clf).__init__).parameters) - {"random_state"}
    return "dict", tuple(item for item in state[1] if item[0][1].strip("'") in names)


def differences(before, after):
    old, new = dict(before[1]), dict(after[1])
    return ", ".join(key[1] for key in {**old, **new} if old.get(key) != new.get(key))


def comparable(params):
    """Parameters as text, without the addresses of the objects that a clone copies."""
    return re.sub(r"0x[0-9A-Fa-f]+", "", repr(sorted(params.items())))


def process_state():
    """The state of the process that a call must not change."""
    return {
        "np.geterr()": np.geterr(),
        "BLAS threads": [library.num_threads for library in BLAS.lib_controllers],
        "np.random": frozen(np.random.mtrand._rand),
        "scikit-learn's configuration": sklearn.get_config(),
        "threads": threading.active_count(),
        "print options": repr(np.get_printoptions()),
        "sys.stdout": id(sys.stdout),
    }


def changes(before, after, may_draw):
    return [name for name in before if before[name] != after[name] and not (name == "np.random" and may_draw)]


@contextlib.contextmanager
def recorded(warned):
    """Append every warning, with its frames, to the list."""

    def note(message, category, filename, lineno, file=None, line=None):
        frames = [
            traceback.FrameSummary(frame.f_code.co_filename, number, frame.f_code.co_name, lookup_line=False)
            for frame, number in traceback.walk_stack(sys._getframe(1))
        ][::-1]
        warned.append({"message": message, "category": category, "filename": filename, "frames": frames})

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield


@contextlib.contextmanager
def watchdog():
    """Stop a call that takes too long, on systems with alarms."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(*args):
        raise TookTooLongError(f"longer than {SECONDS_A_CALL} seconds")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CALL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def works(function, value):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(value)
    except Exception:  # noqa: BLE001, any error counts
        return False
    return True
