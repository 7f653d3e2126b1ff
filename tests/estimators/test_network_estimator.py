"""What both classifiers have in common: types, labels, weights, predictions, failures and parameters."""

import copy
import pickle
import tracemalloc
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_sample_weight

import skbp
from skbp import BackpropClassifier, BackpropClassifierCV
from skbp._network.tape import CHUNK_ROWS
from skbp._training.minibatch import MiniBatchSolver
from skbp._training.scipy_methods import SCIPY_METHODS
from skbp._training.scipy_solver import ScipySolver
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# Most tests train for a few epochs only, so they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOLDS = [(np.arange(30, 60), np.arange(30)), (np.arange(30), np.arange(30, 60))]
OF_CLASS = {BackpropClassifier: {}, BackpropClassifierCV: {"cv": FOLDS, "scale": False}}
BOTH = pytest.mark.parametrize("kind", OF_CLASS, ids=lambda kind: kind.__name__)
TARGETS = ["binary", "multiclass", "multilabel"]
SCIPY_SOLVERS = list(SCIPY_METHODS)
METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
# A stochastic solver, which puts X into C order, and another solver.
SOLVER_KINDS = ["adam", "lbfgs"]


def clusters(target="multiclass", n_rows=60):
    """Classes in clusters, from scikit-learn. A multilabel target has the signs of three features as labels."""
    X, y = make_classification(n_rows, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0)
    return X, {"binary": (y > 0).astype(int), "multiclass": y, "multilabel": (X[:, :3] > 0).astype(int)}[target]


def small(kind, **params):
    common = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0, "dtype": None}
    return kind(**{**common, **OF_CLASS[kind], **params})


def networks(clf):
    return clf.members_ if isinstance(clf, BackpropClassifierCV) else [clf]


def weights(clf):
    return [array for network in networks(clf) for array in network.coefs_ + network.intercepts_]


def assert_same_weights(one, other, **tolerance):
    for a, b in zip(weights(one), weights(other), strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, **{"rtol": 0.0, "atol": 0.0, **tolerance})


def refuse(clf, match, *args, method="fit", error=ValueError, **kwargs):
    with pytest.raises(error, match=match):
        getattr(clf, method)(*args, **kwargs)


# Types and memory


@BOTH
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix])
def test_sparse_data_give_the_weights_and_predictions_of_dense_data(kind, solver, container):
    X, y = clusters()
    X[np.abs(X) < 0.7] = 0.0
    dense, sparse = small(kind, solver=solver).fit(X, y), small(kind, solver=solver).fit(container(X), y)
    assert_same_weights(sparse, dense, rtol=1e-8, atol=1e-10)
    for method in METHODS:
        assert_allclose(getattr(dense, method)(container(X)), getattr(dense, method)(X), rtol=1e-10, atol=1e-12)


@BOTH
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_the_order_in_memory_makes_no_difference(kind, solver):
    X, y = clusters()
    expected = small(kind, solver=solver).fit(X, y)
    for other in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], np.hstack([X, X])[:, :5]):
        # The last bits of matrix products may differ.
        assert_same_weights(small(kind, solver=solver).fit(other, y), expected, rtol=1e-7, atol=1e-10)
        assert_allclose(expected.predict_proba(other), expected.predict_proba(X), rtol=1e-12)


