// One plot: a Vega-Lite specification of KB.data.plots drawn into a place, with the records it is given. Vega comes along
// packed, and is run when the first plot is drawn; its interpreter evaluates expressions without eval.
(() => {
  "use strict";
  const { el } = KB.dom;
  const NARROW = 620; // px: below it panels stand below each other
  const MANY = 1500; // records: a canvas then takes fewer elements than a drawing
  const DIGIT = 6.3; // px of a letter of a label, roughly
  const LIMIT = 300; // px of a name
  const SILENT = { warn: () => SILENT, info: () => SILENT, debug: () => SILENT, error: (...said) => (console.error(...said), SILENT), level: () => SILENT };

  let specifications = null;

  /** Kinds, themes and the licence, unpacked once. */
  const all = () => (specifications ??= KB.unpack.object(KB.data.plots));

  async function vega() {
    for (const name of ["vega", "vega-lite", "vega-interpreter"]) await KB.app.vendor(name);
    return globalThis.vega;
  }

  /** "light" or "dark", whichever the page has. */
  function themeNow() {
    const { theme } = document.documentElement.dataset;
    return theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }

  /** The parts of a specification that have a size of their own (specification.py, panels). */
  function panels(spec) {
    if (spec.facet) return panels(spec.spec);
    return spec.concat ? spec.concat.flatMap(panels) : [spec];
  }

  const longest = (records) => Math.max(0, ...records.map((record) => Math.min(String(record.row).length * DIGIT, LIMIT)));

  /** The colours of chosen rows are those of their boxes on the board, whether or not all of them are drawn. */
  const coloursOf = (records, colours) =>
    [...new Set(records.map((record) => record.order))].sort((a, b) => a - b).map((order) => colours[(order - 1) % colours.length]);

  /** A copy of a specification as wide as its place. */
  function fitted(spec, config, kind, records, width) {
    const made = structuredClone(spec), look = structuredClone(config);
    const share = Math.min(LIMIT, Math.round(width * 0.3));
    look.padding = 4;
    look.axis.labelLimit = share;
    for (const style of ["label", "quiet-label", "halo"]) look.style[style].limit = share;
    look.text.limit = share;
    look.legend.columns = Math.max(1, Math.floor(width / 130));
    const isNarrow = width < NARROW;
    const isOfRows = kind.name === "ranks" || kind.name === "pairs";
    const height = isOfRows ? { step: 15 } : isNarrow ? 300 : 380;
    const parts = panels(made);
    if (made.facet || made.concat) {
      const beside = made.facet && isNarrow ? 1 : kind.beside;
      const margins = isOfRows ? Math.min(share, longest(records)) + 60 : 60 * beside + 20;
      const each = Math.max(70, Math.floor((width - margins - 8) / beside));
      if (made.facet) made.columns = beside;
      for (const part of parts) Object.assign(part, isOfRows ? { width: Math.min(each, 460), height } : { width: Math.min(each, 320), height: Math.min(each, 280) });
    } else {
      Object.assign(made, { width, height, autosize: { type: "fit-x", contains: "padding" } });
    }
    if (kind.name === "pck" || kind.name === "history") look.range.category = coloursOf(records, look.range.category);
    made.config = look;
    return made;
  }

  /** What is under the pointer, as text beside it. */
  function tip() {
    const box = el("div", { class: "plot-tip", role: "tooltip", hidden: true });
    const show = (_, event, __, value) => {
      box.hidden = value === null || value === undefined || value === "";
      if (box.hidden) return;
      const lines = typeof value === "object" ? Object.entries(value) : [["", value]];
      box.replaceChildren(...lines.map(([name, said]) => el("div", {}, el("span", {}, name), ` ${said}`)));
      const beyond = event.clientX + 16 + box.offsetWidth > innerWidth;
      box.style.left = `${Math.max(4, beyond ? event.clientX - 12 - box.offsetWidth : event.clientX + 16)}px`;
      box.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - box.offsetHeight - 4))}px`;
    };
    return { box, show };
  }

  /**
   * Draws, and draws again where data, width or theme have changed: draw({kind, variant, records, setting, key}). A
   * drawing whose `key` (what its records are of) is as before only learns the setting.
   */
  function plot(root) {
    const { box, show } = tip();
    const place = el("div", { class: "plot-place" });
    root.append(place, box);
    let view = null, drawn = "", asked = 0;

    async function draw({ kind, variant, records, setting, key }) {
      const mine = ++asked;
      const [library, { themes }] = await Promise.all([vega(), all()]);
      const width = Math.floor(place.clientWidth), theme = themeNow();
      if (mine !== asked || !width) return;
      const now = JSON.stringify([kind.name, variant.name, key, width, theme]);
      if (now !== drawn) {
        const made = records();
        drawn = now;
        view?.finalize();
        view = null;
        box.hidden = true;
        place.replaceChildren();
        root.toggleAttribute("data-empty", !made.length);
        if (!made.length) {
          place.append(el("p", { class: "faint" }, `Nothing to draw: ${kind.none}.`));
          return;
        }
        const compiled = globalThis.vegaLite.compile(fitted(variant.spec, themes[theme], kind, made, width), { logger: SILENT }).spec;
        const runtime = library.parse(compiled, {}, { ast: true });
        const renderer = made.length > MANY ? "canvas" : "svg";
        view = new library.View(runtime, { expr: globalThis.vegaInterpreter.expressionInterpreter, renderer, container: place, hover: true, tooltip: show, logger: SILENT });
        view.data("rows", made);
        root.plotView = view; // for tests and for those who look with the browser's tools
      }
      if (!view) return;
      if (kind.name === "pck") view.data("setting", setting);
      await view.runAsync();
      // a picture with a name, and its data as a table below it, is heard better than 300 marks
      const picture = place.querySelector("svg, canvas");
      picture.setAttribute("role", "img");
      picture.setAttribute("aria-label", kind.title);
      for (const marks of picture.children) marks.setAttribute("aria-hidden", "true");
      root.dataset.drawn = asked;
    }

    return { draw, get root() { return root; } };
  }

  KB.plotView = { plot, all, themeNow };
})();
