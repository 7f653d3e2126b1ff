"""Whether validation data lie on another scale than the training data.

In a pipeline the steps before the network transform X, and X_val only if the pipeline is made with
``transform_input=["X_val"]``. Else the network learns from scaled rows, is judged on raw ones, and the wrong epoch is kept
without a word. Only the numbers can tell, and a random split, a split by time or another site must not raise the alarm.

Columns that differ are not enough for that: heavy tails, rare values and trends make columns differ. Two signs are strong:

- Half of a column's validation rows lie outside the range of X, and by far. In a random split that is next to impossible
  for any distribution.
- The values themselves are strange in nearly all columns: integers, categories and rounded measurements repeat, so that
  rows of X_val hold values of X. Scaled values of X do not meet the raw ones.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

# Rows and columns that are looked at: 3 to 30 ms for 60 columns, up to 0.3 s for 1,000 of both.
MOST_ROWS = MOST_COLUMNS = 1_000
# One row of a heavy-tailed table is as strange as a row on another scale.
LEAST_ROWS = 5

# How far beyond the range of X values count as outside, in spreads of X. Several columns must agree at the first figure:
# with 2 in place of 2.5 steeper trends raise the alarm, for 2 more of 246 raw tables caught; 3 catches no fewer. One
# column alone must lie outside at the second: of 2,360 splits of tables sorted by a column 2 raise the alarm; with 5 in its
# place 5 do, with 2.5 19, for 3 and 7 more tables caught.
SEVERAL_OUTSIDE, ONE_OUTSIDE = 2.5, 10.0
# The several columns. Raw columns near 1 do not show a scaler: with wine and breast cancer 30 % of the columns do.
SHARE_OUTSIDE = 0.25
# A random split puts h of m rows beyond all n others with probability (h + 1) (m / (m + n))^h at most, whatever the
# distribution. One column is trusted below the first figure over all columns together, several below the second in each.
ONE_BY_CHANCE, SEVERAL_BY_CHANCE = 1e-6, 1e-3

# Columns in which this share of X's rows has a twin hold few values: a random split finds new ones in at most a tenth.
DISCRETE = 0.9
# The share of columns with strange values. Years and months are new in a split by time; they are not most of a table.
SHARE_STRANGE, LEAST_STRANGE = 0.75, 3
# Values as near as this, in standard deviations, are equal: rounding differs with the batch in a product, as in PCA.
EQUAL = 1e-4
# All rows this near to 0, in spreads of X: raw values so small that the scaled X does not resolve them.
TINY = 0.1
# Unless more than this share of X lies there too, as with two clusters of which one is at 0.
MOST_TINY = 0.2
# Spreads below so many roundings of the largest entry are noise: PCA's components beyond the rank of X.
NOISE = 1_000.0
# Where entries of X_val are cut off, in the largest of X: sums of their squares must not overflow.
FARTHEST = 1e100


def far_columns(X, X_val):
    """The columns that show X_val to lie on another scale than X.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Training data, finite.
    X_val : {ndarray, CSR matrix} of shape (n_val, n_features)
        Validation data, finite.

    Returns
    -------
    far : ndarray of shape (n_far,)
        Indices of the columns, in order. Empty if nothing speaks for another scale, or if X_val has less than five rows.
    """
    if X_val.shape[0] < LEAST_ROWS or not X.shape[0] or not X.shape[1]:
        return np.zeros(0, dtype=np.intp)
    # What is too small beside the largest entry of a column is lost, and that is meant.
    with np.errstate(under="ignore"):
        X, X_val, columns, rounding = _samples(X, X_val)
        spread = np.maximum(X.std(axis=0), _interquartile_range(X))
        # A column that is constant on either side says nothing: a site, a year, a rare word.
        telling = (X.std(axis=0) > rounding) & (np.ptp(X_val, axis=0) > 0.0)
        outside = _outside(X, X_val, SEVERAL_OUTSIDE * spread)
        far = _one_or_several_outside(X, X_val, outside, spread, telling)
        if not far.any():
            far = _mostly_strange(X, X_val, outside, telling)
    return columns[far]


def _samples(X, X_val):
    """Some rows of both as dense doubles, X sorted by column, in units of the largest entry of X in each column.

    Returns
    -------
    X, X_val : ndarray of shape (n, n_columns), (m, n_columns)
        The entries.
    columns : ndarray of shape (n_columns,)
        Which columns they are.
    rounding : ndarray of shape (n_columns,)
        Spreads that may be noise.
    """
    precision = float(np.finfo(X.dtype).eps)
    samples = [A[np.linspace(0, A.shape[0] - 1, min(MOST_ROWS, A.shape[0])).astype(np.intp)] for A in (X, X_val)]
    columns = np.arange(X.shape[1])
    if len(columns) > MOST_COLUMNS:
        # The fullest: rare words and categories say least.
        filled = sum(np.asarray((A != 0).sum(axis=0)).ravel() for A in samples)
        columns = np.sort(np.argsort(filled, kind="stable")[-MOST_COLUMNS:])
        samples = [A[:, columns] for A in samples]
    samples = [A.toarray() if sp.issparse(A) else A for A in samples]
    X, X_val = (A.astype(np.float64) for A in samples)
    # Subnormal entries are zeros here: the quotients would overflow.
    largest = np.maximum(np.abs(X).max(axis=0), np.finfo(np.float64).tiny)
    with np.errstate(over="ignore"):
        rounding = NOISE * precision * (np.abs(X).max() / largest)
        X_val = np.clip(X_val / largest, -FARTHEST, FARTHEST)
    X /= largest
    X.sort(axis=0)
    return X, X_val, columns, rounding


def _interquartile_range(X):
    return X[3 * len(X) // 4] - X[len(X) // 4]


def _outside(X, X_val, margin):
    """Which entries of X_val lie outside the range of X by more than the margin; X is sorted."""
    return (X_val < X[0] - margin) | (X_val > X[-1] + margin)


def _one_or_several_outside(X, X_val, outside, spread, telling):
    """The columns of which half of the rows lie outside, if they are many or one is far outside."""
    # Zeros stay zeros where sparse data are scaled, so that the others are to be compared.
    filled, filled_val = np.count_nonzero(X, axis=0), np.count_nonzero(X_val, axis=0)
    n_outside = np.count_nonzero(outside, axis=0)
    chance = (n_outside + 1.0) * (filled_val / np.maximum(filled + filled_val, 1)) ** n_outside
    half = telling & (n_outside > 0) & (2 * n_outside >= filled_val)
    several = half & (chance <= SEVERAL_BY_CHANCE)
    if several.sum() >= max(2, SHARE_OUTSIDE * np.count_nonzero(telling & (filled_val > 2))):
        return several
    # Where most rows are equal the spread says nothing of the others: a sorted column of rare large values.
    bulk = telling & (_interquartile_range(X) > 0.0) & (chance * np.count_nonzero(telling) <= ONE_BY_CHANCE)
    far = _outside(X, X_val, ONE_OUTSIDE * spread)
    return bulk & (2 * np.count_nonzero(far, axis=0) >= len(X_val))


def _mostly_strange(X, X_val, outside, telling):
    """The columns of which half of the rows hold values strange to X, if they are nearly all columns."""
    deviation = X.std(axis=0)
    small = TINY * np.minimum(deviation, _interquartile_range(X))
    tiny = (np.abs(X_val) < small).all(axis=0) & ((np.abs(X) < small).mean(axis=0) <= MOST_TINY)
    strange = outside | tiny
    twin = np.zeros(X.shape, dtype=bool)
    twin[1:] = np.diff(X, axis=0) <= EQUAL * deviation
    twin[:-1] |= twin[1:]
    for j in np.flatnonzero(telling & (twin.mean(axis=0) >= DISCRETE)):
        above = np.searchsorted(X[:, j], X_val[:, j])
        neighbours = X[np.clip([above - 1, above], 0, len(X) - 1), j]
        strange[:, j] |= (np.abs(neighbours - X_val[:, j]) > EQUAL * deviation[j]).all(axis=0)
    far = telling & (2 * np.count_nonzero(strange, axis=0) >= len(X_val))
    enough = far.sum() >= max(LEAST_STRANGE, SHARE_STRANGE * telling.sum())
    return far if enough else np.zeros_like(far)
