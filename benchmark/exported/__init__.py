"""Fitted detectors as files for other programs, written only where they answer as the detector does."""
