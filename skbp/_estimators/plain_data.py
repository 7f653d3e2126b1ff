"""Values as plain data, which JSON can write: None, bool, int, float, str, list, and dict with str as keys.

Reading trusts nothing. Every function here checks type, length and range of what it reads, and refuses it with a ValueError
that says where it is. It calls no function that the data name. It takes no memory that is much larger than the data.
"""

from __future__ import annotations

import base64
import binascii
import math
from itertools import pairwise
from reprlib import repr as short
from typing import Any

import numpy as np

FLOATS = ("float32", "float64")
NUMBERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", *FLOATS)

# A value has at most so many levels of lists in lists.
DEEPEST = 8

# No axis of an array is longer.
LONGEST = 2**40

# All text in an array of equal width takes at most so many characters, of 4 bytes each.
PADDED_TEXT = 2**24

# The types of labels in plain data, for each kind of NumPy's types.
_LABELS: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}

_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def refused(where, wanted, found) -> ValueError:
    """The error for a wrong value."""
    return ValueError(f"{where} must be {wanted}; got {short(found)}.")


def fields(content, names, where) -> dict[str, Any]:
    """The content, if it is a dict with these keys and no others."""
    if not isinstance(content, dict):
        raise refused(where, f"a dict with the keys {list(names)}", content)
    missing, unknown = [name for name in names if name not in content], [key for key in content if key not in names]
    if missing or unknown:
        raise ValueError(f"{where} must have the keys {list(names)}: it lacks {missing} and has {short(unknown)}.")
    return content


def checked(content, kind, where) -> Any:
    """The content, if it is a bool, int, str or list, as `kind` says. A bool is no int here."""
    if type(content) is not kind:
        raise refused(where, f"of type {kind.__name__}", content)
    return content


def count(content, where, most=2**63 - 1) -> int:
    """An int from 0 to `most`."""
    if not 0 <= checked(content, int, where) <= most:
        raise refused(where, f"from 0 to {most}", content)
    return content


def texts(content, where) -> list[str]:
    """A list of str."""
    return [checked(text, str, f"{where}[{i}]") for i, text in enumerate(checked(content, list, where))]


def indices(content, where, n) -> np.ndarray:
    """Increasing numbers from 0 to n - 1."""
    found = [count(number, f"{where}[{i}]", n - 1) for i, number in enumerate(checked(content, list, where))]
    if any(a >= b for a, b in pairwise(found)):
        raise refused(where, "increasing numbers", content)
    return np.array(found, dtype=np.intp)


def written_float(value) -> float | dict[str, str]:
    """A number, or ``{"float": "inf"}``, "-inf" or "nan", for which JSON has no numbers."""
    value = float(value)
    return value if math.isfinite(value) else {"float": repr(value)}


def read_float(content, where) -> float:
    """A float that `written_float` wrote."""
    if isinstance(content, dict):
        text = fields(content, ["float"], where)["float"]
        if not (isinstance(text, str) and text in _NOT_FINITE):
            raise refused(where, f"a number or one of {list(_NOT_FINITE)}", text)
        return _NOT_FINITE[text]
    if type(content) not in {int, float} or not -math.inf < content < math.inf:
        raise refused(where, "a number", content)
    try:
        return float(content)
    except OverflowError:
        raise refused(where, "a number below 1.8e308", content) from None


def finite(content, where) -> float:
    """A float that is neither infinite nor nan."""
    value = read_float(content, where)
    if not math.isfinite(value):
        raise refused(where, "a finite number", content)
    return value


def written_array(array) -> dict[str, Any]:
    """An array of numbers: type, shape, and its bytes in C order, little-endian, in base64.

    A decimal form of float64 takes some 20 characters a number, base64 takes 11. It is exact for every bit pattern, nan
    and infinities included, it takes a tenth of the time to read, and its length follows from the shape.
    """
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": text}


