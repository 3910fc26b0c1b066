"""Drawing from a model: one seed a sample, pictures and arrays of samples."""

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from advnets.base import errors, rng
from advnets.base.conditioning import Context
from advnets.base.distributed import ALONE, Ranks
from advnets.base.memory import refuse_larger
from advnets.base.protocols import Chain, Examples, Sampler
from advnets.sampling.priors import Prior

_CHUNK = 1000
Network = TypeVar("Network", bound=nn.Module)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode and without gradients; afterwards as it was.

    It is the network itself that changes its mode: where another thread may be training it, use
    `untouched`.
    """
    training = {m: m.training for m in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, was in training.items():
            module.training = was


@contextlib.contextmanager
def untouched(network: Network) -> Iterator[Network]:
    """The network in evaluation mode and without gradients, while another thread may train it.

    Inside, what is given is a copy of its modules around the same parameters, buffers and hooks,
    made anew each time: it has today's weights, and an update that is under way is seen as far as
    it has come. The network itself stays as it is. It is given itself where it is in evaluation
    mode already; one that cannot be copied changes its mode for the time (`evaluating`).
    """
    twin: Network | None = network
    if any(module.training for module in network.modules()):
        try:
            twin = copy.deepcopy(network, _shared(network)).eval()
        except Exception:  # whatever a user's module raises when it is copied
            twin = None
    with torch.no_grad() if twin is not None else evaluating(network):
        yield network if twin is None else twin


def _shared(network: nn.Module) -> dict[int, Any]:
    """What a copy of the network has in common with it, as `copy.deepcopy` is told."""
    modules, shared = [*network.modules()], dict[int, Any]()
    inside = {id(module) for module in modules}
    for module in modules:
        held = vars(module)
        tensors = [*held["_parameters"].values(), *held["_buffers"].values(), *held.values()]
        shared |= {id(t): t for t in tensors if isinstance(t, Tensor)}
        for name, hooks in held.items():
            if name.endswith("_hooks") and isinstance(hooks, dict):
                # A hook that is a method of a module of the network goes with the copy.
                others = (
                    h for h in hooks.values() if id(getattr(h, "__self__", None)) not in inside
                )
                shared |= {id(hook): hook for hook in others}
    return shared


class GeneratorSampler:
    r"""Ancestral sampling from p_g: z ~ p_z, then x = G(z), with G in evaluation mode.

    Sample number i is a function of (seed, i): its z bit for bit, its x to rounding, whatever n and
    however the samples are cut into calls. A conditional G makes x = G(z | c) of the c that is
    asked for; where none is, c is drawn as often as the training set has it. The z is the same
    whatever is asked.

    Args:
        G: The generator.
        prior: p_z.
        context: The contexts of a conditional G.
    """

    def __init__(self, G: nn.Module, prior: Prior, context: Context | None = None) -> None:
        self.G, self.prior, self.context = G, prior, context
        any_c = None if context is None else context.rows[:1]
        shape = self.decode(torch.zeros(1, prior.dim), context=any_c).shape
        self.event_shape = tuple(shape[1:])

    def latents(self, n: int, *, seed: int, start: int = 0) -> Tensor:
        """The z of samples number `start` to `start + n - 1`, of shape `(n, z_dim)`."""
        return torch.cat([self.prior.sample(1, rng=r) for r in rng.per_sample(seed, start, n)])

    def contexts(self, n: int, *, seed: int, start: int = 0) -> Tensor | None:
        """The contexts that these samples have where none is asked for; None without any."""
        if self.context is None:
            return None
        u = []
        for r in rng.per_sample(seed, start, n):
            self.prior.sample(1, rng=r)  # z comes first
            u.append(torch.rand(1, generator=r, dtype=torch.float64))
        return self.context.at(torch.cat(u))

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """X = G(z | c), of shape `(n, *event_shape)`.

        Args:
            z: Of shape `(n, z_dim)`.
            context: Of a conditional G: one for all z, or one each.
        """
        inputs = [z]
        if self.context is not None:
            if context is None:
                raise errors.no_context()
            inputs += [self.context.encode(self.context.given(context, len(z)))]
        elif context is not None:
            raise errors.not_conditional()
        like = next(self.G.parameters(), z)
        parts = zip(*(torch.split(t, _CHUNK) for t in inputs), strict=True)
        with untouched(self.G) as G:
            x = torch.cat([G(*(t.to(like) for t in part)) for part in parts])
        return _finite(x)

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`."""
        if context is None:
            context = self.contexts(n, seed=seed, start=start)
        return self.decode(self.latents(n, seed=seed, start=start), context=context)


