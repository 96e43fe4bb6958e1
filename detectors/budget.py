"""How long a detector learns: budgets in steps or by the clock, and the learning rate as a function of what is spent.

By the clock everything counts from the start of the fit: images made ready, a network built, and the evaluations, of
which the last has to fit, too. Evaluations take a tenth of the time at most, apart from the first and the last one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from benchmark.detector import Budget

LEARNING_SHARE = 9  # seconds of learning to a second of measuring, where a budget is in seconds


def rate(schedule: str, fraction: float) -> float:
    """The learning rate as a share of its peak.

    Args:
        schedule: ``constant``; ``cosine``, half a cosine from 1 down to 0; or ``onecycle``, half a cosine from 1/25 up
            to 1 at .3, then half a cosine down to 1e-4 at 1 (Smith and Topin 2018).
        fraction: Of the budget that is spent, 0 to 1.

    Returns:
        From 0 to 1.
    """
    f = min(max(fraction, 0.0), 1.0)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * f))
    if schedule == "onecycle":
        low, high, part = (0.04, 1.0, f / 0.3) if f < 0.3 else (1e-4, 1.0, (1 - f) / 0.7)
        return low + (high - low) * 0.5 * (1 - math.cos(math.pi * part))
    return 1.0


class BudgetTracker:
    """How much of a budget is spent: by steps where their number is known beforehand, else by the clock.

    Args:
        budget: How long to train.
        epochs: Passes over the training split where the budget names none.
        per_epoch: Steps in an epoch.
        start: When the fit began, by ``now``; None for this moment.
        now: The clock, in seconds.

    Attributes:
        overhead: Seconds that one evaluation takes: a budget in seconds keeps them back for the last one.
    """

    def __init__(
        self,
        budget: Budget,
        epochs: int,
        per_epoch: int,
        *,
        start: float | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.total = None if budget.seconds is not None else budget.steps
        if budget.seconds is None and budget.steps is None:
            self.total = per_epoch * (budget.epochs if budget.epochs is not None else epochs)
        self.seconds = budget.seconds or 0.0
        self._now, self._start, self._last, self._pace = now, now() if start is None else start, now(), 0.0
        self.overhead = 0.0
        self._measured = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the fit began."""
        return self._now() - self._start

    def fraction(self, step: int) -> float | None:
        """The fraction of the budget at which a step is taken; to be asked right before the step.

        By the clock, a step is taken where it fits as a whole, and the first one always is.

        Args:
            step: Its number, from 0.

        Returns:
            0 to 1, 1 for the last step; None where the budget is spent.
        """
        if self.total is not None:
            return None if step >= self.total else 1.0 if self.total == 1 else step / (self.total - 1)
        end = self.elapsed + self._pace
        available = self.seconds - self.overhead
        self._last = self._now()
        if end > available:
            return None if step else 1.0
        return min(1.0, end / available)

    def measured(self, began: float) -> None:
        """Note how long an evaluation took that began at so many seconds ``elapsed``."""
        self._measured = self.elapsed
        self.overhead = self._measured - began

    @property
    def worth_measuring(self) -> bool:
        """Whether an epoch that ends now is measured: always by steps; by the clock where that takes a tenth at most."""
        return self.total is not None or self.elapsed - self._measured >= LEARNING_SHARE * self.overhead

    def step_taken(self) -> None:
        """Note how long the step took."""
        seconds = self._now() - self._last
        self._pace = seconds if not self._pace else 0.8 * self._pace + 0.2 * seconds
