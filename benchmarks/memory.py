"""Memory and time of full-batch training, lbfgs, as the number of rows grows.

    python benchmarks/memory.py [--quick] [--repeats N]

Each fit takes ten iterations of a network with 200 hidden units on 50 features and ten classes, BackpropClassifier
beside MLPClassifier. Every figure comes from a process of its own, and the cases take turns. Three figures per case:

- peak: the most memory allocated at a time during the fit, by tracemalloc, to which NumPy reports its arrays. Data,
  made before, do not count.
- rss: how much the process's largest resident size grew during the fit, as the operating system knows it (ru_maxrss).
  The data, pages of a mapped file among them, were resident before; what a first small fit took, which stays with BLAS
  and the allocator, was too. So it is less than the peak, but nothing escapes it.
- seconds: of the processor, for the fit without tracemalloc, on one BLAS thread; the least of N.

The 1,000,000 rows are given in memory and as a float32 file that is mapped to memory, not read. MLPClassifier is left
out there: its memory grows with the rows, to some 5 GB.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import skbp
from skbp import BackpropClassifier

N_FEATURES, N_CLASSES, N_UNITS, N_ITERATIONS = 50, 10, 200, 10
MEGABYTE = 1e6

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
    """Normal features, in a mapped file if one is named, and the classes that a linear map gives them, with noise."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((N_FEATURES, N_CLASSES))
    shape = (n_rows, N_FEATURES)
    X = np.empty(shape, dtype) if file is None else np.memmap(file, dtype, mode="w+", shape=shape)
    y = np.empty(n_rows, dtype=np.int64)
    for start in range(0, n_rows, 10_000):  # little room, so that the resident size before the fit is that of the data
        X[start : start + 10_000] = rows = rng.standard_normal((min(10_000, n_rows - start), N_FEATURES))
        scores = rows @ teacher
        y[start : start + 10_000] = (scores + 3.0 * rng.standard_normal(scores.shape)).argmax(axis=1)
    if file is not None:
        X.flush()
        X = np.memmap(file, dtype, mode="r", shape=shape)
    return X, y


def fit(classifier, X, y):
    clf = CLASSIFIERS[classifier](N_UNITS, solver="lbfgs", max_iter=N_ITERATIONS, tol=0.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clf.fit(X, y)


def resident():
    """The largest resident size so far in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(case, n_rows, what, file):
    """In a process of its own: one figure of one case, printed as JSON."""
    classifier, factor, dtype, mapped = case
    X, y = data(n_rows * factor, dtype, file if mapped else None)
    fit(classifier, X[:300], y[:300])  # imports and threads of the first fit
    if what == "peak":
        tracemalloc.start()
        clf = fit(classifier, X, y)
        figure = tracemalloc.get_traced_memory()[1]
    elif what == "rss":
        before = resident()
        clf = fit(classifier, X, y)
        figure = resident() - before
    else:
        start = time.process_time()
        clf = fit(classifier, X, y)
        figure = time.process_time() - start
    print(json.dumps([figure, clf.loss_]))


def in_process(*arguments):
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    environment = os.environ | dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1")
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(process.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each time (default 3)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(*json.loads(args.measure))
        return 0

    n_rows = 2_500 if args.quick else 50_000
    print(
        f"skbp {skbp.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"
    )
    print(f"lbfgs, {N_FEATURES} features, {N_UNITS} units, {N_CLASSES} classes, {N_ITERATIONS} iterations\n")
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "X")
        found = {}
        for what in ["peak", "rss", *["seconds"] * args.repeats]:
            for k, case in enumerate(CASES):
                figure, loss = in_process(case, n_rows, what, file)
                found.setdefault((k, what), []).append(figure)
                found[k, "loss"] = loss
    columns = ["classifier", "rows", "data", "data MB", "peak MB", "rss MB", "seconds", "us / row", "loss"]
    layout = "{:<20}{:>10}  {:<20}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}"
    print(layout.format(*columns))
    for k, (classifier, factor, dtype, mapped) in enumerate(CASES):
        rows, seconds = n_rows * factor, min(found[k, "seconds"])
        print(
            layout.format(
                classifier,
                f"{rows:,}",
                f"{dtype}, {'mapped file' if mapped else 'in memory'}",
                f"{rows * N_FEATURES * np.dtype(dtype).itemsize / MEGABYTE:.0f}",
                f"{found[k, 'peak'][0] / MEGABYTE:.1f}",
                f"{found[k, 'rss'][0] / MEGABYTE:.1f}",
                f"{seconds:.2f}",
                f"{1e6 * seconds / rows:.1f}",
                f"{found[k, 'loss']:.4f}",
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
