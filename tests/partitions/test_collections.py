"""Collections that fit together or do not."""

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from partitioned import in_partitions, of_unknown_sizes

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

dd = pytest.importorskip("dask.dataframe")


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
        (lambda X, y: (X, 1), "y is .*1.*must have a value for each row"),
        (lambda X, y: (X, y, da.ones(1, chunks=1).sum()), "sample_weight is a single number"),
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


def test_a_delayed_object_is_no_collection(make_data, learner):
    X, y = make_data()
    with pytest.raises(TypeError, match="X is a Dask Delayed"):
        learner().fit(dask.delayed(X), y)


def test_partitions_with_other_names_or_another_order_are_refused(make_data, learner):
    X, y = make_data(n_rows=60)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    swapped = dd.from_pandas(frame, npartitions=2).map_partitions(
        lambda part: part if part.index[0] else part[list("bacdef")], meta=frame.iloc[:0], enforce_metadata=False
    )
    with pytest.raises(ValueError, match="same in the same order"):
        learner().fit(swapped, dd.from_pandas(pd.Series(y), npartitions=2))
