"""Fits while other processes keep every core busy, and grid searches in as many processes or threads as cores.

    python benchmarks/crowded.py [--quick] [--repeats N] [--csv FILE] [--plot FILE]

First seconds an epoch, by the clock, of the networks named, on the machine as it is and while as many processes as there
are cores multiply matrices, on one BLAS thread each; they end with the measurement, and by themselves after two minutes.
The classifiers take turns, BLAS has the threads that it takes by itself, and PyTorch as many as there are cores. A figure
is the median of N fits of so many epochs that they take about a second (of the crowded machine there; at least one epoch,
at most 400), what a fit costs once included.

Then GridSearchCV of eight fits with n_jobs = cores, beside n_jobs=1: in processes, which joblib holds to one BLAS thread
each, and in threads of one process, where the threads of BLAS meet those of joblib.

The whole takes about four minutes on two cores. What other work is on the machine adds to the crowd.
"""

import argparse
import csv
import math
import os
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from functools import partial
from statistics import median

import numpy as np
from fit import PEERS, Work, data, geometric_mean, markdown, number, present, set_torch_threads, versions
from joblib import parallel_backend
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from skbp import BackpropClassifier

BUSY_SECONDS = 120
FIT_SECONDS = 1.0
MOST_EPOCHS = 400
REST = 0.03
CLASSIFIERS = [
    *("MLPClassifier float64", "MLPClassifier float32", "skbp float64", "skbp float32", "skbp dtype=float32"),
    "PyTorch",
]
WORKS = [
    Work("crowded", 20, (64, 64), 64, 2),
    Work("crowded"),
    Work("crowded", activation="logistic"),
    Work("crowded", 50, (256, 128)),
    Work("crowded", 784, (256,)),
]
# (what is divided, by what)
RATIOS = {
    "float64": ("MLPClassifier float64", "skbp float64"),
    "float32": ("MLPClassifier float32", "skbp float32"),
    "dtype": ("MLPClassifier float64", "skbp dtype=float32"),
    "PyTorch": ("PyTorch", "skbp float32"),
}

SEARCHERS = {
    "MLPClassifier": MLPClassifier,
    "skbp float64": BackpropClassifier,
    "skbp dtype=float32": partial(BackpropClassifier, dtype="float32"),
}
HOW = {
    "one after another": (1, "loky"),
    "processes": (os.cpu_count(), "loky"),
    "threads": (os.cpu_count(), "threading"),
}


def keep_busy():
    """In a process of its own: products of matrices until the time is up."""
    a = np.random.default_rng(0).standard_normal((300, 300))
    end = time.monotonic() + BUSY_SECONDS
    print("busy", flush=True)
    while time.monotonic() < end:
        a @ a


@contextmanager
def crowd():
    """One busy process a core, each at work when the block begins."""
    environment = os.environ | dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1")
    command = [sys.executable, __file__, "--keep-busy"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(os.cpu_count())]
    try:
        for process in processes:
            process.stdout.readline()
        yield
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"The crowd was gone after {BUSY_SECONDS} seconds, before the measurement was.")
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def timed(function, *arguments):
    time.sleep(REST)
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def seconds_an_epoch(runs, repeats):
    epochs = {}
    for name, run in runs.items():
        one = timed(run, 1)
        few = int(min(max(1.0, 0.1 / one), 10.0))
        epochs[name] = int(min(max(1.0, FIT_SECONDS * few / timed(run, few)), MOST_EPOCHS))
    found = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(timed(run, epochs[name]) / epochs[name])
    return {name: median(seconds) for name, seconds in found.items()}


def fits(works, repeats):
    """{(name of the work, "idle" or "crowded"): seconds an epoch by classifier}, printed as it comes."""
    print(f"{'milliseconds an epoch':<36}{'':>9}" + "".join(f"{name:>23}" for name in CLASSIFIERS))
    found = {}
    for work in works:
        X, y = data(work)
        peers = {name: make for name, make in present(PEERS).items() if name in CLASSIFIERS}
        runs = {name: make(work, X, y) for name, make in peers.items()}
        for state in ("idle", "crowded"):
            if state == "idle":
                seconds = seconds_an_epoch(runs, repeats)
            else:
                with crowd():
                    seconds = seconds_an_epoch(runs, repeats)
            found[work.name, state] = seconds
            figures = "".join(f"{1e3 * seconds.get(name, math.nan):>23.2f}" for name in CLASSIFIERS)
            print(f"{work.name:<36}{state:>9}{figures}", flush=True)
    return found


def ratios(seconds):
    return {
        heading: seconds.get(over, math.nan) / seconds.get(under, math.nan) for heading, (over, under) in RATIOS.items()
    }


