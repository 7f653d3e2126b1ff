"""The solvers, by name.

A solver is given an objective, the rows, and a monitor that it tells of every epoch. It knows nothing of layers. When it
returns, the objective's parameters are the result and an `Outcome` says how it ended. There are two kinds: mini-batches
with an update rule, and SciPy's minimisers on all rows.
"""

from __future__ import annotations

from collections import ChainMap
from typing import Any

from skbp._training.minibatch import MiniBatchSolver
from skbp._training.scipy_methods import SCIPY_METHODS
from skbp._training.scipy_solver import ScipySolver
from skbp._training.updates import UPDATES

# The names of all solvers, with their update rule or method of SciPy.
SOLVERS: ChainMap[str, Any] = ChainMap(UPDATES, SCIPY_METHODS)


def parameters_of(solver) -> set[str]:
    """The estimator's parameters that this solver uses and some other solvers do not."""
    if solver in UPDATES:
        return {*MiniBatchSolver.parameters, *UPDATES[solver].parameters}
    return {*ScipySolver.parameters, *(["hessian"] if SCIPY_METHODS[solver].hessian else [])}


def unused_parameters(solver) -> set[str]:
    """The estimator's parameters that some solvers use and this one does not."""
    return set().union(*map(parameters_of, SOLVERS)) - parameters_of(solver)
