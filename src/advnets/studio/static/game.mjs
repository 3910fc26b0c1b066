/** Algorithm 1 with its randomness given: minibatches and noise come in as arrays. */

import { OBJECTIVES, cotangent_of_G, cotangents, metrics, sigmoid } from "./objectives.mjs";
import { RULES, load, saved } from "./optim.mjs";

export class Game {
  /**
   * @param G Maps z to samples.
   * @param D Maps examples to one logit each.
   * @param settings {objective, order: alternating | simultaneous, r1, G_rule, D_rule}, where a rule
   *   is {name: momentum | adam, lr, momentum}.
   */
  constructor(G, D, settings) {
    Object.assign(this, { G, D, settings });
    const { G_rule, D_rule } = settings;
    this.G_rule = new RULES[G_rule.name](G.theta.length, G_rule);
    this.D_rule = new RULES[D_rule.name](D.theta.length, D_rule);
  }

  /** One iteration: k = xs.length updates of D, one of G.
   *
   * @param xs k minibatches of data.
   * @param zs As many of noise; in the alternating order one more, for G.
   */
  step(xs, zs) {
    const together = this.settings.order === "simultaneous";
    const alone = together ? xs.length - 1 : xs.length;
    let seen;
    for (let i = 0; i < alone; i++) seen = this.update_D(xs[i], zs[i]);
    if (together) return this.update_both(xs.at(-1), zs.at(-1));
    return { ...seen, J: this.update_G(zs.at(-1), xs.at(-1)).J };
  }

  /** Update the discriminator by ascending its stochastic gradient. */
  update_D(x, z) {
    const a = this.judged(x, this.samples(z));
    const { for_D, J } = cotangents(this.settings.objective, a);
    const seen = { ...metrics(a), J };
    this.gradient_of_D(x, for_D);
    this.D_rule.step(this.D.theta, this.D.gradient);
    return seen;
  }

  /** Update the generator by descending its stochastic gradient.
   *
   * @param x Data beside the samples, which only the relativistic loss looks at.
   */
  update_G(z, x) {
    const m = z.length / this.G.inputs, samples = this.samples(z);
    const { a, for_G, J } = this.seen_by_G(samples, x);
    const D_Gz = a.subarray(a.length - m).reduce((sum, logit) => sum + sigmoid(logit) / m, 0);
    this.gradient_of_G(for_G, m);
    this.G_rule.step(this.G.theta, this.G.gradient);
    return { J, D_Gz };
  }

  /** D's logits on samples (and on data before them, where G's loss reads those), and G's gradient
   * in them. */
  seen_by_G(samples, x) {
    const { objective } = this.settings;
    if (OBJECTIVES[objective].paired) {
      const a = this.judged(x, samples);
      return { a, ...cotangents(objective, a) };
    }
    const a = this.D.forward(samples, samples.length / this.D.inputs);
    return { a, ...cotangent_of_G(objective, a) };
  }

  /** Both players at their old weights, with the same z. */
  update_both(x, z) {
    const m = z.length / this.G.inputs;
    const a = this.judged(x, this.samples(z));
    const { for_D, for_G, J } = cotangents(this.settings.objective, a);
    const seen = { ...metrics(a), J };
    this.gradient_of_G(for_G, m);
    this.gradient_of_D(x, for_D);
    this.G_rule.step(this.G.theta, this.G.gradient);
    this.D_rule.step(this.D.theta, this.D.gradient);
    return seen;
  }

  samples(z) {
    return this.G.forward(z, z.length / this.G.inputs);
  }

  /** D's logits on data and then on samples, in one pass. */
  judged(x, samples) {
    const n = x.length + samples.length, both = this.both?.length === n ? this.both : (this.both = new Float64Array(n));
    both.set(x);
    both.set(samples, x.length);
    return this.D.forward(both, both.length / this.D.inputs);
  }

  /** The gradient of D's loss, and of the R1 penalty, into D.gradient. */
  gradient_of_D(x, for_D) {
    this.D.gradient.fill(0);
    this.D.backward(for_D, { inputs: false });
    if (this.settings.r1 > 0) this.penalise(x, this.settings.r1);
  }

  /** R1 = gamma / 2 E |grad_x a(x)|^2 on data (Mescheder et al., 2018). */
  penalise(x, gamma) {
    const m = x.length / this.D.inputs;
    this.D.forward(x, m);
    const slope = this.D.backward(new Float64Array(m).fill(1), { weights: false });
    this.D.through_gradient(slope.map((v) => (gamma / m) * v));
  }

  gradient_of_G(for_G, m) {
    const dx = this.D.backward(for_G, { weights: false });
    this.G.gradient.fill(0);
    this.G.backward(dx.subarray(dx.length - m * this.G.outputs), { inputs: false });
  }

  /** Where G's descent pushes each of its samples: minus the gradient of m J in x. */
  pull(z) {
    const m = z.length / this.G.inputs, x = this.samples(z).slice();
    const { for_G } = this.seen_by_G(x, x);
    const dx = this.D.backward(for_G, { weights: false });
    return { x, push: dx.subarray(dx.length - x.length).map((v) => -m * v) };
  }

  state() {
    const { G, D, G_rule, D_rule } = this;
    const weights = { G: G.theta.slice(), D: D.theta.slice() };
    return { ...weights, G_rule: saved(G_rule), D_rule: saved(D_rule) };
  }

  load(state) {
    this.G.theta.set(state.G);
    this.D.theta.set(state.D);
    load(this.G_rule, state.G_rule);
    load(this.D_rule, state.D_rule);
  }
}
