"""Images with known points: sources, targets, tasks and the COCO folder that every stage reads."""
