"""The exponential moving average of a network."""

import torch
from torch import Tensor, nn

from advnets.base import errors, torch_private
from advnets.nn import spectral_norm
from advnets.nn.batch_norm import BatchNorm
from advnets.optim.copies import copied, share_hooks


class EMA:
    r"""An exponential moving average of a network's weights, usually G's.

    :math:`\bar\theta \leftarrow d_n \bar\theta + (1 - d_n) \theta` at every `every`-th update, with
    :math:`d_n = \min(decay, 1 - 1 / n)` at the n-th such update, so that the average starts as a
    plain mean and forgets the initial weights. The moments of batch normalisation are averaged as
    well; all other buffers are copied. Spectrally normalised layers compute the largest singular
    value of their averaged weights. Scores of the average are always labelled: averaging blurs, and
    a Parzen window rewards blur.

    Args:
        network: The network to follow.
        decay: Weight of the old average at each update of it, in [0, 1).
        every: Updates of the network between two updates of the average.
    """

    def __init__(self, network: nn.Module, *, decay: float, every: int) -> None:
        errors.fraction(decay=decay)
        errors.at_least(1, every=every)
        self.decay, self.every = decay, every
        self.network = copied(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, update: int) -> None:
        """Update the average after update number `update` = 1, 2, ... of the network."""
        if update % self.every:
            return
        rate = max(1 - self.decay, self.every / update)
        share_hooks(network, self.network)
        averaged, own = _averaged(self.network), _averaged(network)
        names = [name for name, t in own.items() if t.is_floating_point()]
        torch_private.lerp_all([averaged[n] for n in names], [own[n] for n in names], rate)
        mine = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        vectors = spectral_norm.vectors(self.network)
        for name, theirs in (*network.named_parameters(), *network.named_buffers()):
            if name not in names and name not in vectors:
                mine[name].copy_(theirs)
        spectral_norm.settle(self.network)


def _averaged(network: nn.Module) -> dict[str, Tensor]:
    """The averaged tensors by name: weights, and the moments of batch normalisation."""
    kinds: tuple[type[nn.Module], ...] = (*torch_private.running_norms(), BatchNorm)
    moments = {
        f"{path}.{name}".lstrip("."): buffer
        for path, module in network.named_modules()
        if isinstance(module, kinds)
        for name, buffer in module.named_buffers(recurse=False)
    }
    return {**dict(network.named_parameters()), **moments}
