/** What each player descends, and its gradient in D's logits.
 *
 * Logits a(x) on data and a(G(z)) on samples, m of each; D = sigmoid(a). Losses are means in nats.
 */

export const LOG4 = Math.log(4);

/** log(1 + e^a), finite for any a. */
export function softplus(a) {
  return a > 40 ? a : Math.log1p(Math.exp(a));
}

export function sigmoid(a) {
  return 1 / (1 + Math.exp(-a));
}

const ascend_V = {
  on_data: (a) => -sigmoid(-a),
  on_samples: (a) => sigmoid(a),
};

/** Of each objective the derivatives in one logit: D's loss on data and on samples, G's loss. */
export const OBJECTIVES = {
  minimax: { ...ascend_V, of_G: (a) => -sigmoid(a), J: (a) => -softplus(a) },
  "non-saturating": { ...ascend_V, of_G: (a) => -sigmoid(-a), J: (a) => softplus(-a) },
  "least-squares": {
    on_data: (a) => a - 1,
    on_samples: (a) => a,
    of_G: (a) => a - 1,
    J: (a) => (a - 1) ** 2 / 2,
  },
  relativistic: { paired: true },
};

/** The gradients of both losses in the logits of m examples and then m samples, and G's loss J.
 *
 * @returns {{for_D: Float64Array, for_G: Float64Array, J: number}} for_G is zero on data but for the
 *   relativistic loss, through which G's gradient passes in the samples alone all the same.
 */
export function cotangents(objective, a) {
  const m = a.length / 2, loss = OBJECTIVES[objective];
  const for_D = new Float64Array(2 * m), for_G = new Float64Array(2 * m);
  let J = 0;
  for (let i = 0; i < m; i++) {
    const j = m + i;
    if (loss.paired) {
      const lead = a[i] - a[j];
      for_D[i] = -sigmoid(-lead) / m;
      for_D[j] = sigmoid(-lead) / m;
      for_G[j] = -sigmoid(lead) / m;
      J += softplus(lead) / m;
    } else {
      for_D[i] = loss.on_data(a[i]) / m;
      for_D[j] = loss.on_samples(a[j]) / m;
      for_G[j] = loss.of_G(a[j]) / m;
      J += loss.J(a[j]) / m;
    }
  }
  return { for_D, for_G, J };
}

/** The gradient of G's loss in D's logits on m samples, where G's loss reads no others; and J. */
export function cotangent_of_G(objective, a) {
  const m = a.length, loss = OBJECTIVES[objective];
  let J = 0;
  for (const logit of a) J += loss.J(logit) / m;
  return { for_G: a.map((logit) => loss.of_G(logit) / m), J };
}

/** V(D, G) = E log D(x) + E log(1 - D(G(z))), and the mean of D on both. */
export function metrics(a) {
  const m = a.length / 2, seen = { V: 0, D_x: 0, D_Gz: 0 };
  for (let i = 0; i < m; i++) {
    seen.V -= (softplus(-a[i]) + softplus(a[m + i])) / m;
    seen.D_x += sigmoid(a[i]) / m;
    seen.D_Gz += sigmoid(a[m + i]) / m;
  }
  return seen;
}
