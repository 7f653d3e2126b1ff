"""The cost of training, counted in operations and bytes. Both are the same on every machine, busy or not.

An operation is a call, an arithmetic operator or a subscript that a line of the package carries out. Their number decides
how long a step on a small batch takes. A change that needs more operations or more memory must raise a limit here.
"""

import dis
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import skbp
from skbp import BackpropClassifier, BackpropClassifierCV, _core

PACKAGE = str(Path(skbp.__file__).parent)
OPERATIONS = {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "BINARY_OP", "BINARY_SUBSCR"}


def operations(function):
    """The number of operations of the package while the function runs."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes = frame.f_code.co_filename.startswith(PACKAGE)
            return trace if frame.f_trace_opcodes else None
        if event == "opcode":
            count += dis.opname[frame.f_code.co_code[frame.f_lasti]] in OPERATIONS
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def table(n_rows, n_features=6, n_classes=3):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_rows, n_features)), np.arange(n_rows) % n_classes


ENDLESS = {"batch_size": 10, "tol": 0.0, "n_iter_no_change": np.inf, "random_state": 0}


def operations_of_an_epoch(n_rows, classifier=BackpropClassifier, n_classes=3, **parameters):
    X, y = table(n_rows, n_classes=n_classes)

    def of(max_iter):
        model = classifier(**ENDLESS | parameters, max_iter=max_iter)
        return operations(lambda: model.fit(X, y))

    of(1)  # does everything that is done only once
    return of(3) - of(2)


def operations_of_a_step(n_folds=None, **parameters):
    """The operations of a step, without those of an epoch beside its steps."""
    more, fewer = 300, 100
    if n_folds is not None:
        more, fewer = (n_rows * n_folds // (n_folds - 1) for n_rows in (more, fewer))
        parameters |= {"classifier": BackpropClassifierCV, "cv": n_folds, "n_repeats": 1, "activation": "relu"}
    return (operations_of_an_epoch(more, **parameters) - operations_of_an_epoch(fewer, **parameters)) / 20


endless = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@endless
@pytest.mark.parametrize(
    ("limit", "of_core", "parameters"),
    [
        (218, 60, {}),
        (320, 60, {"hidden_layer_sizes": (8, 8, 8)}),
        (212, 60, {"n_classes": 2}),
        (195, 42, {"solver": "sgd"}),
        (239, 70, {"dropout": 0.5}),
        (231, 73, {"max_grad_norm": 1.0, "weight_decay": 0.1, "learning_rate": "cosine"}),
        (330, 70, {"n_folds": 2}),
    ],
    ids=str,
)
def test_a_step_takes_few_operations(limit, of_core, parameters):
    """The first limit is for NumPy's code, the second for the compiled core."""
    limit = of_core if _core.BatchKernel else limit
    assert 0.9 * limit < operations_of_a_step(**parameters) <= limit


@endless
def test_a_step_of_a_stack_takes_as_many_operations_with_any_number_of_members():
    two, five = (operations_of_a_step(n_folds=n_folds, dropout=0.0) for n_folds in (2, 5))
    # An epoch looks at five folds, and may limit the threads of BLAS for that. This is no part of a step.
    assert five == pytest.approx(two, abs=20)


@endless
def test_an_epoch_takes_few_operations_beside_its_steps():
    # Some 20 of them find out whether the output is finite for every row after the last step.
    assert operations_of_an_epoch(50) - 5 * operations_of_a_step() <= 62


def peak_memory(n_rows, n_features=10, n_classes=3, classifier=BackpropClassifier, **parameters):
    """The most bytes that a fit takes beside its data."""
    X, y = table(n_rows, n_features, n_classes)
    X = X.astype(parameters.pop("data_type", np.float64))
    tracemalloc.start()
    try:
        classifier((16,), max_iter=2, random_state=0, **parameters).fit(X, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bytes_a_row(**arguments):
    peak_memory(1_000, **arguments)  # does everything that is done only once
    return (peak_memory(9_000, **arguments) - peak_memory(3_000, **arguments)) / 6_000


@endless
@pytest.mark.parametrize(("solver", "limit"), [("adam", 12.0), ("lbfgs", 4.0)])
@pytest.mark.parametrize("data_type", [np.float32, np.float64])
@pytest.mark.parametrize("size", [{"n_features": 200}, {"n_classes": 300}], ids=str)
def test_the_memory_of_a_row_is_that_of_its_place_in_the_order(size, data_type, solver, limit):
    # A row takes 8 bytes with mini-batches and none without, and 2 for its label. Features and classes do not count.
    assert bytes_a_row(**size, data_type=data_type, solver=solver) < limit


@endless
def test_features_of_another_type_than_dtype_are_copied_once():
    assert 4 * 200 < bytes_a_row(n_features=200, dtype="float32") < 4 * 200 + 10
