/** What the page says: each view in two sentences and an equation, the failures, the tour. */

export const EXPLAINED = {
  none: ["", "Circles are examples of p_data, crosses are samples of G. Where both clouds lie on each other, D has nothing left to tell them apart by."],
  D: ["V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]", "D(x) is the probability that x came from the data. Blue is D above 1/2, orange below; where it is pale, D cannot tell."],
  best: ["D*(x) = p_data(x) / (p_data(x) + p_g(x))", "This is the best D for the G that stands here (Proposition 1). It is computed from p_data, which is known exactly, and p_g, counted in cells over a lattice of z (exactly on the line); where neither is, any D will do and no colour is shown."],
  error: ["D(x) - D*(x)", "Blue: D believes too much; orange: too little. Algorithm 1 keeps D near D* as long as G moves slowly enough."],
  p: ["p_data(x) = sum_i w_i N(x; mu_i, s_i^2)", "The density of the data, by its square root so that faint parts show. Every data set here is a mixture of Gaussians, so it is known exactly."],
  q: ["x = G(z), z ~ p(z)", "The density of G's samples, by its square root. It is never written down by G; it is what becomes of p(z)."],
};

/** How to read the picture of a game on the line. */
export const ON_THE_LINE = "As in Figure 1: p_data dotted, p_g solid, D dashed, D* finely dotted (1/2 at the middle line). Below, even steps of z with lines to G(z).";

export const FAILURES = [
  {
    name: "Helvetica: G collapses",
    options: { data: "ring", objective: "minimax", G_lr: 0.01, D_lr: 0.0003, k: 1, z: 2, G: "32-32", D: "16-16" },
    steps: 1500, view: { field: "D", lines: true },
    says: "G moves much faster than D, and puts too many z on the same x (\"the Helvetica scenario\", Section 6).",
    mends: "More updates of D for each of G, and a slower G.",
    mend: { k: 3, G_lr: 0.001, D_lr: 0.003, D: "32-32" },
  },
  {
    name: "D dominates: minimax saturates",
    options: { data: "single", z: 1, objective: "minimax", order: "simultaneous", rule: "momentum", momentum: 0.9, G_lr: 0.03, D_lr: 0.03, m: 32, G: "16-16", D: "16-16" },
    steps: 800, view: { field: "D", arrows: true, lines: true },
    says: "G has left the data, and D rejects every sample with confidence: log(1 - D(G(z))) is flat there and G's gradient vanishes (Section 3).",
    mends: "The non-saturating objective keeps the gradient; less momentum, the R1 penalty and one player after the other keep D in reach.",
    mend: { objective: "non-saturating", momentum: 0.5, order: "alternating", r1: 0.5 },
  },
  {
    name: "Oscillation: from mode to mode",
    options: { data: "two", z: 2, order: "simultaneous", momentum: 0.95, G_lr: 0.03, D_lr: 0.003, m: 32, G: "16-16", D: "16-16" },
    steps: 1500, view: { field: "D", arrows: true },
    says: "G is far quicker than D. All samples sit on one place; D learns to reject it, and they move on: D(G(z)) swings.",
    mends: "A slower G with less momentum, and one player after the other.",
    mend: { order: "alternating", momentum: 0.5, G_lr: 0.001 },
  },
];

export const TOUR = [
  ["The data and the noise", "Section 3. Circles are examples of p_data. G turns noise z into samples, the crosses; before training they lie wherever the first weights put them.", { options: { data: "bimodal", z: 1, G_lr: 0.001, D_lr: 0.003 }, view: { field: "none", lines: true }, steps: 0 }],
  ["D learns first", "Algorithm 1 begins with D. After 200 updates of D alone (G stands still) the dashed D comes close to the dotted D*, the best one there is.", { options: { data: "bimodal", z: 1 }, view: { field: "D", lines: true }, steps: 0, moves: "D200" }],
  ["G follows the gradient", "Figure 1. G moves its samples where D rises: the arrows. Press Play and watch p_g (the solid line) go to p_data (the dotted one).", { options: { data: "bimodal", z: 1 }, view: { field: "D", lines: true, arrows: true }, steps: 100 }],
  ["The global optimum", "Theorem 1. V(G, D*) = -log 4 + 2 JSD(p_data, p_g): where the JSD is 0, V is -log 4 and D is 1/2 everywhere. Look at both curves.", { options: { data: "bimodal", z: 1 }, view: { field: "best", lines: true }, steps: 1500 }],
  ["What practice does instead", "Proposition 2 lets D be optimal at each step. In practice both move together: D - D* shows how far behind D is.", { options: { data: "ring" }, view: { field: "error" }, steps: 500 }],
  ["The other objective", "Section 3. Early on D rejects samples with confidence and minimax saturates. Compare the arrows of minimax and non-saturating at step 60.", { options: { data: "ring", objective: "minimax" }, view: { field: "D", arrows: true }, steps: 60 }],
];
