// G of runs as the page computes it, and how long one sample of the paper's sizes takes.
import { readFileSync } from "node:fs";

const [folder, file] = process.argv.slice(2);
const { Generator, floats_of, from_half, nearest, line_between, plane, text_of } = await import(`${folder}/generator.mjs`);
const given = JSON.parse(readFileSync(file, "utf8"));
const out = { x: {} };
for (const [format, { layers, z }] of Object.entries(given.formats)) out.x[format] = [...new Generator(layers).rows(floats_of(z))];
out.halves = given.halves.map(from_half);
out.nearest = nearest(Float32Array.of(0.9, 0), Float32Array.of(5, 5, 1, 0, 0, 0), 2);
out.line = [...line_between(Float32Array.of(0, 2), Float32Array.of(1, 0), 3, "gaussian")];
out.sphere = [...line_between(Float32Array.of(1, 0), Float32Array.of(0, 1), 3, "spherical")];
out.plane = [...plane(Float32Array.of(0, 0), Float32Array.of(1, 0), Float32Array.of(0, 1), 3)];
out.round = [...floats_of(text_of(Float32Array.of(1.5, -2)))];
console.log(JSON.stringify(out));