@BOTH
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("given", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_training_computes_in_dtype_and_predictions_have_the_type_of_the_rows(kind, solver, given, dtype):
    X, y = clusters()
    X = (10.0 * X).astype(given)
    clf = small(kind, solver=solver, dtype=dtype).fit(X, y)
    expected = np.dtype(dtype or (np.float32 if given == np.float32 else np.float64))
    assert {array.dtype for array in weights(clf)} == {expected}
    for method in METHODS[1:]:
        assert getattr(clf, method)(X).dtype == (np.float32 if given == np.float32 else np.float64)
    assert_allclose(clf.predict_proba(X.astype(np.float32)), clf.predict_proba(X.astype(float)), atol=1e-4)


@BOTH
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_callers_data_are_never_changed(kind, solver, container):
    X, y = clusters()
    w = np.linspace(0.0, 2.0, 60)
    given = container(X), y, w
    before = pickle.dumps(given)
    small(kind, solver=solver, class_weight="balanced", shuffle=True).fit(*given)
    assert pickle.dumps(given) == before


@BOTH
@pytest.mark.parametrize("solver", SOLVER_KINDS)
def test_read_only_data_are_accepted(kind, solver):
    X, y = clusters()
    expected = small(kind, solver=solver).fit(X, y)
    for array in (X, y):
        array.flags.writeable = False
    assert_same_weights(small(kind, solver=solver).fit(X, y), expected)


# Labels


@BOTH
@pytest.mark.parametrize(
    "names", [["c", "a", "b"], [2.0, 7.0, -1.0], [10, 2, 5]], ids=["strings", "floats", "any integers"]
)
def test_labels_of_any_type_train_the_network_of_integer_labels(kind, names):
    X, y = clusters()
    order = np.argsort(np.argsort(names))
    named, coded = small(kind).fit(X, np.array(names)[y]), small(kind).fit(X, order[y])
    assert_array_equal(named.classes_, np.unique(names))
    assert_same_weights(named, coded)
    assert_array_equal(named.predict(X), np.unique(names)[coded.predict(X)])
    assert len(np.unique(coded.predict(X))) > 1


@BOTH
def test_a_column_of_labels_is_accepted_with_a_warning(kind):
    X, y = clusters()
    clf = small(kind)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"):
        clf.fit(X, y[:, None])
    assert_same_weights(clf, small(kind).fit(X, y))


@BOTH
@pytest.mark.parametrize("target", ["binary", "multilabel"])
def test_softmax_is_refused_for_multilabel_targets_and_the_tags_say_so(kind, target):
    X, y = clusters(target)
    clf = small(kind, out_activation="softmax")
    assert not get_tags(clf).classifier_tags.multi_label
    assert get_tags(small(kind)).classifier_tags.multi_label
    if target == "multilabel":
        refuse(clf, "out_activation='softmax' is for classes that exclude each other", X, y)
    else:
        assert clf.fit(X, y).n_outputs_ == 2


# Weights


@BOTH
@pytest.mark.parametrize("solver", SOLVERS)
def test_class_weights_are_sample_weights(kind, solver):
    X, y = clusters()
    # Without conjugate gradients tnc takes no differences of gradients, which amplify rounding.
    options = {"solver_options": {"maxCGit": 0}} if solver == "tnc" else {}
    by_class = small(kind, solver=solver, class_weight={0: 3.0, 2: 0.25}, **options).fit(X, y)
    by_row = small(kind, solver=solver, **options).fit(X, y, np.array([3.0, 1.0, 0.25])[y])
    assert_same_weights(by_class, by_row, rtol=1e-6, atol=1e-8)
    plain = small(kind, solver=solver, **options).fit(X, y)
    assert max(np.abs(a - b).max() for a, b in zip(weights(by_class), weights(plain), strict=True)) > 1e-4


@BOTH
@pytest.mark.parametrize("target", TARGETS)
def test_balanced_class_weights_are_those_of_scikit_learn(kind, target):
    X, y = clusters(target)
    balanced = small(kind, class_weight="balanced").fit(X, y)
    assert_same_weights(balanced, small(kind).fit(X, y, compute_sample_weight("balanced", y)), rtol=1e-7, atol=1e-9)


@BOTH
def test_balanced_class_weights_count_the_weights_of_rows_and_multiply_them(kind):
    X, y = clusters("binary")
    w = np.random.RandomState(0).uniform(0.5, 2.0, 60)
    totals = np.bincount(y, w)
    expected = small(kind).fit(X, y, w * (w.sum() / (2 * totals))[y])
    assert_same_weights(small(kind, class_weight="balanced").fit(X, y, w), expected, rtol=1e-7, atol=1e-9)


@BOTH
def test_class_weights_of_several_labels_multiply(kind):
    X, y = clusters("multilabel")
    tables = [{0: 1.0, 1: 2.0}, {0: 0.5}, {}]
    w = np.where(y[:, 0] == 1, 2.0, 1.0) * np.where(y[:, 1] == 0, 0.5, 1.0)
    assert_same_weights(small(kind, class_weight=tables).fit(X, y), small(kind).fit(X, y, w), rtol=1e-7, atol=1e-9)


@BOTH
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.full(60, -1.0), "Negative values in sample_weight, the least -1"),
        (np.r_[np.ones(59), np.nan], "sample_weight contains NaN"),
        (np.ones(59), r"sample_weight has the shape \(59,\); it must be \(60,\)"),
        (np.ones((60, 2)), r"sample_weight has the shape \(60, 2\)"),
        (np.zeros(60), "sample_weight makes the weights of all rows zero"),
    ],
    ids=["negative", "nan", "too few", "2-d", "all zero"],
)
def test_invalid_weights_are_refused(kind, weight, match):
    X, y = clusters()
    clf = small(kind, dtype="float32")
    refuse(clf, match, X, y, weight)
    assert not hasattr(clf, "classes_")
    assert_same_weights(clf.fit(X, y), small(kind, dtype="float32").fit(X, y))


