"""Probabilities for one row, for a hundred and for up to a million: latency, rows a second, memory.

    python benchmarks/predict.py [--quick] [--repeats N] [--csv FILE] [--plot FILE]

predict_proba of MLPClassifier, BackpropClassifier and BackpropClassifierCV (with all its eight members) on float64 and on
float32 rows, after training on rows of the same type; and a PyTorch module in inference mode, with softmax and the
conversions from and to NumPy, if PyTorch is installed. The weights are those after one epoch: their values do not change
the time.

Each time is the least of N, by the clock, and each of the N is the mean of as many calls as take some hundredths of a
second. The classifiers take turns, and BLAS has its default number of threads.

Memory is the most that is allocated at one time during a call, without the returned probabilities: what grows with the rows
beside the result. tracemalloc counts it; NumPy reports its arrays to it. The rows exist before and do not count. Each figure
comes from its own process.

The run takes about three minutes on two cores.
"""

import math
import os
import sys
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from measure import (
    MEGABYTE,
    Stopwatch,
    Table,
    drawing,
    geometric_mean,
    in_own_process,
    legend_below,
    options,
    peak_memory,
    print_targets,
    ratio,
    timed,
    versions,
    write_csv,
)
from networks import Work, present, set_torch_threads, torch_network
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier, BackpropClassifierCV

CALLS_SECONDS = 0.03
ROWS = (1, 100, 10_000, 1_000_000)
MEMORY_ROWS = (10_000, 100_000, 1_000_000)
# Inputs with more numbers than this would be too large for some machines.
MOST_NUMBERS = 1e8
NETWORKS = [Work("", 20, (64, 64), n_classes=2), Work(""), Work("", 784, (1024, 1024))]
MEMORY_NETWORK = NETWORKS[1]
TYPES = ("float64", "float32")


def torch_module(work, dtype):
    """Probabilities by a module, in float32 only."""
    if dtype != "float32":
        return None
    import torch

    network = torch_network(work)
    link = torch.sigmoid if work.n_classes == 2 else partial(torch.softmax, dim=1)

    def proba(rows):
        with torch.inference_mode():
            return link(network(torch.from_numpy(rows))).numpy()

    return proba


def fitted(classifier, **parameters):
    def make(work, dtype):
        X, y = rows_of(work, 600, dtype), np.arange(600) % work.n_classes
        clf = classifier(work.hidden, max_iter=1, random_state=0, **parameters)
        return clf.fit(X, y).predict_proba

    return make


CLASSIFIERS = {
    "MLPClassifier": fitted(MLPClassifier),
    "BackpropClassifier": fitted(BackpropClassifier),
    "BackpropClassifierCV": fitted(BackpropClassifierCV, dtype=None),
    "PyTorch": torch_module,
}


@dataclass
class Row:
    """A line of the table: seconds a call by classifier."""

    network: str
    dtype: str
    rows: int
    seconds: dict[str, float]

    def ratio(self, over):
        return ratio(self.seconds, over, "BackpropClassifier")


def rows_of(work, n_rows, dtype):
    return np.random.default_rng(0).standard_normal((n_rows, work.n_features), np.float32).astype(dtype, copy=False)


def call(predict, X, times):
    for _ in range(times):
        predict(X)


def measure(work, dtype, predictors, n_rows, repeats):
    X = rows_of(work, n_rows, dtype)
    times = {}
    for name, predict in predictors.items():
        predict(X[:1])
        times[name] = max(1, int(CALLS_SECONDS / timed(predict, X)[0]))
    runs = {name: partial(call, predict, X, times[name]) for name, predict in predictors.items()}
    least = Stopwatch(runs).rounds(repeats).least()
    return Row(work.shape, dtype, n_rows, {name: seconds / times[name] for name, seconds in least.items()})


def measure_all(networks, repeats, most_rows):
    """The rows of the table, printed one by one."""
    print("Microseconds a call, rows a second of BackpropClassifier, and the peers' times divided by its time:\n")
    columns = [("network", "<18"), ("type", "<9"), ("rows", ">8"), *((name, ">21,.1f") for name in CLASSIFIERS)]
    table = Table(*columns, ("rows / s", ">12,.0f"), ("MLP", ">6.2f"), ("PyTorch", ">8.2f"))
    found = []
    for work in networks:
        for dtype in TYPES:
            predictors = {name: make(work, dtype) for name, make in present(CLASSIFIERS).items()}
            predictors = {name: predict for name, predict in predictors.items() if predict}
            for n_rows in ROWS:
                if n_rows > most_rows or n_rows * work.n_features > MOST_NUMBERS:
                    continue
                found.append(row := measure(work, dtype, predictors, n_rows, repeats))
                microseconds = [1e6 * row.seconds.get(name, math.nan) for name in CLASSIFIERS]
                speed = n_rows / row.seconds["BackpropClassifier"]
                ratios = map(row.ratio, ("MLPClassifier", "PyTorch"))
                table.line(row.network, dtype, n_rows, *microseconds, speed, *ratios)
    return found


