// Small drawings inside table cells: an interval of ranks, and a mean with its interval and its seeds. They repeat what
// stands beside them in figures, so they are hidden from screen readers.
(() => {
  "use strict";
  const { svg } = KB.dom;
  const HEIGHT = 20;
  const MIDDLE = HEIGHT / 2;
  const EDGE = 5; // px left free on both sides, so that a dot at an end is whole

  const drawing = (width, ...parts) =>
    svg("svg", { class: "drawing", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" }, parts);
  const line = (x1, x2, kind) => svg("line", { class: kind, x1, x2, y1: MIDDLE, y2: MIDDLE });
  const dot = (x, r, kind, colour) => svg("circle", { class: kind, cx: x, cy: MIDDLE, r, style: colour ? `fill: ${colour}` : null });
  const grid = (ticks, place) => ticks.map((tick) => svg("line", { class: "grid", x1: place(tick), x2: place(tick), y1: 0, y2: HEIGHT }));

  /** Ranks 1 to last from left to right. */
  function rankScale(last, width = 84) {
    const place = (rank) => EDGE + ((width - 2 * EDGE) * (rank - 1)) / Math.max(last - 1, 1);
    return { width, place, ticks: last > 1 ? [1, last] : [1] };
  }

  /**
   * Pixels from left to right: in proportion below `knee`, by powers of ten above (the inverse hyperbolic sine), so that 0
   * has a place, a hundredth is told from a tenth, and one broken row does not press all others together.
   */
  function pixelScale(knee, last, width = 190) {
    const whole = Math.asinh(Math.max(last, knee) / knee);
    const place = (value) => EDGE + ((width - 2 * EDGE) * Math.min(Math.asinh(Math.max(value, 0) / knee) / whole, 1));
    const powers = Array.from({ length: 12 }, (_, i) => 10 ** (i - 4)).filter((one) => one >= knee && one <= last);
    return { width, place, ticks: [0, ...powers] };
  }

  /** The scale's ticks with their figures, for the heading of a column. */
  function axis({ width, place, ticks }) {
    const label = (tick, i) =>
      svg("text", { x: place(tick), y: 12, "text-anchor": i === 0 ? "start" : i === ticks.length - 1 && place(tick) > width - 16 ? "end" : "middle", dx: i === 0 ? -EDGE + 1 : 0 }, String(Number(tick.toPrecision(1)) === tick ? tick : Math.round(tick)));
    return svg("svg", { class: "axis", width, height: 16, viewBox: `0 0 ${width} 16`, "aria-hidden": "true" }, ticks.map(label));
  }

  function ranks(scale, low, high, position, colour) {
    if (!Number.isFinite(low)) return drawing(scale.width);
    return drawing(
      scale.width,
      line(scale.place(low), scale.place(high), "whisker"),
      Number.isFinite(position) ? dot(scale.place(Math.min(Math.max(position, low), high)), 3, "mean", colour) : null,
    );
  }

  function mean(scale, value, interval, perSeed, colour) {
    const { width, place, ticks } = scale;
    const known = interval && Number.isFinite(interval.low) && Number.isFinite(interval.high);
    return drawing(
      width,
      grid(ticks, place),
      known ? line(place(interval.low), place(interval.high), "whisker") : null,
      perSeed.length > 1 ? perSeed.map((one) => (Number.isFinite(one) ? dot(place(one), 2, "seed") : null)) : null,
      Number.isFinite(value) ? dot(place(value), 3.2, "mean", colour) : null,
    );
  }

  KB.drawings = { rankScale, pixelScale, axis, ranks, mean };
})();
