"""One harness scores everything: every metric of a row, and COCO AP and AR by an evaluator of our own."""

from benchmark.metrics.average_precision import AveragePrecision, average_precision
from benchmark.metrics.table import METRICS, Scores, score

__all__ = ["METRICS", "AveragePrecision", "Scores", "average_precision", "score"]
