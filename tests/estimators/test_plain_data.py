"""Values survive as plain data with type and bits. Everything else is refused with its place, before it takes memory."""

import json
import math
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import KFold

from skbp._estimators import plain_data

VALUES = [
    *(None, True, False, 0, -3, 2**70, 0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan),
    *("", "text", "\u00e9\ud800", [], [1, [2.5, "a"]], (), (100,), (1, (2, [None])), {}, {0: 1.0, "a": 2, True: 0.5}),
    *([{0: 1.0, 1: 2.0}, {0: 1.0}], {"maxcor": 30, "gtol": 1e-9}),
]


def through_json(content):
    return json.loads(json.dumps(content, allow_nan=False))


def same(one, other):
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value):
    assert same(plain_data.read(through_json(plain_data.written(value, "it")), "here"), value)


def test_numbers_of_numpy_become_those_of_python():
    for value, expected in [
        *((np.int8(3), 3), (np.bool_(True), True), (np.float32(0.1), float(np.float32(0.1)))),
        *((np.float64("nan"), math.nan), (np.str_("a"), "a"), (np.float16(0.5), 0.5)),
    ]:
        assert same(plain_data.written(value, "it") if value == value else math.nan, expected)


@pytest.mark.parametrize("dtype", plain_data.NUMBERS)
@pytest.mark.parametrize(
    ("shape", "order"), [((), "little"), ((0,), "little"), ((3,), "big"), ((2, 5), "Fortran"), ((3, 0), "Fortran")]
)
def test_an_array_comes_back_bit_for_bit(dtype, shape, order):
    n = math.prod(shape)
    data = np.random.default_rng(0).bytes(n * np.dtype(dtype).itemsize)  # nan and infinities too
    array = np.frombuffer(data, np.uint8 if dtype == "bool" else dtype).reshape(shape)
    array = array % 2 == 1 if dtype == "bool" else array
    given = np.array(array, order="F") if order == "Fortran" else array.astype(array.dtype.newbyteorder(order))
    back = plain_data.read_array(through_json(plain_data.written_array(given)), "here", dtypes=plain_data.NUMBERS)
    assert (back.dtype, back.shape) == (np.dtype(dtype), shape)
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable
    assert back.dtype.isnative


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "longer", ""]),
        np.array(["a", "b"], dtype=object),
        np.array([True, False]),
        *(np.array([0, 1, 100], dtype=dtype) for dtype in ("int8", "int64", "uint8", "uint64", "float32", "float64")),
        np.array([2**63], dtype="uint64"),
        np.array([-1, 5], dtype=">i4"),
    ],
    ids=lambda labels: labels.dtype.str,
)
def test_labels_come_back_with_their_type(labels):
    back = plain_data.read_labels(through_json(plain_data.written_labels(labels, "it")), "here")
    assert back.dtype == labels.dtype.newbyteorder("=")
    assert_array_equal(back, labels)


def test_text_is_not_padded_without_limit():
    many = ["a" * 2**15] + ["b"] * 2**10
    with pytest.raises(ValueError, match=r"here.values: text of equal width takes too much memory"):
        plain_data.read_labels({"dtype": "str", "values": many}, "here")
    with pytest.raises(ValueError, match="to_dict cannot write it: text of equal width takes too much memory"):
        plain_data.written_labels(np.array(many), "it")
    as_objects = {"dtype": "object", "values": many}
    assert plain_data.written_labels(plain_data.read_labels(as_objects, "here"), "it") == as_objects


@pytest.mark.parametrize(
    "value", [lambda: 0, KFold(3), np.random.RandomState(0), 1j, b"x", {1, 2}, np.longdouble(1), [object()], range(3)]
)
def test_values_without_a_plain_form_are_refused(value):
    with pytest.raises(TypeError, match="to_dict cannot write the parameter a, which"):
        plain_data.written(value, "the parameter a")


@pytest.mark.parametrize(
    "array", [np.zeros(2, dtype=complex), np.array([["a", "b"]]), np.array([1, "a"], dtype=object)]
)
def test_arrays_without_a_plain_form_are_refused(array):
    with pytest.raises(TypeError, match=r"to_dict cannot write it, which has the type .*: it writes text, numbers and"):
        plain_data.written(array, "it")


