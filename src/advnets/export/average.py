r"""A generator whose weights are the mean of those of several checkpoints of a run.

.. math:: \theta = \frac 1n \sum_{i=1}^n \theta_i

in float64, then rounded to the weights' own type. Running means and variances of batch
normalisation are averaged too.

Reference: Izmailov et al. (2018), Averaging weights leads to wider optima and better
    generalization.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Staged
from advnets.runs import loaded
from advnets.runs.run import Run
from advnets.sampling.samplers import GeneratorSampler


def load_average(folder: Path, names: Sequence[str], weights: str | None = None) -> Run:
    """A run whose weights, those of one sampler, are the mean over several of its checkpoints.

    Args:
        folder: The run's folder.
        names: The checkpoints: 'best', 'last', or numbers of updates that are kept.
        weights: Which of the model's samplers; by default the first.

    Raises:
        BadFile: For a checkpoint that is missing or damaged.
        BadValue: For fewer than two different checkpoints, weights that do not fit each other, or a
            model without a generator.
    """
    errors.require(len(names) > 1, "average", "at least two checkpoints", len(names))
    runs = [loaded.load(folder, checkpoint=_which(name)) for name in names]
    updates = [run.update for run in runs]
    need = "different checkpoints"
    got = f"updates {', '.join(map(str, updates))}"
    errors.require(len({*updates}) == len(updates), "average", need, got)
    stages = {run.learner.stage for run in runs if isinstance(run.learner, Staged)}
    errors.require(len(stages) < 2, "average", "checkpoints of one stage", got)
    newest_first = sorted(runs, key=lambda run: -run.update)
    generators = [_generator(run, weights).G for run in newest_first]
    generators[0].load_state_dict(mean([G.state_dict() for G in generators]))
    return dataclasses.replace(
        newest_first[0], checkpoint=f"mean of updates {', '.join(map(str, updates))}"
    )


def _which(name: str) -> loaded.Which | int:
    if name.isascii() and name.isdecimal() and len(name) < 19:
        return int(name)
    errors.require(name in ("best", "last"), "average", "'best', 'last' or update numbers", name)
    return "best" if name == "best" else "last"


def _generator(run: Run, weights: str | None) -> GeneratorSampler:
    sampler = run.sampler(weights)
    if not isinstance(sampler, GeneratorSampler):
        need = "a run of a model with a generator x = G(z) (a game, a VAE)"
        raise errors.bad_value("run", need, f"a '{run.config.model.kind}'")
    return sampler


def mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several states of one module, in float64, of the types of the first.

    Whole numbers, such as counts of minibatches, are those of the first.

    Raises:
        BadValue: Where names, shapes or types differ.
    """
    first = states[0]
    for other in states[1:]:
        names = {*first} ^ {*other}
        errors.require(not names, "average", "states of one model", ", ".join(sorted(names)))
        for name in first:
            need, got = ((s[name].dtype, tuple(s[name].shape)) for s in (first, other))
            errors.require(need == got, name, f"of one type and shape, {need}", got)
    return {
        name: torch.stack([s[name].double() for s in states]).mean(dim=0).to(t.dtype)
        if t.is_floating_point()
        else t.clone()
        for name, t in first.items()
    }
