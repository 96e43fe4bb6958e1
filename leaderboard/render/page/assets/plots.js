// The plots of a board: a figure a kind, drawn when it comes near the window and drawn again when what it shows changes.
(() => {
  "use strict";
  const { el } = KB.dom;
  const LISTED = 200; // records of a table of the data
  const live = new Set(); // figures inside opened rows, for changes of the theme
  const TALL = ["pairs", "ranks"]; // a line a row of the board, so they stand beside each other
  let figures = [], seen = null, app;

  KB.sections.push({ id: "plots", title: "Plots", order: 20, usesChoice: true, build, update });

  async function build(root, given) {
    app = given;
    const { board } = app.state;
    const { kinds, licence } = await KB.plotView.all();
    await KB.score.unpack(board);
    seen?.disconnect();
    seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const one = figures.find((figure) => figure.root === target);
        if (!one) continue;
        one.isNear = isIntersecting;
        if (isIntersecting) one.update();
      }
    }, { rootMargin: "300px" });
    figures = kinds.filter((kind) => isPossible(kind, board)).map((kind) => figure(kind, board));
    const chosen = el("p", { class: "faint" }, "Curves (with the training mean, where it was run) and histories are of the rows that are ticked on the board, in their colours, and predictions of the first two of these; the other plots are of all rows.");
    root.replaceChildren(chosen, ...[false, true].map((tall) => el("div", { class: "plots" }, figures.filter((one) => TALL.includes(one.kind) === tall).map((one) => one.root))), el("details", { class: "licence" }, el("summary", {}, "Drawn by Vega and Vega-Lite"), el("pre", {}, licence)));
    for (const one of figures) seen.observe(one.root);
    const resized = new ResizeObserver(() => update());
    resized.observe(root);
  }

  function update() {
    for (const one of figures) if (one.isNear) one.update();
    for (const one of live) {
      if (one.root.isConnected) one.update();
      else live.delete(one);
    }
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => update());

  /** Whether a board has what a kind draws, as far as that can be told at once. */
  function isPossible(kind, board) {
    if (kind.name === "learning") return KB.plotRecords.learning(stored(board)).length > 0;
    if (kind.name === "pairs") return board.rows.length > 1 && board.rows.some((row) => row.points);
    if (kind.name === "pck" || kind.name === "actual") return board.rows.some((row) => row.points);
    if (kind.name === "history") return board.rows.some((row) => KB.plotRecords.historyOf(row, 1).length);
    if (kind.name === "r2") return board.rows.some((row) => Number.isFinite(row.figures.dist_r2));
    return board.rows.length > 0;
  }

  /** The context of a board as it is stored. */
  const stored = (board) => {
    const setting = { tolerance: null, classes: null, keypoints: null, seeds: null };
    return { board, setting, scored: KB.score.figures(board, setting), chosen: [], against: null };
  };

  function figure(kind, board) {
    const id = `plot-${kind.name}`;
    const place = el("div", { class: "plot", role: "group", "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-reading` });
    const drawing = KB.plotView.plot(place);
    const state = { variant: kind.variants[0], against: null };
    const data = dataTable(kind, () => records());
    const own = { kind: kind.name, root: null, isNear: false, update };
    const controls = [variants(kind, state, update), kind.name === "pairs" ? opponents(board, state, update) : null];
    own.root = el(
      "figure",
      { id, class: "plot-figure" },
      el("div", { class: "plot-head" }, el("h3", { id: `${id}-title` }, kind.title), controls),
      place,
      el("figcaption", { id: `${id}-reading`, class: "faint" }, kind.reading),
      data.root,
    );

    const context = () => {
      const { setting, chosen } = app.state;
      return { board, setting, scored: app.scored, chosen, against: state.against ?? board.rows[0]?.label };
    };
    const records = () => KB.plotRecords[kind.name](context());

    function update() {
      if (!app.scored || app.state.board !== board) return;
      const { setting, chosen } = app.state;
      const part = [setting.classes, setting.keypoints, setting.seeds].map((some) => some && [...some]);
      const pending = app.scored.some((row) => row.ranks_pending);
      const key = [board.title, board.digest, part, pending, chosen, state.against, kind.name === "pck" ? KB.plotRecords.pckEnd(context()) : null];
      const tolerance = [{ tolerance: setting.tolerance ?? board.tolerance }];
      const done = drawing.draw({ kind, variant: state.variant, records, setting: tolerance, key });
      done.catch((error) => {
        place.replaceChildren(el("p", { class: "problem" }, `cannot be drawn: ${error.message ?? error}`));
        console.error(error);
      });
      data.update();
    }

    return own;
  }

  function variants(kind, state, update) {
    if (kind.variants.length < 2) return null;
    const changed = (event) => {
      state.variant = kind.variants[event.target.value];
      update();
    };
    const id = `${kind.name}-variant`;
    return el("div", { class: "choice" }, el("label", { for: id }, "against"), el("select", { id, onchange: changed }, kind.variants.map(({ title }, i) => el("option", { value: i }, title))));
  }

  function opponents(board, state, update) {
    const changed = (event) => {
      state.against = event.target.value;
      update();
    };
    const rows = board.rows.filter((row) => row.points);
    return el("div", { class: "choice" }, el("label", { for: "pairs-against" }, "from"), el("select", { id: "pairs-against", onchange: changed }, rows.map((row) => el("option", { value: row.label }, row.label))));
  }

  /** The data of a plot as a table, made while it is open. */
  function dataTable(kind, records) {
    const place = el("div");
    const root = el("details", { class: "plot-data" }, el("summary", {}, "Data as a table"), place);
    const update = () => {
      if (!root.open) return;
      const all = records().filter((record) => record.listed !== false);
      const format = ({ name, format }) => (record) => written(record[name], format);
      const columns = kind.fields.map((field) => [field.heading, format(field), !field.format]);
      const note = all.length > LISTED ? el("p", { class: "faint" }, `The first ${LISTED} of ${all.length}.`) : null;
      place.replaceChildren(KB.dom.table(columns, all.slice(0, LISTED), kind.title), ...(note ? [note] : []));
    };
    root.addEventListener("toggle", update);
    return { root, update };
  }

  function written(value, format) {
    if (value === null || value === undefined) return KB.dom.NONE;
    if (typeof value !== "number") return String(value);
    if (format.endsWith("%")) return `${KB.dom.percent(value)} %`;
    return format.endsWith("d") ? String(value) : String(Number(value.toPrecision(4)));
  }

  /** The training histories of a row, for where it is opened; nothing where it was fitted in one step. */
  async function history(root, board, row) {
    const { kinds } = await KB.plotView.all();
    await KB.score.unpack(board);
    const kind = kinds.find(({ name }) => name === "history");
    const records = () => KB.plotRecords.historyOf(row, 1);
    if (!records().length) return;
    const place = el("div", { class: "plot", role: "group", "aria-label": `Training histories of ${row.label}` });
    root.append(place);
    const drawing = KB.plotView.plot(place);
    const update = () => drawing.draw({ kind, variant: kind.variants[0], records, setting: [], key: [row.label] });
    live.add({ root: place, update });
    await update();
  }

  KB.plots = { history };
})();
