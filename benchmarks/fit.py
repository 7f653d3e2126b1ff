"""Seconds an epoch of training, compared with the peers and with the matrix products alone.

    python benchmarks/fit.py [--quick] [--only PATTERN] [--processor] [--repeats N] [--csv FILE] [--plot FILE]

Every line of the table is one network on its own data. The features are normal and the labels random, so no network learns
anything and none stops early. All classifiers train with the same architecture, batches, update rule and starting scale, in
the same run and in turns:

- MLPClassifier and BackpropClassifier on float64 data, on float32 data, and BackpropClassifier with dtype="float32" on
  float64 data. Five networks of BackpropClassifierCV train as a stack on five folds; MLPClassifier trains on the same
  folds one after the other.
- A plain PyTorch loop in float32, with a fused update and as many threads as there are cores. skorch runs on some lines
  only, because it is slow. Both take part if they are installed: pip install ".[bench]".
- The floor: the float32 matrix products of the forward and the backward pass alone, into existing buffers. It runs on one
  BLAS thread and on all, and the faster of the two counts.

The clock times a fit of one epoch and a fit of several. Their difference, divided by the epochs between them, does not
contain what a fit costs once. Each time is the least of N, so other work on the machine counts for little. Before each fit
the processors rest for some hundredths of a second, because the threads of the fit before spin for that long. BLAS has its
default number of threads. For SciPy's solvers an epoch is one evaluation of the objective and its gradient, since line
searches differ in their number. --processor takes processor time on one thread instead: less realistic, but on a busy
machine the only times that can be compared.

At the end come whole fits of BackpropClassifierCV() and MLPClassifier() with their defaults on the public tables of
quality.py, one fold each of at most 3,000 rows (for --only their name is 'public tables'), and the targets.

The run takes about ten minutes on two cores, less than one with --quick.
"""

import math
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from measure import (
    Stopwatch,
    Table,
    drawing,
    geometric_mean,
    legend_below,
    number,
    options,
    print_markdown,
    print_targets,
    ratio,
    timed,
    versions,
    write_csv,
)
from networks import PEERS, RATIOS, SCIPY_METHODS, Work, data, present, set_torch_threads
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier

FEWEST_EPOCHS, MOST_EPOCHS = 3, 60
MOST_ROUNDS = 4
# scikit-learn's own description of the parameters of an estimator; it includes activations that are added later.
ACTIVATIONS = sorted(BackpropClassifier._parameter_constraints["activation"][0].options)


def panel():
    small, usual, large = {"n_features": 20, "hidden": (64, 64)}, {}, {"n_features": 50, "hidden": (256, 128)}
    largest = {"n_features": 784, "hidden": (1024, 1024)}
    yield Work("size", 16, (8,), 32, 2)
    yield Work("size", 16, (8,), 200, 2)
    yield Work("size", **small, batch=64, n_classes=2, skorch=True)
    yield Work("size", **usual, skorch=True)
    yield Work("size", **large)
    yield Work("size", 784, (256,))
    yield Work("size", 784, (512, 256), 256)
    yield Work("size", **largest, batch=512, skorch=True)
    for batch in (16, 32, 64, 512, 2048):
        yield Work("batch", **usual, batch=batch)
    yield Work("batch", **small, batch=32)
    for batch in (32, 2048):
        yield Work("batch", **large, batch=batch)
    yield Work("batch", 784, (256,), 32)
    for activation in ACTIVATIONS:
        if activation != "relu":
            yield Work("activation", activation=activation)
    for activation in ("logistic", "tanh"):
        yield Work("activation", **large, activation=activation)
    for work in (small | {"batch": 32}, usual, large):
        yield Work("sgd", **work, solver="sgd")
    yield Work("lbfgs", **small, solver="lbfgs", rows=2_000)
    yield Work("lbfgs", **usual, solver="lbfgs", rows=10_000)
    yield Work("lbfgs", **large, solver="lbfgs", rows=10_000, activation="tanh")
    yield Work("lbfgs", 784, (256,), solver="lbfgs", rows=5_000)
    for solver in SCIPY_METHODS:
        if solver != "lbfgs":
            yield Work("SciPy", 20, (20,), n_classes=5, solver=solver, activation="tanh", rows=2_000)
    yield Work("sparse", 20_000, density=0.004)
    yield Work("sparse", 20_000, density=0.004, batch=32, rows=1_600)
    yield Work("sparse", 20_000, density=0.004, solver="sgd")
    yield Work("sparse", 20_000, density=0.004, solver="sgd", batch=32, rows=1_600, plain=True)
    yield Work("sparse", 20_000, density=0.004, solver="lbfgs", rows=4_000)
    yield Work("classes", n_classes=2)
    yield Work("classes", n_classes=1_000)
    yield Work("classes", **large, n_classes=1_000, batch=512)
    yield Work("stack", **small, batch=64, stack=True)
    yield Work("stack", **usual, stack=True)
    yield Work("stack", **large, batch=256, stack=True)


