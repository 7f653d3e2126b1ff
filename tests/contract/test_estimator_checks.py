"""scikit-learn's estimator checks in many configurations of each class.

A check is excused only if it contradicts the algorithm, with the reason beside it. A skipped check is a failure.
"""

import math
from unittest import SkipTest

import pytest
from registries import ACTIVATIONS, SCHEDULES, SCIPY_SOLVERS, UPDATES
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skbp import BackpropClassifier, BackpropClassifierCV, HiddenFeatures

# The checks train for a few epochs on tiny data, so training does not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SAMPLE_WEIGHT_CHECKS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)
CLASS_WEIGHT_CHECK = "check_class_weight_classifiers"
FITS_TWICE_CHECKS = ("check_supervised_y_2d", "check_classifiers_multilabel_representation_invariance")

OTHER_BATCHES = "A row of weight 2 is in one mini-batch. The same row given twice is in two, so the steps differ."
OTHER_MASKS = (
    "Dropout draws the units to drop for each row: a row given twice gets two masks, a row of weight 2 gets one mask."
)
OTHER_SPLIT = "Rows of weight 0 and repeated rows change which rows the inner split holds out."
OTHER_FOLDS = "Rows of weight 0 and repeated rows change the folds."
ROUNDING = "The check asks for agreement to 1e-7, the rounding of float32. Sums in another order differ by more."
FITS_NOISE = (
    "The classes overlap almost wholly, and one class has 10^7 times the weight of the others. The check assumes that a "
    "model then predicts this class everywhere. A full batch that is fitted to convergence also fits single rows of the "
    "others."
)
PERFECT_AT_ONCE = (
    "Five rows are held out. With weights from 1000 to 0.0001 their accuracy is 1 up to 1e-6 as soon as the rows of the "
    "heavy class are right. No later epoch improves on that, so training stops long before the network predicts the heavy "
    "class everywhere, which the check assumes."
)
COUNTS_CLASSES_ALIKE = (
    "The macro F1 is not best for a network that predicts the heavy class everywhere, which the check assumes: every class "
    "counts the same, however light its rows are."
)
COUNTS_ROWS = "The learning rate falls with the number of rows: a row given twice counts twice, a row of weight 2 once."
CONTINUES = (
    "The check fits one estimator twice and expects equal predictions. A warm start continues from the first fit."
)

# Conjugate gradients in Newton's method stop at thresholds, and TNC takes differences of gradients.
DIFFERENT_SUMS = (
    "Weighted rows and repeated rows are summed in another order. The last bits of the sums decide how many inner "
    "iterations a step takes. 30 steps later the weights differ by more than the 1e-7 of the check."
)
AMPLIFIES_ROUNDING = dict.fromkeys(
    ["newton-cg", "trust-krylov", "tnc"], dict.fromkeys(SAMPLE_WEIGHT_CHECKS, DIFFERENT_SUMS)
)


def checks(configurations):
    """The parametrisation of scikit-learn for pairs of an estimator and its excused checks with their reasons."""
    excused = {repr(estimator): reasons for estimator, reasons in configurations}
    mark = parametrize_with_checks(
        [estimator for estimator, _ in configurations],
        expected_failed_checks=lambda estimator: excused[repr(estimator)],
    )
    # scikit-learn 1.6 makes the checks a generator, and pytest 9 warns about a generator.
    return pytest.mark.parametrize(mark.args[0], list(mark.args[1]), **mark.kwargs)


def assert_passes(check, estimator):
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"A check was skipped: {skipped}")


# BackpropClassifier

# Fewer and larger steps than by default: the same checks pass in a third of the time. Another test checks the defaults.
QUICK = {"max_iter": 30, "learning_rate_init": 0.01}
LBFGS = {"max_iter": 30, "solver": "lbfgs"}
TWO_LAYERS = {"hidden_layer_sizes": (20, 10), "activation": ["gelu", "tanh"], "alpha": [1e-2, 1e-3, 1e-4]}

