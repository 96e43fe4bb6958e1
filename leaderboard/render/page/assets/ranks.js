// benchmark/statistics/ranks.py in the browser: which rows are tested against each other, and between which ranks each lies.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const ENOUGH_SEEDS = 3;
  const MOST_CHOICES = 1000;

  /** Positions of rows {mean, exact, label}, best first. */
  const boardOrder = (rows) => {
    let waiting = Array.from(rows.keys()).sort((a, b) => rows[a].mean - rows[b].mean);
    const ordered = [];
    while (waiting.length) {
      const tied = waiting.filter((i) => rows[i].mean - rows[waiting[0]].mean <= KB.statistics.TIE);
      waiting = waiting.slice(tied.length);
      const share = (i) => rows[i].exact ?? -Infinity;
      tied.sort((a, b) => (share(a) === share(b) ? inOrder(rows[a].label, rows[b].label) : share(b) - share(a)));
      ordered.push(...tied);
    }
    return ordered;
  };

  /** By code points, as Python sorts text. */
  const inOrder = (a, b) => {
    const [first, second] = [a, b].map((text) => Array.from(text, (letter) => letter.codePointAt(0)));
    const at = first.findIndex((point, i) => point !== second[i]);
    return at < 0 ? first.length - second.length : first[at] - (second[at] ?? -1);
  };

  /** Of rows {label, mean, exact, seeds, errors (S x N)} on the same images: positions of those that are tested, and their seeds. */
  const comparable = (rows) => {
    const ranked = boardOrder(rows);
    if (!ranked.length) return { tested: [], seeds: [] };
    const sets = distinct(ranked.map((i) => rows[i].seeds));
    const some = intersections(sets).filter((seeds) => seeds.length);
    const having = (seeds) => ranked.filter((i) => seeds.every((seed) => rows[i].seeds.includes(seed)));
    const worth = (seeds) => {
      const held = having(seeds);
      return [held.length * Math.min(seeds.length, ENOUGH_SEEDS), seeds.length, -ranked.indexOf(held[0])];
    };
    const seeds = (some.length ? some : sets).reduce((best, other) => (above(worth(other), worth(best)) ? other : best));
    return { tested: having(seeds), seeds };
  };

  const distinct = (lists) => [...new Map(lists.map((list) => [list.join(), list])).values()];

  /** The sets of seeds, and what any of them share. */
  const intersections = (sets) => {
    const found = new Map(sets.map((seeds) => [seeds.join(), seeds]));
    const waiting = [...sets];
    for (const seeds of waiting) {
      if (found.size > MOST_CHOICES) break;
      for (const others of sets) {
        const shared = seeds.filter((seed) => others.includes(seed));
        if (!found.has(shared.join())) {
          found.set(shared.join(), shared);
          waiting.push(shared);
        }
      }
    }
    return [...found.values()];
  };

  const above = (one, other) => {
    const at = one.findIndex((value, i) => value !== other[i]);
    return at >= 0 && one[at] > other[at];
  };

  /** The rows, those that are tested cut to the seeds they are tested on. */
  const onSharedSeeds = (rows) => {
    const { tested, seeds } = comparable(rows);
    const cut = [...rows];
    for (const i of tested) {
      const errors = seeds.map((seed) => rows[i].errors[rows[i].seeds.indexOf(seed)]);
      if (seeds.length < rows[i].seeds.length) cut[i] = { ...rows[i], errors, seeds, mean: KB.statistics.mean(KB.statistics.overSeeds(errors)) };
    }
    return cut;
  };

  /** Rank intervals of comparable rows, [values of a row (S x N), ...], after each row of comparisons a pause (`yield`). */
  const rankIntervals = function* (rows, failure, level, effective) {
    const { addedFailure, differencesOf, holm, mean, overSeeds, pBelow, TIE } = KB.statistics;
    const count = rows.length, alpha = 1 - level;
    const failures = rows.map((values) => addedFailure(values, failure));
    const means = rows.map((values) => mean(overSeeds(values)));
    const images = effective ?? rows[0]?.[0].length ?? 0;
    const p = rows.map(() => new Float64Array(count).fill(1));
    const order = rows.map(() => new Int8Array(count));
    const room = rows[0]?.map((own) => new Float64Array(own.length));
    for (let i = 0; i < count; i++) {
      for (let j = i + 1; j < count; j++) {
        const gap = means[i] - means[j];
        order[i][j] = Math.abs(gap) <= TIE ? 0 : Math.sign(gap);
        order[j][i] = -order[i][j];
        if (order[i][j] === 0 || images < 2) continue;
        const differences = differencesOf(rows[i], rows[j], -order[i][j], room);
        const below = pBelow(differences, order[i][j] > 0 ? failures[j] : failures[i], alpha / 2, effective);
        p[i][j] = p[j][i] = Math.min(1, 2 * below);
      }
      yield i;
    }
    return rows.map((_, i) => {
      const others = Array.from(rows.keys()).filter((j) => j !== i);
      const corrected = holm(others.map((j) => p[i][j]));
      const shown = (sign) => others.filter((j, k) => corrected[k] < alpha && order[i][j] === sign);
      const better = shown(1), worse = shown(-1);
      return { low: 1 + better.length, high: count - worse.length, better, worse };
    });
  };

  KB.ranks = { boardOrder, comparable, onSharedSeeds, rankIntervals };
})();