QUICK = [
    Work("size", 16, (8,), 32, 2),
    Work("size", skorch=True),
    Work("size", 784, (1024, 1024), 512, rows=2_048),
    Work("batch", batch=32),
    Work("activation", activation="logistic"),
    Work("sgd", solver="sgd"),
    Work("lbfgs", solver="lbfgs", rows=4_000),
    Work("sparse", 20_000, density=0.004, rows=1_600),
    Work("classes", n_classes=1_000),
    Work("stack", 20, (64, 64), 64, stack=True),
]


@dataclass
class Row:
    """A line of the table: seconds an epoch by peer."""

    work: Work
    seconds: dict[str, float]

    def ratio(self, heading):
        """nan if one of the two did not run."""
        return ratio(self.seconds, *RATIOS[heading])


@dataclass(frozen=True)
class Timing:
    """How time is taken: repeats of each fit, seconds that the longer fit should take, and the clock."""

    repeats: int
    seconds: float
    clock: Callable[[], float]

    def seconds_an_epoch(self, runs):
        """The seconds of each peer, by its name, from fits of one epoch and of several."""
        lengths = {}
        for peer, run in runs.items():
            one = min(timed(run, 1, clock=self.clock)[0] for _ in range(2))
            lengths[peer] = 1, 1 + int(min(max(FEWEST_EPOCHS, self.seconds / one), MOST_EPOCHS))
        fits = {(peer, epochs): partial(run, epochs) for peer, run in runs.items() for epochs in lengths[peer]}
        stopwatch = Stopwatch(fits, self.clock).rounds(self.repeats)
        # If something disturbs it, the fit of several epochs can seem to be the shorter one. Then all are repeated further.
        for _ in range((MOST_ROUNDS - 1) * self.repeats):
            if min(self._differences(stopwatch, lengths).values()) > 0.0:
                break
            stopwatch.rounds(1)
        found = self._differences(stopwatch, lengths)
        return {peer: seconds if seconds > 0.0 else math.nan for peer, seconds in found.items()}

    @staticmethod
    def _differences(stopwatch, lengths):
        least = stopwatch.least()
        found = {}
        for peer, (short, long) in lengths.items():
            few, many = (stopwatch.returned[peer, epochs] or epochs for epochs in (short, long))
            found[peer] = (least[peer, long] - least[peer, short]) / (many - few)
        return found


def measure(work, peers, timing):
    X, y = data(work)
    runs = {peer: make(work, X, y) for peer, make in peers.items()}
    found = timing.seconds_an_epoch({peer: run for peer, run in runs.items() if run})
    if "floor" in found:
        found["floor"] = min(found["floor"], found.pop("floor, one thread"))
    return Row(work, found)


LEGEND = """\
ms: milliseconds an epoch of skbp on float32 data.
float64, float32: MLPClassifier / skbp, both on data of this type.
dtype: MLPClassifier / skbp with dtype="float32", both on float64 data. PyTorch, skorch: the peer / skbp, float32.
floor: skbp / the products alone, float32. gain: skbp / skbp with dtype="float32", both on float64 data.
"""


