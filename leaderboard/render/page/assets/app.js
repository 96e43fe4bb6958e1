// The page's state, and who is told of changes. Sections register themselves in KB.sections with an `order` (the board
// has 0), and may say whether they apply to the data. Each is built when it first comes near the window, or at once
// (`atOnce`), and updated whenever board, setting or choice change.
(() => {
  "use strict";
  const { el } = KB.dom;
  const TICKED = 4; // rows at first
  const AIDED = ["oracle_features", "rule_structured"];
  const AS_ON_BOARD = { tolerance: null, classes: null, keypoints: null, seeds: null };

  const app = {
    state: { board: null, setting: { ...AS_ON_BOARD }, chosen: [], theme: "auto" },
    /** What KB.score.figures says of each row of the board under the setting; null until it was asked. */
    scored: null,
    /** Whether the reader has asked for nothing else than the board says. */
    get isAsStored() {
      return app.isWhole && app.state.setting.tolerance === null;
    },
    /** Whether all classes, keypoints and seeds count, so that every metric is as stored. */
    get isWhole() {
      const { classes, keypoints, seeds } = app.state.setting;
      return !classes && !keypoints && !seeds;
    },
    /** What `scored` says of a row. */
    scoreOf: (row) => app.scored?.[app.state.board.rows.indexOf(row)] ?? null,
    /** Show a board of the page; as it is stored, where no setting and no rows are asked for. */
    show(index, { setting, chosen } = {}) {
      const board = KB.data.boards[index];
      Object.assign(app.state, { board, setting: { ...AS_ON_BOARD, ...setting }, chosen: chosen ?? firstChosen(board) });
      KB.address.write(app);
      app.scored = null;
      document.title = `${board.title}: keypoint benchmark`;
      const choice = document.getElementById("board-choice");
      if (choice) choice.value = index;
      for (const section of KB.sections) section.isBuilt = false;
      layOut();
      for (const section of KB.sections) if (section.atOnce) build(section.id);
      score();
    },
    /** Show what an address asks for. */
    visit(asked) {
      app.show(asked.index, asked);
      if (asked.section) follow(asked.section);
    },
    /** Score again under another setting: parts of {tolerance, classes, keypoints, seeds}; null is as on the board. */
    set(setting) {
      app.state.setting = { ...app.state.setting, ...setting };
      KB.address.write(app);
      score();
    },
    reset: () => app.set(AS_ON_BOARD),
    /** The rows that plots and gallery show, by label. */
    select(labels) {
      app.state.chosen = labels;
      KB.address.write(app);
      update();
    },
    /** "auto" (as the system), "light" or "dark". */
    setTheme(theme) {
      app.state.theme = theme;
      if (theme === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = theme;
      update();
    },
    /** Run a vendored script of the page, once; resolves when it has run. */
    vendor(name) {
      vendored[name] ??= inflated(document.getElementById(`vendor-${name}`).textContent).then((text) => {
        const script = document.createElement("script");
        script.textContent = text; // its hash is in the page's content security policy
        document.head.append(script); // runs at once
        script.remove();
      });
      return vendored[name];
    },
    firstChosen,
    follow,
    start,
  };
  const vendored = {};
  let asked = 0;
  let seen = null;

  /** The text of gzip in base64. */
  async function inflated(base64) {
    const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  /**
   * The rows that are ticked at first: the leader, the advised row, and the best of each other family that has neither oracle
   * features nor the rule in its structure. The first few alone are mostly alike, and often show no error at all.
   */
  function firstChosen(board) {
    const ranked = board.rows.filter((row) => row.ranked);
    const plain = ranked.filter((row) => !row.marks.some((mark) => AIDED.includes(mark)));
    const wanted = [ranked[0], ranked.find((row) => row.label === board.advised), plain[0], ...plain.filter((row, i) => plain.findIndex((one) => one.family === row.family) === i), ...ranked];
    const first = new Set(wanted.filter(Boolean).map((row) => row.label).filter((label, i, all) => all.indexOf(label) === i).slice(0, TICKED));
    return board.rows.filter((row) => first.has(row.label)).map((row) => row.label);
  }

  /** Score under the setting of now, after the page was drawn, ranks last; what was asked meanwhile is scored once. */
  async function score() {
    const mine = ++asked;
    document.documentElement.dataset.busy = ""; // for whoever waits
    const { board, setting } = app.state;
    if (!board.arrays) {
      await new Promise((done) => setTimeout(done));
      await KB.score.unpack(board);
      if (mine !== asked) return;
    }
    app.scored = KB.score.figures(board, setting);
    update();
    const pending = app.scored.some((row) => row.ranks_pending);
    if ((await KB.score.ranks(board, setting, app.scored)) === null || mine !== asked) return;
    if (pending) update();
    performance.mark("scored");
    delete document.documentElement.dataset.busy;
  }

  const built = () => KB.sections.filter((section) => section.isBuilt);

  function update() {
    for (const section of built()) guarded(section, () => section.update?.(app));
  }

  /** A section that fails says so in its place, and leaves the others alone. */
  function guarded(section, act) {
    try {
      const done = act();
      done?.catch?.((error) => failed(section, error));
    } catch (error) {
      failed(section, error);
    }
  }

  function failed(section, error) {
    section.root.append(el("p", { class: "problem" }, `${section.title} cannot be shown: ${error.message ?? error}`));
    console.error(error);
  }

  function build(id) {
    const section = KB.sections.find((one) => one.id === id);
    if (!section || section.isBuilt) return;
    section.isBuilt = true;
    guarded(section, () => section.build(section.root, app));
    guarded(section, () => section.update?.(app));
  }

  /** An empty place a section, which is filled when it comes near the window, and a link to each. */
  function layOut() {
    seen?.disconnect();
    seen = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) if (entry.isIntersecting) build(entry.target.dataset.section);
      },
      { rootMargin: "400px" },
    );
    const main = document.querySelector("main");
    const places = KB.sections.map((section) => {
      section.root = el("div", { class: "content" });
      const place = el("section", { id: section.id, "data-section": section.id, "aria-labelledby": `${section.id}-title` });
      place.append(el("h2", { id: `${section.id}-title`, class: section.hidesTitle ? "unseen" : "" }, section.title), section.root);
      seen.observe(place);
      return place;
    });
    main.replaceChildren(...places);
    const links = KB.sections.map((section) => el("li", {}, el("a", { href: `#${section.id}`, onclick: () => app.follow(section.id) }, section.title)));
    document.querySelector("nav ul").replaceChildren(...links);
  }

  /** A link to a section leads there although sections above it are only now filled, until the reader moves. */
  function follow(id) {
    build(id);
    const place = document.getElementById(id);
    const held = new ResizeObserver(() => place.scrollIntoView({ behavior: "instant" }));
    held.observe(document.querySelector("main"));
    const moved = new AbortController();
    const leave = () => (held.disconnect(), moved.abort());
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) addEventListener(kind, leave, { signal: moved.signal, passive: true });
    setTimeout(leave, 5000);
  }

  function header() {
    const boards = KB.data.boards;
    const chooser = document.getElementById("chooser");
    if (boards.length > 1) {
      const tasks = Map.groupBy(boards.map((board, i) => [board, i]), ([board]) => board.task);
      const select = el(
        "select",
        { id: "board-choice", onchange: (event) => app.show(Number(event.target.value)) },
        [...tasks].map(([task, some]) => el("optgroup", { label: task }, some.map(([board, i]) => el("option", { value: i }, board.title)))),
      );
      chooser.replaceChildren(el("label", { for: "board-choice" }, "Board"), select);
    }
    const theme = el(
      "select",
      { id: "theme", onchange: (event) => app.setTheme(event.target.value) },
      ["auto", "light", "dark"].map((one) => el("option", { value: one }, one)),
    );
    document.getElementById("theme-choice").replaceChildren(el("label", { for: "theme" }, "Theme"), theme);
  }

  function start() {
    KB.data = JSON.parse(document.getElementById("data").textContent);
    KB.sections = KB.sections.filter((section) => section.applies?.(KB.data) ?? true);
    KB.sections.sort((a, b) => (a.order ?? 50) - (b.order ?? 50));
    header();
    if (KB.data.boards.length) app.visit(KB.address.read());
    KB.address.listen(app);
    performance.mark("interactive"); // what is measured as the time until a reader can use the page
  }

  KB.app = app;
})();
