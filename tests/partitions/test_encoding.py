"""Dask collections validated and encoded: the objective is that of the same rows in memory."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from partitioned import in_partitions, of_unknown_sizes
from scipy.sparse import csr_array, csr_matrix, random_array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
dd = pytest.importorskip("dask.dataframe")


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
