"""Randomness: one seed, named streams, one state to save.

A stream is a `torch.Generator`. The stream of training steps is on the device of the model, so that
nothing has to be copied there. All others are on the CPU and give the same numbers everywhere. Each
stream has a name: drawing a picture in the middle of a run does not change the masks of the next
update.

torch's CPU generator keeps only 32 bits of a seed. That is enough for the streams of a training run
(`generator`): two of them draw different things, or for different weights. Samples are numbered by
the million, so that 32 bits would give the same sample twice: what is drawn from a model comes from
streams whose whole state is derived (`per_sample`, `for_samples`).
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors


def derive(seed: int, name: str, index: int = 0) -> int:
    """A 63-bit seed for the stream called `name` (and number `index`) under `seed`."""
    errors.at_least(0, seed=seed)
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(
    seed: int, name: str, index: int = 0, *, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh generator: a pure function of `(seed, name, index)` and the kind of device."""
    return torch.Generator(device).manual_seed(derive(seed, name, index))


def per_sample(seed: int, start: int, n: int) -> Iterator[torch.Generator]:
    """One generator for each sample number `start` to `start + n - 1`: a function of `(seed, i)`.

    The iterator yields the same object each time: draw from it before the next one.
    """
    errors.at_least(0, seed=seed, start=start)
    errors.at_least(1, n=n)
    return _whole_states(seed, "sample", start, n)


def for_samples(seed: int, name: str, index: int = 0) -> torch.Generator:
    """A fresh generator on the CPU for what is drawn from a model under this seed and name."""
    return next(_whole_states(seed, name, index, 1))


_WORDS = 624  # of a Mersenne twister's state
_AT = slice(24, 24 + 8 * _WORDS)  # where torch's `get_state` holds them, 8 bytes each
_AT_ONCE = 256


def _whole_states(seed: int, name: str, start: int, n: int) -> Iterator[torch.Generator]:
    """One generator, over and over, whose state is set for numbers `start` to `start + n - 1`.

    The words of a state are Philox's, a counter-based generator: its key is a hash of seed and name
    (128 bits), its counter the number. So two states agree only where two hashes do.

    Reference: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3".
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16, person=b"advnets").digest()
    key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    rng = torch.Generator()
    state = rng.get_state()
    words: np.ndarray[Any, np.dtype[np.uint64]] = state.numpy()[_AT].view(np.uint64)
    for first in range(start, start + n, _AT_ONCE):
        rows = min(_AT_ONCE, start + n - first)
        counter = first * (_WORDS // 8)  # one count gives four numbers of 64 bits
        raw = np.random.Philox(key=key, counter=counter).random_raw(rows * _WORDS // 2)
        for row in raw.astype("<u8").view("<u4").reshape(rows, _WORDS):
            words[:] = row
            yield rng.set_state(state)


class Generators:
    """The random streams of a run, and torch's global stream beside them.

    A user's `nn.Dropout` can only draw from torch's global stream, so `seed_global` seeds that one,
    and it is saved and restored with the others. A training that begins after `begun` updates has
    its own streams.
    """

    NAMES = ("step",)

    def __init__(self, seed: int, *, device: torch.device | str = "cpu", begun: int = 0) -> None:
        errors.at_least(0, seed=seed)
        self.begun = begun
        self.seed, self._on_gpu = seed, torch.device(device).type == "cuda"
        self._streams = {name: generator(seed, name, begun, device=device) for name in self.NAMES}

    def __getitem__(self, name: str) -> torch.Generator:
        return self._streams[name]

    def seed_global(self) -> None:
        """Seed torch's global stream from this run's seed."""
        seed = derive(self.seed, "global", self.begun)
        torch.default_generator.manual_seed(seed)
        if self._on_gpu:  # else they are the user's
            torch.cuda.manual_seed_all(seed)

    def state(self) -> dict[str, Tensor]:
        """The state of every stream, by name."""
        states = {name: rng.get_state() for name, rng in self._streams.items()}
        if self._on_gpu:
            states["global on the GPU"] = torch.cuda.get_rng_state()
        return states | {"global": torch.get_rng_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore every stream from `state()`; `BadValue` where one is missing."""
        for name in (*self.NAMES, "global"):
            errors.require(name in state, f"rng.{name}", "in the saved state", "nothing")
        own = self.state()
        for name in own.keys() & state.keys():
            need, got = (f"{t.dtype} of shape {tuple(t.shape)}" for t in (own[name], state[name]))
            errors.require(need == got, f"rng.{name}", need, got)
        for name, rng in self._streams.items():
            rng.set_state(state[name])
        torch.set_rng_state(state["global"])
        if self._on_gpu:
            torch.cuda.set_rng_state(state["global on the GPU"])
