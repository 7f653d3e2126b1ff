"""The types of the estimators' parameters and data, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import sparray, spmatrix

from skbp._network.activations import Activation

Matrix: TypeAlias = ArrayLike | sparray | spmatrix

Sizes: TypeAlias = int | Sequence[int] | np.ndarray
ActivationName: TypeAlias = Literal[
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "relu6",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
]
Activations: TypeAlias = ActivationName | Activation | Sequence[ActivationName | Activation]
Solver: TypeAlias = Literal["adam", "sgd", "lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov", "tnc"]
Schedule: TypeAlias = (
    Literal["constant", "invscaling", "adaptive", "cosine", "linear", "one-cycle"] | Callable[[float], float]
)
PerLayer: TypeAlias = float | Sequence[float] | np.ndarray
RandomState: TypeAlias = int | np.random.RandomState | None
ClassWeight: TypeAlias = dict[Any, float] | list[dict[int, float]] | Literal["balanced"] | None
OutActivation: TypeAlias = Literal["auto", "softmax", "logistic"]
Scoring: TypeAlias = str | Callable[..., float] | None
Precision: TypeAlias = Literal["float32", "float64"] | None
Hessian: TypeAlias = Literal["auto", "exact", "gauss-newton"]
Options: TypeAlias = dict[str, Any] | None
