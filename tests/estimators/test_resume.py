"""Training that is cut into calls is training in one piece, and a pickle holds what that takes, and no more."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits

from skbp import BackpropClassifier
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SCIPY_METHODS, SOLVERS
from skbp._training.updates import UPDATES

# Most tests train for a few epochs only: they are about what those epochs do and not about where they lead.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

every_update = pytest.mark.parametrize("solver", UPDATES)
N_EPOCHS = 9


def make_data(kind="multiclass", n=60, seed=0, dtype=np.float64):
    """Rows of four features and labels that a linear rule with noise gives them."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    scores = X[:, :3] + 0.7 * rng.normal(size=(n, 3))
    y = {"binary": (scores[:, 0] > 0).astype(int), "multiclass": scores.argmax(axis=1), "multilabel": scores > 0}[kind]
    return X.astype(dtype), y.astype(int)


def small(**params):
    common = {"hidden_layer_sizes": (6, 5), "max_iter": N_EPOCHS, "random_state": 0, "batch_size": 16}
    return BackpropClassifier(**{**common, "shuffle": False, **params})


def through_joblib(clf):
    file = io.BytesIO()
    joblib.dump(clf, file)
    file.seek(0)
    return joblib.load(file)


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
def test_n_calls_of_partial_fit_are_a_fit_of_n_epochs(option, between, solver):
    X, y = make_data()
    clf = small(solver=solver, **OPTIONS[option])
    whole = clone(clf).fit(X, y)
    assert whole.n_iter_ == N_EPOCHS  # else the comparison would stop short
    parts = partial_fits(clone(clf), X, y, N_EPOCHS, between)
    assert_same_training(parts, whole)


@every_update
@pytest.mark.parametrize("option", OPTIONS)
def test_the_options_compared_do_something(option, solver):
    X, y = make_data()
    assert small(solver=solver, **OPTIONS[option]).fit(X, y).loss_curve_ != small(solver=solver).fit(X, y).loss_curve_


@every_update
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("how", ["float32 data", "sparse", "weighted", "strings"])
def test_it_is_so_for_data_of_any_kind(how, kind, solver):
    X, y = make_data(kind, dtype=np.float32 if how == "float32 data" else np.float64)
    X = sp.csr_array(np.where(X > 0, X, 0.0)) if how == "sparse" else X
    if how == "strings" and kind != "multilabel":
        y = np.array(["one", "two", "three"])[y]
    weights = {"sample_weight": np.linspace(0.0, 2.0, 60)} if how == "weighted" else {}
    clf = small(solver=solver, learning_rate="linear", dropout=0.2)
    whole = clone(clf).fit(X, y, **weights)
    assert_same_training(partial_fits(clone(clf), X, y, N_EPOCHS, "pickle", **weights), whole)


@every_update
@pytest.mark.parametrize("pause", [1, 4, 8])
def test_a_fit_may_be_followed_by_calls_of_partial_fit(solver, pause):
    # The schedule must not end with the fit: constant goes on for ever.
    X, y = make_data()
    clf = small(solver=solver, dropout=0.2, weight_decay=0.1)
    whole = clone(clf).fit(X, y)
    clf.set_params(max_iter=pause).fit(X, y)
    assert_same_training(partial_fits(clf, X, y, N_EPOCHS - pause), whole)


@every_update
@pytest.mark.parametrize("between", BETWEEN)
def test_with_warm_start_a_fit_is_to_go_on_in_any_copy(between, solver):
    X, y = make_data()
    clf = small(solver=solver, warm_start=True, dropout=0.2, max_iter=3).fit(X, y)
    parts = partial_fits(BETWEEN[between](clf), X, y, N_EPOCHS - 3, between)
    assert_same_training(parts, clone(clf).set_params(max_iter=N_EPOCHS).fit(X, y))


