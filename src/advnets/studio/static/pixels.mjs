/** A picture made pixel by pixel: cells of a field, then symbols. The canvas takes it whole; hundreds
 * of calls to the canvas in each picture take twice the time. */

/** A pixel as a word of an image's memory: red in its lowest byte. */
function packed([r, g, b]) {
  return (255 << 24) | (b << 16) | (g << 8) | r;
}

export class Pixels {
  /** @param side Width and height in pixels. */
  constructor(side) {
    this.side = side;
    this.image = new ImageData(side, side);
    this.words = new Uint32Array(this.image.data.buffer);
  }

  fill(colour) {
    this.words.fill(packed(colour));
  }

  /** Fill a grid of n x n cells, whose row 0 is at the bottom; a cell without a colour keeps the fill. */
  cells(n, colour_of) {
    const { side, words } = this, column = Uint32Array.from({ length: side }, (_, x) => Math.floor((x * n) / side));
    for (let y = 0; y < side; y++) {
      const first = (n - 1 - Math.floor((y * n) / side)) * n, above = y && (n - 1 - Math.floor(((y - 1) * n) / side)) * n;
      if (y && first === above) {
        words.copyWithin(y * side, (y - 1) * side, y * side);
        continue;
      }
      const row = Array.from({ length: n }, (_, i) => colour_of(first + i)).map((colour) => colour && packed(colour));
      for (let x = 0; x < side; x++) words[y * side + x] = row[column[x]] ?? words[y * side + x];
    }
  }

  /** Lay a stamp over the picture with its middle at (x, y); what is outside is cut off. */
  stamp({ half, dots }, x, y) {
    const { side } = this, { data } = this.image, left = Math.round(x) - half, top = Math.round(y) - half;
    for (const { column, row, colour, alpha } of dots) {
      const u = left + column, v = top + row;
      if (u < 0 || v < 0 || u >= side || v >= side) continue;
      const at = 4 * (v * side + u);
      for (let c = 0; c < 3; c++) data[at + c] += (colour[c] - data[at + c]) * alpha;
    }
  }
}

/** What `draw` leaves on a small canvas, as a stamp. */
export function stamp_of(half, draw) {
  const side = 2 * half, g = new OffscreenCanvas(side, side).getContext("2d"), dots = [];
  draw(g, half);
  const { data } = g.getImageData(0, 0, side, side);
  for (let i = 0; i < side * side; i++) {
    const [red, green, blue, alpha] = data.subarray(4 * i, 4 * i + 4);
    if (alpha) dots.push({ column: i % side, row: Math.floor(i / side), colour: [red, green, blue], alpha: alpha / 255 });
  }
  return { half, dots };
}
