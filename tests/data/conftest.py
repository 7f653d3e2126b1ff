"""Labels that the tests of targets share."""

import numpy as np
import pytest

from skbp._data.targets import fit_binarizer, make_target, output_layer

LABELS = {
    "binary": np.array(["no", "yes", "yes", "no", "yes"]),
    "multiclass": np.array([7, 3, 11, 3, 7, 3]),
    "multilabel": np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 1]]),
    "one class": np.array([4, 4, 4]),
}


@pytest.fixture
def labels():
    """Labels of every kind, by its name."""
    return {kind: y.copy() for kind, y in LABELS.items()}


@pytest.fixture(scope="session")
def target_of():
    """A function from labels and an `out_activation` to their target."""

    def target_of(y, out_activation="auto"):
        binarizer = fit_binarizer(y)
        return make_target(binarizer, *output_layer(out_activation, binarizer))

    return target_of
