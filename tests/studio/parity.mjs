// Reads games with their minibatches and noise as JSON, plays them, and writes what came out.
import { readFileSync } from "node:fs";

const [folder, file] = process.argv.slice(2);
const { Game } = await import(`${folder}/game.mjs`);
const { Mlp } = await import(`${folder}/mlp.mjs`);

function network({ layers, theta }) {
  const made = new Mlp(layers);
  if (made.theta.length !== theta.length) throw new Error("theta is of another length");
  made.theta.set(theta);
  return made;
}

function played({ G, D, settings, steps }) {
  const game = new Game(network(G), network(D), settings);
  const rows = (list) => list.map((row) => Float64Array.from(row));
  const seen = steps.map(({ xs, zs }) => game.step(rows(xs), rows(zs)));
  return { G: [...game.G.theta], D: [...game.D.theta], seen };
}

console.log(JSON.stringify(JSON.parse(readFileSync(file, "utf8")).map(played)));
