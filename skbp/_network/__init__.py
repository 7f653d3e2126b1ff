"""The mathematics: passes through the network, losses, the objective and its derivatives, in NumPy and SciPy only."""
