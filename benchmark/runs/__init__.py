"""Runs: what is asked for, how it is planned, made, stored and packed."""
