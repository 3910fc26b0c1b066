"""Warnings while a game is played, read from what is logged of it anyway.

What is seen, and how long it must last (the bounds keep silent on the published MNIST run and on
every setting of docs/mnist-study.md that learnt, and speak on those that did not):

    D has won      D(x) above .95 and D(G(z)) below .02, in the mean of the last 20 logged values
                   and 1,000 updates
    D at chance    both within .02 of 1/2 at each of the first 20 logged values, 1,000 updates
    oscillation    D(G(z)) from below .2 to above .8 or back, 6 times in 60 logged values
    collapse       the samples of the fixed z less than half as far apart as examples are, in three
                   pictures after update 2,000

A mode that is missing while the others are far apart is not seen: `advnets evaluate` counts them.

Reference: Goodfellow et al. (2014), Sections 3 and 6.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

LOGGED, UPDATES = 20, 1_000
"""How long a thing must last before it is spoken of: at least as long as both."""
SURE, FOOLED = 0.95, 0.02
CHANCE = 0.02
LOW, HIGH, SWINGS, LATEST = 0.2, 0.8, 6, 60
CLOSE, PICTURES, EARLY = 0.5, 3, 2_000


@dataclass(frozen=True, kw_only=True)
class Warned:
    """One warning: what it is called, and a sentence with what usually helps."""

    name: str
    sentence: str


def spread(samples: Tensor, examples: Tensor) -> float:
    """Mean distance between two of some samples over that between two of as many examples.

    Args:
        samples: Of shape `(n, *event_shape)`, n at least 2.
        examples: Of shape `(m, *event_shape)`.

    Returns:
        Near 1 where the samples are as varied as the data, 0 where they are all one; 1 where the
        examples are all one themselves.
    """
    apart, own = (torch.pdist(x.flatten(1).float()).mean().item() for x in (samples, examples))
    return apart / own if own > 0 else 1.0


class Monitor:
    """Reads a run's log line by line, and warns once of each thing that goes wrong.

    What it says is a function of the lines alone, so a resumed run reads its own log again and goes
    on as if it had never stopped.

    Args:
        objective: What G descends, 'minimax' or 'non-saturating'; it decides what D's victory means
            for G.
    """

    def __init__(self, objective: str = "non-saturating") -> None:
        self.objective = objective
        self._logged: deque[tuple[int, float, float]] = deque(maxlen=max(UPDATES, LATEST))
        self._spreads: deque[float] = deque(maxlen=PICTURES)
        self._first = True
        self._given: set[str] = set()
        self._rules: dict[str, Callable[[], str]] = {
            "D has won": self._won,
            "D at chance": self._at_chance,
            "oscillation": self._oscillates,
            "collapse": self._collapsed,
        }

    def read(self, record: Mapping[str, Any]) -> list[Warned]:
        """What is to be said after one more line of `metrics.jsonl`; mostly nothing."""
        if "D_x" in record and "D_Gz" in record:
            self._logged.append((record["update"], record["D_x"], record["D_Gz"]))
        elif "spread" in record and record["update"] > EARLY:
            self._spreads.append(record["spread"])
        elif "warning" in record:
            self._given.add(record["warning"])
        said = []
        for name, rule in self._rules.items():
            sentence = "" if name in self._given else rule()
            if sentence:
                self._given.add(name)
                said.append(Warned(name=name, sentence=sentence))
        return said

    def _lately(self) -> list[tuple[int, float, float]]:
        """The lines of the last while; none before it has passed."""
        if not self._logged or len(self._logged) < LOGGED or self._logged[-1][0] < UPDATES:
            return []
        since = min(self._logged[-1][0] - UPDATES + 1, self._logged[-LOGGED][0])
        return [line for line in self._logged if line[0] >= since]

    def _won(self) -> str:
        lines = self._lately()
        if not lines:
            return ""
        D_x, D_Gz = (sum(line[i] for line in lines) / len(lines) for i in (1, 2))
        if D_x < SURE or D_Gz > FOOLED:
            return ""
        gradient = (
            "under the minimax objective G's gradient is then gone, and "
            "--model.objective non-saturating keeps it"
            if self.objective == "minimax"
            else "G still has a gradient under the non-saturating objective, but one that hardly "
            "tells its samples apart"
        )
        return (
            f"D has won: D(x) {D_x:.2f} and D(G(z)) {D_Gz:.3f} in the mean since update "
            f"{lines[0][0]:,}; {gradient}. What usually helps, in a new run: a lower rate or more "
            "dropout for D, noise on its inputs, or another seed."
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
            f"{lines[-1][0]:,}, so G learns nothing either. What usually helps: a higher rate or "
            "larger initial weights for D, less dropout, and data of the scale that G can draw."
        )

    def _oscillates(self) -> str:
        latest = [D_Gz for _, _, D_Gz in [*self._logged][-LATEST:]]
        sides = [D_Gz > HIGH for D_Gz in latest if D_Gz < LOW or D_Gz > HIGH]
        swings = sum(a != b for a, b in pairwise(sides))
        if swings < SWINGS:
            return ""
        return (
            f"The game oscillates: D(G(z)) went {swings} times between below {LOW} and above "
            f"{HIGH} in the last {LATEST} logged values. What usually helps: lower rates or less "
            "momentum for both players, or rates that anneal to zero."
        )

    def _collapsed(self) -> str:
        if len(self._spreads) < PICTURES or max(self._spreads) > CLOSE:
            return ""
        return (
            f"The samples have collapsed: those of the fixed z are {self._spreads[-1]:.2f} times "
            "as far apart as examples are (1 is right). What usually helps: more updates of D for "
            "each of G (--model.k), a lower rate for G, or an earlier checkpoint."
        )
