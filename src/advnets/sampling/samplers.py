"""Samplers: one random stream for each sample, and files of samples."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
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

CHUNK = 1000
"""Samples that are drawn at once."""
Show = Callable[[int], object]
"""Hears how many samples are drawn so far."""
Network = TypeVar("Network", bound=nn.Module)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode and without gradients; its mode is restored.

    This changes the mode of the network itself: where another thread may be training it, use
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

    It yields a copy of the modules with the same parameters, buffers and hooks, so the network
    itself is unchanged. An update in progress is partly visible. A network in evaluation mode is
    yielded itself; one that cannot be copied changes its mode meanwhile (`evaluating`).
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
    """The tensors that a copy shares with the network, as the memo of `copy.deepcopy`."""
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

    Sample number i is a function of (seed, i), for any n and any division into calls: its z bit for
    bit, its x to rounding. A conditional G gives x = G(z | c) for the requested c; without one, c
    is drawn with the frequencies of the training set. z does not depend on c.

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
        """The contexts of these samples where none is requested; None without contexts."""
        if self.context is None:
            return None
        u = []
        for r in rng.per_sample(seed, start, n):
            self.prior.sample(1, rng=r)  # z comes first
            u.append(torch.rand(1, generator=r, dtype=torch.float64))
        return self.context.at(torch.cat(u))

    def _refuse_other_z(self, z: object) -> None:
        need, dim = "a tensor (torch.from_numpy makes one of an array)", self.prior.dim
        errors.require(isinstance(z, Tensor), "z", need, f"a {type(z).__name__}")
        if isinstance(z, Tensor) and (z.dim() != 2 or z.shape[1] != dim):
            raise errors.wrong_shape("z", f"(n, {dim})", z.shape)

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """X = G(z | c), of shape `(n, *event_shape)`.

        Args:
            z: Of shape `(n, z_dim)`.
            context: For a conditional G: one for all z, or one each.

        Raises:
            BadValue: For a z that is no tensor of that shape, or a context that does not fit.
        """
        self._refuse_other_z(z)
        inputs = [z]
        if self.context is not None:
            if context is None:
                raise errors.no_context()
            inputs += [self.context.encode(self.context.given(context, len(z)))]
        elif context is not None:
            raise errors.not_conditional()
        like = next(self.G.parameters(), z)
        parts = zip(*(torch.split(t, CHUNK) for t in inputs), strict=True)
        with untouched(self.G) as G:
            x = torch.cat([G(*(t.to(like) for t in part)) for part in parts])
        return _finite(x)

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`."""
        if context is None:
            context = self.contexts(n, seed=seed, start=start)
        return self.decode(self.latents(n, seed=seed, start=start), context=context)


class TrainingSet:
    """Real examples as a sampler: the reference row in every table of scores.

    Sample number i is entry i of a permutation of the examples drawn from the seed (repeated after
    the last one).
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
    show: Show | None = None,
) -> Tensor:
    """Samples number `start` to `start + n - 1`; each process draws its share.

    Markov chains and lists of contexts are not divided: every process draws all of them. `show`
    hears how many are drawn, of a sampler whose samples one process draws part by part.
    """
    _refuse_too_many(n, sampler, start)
    rows, whole = ranks.rows(n), isinstance(sampler, Chain) or context is not None
    if ranks.world > 1 and n >= ranks.world and not whole:
        own = sampler.sample(rows.stop - rows.start, seed=seed, start=start + rows.start)
        return _finite(ranks.gather(own, n))
    if show is None or isinstance(sampler, Chain):
        return _finite(sampler.sample(n, seed=seed, start=start, context=context))
    parts = []
    for first in range(0, n, CHUNK):
        size = min(CHUNK, n - first)
        c = context if context is None or context.ndim == 0 else context[first : first + size]
        parts.append(sampler.sample(size, seed=seed, start=start + first, context=c))
        show(first + size)
    return _finite(torch.cat(parts))


def refuse_non_finite(x: Tensor) -> None:
    """Raise `Diverged` where a sample has NaN or infinity."""
    if not x.isfinite().all():
        finite = x.flatten(1).isfinite().all(dim=1)
        raise errors.Diverged(
            "The samples must be finite, got NaN or infinity, first in sample "
            f"{int(finite.logical_not().nonzero()[0])}: weights of the "
            "model are not finite, or its output overflows."
        )


def _finite(x: Tensor) -> Tensor:
    refuse_non_finite(x)
    return x


def _refuse_too_many(n: int, sampler: Sampler, start: int) -> None:
    if isinstance(n, Tensor):
        need = "a number of samples; G at z of your own is game.samplers()['raw'].decode(z)"
        raise errors.bad_value("n", need, f"a tensor of shape {tuple(n.shape)}")
    errors.whole(1, n=n)
    errors.whole(0, start=start)
    errors.at_least(0, **{"start + n": start + n})
    refuse_larger("n", n, numbers=n * math.prod(sampler.event_shape))


def class_rows(sampler: Sampler, most: int = 10) -> list[str]:
    """The classes that get a row in a picture, evenly chosen from all; none without classes."""
    context: Context | None = getattr(sampler, "context", None)
    names = () if context is None else context.names
    rows = min(most, len(names))
    return [names[row * len(names) // rows] for row in range(rows)]


def classes_named(sampler: Sampler, names: Sequence[str]) -> list[str]:
    """Classes of a conditional sampler as the data spells them (`Context.spelled`).

    Raises:
        BadValue: For an unknown class, or a sampler without classes.
    """
    return [_context_of(sampler, names).spelled(name) for name in names]


def _context_of(sampler: Sampler, names: Sequence[str]) -> Context:
    context: Context | None = getattr(sampler, "context", None)
    if context is None:
        raise errors.bad_value(
            "class",
            "left out: the run is not conditional (train one with --model.context labels)",
            " ".join(names),
        )
    return context


def class_by_class(
    sampler: Sampler,
    n: int,
    *,
    seed: int,
    start: int = 0,
    classes: Sequence[str],
    show: Show | None = None,
) -> Tensor:
    """Samples number `start` to `start + n - 1` of each class, class after class.

    In a picture of n columns each class is a row, and each column has one z.

    Raises:
        BadValue: For an unknown class, or a sampler without classes.
    """
    labels = [_context_of(sampler, classes).named(name) for name in classes]
    _refuse_too_many(n * len(labels), sampler, start)
    parts = []
    for i, label in enumerate(labels):
        own = show and counted_from(i * n, show)
        parts.append(draw(sampler, n, seed=seed, start=start, context=label, show=own))
    return torch.cat(parts)


def counted_from(done: int, show: Show) -> Show:
    """The same, where so many are drawn already."""
    return lambda n: show(done + n)


def save_array(path: Path, x: Tensor) -> None:
    """Write samples as a `.npy` array, `(n, *event_shape)`; all values must be finite."""
    refuse_non_finite(x)
    with path.open("wb") as file:  # numpy would put another suffix after any but .npy
        np.save(file, x.cpu().numpy())