class TrainingSet:
    """Real examples as a sampler: the line in every table that no honest score should be far above.

    Sample number i is entry i of a permutation of the examples drawn from the seed (it begins again
    after the last one).
    """

    def __init__(self, x: Examples) -> None:
        self.x = x
        self.event_shape = tuple(x.shape[1:])

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Examples number `start` to `start + n - 1` of the permutation."""
        if context is not None:
            raise errors.not_conditional()
        errors.at_least(1, n=n)
        order = torch.randperm(len(self.x), generator=rng.generator(seed, "training set"))
        return self.x[order[torch.arange(start, start + n) % len(self.x)]]


def draw(
    sampler: Sampler,
    n: int,
    *,
    seed: int,
    start: int = 0,
    context: Tensor | None = None,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Samples number `start` to `start + n - 1`, of which each process draws its own.

    A Markov chain cannot be cut, nor is a list of contexts: every process draws the whole of it.
    """
    _refuse_too_many(n, sampler, start)
    rows, whole = ranks.rows(n), isinstance(sampler, Chain) or context is not None
    if ranks.world == 1 or n < ranks.world or whole:
        return _finite(sampler.sample(n, seed=seed, start=start, context=context))
    own = sampler.sample(rows.stop - rows.start, seed=seed, start=start + rows.start)
    return _finite(ranks.gather(own, n))


def refuse_non_finite(x: Tensor) -> None:
    """Raise `Diverged` where a sample has NaN or infinity."""
    if not x.isfinite().all():
        finite = x.flatten(1).isfinite().all(dim=1)
        raise errors.samples_not_finite(int(finite.logical_not().nonzero()[0]))


def _finite(x: Tensor) -> Tensor:
    refuse_non_finite(x)
    return x


def _refuse_too_many(n: int, sampler: Sampler, start: int) -> None:
    errors.at_least(1, n=n)
    errors.at_least(0, start=start)
    errors.at_least(0, **{"start + n": start + n})
    refuse_larger("n", n, numbers=n * math.prod(sampler.event_shape))


def class_rows(sampler: Sampler, most: int = 10) -> list[str]:
    """The classes that a picture has a row for, evenly from all; none without classes."""
    context: Context | None = getattr(sampler, "context", None)
    names = () if context is None else context.names
    rows = min(most, len(names))
    return [names[row * len(names) // rows] for row in range(rows)]


def class_by_class(
    sampler: Sampler, n: int, *, seed: int, start: int = 0, classes: Sequence[str]
) -> Tensor:
    """Samples number `start` to `start + n - 1` of each class, class after class.

    In a picture of n columns each class is a row, and each column has one z.

    Raises:
        BadValue: For an unknown class, or a sampler that knows of none.
    """
    context: Context | None = getattr(sampler, "context", None)
    if context is None:
        raise errors.not_conditional_run(" ".join(classes))
    labels = [context.named(name) for name in classes]
    _refuse_too_many(n * len(labels), sampler, start)
    return torch.cat([draw(sampler, n, seed=seed, start=start, context=c) for c in labels])


def interpolate(z0: Tensor, z1: Tensor, steps: int) -> Tensor:
    r"""Points on the straight line between two points, both ends included.

    .. math:: z_s = (1 - t_s) z_0 + t_s z_1, \qquad t_s = s / (steps - 1)

    Between two independent z the line passes nearer to the origin than either end is likely to lie:
    its middle has :math:`1 / \sqrt 2` of their root mean square norm, where G has seen little.

    Args:
        z0: Where it begins, of shape `(..., d)`.
        z1: Where it ends, of the same shape.
        steps: Points on the line, at least 2.

    Returns:
        Of shape `(..., steps, d)`; the ends are those given, bit for bit.

    Example:
        >>> interpolate(torch.zeros(1), torch.ones(1), 3).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    errors.at_least(2, steps=steps)
    if z0.shape != z1.shape:
        raise errors.wrong_shape("z1", f"({', '.join(map(str, z0.shape))}), as z0 is", z1.shape)
    t = torch.linspace(0, 1, steps, dtype=z0.dtype, device=z0.device)[:, None]
    return (1 - t) * z0[..., None, :] + t * z1[..., None, :]


def save_array(path: Path, x: Tensor) -> None:
    """Write samples as a `.npy` array of shape `(n, *event_shape)`; refuse what is not finite."""
    refuse_non_finite(x)
    with path.open("wb") as file:  # numpy would put another suffix after any but .npy
        np.save(file, x.cpu().numpy())
