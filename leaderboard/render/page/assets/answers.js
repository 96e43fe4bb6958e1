// The first screen: which detector to use, how sure that is, and what it costs, of all images as they were scored.
(() => {
  "use strict";
  const { el, pixels, percent, short, count, rank, grouped } = KB.dom;

  function answers(app) {
    const { board } = app.state;
    const ranked = board.rows.filter((row) => row.ranked);
    const leader = ranked[0];
    const used = board.rows.find((row) => row.label === board.advised);
    const row = used ?? leader;
    const blocks = [which(board, used, leader), ...(row ? [sure(board, row, ranked.length, used), el("div", {}, costs(row), fails(app, row))] : [])];
    return el(
      "div",
      { class: "hero" },
      el("h1", { tabindex: -1 }, board.title),
      el("p", { class: "size" }, board.asks ? [el("span", { class: "asks" }, `Asked for: ${board.asks}.`), " "] : null, el("span", { class: "faint" }, board.size)),
      el("div", { class: "answers" }, blocks),
    );
  }

  const block = (question, answer, ...sentences) =>
    el("article", {}, el("h2", {}, question), el("p", { class: "answer" }, answer), sentences.flat().filter(Boolean).map((text) => el("p", {}, text)));

  function which(board, used, leader) {
    const answer = used ? used.label : leader ? `None advised; ${leader.label} leads` : "No run has finished";
    return block("Which detector?", answer, board.advice);
  }

  function sure(board, row, last, used) {
    const half = KB.figures.half(row.interval);
    const answer = `${pixels(row.figures.mean)}${Number.isFinite(half) ? ` ±${pixels(half)}` : ""} px`;
    const exact = Number.isFinite(row.figures.exact) ? `${percent(row.figures.exact)} % exact` : null;
    const made = `over ${grouped(board.images)} images and ${row.seeds.length} seed${row.seeds.length === 1 ? ": another seed may differ" : "s"}.`;
    return block("How sure is that?", answer, [place(row, last, used), `${exact ? `${exact}, ` : "Mean error "}${made}`, row.figures.exact === 1 ? board.faultless : "", board.separation]);
  }

  function place(row, last, used) {
    if (last < 2) return "There is no other row to compare it with.";
    if (!Number.isFinite(row.rank_low)) return `${row.label} has no rank: it is not tested against other rows.`;
    const ranks = `is rank ${rank(row.rank_low, row.rank_high)} of ${last}, as far as paired tests tell (95 %).`;
    return used ? `${row.label} ${ranks}` : `The leader, ${row.label}, ${ranks}`;
  }

  function costs(row) {
    const { fit_seconds: fit, predict_ms: ms } = row.cost ?? {};
    const answer = [Number.isFinite(fit) ? `${short(fit)} s to fit` : null, Number.isFinite(ms) ? `${small(ms)} ms an image` : null].filter(Boolean).join(", ");
    const parts = [Number.isFinite(row.n_parameters) ? `${count(row.n_parameters)} learned parameters` : null, row.n_train ? `${grouped(row.n_train)} training images` : null, row.device ? `on ${row.device}` : null];
    return block("What does it cost?", answer || "not known", `${row.label}: ${parts.filter(Boolean).join(", ")}.`);
  }

  /** How often it is off by more than the tolerance, and the way to the images; nothing where that is not known. */
  function fails(app, row) {
    const { board } = app.state;
    const within = row.figures[`pck@${board.tolerance}`];
    if (!Number.isFinite(within)) return null;
    const missed = board.matched && Number.isFinite(row.figures.recall) ? `${percent(1 - row.figures.recall)} % of the instances are missed altogether.` : null;
    const link = KB.data.gallery ? el("a", { href: "#gallery", onclick: () => app.follow("gallery") }, "See the worst images") : null;
    return block("Where does it fail?", `${percent(1 - within)} % beyond ${board.tolerance} px`, missed, link);
  }

  const small = (ms) => (ms < 1 ? String(Number(ms.toPrecision(2))) : short(ms));

  KB.answers = { answers };
})();
