import importlib.util
import os
import secrets
import sys
from pathlib import Path

import pytest

# Failing assertions in shared modules show their values, as those in tests do.
pytest.register_assert_rewrite("copies", "small_ensembles", "small_networks")

# Otherwise scikit-learn skips its estimator check of array API input. It reads this when it is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# matplotlib draws without a screen.
os.environ.setdefault("MPLBACKEND", "agg")
# Ray writes no key to the home directory, and does not report that it is used.
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Processes that tests start import the copy of skbp that is under test, and not a folder skbp of the working directory.
COPY = Path(importlib.util.find_spec("skbp").origin).parent
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(COPY.parent), os.environ.get("PYTHONPATH")]))


def pytest_report_header():
    """Which copy of skbp is under test. `python -m pytest` takes the checkout, which has no compiled core."""
    from compiled import compiled_modules  # noqa: PLC0415, it imports skbp

    return f"skbp: {'with its compiled core' if compiled_modules() else 'pure Python'}, {COPY}"


@pytest.fixture(autouse=True)
def _closed_figures():
    """matplotlib keeps every figure, and warns if there are many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_make_parametrize_id(val):
    """The id of a function is its name. Its repr differs between processes, and pytest-xdist compares the ids."""
    return getattr(val, "__name__", None) if callable(val) else None
