"""Studies: questions, the grids that are run for them, and a report whose every figure comes from a stored run."""
