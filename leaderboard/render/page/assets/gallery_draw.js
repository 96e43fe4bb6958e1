// Test images on canvases: an image, its annotations as rings and answers as marks, to the pixel. An integer coordinate is
// the centre of its pixel, and a pixel of a small image is a square of whole screen pixels: point x is at (x + .5) * zoom.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const MARGIN = 6; // px about an image, for marks of points near or beyond its edge
  const WHOLE_FROM = 3; // times that an image is enlarged, from which its pixels are whole squares
  const GRID_FROM = 5; // px, the side of an image pixel from which a grid is drawn
  const OKABE_ITO = ["#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442", "#999999"];
  const SHAPES = ["cross", "plus", "diamond", "triangle"]; // one for every eight rows
  const PATHS = {
    // in units of a mark's arm
    cross: [[[-1, -1], [1, 1]], [[1, -1], [-1, 1]]],
    plus: [[[0, -1.25], [0, 1.25]], [[-1.25, 0], [1.25, 0]]],
    diamond: [[[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0], [0, -1.2]]],
    triangle: [[[0, -1.2], [1.1, 0.9], [-1.1, 0.9], [0, -1.2]]],
  };
  const RIM = "#000";
  const RING = "#fff";
  const pictures = new Map();

  /** The picture of a sheet, decoded once. */
  function picture(name) {
    if (!pictures.has(name)) {
      const image = new Image();
      image.src = KB.data.gallery.sheets[name];
      pictures.set(name, image.decode().then(() => image));
    }
    return pictures.get(name);
  }

  /** Position of an image -> where it lies: {sheet, left, top}. */
  function cells(sheets) {
    const known = new Map();
    for (const sheet of sheets) {
      sheet.images.forEach((position, i) =>
        known.set(position, { sheet, left: (i % sheet.columns) * sheet.width, top: Math.floor(i / sheet.columns) * sheet.height }),
      );
    }
    return known;
  }

  /** The colour and the shape of the i-th row that is drawn. */
  function style(i) {
    const given = getComputedStyle(document.documentElement).getPropertyValue(`--c${i % 8}`).trim();
    return { colour: given || OKABE_ITO[i % 8], shape: SHAPES[Math.floor(i / 8) % SHAPES.length] };
  }

  /** How an image of that size lies on a canvas whose longer side is about `side` px. */
  function layout([width, height], side) {
    const longest = Math.max(width, height);
    const zoom = longest * WHOLE_FROM <= side ? Math.floor(side / longest) : side / longest;
    return { zoom, margin: MARGIN, width: Math.round(width * zoom) + 2 * MARGIN, height: Math.round(height * zoom) + 2 * MARGIN };
  }

  /**
   * Draw an image and what is known of it.
   *
   * @param canvas Is given its size.
   * @param shown {size: [w, h], cell: of `cells` or undefined, heat: cell or undefined, rings: [[x, y, number]],
   *   marks: [{points: [[x, y, number, ringX, ringY]], colour, shape}]}, points in px of the image.
   * @param side px, the longer side of the image on the page.
   * @param options {grid: boolean, large: whether it stands alone}.
   */
  async function draw(canvas, shown, side, { grid = true, large = false } = {}) {
    const at = layout(shown.size, side);
    const count = shown.marks.reduce((sum, { points }) => sum + points.length, 0);
    const arm = (count <= 8 ? 5 : count <= 40 ? 3.5 : 2.5) * (large ? 1.6 : 1);
    const image = shown.cell && (await picture(shown.cell.sheet.name));
    const heat = shown.heat && (await picture(shown.heat.sheet.name));
    const dense = Math.min(3, globalThis.devicePixelRatio || 1);
    canvas.width = Math.round(at.width * dense);
    canvas.height = Math.round(at.height * dense);
    canvas.style.aspectRatio = `${at.width} / ${at.height}`;
    canvas.style.width = `${at.width}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(canvas.width / at.width, 0, 0, canvas.height / at.height, 0, 0);
    const [left, wide, high] = [at.margin, at.width - 2 * at.margin, at.height - 2 * at.margin];
    if (image) {
      const { sheet } = shown.cell;
      pen.imageSmoothingEnabled = at.zoom < WHOLE_FROM || sheet.scale < 1;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(image, shown.cell.left, shown.cell.top, sheet.width, sheet.height, left, left, wide, high);
    } else {
      pen.fillStyle = "#808080";
      pen.fillRect(left, left, wide, high);
    }
    if (heat) pen.drawImage(tinted(heat, shown.heat), left, left, wide, high);
    if (grid && at.zoom >= GRID_FROM) lattice(pen, at, shown.size);
    const place = ([x, y]) => [within(left + (x + 0.5) * at.zoom, at.width), within(left + (y + 0.5) * at.zoom, at.height)];
    for (const { points, colour } of shown.marks) {
      for (const [x, y, , ringX, ringY] of points) tether(pen, place([ringX, ringY]), place([x, y]), arm + 2, colour);
    }
    shown.marks.forEach(({ points, colour, shape }, i) => {
      const reach = arm + Math.min(4, shown.marks.length - 1 - i) * (arm / 4); // of marks in one place all tips are seen
      for (const [x, y] of points) {
        const [u, v] = place([x, y]);
        line(pen, PATHS[shape].map((path) => path.map(([dx, dy]) => [u + dx * reach, v + dy * reach])), colour, 2);
      }
    });
    for (const [x, y, number] of shown.rings) {
      const [u, v] = place([x, y]);
      for (const [width, colour] of [[3.5, RIM], [1.7, RING]]) {
        pen.beginPath();
        pen.arc(u, v, arm + 1, 0, 2 * Math.PI);
        pen.lineWidth = width;
        pen.strokeStyle = colour;
        pen.stroke();
      }
      numeral(pen, number, u + arm + 2, v - arm, RING);
    }
  }

  const within = (value, length) => Math.min(Math.max(value, 5), length - 5);

  /** A line from a ring's edge to an answer outside it: the pixel that is annotated stays free. */
  function tether(pen, [x, y], [u, v], radius, colour) {
    const length = Math.hypot(u - x, v - y);
    const share = radius / length;
    if (length > radius) line(pen, [[[x + (u - x) * share, y + (v - y) * share], [u, v]]], colour, 1);
  }

  /** What shows a colour on any ground: dark about a light one, light about a dark one. */
  function rimOf(colour) {
    const [red, green, blue] = (colour.match(/^#(..)(..)(..)$/) ?? []).slice(1).map((two) => parseInt(two, 16));
    return red + green + blue < 200 ? RING : RIM;
  }

  function line(pen, paths, colour, width) {
    for (const [wide, shade] of [[width + 1.5, rimOf(colour)], [width, colour]]) {
      pen.lineWidth = wide;
      pen.strokeStyle = shade;
      pen.lineCap = "round";
      pen.beginPath();
      for (const path of paths) path.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.stroke();
    }
  }

  function numeral(pen, number, x, y, colour) {
    if (number === null) return;
    pen.font = "11px system-ui, sans-serif";
    pen.lineWidth = 3;
    pen.strokeStyle = RIM;
    pen.strokeText(String(number), x, y);
    pen.fillStyle = colour;
    pen.fillText(String(number), x, y);
  }

  function lattice(pen, at, [width, height]) {
    pen.fillStyle = "rgb(128 128 128 / .4)";
    for (let x = 0; x <= width; x++) pen.fillRect(at.margin + x * at.zoom - 0.5, at.margin, 1, height * at.zoom);
    for (let y = 0; y <= height; y++) pen.fillRect(at.margin, at.margin + y * at.zoom - 0.5, width * at.zoom, 1);
  }

  /** A heatmap as a veil: the larger the value, the less the image shows through. */
  function tinted(image, { sheet, left, top }) {
    const veil = document.createElement("canvas");
    [veil.width, veil.height] = [sheet.width, sheet.height];
    const pen = veil.getContext("2d", { willReadFrequently: true });
    pen.drawImage(image, left, top, sheet.width, sheet.height, 0, 0, sheet.width, sheet.height);
    const pixels = pen.getImageData(0, 0, sheet.width, sheet.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const share = Math.sqrt(pixels.data[i] / 255); // so that what is small beside a sharp peak is seen, too
      pixels.data.set([255, 60 + 150 * share, 0, 210 * share], i);
    }
    pen.putImageData(pixels, 0, 0);
    return veil;
  }

  /** The mark of a row in text: a small drawing, hidden from screen readers. */
  function symbol({ colour, shape }) {
    const { svg } = KB.dom;
    const lines = PATHS[shape].map((path) => path.map(([x, y]) => `${8 + 5 * x},${8 + 5 * y}`).join(" "));
    const drawn = [[rimOf(colour), 3.6], [colour, 2.2]].flatMap(([stroke, width]) =>
      lines.map((points) => svg("polyline", { points, fill: "none", stroke, "stroke-width": width, "stroke-linecap": "round" })),
    );
    return svg("svg", { class: "symbol", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, drawn);
  }

  /** The ring of annotations in text. */
  function ring() {
    const { svg } = KB.dom;
    const circle = (stroke, width) => svg("circle", { cx: 8, cy: 8, r: 5, fill: "none", stroke, "stroke-width": width });
    return svg("svg", { class: "symbol", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, circle(RIM, 3.6), circle(RING, 2));
  }

  KB.galleryDraw = { GRID_FROM, cells, draw, layout, ring, style, symbol };
})();
