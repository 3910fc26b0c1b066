r"""The authors' path: D's last layer is replaced by a softmax, and all of it is fine-tuned.

.. math:: \min_\theta E_{(x, y) \sim labelled}[-\log p_\theta(y | x)]

with dropout, momentum and a limit on the norms of incoming weights as in the game. The same
schedule on a D that was never trained is the baseline: `fresh`.

Of the update to stop at nothing is chosen on more labels than training has: the one with the least
error on as many validation labels, the latest of equals.

Reference: goodfeli/adversarial, `pretrained.yaml` and `recapitate_discriminator`: rate 0.1,
    momentum 0.5 to 0.7, columns of norm 1.9365. There 10,000 validation labels choose the update
    for 1,000 training labels, and pixels have another scale than in the game (1 for 1.25); here
    both are alike.
"""

import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.base import errors, rng
from advnets.data.batches import Batches
from advnets.data.few_labels import refuse_absent
from advnets.data.splits import Split
from advnets.extensions.semisupervised.classifier import Classifier, with_softmax
from advnets.game.noise import masks
from advnets.networks import DiscriminatorKind
from advnets.nn import dropout
from advnets.nn.constraints import limit_column_norms
from advnets.nn.init import init_uniform
from advnets.optim.schedules import OptimizerConfig, Schedule
from advnets.optim.train_state import TrainState


@dataclass(frozen=True, kw_only=True)
class FineTuneConfig:
    """How a classifier is fine-tuned. The constants are the authors'."""

    updates: int = 2_000
    """Updates of all weights."""
    batch_size: int = 100
    """Labelled examples in a minibatch; all of them where there are fewer."""
    irange: float = 0.005
    """The softmax starts uniform in (-irange, +irange)."""
    max_col_norm: float = 1.9365
    """Limit on the norm of each unit's incoming weights."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    looks: int = 20
    """How often validation labels are looked at."""

    def __post_init__(self) -> None:
        errors.at_least(1, updates=self.updates, batch_size=self.batch_size, looks=self.looks)
        errors.positive(irange=self.irange, max_col_norm=self.max_col_norm)


class _Recapitated(nn.Module):
    """D with a softmax at its end, and the limit of its weights."""

    def __init__(self, D: nn.Module, limit: float) -> None:
        super().__init__()
        self.D, self.limit = D, limit

    def constrain(self) -> None:
        """Put the weights back within their limit, after an update."""
        limit_column_norms(self, self.limit)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, *event_shape)` to class logits, `(n, K)`."""
        logits: Tensor = self.D(x)
        return logits


def fresh(kind: DiscriminatorKind, event_shape: tuple[int, ...], *, seed: int) -> nn.Module:
    """A D of this kind that was never trained."""
    return kind.build(event_shape=event_shape, rng=rng.generator(seed, "weights of a fresh D"))


def fine_tune(
    D: nn.Module,
    kind: DiscriminatorKind,
    labelled: Split,
    validation: Split | None = None,
    *,
    classes: int,
    seed: int,
    config: FineTuneConfig | None = None,
) -> Classifier:
    """A classifier from D and few labels; D itself is left as it is.

    Args:
        D: The network that a game has trained, or `fresh`.
        kind: Its configuration, which a saved classifier is rebuilt from.
        labelled: Examples with their class, from 0 to `classes` - 1.
        validation: As many at most, to choose the update to stop at; without them it is the last.
        classes: How many there are.
        seed: Of the softmax, the order of the data and the dropout masks.
        config: The constants.

    Raises:
        BadValue: For one class, a class that no label is of, or more validation labels than labels.
    """
    config = config or FineTuneConfig()
    refuse_labels(labelled, validation, classes)
    network = _Recapitated(with_softmax(copy.deepcopy(D).float(), classes), config.max_col_norm)
    init_uniform(network.D.last, config.irange, rng=rng.generator(seed, "softmax"))  # type: ignore[arg-type]
    size = min(config.batch_size, len(labelled))
    batches = Batches(labelled, size=size, seed=seed)
    schedule = Schedule(
        config=config.optimizer, batches_per_epoch=batches.per_epoch, batches=config.updates
    )
    optimizer = config.optimizer.build(network.parameters())
    state = TrainState(network, optimizer, schedule)
    state.train_mode()
    event_shape = tuple(labelled.x.shape[1:])
    classifier = Classifier.of_D(network.D, kind, event_shape, tuple(map(str, range(classes))))
    noise, best = rng.generator(seed, "masks"), _Best(classifier, validation)
    every = max(1, config.updates // config.looks)
    for update in range(config.updates):
        batch = batches[update]
        assert batch.context is not None
        _step(state, batch.x, batch.context, torch.tensor(update), noise)
        if (update + 1) % every == 0 or update + 1 == config.updates:
            best.look()
    dropout.clear_masks(state.random)
    network.D.load_state_dict(best.weights)
    network.eval()
    return classifier


def refuse_labels(labelled: Split, validation: Split | None, classes: int) -> None:
    """Raise `BadValue` for one class, one without a label, or more validation labels."""
    if labelled.context is None:
        raise errors.no_labels()
    errors.require(classes > 1, "classes", "at least 2", classes)
    refuse_absent(labelled.context, classes)
    if validation is not None:
        need = f"at most as many as training labels, {len(labelled)}"
        right = len(validation) <= len(labelled)
        errors.require(right, "validation labels", need, len(validation))


def _step(state: TrainState, x: Tensor, y: Tensor, update: Tensor, noise: torch.Generator) -> None:
    n = len(x)
    if update == 0:  # layers learn the shape of what they see
        with torch.no_grad():
            state.compute_module(x)
    drawn = masks(state.random, n, slice(0, n), parts=1, device=x.device, rng=noise)
    dropout.set_masks(state.random, drawn)
    nats = F.cross_entropy(state.compute_module(x), y.long())
    state.update(state.gradient([nats], [None]), update)


class _Best:
    """The weights with the least error on validation labels, the latest of equals."""

    def __init__(self, classifier: Classifier, validation: Split | None) -> None:
        self.classifier, self.validation = classifier, validation
        self.error, self.weights = float("inf"), dict[str, Tensor]()

    def look(self) -> None:
        """Take the weights of now where they are no worse."""
        error = 0.0
        if self.validation is not None and self.validation.context is not None:
            error = self.classifier.error(self.validation.x[:], self.validation.context)
        if error <= self.error:
            state = self.classifier.network.state_dict()
            self.error, self.weights = error, {n: t.clone() for n, t in state.items()}
