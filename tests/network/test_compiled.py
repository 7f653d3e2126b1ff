"""The compiled core computes for activations and losses that it knows, and for no others."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbp import Activation, _core
from skbp._data.rows import Rows
from skbp._network.activations import ACTIVATIONS
from skbp._network.compiled import numbers_of
from skbp._network.losses import LOSSES, SoftmaxLoss
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters

pytestmark = pytest.mark.skipif(_core.BatchKernel is None, reason=f"no compiled core: {_core.why_absent}")


def network(dtype=np.float64, units=(4, 5, 3)):
    params = Parameters(units, np.dtype(dtype))
    params.vector[...] = np.random.default_rng(0).normal(size=params.vector.size)
    return params


def number_of(record, n_threads=1, dtype=np.float64):
    return numbers_of([record], np.dtype(dtype), n_threads)


def test_it_knows_all_our_activations():
    assert list(_core.ACTIVATIONS) == list(ACTIVATIONS)


@pytest.mark.parametrize("record", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_it_computes_for_our_activations(record):
    assert number_of(record) == [_core.ACTIVATIONS[record.name]]


def doubled(z, out):
    return np.multiply(z, 2.0, out=out)


def two(a, out):
    out.fill(2.0)
    return out


@pytest.mark.parametrize("name", ["doubled", "relu"])
def test_a_record_of_a_user_is_computed_by_numpy_whatever_its_name(name):
    record = Activation(doubled, two, name=name)
    assert number_of(record) is None
    params = network()
    rows = Rows(np.eye(4), None, None, np.array([0, 1, 2, 0]), None)
    values = []
    for n_threads in (0, 1):
        on = Objective(params, [record], LOSSES["softmax"], 0.0, n_threads=n_threads)
        values.append((on.value_and_gradient(rows.chunks()), on.gradient.vector.copy()))
    assert values[0][0] == values[1][0]
    assert_array_equal(values[0][1], values[1][1])


class Halved(SoftmaxLoss):
    """Half of the softmax loss."""

    def loss_gradient(self, logits, target, out):
        losses = super().loss_gradient(logits, target, out)
        out *= 0.5
        return 0.5 * losses


def test_a_loss_that_is_made_of_ours_is_computed_by_numpy():
    params = network()
    rows = Rows(np.eye(4), None, None, np.array([0, 1, 2, 0]), None)
    whole, half = (
        Objective(params, [ACTIVATIONS["tanh"]], loss, 0.0, n_threads=1) for loss in (SoftmaxLoss(), Halved())
    )
    assert half.value_and_gradient(rows.chunks()) == pytest.approx(0.5 * whole.value_and_gradient(rows.chunks()))
    assert_allclose(half.gradient.vector, 0.5 * whole.gradient.vector, rtol=1e-12)


def test_no_threads_and_other_types_mean_numpy():
    assert number_of(ACTIVATIONS["tanh"], n_threads=0) is None
    assert number_of(ACTIVATIONS["tanh"], dtype=np.longdouble) is None


def test_an_equal_record_is_ours():
    assert number_of(replace(ACTIVATIONS["tanh"])) == [_core.ACTIVATIONS["tanh"]]


def test_rows_that_are_refused_leave_no_trace():
    params, rng = network(), np.random.default_rng(1)
    rows, refused = (
        Rows(rng.normal(size=(6, 4)), None, None, target, None)
        for target in (np.arange(6) % 3, np.linspace(0.0, 2.0, 6))
    )
    on = Objective(params, [ACTIVATIONS["tanh"]], LOSSES["softmax"], 0.1, n_threads=1)
    value, gradient = on.value_and_gradient(rows.chunks()), on.gradient.vector.copy()
    with pytest.raises(TypeError, match="target of type float64"):
        on.value_and_gradient(refused.chunks())
    assert on.value_and_gradient(rows.chunks()) == value
    assert_array_equal(on.gradient.vector, gradient)
