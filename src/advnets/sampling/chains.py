r"""Sampling by Markov chains: burn-in, thinning, many chains side by side.

A model gives the transition (a `Kernel`); this module runs it. No state is kept between two calls:
samples number 900 to 999 need a run from the start, and are the same bits each time.
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
    """How a model's Markov chains are run, and what is shown of their states."""

    chains: int = 100
    """Parallel chains; sample number i is of chain i % `chains`."""
    burn_in: int = 1_000
    """Steps of each chain before its first kept state (0 keeps the initial state)."""
    thin: int = 10
    """Steps between two kept states."""
    init: Begin = "noise"
    """Initial states: 'noise', or 'data', the first examples seen."""
    shown: Shown = "means"
    """What is shown of a state: 'means' (the usual choice for Parzen windows) or 'binary' values
    drawn from them."""

    def __post_init__(self) -> None:
        errors.at_least(1, chains=self.chains, thin=self.thin)
        errors.at_least(0, burn_in=self.burn_in)
        errors.one_of(get_args(Begin), init=self.init)
        errors.one_of(get_args(Shown), shown=self.shown)

    def run(self, kernel: Kernel) -> "MarkovChain":
        """The chains of this kernel."""
        return MarkovChain(kernel, chains=self.chains, burn_in=self.burn_in, thin=self.thin)


class MarkovChain:
    r"""Chains of one kernel, side by side: a `Chain` sampler.

    .. math:: s_0 \sim init, \quad s_{t+1} \sim step(s_t), \quad
              x_j = observe(s_{burn\_in + j \cdot thin})

    Sample number i is x_j of chain i % chains, with j = i // chains. All chains make every step,
    whatever n is, so `sample(n)[:m]` equals `sample(m)` bit for bit.

    Args:
        kernel: The transition.
        chains: Number of parallel chains.
        burn_in: Steps before the first kept state; 0 keeps the initial state.
        thin: Steps between two kept states.
        bound: Absolute value of a state above which a chain counts as diverged. (The check
            synchronises the device at every step.)

    Raises:
        BadValue: For fewer than one chain, or a thinning below 1.
        Diverged: While sampling, for a state beyond the bound or not finite; names the step and the
            value.
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
        """The kept states of chains of `length` states each.

        Args:
            length: States of each chain, including the first one and the burn-in.
            seed: Seed of the steps and the initial states.
            first: Number of the first kept state to return.

        Returns:
            Of shape `(kept, chains, *event_shape)`.

        Raises:
            BadValue: When no state is left after the burn-in.
        """
        if length <= self.burn_in:
            raise errors.bad_value(
                "length",
                f"above the burn-in, {self.burn_in} states, of which none is kept",
                f"a chain of {length}",
            )
        shown = []
        for t, state in enumerate(self._states(length, seed)):
            j, between = divmod(t - self.burn_in, self.thin)
            if j >= first and between == 0:
                # A stream for each: what is shown must not depend on what was shown before.
                own = rng.for_samples(seed, "shown of the chains", j)
                shown.append(self.kernel.observe(state, rng=own))
        return torch.stack(shown)

    def _states(self, length: int, seed: int) -> Iterator[Tensor]:
        moves = rng.for_samples(seed, "moves of the chains")
        state = self.kernel.init(self.chains, rng=moves)
        for t in range(length):
            if t:
                state = self.kernel.step(state, rng=moves)
            largest = state.abs().max().item()
            if not largest <= self.bound:  # what is not a number is below nothing
                raise errors.Diverged(
                    f"The chain's state reaches {largest:g} at step {t} (bound {self.bound:g}): "
                    "the feedback loop "
                    "has no bound of its own. Sigmoid or tanh units have one; piecewise linear "
                    "units do not."
                )
            yield state
