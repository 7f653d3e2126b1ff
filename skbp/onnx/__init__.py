"""Export fitted classifiers to ONNX, a file format for models that many runtimes and languages read.

Importing this module registers the converters of skbp's estimators in skl2onnx. From then on `skl2onnx.to_onnx` also
converts a pipeline that contains them. `import skbp` does not import this module.
"""

try:
    import onnx as _onnx  # noqa: F401
    import skl2onnx as _skl2onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"skbp.onnx needs onnx and skl2onnx, which come with the extra onnx: pip install 'skbp[onnx]'. {error}"
    ) from error

from skbp.onnx.converters import register
from skbp.onnx.export import to_inputs, to_onnx

register()

__all__ = ["to_inputs", "to_onnx"]
