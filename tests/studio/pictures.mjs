// Pictures as the page reads them: sizes from headers alone, grey values; completions, their spread, and codes.
import { readFileSync } from "node:fs";

const [folder, file] = process.argv.slice(2);
const { as_values, size_of } = await import(`${folder}/picture.mjs`);
const { spread } = await import(`${folder}/eraser.mjs`);
const { floats_of, text_of } = await import(`${folder}/generator.mjs`);
globalThis.document = { documentElement: { dataset: {} } };
const { Source } = await import(`${folder}/source.mjs`);
const given = JSON.parse(readFileSync(file, "utf8"));

const out = { sizes: given.files.map((text) => size_of(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)))) };
const rgba = Uint8Array.of(10, 20, 30, 255, 255, 255, 255, 255);
out.grey = [...as_values(rgba, { shape: [1, 1, 2], span: [0, 1] })];
out.colour = [...as_values(rgba, { shape: [3, 1, 2], span: [-1, 1] })];
const { mean, sd } = spread(Float32Array.of(0, 5, 2, 5), 2, 2);
out.spread = { mean: [...mean], sd: [...sd] };

const filling = new Source(given.filling, 0), told = given.asked, z = floats_of(told.z);
filling.noise = () => z; // the library's
out.completed = [...await filling.complete(floats_of(told.x), floats_of(told.mask), told.n, 0)];
out.unseen = [...await filling.decode(z)];
const encoding = new Source(given.encoding, 0);
out.z = [...await encoding.encode(floats_of(given.x))];
out.encodes = [encoding.encodes, filling.completes, filling.encodes];
out.sent = text_of(Float32Array.of(1)).length;
console.log(JSON.stringify(out));
