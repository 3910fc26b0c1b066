r"""Figure 1: training of a pair (G, D) in one dimension.

The paper's four moments. (a) A pair near the start: p_g resembles p_data, D is partly correct. (b)
The inner loop of Algorithm 1: G is fixed and D ascends V, towards :math:`D^*_G = p_\text{data} /
(p_\text{data} + p_g)`. (c) D is fixed and G is updated: D's gradient has moved G(z) to where D
classifies it as data. (d) The end of the run: p_g is close to p_data, and D is close to 1/2.

A run keeps only its last weights, but the same seed gives the same run bit for bit: the figure
trains it again, and draws nothing unless that ends in the weights of the checkpoint. (b) and (c)
are trained from (a) by `Game.step_D` and `Game.step_G`.

p_data is known for a toy mixture; otherwise it is a kernel density of training examples. p_g is the
change of variables :math:`p_z(z) / |dG/dz|` where G is monotone on the support of p_z, and a kernel
density of G's values where it is not. The legend says which.

Reference: Goodfellow et al. (2014), Figure 1.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.distributed import ALONE
from advnets.base.process import subnormals_as_zero
from advnets.base.protocols import Batch
from advnets.base.rng import Generators, generator
from advnets.data import MixtureConfig, Splits
from advnets.game import Game, GameConfig
from advnets.plotting.gan1d import Snapshot, frame, panels
from advnets.plotting.images import Pixels
from advnets.runs.run import Run
from advnets.runs.train import build
from advnets.sampling.priors import Gaussian, Uniform
from advnets.sampling.samplers import evaluating
from advnets.theory import pushforward
from advnets.theory.divergences import JSD
from advnets.theory.optimum import D_star

FRAMES = 60
"""Frames of the animation, denser at the start."""
LIKE_A = 0.1
"""(a) is the moment of the first half whose JSD(p_data || p_g) is closest to this (nats)."""
UPDATES_OF_D, UPDATES_OF_G = 1_000, 400
"""Updates between (a) and (b), and at most between (b) and (c): against a fixed D, G overshoots, so
of every tenth update the one with the least JSD is shown ..."""
RATES = {"D": 1e-3, "G": 1e-4}
"""... by Adam with these learning rates."""
CELLS, POINTS, ARROWS = 1_600, 10_000, 25
"""Numbers of cells of the x axis, of z for p_g, and of arrows."""
SHARP = 0.01
"""Fraction of the axis below which a mode's standard deviation gets an inset."""
BEYOND = 1e-9
"""Probability of the prior's tails that are left out of p_g, on each side."""
EXAMPLES = 20_000
"""Most training examples in a kernel density of the data."""

State = dict[str, Tensor]


