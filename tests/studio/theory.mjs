// Numbers of the page's theory, for the library's to be compared with.
import { readFileSync } from "node:fs";

const [folder, file] = process.argv.slice(2);
const data = await import(`${folder}/data.mjs`);
const theory = await import(`${folder}/theory.mjs`);
const { Rng, noise } = await import(`${folder}/rng.mjs`);
const given = JSON.parse(readFileSync(file, "utf8"));

const out = { erf: given.x.map(theory.erf), quantile: given.u.map((u) => theory.quantile("gaussian", u)), sets: {} };
for (const name of Object.keys(data.DATASETS)) {
  const p = data.dataset(name), c = theory.cells(p.dim, p.half, p.dim === 1 ? 160 : 44), table = theory.masses(p, c);
  const counted = theory.counted(data.sample(p, 20000, new Rng(5, "test")), c);
  out.sets[name] = {
    dim: p.dim, means: [...p.means], std: [...p.std], weight: [...p.weight], half: p.half, n: c.n, table: [...table],
    to_samples: theory.jsd(table, counted), to_itself: theory.jsd(table, table), floor: theory.floor_of(p, table, c, 20000),
    covered: data.modes_covered(p, data.sample(p, 2000, new Rng(6, "test"))),
  };
}
const line = theory.cells(1, 2, 64), z = theory.lattice("gaussian", 1, 20001);
out.pushed = [...theory.pushed_forward(z.map((v) => 0.5 * v + 0.25), line)];
out.jsd = theory.jsd(Float64Array.from(given.p), Float64Array.from(given.q));
out.best = [...theory.D_star(Float64Array.from(given.p), Float64Array.from(given.q))];
const draws = Object.fromEntries(["uniform", "gaussian"].map((prior) => [prior, [...noise(prior, 20000, 1, new Rng(1, prior))]]));
out.draws = draws;
out.norms = Array.from({ length: 50 }, (_, i) => Math.hypot(...noise("spherical", 1, 5, new Rng(i, "s"))));
console.log(JSON.stringify(out));
