r"""Section 4 on tables and grids: D*_G, the criterion C(G), the divergences, Danskin's subgradient.

A distribution is a table of probabilities or a `Density` on a grid (`distributions`). Outcomes of
probability zero are allowed. Everything is in nats and in float64.

D enters as its logit, :math:`a = \log D - \log(1 - D)`, which may be infinite. D itself has too few
digits of 1 - D where it is close to 1: :math:`D = 1 - 10^{-20}` rounds to 1, and :math:`p_g \log(1
- D)` is lost.

Reference: Goodfellow et al. (2014), Section 4.
"""

import math

import torch
from torch import Tensor

from advnets.theory.distributions import Distribution, masses, pair

LEAST = -math.log(4)
"""The minimum of C(G), attained only at p_g = p_data, in nats."""


def C(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The training criterion of G when D is optimal.

    .. math:: C(G) = \max_D V(D, G)
              = \sum_x p_\text{data} \log \frac{p_\text{data}}{p_\text{data} + p_g}
                     + p_g \log \frac{p_g}{p_\text{data} + p_g}

    Reference: Goodfellow et al. (2014), eqs. (4) to (6) and Theorem 1.

    Args:
        p_data: Distribution of the data.
        p_g: Distribution of the samples, over the same outcomes.

    Returns:
        C in nats, 0-d: between `-log 4`, where p_g = p_data, and 0, where their supports are
        disjoint.

    Raises:
        BadValue: As `D_star`.

    Example:
        >>> p = torch.tensor([0.2, 0.8])
        >>> round(C(p, p).item(), 4), C(torch.tensor([1.0, 0]), torch.tensor([0, 1.0])).item()
        (-1.3863, 0.0)
    """
    return C_terms(*pair(p_data=p_data, p_g=p_g)).sum()


def C_terms(p: Tensor, q: Tensor) -> Tensor:
    """The terms of the sum C(G), in nats, from masses; either may hold many tables in rows."""
    return _weighted(p, (p / (p + q)).log()) + _weighted(q, (q / (p + q)).log())


def KL(p: Distribution, q: Distribution) -> Tensor:
    r"""The Kullback-Leibler divergence in nats, 0-d: infinite where q is zero and p is not.

    .. math:: KL(p \| q) = \sum_x p(x) \log \frac{p(x)}{q(x)}
    """
    return _kl(*(mass.log() for mass in pair(p=p, q=q)))


def JSD(p: Distribution, q: Distribution) -> Tensor:
    r"""The Jensen-Shannon divergence in nats, 0-d: log 2 for disjoint supports.

    .. math:: JSD(p \| q) = \tfrac12 KL(p \| m) + \tfrac12 KL(q \| m), \qquad m = \tfrac12 (p + q)

    Theorem 1 is the identity :math:`C(G) = -\log 4 + 2\, JSD(p_\text{data} \| p_g)`.

    Reference: Goodfellow et al. (2014), Theorem 1, eqs. (5) and (6).
    """
    log_p, log_q = (mass.log() for mass in pair(p=p, q=q))
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (_kl(log_p, log_m) + _kl(log_q, log_m)) / 2


def posterior(p_data: Distribution, p_g: Distribution) -> Tensor:
    """P(Y = 1 | x), by Bayes' rule from the joint distribution of `labelled`; NaN as `D_star`.

    D*_G equals this function: the optimal D is the posterior of the source of an example.
    """
    joint = labelled(p_data, p_g)
    return joint[1] / joint.sum(dim=0)


def labelled(p_data: Distribution, p_g: Distribution) -> Tensor:
    """The joint distribution P(Y, x) of an example and its source.

    Y is a fair coin flip: x comes from the data for Y = 1 and from the generator for Y = 0.

    Returns:
        `(2, *shape)`: the row of Y = 0, then that of Y = 1. It sums to 1.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return torch.stack((q, p)) / 2


def conditional_log_likelihood(a: Tensor, p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The mean log-likelihood of Y given x under P_D(Y = 1 | x) = D(x).

    .. math:: E_{x, Y} \log P_D(Y | x) = \tfrac12 V(D, G)

    so D's objective is the log-likelihood of a classifier, and its maximum is :math:`-H(Y | x) =
    \tfrac12 C(G)`.

    Reference: Goodfellow et al. (2014), Section 4.1, after the proof of Proposition 1.

    Args:
        a: Logits of D, of the shape of the table or grid.
        p_data: Distribution of the data.
        p_g: Distribution of the samples, over the same outcomes.

    Returns:
        The mean in nats, 0-d, over `labelled` pairs.
    """
    joint = labelled(p_data, p_g)
    return _weighted(joint, torch.stack((_log_sigmoid(-a), _log_sigmoid(a)))).sum()


def subgradient(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""A subgradient at p_g of :math:`\sup_D U(p_g, D)`, which is C as a function of p_g.

    U is linear in p_g for every D, so that the supremum is convex, and the gradient of U at the D
    that attains it is one of the supremum's subgradients:

    .. math:: g(x) = \log(1 - D^*_G(x)) = \log \frac{p_g(x)}{p_\text{data}(x) + p_g(x)}, \qquad
              C(q) \ge C(p_g) + \sum_x g(x) (q(x) - p_g(x))

    D is not differentiated: its dependence on p_g has no effect to first order.

    Reference: Goodfellow et al. (2014), the proof of Proposition 2; Danskin (1967).

    Returns:
        Of the shape of the table, or of the grid (there the functional derivative). Minus infinity
        where p_g alone is zero; 0, for the free D = 0, where both are.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return torch.where(p + q > 0, _log_sigmoid(q.log() - p.log()), 0.0)


def over_chord(values: Tensor) -> Tensor:
    """The difference of a function on a segment and its chord, at each of the points.

    Args:
        values: Its values at evenly spaced points of the segment, both ends included, `(n,)`.

    Returns:
        Its values minus the chord's, `(n,)`: 0 at the ends, never above 0 if the function is
        convex.

    Example:
        >>> over_chord(torch.tensor([0.0, 1.0, 0.0, -1.0]))
        tensor([0.0000, 1.3333, 0.6667, 0.0000])
    """
    t = torch.linspace(0, 1, len(values), dtype=values.dtype)
    return values - torch.lerp(values[0], values[-1], t)


def reachable(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The optimal p_g on the support S of the present one: p_data given S.

    With P the probability of S under p_data,

    .. math:: C = P \log P - (1 + P) \log(1 + P),

    which is `-log 4` for P = 1 alone. Where P = 0 every table on S has C = 0, and p_g is returned.

    Returns:
        Probabilities of the shape of the table or grid.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    kept = torch.where(q > 0, p, 0.0)
    return masses("p_g", kept / kept.sum() if kept.sum() > 0 else q)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return _weighted(log_p.exp(), log_p - log_q).sum()


def _weighted(weight: Tensor, of: Tensor) -> Tensor:
    """The product, and 0 where the weight is 0: 0 log 0 = 0."""
    return torch.where(weight > 0, weight * of, 0.0)


def _log_sigmoid(a: Tensor) -> Tensor:
    return -torch.logaddexp(-a, a.new_zeros(()))
