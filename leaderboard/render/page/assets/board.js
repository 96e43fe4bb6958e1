// The board: a plain table of rows that can be sorted, filtered and opened, redrawn whenever the figures change.
(() => {
  "use strict";
  const { el } = KB.dom;
  const COLOURS = 8; // --c0 to --c7
  const FIRST = 20; // rows of a long board that are shown at first, so that plots and gallery are near
  const LONG = 26; // rows from which a board is long

  const view = { sort: "rank", falls: false, open: new Map(), filter: null, shown: null, whole: false };
  let app, body, head, count, box, controls, more;

  KB.sections.push({ id: "board", title: "Board", order: 0, hidesTitle: true, atOnce: true, build, update });

  function build(root, given) {
    app = given;
    Object.assign(view, { sort: "rank", falls: false, open: new Map(), shown: null, whole: false });
    head = el("tr");
    body = el("tbody");
    count = el("p", { class: "count", role: "status" });
    const caption = el("caption", { class: "unseen" }, `${app.state.board.title}: a row a detector; its name opens the details`);
    box = el("div", { class: "box", role: "region", "aria-label": "Table of the board", tabindex: 0 }, el("table", { class: "board" }, caption, el("thead", {}, head), body));
    more = el("button", { type: "button", class: "more link", onclick: toggleWhole });
    controls = KB.controls.rescoring(app);
    view.filter = KB.filters.filters(app, redraw);
    view.chooser = KB.filters.columnChooser(app, () => allColumns(), () => shownColumns(), (id, on) => {
      view.shown = new Set(shownColumns().map((column) => column.id));
      if (on) view.shown.add(id);
      else view.shown.delete(id);
      redraw();
    });
    const bar = el("div", { class: "bar" }, view.filter.root, view.chooser, count);
    const board = app.state.board.rows.length ? [controls.root, bar, box, more] : [];
    root.replaceChildren(KB.answers.answers(app), ...board, KB.notes.below(app.state.board));
    new ResizeObserver(() => box.classList.toggle("scrolls", box.firstChild.offsetWidth > box.clientWidth + 1)).observe(box);
  }

  function update() {
    controls.update();
    redraw();
  }

  const allColumns = () => KB.columns.columns(app);
  const shownColumns = () => allColumns().filter((column) => (view.shown ? view.shown.has(column.id) : column.shown));

  function redraw() {
    const shown = shownColumns();
    drawHead(shown);
    const rows = sorted(app.state.board.rows.filter(view.filter.keeps), shown);
    const later = laterOf(rows);
    let skipped = false; // whether rows are left out between this one and the one above
    const lines = rows.flatMap((row) => {
      const made = tableRow(row, shown);
      if (later.has(row)) made[0].classList.add("later");
      else if (skipped) made[0].classList.add("after-gap");
      skipped = later.has(row);
      return made;
    });
    body.replaceChildren(...lines);
    const all = app.state.board.rows.length, seen = rows.length - later.size;
    count.textContent = seen === all ? `${all} rows` : `${seen} of ${all} rows`;
    more.hidden = !later.size && !(view.whole && rows.length >= LONG);
    more.textContent = later.size ? `Show all ${rows.length} rows` : `Show the first ${FIRST} rows`;
    box.classList.toggle("scrolls", box.firstChild.offsetWidth > box.clientWidth + 1);
  }

  /** The rows of a long board that wait: all but the first, references, and what is advised, ticked or open. */
  function laterOf(rows) {
    const { advised } = app.state.board;
    const stays = (row, i) => i < FIRST || !row.ranked || row.label === advised || app.state.chosen.includes(row.label) || view.open.has(row.label);
    return new Set(view.whole || rows.length < LONG ? [] : rows.filter((row, i) => !stays(row, i)));
  }

  function toggleWhole() {
    const first = body.querySelector(".later button.open");
    view.whole = !view.whole;
    redraw();
    // the focus goes on with the rows that have come, or stays in sight where they have gone
    if (view.whole) [...body.querySelectorAll("button.open")].find((one) => one.textContent === first?.textContent)?.focus();
    else more.scrollIntoView({ block: "nearest" });
  }

  function drawHead(shown) {
    const heading = (column) => {
      const active = view.sort === column.id;
      const order = active ? (view.falls ? "descending" : "ascending") : "none";
      const sort = () => {
        view.falls = active ? !view.falls : Boolean(column.falls);
        view.sort = column.id;
        redraw();
        head.querySelector(`[data-column="${CSS.escape(column.id)}"] button`)?.focus();
      };
      const button = el("button", { type: "button", class: "sort", title: column.summary, onclick: sort }, column.heading);
      const drawn = column.scale ? el("div", { class: "axis-box" }, KB.drawings.axis(column.scale)) : null;
      return el("th", { scope: "col", "aria-sort": order, "data-column": column.id, class: column.name ? "name" : "figure", colspan: column.scale ? 2 : null }, el("div", { class: column.scale ? "with-axis" : "" }, button, drawn));
    };
    const name = { id: "detector", heading: "detector", name: true, summary: "by name" };
    const first = heading(name);
    first.classList.add("detector");
    head.replaceChildren(first, ...shown.map(heading));
  }

  /** By the chosen column; what has no figure comes last, equal figures in the order of the board. */
  function sorted(rows, shown) {
    const column = shown.find((one) => one.id === view.sort);
    const key = view.sort === "detector" ? (row) => row.label : (column?.sort ?? (() => 0));
    const keyed = rows.map((row, i) => [key(row), i, row]);
    const none = (value) => value === null || value === undefined || Number.isNaN(value);
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    keyed.sort(([a, i], [b, j]) => none(a) - none(b) || (none(a) ? 0 : (view.falls ? -1 : 1) * compare(a, b)) || i - j);
    return keyed.map(([, , row]) => row);
  }

  const colourOf = (row) => {
    const i = app.state.chosen.indexOf(row.label);
    return i < 0 || !hasPlots() ? null : `var(--c${i % COLOURS})`;
  };

  function tableRow(row, shown) {
    const width = 1 + shown.length + shown.filter((column) => column.scale).length;
    const opened = view.open.get(row.label);
    if (opened) opened.firstChild.colSpan = width;
    const id = `details-${app.state.board.rows.indexOf(row)}`;
    const toggle = (event) => {
      const button = event.currentTarget;
      if (view.open.has(row.label)) {
        view.open.get(row.label).remove();
        view.open.delete(row.label);
      } else {
        const details = el("tr", { class: "details", id }, el("td", { colspan: width }, KB.details.details(app, row)));
        view.open.set(row.label, details);
        button.closest("tr").after(details);
      }
      button.setAttribute("aria-expanded", view.open.has(row.label));
    };
    const button = el("button", { type: "button", class: "open", "aria-expanded": Boolean(opened), "aria-controls": id, onclick: toggle, title: row.summary }, breakable(row.label));
    const choose = hasPlots()
      ? el("input", { type: "checkbox", class: "choose", checked: Boolean(colourOf(row)), style: `accent-color: ${colourOf(row) ?? "var(--accent)"}`, "aria-label": `show ${row.label} in plots and gallery`, title: "show it in plots and gallery", onchange: () => choice(row) })
      : null;
    const cells = shown.flatMap((column) => {
      const text = el("td", { class: column.name ? "name" : "figure" }, column.text(row));
      return column.scale ? [text, el("td", { class: "drawn" }, column.draw(column.scale, row, colourOf(row)))] : [text];
    });
    const kind = row.ranked ? (row.label === app.state.board.advised ? "used" : "") : "reference";
    const line = el("tr", { class: kind }, el("th", { scope: "row", class: "detector" }, el("div", { class: "who" }, choose, el("div", {}, button, KB.notes.letters(app.state.board, row, { withAP: shown.some((column) => column.id === "metric-ap") })))), cells);
    return opened ? [line, opened] : [line];
  }

  /** A label that is broken after its punctuation where it is too long. */
  const breakable = (label) => label.split(/(?<=[:=,])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));

  const hasPlots = () => KB.sections.some((section) => section.usesChoice);

  function choice(row) {
    const { chosen } = app.state;
    app.select(chosen.includes(row.label) ? chosen.filter((label) => label !== row.label) : [...chosen, row.label]);
  }

  KB.board = { view };
})();