# Rows to predict for


@BOTH
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_predicted_before_fit(kind, method):
    X, _ = clusters()
    refuse(small(kind), "is not fitted yet", X, method=method, error=NotFittedError)


@BOTH
@pytest.mark.parametrize("method", METHODS)
def test_predictions_for_arrays_and_lists_are_equal(kind, method):
    # An array of floats needs no conversion. A list is converted to one.
    X, y = clusters()
    predict = getattr(small(kind).fit(X, y), method)
    assert_array_equal(predict(X), predict(X.tolist()))
    assert_array_equal(predict(X[3:4]), predict(X[3:4].tolist()))


def as_named(y):
    return np.array(["one", "two and a half", "three"])[y]


@BOTH
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n_rows", [CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 77])
@pytest.mark.parametrize(
    ("target", "as_labels"),
    [
        ("binary", np.asarray),
        ("multiclass", np.asarray),
        ("multiclass", as_named),
        ("multiclass", lambda y: as_named(y).astype(object)),
        ("multilabel", np.asarray),
        ("multilabel", sp.csr_matrix),
        ("multilabel", sp.csr_array),
    ],
)
def test_predictions_for_many_rows_equal_those_for_few_rows(kind, method, container, n_rows, target, as_labels):
    X, y = clusters(target)
    predict = getattr(small(kind).fit(X, as_labels(y)), method)
    rows = np.random.RandomState(0).normal(size=(n_rows, X.shape[1]))
    many, parts = predict(container(rows)), [predict(container(rows[i : i + 500])) for i in range(0, n_rows, 500)]
    assert type(many) is type(parts[0])
    assert many.dtype == parts[0].dtype
    if sp.issparse(many):
        assert many.format == parts[0].format
        many, parts = many.toarray(), [part.toarray() for part in parts]
    if many.dtype.kind == "f":
        assert_allclose(many, np.concatenate(parts), rtol=1e-12, atol=1e-13)
    else:
        assert_array_equal(many, np.concatenate(parts))


@BOTH
@pytest.mark.parametrize("method", METHODS)
def test_the_working_memory_of_predictions_does_not_grow_with_the_rows(kind, method):
    X, y = clusters()
    predict, peak = getattr(small(kind).fit(X, y), method), {}
    for n_rows in (CHUNK_ROWS, 4 * CHUNK_ROWS, 16 * CHUNK_ROWS):
        rows = np.zeros((n_rows, X.shape[1]))
        tracemalloc.start()
        try:
            result = predict(rows)
            peak[n_rows] = tracemalloc.get_traced_memory()[1] - result.nbytes
        finally:
            tracemalloc.stop()
    assert peak[16 * CHUNK_ROWS] - peak[4 * CHUNK_ROWS] < CHUNK_ROWS


