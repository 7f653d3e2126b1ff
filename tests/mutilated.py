"""Plain data with faults, for the tests of reading."""

import copy
import math

# Values of every kind that JSON knows, with those that have led to large allocations and to errors of the wrong kind.
JUNK = [
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 2**70, 10**400, 0.5, -0.0, 1e308, -1e-308, math.inf, math.nan),
    *("", "a", "nan", "inf", "relu", "softmax", "float64", "object", "str", "U999999999", "\ud800", "AAAA", "=" * 8),
    *([], [0], [1, 2], [None], [[]], ["a", "b"], [10**9, 10**9], {}, {"a": 1}, {"float": "nan"}, {"tuple": []}),
    *({"array": {}}, {"dict": [["a", 1]]}, {"dtype": "float64", "shape": [2**40], "base64": ""}, {"labels": 5}),
]


def places(content, path=()):
    """The paths to all values in plain data."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def changed(content, path, value):
    """A copy of plain data with another value in one place."""
    content = copy.deepcopy(content)
    *parents, last = path
    inner = content
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return content


def mutilated(content, rng):
    """A copy of plain data with one or two faults."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 2])):
        *parents, last = rng.choice([path for path in places(content) if path])
        inner = content
        for key in parents:
            inner = inner[key]
        rng.choice([_replace, _change, _change, _remove, _add, _swap])(inner, last, rng)
    return content


def _replace(inner, key, rng):
    inner[key] = copy.deepcopy(rng.choice(JUNK))


def _change(inner, key, rng):
    """Change a value a little."""
    value = inner[key]
    if isinstance(value, bool):
        inner[key] = not value
    elif isinstance(value, int):
        inner[key] = value + rng.choice([-1, 1, 7, 2**40])
    elif isinstance(value, float):
        inner[key] = value * rng.choice([-1.0, 0.0, 2.0, 1e300])
    elif isinstance(value, str) and value:
        i = rng.randrange(len(value))
        inner[key] = value[:i] + rng.choice(["A", "/", "=", "0", "\u00e9", ""]) + value[i + 1 :]
    elif isinstance(value, list) and value:
        inner[key] = rng.choice([value[1:], value[:-1], value[::-1], value * 2, [value]])
    else:
        _replace(inner, key, rng)


def _remove(inner, key, rng):
    del inner[key]


def _add(inner, key, rng):
    if isinstance(inner, dict):
        inner[f"{key} "] = rng.choice(JUNK)
    else:
        inner.insert(key, copy.deepcopy(rng.choice([*JUNK, inner[key]])))


def _swap(inner, key, rng):
    other = rng.choice([*inner] if isinstance(inner, dict) else range(len(inner)))
    inner[key], inner[other] = inner[other], inner[key]
