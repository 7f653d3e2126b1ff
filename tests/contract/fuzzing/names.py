"""All names that the text of a setting may use."""

from __future__ import annotations

import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from fuzzing.data import initial, label_matrix, labels, other_rows, table, weights
from fuzzing.user_objects import (
    RaisingSplitter,
    cubing,
    double,
    doubling,
    gives,
    half,
    halves,
    nan_beyond_3,
    raises,
    raising,
    share_right,
    two,
)
from skbp import Activation, BackpropClassifier, BackpropClassifierCV

ESTIMATORS = {"BackpropClassifier": BackpropClassifier, "BackpropClassifierCV": BackpropClassifierCV}
NAMES = {
    **ESTIMATORS,
    "Activation": Activation,
    "clone": clone,
    "np": np,
    "pd": pd,
    "pickle": pickle,
    "sp": sp,
    **{
        one.__name__: one
        for one in (
            *(Decimal, Fraction, GroupKFold, KFold, LeaveOneOut, PredefinedSplit, RepeatedKFold, ShuffleSplit),
            *(StratifiedKFold, TimeSeriesSplit),
            *(initial, label_matrix, labels, other_rows, table, weights),
            *(RaisingSplitter, double, gives, half, halves, raises, share_right, two),
        )
    },
    "cubing": cubing,
    "doubling": doubling,
    "nan_beyond_3": nan_beyond_3,
    "raising": raising,
}
__all__ = list(NAMES)


def value_of(text):
    """What the text of a value stands for."""
    return eval(text, dict(NAMES))
