r"""What completion by a trained conditional has to be better than.

- The nearest training example on what is seen.
- An ordinary G, whose samples are weighted by how well they fit what is seen:
  :math:`w_k \propto \exp(-\|m (x - G(z_k))\|^2 / 2 \sigma^2)`.
- The conditional mean: the same network, trained by squared error. No sampler has a smaller one.
"""

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Examples
from advnets.base.rng import for_samples, generator
from advnets.data.masks import Masks
from advnets.extensions.conditionals import Filling, Shown, filled, shown
from advnets.extensions.inference.regression import annealed

_ROWS, _PART = 250, 10_000


def nearest(train: Examples, x: Tensor, mask: Tensor) -> Tensor:
    """Each example filled in from the training example that is nearest on what is seen.

    Args:
        train: Training examples, `(n, *event_shape)`.
        x: Examples, `(N, *event_shape)`.
        mask: As in `shown`.

    Returns:
        Of the shape and type of `x`.
    """
    own = shown(x, mask, x.shape[1:])
    least = torch.full((len(x),), torch.inf)
    number = torch.zeros(len(x), dtype=torch.int64)
    for start in range(0, len(train), _PART):
        part = train[slice(start, start + _PART)]
        found = apart(own, part).min(dim=1)
        closer = found.values < least
        least = torch.where(closer, found.values, least)
        number = torch.where(closer, found.indices + start, number)
    return torch.where(own.mask.bool(), own.seen, train[number].to(x))


def apart(own: Shown, others: Tensor) -> Tensor:
    """Squared distances on what is seen, of `(N, ...)` to `(n, ...)`: `(N, n)`."""
    m = own.mask.to(torch.float32).expand_as(own.seen).flatten(1)
    seen, rows = own.seen.to(m).flatten(1), others.to(m).flatten(1)
    squares = seen.square().sum(dim=1, keepdim=True)
    d: Tensor = squares - 2 * seen @ rows.T + m @ rows.square().T
    return d.clamp(min=0)


def importance_weighted(
    samples: Tensor, x: Tensor, mask: Tensor, *, sigma: float, n: int = 8, seed: int = 0
) -> Tensor:
    """N completions of each example by samples of a G that was never shown a mask.

    Args:
        samples: Of G, `(particles, *event_shape)`: they are weighted, the same for all examples.
        x: Examples, `(N, *event_shape)`.
        mask: As in `shown`.
        sigma: Standard deviation of what is seen about G(z), in the units of x.
        n: Completions of each.
        seed: Draws among them by their weights.

    Returns:
        Of shape `(n, N, *event_shape)`, of the type of `x`.
    """
    errors.at_least(1, n=n)
    errors.positive(sigma=sigma)
    own = shown(x, mask, x.shape[1:])
    rng, rows = for_samples(seed, "importance"), []
    for start in range(0, len(x), _ROWS):
        part = Shown(own.seen[start : start + _ROWS], own.mask[start : start + _ROWS])
        weights = (apart(part, samples) / (-2 * sigma**2)).softmax(dim=1)
        rows.append(torch.multinomial(weights, n, replacement=True, generator=rng))
    drawn = samples[torch.cat(rows).T]
    return torch.where(own.mask.bool(), own.seen, drawn.to(x))


def fit_mean(
    G: Filling,
    z_dim: int,
    x: Examples,
    masks: Masks,
    *,
    steps: int,
    batch_size: int = 100,
    seed: int = 0,
) -> Filling:
    """Train a filling network by squared error on what is hidden, with z = 0: E[x | what is seen].

    Args:
        G: The network, which is changed.
        z_dim: Coordinates of its z.
        x: Training examples.
        masks: The law of masks.
        steps: Updates, by Adam from 1e-3 to 0.
        batch_size: Examples in an update.
        seed: Draws minibatches and masks.
    """
    rng, rule = generator(seed, "conditional mean"), torch.optim.Adam(G.parameters(), 1e-3)
    G.train()
    for step in range(steps):
        rule.param_groups[0]["lr"] = 1e-3 * annealed(step / steps)
        batch = x[torch.randint(len(x), (batch_size,), generator=rng)]
        mask = masks.draw(batch_size, rng=rng)
        found = G(batch.new_zeros(batch_size, z_dim), batch * mask, mask)
        loss = (found - batch).square().flatten(1).sum(dim=1).mean()
        rule.zero_grad()
        loss.backward()
        rule.step()
    return G.eval()


def mean(G: Filling, z_dim: int, x: Tensor, mask: Tensor) -> Tensor:
    """Each example with E[x | what is seen] where it is hidden, by a network of `fit_mean`."""
    own = shown(x, mask, G.event_shape)
    return filled(G, torch.zeros(len(own.seen), z_dim), own.seen, own.mask)
