"""Seconds an epoch of training beside the peers, and beside the matrix products alone.

    python benchmarks/fit.py [--quick] [--only PATTERN] [--processor] [--repeats N] [--csv FILE] [--plot FILE]

Every line of the panel is one network on data of its own, normal features and random labels, so that nothing is learnt and
nobody stops early. All classifiers train it alike, with the same architecture, batches, update rule and starting scale, in
the same run and in turns:

- MLPClassifier and BackpropClassifier on float64 data, on float32 data, and BackpropClassifier with dtype="float32" on
  float64 data. The five networks of BackpropClassifierCV, trained as a stack on five folds, stand beside five fits of
  MLPClassifier on the same folds.
- a plain PyTorch loop in float32 on as many threads as there are cores, whose update is fused; skorch on some lines, as it
  is slow; both only if they are installed: pip install ".[bench]".
- the floor: the float32 matrix products of the forward and the backward pass alone, on buffers that are there already, on
  one BLAS thread or all, whichever is faster.

A fit of one epoch and one of several are timed by the clock, and the difference, divided by the epochs between them, is
free of what a fit costs once. Each is the least of N, so that what else the machine does counts for little; before each
the processors rest for some hundredths of a second, since threads of the one before spin for as long. BLAS has the threads
that it takes by itself. With SciPy's solvers, whose line searches go their own ways, an epoch is an evaluation of the
objective and its gradient. --processor takes processor time on one thread instead: less true to life, but on a machine with
much else to do all that can be compared.

Last come whole fits on the public tables of quality.py, one fold each of at most 3,000 rows, by BackpropClassifierCV() and
MLPClassifier() as they are (to --only they are 'public tables'); and the targets, computed from these lines.

The whole takes about ten minutes on two cores, --quick less than one.
"""

import argparse
import csv
import importlib.util
import math
import os
import platform
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import random_array
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import skbp
from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._network.activations import ACTIVATIONS
from skbp._training.solvers import SCIPY_METHODS
from skbp._training.updates import UPDATES

REST = 0.03
ROWS_AT_LEAST, BATCHES_AT_LEAST = 4_000, 4
FEWEST_EPOCHS, MOST_EPOCHS = 3, 60
MOST_ROUNDS = 4
N_FOLDS = 5