def measure_all(works, timing):
    """The rows of the table, printed one by one."""
    print(LEGEND)
    width = max((len(work.name) for work in works), default=0) + 1
    columns = [("group", "<11"), ("units, activation, batch", f"<{width}"), ("rows", ">6"), ("ms", ">8.2f")]
    table = Table(*columns, *((heading, ">8.2f") for heading in RATIOS))
    rows, peers = [], present(PEERS)
    for work in works:
        rows.append(row := measure(work, peers, timing))
        milliseconds = 1e3 * row.seconds["skbp float32"]
        table.line(work.group, work.name, work.n_rows, milliseconds, *map(row.ratio, RATIOS))
    return rows


def whole_fits(quick, clock):
    """Time of BackpropClassifierCV() / time of MLPClassifier() on all public tables, or None without the tables."""
    try:
        import quality

        quality.load("banana")
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        print(f"\nThe public tables are left out: {type(error).__name__}: {error}")
        return None
    names = quality.PANELS["public"][:: 9 if quick else 1]
    total = {"BackpropClassifierCV": 0.0, "MLPClassifier": 0.0}
    for name in names:
        fold = next(quality.folds(name, quality.MOST_ROWS, 0))
        for classifier in total:
            total[classifier] += timed(
                quality.CLASSIFIERS[classifier](0).fit, fold.prepared[0], fold.y_train, clock=clock
            )[0]
    seconds = ", ".join(f"{classifier} {figure:.1f}" for classifier, figure in total.items())
    print(f"\nWhole fits of {len(names)} public tables, seconds: {seconds}")
    return ratio(total, "BackpropClassifierCV", "MLPClassifier")


def ratios_of(rows, *headings):
    """{(name, heading): ratio} of the lines on which both ran."""
    found = {(row.work.name, heading): row.ratio(heading) for row in rows for heading in headings}
    return {key: ratio for key, ratio in found.items() if not math.isnan(ratio)}


def targets(rows, cv_ratio):
    """Tuples (work, target, measured, whether it is met) of the targets that these lines cover."""
    same = ("float64", "float32")

    def at_least(what, wanted, lines, *headings, lowest=None):
        found = ratios_of(lines, *headings)
        if not found:
            return
        mean, worst = geometric_mean(list(found.values())), min(found, key=found.get)
        target, measured, met = f"at least {wanted}x", f"{mean:.2f}x", mean >= wanted
        measured += f"; least {found[worst]:.2f} ({', '.join(worst)})"
        if lowest is not None:
            target += f", nowhere under {lowest}"
            met = met and found[worst] >= lowest
        yield what, target, measured, met

    def at_most(what, wanted, measured):
        if not math.isnan(measured):
            yield what, f"at most {wanted}x", f"{measured:.2f}x", measured <= wanted

    def where(**fields):
        return [row for row in rows if all(getattr(row.work, name) == value for name, value in fields.items())]

    dense = where(sparse=False)

    yield from at_least("fit of dense rows, same dtype as MLPClassifier", 5.0, dense, *same, lowest=1.4)
    yield from at_least('fit of float64 data, dtype="float32" beside MLPClassifier', 7.0, dense, "dtype")
    if cv_ratio is not None:
        yield from at_most("BackpropClassifierCV() beside MLPClassifier(), public tables", 0.3, cv_ratio)
    in_32 = [row for row in where(batch=32) if not row.work.sparse and row.work.in_batches]
    yield from at_least("batches of 32, beside MLPClassifier", 10.0, in_32, *same)
    yield from at_least("batches of 32, beside PyTorch", 4.0, in_32, "PyTorch")
    yield from at_least("logistic units", 4.0, where(activation="logistic"), *same)
    yield from at_least("lbfgs, full batch", 6.0, where(solver="lbfgs", sparse=False), *same)
    yield from at_least("sparse", 3.0, where(sparse=True), *same)
    yield from at_least("sparse, beside PyTorch", 1.2, where(sparse=True), "PyTorch")
    for hidden, batch, wanted in (((100,), 200, 1.35), ((256, 128), 200, 1.15), ((1024, 1024), 512, 1.15)):
        lines = where(group="size", hidden=hidden, batch=batch)
        for row in lines:
            yield from at_most(f"beside the floor, {row.work.name}", wanted, row.ratio("floor"))
    yield from at_least("dense rows, beside a PyTorch loop", 3.5, dense, "PyTorch", lowest=1.0)


