"""Familiar names of options: `--steps`, `--lr` and `--epochs`."""

import math
from collections.abc import Mapping
from typing import Any

from advnets.base import errors
from advnets.cli import switches

STEPS = "trainer.steps"
PLAYERS = ["model.G_optimizer.lr", "model.D_optimizer.lr"]


def unaliased(words: list[str], hints: Mapping[str, Any]) -> list[str]:
    """The command line with full names in place of familiar ones.

    `--steps` is `--trainer.steps`; `--lr` is the learning rate of G and of D, or the only one of a
    model. A full name beside it wins.

    Args:
        words: The command line.
        hints: Every option with its type; a familiar name that is itself one stays.
    """
    aliases = {"steps": [STEPS] if STEPS in hints else [], "lr": _rates(hints)}
    first: list[str] = []
    rest: list[str] = []
    i = 0
    while i < len(words):
        name, equals, value = words[i].removeprefix("--").partition("=")
        full = aliases.get(name, []) if words[i].startswith("--") and name not in hints else []
        if not full:
            rest.append(words[i])
            i += 1
            continue
        own = [value] if equals else words[i + 1 : i + 2]
        first += [word for other in full for word in (f"--{other}", *own)]
        i += 1 if equals else 2
    return first + rest


def _rates(hints: Mapping[str, Any]) -> list[str]:
    """The learning rates that `--lr` means: one, or G's and D's; [] where there are others."""
    found = [name for name in hints if name.endswith(".lr")]
    return found if len(found) == 1 or found == PLAYERS else []


def without_epochs(words: list[str]) -> tuple[list[str], float | None]:
    """The command line without `--epochs N`, and N.

    Raises:
        BadValue: For no positive number, or a number of updates beside it.
    """
    given = [values for name, values in switches.options(words) if name == "epochs"]
    if not given:
        return words, None
    text = " ".join(given[-1])
    try:
        epochs = float(text)
    except ValueError:
        raise errors.bad_value("epochs", "a number", errors.short(text, 60) or "nothing") from None
    errors.positive(epochs=epochs)
    if any(name in ("steps", "trainer.steps") for name, _ in switches.options(words)):
        need = "given without --steps, the number of updates"
        raise errors.bad_value("epochs", need, "both")
    rest, i = [], 0
    while i < len(words):
        if words[i].partition("=")[0] == "--epochs":
            i += 1 if "=" in words[i] else 2
        else:
            rest.append(words[i])
            i += 1
    return rest, epochs


def updates(epochs: float, *, minibatches: int, k: int) -> int:
    """The updates in some passes over the training set, rounded up.

    Args:
        epochs: Passes over the training set.
        minibatches: Minibatches in one pass.
        k: Minibatches in one update.
    """
    return math.ceil(epochs * minibatches / k)