def print_fits(found):
    print("\nHow many times as long the peer takes (float64, float32: MLPClassifier, both on such data; dtype:")
    print(
        'MLPClassifier / skbp with dtype="float32", on float64 data; PyTorch: it / skbp, float32), and how many times as'
    )
    print("long an epoch takes on the crowded machine as on the idle one:\n")
    slowed = ["MLPClassifier float64", "skbp float64", "skbp float32", "PyTorch"]
    lines = [["network", "machine", *RATIOS, *(f"crowded / idle: {name}" for name in slowed)]]
    for (name, state), seconds in found.items():
        line = [name, state, *map(number, ratios(seconds).values())]
        if state == "crowded":
            line += [number(seconds.get(one, math.nan) / found[name, "idle"].get(one, math.nan)) for one in slowed]
        lines.append(line + [""] * (len(lines[0]) - len(line)))
    markdown(lines)


def searches(repeats, quick):
    """{(how, classifier): seconds of a grid search}."""
    work = Work("search", rows=1_000 if quick else 2_000)
    X, y = data(work)
    found = {(how, name): [] for how in HOW for name in SEARCHERS}
    for k in range(1 + repeats):
        for (how, name), seconds in found.items():
            n_jobs, backend = HOW[how]
            # The first round is for the processes, which have to be started and to import.
            clf = SEARCHERS[name](max_iter=10 if k else 1, tol=0.0, n_iter_no_change=np.inf, random_state=0)
            search = GridSearchCV(clf, {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}, cv=2, n_jobs=n_jobs, refit=False)
            with parallel_backend(backend):
                second = timed(search.fit, X, y)
            seconds.extend([second] * (k > 0))
    return {key: median(seconds) for key, seconds in found.items()}


def print_searches(found):
    print(f"\nGridSearchCV, eight fits of ten epochs, {os.cpu_count()} jobs: seconds, and ratios to MLPClassifier's:\n")
    lines = [["jobs", *SEARCHERS, *(f"MLPClassifier / {name}" for name in list(SEARCHERS)[1:])]]
    for how in HOW:
        seconds = [found[how, name] for name in SEARCHERS]
        lines.append([how, *(f"{one:.2f}" for one in seconds), *(f"{seconds[0] / one:.2f}" for one in seconds[1:])])
    markdown(lines)


def print_target(found):
    usual = Work("").name
    crowded = {name: ratios(seconds) for (name, state), seconds in found.items() if state == "crowded"}
    same = [crowded[usual][of] for of in ("float64", "float32")]
    measured = "{:.2f}x float64, {:.2f}x float32".format(*same)
    print("\nTarget:\n")
    markdown(
        [
            ["work", "target", "measured", "met"],
            [f"crowded machine, {usual}", "at least 5x", measured, "yes" if min(same) >= 5.0 else "no"],
        ]
    )
    everywhere = [by[of] for by in crowded.values() for of in ("float64", "float32")]
    print(f"\nGeometric mean of the same over all these networks: {geometric_mean(everywhere):.2f}")


def plot(found, path):
    """Milliseconds an epoch, idle and crowded, a panel for each network."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for name, _ in found))
    figure, all_axes = plt.subplots(
        1, len(names), figsize=(2.4 * len(names) + 2.0, 3.2), sharey=True, layout="constrained"
    )
    states = {"idle": ("#0072B2", "o"), "crowded": ("#D55E00", "D")}
    for axes, name in zip(np.atleast_1d(all_axes), names, strict=True):
        for state, (colour, marker) in states.items():
            milliseconds = [1e3 * found[name, state].get(one, math.nan) for one in CLASSIFIERS]
            axes.scatter(milliseconds, range(len(CLASSIFIERS)), 36, colour, marker, label=state, zorder=3)
        axes.set(xscale="log", xlabel="ms an epoch", yticks=range(len(CLASSIFIERS)))
        axes.set_yticklabels(CLASSIFIERS)
        axes.set_ylim(len(CLASSIFIERS) - 0.5, -0.5)
        axes.set_title(name, fontsize="small")
        axes.grid(color="#dddddd", zorder=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", fontsize="small", ncols=2)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one network, fewer rows to search on")
    parser.add_argument(
        "--repeats", type=int, default=3, help="fits and searches of which the median counts (default 3)"
    )
    parser.add_argument("--csv", help="also write the seconds to this file")
    parser.add_argument("--plot", help="also draw the seconds an epoch to this file")
    parser.add_argument("--keep-busy", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.keep_busy:
        keep_busy()
        return 0
    warnings.simplefilter("ignore")
    set_torch_threads(os.cpu_count())
    print(f"{versions('torch')}\n")
    found = fits([WORKS[1]] if args.quick else WORKS, args.repeats)
    print_fits(found)
    searched = searches(args.repeats, args.quick)
    print_searches(searched)
    print_target(found)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["what", "where", "classifier", "seconds"])
            for (name, state), seconds in found.items():
                writer.writerows(["an epoch of " + name, state, *figure] for figure in seconds.items())
            writer.writerows(["a grid search", how, name, seconds] for (how, name), seconds in searched.items())
    if args.plot:
        plot(found, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
