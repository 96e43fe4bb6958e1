"""Detectors with gradients. This catalog is a literal and imports nothing, so that listing names costs nothing."""

CATALOG = {}
