r"""A learner that descends one objective of one network: the base of most baselines.

.. math:: \theta \leftarrow \theta - \eta \nabla_\theta \frac{1}{m} \sum_{i=1}^m J(x_i; \theta)
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Batch, Info, Problem, Sampler
from advnets.base.state import below
from advnets.optim.schedules import OptimizerConfig, Schedule
from advnets.optim.train_state import TrainState
from advnets.storage.environment import Precision, resolved


class GradientLearner(ABC):
    """A network, its objective and its optimizer.

    A model defines its loss in `objective`. One that knows the gradient without autograd overrides
    `gradient`. Random numbers come from `uniform` and `normal`, which draw for the whole minibatch
    and keep this process's rows.

    Args:
        network: Has the parameters; it is moved to the problem's device.
        optimizer: The optimizer and its schedule.
        problem: What is known of the data and the run.
        precision: Precision of the passes: in 'bfloat16', `compute_module` is a copy of the
            network.
    """

    batches_per_step = 1

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerConfig,
        problem: Problem,
        *,
        precision: Precision = "float32",
    ) -> None:
        self.network = network.to(problem.device).train()
        self.event_shape, self.ranks = problem.event_shape, problem.ranks
        schedule = Schedule(
            config=optimizer, batches_per_epoch=problem.batches_per_epoch, batches=problem.steps
        )
        rule = optimizer.build(self.network.parameters())
        precision = resolved(precision, problem.event_shape, problem.device)
        self.train_state = TrainState(
            self.network, rule, schedule, precision=precision, ranks=problem.ranks
        )
        self.compute_module = self.train_state.compute_module
        self.playing = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.kept: dict[str, Tensor] = {}
        """Further tensors that the next step needs, by name: a part of the state."""
        self.minibatches = torch.zeros((), dtype=torch.int64, device=problem.device)
        self.fitted: object = None  # where `fit` left it
        self._whole: int | None = None

    def train_mode(self) -> None:
        """Put the network in training mode."""
        self.train_state.train_mode()

    @abstractmethod
    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The loss, then further metrics: 0-d means over the rows of x, by name.

        Args:
            x: This process's rows of the minibatch, `(m, *event_shape)`, in the dtype of the data
                (pass `x.to(self.playing)` to `self.compute_module`).
            rng: Passed on to `uniform` and `normal`.
        """

    def gradient(
        self, x: Tensor, share: float, *, rng: torch.Generator
    ) -> tuple[Info, Sequence[Tensor | None]]:
        """The result of `objective`, and `share` times the gradient of its first entry."""
        info = self.objective(x, rng=rng)
        J = next(iter(info.values()))
        return info, self.train_state.gradient([J], [torch.full_like(J, share)])

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One update on one minibatch."""
        (batch,) = batches
        self._whole = batch.whole
        if "first" in self.kept:
            self._remember(batch)
        info, gradient = self.gradient(batch.x, batch.share, rng=rng)
        self.train_state.update(gradient, self.minibatches)
        self.train_state.sync_buffers()
        self.minibatches += 1
        return {name: number.detach() * batch.share for name, number in info.items()}

    def diagnostics(self) -> Info:
        """The norm of the last gradient."""
        return {"gradient": self.train_state.norm()}

    def uniform(self, *shape: int, rng: torch.Generator) -> Tensor:
        """U[0, 1) of shape `shape` for this process's rows of the minibatch (the first axis)."""
        m, own = self._rows(shape[0])
        return torch.rand(m, *shape[1:], generator=rng, device=rng.device)[own].to(self._device)

    def normal(self, *shape: int, rng: torch.Generator) -> Tensor:
        """N(0, 1) of shape `shape` for this process's rows of the minibatch (the first axis)."""
        m, own = self._rows(shape[0])
        return torch.randn(m, *shape[1:], generator=rng, device=rng.device)[own].to(self._device)

    def keep_first(self, n: int, mean: Tensor) -> None:
        """Keep the first `n` examples, initial states of chains: `self.kept["first"]`.

        Until `n` examples were seen, those of the first minibatch are repeated; before that, the
        data's mean stands in their place.
        """
        self.kept["first"] = mean.expand(n, *mean.shape).clone().to(self._device)

    def _remember(self, batch: Batch) -> None:
        first, m, seen = self.kept["first"], batch.whole or len(batch.x), int(self.minibatches)
        if seen * m < len(first):
            x = self.ranks.gather(batch.x, m)
            own = first[seen * m :][: m if seen else None]
            own.copy_(x[torch.arange(len(own)) % m])

    @property
    def _device(self) -> torch.device:
        return self.minibatches.device

    def _rows(self, m: int) -> tuple[int, slice]:
        whole = m if self._whole is None else self._whole
        return whole, self.ranks.rows(whole)

    def samplers(self) -> Mapping[str, Sampler]:
        """None; a model with samplers overrides it."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Weights, velocities, what is kept, and the number of minibatches seen."""
        kept = {f"kept.{name}": t.clone() for name, t in self.kept.items()}
        return self.train_state.state() | kept | {"minibatches": self.minibatches.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when it is another model's."""
        if "minibatches" not in state:
            raise errors.bad_value("state", "a model's (with 'minibatches')", "another's")
        kept = below("kept.", state)
        for name in {**self.kept, **kept}:
            need, got = (tuple(s[name].shape) if name in s else "absent" for s in (self.kept, kept))
            errors.require(need == got, f"kept.{name}", f"of shape {need}", got)
        self.train_state.load_state(state)
        for name, t in self.kept.items():
            t.copy_(kept[name])
        self.minibatches.copy_(state["minibatches"])
        self.fitted = None
