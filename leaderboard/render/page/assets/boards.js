// All boards of the page at a glance, where there are several: who leads each, and which row to use.
(() => {
  "use strict";
  const { el, pixels, percent, rank, NONE } = KB.dom;

  KB.sections.push({
    id: "boards",
    title: "All boards",
    order: 10,
    atOnce: true,
    applies: (data) => data.boards.length > 1,
    build(root, app) {
      const leader = (board) => board.rows.find((row) => row.ranked);
      const of = (text) => (board) => (leader(board) ? text(leader(board)) : NONE);
      const open = (board) => {
        app.show(KB.data.boards.indexOf(board));
        window.scrollTo({ top: 0 });
        document.querySelector("h1").focus();
      };
      const link = (board) => (board === app.state.board ? el("strong", {}, board.title) : el("button", { type: "button", class: "link", onclick: () => open(board) }, board.title));
      const columns = [
        ["board", link, true],
        ["images", (board) => KB.dom.grouped(board.images)],
        ["rows", (board) => board.rows.length],
        ["leader", of((row) => row.label), true],
        ["rank", of((row) => rank(row.rank_low, row.rank_high))],
        ["mean px", of((row) => pixels(row.figures.mean))],
        ["exact %", of((row) => percent(row.figures.exact ?? NaN))],
        ["use", (board) => board.advised ?? "none is advised", true],
      ];
      root.append(KB.dom.table(columns, KB.data.boards, "All boards"));
    },
  });
})();
