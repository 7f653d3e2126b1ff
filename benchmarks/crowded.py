"""Fits while other processes keep every core busy, and grid searches in processes and in threads.

    python benchmarks/crowded.py [--quick] [--repeats N] [--csv FILE] [--plot FILE]

The first table has the seconds an epoch, by the clock, of some networks: on the machine as it is, and while one process for
each core multiplies matrices on one BLAS thread. The busy processes end with the measurement, or by themselves after two
minutes. The classifiers take turns, BLAS has its default number of threads, and PyTorch has as many as there are cores. Each
figure is the median of N fits; they include what a fit costs once. The number of epochs is chosen so that a fit takes about
one second (from 1 to 400 epochs).

"one thread" is skbp on float32 data with one thread of its compiled core. Threads must not cost more than a tenth on the
crowded machine.

The second table has the milliseconds of predict_proba. The third has GridSearchCV with eight fits: one after the other,
with one job for each core in processes, where joblib allows one BLAS thread each, and with as many jobs in threads of one
process, where BLAS threads and joblib's threads compete.

The run takes about six minutes on two cores. Other work on the machine adds to the load.
"""

import math
import os
import sys
import time
import warnings
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context

import numpy as np
from joblib import parallel_backend
from measure import (
    Stopwatch,
    Table,
    drawing,
    geometric_mean,
    legend_below,
    number,
    one_thread_in_new_processes,
    options,
    print_markdown,
    print_targets,
    ratio,
    timed,
    versions,
    write_csv,
)
from networks import CLASSIFIERS, PEERS, RATIOS, Work, data, parameters, present, set_torch_threads
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifierCV

BUSY_SECONDS = 120
FIT_SECONDS = 1.0
MOST_EPOCHS = 400
SHOWN = [
    *("MLPClassifier float64", "MLPClassifier float32", "skbp float64", "skbp float32", "skbp dtype=float32"),
    *("one thread", "PyTorch"),
]
WORKS = [
    Work("crowded", 20, (64, 64), 64, 2),
    Work("crowded"),
    Work("crowded", activation="logistic"),
    Work("crowded", 50, (256, 128)),
    Work("crowded", 784, (256,)),
    Work("crowded", 20, (64, 64), 64, stack=True),
]
USUAL = WORKS[1]
SHOWN_RATIOS = ("float64", "float32", "dtype", "PyTorch")
# Jobs of the grid search: their number and joblib's backend.
JOBS = {
    "one after another": (1, "loky"),
    "processes": (os.cpu_count(), "loky"),
    "threads": (os.cpu_count(), "threading"),
}


def keep_busy(barrier):
    """Multiply matrices, in a process of its own, until the time is up."""
    a = np.random.default_rng(0).standard_normal((300, 300))
    barrier.wait()
    end = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < end:
        a @ a


@contextmanager
def crowd():
    """One busy process for each core. All of them are at work when the block begins."""
    context = get_context("spawn")
    barrier = context.Barrier(os.cpu_count() + 1, timeout=120)
    processes = [context.Process(target=keep_busy, args=(barrier,)) for _ in range(os.cpu_count())]
    with one_thread_in_new_processes():
        for process in processes:
            process.start()
    try:
        barrier.wait()
        yield
        if not all(process.is_alive() for process in processes):
            raise RuntimeError(f"The busy processes ended after {BUSY_SECONDS} seconds, before the measurement did.")
    finally:
        for process in processes:
            process.kill()
            process.join()


def on_one_thread(run):
    """The same run with one thread of the compiled core."""

    def limited(*args):
        with threadpool_limits(1, user_api="openmp"):
            return run(*args)

    return limited


def seconds_an_epoch(runs, repeats):
    epochs = {}
    for name, run in runs.items():
        one = timed(run, 1)[0]
        few = int(min(max(1.0, 0.1 / one), 10.0))
        epochs[name] = int(min(max(1.0, FIT_SECONDS * few / timed(run, few)[0]), MOST_EPOCHS))
    stopwatch = Stopwatch({name: partial(run, epochs[name]) for name, run in runs.items()}).rounds(repeats)
    return {name: seconds / epochs[name] for name, seconds in stopwatch.median().items()}