def read_array(content, where, n_axes=None, dtypes=FLOATS) -> np.ndarray:
    """An array that `written_array` wrote, with memory of its own.

    Parameters
    ----------
    content : object
    where : str
    n_axes : int, default=None
        The number of axes it must have.
    dtypes : sequence of str
        The names of the types it may have.
    """
    content = fields(content, ["dtype", "shape", "base64"], where)
    name, text = content["dtype"], checked(content["base64"], str, f"{where}.base64")
    if not (isinstance(name, str) and name in dtypes):
        raise refused(f"{where}.dtype", f"one of {list(dtypes)}", name)
    shape = checked(content["shape"], list, f"{where}.shape")
    shape = [count(length, f"{where}.shape[{i}]", LONGEST) for i, length in enumerate(shape[: DEEPEST + 1])]
    if len(shape) != n_axes and (n_axes is not None or len(shape) > DEEPEST):
        raise refused(f"{where}.shape", f"a list of {n_axes or f'at most {DEEPEST}'} numbers", content["shape"])
    dtype = np.dtype(name).newbyteorder("<")
    n_bytes = math.prod(shape) * dtype.itemsize
    # The length is known before anything is decoded, so a wrong shape takes no memory.
    if len(text) != 4 * -(-n_bytes // 3):
        raise ValueError(f"{where}.base64 has {len(text)} characters, which does not fit the shape {shape} of {name}.")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{where}.base64 is not base64: {error}.") from error
    if len(data) != n_bytes or (name == "bool" and max(data, default=0) > 1):
        raise ValueError(f"{where}.base64 does not hold the bytes of the shape {shape} of {name}.")
    return np.frombuffer(data, dtype=dtype).astype(name).reshape(shape)


def written_labels(labels, what) -> dict[str, Any]:
    """A vector of text, numbers or bools, as its type and a list. Text has the type "str", or "object" as Python's str."""
    values, is_text = labels.tolist(), labels.dtype.kind in "UO"
    if labels.ndim == 1 and not is_text and labels.dtype.name in NUMBERS:
        return {"dtype": labels.dtype.name, "values": values}
    if labels.ndim == 1 and is_text and all(isinstance(value, str) for value in values):
        if labels.dtype.kind == "U" and not _fits(values):
            raise ValueError(f"to_dict cannot write {what}: text of equal width takes too much memory. Shorten it.")
        return {"dtype": "str" if labels.dtype.kind == "U" else "object", "values": [str(value) for value in values]}
    raise TypeError(
        f"to_dict cannot write {what}, which has the type {labels.dtype}: it writes text, numbers and booleans."
    )


def read_labels(content, where) -> np.ndarray:
    """A vector that `written_labels` wrote."""
    content = fields(content, ["dtype", "values"], where)
    dtype, values = content["dtype"], checked(content["values"], list, f"{where}.values")
    if not (isinstance(dtype, str) and dtype in {"str", "object", *NUMBERS}):
        raise refused(f"{where}.dtype", f"one of {['str', 'object', *NUMBERS]}", dtype)
    if dtype in {"str", "object"}:
        values = texts(values, f"{where}.values")
        if dtype == "str" and not _fits(values):
            raise ValueError(f"{where}.values: text of equal width takes too much memory.")
        return np.array(values, dtype=dtype)
    kinds = _LABELS[np.dtype(dtype).kind]
    if all(type(value) in kinds for value in values):
        try:
            with np.errstate(all="ignore"):
                array = np.array(values, dtype=dtype)
        except OverflowError:
            array = np.zeros(0)
        if array.tolist() == values:
            return array
    raise refused(f"{where}.values", f"a list of values that {dtype} holds", values)


def _fits(values):
    """Whether an array of text, in which all have the width of the longest, takes no unreasonable amount of memory."""
    return max(map(len, values), default=0) * len(values) <= PADDED_TEXT


def written(value, what) -> Any:
    """A value of any type that has a plain form.

    Parameters
    ----------
    value : object
    what : str
        Names it in the message.

    Raises
    ------
    TypeError
        If it has no plain form, as a function.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        # Subclasses too, such as np.str_, become the plain type.
        return next((kind(value) for kind in (bool, int, str) if isinstance(value, kind)), None)
    if isinstance(value, float):
        return written_float(value)
    if isinstance(value, list):
        return [written(one, what) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [written(one, what) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[written(key, what), written(one, what)] for key, one in value.items()]}
    if not isinstance(value, np.ndarray):
        raise TypeError(f"to_dict cannot write {what}, which is of type {type(value).__name__}: {short(value)}.")
    return {"array": written_array(value)} if value.dtype.name in NUMBERS else {"labels": written_labels(value, what)}


def read(content, where, depth=0) -> Any:
    """A value that `written` wrote."""
    if depth > DEEPEST:
        raise ValueError(f"{where} has more than {DEEPEST} levels of lists in lists.")
    if content is None or type(content) in {bool, int, str}:
        return content
    if isinstance(content, float):
        return finite(content, where)
    if isinstance(content, list):
        return [read(one, f"{where}[{i}]", depth + 1) for i, one in enumerate(content)]
    if isinstance(content, dict) and len(content) == 1:
        return _read_tagged(content, where, depth)
    raise refused(where, "null, a bool, a number, a str, a list or a dict with one key", content)


def _read_tagged(content, where, depth):
    """A value of which the only key says the type."""
    ((kind, inner),) = content.items()
    if kind == "float":
        return read_float(content, where)
    if kind == "array":
        return read_array(inner, where, dtypes=NUMBERS)
    if kind == "labels":
        return read_labels(inner, where)
    if kind not in {"tuple", "dict"}:
        raise refused(where, "a dict with the key 'float', 'array', 'labels', 'tuple' or 'dict'", content)
    values = [read(one, f"{where}.{kind}[{i}]", depth + 1) for i, one in enumerate(checked(inner, list, where))]
    return tuple(values) if kind == "tuple" else _as_dict(values, where)


def _as_dict(pairs, where):
    result: dict[Any, Any] = {}
    for pair in pairs:
        if not (
            isinstance(pair, list) and len(pair) == 2 and (pair[0] is None or type(pair[0]) in {bool, int, float, str})
        ):
            raise refused(where, "a list of [key, value]", pair)
        if pair[0] in result:
            raise ValueError(f"{where} has the key {short(pair[0])} twice.")
        result[pair[0]] = pair[1]
    return result
