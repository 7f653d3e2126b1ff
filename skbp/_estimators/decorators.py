"""scikit-learn's decorators of methods, with types: a decorated method keeps its signature for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if as _available_if

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Validate the parameters before a fit, and run scikit-learn's callbacks around it."""
    return _fit_context(prefer_skip_nested_validation=skip_nested_validation)


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """A method that an estimator has only if the check holds."""
    return _available_if(check)
