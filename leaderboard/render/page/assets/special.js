// Distribution functions as scipy.special has them, to about 1e-14: stdtr, stdtrit, ndtr, betainc, betaincinv.
// Incomplete beta: the continued fraction of Press et al., Numerical Recipes (3rd ed., section 6.4), with the log of the
// beta function by Stirling's corrections where arguments are large (Loader's way: differences of large logs lose digits).
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const TINY = 1e-300;
  const HALF_LOG_2PI = 0.91893853320467274178;
  const LANCZOS = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];

  const logGamma = (x) => {
    if (x >= 10) return (x - 0.5) * Math.log(x) - x + HALF_LOG_2PI + correction(x);
    let sum = LANCZOS[0];
    for (let i = 1; i < 9; i++) sum += LANCZOS[i] / (x - 1 + i);
    const t = x + 6.5;
    return HALF_LOG_2PI + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  };

  /** What Stirling's formula lacks of log gamma(x), for x >= 10. */
  const correction = (x) => {
    const s = 1 / (x * x);
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - (s * 691) / 360360))))) / x;
  };

  const logBeta = (a, b) => {
    const p = Math.min(a, b), q = Math.max(a, b);
    if (p >= 10) {
      const c = correction(p) + correction(q) - correction(p + q);
      return -0.5 * Math.log(q) + HALF_LOG_2PI + c + (p - 0.5) * Math.log(p / (p + q)) + q * Math.log1p(-p / (p + q));
    }
    if (q >= 10) {
      const c = correction(q) - correction(p + q);
      return logGamma(p) + c + p - p * Math.log(p + q) + (q - 0.5) * Math.log1p(-p / (p + q));
    }
    return logGamma(p) + logGamma(q) - logGamma(p + q);
  };

  /** The regularised incomplete beta function of x, where y = 1 - x is given as well because 1 - x may be all there is. */
  const betaOf = (a, b, x, y) => {
    if (!(x > 0)) return 0;
    if (!(y > 0)) return 1;
    const logX = x < 0.5 ? Math.log(x) : Math.log1p(-y), logY = y < 0.5 ? Math.log(y) : Math.log1p(-x);
    const front = Math.exp(a * logX + b * logY - logBeta(a, b));
    return x < (a + 1) / (a + b + 2) ? (front * fraction(a, b, x)) / a : 1 - (front * fraction(b, a, y)) / b;
  };

  const fraction = (a, b, x) => {
    let c = 1, d = 1 - ((a + b) * x) / (a + 1);
    if (Math.abs(d) < TINY) d = TINY;
    d = 1 / d;
    let h = d;
    for (let m = 1; m < 100000; m++) {
      let term = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 + term * d;
      c = 1 + term / c;
      if (Math.abs(d) < TINY) d = TINY;
      if (Math.abs(c) < TINY) c = TINY;
      d = 1 / d;
      h *= d * c;
      term = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 + term * d;
      c = 1 + term / c;
      if (Math.abs(d) < TINY) d = TINY;
      if (Math.abs(c) < TINY) c = TINY;
      d = 1 / d;
      const step = d * c;
      h *= step;
      if (Math.abs(step - 1) < 1e-16) break;
    }
    return h;
  };

  const beta = (a, b, x) => betaOf(a, b, x, 1 - x);

  /** x with beta(a, b, x) = p: Newton's method inside a bracket that bisection shrinks. */
  const betaQuantile = (a, b, p) => {
    if (p <= 0) return 0;
    if (p >= 1) return 1;
    let low = 0, high = 1, x = a / (a + b);
    const scale = logBeta(a, b);
    for (let i = 0; i < 200; i++) {
      const miss = beta(a, b, x) - p;
      if (miss > 0) high = x;
      else low = x;
      const density = Math.exp((a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x) - scale);
      let next = x - miss / density;
      if (!(next > low && next < high)) next = (low + high) / 2;
      if (Math.abs(next - x) <= 1e-16 * x || next === x) return next;
      x = next;
    }
    return x;
  };

  /** The probability above t >= 0. */
  const studentTail = (df, t) => {
    if (t === Infinity) return 0;
    if (df === 2) return 1 / (2 + t * t + t * Math.sqrt(2 + t * t)); // (1 - t / sqrt(2 + t^2)) / 2, without cancelling
    const square = t * t;
    if (square === Infinity) return 0;
    return 0.5 * betaOf(df / 2, 0.5, df / (df + square), square / (df + square));
  };

  /** scipy.special.stdtr: the probability below t. */
  const studentCdf = (df, t) => (t < 0 ? studentTail(df, -t) : 1 - studentTail(df, t));

  const studentDensity = (df, t) => Math.exp(-logBeta(df / 2, 0.5) - 0.5 * Math.log(df) - ((df + 1) / 2) * Math.log1p((t * t) / df));

  /** The t > 0 above which lies p < 1/2: Newton's method on the logs, which are concave, so it cannot go astray. */
  const studentUpper = (df, p) => {
    if (df === 1) return 1 / Math.tan(Math.PI * p);
    if (df === 2) return ((1 - 2 * p) * Math.SQRT2) / Math.sqrt(4 * p * (1 - p));
    const z = normalUpper(p);
    let t = z + (z ** 3 + z) / (4 * df) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * df * df);
    if (df < 30 && z > 3) t = Math.min(t, Math.exp((-Math.log(p * df) - logBeta(df / 2, 0.5) + (df / 2) * Math.log(df)) / df));
    let at = Math.log(t);
    const goal = Math.log(p);
    for (let i = 0; i < 100; i++) {
      t = Math.exp(at);
      const tail = studentTail(df, t);
      const step = ((Math.log(tail) - goal) * tail) / (t * studentDensity(df, t));
      if (!Number.isFinite(step)) {
        at -= 1; // beyond what a double holds of the tail
        continue;
      }
      at += Math.min(step, 5);
      if (Math.abs(step) < 1e-13) break;
    }
    return Math.exp(at);
  };

  /** scipy.special.stdtrit: the t below which lies p. */
  const studentQuantile = (df, p) => (p === 0.5 ? 0 : p < 0.5 ? -studentUpper(df, p) : studentUpper(df, 1 - p));

  /** The z above which lies p < 1/2, to 1e-8: Acklam's rational approximation; only a first guess. */
  const normalUpper = (p) => {
    if (p < 0.02425) {
      const q = Math.sqrt(-2 * Math.log(p));
      const above = ((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q + 4.374664141464968) * q + 2.938163982698783;
      return -above / ((((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1);
    }
    const q = 0.5 - p, r = q * q;
    const above = ((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r - 30.66479806614716) * r + 2.506628277459239;
    return (above * q) / (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r - 13.28068155288572) * r + 1);
  };

  /** scipy.special.ndtr(-z), the probability above z, with its leading digits however small it is. */
  const normalTail = (z) => {
    if (z < 0) return 1 - normalTail(-z);
    const x = z / Math.SQRT2, square = x * x;
    if (x < 2.5) {
      let term = x, sum = x;
      for (let n = 1; term > 1e-17 * sum; n++) {
        term *= (2 * square) / (2 * n + 1);
        sum += term;
      }
      return 0.5 - (Math.exp(-square) * sum) / Math.sqrt(Math.PI);
    }
    let ratio = x; // erfc(x) = exp(-x^2) / sqrt(pi) / (x + 1/2 / (x + 1 / (x + 3/2 / (x + ...))))
    for (let n = 120; n > 0; n--) ratio = x + n / 2 / ratio;
    return (0.5 * Math.exp(-square)) / (ratio * Math.sqrt(Math.PI));
  };

  KB.special = { beta, betaQuantile, logBeta, logGamma, normalTail, studentCdf, studentDensity, studentQuantile, studentTail };
})();
