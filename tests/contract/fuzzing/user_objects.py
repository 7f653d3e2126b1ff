"""Functions, activations and splitters as a user may write them. Some of them fail on purpose."""

from __future__ import annotations

import functools

import numpy as np

from skbp import Activation


class Own(Exception):
    """The error that the user's functions raise. It must arrive unchanged."""


def raises(*args, **kwargs):
    raise Own("an error of the user's own")


def gives(value):
    """A function of the user that always returns the same value."""
    return functools.partial(_give, value)


def _give(value, *args, **kwargs):
    return value


def share_right(estimator, X, y):
    return float(np.mean(estimator.predict(X) == y))


def half(p):
    return 1.0 - p / 2.0


def double(z, out):
    return np.multiply(z, 2.0, out=out)


def two(a, out):
    out.fill(2.0)
    return out


def _cube(z, out):
    with np.errstate(all="ignore"):
        out[...] = z * z * z
    return out


def _cube_slope(z, out):
    with np.errstate(all="ignore"):
        out[...] = 3.0 * z * z
    return out


def _nan_beyond_3(z, out):
    out[...] = np.where(np.abs(z) > 3.0, np.nan, z)
    return out


def _raise_on_a_table(z, out):
    if z.ndim > 1:
        raise Own("an error of the user's own activation")
    return np.copyto(out, z) or out


doubling = Activation(double, two)
cubing = Activation(_cube, _cube_slope, needs_z=True)
nan_beyond_3 = Activation(_nan_beyond_3, two)
raising = Activation(_raise_on_a_table, two)


class RaisingSplitter:
    def get_n_splits(self, X=None, y=None, groups=None):
        return 2

    def split(self, X, y=None, groups=None):
        raise Own("an error of the user's own splitter")


def halves(rows, times=2):
    """Pairs of row numbers to train and to validate on. Every `times`-th row is in the fold."""
    numbers = np.arange(rows)
    return [(numbers[numbers % times != k], numbers[numbers % times == k]) for k in range(times)]