def draw(run: Run, *, seed: int = 0, weights: str | None = None) -> Pixels:
    """The four panels of a run.

    Args:
        run: A GAN run on data in one dimension, with one coordinate of z.
        seed: The seed of the noise of (b) and (c).
        weights: 'raw' or None: D was trained against no other G.

    Raises:
        BadFile: When the run is of another kind, or cannot be reproduced.
        BadValue: When the run's data has changed.
    """
    scene = Scene.of(run, weights)
    moments = list(replay(run, scene.splits))
    half = moments[: max(1, len(moments) // 2)]
    update, a = min(half, key=lambda moment: abs(scene.jsd(moment[1]) - LIKE_A))
    noise = (generator(seed, f"figure 1 ({panel})") for panel in "bc")
    b = list(scene.played(a, k=UPDATES_OF_D, moving="D", rng=next(noise)))[-1]
    steps = list(scene.played(b, k=UPDATES_OF_G, moving="G", rng=next(noise)))
    tenths = [(i, steps[i - 1]) for i in range(10, len(steps) + 1, 10)]
    updates, c = min(tenths, key=lambda moment: scene.jsd(moment[1]))
    titles = {
        f"(a) near the start: update {update:,}": a,
        f"(b) D after {UPDATES_OF_D:,} updates more, G at rest": b,
        f"(c) G after {updates} updates more, D at rest": c,
        f"(d) the end of the run: update {run.update:,}": moments[-1][1],
    }
    return panels([scene.snapshot(state, title) for title, state in titles.items()])


def film(run: Run, *, seed: int = 0, weights: str | None = None) -> list[Pixels]:
    """The frames from the initial weights to the checkpoint's; raises as `draw`."""
    del seed  # nothing is random in it
    scene = Scene.of(run, weights)
    return [
        frame(scene.snapshot(state, f"update {update:,} of {run.update:,}"))
        for update, state in replay(run, scene.splits)
    ]


def replay(run: Run, splits: Splits) -> Iterator[tuple[int, State]]:
    """Train a run again up to its checkpoint: the updates of the frames, and the state at each.

    Raises:
        BadFile: When it does not end in the checkpoint's weights.
    """
    with subnormals_as_zero():  # as the run was played
        learner, batches = build(run.config, splits, ALONE)
        rng = Generators(run.config.seed, device=run.config.device)["step"]
        shown = {round(run.update * (i / (FRAMES - 1)) ** 2) for i in range(FRAMES)}
        for update in range(run.update):
            if update in shown:
                yield update, copied(learner.state())
            learner.step(batches.of_step(update, learner.batches_per_step), rng=rng)
        last = copied(learner.state())
        if not all(torch.equal(last[name], t) for name, t in run.learner.state().items()):
            raise errors.BadFile(
                f"{run.folder.path}: must end in its own weights when it is played again, for "
                "Figure 1, got others at "
                f"update {run.update}: it was trained on another machine, with another version "
                "of torch or by "
                "several processes. Train it here once more."
            )
        yield run.update, last


def copied(state: State) -> State:
    """A copy of the state on the CPU."""
    return {name: t.cpu().clone() for name, t in state.items()}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The common parts of all moments of one run: data, x axis, and a game to load states into."""

    run: Run
    game: Game
    prior: Uniform | Gaussian
    splits: Splits
    edges: Tensor
    """The edges of the cells of the x axis, `(m + 1,)`, float64."""
    p_data: Tensor
    """The data's probability below, in and above the cells, `(m + 2,)`."""

    @classmethod
    def of(cls, run: Run, weights: str | None) -> "Scene":
        """The scene of a run, or an error with the reason why it has none."""
        prior = prior_of(run, weights)
        splits = run.splits()
        game, _ = build(replace(run.config, device="cpu"), splits, ALONE)
        assert isinstance(game, Game)
        low, high, _ = splits.statistics
        room = 0.05 * (high - low)
        edges = torch.linspace(low - room, high + room, CELLS + 1, dtype=torch.float64)
        data = run.config.data
        if isinstance(data, MixtureConfig):
            F = data.cdf(edges)
        else:
            F = pushforward.by_kernels(splits.train.x[:EXAMPLES].flatten(), edges, _width(edges))
        p_data = pushforward.masses(F)
        return cls(run=run, game=game, prior=prior, splits=splits, edges=edges, p_data=p_data)

    @property
    def zoom(self) -> tuple[float, float] | None:
        """The neighbourhood of the first mode, where the mode is narrow."""
        data = self.run.config.data
        if not isinstance(data, MixtureConfig):
            return None
        sharp = data.std < SHARP * (self.edges[-1] - self.edges[0])
        low, high = (data.centres[0] + side * 5 * data.std for side in (-1, 1))
        return (low, high) if sharp else None

    def G(self, state: State, z: Tensor) -> Tensor:
        """The samples of these z, in float64: `(n,)` to `(n,)`."""
        self.game.load_state(state)
        G = copy.deepcopy(self.game.G).double()
        with evaluating(G):
            x: Tensor = G(z.double()[:, None])
        return x[:, 0]

    def p_g(self, state: State) -> tuple[Tensor, bool]:
        """The probabilities of samples, like `p_data`, and whether G is monotone."""
        end = self.prior.quantile(torch.tensor(1 - BEYOND, dtype=torch.float64)).item()
        z = torch.linspace(-end, end, POINTS, dtype=torch.float64)
        x, monotone = self.G(state, z), True
        if pushforward.monotone(x):
            F = pushforward.by_change_of_variables(x, self.prior.cdf(z), self.edges)
        else:
            monotone, x = False, self.G(state, self.prior.quantile(quantiles(POINTS)))
            F = pushforward.by_kernels(x, self.edges, _width(self.edges))
        return pushforward.masses(F), monotone

    def jsd(self, state: State) -> float:
        """JSD(p_data || p_g) of the cells' probabilities, in nats."""
        return JSD(self.p_data, self.p_g(state)[0]).item()

    def played(self, state: State, *, k: int, moving: str, rng: torch.Generator) -> Iterator[State]:
        """The state after each of k updates of one network, 'G' or 'D', the other one fixed."""
        self.game.load_state(state)
        G, D, config = self.game.G, self.game.D, self.run.config.model
        assert isinstance(config, GameConfig)
        game = Game(
            G,
            D,
            prior=self.prior,
            G_optimizer=torch.optim.Adam(G.parameters(), RATES["G"]),
            D_optimizer=torch.optim.Adam(D.parameters(), RATES["D"]),
            objective=config.objective,
        )
        x, m = self.splits.train.x, self.run.config.batch_size
        for _ in range(k):
            if moving == "D":
                rows = torch.randint(len(x), (m,), generator=rng)
                game.step_D(Batch(x[rows]), rng=rng)
            else:
                game.step_G(m, rng=rng)
            yield copied(self.game.state())

    def snapshot(self, state: State, title: str) -> Snapshot:
        """One moment, for drawing."""
        p_g, monotone = self.p_g(state)
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        with evaluating(self.game.D):
            D = self.game.D(centres[:, None].float()).sigmoid()[:, 0]
        z, cell = self.prior.quantile(quantiles(ARROWS)), self.edges[1] - self.edges[0]
        exact = isinstance(self.run.config.data, MixtureConfig)
        blurred = f"kernel density of width {_width(self.edges):.2g}"
        return Snapshot(
            title=f"{title}\nJSD($p_{{data}}$, $p_g$) = {JSD(self.p_data, p_g).item():.3f} nats",
            edges=self.edges.numpy(),
            p_data=(self.p_data[1:-1] / cell).numpy(),
            p_g=(p_g[1:-1] / cell).numpy(),
            D=D.double().numpy(),
            D_star=D_star(self.p_data, p_g)[1:-1].numpy(),
            z=((z - z[0]) / (z[-1] - z[0])).numpy(),
            G_z=self.G(state, z).numpy(),
            of_p_data="" if exact else blurred,
            of_p_g="change of variables" if monotone else blurred,
            zoom=self.zoom,
        )


def prior_of(run: Run, weights: str | None) -> Uniform | Gaussian:
    """The prior of a run, or an error with the reason why it cannot be drawn."""
    path, shape = run.folder.path, run.sampler(weights).event_shape
    if weights not in (None, "raw"):
        raise errors.bad_value("weights", "raw for Figure 1: D has met no other G", weights)
    if shape != (1,):
        got = f"examples of shape ({', '.join(map(str, shape))})"
        raise _no_pair(path, "a run on data in one dimension, (1)", got)
    game, need = run.learner, "a game whose z is one uniform or gaussian coordinate"
    if not isinstance(game, Game):
        raise _no_pair(path, need, f"a {type(game).__name__}")
    prior = game.prior
    if prior.dim != 1 or not isinstance(prior, Uniform | Gaussian):
        raise _no_pair(path, need, f"{type(prior).__name__.lower()} z of {prior.dim}")
    return prior


def _no_pair(path: Path, need: str, got: object) -> errors.BadFile:
    """The error for a run that is not a GAN in one dimension."""
    return errors.BadFile(f"{path}: must be {need}, for Figure 1, got {got}.")


def quantiles(n: int) -> Tensor:
    """The midpoints of n equal parts of (0, 1), float64."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def _width(edges: Tensor) -> float:
    """The width of the kernels of a kernel density: that of two cells."""
    return 2 * (edges[1] - edges[0]).item()
