"""Warnings while a game trains, computed from the values that are logged anyway.

What is warned of, and how long it must last. Under these bounds the monitor is silent on the
published MNIST run and on every setting of docs/results/mnist-study.md that learnt, and warns on
those that did not::

    D dominates      D(x) above .95 and D(G(z)) below .02, in the mean of the last 20 logged values
                     and 1,000 updates
    D at chance      both within .02 of 1/2 at each of the first 20 logged values, 1,000 updates
    oscillation      D(G(z)) from below .2 to above .8 or back, 6 times in 60 logged values
    bounded logits   every logit of the minibatch, on data and samples, in [0, 1] at each of the
                     last 20 logged values and 1,000 updates, and D(x) + D(G(z)) above 1.1 in their
                     mean. A sigmoid as D's last layer does that. In any other D the last bias
                     leaves this range, because the derivative of V in it is 1 - D(x) - D(G(z)).
                     Tested only for losses that descend -V
    mode collapse    the mean distance between samples of the fixed z is less than half of that
                     between examples, in three pictures after update 2,000

A missing mode is not detected while the others are far apart: `advnets evaluate` counts classes.

Reference: Goodfellow et al. (2014), Sections 3 and 6.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

LOGGED, UPDATES = 20, 1_000
"""How long a condition must last before the warning: at least as long as both."""
SURE, FOOLED = 0.95, 0.02
CHANCE = 0.02
UNBALANCED, OF_V = 1.1, ("minimax", "non-saturating")
LOW, HIGH, SWINGS, LATEST = 0.2, 0.8, 6, 60
CLOSE, PICTURES, EARLY = 0.5, 3, 2_000


FORMERLY = {
    "D has won": "D dominates",
    "D squashed": "bounded logits",
    "collapse": "mode collapse",
}
"""What warnings are called in the logs of older versions."""


@dataclass(frozen=True, kw_only=True)
class Warned:
    """One warning: its name, and a sentence that says what was seen and what usually helps."""

    name: str
    sentence: str


def spread(samples: Tensor, examples: Tensor) -> float:
    """Mean distance between two of some samples over that between two of as many examples.

    Args:
        samples: Of shape `(n, *event_shape)`, n at least 2.
        examples: Of shape `(m, *event_shape)`.

    Returns:
        About 1 where the samples are as varied as the data, 0 where all samples are equal, and 1
        where all examples are equal.
    """
    apart, own = (torch.pdist(x.flatten(1).float()).mean().item() for x in (samples, examples))
    return apart / own if own > 0 else 1.0


def latest_of(logged: Sequence[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """The lines (update, ...) of the last 20 values and 1,000 updates; none in a shorter log."""
    if len(logged) < LOGGED or logged[-1][0] < UPDATES:
        return []
    since = min(logged[-1][0] - UPDATES + 1, logged[-LOGGED][0])
    return [line for line in logged if line[0] >= since]


class Monitor:
    """Reads a run's log line by line, and warns once of each failure.

    Its warnings are a function of the lines alone: a resumed run reads its own log again and warns
    as if it had never stopped.

    Args:
        objective: What G descends, 'minimax' or 'non-saturating'. It decides what is left of G's
            gradient when D dominates.
    """

    def __init__(self, objective: str = "non-saturating") -> None:
        self.objective = objective
        self._logged: deque[tuple[int, float, float]] = deque(maxlen=max(UPDATES, LATEST))
        self._inside: deque[tuple[int, float, float]] = deque(maxlen=UPDATES)
        self._spreads: deque[float] = deque(maxlen=PICTURES)
        self._first = True
        self._given: set[str] = set()
        self._rules: dict[str, Callable[[], str]] = {
            "D dominates": self._dominates,
            "D at chance": self._at_chance,
            "bounded logits": self._bounded,
            "oscillation": self._oscillates,
            "mode collapse": self._collapsed,
        }

    def read(self, record: Mapping[str, Any]) -> list[Warned]:
        """The warnings after one more line of `metrics.jsonl`; usually none."""
        if "D_x" in record and "D_Gz" in record:
            self._logged.append((record["update"], record["D_x"], record["D_Gz"]))
            if "inside" in record:
                both = record["D_x"] + record["D_Gz"]
                self._inside.append((record["update"], record["inside"], both))
        elif "spread" in record and record["update"] > EARLY:
            self._spreads.append(record["spread"])
        elif "warning" in record:
            self._given.add(FORMERLY.get(record["warning"], record["warning"]))
        said = []
        for name, rule in self._rules.items():
            sentence = "" if name in self._given else rule()
            if sentence:
                self._given.add(name)
                said.append(Warned(name=name, sentence=sentence))
        return said

    def _lately(self) -> list[tuple[int, float, float]]:
        """The lines of the last 20 values and 1,000 updates."""
        return latest_of(self._logged)

    def _dominates(self) -> str:
        lines = self._lately()
        if not lines:
            return ""
        D_x, D_Gz = (sum(line[i] for line in lines) / len(lines) for i in (1, 2))
        if D_x < SURE or D_Gz > FOOLED:
            return ""
        gradient = (
            "under the minimax objective G's gradient then vanishes, and "
            "--model.objective non-saturating keeps it"
            if self.objective == "minimax"
            else "under the non-saturating objective G still has a gradient, but nearly the same "
            "one for every sample"
        )
        return (
            f"D dominates: D(x) {D_x:.2f} and D(G(z)) {D_Gz:.3f} in the mean since update "
            f"{lines[0][0]:,}; {gradient}. What usually helps, in a new run: a lower learning rate "
            "or more dropout for D, noise on its inputs, or another seed."
        )

    def _at_chance(self) -> str:
        lines = self._lately() if self._first else []
        if not lines:
            return ""
        self._first = False
        if any(abs(D - 0.5) > CHANCE for line in self._logged for D in line[1:]):
            return ""
        return (
            f"D is at chance since the start: D(x) and D(G(z)) are still 0.50 at update "
            f"{lines[-1][0]:,}, so G does not learn either. What usually helps: a higher learning "
            "rate or larger initial weights for D, less dropout, and data in the range of G's "
            "outputs."
        )

    def _bounded(self) -> str:
        lines = latest_of(self._inside) if self.objective in OF_V else []
        if not lines or any(inside < 1 for _, inside, _ in lines):
            return ""
        if sum(both for _, _, both in lines) / len(lines) < UNBALANCED:
            return ""
        return (
            f"D's logits are bounded: all since update {lines[0][0]:,} lie in [0, 1], on data and "
            "on samples, as if D ended in a sigmoid; D(x) then cannot exceed 0.73. What to change, "
            "in a new run: let D return the logit, before the sigmoid."
        )

    def _oscillates(self) -> str:
        latest = [D_Gz for _, _, D_Gz in [*self._logged][-LATEST:]]
        sides = [D_Gz > HIGH for D_Gz in latest if D_Gz < LOW or D_Gz > HIGH]
        swings = sum(a != b for a, b in pairwise(sides))
        if swings < SWINGS:
            return ""
        return (
            f"Oscillation: D(G(z)) went {swings} times between below {LOW} and above {HIGH} in "
            f"the last {LATEST} logged values. What usually helps: lower learning rates or less "
            "momentum for both players, or learning rates that anneal to zero."
        )

    def _collapsed(self) -> str:
        if len(self._spreads) < PICTURES or max(self._spreads) > CLOSE:
            return ""
        return (
            "Mode collapse: the mean distance between samples of the fixed z is "
            f"{self._spreads[-1]:.2f} times that between examples (1 is right). What usually "
            "helps: more updates of D for each of G (--model.k), a lower learning rate for G, or "
            "an earlier checkpoint."
        )