CONFIGURATIONS = [
    *((QUICK | {"solver": solver}, {}) for solver in UPDATES),
    *(
        ({"solver": solver, "max_iter": 30, "hidden_layer_sizes": 10}, AMPLIFIES_ROUNDING.get(solver, {}))
        for solver in SCIPY_SOLVERS
    ),
    *((QUICK | {"activation": activation}, {}) for activation in ACTIVATIONS if activation != "relu"),  # the default
    ({"activation": "tanh"}, {CLASS_WEIGHT_CHECK: FITS_NOISE}),
    (QUICK | {"batch_size": 10}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_BATCHES)),
    (
        {"early_stopping": True},
        {**dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT), CLASS_WEIGHT_CHECK: PERFECT_AT_ONCE},
    ),
    ({"early_stopping": True, "solver": "lbfgs"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT)),
    (QUICK | {"warm_start": True}, dict.fromkeys(FITS_TWICE_CHECKS, CONTINUES)),
    ({"warm_start": True, "solver": "lbfgs", "hidden_layer_sizes": ()}, {}),
    ({"hidden_layer_sizes": (), "learning_rate_init": 0.01}, {}),
    ({"hidden_layer_sizes": (), "solver": "lbfgs"}, {}),
    (QUICK | {"class_weight": "balanced"}, {}),
    (LBFGS | {"class_weight": "balanced"}, {}),
    (QUICK | {"out_activation": "logistic"}, {}),
    (QUICK | {"out_activation": "softmax"}, {}),
    (QUICK | {"dtype": "float32"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, ROUNDING)),
    *(
        (QUICK | {"learning_rate": s}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, COUNTS_ROWS) if s == "invscaling" else {})
        for s in SCHEDULES
        if s != "constant"  # the default
    ),
    # A function of the module math has the same repr in every process, and the repr names the checks.
    (QUICK | {"learning_rate": math.cos, "warmup_fraction": 0.2}, {}),
    (QUICK | {"learning_rate": "one-cycle", "solver": "sgd"}, {}),
    (QUICK | {"dropout": 0.2}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_MASKS)),
    (QUICK | TWO_LAYERS, {}),
    (LBFGS | TWO_LAYERS, {}),
    (QUICK | {"weight_decay": 0.1}, {}),
    (QUICK | {"label_smoothing": 0.1}, {}),
    (LBFGS | {"label_smoothing": 0.1}, {}),
    (QUICK | {"max_grad_norm": 0.5}, {}),
    (QUICK | {"max_time": 60.0}, {}),
    (LBFGS | {"max_time": 60.0}, {}),
    (QUICK | {"early_stopping": True, "scoring": "loss"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT)),
    (
        QUICK | {"early_stopping": True, "scoring": "f1_macro"},
        {**dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT), CLASS_WEIGHT_CHECK: COUNTS_CLASSES_ALIKE},
    ),
    (LBFGS | {"early_stopping": True, "scoring": "loss"}, dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_SPLIT)),
]
# One check sets n_iter_no_change=20, which has no effect with SciPy's methods.
FILTERS = pytest.mark.filterwarnings(
    "ignore:batch_size=10 is larger than the number of rows",
    "ignore:n_iter_no_change=20 has no effect with solver=",
)


@checks([(BackpropClassifier(**params), excused) for params, excused in CONFIGURATIONS])
@FILTERS
def test_classifier_passes_check(estimator, check):
    assert_passes(check, estimator)


@FILTERS
def test_default_classifier_passes_every_check_with_none_excused_and_none_skipped():
    results = check_estimator(BackpropClassifier(), on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"} == {}
    assert len(results) >= 60


# BackpropClassifierCV

QUICK_ENSEMBLE = {"max_iter": 20, "hidden_layer_sizes": (20,), "n_repeats": 1}
ENSEMBLE_CONFIGURATIONS = [
    {"max_iter": 10},
    QUICK_ENSEMBLE | {"solver": "sgd", "learning_rate_init": 0.1},
    QUICK_ENSEMBLE | {"solver": "lbfgs"},
    QUICK_ENSEMBLE | {"solver": "newton-cg", "max_iter": 10},
    QUICK_ENSEMBLE | {"cv": 3, "dtype": None},
    QUICK_ENSEMBLE | {"dropout": 0.0, "label_smoothing": 0.0},
    QUICK_ENSEMBLE | {"class_weight": "balanced"},
    QUICK_ENSEMBLE | {"out_activation": "softmax"},
    QUICK_ENSEMBLE | {"out_activation": "logistic", "learning_rate": "cosine"},
    QUICK_ENSEMBLE | {"hidden_layer_sizes": (), "max_iter": 40},
    QUICK_ENSEMBLE | {"n_repeats": 2, "quantile_bins": 3, "scale": False},
]


@checks(
    [
        (BackpropClassifierCV(**params), dict.fromkeys(SAMPLE_WEIGHT_CHECKS, OTHER_FOLDS))
        for params in ENSEMBLE_CONFIGURATIONS
    ]
)
@pytest.mark.filterwarnings("ignore:cv=. asks for more folds than:UserWarning")
@pytest.mark.filterwarnings("ignore:quantile_bins=3 has no effect:UserWarning")
def test_ensemble_passes_check(estimator, check):
    assert_passes(check, estimator)


# HiddenFeatures


# The checks set the random state of the estimator but not that of the classifier within it.
@pytest.mark.parametrize(
    "classifier",
    [
        BackpropClassifier(6, random_state=0, **QUICK),
        BackpropClassifier((6, 4), ["gelu", "tanh"], random_state=0, **LBFGS),
    ],
    ids=["adam", "lbfgs, two layers"],
)
@FILTERS
def test_hidden_features_passes_every_check_with_none_excused_and_none_skipped(classifier):
    results = check_estimator(HiddenFeatures(classifier), on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"} == {}
    assert len(results) >= 45
    assert any(r["check_name"] == "check_transformer_general" for r in results)
