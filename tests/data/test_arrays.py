"""Which library data belong to."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skbp._data.arrays import is_dask


@pytest.mark.parametrize("data", [np.zeros(3), pd.Series([1]), csr_array((2, 2)), [1, 2], None, SimpleNamespace()])
def test_other_data_are_not_of_dask(data):
    assert not is_dask(data)


def test_collections_of_dask():
    da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(pd.DataFrame({"a": [1, 2]}), npartitions=1)
    assert all(map(is_dask, (da.zeros(3), frame, frame["a"])))
