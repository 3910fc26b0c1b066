"""What a stranger must know of an exported generator: config.json, and notes inside other files."""

import math
from importlib import metadata
from typing import Any

import msgspec

from advnets.base import errors
from advnets.base.config import to_dict
from advnets.base.protocols import Staged
from advnets.base.terminal import say
from advnets.evaluation.protocol import REFERENCES, Kept, ScoreRow
from advnets.export.portable import Portable
from advnets.runs.pretrained import Pretrained, shareable
from advnets.runs.run import Run
from advnets.sampling.priors import Gaussian, Prior, Spherical, Uniform
from advnets.storage import schema
from advnets.storage.environment import commit
from advnets.storage.shared_folder import (
    GeneratorFacts,
    Library,
    PriorFacts,
    ScoreFacts,
    Scores,
    TensorFacts,
)

UNKNOWN = "unknown"
"""The licence of weights of which none was said."""
_DRAWN: dict[type[Any], str] = {
    Uniform: "independent coordinates, uniform between -sqrt(3) and +sqrt(3)",
    Gaussian: "independent standard normal coordinates",
    Spherical: "independent standard normal coordinates, divided by their Euclidean norm",
}


def facts_of(run: Run, generator: Portable, weights: str, *, license: str | None) -> GeneratorFacts:
    """The facts of a generator of a run; of a shared one they are kept.

    Args:
        run: The run.
        generator: Its generator.
        weights: The name of its sampler.
        license: The licence of the weights.
    """
    here = Library(metadata.version("advnets"), commit())
    if isinstance(run, Pretrained):
        licensed = run.facts.license if license is None else license
        return msgspec.structs.replace(run.facts, exported_by=here, license=licensed)
    data, config = run.folder.data(), run.config
    environment = run.folder.facts("environment")
    context = generator.sampler.context
    return GeneratorFacts(
        recipe=config.recipe,
        update=run.update,
        checkpoint=run.checkpoint,
        weights=weights,
        precision=getattr(config.model, "precision", "float32"),
        seed=config.seed,
        stage=run.learner.stage if isinstance(run.learner, Staged) else None,
        model=to_dict(shareable(config.model)),
        data=schema.Data(
            event_shape=data.event_shape,
            low=data.low,
            high=data.high,
            span=data.span,
            notice=data.notice,
        ),
        data_kind=config.data.kind,
        prior=_prior(generator.sampler.prior),
        inputs=generator.inputs,
        output=TensorFacts(
            "x", "float32", ("n", *data.event_shape), "samples, as the data", data.low, data.high
        ),
        classes=() if context is None else context.names,
        scores=_scores(run, weights),
        license=UNKNOWN if license is None else license,
        trained_by=Library(
            str(environment.get("advnets", UNKNOWN)), _text(environment.get("commit"))
        ),
        exported_by=here,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _prior(prior: Prior) -> PriorFacts:
    name = type(prior).__name__.lower()
    return PriorFacts(name, prior.dim, _DRAWN.get(type(prior), f"as advnets' {name}"))


def _scores(run: Run, weights: str) -> Scores | None:
    """The scores of these very weights, where `advnets evaluate` has kept some."""
    path = run.folder.path / "evaluation.json"
    if not path.exists():
        return None
    try:
        kept = Kept.read(path)
    except errors.BadFile as damaged:
        say(f"{damaged} It is left out.")
        return None
    if (kept.update, kept.checkpoint) != (run.update, run.checkpoint):
        return None
    rows = [line for line in kept.lines if line.name in (weights, *REFERENCES)]
    if rows[0].name != weights:
        return None
    others, describe = {}, ""
    if kept.quality is not None:
        own = [row for row in kept.quality.rows if row.name == weights]
        others = {name: str(value) for row in own for name, value in row.values.items()}
        describe = kept.quality.describe[:1_000]
    return Scores(tuple(map(_row, rows)), kept.caveat[:1_000], others, describe)


def _row(line: ScoreRow) -> ScoreFacts:
    test = line.test
    error = None if math.isnan(test.standard_error) else test.standard_error
    return ScoreFacts(line.name, test.centres, test.sigma, test.mean, error, test.n)
