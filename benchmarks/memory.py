"""Memory and time of full-batch training with lbfgs as the number of rows grows.

    python benchmarks/memory.py [--quick] [--repeats N] [--csv FILE]

Each fit makes ten iterations with a network of 200 hidden units on 50 features and ten classes. BackpropClassifier is
compared with MLPClassifier. Every figure comes from its own process, and the cases take turns. There are three figures for
each case:

- peak: the most memory that is allocated at one time during the fit. tracemalloc counts it; NumPy reports its arrays to it.
  The data exist before and do not count.
- rss: the growth of the largest resident size of the process during the fit, by the operating system (ru_maxrss). The data,
  pages of a mapped file included, are resident before. So is what a first small fit allocated, because BLAS and the
  allocator keep it. For this reason rss is less than the peak, but it misses nothing else.
- seconds: processor time of the fit without tracemalloc, on one BLAS thread; the least of N.

The 1,000,000 rows come in memory and as a float32 file that is mapped to memory and not read. MLPClassifier does not run on
them: its memory grows with the rows, here to about 5 GB.

The last lines are for a float32 file of 4 GB, with 20,000,000 rows and 16 hidden units. Their figure is the largest resident
size of the whole process, Python and all packages included: before training, after two iterations of lbfgs, and after
predictions for all rows.
"""

import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from measure import (
    MEGABYTE,
    Table,
    in_own_process,
    one_thread_in_new_processes,
    options,
    peak_memory,
    timed,
    versions,
    write_csv,
)
from networks import Work, parameters
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier

WORK = Work("memory", n_features=50, hidden=(200,), n_classes=10, solver="lbfgs")
N_ITERATIONS = 10
CLASSIFIERS = {"MLPClassifier": MLPClassifier, "BackpropClassifier": BackpropClassifier}
# Classifier, factor of the rows, type, whether the data are a mapped file.
CASES = [
    ("MLPClassifier", 1, "float64", False),
    ("BackpropClassifier", 1, "float64", False),
    ("BackpropClassifier", 1, "float32", False),
    ("BackpropClassifier", 20, "float64", False),
    ("BackpropClassifier", 20, "float32", False),
    ("BackpropClassifier", 20, "float32", True),
]


def data(n_rows, dtype, file=None):
    """Normal features, in a mapped file if a name is given, and classes by a linear map with noise."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((WORK.n_features, WORK.n_classes))
    shape = (n_rows, WORK.n_features)
    X = np.empty(shape, dtype) if file is None else np.memmap(file, dtype, mode="w+", shape=shape)
    y = np.empty(n_rows, dtype=np.int64)
    # In small parts, so that nothing but the data makes up the resident size before the fit.
    for start in range(0, n_rows, 10_000):
        X[start : start + 10_000] = rows = rng.standard_normal((min(10_000, n_rows - start), WORK.n_features))
        scores = rows @ teacher
        y[start : start + 10_000] = (scores + 3.0 * rng.standard_normal(scores.shape)).argmax(axis=1)
    if file is not None:
        X.flush()
        X = np.memmap(file, dtype, mode="r", shape=shape)
    return X, y


def fit(classifier, X, y):
    return CLASSIFIERS[classifier](**parameters(WORK, N_ITERATIONS)).fit(X, y)


def resident():
    """The largest resident size so far in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(case, n_rows, what, file):
    """One figure of one case, and the loss of the fit."""
    classifier, factor, dtype, mapped = case
    X, y = data(n_rows * factor, dtype, file if mapped else None)
    fit(classifier, X[:300], y[:300])  # a first fit imports modules and starts threads
    if what == "peak":
        figure, clf = peak_memory(fit, classifier, X, y)
    elif what == "rss":
        before = resident()
        clf = fit(classifier, X, y)
        figure = resident() - before
    else:
        figure, clf = timed(fit, classifier, X, y, clock=time.process_time)
    return figure, clf.loss_


def from_file(n_rows, file):
    """The largest resident size before training on a file, after it, and after predictions, in bytes."""
    rng, width = np.random.default_rng(0), WORK.n_features
    y = np.zeros(n_rows, dtype=np.int8)
    with open(file, "wb") as stream:
        for start in range(0, n_rows, 100_000):
            rows = rng.standard_normal((min(100_000, n_rows - start), width), dtype=np.float32)
            y[start : start + 100_000] = rows[:, :3].sum(axis=1) > 0.0
            rows.tofile(stream)
    X = np.memmap(file, np.float32, "r", shape=(n_rows, width))
    sizes = [resident()]
    clf = BackpropClassifier((16,), solver="lbfgs", max_iter=2, random_state=0).fit(X, y)
    sizes.append(resident())
    right = clf.predict(X) == y
    return [*sizes, resident()], float(right.mean())


def main():
    args = options(__doc__, quick="a twentieth of the rows", repeats=3).parse_args()
    warnings.simplefilter("ignore")
    n_rows = 2_500 if args.quick else 50_000
    print(versions(threads=1))
    print(f"lbfgs, {WORK.shape}, {N_ITERATIONS} iterations\n")
    found = {}
    with tempfile.TemporaryDirectory() as folder, one_thread_in_new_processes():
        file = str(Path(folder) / "X")
        for what in ["peak", "rss", *["seconds"] * args.repeats]:
            for k, case in enumerate(CASES):
                figure, loss = in_own_process(measure, case, n_rows, what, file)
                found.setdefault((k, what), []).append(figure)
                found[k, "loss"] = loss
        n_in_file = 400 * n_rows
        sizes, accuracy = in_own_process(from_file, n_in_file, file)
    columns = [("classifier", "<20"), ("rows", ">9,"), ("data", "<20"), ("data MB", ">8.0f")]
    columns += [
        ("peak MB", ">8.1f"),
        ("rss MB", ">8.1f"),
        ("seconds", ">8.2f"),
        ("us / row", ">9.1f"),
        ("loss", ">8.4f"),
    ]
    table = Table(*columns)
    lines = []
    for k, (classifier, factor, dtype, mapped) in enumerate(CASES):
        rows, kind = n_rows * factor, f"{dtype}, {'mapped file' if mapped else 'in memory'}"
        sizes = [rows * WORK.n_features * np.dtype(dtype).itemsize, found[k, "peak"][0], found[k, "rss"][0]]
        seconds, loss = min(found[k, "seconds"]), found[k, "loss"]
        megabytes = [size / MEGABYTE for size in sizes]
        table.line(classifier, rows, kind, *megabytes, seconds, 1e6 * seconds / rows, loss)
        lines.append([classifier, rows, kind, *sizes, seconds, loss])
    headings = ["classifier", "rows", "data", "data bytes", "peak bytes", "rss bytes", "seconds", "loss"]
    write_csv(args.csv, headings, lines)
    print(f"\na file of {4e-9 * n_in_file * WORK.n_features:.1f} GB, {n_in_file:,} rows; accuracy {accuracy:.3f}")
    for when, size in zip(["before training", "after training", "after predictions"], sizes, strict=True):
        print(f"{when:<18} {size / MEGABYTE:6.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