def print_summary(rows):
    print("\nGeometric means of the ratios, by group:\n")
    groups = {
        group: [row for row in rows if row.work.group == group] for group in dict.fromkeys(r.work.group for r in rows)
    }
    lines = [["group", "lines", *RATIOS]]
    for group, of_group in (groups | {"all": rows}).items():
        means = [geometric_mean(list(ratios_of(of_group, heading).values())) for heading in RATIOS]
        lines.append([group, str(len(of_group)), *map(number, means)])
    print_markdown(lines)


# (colour, marker, legend)
DOTS = {
    "float64": ("#0072B2", "o", "MLPClassifier, both on float64 data"),
    "float32": ("#56B4E9", "s", "MLPClassifier, both on float32 data"),
    "dtype": ("#009E73", "^", 'MLPClassifier on float64 data, skbp with dtype="float32"'),
    "PyTorch": ("#D55E00", "D", "PyTorch loop, both float32"),
    "skorch": ("#CC79A7", "P", "skorch, both float32"),
}


def plot(rows, path):
    """How many times as long the peers take: one line of dots for each network."""
    from matplotlib.ticker import ScalarFormatter

    rows = [row for row in rows if any(not math.isnan(row.ratio(heading)) for heading in DOTS)]
    with drawing(path, 1, 1, figsize=(8.5, 1.6 + 0.21 * len(rows))) as (figure, all_axes):
        axes = all_axes[0, 0]
        for heading, (colour, marker, label) in DOTS.items():
            ratios = [row.ratio(heading) for row in rows]
            if not np.isnan(ratios).all():
                axes.scatter(ratios, range(len(rows)), 26, colour, marker, label=label, zorder=3)
        axes.axvline(1.0, color="black", linewidth=1.0)
        axes.set(xscale="log", xlabel="time of the peer / time of skbp (right of the line: skbp is faster)")
        axes.set_yticks(range(len(rows)), [f"{row.work.group}: {row.work.name}" for row in rows], fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_xticks([ticks for ticks in (0.5, 1, 2, 3, 5, 10, 20, 50, 100) if ticks <= axes.get_xlim()[1]])
        axes.minorticks_off()
        axes.grid(axis="both", color="#dddddd", zorder=0)
        legend_below(figure, axes, 2)


def main():
    parser = options(__doc__, quick="ten lines and three tables", plot=True)
    parser.add_argument("--only", metavar="PATTERN", default="", help="lines with this pattern in their 'group: name'")
    parser.add_argument("--processor", action="store_true", help="processor time on one thread, for a busy machine")
    parser.add_argument("--repeats", type=int, help="fits of each length (default 4, with --quick 2)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    set_torch_threads(1 if args.processor else os.cpu_count())
    clock = time.process_time if args.processor else time.perf_counter
    repeats, seconds = (2, 0.03) if args.quick else (4, 0.1)
    timing = Timing(args.repeats or repeats, seconds, clock)
    works = [w for w in (QUICK if args.quick else panel()) if re.search(args.only, f"{w.group}: {w.name}")]
    with threadpool_limits(1 if args.processor else None):
        print(f"{versions('torch', 'skorch')}\n{'processor time' if args.processor else 'wall time'}\n")
        rows = measure_all(works, timing)
        cv_ratio = whole_fits(args.quick, clock) if re.search(args.only, "public tables") else None
    if rows:
        print_summary(rows)
    print_targets(targets(rows, cv_ratio))
    write_csv(
        args.csv,
        ["group", "name", "rows", "peer", "seconds an epoch"],
        ([row.work.group, row.work.name, row.work.n_rows, *figure] for row in rows for figure in row.seconds.items()),
    )
    if args.plot and rows:
        plot(rows, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