@every_update
@pytest.mark.parametrize("between", BETWEEN)
def test_with_shuffling_successive_calls_draw_from_one_generator(between, solver):
    X, y = make_data()
    params = {"solver": solver, "shuffle": True, "dropout": 0.2, "learning_rate": "cosine"}
    together = partial_fits(small(**params), X, y, N_EPOCHS)
    assert_same_training(partial_fits(small(**params), X, y, N_EPOCHS, between), together)
    # Each call draws the next permutation: a fit draws them as permutations of permutations, which makes another path.
    assert together.loss_curve_[:1] == small(**params).fit(X, y).loss_curve_[:1]
    assert together.loss_curve_ != partial_fits(small(**params | {"shuffle": False}), X, y, N_EPOCHS).loss_curve_


@every_update
def test_a_generator_of_ones_own_travels_too(solver):
    X, y = make_data()
    params = {"solver": solver, "shuffle": True, "dropout": 0.2}
    plain = partial_fits(small(**params, random_state=np.random.RandomState(5)), X, y, 4)
    assert_same_training(partial_fits(small(**params, random_state=np.random.RandomState(5)), X, y, 4, "pickle"), plain)
    assert_same_training(partial_fits(small(**params, random_state=5), X, y, 4), plain)


@every_update
def test_what_a_copy_does_leaves_the_original_alone(solver):
    X, y = make_data()
    clf = partial_fits(small(solver=solver, dropout=0.2), X, y, 3)
    expected = partial_fits(BETWEEN["pickle"](clf), X, y, 3)
    for between in ("pickle", "joblib", "deepcopy"):
        partial_fits(BETWEEN[between](clf), X, y, 2)
    assert_same_training(partial_fits(clf, X, y, 3), expected)


@every_update
def test_a_failing_call_changes_nothing_of_what_the_next_one_goes_on_from(solver):
    X, y = make_data()
    clf, undisturbed = (partial_fits(small(solver=solver, dropout=0.2), X, y, 3) for _ in range(2))
    bad = X.copy()
    bad[-1, -1] = np.nan
    for arguments in [(bad, y), (X, y + 1), (X[:, :3], y), (X, y, -np.ones(60))]:
        with pytest.raises(ValueError, match=r"."):
            clf.partial_fit(*arguments)
    assert_same_training(partial_fits(clf, X, y, 3), partial_fits(undisturbed, X, y, 3))


@every_update
def test_fit_after_partial_fit_starts_from_nothing(solver):
    X, y = make_data()
    clf = partial_fits(small(solver=solver, learning_rate="cosine", dropout=0.2), X, y, 4)
    assert_same_training(clf.fit(X, y), clone(clf).fit(X, y))


@every_update
@pytest.mark.parametrize("between", BETWEEN)
def test_early_stopping_with_warm_start_holds_out_the_same_rows_after_a_pickle(between, solver):
    X, y = make_data(n=80)
    # At steps of nothing the score is that of the start on the rows held out: the same for the same rows.
    clf = small(solver=solver, warm_start=True, early_stopping=True, scoring="loss", learning_rate_init=1e-300)
    clf.set_params(validation_fraction=0.3, max_iter=1).fit(X, y)
    for _ in range(3):
        clf = BETWEEN[between](clf).fit(X, y)
    assert len(clf.validation_scores_) == 4
    assert len(set(clf.validation_scores_)) == 1
    assert clone(clf).set_params(random_state=1).fit(X, y).validation_scores_[0] != clf.validation_scores_[0]


# What is in a pickle


def digits_like():
    """64 features and 10 classes without a rule."""
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
    # The histories of all 200 epochs count too.
    clf = BackpropClassifier((100,), random_state=0, n_iter_no_change=1000, **SIZES[name]).fit(X, y)
    assert clf.n_iter_ == 200
    assert n_bytes_of_weights(clf) == 8 * (64 * 100 + 100 + 100 * 10 + 10)
    assert len(pickle.dumps(clf)) <= 1.1 * n_bytes_of_weights(clf)
    # The classifier itself loses nothing by it.
    learning_rate = clf.learning_rate_curve_[-1]
    clf.partial_fit(X, y)
    assert clf.t_ == 201 * 100
    assert clf.learning_rate_curve_[-1] <= learning_rate


