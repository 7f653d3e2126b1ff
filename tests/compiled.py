import importlib.util
import pkgutil
from importlib.machinery import EXTENSION_SUFFIXES

import skbp._core


def compiled_modules():
    """Names of the compiled modules of the core, whether they lie beside its Python files or in a build folder."""
    names = [module.name for module in pkgutil.iter_modules(skbp._core.__path__)]
    origins = {name: importlib.util.find_spec(f"skbp._core.{name}").origin for name in names}
    return {name for name, origin in origins.items() if origin.endswith(tuple(EXTENSION_SUFFIXES))}
