// The records that plots draw, of a board as the reader has it scored: what data() of each file in
// leaderboard/render/plots makes in Python, which a test holds to be the same. Pure functions of a context:
// {board, scored, setting, chosen: [labels], against: label}.
(() => {
  "use strict";
  const TIE = 1e-9; // benchmark/statistics/components.py
  const PREDICTED = 2; // rows whose predictions are drawn
  const STEPS = 240; // pck.py
  const POINTS = 1000; // actual.py
  const MOST = 8; // learning.py
  const NO_SPREAD = 1e-9; // benchmark/metrics/definitions.py

  /** A name without control characters and halves of characters (records.py, printable). */
  const printable = (text) => String(text).replace(/\p{Cc}|\p{Cs}/gu, "\ufffd");
  const finite = (value) => (Number.isFinite(value) ? value : null);
  const meanOf = (values) => (values.length && values.every((value) => value !== null) ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

  /** Positions of the rows of a board in the order of now: ranked by their place, then references; rows without a mean last. */
  function inOrder({ board, scored }) {
    const key = (i) => [board.rows[i].ranked ? 0 : 1, scored[i].position ?? Infinity, i];
    return board.rows.map((_, i) => i).sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return x[0] - y[0] || (x[1] === y[1] ? x[2] - y[2] : x[1] - y[1]);
    });
  }

  const placeOf = (context, i) => inOrder(context).indexOf(i) + 1;

  /** The rows that the reader has chosen, in the reader's order, so that colours are those of the board's boxes. */
  const chosenRows = ({ board, chosen }) => chosen.map((label) => board.rows.findIndex((row) => row.label === label)).filter((i) => i >= 0);

  /** What most kinds show of a row (records.py, figures). */
  function figures(context, i, place) {
    const { board, scored, chosen } = context;
    const row = board.rows[i], own = scored[i];
    const span = Number.isFinite(own.interval?.high) ? own.interval : null; // of one end nothing is drawn
    return {
      row: printable(row.label),
      order: place,
      family: printable(row.family),
      reference: !row.ranked,
      aided: row.marks.includes("oracle_features") || row.marks.includes("rule_structured"),
      chosen: chosen.includes(row.label),
      rank: KB.dom.rank(own.rank_low ?? NaN, own.rank_high ?? NaN),
      mean: own.mean,
      low: span ? span.low : null,
      high: span ? span.high : null,
      fit_seconds: row.cost.fit_seconds,
      predict_ms: row.cost.predict_ms,
    };
  }

  const everyRow = (context) => inOrder(context).map((i, place) => [i, figures(context, i, place + 1)]).filter(([, record]) => record.mean !== null);

  const cost = (context) => everyRow(context).map(([, record]) => record);

  const ranks = (context) =>
    everyRow(context).map(([i, record]) => {
      const own = context.scored[i];
      const seeds = own.perSeed.map((one) => one.mean);
      const means = seeds.map((value) => (value === null ? "–" : String(Number(value.toPrecision(4))))).join(", ");
      return { ...record, position: own.position, rank_low: own.rank_low, rank_high: own.rank_high, seeds, means };
    });

  /** The rows of a plot of lines: the chosen ones, then the training mean, which any other has to beat. */
  function drawnRows(context) {
    const rows = chosenRows(context);
    const baseline = context.board.rows.findIndex((row) => row.name === "mean");
    return baseline < 0 || rows.includes(baseline) ? rows : [...rows, baseline];
  }

  /** Where the curves end: at the last threshold, or the tolerance that is asked for beyond it. */
  const pckEnd = ({ board, setting }) => Math.max(...board.thresholds, setting.tolerance ?? 0);

  function pck(context) {
    const { board, scored } = context;
    const thresholds = board.thresholds;
    if (!thresholds.length) return [];
    const last = pckEnd(context);
    const grid = Array.from({ length: STEPS + 1 }, (_, i) => (last * i * i) / STEPS ** 2);
    const places = [...new Set([...grid, ...thresholds])].sort((a, b) => a - b);
    return drawnRows(context).flatMap((i, place) => {
      const seeds = scored[i].distances.filter((own) => own.length).map((own) => Float64Array.from(own).sort());
      if (!seeds.length) return [];
      const at = seeds.map(() => 0);
      return places.map((within) => {
        const shares = seeds.map((own, s) => {
          while (at[s] < own.length && own[at[s]] <= (within || TIE)) at[s]++;
          return at[s] / own.length;
        });
        return { row: printable(board.rows[i].label), order: place + 1, error: within, share: meanOf(shares), listed: thresholds.includes(within) };
      });
    });
  }

  const has = (chosen, names, i) => !chosen || chosen.has(i) || chosen.has(names[i]);

  /** Every labelled keypoint of the part that counts and that the row's seed `s` is scored on: visit(m, k, dx, dy, image, isAnswered). */
  function eachKeypoint({ board, setting }, row, s, visit) {
    const { truth, visible, index, sizes, classOf } = board.arrays;
    const K = board.keypoints.length, points = row.points[s];
    for (let m = 0; m < board.instances; m++) {
      if (board.classes && !has(setting.classes, board.classes.names, classOf[m])) continue;
      for (let k = 0; k < K; k++) {
        const at = m * K + k;
        if (!visible[at] || !has(setting.keypoints, board.keypoints, k)) continue;
        const dx = points[2 * at] - truth[2 * at], dy = points[2 * at + 1] - truth[2 * at + 1], image = index[m];
        if (dx === dx) visit(m, k, dx, dy, image, true);
        else if (!board.matched) visit(m, k, sizes[2 * image], sizes[2 * image + 1], image, false);
      }
    }
  }

  const seedsOf = ({ setting }, row) => (row.points ? row.seeds.flatMap((seed, s) => (!setting.seeds || setting.seeds.has(seed) ? [s] : [])) : []);

  function actual(context) {
    const { board } = context;
    const { truth, baseline } = board.arrays;
    const K = board.keypoints.length, names = board.keypoints.map(printable);
    return chosenRows(context).slice(0, PREDICTED).flatMap((i, place) => {
      const row = board.rows[i];
      return ["x", "y"].flatMap((letter, axis) => {
        const r2 = [], points = [];
        for (const s of seedsOf(context, row)) {
          const residual = new Float64Array(K), spread = new Float64Array(K), used = new Array(K).fill(false);
          eachKeypoint(context, row, s, (m, k, dx, dy, image, isAnswered) => {
            const off = axis ? dy : dx, was = truth[2 * (m * K + k) + axis];
            residual[k] += off * off;
            used[k] = true;
            if (baseline) spread[k] += (was - baseline[2 * (image * K + k) + axis]) ** 2;
            if (isAnswered) points.push({ keypoint: names[k], image: `${image + 1}`, actual: was, predicted: was + off });
          });
          const known = names.map((_, k) => k).filter((k) => used[k]);
          r2.push(baseline && known.length && known.every((k) => spread[k] > 0) ? meanOf(known.map((k) => 1 - residual[k] / spread[k])) : null);
        }
        const value = meanOf(r2);
        const panel = `${printable(row.label)}: ${letter}${value === null ? "" : `, R² ${value.toFixed(3)}`}`;
        const drawn = Math.min(points.length, POINTS);
        const of = { panel, place: 2 * (place + 1) + axis, row: printable(row.label), axis: letter };
        return Array.from({ length: drawn }, (_, j) => ({ ...of, ...points[Math.floor((j * (points.length - 1)) / Math.max(drawn - 1, 1))] }));
      });
    });
  }

  /** dist_avg and dist_r2 of a row in the part that counts (benchmark/metrics/definitions.py); null where they have no meaning. */
  function distances(context, row) {
    const { truth, baseline, sizes } = context.board.arrays;
    const K = context.board.keypoints.length;
    const tables = seedsOf(context, row).map((s) => {
      let count = 0, scaled = 0, total = 0, ofMean = 0;
      eachKeypoint(context, row, s, (m, k, dx, dy, image) => {
        const at = 2 * (m * K + k), from = 2 * (image * K + k);
        count++;
        scaled += Math.hypot((2 * dx) / sizes[2 * image], (2 * dy) / sizes[2 * image + 1]);
        total += Math.hypot(dx, dy);
        if (baseline) ofMean += Math.hypot(truth[at] - baseline[from], truth[at + 1] - baseline[from + 1]);
      });
      const isFlat = !baseline || !(ofMean > count * NO_SPREAD);
      return { dist_avg: count && Number.isFinite(scaled) ? scaled / count : null, dist_r2: count && !isFlat ? 1 - total / ofMean : null };
    });
    return { dist_avg: meanOf(tables.map((one) => one.dist_avg)), dist_r2: meanOf(tables.map((one) => one.dist_r2)) };
  }

  function r2(context) {
    const { board, setting } = context;
    const isWhole = !setting.classes && !setting.keypoints && !setting.seeds;
    return everyRow(context).flatMap(([i, record]) => {
      const row = board.rows[i];
      const { dist_avg = null, dist_r2 = null } = isWhole ? row.figures : distances(context, row);
      return dist_avg === null || dist_r2 === null ? [] : [{ ...record, dist_avg, dist_r2 }];
    });
  }

  function learning(context) {
    const { board } = context;
    const curves = new Map();
    for (const [i, record] of everyRow(context)) {
      const row = board.rows[i];
      if (!row.n_train) continue;
      const name = printable(row.budget === "recipe" ? row.detector : `${row.detector} ${row.budget}`);
      curves.set(name, [...(curves.get(name) ?? []), { ...record, n: row.n_train }]);
    }
    const several = [...curves].filter(([, made]) => new Set(made.map((one) => one.n)).size > 1).slice(0, MOST);
    return several.flatMap(([name, made], place) =>
      made.sort((a, b) => a.n - b.n).map(({ n, mean, low, high, reference }) => ({ row: name, order: place + 1, n, mean, low, high, reference })),
    );
  }

  const COLUMNS = { train_px: ["pixel error", "train"], val_px: ["pixel error", "val"], loss: ["loss", "train"], val_loss: ["loss", "val"] };

  /** The history of a row, every seed; none of a fit in one step. */
  function historyOf(row, place) {
    return (row.details?.history ?? []).flatMap((columns, s) => {
      const epochs = columns.epoch ?? [];
      if (epochs.length < 2) return [];
      return epochs.flatMap((epoch, i) =>
        Object.entries(COLUMNS).flatMap(([column, [quantity, split]]) => {
          const value = columns[column]?.[i] ?? null;
          return epoch === null || value === null || value < 0 ? [] : [{ row: printable(row.label), order: place, seed: row.seeds[s], quantity, split, epoch, value }];
        }),
      );
    });
  }

  const history = (context) => chosenRows(context).flatMap((i, place) => historyOf(context.board.rows[i], place + 1));

  function pairs(context) {
    const { board, setting, against } = context;
    return everyRow(context).flatMap(([i, record]) => {
      const row = board.rows[i];
      if (row.label === against) return [];
      const { error, difference, low, high, p } = KB.score.pair(board, row.label, against, setting);
      if (error) return [];
      const shown = p >= 1 - board.level ? "not told apart" : difference < 0 ? "better" : "worse";
      return [{ row: record.row, order: record.order, against: printable(against), difference, low: finite(low), high: finite(high), p, shown }];
    });
  }

  KB.plotRecords = { cost, pck, actual, r2, learning, history, pairs, ranks, historyOf, pckEnd, printable };
})();
