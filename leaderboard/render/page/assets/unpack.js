// What leaderboard/render/page/packing.py and answers.py packed: base64, gzip, byte planes; boards and their answers.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const KINDS = { "<f8": Float64Array, "<f4": Float32Array, "<i4": Int32Array, "<u4": Uint32Array, "|u1": Uint8Array, u3: Uint32Array };

  const inflate = async (text) => {
    const letters = atob(text), packed = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  /** The values of a packed array, flat, in C order; numbers are little-endian, as every browser's are. */
  const array = async ({ dtype, shape, data }) => {
    const planes = await inflate(data);
    const size = shape.reduce((product, length) => product * length, 1);
    const kind = KINDS[dtype];
    const values = new kind(size);
    const bytes = new Uint8Array(values.buffer);
    const width = kind.BYTES_PER_ELEMENT;
    const stored = dtype === "u3" ? 3 : width;
    for (let place = 0; place < stored; place++) {
      const from = place * size;
      for (let i = 0, to = place; i < size; i++, to += width) bytes[to] = planes[from + i];
    }
    return values;
  };

  const object = async (text) => JSON.parse(new TextDecoder().decode(await inflate(text)));

  /** Unpacks what a board holds, once: rows get `points` ([Float64Array(M * K * 2) px a seed]; NaN: no answer) and `details`. */
  const board = (held) => (held.unpacking ??= unpackAll(held));

  const unpackAll = async (board) => {
    const packed = (value) => (value ? array(value) : null);
    const names = ["index", "sizes", "truth", "visible", "baseline", "groups"];
    const unpacked = await Promise.all(names.map((name) => packed(board[name])));
    const arrays = Object.fromEntries(names.map((name, i) => [name, unpacked[i]]));
    arrays.classOf = board.classes ? await packed(board.classes.of) : null;
    arrays.spacing = Float64Array.from(board.spacing ?? board.keypoints.map(() => null), (pitch) => pitch ?? NaN);
    const points = await Promise.all(board.rows.map((row) => (row.answers ? pointsOf(board, row, arrays.truth) : null)));
    const details = await object(board.details);
    for (const [i, row] of board.rows.entries()) row.points = points[i];
    for (const row of [...board.rows, ...board.failed]) row.details = details[row.label];
    board.arrays = arrays; // last: whoever finds them finds all
    return board;
  };

  const NO_ANSWER = 2 ** 24 - 1;

  /** answers.py, unpack_answers. */
  const pointsOf = async (board, row, truth) => {
    const each = board.instances * board.keypoints.length;
    const inFull = board.scoring.power === null;
    const stored = await array(inFull ? row.answers.points : row.answers.codes);
    const step = board.scoring.step;
    const points = row.seeds.map(() => new Float64Array(2 * each));
    points.forEach((own, s) => {
      for (let axis = 0; axis < 2; axis++) {
        const from = (2 * s + axis) * each;
        for (let i = 0; i < each; i++) {
          const code = stored[from + i];
          if (inFull) own[2 * i + axis] = code;
          else if (code === NO_ANSWER) own[2 * i + axis] = NaN;
          else own[2 * i + axis] = truth[2 * i + axis] + (code % 2 ? -(code + 1) / 2 : code / 2) * step;
        }
      }
    });
    if (!inFull) {
      const [at, kept] = await Promise.all([array(row.answers.kept_at), array(row.answers.kept)]);
      at.forEach((place, k) => points[Math.floor(place / each)].set([kept[2 * k], kept[2 * k + 1]], 2 * (place % each)));
    }
    return points;
  };

  KB.unpack = { array, object, board };
})();