@every_update
def test_it_is_so_with_early_stopping(solver):
    X, y = load_digits(return_X_y=True)
    clf = BackpropClassifier((100,), solver=solver, early_stopping=True, random_state=0).fit(X / 16, y)
    assert clf.n_iter_ > 10
    assert len(pickle.dumps(clf)) <= 1.1 * n_bytes_of_weights(clf)


@pytest.mark.parametrize("solver", SCIPY_METHODS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_it_is_so_with_every_method_of_scipy(solver, early_stopping):
    # BFGS and trust-krylov keep matrices with the square of so many elements as there are parameters: there they are few,
    # and what else there is in a pickle, names of parameters above all, is counted by itself.
    few = solver in {"bfgs", "trust-krylov"}
    clf = BackpropClassifier((5 if few else 100,), solver=solver, max_iter=5, random_state=0)
    clf.set_params(early_stopping=early_stopping).fit(*digits_like())
    room = 3000 if few else 0.1 * n_bytes_of_weights(clf)
    assert len(pickle.dumps(clf)) <= n_bytes_of_weights(clf) + room


@every_update
def test_it_is_larger_only_where_training_is_to_go_on(solver):
    X, y = digits_like()
    n_copies = {"adam": 3, "sgd": 2}[solver]  # the weights, and as many moments or a velocity
    clf = BackpropClassifier((100,), solver=solver, max_iter=3, random_state=0).fit(X, y)
    weights = n_bytes_of_weights(clf)
    assert len(pickle.dumps(clf)) < 1.1 * weights
    for going_on in (clone(clf).set_params(warm_start=True).fit(X, y), clone(clf).partial_fit(X, y, classes=range(10))):
        assert n_copies * weights < len(pickle.dumps(going_on)) < (n_copies + 0.2) * weights
    # It is chosen when it is pickled, and when training ended.
    assert len(pickle.dumps(clf.set_params(warm_start=True))) > n_copies * weights
    clf.set_params(warm_start=False).partial_fit(X, y)
    assert len(pickle.dumps(clf)) > n_copies * weights
    assert len(pickle.dumps(clf.fit(X, y))) < 1.1 * weights


def traces_of(array, data):
    """How many numbers of an array occur in the data, as float64 or float32."""
    return sum(number.tobytes() in data for number in [*np.ravel(array), *np.ravel(array).astype(np.float32)])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("how", ["fit", "early stopping", "own validation data", "warm start", "partial_fit"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_training_data_are_not_in_a_pickle(solver, how, sparse):
    if how == "partial_fit" and solver not in UPDATES:
        how = "fit"
    X, y = make_data()
    w = np.random.RandomState(7).uniform(0.5, 1.5, 60)
    X_val, y_val = make_data(n=30, seed=1)
    assert traces_of(X, pickle.dumps(X)) == X.size  # they would be found
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


def test_a_pickle_of_a_classifier_that_is_not_fitted_is_one():
    clf = BackpropClassifier((3,), dropout=0.5, learning_rate="cosine")
    assert pickle.loads(pickle.dumps(clf)).get_params() == clf.get_params()


@every_update
def test_what_training_needs_is_not_lost_where_only_a_copy_was_made(solver):
    X, y = make_data()
    clf, untouched = (small(solver=solver, dropout=0.2, max_iter=3).fit(X, y) for _ in range(2))
    pickle.dumps(clf), copy.copy(clf), copy.deepcopy(clf), clone(clf)
    clf.objective(X, y).value(clf.objective(X, y).theta0)
    assert_same_training(partial_fits(clf, X, y, 4), partial_fits(untouched, X, y, 4))


@every_update
def test_a_loaded_classifier_gives_no_warning_when_it_goes_on(solver):
    X, y = make_data()
    clf = pickle.loads(pickle.dumps(small(solver=solver, learning_rate="cosine").fit(X, y)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        partial_fits(clf, X, y, N_EPOCHS)  # a schedule from its start: the copy does not know where it was
    assert clf.learning_rate_curve_[N_EPOCHS:] == clf.learning_rate_curve_[:N_EPOCHS]
