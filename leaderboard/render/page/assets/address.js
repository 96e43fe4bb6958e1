// What the reader has asked for, in the page's address, so that a link shows another reader the same:
// #section?board=…&within=…&class=…&keypoint=…&seed=…&row=…, of which what is as on the board is left out.
(() => {
  "use strict";
  const SETTLED = 300; // ms after the last change; browsers refuse an address that changes at every step of a slider
  let timer = 0;

  const section = () => KB.sections.find(({ id }) => id === location.hash.slice(1).split("?")[0])?.id ?? "";
  const asked = () => new URLSearchParams(location.hash.split("?").slice(1).join("?"));

  /** The parts of a board that can be asked for, by the name of the setting: what they are called here, and their values. */
  function parts(board) {
    const named = (names) => new Map((names ?? []).map((name, i) => [String(name), i]));
    return {
      classes: ["class", named(board.classes?.names)],
      keypoints: ["keypoint", named(board.keypoints)],
      seeds: ["seed", new Map(board.rows.flatMap((row) => row.seeds).map((seed) => [String(seed), seed]))],
    };
  }

  /** {index, section, setting, chosen} that the address asks for; what this page does not have is left out. */
  function read() {
    const query = asked();
    const found = KB.data.boards.findIndex((board) => board.title === query.get("board"));
    const index = found < 0 ? null : found;
    const board = KB.data.boards[index ?? usual()];
    const tolerance = Number(query.get("within") ?? NaN);
    const setting = { tolerance: tolerance >= 0 && Number.isFinite(tolerance) ? tolerance : null };
    for (const [part, [name, values]] of Object.entries(parts(board))) {
      const known = new Set(query.getAll(name).filter((value) => values.has(value)).map((value) => values.get(value)));
      setting[part] = known.size && known.size < values.size ? known : null;
    }
    const labels = query.getAll("row").filter((label) => board.rows.some((row) => row.label === label));
    return { index: index ?? usual(), section: section(), setting, chosen: labels.length ? labels : null };
  }

  /** The board that is shown where the address names none: the one that tells most. */
  function usual() {
    const sizes = KB.data.boards.map((board) => board.rows.length);
    return sizes.indexOf(Math.max(...sizes));
  }

  /** Write what is asked for into the address, once it has settled. */
  function write(app) {
    const before = location.hash;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (location.hash !== before) return; // another was typed in meanwhile: what it asks for stands, not what was shown
      const { board, setting, chosen } = app.state;
      const query = new URLSearchParams();
      if (KB.data.boards.indexOf(board) !== usual()) query.append("board", board.title);
      if (setting.tolerance !== null) query.append("within", Number(setting.tolerance.toPrecision(6)));
      for (const [part, [name, values]] of Object.entries(parts(board))) {
        for (const [value, at] of values) if (setting[part]?.has(at)) query.append(name, value);
      }
      const first = app.firstChosen(board);
      if (chosen.length !== first.length || chosen.some((label) => !first.includes(label))) for (const label of chosen) query.append("row", label);
      const hash = `#${section()}${query.size ? `?${query}` : ""}`;
      if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
    }, SETTLED);
  }

  /** Follow an address that is typed in, or a link to a section, which names nothing else and so keeps what is asked for. */
  function listen(app) {
    addEventListener("hashchange", () => {
      if (!asked().size) write(app);
      else app.visit(read());
    });
  }

  KB.address = { read, write, listen };
})();
