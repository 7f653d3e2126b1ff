"""Rows: batches have the right rows, targets, weights and sums, and copy no more than they must."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skbp._data.rows import Batch, Rows, chunks
from skbp._network.tape import CHUNK_ROWS, SPARSE_CHUNK_ELEMENTS

CONTAINERS = [np.asarray, sp.csr_array, sp.csr_matrix]
every_container = pytest.mark.parametrize("container", CONTAINERS)


def dense(X):
    return X.toarray() if sp.issparse(X) else X


def make_rows(n=10, container=np.asarray, weighted=True, n_units=4, **given):
    """Rows with a third of zeros. The labels are text, and the target of a row is its number."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, 3)) * (rng.uniform(size=(n, 3)) > 1 / 3)
    target = np.arange(n)
    weight = rng.uniform(0.5, 2.0, n) if weighted else None
    return Rows(container(X), target.astype(str), target % 3, target, weight, n_units=n_units, **given)


def assert_is(batches, rows, indices, total=None):
    """Assert that batches together have these rows, each with the sum of all weights."""
    assert all(isinstance(batch, Batch) for batch in batches)
    assert_array_equal(np.concatenate([batch.target for batch in batches]), rows.target[indices])
    assert_array_equal(np.concatenate([dense(batch.X) for batch in batches]), dense(rows.X)[indices])
    if rows.weight is None:
        assert {batch.weight for batch in batches} == {None}
        expected = float(len(indices))
    else:
        assert_array_equal(np.concatenate([batch.weight for batch in batches]), rows.weight[indices])
        expected = rows.weight[indices].sum()
    assert {type(batch.total) for batch in batches} == {float}
    assert_allclose([batch.total for batch in batches], expected, rtol=1e-15)


# One network


@every_container
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("indices", [slice(0, 10), slice(3, 7), np.array([4, 1, 9]), np.array([2])], ids=str)
def test_a_selection_has_its_rows_and_the_sum_of_their_weights(indices, weighted, container):
    rows = make_rows(container=container, weighted=weighted)
    (batch,) = batches = rows.take(indices)
    assert_is(batches, rows, np.arange(10)[indices])
    assert type(batch.X) is type(rows.X)


@every_container
def test_a_slice_shares_the_memory_of_the_data(container):
    rows = make_rows(container=container)
    (batch,) = rows.take(slice(2, 8))
    assert np.shares_memory(batch.target, rows.target)
    assert np.shares_memory(batch.weight, rows.weight)
    if rows.sparse:
        assert np.shares_memory(batch.X.data, rows.X.data)
        assert np.shares_memory(batch.X.indices, rows.X.indices)
    else:
        assert np.shares_memory(batch.X, rows.X)


@every_container
@pytest.mark.parametrize("indices", [slice(2, 5), np.array([2, 3, 4])], ids=str)
def test_a_selection_without_weight_has_no_batch(indices, container):
    rows = make_rows(container=container)
    rows.weight[2:5] = 0.0
    assert rows.take(indices) == []
    assert len(rows.take(slice(2, 6))) == 1


