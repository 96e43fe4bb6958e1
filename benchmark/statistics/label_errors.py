"""Which labels are likely wrong, from the out-of-fold answers of several detectors.

A label is suspicious where detectors that never saw it agree with each other on another place. How far is far, and what
counts as agreement, is measured on the bulk of the labels; as detectors fail now and then by a lot, and together on hard
images, neither may be taken from a normal distribution of independent errors.

1. **Error model.** The offset of detector d from a right label of keypoint k has a bivariate Student t distribution: its
   centre and its scale an axis by medians (a few wrong labels hardly move them), its degrees of freedom by the ratio of
   high quantiles to the median. Errors are in pixels, or in sides of the image or of the instance's box, whichever
   they vary least in.
2. **Evidence.** The generalised likelihood ratio ``T = max_c sum_d w_d log f_d(p_d - c) - sum_d w_d log f_d(p_d - label)``: how
   much better the best place c explains the answers p_d than the label does. One detector's failure costs little, as t
   densities fall slowly; where detectors disagree, no place c explains them all, and T stays small; where a precise
   detector sits at the label, T is small whatever the others say. An *exchange* of two keypoints' labels has no free place,
   so its likelihood ratio G says more. Each detector counts as far as its errors are its own: ``w_d = 1 / sum_e r_de`` with the
   correlations r_de >= 0 of its errors with those of all, itself included; five that always err alike are one voice.
3. **Null distribution.** For independent detectors T is exponential with mean 1 (Wilks 1938, two free coordinates); for
   detectors that always err alike it is exponential with mean (nu + 2) / nu, exactly. So T / s is exponential, and s
   is measured on the labels themselves, as genomic control does for correlated samples (Devlin and Roeder 1999): the largest
   of the ratios of T's quantiles to those of the exponential.
4. **Decision.** Benjamini and Hochberg's procedure (1995) over all labels at `LEVEL`: on clean data an alarm in one of twenty
   data sets, on others about so large a share of false ones among those found. What is found is left out, and steps 1 to
   4 are repeated until nothing more is: first by the lowest of the high quantiles alone, in which few wrong labels can hide,
   then by all; last, only what hardly any right label would reach is left out. A label needs two detectors that speak
   against it by themselves: one that fails alone, by however much, is no evidence.

Out-of-fold answers as evidence against labels are confident learning's (Northcutt et al. 2021, doi:10.1613/jair.1.12125).

What this can't tell apart: a wrong label, and detectors that all fail in the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import FloatArray

BoolArray = NDArray[np.bool_]

LEVEL = 0.05  # the share of false alarms among those found
ENOUGH = 20  # labels of a keypoint, before one of them is called unusual
LEAST_SCALE = 0.5  # px: no label is finer than half a pixel
FREEDOM = (1.0, 30.0)  # least and most degrees of freedom
LOW = (0.5, 0.7)  # quantiles of T that are held against an exponential's, with those of HIGH
HIGH = (0.9, 0.95, 0.98)  # quantiles that say how heavy the tails are: the heaviest of them counts
STEPS = 12  # of the fixed-point iteration for the best place
ROUNDS = 6  # of leaving out what was found
UNEXPLAINED = 9.23  # the 99.9 % quantile of the sum of two exponentials: what is left of T after exchanging the labels
SUPPORT = float(np.log(20))  # a detector whose answer another place makes 20 times likelier speaks against the label
SEEN = 0.8  # power: the share of shifts that would be found
SHIFTS = np.geomspace(0.5, 2000, 60)  # px, tried for the power


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The evidence against each label; see the module. M instances of K keypoints, D detectors.

    Attributes:
        evidence: (M, K) float64, -log p of each label, NaN where it was not judged.
        flagged: (M, K) bool, the labels found.
        partner: (M, K) int64, the keypoint of the same instance whose label it seems exchanged with; -1 for none.
        whole: (M,) bool, instances whose labels seem moved as a whole.
        proposed: (M, K, 2) float64 px, the place that the answers agree on; NaN where not judged.
        against: (D, M, K) bool, the detectors that speak against the label by themselves.
        seen_from: (K,) float64 px, the shift of a label that is found in `SEEN` of all cases; NaN where none is.
        swaps_seen: (K,) float64, the share of exchanges with another keypoint's label that would be found; NaN where there
            is no other, or the keypoint was not judged.
        inflation: How much larger T is than independent detectors would make it.
    """

    evidence: FloatArray
    flagged: BoolArray
    partner: NDArray[np.int64]
    whole: BoolArray
    proposed: FloatArray
    against: NDArray[np.bool_]
    seen_from: FloatArray
    swaps_seen: FloatArray
    inflation: float


