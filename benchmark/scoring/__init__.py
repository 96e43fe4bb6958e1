"""One harness scores everything: metrics, COCO AP by our own evaluator, the files they are read from, uncertainty."""

from benchmark.scoring.average_precision import AveragePrecision, average_precision
from benchmark.scoring.coco_json import read_truth, truth_from_json, truth_notes, truth_to_json
from benchmark.scoring.results_file import read_predictions, write_predictions
from benchmark.scoring.table import METRICS, Scores, score

__all__ = [
    "METRICS",
    "AveragePrecision",
    "Scores",
    "average_precision",
    "read_predictions",
    "read_truth",
    "score",
    "truth_from_json",
    "truth_notes",
    "truth_to_json",
    "write_predictions",
]
