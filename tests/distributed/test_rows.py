"""Fits of Dask collections: the rows of all partitions count like the same rows in memory."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix, random_array
from sklearn.exceptions import ConvergenceWarning

from skbp import BackpropClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
dd = pytest.importorskip("dask.dataframe")

# Uneven partitions, one of them empty.
SIZES = (50, 0, 7, 100, 53)


def in_partitions(rows, sizes=SIZES):
    return da.from_array(rows, chunks=(sizes, *((n,) for n in rows.shape[1:])), asarray=False)


def of_unknown_sizes(collection):
    return collection[da.ones(len(collection), chunks=collection.chunks[0], dtype=bool)]


def assert_same_function(clf, X, y, dX, dy, weight=None, dweight=None):
    """Value, gradient and products with the Hessian are those of the rows in memory, up to rounding."""
    in_memory, summed = clf.objective(X, y, weight), clf.objective(dX, dy, dweight)
    rng = np.random.RandomState(1)
    theta = in_memory.theta0 + 0.3 * rng.randn(in_memory.theta0.size)
    v = rng.randn(theta.size)
    tolerance = 1e-5 if summed.theta0.dtype == np.float32 or X.dtype == np.float32 else 1e-12
    assert_array_equal(summed.theta0, in_memory.theta0)
    assert_allclose(summed.value(theta), in_memory.value(theta), rtol=tolerance)
    gradient, product = in_memory.gradient(theta), in_memory.hessp(theta, v)
    assert_allclose(summed.gradient(theta), gradient, rtol=0, atol=tolerance * np.abs(gradient).max())
    assert_allclose(summed.hessp(theta, v), product, rtol=0, atol=tolerance * np.abs(product).max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "strings", "multilabel"])
def test_value_gradient_and_products_are_those_of_the_rows_in_memory(kind, dtype, make_data, learner):
    X, y = make_data(kind)
    X = X.astype(dtype)
    assert_same_function(learner(solver="lbfgs"), X, y, in_partitions(X), in_partitions(y))


@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 0.5}])
@pytest.mark.parametrize("factor", [1.0, 1e-200, 1e200])
def test_weights_count_as_in_memory(factor, class_weight, hessian, make_data, learner):
    X, y = make_data()
    weight = factor * np.random.RandomState(3).uniform(0.0, 2.0, len(y))
    weight[50:57] = 0.0  # a whole partition
    clf = learner(class_weight=class_weight, alpha=0.1 * factor, hessian=hessian)
    assert_same_function(clf, X, y, in_partitions(X), in_partitions(y), weight, in_partitions(weight))
    assert_same_function(clf, X, y, in_partitions(X), y, weight, weight)


def test_sparse_blocks(make_data, learner):
    X = random_array((210, 30), density=0.1, format="csr", random_state=0)
    y = make_data()[1]
    blocks = in_partitions(X.toarray()).map_blocks(csr_matrix)
    clf = learner(solver="lbfgs")
    assert_same_function(clf, X, y, blocks, in_partitions(y))
    labels = csr_array(make_data("multilabel")[1])
    dlabels = in_partitions(labels.toarray()).map_blocks(csr_matrix)
    fitted = clf.fit(blocks, dlabels)
    assert_allclose(fitted.predict_proba(X), learner(solver="lbfgs").fit(X, labels).predict_proba(X), atol=1e-9)
    assert_array_equal(fitted.predict(blocks).compute().toarray(), fitted.predict(X).toarray())


def test_dense_and_sparse_partitions_together(make_data, learner):
    X, y = make_data()
    mixed = da.concatenate([in_partitions(X[:100], (100,)), in_partitions(X[100:], (110,)).map_blocks(csr_matrix)])
    assert_same_function(learner(), X, y, mixed, y)


def test_data_frames_give_names_and_unknown_sizes(make_data, learner):
    X, y = make_data("strings")
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(y=y, w=np.linspace(0.5, 2.0, len(y)))
    ddf = dd.from_pandas(frame, npartitions=3)
    clf = learner(solver="lbfgs").fit(ddf[list("abcdef")], ddf["y"], ddf["w"])
    same = learner(solver="lbfgs").fit(frame[list("abcdef")], frame["y"], frame["w"])
    assert_array_equal(clf.feature_names_in_, list("abcdef"))
    assert_array_equal(clf.classes_, ["no", "perhaps", "yes"])
    assert_allclose(clf.predict_proba(frame[list("abcdef")]), same.predict_proba(frame[list("abcdef")]), atol=1e-9)
    lazy = clf.predict_proba(ddf[list("abcdef")])
    assert np.isnan(lazy.chunks[0]).all()
    assert_array_equal(lazy.compute(), clf.predict_proba(frame[list("abcdef")]))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(ddf[list("abcdfe")]).compute()


def test_chunked_columns_and_other_chunks_of_y(make_data, learner):
    X, y = make_data()
    assert_same_function(learner(), X, y, da.from_array(X, chunks=(40, 2)), da.from_array(y, chunks=70))
    assert_same_function(learner(), X, y, of_unknown_sizes(in_partitions(X)), of_unknown_sizes(in_partitions(y)))
    assert_same_function(learner(), X, y, of_unknown_sizes(in_partitions(X)), in_partitions(y))


def test_a_class_in_a_single_partition(make_data, learner):
    X, y = make_data()
    order = np.argsort(y, kind="stable")
    assert_same_function(
        learner(class_weight="balanced"), X[order], y[order], in_partitions(X[order]), in_partitions(y[order])
    )


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"])
def test_every_full_batch_solver_reaches_the_minimum(solver, make_data):
    X, y = make_data()
    clf = BackpropClassifier((), solver=solver, alpha=5.0, max_iter=500, tol=1e-7, random_state=0)
    clf.fit(in_partitions(X), in_partitions(y))
    same = BackpropClassifier((), solver="lbfgs", alpha=5.0, max_iter=500, tol=1e-9, random_state=0).fit(X, y)
    assert_allclose(clf.predict_proba(X), same.predict_proba(X), atol=1e-4 if solver == "tnc" else 1e-5)
    assert clf.optimize_result_["success"]
    assert clf.optimize_result_["n_evaluations"] >= clf.n_iter_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_without_shuffling_mini_batches_are_those_in_memory(solver, make_data, learner):
    X, y = make_data()
    clf = learner(solver=solver, shuffle=False, batch_size=10, max_iter=4)
    whole = (50, 100, 60)  # multiples of batch_size
    fitted = clf.fit(in_partitions(X, whole), in_partitions(y, whole))
    same = learner(solver=solver, shuffle=False, batch_size=10, max_iter=4).fit(X, y)
    assert_allclose(fitted.coefs_[0], same.coefs_[0], rtol=1e-13)
    assert_allclose(fitted.loss_curve_, same.loss_curve_, rtol=1e-13)
    assert fitted.t_ == same.t_ == 4 * 210


def test_mini_batches_repeat_and_learn(make_data, learner):
    X, y = make_data()
    fits = [learner(max_iter=60, learning_rate_init=0.01).fit(in_partitions(X), in_partitions(y)) for _ in range(2)]
    assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert fits[0].loss_ < 0.7 * fits[0].loss_curve_[0]
    assert fits[0].score(X, y) > 0.7
    other = learner(max_iter=60, learning_rate_init=0.01, random_state=1).fit(in_partitions(X), in_partitions(y))
    assert np.abs(other.coefs_[0] - fits[0].coefs_[0]).max() > 1e-3


def test_each_epoch_shuffles_partitions_and_rows(make_data, learner):
    # Four identical rows in each partition: only the order of partitions matters, then only that of the rows.
    X, y = make_data(n_rows=12)
    once = [
        learner(batch_size=1, max_iter=1, random_state=seed).fit(in_partitions(X, (4, 4, 4)), y) for seed in range(3)
    ]
    losses = {clf.loss_ for clf in once}
    assert len(losses) == 3
    many = learner(batch_size=4, max_iter=30, learning_rate_init=1e-12).fit(in_partitions(X, (4, 4, 4)), y)
    # With no step to speak of, the mean over the rows of an epoch is always that of all rows.
    assert_allclose(many.loss_curve_, many.loss_curve_[0], rtol=1e-8)


def test_partial_fit_goes_on(make_data, learner):
    X, y = make_data()
    clf = learner(shuffle=False, batch_size=10)
    same = learner(shuffle=False, batch_size=10)
    whole = (50, 100, 60)
    for _ in range(3):
        clf.partial_fit(in_partitions(X, whole), in_partitions(y, whole), classes=[0, 1, 2])
        same.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(clf.coefs_[0], same.coefs_[0], rtol=1e-12)
    assert clf.t_ == 3 * 210
    clf.partial_fit(X[:20], y[:20])
    assert clf.t_ == 3 * 210 + 20


def test_a_warm_start_goes_on(make_data, learner):
    X, y = make_data()
    clf = learner(solver="lbfgs", warm_start=True, max_iter=3).fit(X, y)
    first = clf.loss_
    clf.fit(in_partitions(X), in_partitions(y))
    assert clf.loss_ < first
    assert len(clf.loss_curve_) == 6
    with pytest.raises(ValueError, match="same classes"):
        clf.fit(in_partitions(X), in_partitions(np.where(y == 2, 0, y)))


# Validation


def test_validation_rows_in_partitions_and_in_memory_give_the_same_curves(make_data, learner):
    X, y = make_data()
    X_val, y_val = make_data(n_rows=90)
    X_val, w_val = X_val + 0.1, np.linspace(0.0, 2.0, 90)
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": w_val}
    chunked = {name: da.from_array(values, chunks=(40, *values.shape[1:])) for name, values in given.items()}
    same = learner(solver="lbfgs", class_weight="balanced").fit(X, y, **given)
    for rows, labels, validation in [
        (in_partitions(X), in_partitions(y), given),
        (in_partitions(X), in_partitions(y), chunked),
        (X, y, chunked),
    ]:
        clf = learner(solver="lbfgs", class_weight="balanced").fit(rows, labels, **validation)
        assert_allclose(clf.validation_loss_curve_, same.validation_loss_curve_, rtol=1e-9)
        assert_allclose(clf.validation_scores_, same.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_early_stopping_holds_out_rows_of_every_partition(scoring, make_data, learner):
    X, y = make_data()
    clf = learner(early_stopping=True, scoring=scoring, max_iter=30, learning_rate_init=0.05)
    clf.fit(in_partitions(X), in_partitions(y))
    assert clf.t_ == clf.n_iter_ * (45 + 6 + 90 + 47)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    again = learner(early_stopping=True, scoring=scoring, max_iter=30, learning_rate_init=0.05)
    assert_array_equal(again.fit(in_partitions(X), in_partitions(y)).coefs_[0], clf.coefs_[0])


def test_a_scorer_takes_validation_rows_in_memory_only(make_data, learner):
    X, y = make_data()
    clf = learner(early_stopping=True, scoring="balanced_accuracy")
    with pytest.raises(ValueError, match=r"scoring takes all validation rows in memory.*scoring='loss'"):
        clf.fit(in_partitions(X), in_partitions(y))
    clf.fit(in_partitions(X), in_partitions(y), X_val=X[:50], y_val=y[:50])
    assert len(clf.validation_scores_) == clf.n_iter_


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:200]), "X has 210 rows and y has 200"),
        (lambda X, y: (X.compute(), y), "y is a Dask collection and X is not"),
        (lambda X, y: (of_unknown_sizes(X), y.compute()), "y lies in memory"),
        (lambda X, y: (of_unknown_sizes(X), y.rechunk(70)), "X has 5 partitions and y has 3"),
        (
            lambda X, y: (of_unknown_sizes(X), of_unknown_sizes(y.rechunk((49, 1, 7, 100, 53)))),
            r"A partition of X has \d+ rows",
        ),
        (lambda X, y: (da.where(X > 2.9, np.nan, X), y), "NaN"),
        (lambda X, y: (X, y + 0.5), "Unknown label type: continuous"),
        (lambda X, y: (X[:0], y[:0]), "X has no rows"),
    ],
)
def test_collections_that_do_not_fit_are_refused_with_a_remedy(change, message, make_data, learner):
    X, y = make_data()
    X[3, 2] = 3.0
    clf = learner().fit(X, y)
    before = clf.__dict__.copy()
    with pytest.raises(ValueError, match=message):
        clf.fit(*change(in_partitions(X), in_partitions(y)))
    assert clf.__dict__.keys() == before.keys()
    assert all(clf.__dict__[name] is value for name, value in before.items())


def test_other_collections_are_refused(make_data, learner):
    _, y = make_data()
    bag = pytest.importorskip("dask.bag").from_sequence(range(10))
    with pytest.raises(TypeError, match="X is a Dask Bag; give a Dask array or data frame"):
        learner().fit(bag, y)


def test_weights_that_are_all_zero_are_refused(make_data, learner):
    X, y = make_data()
    with pytest.raises(ValueError, match="sample_weight makes the weights of all rows zero"):
        learner().fit(in_partitions(X), in_partitions(y), in_partitions(np.zeros(210)))
    with pytest.raises(ValueError, match="Negative values in sample_weight"):
        learner().fit(in_partitions(X), in_partitions(y), in_partitions(np.full(210, -1.0)))


def test_nothing_of_dask_is_imported_without_a_collection():
    code = (
        "import sys, numpy as np; from skbp import BackpropClassifier as C; "
        "X = np.random.RandomState(0).randn(40, 3); C(max_iter=1).fit(X, X[:, 0] > 0).predict(X); "
        "assert not {'dask', 'distributed', 'skbp._distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


# What training shows and obeys


def test_training_is_watched_and_stopped_as_in_memory(make_data, learner, capsys):
    X, y = make_data()
    learner(solver="lbfgs", verbose=True).fit(in_partitions(X), in_partitions(y))
    assert "Iteration    5  loss" in capsys.readouterr().out
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clf = learner(solver="lbfgs", max_time=1e-9).fit(in_partitions(X), in_partitions(y))
    assert clf.n_iter_ == 1


def test_an_unscaled_table_gets_the_advice(make_data, learner):
    X, y = make_data()
    with pytest.warns(ConvergenceWarning, match="StandardScaler"):
        learner(solver="lbfgs").fit(in_partitions(1e4 * X), in_partitions(y))


# Predictions


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function", "hidden_features"]
)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "strings", "multilabel"])
def test_predictions_are_lazy_and_keep_the_chunks(kind, method, make_data, learner):
    X, y = make_data(kind)
    clf = learner(solver="lbfgs").fit(X, y)
    touched = []
    rows = in_partitions(X).map_blocks(lambda block: touched.append(len(block)) or block, meta=np.zeros((0, 6)))
    expected = getattr(clf, method)(X)
    lazy = getattr(clf, method)(rows)
    assert touched == []
    assert lazy.chunks[0] == SIZES
    assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
    clf.fit(-X, y)  # the lazy result is that of the classifier of its time
    assert_array_equal(lazy.compute(), expected)
    assert sum(touched) == 210


def test_scores_and_float32(make_data, learner):
    X, y = make_data()
    clf = learner().fit(X, y)
    assert clf.score(in_partitions(X), in_partitions(y)) == clf.score(X, y)
    lazy = clf.predict_proba(in_partitions(X.astype(np.float32)))
    assert lazy.dtype == np.float32
    assert_array_equal(lazy.compute(), clf.predict_proba(X.astype(np.float32)))
