// The columns a board can have: heading, the cell of a row, what it is sorted by, and whether it is shown at first.
(() => {
  "use strict";
  const { el, pixels, percent, short, count, rank, seeds, NONE } = KB.dom;
  const LATER = new Set(["mean", "exact"]); // metrics that have a column of their own below

  function columns(app) {
    const { board } = app.state;
    const of = (row) => KB.figures.of(app, row);
    const narrow = window.matchMedia("(max-width: 600px)").matches;
    const several = (known) => new Set(board.rows.map(known)).size > 1;
    const cost = (name) => (row) => row.cost?.[name];
    const tolerance = KB.figures.tolerance(app);

    const every = [
      {
        id: "rank", heading: "rank", shown: true, sort: (row) => of(row).position,
        summary: "where paired tests leave it: 3–5 is third to fifth place; the dot is its place by mean error",
        text: (row) => rank(of(row).low, of(row).high),
        scale: narrow ? null : KB.drawings.rankScale(board.rows.filter((row) => row.ranked).length),
        draw: (scale, row, colour) => KB.drawings.ranks(scale, of(row).low, of(row).high, of(row).position, colour),
      },
      {
        id: "mean", heading: "mean px", shown: true, sort: (row) => of(row).mean,
        summary: "mean pixel error and its 95 % interval; small dots are single seeds",
        text: (row) => error(of(row)),
        scale: KB.drawings.pixelScale((board.thresholds?.[0] ?? 0.5) / 5, Math.max(1, ...board.rows.map((row) => of(row).mean ?? 0)), narrow ? 110 : 170),
        draw: (scale, row, colour) => KB.drawings.mean(scale, of(row).mean, of(row).interval, of(row).perSeed, colour),
      },
      { id: "exact", heading: "exact %", shown: true, falls: true, sort: (row) => of(row).value("exact"), text: (row) => share(of(row).value("exact")), summary: lowered(summaryOf(board, "exact")) },
      {
        id: "within", heading: `≤ ${Number(tolerance.toPrecision(6))} px %`, shown: true, falls: true, sort: (row) => of(row).within,
        text: (row) => share(of(row).within), summary: "share of keypoints with an error of at most the tolerance (PCK), which is yours to set",
      },
      { id: "fit", heading: "fit s", shown: true, sort: cost("fit_seconds"), text: (row) => short(row.cost?.fit_seconds), summary: "seconds to fit, mean over seeds" },
      { id: "ms", heading: "ms / image", shown: !narrow, sort: cost("predict_ms"), text: (row) => short(row.cost?.predict_ms), summary: "milliseconds to answer an image, mean over seeds" },
      { id: "parameters", heading: "parameters", shown: !narrow, sort: (row) => row.n_parameters, text: (row) => count(row.n_parameters), summary: "learned parameters" },
      { id: "seeds", heading: "seeds", shown: !narrow && several((row) => row.seeds.length), falls: true, sort: (row) => row.seeds.length, text: (row) => seeds(row.seeds), summary: "seeds that finished" },
      { id: "n", heading: "images", falls: true, sort: (row) => row.n_train, text: (row) => (row.n_train ? String(row.n_train) : ""), summary: "training images" },
      { id: "family", heading: "family", shown: !narrow, name: true, sort: (row) => row.family, text: (row) => row.family, summary: "kind of detector" },
      { id: "device", heading: "device", shown: !narrow && several((row) => row.device), name: true, sort: (row) => row.device, text: (row) => row.device, summary: "what it ran on" },
      ...(board.columns ?? []).filter((one) => !LATER.has(one.name)).map((one) => metric(one, of)),
      { id: "single", heading: "ms alone", sort: cost("single_ms"), text: (row) => short(row.cost?.single_ms), summary: "milliseconds for one image asked alone" },
      { id: "ratio", heading: "fit / ref", sort: cost("fit_ratio"), text: (row) => short(row.cost?.fit_ratio), summary: "fit seconds over those of a fixed piece of work on the same machine" },
      { id: "memory", heading: "GiB", sort: cost("peak_memory"), text: (row) => short(row.cost?.peak_memory / 2 ** 30), summary: "memory, at most, during the fit" },
    ];
    return every.filter((column) => column.shown || column.metric || board.rows.some((row) => column.text(row)));
  }

  function metric({ name, heading, summary, format, better }, of) {
    const text = (value) => (value === null || value === undefined ? NONE : format === "%" ? percent(value) : pixels(value, digits(format)));
    return { id: `metric-${name}`, metric: true, heading, summary, falls: better === "higher", sort: (row) => of(row).value(name), text: (row) => text(of(row).value(name)) };
  }

  const digits = (format) => Number(/\.(\d+)f/.exec(format ?? "")?.[1] ?? 3);
  const summaryOf = (board, name) => board.columns?.find((one) => one.name === name)?.summary ?? name;
  const lowered = (text) => `${text.charAt(0).toLowerCase()}${text.slice(1).replace(/\.$/, "")}`;
  const share = (value) => (Number.isFinite(value) ? percent(value) : NONE);

  /** The mean with half its interval, as on every other board. */
  function error({ mean, interval }) {
    if (!Number.isFinite(mean)) return NONE;
    const half = KB.figures.half(interval);
    return [pixels(mean), Number.isFinite(half) ? el("span", { class: "half" }, ` ±${pixels(half)}`) : ""];
  }

  KB.columns = { columns, digits };
})();
