/** Learning rules on a flat array of weights, as the library and torch have them. */

/** v <- m v - lr g, theta <- theta + v: the rate stands inside the velocity, as in the authors' code. */
class Momentum {
  constructor(size, { lr, momentum }) {
    Object.assign(this, { lr, momentum, moments: [new Float64Array(size)], steps: 0 });
  }

  step(theta, gradient) {
    const [v] = this.moments;
    for (let i = 0; i < theta.length; i++) {
      v[i] = this.momentum * v[i] - this.lr * gradient[i];
      theta[i] += v[i];
    }
    this.steps += 1;
  }
}

/** Kingma and Ba (2015), with torch's place of epsilon: outside the root, after its correction. */
class Adam {
  constructor(size, { lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8 }) {
    const moments = [new Float64Array(size), new Float64Array(size)];
    Object.assign(this, { lr, beta1, beta2, eps, moments, steps: 0 });
  }

  step(theta, gradient) {
    this.steps += 1;
    const [mean, square] = this.moments, { beta1, beta2, eps } = this;
    const rate = this.lr / (1 - beta1 ** this.steps), root = Math.sqrt(1 - beta2 ** this.steps);
    for (let i = 0; i < theta.length; i++) {
      const g = gradient[i];
      mean[i] += (1 - beta1) * (g - mean[i]);
      square[i] = beta2 * square[i] + (1 - beta2) * g * g;
      theta[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) / root + eps);
    }
  }
}

export const RULES = { momentum: Momentum, adam: Adam };

/** A rule's memory, to be restored by `load`. */
export function saved(rule) {
  return { steps: rule.steps, moments: rule.moments.map((v) => v.slice()) };
}

export function load(rule, state) {
  rule.steps = state.steps;
  rule.moments.forEach((v, i) => v.set(state.moments[i]));
}
