"""The time steps of the walkers."""