@dataclass(frozen=True, eq=False)
class _Model:
    """Error models of all detectors: their bias and scales in px for every label, degrees of freedom, and weights."""

    bias: FloatArray  # (D, M, K, 2)
    scale: FloatArray  # (D, M, K, 2)
    freedom: FloatArray  # (D,)
    weight: FloatArray  # (D,)

    def log_density(self, offsets: FloatArray) -> FloatArray:
        """(D, M, K) relative to the peak of each detector's density; offsets (D, M, K, 2) less their bias; 0 for NaN."""
        q = ((offsets / self.scale) ** 2).sum(axis=-1)
        nu = self.freedom[:, None, None]
        return np.nan_to_num(-(nu + 2) / 2 * np.log1p(q / nu))  # type: ignore[no-any-return]

    def log_likelihood(self, offsets: FloatArray) -> FloatArray:
        """(M, K): the weighted sum of `log_density` over detectors."""
        return np.tensordot(self.weight, self.log_density(offsets), axes=1)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class _Weighed:
    """Every label weighed once: the arrays of `LabelErrors`, and what they come from."""

    model: _Model
    places: FloatArray  # (D, M, K, 2) px, the answers less each detector's bias
    best: FloatArray  # (M, K, 2) px
    score: FloatArray  # (M, K) log likelihood of the best place
    exchange: FloatArray  # (M, K, K) log likelihood ratio of exchanged labels; -inf where it can't be asked
    inflation: float
    log_p: FloatArray  # (M, K)
    against: BoolArray  # (D, M, K)
    suspicious: BoolArray  # (M, K)
    partner: NDArray[np.int64]  # (M, K)


def find_label_errors(answers: FloatArray, labels: FloatArray, units: Sequence[FloatArray] = ()) -> LabelErrors:
    """Weigh every label against what detectors answer that did not see it.

    Args:
        answers: (D, M, K, 2) float64 px, out-of-fold answers for M instances; NaN where a detector has none.
        labels: (M, K, 2) float64 px; NaN where a keypoint is not labelled.
        units: (M,) float64 px each, positive: lengths that errors may be proportional to, beside the pixel itself.

    Returns:
        The evidence, and what was found at `LEVEL`. A label answered by fewer than two detectors is not judged, nor is a
        keypoint with fewer than `ENOUGH` labels that are.
    """
    known = ~np.isnan(answers - labels).any(axis=-1)
    judged = known.sum(axis=0) >= 2
    judged &= judged.sum(axis=0) >= ENOUGH
    answers = np.where((known & judged)[..., None], answers, np.nan)
    if not judged.any():
        return _nothing(answers)
    left_out = np.zeros_like(judged)
    for high in (HIGH[:1], HIGH):  # many wrong labels hide in the highest quantiles: first without these
        for _ in range(ROUNDS):
            weighed = _weigh(answers, labels, judged, left_out, units, high)
            if (weighed.suspicious <= left_out).all():
                break
            left_out = left_out | weighed.suspicious
    left_out &= weighed.log_p <= -np.log(2 * judged.sum())  # of the right labels one in two cases: the tail stays whole
    weighed = _weigh(answers, labels, judged, left_out, units, HIGH)
    fitted = judged & ~left_out
    asked, found = int(judged.sum()), int(weighed.suspicious.sum())
    k = judged.shape[1]
    voices = 2 if k > 1 else 1  # a label is asked twice where it may be exchanged
    limit = weighed.inflation * float(np.log(voices * asked / (LEVEL * (found + 1))))
    return LabelErrors(
        evidence=-weighed.log_p,
        flagged=weighed.suspicious,
        partner=weighed.partner,
        whole=_moved_as_a_whole(weighed, labels, judged),
        proposed=np.where(judged[..., None], weighed.best, np.nan),
        against=weighed.against,
        seen_from=_seen_from(weighed, labels, fitted, limit),
        swaps_seen=_swaps_seen(weighed.exchange, fitted, limit + weighed.inflation * float(np.log(max(k - 1, 1)))),
        inflation=weighed.inflation,
    )


