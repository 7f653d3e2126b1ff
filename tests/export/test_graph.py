"""Constants of a graph have the type that they are meant to have."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

from onnx import numpy_helper
from sklearn.datasets import load_iris

from skbp import BackpropClassifier
from skbp.onnx import to_onnx

X, y = load_iris(return_X_y=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_numbers_of_a_network_are_in_the_type_of_its_rows(dtype):
    clf = BackpropClassifier((5,), "mish", max_iter=2).fit(X, y)
    constants = [numpy_helper.to_array(one) for one in to_onnx(clf, X.astype(dtype)).graph.initializer]
    floats = [one for one in constants if one.dtype.kind == "f"]
    assert {one.dtype for one in floats} == {np.dtype(dtype)}
    assert {one.shape for one in floats} == {(), (4, 5), (5,), (5, 3), (3,)}
