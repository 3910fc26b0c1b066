/** The worker: plays the game as fast as it is told, and sends what the page has asked to see. */

import { Session } from "./session.mjs";
import { frame_of, snapshot } from "./snapshot.mjs";

const CHUNK = 8, FRAME = 20, CURVES = 500; // milliseconds
/** On a slow machine the views give way: of the time that passes they take no more than one part in so many. */
const SHARE = 6;

export class Engine {
  /** @param post Sends a message to the page. @param now A clock in milliseconds. */
  constructor(post, now) {
    Object.assign(this, { post, now, session: null, view: {}, playing: false, free: true, pause: FRAME });
    this.sent = this.curves_sent = this.begun = 0;
    this.rate = { since: 0, moves: 0, shown: 0 };
  }

  /** @param message {do: what, ...}: the commands of the page. */
  receive(message) {
    const known = COMMANDS[message.do];
    if (!known) return;
    try {
      known(this, message);
    } catch (error) {
      this.playing = false;
      this.post({ kind: "problem", text: String(error.message ?? error) });
    }
  }

  show(curves = true) {
    if (!this.session) return;
    const begun = this.now(), seen = snapshot(this.session, this.view, curves, this.playing);
    if (!seen.finite) this.playing = false;
    this.sent = this.now();
    this.pause = Math.max(FRAME, (SHARE - 1) * (this.sent - begun));
    if (curves) this.curves_sent = this.sent;
    this.free = false;
    this.post({ kind: "seen", seen, playing: this.playing, rate: this.rate.shown });
  }

  /** Play on for a moment; true while there is more to do. */
  turn() {
    if (!this.playing || !this.session) return false;
    const end = this.now() + CHUNK;
    while (this.now() < end && this.may_move()) {
      this.session.move("r");
      this.rate.moves += 1;
    }
    this.count();
    const now = this.now();
    if (this.free && now - this.sent >= this.pause) this.show(now - this.curves_sent >= CURVES);
    return true;
  }

  /** Whether the chosen speed lets another round be played now. */
  may_move() {
    const speed = Number(this.view.speed);
    if (!speed) return true;
    const due = ((this.now() - this.begun) * speed) / 1000;
    if (this.paced > due) return false;
    this.paced += 1;
    return true;
  }

  pace() {
    this.begun = this.now();
    this.paced = 0;
    this.rate = { since: this.begun, moves: 0, shown: this.rate.shown };
  }

  count() {
    const passed = this.now() - this.rate.since;
    if (passed < 1000) return;
    this.rate = { since: this.now(), moves: 0, shown: Math.round((1000 * this.rate.moves) / passed) };
  }
}

const COMMANDS = {
  new(engine, { options, points, moves }) {
    engine.session = new Session(options, points);
    engine.playing = false;
    engine.post({ kind: "frame", frame: frame_of(engine.session) });
    engine.session.replay(moves ?? "");
    engine.show();
  },
  view(engine, { view }) {
    engine.view = view;
    engine.pace();
    engine.show();
  },
  play(engine) {
    engine.session.finish();
    engine.playing = true;
    engine.pace();
    engine.show();
  },
  pause(engine) {
    engine.playing = false;
    engine.show();
  },
  move(engine, { kind, n = 1 }) {
    for (let i = 0; i < n; i++) engine.session.move(kind);
    engine.show();
  },
  line(engine) {
    engine.post({ kind: "line", line: engine.session.line() });
    engine.show();
  },
  go_to(engine, { t }) {
    engine.playing = false;
    engine.session.go_to(t);
    engine.show();
  },
  ready(engine) {
    engine.free = true;
  },
};

/** Make this worker's global scope an engine. */
export function start_worker(scope) {
  const engine = new Engine((message) => scope.postMessage(message), () => performance.now());
  const { port1, port2 } = new MessageChannel(); // a timer would sleep 4 ms between two turns
  let turning = false;
  port1.onmessage = () => {
    turning = engine.turn();
    if (turning) again();
  };
  const again = () => (engine.view.speed > 0 ? setTimeout(() => port2.postMessage(0), 8) : port2.postMessage(0));
  scope.onmessage = ({ data }) => {
    engine.receive(data);
    if (engine.playing && !turning) {
      turning = true;
      again();
    }
  };
}
