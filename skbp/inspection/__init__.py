"""Inspect a network: check its derivatives, examine the point that training found, and draw what it has learned.

Everything here works on the user's own classifier and data. It uses the classifier's public attributes and
`BackpropClassifier.objective`. The displays follow the conventions of scikit-learn's displays. They import matplotlib
only when they draw.
"""

from skbp.inspection._curves import LossCurveDisplay
from skbp.inspection._derivatives import (
    DerivativeCheck,
    HessianExtremes,
    check_gradient,
    check_hessian_product,
    hessian_extremes,
)
from skbp.inspection._drawing import NetworkDisplay
from skbp.inspection._flow import GradientFlowDisplay
from skbp.inspection._input_gradient import input_gradient
from skbp.inspection._trace import Trace, trace
from skbp.inspection._weights import WeightsDisplay

__all__ = [
    "DerivativeCheck",
    "GradientFlowDisplay",
    "HessianExtremes",
    "LossCurveDisplay",
    "NetworkDisplay",
    "Trace",
    "WeightsDisplay",
    "check_gradient",
    "check_hessian_product",
    "hessian_extremes",
    "input_gradient",
    "trace",
]
