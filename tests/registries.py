"""The registries of the package, and the solvers by kind. Tests import these private names from here."""

from skbp._network.activations import ACTIVATIONS
from skbp._network.losses import LOSSES
from skbp._training.schedules import SCHEDULES
from skbp._training.solvers import SOLVERS
from skbp._training.updates import UPDATES

# The solvers without an update rule: SciPy's methods.
SCIPY_SOLVERS = [solver for solver in SOLVERS if solver not in UPDATES]

__all__ = ["ACTIVATIONS", "LOSSES", "SCHEDULES", "SCIPY_SOLVERS", "SOLVERS", "UPDATES"]
