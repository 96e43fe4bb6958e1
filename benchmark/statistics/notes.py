"""Codes for what a reader must know beside a number; the sentences are the renderer's.

Every code, with the values it carries:

===================== ============================ ===================================================================
code                  values                       meaning
===================== ============================ ===================================================================
``student_t``         seeds, images                method: Student's t, with one seed over images alone
``student_t_tail``    seeds, images, failure (px)   method: the wider, at each end, of ``student_t`` and the heavy-tail test
``student_t_groups``  seeds, groups, effective     method: as ``student_t`` over groups of images, effectively so many
``student_t_tail_groups`` and failure (px)         method: as ``student_t_tail`` over groups of images
``clopper_pearson``   images                       method: Clopper and Pearson's interval for so many images, a fraction
                                                   where the number is an effective one
``fitted_models``     models (1 or 2)              one seed: it speaks of these fitted models, not of other seeds
``one_image``                                      one image says nothing of others, so the interval is unbounded
``one_group``                                      nor does one group of images (or one that holds almost all)
``no_error``          images                       no error on any image: nothing was seen to vary
``same_errors``       images                       two rows have the same error on every image
``few_images``        carrying, images             few images carry the mean: Student's interval is likely too narrow
``none_wrong``        images, limit, level         no image was wrong; the one-sided limit of the share wrong (0 to 1)
``none_right``        images, limit, level         no image was right; the one-sided limit of the share right (0 to 1)
``effective_images``  images                       several seeds share images: worth so many independent ones
===================== ============================ ===================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CODES = (
    "student_t",
    "student_t_tail",
    "student_t_groups",
    "student_t_tail_groups",
    "clopper_pearson",
    "fitted_models",
    "one_image",
    "one_group",
    "no_error",
    "same_errors",
    "few_images",
    "none_wrong",
    "none_right",
    "effective_images",
)
"""Every code a ``Note`` can have, in the order of the table above."""


@dataclass(frozen=True)
class Note:
    """Something to know beside a number.

    Attributes:
        code: one of ``CODES``.
        values: the numbers that belong to the code, by the names in the table of this module.
    """

    code: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a code that no renderer knows."""
        if self.code not in CODES:
            raise ValueError(f"no note has the code {self.code!r}; the codes are {', '.join(CODES)}")