@every_container
@pytest.mark.parametrize("n", [2 * CHUNK_ROWS, 2 * CHUNK_ROWS + 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_rows_come_in_several_batches_with_one_total(weighted, n, container):
    # With this many units a chunk of sparse rows is no larger than one of dense rows.
    rows = make_rows(n, container, weighted, n_units=SPARSE_CHUNK_ELEMENTS // CHUNK_ROWS)
    order = np.random.RandomState(1).permutation(n)
    for batches, indices in [
        (rows.take(slice(0, n)), np.arange(n)),
        (rows.take(slice(5, n)), np.arange(5, n)),
        (rows.take(order), order),
        (rows.chunks(), np.arange(n)),
    ]:
        assert_is(batches, rows, indices)
        sizes = [len(batch.target) for batch in batches]
        assert sizes[:-1] == [CHUNK_ROWS] * (len(sizes) - 1)
        assert 0 < sizes[-1] <= CHUNK_ROWS


def test_sparse_chunks_are_larger_for_small_networks():
    n = 3 * CHUNK_ROWS
    assert len(make_rows(n, sp.csr_array, n_units=4).chunks()) == 1
    assert len(make_rows(n, sp.csr_array, n_units=10**6).chunks()) == 3
    assert len(make_rows(n, n_units=4).chunks()) == 3
    assert make_rows(n, sp.csr_array, n_units=4).rows_at_once == n
    assert make_rows(n, n_units=4).rows_at_once == CHUNK_ROWS
    assert make_rows(10).rows_at_once == 10


@every_container
def test_chunks_are_all_rows(container):
    rows = make_rows(container=container)
    assert_is(rows.chunks(), rows, np.arange(10))


@every_container
def test_one_batch_has_all_rows_however_many_they_are(container):
    rows = make_rows(2 * CHUNK_ROWS + 7, container, n_units=10**6)
    batch = rows.as_one_batch()
    assert_is([batch], rows, np.arange(2 * CHUNK_ROWS + 7))


@every_container
def test_features_are_the_rows_of_X(container):
    rows = make_rows(container=container)
    assert_array_equal(dense(rows.features(np.array([7, 0]))), dense(rows.X)[[7, 0]])
    assert len(rows) == 10
    assert rows.sparse == (container is not np.asarray)


@every_container
@pytest.mark.parametrize("weighted", [False, True])
def test_a_subset_is_a_data_set_of_its_own(weighted, container):
    rows = make_rows(container=container, weighted=weighted, weight_exponent=-3)
    indices = np.array([8, 2, 5])
    subset = rows.subset(indices)
    assert len(subset) == 3
    assert_array_equal(dense(subset.X), dense(rows.X)[indices])
    assert_array_equal(subset.y, rows.y[indices])
    assert_array_equal(subset.codes, rows.codes[indices])
    assert_is(subset.chunks(), rows, indices)
    assert (subset.weight_exponent, subset.n_units, subset.sets) == (-3, 4, None)
    before = dense(rows.X).copy()
    subset.target[:] = 0
    assert_array_equal(rows.target, np.arange(10))
    assert_array_equal(dense(rows.X), before)


@every_container
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [5, 3 * CHUNK_ROWS])
def test_the_norm_bounds_that_of_every_row(n, dtype, container):
    X = np.random.RandomState(0).normal(size=(n, 3)).astype(dtype)
    X[-1, 1] = -100.0  # the largest is negative and in the last chunk
    rows = Rows(container(X), None, None, np.zeros(n), None)
    assert rows.norm == pytest.approx(100.0 * 3**0.5, rel=1e-7)
    assert (np.linalg.norm(X, axis=1) <= rows.norm).all()


def test_the_norm_of_sparse_rows_of_zeros_is_zero():
    assert Rows(sp.csr_array((4, 3)), None, None, np.zeros(4), None).norm == 0.0


# Stacks


@every_container
@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_of_a_stack_has_rows_of_each_member(weighted, container):
    rows = make_rows(container=container, weighted=weighted)
    indices = np.array([[0, 3, 9], [9, 1, 0]])
    (batch,) = rows.take(indices)
    assert_array_equal([dense(X) for X in batch.X], dense(rows.X)[indices])
    assert isinstance(batch.X, list if rows.sparse else np.ndarray)
    assert_array_equal(batch.target, indices)
    if weighted:
        assert_array_equal(batch.weight, rows.weight[indices])
        assert_allclose(batch.total, rows.weight[indices].sum(axis=1), rtol=1e-15)
        assert batch.total.shape == (2,)
    else:
        assert batch.weight is None
        assert batch.total == 3.0


@every_container
def test_many_rows_of_a_stack_come_in_several_batches(container):
    n = 2 * CHUNK_ROWS + 7
    rows = make_rows(n, container, n_units=10**6)
    indices = np.stack([np.random.RandomState(seed).permutation(n) for seed in range(2)])
    batches = rows.take(indices)
    assert [batch.target.shape for batch in batches] == [(2, CHUNK_ROWS), (2, CHUNK_ROWS), (2, 7)]
    assert_array_equal(np.concatenate([batch.target for batch in batches], axis=1), indices)
    for batch in batches:
        assert_array_equal([dense(X) for X in batch.X], dense(rows.X)[batch.target])
        assert_allclose(batch.total, [rows.weight.sum()] * 2, rtol=1e-12)


def test_rows_for_members_are_the_same_rows_with_sets():
    rows = make_rows(weight_exponent=2)
    sets = [np.arange(5), np.arange(5, 10)]
    of_members = rows.for_members(sets)
    for name in ("X", "y", "codes", "target", "weight", "weight_exponent", "n_units"):
        assert getattr(of_members, name) is getattr(rows, name)
    assert of_members.sets is sets
    assert rows.sets is None


# Rows without targets


@every_container
@pytest.mark.parametrize("n", [1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS - 1])
def test_chunks_of_rows_follow_one_another(n, container):
    X = container(np.random.RandomState(0).normal(size=(n, 2)))
    slices, parts = zip(*chunks(X), strict=True)
    assert_array_equal(np.concatenate([np.arange(n)[chunk] for chunk in slices]), np.arange(n))
    assert_array_equal(np.concatenate([dense(part) for part in parts]), dense(X))
    assert max(part.shape[0] for part in parts) <= CHUNK_ROWS
    assert len(parts) == -(-n // CHUNK_ROWS)
