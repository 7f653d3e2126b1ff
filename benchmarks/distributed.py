"""Time and traffic of training on Dask, beside one process in memory.

    python benchmarks/distributed.py [--quick] [--repeats N] [--csv FILE]

A cluster of one worker process and one of two compute the objective and its gradient, one evaluation after another, on one
BLAS thread each. Scheduler and client run in this process. For each network there are

- memory ms: an evaluation on the same rows in memory, in this process, on one thread;
- Dask ms: an evaluation on the cluster, from the call to the gradient;
- kB: what goes through the loopback device in an evaluation, between client, scheduler and workers;
- theta kB: the size of the parameters.

Times are the least of N. The last lines compare training without hidden layers with the LogisticRegression of dask-ml, both
by L-BFGS with the same penalty: seconds, the objective at the end and the accuracy on the training rows. They are left out
if dask-ml is absent.
"""

import sys
import time
import warnings

# This file has the name of a package: what is installed must come first.
sys.path.append(sys.path.pop(0))

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from measure import Table, is_installed, one_thread_in_new_processes, options, versions, write_csv
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier

# Features, hidden layers, rows, rows of a partition.
WORK = [
    (50, (100,), 200_000, 25_000),
    (50, (100,), 200_000, 5_000),
    (200, (256, 128), 50_000, 6_250),
    (784, (1024, 1024), 8_000, 1_000),
]
# For dask-ml: features, rows, rows of a partition, alpha.
LINEAR = (30, 200_000, 25_000, 1.0)


def data(n_features, n_rows):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features))
    return X, (X[:, :5].sum(axis=1) + rng.standard_normal(n_rows) > 0.0).astype(int)


def traffic():
    """Bytes that the loopback device has sent."""
    import psutil

    return psutil.net_io_counters(pernic=True)["lo"].bytes_sent


def evaluations(F, repeats):
    """Seconds of each evaluation of F and its gradient, and the bytes that one sends."""
    theta, seconds, sent = F.theta0, [], []
    for _ in range(repeats + 1):
        theta = theta + 1e-6
        before, start = traffic(), time.perf_counter()
        F.value_and_gradient(theta)
        seconds.append(time.perf_counter() - start)
        sent.append(traffic() - before)
    # The first evaluation also imports and connects.
    return min(seconds[1:]), float(np.median(sent[1:]))


def networks(n_workers, scale, repeats):
    """The figures of all networks on the cluster that is active."""
    for n_features, hidden, most_rows, part in WORK:
        n_rows = most_rows // scale
        X, y = data(n_features, n_rows)
        clf = BackpropClassifier(hidden, random_state=0)
        with threadpool_limits(1):
            in_memory, _ = evaluations(clf.objective(X, y), min(repeats, 3))
        F = clf.objective(da.from_array(X, chunks=(part, -1)), da.from_array(y, chunks=part))
        on_dask, sent = evaluations(F, repeats)
        shape = "-".join(map(str, (n_features, *hidden, 1)))
        yield shape, n_rows, n_rows // part, n_workers, in_memory, on_dask, sent, F.theta0.nbytes


def linear(scale):
    """Seconds, objective and accuracy without hidden layers, by skbp and by dask-ml."""
    n_features, n_rows, part, alpha = LINEAR
    n_rows //= scale
    X, y = data(n_features, n_rows)
    in_parts, labels = da.from_array(X, chunks=(part, -1)), da.from_array(y, chunks=part)
    F = BackpropClassifier((), alpha=alpha).objective(X, y)
    start = time.perf_counter()
    ours = BackpropClassifier((), solver="lbfgs", alpha=alpha, tol=1e-6).fit(in_parts, labels)
    seconds = time.perf_counter() - start
    theta = np.concatenate([ours.coefs_[0].ravel(), ours.intercepts_[0]])
    yield "skbp", seconds, F.value(theta), ours.score(X, y)
    if is_installed("dask_ml"):
        from dask_ml.linear_model import LogisticRegression

        start = time.perf_counter()
        theirs = LogisticRegression(solver="lbfgs", C=1.0 / alpha, max_iter=100, tol=1e-6).fit(in_parts, labels)
        seconds = time.perf_counter() - start
        theta = np.append(theirs.coef_, theirs.intercept_)
        yield "dask-ml", seconds, F.value(theta), float((theirs.predict(in_parts).compute() == y).mean())


def main():
    args = options(__doc__, quick="a tenth of the rows", repeats=10).parse_args()
    warnings.simplefilter("ignore")
    scale = 10 if args.quick else 1
    print(versions("dask", "distributed", "dask_ml", threads=1), "\n")
    table = Table(
        *[("network", "<16"), ("rows", ">8,"), ("partitions", ">10"), ("workers", ">7"), ("memory ms", ">9.1f")],
        *[("Dask ms", ">8.1f"), ("kB", ">9.0f"), ("theta kB", ">8.0f")],
    )
    lines, compared = [], []
    with one_thread_in_new_processes():
        for n_workers in (1, 2):
            with (
                LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster,
                Client(cluster),
            ):
                for line in networks(n_workers, scale, args.repeats):
                    *what, in_memory, on_dask, sent, size = line
                    table.line(*what, 1e3 * in_memory, 1e3 * on_dask, sent / 1e3, size / 1e3)
                    lines.append(line)
                if n_workers == 2:
                    compared = list(linear(scale))
    print(f"\nno hidden layer, {LINEAR[1] // scale:,} rows, 2 workers")
    for name, seconds, value, accuracy in compared:
        print(f"{name:<8} {seconds:6.2f} s, objective {value:.6f}, accuracy {accuracy:.4f}")
    headings = ["network", "rows", "partitions", "workers", "memory seconds", "dask seconds", "bytes", "theta bytes"]
    write_csv(args.csv, headings, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
