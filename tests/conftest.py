import os
import sys

import pytest

# Failing assertions in shared modules show their values, as those in tests do.
pytest.register_assert_rewrite("copies", "small_ensembles", "small_networks")

# Otherwise scikit-learn skips its estimator check of array API input. It reads this when it is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# matplotlib draws without a screen.
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _closed_figures():
    """matplotlib keeps every figure, and warns if there are many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_make_parametrize_id(val):
    """The id of a function is its name. Its repr differs between processes, and pytest-xdist compares the ids."""
    return getattr(val, "__name__", None) if callable(val) else None
