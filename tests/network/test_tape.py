"""A tape has room for the passes that it is for. Its heads are the same room for fewer rows."""

import gc
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbp._network.tape import CHUNK_ROWS, SPARSE_CHUNK_ELEMENTS, TangentTape, Tape, chunk_rows

UNITS = (3, 5, 2, 4)


# For each hidden layer whether z is kept, and whether units are left out.
CHOICES = [(), (False, False), (True, False), (False, True), (True, True)]
some_keep_z = pytest.mark.parametrize("keeps_z", CHOICES, ids=str)
some_drop = pytest.mark.parametrize("drops", CHOICES, ids=str)


def buffers(tape):
    """The arrays on a tape. An array in several lists counts once."""
    lists = (value for _, value in sorted(vars(tape).items()) if isinstance(value, list))
    return list({id(buffer): buffer for buffers in lists for buffer in buffers if buffer is not None}.values())


def both_tapes(passes="tangent", **kept):
    return [Tape(7, UNITS, np.float64, passes=passes, **kept), TangentTape(7, UNITS, np.float64)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_has_activations_and_deltas_and_hidden_layers_slopes(dtype):
    tape = Tape(7, UNITS, dtype)
    assert tape.n_rows == 7
    assert tape.a[0] is None
    assert [a.shape for a in tape.a[1:]] == [(7, 5), (7, 2), (7, 4)]
    assert tape.delta[0] is None
    assert [delta.shape for delta in tape.delta[1:]] == [(7, 5), (7, 2), (7, 4)]
    assert tape.slope[0] is None
    assert tape.slope[3] is None
    assert [slope.shape for slope in tape.slope[1:3]] == [(7, 5), (7, 2)]
    assert {buffer.dtype for buffer in buffers(tape)} == {np.dtype(dtype)}


def test_without_hidden_layers_there_are_no_slopes():
    tape = Tape(7, (3, 2), np.float64)
    assert [a.shape for a in tape.a[1:]] == [delta.shape for delta in tape.delta[1:]] == [(7, 2)]
    assert all(slope is None for slope in tape.slope)


def test_activations_and_deltas_do_not_overlap():
    tape = Tape(7, UNITS, np.float64)
    assert_apart(tape.a[1:] + tape.delta[1:] + [tape.slope[1]])


def test_errors_share_the_memory_of_deltas_which_overwrite_them():
    tape = Tape(7, UNITS, np.float64)
    assert tape.error[0] is tape.error[3] is None
    assert tape.error[1] is tape.delta[1]
    assert tape.error[2] is tape.delta[2]


def test_a_tape_for_prediction_has_activations_only():
    tape = Tape(7, UNITS, np.float64, passes="forward")
    assert [a.shape for a in tape.a[1:]] == [(7, 5), (7, 2), (7, 4)]
    assert tape.delta == tape.error == tape.slope == []
    assert tape.head(2).delta == [None]
    assert len(buffers(tape)) == len(buffers(tape.head(2))) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tape_for_tangents_keeps_errors_and_slopes_of_every_hidden_layer(dtype):
    tape = Tape(7, UNITS, dtype, passes="tangent")
    for kept in (tape.error, tape.slope):
        assert kept[0] is kept[3] is None
        assert [buffer.shape for buffer in kept[1:3]] == [(7, 5), (7, 2)]
    assert {buffer.dtype for buffer in buffers(tape)} == {np.dtype(dtype)}
    assert_apart(buffers(tape))


def shapes(buffers):
    return [None if buffer is None else buffer.shape for buffer in buffers]


@some_keep_z
@pytest.mark.parametrize("passes", ["forward", "backward", "tangent"])
def test_z_is_the_activation_unless_it_is_kept(passes, keeps_z):
    tape = Tape(7, UNITS, np.float32, passes=passes, keeps_z=keeps_z)
    assert shapes(tape.z) == shapes(tape.a) == [None, (7, 5), (7, 2), (7, 4)]
    for layer in (1, 2):
        assert (tape.z[layer] is tape.a[layer]) == (not (keeps_z and keeps_z[layer - 1]))
    assert tape.z[3] is tape.a[3]  # the logits
    assert len(buffers(tape)) == len(buffers(Tape(7, UNITS, np.float32, passes=passes))) + sum(keeps_z)
    assert {buffer.dtype for buffer in buffers(tape)} == {np.dtype(np.float32)}


@some_drop
def test_only_layers_with_dropout_have_factors_and_an_input_beside_the_activation(drops):
    tape = Tape(7, UNITS, np.float32, drops=drops)
    dropping = [bool(drops and drops[layer]) for layer in (0, 1)]
    sizes = [(7, 5), (7, 2)]
    assert shapes(tape.factor) == [None, *(size if d else None for size, d in zip(sizes, dropping, strict=True)), None]
    assert [tape.input[layer] is tape.a[layer] for layer in (1, 2)] == [not d for d in dropping]
    assert shapes(tape.input[1:3]) == sizes
    assert {buffer.dtype for buffer in buffers(tape)} == {np.dtype(np.float32)}


def test_kept_arrays_do_not_overlap():
    tape = Tape(7, UNITS, np.float64, "tangent", keeps_z=(True, True), drops=(True, True))
    assert_apart(buffers(tape))
    assert len(buffers(tape)) == 3 + 3 + 2 + 2 + 2 + 2 + 2  # a, delta, error, slope, z, input, factor


@some_drop
@some_keep_z
def test_lists_that_share_an_array_on_the_tape_share_it_on_its_head(keeps_z, drops):
    tape = Tape(7, UNITS, np.float64, keeps_z=keeps_z, drops=drops)
    head = tape.head(3)
    for one, other in [("z", "a"), ("input", "a"), ("error", "delta"), ("factor", "a")]:
        for layer in (1, 2):
            shared = getattr(tape, one)[layer] is getattr(tape, other)[layer]
            assert (getattr(head, one)[layer] is getattr(head, other)[layer]) == shared
    assert head.z[3] is head.a[3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tangent_tape_has_room_for_all_derivatives_and_shared_room_for_products(dtype):
    tangent = TangentTape(7, UNITS, dtype)
    for kept in (tangent.z, tangent.delta, tangent.scratch):
        assert kept[0] is None
        assert [buffer.shape for buffer in kept[1:]] == [(7, 5), (7, 2), (7, 4)]
    assert tangent.a[0] is tangent.a[3] is None
    assert [a.shape for a in tangent.a[1:3]] == [(7, 5), (7, 2)]
    assert {buffer.dtype for buffer in buffers(tangent)} == {np.dtype(dtype)}
    assert_apart([*tangent.z[1:], *tangent.a[1:3], *tangent.delta[1:], tangent.scratch[1]])


def assert_apart(kept):
    for k, buffer in enumerate(kept):
        buffer[...] = k
    for k, buffer in enumerate(kept):
        assert (buffer == k).all()


@pytest.mark.parametrize("n_rows", [1, 4, 7])
@pytest.mark.parametrize("kept", [{}, {"keeps_z": (True, False), "drops": (True, True)}], ids=["least", "more"])
@pytest.mark.parametrize("passes", ["forward", "backward", "tangent"])
def test_a_head_is_the_first_rows_of_the_same_memory(n_rows, passes, kept):
    for tape in both_tapes(passes, **kept):
        head = tape.head(n_rows)
        assert head.n_rows == n_rows
        for whole, part in zip(buffers(tape), buffers(head), strict=True):
            whole[...] = 0.0
            part[...] = 1.0
            assert_array_equal(whole, np.repeat([1.0, 0.0], [n_rows, 7 - n_rows])[:, None] * np.ones(whole.shape))


def test_the_head_of_all_rows_is_the_tape_itself():
    for tape in both_tapes():
        assert tape.head(7) is tape


def test_a_head_is_made_once():
    for tape in both_tapes():
        assert tape.head(3) is tape.head(3)


def test_a_batch_set_on_a_head_leaves_that_of_the_tape():
    tape = Tape(7, UNITS, np.float64)
    tape.a[0] = np.zeros((7, 3))
    head = tape.head(2)
    assert head.a[0] is None
    head.a[0] = np.ones((2, 3))
    assert_array_equal(tape.a[0], np.zeros((7, 3)))


def test_the_memory_is_free_as_soon_as_the_tape_is_deleted():
    # Each prediction takes a tape. In a reference cycle its megabytes would wait for the garbage collector. That counts
    # objects and not their size.
    gc.disable()
    try:
        for kind in (Tape, TangentTape):
            tape = kind(7, UNITS, np.float64)
            tape.head(2)
            buffer = weakref.ref(tape.delta[1])
            del tape
            assert buffer() is None
    finally:
        gc.enable()


# Rows of a chunk


@pytest.mark.parametrize("n_units", [1, 110, 10**7])
def test_a_chunk_of_dense_rows_is_of_one_size(n_units):
    assert chunk_rows(n_units, sparse=False) == CHUNK_ROWS


def test_a_chunk_of_sparse_rows_is_larger_while_its_activations_are_few():
    assert chunk_rows(100, sparse=True) == SPARSE_CHUNK_ELEMENTS // 100 > CHUNK_ROWS
    for n_units in (1, 7, 100, 1000):
        rows = chunk_rows(n_units, sparse=True)
        assert rows * n_units <= SPARSE_CHUNK_ELEMENTS < (rows + 1) * n_units
    assert chunk_rows(10**7, sparse=True) == CHUNK_ROWS
