"""The effect of the choices behind BackpropClassifierCV, the accuracy of its own estimates, and the effect of calibration.

    python benchmarks/ensemble.py [--seeds N] [--tables NAME ...] [--csv FILE]

It runs on the public tables of quality.py, with the same folds and preprocessing, and downloads them as quality.py does. It
prints three tables, all for five plain members on one split:

- The settings with one change at a time, on the first seed: differences in log loss and accuracy.
- The estimates from the inner folds, compared with the outer test folds, for one member on average and for the ensemble;
  also by number of training rows, and for two and for more classes.
- Members and ensemble with temperature 1 and with the fitted temperature.

Each set counts by the mean of its folds and seeds. The tables have means over sets, with standard errors over sets in
brackets. The run takes about ten minutes on two cores.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from measure import Table, versions, with_error
from quality import MOST_ROWS, PANELS, folds_of, options_of_tables, scores
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifierCV

# Plain members on one split of a prepared table.
SETTINGS = {"activation": "relu", "cv": 5, "n_repeats": 1, "scale": False}
CHOICES = {
    "no label smoothing": {"label_smoothing": 0.0},
    "one hidden layer of 100": {"hidden_layer_sizes": (100,)},
    "learning rate 0.001": {"learning_rate_init": 0.001},
    "no dropout": {"dropout": 0.0},
    "falling learning rate: cosine, 60 epochs": {"learning_rate": "cosine", "max_iter": 60},
    "batches of 200": {"batch_size": 200},
}


def mean_scores(y, name, probas):
    """Means of the scores of one or several forecasts for the same rows."""
    each = [scores(y, proba) for proba in probas]
    log_loss, accuracy, error = (
        np.mean([one[figure] for one in each]) for figure in ("log_loss", "accuracy", "calibration_error")
    )
    confidence = 100.0 * np.mean([proba.max(axis=1).mean() for proba in probas])
    return {
        f"{name} log loss": log_loss,
        f"{name} accuracy": accuracy,
        f"{name} calibration error": error,
        f"{name} overconfidence": confidence - accuracy,
    }


def figures(clf, y_train, X_test, y_test):
    """The estimates of a fitted ensemble, and its scores on other rows."""
    # The members themselves have temperature 1.
    plain = np.stack([member.predict_proba(X_test) for member in clf.members_])
    calibrated = clf.predict_proba_members(X_test)
    return {
        "rows": len(y_train),
        "classes": len(clf.classes_),
        "estimate log loss": clf.oof_log_loss_,
        "estimate accuracy": 100.0 * clf.oof_score_,
        **mean_scores(y_test, "member at 1", plain),
        **mean_scores(y_test, "member", calibrated),
        **mean_scores(y_test, "ensemble at 1", [plain.mean(axis=0)]),
        **mean_scores(y_test, "ensemble", [calibrated.mean(axis=0)]),
    }


def measure(names, seeds):
    """A row of figures for every set, seed, fold and choice."""
    rows = []
    for name in names:
        for key, fold in folds_of(name, seeds, MOST_ROWS):
            (X_train, X_test), y_train, y_test = fold.prepared, fold.y_train, fold.y_test
            for choice, parameters in {"default": {}, **(CHOICES if key["seed"] == 0 else {})}.items():
                clf = BackpropClassifierCV(random_state=key["seed"], **SETTINGS | parameters).fit(X_train, y_train)
                rows.append({**key, "choice": choice, **figures(clf, y_train, X_test, y_test)})
        print(name, flush=True)
    return pd.DataFrame(rows)


def print_choices(table):
    by_table = table.query("seed == 0").groupby(["choice", "table"]).mean(numeric_only=True)
    default = by_table.loc["default"]
    of_choices = {
        "one of the five members": (default, "member"),
        "temperature 1": (default, "ensemble at 1"),
        "no label smoothing and temperature 1": (by_table.loc["no label smoothing"], "ensemble at 1"),
        **{choice: (by_table.loc[choice], "ensemble") for choice in CHOICES},
    }
    print()
    lines = Table(("instead of the default", "<42"), ("log loss", ">19"), ("accuracy, %", ">15"))
    for choice, (by, name) in of_choices.items():
        of_loss = with_error(by[f"{name} log loss"] - default["ensemble log loss"], 4)
        of_accuracy = with_error(by[f"{name} accuracy"] - default["ensemble accuracy"], 2)
        lines.line(choice, of_loss, of_accuracy)


def print_estimates(by_table):
    parts = {
        "log loss": (by_table, "log loss", 4),
        "accuracy, %": (by_table, "accuracy", 2),
        "log loss, < 700 rows": (by_table.query("rows < 700"), "log loss", 4),
        "          700 to 1,999": (by_table.query("700 <= rows < 1999"), "log loss", 4),
        "          2,000": (by_table.query("rows >= 1999"), "log loss", 4),
        "          two classes": (by_table.query("classes == 2"), "log loss", 4),
        "          more classes": (by_table.query("classes > 2"), "log loss", 4),
    }
    print("\nOut-of-fold estimates and the values on test rows, then the differences value - estimate:\n")
    columns = [("", "<24"), ("sets", ">4"), ("estimate", ">9"), ("member", ">9"), ("ensemble", ">9")]
    lines = Table(*columns, ("member", ">19"), ("ensemble", ">19"))
    for part, (sets, figure, digits) in parts.items():
        if not sets.empty:
            estimate, *found = (sets[f"{name} {figure}"] for name in ("estimate", "member", "ensemble"))
            means = [f"{values.mean():.{digits}f}" for values in (estimate, *found)]
            lines.line(part, len(sets), *means, *(with_error(values - estimate, digits) for values in found))


def print_calibration(by_table):
    print()
    columns = [("", "<16"), ("log loss", ">9.4f"), ("calibration error, %", ">21.2f"), ("confidence - accuracy", ">25")]
    lines = Table(*columns)
    for name in ("member at 1", "member", "ensemble at 1", "ensemble"):
        loss, error = by_table[f"{name} log loss"].mean(), by_table[f"{name} calibration error"].mean()
        lines.line(name, loss, error, with_error(by_table[f"{name} overconfidence"], 2))


def main():
    args = options_of_tables(__doc__).parse_args()
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "batch_size=", UserWarning)  # some tables have fewer rows than a batch
        print(f"{versions()}\n")
        table = measure(args.tables or PANELS[args.panel], args.seeds)
    by_table = table.query("choice == 'default'").groupby("table").mean(numeric_only=True)
    print_choices(table)
    print_estimates(by_table)
    print_calibration(by_table)
    if args.csv:
        table.to_csv(args.csv, index=False, float_format="%.6g")
    return 0


if __name__ == "__main__":
    sys.exit(main())
