// The reader's own question: a tolerance in pixels, some of the classes, keypoints and seeds. KB.score answers it.
(() => {
  "use strict";
  const { el } = KB.dom;

  /** {root, update()}: the controls of a board, and the sentence that says what figures are of. */
  function rescoring(app) {
    const { board } = app.state;
    if (board.scoring.mode === "none") return { root: el("p", { class: "faint" }, board.scoring.text), update() {} };
    const said = el("output", { class: "said", for: "tolerance-slider tolerance" });
    const reset = el("button", { type: "button", class: "reset", hidden: true, onclick: () => app.reset() }, "Reset");
    const tolerance = sliders(app);
    const subsets = [
      board.classes ? subset(app, "classes", "Classes", board.classes.names.map((name, i) => [i, name])) : null,
      board.keypoints.length > 1 ? subset(app, "keypoints", "Keypoints", board.keypoints.map((name, i) => [i, name])) : null,
      seedsOf(board).length > 1 ? subset(app, "seeds", "Seeds", seedsOf(board).map((seed) => [seed, `seed ${seed}`])) : null,
    ].filter(Boolean);
    const root = el("form", { class: "rescoring", onsubmit: (event) => event.preventDefault(), "aria-label": "Score again" }, tolerance.root, subsets.map((one) => one.root), said, reset);
    const update = () => {
      tolerance.update();
      for (const one of subsets) one.update();
      said.textContent = sentence(app);
      reset.hidden = app.isAsStored;
      root.classList.toggle("changed", !app.isAsStored);
    };
    return { root, update };
  }

  const seedsOf = (board) => [...new Set(board.rows.flatMap((row) => row.seeds))].sort((a, b) => a - b);

  function sliders(app) {
    const { board } = app.state;
    const steps = board.thresholds;
    const step = steps[0] / 10;
    const attributes = { min: 0, max: 4 * steps.at(-1), step };
    let frame = 0;
    const set = (event) => {
      const value = event.target.valueAsNumber;
      if (!(value >= 0)) return; // an emptied field asks for nothing yet
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => app.set({ tolerance: value }));
    };
    const slider = el("input", { type: "range", id: "tolerance-slider", "aria-label": "Tolerance in pixels", oninput: set, ...attributes });
    const number = el("input", { type: "number", id: "tolerance", oninput: set, min: 0, step: "any", inputmode: "decimal" });
    const root = el("div", { class: "tolerance" }, el("label", { for: "tolerance" }, "Tolerance"), slider, number, el("span", { class: "faint" }, "px"));
    const update = () => {
      const value = String(Number(KB.figures.tolerance(app).toPrecision(6)));
      slider.value = value;
      if (document.activeElement !== number) number.value = value; // never under the reader's fingers
    };
    return { root, update };
  }

  /** A menu of what is counted; all is as on the board, and none is not offered. */
  function subset(app, part, title, choices) {
    let boxes;
    const changed = () => {
      const on = choices.filter((_, i) => boxes[i].checked).map(([value]) => value);
      app.set({ [part]: on.length === choices.length || !on.length ? null : new Set(on) });
    };
    const root = KB.filters.menu(title, choices.map(([value, label]) => [value, label, true]), changed);
    boxes = [...root.querySelectorAll("input")];
    const only = choices.map(([value], i) => {
      const label = boxes[i].parentElement;
      const button = el("button", { type: "button", class: "only", "aria-label": `only ${choices[i][1]}`, onclick: () => app.set({ [part]: new Set([value]) }) }, "only");
      label.after(button);
      return button;
    });
    root.querySelector("fieldset").classList.add("with-only");
    const update = () => {
      const setting = app.state.setting[part];
      choices.forEach(([value], i) => (boxes[i].checked = !setting || setting.has(value)));
      root.firstChild.classList.toggle("active", Boolean(setting));
    };
    return { root, update, only };
  }

  /** What the figures of the board are of, in words. */
  function sentence(app) {
    const { board, setting } = app.state;
    if (app.isAsStored) return "As scored by the benchmark: all test images, keypoints and seeds.";
    const parts = [];
    if (setting.tolerance !== null) parts.push(`a tolerance of ${Number(setting.tolerance.toPrecision(6))} px`);
    const chosen = (part, one, names) => {
      if (!setting[part]) return;
      const known = [...setting[part]].map(names);
      parts.push(`${one}${known.length > 1 ? "s" : ""} ${known.join(", ")}`);
    };
    chosen("classes", "class", (i) => board.classes.names[i]);
    chosen("keypoints", "keypoint", (i) => board.keypoints[i]);
    chosen("seeds", "seed", (seed) => seed);
    const rest = setting.classes || setting.keypoints || setting.seeds ? " Metrics that need more than pixel errors are left out." : "";
    const pending = app.scored?.some((row) => row.ranks_pending) ? " Ranks are being tested…" : "";
    return `Recomputed for: ${parts.join("; ")}.${rest}${pending}`;
  }

  KB.controls = { rescoring, sentence };
})();
