"""Every solver from the same initial weights of the same networks: time, objective, gradient, work.

    python benchmarks/solvers.py [--quick] [--csv FILE]

Each solver minimises the same objective (tanh, alpha=1) until it converges or for at most 1,000 iterations. The first table
has the seconds, the final objective, the largest element of the final gradient, iterations, evaluations of F and products
with the Hessian. Two summaries and the table in docs/benchmarks.rst follow. "exact" and "gauss-newton" are the two values
of `hessian`.
Seconds are processor time on one BLAS thread, which depends little on other work on the machine: the least of up to five
fits within ten seconds. The run takes about ten minutes.

The objective has many minima, and solvers end in different ones: look at time and objective together. BFGS keeps a dense
matrix of n_parameters squared and multiplies such matrices in every iteration, which costs n_parameters cubed; it does not
run above 700 parameters. The tolerance is 1e-6 for the largest element of the gradient. newton-cg has no such option; its
tolerance is a mean step of 1e-9. adam has no tolerance: it ends after 1,000 epochs, or after 50 without a lower loss.
"""

import math
import sys
import time
import warnings
from dataclasses import astuple, dataclass, fields

import numpy as np
from measure import Table, geometric_mean, options, print_markdown, timed, versions, write_csv
from networks import SCIPY_METHODS
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier

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


COLUMNS = [field.name for field in fields(Row)]
LAYOUT = ["<15", ">9", "<13", "<13", ">7.2f", ">13.8f", ">13.1e", ">11", ">12", ">9"]


def datasets(quick):
    yield "iris", load_iris(return_X_y=True), (10,)
    yield "wine", load_wine(return_X_y=True), (20,)
    yield "moons", make_moons(500, noise=0.2, random_state=0), (20, 10)
    if not quick:
        yield "breast cancer", load_breast_cancer(return_X_y=True), (20,)
        yield "classification", make_classification(3000, 20, n_informative=8, n_classes=3, random_state=0), (30,)
        yield "digits", load_digits(return_X_y=True), (50,)


def configurations(n_rows):
    """Parameters of every solver with which it minimises F with alpha=1 on all rows."""
    # The objective of a batch divides alpha by the rows of the batch, not by all rows.
    n_batches = math.ceil(n_rows / 200)
    batches = {"batch_size": math.ceil(n_rows / n_batches), "alpha": 1.0 / n_batches}
    yield {"solver": "adam", "learning_rate_init": 0.01, "tol": 0.0, "n_iter_no_change": 50, **batches}
    for solver, method in SCIPY_METHODS.items():
        tol = 1e-9 if solver == "newton-cg" else GRADIENT_OF_A_MINIMUM
        for hessian in ["exact", "gauss-newton"] if method.hessian else ["auto"]:
            further = {"ftol": 0.0} if "ftol" in method.options else None
            yield {"solver": solver, "hessian": hessian, "tol": tol, "alpha": 1.0, "solver_options": further}


def measure(name, X, y, hidden_layer_sizes, parameters):
    clf = BackpropClassifier(hidden_layer_sizes, "tanh", max_iter=1000, random_state=0, **parameters)
    seconds = []
    while len(seconds) < 5 and sum(seconds) < 10.0:
        seconds.append(timed(clf.fit, X, y, clock=time.process_time)[0])
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


def measure_all(quick):
    """The rows of the table, printed one by one."""
    table = Table(*zip(COLUMNS, LAYOUT, strict=True))
    rows = []
    for name, (raw, y), hidden_layer_sizes in datasets(quick):
        X = scale(raw)
        n_parameters = BackpropClassifier(hidden_layer_sizes).objective(X, y).theta0.size
        for parameters in configurations(len(X)):
            if parameters["solver"] == "bfgs" and n_parameters > LARGEST_FOR_BFGS:
                continue
            rows.append(row := measure(name, X, y, hidden_layer_sizes, parameters))
            table.line(*astuple(row))
    return rows


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

    print(
        "\nOver the sets on which a solver ran. time: geometric mean of its seconds / those of lbfgs on the same sets."
    )
    print("excess: how far the objective is above the lowest that any solver found; the largest value over the sets.")
    columns = [("solver", "<13"), ("hessian", "<13"), ("sets", ">4"), ("time", ">7.2f")]
    table = Table(*columns, ("gradient <= 1e-6", ">17"), ("excess", ">8.2%"))
    for (solver, hessian), on in found.items():
        time_ratio = geometric_mean([row.seconds / lbfgs[name].seconds for name, row in on.items()])
        at_minimum = sum(row.max_gradient <= GRADIENT_OF_A_MINIMUM for row in on.values())
        excess = max(row.objective / lowest[name] - 1.0 for name, row in on.items())
        table.line(solver, hessian, len(on), time_ratio, at_minimum, excess)

    print(
        "\nhessian='exact' beside 'gauss-newton': number of sets; time and products: geometric mean of exact / gauss-newton."
    )
    columns = [
        ("faster", ">16"),
        ("time", ">16.2f"),
        ("products", ">16.2f"),
        ("lower objective", ">16"),
        ("higher", ">16"),
    ]
    table = Table(("solver", "<13"), ("sets", ">4"), *columns, ("the same to 1e-6", ">17"))
    for solver in [solver for solver, hessian in found if hessian == "exact"]:
        pairs = [(row, found[solver, "gauss-newton"][name]) for name, row in found[solver, "exact"].items()]
        gains = [gn.objective - exact.objective for exact, gn in pairs]
        table.line(
            solver,
            len(pairs),
            sum(exact.seconds < gn.seconds for exact, gn in pairs),
            geometric_mean([exact.seconds / gn.seconds for exact, gn in pairs]),
            geometric_mean([exact.products / gn.products for exact, gn in pairs]),
            sum(gain > 1e-6 for gain in gains),
            sum(gain < -1e-6 for gain in gains),
            sum(abs(gain) <= 1e-6 for gain in gains),
        )


def print_readme_table(rows):
    """Seconds and objective of each solver with its default Hessian."""
    sizes = {row.data: row.parameters for row in rows}
    lines = [["seconds: objective", *(f"{name} ({n_parameters:,})" for name, n_parameters in sizes.items())]]
    for (solver, hessian), on in by_configuration(rows).items():
        if not hessian or hessian == SCIPY_METHODS[solver].hessian:
            cells = [f"{on[name].seconds:.2f}: {on[name].objective:.4f}" if name in on else "" for name in sizes]
            lines.append([f"`{solver}`", *cells])
    print()
    print_markdown(lines)


def main():
    args = options(__doc__, quick="three small sets only").parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        print(f"{versions()}\n")
        rows = measure_all(args.quick)
    print_summary(rows)
    print_readme_table(rows)
    write_csv(args.csv, COLUMNS, map(astuple, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