GOOD = plain_data.written_array(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "object"}, r"here.dtype must be one of \['float32', 'float64'\]; got 'object'"),
        ({"dtype": "int64"}, "here.dtype must be one of"),
        ({"dtype": ["float64"]}, "here.dtype must be one of"),
        ({"shape": [2, 3, 1]}, "here.shape must be a list of 2 numbers"),
        ({"shape": [6]}, "here.shape must be a list of 2 numbers"),
        ({"shape": [2, 4]}, r"here.base64 has 64 characters, which does not fit the shape \[2, 4\] of float64"),
        ({"shape": [10**6, 10**6]}, "here.base64 has 64 characters, which does not fit"),
        ({"shape": [10**30, 0]}, r"here.shape\[0\] must be from 0 to"),
        ({"shape": [-2, -3]}, r"here.shape\[0\] must be from 0 to"),
        ({"shape": [2.0, 3]}, r"here.shape\[0\] must be of type int"),
        ({"shape": [True, 6]}, r"here.shape\[0\] must be of type int"),
        ({"shape": 6}, "here.shape must be of type list"),
        ({"base64": GOOD["base64"][:-4]}, "here.base64 has 60 characters"),
        ({"base64": "*" * 64}, "here.base64 is not base64"),
        ({"base64": "\u00e9" * 64}, "here.base64 is not base64"),
        ({"base64": "A" * 63 + "="}, "here.base64 does not hold the bytes"),
        ({"base64": None}, "here.base64 must be of type str"),
        ({"more": 1}, r"here must have the keys .*: it lacks \[\] and has \['more'\]"),
    ],
)
def test_a_wrong_array_is_refused_with_its_place(change, message):
    with pytest.raises(ValueError, match=message):
        plain_data.read_array(GOOD | change, "here", 2)


@pytest.mark.parametrize("shape", [[2**40], [2**20, 2**20], [2**40, 2**40, 2**40], [2**40] * 1000])
def test_a_wrong_shape_takes_no_memory(shape):
    content = {"dtype": "float64", "shape": shape, "base64": ""}
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"here.base64 has 0 characters|here.shape must be a list of at most 8 numbers"
        ):
            plain_data.read_array(content, "here")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        *(("int8", [300]), ("int64", [1.0]), ("int64", [True]), ("bool", [0]), ("bool", ["a"]), ("uint8", [-1])),
        *(("float32", [0.1]), ("float32", [1e300]), ("float64", [None]), ("float64", ["1"]), ("int64", [[1]])),
        *(("float64", [{"float": "inf"}]), ("U1", ["ab"]), ("str", [1]), ("U999999999", ["a"]), ("U", ["a"])),
        *(
            ("U\u0663", ["abc"]),
            ("U3", [1]),
            ("object", [None]),
            ("S3", ["abc"]),
            ("M8[s]", [0]),
            (None, []),
            ("O", ["a"]),
        ),
        *(("int64", 5), ("int64", {"a": 1}), ("float64", [10**400])),
    ],
)
def test_wrong_labels_are_refused_with_their_place(dtype, values):
    with pytest.raises(ValueError, match=r"^here"):
        plain_data.read_labels({"dtype": dtype, "values": values}, "here")


def nested(depth):
    content = []
    for _ in range(depth):
        content = [content]
    return content


@pytest.mark.parametrize(
    "content",
    [
        *(
            nested(9),
            nested(900),
            {"tuple": nested(500)},
            {"dict": [[1]]},
            {"dict": [[1, 2], [1, 3]]},
            {"dict": [[[], 1]]},
        ),
        *({"dict": [1]}, {"dict": {"a": 1}}, {"tuple": 5}, {"unknown": 1}, {}, {"float": "Infinity"}, {"float": 1.0}),
        *(
            {"float": ["nan"]},
            {"array": []},
            {"labels": None},
            {"tuple": [], "dict": []},
            math.nan,
            math.inf,
            pytest.param(object(), id="object"),
            b"",
        ),
        *({1: 2}, {"__class__": "os.system"}, {"py/object": "x"}, (1, 2)),
    ],
    ids=lambda content: repr(content)[:30],
)
def test_what_nothing_has_written_is_refused(content):
    with pytest.raises(ValueError, match=r"^here"):
        plain_data.read(content, "here")


@pytest.mark.parametrize("content", [True, "1", None, [], 10**400, {"float": "1"}, {"float": "inf", "more": 1}])
def test_no_float(content):
    with pytest.raises(ValueError, match=r"^here must"):
        plain_data.read_float(content, "here")


def test_finite_and_increasing_numbers():
    assert plain_data.finite(1, "here") == 1.0
    with pytest.raises(ValueError, match="here must be a finite number"):
        plain_data.finite({"float": "nan"}, "here")
    assert plain_data.indices([0, 4], "here", 5).tolist() == [0, 4]
    for wrong in ([0, 0], [1, 0], [5], [-1], [0.0], [True]):
        with pytest.raises(ValueError, match=r"^here"):
            plain_data.indices(wrong, "here", 5)