@BOTH
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_invalid_rows_are_refused_with_scikit_learns_messages(kind, method, dtype):
    X, y = clusters()
    clf = small(kind).fit(X, y)
    X = X.astype(dtype)
    for value, name in [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]:
        if kind is BackpropClassifierCV and name == "NaN":
            continue  # it fills gaps
        bad = X.copy()
        bad[4, 2] = value
        refuse(clf, f"Input X contains {name}", bad, method=method)
    bad[5, 2] = np.inf
    with np.errstate(invalid="ignore"):  # scikit-learn also sums up, and infinity minus infinity is nan
        refuse(clf, "Input X contains infinity", bad, method=method)
    refuse(clf, "X has 4 features", X[:, :4], method=method)
    refuse(clf, "Expected 2D array", X[0], method=method)
    refuse(clf, r"Found array with 0 sample\(s\)", X[:0], method=method)


@BOTH
def test_predictions_for_rows_with_an_overflowing_sum(kind):
    X, y = clusters()
    clf = small(kind, activation="tanh").fit(X, y)
    huge = np.full((3, 5), np.finfo(np.float32).max / 4.0, np.float32)
    with np.errstate(over="ignore"):
        assert np.isinf(huge.sum())
    assert_allclose(clf.predict_proba(huge).sum(axis=1), 1.0, rtol=1e-5)


@BOTH
def test_names_of_features_are_kept_and_other_names_refused(kind):
    X, y = clusters()
    frame = pd.DataFrame(X, columns=list("abcde"))
    clf = small(kind).fit(frame, y)
    for network in {id(n): n for n in [clf, *networks(clf)]}.values():
        assert_array_equal(network.feature_names_in_, list("abcde"))
        refuse(network, "The feature names should match", frame[list("edcba")], method="predict")
        for rows in (X, sp.csr_array(X)):
            # Members take the output of a transformer, which may have no names.
            named = pytest.warns(UserWarning, match="X does not have valid") if network is clf else nullcontext()
            with named:
                network.predict_proba(rows)
    assert_array_equal(clf.predict_proba(frame), small(kind).fit(X, y).predict_proba(X))
    clf.fit(X, y)
    for network in [clf, *networks(clf)]:
        assert not hasattr(network, "feature_names_in_")


# A failure loses nothing


def everything(clf):
    return pickle.dumps({name: value for name, value in sorted(vars(clf).items()) if name.endswith("_")})


class FailingSplits:
    """A splitter that raises a given error, such as an interrupt."""

    def __init__(self, error):
        self.error = error

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2

    def split(self, X, y=None, groups=None):
        raise self.error


@BOTH
@pytest.mark.parametrize("solver", SOLVER_KINDS)
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("failure", ["labels", "weights", "layers", "late"])
def test_a_failing_fit_leaves_the_estimator_as_it_was(kind, solver, trained, failure):
    X, y = clusters()
    clf = small(kind, solver=solver)
    if trained:
        clf.fit(X, y)
    params, before, predicted = clf.get_params(), everything(clf), clf.predict_proba(X) if trained else None
    names = set(vars(clf))
    other = np.vstack([X, X])[:, :4], np.r_[y, y + 1]
    if failure == "labels":
        refuse(clf, "Unknown label type", other[0], other[0][:, 0])
    elif failure == "weights":
        refuse(clf, "Negative values", *other, np.full(120, -1.0))
    elif failure == "layers":
        clf.set_params(activation=["tanh", "relu"])
        refuse(clf, "activation has 2 entries", *other)
    elif kind is BackpropClassifierCV:
        clf.set_params(cv=FailingSplits(KeyboardInterrupt()))
        refuse(clf, None, *other, error=KeyboardInterrupt)
    else:
        clf.set_params(early_stopping=True, scoring=lambda estimator, X, y: 1.0 / 0.0)
        refuse(clf, "division", *other, error=ZeroDivisionError)
    assert set(vars(clf)) == names
    assert everything(clf) == before
    clf.set_params(**params)
    if trained:
        assert_array_equal(clf.predict_proba(X), predicted)
    else:
        refuse(clf, "is not fitted yet", X, method="predict", error=NotFittedError)
    assert_same_weights(clf.fit(X, y), small(kind, solver=solver).fit(X, y))


