// What an opened row shows: what the detector is, every figure, where it ran, how it learned, and where it fails.
(() => {
  "use strict";
  const { el, list, table, pixels, percent, isEmpty } = KB.dom;

  function details(app, row) {
    const { board } = app.state;
    const root = el("div", { class: "opened" }, el("p", { class: "faint" }, "…"));
    KB.score.unpack(board).then(() => root.replaceChildren(...parts(app, board, row, row.details).filter(Boolean)));
    return root;
  }

  function parts(app, board, row, all) {
    const columns = [
      [part("Detector", el("p", {}, row.summary), list(card(row, all)), marks(board, row)), part("Parameters", list(all.parameters), list(all.config))],
      [part("Figures", figures(board, row))],
      [part("Keypoints", perKeypoint(board, all.keypoints)), part("Classes", slot((root) => perClass(root, app, row))), part("Kinds of error", list(Object.entries(all.taxonomy ?? {}).map(([kind, number]) => [kind, KB.dom.grouped(number)])))],
    ];
    return [
      el("div", { class: "narrow" }, columns.map((column) => el("div", {}, column))),
      part("Training", slot((root) => (KB.plots?.history ? KB.plots.history(root, board, row) : history(root, all.history)))),
      KB.gallery?.forRow ? part("Images", slot((root) => KB.gallery.forRow(root, board, row))) : null,
      part("Environment", list(environment(all.environment))),
      part("Runs", runs(row, all.runs)),
    ];
  }

  /** A part with its heading; nothing where it would be empty. */
  function part(title, ...content) {
    const known = content.flat().filter((one) => one && (one.nodeName === "DIV" || one.childNodes.length));
    if (!known.length) return null;
    return el("section", { class: `part part-${title.split(" ")[0].toLowerCase()}` }, el("h3", {}, title), known);
  }

  /** A place that is filled by somebody else, maybe later; a part that stays empty is taken away. */
  function slot(fill) {
    const root = el("div", { class: "slot" });
    const tidy = () => root.childNodes.length || root.closest(".part")?.remove();
    const failed = (error) => root.append(el("p", { class: "problem" }, `cannot be shown: ${error.message ?? error}`));
    queueMicrotask(() => Promise.resolve().then(() => fill(root)).catch(failed).then(tidy));
    return root;
  }

  const card = (row, { card: { summary, ...others } = {}, specification, notes, untrained, failures }) => [
    ["asked for as", el("code", {}, specification ?? row.detector)],
    ["family", row.family],
    ...Object.entries(others).filter(([, value]) => value !== false),
    ["fit", notes],
    ["untrained", untrained],
    ["failed seeds", (failures ?? []).map(({ seed, error }) => `seed ${seed}: ${error}`)],
    ["not tested", row.untested],
    ["not scored again", row.reason],
  ];

  const environment = ({ code, packages, changed_files: changed, ...others } = {}) => [
    ...Object.entries(others),
    ["packages", Object.entries(packages ?? {}).map(([name, versions]) => `${name} ${versions.join(" or ")}`)],
    ["files that changed since", changed],
    ["code (digests)", isEmpty(code) ? null : el("details", {}, el("summary", {}, `${Object.keys(code).length} files`), list(code))],
  ];

  const marks = (board, row) => {
    const carried = KB.notes.legend(board).filter(({ code }) => row.marks.includes(code));
    return carried.length ? el("ul", { class: "plain" }, carried.map(({ letter, meaning }) => el("li", {}, el("span", { class: "mark" }, letter), ` ${meaning}`))) : null;
  };

  /** A figure with its usual decimals, or with two digits where these would show nothing of it. */
  const seen = (value, digits) => (value && Math.abs(value) < 0.5 / 10 ** digits ? value.toPrecision(2) : pixels(value, digits));

  /** Every metric that the board knows, over seeds. */
  function figures(board, row) {
    const known = (board.columns ?? []).filter(({ name }) => !isEmpty(row.figures?.[name]));
    const written = ({ format, name }) => (format === "%" ? percent(row.figures[name]) : seen(row.figures[name], KB.columns.digits(format)));
    const columns = [["metric", (one) => el("span", { title: one.summary }, one.heading), true], [row.seeds.length > 1 ? "over seeds" : "value", written]];
    return known.length ? [table(columns, known, "Figures"), row.interval?.text ? el("p", { class: "faint" }, `±: ${row.interval.text}`) : null] : null;
  }

  function perKeypoint(board, keypoints) {
    const names = board.keypoints.filter((name) => keypoints?.[name]);
    if (names.length < 2) return null;
    const shown = (board.columns ?? []).filter(({ name }) => names.some((keypoint) => !isEmpty(keypoints[keypoint]?.[name])) && ["mean", "exact", `pck@${board.tolerance}`].includes(name));
    const columns = shown.map(({ name, heading, format }) => [heading, (one) => (format === "%" ? percent(keypoints[one][name]) : pixels(keypoints[one][name], KB.columns.digits(format)))]);
    return table([["keypoint", (one) => one, true], ...columns], names, "Keypoints");
  }

  /** The row on the test images of each class alone, scored here. */
  function perClass(root, app, row) {
    const { board } = app.state;
    if (!board.classes || !row.points) return;
    const alone = { ...board, rows: [row] };
    const tolerance = KB.figures.tolerance(app);
    const known = board.classes.names.map((name, i) => ({ name, ...KB.score.figures(alone, { tolerance, classes: new Set([i]), keypoints: null, seeds: null })[0] }));
    const columns = [["class", (one) => one.name, true], ["keypoints", (one) => KB.dom.grouped(one.keypoints)], ["mean px", (one) => pixels(one.mean)], ["exact %", (one) => percent(one.exact)], [`≤ ${tolerance} px %`, (one) => percent(one.pck)]];
    root.append(table(columns, known, "Classes"));
  }

  /** Without plots: how long each seed learned, and what its last evaluation said. */
  function history(root, known) {
    const last = (known ?? []).map((columns, i) => [i, Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.at(-1)]))]);
    const names = Object.keys(last[0]?.[1] ?? {});
    if (!names.length) return;
    root.append(table([["fit", ([i]) => i + 1], ...names.map((name) => [KB.dom.words(name), ([, row]) => KB.dom.described(row[name] ?? "")])], last, "Training: the last row of each seed"));
  }

  function runs(row, known) {
    if (isEmpty(known)) return null;
    const digests = known.map((run, i) => ({ ...run, ...row.per_seed[i], digest: row.digests[i] }));
    const columns = [["seed", (run) => run.seed], ["mean px", (run) => pixels(run.mean)], ["exact %", (run) => percent(run.exact ?? NaN)], ["key", (run) => el("code", {}, run.key), true], ["answers", (run) => el("code", {}, run.digest), true], ["fit s", (run) => KB.dom.short(run.fit_seconds)], ["made", (run) => run.created, true], ["on", (run) => run.hardware ?? "", true], ["earlier attempts", (run) => (run.attempts ?? []).join("; "), true]];
    return table(columns.filter(([, cell], i) => i < 5 || digests.some((run) => cell(run))), digests, "Runs");
  }

  KB.details = { details };
})();
