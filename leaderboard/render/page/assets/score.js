// A board scored again, for the reader's own tolerance and part of it: what benchmark.metrics, leaderboard/rows.py and
// leaderboard/board.py compute of the same part. Pure functions over a payload (leaderboard/render/page/payload.py).
//
// A setting is {tolerance, classes, keypoints, seeds}: px or null for the board's usual one; each of the others a Set or
// null for all. Classes and keypoints are given by name or by position, seeds by number. Of the whole board (no Set that
// leaves anything out) every figure is the board's own and only `pck` is counted.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const parts = new WeakMap(); // board -> the part of it that was asked for last

  /** A Set of names or positions as a mask over `names`; null where it leaves nothing out. */
  const maskOf = (chosen, names) => {
    if (!chosen) return null;
    const mask = names.map((name, i) => chosen.has(i) || chosen.has(name));
    return mask.every(Boolean) ? null : mask;
  };

  /** What a setting leaves of a board: instances, keypoints and seeds; scored row by row. Kept until another is asked for. */
  const partOf = (board, setting) => {
    const classes = maskOf(setting.classes, board.classes?.names ?? []);
    const keypoints = maskOf(setting.keypoints, board.keypoints);
    const known = [...new Set(board.rows.flatMap((row) => row.seeds))];
    const seeds = setting.seeds && known.some((seed) => !setting.seeds.has(seed)) ? setting.seeds : null;
    const key = JSON.stringify([classes, keypoints, seeds && known.filter((seed) => seeds.has(seed))]);
    const last = parts.get(board);
    if (last?.key === key) return last;
    const part = { key, whole: !classes && !keypoints && !seeds, ...chosenOf(board, classes, keypoints) };
    part.rows = board.rows.map((row) => scored(board, part, row, seeds));
    part.failure = part.whole ? board.failure : failureOf(board, part);
    part.places = placesOf(board, part);
    parts.set(board, part);
    return part;
  };

  const chosenOf = (board, classes, keypoints) => {
    const { index, visible, classOf, spacing } = board.arrays;
    const K = board.keypoints.length;
    const columns = Array.from({ length: K }, (_, k) => k).filter((k) => !keypoints || keypoints[k]);
    const at = []; // positions of the labelled keypoints in (M, K)
    const labelled = new Float64Array(board.images), lattice = new Float64Array(board.images);
    for (let m = 0; m < board.instances; m++) {
      if (classes && !classes[classOf[m]]) continue;
      for (const k of columns) {
        if (!visible[m * K + k]) continue;
        at.push(m * K + k);
        labelled[index[m]]++;
        if (!Number.isNaN(spacing[k])) lattice[index[m]]++;
      }
    }
    return { columns, classes, at: Int32Array.from(at), labelled, lattice, weights: weightsOf(board, labelled) };
  };

  /** rows.py, _image_weights; null where all are 1. */
  const weightsOf = (board, labelled) => {
    const known = labelled.filter((count) => count > 0);
    if (!board.single || !known.length || known.every((count) => count === known[0])) return null;
    const middle = KB.statistics.mean(known);
    return labelled.map((count) => count / middle);
  };

  /** The errors of a row in a part of a board; null where it has no answers here or ran with none of the seeds. */
  const scored = (board, part, row, seeds) => {
    const at = row.seeds.map((_, s) => s).filter((s) => !seeds || seeds.has(row.seeds[s]));
    if (!row.points || !at.length) return null;
    const tables = at.map((s) => errorsOf(board, part, row.points[s]));
    const errors = tables.map((table) => (part.weights ? table.errors.map((error, i) => error * part.weights[i]) : table.errors));
    const worst = Math.max(0, ...tables.map((table) => table.worst));
    return { seeds: at.map((s) => row.seeds[s]), tables, errors, worst, ...pooled(tables) };
  };

  /** metrics/pixels.py and evaluation.py, of one set of answers. */
  const errorsOf = (board, part, points) => {
    const { truth, index, sizes, spacing } = board.arrays;
    const K = board.keypoints.length, { at, labelled, lattice } = part;
    let distances = new Float64Array(at.length);
    const errors = new Float64Array(board.images), exact = new Float64Array(board.images);
    const scoredOf = board.matched ? new Float64Array(board.images) : labelled;
    const onLatticeOf = board.matched ? new Float64Array(board.images) : lattice;
    let count = 0, total = 0, right = 0, onLattice = 0;
    for (let i = 0; i < at.length; i++) {
      const place = at[i], k = place % K, image = index[(place / K) | 0];
      let dx = points[2 * place] - truth[2 * place], dy = points[2 * place + 1] - truth[2 * place + 1];
      const answered = dx === dx;
      if (!answered) {
        if (board.matched) continue; // missed: pixel errors are of matched instances
        dx = sizes[2 * image];
        dy = sizes[2 * image + 1];
      }
      const distance = Math.sqrt(dx * dx + dy * dy), half = spacing[k] / 2;
      distances[count++] = distance;
      total += distance;
      errors[image] += distance;
      if (board.matched) scoredOf[image]++;
      if (half === half) {
        onLattice++;
        if (board.matched) onLatticeOf[image]++;
        if (answered && Math.abs(dx) < half && Math.abs(dy) < half) {
          right++;
          exact[image]++;
        }
      }
    }
    if (count < distances.length) distances = distances.slice(0, count);
    let worst = 0;
    for (let i = 0; i < errors.length; i++) {
      errors[i] /= scoredOf[i];
      exact[i] /= onLatticeOf[i];
      if (errors[i] > worst) worst = errors[i];
    }
    return {
      distances, errors, exact, worst,
      mean: count ? total / count : null,
      median: count ? medianOf(distances) : null,
      share: onLattice ? right / onLattice : null,
    };
  };

  const medianOf = (values) => {
    const list = Float64Array.from(values), middle = list.length >> 1;
    const upper = selected(list, middle);
    if (list.length % 2) return upper;
    let lower = -Infinity; // the largest of those before it
    for (let i = 0; i < middle; i++) if (list[i] > lower) lower = list[i];
    return (lower + upper) / 2;
  };

  /** The value that would stand at `place` were the list sorted (Hoare's selection); smaller ones end up before it. */
  const selected = (list, place) => {
    let low = 0, high = list.length - 1;
    while (low < high) {
      const pivot = list[(low + high) >> 1];
      let i = low, j = high;
      while (i <= j) {
        while (list[i] < pivot) i++;
        while (list[j] > pivot) j--;
        if (i <= j) {
          const kept = list[i];
          list[i++] = list[j];
          list[j--] = kept;
        }
      }
      if (place <= j) high = j;
      else if (place >= i) low = i;
      else break;
    }
    return list[place];
  };

  /** rows.py, over_seeds: the mean; null where a seed has none. */
  const over = (values) => (values.some((value) => value === null) ? null : KB.statistics.mean(values));
  const pooled = (tables) => ({
    mean: over(tables.map((table) => table.mean)),
    median: over(tables.map((table) => table.median)),
    exact: over(tables.map((table) => table.share)),
  });

  /** board.py, failure_size. */
  const failureOf = (board, part) => {
    const { truth, baseline, index, visible } = board.arrays;
    const K = board.keypoints.length;
    if (baseline && board.single) {
      let worst = null;
      for (let m = 0; m < board.instances; m++) {
        if (part.classes && !part.classes[board.arrays.classOf[m]]) continue;
        let total = 0, count = 0;
        for (const k of part.columns) {
          if (!visible[m * K + k]) continue;
          const place = 2 * (m * K + k), from = 2 * (index[m] * K + k);
          total += Math.sqrt((truth[place] - baseline[from]) ** 2 + (truth[place + 1] - baseline[from + 1]) ** 2);
          count++;
        }
        if (count) worst = Math.max(worst ?? 0, total / count);
      }
      if (worst !== null) return worst;
    }
    const known = part.rows.filter(Boolean).map((row) => row.worst);
    return known.length ? medianOf(known) : 0;
  };

  const placesWhere = (board, holds) => board.rows.flatMap((row, i) => (holds(row, i) ? [i] : []));

  /** Positions in the order of the board: of ranked rows from 1, of the others null; `order` over all, best first. */
  const placesOf = (board, part) => {
    const having = placesWhere(board, (row, i) => part.rows[i]?.mean != null);
    const order = KB.ranks.boardOrder(having.map((i) => ({ ...part.rows[i], label: board.rows[i].label }))).map((k) => having[k]);
    const positions = new Map(order.filter((i) => board.rows[i].ranked).map((i, k) => [i, k + 1]));
    return board.rows.map((row, i) => (part.whole ? row.position : positions.get(i) ?? null));
  };

  const answeredBy = (values) => {
    const known = [];
    for (let i = 0; i < values[0].length; i++) if (values.every((own) => Number.isFinite(own[i]))) known.push(i);
    return known;
  };
  const take = (values, images) =>
    values.map((own) => {
      if (images.length === own.length) return own;
      const taken = new Float64Array(images.length); // loops: typed arrays' own `from` and `map` are many times slower
      for (let k = 0; k < images.length; k++) taken[k] = own[images[k]];
      return taken;
    });
  const groupsAt = (board, images) => KB.statistics.groupsOf(board.arrays.groups && images.map((i) => board.arrays.groups[i]));

  /** The rows that are tested against each other, and on which images: board.py, test_rows, and ranks.py, comparable_rows. */
  const testsOf = (board, part) => {
    const ranked = placesWhere(board, (row, i) => row.ranked && part.rows[i]?.mean != null);
    const answered = new Map(ranked.map((i) => [i, answeredBy(part.rows[i].errors)]));
    const most = Math.max(0, ...ranked.map((i) => answered.get(i).length));
    const enough = ranked.filter((i) => most > 0 && 2 * answered.get(i).length >= most);
    let shared = null;
    for (const i of enough) {
      const own = new Set(answered.get(i));
      shared = shared === null ? answered.get(i) : shared.filter((image) => own.has(image));
    }
    if (!shared?.length) return { rows: [], images: [] };
    const tests = enough.map((i) => ({ ...part.rows[i], i, label: board.rows[i].label, errors: take(part.rows[i].errors, shared) }));
    for (const test of tests) test.mean = KB.statistics.mean(KB.statistics.overSeeds(test.errors));
    const cut = KB.ranks.onSharedSeeds(tests);
    return { rows: KB.ranks.comparable(cut).tested.map((k) => cut[k]), images: shared };
  };

  /** A generator that ends with the rank intervals, by position of the row; it pauses after every row of comparisons. */
  const ranking = function* (board, part) {
    const { rows, images } = testsOf(board, part);
    const groups = groupsAt(board, images);
    const values = rows.map((row) => KB.statistics.valuesOf(groups, row.errors));
    const found = rows.length
      ? yield* KB.ranks.rankIntervals(values, part.failure, board.level, KB.statistics.effectiveOf(groups))
      : [];
    return new Map(rows.map((row, k) => [row.i, found[k]]));
  };

  const rankedNow = (board, part) => {
    if (part.ranks) return part.ranks;
    const steps = ranking(board, part);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return (part.ranks = step.value);
  };

  const withRanks = (board, part, rows) => {
    for (const [i, row] of rows.entries()) {
      const own = part.whole ? { low: board.rows[i].rank_low, high: board.rows[i].rank_high } : part.ranks?.get(i);
      row.rank_low = own?.low ?? null;
      row.rank_high = own?.high ?? null;
      row.ranks_pending = !part.whole && !part.ranks;
    }
    return rows;
  };

  const shareWithin = (distances, tolerance) => {
    let within = 0;
    for (let i = 0; i < distances.length; i++) if (distances[i] <= tolerance) within++;
    return distances.length ? within / distances.length : null;
  };

  /** The figures of every row, in the order of board.rows; ranks where they are known already (`ranks_pending`: not yet). */
  const figures = (board, setting) => {
    const part = partOf(board, setting);
    const tolerance = setting.tolerance ?? board.tolerance;
    const rows = board.rows.map((row, i) => {
      const own = part.rows[i];
      const said = part.whole ? ofBoard(row) : null;
      const pck = own && own.tables.map((table) => shareWithin(table.distances, tolerance));
      const computed = { mean: own?.mean ?? null, median: own?.median ?? null, exact: own?.exact ?? null };
      return {
        label: row.label,
        ranked: row.ranked,
        reason: row.reason || (own ? "" : "no run with these seeds"),
        ...(said ?? { ...computed, ...intervalsOf(board, part, own) }),
        pck: own ? over(pck) : (said && row.figures[`pck@${tolerance}`]) ?? null,
        keypoints: own ? own.tables[0].distances.length : 0,
        errors: own?.errors ?? [],
        distances: own?.tables.map((table) => table.distances) ?? [],
        perSeed: own?.tables.map((table, s) => ({ seed: own.seeds[s], mean: table.mean, exact: table.share, pck: pck[s] })) ?? (said ? row.per_seed : []),
        position: part.places[i],
      };
    });
    return withRanks(board, part, rows);
  };

  const ofBoard = (row) => ({
    mean: row.figures.mean ?? null,
    median: row.figures.median ?? null,
    exact: row.figures.exact ?? null,
    interval: row.interval && { mean: row.interval.mean, low: row.interval.low, high: row.interval.high ?? Infinity },
    exact_interval: row.exact_interval && { low: row.exact_interval.low, high: row.exact_interval.high },
  });

  /** rows.py, make_row: the intervals of the mean and of the share exact. */
  const intervalsOf = (board, part, own) => {
    if (!own) return { interval: null, exact_interval: null };
    if (own.interval === undefined) {
      const known = answeredBy(own.errors), exact = own.tables.map((table) => table.exact), lattice = answeredBy(exact);
      const { interval, exactShare } = KB.statistics;
      own.interval = known.length ? interval(take(own.errors, known), board.level, groupsAt(board, known)) : null;
      own.exact_interval = lattice.length ? exactShare(take(exact, lattice), board.level, groupsAt(board, lattice)) : null;
    }
    return { interval: own.interval, exact_interval: own.exact_interval };
  };

  /** The same as `figures` with the ranks, at once. */
  const evaluate = (board, setting) => {
    const part = partOf(board, setting);
    if (!part.whole) rankedNow(board, part);
    return figures(board, setting);
  };

  /** The ranks into what `figures` gave, a little at a time so that the page stays awake; null where another part was asked for. */
  const ranks = async (board, setting, rows) => {
    const part = partOf(board, setting);
    const steps = part.whole || part.ranks ? null : ranking(board, part);
    while (steps) {
      const until = performance.now() + 12;
      let step = steps.next();
      while (!step.done && performance.now() < until) step = steps.next();
      if (step.done) {
        part.ranks = step.value;
        break;
      }
      await new Promise((resolve) => setTimeout(resolve));
      if (parts.get(board) !== part) return null;
    }
    return withRanks(board, part, rows);
  };

  /** compare.py: rows a and b by label, on the seeds and images they share; {error} where they share none. */
  const pair = (board, a, b, setting) => {
    const part = partOf(board, setting);
    const [first, second] = [a, b].map((label) => part.rows[board.rows.findIndex((row) => row.label === label)]);
    if (!first || !second) return { error: "a row without answers here cannot be compared" };
    const seeds = first.seeds.filter((seed) => second.seeds.includes(seed));
    if (!seeds.length) return { error: "these rows share no seed" };
    const [mine, other] = [first, second].map((row) => seeds.map((seed) => row.errors[row.seeds.indexOf(seed)]));
    const images = answeredBy([...mine, ...other]);
    if (!images.length) return { error: "these rows answered no image in common" };
    const groups = groupsAt(board, images);
    return { ...KB.statistics.paired(take(mine, images), take(other, images), board.level, part.failure, groups), seeds, images: images.length };
  };

  const unpack = (board) => KB.unpack.board(board);

  KB.score = { unpack, evaluate, figures, ranks, pair, medianOf, shareWithin };
})();
