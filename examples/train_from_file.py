"""
=====================================
Training on a file larger than memory
=====================================

The rows lie in a file that is mapped into memory. A full-batch solver reads them block by block, so the memory in use does
not grow with the file. The same holds for predictions. ``partial_fit`` does the same for mini-batches: it trains on one
block after another.

Run it with ``python examples/train_from_file.py 4`` for a file of 4 GB. Without the number the file has 0.1 GB.
"""

# %%
# The file
# --------
# It is written block by block. Two hidden rules give the class of each row, and a tenth of the labels is wrong.

import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbp import BackpropClassifier

GIGABYTES = float(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1][0].isdigit() else 0.1
N_FEATURES, BLOCK = 50, 100_000
N_ROWS = int(GIGABYTES * 1e9 / (4 * N_FEATURES))


def write(file):
    """Rows of float32, and a label for each."""
    rng = np.random.default_rng(0)
    y = np.zeros(N_ROWS, dtype=np.int8)
    with file.open("wb") as stream:
        for start in range(0, N_ROWS, BLOCK):
            rows = rng.standard_normal((min(BLOCK, N_ROWS - start), N_FEATURES), dtype=np.float32)
            y[start : start + BLOCK] = (rows[:, 0] * rows[:, 1] > 0) ^ (rng.random(len(rows)) < 0.1)
            rows.tofile(stream)
    return y


def blocks(file):
    """The places and the rows of one block of the file after another."""
    for start in range(0, N_ROWS, BLOCK):
        n_rows = min(BLOCK, N_ROWS - start)
        rows = np.fromfile(file, np.float32, n_rows * N_FEATURES, offset=4 * start * N_FEATURES)
        yield slice(start, start + n_rows), rows.reshape(n_rows, N_FEATURES)


def peak():
    """The largest resident size of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


# %%
# Training
# --------
# ``lbfgs`` sees all rows in each iteration. ``partial_fit`` makes one pass over them here.

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "rows"
    y = write(file)
    X = np.memmap(file, np.float32, "r", shape=(N_ROWS, N_FEATURES))
    print(f"a file of {file.stat().st_size / 1e9:.1f} GB, {N_ROWS:,} rows; memory so far at most {peak():.0f} MB")

    warnings.simplefilter("ignore", ConvergenceWarning)
    start = time.perf_counter()
    clf = BackpropClassifier((16,), "tanh", solver="lbfgs", max_iter=40, random_state=0).fit(X, y)
    accuracy = np.mean(clf.predict(X) == y)
    print(f"lbfgs        {time.perf_counter() - start:6.1f} s, accuracy {accuracy:.3f}, memory at most {peak():.0f} MB")

    start = time.perf_counter()
    clf = BackpropClassifier((16,), "tanh", learning_rate_init=0.01, batch_size=1000, random_state=0)
    for place, rows in blocks(file):
        clf.partial_fit(rows, y[place], classes=np.array([0, 1], dtype=y.dtype))
    accuracy = np.mean(clf.predict(X) == y)
    print(f"partial_fit  {time.perf_counter() - start:6.1f} s, accuracy {accuracy:.3f}, memory at most {peak():.0f} MB")
    del X
