"""
===============================================================
BackpropClassifier beside LogisticRegression and MLPClassifier
===============================================================

This example compares three classifiers on three data sets that scikit-learn ships. Each classifier follows a
``StandardScaler`` in a pipeline. A grid search on inner folds chooses its parameters, and outer folds, which the search
never saw, measure the result (nested cross-validation).

The networks search over ``hidden_layer_sizes`` and ``alpha``. Logistic regression, which is a network without hidden
layers, searches over ``C``, which is 1 / ``alpha``. ``BackpropClassifier`` and ``MLPClassifier`` get the same grid and
the same seed, so they end at the same weights: their accuracy and log loss agree, and only the time differs.

Run it with ``python examples/compare_with_logistic_regression.py``. It takes about a minute on two cores.
"""

# %%
# The classifiers
# ---------------
# ``alpha`` is divided by the number of rows, so its useful values are large: 1 is a weak penalty.
# ``learning_rate_init`` is ten times the default, and ``tol`` stops training when the loss is flat. Every fit on these
# data ends well before ``max_iter``.

from statistics import median

from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skbp import BackpropClassifier

ALPHAS = [0.1, 1.0, 10.0]
NETWORK = {"learning_rate_init": 0.01, "tol": 1e-3, "max_iter": 1000, "random_state": 0}
NETWORK_GRID = {"hidden_layer_sizes": [(16,), (64,)], "alpha": ALPHAS}

CLASSIFIERS = [
    (LogisticRegression(max_iter=1000), {"C": [1 / alpha for alpha in ALPHAS]}),
    (MLPClassifier(**NETWORK), NETWORK_GRID),
    (BackpropClassifier(**NETWORK), NETWORK_GRID),
]


# %%
# The measurement
# ---------------
# The search looks for the best log loss, which measures the probabilities and not only the labels. The fit time is the
# time of one fit of the chosen pipeline on the training part of an outer fold (``refit_time_``), not of the whole
# search. It is the median over the folds, each on one thread.


def measure(classifier, grid, X, y):
    """Mean and standard deviation over the outer folds of accuracy and log loss, and the median seconds of a fit."""
    name = type(classifier).__name__.lower()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier),
        {f"{name}__{parameter}": values for parameter, values in grid.items()},
        scoring="neg_log_loss",
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        n_jobs=2,
    )
    with threadpool_limits(limits=1):  # the search has two processes, one for each core
        outer = cross_validate(
            search,
            X,
            y,
            scoring=["accuracy", "neg_log_loss"],
            cv=StratifiedKFold(5, shuffle=True, random_state=1),
            return_estimator=True,
        )
    accuracy, log_loss = outer["test_accuracy"], -outer["test_neg_log_loss"]
    seconds = median(fold.refit_time_ for fold in outer["estimator"])
    return accuracy.mean(), accuracy.std(), log_loss.mean(), log_loss.std(), seconds


# %%
# The table
# ---------

print(f"{'data':<14} {'classifier':<19} {'accuracy':>15} {'log loss':>15} {'fit time':>9}")
for load in (load_breast_cancer, load_digits, load_wine):
    X, y = load(return_X_y=True)
    for classifier, grid in CLASSIFIERS:
        accuracy, accuracy_std, log_loss, log_loss_std, seconds = measure(classifier, grid, X, y)
        print(
            f"{load.__name__.removeprefix('load_'):<14} {type(classifier).__name__:<19} "
            f"{accuracy:.3f} +- {accuracy_std:.3f}  {log_loss:.3f} +- {log_loss_std:.3f} {seconds:>7.3f} s"
        )
print(
    "Mean +- standard deviation over 5 outer folds; fit time: one fit of the chosen pipeline, the median over the folds."
)
