r"""z by search: the point of the prior's support whose sample lies nearest to x.

.. math:: z^*(x) = \arg\min_{z \in supp \, p_z} \| G(z) - x \|^2

Adam goes downhill from several starts at once and the best z on the way is kept, so that the end is
never above the start. A coordinate that leaves the uniform prior's box is drawn anew: held at the
wall it would stay there.

Reference: Lipton and Tripathi (2017), Precise Recovery of Latent Vectors from Generative
    Adversarial Networks ("stochastic clipping").
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.rng import generator
from advnets.extensions.inference.regression import annealed
from advnets.optim.copies import copied
from advnets.sampling.priors import Prior, Spherical, Uniform

_ROWS = 1_024
_WALL = 3**0.5


class Found(NamedTuple):
    """What a search has found for N examples."""

    z: Tensor
    """The best z of all starts, `(N, z_dim)`."""
    error: Tensor
    """||G(z) - x||^2 there, `(N,)`."""
    began: Tensor
    """The same at each start, within the support, `(starts, N)`."""
    ended: Tensor
    """The same at the best z that each start led to, `(starts, N)`."""


def search(
    G: nn.Module,
    prior: Prior,
    x: Tensor,
    starts: Tensor,
    *,
    steps: int = 300,
    lr: float = 0.05,
    seed: int = 0,
) -> Found:
    """The z whose sample lies nearest to each example.

    Args:
        G: The generator; it stays as it is.
        prior: p_z, whose support z stays in.
        x: Examples `(N, *event_shape)`.
        starts: Where the search begins, `(starts, N, z_dim)`; what lies outside the support is
            brought to its nearest point.
        steps: Updates of z.
        lr: Adam's first rate, in the units of z; it anneals to 0.
        seed: Draws the coordinates that leave the box.

    Raises:
        BadValue: For starts of another shape, or a number of steps below 0.
    """
    errors.at_least(0, steps=steps)
    errors.positive(lr=lr)
    need = f"(starts, {len(x)}, {prior.dim})"
    if starts.ndim != 3 or starts.shape[1:] != (len(x), prior.dim) or not len(starts):
        raise errors.wrong_shape("starts", need, starts.shape)
    network = copied(G).eval().requires_grad_(False)
    like, rng = next(G.parameters()), generator(seed, "search")
    targets = x.to(like).flatten(1).repeat(len(starts), 1)
    z0 = nearest_within(prior, starts.to(like).flatten(0, 1))
    parts = [
        _downhill(network, prior, t, z, steps, lr, rng)
        for t, z in zip(torch.split(targets, _ROWS), torch.split(z0, _ROWS), strict=True)
    ]
    z, ended, began = (torch.cat(p) for p in zip(*parts, strict=True))
    ended, began = ended.view(len(starts), -1), began.view(len(starts), -1)
    best = ended.min(dim=0)
    rows = torch.arange(len(x), device=z.device)
    return Found(z.view(*starts.shape)[best.indices, rows], best.values, began, ended)


def _downhill(
    G: nn.Module,
    prior: Prior,
    x: Tensor,
    z: Tensor,
    steps: int,
    lr: float,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best z on the way from each start, its error, and that of the start."""
    z = z.clone().requires_grad_()
    rule = torch.optim.Adam([z], lr)
    best, least, began = z.detach().clone(), x.new_full((len(x),), torch.inf), x.new_empty(0)
    with torch.enable_grad():
        for step in range(steps + 1):
            error = (G(z).flatten(1) - x).square().sum(dim=1)
            better = error.detach() < least
            least = torch.where(better, error.detach(), least)
            best = torch.where(better[:, None], z.detach(), best)
            began = error.detach() if step == 0 else began
            if step == steps:
                break
            (z.grad,) = torch.autograd.grad(error.sum(), z)
            rule.param_groups[0]["lr"] = lr * annealed(step / steps)
            rule.step()
            with torch.no_grad():
                z.copy_(redrawn_within(prior, z, rng))
    return best, least, began


def nearest_within(prior: Prior, z: Tensor) -> Tensor:
    """The nearest points of the prior's support."""
    if isinstance(prior, Uniform):
        return z.clamp(-_WALL, _WALL)
    if isinstance(prior, Spherical):
        return nn.functional.normalize(z, dim=1)
    return z


def redrawn_within(prior: Prior, z: Tensor, rng: torch.Generator) -> Tensor:
    """The same z, each coordinate that left the uniform prior's box drawn anew."""
    if not isinstance(prior, Uniform):
        return nearest_within(prior, z)
    fresh = prior.sample(len(z), rng=rng).to(z)
    return torch.where(z.abs() > _WALL, fresh, z)
