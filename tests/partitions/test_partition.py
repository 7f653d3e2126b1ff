"""What a worker does with a partition."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skbp._data.rows import Rows

pytest.importorskip("dask", reason="dask is an extra")
partition = pytest.importorskip("skbp._distributed.partition")


def at_odd_address(array):
    """A copy that begins at an address that is no multiple of its item size."""
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    copy = memory.view(array.dtype).reshape(array.shape)
    copy[...] = array
    assert copy.flags.aligned == (array.itemsize == 1)
    return copy


@pytest.mark.parametrize("sparse", [False, True])
def test_the_bits_do_not_depend_on_where_the_arrays_begin(sparse, learner, make_data):
    X, y = make_data(n_rows=300)
    weight = np.random.RandomState(0).uniform(size=300)
    objective = learner(solver="newton-cg").objective(X, y, weight)
    network = partition.Network(objective._objective)
    theta, v = objective.theta0, np.random.RandomState(1).randn(objective.theta0.size)
    target = objective.target
    odd = at_odd_address(X)
    if sparse:
        X, odd = csr_array(X), csr_array(X)
        odd.data = at_odd_address(odd.data)
    plain = Rows(X, y, y, target, weight, n_units=8)
    moved = Rows(odd, y, y, at_odd_address(target), at_odd_address(weight), n_units=8)
    for rows in (plain, moved):
        rows.found = (
            *partition.value_and_gradient(rows, network, theta, 100.0),
            *partition.hessian_product(rows, network, theta, v, 100.0, False),
        )
    for one, other in zip(plain.found, moved.found, strict=True):
        assert_array_equal(one, other)


def test_counts_of_weights_of_any_size_add_up():
    parts = [([np.array([1.0, 0.5])], 10), ([np.array([1.0, 3.0])], 12), ([np.array([0.0, 1.0])], -2000)]
    (counts,), exponent = partition.merged_counts(parts)
    assert_array_equal(np.ldexp(counts, exponent), [2.0**10 + 2.0**12, 2.0**9 + 3 * 2.0**12])


def test_a_label_of_any_partition_and_several_labels_in_a_row_are_seen():
    first, second = np.array(["b", "b", "a"]), np.array(["c", "a"])
    assert set(partition._merged_labels([partition._some_rows(first), partition._some_rows(second)])) == {"a", "b", "c"}
    one_hot = np.eye(3, dtype=int)[[0, 1, 2, 0, 1]]
    several = np.vstack([one_hot, [[1, 1, 0]]])
    assert (
        partition._merged_labels([partition._some_rows(rows) for rows in (one_hot, several)]).sum(axis=1) == 2
    ).any()
    with pytest.raises(ValueError, match="y has labels of type"):
        partition._merged_labels([first, np.array([1, 2])])
