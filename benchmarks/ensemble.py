"""What each choice of BackpropClassifierCV is worth, how far its own estimates hold, and what calibration does.

    python benchmarks/ensemble.py [--seeds N] [--sets NAME ...] [--csv FILE]

On the public tables of quality.py, fetched as there if they are not at hand, with its folds and preprocessing, three tables
are printed:

- the defaults with one thing changed at a time, on the first seed: differences in log loss and accuracy from the defaults;
- the estimates from the inner folds beside what the outer test folds say, of a single member on average and of the
  ensemble, also by the number of rows to train on and for two and more classes;
- members and ensemble with temperature 1 and with the one that was found.

Means are over sets, each the mean of its folds and seeds; in brackets stand standard errors over sets. The whole takes
about ten minutes on two cores.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from fit import versions
from quality import MOST_ROWS, SETS, calibration_error, folder, folds, load
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifierCV

CHOICES = {
    "no label smoothing": {"label_smoothing": 0.0},
    "one hidden layer of 100": {"hidden_layer_sizes": (100,)},
    "learning rate 0.001": {"learning_rate_init": 0.001},
    "no dropout": {"dropout": 0.0},
    "falling learning rate: cosine, 60 epochs": {"learning_rate": "cosine", "max_iter": 60},
    "batches of 200": {"batch_size": 200},
}


def log_loss(y, proba):
    return float(-np.log(proba[np.arange(len(y)), y]).mean())


def accuracy(y, proba):
    return 100.0 * float((proba.argmax(axis=1) == y).mean())


def figures(y, name, probas):
    """Means of the figures of one or several forecasts for the same rows."""
    return {
        f"{name} log loss": np.mean([log_loss(y, proba) for proba in probas]),
        f"{name} accuracy": np.mean([accuracy(y, proba) for proba in probas]),
        f"{name} calibration error": np.mean([100.0 * calibration_error(y, proba) for proba in probas]),
        f"{name} boldness": np.mean([100.0 * proba.max(axis=1).mean() - accuracy(y, proba) for proba in probas]),
    }


def measured(clf, y_train, X_test, y_test):
    """The figures of a fitted ensemble on the rows that it was trained on and on others."""
    # The fitted members are at temperature 1.
    plain = np.stack([member.predict_proba(X_test) for member in clf.members_])
    calibrated = clf.predict_proba_members(X_test)
    return {
        "rows": len(y_train),
        "classes": len(clf.classes_),
        "estimate log loss": clf.oof_log_loss_,
        "estimate accuracy": 100.0 * clf.oof_score_,
        **figures(y_test, "member at 1", plain),
        **figures(y_test, "member", calibrated),
        **figures(y_test, "ensemble at 1", [plain.mean(axis=0)]),
        **figures(y_test, "ensemble", [calibrated.mean(axis=0)]),
    }


def measure(names, seeds):
    """A row of figures for every set, seed, fold and choice."""
    data, rows = folder(), []
    for name in names:
        X, y = load(data / SETS[name])
        for seed in range(seeds):
            for X_train, y_train, X_test, y_test in folds(X, y, MOST_ROWS, seed):
                for choice, parameters in {"default": {}, **(CHOICES if seed == 0 else {})}.items():
                    clf = BackpropClassifierCV(random_state=seed, **parameters).fit(X_train, y_train)
                    key = {"set": name, "seed": seed, "choice": choice}
                    rows.append(key | measured(clf, y_train, X_test, y_test))
        print(name, flush=True)
    return pd.DataFrame(rows)


def with_error(differences, digits):
    error = differences.std() / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
    return f"{differences.mean():+.{digits}f} ({error:.{digits}f})"


def print_choices(table):
    by_set = table.query("seed == 0").groupby(["choice", "set"]).mean(numeric_only=True)
    default = by_set.loc["default"]
    of_choices = {
        "one of the five members": (default, "member"),
        "temperature 1": (default, "ensemble at 1"),
        "no label smoothing and temperature 1": (by_set.loc["no label smoothing"], "ensemble at 1"),
        **{choice: (by_set.loc[choice], "ensemble") for choice in CHOICES},
    }
    print(f"\n{'instead of the default':42}{'log loss':>20}{'accuracy, %':>16}")
    for choice, (by, name) in of_choices.items():
        of_loss = with_error(by[f"{name} log loss"] - default["ensemble log loss"], 4)
        of_accuracy = with_error(by[f"{name} accuracy"] - default["ensemble accuracy"], 2)
        print(f"{choice:42}{of_loss:>20}{of_accuracy:>16}")


def print_estimates(by_set):
    print(f"\n{'':24}{'sets':>6}{'estimate':>10}{'member':>10}{'ensemble':>10}{'member less':>20}{'ensemble less':>20}")
    lines = {
        "log loss": (by_set, "log loss", 4),
        "accuracy, %": (by_set, "accuracy", 2),
        "log loss, < 700 rows": (by_set.query("rows < 700"), "log loss", 4),
        "          700 to 1,999": (by_set.query("700 <= rows < 1999"), "log loss", 4),
        "          2,000": (by_set.query("rows >= 1999"), "log loss", 4),
        "          two classes": (by_set.query("classes == 2"), "log loss", 4),
        "          more classes": (by_set.query("classes > 2"), "log loss", 4),
    }
    for line, (of, figure, digits) in lines.items():
        if of.empty:
            continue
        estimate = of[f"estimate {figure}"]
        means = [estimate.mean(), *(of[f"{name} {figure}"].mean() for name in ("member", "ensemble"))]
        less = [with_error(of[f"{name} {figure}"] - estimate, digits) for name in ("member", "ensemble")]
        print(
            f"{line:24}{len(of):6}" + "".join(f"{mean:10.{digits}f}" for mean in means) + f"{less[0]:>20}{less[1]:>20}"
        )


def print_calibration(by_set):
    print(f"\n{'':16}{'log loss':>10}{'calibration error, %':>22}{'confidence less accuracy':>26}")
    for name in ("member at 1", "member", "ensemble at 1", "ensemble"):
        loss, error = by_set[f"{name} log loss"].mean(), by_set[f"{name} calibration error"].mean()
        print(f"{name:16}{loss:10.4f}{error:22.2f}{with_error(by_set[f'{name} boldness'], 2):>26}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--csv", type=Path, help="also write the figures of every fit to this file")
    arguments = parser.parse_args()
    print(versions())
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "batch_size=", UserWarning)  # of tables with fewer rows than that
        table = measure(arguments.sets, arguments.seeds)
    by_set = table.query("choice == 'default'").groupby("set").mean(numeric_only=True)
    print_choices(table)
    print_estimates(by_set)
    print_calibration(by_set)
    if arguments.csv:
        table.to_csv(arguments.csv, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
