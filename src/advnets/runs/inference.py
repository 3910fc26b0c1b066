"""Inference on a trained run: the encoder beside it, codes, and reconstructions."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.choices import CODE
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Sampler
from advnets.base.rng import generator
from advnets.extensions.inference import regression, search
from advnets.extensions.inference.regression import RegressionConfig, Say
from advnets.networks.encoder import Encoder, EncoderConfig
from advnets.sampling.interpolation import interpolate
from advnets.sampling.samplers import GeneratorSampler, untouched
from advnets.storage import checkpoints, schema
from advnets.storage.run_folder import RunDir

_CHUNK = 1_000


class EncoderFacts(msgspec.Struct, frozen=True):
    """What is kept beside the weights of an encoder."""

    hidden: tuple[schema.Size, ...]
    target: str
    numbers: schema.Size
    crc32: schema.Count


class Reconstruction(NamedTuple):
    """Examples, and what G makes of the z that was found for each."""

    x: Tensor
    """The examples, `(N, *event_shape)`."""
    z: Tensor
    """E(x), `(N, z_dim)`."""
    decoded: Tensor
    """G(E(x)), `(N, *event_shape)`."""
    z_search: Tensor
    """z after search; E(x) where the search found none that is better."""
    searched: Tensor
    """G of it."""


def generator_of(sampler: Sampler, kind: str) -> GeneratorSampler:
    """The sampler as one whose z can be inferred. Raises `BadValue` for any other."""
    if not isinstance(sampler, GeneratorSampler) or sampler.context is not None:
        need = "a run of a model with a G(z), not conditional"
        raise errors.bad_value("run", need, f"a '{kind}'")
    return sampler


def place(folder: RunDir, target: str = CODE) -> Path:
    """Where a run's encoder of z, or of a module of G, is kept."""
    return folder.path / (
        "encoder.safetensors" if target == CODE else f"encoder.{target}.safetensors"
    )


def fit(
    folder: RunDir, sampler: GeneratorSampler, config: RegressionConfig, *, say: Say | None = None
) -> Encoder:
    """Fit an encoder to a run's G and keep it beside the run, which stays as it is.

    Raises:
        BadValue: For a target that G does not have.
        CannotWrite: When the folder does not take it.
    """
    E = regression.fit(sampler.G, sampler.prior, config, say=say)
    facts = EncoderFacts(config.hidden, config.target, E.z_dim, _crc(sampler.G))
    path = place(folder, config.target)
    about = {"encoder": msgspec.to_builtins(facts), "fitted": asdict(config)}
    checkpoints.write_checkpoint([path], config.steps, E.state_dict(), about)
    return E


def load(
    folder: RunDir, sampler: GeneratorSampler, target: str = CODE, *, asked: Sequence[str] = ()
) -> Encoder:
    """The encoder that was fitted to a run's G.

    Args:
        folder: The run's.
        sampler: G and its prior.
        target: 'z', or the module of G whose output it reads off x.
        asked: Options that lead to this G, for the command that an error gives.

    Raises:
        BadValue: For a target that G does not have.
        BadFile: Where there is none, it is damaged, or it was fitted to other weights of G.
    """
    if target != CODE:
        regression.Source(sampler.G, sampler.prior, target)  # refuses one that G does not have
    words = ["advnets", "encode", str(folder.path), "--fit"]
    again = shlex.join([*words, *([] if target == CODE else ["--target", target]), *asked])
    path = place(folder, target)
    if not path.exists():
        raise errors.BadFile(f"{folder.path}: has no encoder yet; fit one with: {again}")
    saved = checkpoints.read_checkpoint(path)
    facts = schema.convert(path, saved.facts.get("encoder"), EncoderFacts)
    if facts.crc32 != _crc(sampler.G):
        raise errors.BadFile(
            f"{path}: must be fitted to the weights of G that are asked, got an encoder of others "
            f"(another checkpoint, or averaged ones); fit it anew with: {again}"
        )
    config = EncoderConfig(hidden=facts.hidden)
    with global_stream_kept():
        E = config.build(
            event_shape=sampler.event_shape, z_dim=facts.numbers, rng=generator(0, "weights of E")
        )
    with errors.foreign_checkpoints(path):
        checkpoints.refuse_other_types(E.state_dict(), saved.tensors)
        E.load_state_dict(saved.tensors)
    return E.eval()


def _crc(G: nn.Module) -> int:
    return checkpoints.checksum(dict(G.state_dict()), {})


def encode(E: nn.Module, x: Tensor) -> Tensor:
    """E(x) of examples `(N, *event_shape)`, `(N, numbers)`."""
    like = next(E.parameters())
    with untouched(E) as network:
        return torch.cat([network(part.to(like)) for part in torch.split(x, _CHUNK)])


def reconstruct(
    sampler: GeneratorSampler, x: Tensor, z: Tensor, *, steps: int, starts: int, seed: int
) -> Reconstruction:
    """What G makes of E(x), and of the z that search finds from there and from random starts.

    Args:
        sampler: G and its prior.
        x: Examples, `(N, *event_shape)`.
        z: E(x).
        steps: Updates of the search; 0 makes none.
        starts: Random starts beside E(x).
        seed: Draws them.
    """
    errors.at_least(0, steps=steps, starts=starts)
    random = [sampler.latents(len(x), seed=seed, start=i * len(x)) for i in range(starts)]
    all_starts = torch.stack([z, *(r.to(z) for r in random)])
    found = search.search(sampler.G, sampler.prior, x, all_starts, steps=steps, seed=seed)
    decoded, x_found = sampler.decode(z), sampler.decode(found.z)
    better = _error(x_found, x) < _error(decoded, x)
    z_search = torch.where(better[:, None], found.z, z)
    mask = better.view(-1, *[1] * (x.ndim - 1))
    return Reconstruction(x, z, decoded, z_search, torch.where(mask, x_found, decoded))


def _error(found: Tensor, x: Tensor) -> Tensor:
    return (found - x.to(found)).flatten(1).square().sum(dim=1)


def between(sampler: GeneratorSampler, found: Reconstruction, steps: int) -> Tensor:
    """From each example to the next one in z: `(N - 1, steps, *event_shape)`.

    Raises:
        BadValue: For fewer than two examples, or steps.
    """
    refuse_one(found.x)
    line = interpolate(found.z_search[:-1], found.z_search[1:], steps)
    x = sampler.decode(line.flatten(0, 1))
    return x.view(*line.shape[:2], *x.shape[1:])


def refuse_one(x: Tensor) -> None:
    """Raise `BadValue` for fewer than two examples."""
    errors.require(len(x) > 1, "images", "at least two, to go from one to the next", len(x))
