"""Whether validation data lie on another scale than the training data.

In a pipeline, the steps before the network transform X. They transform X_val only if the pipeline is made with
``transform_input=["X_val"]``. Otherwise the network learns from scaled rows but is judged on raw rows. The wrong epoch is
kept, and nothing warns of it. Only the numbers can show this mistake. A random split, a split by time and data from another
site must not raise the alarm.

It is not enough that columns differ: heavy tails, rare values and trends make columns differ too. Two signs are strong:

- Half of a column's validation rows lie far outside the range of X. In a random split this is almost impossible for any
  distribution.
- The values are new in nearly all columns. Integers, categories and rounded measurements repeat, so rows of X_val normally
  hold values that X has too. Raw values do not equal the scaled values of X.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

# The most rows and columns that are examined. That takes 3 to 30 ms for 60 columns, up to 0.3 s for 1,000 of both.
MOST_ROWS = MOST_COLUMNS = 1_000
# A single row of a heavy-tailed table can look like a row on another scale.
LEAST_ROWS = 5

# A value counts as outside if it is this many spreads of X beyond the range of X. The first figure is for several columns
# that agree. At 2 instead of 2.5, 2 more of 246 raw tables are caught, but steeper trends then raise the alarm.
# At 3, no fewer tables are caught. The second figure is for a single column. 2 of 2,360 splits of tables sorted by a column
# raise the alarm. At 5 instead of 10, 5 do, and 3 more tables are caught. At 2.5, 19 do, and 7 more tables are caught.
SEVERAL_OUTSIDE, ONE_OUTSIDE = 2.5, 10.0
# The share of the columns that counts as several. Raw columns with values near 1 do not reveal a scaler: in wine and breast
# cancer, 30 % of the columns do.
SHARE_OUTSIDE = 0.25
# In a random split, h of m rows lie beyond all n others with a probability of at most (h + 1) (m / (m + n))^h, for any
# distribution. A single column counts if this bound times the number of columns is at most the first figure. Each of several
# columns counts if the bound is at most the second.
ONE_BY_CHANCE, SEVERAL_BY_CHANCE = 1e-6, 1e-3

# A column holds few values if at least this share of X's rows has a twin: another row with the same value. At most a tenth
# of the rows then has a new value in a random split.
DISCRETE = 0.9
# The share of columns that must have new values, and their least number. A split by time makes years and months new, but
# they are not most columns of a table.
SHARE_STRANGE, LEAST_STRANGE = 0.75, 3
# Values this close, in standard deviations, count as equal: the rounding of a product, as in PCA, depends on the batch.
EQUAL = 1e-4
# A column also counts as new if all of its rows are this close to 0, in spreads of X. Such raw values are too small for the
# scaled X to resolve them.
TINY = 0.1
# It does not count if more than this share of X lies there too, as in a column with two clusters and one of them at 0.
MOST_TINY = 0.2
# Spreads below this many rounding errors of the largest entry are noise, as in PCA's components beyond the rank of X.
NOISE = 1_000.0
# Entries of X_val are cut off at this multiple of the largest entry of X, so that sums of their squares do not overflow.
FARTHEST = 1e100


def far_columns(X, X_val):
    """The columns that show that X_val lies on another scale than X.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Training data, finite.
    X_val : {ndarray, CSR matrix} of shape (n_val, n_features)
        Validation data, finite.

    Returns
    -------
    far : ndarray of shape (n_far,)
        Indices of the columns, in order. Empty if there is no sign of another scale, or if X_val has fewer than five rows.
    """
    if X_val.shape[0] < LEAST_ROWS or not X.shape[0] or not X.shape[1]:
        return np.zeros(0, dtype=np.intp)
    # Entries that are too small beside the largest entry of their column become 0. That is intended.
    with np.errstate(under="ignore"):
        X, X_val, columns, rounding = _samples(X, X_val)
        spread = np.maximum(X.std(axis=0), _interquartile_range(X))
        # A column that is constant in X or in X_val shows nothing: a site, a year, a rare word.
        telling = (X.std(axis=0) > rounding) & (np.ptp(X_val, axis=0) > 0.0)
        outside = _outside(X, X_val, SEVERAL_OUTSIDE * spread)
        far = _one_or_several_outside(X, X_val, outside, spread, telling)
        if not far.any():
            far = _mostly_strange(X, X_val, outside, telling)
    return columns[far]


def _samples(X, X_val):
    """Some rows and columns of X and X_val as dense float64, divided by the largest entry of X in each column.

    Returns
    -------
    X, X_val : ndarray of shape (n, n_columns), (m, n_columns)
        The entries. Each column of X is sorted.
    columns : ndarray of shape (n_columns,)
        Indices of the columns.
    rounding : ndarray of shape (n_columns,)
        Spreads up to this may be noise.
    """
    precision = float(np.finfo(X.dtype).eps)
    samples = [A[np.linspace(0, A.shape[0] - 1, min(MOST_ROWS, A.shape[0])).astype(np.intp)] for A in (X, X_val)]
    columns = np.arange(X.shape[1])
    if len(columns) > MOST_COLUMNS:
        # The fullest columns are kept: rare words and categories show least.
        filled = sum(np.asarray((A != 0).sum(axis=0)).ravel() for A in samples)
        columns = np.sort(np.argsort(filled, kind="stable")[-MOST_COLUMNS:])
        samples = [A[:, columns] for A in samples]
    samples = [A.toarray() if sp.issparse(A) else A for A in samples]
    X, X_val = (A.astype(np.float64) for A in samples)
    # The divisor is never subnormal: the quotients would overflow.
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
    """Which entries of X_val lie outside the range of X by more than the margin. X is sorted."""
    return (X_val < X[0] - margin) | (X_val > X[-1] + margin)


def _one_or_several_outside(X, X_val, outside, spread, telling):
    """The columns with half of their rows outside, if there are many such columns or one lies far outside."""
    # Scaling sparse data keeps their zeros, so only the other entries are compared.
    filled, filled_val = np.count_nonzero(X, axis=0), np.count_nonzero(X_val, axis=0)
    n_outside = np.count_nonzero(outside, axis=0)
    chance = (n_outside + 1.0) * (filled_val / np.maximum(filled + filled_val, 1)) ** n_outside
    half = telling & (n_outside > 0) & (2 * n_outside >= filled_val)
    several = half & (chance <= SEVERAL_BY_CHANCE)
    if several.sum() >= max(2, SHARE_OUTSIDE * np.count_nonzero(telling & (filled_val > 2))):
        return several
    # If most rows are equal, the spread says nothing about the others, as in a sorted column of rare large values.
    bulk = telling & (_interquartile_range(X) > 0.0) & (chance * np.count_nonzero(telling) <= ONE_BY_CHANCE)
    far = _outside(X, X_val, ONE_OUTSIDE * spread)
    return bulk & (2 * np.count_nonzero(far, axis=0) >= len(X_val))


def _mostly_strange(X, X_val, outside, telling):
    """The columns with values new to X in half of their rows, if these are nearly all columns."""
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