@BOTH
def test_an_objective_that_is_never_finite_is_an_error_and_loses_nothing(kind):
    X, y = clusters()
    clf = small(kind, activation="identity").fit(X, y)
    before = everything(clf)
    clf.set_params(solver="sgd", learning_rate_init=1e200, batch_size=5, activation="identity")
    refuse(clf, r"non-finite objective in its first iteration.*lower learning_rate_init", X, y)
    assert everything(clf) == before


# Parameters


@BOTH
@pytest.mark.parametrize("solver", SOLVERS)
def test_defaults_give_no_warning_of_no_effect_with_any_solver(kind, solver):
    # Warnings are errors here, except for the ConvergenceWarning.
    X, y = clusters()
    clf = kind(hidden_layer_sizes=(3,), solver=solver, max_iter=2, **OF_CLASS[kind]).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


NOT_USED = {
    "batch_size": 7,
    "learning_rate": "linear",
    "learning_rate_init": 0.5,
    "shuffle": False,
    "momentum": 0.5,
    "nesterovs_momentum": False,
    "beta_1": 0.5,
    "beta_2": 0.5,
    "epsilon": 0.5,
    "weight_decay": 0.5,
    "max_grad_norm": 0.5,
    "warmup_fraction": 0.5,
    "max_fun": 5,
    "hessian": "exact",
    "solver_options": {},
}


@BOTH
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", NOT_USED)
def test_a_parameter_without_effect_is_named_and_changes_nothing(kind, solver, name):
    X, y = clusters()
    used = (
        {*MiniBatchSolver.parameters, *UPDATES[solver].parameters} if solver in UPDATES else {*ScipySolver.parameters}
    )
    if name == "hessian" and solver in SCIPY_METHODS and SCIPY_METHODS[solver].hessian:
        used.add("hessian")
    clf = small(kind, solver=solver, max_iter=2, **{name: NOT_USED[name]})
    if name in used:
        clf.fit(X, y)
        return
    with pytest.warns(UserWarning, match=f"^{name}=.* has no effect with solver='{solver}'") as caught:
        clf.fit(X, y)
    assert [w.filename for w in caught if "has no effect" in str(w.message)] == [__file__]
    assert_same_weights(clf, small(kind, solver=solver, max_iter=2).fit(X, y), rtol=1e-5, atol=1e-7)


@BOTH
@pytest.mark.parametrize("solver", SCIPY_SOLVERS)
def test_dropout_has_no_effect_without_mini_batches(kind, solver):
    X, y = clusters()
    with pytest.warns(skbp.UnusedParameterWarning, match=f"dropout=0.1 has no effect with solver='{solver}'"):
        small(kind, solver=solver, dropout=0.1, max_iter=1).fit(X, y)


@BOTH
@pytest.mark.parametrize("solver", SOLVERS)
def test_fit_changes_no_parameter(kind, solver):
    X, y = clusters()
    clf = small(kind, solver=solver, class_weight={0: 2.0}, max_time=60.0, alpha=[0.1, 0.2], activation=["tanh"])
    before = clf.get_params()
    values = copy.deepcopy(before)
    clf.fit(X, y)
    after = clf.get_params()
    assert all(after[name] is value for name, value in before.items())
    assert pickle.dumps(after) == pickle.dumps(values)