def fits(works, repeats):
    """{(name of the network, "idle" or "crowded"): seconds an epoch by classifier}, printed line by line."""
    table = Table(("milliseconds an epoch", "<36"), ("", ">8"), *((name, ">22.2f") for name in SHOWN))
    found = {}
    for work in works:
        X, y = data(work)
        runs = {name: make(work, X, y) for name, make in present(PEERS).items() if name in SHOWN}
        runs = {name: run for name, run in runs.items() if run is not None}
        runs["one thread"] = on_one_thread(runs["skbp float32"])
        for state in ("idle", "crowded"):
            if state == "idle":
                seconds = seconds_an_epoch(runs, repeats)
            else:
                with crowd():
                    seconds = seconds_an_epoch(runs, repeats)
            found[work.name, state] = seconds
            table.line(work.name, state, *(1e3 * seconds.get(name, math.nan) for name in SHOWN))
    return found


N_PREDICTED = (1, 200, 20_000)


def predictions(repeats):
    """{(classifier, rows, "idle" or "crowded"): milliseconds of predict_proba}, printed line by line."""
    X, y = data(USUAL)
    X = X.astype(np.float32)
    fitted = {name: CLASSIFIERS[name](**parameters(USUAL, 1)).fit(X, y) for name in CLASSIFIERS}
    fitted["BackpropClassifierCV"] = BackpropClassifierCV((64,), max_iter=1, random_state=0).fit(X, y)
    table = Table(("milliseconds of predict_proba", "<36"), ("", ">8"), *((str(n), ">12.3f") for n in N_PREDICTED))
    found = {}
    for state in ("idle", "crowded"):
        with crowd() if state == "crowded" else nullcontext():
            for name, clf in fitted.items():
                for kind, limit in ((name, lambda run: run), (f"{name}, one thread", on_one_thread)):
                    for n in N_PREDICTED:
                        rows = np.resize(X, (n, X.shape[1]))
                        run = limit(partial(_repeat, clf.predict_proba, rows, max(1, 2000 // n)))
                        seconds = Stopwatch({kind: run}).rounds(repeats).median()[kind] / max(1, 2000 // n)
                        found[kind, n, state] = 1e3 * seconds
                    table.line(kind, state, *(found[kind, n, state] for n in N_PREDICTED))
    return found


def _repeat(function, argument, times):
    for _ in range(times):
        function(argument)


def ratios(seconds):
    return {heading: ratio(seconds, *RATIOS[heading]) for heading in SHOWN_RATIOS}


def print_fits(found):
    print("\nTime of the peer / time of skbp (float64, float32: MLPClassifier, both on data of this type; dtype:")
    print(
        'MLPClassifier / skbp with dtype="float32", both on float64 data; PyTorch: PyTorch / skbp, float32), and time of an'
    )
    print("epoch on the crowded machine / time on the idle one:\n")
    slowed = ["MLPClassifier float64", "skbp float64", "skbp float32", "PyTorch"]
    lines = [["network", "machine", *SHOWN_RATIOS, *(f"crowded / idle: {name}" for name in slowed)]]
    for (name, state), seconds in found.items():
        line = [name, state, *map(number, ratios(seconds).values())]
        if state == "crowded":
            line += [number(seconds.get(one, math.nan) / found[name, "idle"].get(one, math.nan)) for one in slowed]
        lines.append(line + [""] * (len(lines[0]) - len(line)))
    print_markdown(lines)


def search(jobs, name, work, epochs, X, y):
    n_jobs, backend = JOBS[jobs]
    grid = {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}
    clf = CLASSIFIERS[name](**parameters(work, epochs))
    with parallel_backend(backend):
        GridSearchCV(clf, grid, cv=2, n_jobs=n_jobs, refit=False).fit(X, y)


def searches(repeats, quick):
    """{(jobs, classifier): seconds of a grid search}."""
    work = Work("search", rows=1_000 if quick else 2_000)
    X, y = data(work)
    keys = [(jobs, name) for jobs in JOBS for name in CLASSIFIERS]
    for key in keys:
        search(*key, work, 1, X, y)  # starts the processes and lets them import
    return Stopwatch({key: partial(search, *key, work, 10, X, y) for key in keys}).rounds(repeats).median()


def print_searches(found):
    print(
        f"\nGridSearchCV, eight fits of ten epochs, {os.cpu_count()} jobs: seconds, and MLPClassifier's divided by skbp's:\n"
    )
    lines = [["jobs", *CLASSIFIERS, *(f"MLPClassifier / {name}" for name in list(CLASSIFIERS)[1:])]]
    for jobs in JOBS:
        seconds = [found[jobs, name] for name in CLASSIFIERS]
        lines.append([jobs, *map(number, seconds), *(number(seconds[0] / one) for one in seconds[1:])])
    print_markdown(lines)


def print_target(found):
    crowded = {name: ratios(seconds) for (name, state), seconds in found.items() if state == "crowded"}
    same = [crowded[USUAL.name][heading] for heading in ("float64", "float32")]
    measured = "{:.2f}x float64, {:.2f}x float32".format(*same)
    threads = {name: by["skbp float32"] / by["one thread"] for (name, state), by in found.items() if state == "crowded"}
    worst = max(threads, key=threads.get)
    print_targets(
        [
            (f"crowded machine, {USUAL.name}", "at least 5x", measured, min(same) >= 5.0),
            ("threads beside one, crowded", "at most 1.1", f"{threads[worst]:.2f} ({worst})", threads[worst] <= 1.1),
        ]
    )
    everywhere = [by[heading] for by in crowded.values() for heading in ("float64", "float32")]
    print(f"\nGeometric mean of these ratios over all networks here: {geometric_mean(everywhere):.2f}")


def plot(found, path):
    """Milliseconds an epoch, idle and crowded, one panel for each network."""
    names = list(dict.fromkeys(name for name, _ in found))
    states = {"idle": ("#0072B2", "o"), "crowded": ("#D55E00", "D")}
    with drawing(path, 1, len(names), figsize=(2.4 * len(names) + 2.0, 3.2), sharey=True) as (figure, all_axes):
        for axes, name in zip(all_axes[0], names, strict=True):
            for state, (colour, marker) in states.items():
                milliseconds = [1e3 * found[name, state].get(one, math.nan) for one in SHOWN]
                axes.scatter(milliseconds, range(len(SHOWN)), 36, colour, marker, label=state, zorder=3)
            axes.set(xscale="log", xlabel="ms an epoch")
            axes.set_yticks(range(len(SHOWN)), SHOWN)
            axes.set_ylim(len(SHOWN) - 0.5, -0.5)
            axes.set_title(name, fontsize="small")
            axes.grid(color="#dddddd", zorder=0)
        legend_below(figure, axes, 2)


def main():
    args = options(__doc__, quick="one network, fewer rows in the searches", repeats=3, plot=True).parse_args()
    warnings.simplefilter("ignore")
    set_torch_threads(os.cpu_count())
    print(f"{versions('torch')}\n")
    found = fits([USUAL] if args.quick else WORKS, args.repeats)
    print_fits(found)
    print()
    predicted = predictions(args.repeats)
    searched = searches(args.repeats, args.quick)
    print_searches(searched)
    print_target(found)
    lines = [[f"an epoch of {name}", state, *figure] for (name, state), by in found.items() for figure in by.items()]
    lines += [[f"predict_proba of {n} rows", state, name, ms / 1e3] for (name, n, state), ms in predicted.items()]
    lines += [["a grid search", jobs, name, seconds] for (jobs, name), seconds in searched.items()]
    write_csv(args.csv, ["what", "where", "classifier", "seconds"], lines)
    if args.plot:
        plot(found, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
