"""The published MNIST pair in JAX: one jitted call plays many updates under `lax.scan`.

The game is that of `peers.py`. The data lie on the device, the state is donated to the call, and
dropout draws from `jax.random.bernoulli` with JAX's default generator.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from peers import D_SCALE, LR, MOMENTUM, PIECES, Rival, Sizes, clocked, shuffled
from torch import Tensor

Params = list[tuple[Any, Any]]


def rival(s: Sizes, x: Tensor) -> Rival:
    """The game in JAX."""
    data = jax.device_put(x.numpy())
    state = first_state(s)
    parameters = sum(p.size for p in jax.tree.leaves(state[0]))
    rows = shuffled(s)

    def step(data: Any, state: Any, chosen: Any) -> tuple[Any, None]:
        players, velocities, key = state
        key, for_z, for_D, for_z2, for_G = jax.random.split(key, 5)
        (G, D), (G_v, D_v) = players, velocities
        D, D_v = moved(D, D_v, jax.grad(D_loss)(D, G, data[chosen], noise(for_z, s), for_D))
        G, G_v = moved(G, G_v, jax.grad(G_loss)(G, D, noise(for_z2, s), for_G))
        return ((G, D), (G_v, D_v), key), None

    def scan(data: Any, state: Any, chosen: Any) -> Any:
        return jax.lax.scan(lambda state, rows: step(data, state, rows), state, chosen)[0]

    jitted = jax.jit(scan, donate_argnums=1)

    def play(n: int) -> None:
        nonlocal state
        chosen = np.stack([next(rows).numpy() for _ in range(n)])
        state = jax.block_until_ready(jitted(data, state, chosen))

    return Rival(clocked(play), parameters)


def first_state(s: Sizes) -> tuple[Any, Any, Any]:
    """The players (G, D), their velocities and the key of all that is random."""
    key, for_G, for_D = jax.random.split(jax.random.key(0), 3)
    wide = s.units * PIECES
    G = first_weights(for_G, [(s.z, s.hidden), (s.hidden, s.hidden), (s.hidden, s.pixels)], 0.05)
    D = first_weights(for_D, [(s.pixels, wide), (s.units, wide), (s.units, 1)], 0.005)
    return (G, D), jax.tree.map(jnp.zeros_like, (G, D)), key


def first_weights(key: Any, shapes: list[tuple[int, int]], irange: float) -> Params:
    """Weights uniform in (-irange, irange) and biases 0."""
    keys = jax.random.split(key, len(shapes))
    return [
        (jax.random.uniform(k, shape, minval=-irange, maxval=irange), jnp.zeros(shape[1]))
        for k, shape in zip(keys, shapes, strict=True)
    ]


def noise(key: Any, s: Sizes) -> Any:
    """A batch of z, uniform with variance 1."""
    return jax.random.uniform(key, (s.batch, s.z), minval=-math.sqrt(3), maxval=math.sqrt(3))


def generator(G: Params, z: Any) -> Any:
    """G(z)."""
    (W1, b1), (W2, b2), (W3, b3) = G
    h = jax.nn.relu(z @ W1 + b1)
    return jax.nn.sigmoid(jax.nn.relu(h @ W2 + b2) @ W3 + b3)


def discriminator(D: Params, x: Any, key: Any) -> Any:
    """The logits of D(x), dropout on."""
    (W1, b1), (W2, b2), (W3, b3) = D
    k1, k2, k3 = jax.random.split(key, 3)
    h = maxout(dropout(x, 0.8, k1) @ W1 + b1)
    h = maxout(dropout(h, 0.5, k2) @ W2 + b2)
    return dropout(h, 0.5, k3) @ W3 + b3


def maxout(pieces: Any) -> Any:
    """The maximum over groups of five affine pieces."""
    return pieces.reshape(len(pieces), -1, PIECES).max(2)


def dropout(x: Any, keep: float, key: Any) -> Any:
    """Keeps an element with probability `keep`."""
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)


def D_loss(D: Params, G: Params, x: Any, z: Any, key: Any) -> Any:
    """The two cross-entropies of D, times the scale."""
    on_x, on_z = jax.random.split(key)
    real, fake = discriminator(D, x, on_x), discriminator(D, generator(G, z), on_z)
    return D_SCALE * (jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean())


def G_loss(G: Params, D: Params, z: Any, key: Any) -> Any:
    """The non-saturating objective."""
    return jax.nn.softplus(-discriminator(D, generator(G, z), key)).mean()


def moved(params: Params, velocities: Any, gradients: Any) -> tuple[Any, Any]:
    """One update of momentum SGD."""
    velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, gradients)
    return jax.tree.map(lambda p, v: p - LR * v, params, velocities), velocities
