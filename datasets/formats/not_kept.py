"""What is lost where a data set is written in a format that has no place for it."""

from __future__ import annotations

import numpy as np

from datasets.dataset import Dataset
from datasets.flip_pairs import inferred
from datasets.formats.coco import boxes_around, default_sigmas


def not_kept(dataset: Dataset, *keeps: str) -> tuple[str, ...]:
    """What of a data set a format does not hold, in words.

    Args:
        dataset: What is written.
        keeps: What it does hold: any of ``splits``, ``visibility``, ``categories``, ``boxes``, ``skeleton``,
            ``flip pairs`` and ``groups``.

    Returns:
        Words for each thing that the data has and the format does not hold; crowds and sigmas are held by COCO alone.
    """
    parts = [split.annotations for split in dataset.splits.values()]
    first = parts[0]
    hidden = sum(int((one.visible == 1).sum()) for one in parts)
    crowds = sum(int(one.crowd.sum()) for one in parts)
    bare = sum(int((~(one.visible > 0).any(axis=1) & ~one.crowd).sum()) for one in parts)
    boxes_given = any(not np.allclose(one.boxes, boxes_around(one.keypoints, one.visible)) for one in parts)
    areas_given = any(not np.allclose(one.areas, one.boxes[:, 2] * one.boxes[:, 3]) for one in parts)
    ids = first.known_category_ids
    lost = {
        "splits": "which images are train, val and test" if len(dataset.splits) > 1 else "",
        "visibility": f"that {hidden} keypoints are hidden" if hidden else "",
        "categories": f"{len(ids)} categories" if len(ids) > 1 else "",
        "boxes": "boxes" if boxes_given else "",
        "bare": f"{bare} instances without a labelled keypoint" if bare and "boxes" not in keeps else "",
        "skeleton": "the skeleton" if first.skeleton else "",
        "flip pairs": "left/right pairs" if set(first.flip_pairs) - set(inferred(first.keypoint_names)) else "",
        "groups": "groups" if first.groups is not None else "",
        "crowds": f"{crowds} crowds" if crowds else "",
        "areas": "areas" if areas_given else "",
        "sigmas": "sigmas" if not np.array_equal(first.sigmas, default_sigmas(first.keypoint_names)[0]) else "",
        "labels": "classes of images" if first.labels is not None else "",
        "spacing": "the lattice of exact answers" if first.spacing is not None else "",
    }
    return tuple(words for what, words in lost.items() if words and what not in keeps)
