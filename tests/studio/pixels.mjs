// Prints a picture of 6 x 6 pixels as rows of [red, green, blue]: cells, then a stamp over a corner.
globalThis.ImageData = class {
  constructor(width, height) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
};
const { Pixels } = await import(`file://${process.argv[2]}/pixels.mjs`);

const picture = new Pixels(6);
picture.fill([9, 8, 7]);
picture.cells(2, (i) => [[1, 2, 3], [4, 5, 6], null, [10, 11, 12]][i]);
const dots = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([column, row]) => ({ column, row, colour: [110, 111, 112], alpha: 0.5 }));
picture.stamp({ half: 1, dots }, 6, 6); // its last row and column are outside
const rows = [];
for (let y = 0; y < 6; y++) {
  rows.push(Array.from({ length: 6 }, (_, x) => Array.from(picture.image.data.slice(4 * (6 * y + x), 4 * (6 * y + x) + 3))));
}
console.log(JSON.stringify({ rows, opaque: picture.image.data.filter((_, i) => i % 4 === 3).every((v) => v === 255) }));
