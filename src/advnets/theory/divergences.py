r"""Section 4 on tables and grids: D*_G, the criterion C(G), the divergences, Danskin's subgradient.

A distribution is a table of probabilities or a `Density` on a grid (`tables`); an outcome that one
of the two never produces is fine. Everything is in nats and in float64.

D enters as its logit, :math:`a = \log D - \log(1 - D)`, which may be infinite. D itself keeps too
few digits of 1 - D where it is close to 1: at :math:`D = 1 - 10^{-20}` it is 1, and
:math:`p_g \log(1 - D)` is lost.

Reference: Goodfellow et al. (2014), Section 4.
"""

import math

import torch
from torch import Tensor

from advnets.base import errors
from advnets.theory.distributions import Distribution, masses, pair

LEAST = -math.log(4)
"""The least value of C(G), which p_g = p_data alone attains, in nats."""
_THIRDS = 120
"""Times that the search keeps two thirds of its interval: (2/3)^120 is below 1e-21."""


def D_star(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The optimal discriminator for a fixed generator.

    .. math:: D^*_G(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)}

    Outside the union of the supports it is free: no term of V holds D there.

    Reference: Goodfellow et al. (2014), Proposition 1, eq. (2).

    Args:
        p_data: Distribution of the data.
        p_g: Distribution of the samples, over the same outcomes.

    Returns:
        Of the shape of the table or grid; NaN where both are zero.

    Raises:
        BadValue: Where one of them is no distribution, or where their tables or grids differ.

    Example:
        >>> D_star(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.0, 0.5]))
        tensor([0.5000, 1.0000, 0.0000], dtype=torch.float64)
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return p / (p + q)


def D_star_logit(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The logit of the optimal discriminator, :math:`\log p_\text{data}(x) - \log p_g(x)`.

    Infinite where only one of the two is zero, NaN where both are.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return p.log() - q.log()


def D_by_search(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The optimal discriminator, found without its formula.

    At each x the integrand of V is maximised over y = D(x) in [0, 1],

    .. math:: a \log y + b \log(1 - y), \qquad a = p_\text{data}(x),\ b = p_g(x),

    by ternary search: it is concave, so that of two points inside the interval the lower one cuts
    off its side. What is compared are differences of values, by log1p: the values themselves agree
    in all their digits once the points are 1e-8 apart.

    Reference: Goodfellow et al. (2014), the proof of Proposition 1.

    Returns:
        As `D_star`.
    """
    a, b = pair(p_data=p_data, p_g=p_g)
    low, high = torch.zeros_like(a), torch.ones_like(a)
    for _ in range(_THIRDS):
        third = (high - low) / 3
        y, further = low + third, high - third
        gain = a * torch.log1p(third / y) + b * torch.log1p(-third / (1 - y))
        low, high = torch.where(gain > 0, y, low), torch.where(gain > 0, high, further)
    return torch.where(a + b > 0, (low + high) / 2, torch.nan)


def V(a: Tensor, p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The value of the game, as sums over the outcomes.

    As a function of p_g it is the U(p_g, D) of Proposition 2.

    .. math:: V(D, G) = \sum_x p_\text{data}(x) \log D(x) + p_g(x) \log(1 - D(x))

    Reference: Goodfellow et al. (2014), eqs. (1) and (3).

    Args:
        a: Logits of D, of the shape of the table or grid. Where both distributions are zero
            anything will do, NaN too.
        p_data: Distribution of the data.
        p_g: Distribution of the samples, over the same outcomes.

    Returns:
        V in nats, 0-d; minus infinity where D is sure and wrong.

    Raises:
        BadValue: As `D_star`, and where `a` is of another shape.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    if a.shape != p.shape:
        raise errors.wrong_shape("a", f"{tuple(p.shape)}", a.shape)
    return (_weighted(p, _log_sigmoid(a)) + _weighted(q, _log_sigmoid(-a))).sum()


def C(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The criterion that is left for G when D is optimal.

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
    """What C(G) is the sum of, in nats, from masses; either may hold many tables in rows."""
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

    D*_G is this very function: to play against G well is to know where an example comes from.
    """
    joint = labelled(p_data, p_g)
    return joint[1] / joint.sum(dim=0)


def labelled(p_data: Distribution, p_g: Distribution) -> Tensor:
    """The joint distribution P(Y, x) of an example and of where it comes from.

    A fair coin says Y = 1, x from the data, or Y = 0, x from the generator.

    Returns:
        `(2, *shape)`: the row of Y = 0, then that of Y = 1. It sums to 1.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return torch.stack((q, p)) / 2


def conditional_log_likelihood(a: Tensor, p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The mean log-likelihood of Y given x under P_D(Y = 1 | x) = D(x).

    .. math:: E_{x, Y} \log P_D(Y | x) = \tfrac12 V(D, G)

    so D's objective is maximum likelihood for a classifier, and its maximum is
    :math:`-H(Y | x) = \tfrac12 C(G)`.

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

    D itself is not differentiated: that it moves with p_g changes nothing to first order.

    Reference: Goodfellow et al. (2014), the proof of Proposition 2; Danskin (1967).

    Returns:
        Of the shape of the table, or of the grid (there the functional derivative). Minus infinity
        where p_g alone is zero; 0, for the free D = 0, where both are.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return torch.where(p + q > 0, _log_sigmoid(q.log() - p.log()), 0.0)


def over_chord(values: Tensor) -> Tensor:
    """How far a function on a segment rises above its chord, at each of the points.

    Args:
        values: Its values at evenly spaced points of the segment, both ends included, `(n,)`.

    Returns:
        Its values less the chord's, `(n,)`: 0 at the ends, never above 0 if the function is convex.

    Example:
        >>> over_chord(torch.tensor([0.0, 1.0, 0.0, -1.0]))
        tensor([0.0000, 1.3333, 0.6667, 0.0000])
    """
    t = torch.linspace(0, 1, len(values), dtype=values.dtype)
    return values - torch.lerp(values[0], values[-1], t)


def reachable(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The best p_g without outcomes that the present one lacks: p_data given the support S of p_g.

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
    """The product, and nothing where the weight is nothing: 0 log 0 = 0."""
    return torch.where(weight > 0, weight * of, 0.0)


def _log_sigmoid(a: Tensor) -> Tensor:
    return -torch.logaddexp(-a, a.new_zeros(()))
