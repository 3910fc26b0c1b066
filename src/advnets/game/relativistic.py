r"""The relativistic paired loss: D decides which of an example and a sample is real.

.. math:: L_D = E[\log(1 + e^{a(G(z)) - a(x)})], \qquad L_G = E[\log(1 + e^{a(x) - a(G(z))})]

Example i of the minibatch is compared with sample i. G's loss reads the logits on data too.

Reference: Jolicoeur-Martineau (2019), The relativistic discriminator; Huang et al. (2024), R3GAN.
"""

from torch import Tensor

from advnets.game.value import softplus


class Relativistic:
    """The paired loss."""

    reads_data = True

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of D and of G, 0-d; see `objectives.Loss`."""
        lead = a_data - a_samples
        return softplus(-lead).mean(), softplus(lead).mean()
