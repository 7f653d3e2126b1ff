"""Pickles of estimators, which say which version of skbp wrote them."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from skbp import __version__
from skbp._notices import InconsistentVersionWarning, note


class VersionedState:
    """An estimator that stores the version of skbp in its pickle.

    A pickle of another version loads with a warning. A parameter that the pickle lacks, because a later version added it,
    gets its default.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {**state, "_skbp_version": __version__}

    def __setstate__(self, state):
        version = state.get("_skbp_version", "of an unknown version")
        if version != __version__:
            note(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__, current_version=__version__, original_version=version
                )
            )
        cls: Any = type(self)
        super().__setstate__({**defaults(cls), **state})  # type: ignore[misc]
        self.__dict__.pop("_skbp_version", None)


@cache
def defaults(cls: Any) -> dict[str, Any]:
    """The parameters of the constructor that have a default, with the defaults."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}
