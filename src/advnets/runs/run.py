"""A trained run, at one of its checkpoints: samples, scores, and Section 7's extensions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from torch import Tensor

from advnets.base import errors
from advnets.base.choices import CODE
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import settings_of_a_run
from advnets.base.protocols import (
    Classifies,
    Completes,
    Encodes,
    LatentSampler,
    Learner,
    Sampler,
)
from advnets.base.terminal import say
from advnets.data import Splits
from advnets.evaluation import classification, features, likelihood, metrics, protocol
from advnets.evaluation import inception as inception_features
from advnets.evaluation.inception import InceptionConfig
from advnets.evaluation.metrics import Against
from advnets.evaluation.protocol import Evaluation, EvaluationConfig
from advnets.extensions.inference.regression import RegressionConfig, Say
from advnets.plotting import images
from advnets.runs import inference
from advnets.runs.inference import Reconstruction
from advnets.runs.run_config import RunConfig
from advnets.runs.same_run import read_again
from advnets.sampling.accept import BY_D, Accept, logit_of
from advnets.sampling.samplers import Show, class_by_class, draw
from advnets.storage import checkpoints
from advnets.storage.run_folder import RunDir


@dataclass(frozen=True)
class Run:
    """A trained run, at one of its checkpoints."""

    folder: RunDir
    config: RunConfig
    learner: Learner
    update: int
    checkpoint: str

    def sampler(self, weights: str | None = None) -> Sampler:
        """One of the model's samplers; by default the first (a game's `raw` weights)."""
        samplers = self.samplers()
        if weights is not None and weights not in samplers:
            raise errors.unknown("weights", weights, samplers)
        return samplers[weights or next(iter(samplers))]

    def samplers(self) -> Mapping[str, Sampler]:
        """All of the model's samplers by name. Raises `BadValue` where it has none."""
        samplers = self.learner.samplers()
        if not samplers:
            raise errors.bad_value(
                "model",
                "one that can be sampled",
                f"'{self.config.model.kind}', which has no sampler",
            )
        return samplers

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        start: int = 0,
        weights: str | None = None,
        context: Tensor | None = None,
        accept: Accept = "none",
        ranks: Ranks = ALONE,
        show: Show | None = None,
    ) -> Tensor:
        """Samples number `start` to `start + n - 1` of this seed, of shape `(n, *event_shape)`.

        Args:
            n: How many.
            seed: The seed of the samples.
            start: Number of the first.
            weights: Name of one of the model's samplers; by default the first.
            context: For a conditional model: one context for all samples, or one each. By default
                contexts are drawn with the frequencies of the training set.
            accept: Whether D chooses among samples of G: 'rejection' or 'metropolis'.
            ranks: The processes that share the work.
            show: Hears how many are drawn, of a sampler that draws part by part.
        """
        sampler = self.sampler(weights)
        if accept != "none":
            sampler = self._chosen_by_D(sampler, accept)
        return draw(sampler, n, seed=seed, start=start, context=context, ranks=ranks, show=show)

    def _chosen_by_D(self, sampler: Sampler, accept: Accept) -> Sampler:
        """The samples of a game's G among which its D chooses."""
        errors.one_of(get_args(Accept), accept=accept)
        D = getattr(self.learner, "D", None)
        if D is None or not isinstance(sampler, LatentSampler):
            raise errors.bad_value("accept", "'none' for a model without a D", accept)
        return BY_D[accept](sampler, logit_of(D))

    def of_classes(
        self,
        classes: Sequence[str],
        n: int,
        *,
        seed: int = 0,
        start: int = 0,
        weights: str | None = None,
        show: Show | None = None,
    ) -> Tensor:
        """Samples number `start` to `start + n - 1` of each of these classes, class after class."""
        sampler = self.sampler(weights)
        return class_by_class(sampler, n, seed=seed, start=start, classes=classes, show=show)

    def complete(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        n: int = 8,
        seed: int = 0,
        averaged: bool = False,
    ) -> Tensor:
        """Fill in what is hidden, n times each: `(n, N, *event_shape)`, of the type of `x`.

        What is seen stays bit for bit. Completion i of example j depends on (seed, i, j) and that
        example; their mean and standard deviation are the estimate and its spread.

        Args:
            x: Examples `(N, *event_shape)`, or one; NaN where a number is missing.
            mask: 1 where a number is seen, one for all examples or one each; a picture's channels
                share theirs, `(H, W)`. By default what is not NaN is seen.
            n: Completions of each example.
            seed: Draws them.
            averaged: Whether G has the moving average of its weights.

        Raises:
            BadValue: For a run of another model, shapes or values that do not fit, or n below 1.
        """
        if not isinstance(self.learner, Completes):
            need = "a run of conditionals (advnets train mnist-inpainting, images-inpainting)"
            raise errors.bad_value("run", need, f"a '{self.config.model.kind}'")
        errors.at_least(1, n=n)
        self.refuse_values(x)
        return self.learner.complete(x, mask, n=n, seed=seed, averaged=averaged)

    def fit_encoder(
        self,
        config: RegressionConfig | None = None,
        *,
        weights: str | None = None,
        say: Say | None = None,
    ) -> None:
        """Fit an encoder to what G makes of z, and keep it beside the run, which stays as it is.

        Args:
            config: What it is fitted to, and how long; by default to z, 5,000 updates.
            weights: Which of the model's samplers.
            say: Hears how it goes.
        """
        own = isinstance(self.learner, Encodes) and (config or RegressionConfig()).target == CODE
        errors.require(not own, "fit", "left out: the run has an encoder of its own", "asked")
        sampler = inference.generator_of(self.sampler(weights), self.config.model.kind)
        inference.fit(self.folder, sampler, config or RegressionConfig(), say=say)

    def encode(self, x: Tensor, *, target: str = CODE, weights: str | None = None) -> Tensor:
        """The z of examples, `(N, z_dim)`: by the model's own E, or by a fitted one.

        Args:
            x: Examples, `(N, *event_shape)`.
            target: 'z', or the module of G whose output a fitted encoder reads off x.
            weights: Which of the model's samplers the encoder was fitted to.

        Raises:
            BadFile: Where no encoder was fitted (`fit_encoder`).
            BadValue: For examples of another shape or range.
        """
        shape = self.folder.data().event_shape
        if tuple(x.shape[1:]) != tuple(shape) or not len(x):
            raise errors.wrong_shape("x", f"(N, {', '.join(map(str, shape))})", x.shape)
        self.refuse_values(x)
        refuse_missing(x)
        if target == CODE and isinstance(self.learner, Encodes):
            return self.learner.encode(x)
        sampler = inference.generator_of(self.sampler(weights), self.config.model.kind)
        asked = [] if weights is None else ["--weights", weights]
        return inference.encode(inference.load(self.folder, sampler, target, asked=asked), x)

    def reconstruct(
        self,
        x: Tensor,
        *,
        steps: int = 300,
        starts: int = 3,
        seed: int = 0,
        weights: str | None = None,
    ) -> Reconstruction:
        """G(E(x)), and G of the z that search finds from E(x) and from random starts.

        Args:
            x: Examples `(N, *event_shape)`.
            steps: Updates of the search; 0 makes none.
            starts: Random starts beside E(x).
            seed: Draws them.
            weights: Which of the model's samplers.
        """
        z = self.encode(x, weights=weights)
        sampler = inference.generator_of(self.sampler(weights), self.config.model.kind)
        return inference.reconstruct(sampler, x, z, steps=steps, starts=starts, seed=seed)

    def between(self, found: Reconstruction, steps: int, *, weights: str | None = None) -> Tensor:
        """From each reconstructed example to the next in z: `(N - 1, steps, *event_shape)`."""
        sampler = inference.generator_of(self.sampler(weights), self.config.model.kind)
        return inference.between(sampler, found, steps)

    def refuse_values(self, x: Tensor) -> None:
        """Raise `BadValue` for pictures with values outside the run's; NaN is passed over."""
        if not images.is_image(self.folder.data().event_shape):
            return
        low, high = self.span()
        outside = x[(x < low) | (x > high)]
        if len(outside):
            need = f"in [{low:g}, {high:g}], as the run's pictures"
            raise errors.bad_value("x", need, f"{outside[0].item():g}")

    def span(self) -> tuple[float, float]:
        """The values that pictures of this run draw black and white."""
        facts = self.folder.data()
        low, high = facts.span or images.wide(facts.low, facts.high)
        return low, high

    def splits(self) -> Splits:
        """The data it was trained on. Raises `BadValue` where the data has changed."""
        with settings_of_a_run():  # the data is the run's only when it is read as the run did
            return read_again(self.folder, self.config, say)

    def evaluate(
        self,
        config: EvaluationConfig | None = None,
        *,
        seed: int = 0,
        quality: bool = True,
        inception: InceptionConfig | None = None,
        ranks: Ranks = ALONE,
        scored: Callable[[Evaluation], object] | None = None,
    ) -> Evaluation:
        """Section 5's protocol on the run's own data, raw and averaged weights side by side.

        Args:
            config: The protocol's constants; the run's own by default.
            seed: The seed of the samples.
            quality: Whether other metrics than the Parzen score are computed too. The first time
                for a data set, this trains a small network.
            inception: The weights of Inception's features, for a Frechet distance in them too.
            ranks: The processes that share the work.
            scored: Receives the scores before Inception's features, which take hours, are computed.

        Raises:
            BadFile: For weights that cannot be used, before anything is sampled.
            BadValue: For Inception's features of data that is not pictures.
        """
        network = self._inception(inception) if inception else None
        samplers, config = self.samplers(), config or self.config.evaluation
        splits = self.splits()
        space = features.learn(splits, say=say) if quality and ranks.first else None
        result = protocol.evaluate(samplers, splits, config, seed=seed, space=space, ranks=ranks)
        sigmas = {name: (s, result.sigma(name)) for name, s in samplers.items()}
        log_p = likelihood.measure(self.learner, splits, config.log_p, seed=seed, sigmas=sigmas)
        result = replace(result, log_p=log_p)
        if isinstance(self.learner, Classifies):
            error = classification.measure(self.learner, splits.test)
            result = replace(result, classification=error)
        if scored is not None:
            scored(result)
        if network is None or inception is None:
            return result
        found = inception_features.measure(
            samplers,
            splits,
            network,
            samples=inception.samples,
            seed=seed,
            span=self.span(),
            ranks=ranks,
        )
        return replace(result, inception=found)

    def _inception(self, config: InceptionConfig) -> inception_features.Inception:
        """The network of these weights, for a run on pictures."""
        inception_features.refuse_other_than_pictures("data", self.sampler().event_shape)
        return inception_features.load(config.weights, device=config.device)

    def quality(
        self, n: int | None = None, *, seed: int = 0, against: Against = "test"
    ) -> metrics.Quality:
        """The other metrics alone, against test data or, for model selection, validation data.

        Args:
            n: Samples of each sampler; by default as many as in the protocol.
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
        """`evaluate`, saved in the folder; a message says why where that fails."""
        result = self.evaluate(config, seed=seed, quality=quality, ranks=ranks)
        if ranks.first:
            try:
                self.keep(result, seed=seed)
            except errors.CannotWrite as refused:
                say(errors.not_kept(refused))
        return result

    def keep(self, result: Evaluation, *, seed: int = 0) -> None:
        """Save scores of this checkpoint: evaluation.json, and a picture of the scored samples.

        Raises:
            CannotWrite: When they cannot be written.
        """
        shown = min(result.lines[0].test.centres, images.picture_size(self.sampler().event_shape))
        with checkpoints.atomic_path(self.folder.place("evaluation.png")) as aside:
            images.save_samples(aside, self.sample(shown, seed=seed), span=self.span())
        kept = protocol.Kept(
            checkpoint=self.checkpoint, update=self.update, seed=seed, **vars(result)
        )
        checkpoints.write_atomically(self.folder.place("evaluation.json"), kept.to_json())


def refuse_missing(x: Tensor) -> None:
    """Raise `BadValue` for NaN and infinity, with the first row that has some."""
    finite = x.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        raise errors.array_not_finite("x", int(finite.logical_not().nonzero()[0]))
