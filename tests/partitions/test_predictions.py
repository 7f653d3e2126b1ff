"""Predictions for Dask collections are lazy, keep the chunks, and are those in memory."""

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


def test_frames_with_nullable_columns(make_data, learner):
    X, y = make_data(n_rows=60)
    frame = pd.DataFrame({"a": X[:, 0], "b": (10 * X[:, 1]).astype(int), "c": X[:, 2] > 0})
    nullable = dd.from_pandas(frame.astype({"a": "Float32", "b": "Int64", "c": "boolean"}), npartitions=2)
    clf = learner(solver="lbfgs").fit(frame.astype(float), y)
    assert_allclose(clf.predict_proba(nullable).compute(), clf.predict_proba(frame.astype(float)), rtol=1e-5)


def test_accuracy_of_frames_and_of_unknown_chunks(make_data, learner):
    X, y = make_data("strings")
    frame = pd.DataFrame(X, columns=list("abcdef"))
    clf = learner(solver="lbfgs").fit(frame, y)
    parts = dd.from_pandas(frame.assign(y=y, w=np.arange(210.0)), npartitions=3)
    X_parts = parts[list("abcdef")]
    assert clf.score(X_parts, parts["y"]) == pytest.approx(clf.score(frame, y), rel=1e-12)
    expected = clf.score(frame, y, np.arange(210.0))
    assert clf.score(X_parts, parts["y"], parts["w"]) == pytest.approx(expected, rel=1e-12)
    labels = make_data("multilabel")[1]
    several = learner(solver="lbfgs").fit(X, labels)
    unknown = of_unknown_sizes(in_partitions(X)), of_unknown_sizes(in_partitions(labels))
    assert several.score(*unknown) == pytest.approx(several.score(X, labels), rel=1e-12)


def test_rows_without_columns_are_refused(make_data, learner):
    X, y = make_data()
    with pytest.raises(ValueError, match="X has 1 dimension"):
        learner().fit(X, y).predict(in_partitions(X)[:, 0])
