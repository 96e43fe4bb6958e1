// The gallery: test images where the chosen rows are worst, where they disagree, and some at random, with annotations and
// answers drawn; one of them enlarged in a dialog. The images that ride along are chosen by gallery_payload.py.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const TILE = 168; // px, the longer side of an image
  const COUNTS = [6, 12, 24];
  const OF_ROW = 6; // images in the details of a row
  const CAPTIONED = 5; // rows whose errors stand under a tile
  const NUMBERED = [2, 6]; // keypoints are numbered where there are this many
  const NO_SETTING = { classes: null, keypoints: null, seeds: null };

  /** The images of a board, or {why} there are none. */
  const imagesOf = (board) => KB.data.gallery?.boards[KB.data.boards.indexOf(board)] ?? { why: "This page was made without images." };

  /** All that drawing needs to know at one moment. */
  function scene(board, labels, setting) {
    const { answersOf, part } = KB.galleryChoice;
    const own = imagesOf(board);
    const rows = labels.map((label) => board.rows.find((row) => row.label === label)).filter(Boolean);
    const shown = rows.map((row, i) => ({ row, style: KB.galleryDraw.style(i), answers: answersOf(board, row, setting) }));
    return { board, setting, own, shown, cells: KB.galleryDraw.cells(own.sheets), view: part(board, setting) };
  }

  /** The error of a row in an image, in words. */
  function errorOf(now, answers, image) {
    const { error, meanError } = KB.galleryChoice;
    const missing = answers.seeds.filter((s) => Number.isNaN(error(now.view, answers, s, image))).length;
    return missing && missing < answers.seeds.length ? `no answer with ${missing} of ${answers.seeds.length} seeds` : px(meanError(now.view, answers, image));
  }

  const px = (value) => (value === null ? "" : Number.isNaN(value) ? "no answer" : `${KB.dom.pixels(value, 2)} px`);
  const point = ([x, y]) => (Number.isNaN(x) ? "–" : `(${KB.dom.pixels(x, 2)}, ${KB.dom.pixels(y, 2)})`);

  function nameOf(now, image) {
    const { own, board, view } = now;
    const kinds = view.classes ? [...new Set(view.instances[image].map((i) => board.classes.names[view.classes[i]]))] : [];
    const name = own.files[image] ?? `image ${own.ids[image] ?? image + 1}`;
    return kinds.length ? `${name}, class ${kinds.join(", ")}` : name;
  }

  /** What `KB.galleryDraw.draw` draws of an image. */
  function drawing(now, image, heatOf) {
    const { own, view, shown, board } = now;
    const numbers = board.keypoints.length >= NUMBERED[0] && board.keypoints.length <= NUMBERED[1];
    const asked = view.instances[image].flatMap((i) => view.keypoints.filter((j) => view.labelled(i, j)).map((j) => [i, j]));
    const marks = shown
      .filter(({ answers }) => answers)
      .map(({ answers, style }) => ({
        ...style,
        points: answers.seeds.flatMap((s) =>
          asked.map(([i, j]) => [...answers.at(s, i, j), j + 1, ...view.truth(i, j)]).filter(([x]) => !Number.isNaN(x)),
        ),
      }));
    return {
      size: own.sizes[own.sizes.length === 1 ? 0 : image],
      cell: now.cells.get(image),
      heat: heatOf?.get(image),
      rings: asked.map(([i, j]) => [...view.truth(i, j), numbers ? j + 1 : null]),
      marks,
    };
  }

  /** What a reader who sees no picture is told. */
  function told(now, image) {
    const { view, board, shown } = now;
    const few = view.instances[image].length === 1 && view.keypoints.length === 1;
    const where = few ? ` Annotated ${board.keypoints[view.keypoints[0]]} at ${point(view.truth(view.instances[image][0], view.keypoints[0]))}.` : "";
    const errors = shown.slice(0, CAPTIONED).filter(({ answers }) => answers);
    return `${nameOf(now, image)}.${where} ${errors.map(({ row, answers }) => `${row.label}: ${errorOf(now, answers, image)}`).join("; ")}`;
  }

  function tile(now, image, heatOf, grid, open) {
    const { el } = KB.dom;
    const canvas = el("canvas", { "aria-hidden": "true" });
    KB.galleryDraw.draw(canvas, drawing(now, image, heatOf), TILE, { grid });
    const many = now.shown.length - CAPTIONED;
    return el(
      "figure",
      { class: "tile" },
      el("button", { type: "button", class: "enlarge", "aria-label": `Enlarge ${told(now, image)}`, onclick: () => open(image) }, canvas),
      el(
        "figcaption",
        {},
        el("span", { class: "file" }, nameOf(now, image)),
        now.cells.has(image) ? null : el("span", { class: "absent" }, "picture not in this page"),
        now.shown
          .slice(0, CAPTIONED)
          .filter(({ answers }) => answers)
          .map(({ row, style, answers }) =>
            el("span", { class: "error", title: row.label }, KB.galleryDraw.symbol(style), errorOf(now, answers, image)),
          ),
        many > 0 ? el("span", { class: "absent" }, `and ${many} more`) : null,
      ),
    );
  }

  /** One image large, and what every row of the board answers. */
  function enlarged(now, image, images, heatOf, grid) {
    const { el } = KB.dom;
    const { board, view } = now;
    const dialog = el("dialog", { class: "enlarged", "aria-labelledby": "enlarged-title" });
    const step = (by) => {
      const next = images[images.indexOf(image) + by];
      if (next !== undefined) show(next);
    };
    const title = el("h3", { id: "enlarged-title" });
    const [before, after] = [["Previous", -1], ["Next", 1]].map(([name, by]) => el("button", { type: "button", onclick: () => step(by) }, name));
    const canvas = el("canvas", { role: "img" });
    const facts = el("p", { class: "note" });
    const list = el("div");
    dialog.append(el("div", { class: "bar" }, title, before, after, el("button", { type: "button", onclick: () => dialog.close() }, "Close")), el("div", { class: "halves" }, el("div", {}, canvas, facts), list));

    function show(next) {
      image = next;
      title.textContent = nameOf(now, image);
      // not `disabled`, which would take the focus away, and the arrow keys with it
      before.setAttribute("aria-disabled", images.indexOf(image) <= 0);
      after.setAttribute("aria-disabled", images.indexOf(image) >= images.length - 1);
      const side = Math.max(240, Math.min(innerWidth - 72, innerHeight - 200, 560));
      canvas.setAttribute("aria-label", told(now, image));
      KB.galleryDraw.draw(canvas, drawing(now, image, heatOf), side, { grid, large: true });
      const [width, height] = now.own.sizes[now.own.sizes.length === 1 ? 0 : image];
      const scale = now.cells.get(image)?.sheet.scale ?? 1;
      facts.textContent = `${width} × ${height} px${scale < 1 ? `, a preview at ${Math.round(100 * scale)} % of its size` : ""}. Coordinates are x, y in px; a whole number is the centre of its pixel.`;
      list.replaceChildren(answers());
    }

    function answers() {
      const places = view.instances[image].flatMap((i) => view.keypoints.filter((j) => view.labelled(i, j)).map((j) => [i, j])).slice(0, 6);
      const styles = new Map(now.shown.map(({ row, style }) => [row, style]));
      const lines = board.rows.flatMap((row) => {
        const said = KB.galleryChoice.answersOf(board, row, now.setting);
        return said ? said.seeds.map((s) => ({ row, s, said, error: KB.galleryChoice.error(view, said, s, image) })) : [];
      });
      const key = ({ error }) => (Number.isNaN(error) ? Infinity : error);
      lines.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
      const several = board.rows.some((row) => row.seeds.length > 1);
      const name = ([i, j]) => `${view.instances[image].length > 1 ? `${view.instances[image].indexOf(i) + 1} ` : ""}${board.keypoints[j]}`;
      const head = ["row", ...(several ? ["seed"] : []), "error", ...places.map(name)];
      const truth = el("tr", { class: "truth" }, el("th", { scope: "row" }, KB.galleryDraw.ring(), "annotation"), several ? el("td") : null, el("td"), places.map(([i, j]) => el("td", {}, point(view.truth(i, j)))));
      const body = lines.map(({ row, s, said, error }) =>
        el(
          "tr",
          { class: styles.has(row) ? "chosen" : "" },
          el("th", { scope: "row" }, styles.has(row) ? KB.galleryDraw.symbol(styles.get(row)) : null, row.label),
          several ? el("td", {}, row.seeds[s]) : null,
          el("td", {}, px(error)),
          places.map(([i, j]) => el("td", {}, point(said.at(s, i, j)))),
        ),
      );
      return el(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Answers of all rows" },
        el("table", { class: "small" }, el("caption", { class: "unseen" }, "Answers of all rows, the nearest first"), el("thead", {}, el("tr", {}, head.map((one) => el("th", { scope: "col" }, one)))), el("tbody", {}, truth, body)),
      );
    }

    dialog.addEventListener("keydown", (event) => {
      if (event.target.closest(".scroll")) return; // arrows scroll the table there
      if (event.key === "ArrowLeft") step(-1);
      else if (event.key === "ArrowRight") step(1);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    show(image);
    dialog.showModal();
  }

  /** A heading and tiles; nothing where there are none. */
  function group(now, heading, note, images, heatOf, grid) {
    const { el } = KB.dom;
    if (!images.length) return [];
    const open = (image) => enlarged(now, image, images, heatOf, grid);
    return [
      heading ? el("h3", {}, heading, el("span", { class: "note" }, ` ${note}`)) : el("p", { class: "note" }, note),
      el("div", { class: "tiles" }, images.map((image) => tile(now, image, heatOf, grid, open))),
    ];
  }

  /** Where rows fail, in a sentence: what the numbers of the legend are. */
  function failures(now, tolerance, occupied) {
    const { el, grouped } = KB.dom;
    const known = now.shown.filter(({ answers }) => answers);
    if (!known.length) return "";
    const images = `${grouped(occupied)} image${occupied === 1 ? "" : "s"}`;
    const isPerfect = known.every(({ answers }) => !KB.galleryChoice.beyond(now.view, answers, tolerance));
    const within = `the tolerance of ${Number(tolerance.toPrecision(6))} px`;
    const said = isPerfect
      ? `Of ${images} there is none where a row that is drawn is off by more than ${within}: set a smaller one, or draw other rows.`
      : `Out of ${images}, how many have an error (mean over points and seeds) above ${within}, or no answer:`;
    return el("p", { class: "failures" }, said);
  }

  function legend(now, tolerance) {
    const { el, grouped } = KB.dom;
    const entry = (mark, ...label) => el("li", {}, mark, label);
    const often = (answers) => (answers ? el("strong", {}, `${grouped(KB.galleryChoice.beyond(now.view, answers, tolerance))}`) : "");
    return el("ul", { class: "legend" }, entry(KB.galleryDraw.ring(), "annotation"), now.shown.map(({ row, style, answers }) => entry(KB.galleryDraw.symbol(style), row.label, often(answers))));
  }

  // The section of the page.

  const state = { seed: "", count: 12, heat: "", grid: true };
  let parts = null;

  function build(root, app) {
    const { el } = KB.dom;
    parts = { root, rows: el("div", { class: "choices" }), summary: el("summary"), controls: el("div", { class: "controls" }), legend: el("div"), tiles: el("div") };
    const choice = el("details", { class: "rows" }, parts.summary, parts.rows);
    root.classList.add("gallery");
    root.replaceChildren(choice, parts.controls, parts.legend, parts.tiles);
    for (const query of ["(prefers-color-scheme: dark)"]) matchMedia(query).addEventListener("change", () => parts.root.isConnected && update(app));
  }

  async function update(app) {
    const { el } = KB.dom;
    const { board, setting, chosen } = app.state;
    const own = imagesOf(board);
    const why = own.why || (KB.score ? "" : "Answers cannot be read in this page.");
    if (why) {
      parts.root.replaceChildren(el("p", { class: "note" }, why));
      return;
    }
    await KB.score.unpack(board);
    if (board !== app.state.board) return;
    const seeds = [...new Set(board.rows.flatMap((row) => row.seeds))].sort((a, b) => a - b);
    const asked = state.seed !== "" && seeds.includes(Number(state.seed)) ? new Set([Number(state.seed)]) : setting.seeds;
    const now = scene(board, chosen, { ...setting, seeds: asked });
    controls(app, board, own, seeds);
    rows(app, board, chosen);
    const heat = own.heatmaps[state.heat];
    const heatOf = heat && KB.galleryDraw.cells(heat.sheets);
    const answered = now.shown.map(({ answers }) => answers).filter(Boolean);
    const { worst, disputed } = KB.galleryChoice;
    const occupied = now.view.instances.filter((some) => some.length).length;
    const names = chosen.length === 1 ? chosen[0] : `${chosen.length} rows together`;
    const bad = answered.length ? worst(now.view, answered, state.count) : [];
    const other = answered.length > 1 ? disputed(now.view, answered, state.count, bad) : [];
    const isAllShown = bad.length === occupied && !heat;
    const random = isAllShown ? [] : own.random.filter((image) => now.view.instances[image].length);
    parts.legend.replaceChildren(failures(now, KB.figures.tolerance(app), occupied), legend(now, KB.figures.tolerance(app)));
    const groups = [
      group(now, isAllShown ? "All images, the worst first" : "Worst", `mean error of ${names}`, bad, heatOf, state.grid),
      group(now, "Most disputed", "besides these, by the mean distance of the answers from their median", other, heatOf, state.grid),
      group(now, "At random", heat ? `with the heatmaps of ${state.heat}, seed ${heat.seed}` : "the same images for every row", random.slice(0, state.count), heatOf, state.grid),
    ];
    if (heat) groups.unshift(groups.pop()); // heatmaps are kept for these images
    const unanswered = chosen.length ? board.scoring?.text ?? "" : "No row is chosen: only annotations are drawn.";
    parts.tiles.replaceChildren(...groups.flat(), ...(answered.length ? [] : [el("p", { class: "note" }, unanswered)]));
  }

  function controls(app, board, own, seeds) {
    const { el } = KB.dom;
    const select = (name, label, options) =>
      el(
        "label",
        {},
        label,
        el(
          "select",
          { name: `gallery-${name}`, onchange: (event) => ((state[name] = name === "count" ? Number(event.target.value) : event.target.value), update(app)) },
          options.map(([value, text]) => el("option", { value, selected: String(state[name]) === String(value) }, text)),
        ),
      );
    const heated = Object.keys(own.heatmaps);
    const held = document.activeElement?.name;
    parts.controls.replaceChildren(
      ...(seeds.length > 1 ? [select("seed", "Answers of ", [["", "every seed"], ...seeds.map((seed) => [seed, `seed ${seed}`])])] : []),
      select("count", "Images each ", COUNTS.map((count) => [count, String(count)])),
      ...(heated.length ? [select("heat", "Heatmap ", [["", "none"], ...heated.map((label) => [label, label])])] : []),
      own.sizes.every((size) => KB.galleryDraw.layout(size, TILE).zoom < KB.galleryDraw.GRID_FROM) ? "" : el("label", {}, el("input", { type: "checkbox", name: "gallery-grid", checked: state.grid, onchange: (event) => ((state.grid = event.target.checked), update(app)) }), " pixel grid"),
    );
    if (held?.startsWith("gallery-")) parts.controls.querySelector(`[name="${held}"]`)?.focus();
  }

  /** A checkbox a row: the same choice as elsewhere on the page. */
  function rows(app, board, chosen) {
    const { el } = KB.dom;
    const held = parts.rows.contains(document.activeElement) ? document.activeElement.value : null;
    parts.summary.textContent = `Rows drawn: ${chosen.length} of ${board.rows.length}`;
    const toggle = (event) => {
      const { checked, value } = event.target;
      app.select(checked ? [...app.state.chosen, value] : app.state.chosen.filter((label) => label !== value));
    };
    parts.rows.replaceChildren(
      ...board.rows.map((row) => el("label", {}, el("input", { type: "checkbox", value: row.label, checked: chosen.includes(row.label), onchange: toggle }), ` ${row.label}`)),
    );
    if (held !== null) [...parts.rows.querySelectorAll("input")].find((box) => box.value === held)?.focus();
  }

  /** The worst images of one row, for its details. */
  async function forRow(root, board, row) {
    const { el } = KB.dom;
    const own = imagesOf(board);
    if (own.why || !KB.score) return; // said once, in the gallery
    await KB.score.unpack(board);
    const now = scene(board, [row.label], KB.app?.state?.board === board ? KB.app.state.setting : NO_SETTING);
    const [only] = now.shown;
    if (!only?.answers) {
      root.append(el("p", { class: "note" }, row.reason || "This page does not hold its answers."));
      return;
    }
    root.classList.add("gallery");
    root.append(...group(now, "", "The worst, by mean error.", KB.galleryChoice.worst(now.view, [only.answers], OF_ROW), null, true));
  }

  KB.gallery = { forRow };
  (KB.sections ??= []).push({ id: "gallery", title: "Gallery", order: 30, build, update });
})();
