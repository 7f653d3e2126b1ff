"""Splits of the rows: some held out for validation, or folds."""

from __future__ import annotations

import math
from functools import partial
from numbers import Integral
from reprlib import Repr

import numpy as np
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold, check_cv, train_test_split
from sklearn.utils import column_or_1d

from skbp._notices import note

_SHORT = Repr()

# The number of folds where cv is None.
DEFAULT_FOLDS = 4


def hold_out(strata, n_rows, validation_fraction, rng):
    """Indices of the rows to train on and of those to hold out.

    Parameters
    ----------
    strata : ndarray of shape (n_rows,) or None
        The split is stratified by it if there are enough rows.
    n_rows : int
    validation_fraction : float
    rng : RandomState

    Returns
    -------
    train, held_out : ndarray of int
    """
    n_held_out = math.ceil(validation_fraction * n_rows)
    if not 0 < n_held_out < n_rows:
        raise ValueError(
            f"early_stopping with validation_fraction={validation_fraction} would hold out {n_held_out} of "
            f"n_samples={n_rows} rows: there must be at least one to validate on and one to train on. Use more rows, "
            "another validation_fraction, or early_stopping=False."
        )
    plain = partial(train_test_split, np.arange(n_rows), test_size=validation_fraction, random_state=rng)
    if strata is None:
        return plain()
    try:
        return plain(stratify=strata)
    except ValueError:  # too few rows for one of each class
        return plain()


def repeated_splits(cv, n_repeats, rows, groups, rng):
    """A list of splits, as `fold_splits` makes them, for each repeat. Only a number of folds is repeated."""
    first = fold_splits(cv, rows, groups, rng)
    if first[0][1] is None or not isinstance(cv, Integral | None):
        return [first]
    return [first, *(fold_splits(cv, rows, groups, rng) for _ in range(n_repeats - 1))]


def fold_splits(cv, rows, groups, rng):
    """For each member of an ensemble, the rows to train on and the rows of its fold. Without folds the latter is None.

    Parameters
    ----------
    cv : int, splitter, iterable or None
    rows : Rows
    groups : array-like of shape (n_rows,) or None
    rng : RandomState

    Returns
    -------
    splits : list of (ndarray of int, ndarray of int or None)
    """
    seed, labels = rng.randint(np.iinfo(np.int32).max), rows.codes
    if groups is not None:
        groups = _checked_groups(groups, len(labels))
    if not isinstance(cv, Integral | None):
        # `check_cv` unpacks the pairs of an iterable without checking them.
        has_split = hasattr(cv, "split")
        splits = list(check_cv(cv).split(rows.X, labels, groups) if has_split else cv)
        if not splits:
            raise ValueError(
                f"cv={cv!r} makes no split. If it is an iterator, it is used up after one fit: give a list of its "
                "pairs, or a splitter."
            )
    else:
        n_folds = _n_folds(DEFAULT_FOLDS if cv is None else int(cv), labels, groups)
        if n_folds < 2:
            weighs = np.ones(len(labels)) if rows.weight is None else rows.weight
            return [(np.flatnonzero(weighs > 0.0), None)]
        splits = _folds(labels, groups, n_folds, seed)
    return _checked_splits(splits, len(labels), rows.weight)


def _n_folds(wanted, labels, groups):
    """The number of folds that the user wants, or the largest number that the rows allow."""
    limits = {"there are rows": len(labels)}
    if labels.ndim == 1:
        limits = {"any class has rows": int(np.bincount(labels).max())}
    if groups is not None:
        limits["there are groups"] = len(np.unique(groups))
    limit = min(limits, key=lambda name: limits[name])
    n_folds = min(wanted, limits[limit])
    if n_folds < wanted:
        result = f"{n_folds} folds are made" if n_folds > 1 else "no folds are made. One member trains, uncalibrated"
        note(f"cv={wanted} asks for more folds than {limit}, {limits[limit]}: {result}.")
    return n_folds


def _folds(labels, groups, n_folds, seed):
    """Shuffled folds, stratified by class. A class with fewer rows than folds is dealt out among them."""
    index = np.arange(len(labels))
    if labels.ndim == 2 and groups is None:
        return list(KFold(n_folds, shuffle=True, random_state=seed).split(index))
    if labels.ndim == 2:
        labels = labels[:, 0]  # the only splitter that knows groups and shuffles stratifies by one label
    counts = np.bincount(labels)
    rare = (counts > 0) & (counts < n_folds)
    # scikit-learn's splitters warn of a rare class, and a filter for that would change the whole process.
    if groups is not None:
        labels = np.where(rare[labels], counts.argmax(), labels)
        return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(index, labels, groups))
    if rare.any():
        return _dealt_out(labels, n_folds, np.random.RandomState(seed))
    return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(index, labels))


def _dealt_out(labels, n_folds, rng):
    """Splits into folds. Their sizes, and their numbers of rows of each class, differ by at most one."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.zeros(len(labels), dtype=np.intp)
    fold[order] = np.arange(len(labels)) % n_folds
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def _checked_splits(splits, n_rows, weight):
    """Splits as arrays of indices. Rows to train on with weight 0 and splits without a fold are left out.

    Raises
    ------
    ValueError
        If a split is not a pair of indices or masks, has no rows to train on, or has a row in both parts; or if no split is
        left.
    """
    checked = []
    for split in splits:
        if not (isinstance(split, (tuple, list)) and len(split) == 2):
            raise ValueError(
                f"cv makes a split that is {_SHORT.repr(split)}; each must be a pair (train, test) of row numbers or masks."
            )
        train, fold = (_row_numbers(part, n_rows) for part in split)
        if weight is not None:
            train = train[weight[train] > 0.0]
        if not len(train):
            raise ValueError(
                "cv makes a split with no rows to train on, or none of positive weight: use fewer folds, or give more rows "
                "a positive weight."
            )
        both = np.intersect1d(train, fold)
        if len(both):
            raise ValueError(
                f"cv makes a split with {len(both)} rows both to train and to validate on, such as row {both[0]}: a member "
                "must not be judged by rows that it has seen."
            )
        if len(fold):
            checked.append((train, fold))
    if not checked:
        raise ValueError("cv makes no split with rows to validate on: there must be at least one.")
    return checked


def _row_numbers(part, n_rows):
    """A part of a split, indices or a mask, as indices that are not negative."""
    try:
        part = np.asarray(part)
    except ValueError as error:  # ragged
        raise ValueError(f"cv makes a split with a part that is no array: {error}") from error
    if part.dtype == bool and part.shape == (n_rows,):
        return np.flatnonzero(part)
    if not part.size:
        return np.zeros(0, dtype=np.intp)
    if part.ndim != 1 or part.dtype.kind not in "iu" or part.min() < -n_rows or part.max() >= n_rows:
        raise ValueError(
            f"cv makes a split with a part of shape {part.shape} and type {part.dtype} that is neither row numbers from 0 "
            f"to {n_rows - 1} nor a mask of {n_rows} booleans."
        )
    return part % n_rows


def _checked_groups(groups, n_rows):
    """Groups as an array of labels that can be sorted, one for each row."""
    try:
        groups = column_or_1d(groups)
        np.unique(groups)
    except (TypeError, ValueError) as error:
        raise ValueError(f"groups must have a label for each row: {error}") from error
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        raise ValueError("groups has missing values: give each row a group.")
    if len(groups) != n_rows:
        raise ValueError(f"groups has {len(groups)} labels for {n_rows} rows.")
    return groups
