// Laws of a session: what slow motion, going back and replaying must leave as it is.
const [folder] = process.argv.slice(2);
const { Session, fingerprint } = await import(`${folder}/session.mjs`);
const { OPTIONS, defaults, from_fragment, to_fragment } = await import(`${folder}/options.mjs`);
const { parsed_csv } = await import(`${folder}/data.mjs`);
const { Engine } = await import(`${folder}/worker.mjs`);

const begun = (options) => new Session({ ...defaults(OPTIONS), m: 16, G: "8", D: "8", ...options });

function after(moves, options) {
  const session = begun(options);
  session.replay(moves);
  return { session, print: fingerprint(session.game) };
}

const out = { lines: {}, back: [], csv: {} };

for (const order of ["alternating", "simultaneous"]) {
  for (const k of [1, 3]) {
    const slow = begun({ order, k }), kinds = [];
    while (slow.t < 4) kinds.push(slow.line().kind);
    out.lines[`${order}-${k}`] = { same: fingerprint(slow.game) === after("r4", { order, k }).print, kinds: kinds.slice(0, kinds.length / 4) };
  }
}

const long = after("r500D7G2r31", { objective: "relativistic", r1: 0.5 });
for (const [t, moves] of [[540, "r500D7G2r31"], [500, "r500"], [503, "r500D3"], [508, "r500D7G1"], [0, ""], [137, "r137"]]) {
  long.session.go_to(t);
  out.back.push(fingerprint(long.session.game) === after(moves, { objective: "relativistic", r1: 0.5 }).print);
}
long.session.go_to(100);
for (let i = 0; i < 20; i++) long.session.move("r");
out.branched = fingerprint(long.session.game) === after("r120", { objective: "relativistic", r1: 0.5 }).print;
out.branch = long.session.history.text(long.session.t);
out.frames = after("r1500", {}).session.history.frames.length;
out.seeds = new Set([0, 1, 2, 3].map((seed) => after("r1", { seed }).print)).size;

const fragment = "data=grid&objective=minimax&k=4&G_lr=0.03&seed=77&r1=0.3&field=error&arrows=1&examples=0&points=2:0.1,0.2,-1,1&moves=r12D3";
out.fragment = { given: fragment, back: to_fragment(from_fragment(fragment)) };
out.bad = to_fragment(from_fragment("data=<b>&k=1e9&seed=x&moves=r99999999&points=2:1,2,3&field=__proto__&nonsense=1"));

const said = (text) => {
  try {
    return parsed_csv(text).said;
  } catch (error) {
    return error.message;
  }
};
out.csv = {
  words: said("x,y\n1,2\ncat,3"), wide: said("1,2,3"), empty: said("  \n"), mixed: said("1,2\n3"), one: said("1\n2\n3"),
  many: said(Array.from({ length: 50000 }, (_, i) => `${i % 17},${i % 13}`).join("\n")), infinite: said("1,2\nInfinity,3"),
};

let now = 0;
const posted = [];
const engine = new Engine((message) => posted.push(message), () => (now += 1));
engine.receive({ do: "view", view: { field: "D", speed: 0 } });
engine.receive({ do: "new", options: { ...defaults(OPTIONS), m: 16, G: "8", D: "8" }, moves: "r5" });
engine.receive({ do: "play" });
for (let i = 0; i < 10; i++) {
  engine.turn();
  engine.receive({ do: "ready" });
}
engine.receive({ do: "pause" });
engine.receive({ do: "nonsense" });
engine.receive({ do: "new", options: { data: "nowhere" } });
out.engine = { kinds: [...new Set(posted.map((m) => m.kind))], t: engine.session.t, playing: engine.playing };
const diverging = after("r400", { rule: "momentum", momentum: 0.95, G_lr: 0.3, D_lr: 0.3, objective: "least-squares" });
out.finite = diverging.session.finite();

const { FAILURES } = await import(`${folder}/texts.mjs`);
const warned = (options, steps) => {
  const session = new Session({ ...defaults(OPTIONS), ...options });
  session.replay(`r${steps}`);
  return session.monitor.warnings(session.t).map(([name]) => name);
};
out.failures = FAILURES.map(({ options, steps }) => warned(options, steps));
const saturated = FAILURES[1];
out.mended = warned({ ...saturated.options, ...saturated.mend }, saturated.steps);

console.log(JSON.stringify(out));
