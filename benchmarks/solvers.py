"""Every solver on the same starting weights of the same networks: time, objective, gradient, work.

    python benchmarks/solvers.py [--quick] [--csv FILE]

Each solver minimises the same objective (tanh, alpha=1) until it is content or for at most 1,000 iterations. The first
table tells the seconds, the objective reached, the largest element of the gradient there, iterations, evaluations of F
and of products with the Hessian; two summaries and the README's table follow. "exact" and "gauss-newton" are the two
values of `hessian`. Seconds are those of the processor on one BLAS thread, which hardly depend on what else the machine
does: the least of up to five fits within ten seconds. The whole takes some ten minutes.

The objective has many minima, and solvers end in different ones: look at time and objective together. BFGS keeps a
dense matrix of n_parameters squared and multiplies such matrices in every iteration, which costs n_parameters cubed; it
is left out above 700 parameters. The tolerances are a largest element of the gradient of 1e-6, and for newton-cg, which
knows no such option, a mean step of 1e-9. adam has none: it takes 1,000 epochs, or ends after 50 without a lower loss.
"""

import argparse
import csv
import math
import os
import platform
import sys
import time
import warnings
from dataclasses import astuple, dataclass, fields

import numpy as np
import scipy
import sklearn
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

import skbp
from skbp import BackpropClassifier
from skbp._training.solvers import SCIPY_METHODS

LARGEST_FOR_BFGS = 700
GRADIENT_OF_A_MINIMUM = 1e-6


@dataclass
class Row:
    """A line of the table."""

    data: str
    parameters: int
    solver: str
    hessian: str
    seconds: float
    objective: float
    max_gradient: float
    iterations: int
    evaluations: int | str
    products: int | str


def datasets(quick):
    yield "iris", load_iris(return_X_y=True), (10,)
    yield "wine", load_wine(return_X_y=True), (20,)
    yield "moons", make_moons(500, noise=0.2, random_state=0), (20, 10)
    if not quick:
        yield "breast cancer", load_breast_cancer(return_X_y=True), (20,)
        yield "classification", make_classification(3000, 20, n_informative=8, n_classes=3, random_state=0), (30,)
        yield "digits", load_digits(return_X_y=True), (50,)


def configurations(n_rows):
    """Parameters of every solver, so that all of them minimise F with alpha=1 on all rows."""
    # A batch's objective divides alpha by the rows of the batch, not by all.
    n_batches = math.ceil(n_rows / 200)
    batches = {"batch_size": math.ceil(n_rows / n_batches), "alpha": 1.0 / n_batches}
    yield {"solver": "adam", "learning_rate_init": 0.01, "tol": 0.0, "n_iter_no_change": 50, **batches}
    for solver, method in SCIPY_METHODS.items():
        tol = 1e-9 if solver == "newton-cg" else GRADIENT_OF_A_MINIMUM
        for hessian in ["exact", "gauss-newton"] if method.hessian else ["auto"]:
            options = {"ftol": 0.0} if "ftol" in method.options else None
            yield {"solver": solver, "hessian": hessian, "tol": tol, "alpha": 1.0, "solver_options": options}


def measure(name, X, y, hidden_layer_sizes, parameters):
    clf = BackpropClassifier(hidden_layer_sizes, "tanh", max_iter=1000, random_state=0, **parameters)
    seconds = []
    while len(seconds) < 5 and sum(seconds) < 10.0:
        start = time.process_time()
        clf.fit(X, y)
        seconds.append(time.process_time() - start)
    objective = clf.set_params(alpha=1.0).objective(X, y)
    value, gradient = objective.value_and_gradient(objective.theta0)
    work = clf.optimize_result_ or {"n_evaluations": "", "n_products": ""}
    return Row(
        data=name,
        parameters=objective.theta0.size,
        solver=clf.solver,
        hessian=clf.hessian.replace("auto", ""),
        seconds=min(seconds),
        objective=value,
        max_gradient=float(np.abs(gradient).max()),
        iterations=clf.n_iter_,
        evaluations=work["n_evaluations"],
        products=work["n_products"],
    )


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def by_configuration(rows):
    """{(solver, hessian): {data: row}} in the order of the table."""
    found = {}
    for row in rows:
        found.setdefault((row.solver, row.hessian), {})[row.data] = row
    return found


