// What a reader must know besides the figures: marks, failed rows, notes, how to read it, and what the page holds.
(() => {
  "use strict";
  const { el } = KB.dom;

  /** The marks of a board that some row carries: [{code, letter, name, meaning}]. */
  const legend = (board) => Object.entries(board.marks).map(([code, { letter, name, legend: meaning }]) => ({ code, letter, name, meaning }));

  const OF_AP = "tied_scores"; // speaks of AP alone

  /** The letters of a row's marks; of a mark that every row carries only the legend speaks. */
  function letters(board, row, { withAP }) {
    const everywhere = (code) => board.rows.every((one) => one.marks.includes(code));
    const shown = legend(board).filter(({ code }) => row.marks.includes(code) && !everywhere(code) && (withAP || code !== OF_AP));
    return [
      shown.map(({ letter, name, meaning }) => el("abbr", { class: "mark", role: "img", title: meaning, "aria-label": name }, letter)),
      row.ranked ? null : el("span", { class: "tag" }, "reference"),
    ];
  }

  /** The note that the first screen has said already. */
  const answered = (board) => ((board.rows.find((row) => row.label === board.advised) ?? board.rows.find((row) => row.ranked))?.figures.exact === 1 ? board.faultless : "");

  /** What stands below the table of a board. */
  function below(board) {
    const marks = legend(board).map(({ letter, meaning }) => el("div", {}, el("dt", {}, el("span", { class: "mark" }, letter)), el("dd", {}, meaning)));
    const failed = (board.failed ?? []).map((row) => el("li", {}, el("strong", {}, row.label), `: ${row.error ?? "failed"}`));
    const command = (note) => (board.commands && note.endsWith(board.commands) ? [note.slice(0, -board.commands.length), el("code", {}, board.commands)] : note);
    const said = answered(board);
    const notes = (board.notes ?? []).filter((note) => note !== said).map((note) => el("li", {}, command(note)));
    return el(
      "div",
      { class: "below" },
      failed.length ? [el("h3", {}, `Failed (${failed.length})`), el("ul", { class: "failed" }, failed)] : null,
      notes.length ? [el("h3", {}, "Notes"), el("ul", {}, notes)] : null,
      marks.length ? [el("h3", {}, "Marks"), el("dl", { class: "legend" }, marks)] : null,
    );
  }

  /** A list of the keys of all runs with the digests of their answers, made when it is opened. */
  function everyRun(board) {
    const root = el("details", {}, el("summary", {}, "Every run, its key and the digest of its answers"));
    const fill = async () => {
      await KB.score.unpack(board);
      const runs = board.rows.flatMap((row) => row.details.runs.map((run, i) => ({ row: row.label, digest: row.digests[i], ...run })));
      const columns = [["row", (run) => run.row, true], ["seed", (run) => run.seed], ["key", (run) => el("code", {}, run.key), true], ["answers", (run) => el("code", {}, run.digest), true]];
      root.append(KB.dom.table(columns, runs, "Runs"));
    };
    root.addEventListener("toggle", fill, { once: true });
    return root;
  }

  KB.sections.push({
    id: "about",
    title: "How to read it",
    order: 90,
    atOnce: true,
    build(root, app) {
      const { board } = app.state;
      root.append(
        el("ul", {}, (KB.data.rules ?? []).map((rule) => el("li", {}, rule))),
        el("h3", {}, "Columns"),
        KB.dom.list(KB.columns.columns(app).filter((column) => column.shown && column.summary).map((column) => [column.heading, column.summary])),
        el("h3", {}, "What this page holds"),
        el("p", {}, "Figures are scored from stored answers. These digests say of what; ", el("code", {}, "python -m benchmark audit"), " checks them against the results."),
        KB.dom.list([
          ["data", el("code", {}, board.digest)],
          ["annotations", el("code", {}, board.annotations)],
          ["this page", el("code", {}, KB.data.digest)],
          ["answers", board.scoring.text],
          ["runs", String(board.rows.reduce((sum, row) => sum + row.seeds.length, 0))],
        ]),
        everyRun(board),
      );
    },
  });

  KB.notes = { legend, letters, below };
})();
