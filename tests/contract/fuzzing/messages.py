"""Which package a line belongs to, and what makes a message clear."""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path

import numpy as np
import scipy
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

import skbp

PACKAGES = {
    name: str(Path(module.__file__).parent)
    for name, module in {"skbp": skbp, "sklearn": sklearn, "numpy": np, "scipy": scipy}.items()
}

# scikit-learn's own messages about bad input name no argument.
SKLEARN_MESSAGES = re.compile(
    r"Found array with (0|dim)|Expected 2D array|Expected a 2-dimensional container|inconsistent numbers of samples"
    r"|could not convert string to float|Unable to convert array of bytes/strings|setting an array element with a sequence"
    r"|inhomogeneous|Complex data not supported|Unknown label type|bad input shape|Mix of label|legacy multi-label"
    r"|labels represented as bytes|n_splits|Too many folds|The test_size|Sample weights must|Sparse (data|matrices)"
    r"|float\(\) argument must be|argument must be a string or a real number|int too large to convert to float"
    r"|not supported between instances|Singleton array|has no len\(\)|Expected sequence or array-like"
    r"|Input should have at least 1 dimension|[Ff]eature names|Encountered .* type|is not fitted yet"
)
CLEAR_TYPES = (ValueError, TypeError, InvalidParameterError, NotFittedError)  # and skbp's own kinds of the first two
# More words that name what the user gave.
OTHER_WORDS = {"features", "initial_scale", "slope", "function", "curvature"}
# The source as it was imported. It may be edited while settings run.
SOURCES = {str(path): path.read_text(encoding="utf-8").splitlines() for path in Path(PACKAGES["skbp"]).rglob("*.py")}


@functools.cache
def words(cls):
    """The names of everything that the user can pass."""
    methods = {"__init__", "fit", "partial_fit", "objective", "hidden_features"} & set(dir(cls))
    names = {name for method in methods for name in inspect.signature(getattr(cls, method)).parameters}
    return sorted((names | OTHER_WORDS) - {"self"})


def is_of_skbp(error_type):
    return issubclass(error_type, ValueError | TypeError) and error_type.__module__.startswith("skbp")


@functools.cache
def documented_attributes(cls):
    section = inspect.getdoc(cls).split("Attributes\n----------\n")[1].split("\n\n")[0]
    return re.findall(r"^(\w+_) : ", section, re.MULTILINE)


def package_of(filename):
    return next((name for name, folder in PACKAGES.items() if filename.startswith(folder)), "")


def place_of(frames):
    """The innermost line of skbp, or the innermost line of all if there is none of skbp."""
    for frame in reversed(frames):
        if package_of(frame.filename) == "skbp":
            path = Path(frame.filename).relative_to(Path(PACKAGES["skbp"]).parent)
            return f"{path.as_posix()}:{frame.lineno} in {frame.name}"
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno} in {last.name}"


def raises_there(frame):
    """Whether the line is a raise statement, and not a line where something else failed."""
    return SOURCES[frame.filename][frame.lineno - 1].lstrip().startswith("raise")
