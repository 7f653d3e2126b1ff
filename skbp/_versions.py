"""What a report of a defect needs to say about the installation."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from skbp import _core
from skbp._training.threads import core_threads

PACKAGES = ("numpy", "scipy", "scikit-learn", "threadpoolctl", "joblib", "pandas", "matplotlib")


def show_versions() -> None:
    """Print the versions, whether the compiled core is used, and the threads of all libraries, for a bug report.

    Examples
    --------
    >>> import skbp
    >>> skbp.show_versions()  # doctest: +ELLIPSIS
    System
        Python: ...
    """
    from skbp import __version__  # noqa: PLC0415, the package is complete only now

    sections = {
        "System": {
            "Python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
            "processors": os.cpu_count(),
        },
        "Packages": {"skbp": __version__, **{name: _version(name) for name in PACKAGES}},
        "Compiled core": {
            "used": "no: " + _core.why_absent if _core.why_absent else "yes",
            "threads": core_threads() or "none",
            "SKBP_CORE": os.environ.get("SKBP_CORE", "not set"),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        },
    }
    for name, entries in sections.items():
        print(name)
        for key, value in entries.items():
            print(f"    {key}: {value}")
    print("Libraries with threads")
    for library in threadpool_info():
        kind = " ".join(str(library[key]) for key in ("internal_api", "version", "architecture") if library.get(key))
        print(f"    {kind}: {library['num_threads']} threads, {library['filepath']}")


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
