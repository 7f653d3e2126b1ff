"""The compiled core computes what NumPy's code computes, for every division of a batch into shares and threads."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from skbp import _core
from skbp._data.rows import Rows
from skbp._network.activations import ACTIVATIONS
from skbp._network.dropout import Dropout
from skbp._network.equations import forward
from skbp._network.losses import LOSSES
from skbp._network.objective import Objective
from skbp._network.parameters import Parameters
from skbp._network.tape import Tape

pytestmark = pytest.mark.skipif(_core.BatchKernel is None, reason=f"no compiled core: {_core.why_absent}")

# Relative to the largest element.
TOLERANCES = {np.float32: 1e-6, np.float64: 1e-14}
N_ROWS = 400
OUTPUTS = {"softmax": 5, "logistic": 4, "binary": 1}


def numbers(names):
    return [_core.ACTIVATIONS[name] for name in names]


class Case:
    """Random data, a random network, and its objective in NumPy."""

    def __init__(
        self,
        dtype=np.float64,
        members=(),
        *,
        output="softmax",
        activations=("tanh", "relu"),
        weighted=True,
        alpha=0.1,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        k = OUTPUTS[output]
        loss = LOSSES["softmax" if output == "softmax" else "logistic"]
        self.X = rng.normal(size=(N_ROWS, 7)).astype(dtype)
        self.target = loss.target(rng.integers(k, size=N_ROWS) if k == 5 else rng.integers(2, size=(N_ROWS, k)), k)
        self.weight = rng.uniform(size=N_ROWS) if weighted else None
        self.params = Parameters((7, 9, 6, k), np.dtype(dtype), members)
        self.params.vector[...] = rng.normal(size=self.params.vector.shape)
        self.indices = (
            np.stack([rng.permutation(N_ROWS)[:150] for _ in range(*members)])
            if members
            else rng.permutation(N_ROWS)[:150]
        )
        self.records = [ACTIVATIONS[name] for name in activations]
        self.loss = replace(loss, label_smoothing=0.1)
        self.alpha, self.dtype = [alpha] * 3, dtype

    @property
    def rows(self):
        return Rows(self.X, None, None, self.target, self.weight)

    def expected(self, indices=None, dropout=None):
        """Value and gradient by NumPy."""
        on = Objective(self.params, self.records, self.loss, self.alpha, dropout)
        (batch,) = self.rows.take(self.indices if indices is None else indices)
        return on.value_and_gradient([batch]), on.gradient.vector, batch.total

    def kernel(self, n_threads=1, least_share=2.0**18, drops=(), X=None):
        """A kernel for all rows, and the gradient that it writes."""
        params, gradient = self.params, self.params.like()
        gradient.vector[...] = np.nan  # an element that is not written shows
        kernel = _core.BatchKernel(
            params.weights,
            params.biases,
            numbers(record.name for record in self.records),
            softmax=self.loss.exclusive,
            label_smoothing=self.loss.label_smoothing,
            alpha=self.alpha,
            most_strength=1e9,
            n_threads=n_threads,
            least_share=least_share,
        )
        kernel.write_gradient_to(gradient.weights, gradient.biases)
        keeps_z = [record.needs_z for record in self.records]
        kernel.use_tape(Tape(N_ROWS, params.units, params.vector.dtype, "backward", keeps_z, drops, params.members))
        kernel.use_rows(self.X if X is None else X, self.target, self.weight)
        return kernel, gradient.vector


def assert_close(ours, theirs, dtype):
    for one, other in zip(ours, theirs, strict=True):
        assert_allclose(one, other, rtol=0, atol=TOLERANCES[dtype] * np.abs(other).max())


every_dtype = pytest.mark.parametrize("dtype", TOLERANCES, ids=lambda dtype: dtype.__name__)


@every_dtype
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("members", [(), (1,), (3,), (4,)], ids=str)
@pytest.mark.parametrize(("n_threads", "least_share"), [(1, 1.0), (2, 1.0), (3, 1.0), (2, 2000.0), (7, 1.0)])
def test_value_and_gradient_are_those_of_numpy(n_threads, least_share, members, output, weighted, dtype):
    case = Case(dtype, members, output=output, weighted=weighted)
    value, gradient, total = case.expected()
    kernel, ours = case.kernel(n_threads, least_share)
    assert_close((kernel.value_and_gradient(case.indices, total), ours), (value, gradient), dtype)


@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_all_activations_have_the_gradient_of_numpy(n_threads, activation, dtype):
    case = Case(dtype, activations=(activation, activation))
    value, gradient, total = case.expected()
    kernel, ours = case.kernel(n_threads, 1.0)
    assert_close((kernel.value_and_gradient(case.indices, total), ours), (value, gradient), dtype)


@pytest.mark.parametrize("indices", [slice(0, N_ROWS), slice(17, 200), slice(5, 6)], ids=str)
@pytest.mark.parametrize("order", ["C", "F", "every second column", "last row first", "unaligned", "read-only"])
def test_rows_may_lie_anywhere(indices, order):
    case = Case()
    value, gradient, total = case.expected(indices)
    X = np.asarray(case.X, order="F") if order == "F" else case.X
    if order == "every second column":
        X = np.repeat(case.X, 2, axis=1)[:, ::2]
    elif order == "last row first":
        X = case.X[::-1].copy()[::-1]
    elif order == "unaligned":
        X = np.zeros(case.X.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(case.X.shape)
        X[...] = case.X
    elif order == "read-only":
        X.flags.writeable = False
    kernel, ours = case.kernel(2, 1.0, X=X)
    assert_close((kernel.value_and_gradient(indices, total), ours), (value, gradient), np.float64)
    taken = np.arange(indices.start, indices.stop)
    assert_close((kernel.value_and_gradient(taken, total), ours), (value, gradient), np.float64)


@pytest.mark.parametrize("strides", [(0, 8), (8, 8), (-8, 8), (3, 8)])
def test_the_steps_of_a_single_row_mean_nothing(strides):
    case = Case(weighted=False)
    value, gradient, total = case.expected(slice(3, 4))
    X = np.lib.stride_tricks.as_strided(case.X[3].copy(), (1, 7), strides)
    kernel, ours = case.kernel()
    kernel.use_rows(X, case.target[3:4], None)
    assert_close((kernel.value_and_gradient(slice(0, 1), total), ours), (value, gradient), np.float64)


def test_all_rows_may_be_the_same_memory():
    case = Case(weighted=False)
    X = case.X.copy()
    X[...] = X[0]
    case.X = X
    value, gradient, total = case.expected(slice(0, 50))
    kernel, ours = case.kernel(2, 1.0, X=np.broadcast_to(X[0], X.shape))
    assert_close((kernel.value_and_gradient(slice(0, 50), total), ours), (value, gradient), np.float64)


@pytest.mark.parametrize(
    "change", [np.int32, np.uint16, lambda indices: np.repeat(indices, 2)[::2]], ids=["int32", "uint16", "strided"]
)
def test_indices_may_have_any_integer_type_and_stride(change):
    case = Case()
    value, gradient, total = case.expected()
    kernel, ours = case.kernel()
    assert_close((kernel.value_and_gradient(change(case.indices), total), ours), (value, gradient), np.float64)


@pytest.mark.parametrize("target_type", [np.uint8, np.uint16, np.uint32, np.int64])
def test_classes_may_have_any_integer_type(target_type):
    case = Case()
    value, gradient, total = case.expected()
    case.target = case.target.astype(target_type)
    kernel, ours = case.kernel()
    assert_close((kernel.value_and_gradient(case.indices, total), ours), (value, gradient), np.float64)


@every_dtype
@pytest.mark.parametrize("members", [(), (3,)], ids=str)
@pytest.mark.parametrize("index_type", [np.int32, np.int64])
@pytest.mark.parametrize("container", [csr_array, csr_matrix])
@pytest.mark.parametrize(("n_threads", "least_share"), [(1, 1.0), (3, 1.0)])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_sparse_rows_have_the_gradient_of_dense_ones(
    alpha, n_threads, least_share, container, index_type, members, dtype
):
    case = Case(dtype, members, alpha=alpha)
    case.X *= case.X > 0.7
    case.X[:, 2] = 0.0
    value, gradient, total = case.expected()
    X = container(case.X)
    X.indptr, X.indices = X.indptr.astype(index_type), X.indices.astype(index_type)
    kernel, ours = case.kernel(n_threads, least_share, X=X)
    assert_close((kernel.value_and_gradient(case.indices, total), ours), (value, gradient), dtype)
    parts = [case.indices[..., :40], case.indices[..., 40:]]
    kernel, ours = case.kernel(n_threads, least_share, X=X)
    value_of_parts = sum(kernel.value_and_gradient(part, total, k > 0) for k, part in enumerate(parts))
    assert_close((value_of_parts, ours), (value, gradient), dtype)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_only_the_features_that_occur_are_written_if_they_are_few(n_threads):
    case = Case(alpha=0.0)
    case.X[:, [2, 5]] = 0.0
    value, gradient, total = case.expected()
    kernel, ours = case.kernel(n_threads, 1.0, X=csr_array(case.X))
    assert_close([kernel.value_and_gradient(case.indices, total, False, True)], [value], np.float64)
    first = ours[: 7 * 9].reshape(7, 9)
    assert np.isnan(first[[2, 5]]).all()
    first[[2, 5]] = 0.0
    assert_close([ours], [gradient], np.float64)


@pytest.mark.parametrize("types", [(np.int32, np.int64), (np.int64, np.int32), (np.uint16, np.uint16)], ids=str)
def test_indices_of_sparse_rows_may_have_any_types(types):
    case = Case()
    case.X *= case.X > 0.7
    value, gradient, total = case.expected()
    X = csr_array(case.X)
    X.indptr, X.indices = X.indptr.astype(types[0]), np.repeat(X.indices.astype(types[1]), 2)[::2]
    kernel, ours = case.kernel(X=X)
    assert_close((kernel.value_and_gradient(case.indices, total), ours), (value, gradient), np.float64)


def test_sparse_rows_that_do_not_fit_are_refused():
    case = Case()
    kernel, _ = case.kernel()
    for X in (csr_array(case.X[:, :3]), csr_array(case.X.astype(np.float32)), csr_array(case.X).tocsc()):
        with pytest.raises(ValueError, match="sparse X"):
            kernel.use_rows(X, case.target, None)


@pytest.mark.parametrize("members", [(), (2,)], ids=str)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_dropout_has_the_factors_on_the_tape(n_threads, members):
    case = Case(members=members)
    rngs = [np.random.RandomState(seed) for seed in range(max(1, *members, 1))]
    value, gradient, _ = case.expected(dropout=Dropout([0.5, 0.2], rngs))
    rngs = [np.random.RandomState(seed) for seed in range(max(1, *members, 1))]
    on = Objective(case.params, case.records, case.loss, case.alpha, Dropout([0.5, 0.2], rngs), n_threads=n_threads)
    assert_close(
        (on.value_and_gradient(case.rows.take(case.indices)), on.gradient.vector), (value, gradient), np.float64
    )


def test_further_batches_of_a_step_add_up():
    case = Case()
    value, gradient, total = case.expected(slice(0, N_ROWS))
    kernel, ours = case.kernel(2, 1.0)
    parts = [slice(0, 100), slice(100, 350), slice(350, N_ROWS)]
    ours_value = sum(kernel.value_and_gradient(part, total, k > 0) for k, part in enumerate(parts))
    assert_close((ours_value, ours), (value, gradient), np.float64)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_repeat_bit_for_bit_with_the_same_number_of_threads(n_threads):
    case = Case(np.float32)
    total = case.weight[case.indices].sum()
    kernel, gradient = case.kernel(n_threads, 1.0)
    first = kernel.value_and_gradient(case.indices, total)
    first_gradient = gradient.copy()
    for _ in range(50):
        other, other_gradient = case.kernel(n_threads, 1.0)
        assert other.value_and_gradient(case.indices, total) == first
        assert_array_equal(other_gradient, first_gradient)


@pytest.mark.parametrize("members", [(), (2,)], ids=str)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_losses_of_rows_are_those_of_numpy(n_threads, members):
    case = Case(members=members)
    on = Objective(case.params, case.records, case.loss, case.alpha)
    expected = on.row_losses(case.rows.take(case.indices))
    kernel, _ = case.kernel(n_threads, 1.0)
    assert_close([kernel.row_losses(case.indices)], [expected], np.float64)


@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_agree_to_the_last_bits(activation, dtype):
    # The matrices are those of the identity, so that products are exact.
    finite = np.concatenate([np.linspace(-50.0, 50.0, 3001), [0.0, -0.0, 1e-30, -1e-30, 1e4, -1e4]]).astype(dtype)
    X = finite[: len(finite) // 3 * 3].reshape(-1, 3)
    params = Parameters((3, 3, 3), np.dtype(dtype))
    params.vector[...] = 0.0
    for weight in params.weights:
        weight[...] = np.eye(3)
    tape = Tape(len(X), params.units, np.dtype(dtype), "forward")
    expected = forward(params.weights, params.biases, [ACTIVATIONS[activation]], X, tape)
    logits = _core.forward(params.weights, params.biases, numbers([activation]), X, 1)
    # Blocks of other sizes may end in another instruction, which may round differently.
    assert_allclose(logits, expected, rtol=2 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@every_dtype
@pytest.mark.parametrize("hidden", [(), (9,), (9, 600, 5)], ids=str)
@pytest.mark.parametrize("n_rows", [0, 1, 2, 1000, 2000])
@pytest.mark.parametrize("order", ["C", "F", "sparse"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_logits_are_those_of_numpy(n_threads, order, n_rows, hidden, dtype):
    rng = np.random.default_rng(0)
    params = Parameters((7, *hidden, 3), np.dtype(dtype))
    params.vector[...] = rng.normal(size=params.vector.size)
    X = np.asarray(rng.normal(size=(n_rows, 7)), dtype, order="F" if order == "F" else "C")
    if order == "sparse":
        X = csr_array(X * (X > 0.0))
    names = ["gelu", "tanh", "relu"][: len(hidden)]
    tape = Tape(n_rows, params.units, np.dtype(dtype), "forward")
    expected = forward(params.weights, params.biases, [ACTIVATIONS[name] for name in names], X, tape)
    logits = _core.forward(params.weights, params.biases, numbers(names), X, n_threads)
    assert logits.shape == (n_rows, 3)
    assert_allclose(logits, expected, rtol=0, atol=TOLERANCES[dtype] * np.abs(expected).max(initial=0.0))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_numbers_that_are_not_finite_show(activation, bad):
    case = Case(activations=(activation, activation))
    case.params.weights[0][0, 0] = bad
    weights, biases = case.params.weights, case.params.biases
    assert _core.forward(weights, biases, numbers([activation] * 2), case.X, 2) is None
    kernel, _ = case.kernel()
    total = case.weight[:100].sum()
    value = kernel.value_and_gradient(slice(0, 100), total)
    with np.errstate(all="ignore"):
        expected = case.expected(slice(0, 100))[0]
    assert np.isfinite(value) == np.isfinite(expected)


def test_a_batch_that_is_too_large_is_refused():
    case = Case()
    kernel, _ = case.kernel()
    with pytest.raises(ValueError, match="401 rows for a tape of 400"):
        kernel.row_losses(np.zeros(401, dtype=int))


def networks_that_do_not_fit():
    """By a word for what is wrong: changes of the weights and biases of a 7-9-6-5 network."""
    yield "type of a weight", 1, None, lambda w: w.astype(np.float32)
    yield "order of a weight", 1, None, np.asfortranarray
    yield "gaps in a weight", 1, None, lambda w: np.repeat(w, 2, axis=1)[:, ::2]
    yield "rows of a weight", 1, None, lambda w: w[:5]
    yield "columns of a weight", 0, None, lambda w: np.ascontiguousarray(w[:, :4])
    yield "length of a bias", None, 2, lambda b: b[:1]
    yield "gaps in a bias", None, 0, lambda b: np.repeat(b, 2)[::2]
    yield "direction of a bias", None, 0, lambda b: b[::-1]
    yield "shape of a bias", None, 0, lambda b: b[None]


@pytest.mark.parametrize("change", list(networks_that_do_not_fit()), ids=lambda change: change[0])
def test_networks_that_do_not_fit_are_refused(change):
    case = Case()
    _, weight, bias, change = change
    weights, biases = list(case.params.weights), list(case.params.biases)
    if weight is not None:
        weights[weight] = change(weights[weight])
    else:
        biases[bias] = change(biases[bias])
    with pytest.raises(ValueError, match=r"does not have the type|do not fit"):
        _core.forward(weights, biases, [0, 0], case.X, 1)
    with pytest.raises(ValueError, match=r"does not have the type|do not fit"):
        _core.BatchKernel(weights, biases, [0, 0])


def test_rows_and_targets_that_do_not_fit_are_refused():
    case = Case()
    kernel, _ = case.kernel()
    for X in (case.X.astype(np.float32), case.X[:, :3], case.X.astype(">f8"), case.X[None]):
        with pytest.raises(ValueError, match="X of type"):
            kernel.use_rows(X, case.target, None)
        with pytest.raises(ValueError, match=r"X of type|place in the network"):
            _core.forward(case.params.weights, case.params.biases, [0, 0], X, 1)
    for target in (case.target.astype(float), case.target[:, None], case.target == 1):
        with pytest.raises(TypeError, match="target of type"):
            kernel.use_rows(case.X, target, None)
    with pytest.raises(ValueError, match="different lengths"):
        kernel.use_rows(case.X, case.target[1:], None)
    with pytest.raises(ValueError, match="different lengths"):
        kernel.use_rows(case.X, case.target, np.ones(3))


def test_a_kernel_without_rows_is_refused():
    case = Case()
    kernel, _ = case.kernel()
    with pytest.raises(TypeError, match="target of type"):
        kernel.use_rows(case.X, case.target.astype(float), None)
    for compute in (lambda: kernel.value_and_gradient(case.indices, 1.0), lambda: kernel.row_losses(case.indices)):
        with pytest.raises(ValueError, match="needs rows"):
            compute()
    with pytest.raises(ValueError, match="needs rows"):
        _core.BatchKernel(case.params.weights, case.params.biases, [0, 0]).value_and_gradient(case.indices, 1.0)


def test_types_that_the_core_does_not_know_are_refused():
    with pytest.raises(TypeError, match="int64"):
        _core.BatchKernel([np.zeros((2, 2), dtype=np.int64)], [np.zeros(2, dtype=np.int64)], [])
    with pytest.raises(TypeError, match="weights of type"):
        _core.forward([np.zeros((2, 2), np.longdouble)], [np.zeros(2)], [], np.zeros((1, 2), np.longdouble), 1)


@pytest.mark.parametrize("indices", [slice(0, N_ROWS + 1), slice(-1, 3), slice(5, 3)], ids=str)
def test_rows_that_are_not_there_are_refused(indices):
    kernel, _ = Case().kernel()
    with pytest.raises(IndexError, match="of 400 rows"):
        kernel.value_and_gradient(indices, 1.0)


def test_the_steps_of_a_single_target_mean_nothing():
    case = Case(weighted=False)
    value, gradient, total = case.expected(slice(0, 1))
    kernel, ours = case.kernel()
    kernel.use_rows(case.X[:1], np.repeat(case.target, 1000)[::1000][:1], None)
    assert_close((kernel.value_and_gradient(slice(0, 1), total), ours), (value, gradient), np.float64)


@every_dtype
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("n_outputs", [1, 2, 7, 511, 512, 513, 1500])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_any_number_of_outputs_are_those_of_numpy(name, n_outputs, smoothing, dtype):
    rng = np.random.default_rng(0)
    loss = replace(LOSSES[name], label_smoothing=smoothing)
    n_rows = 40
    params = Parameters((3, n_outputs), np.dtype(dtype))
    params.vector[...] = rng.normal(size=params.vector.size)
    shape = n_rows if loss.exclusive else (n_rows, n_outputs)
    target = rng.integers(n_outputs, size=shape) if loss.exclusive else rng.random(shape) < 0.3
    rows = Rows(rng.normal(size=(n_rows, 3)).astype(dtype), None, None, target, None)
    found = []
    for n_threads in (0, 1):
        on = Objective(params, [], loss, 0.1, n_threads=n_threads)
        found.append((on.value_and_gradient(rows.chunks()), on.gradient.vector, on.row_losses(rows.chunks())))
    assert_close(found[1], found[0], dtype)


def test_a_penalty_is_finite_where_that_of_numpy_is():
    case = Case(np.float32, alpha=1e-8)
    case.params.weight_vector[...] *= 1e20
    with np.errstate(all="ignore"):
        penalty = Objective(case.params, case.records, case.loss, case.alpha).penalty
        gradient = case.params.like()
        gradient.vector[...] = 0.0
        expected = penalty.add_to(gradient, case.params, 150.0)
    assert np.isfinite(expected)
    assert expected > 1e30
    kernel, _ = case.kernel()
    case.params.biases[0][...] = 0.0
    value = kernel.value_and_gradient(slice(0, 150), 150.0)
    assert value >= 0.99 * float(expected) or np.isnan(value)


def test_two_threads_cannot_use_one_kernel_at_once():
    case = Case()
    kernel, _ = case.kernel()
    expected = kernel.value_and_gradient(case.indices, 1.0)
    found, errors = [], []

    def work():
        for _ in range(300):
            try:
                found.append(kernel.value_and_gradient(case.indices, 1.0))
            except RuntimeError as error:
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {expected}
    assert len(found) + len(errors) == 900
    assert all("Two threads" in str(error) for error in errors)