def _nothing(answers: FloatArray) -> LabelErrors:
    """What is known where no label can be judged."""
    d, m, k, _ = answers.shape
    none, unknown = np.zeros((m, k), dtype=bool), np.full((m, k), np.nan)
    return LabelErrors(
        evidence=unknown,
        flagged=none,
        partner=np.full((m, k), -1),
        whole=np.zeros(m, dtype=bool),
        proposed=np.full((m, k, 2), np.nan),
        against=np.zeros((d, m, k), dtype=bool),
        seen_from=np.full(k, np.nan),
        swaps_seen=np.full(k, np.nan),
        inflation=1.0,
    )


def _weigh(
    answers: FloatArray,
    labels: FloatArray,
    judged: BoolArray,
    left_out: BoolArray,
    units: Sequence[FloatArray],
    high: Sequence[float],
) -> _Weighed:
    """Steps 1 to 4, the error models fitted without some labels."""
    fitted = judged & ~left_out
    model = _fit(np.where(fitted[..., None], answers - labels, np.nan), units, high)
    places = answers - model.bias
    best, score = _best_places(places, labels, model)
    own = model.log_likelihood(places - labels)
    evidence = np.where(judged, np.maximum(score - own, 0.0), np.nan)
    inflation = _inflation(evidence[fitted], (*LOW, *high))
    crossed = _crossed(places, labels, judged, model, own)
    mirrored = np.swapaxes(crossed, 1, 2)
    exchange = np.where((crossed > 0) & (mirrored > 0), crossed + mirrored, -np.inf)  # both labels must be better off
    log_p, k = -evidence / inflation, judged.shape[1]
    if k > 1:  # the less of two p values counts twice, and an exchange is asked with k - 1 partners
        log_p = np.minimum(log_p, np.log(k - 1) - exchange.max(axis=2) / inflation) + np.log(2)
    gains = model.log_density(places - best) - model.log_density(places - labels)
    second = np.sort(gains, axis=0)[-2]
    log_p = np.where(second < SUPPORT, np.maximum(log_p, -second), log_p)  # one detector alone is no evidence
    log_p = np.where(judged, np.minimum(log_p, 0.0), np.nan)
    against = judged & (gains >= SUPPORT)
    suspicious = _benjamini_hochberg(log_p, judged) & (against.sum(axis=0) >= 2)
    suspicious, partner = _paired(suspicious, evidence, exchange, inflation)
    return _Weighed(model, places, best, score, crossed + mirrored, inflation, log_p, against, suspicious, partner)


def _paired(
    suspicious: BoolArray, evidence: FloatArray, exchange: FloatArray, inflation: float
) -> tuple[BoolArray, NDArray[np.int64]]:
    """Labels found, and the partner of those that an exchange explains; both sides of an exchange are found."""
    found, partner = suspicious.copy(), np.full(suspicious.shape, -1)
    if suspicious.shape[1] < 2:
        return found, partner
    likeliest = exchange.argmax(axis=2)
    gain = exchange.max(axis=2)
    rows, columns = np.nonzero(suspicious & (gain > 0))
    for at in np.argsort(-gain[rows, columns], kind="stable").tolist():
        row, i = int(rows[at]), int(columns[at])
        j = int(likeliest[row, i])
        left = evidence[row, i] + evidence[row, j] - gain[row, i]
        if partner[row, i] < 0 and partner[row, j] < 0 and left <= UNEXPLAINED * inflation:
            partner[row, i], partner[row, j] = j, i
            found[row, j] = True
    return found, partner


# 1. The error model.


