"""The laws of a chain of samples, on kernels whose law is known."""

import pytest
import torch

from advnets.base.protocols import Chain
from advnets.evaluation.autocorrelation import integrated_time
from advnets.sampling.chains import ChainConfig, MarkovChain


class TwoStates:
    """Leaves 0 with probability p, and 1 with probability q: stationary at (q, p) / (p + q)."""

    event_shape = (1,)

    def __init__(self, p, q):
        self.leave = torch.tensor([p, q])

    def init(self, chains, *, rng):
        return torch.zeros(chains, 1)

    def step(self, state, *, rng):
        leaves = torch.rand(state.shape, generator=rng) < self.leave[state.long()]
        return torch.where(leaves, 1 - state, state)

    def observe(self, state, *, rng):
        return state


class Walk:
    """A walk on the line; what is shown has noise of its own."""

    event_shape = (2,)

    def __init__(self, growth=1.0):
        self.growth, self.moves = growth, 0

    def init(self, chains, *, rng):
        return torch.randn(chains, 2, generator=rng)

    def step(self, state, *, rng):
        self.moves += 1
        return self.growth * state + 0.1 * torch.randn(state.shape, generator=rng)

    def observe(self, state, *, rng):
        return state + 0.01 * torch.randn(state.shape, generator=rng)


@pytest.mark.parametrize("chains", [1, 3, 7])
@pytest.mark.parametrize("thin", [1, 4])
def test_the_prefix_law_holds_bit_for_bit_whatever_the_start(chains, thin):
    chain = MarkovChain(Walk(), chains=chains, burn_in=5, thin=thin)
    assert isinstance(chain, Chain)
    whole = chain.sample(23, seed=4)
    for start, n in [(0, 1), (0, 22), (1, 5), (7, 9), (22, 1)]:
        assert torch.equal(chain.sample(n, seed=4, start=start), whole[start : start + n])
    assert not torch.equal(chain.sample(23, seed=5), whole)


def test_sample_i_is_a_kept_state_of_chain_i_modulo_chains():
    kernel = Walk()
    kernel.observe = lambda state, rng: state
    states = MarkovChain(kernel, chains=3).walk(20, seed=0)
    x = MarkovChain(kernel, chains=3, burn_in=4, thin=5).sample(8, seed=0)
    for i in range(8):
        assert torch.equal(x[i], states[4 + 5 * (i // 3), i % 3])


def test_it_moves_no_further_than_is_asked():
    kernel = Walk()
    MarkovChain(kernel, chains=3, burn_in=4, thin=5).sample(8, seed=0)
    assert kernel.moves == 4 + 2 * 5


def test_two_states_are_visited_at_their_stationary_frequencies():
    p, q = 0.1, 0.3
    x = MarkovChain(TwoStates(p, q), chains=50, burn_in=100).walk(2100, seed=1)
    assert x.shape == (2000, 50, 1)
    pi = p / (p + q)
    # The second eigenvalue of the transition is 1 - p - q: the states' autocorrelation is AR(1)'s.
    tau = (2 - p - q) / (p + q)
    error = (pi * (1 - pi) * tau / x.numel()) ** 0.5
    assert abs(x.mean().item() - pi) < 4 * error
    stays = (x[1:] == x[:-1])[x[:-1] == 0].float()
    assert abs(stays.mean().item() - (1 - p)) < 4 * (p * (1 - p) / len(stays)) ** 0.5
    assert integrated_time(x).item() == pytest.approx(tau, rel=0.1)


@pytest.mark.parametrize(("growth", "bound"), [(3.0, 1e6), (1e30, 1e30)])
def test_a_runaway_is_named_with_its_step_and_value(growth, bound):
    chain = MarkovChain(Walk(growth), chains=2, bound=bound)
    states, t = chain.kernel.init(2, rng=torch.Generator().manual_seed(0)), 0
    assert states.abs().max() < 10
    with pytest.raises(FloatingPointError) as caught:
        chain.sample(2000, seed=0)
    words = str(caught.value)
    value, t = float(words.split()[4]), int(words.split()[7])
    assert value > bound and words.startswith("The chain's state reaches ")
    assert chain.walk(t, seed=0).abs().max() <= bound * 1.01
    with pytest.raises(FloatingPointError):
        chain.walk(t + 1, seed=0)


def test_what_is_not_a_number_is_a_runaway():
    kernel = Walk()
    kernel.step = lambda state, rng: state * float("nan")
    with pytest.raises(FloatingPointError, match="state reaches nan at step 1 "):
        MarkovChain(kernel, chains=2).sample(3, seed=0)


def test_bad_settings():
    for name, settings in {"chains": {"chains": 0}, "thin": {"thin": 0}}.items():
        for make in (lambda **s: ChainConfig(**s), lambda **s: MarkovChain(Walk(), **s)):
            with pytest.raises(ValueError, match=f"'{name}' must be a number that is at least 1"):
                make(**settings)
    with pytest.raises(ValueError, match="'burn_in' must be a number that is at least 0, got -1"):
        ChainConfig(burn_in=-1)
    words = "'length' must be above the burn-in, 10 states, of which none is kept, got a chain of 7"
    with pytest.raises(ValueError, match=words):
        MarkovChain(Walk(), burn_in=10).walk(7, seed=0)


def test_a_configuration_runs_a_kernel():
    config = ChainConfig(chains=3, burn_in=4, thin=5)
    chain = config.run(Walk())
    assert (chain.chains, chain.burn_in, chain.thin) == (3, 4, 5)
