// What of the board is shown: a text, choices of family, marks and device, and the columns.
(() => {
  "use strict";
  const { el } = KB.dom;

  /** A button that opens a list of checkboxes; it closes on Escape and where the reader clicks elsewhere. */
  function menu(title, choices, changed) {
    const summary = el("summary", {}, title);
    const boxes = choices.map(([value, label, on]) => {
      const box = el("input", { type: "checkbox", checked: on, onchange: () => tell(value, box.checked) });
      return el("label", {}, box, label);
    });
    const tell = (value, on) => {
      changed(value, on);
      summary.classList.toggle("active", boxes.some((label, i) => label.firstChild.checked !== choices[i][2]));
    };
    const root = el("details", { class: "menu" }, summary, el("fieldset", {}, el("legend", { class: "unseen" }, title), boxes));
    root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !root.open) return;
      root.open = false;
      summary.focus();
    });
    return root;
  }

  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false;
  });

  /** {root, keeps(row)} of a board; `changed` is called when another set of rows is kept. */
  function filters(app, changed) {
    const { board } = app.state;
    let text = "";
    const hidden = { family: new Set(), device: new Set(), marks: new Set() };
    const input = el("input", {
      type: "search", id: "filter", placeholder: "Filter rows", "aria-label": "Filter rows by name, family or description", autocomplete: "off", spellcheck: "false",
      oninput: () => {
        text = input.value.trim().toLowerCase();
        changed();
      },
    });
    const values = (field) => [...new Set(board.rows.map((row) => row[field]))].filter(Boolean).sort();
    const menus = ["family", "device"]
      .filter((field) => values(field).length > 1)
      .map((field) => menu(field === "family" ? "Families" : "Devices", values(field).map((value) => [value, value, true]), hide(field)));
    const carried = KB.notes.legend(board).filter(({ code }) => board.rows.some((row) => row.marks.includes(code)));
    const kinds = [...carried.map(({ code, name }) => [code, name, true]), ...(board.rows.some((row) => !row.ranked) ? [["", "references", true]] : [])];
    if (kinds.length) menus.push(menu("Marks", kinds, hide("marks")));

    function hide(field) {
      return (value, on) => {
        if (on) hidden[field].delete(value);
        else hidden[field].add(value);
        changed();
      };
    }

    const names = new Map(KB.notes.legend(board).map(({ code, name }) => [code, name]));
    const searched = (row) => [row.label, row.detector, row.family, row.device, row.summary, ...row.marks.map((mark) => names.get(mark))].join("\n").toLowerCase();
    const keeps = (row) =>
      !hidden.family.has(row.family) && !hidden.device.has(row.device) && !row.marks.some((mark) => hidden.marks.has(mark)) && (row.ranked || !hidden.marks.has("")) && text.split(/\s+/).every((word) => searched(row).includes(word));
    return { root: [input, ...menus], keeps };
  }

  function columnChooser(app, all, shown, changed) {
    const known = new Set(shown().map((column) => column.id));
    return menu("Columns", all().map((column) => [column.id, column.heading, known.has(column.id)]), changed);
  }

  KB.filters = { filters, columnChooser, menu };
})();
