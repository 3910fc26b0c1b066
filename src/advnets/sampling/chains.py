r"""Sampling by Markov chains: burn-in, thinning, many chains side by side.

A model gives the transition (a `Kernel`); this module runs it. Nothing of a chain is kept between
two calls: whoever asks for samples number 900 to 999 has the first 899 made again, and gets the
same bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors, rng
from advnets.base.protocols import Kernel

Shown = Literal["means", "binary"]
Begin = Literal["noise", "data"]


@dataclass(frozen=True, kw_only=True)
class ChainConfig:
    """How a model's Markov chains are run, and what is seen of them."""

    chains: int = 100
    """Chains that run side by side; sample number i is of chain i % `chains`."""
    burn_in: int = 1_000
    """Moves of each chain before the first state that is kept (0 keeps where it begins)."""
    thin: int = 10
    """Moves between two states that are kept."""
    begin: Begin = "noise"
    """Where chains begin: 'noise', or 'data', the first examples seen."""
    shown: Shown = "means"
    """What is seen of a state: 'means' (what a Parzen window is put on, as the field does) or
    'binary' (drawn from them)."""

    def __post_init__(self) -> None:
        errors.at_least(1, chains=self.chains, thin=self.thin)
        errors.at_least(0, burn_in=self.burn_in)
        errors.one_of(get_args(Begin), begin=self.begin)
        errors.one_of(get_args(Shown), shown=self.shown)

    def run(self, kernel: Kernel) -> "MarkovChain":
        """The chains of this kernel."""
        return MarkovChain(kernel, chains=self.chains, burn_in=self.burn_in, thin=self.thin)


class MarkovChain:
    r"""Chains of one kernel, side by side: a `Chain` sampler.

    .. math:: s_0 \sim begin, \quad s_{t+1} \sim move(s_t), \quad
              x_j = show(s_{burn\_in + j \cdot thin})

    Sample number i is x_j of chain i % chains, with j = i // chains. All chains move at every step,
    whatever is asked for, so `sample(n)[:m]` equals `sample(m)` bit for bit.

    Args:
        kernel: The transition.
        chains: Chains that run side by side.
        burn_in: Moves before the first state that is kept; with 0 that is where a chain begins.
        thin: Moves between two states that are kept.
        bound: Largest absolute value of a state that is not taken for a runaway. (The check waits
            for the device at every step.)

    Raises:
        BadValue: For no chain, or a thinning below 1.
        Diverged: From what samples, when a state leaves the bound or the finite numbers: names the
            step and the value.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        chains: int = 1,
        burn_in: int = 0,
        thin: int = 1,
        bound: float = 1e6,
    ) -> None:
        errors.at_least(1, chains=chains, thin=thin)
        errors.at_least(0, burn_in=burn_in)
        errors.positive(bound=bound)
        self.kernel, self.event_shape = kernel, tuple(kernel.event_shape)
        self.chains, self.burn_in, self.thin, self.bound = chains, burn_in, thin, bound

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`."""
        if context is not None:
            raise errors.not_conditional()
        errors.at_least(1, n=n)
        errors.at_least(0, start=start)
        first, last = start // self.chains, (start + n - 1) // self.chains
        length = self.burn_in + last * self.thin + 1
        x = self.walk(length, seed=seed, first=first).flatten(0, 1)
        return x[start - first * self.chains :][:n]

    @torch.no_grad()
    def walk(self, length: int, *, seed: int, first: int = 0) -> Tensor:
        """What chains of `length` states each keep.

        Args:
            length: States of each chain, the first one and the burn-in among them.
            seed: Of the moves; where chains begin may depend on it too.
            first: Number of the first kept state that is shown.

        Returns:
            Of shape `(kept, chains, *event_shape)`.

        Raises:
            BadValue: When no state is left after the burn-in.
        """
        if length <= self.burn_in:
            raise errors.chain_too_short(length, self.burn_in)
        shown = []
        for t, state in enumerate(self._states(length, seed)):
            j, between = divmod(t - self.burn_in, self.thin)
            if j >= first and between == 0:
                # A stream for each: what is shown must not depend on what was shown before.
                own = rng.for_samples(seed, "shown of the chains", j)
                shown.append(self.kernel.show(state, rng=own))
        return torch.stack(shown)

    def _states(self, length: int, seed: int) -> Iterator[Tensor]:
        moves = rng.for_samples(seed, "moves of the chains")
        state = self.kernel.begin(self.chains, rng=moves)
        for t in range(length):
            if t:
                state = self.kernel.move(state, rng=moves)
            largest = state.abs().max().item()
            if not largest <= self.bound:  # what is not a number is below nothing
                raise errors.runaway_chain(largest, t, self.bound)
            yield state
