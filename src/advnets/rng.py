"""Randomness: one seed, named streams, one state to save.

A stream is a `torch.Generator`. The one that a step draws from lives where the game is played, so
that nothing has to be sent there; all others are on the CPU and give the same numbers everywhere.
Names keep streams apart: a picture drawn in the middle of a run does not move the masks of the next
update.
"""

import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from advnets import checks


def derive(seed: int, name: str, index: int = 0) -> int:
    """A 63-bit seed for the stream called `name` (and number `index`) under `seed`."""
    checks.at_least(0, seed=seed)
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(
    seed: int, name: str, index: int = 0, *, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh generator: a pure function of `(seed, name, index)` and the kind of device."""
    return torch.Generator(device).manual_seed(derive(seed, name, index))


def per_sample(seed: int, start: int, n: int) -> Iterator[torch.Generator]:
    """One generator for each sample number `start` to `start + n - 1`: a function of `(seed, i)`.

    The iterator yields one object over and over, seeded anew, so draw from it before going on.
    torch's CPU generator keeps 32 bits of a seed; consecutive integers keep all samples of one seed
    apart.
    """
    checks.at_least(0, seed=seed, start=start)
    checks.at_least(1, n=n)
    rng = torch.Generator()
    first = derive(seed, "sample") + start
    for i in range(n):
        yield rng.manual_seed((first + i) % 2**32)


class Streams:
    """The random streams of a run, and torch's global stream beside them.

    A user's own `nn.Dropout` can only draw from torch's global stream, so that one is seeded by
    `seed_global`, saved and restored with the rest. What begins after `begun` updates has streams
    of its own.
    """

    NAMES = ("step",)

    def __init__(self, seed: int, *, device: torch.device | str = "cpu", begun: int = 0) -> None:
        checks.at_least(0, seed=seed)
        self.begun = begun
        self.seed, self._on_gpu = seed, torch.device(device).type == "cuda"
        self._streams = {name: generator(seed, name, begun, device=device) for name in self.NAMES}

    def __getitem__(self, name: str) -> torch.Generator:
        return self._streams[name]

    def seed_global(self) -> None:
        """Seed torch's global stream from this run's seed."""
        torch.manual_seed(derive(self.seed, "global", self.begun))

    def state(self) -> dict[str, Tensor]:
        """The state of every stream, by name."""
        states = {name: rng.get_state() for name, rng in self._streams.items()}
        if self._on_gpu:
            states["global on the GPU"] = torch.cuda.get_rng_state()
        return states | {"global": torch.get_rng_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put every stream back to where `state()` found it; `BadValue` where one is missing."""
        for name in (*self.NAMES, "global"):
            checks.require(name in state, f"rng.{name}", "in the saved state", "nothing")
        own = self.state()
        for name in own.keys() & state.keys():
            need, got = (f"{t.dtype} of shape {tuple(t.shape)}" for t in (own[name], state[name]))
            checks.require(need == got, f"rng.{name}", need, got)
        for name, rng in self._streams.items():
            rng.set_state(state[name])
        torch.set_rng_state(state["global"])
        if self._on_gpu:
            torch.cuda.set_rng_state(state["global on the GPU"])
