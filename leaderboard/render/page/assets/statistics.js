// benchmark/statistics in the browser: the same formulas, in the same order of steps, one function for one of Python's.
// What a formula is and where it comes from stands there; here only what differs is said. `values` is an array of S
// Float64Arrays, one a seed, over N images (or G groups).
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const TIE = 1e-9; // px
  const LINEAR = 1e-4;

  const sum = (list) => {
    let total = 0;
    for (let i = 0; i < list.length; i++) total += list[i];
    return total;
  };
  const mean = (list) => sum(list) / list.length;
  const variance = (list) => {
    const middle = mean(list);
    let total = 0;
    for (let i = 0; i < list.length; i++) {
      const off = list[i] - middle;
      total += off * off;
    }
    return total / (list.length - 1);
  };
  const overSeeds = (values) => {
    const of = values[0].slice(), seeds = values.length;
    for (let s = 1; s < seeds; s++) {
      const own = values[s];
      for (let i = 0; i < of.length; i++) of[i] += own[i];
    }
    if (seeds > 1) for (let i = 0; i < of.length; i++) of[i] /= seeds;
    return of;
  };

  // components.py

  const components = (values, effective, ofImage = overSeeds(values)) => {
    const seeds = values.length, images = ofImage.length;
    const middle = mean(ofImage);
    if (images < 2) return { mean: middle, seeds, images: 1, imagePart: Infinity, seedPart: 0 };
    const degrees = effective ?? images;
    const imagePart = variance(ofImage) / images;
    if (seeds === 1) return { mean: middle, seeds, images: degrees, imagePart, seedPart: 0 };
    const ofSeed = values.map(mean);
    const seedPart = variance(ofSeed) / seeds;
    let left = 0;
    for (let s = 0; s < seeds; s++) {
      const own = values[s], shift = ofSeed[s] - middle;
      for (let i = 0; i < images; i++) {
        const off = own[i] - ofImage[i] - shift;
        left += off * off;
      }
    }
    const rest = left / ((seeds - 1) * (images - 1)) / (seeds * images);
    return { mean: middle, seeds, images: degrees, imagePart: Math.max(imagePart - rest, 0), seedPart };
  };

  const halfWidth = (parts, alpha) => {
    if (parts.images < 2) return Infinity;
    let square = quantile(parts.images - 1, alpha / 2) ** 2 * parts.imagePart;
    if (parts.seeds > 1) square += quantile(parts.seeds - 1, alpha / 2) ** 2 * parts.seedPart;
    return Math.sqrt(square);
  };

  const quantiles = new Map(); // of the levels of intervals, which are few; p values ask for others
  const quantile = (df, p) => {
    const key = `${df} ${p}`;
    if (!quantiles.has(key)) {
      if (quantiles.size > 1000) quantiles.clear();
      quantiles.set(key, KB.special.studentQuantile(df, p));
    }
    return quantiles.get(key);
  };

  /** The two-sided p value of "the mean is 0". */
  const pValue = (parts) => {
    const { studentTail, studentDensity } = KB.special;
    if (parts.images < 2) return 1;
    const size = Math.abs(parts.mean), image = parts.imagePart, seed = parts.seedPart;
    const degrees = [parts.images - 1, parts.seeds - 1];
    const t = size > 0 ? size / Math.sqrt(image + seed) : 0;
    const ofImages = 2 * studentTail(degrees[0], t);
    if (parts.seeds === 1) return ofImages;
    const ofSeeds = 2 * studentTail(degrees[1], t);
    if (!(seed > 0)) return ofImages;
    if (!(image > 0 && ofSeeds > 0)) return ofSeeds;
    if (t < LINEAR) {
      const spread = image / studentDensity(degrees[0], 0) ** 2 + seed / studentDensity(degrees[1], 0) ** 2;
      return 1 - (2 * size) / Math.sqrt(spread);
    }
    return mixed(size, [image, seed], degrees, [ofImages, ofSeeds]);
  };

  const mixed = (size, parts, degrees, ends) => {
    const logs = ends.map((p) => Math.log(Math.max(p, 1e-300)));
    let low = Math.min(...logs), high = Math.max(...logs);
    low -= 1e-12 * (1 + Math.abs(low));
    high += 1e-12 * (1 + Math.abs(high));
    const equation = (logarithm) => {
      const p = Math.exp(logarithm);
      let square = 0, slope = 0;
      for (let k = 0; k < 2; k++) {
        const t = -KB.special.studentQuantile(degrees[k], p / 2);
        square += parts[k] * t * t;
        slope -= (parts[k] * t * p) / KB.special.studentDensity(degrees[k], t);
      }
      return [Math.log(square) - 2 * Math.log(size), slope / square];
    };
    return Math.min(Math.exp(decreasingRoot(equation, low, high, (low + high) / 2, 1e-10)), 1);
  };

  // roots.py

  const decreasingRoot = (equation, low, high, start, tolerance) => {
    let root = start, before = high - low;
    for (let step = 0; step < 200; step++) {
      const [value, slope] = equation(root);
      if (value > 0) low = root;
      else high = root;
      let there = root - value / slope;
      if (!(there > low && there < high && Math.abs(there - root) <= before / 2)) there = (low + high) / 2;
      if (value === 0) there = root;
      before = Math.abs(there - root);
      root = there;
      if (!(before > tolerance * Math.abs(there))) return root;
    }
    throw new Error("no root found: the function does not fall, or has no root in its bracket");
  };

  // tail.py

  let scaled = new Float64Array(0); // room that is used again by every test

  /** The signed root of the evidence that the mean of the gains `from - losses` (N) is positive, one failure added. */
  const signedRoot = (losses, failure, from = 0) => {
    if (!(failure > 0)) return 0;
    const count = losses.length;
    if (scaled.length < count) scaled = new Float64Array(count);
    let total = 0, least = 0, square = 0;
    for (let i = 0; i < count; i++) {
      const gain = (scaled[i] = (from - losses[i]) / failure);
      total += gain;
      square += gain * gain;
      if (gain < least) least = gain;
    }
    if (!(total > 1)) return 0;
    const limit = 1 / Math.max(1, -least);
    const equation = (multiplier) => {
      let value = 0, slope = 0;
      for (let i = 0; i < count; i++) {
        const term = scaled[i] / (1 + multiplier * scaled[i]);
        value += term;
        slope -= term * term;
      }
      const added = 1 / (1 - multiplier);
      return [value - added, slope - added * added];
    };
    const start = Math.min((total - 1) / (square + 1), 1 - 1 / total, 0.999 * limit);
    const multiplier = decreasingRoot(equation, 0, limit, start, 1e-6);
    // logs of products of a few factors at a time: each factor lies between 0 and 1 + N, far from what a double holds
    let ratio = Math.log1p(-multiplier), product = 1;
    for (let i = 0; i < count; i++) {
      product *= 1 + multiplier * scaled[i];
      if (product < 1e-100 || product > 1e100) {
        ratio += Math.log(product);
        product = 1;
      }
    }
    return Math.sqrt(2 * Math.max(ratio + Math.log(product), 0));
  };

  // groups.py

  /** The groups of some images: `of` (n) numbers; null where each image is alone in its own, or `of` is null. */
  const groupsOf = (of) => {
    if (of === null) return null;
    const places = new Map(), members = new Int32Array(of.length), sizes = [];
    for (let i = 0; i < of.length; i++) {
      if (!places.has(of[i])) {
        places.set(of[i], sizes.length);
        sizes.push(0);
      }
      sizes[(members[i] = places.get(of[i]))]++;
    }
    if (sizes.length === of.length) return null;
    return { members, sizes, effective: of.length ** 2 / sizes.reduce((total, size) => total + size * size, 0) };
  };

  const groupValues = (groups, errors) => {
    const middle = mean(errors), count = groups.sizes.length;
    if (count === 1) return Float64Array.of(middle);
    const sums = new Float64Array(count);
    for (let i = 0; i < errors.length; i++) sums[groups.members[i]] += errors[i];
    const apart = sums.map((total, g) => ((count - 1) * (total - groups.sizes[g] * middle)) / (errors.length - groups.sizes[g]));
    const shift = mean(apart);
    return apart.map((value) => middle + value - shift);
  };

  const valuesOf = (groups, values) => (groups === null ? values : values.map((own) => groupValues(groups, own)));
  const effectiveOf = (groups) => groups?.effective ?? null;

  // intervals.py

  const interval = (values, level, groups) => {
    const parts = components(valuesOf(groups, values), effectiveOf(groups));
    const half = halfWidth(parts, 1 - level);
    return { mean: parts.mean, low: Math.max(parts.mean - half, 0), high: parts.mean + half };
  };

  const exactInterval = (successes, n, level) => {
    const alpha = 1 - level;
    return {
      low: successes === 0 ? 0 : KB.special.betaQuantile(successes, n - successes + 1, alpha / 2),
      high: successes === n ? 1 : KB.special.betaQuantile(successes + 1, n - successes, 1 - alpha / 2),
    };
  };

  const exactShare = (values, level, groups) => {
    const seeds = values.length, images = values[0].length;
    const share = mean(values.map(mean));
    let effective = groups === null ? images : groups.effective;
    if ((seeds > 1 || groups !== null) && share > 0 && share < 1 && images > 1) {
      const simple = Math.abs(quantile(images - 1, (1 - level) / 2)) * Math.sqrt((share * (1 - share)) / (images - 1));
      const half = halfWidth(components(valuesOf(groups, values), effectiveOf(groups)), 1 - level);
      effective = Math.max(1, images * Math.min((simple / half) ** 2, seeds));
    }
    return { share, ...exactInterval(share * effective, effective, level) };
  };

  // holm.py, of one family

  const holm = (p) => {
    const order = Array.from(p.keys()).sort((a, b) => p[a] - p[b] || a - b);
    const corrected = new Float64Array(p.length);
    let most = 0;
    order.forEach((place, k) => {
      most = Math.max(most, p[place] * (p.length - k));
      corrected[place] = Math.min(most, 1);
    });
    return corrected;
  };

  // paired.py

  const addedFailure = (values, failure) => {
    let worst = failure;
    for (const own of values) for (let i = 0; i < own.length; i++) if (own[i] > worst) worst = own[i];
    return worst;
  };

  /** first - second, times sign; 0 within TIE. */
  const differencesOf = (first, second, sign = 1, room = first.map((own) => new Float64Array(own.length))) => {
    for (let s = 0; s < first.length; s++) {
      const a = first[s], b = second[s], to = room[s];
      for (let i = 0; i < a.length; i++) {
        const gap = (a[i] - b[i]) * sign;
        to[i] = gap <= TIE && gap >= -TIE ? 0 : gap;
      }
    }
    return room;
  };

  /** One-sided p value of "the mean difference is 0 or more"; Student's alone from `needed` on. */
  const pBelow = (differences, failure, needed, effective) => {
    const ofImage = overSeeds(differences);
    const parts = components(differences, effective, ofImage);
    const half = pValue(parts) / 2;
    const p = parts.mean < 0 ? half : 1 - half;
    if (!(p < needed)) return p;
    return Math.max(p, KB.special.normalTail(signedRoot(ofImage, failure)));
  };

  /** The comparison of rows a and b (S x N), `failure` given: difference, interval and p. */
  const paired = (a, b, level, failure, groups) => {
    const differences = differencesOf(a, b);
    const byGroup = valuesOf(groups, differences), effective = effectiveOf(groups);
    const parts = components(byGroup, effective), half = halfWidth(parts, 1 - level);
    const [valuesA, valuesB] = [valuesOf(groups, a), valuesOf(groups, b)];
    const differ = differences.some((own) => own.some((gap) => gap !== 0));
    let low = parts.mean - half, high = parts.mean + half;
    let p = pValue(parts);
    if (parts.images >= 2 && differ) {
      const ofImage = overSeeds(byGroup);
      low = Math.min(low, -tailLimit(ofImage.map((gap) => -gap), addedFailure(valuesB, failure), level));
      high = Math.max(high, tailLimit(ofImage, addedFailure(valuesA, failure), level));
    }
    if (parts.images >= 2 && parts.mean !== 0) {
      const aIsBetter = parts.mean < 0;
      const towards = aIsBetter ? byGroup : byGroup.map((own) => own.map((gap) => -gap));
      p = Math.min(1, 2 * pBelow(towards, addedFailure(aIsBetter ? valuesA : valuesB, failure), 1, effective));
    }
    return { difference: parts.mean, low, high, p };
  };

  /** The largest mean that the heavy-tail test does not exclude from above. */
  const tailLimit = (ofImage, failure, level) => {
    if (failure <= 0) return Infinity;
    let accepted = mean(ofImage), worst = 0;
    for (let i = 0; i < ofImage.length; i++) worst = Math.max(worst, Math.abs(ofImage[i]));
    const span = Math.max(failure, worst);
    let excluded = accepted + span;
    const excludes = (limit) => 2 * KB.special.normalTail(signedRoot(ofImage, failure, limit)) < 1 - level;
    while (!excludes(excluded)) {
      excluded += span;
      if (excluded > 1e6 * span) return Infinity;
    }
    while (excluded - accepted > 1e-9 * span) {
      const middle = (accepted + excluded) / 2;
      if (excludes(middle)) excluded = middle;
      else accepted = middle;
    }
    return excluded;
  };

  KB.statistics = {
    TIE, addedFailure, components, differencesOf, effectiveOf, exactInterval, exactShare, groupsOf, halfWidth, holm, interval,
    mean, overSeeds, pBelow, pValue, paired, signedRoot, valuesOf,
  };
})();