def memory_beside_result(classifier, dtype, n_rows):
    """The most bytes of a call, without the returned probabilities."""
    predict, X = CLASSIFIERS[classifier](MEMORY_NETWORK, dtype), rows_of(MEMORY_NETWORK, n_rows, dtype)
    predict(X[:300])
    peak, proba = peak_memory(predict, X)
    return peak - proba.nbytes


def memory(most_rows):
    """{(classifier, type): bytes by number of rows}, printed line by line."""
    print(f"\nMB beside the result, {MEMORY_NETWORK.shape}:\n")
    sizes = [n_rows for n_rows in MEMORY_ROWS if n_rows <= most_rows]
    table = Table(("classifier", "<22"), ("type", "<9"), *((f"{n_rows:,}", ">11.2f") for n_rows in sizes))
    found = {}
    for classifier in ("MLPClassifier", "BackpropClassifier", "BackpropClassifierCV"):
        for dtype in TYPES:
            by_rows = {size: in_own_process(memory_beside_result, classifier, dtype, size) for size in sizes}
            found[classifier, dtype] = by_rows
            table.line(classifier, dtype, *(size / MEGABYTE for size in by_rows.values()))
    return found


def print_all_targets(rows, memory):
    single = {f"{row.network} {row.dtype}": row.ratio("MLPClassifier") for row in rows if row.rows == 1}
    mean, worst = geometric_mean(list(single.values())), min(single, key=single.get)
    by_rows = memory["BackpropClassifier", "float64"]
    growth = max(by_rows.values()) / min(by_rows.values())
    speed = f"{mean:.2f}x; least {single[worst]:.2f} ({worst})"
    growth_measured = f"{growth:.2f} times the memory on {max(by_rows) // min(by_rows)} times the rows"
    print_targets(
        [
            ("predict_proba, one row", "at least 3x", speed, mean >= 3.0),
            ("memory beside the result", "independent of rows", growth_measured, growth <= 1.1),
        ]
    )


def plot(rows, path):
    """Microseconds a row by number of rows, on float32 rows, one panel for each network."""
    names = list(dict.fromkeys(row.network for row in rows))
    colours = dict(zip(CLASSIFIERS, ["#0072B2", "#D55E00", "#009E73", "#CC79A7"], strict=True))
    markers = dict(zip(CLASSIFIERS, "osD^", strict=True))
    with drawing(path, 1, len(names), figsize=(3.2 * len(names), 3.6)) as (figure, all_axes):
        for axes, name in zip(all_axes[0], names, strict=True):
            shown = [row for row in rows if row.network == name and row.dtype == "float32"]
            for one in CLASSIFIERS:
                figures = [(row.rows, 1e6 * row.seconds[one] / row.rows) for row in shown if one in row.seconds]
                if figures:
                    axes.plot(*zip(*figures, strict=True), colours[one], marker=markers[one], label=one)
            axes.set(xscale="log", yscale="log", xlabel="rows in a call", title=name)
            axes.grid(color="#dddddd")
        all_axes[0, 0].set_ylabel("microseconds a row, float32")
        legend_below(figure, all_axes[0, 0], 4)


def main():
    args = options(
        __doc__, quick="at most 100,000 rows, without the largest network", repeats=4, plot=True
    ).parse_args()
    warnings.simplefilter("ignore")
    set_torch_threads(os.cpu_count())
    print(f"{versions('torch')}\n")
    most_rows = 100_000 if args.quick else ROWS[-1]
    rows = measure_all(NETWORKS[: 2 if args.quick else None], args.repeats, most_rows)
    sizes = memory(most_rows)
    print_all_targets(rows, sizes)
    lines = [["seconds", row.network, row.dtype, row.rows, *figure] for row in rows for figure in row.seconds.items()]
    for (classifier, dtype), by_rows in sizes.items():
        lines += [["bytes", MEMORY_NETWORK.shape, dtype, n_rows, classifier, size] for n_rows, size in by_rows.items()]
    write_csv(args.csv, ["what", "network", "type", "rows", "classifier", "figure"], lines)
    if args.plot:
        plot(rows, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
