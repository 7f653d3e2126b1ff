"""Collections that fit together or do not, and lazy predictions for them."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from partitioned import SIZES, in_partitions, of_unknown_sizes

from skbp import BackpropClassifierCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

dd = pytest.importorskip("dask.dataframe")


def assert_same(found, expected):
    """Labels are equal. Numbers may differ in the last bits, since products of fewer rows may round differently."""
    if expected.dtype.kind in "fc":
        assert_allclose(found, expected, rtol=1e-12)
    else:
        assert_array_equal(found, expected)


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
    assert_same(lazy.compute(), expected)
    assert sum(touched) == 210


def test_scores_and_float32(make_data, learner):
    X, y = make_data()
    clf = learner().fit(X, y)
    assert clf.score(in_partitions(X), in_partitions(y)) == clf.score(X, y)
    lazy = clf.predict_proba(in_partitions(X.astype(np.float32)))
    assert lazy.dtype == np.float32
    assert_allclose(lazy.compute(), clf.predict_proba(X.astype(np.float32)), rtol=1e-5)


def test_the_ensemble_predicts_for_collections_but_trains_in_memory(make_data):
    X, y = make_data()
    clf = BackpropClassifierCV(max_iter=2, random_state=0).fit(X, y)
    for method in ("predict", "predict_proba", "predict_proba_members"):
        lazy = getattr(clf, method)(in_partitions(X))
        assert_same(lazy.compute(), getattr(clf, method)(X))
        assert lazy.chunks[max(0, lazy.ndim - 2)] == SIZES
    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0, "high", "low")})
    clf.fit(frame, y)
    lazy = clf.predict_proba(dd.from_pandas(frame, npartitions=3))
    assert_same(lazy.compute(), clf.predict_proba(frame))
    with pytest.raises(ValueError, match=r"BackpropClassifierCV does not train on Dask.*X\.sample"):
        clf.fit(in_partitions(X), y)
