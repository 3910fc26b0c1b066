"""A trained run: `advnets.load("runs/mnist").sample(64, seed=0)`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import settings_of_a_run
from advnets.base.protocols import Learner, Problem, Sampler
from advnets.base.terminal import say
from advnets.data import Splits
from advnets.evaluation import features, metrics, protocol
from advnets.evaluation.metrics import Against
from advnets.evaluation.protocol import Evaluation, EvaluationConfig
from advnets.plotting import images
from advnets.runs import registry
from advnets.runs.train import RunConfig, config_of, moved, read_again, refuse_foreign
from advnets.sampling.samplers import class_by_class, draw
from advnets.storage import checkpoints, schema
from advnets.storage.checkpoints import below
from advnets.storage.run_folder import RunDir

Which = Literal["best", "last"]


def load(
    folder: Path | str,
    *,
    checkpoint: Which = "best",
    data_path: str | None = None,
    data_root: str | None = None,
) -> "Run":
    """Load a run at one of its checkpoints, on the CPU.

    Args:
        folder: A run's folder.
        checkpoint: 'best' by the validation score, or 'last'.
        data_path: Where the data lies by now (`--data.path`), when it has been moved.
        data_root: The same for data that is given by its `--data.root`.

    Raises:
        BadFile: When the folder is no run's, or has no whole checkpoint, or one with weights that
            are not finite.
    """
    run_folder = RunDir(folder)
    config = moved(config_of(run_folder), path=data_path, root=data_root)
    saved = run_folder.best(say) if checkpoint == "best" else run_folder.latest(say)
    if saved is None:
        raise errors.no_checkpoint(run_folder.path)
    facts, context = run_folder.data(), None
    if config.model.conditional:
        context = Context.like(schema.contexts(run_folder.path, facts))
    problem = Problem(
        event_shape=facts.event_shape,
        low=facts.low,
        high=facts.high,
        mean=torch.zeros(facts.event_shape),
        batches_per_epoch=1,
        steps=config.trainer.steps,
        context=context,
    )
    learner = registry.build(config.model, problem, seed=config.seed)
    refuse_foreign(saved, config)
    bad = checkpoints.first_non_finite(saved.tensors)
    if bad is not None:
        raise errors.checkpoint_not_finite(saved.path, bad.removeprefix("learner."))
    with errors.foreign_checkpoints(saved.path):
        state = below("learner.", saved.tensors)
        checkpoints.refuse_other_types(learner.state(), state)
        learner.load_state(state)
    return Run(run_folder, config, learner, saved.update, saved.path.name)


@dataclass(frozen=True)
class Run:
    """A trained run, at one of its checkpoints."""

    folder: RunDir
    config: RunConfig
    learner: Learner
    update: int
    checkpoint: str

    def sampler(self, weights: str | None = None) -> Sampler:
        """One of the model's samplers; by default the model proper (a game's `raw` weights)."""
        samplers = self.samplers()
        if weights is not None and weights not in samplers:
            raise errors.unknown("weights", weights, samplers)
        return samplers[weights or next(iter(samplers))]

    def samplers(self) -> Mapping[str, Sampler]:
        """All of the model's samplers by name. Raises `BadValue` where it has none."""
        samplers = self.learner.samplers()
        if not samplers:
            raise errors.no_sampler(self.config.model.kind)
        return samplers

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        start: int = 0,
        weights: str | None = None,
        context: Tensor | None = None,
        ranks: Ranks = ALONE,
    ) -> Tensor:
        """Samples number `start` to `start + n - 1` of this seed, of shape `(n, *event_shape)`.

        Args:
            n: How many.
            seed: The seed of the samples.
            start: Number of the first.
            weights: Which of the model's samplers; by default the model proper.
            context: What a conditional model is asked for: one context for all samples, or one
                each. By default it is drawn as often as the training set has it.
            ranks: The processes that share the work.
        """
        sampler = self.sampler(weights)
        return draw(sampler, n, seed=seed, start=start, context=context, ranks=ranks)

    def of_classes(
        self,
        classes: Sequence[str],
        n: int,
        *,
        seed: int = 0,
        start: int = 0,
        weights: str | None = None,
    ) -> Tensor:
        """Samples number `start` to `start + n - 1` of each of these classes, class after class."""
        sampler = self.sampler(weights)
        return class_by_class(sampler, n, seed=seed, start=start, classes=classes)

    def span(self) -> tuple[float, float]:
        """The values that pictures of this run draw black and white."""
        facts = self.folder.data()
        low, high = facts.span or images.wide(facts.low, facts.high)
        return low, high

    def splits(self) -> Splits:
        """The data it was trained on. Raises `BadValue` where that is other data by now."""
        with settings_of_a_run():  # the data is the run's only when it is read as the run did
            return read_again(self.folder, self.config, say)

    def evaluate(
        self,
        config: EvaluationConfig | None = None,
        *,
        seed: int = 0,
        quality: bool = True,
        ranks: Ranks = ALONE,
    ) -> Evaluation:
        """Section 5's protocol on the run's own data, raw and averaged weights side by side.

        Args:
            config: The protocol's constants; the run's own by default.
            seed: The seed of the samples.
            quality: Whether other measures than the Parzen score are taken too. The first time on
                some data, that trains a small network.
            ranks: The processes that share the work.
        """
        samplers, config = self.samplers(), config or self.config.evaluation
        splits = self.splits()
        space = features.learn(splits, say=say) if quality and ranks.first else None
        return protocol.evaluate(samplers, splits, config, seed=seed, space=space, ranks=ranks)

    def quality(
        self, n: int | None = None, *, seed: int = 0, against: Against = "test"
    ) -> metrics.Quality:
        """The other measures alone, against test or, where something is chosen, validation data.

        Args:
            n: Samples of each sampler; as many as the protocol draws by default.
            seed: The seed of the samples.
            against: The part of the data that samples are compared with.
        """
        samplers, n = self.samplers(), n or self.config.evaluation.samples
        splits = self.splits()
        drawn = {name: draw(s, n, seed=seed) for name, s in samplers.items()}
        space = features.learn(splits, say=say)
        return metrics.measure(drawn, splits, space, seed=seed, against=against)

    def score(
        self,
        config: EvaluationConfig | None = None,
        *,
        seed: int = 0,
        quality: bool = True,
        ranks: Ranks = ALONE,
    ) -> Evaluation:
        """`evaluate`, kept in the folder where that can be written; else a line says why not."""
        result = self.evaluate(config, seed=seed, quality=quality, ranks=ranks)
        if ranks.first:
            try:
                self.keep(result, seed=seed)
            except errors.CannotWrite as refused:
                say(errors.not_kept(refused))
        return result

    def keep(self, result: Evaluation, *, seed: int = 0) -> None:
        """Keep scores of this checkpoint: evaluation.json, and a picture of what was scored.

        Raises:
            CannotWrite: When the folder does not take them.
        """
        shown = min(result.lines[0].test.centres, images.picture_size(self.sampler().event_shape))
        with checkpoints.written_aside(self.folder.place("evaluation.png")) as aside:
            images.save_samples(aside, self.sample(shown, seed=seed), span=self.span())
        kept = protocol.Kept(
            checkpoint=self.checkpoint, update=self.update, seed=seed, **vars(result)
        )
        checkpoints.write_atomically(self.folder.place("evaluation.json"), kept.to_json())
