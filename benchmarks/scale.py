"""Time and memory of training as rows, columns, units and classes grow.

    python benchmarks/scale.py [--quick] [--repeats N] [--csv FILE] [--plot FILE]

Whole fits of a few epochs. One number grows and the others stay: rows with adam and with lbfgs; columns, units and classes
with adam. MLPClassifier and BackpropClassifier train on float64 data, BackpropClassifier also with dtype="float32".

Seconds are by the clock, the least of N, in turns; BLAS has its default number of threads. Memory is the most that is
allocated at one time during the fit, each in its own process. tracemalloc counts it; NumPy reports its arrays to it. The
data exist before and do not count. The slopes are those of the logarithms, over all sizes and over the last two: 0 means
independent of the number that grows, 1 means proportional to it.

The run takes about five minutes on two cores.
"""

import sys
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from measure import (
    MEGABYTE,
    Stopwatch,
    Table,
    drawing,
    in_own_process,
    legend_below,
    number,
    options,
    peak_memory,
    print_markdown,
    print_targets,
    versions,
    write_csv,
)
from networks import CLASSIFIERS, Work, data, parameters

OF_ROWS = Work("rows", 20, (50,))
# What grows: the network, epochs or iterations, the field that is set, its values.
SWEEPS = {
    "rows, adam": (OF_ROWS, 2, "rows", (1_000, 10_000, 100_000, 1_000_000)),
    "rows, lbfgs": (replace(OF_ROWS, solver="lbfgs"), 3, "rows", (1_000, 10_000, 100_000, 1_000_000)),
    "columns": (Work("columns", rows=2_000), 5, "n_features", (10, 100, 1_000, 10_000)),
    "units": (Work("units", rows=2_000), 5, "hidden", ((10,), (100,), (1_000,), (10_000,))),
    "classes": (Work("classes", rows=4_000), 5, "n_classes", (3, 10, 100, 1_000)),
}


def fit(classifier, work, epochs, X, y):
    return CLASSIFIERS[classifier](**parameters(work, epochs)).fit(X, y)


def case(sweep, k):
    """The k-th network of a sweep and its epochs."""
    work, epochs, field, values = SWEEPS[sweep]
    return replace(work, **{field: values[k]}), epochs


def size(sweep, k):
    value = SWEEPS[sweep][3][k]
    return value[0] if isinstance(value, tuple) else value


def peak(sweep, k, classifier):
    """The most bytes during a fit, after a small fit that imports and allocates what is needed only once."""
    work, epochs = case(sweep, k)
    few = replace(work, rows=max(300, work.n_classes), hidden=(5,), n_features=5)
    fit(classifier, few, 1, *data(few))
    return peak_memory(fit, classifier, work, epochs, *data(work))[0]


def measure(sweep, k, repeats):
    """{classifier: (seconds, bytes)}."""
    work, epochs = case(sweep, k)
    X, y = data(work)
    stopwatch = Stopwatch({classifier: partial(fit, classifier, work, epochs, X, y) for classifier in CLASSIFIERS})
    seconds = stopwatch.rounds(repeats).least()
    del X, y, stopwatch  # memory for the other processes
    return {classifier: (seconds[classifier], in_own_process(peak, sweep, k, classifier)) for classifier in CLASSIFIERS}


def measure_all(n_sizes, repeats):
    """{sweep: [{classifier: (seconds, bytes)} for each size]}, printed line by line."""
    seconds_and_megabytes = [
        (f"{name}, {unit}", layout) for unit, layout in (("s", ">22.3f"), ("MB", ">23.2f")) for name in CLASSIFIERS
    ]
    table = Table(("grows", "<12"), ("to", ">10,"), *seconds_and_megabytes)
    found = {sweep: [] for sweep in SWEEPS}
    for sweep, by_size in found.items():
        for k in range(n_sizes):
            by_size.append(by := measure(sweep, k, repeats))
            seconds, sizes = zip(*by.values(), strict=True)
            table.line(sweep, size(sweep, k), *seconds, *(one / MEGABYTE for one in sizes))
    return found


def slopes(sweep, by_size, classifier):
    """Of the seconds over all sizes and over the last two, then of the bytes."""
    sizes = np.log([size(sweep, k) for k in range(len(by_size))])
    figures = np.log([by[classifier] for by in by_size])
    return [np.polyfit(sizes[-last:], figures[-last:, k], 1)[0] for k in (0, 1) for last in (len(by_size), 2)]


def print_slopes(found):
    print("\nSlopes of the logarithms:\n")
    lines = [["grows", "classifier", "time", "time, last step", "memory", "memory, last step"]]
    for sweep, by_size in found.items():
        lines += [[sweep, classifier, *map(number, slopes(sweep, by_size, classifier))] for classifier in CLASSIFIERS]
    print_markdown(lines)


def print_target(found):
    by_size = found["rows, lbfgs"]
    last = len(by_size) - 1
    more = size("rows, lbfgs", last) - size("rows, lbfgs", 1)
    growth = {name: (by_size[last][name][1] - by_size[1][name][1]) / more for name in CLASSIFIERS}
    measured = f"{growth['skbp float64']:.1f} bytes a further row (MLPClassifier {growth['MLPClassifier']:,.0f})"
    # A further row leaves the number of its class.
    met = growth["skbp float64"] <= np.dtype(np.intp).itemsize
    print_targets([("lbfgs, memory", "independent of rows except for labels", measured, met)])


def plot(found, path):
    """Seconds above, megabytes below, one column for each sweep."""
    dots = zip(CLASSIFIERS, ["#0072B2", "#D55E00", "#009E73"], "osD", strict=True)
    with drawing(path, 2, len(found), figsize=(2.6 * len(found), 5.2), sharex="col") as (figure, all_axes):
        for classifier, colour, marker in dots:
            for (sweep, by_size), column in zip(found.items(), all_axes.T, strict=True):
                sizes = [size(sweep, k) for k in range(len(by_size))]
                for axes, k, unit in zip(column, (0, 1), (1.0, MEGABYTE), strict=True):
                    figures = [by[classifier][k] / unit for by in by_size]
                    axes.loglog(sizes, figures, colour, marker=marker, label=classifier)
                    axes.grid(color="#dddddd")
                column[1].set_xlabel(sweep)
        all_axes[0, 0].set_ylabel("seconds")
        all_axes[1, 0].set_ylabel("peak MB")
        legend_below(figure, all_axes[0, 0], 3)


def main():
    args = options(__doc__, quick="the three smallest sizes of each", repeats=3, plot=True).parse_args()
    warnings.simplefilter("ignore")
    print(f"{versions()}\n")
    found = measure_all(3 if args.quick else 4, args.repeats)
    print_slopes(found)
    print_target(found)
    lines = [
        [sweep, size(sweep, k), classifier, *figures]
        for sweep, by_size in found.items()
        for k, by in enumerate(by_size)
        for classifier, figures in by.items()
    ]
    write_csv(args.csv, ["grows", "to", "classifier", "seconds", "peak bytes"], lines)
    if args.plot:
        plot(found, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
