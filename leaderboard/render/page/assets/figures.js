// What a row shows under the setting of now: the figures that Python stored, or those that KB.score made of its answers.
(() => {
  "use strict";
  const RESCORED = new Set(["mean", "median", "exact"]); // what KB.score makes anew besides PCK at the reader's tolerance

  /** The tolerance of a board where the reader has chosen none: one of its PCK thresholds. */
  const usual = (board) => board.tolerance ?? 1;

  const tolerance = (app) => app.state.setting.tolerance ?? usual(app.state.board);

  /** One row's figures: {mean, interval, perSeed, low, high, position, value(metric), within}. */
  function of(app, row) {
    const scored = app.scoreOf(row);
    const stored = app.isWhole || !scored;
    const figures = row.figures ?? {};
    const within = scored ? scored.pck : figures[`pck@${tolerance(app)}`];
    return {
      mean: stored ? figures.mean : scored.mean,
      interval: stored ? row.interval : scored.interval,
      perSeed: perSeed(row, scored),
      low: stored ? row.rank_low : scored.rank_low,
      high: stored ? row.rank_high : scored.rank_high,
      position: stored ? row.position : scored.position,
      within,
      /** A metric by name; null where it is not known under this setting. */
      value: (name) => (stored ? (figures[name] ?? null) : RESCORED.has(name) ? scored[name] : null),
    };
  }

  const perSeed = (row, scored) => (scored?.perSeed ?? row.per_seed ?? []).map((one) => one.mean);

  /**
   * Half an interval, px: from the interval's own mean, which is over images, to its end; NaN where there is no end. (A
   * row's mean is over keypoints, which differs where images hold several instances.)
   */
  const half = (interval) => (Number.isFinite(interval?.high) ? interval.high - interval.mean : NaN);

  KB.figures = { of, half, usual, tolerance, RESCORED };
})();
