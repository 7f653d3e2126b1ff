"""Time and memory of training as rows, columns, units and classes grow.

    python benchmarks/scale.py [--quick] [--repeats N] [--csv FILE] [--plot FILE]

Whole fits of a few epochs, of which one number grows and the others stay: rows by adam and by lbfgs, columns, units and
classes by adam. MLPClassifier and BackpropClassifier train on float64 data, BackpropClassifier also with dtype="float32".

Seconds are by the clock, the least of N, in turns; BLAS has the threads that it takes by itself. Memory is the most
allocated at a time during the fit, by tracemalloc, to which NumPy reports its arrays, each in a process of its own; data,
made before, do not count. The slopes are of the logarithms, over all sizes and over the last two: 0 is independent of
what grows, 1 in proportion to it.

The whole takes about five minutes on two cores.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import time
import tracemalloc
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from fit import Work, data, markdown, versions
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier

MEGABYTE = 1e6
REST = 0.03
CLASSIFIERS = {
    "MLPClassifier": MLPClassifier,
    "skbp float64": BackpropClassifier,
    "skbp dtype=float32": partial(BackpropClassifier, dtype="float32"),
}
# What grows: the rest of the network, epochs or iterations, the field that is set, its values.
OF_ROWS = Work("rows", 20, (50,))
SWEEPS = {
    "rows, adam": (OF_ROWS, 2, "rows", (1_000, 10_000, 100_000, 1_000_000)),
    "rows, lbfgs": (replace(OF_ROWS, solver="lbfgs"), 3, "rows", (1_000, 10_000, 100_000, 1_000_000)),
    "columns": (Work("columns", rows=2_000), 5, "n_features", (10, 100, 1_000, 10_000)),
    "units": (Work("units", rows=2_000), 5, "hidden", ((10,), (100,), (1_000,), (10_000,))),
    "classes": (Work("classes", rows=4_000), 5, "n_classes", (3, 10, 100, 1_000)),
}


def fit(classifier, work, epochs, X, y):
    clf = CLASSIFIERS[classifier](
        work.hidden, solver=work.solver, max_iter=epochs, tol=0.0, n_iter_no_change=np.inf, random_state=0
    )
    return clf.fit(X, y)


def case(sweep, k):
    """The k-th network of a sweep and its epochs."""
    work, epochs, field, values = SWEEPS[sweep]
    return replace(work, **{field: values[k]}), epochs


def size(sweep, k):
    value = SWEEPS[sweep][3][k]
    return value[0] if isinstance(value, tuple) else value


def peak(sweep, k, classifier):
    """In a process of its own: the most memory of a fit in bytes, printed."""
    work, epochs = case(sweep, k)
    X, y = data(work)
    few = replace(work, rows=max(300, work.n_classes), hidden=(5,), n_features=5)
    fit(classifier, few, 1, *data(few))
    tracemalloc.start()
    fit(classifier, work, epochs, X, y)
    print(tracemalloc.get_traced_memory()[1])


def measure(sweep, k, repeats):
    """{classifier: (seconds, bytes)}."""
    work, epochs = case(sweep, k)
    X, y = data(work)
    seconds = dict.fromkeys(CLASSIFIERS, math.inf)
    for _ in range(repeats):
        for classifier, least in seconds.items():
            time.sleep(REST)
            start = time.perf_counter()
            fit(classifier, work, epochs, X, y)
            seconds[classifier] = min(least, time.perf_counter() - start)
    del X, y
    sizes = {}
    for classifier in CLASSIFIERS:
        command = [sys.executable, __file__, "--peak", json.dumps([sweep, k, classifier])]
        sizes[classifier] = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {classifier: (seconds[classifier], sizes[classifier]) for classifier in CLASSIFIERS}


def sweeps(n_sizes, repeats):
    """{sweep: [{classifier: (seconds, bytes)} of each size]}, printed as they come."""
    heads = "".join(f"{name:>20}" for name in CLASSIFIERS)
    print(f"{'':<12}{'':>11} |{'seconds':>20}{'':>40} |{'peak MB':>20}\n{'grows':<12}{'to':>11} |{heads} |{heads}")
    found = {}
    for sweep in SWEEPS:
        found[sweep] = []
        for k in range(n_sizes):
            by = measure(sweep, k, repeats)
            found[sweep].append(by)
            seconds = "".join(f"{one:>20.3f}" for one, _ in by.values())
            print(f"{sweep:<12}{size(sweep, k):>11,} |{seconds} |", end="")
            print("".join(f"{one / MEGABYTE:>20.2f}" for _, one in by.values()), flush=True)
    return found


def slopes(sweep, by_size, classifier):
    """Of the seconds over all sizes and over the last two, and so of the bytes."""
    sizes = np.log([size(sweep, k) for k in range(len(by_size))])
    figures = np.log([by[classifier] for by in by_size])
    return [np.polyfit(sizes[-last:], figures[-last:, k], 1)[0] for k in (0, 1) for last in (len(by_size), 2)]


def print_slopes(found):
    print("\nSlopes of the logarithms:\n")
    lines = [["grows", "classifier", "time", "time, last step", "memory", "memory, last step"]]
    for sweep, by_size in found.items():
        for classifier in CLASSIFIERS:
            lines.append([sweep, classifier, *(f"{slope:.2f}" for slope in slopes(sweep, by_size, classifier))])
    markdown(lines)


def print_target(found):
    by_size = found["rows, lbfgs"]
    (first, last), more = (1, len(by_size) - 1), size("rows, lbfgs", len(by_size) - 1) - size("rows, lbfgs", 1)
    growth = {name: (by_size[last][name][1] - by_size[first][name][1]) / more for name in CLASSIFIERS}
    measured = f"{growth['skbp float64']:.1f} bytes a further row (MLPClassifier {growth['MLPClassifier']:,.0f})"
    print("\nTarget:\n")
    lines = [["work", "target", "measured", "met"]]
    # What a row leaves is the number of its class.
    met = growth["skbp float64"] <= np.dtype(np.intp).itemsize
    lines.append(["lbfgs, memory", "independent of rows but for labels", measured, "yes" if met else "no"])
    markdown(lines)


def plot(found, path):
    """Seconds above, megabytes below, a column for each sweep."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, all_axes = plt.subplots(2, len(found), figsize=(2.6 * len(found), 5.2), sharex="col", layout="constrained")
    dots = zip(CLASSIFIERS, ["#0072B2", "#D55E00", "#009E73"], "osD", strict=True)
    for classifier, colour, marker in dots:
        for (sweep, by_size), column in zip(found.items(), all_axes.T, strict=True):
            sizes = [size(sweep, k) for k in range(len(by_size))]
            for axes, k, unit in zip(column, (0, 1), (1.0, MEGABYTE), strict=True):
                axes.loglog(
                    sizes, [by[classifier][k] / unit for by in by_size], colour, marker=marker, label=classifier
                )
                axes.grid(color="#dddddd")
            column[1].set_xlabel(sweep)
    all_axes[0, 0].set_ylabel("seconds")
    all_axes[1, 0].set_ylabel("peak MB")
    figure.legend(*all_axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the two or three smallest sizes of each")
    parser.add_argument("--repeats", type=int, default=3, help="fits of which the fastest counts (default 3)")
    parser.add_argument("--csv", help="also write the figures to this file")
    parser.add_argument("--plot", help="also draw them to this file")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.peak:
        peak(*json.loads(args.peak))
        return 0
    print(f"{versions()}\n")
    found = sweeps(3 if args.quick else 4, args.repeats)
    print_slopes(found)
    print_target(found)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["grows", "to", "classifier", "seconds", "peak bytes"])
            for sweep, by_size in found.items():
                for k, by in enumerate(by_size):
                    writer.writerows(
                        [sweep, size(sweep, k), classifier, *figures] for classifier, figures in by.items()
                    )
    if args.plot:
        plot(found, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