def _fit(offsets: FloatArray, units: Sequence[FloatArray], high: Sequence[float]) -> _Model:
    """Centre, scales and degrees of freedom of each detector; offsets (D, M, K, 2) px, NaN where not fitted."""
    d, m, k, _ = offsets.shape
    bias, scale, freedom = np.zeros((d, 1, k, 2)), np.ones((d, m, k, 2)), np.full(d, FREEDOM[1])
    lengths = [np.ones(m), *units]
    for i in range(d):
        own = offsets[i]
        if np.isnan(own).all():
            continue
        length = min(lengths, key=lambda unit: _dispersion(own / unit[:, None, None]))[:, None, None]
        bias[i] = np.nan_to_num(_median(own))
        own = own - bias[i]
        typical = np.nan_to_num(_median(np.abs(own) / length), nan=1.0)
        spread = np.maximum(typical * length, LEAST_SCALE)
        squares = ((own / spread) ** 2).sum(axis=-1)
        squares = squares[~np.isnan(squares)]
        middle = max(float(np.quantile(squares, 0.5)), 1e-12)
        freedom[i] = min(_freedom(float(np.quantile(squares, tail)) / middle, tail) for tail in high)
        width = middle / (freedom[i] * (2 ** (2 / freedom[i]) - 1))
        scale[i] = np.maximum(spread * np.sqrt(width), LEAST_SCALE)
    return _Model(bias, scale, freedom, _weights(offsets - bias))


def _weights(offsets: FloatArray) -> FloatArray:
    """(D,) how far a detector's errors are its own: 1 where they are independent of the others', 1 / D where all are alike.

    Correlations are those of the signs of errors, which no outlier moves: of a normal distribution sin(pi / 2 c).
    """
    signs = np.sign(offsets).reshape(len(offsets), -1)
    weights = np.ones(len(signs))
    for i, own in enumerate(signs):
        for j, other in enumerate(signs):
            both = own * other
            both = both[np.isfinite(both) & (both != 0)]
            if i != j and len(both):
                weights[i] += max(0.0, float(np.sin(np.pi / 2 * both.mean())))
    return 1 / weights


def _dispersion(offsets: FloatArray) -> float:
    """How much the size of errors varies: the median absolute deviation of its logarithm, within keypoints."""
    size = np.log(np.maximum(np.hypot(offsets[..., 0], offsets[..., 1]), 1e-9))
    return float(np.nanmedian(np.abs(size - _median(size))))


def _median(values: FloatArray) -> FloatArray:
    """The median over instances, the first axis; NaN, and no warning, where there is none."""
    empty = np.isnan(values).all(axis=0)
    medians: FloatArray = np.nanmedian(np.where(empty, 0.0, values), axis=0)
    return np.where(empty, np.nan, medians)


def _freedom(ratio: float, tail: float) -> float:
    """Degrees of freedom of a bivariate t whose squared length has this ratio of the ``tail`` quantile to the median."""

    def of(nu: float) -> float:
        return float(((1 - tail) ** (-2 / nu) - 1) / (2 ** (2 / nu) - 1))

    low, high = FREEDOM
    if ratio <= of(high):
        return high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle) > ratio else (low, middle)
    return low


# 2. The evidence.


def _best_places(places: FloatArray, labels: FloatArray, model: _Model) -> tuple[FloatArray, FloatArray]:
    """The place that explains the answers best, and how well: (M, K, 2) px and (M, K).

    The likelihood of t distributions has several peaks, so the iteration (each answer weighs less the farther off it is)
    starts from every answer, and from the label.
    """
    precision = np.where(np.isnan(places), 0.0, model.scale**-2.0)
    at = np.nan_to_num(places)
    nu = model.freedom[:, None, None]
    best, most = np.nan_to_num(labels), np.full(labels.shape[:2], -np.inf)
    for start in (np.nan_to_num(labels), *at):
        c = start
        for _ in range(STEPS):
            weights = (nu + 2) / (nu + (precision * (at - c) ** 2).sum(axis=-1))
            pulls = model.weight[:, None, None, None] * weights[..., None] * precision
            total = pulls.sum(axis=0)
            c = np.where(total > 0, (pulls * at).sum(axis=0) / np.where(total > 0, total, 1.0), c)
        score = model.log_likelihood(places - c)
        better = score > most
        best, most = np.where(better[..., None], c, best), np.where(better, score, most)
    return best, most


