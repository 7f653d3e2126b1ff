"""Probabilities of one row, of a hundred, of a million: latency, rows a second, memory.

    python benchmarks/predict.py [--quick] [--repeats N] [--csv FILE] [--plot FILE]

predict_proba of MLPClassifier, BackpropClassifier and BackpropClassifierCV, whose five members all say something, on
float64 and on float32 rows, after training on rows of the same type; and of a PyTorch module in inference mode, softmax
included, from NumPy and back, if PyTorch is installed. The weights are those after an epoch: they make no difference.

A time is the least of N, by the clock, each the mean of as many calls as take some hundredths of a second; the classifiers
take turns, and BLAS has the threads that it takes by itself.

Memory is the most allocated at a time during a call, by tracemalloc, to which NumPy reports its arrays, without the
probabilities that are returned: what grows with the rows beside the result. Rows, made before, do not count. Each figure
comes from a process of its own.

The whole takes about three minutes on two cores.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from fit import Work, geometric_mean, markdown, number, present, set_torch_threads, torch_network, versions
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier, BackpropClassifierCV

MEGABYTE = 1e6
CALLS_SECONDS = 0.03
REST = 0.03
ROWS = (1, 100, 10_000, 1_000_000)
MEMORY_ROWS = (10_000, 100_000, 1_000_000)
# A million rows of more numbers than this would not be for every machine.
MOST_NUMBERS = 1e8
NETWORKS = [Work("", 20, (64, 64), n_classes=2), Work(""), Work("", 784, (1024, 1024))]
TYPES = ("float64", "float32")


def torch_module(work, dtype):
    """Probabilities by a module; PyTorch computes in float32."""
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

    def ratio(self, over, under="BackpropClassifier"):
        return self.seconds.get(over, math.nan) / self.seconds[under]


def rows_of(work, n_rows, dtype):
    return np.random.default_rng(0).standard_normal((n_rows, work.n_features), np.float32).astype(dtype, copy=False)


def timed(predict: Callable, X, calls):
    """Seconds a call."""
    time.sleep(REST)
    start = time.perf_counter()
    for _ in range(calls):
        predict(X)
    return (time.perf_counter() - start) / calls


def measure(work, dtype, predictors, n_rows, repeats):
    X = rows_of(work, n_rows, dtype)
    calls, best = {}, dict.fromkeys(predictors, math.inf)
    for name, predict in predictors.items():
        predict(X[:1])
        calls[name] = max(1, int(CALLS_SECONDS / timed(predict, X, 1)))
    for _ in range(repeats):
        for name, predict in predictors.items():
            best[name] = min(best[name], timed(predict, X, calls[name]))
    return Row(work.name.split()[0], dtype, n_rows, best)


def times(networks, repeats, most_rows):
    """The rows of the table, printed as they come."""
    print("Microseconds a call, rows a second of BackpropClassifier, and ratios of the peers' times to its time:\n")
    heads = "".join(f"{name:>22}" for name in CLASSIFIERS)
    print(f"{'network':<18}{'type':<9}{'rows':>9}{heads}{'rows / s':>13}{'MLP':>7}{'PyTorch':>9}")
    found = []
    for work in networks:
        for dtype in TYPES:
            predictors = {name: make(work, dtype) for name, make in present(CLASSIFIERS).items()}
            predictors = {name: predict for name, predict in predictors.items() if predict}
            for n_rows in ROWS:
                if n_rows > most_rows or n_rows * work.n_features > MOST_NUMBERS:
                    continue
                found.append(row := measure(work, dtype, predictors, n_rows, repeats))
                figures = "".join(f"{1e6 * row.seconds.get(name, math.nan):>22,.1f}" for name in CLASSIFIERS)
                ratios = f"{number(row.ratio('MLPClassifier')):>7}{number(row.ratio('PyTorch')):>9}"
                speed = n_rows / row.seconds["BackpropClassifier"]
                print(f"{row.network:<18}{dtype:<9}{n_rows:>9}{figures}{speed:>13,.0f}{ratios}", flush=True)
    return found


def peak(classifier, dtype, n_rows):
    """In a process of its own: the most memory beside the result, in bytes, printed."""
    work = NETWORKS[1]
    predict, X = CLASSIFIERS[classifier](work, dtype), rows_of(work, n_rows, dtype)
    predict(X[:300])
    tracemalloc.start()
    proba = predict(X)
    print(tracemalloc.get_traced_memory()[1] - proba.nbytes)


def memory(most_rows):
    """{(classifier, type): bytes by number of rows}, printed as they come."""
    print(f"\nMB beside the result, {NETWORKS[1].name.split()[0]}:\n")
    print(f"{'classifier':<22}{'type':<9}" + "".join(f"{n_rows:>12,}" for n_rows in MEMORY_ROWS if n_rows <= most_rows))
    found = {}
    for classifier in ("MLPClassifier", "BackpropClassifier", "BackpropClassifierCV"):
        for dtype in TYPES:
            of_rows = found[classifier, dtype] = {}
            for n_rows in MEMORY_ROWS:
                if n_rows <= most_rows:
                    command = [sys.executable, __file__, "--peak", json.dumps([classifier, dtype, n_rows])]
                    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                    of_rows[n_rows] = int(process.stdout)
            figures = "".join(f"{size / MEGABYTE:>12.2f}" for size in of_rows.values())
            print(f"{classifier:<22}{dtype:<9}{figures}", flush=True)
    return found


def print_targets(rows, peaks):
    single = {f"{row.network} {row.dtype}": row.ratio("MLPClassifier") for row in rows if row.rows == 1}
    mean, worst = geometric_mean(list(single.values())), min(single, key=single.get)
    of_rows = peaks["BackpropClassifier", "float64"]
    growth = max(of_rows.values()) / min(of_rows.values())
    print("\nTargets:\n")
    lines = [["work", "target", "measured", "met"]]
    measured = f"{mean:.2f}x; least {single[worst]:.2f} ({worst})"
    lines.append(["predict_proba, one row", "at least 3x", measured, "yes" if mean >= 3.0 else "no"])
    measured = f"{growth:.2f} times the memory on {max(of_rows) // min(of_rows)} times the rows"
    lines.append(["memory beside the result", "independent of rows", measured, "yes" if growth <= 1.1 else "no"])
    markdown(lines)


def plot(rows, path):
    """Microseconds a row by number of rows, a panel for each network, on float32 rows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row.network for row in rows))
    figure, all_axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3.6), squeeze=False, layout="constrained")
    colours = dict(zip(CLASSIFIERS, ["#0072B2", "#D55E00", "#009E73", "#CC79A7"], strict=True))
    markers = dict(zip(CLASSIFIERS, "osD^", strict=True))
    for axes, name in zip(all_axes[0], names, strict=True):
        of_network = [row for row in rows if row.network == name and row.dtype == "float32"]
        for classifier in CLASSIFIERS:
            figures = [
                (row.rows, 1e6 * row.seconds[classifier] / row.rows) for row in of_network if classifier in row.seconds
            ]
            if figures:
                axes.plot(
                    *zip(*figures, strict=True), colours[classifier], marker=markers[classifier], label=classifier
                )
        axes.set(xscale="log", yscale="log", xlabel="rows in a call", title=name)
        axes.grid(color="#dddddd")
    all_axes[0, 0].set_ylabel("microseconds a row, float32")
    figure.legend(*all_axes[0, 0].get_legend_handles_labels(), loc="outside lower center", fontsize="small", ncols=4)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at most 100,000 rows, without the largest network")
    parser.add_argument("--repeats", type=int, default=4, help="measurements of which the least counts (default 4)")
    parser.add_argument("--csv", help="also write the figures to this file")
    parser.add_argument("--plot", help="also draw the times to this file")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.peak:
        peak(*json.loads(args.peak))
        return 0
    set_torch_threads(os.cpu_count())
    print(f"{versions('torch')}\n")
    most_rows = 100_000 if args.quick else ROWS[-1]
    rows = times(NETWORKS[: 2 if args.quick else None], args.repeats, most_rows)
    peaks = memory(most_rows)
    print_targets(rows, peaks)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["what", "network", "type", "rows", "classifier", "figure"])
            for row in rows:
                writer.writerows(["seconds", row.network, row.dtype, row.rows, *one] for one in row.seconds.items())
            for (classifier, dtype), of_rows in peaks.items():
                network = NETWORKS[1].name.split()[0]
                writer.writerows(
                    ["bytes", network, dtype, n_rows, classifier, size] for n_rows, size in of_rows.items()
                )
    if args.plot:
        plot(rows, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
