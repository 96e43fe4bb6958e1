// Elements and figures: what every section builds its part of the page with. Text only ever enters through text nodes,
// so a name that holds markup is shown as that markup.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name.startsWith("aria-")) node.setAttribute(name, String(value)); // "false" says something there
      else if (value === null || value === undefined || value === false) continue;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (["value", "checked", "selected", "disabled", "hidden", "open"].includes(name)) node[name] = value;
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  /** An element: el("td", {class: "figure", onclick: f}, "text", otherNode, [more]). */
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

  /** An element of a drawing, as `el`. */
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  /** A table with a heading a column, where a column is [heading, cell(row), is it a name]. */
  function table(columns, rows, caption) {
    return el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      el(
        "table",
        { class: "small" },
        el("caption", { class: "unseen" }, caption),
        el("thead", {}, el("tr", {}, columns.map(([head, , name]) => el("th", { scope: "col", class: name ? "name" : "" }, head)))),
        el(
          "tbody",
          {},
          rows.map((row) =>
            el("tr", {}, columns.map(([, cell, name], i) => (i ? el("td", { class: name ? "name" : "" }, cell(row)) : el("th", { scope: "row" }, cell(row))))),
          ),
        ),
      ),
    );
  }

  /** Term and description, of pairs or of an object; what is empty is left out. */
  function list(pairs) {
    const known = (Array.isArray(pairs) ? pairs : Object.entries(pairs ?? {})).filter(([, value]) => !isEmpty(value));
    return el("dl", {}, known.map(([term, value]) => el("div", {}, el("dt", {}, words(term)), el("dd", {}, described(value)))));
  }

  const isEmpty = (value) =>
    value === null || value === undefined || value === "" || (typeof value === "object" && !(value instanceof Node) && !Object.keys(value).length);

  /** Any value of a record as a reader sees it. */
  function described(value) {
    if (value instanceof Node) return value;
    if (value === true) return "yes";
    if (value === false) return "no";
    if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
    if (Array.isArray(value)) return value.every((one) => typeof one !== "object") ? value.map(described).join(", ") : value.map((one) => el("div", {}, described(one)));
    if (typeof value === "object" && value !== null) return list(value);
    return String(value);
  }

  /** A field's name as words. */
  const words = (name) => String(name).replaceAll("_", " ");

  const NONE = "–";
  /** Pixels with three decimals, never minus zero. */
  const pixels = (value, digits = 3) => (Number.isFinite(value) ? (value + 0).toFixed(digits).replace(/^-(0\.?0*)$/, "$1") : NONE);

  /** A share as per cent with one decimal; 100 and 0 are written only where they are meant. */
  function percent(value) {
    if (!Number.isFinite(value)) return NONE;
    if (value === 0 || value === 1) return String(100 * value);
    if (value > 0 && value < 0.0001) return "<0.01";
    return value >= 0.0005 ? Math.min(Math.max(100 * value, 0.05), 99.9).toFixed(1) : String(Number((100 * value).toPrecision(2)));
  }

  /** Seconds or milliseconds with about three digits. */
  const short = (value) => (Number.isFinite(value) ? (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)) : "");

  /** A large number with a unit. */
  function count(value) {
    if (!Number.isFinite(value)) return "";
    for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (value >= unit) return `${Number((value / unit).toPrecision(3))} ${letter}`;
    return String(value);
  }

  /** `1`, or `3–5` where tests leave several ranks open. */
  const rank = (low, high) => (Number.isFinite(low) ? (low === high ? String(low) : `${low}–${high}`) : NONE);

  /** `0–2`, or one by one where they are few or have gaps. */
  function seeds(known) {
    const ordered = [...known].sort((a, b) => a - b);
    const whole = ordered.length > 2 && ordered.at(-1) - ordered[0] === ordered.length - 1;
    return whole ? `${ordered[0]}–${ordered.at(-1)}` : ordered.join(", ");
  }

  const grouped = (value) => (Number.isFinite(value) ? value.toLocaleString("en-US") : NONE);

  KB.dom = { el, svg, table, list, described, words, isEmpty, pixels, percent, short, count, rank, seeds, grouped, NONE };
})();
