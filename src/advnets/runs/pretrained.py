"""A shared generator: samples without the run that made them."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.choices import CODE
from advnets.base.conditioning import Context
from advnets.base.config import from_dict
from advnets.base.memory import refuse_larger
from advnets.base.protocols import Learner, ModelConfig, Problem, Sampler, Staged
from advnets.base.renamed_options import upgraded
from advnets.base.state import below
from advnets.data import DataConfig, Splits
from advnets.extensions.inference.regression import RegressionConfig, Say
from advnets.runs import registry
from advnets.runs.run import Run
from advnets.runs.run_config import KINDS, RunConfig
from advnets.sampling.accept import Accept
from advnets.sampling.samplers import GeneratorSampler
from advnets.storage import checkpoints, shared_folder
from advnets.storage.checkpoints import Checkpoint
from advnets.storage.run_folder import not_a_run
from advnets.storage.shared_folder import GeneratorFacts, SharedFolder

ROOM = 2**31
"""Bytes that any shared model may take ..."""
FACTOR = 64
"""... and how many times its weights' bytes: G is built with the model that it is a part of."""


@dataclass(frozen=True, kw_only=True)
class NoData(DataConfig):
    """The data of a shared generator, which is not shared."""

    kind: ClassVar[str] = "none"


@dataclass(frozen=True)
class Pretrained(Run):
    """A shared generator, which draws what its run draws, bit for bit on one machine.

    It holds the weights of G alone: whatever needs D, an encoder, data or an optimizer is refused.
    """

    facts: GeneratorFacts

    def samplers(self) -> Mapping[str, Sampler]:
        """The shared weights, under the name that the run gives them."""
        return {self.facts.weights: self.learner.samplers()[self.facts.weights]}

    def complete(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        n: int = 8,
        seed: int = 0,
        averaged: bool = False,
    ) -> Tensor:
        """Fill in what is hidden, as `Run.complete`, by the shared weights."""
        own = self.facts.weights == "averaged"
        need = f"those that are shared, '{self.facts.weights}'"
        errors.require(own or not averaged, "weights", need, "'averaged'")
        return super().complete(x, mask, n=n, seed=seed, averaged=own)

    def fit_encoder(
        self,
        config: RegressionConfig | None = None,  # noqa: ARG002
        *,
        weights: str | None = None,  # noqa: ARG002
        say: Say | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Refused: it is kept beside a run."""
        raise not_a_run(self.folder.path)

    def encode(
        self,
        x: Tensor,  # noqa: ARG002
        *,
        target: str = CODE,  # noqa: ARG002
        weights: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Refused: there is no E."""
        raise not_a_run(self.folder.path)

    def splits(self) -> Splits:
        """Refused: there is no data."""
        raise not_a_run(self.folder.path)

    def _chosen_by_D(self, sampler: Sampler, accept: Accept) -> Sampler:  # noqa: ARG002
        raise errors.bad_value("accept", "'none' for a shared generator, which has no D", accept)


def load(folder: Path) -> Pretrained:
    """A shared generator from its folder, or from a file of `advnets export --to safetensors`.

    Raises:
        BadFile: For a file that is missing, damaged, of another format, or leads out of the folder.
    """
    if folder.is_file():
        saved = checkpoints.read_checkpoint(folder)
        return rebuilt(folder, shared_facts(saved), saved)
    facts = shared_folder.facts_of(
        folder / shared_folder.CONFIG, shared_folder.read(folder, shared_folder.CONFIG)
    )
    weights = folder / shared_folder.WEIGHTS
    raw = shared_folder.read(folder, shared_folder.WEIGHTS)
    return rebuilt(folder, facts, checkpoints.decoded(weights, raw))


def shared_facts(saved: Checkpoint) -> GeneratorFacts:
    """The facts that a single file of weights carries. Raises `BadFile` for any other file."""
    text = saved.facts.get("generator")
    if not isinstance(text, str):
        raise errors.BadFile(f"{saved.path}: must be a shared generator, got another checkpoint.")
    return shared_folder.facts_of(saved.path, text)


def rebuilt(path: Path, facts: GeneratorFacts, saved: Checkpoint) -> Pretrained:
    """The generator that some facts describe, with its weights.

    Args:
        path: Where it lies, for errors.
        facts: What its config.json holds.
        saved: Its weights.

    Raises:
        BadFile: Where the facts describe no model, or one that the weights do not fit.
    """
    place = path / shared_folder.CONFIG if path.is_dir() else path
    with shared_folder.naming(place):
        config = from_dict(ModelConfig, upgraded({"m": facts.model})["m"], kinds=KINDS, at="model.")
        learner = _built(config, facts, saved)
    known = learner.samplers()
    if facts.weights not in known:
        raise errors.BadFile(f"{place}: {errors.unknown('weights', facts.weights, known)}")
    sampler = known[facts.weights]
    if not isinstance(sampler, GeneratorSampler):
        raise errors.BadFile(f"{place}: must describe a model with a G(z), got '{config.kind}'.")
    with errors.foreign_checkpoints(saved.path):
        state = below("G.", saved.tensors)
        checkpoints.refuse_other_types(sampler.G.state_dict(), state)
        sampler.G.load_state_dict(state)
    own = RunConfig(recipe=facts.recipe, data=NoData(), model=config)
    folder = SharedFolder(path, facts)
    return Pretrained(folder, own, learner, facts.update, facts.checkpoint, facts)


def _built(config: ModelConfig, facts: GeneratorFacts, saved: Checkpoint) -> Learner:
    """The whole model around G, within a size that the weights on the disk justify."""
    room = max(ROOM, FACTOR * sum(t.nbytes for t in saved.tensors.values()))
    shape = facts.data.event_shape
    refuse_larger("data.event_shape", shape, numbers=math.prod(shape), room=room)
    problem = Problem(
        event_shape=shape,
        low=facts.data.low,
        high=facts.data.high,
        mean=torch.zeros(shape),
        batches_per_epoch=1,
        steps=1,
        context=_context(facts, saved.tensors) if config.conditional else None,
    )
    learner = registry.build(config, problem, seed=0, room=room)
    if isinstance(learner, Staged) and facts.stage is not None:
        learner.enter(facts.stage)
    return learner


def _context(facts: GeneratorFacts, tensors: Mapping[str, Tensor]) -> Context:
    """The contexts beside the weights. Raises `BadValue` where they are missing or do not fit."""
    found = below("context.", tensors)
    for name in ("rows", "weights"):
        errors.require(name in found, f"context.{name}", "among the weights", "nothing")
    rows, weights = found["rows"], found["weights"]
    like = (torch.int64, 1) if facts.classes else (torch.float32, 2)
    need = "whole numbers (K,)" if facts.classes else "float32 (r, d)"
    right = (rows.dtype, rows.ndim) == like and len(rows) > 0
    errors.require(right, "context.rows", need, f"{rows.dtype} {tuple(rows.shape)}")
    n = len(facts.classes) or len(rows)
    right = weights.dtype == torch.int64 and weights.shape == (n,) and len(rows) == n
    positive = right and bool((weights >= 0).all()) and int(weights.sum()) > 0
    errors.require(positive, "context.weights", f"{n} whole numbers above 0", tuple(weights.shape))
    return Context(rows, weights, facts.classes)


def shareable(config: ModelConfig) -> ModelConfig:
    """A model's configuration without what is of this machine: precision, compilation, paths."""
    own: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, str) and Path(value).is_absolute():
            own[field.name] = Path(value).name
        elif field.name == "precision":
            own[field.name] = "float32"
        elif field.name == "compile":
            own[field.name] = False
    return dataclasses.replace(config, **own)
