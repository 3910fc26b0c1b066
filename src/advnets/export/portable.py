"""G as a plain module: z, and what else it is told, to x in the units of the data.

What a format writes is this module. Its layers are torch's own, its weights float32, and it is in
evaluation mode.
"""

import copy
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.rng import for_samples
from advnets.data.masks import mask_shape
from advnets.extensions import conditionals
from advnets.nn.linear import Affine
from advnets.runs.run import Run
from advnets.sampling.samplers import GeneratorSampler
from advnets.storage.shared_folder import TensorFacts

Tensors = Mapping[str, Tensor]


class Portable(NamedTuple):
    """A generator that can be written: a module, and how to feed it."""

    module: nn.Module
    """Takes the inputs in their order, returns x `(n, *event_shape)`."""
    inputs: tuple[TensorFacts, ...]
    example: Callable[[int, int], dict[str, Tensor]]
    """Inputs of n samples of a seed, by name."""
    reference: Callable[[Tensors], Tensor]
    """What the run itself makes of such inputs."""
    state: dict[str, Tensor]
    """The weights by name, as they are kept: G's, and the contexts of a conditional one."""
    sampler: GeneratorSampler


def portable(run: Run, weights: str | None = None) -> Portable:
    """The generator of a run.

    Args:
        run: A trained run, or a shared generator.
        weights: Which of the model's samplers; by default the first.

    Raises:
        BadValue: For a model without a generator x = G(z).
    """
    sampler, kind = run.sampler(weights), run.config.model.kind
    if not isinstance(sampler, GeneratorSampler):
        need = "a run of a model with a generator x = G(z) (a game, a VAE)"
        raise errors.bad_value("run", need, f"a '{kind}', whose samples are not a function of z")
    state = {f"G.{name}": _float(t) for name, t in sampler.G.state_dict().items()}
    if isinstance(sampler.G, conditionals.Unseen):
        return _filling(sampler, sampler.G.G, state)
    if sampler.context is None:
        return _of_z(sampler, state)
    state |= {f"context.{name}": t for name, t in sampler.context.state().items()}
    told = _of_classes if sampler.context.names else _of_vectors
    return told(sampler, sampler.context, state)


def _of_z(sampler: GeneratorSampler, state: dict[str, Tensor]) -> Portable:
    return Portable(
        plain(sampler.G),
        (_z(sampler),),
        lambda n, seed: {"z": sampler.latents(n, seed=seed)},
        lambda inputs: sampler.decode(inputs["z"]),
        state,
        sampler,
    )


class OfClasses(nn.Module):
    """G(z, c) by the number of a class.

    Args:
        G: Takes z and encoded contexts.
        context: The classes; class i is the i-th name.
    """

    encoded: Tensor

    def __init__(self, G: nn.Module, context: Context) -> None:
        super().__init__()
        self.G = G
        self.register_buffer("encoded", context.encode(context.rows))

    def forward(self, z: Tensor, number: Tensor) -> Tensor:
        """`(n, z_dim)` and whole numbers `(n,)` to `(n, *event_shape)`."""
        x: Tensor = self.G(z, self.encoded[number])
        return x


def _of_classes(sampler: GeneratorSampler, context: Context, state: dict[str, Tensor]) -> Portable:
    def example(n: int, seed: int) -> dict[str, Tensor]:
        labels = sampler.contexts(n, seed=seed)
        assert labels is not None
        number = torch.eq(labels[:, None], context.rows).long().argmax(dim=1)
        return {"z": sampler.latents(n, seed=seed), "class": number}

    last = len(context.names) - 1
    told = TensorFacts("class", "int64", ("n",), f"the number of a class, 0 to {last}")
    return Portable(
        OfClasses(plain(sampler.G), context).eval(),
        (_z(sampler), told),
        example,
        lambda inputs: sampler.decode(inputs["z"], context=context.rows[inputs["class"]]),
        state,
        sampler,
    )


def _of_vectors(sampler: GeneratorSampler, context: Context, state: dict[str, Tensor]) -> Portable:
    def example(n: int, seed: int) -> dict[str, Tensor]:
        c = sampler.contexts(n, seed=seed)
        assert c is not None
        return {"z": sampler.latents(n, seed=seed), "context": c}

    told = TensorFacts("context", "float32", ("n", context.size), "the vector x is told")
    return Portable(
        plain(sampler.G),
        (_z(sampler), told),
        example,
        lambda inputs: sampler.decode(inputs["z"], context=inputs["context"]),
        state,
        sampler,
    )


def _filling(
    sampler: GeneratorSampler, G: conditionals.Filling, state: dict[str, Tensor]
) -> Portable:
    shape, masks = G.event_shape, mask_shape(G.event_shape)

    def example(n: int, seed: int) -> dict[str, Tensor]:
        z = sampler.latents(n, seed=seed)
        mask = torch.rand(n, *masks, generator=for_samples(seed, "masks")).gt(0.5).float()
        return {"z": z, "seen": sampler.decode(z) * mask, "mask": mask}

    seen = "what is seen of x, 0 where it is hidden; all 0 for plain samples"
    told = (
        TensorFacts("seen", "float32", ("n", *shape), seen),
        TensorFacts("mask", "float32", ("n", *masks), "1 where x is seen, 0 where it is hidden"),
    )
    return Portable(
        plain(G),
        (_z(sampler), *told),
        example,
        lambda inputs: conditionals.filled(G, inputs["z"], inputs["seen"], inputs["mask"]),
        state,
        sampler,
    )


def _z(sampler: GeneratorSampler) -> TensorFacts:
    return TensorFacts("z", "float32", ("n", sampler.prior.dim), "noise, drawn from the prior")


def _float(t: Tensor) -> Tensor:
    """A weight as it is kept: half precision as float32, which holds it exactly."""
    return t.float() if t.dtype in (torch.bfloat16, torch.float16) else t


def plain(G: nn.Module) -> nn.Module:
    """A copy of G for other programs: torch's own layers, float32, evaluation mode, no gradients.

    `Affine` computes by a product that torch's graphs do not know; `nn.Linear` is the same map.
    """
    twin = copy.deepcopy(G).float().eval().requires_grad_(False)
    for module in [*twin.modules()]:
        for name, child in module.named_children():
            if isinstance(child, Affine) and child.bare:
                setattr(module, name, _linear(child))
    return _linear(twin) if isinstance(twin, Affine) and twin.bare else twin


def _linear(layer: Affine) -> nn.Linear:
    own = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
    own.weight, own.bias = layer.weight, layer.bias
    return own.eval()
