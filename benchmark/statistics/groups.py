"""Images that come in groups (videos, sessions, subjects): errors by group, so that tests count groups and not images.

Frames of one video are alike, so a hundred of them are worth far fewer independent images, and an interval that counts them
all is too narrow. The mean over images stays what is asked about; what varies is the group. Each group's values are its
jackknife pseudo-values,

    v[g] = mean + (G - 1) (T[g] - n[g] mean) / (N - n[g]),      T[g] the sum over its n[g] images, shifted to mean ``mean``,

whose sample variance over G is the leave-one-group-out jackknife's variance of the mean (CR3: Bell & McCaffrey, Survey
Methodology 28, 2002). With groups of one size v[g] is the group's mean. Where sizes differ, the few large groups decide and G
promises too much: Student's t is then taken with Kish's effective number of groups, N^2 / sum n[g]^2, less one
(Carter, Schnepel & Steigerwald, Review of Economics and Statistics 99, 2017). Simulated in ``scripts/simulate_coverage.py``.

v is linear in the errors: the values of a difference are the difference of the values, so every test of this package takes
values of groups where it takes errors of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.structures import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Groups:
    """Which images belong together.

    Attributes:
        members: (N,) int64, the group of each image, 0 to G - 1.
        sizes: (G,) int64, images of each group.
    """

    members: IntArray
    sizes: IntArray

    @classmethod
    def of(cls, names: Sequence[str] | None) -> Groups | None:
        """The groups that N names make; None where there are no names, or each image is a group of its own."""
        if names is None or len(set(names)) == len(names):
            return None
        _, members, sizes = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True, return_counts=True)
        return cls(members.astype(np.int64), sizes.astype(np.int64))

    def __len__(self) -> int:
        """G."""
        return len(self.sizes)

    @property
    def effective(self) -> float:
        """Kish's effective number of groups: G where all are of one size, less where they are not."""
        return float(self.sizes.sum()) ** 2 / float((self.sizes**2).sum())

    def take(self, images: IntArray) -> Groups | None:
        """The groups of some of the images, (n,) positions; None where each of these is alone in its group."""
        return Groups.of([str(group) for group in self.members[images].tolist()])

    def values(self, errors: FloatArray) -> FloatArray:
        """The pseudo-values of the groups.

        Args:
            errors: (..., N) float64 px, of the images.

        Returns:
            (..., G) float64 px, with the mean that the errors have; a value may be negative.
        """
        total = len(self.members)
        mean = np.asarray(errors.mean(axis=-1))[..., None]
        if len(self) == 1:
            return mean
        order = np.argsort(self.members, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        sums = np.add.reduceat(errors[..., order], starts, axis=-1)
        apart = (len(self) - 1) * (sums - self.sizes * mean) / (total - self.sizes)
        return np.asarray(mean + apart - apart.mean(axis=-1, keepdims=True), dtype=np.float64)


def values_of(groups: Groups | None, errors: FloatArray) -> FloatArray:
    """The values that tests take: of the groups, (..., G), or where there are none the errors of the images as they are."""
    return errors if groups is None else groups.values(errors)


def effective_of(groups: Groups | None) -> float | None:
    """The effective number of groups; None where there are none."""
    return None if groups is None else groups.effective
