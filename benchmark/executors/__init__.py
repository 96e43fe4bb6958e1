"""Executors: one module each over `benchmark.runs.execute.execute`, which makes one job."""
