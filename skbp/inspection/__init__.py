"""Look into a network: are its derivatives right, where has training arrived, and what has it learnt?

Everything here works on the user's own classifier and data through its public attributes and `BackpropClassifier.objective`.
The pictures follow scikit-learn's displays, and need matplotlib only when one is drawn.
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
    "trace",
]
