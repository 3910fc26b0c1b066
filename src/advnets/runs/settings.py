"""The settings of every run besides its data and its model. They are checked without torch."""

from dataclasses import dataclass, field
from typing import get_args

from advnets.base import errors
from advnets.base.choices import Device
from advnets.base.config import RESUMABLE, refuse_unrepresentable


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Base of the configuration of a run."""

    recipe: str = field(default="", metadata=RESUMABLE)
    """The recipe that it is based on."""
    seed: int = 0
    """Seed of everything: initial weights, order of the data, noise, masks."""
    batch_size: int = 100
    """Examples in a minibatch; under `torchrun` each process gets its share of them."""
    device: Device = "cpu"
    """Device: 'cpu', or 'cuda' for an NVIDIA GPU: untried, and with other random numbers."""

    def __post_init__(self) -> None:
        refuse_unrepresentable(self)
        errors.at_least(0, seed=self.seed)
        errors.at_least(1, batch_size=self.batch_size)
        errors.one_of(get_args(Device), device=self.device)
