"""Every solver on the same starting weights of the same networks: time, objective, gradient, work.

    python benchmarks/solvers.py [--quick] [--csv FILE]

Each solver minimises the same objective (tanh, alpha=1) until it is content or for at most 1,000 iterations. The table
tells the seconds, the objective reached, the largest element of the gradient there, iterations, evaluations of F and of
products with the Hessian. "exact" and "gauss-newton" are the two values of `hessian`. BFGS keeps a dense matrix of
n_parameters squared and multiplies such matrices in every iteration; it is left out above 700 parameters.
"""

import argparse
import csv
import sys
import time
import warnings

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_moons,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from skbp import BackpropClassifier
from skbp._solvers import SCIPY_METHODS

LARGEST_FOR_BFGS = 700
COLUMNS = ["data", "parameters", "solver", "hessian", "seconds", "objective", "max_gradient", "iterations"]
COLUMNS += ["evaluations", "products"]


def datasets(quick):
    yield "iris", load_iris(return_X_y=True), (10,)
    yield "wine", load_wine(return_X_y=True), (20,)
    yield "moons", make_moons(500, noise=0.2, random_state=0), (20, 10)
    if not quick:
        yield "breast cancer", load_breast_cancer(return_X_y=True), (20,)
        yield (
            "classification",
            make_classification(3000, 20, n_informative=8, n_classes=3, random_state=0),
            (30,),
        )
        yield "digits", load_digits(return_X_y=True), (50,)


def configurations():
    yield {"solver": "adam", "learning_rate_init": 0.01, "tol": 0.0, "n_iter_no_change": 50}
    for solver, method in SCIPY_METHODS.items():
        tol = 1e-9 if solver == "newton-cg" else 1e-6
        for hessian in ["exact", "gauss-newton"] if method.hessian else ["auto"]:
            options = {"ftol": 0.0} if "ftol" in method.options else None
            yield {"solver": solver, "hessian": hessian, "tol": tol, "solver_options": options}


def measure(X, y, hidden_layer_sizes, parameters):
    clf = BackpropClassifier(hidden_layer_sizes, "tanh", alpha=1.0, max_iter=1000, random_state=0, **parameters)
    start = time.perf_counter()
    clf.fit(X, y)
    seconds = time.perf_counter() - start
    objective = clf.objective(X, y)
    value, gradient = objective.value_and_gradient(objective.theta0)
    work = clf.optimize_result_ or {"n_evaluations": "", "n_products": ""}
    return [seconds, value, np.abs(gradient).max(), clf.n_iter_, work["n_evaluations"], work["n_products"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three small sets only")
    parser.add_argument("--csv", help="also write the table to this file")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    print("{:<15}{:>11} {:<13}{:<13}{:>8} {:>13} {:>13} {:>11} {:>12} {:>9}".format(*COLUMNS))
    for name, (raw, y), hidden_layer_sizes in datasets(args.quick):
        X = scale(raw)
        n_parameters = BackpropClassifier(hidden_layer_sizes).objective(X, y).theta0.size
        for parameters in configurations():
            if parameters["solver"] == "bfgs" and n_parameters > LARGEST_FOR_BFGS:
                continue
            figures = measure(X, y, hidden_layer_sizes, parameters)
            hessian = parameters.get("hessian", "auto")
            row = [name, n_parameters, parameters["solver"], "" if hessian == "auto" else hessian, *figures]
            rows.append(row)
            print("{:<15}{:>11} {:<13}{:<13}{:>8.2f} {:>13.8f} {:>13.1e} {:>11} {:>12} {:>9}".format(*row), flush=True)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
