"""torch's schedulers in a training: stepped once an update, saved and resumed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from advnets.base import errors


def refuse_others(schedulers: Sequence[LRScheduler]) -> None:
    """Raise `BadValue` for what does not step by the update alone."""
    for s in schedulers:
        steps = isinstance(s, LRScheduler) and not isinstance(s, ReduceLROnPlateau)
        need = "torch's, which step once an update (one that waits for a metric: in a callback)"
        errors.require(steps, "schedulers", need, type(s).__name__)


def step(schedulers: Sequence[LRScheduler]) -> None:
    """Step each once. Raises `BadValue` for one that is at its end."""
    for scheduler in schedulers:
        try:
            scheduler.step()
        except ValueError as error:  # OneCycleLR's total_steps
            raise errors.bad_value("schedulers", "as long as the training", error) from None


def states(schedulers: Sequence[LRScheduler]) -> list[Any]:
    """The states of schedulers as JSON. Raises `BadValue` for values that JSON cannot hold."""
    found = [_plain(s.state_dict()) for s in schedulers]
    for scheduler, state in zip(schedulers, found, strict=True):
        try:
            json.dumps(state)
        except (TypeError, ValueError):
            need, name = "one whose state is numbers and lists", type(scheduler).__name__
            raise errors.bad_value("schedulers", need, name) from None
    return found


def _plain(state: Any) -> Any:
    """A state without counters of milestones, which the constructor sets."""
    if isinstance(state, Mapping):
        return {k: _plain(v) for k, v in state.items() if not isinstance(v, Counter)}
    return [_plain(v) for v in state] if isinstance(state, list | tuple) else state


def load_states(schedulers: Sequence[LRScheduler], saved: Sequence[Any]) -> None:
    """The inverse of `states`; learning rates are restored too."""
    need = f"the {len(saved)} of the run that goes on, in their order"
    errors.require(len(schedulers) == len(saved), "schedulers", need, len(schedulers))
    for scheduler, state in zip(schedulers, saved, strict=True):
        scheduler.load_state_dict(dict(state))
        rates = state.get("_last_lr", ())
        for group, lr in zip(scheduler.optimizer.param_groups, rates, strict=False):
            group["lr"] = lr
