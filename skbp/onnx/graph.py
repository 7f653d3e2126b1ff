"""Nodes of an ONNX graph, written like function calls."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

# From this version on all operators that are used here take the same arguments.
LEAST_OPSET = 13


class Graph:
    """A graph that skl2onnx builds. A call adds a node and returns the name of its output.

    Parameters
    ----------
    scope, container
        As skl2onnx gives them to a converter.
    dtype : dtype
        The type of Python floats among the arguments of nodes.
    """

    def __init__(self, scope, container, dtype):
        if container.target_opset < LEAST_OPSET:
            raise ValueError(
                f"target_opset={container.target_opset} is too old for skbp's converters: give {LEAST_OPSET} or more."
            )
        self._scope, self._container, self.dtype = scope, container, np.dtype(dtype)

    def of_type(self, dtype) -> Graph:
        """The same graph. Python floats become constants of another type."""
        return Graph(self._scope, self._container, dtype)

    def __call__(self, operator, *inputs, domain="", output=None, **attributes) -> str:
        """Add a node.

        Parameters
        ----------
        operator : str
            Name of the ONNX operator.
        *inputs : str, ndarray or float
            Names of earlier outputs, or constants.
        domain : str, default=""
            Domain of the operator.
        output : str, default=None
            Name of the output; None for a new one.
        **attributes
            Attributes of the node.
        """
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = self._scope.get_unique_variable_name(operator.lower()) if output is None else output
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, names, output, op_domain=domain, name=name, **attributes)
        return output

    def cast(self, x, dtype, output=None) -> str:
        """x in another type."""
        return self("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), output=output)

    def columns(self, x, columns) -> str:
        """Some columns of x."""
        return self("Gather", x, np.asarray(columns, dtype=np.int64), axis=1)

    def concatenated(self, parts) -> str:
        """Columns side by side."""
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=1)

    def _constant(self, value):
        array = np.asarray(value, dtype=self.dtype if isinstance(value, float) else None)
        name = self._scope.get_unique_variable_name("constant")
        if array.dtype.kind in "UO":
            texts = [text.encode() for text in array.ravel().tolist()]
            self._container.add_initializer(name, TensorProto.STRING, array.shape, texts)
        else:
            self._container.add_initializer(name, None, None, numpy_helper.from_array(array))
        return name