@dataclass(frozen=True)
class Work:
    """A line of the panel: a network and how it is trained."""

    group: str
    n_features: int = 64
    hidden: tuple[int, ...] = (100,)
    batch: int = 200
    n_classes: int = 10
    activation: str = "relu"
    solver: str = "adam"
    rows: int = 0
    density: float = 1.0
    stack: bool = False
    skorch: bool = False
    plain: bool = False  # without momentum and penalty

    @property
    def units(self):
        return [self.n_features, *self.hidden, self.n_classes if self.n_classes > 2 else 1]

    @property
    def n_rows(self):
        return self.rows or self.batch * max(BATCHES_AT_LEAST, ROWS_AT_LEAST // self.batch)

    @property
    def in_batches(self):
        return self.solver in UPDATES

    @property
    def sparse(self):
        return self.density < 1.0

    @property
    def name(self):
        how = f"{self.solver} {self.batch}" if self.in_batches else self.solver
        kind = ["stack"] * self.stack + ["plain"] * self.plain
        return " ".join(["-".join(map(str, self.units)), self.activation, how, *kind])


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


def data(work):
    """Features in float64 and random labels, of which each class has some."""
    rng = np.random.default_rng(0)
    shape = (work.n_rows, work.n_features)
    X = random_array(shape, density=work.density, format="csr", rng=rng) if work.sparse else rng.standard_normal(shape)
    return X, rng.permutation(work.n_rows) % work.n_classes


def parameters(work, epochs):
    """Of MLPClassifier and BackpropClassifier alike."""
    return {
        "hidden_layer_sizes": work.hidden,
        "activation": work.activation,
        "solver": work.solver,
        "batch_size": work.batch,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": 0,
        **({"momentum": 0.0, "alpha": 0.0} if work.plain else {}),
    }


MLP_ACTIVATIONS = {"identity", "logistic", "tanh", "relu"}
MLP_SOLVERS = {"adam", "sgd", "lbfgs"}


class CountingMLPClassifier(MLPClassifier):
    """Counts how often lbfgs asks for the objective and its gradient."""

    n_evaluations = 0

    def _loss_grad_lbfgs(self, *args, **kwargs):
        self.n_evaluations += 1
        return super()._loss_grad_lbfgs(*args, **kwargs)


def mlp(dtype):
    def make(work, X, y):
        if work.activation not in MLP_ACTIVATIONS or work.solver not in MLP_SOLVERS:
            return None
        X = X.astype(dtype)
        folds = [train for train, _ in KFold(N_FOLDS).split(X)] if work.stack else [slice(None)]

        def run(epochs):
            for train in folds:
                classifier = CountingMLPClassifier(**parameters(work, epochs)).fit(X[train], y[train])
            return classifier.n_evaluations or epochs

        return run

    return make


def backprop(data_type, dtype=None):
    def make(work, X, y):
        X = X.astype(data_type)

        # Without what the five fits of the peer do not have, but for the look at the folds after every epoch.
        plain = {"cv": KFold(N_FOLDS), "dropout": 0.0, "label_smoothing": 0.0, "learning_rate": "constant"}
        plain |= {"learning_rate_init": 0.001}

        def run(epochs):
            if work.stack:
                BackpropClassifierCV(**parameters(work, epochs), **plain, dtype=dtype).fit(X, y)
                return epochs
            classifier = BackpropClassifier(**parameters(work, epochs), dtype=dtype).fit(X, y)
            return epochs if work.in_batches else classifier.optimize_result_["n_evaluations"]

        return run

    return make


def floor(work, X, _):
    if work.sparse or work.stack or not work.in_batches:
        return None
    rng = np.random.default_rng(0)
    X = X.astype(np.float32)
    weights = [0.1 * rng.standard_normal(shape, np.float32) for shape in pairwise(work.units)]
    gradients = [np.empty_like(weight) for weight in weights]
    a = [None, *(np.empty((work.batch, width), np.float32) for width in work.units[1:])]
    # Products of constants, which neither grow nor vanish from epoch to epoch, and are not slowed by subnormal numbers.
    delta = [rng.standard_normal((work.batch, width), np.float32) for width in work.units]
    errors = [np.empty_like(one) for one in delta]
    n_layers = len(weights)

    def run(epochs):
        for _ in range(epochs):
            for start in range(0, work.n_rows, work.batch):
                a[0] = X[start : start + work.batch]
                for k in range(n_layers):
                    np.matmul(a[k], weights[k], out=a[k + 1])
                for k in range(n_layers - 1, -1, -1):
                    np.matmul(a[k].T, delta[k + 1], out=gradients[k])
                    if k:
                        np.matmul(delta[k + 1], weights[k].T, out=errors[k])

    return run


def on_one_thread(make):
    def made(work, X, y):
        run = make(work, X, y)

        def limited(epochs):
            with threadpool_limits(1):
                run(epochs)

        return run and limited

    return made


# What PyTorch calls those that it does not call as they are called here, but for capitals.
TORCH_NAMES = {"logistic": "Sigmoid", "leaky_relu": "LeakyReLU"}


def torch_activation(name):
    """The module, or None if PyTorch has none."""
    from torch import nn

    modules = {module.lower(): module for module in vars(nn)}
    return getattr(nn, TORCH_NAMES.get(name) or modules.get(name, ""), None)


def torch_network(work):
    from torch import nn

    layers = []
    for fan_in, fan_out in pairwise(work.units):
        layers += [nn.Linear(fan_in, fan_out), torch_activation(work.activation)()]
    return nn.Sequential(*layers[:-1])


def torch_loop(work, X, y):
    """The loop that everybody writes; sparse rows are multiplied as such, by weights laid out for it."""
    import torch
    from torch import nn

    if work.stack or not work.in_batches or torch_activation(work.activation) is None:
        return None
    binary = work.n_classes == 2
    rows = X.astype(np.float32) if work.sparse else torch.from_numpy(X.astype(np.float32))
    target = torch.from_numpy(y.astype(np.float32)[:, None] if binary else y)
    loss_function = nn.BCEWithLogitsLoss() if binary else nn.CrossEntropyLoss()

    def sparse_batch(indices):
        batch = rows[indices.numpy()]
        parts = (torch.from_numpy(part) for part in (batch.indptr, batch.indices, batch.data))
        return torch.sparse_csr_tensor(*parts, batch.shape)

    def run(epochs):
        network = torch_network(work)
        if work.sparse:
            weight = nn.Parameter(network[0].weight.detach().T.contiguous())
            bias, above = network[0].bias, network[1:]
            trained = [weight, bias, *above.parameters()]
        else:
            trained = list(network.parameters())
        rule = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[work.solver]
        momentum = {"momentum": 0.9, "nesterov": True} if work.solver == "sgd" and not work.plain else {}
        optimizer = rule(trained, 1e-3, weight_decay=0.0 if work.plain else 1e-4 / work.batch, fused=True, **momentum)
        for _ in range(epochs):
            order, total = torch.randperm(work.n_rows), torch.zeros(())
            for indices in order.split(work.batch):
                optimizer.zero_grad()
                logits = above(sparse_batch(indices) @ weight + bias) if work.sparse else network(rows[indices])
                loss = loss_function(logits, target[indices])
                loss.backward()
                optimizer.step()
                total += loss.detach()

    return run


def skorch_classifier(work, X, y):
    if not work.skorch:
        return None
    import torch
    from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier

    binary = work.n_classes == 2
    X, y = X.astype(np.float32), y.astype(np.float32 if binary else np.int64)
    of_kind = {} if binary else {"criterion": torch.nn.CrossEntropyLoss}

    def run(epochs):
        network = (NeuralNetBinaryClassifier if binary else NeuralNetClassifier)(
            torch_network(work),
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            lr=1e-3,
            batch_size=work.batch,
            max_epochs=epochs,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
            **of_kind,
        )
        network.fit(X, y)

    return run


# What each makes of a line: a function of the number of epochs, or None if that is not its work. It may return another
# number of epochs, those that it has taken.
PEERS = {
    "MLPClassifier float64": mlp(np.float64),
    "MLPClassifier float32": mlp(np.float32),
    "skbp float64": backprop(np.float64),
    "skbp float32": backprop(np.float32),
    "skbp dtype=float32": backprop(np.float64, "float32"),
    "PyTorch": torch_loop,
    "skorch": skorch_classifier,
    "floor": floor,
    "floor, one thread": on_one_thread(floor),
}
MODULES = {"PyTorch": "torch", "skorch": "skorch"}

# (heading, what is divided, by what): how many times as long the first takes.
RATIOS = {
    "float64": ("MLPClassifier float64", "skbp float64"),
    "float32": ("MLPClassifier float32", "skbp float32"),
    "dtype": ("MLPClassifier float64", "skbp dtype=float32"),
    "PyTorch": ("PyTorch", "skbp float32"),
    "skorch": ("skorch", "skbp float32"),
    "floor": ("skbp float32", "floor"),
    "gain": ("skbp float64", "skbp dtype=float32"),
}


@dataclass
class Row:
    """A line of the table: seconds an epoch by peer."""

    work: Work
    seconds: dict[str, float]

    def ratio(self, heading):
        """nan where one of the two did not run."""
        over, under = RATIOS[heading]
        return self.seconds.get(over, math.nan) / self.seconds.get(under, math.nan)


@dataclass(frozen=True)
class Stopwatch:
    """How time is taken: fits of each length, seconds that the longer one is to take, and the clock."""

    repeats: int
    seconds: float
    clock: Callable[[], float] = time.perf_counter

    def timed(self, function, *arguments):
        """Seconds, and what the function returned."""
        time.sleep(REST)
        start = self.clock()
        returned = function(*arguments)
        return self.clock() - start, returned

    def seconds_an_epoch(self, runs):
        """Of each peer, by its name, from fits of one epoch and of several."""
        lengths = {}
        for peer, run in runs.items():
            one = min(self.timed(run, 1)[0] for _ in range(2))
            lengths[peer] = 1, 1 + int(min(max(FEWEST_EPOCHS, self.seconds / one), MOST_EPOCHS))
        # (least seconds, epochs taken) of fits of each length.
        best = {(peer, epochs): (math.inf, epochs) for peer in runs for epochs in lengths[peer]}
        found = {}
        for k in range(MOST_ROUNDS * self.repeats):
            # Where something came between, a fit of several epochs may seem the shorter: then they are repeated further.
            if k >= self.repeats and min(found.values()) > 0.0:
                break
            for (peer, epochs), (least, _) in best.items():
                seconds, taken = self.timed(runs[peer], epochs)
                best[peer, epochs] = min(least, seconds), taken or epochs
            found = {}
            for peer in runs:
                (short, few), (long, many) = (best[peer, epochs] for epochs in lengths[peer])
                found[peer] = (long - short) / (many - few)
        return {peer: seconds if seconds > 0.0 else math.nan for peer, seconds in found.items()}


def measure(work, peers, stopwatch):
    X, y = data(work)
    runs = {peer: make(work, X, y) for peer, make in peers.items()}
    found = stopwatch.seconds_an_epoch({peer: run for peer, run in runs.items() if run})
    if "floor" in found:
        found["floor"] = min(found["floor"], found.pop("floor, one thread"))
    return Row(work, found)


def whole_fits(quick, stopwatch):
    """Seconds of BackpropClassifierCV() and MLPClassifier() on the public tables together, or None without these."""
    try:
        import quality

        folder = quality.folder()
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        print(f"\nThe public tables are left out: {type(error).__name__}: {error}")
        return None
    names = list(quality.SETS)[:: 9 if quick else 1]
    total = {"BackpropClassifierCV": 0.0, "MLPClassifier": 0.0}
    for name in names:
        X, y, *_ = next(quality.folds(*quality.load(folder / quality.SETS[name]), quality.MOST_ROWS, 0))
        for classifier in total:
            total[classifier] += stopwatch.timed(quality.CLASSIFIERS[classifier](0).fit, X, y)[0]
    ratio = total["BackpropClassifierCV"] / total["MLPClassifier"]
    seconds = ", ".join(f"{classifier} {figure:.1f}" for classifier, figure in total.items())
    print(f"\nWhole fits of {len(names)} public tables, seconds: {seconds}")
    return ratio


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def ratios_of(rows, *headings):
    """{(name, heading): ratio} of the lines on which both ran."""
    found = {(row.work.name, heading): row.ratio(heading) for row in rows for heading in headings}
    return {key: ratio for key, ratio in found.items() if not math.isnan(ratio)}


def targets(rows, cv_ratio):
    """(what, target, measured, whether it is met) of all that these lines have something to say on."""
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

    yield from at_least("fit, same dtype as MLPClassifier", 2.5, rows, *same, lowest=1.0)
    yield from at_least('fit of float64 data, dtype="float32" beside MLPClassifier', 3.5, rows, "dtype")
    if cv_ratio is not None:
        yield from at_most("BackpropClassifierCV() beside MLPClassifier(), public tables", 1.0, cv_ratio)
    in_32 = [row for row in where(batch=32) if not row.work.sparse and row.work.in_batches]
    yield from at_least("batches of 32, beside MLPClassifier", 4.0, in_32, *same)
    yield from at_least("batches of 32, beside PyTorch", 4.0, in_32, "PyTorch")
    yield from at_least("logistic units", 4.0, where(activation="logistic"), *same)
    yield from at_least("lbfgs, full batch", 2.0, where(solver="lbfgs", sparse=False), *same)
    yield from at_least("sparse", 2.0, where(sparse=True), *same)
    for hidden, batch, wanted in (((100,), 200, 1.6), ((1024, 1024), 512, 1.3)):
        lines = where(group="size", hidden=hidden, batch=batch)
        for row in lines:
            yield from at_most(f"beside the floor, {row.work.name}", wanted, row.ratio("floor"))
    yield from at_least("beside a PyTorch loop", 2.0, rows, "PyTorch", lowest=0.75)


def markdown(lines):
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def number(ratio):
    return "" if math.isnan(ratio) else f"{ratio:.2f}"


def print_summary(rows):
    print("\nGeometric means of the ratios, by group:\n")
    lines = [["group", "lines", *RATIOS]]
    for group in dict.fromkeys(row.work.group for row in rows):
        of_group = [row for row in rows if row.work.group == group]
        means = [geometric_mean(list(ratios_of(of_group, heading).values())) for heading in RATIOS]
        lines.append([group, str(len(of_group)), *map(number, means)])
    lines.append(["all", str(len(rows))])
    lines[-1] += [number(geometric_mean(list(ratios_of(rows, heading).values()))) for heading in RATIOS]
    markdown(lines)


def print_targets(found):
    print("\nTargets, on the lines measured:\n")
    markdown([["work", "target", "measured", "met"], *([*what, "yes" if met else "no"] for *what, met in found)])


# (colour, marker, legend)
DOTS = {
    "float64": ("#0072B2", "o", "MLPClassifier, both on float64 data"),
    "float32": ("#56B4E9", "s", "MLPClassifier, both on float32 data"),
    "dtype": ("#009E73", "^", 'MLPClassifier on float64 data, skbp with dtype="float32"'),
    "PyTorch": ("#D55E00", "D", "PyTorch loop, both float32"),
    "skorch": ("#CC79A7", "P", "skorch, both float32"),
}


def plot(rows, path):
    """How many times as long the peers take, a line of dots for each line of the panel."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import ScalarFormatter

    rows = [row for row in rows if any(not math.isnan(row.ratio(heading)) for heading in DOTS)]
    figure, axes = plt.subplots(figsize=(8.5, 1.6 + 0.21 * len(rows)), layout="constrained")
    for heading, (colour, marker, label) in DOTS.items():
        ratios = [row.ratio(heading) for row in rows]
        if not np.isnan(ratios).all():
            axes.scatter(ratios, range(len(rows)), 26, colour, marker, label=label, zorder=3)
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.set(xscale="log", xlabel="times as long as skbp (right of the line: skbp is faster)", yticks=range(len(rows)))
    axes.set_yticklabels([f"{row.work.group}: {row.work.name}" for row in rows], fontsize="small")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks([ticks for ticks in (0.5, 1, 2, 3, 5, 10, 20, 50, 100) if ticks <= axes.get_xlim()[1]])
    axes.minorticks_off()
    axes.grid(axis="both", color="#dddddd", zorder=0)
    figure.legend(loc="outside lower center", fontsize="small", ncols=2)
    figure.savefig(path, dpi=150)


PACKAGES = {"sklearn": "scikit-learn", "numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}


def versions(*peers):
    """What was measured on what: printed first by each of these commands. Peers that are absent are said to be."""
    named = []
    for name in ("numpy", "scipy", "sklearn", *peers):
        version = importlib.import_module(name).__version__ if importlib.util.find_spec(name) else "absent"
        named.append(f"{PACKAGES.get(name, name)} {version}")
    date = time.strftime("%Y-%m-%d")
    return f"skbp {skbp.__version__}, Python {platform.python_version()}, {', '.join(named)}, {os.cpu_count()} cores, {date}"


def present(peers):
    """Those of the peers that are installed."""
    return {name: make for name, make in peers.items() if importlib.util.find_spec(MODULES.get(name, "numpy"))}


def set_torch_threads(n_threads):
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(n_threads)


def write_csv(rows, path):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["group", "name", "rows", "peer", "seconds an epoch"])
        for row in rows:
            work = row.work
            writer.writerows([work.group, work.name, work.n_rows, *figure] for figure in row.seconds.items())


LEGEND = """\
ms: milliseconds an epoch of skbp on float32 data. float64, float32: MLPClassifier / skbp, both on such data.
dtype: MLPClassifier / skbp with dtype="float32", on float64 data. PyTorch, skorch: it / skbp, float32.
floor: skbp / the products alone, float32. gain: skbp on float64 data / the same with dtype="float32".
"""


def measured(works, stopwatch):
    """The rows of the table, printed as they come."""
    width = max((len(work.name) for work in works), default=0) + 1
    headings = "".join(f"{heading:>9}" for heading in RATIOS)
    print(f"{LEGEND}\n{'group':<11}{'units, activation, batch':<{width}}{'rows':>7}{'ms':>9}{headings}")
    rows, peers = [], present(PEERS)
    for work in works:
        rows.append(row := measure(work, peers, stopwatch))
        line = f"{work.group:<11}{work.name:<{width}}{work.n_rows:>7}{1e3 * row.seconds['skbp float32']:>9.2f}"
        print(line + "".join(f"{number(row.ratio(heading)):>9}" for heading in RATIOS), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten lines and three tables")
    parser.add_argument("--only", metavar="PATTERN", default="", help="lines in whose 'group: name' this is found")
    parser.add_argument("--processor", action="store_true", help="processor time on one thread, for a busy machine")
    parser.add_argument("--repeats", type=int, help="fits of each length (default 4, with --quick 2)")
    parser.add_argument("--csv", help="also write the seconds an epoch to this file")
    parser.add_argument("--plot", help="also draw the ratios to this file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    set_torch_threads(1 if args.processor else os.cpu_count())
    clock = time.process_time if args.processor else time.perf_counter
    repeats, seconds = (2, 0.03) if args.quick else (4, 0.1)
    stopwatch = Stopwatch(args.repeats or repeats, seconds, clock)
    print(f"{versions('torch', 'skorch')}\n{'processor time, one thread' if args.processor else 'wall time'}\n")
    works = [w for w in (QUICK if args.quick else panel()) if re.search(args.only, f"{w.group}: {w.name}")]
    with threadpool_limits(1 if args.processor else None):
        rows = measured(works, stopwatch)
        cv_ratio = whole_fits(args.quick, stopwatch) if re.search(args.only, "public tables") else None
    if rows:
        print_summary(rows)
    print_targets(targets(rows, cv_ratio))
    if args.csv:
        write_csv(rows, args.csv)
    if args.plot and rows:
        plot(rows, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
