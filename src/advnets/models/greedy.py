"""Greedy layer-wise training: one layer after the other, on the outputs of the finished ones.

Reference: Bengio et al. (2007), Greedy layer-wise training of deep networks; Hinton et al. (2006).
"""

import dataclasses
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Batch, HasDiagnostics, Info, Learner, Problem, Sampler
from advnets.base.state import below


class Layer(Learner, Protocol):
    """A learner that can have another one on top."""

    def up(self, x: Tensor) -> Tensor:
        """The input of the next layer: codes or means of shape `(n, units)`, without gradient."""
        ...


class GreedyStack:
    """A stack of layers as one learner; the stage is a function of the step number alone.

    All parameters exist from the start. Stage i trains layer i on the data passed up through the
    layers 0 to i - 1, which are fixed by then.

    Args:
        layers: From the data upwards; each takes one minibatch a step.
        updates: Updates of each stage except the last, which has all that follow.

    Raises:
        BadValue: Unless there is one number of updates, at least 1, for each layer but the last.
    """

    batches_per_step = 1

    def __init__(self, layers: Sequence[Layer], updates: Sequence[int]) -> None:
        need = f"{len(layers) - 1} numbers, one for each layer but the last"
        errors.require(len(updates) == len(layers) - 1, "updates", need, len(updates))
        for number in updates:
            errors.at_least(1, updates=number)
        self.layers, self.ends, self.updates = list(layers), list(accumulate(updates)), 0

    def stage(self, update: int) -> int:
        """The layer, from 0, that step number `update` = 0, 1, ... trains."""
        return bisect_right(self.ends, update)

    def up(self, x: Tensor, layers: int) -> Tensor:
        """The data passed up through the first `layers` layers."""
        for layer in self.layers[:layers]:
            x = layer.up(x)
        return x

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One update of the layer of the current stage."""
        (batch,) = batches
        stage = self.stage(self.updates)
        info = self.layers[stage].step((batch._replace(x=self.up(batch.x, stage)),), rng=rng)
        self.updates += 1
        return info

    def diagnostics(self) -> Info:
        """The stage of the last step, from 1, and the diagnostics of its layer."""
        stage = self.stage(max(self.updates - 1, 0))
        layer = self.layers[stage]
        seen = layer.diagnostics() if isinstance(layer, HasDiagnostics) else {}
        return {"stage": torch.tensor(float(stage + 1)), **seen}

    def samplers(self) -> Mapping[str, Sampler]:
        """None; a model with samplers overrides it."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """The state of every layer under its number, and the number of updates."""
        states = (layer.state().items() for layer in self.layers)
        flat = {f"{i}.{name}": t for i, state in enumerate(states) for name, t in state}
        return flat | {"updates": torch.tensor(self.updates)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when it is another model's."""
        if "updates" not in state:
            raise errors.bad_value("state", "a stack's (with 'updates')", "another model's")
        for i, layer in enumerate(self.layers):
            layer.load_state(below(f"{i}.", state))
        self.updates = int(state["updates"])


def problems(problem: Problem, units: Sequence[int], updates: Sequence[int]) -> list[Problem]:
    """The `Problem` of each layer of a stack: its input's shape, and the length of its stage.

    Args:
        problem: The first layer's data, and the whole run.
        units: Units of each layer, whose outputs lie in [0, 1].
        updates: Updates of each stage but the last.
    """
    lengths = [*updates, max(1, problem.steps - sum(updates))]
    inside = [
        dataclasses.replace(
            problem, event_shape=(n,), low=0.0, high=1.0, mean=torch.full((n,), 0.5)
        )
        for n in units[:-1]
    ]
    return [
        dataclasses.replace(p, steps=steps)
        for p, steps in zip([problem, *inside], lengths, strict=True)
    ]
