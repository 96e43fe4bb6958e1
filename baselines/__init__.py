"""Detectors without gradients. This catalog is a literal and imports nothing, so that listing names costs nothing."""

CATALOG = {}

# Suites: sets of specifications by name; `default` is what `run` takes when nothing is named.
SUITES = {}
