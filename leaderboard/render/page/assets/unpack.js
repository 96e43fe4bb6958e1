// Arrays and objects that leaderboard/render/page/packing.py packed: base64, gzip, byte planes.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});
  const KINDS = { "<f8": Float64Array, "<f4": Float32Array, "<i4": Int32Array, "<u4": Uint32Array, "|u1": Uint8Array, u3: Uint32Array };

  const inflate = async (text) => {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
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

  KB.unpack = { array, object };
})();
