"""A test of a mean that holds where few images carry the error: empirical likelihood with one failure added.

Student's t estimates the spread from the images seen. A detector that fails on 1 % of images by many pixels shows, on
100 images, no failure at all in one test set of three; its errors then look small and alike, t is large, and the row
seems better than one that errs a little everywhere and has the very same mean. No test that looks at these images alone
can know. What can be known is how bad a failure is: the board has seen some. So the row that looks better is charged
with one image that was not seen, on which it fails as badly as the worst error of the board, and must look better still.

The measure is Owen's empirical likelihood ratio (Biometrika 75, 1988): of all ways to weigh the n observations so that
the mean is 0, the likeliest, compared with equal weights. Added to keep the ratio finite, such a pseudo-observation is
the *adjusted* empirical likelihood of Chen, Variyath & Abraham (Journal of Computational and Graphical Statistics 17,
2008); theirs is placed by the sample mean, ours by the worst error seen, because it has to stand for the tail. With
gains g (how much smaller the better-looking row's error is, px) and worst error M, the multiplier u solves

    sum g / (1 + u g) = M / (1 - u M),      -2 log R = 2 (sum log(1 + u g) + log(1 - u M)),

and sqrt(-2 log R) is compared with the normal distribution. Where a row has failed k times by M and the other is worse
by a steady mean g, this is a Poisson tail with one failure added: with x = N g / M, -2 log R = 2 (x - (k + 1) -
(k + 1) log(x / (k + 1))). No failure seen (k = 0) passes at two-sided 5 % from x = 4.4 on, and the chance of that is
exp(-4.4) = 1.2 %; k = 1 passes from 6.2 on, 1.5 %. Over all x at most 2.2 % are wrong of the 2.5 % promised on this side,
and .070 % of the .086 % that Holm asks of 30 rows. Where two rows are exact but for failures of one size, 6 by one and
none by the other are needed, as by the sign test. For errors without tails the added image weighs M / N px against the
mean, less and less as images grow, and the test becomes the t test. The price is paid on few images: below 4.4 M / N px
nothing is shown.

The test asks about images only. Seeds are the business of the t test (``benchmark.statistics.components``), so a
comparison takes the larger of the two p values. Both have to pass, so the level is kept wherever either keeps it. It
stands on the board's worst error: failures several times as large, and rarer than one in N, would still go unseen.
"""

from __future__ import annotations

import numpy as np

from benchmark.statistics.roots import decreasing_roots
from benchmark.structures import FloatArray, IntArray


def signed_root(gains: FloatArray, worst: float, copies: float = 1.0) -> FloatArray:
    """The signed root sqrt(-2 log R) of the evidence that mean gains are positive, one failure added.

    Args:
        gains: (B, N) float64 px, for each comparison and image how much better the better-looking row was.
        worst: px, positive: the size of the added failure. 0 means that the size of a failure is unknown.
        copies: how often each image counts, for planning with more images than there are.

    Returns:
        (B,) float64, about standard normal where the mean gain is 0; 0 where the added failure takes the whole gain
        away, or where ``worst`` is 0.
    """
    roots = np.zeros(len(gains))
    if worst <= 0:
        return roots
    scaled = gains / worst
    total = copies * scaled.sum(axis=1)
    lies = np.flatnonzero(total > 1)
    if not len(lies):
        return roots
    scaled, total = scaled[lies], total[lies]
    limit = 1 / np.maximum(1.0, -scaled.min(axis=1))

    def equation(multiplier: FloatArray, at: IntArray) -> tuple[FloatArray, FloatArray]:
        chosen = scaled if len(at) == len(scaled) else scaled[at]
        terms = chosen / (1 + multiplier[:, None] * chosen)
        failure = 1 / (1 - multiplier)
        value = copies * terms.sum(axis=1) - failure
        slope = -copies * np.einsum("bn,bn->b", terms, terms) - failure**2
        return value, slope

    newton = (total - 1) / (copies * np.einsum("bn,bn->b", scaled, scaled) + 1)
    start = np.minimum(np.minimum(newton, 1 - 1 / total), 0.999 * limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        multiplier = decreasing_roots(equation, np.zeros(len(lies)), limit, start, tolerance=1e-6)
    log_ratio = copies * np.log1p(multiplier[:, None] * scaled).sum(axis=1) + np.log1p(-multiplier)
    roots[lies] = np.sqrt(2 * np.maximum(log_ratio, 0.0))
    return roots