def print_summary(rows):
    found = by_configuration(rows)
    lbfgs = found["lbfgs", ""]
    lowest = {name: min(row.objective for row in rows if row.data == name) for name in lbfgs}

    print("\nOver the sets that each ran on; time: geometric mean of the seconds relative to lbfgs on the same sets;")
    print("excess: the most, over the sets, by which the objective exceeds the lowest that any solver found.")
    print(f"{'solver':<13}{'hessian':<13}{'sets':>5}{'time':>8}{'gradient <= 1e-6':>18}{'excess':>9}")
    for (solver, hessian), on in found.items():
        time_ratio = geometric_mean([row.seconds / lbfgs[name].seconds for name, row in on.items()])
        at_minimum = sum(row.max_gradient <= GRADIENT_OF_A_MINIMUM for row in on.values())
        excess = max(row.objective / lowest[name] - 1.0 for name, row in on.items())
        print(f"{solver:<13}{hessian:<13}{len(on):>5}{time_ratio:>8.2f}{at_minimum:>18}{excess:>9.2%}")

    print("\nhessian='exact' beside 'gauss-newton', by sets (time: geometric mean of exact / gauss-newton):")
    columns = ["faster", "time", "products", "lower objective", "higher", "the same to 1e-6"]
    print(f"{'solver':<13}{'sets':>5}" + "".join(f"{column:>17}" for column in columns))
    for solver in [solver for solver, hessian in found if hessian == "exact"]:
        pairs = [(row, found[solver, "gauss-newton"][name]) for name, row in found[solver, "exact"].items()]
        gains = [gn.objective - exact.objective for exact, gn in pairs]
        figures = [
            sum(exact.seconds < gn.seconds for exact, gn in pairs),
            f"{geometric_mean([exact.seconds / gn.seconds for exact, gn in pairs]):.2f}",
            f"{geometric_mean([exact.products / gn.products for exact, gn in pairs]):.2f}",
            sum(gain > 1e-6 for gain in gains),
            sum(gain < -1e-6 for gain in gains),
            sum(abs(gain) <= 1e-6 for gain in gains),
        ]
        print(f"{solver:<13}{len(pairs):>5}" + "".join(f"{figure:>17}" for figure in figures))


def print_markdown(rows):
    """Seconds and objective of each solver with its default Hessian: the README's table."""
    sizes = {row.data: row.parameters for row in rows}
    lines = [["seconds: objective", *(f"{name} ({n_parameters:,})" for name, n_parameters in sizes.items())]]
    for (solver, hessian), on in by_configuration(rows).items():
        if not hessian or hessian == SCIPY_METHODS[solver].hessian:
            cells = [f"{on[name].seconds:.2f}: {on[name].objective:.4f}" if name in on else "" for name in sizes]
            lines.append([f"`{solver}`", *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    print()
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three small sets only")
    parser.add_argument("--csv", help="also write the table to this file")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(
        f"skbp {skbp.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n"
    )
    columns = [field.name for field in fields(Row)]
    print("{:<15}{:>11} {:<13}{:<13}{:>8} {:>13} {:>13} {:>11} {:>12} {:>9}".format(*columns))
    rows = []
    for name, (raw, y), hidden_layer_sizes in datasets(args.quick):
        X = scale(raw)
        n_parameters = BackpropClassifier(hidden_layer_sizes).objective(X, y).theta0.size
        for parameters in configurations(len(X)):
            if parameters["solver"] == "bfgs" and n_parameters > LARGEST_FOR_BFGS:
                continue
            with threadpool_limits(limits=1):
                row = measure(name, X, y, hidden_layer_sizes, parameters)
            rows.append(row)
            line = "{:<15}{:>11} {:<13}{:<13}{:>8.2f} {:>13.8f} {:>13.1e} {:>11} {:>12} {:>9}"
            print(line.format(*astuple(row)), flush=True)
    print_summary(rows)
    print_markdown(rows)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            csv.writer(file).writerows([columns, *map(astuple, rows)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