def _crossed(places: FloatArray, labels: FloatArray, judged: BoolArray, model: _Model, own: FloatArray) -> FloatArray:
    """(M, K, K): log likelihood ratio of the answers for i at the label of j, against its own; -inf where not judged."""
    m, k = judged.shape
    crossed = np.full((m, k, k), -np.inf)
    for j in range(k):
        other = model.log_likelihood(places - labels[:, j : j + 1])
        valid = judged & judged[:, j : j + 1]
        crossed[:, :, j] = np.where(valid, other - own, -np.inf)
    crossed[:, np.arange(k), np.arange(k)] = -np.inf
    return crossed


# 3. and 4. The null distribution, and the decision.


def _inflation(evidence: FloatArray, quantiles: Sequence[float]) -> float:
    """The mean of the exponential that the labels' T is held to be drawn from; at least 1, that of independent detectors."""
    return max(1.0, *(float(np.quantile(evidence, q) / -np.log1p(-q)) for q in quantiles))


def _benjamini_hochberg(log_p: FloatArray, judged: BoolArray) -> BoolArray:
    """The labels found at `LEVEL`."""
    known = np.sort(log_p[judged])
    below = known <= np.log(LEVEL) + np.log(np.arange(1, len(known) + 1) / max(len(known), 1))
    if not below.any():
        return np.zeros_like(judged)
    limit = known[np.flatnonzero(below)[-1]]
    found: BoolArray = judged & (np.nan_to_num(log_p) <= limit)
    return found


def _moved_as_a_whole(weighed: _Weighed, labels: FloatArray, judged: BoolArray) -> BoolArray:
    """(M,) instances with three or more labels, most of them moved, that one common move of all would mend."""
    moved = weighed.suspicious & (weighed.partner < 0)
    count = judged.sum(axis=1)
    whole: BoolArray = (count >= 3) & (2 * moved.sum(axis=1) > count)
    move = np.zeros((len(judged), 1, 2))
    for row in np.flatnonzero(whole).tolist():
        move[row] = np.median((weighed.best - labels)[row, judged[row]], axis=0)
    left = weighed.score - weighed.model.log_likelihood(weighed.places - labels - move)
    usual = UNEXPLAINED / 2 * weighed.inflation  # a label
    whole &= np.where(judged, left, 0.0).sum(axis=1) <= usual * count
    return whole


# What would be found.


def _seen_from(weighed: _Weighed, labels: FloatArray, fitted: BoolArray, limit: float) -> FloatArray:
    """(K,) px: the least of `SHIFTS` that `SEEN` of the right labels would be found with, each moved its own way."""
    seen = np.full(fitted.shape[1], np.nan)
    angles = np.arange(len(labels)) * (np.pi * (3 - np.sqrt(5)))  # evenly spread, the same at every call
    towards = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None]
    wanted = SEEN * np.maximum(fitted.sum(axis=0), 1)
    at_best = weighed.model.log_density(weighed.places - weighed.best)
    for length in SHIFTS.tolist():
        moved = weighed.model.log_density(weighed.places - labels - length * towards)
        against = (at_best - moved >= SUPPORT).sum(axis=0) >= 2
        found = fitted & against & (weighed.score - np.tensordot(weighed.model.weight, moved, axes=1) >= limit)
        seen = np.where(np.isnan(seen) & (found.sum(axis=0) >= wanted), length, seen)
        if not np.isnan(seen).any():
            break
    return seen


def _swaps_seen(exchange: FloatArray, fitted: BoolArray, limit: float) -> FloatArray:
    """(K,) the share of exchanges of right labels that would be found: exchanged, their likelihood ratio is -G."""
    asked = np.isfinite(exchange) & fitted[:, :, None] & fitted[:, None, :]
    seen, count = (asked & (-exchange >= limit)).sum(axis=(0, 2)), asked.sum(axis=(0, 2))
    return np.where(count > 0, seen / np.maximum(count, 1), np.nan)
