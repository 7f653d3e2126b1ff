"""Several calls train like one call, and a pickle holds what further training needs and no more."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from copies import through_joblib
from numpy.testing import assert_array_equal
from registries import SCHEDULES, SCIPY_SOLVERS, SOLVERS, UPDATES
from sklearn.base import clone
from sklearn.datasets import load_digits
from toy_datasets import TARGETS, linear_rule

from skbp import BackpropClassifier

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

every_update = pytest.mark.parametrize("solver", UPDATES)
N_EPOCHS = 9


def small(**params):
    common = {"hidden_layer_sizes": (6, 5), "max_iter": N_EPOCHS, "random_state": 0, "batch_size": 16}
    return BackpropClassifier(**{**common, "shuffle": False, **params})


BETWEEN = {
    "nothing": lambda clf: clf,
    "pickle": lambda clf: pickle.loads(pickle.dumps(clf)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
}


def partial_fits(clf, X, y, n, between="nothing", **kwargs):
    for _ in range(n):
        clf.partial_fit(X, y, classes=np.unique(y) if y.ndim == 1 else range(y.shape[1]), **kwargs)
        clf = BETWEEN[between](clf)
    return clf


def assert_same_training(one, other):
    """Weights and curves are equal bit for bit."""
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    for name in ("loss_curve_", "learning_rate_curve_", "t_", "loss_", "best_loss_", "best_iter_"):
        assert getattr(one, name) == getattr(other, name)


def falling(p):
    return 1.0 - 0.5 * p * p


OPTIONS = {
    **{f"schedule {name}": {"learning_rate": name, "learning_rate_init": 0.05} for name in SCHEDULES},
    "schedule of one's own": {"learning_rate": falling, "learning_rate_init": 0.05},
    "warm-up": {"learning_rate": "cosine", "warmup_fraction": 0.4, "learning_rate_init": 0.05},
    "warm-up alone": {"warmup_fraction": 0.5, "learning_rate_init": 0.05},
    "dropout": {"dropout": [0.3, 0.1]},
    "weight decay": {"weight_decay": 0.1},
    "clipping": {"max_grad_norm": 0.2},
    "label smoothing": {"label_smoothing": 0.2},
    "balanced classes": {"class_weight": "balanced"},
    "alpha": {"alpha": [3.0, 0.0, 1.0]},
    "activations": {"activation": ["gelu", "selu"]},
    "float32": {"dtype": "float32"},
    "one batch": {"batch_size": 60},
    "stalls": {"learning_rate": "adaptive", "learning_rate_init": 0.05, "tol": 0.05, "n_iter_no_change": 1},
    "all at once": {
        "learning_rate": "one-cycle",
        "learning_rate_init": 0.05,
        "warmup_fraction": 0.2,
        "dropout": 0.2,
        "weight_decay": 0.05,
        "max_grad_norm": 0.5,
        "label_smoothing": 0.1,
        "class_weight": "balanced",
        "activation": ["mish", "tanh"],
        "alpha": [0.1, 0.2, 0.3],
        "dtype": "float32",
    },
}


@every_update
@pytest.mark.parametrize(
    ("option", "between"),
    [(option, between) for option in OPTIONS for between in ("nothing", "pickle")]
    + [("all at once", between) for between in BETWEEN if between not in ("nothing", "pickle")],
)
def test_n_calls_of_partial_fit_equal_a_fit_of_n_epochs(option, between, solver):
    X, y = linear_rule()
    clf = small(solver=solver, **OPTIONS[option])
    whole = clone(clf).fit(X, y)
    assert whole.n_iter_ == N_EPOCHS  # otherwise the comparison would end too early
    parts = partial_fits(clone(clf), X, y, N_EPOCHS, between)
    assert_same_training(parts, whole)


@every_update
@pytest.mark.parametrize("option", OPTIONS)
def test_the_compared_options_have_an_effect(option, solver):
    X, y = linear_rule()
    assert small(solver=solver, **OPTIONS[option]).fit(X, y).loss_curve_ != small(solver=solver).fit(X, y).loss_curve_


@every_update
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("how", ["float32 data", "sparse", "weighted", "strings"])
def test_n_calls_of_partial_fit_equal_a_fit_on_data_of_any_kind(how, kind, solver):
    X, y = linear_rule(kind, dtype=np.float32 if how == "float32 data" else np.float64)
    X = sp.csr_array(np.where(X > 0, X, 0.0)) if how == "sparse" else X
    if how == "strings" and kind != "multilabel":
        y = np.array(["one", "two", "three"])[y]
    weights = {"sample_weight": np.linspace(0.0, 2.0, 60)} if how == "weighted" else {}
    clf = small(solver=solver, learning_rate="linear", dropout=0.2)
    whole = clone(clf).fit(X, y, **weights)
    assert_same_training(partial_fits(clone(clf), X, y, N_EPOCHS, "pickle", **weights), whole)


@every_update
@pytest.mark.parametrize("pause", [1, 4, 8])
def test_partial_fit_continues_a_fit(solver, pause):
    # The schedule must not end with the fit. A constant one never ends.
    X, y = linear_rule()
    clf = small(solver=solver, dropout=0.2, weight_decay=0.1)
    whole = clone(clf).fit(X, y)
    clf.set_params(max_iter=pause).fit(X, y)
    assert_same_training(partial_fits(clf, X, y, N_EPOCHS - pause), whole)


@every_update
@pytest.mark.parametrize("between", BETWEEN)
def test_with_warm_start_every_copy_continues(between, solver):
    X, y = linear_rule()
    clf = small(solver=solver, warm_start=True, dropout=0.2, max_iter=3).fit(X, y)
    parts = partial_fits(BETWEEN[between](clf), X, y, N_EPOCHS - 3, between)
    assert_same_training(parts, clone(clf).set_params(max_iter=N_EPOCHS).fit(X, y))


@every_update
@pytest.mark.parametrize("between", BETWEEN)
def test_with_shuffling_successive_calls_draw_from_one_generator(between, solver):
    X, y = linear_rule()
    params = {"solver": solver, "shuffle": True, "dropout": 0.2, "learning_rate": "cosine"}
    together = partial_fits(small(**params), X, y, N_EPOCHS)
    assert_same_training(partial_fits(small(**params), X, y, N_EPOCHS, between), together)
    # Each call draws a new permutation. A fit permutes the last permutation, so it takes another path.
    assert together.loss_curve_[:1] == small(**params).fit(X, y).loss_curve_[:1]
    assert together.loss_curve_ != partial_fits(small(**params | {"shuffle": False}), X, y, N_EPOCHS).loss_curve_


@every_update
def test_a_generator_of_the_user_is_copied_too(solver):
    X, y = linear_rule()
    params = {"solver": solver, "shuffle": True, "dropout": 0.2}
    plain = partial_fits(small(**params, random_state=np.random.RandomState(5)), X, y, 4)
    assert_same_training(partial_fits(small(**params, random_state=np.random.RandomState(5)), X, y, 4, "pickle"), plain)
    assert_same_training(partial_fits(small(**params, random_state=5), X, y, 4), plain)


@every_update
def test_training_a_copy_does_not_change_the_original(solver):
    X, y = linear_rule()
    clf = partial_fits(small(solver=solver, dropout=0.2), X, y, 3)
    expected = partial_fits(BETWEEN["pickle"](clf), X, y, 3)
    for between in ("pickle", "joblib", "deepcopy"):
        partial_fits(BETWEEN[between](clf), X, y, 2)
    assert_same_training(partial_fits(clf, X, y, 3), expected)


@every_update
def test_a_failing_call_does_not_change_the_next_one(solver):
    X, y = linear_rule()
    clf, undisturbed = (partial_fits(small(solver=solver, dropout=0.2), X, y, 3) for _ in range(2))
    bad = X.copy()
    bad[-1, -1] = np.nan
    for arguments in [(bad, y), (X, y + 1), (X[:, :3], y), (X, y, -np.ones(60))]:
        with pytest.raises(ValueError, match=r"."):
            clf.partial_fit(*arguments)
    assert_same_training(partial_fits(clf, X, y, 3), partial_fits(undisturbed, X, y, 3))


@every_update
def test_fit_after_partial_fit_starts_again(solver):
    X, y = linear_rule()
    clf = partial_fits(small(solver=solver, learning_rate="cosine", dropout=0.2), X, y, 4)
    assert_same_training(clf.fit(X, y), clone(clf).fit(X, y))


@every_update
@pytest.mark.parametrize("between", BETWEEN)
def test_early_stopping_with_warm_start_holds_out_the_same_rows_after_a_pickle(between, solver):
    X, y = linear_rule(n_rows=80)
    # With steps of zero the score is that of the initial weights, so it is the same for the same held-out rows.
    clf = small(solver=solver, warm_start=True, early_stopping=True, scoring="loss", learning_rate_init=1e-300)
    clf.set_params(validation_fraction=0.3, max_iter=1).fit(X, y)
    for _ in range(3):
        clf = BETWEEN[between](clf).fit(X, y)
    assert len(clf.validation_scores_) == 4
    assert len(set(clf.validation_scores_)) == 1
    assert clone(clf).set_params(random_state=1).fit(X, y).validation_scores_[0] != clf.validation_scores_[0]


# What is in a pickle


def digits_like():
    """64 features and 10 random classes."""
    rng = np.random.RandomState(0)
    return rng.normal(size=(100, 64)), np.arange(100) % 10


def n_bytes_of_weights(clf):
    return sum(array.nbytes for array in clf.coefs_ + clf.intercepts_)


SIZES = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "dropout": {"dropout": 0.1, "weight_decay": 0.1, "learning_rate": "one-cycle"},
}


@pytest.mark.parametrize("name", SIZES)
def test_a_pickled_classifier_is_little_more_than_its_weights(name):
    X, y = digits_like()
    # The pickle also has the histories of all 200 epochs.
    clf = BackpropClassifier((100,), random_state=0, n_iter_no_change=1000, **SIZES[name]).fit(X, y)
    assert clf.n_iter_ == 200
    assert n_bytes_of_weights(clf) == 8 * (64 * 100 + 100 + 100 * 10 + 10)
    assert len(pickle.dumps(clf)) <= 1.1 * n_bytes_of_weights(clf)
    # Pickling does not change the classifier.
    learning_rate = clf.learning_rate_curve_[-1]
    clf.partial_fit(X, y)
    assert clf.t_ == 201 * 100
    assert clf.learning_rate_curve_[-1] <= learning_rate


@every_update
def test_a_pickle_with_early_stopping_is_little_more_than_the_weights(solver):
    X, y = load_digits(return_X_y=True)
    clf = BackpropClassifier((100,), solver=solver, early_stopping=True, random_state=0).fit(X / 16, y)
    assert clf.n_iter_ > 10
    assert len(pickle.dumps(clf)) <= 1.1 * n_bytes_of_weights(clf)


@pytest.mark.parametrize("solver", SCIPY_SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pickle_of_every_scipy_solver_is_little_more_than_the_weights(solver, early_stopping):
    # BFGS and trust-krylov keep square matrices of all parameters, so they get few parameters. The rest of the pickle,
    # mainly the names of the parameters, then counts separately.
    few = solver in {"bfgs", "trust-krylov"}
    clf = BackpropClassifier((5 if few else 100,), solver=solver, max_iter=5, random_state=0)
    clf.set_params(early_stopping=early_stopping).fit(*digits_like())
    room = 3000 if few else 0.1 * n_bytes_of_weights(clf)
    assert len(pickle.dumps(clf)) <= n_bytes_of_weights(clf) + room


@every_update
def test_a_pickle_is_larger_only_if_training_may_continue(solver):
    X, y = digits_like()
    n_copies = {"adam": 3, "sgd": 2}[solver]  # the weights, and as many moments or a velocity
    clf = BackpropClassifier((100,), solver=solver, max_iter=3, random_state=0).fit(X, y)
    weights = n_bytes_of_weights(clf)
    assert len(pickle.dumps(clf)) < 1.1 * weights
    for going_on in (clone(clf).set_params(warm_start=True).fit(X, y), clone(clf).partial_fit(X, y, classes=range(10))):
        assert n_copies * weights < len(pickle.dumps(going_on)) < (n_copies + 0.2) * weights
    # This depends on warm_start at the time of pickling and on the last call that trained.
    assert len(pickle.dumps(clf.set_params(warm_start=True))) > n_copies * weights
    clf.set_params(warm_start=False).partial_fit(X, y)
    assert len(pickle.dumps(clf)) > n_copies * weights
    assert len(pickle.dumps(clf.fit(X, y))) < 1.1 * weights


def traces_of(array, data):
    """The number of elements of an array that occur in the bytes, as float64 or float32."""
    return sum(number.tobytes() in data for number in [*np.ravel(array), *np.ravel(array).astype(np.float32)])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("how", ["fit", "early stopping", "own validation data", "warm start", "partial_fit"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_pickle_has_no_training_data(solver, how, sparse):
    if how == "partial_fit" and solver not in UPDATES:
        how = "fit"
    X, y = linear_rule()
    w = np.random.RandomState(7).uniform(0.5, 1.5, 60)
    X_val, y_val = linear_rule(n_rows=30, seed=1)
    assert traces_of(X, pickle.dumps(X)) == X.size  # the search finds them
    given = sp.csr_array(X) if sparse else X
    params = {"warm_start": how == "warm start", "early_stopping": how == "early stopping", "scoring": "loss"}
    if how not in {"early stopping", "own validation data"}:
        del params["scoring"]
    clf = BackpropClassifier((3,), solver=solver, max_iter=3, random_state=0, class_weight="balanced", **params)
    if how == "partial_fit":
        clf.partial_fit(given, y, w, classes=[0, 1, 2])
    elif how == "own validation data":
        clf.fit(given, y, w, X_val=X_val, y_val=y_val)
    else:
        clf.fit(given, y, w)
    for data in (pickle.dumps(clf), pickle.dumps(vars(clf))):
        assert traces_of(X, data) == traces_of(w, data) == traces_of(X_val, data) == 0
        assert y.tobytes() not in data
        assert traces_of(clf.coefs_[0], data) == clf.coefs_[0].size


def test_unpickling_restores_the_parameters_of_a_classifier_that_is_not_fitted():
    clf = BackpropClassifier((3,), dropout=0.5, learning_rate="cosine")
    assert pickle.loads(pickle.dumps(clf)).get_params() == clf.get_params()


@every_update
def test_copying_does_not_lose_what_training_needs(solver):
    X, y = linear_rule()
    clf, untouched = (small(solver=solver, dropout=0.2, max_iter=3).fit(X, y) for _ in range(2))
    pickle.dumps(clf), copy.copy(clf), copy.deepcopy(clf), clone(clf)
    clf.objective(X, y).value(clf.objective(X, y).theta0)
    assert_same_training(partial_fits(clf, X, y, 4), partial_fits(untouched, X, y, 4))


@every_update
def test_a_loaded_classifier_continues_without_a_warning(solver):
    X, y = linear_rule()
    clf = pickle.loads(pickle.dumps(small(solver=solver, learning_rate="cosine").fit(X, y)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        partial_fits(clf, X, y, N_EPOCHS)  # the copy starts the schedule again
    assert clf.learning_rate_curve_[N_EPOCHS:] == clf.learning_rate_curve_[:N_EPOCHS]
