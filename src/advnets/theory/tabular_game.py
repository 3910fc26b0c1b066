r"""The game on a table: Proposition 2 as an algorithm, with an optimal D and with a lagging D.

G is the table p_g itself. It descends by mirror descent on the simplex, which multiplies every
probability by the exponential of minus a step times its gradient and scales the sum back to 1:

.. math:: p_g'(x) \propto p_g(x)\, e^{-\eta g(x)}, \qquad g(x) = \log(1 - D(x))

**How large a step may be.** As a function of q = p_g, :math:`C(q) = \sup_D U(q, D)` has the
gradient :math:`\log \frac{q}{p + q}` (Danskin; p = p_data), and both it and the negative entropy
:math:`h(q) = \sum q \log q` have diagonal Hessians, whose ratio is D*:

.. math:: \frac{\partial^2 C}{\partial q^2} = \frac1q - \frac1{p + q}
            = \frac{p}{p + q} \cdot \frac1q = D^*\, \frac{\partial^2 h}{\partial q^2} \le
            \frac{\partial^2 h}{\partial q^2}

So :math:`h - C` is convex: C is 1-smooth relative to h, whatever p_data is. Mirror descent of a
convex function that is L-smooth relative to its mirror never rises for steps
:math:`0 < \eta \le 1/L`, and after t steps from :math:`q_0`

.. math:: C(q_t) - C(p) \le \frac{KL(p \| q_0)}{\eta\, t}

With the exact D* the step is :math:`q' \propto q^{1 - \eta} (p + q)^\eta`. At :math:`\eta = 1`, the
largest step allowed, it is :math:`q' = (p + q) / 2`: every step halves the error. Near p the error
shrinks by :math:`1 - \eta / 2`.

Reference: Goodfellow et al. (2014), Proposition 2; Bauschke, Bolte and Teboulle (2017), Lu, Freund
    and Nesterov (2018) for relative smoothness.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from advnets.base import errors
from advnets.theory import divergences
from advnets.theory.distributions import Distribution, pair


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The states of a game, from its start on.

    Attributes:
        p_g: G's table at the start and after each step, `(steps + 1, *shape)`.
        C: C(G) of each of them, in nats, `(steps + 1,)`.
    """

    p_g: Tensor
    C: Tensor

    @property
    def largest_rise(self) -> float:
        """The largest increase of C(G) in one step, in nats; negative where it always fell."""
        return self.C.diff().max().item() if len(self.C) > 1 else 0.0


def descend(
    p_data: Distribution, p_g: Distribution, *, steps: int, step_size: float = 1.0
) -> Trajectory:
    """Proposition 2: at each step D is optimal and p_g is updated so as to improve the criterion.

    From any start whose support contains that of p_data it converges to p_data, and C(G) falls at
    every step to `-log 4`, if `step_size` is at most 1. With a larger one it may rise. Beyond 2 it
    diverges: far below p_data, a step multiplies log p_g by 1 - eta, whose absolute value is then
    above 1.

    An outcome of probability zero keeps it, just as a sampler gets no gradient from outcomes that
    it never draws. (For steps below 1 the formula says the same; at 1 it would be (p + 0) / 2, from
    0 times infinity.) The limit is then `theory.reachable(p_data, p_g)`, and C(G) stays above `-log
    4`.

    Args:
        p_data: Distribution of the data.
        p_g: Where G starts, over the same outcomes.
        steps: Updates of G.
        step_size: The step, eta, at most 2.

    Returns:
        The trajectory of the game.

    Raises:
        BadValue: For an invalid distribution or an argument outside its limits.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
        >>> descend(p, q, steps=2).p_g
        tensor([[0.9000, 0.1000],
                [0.7000, 0.3000],
                [0.6000, 0.4000]], dtype=torch.float64)
    """
    errors.require(0 < step_size <= 2, "step_size", "above 0 and at most 2", step_size)
    p, q = pair(p_data=p_data, p_g=p_g)

    def moves(log_q: Tensor) -> Iterator[Tensor]:
        while True:
            yield log_q
            log_q = _mirror_step(log_q, log_q - torch.logaddexp(p.log(), log_q), step_size)

    return _course(p, moves(q.log()), steps)


def play(
    p_data: Distribution,
    p_g: Distribution,
    *,
    k: int,
    steps: int,
    step_size: float = 1.0,
    lr: float = 1.0,
) -> Trajectory:
    r"""The same with a D that takes k steps before each one of G: Algorithm 1 on a table.

    D is a table of logits. It starts at D = 1/2 and makes k steps of gradient ascent on V before
    each step of G,

    .. math:: a(x) \leftarrow a(x) + \mathrm{lr}\, \big(p_\text{data}(x)
              - (p_\text{data}(x) + p_g(x))\, \sigma(a(x))\big)

    and G takes a mirror step against that D. Proposition 2 assumes that D reaches its optimum: with
    few steps G descends an outdated gradient: p_g oscillates around p_data with decreasing
    amplitude, and C(G) rises in every oscillation.

    Args:
        p_data: Distribution of the data.
        p_g: Where G starts, over the same outcomes.
        k: Steps of D before each one of G.
        steps: Updates of G.
        step_size: G's step, eta.
        lr: D's step. V is smooth in a with constant max(p_data + p_g) / 4 at most 1/2, so that
            V rises at steps up to 2.

    Returns:
        The trajectory of the game.

    Raises:
        BadValue: For an invalid distribution or an argument outside its limits.
    """
    errors.at_least(1, k=k)
    errors.positive(step_size=step_size, lr=lr)
    p, q = pair(p_data=p_data, p_g=p_g)

    def moves(log_q: Tensor) -> Iterator[Tensor]:
        a = torch.zeros_like(p)
        while True:
            yield log_q
            q = log_q.exp()
            for _ in range(k):
                a = a + lr * (p - (p + q) * torch.sigmoid(a))
            log_q = _mirror_step(log_q, -torch.logaddexp(a, a.new_zeros(())), step_size)

    return _course(p, moves(q.log()), steps)


def _mirror_step(log_q: Tensor, gradient: Tensor, step_size: float) -> Tensor:
    moved = torch.where(log_q > -torch.inf, log_q - step_size * gradient, log_q)
    return moved - moved.flatten().logsumexp(dim=0)


def _course(p: Tensor, tables: Iterator[Tensor], steps: int) -> Trajectory:
    errors.at_least(0, steps=steps)
    p_g = torch.stack([log_q.exp() for log_q in islice(tables, steps + 1)])
    return Trajectory(p_g=p_g, C=divergences.C_terms(p, p_g).flatten(1).sum(dim=1))
