r"""The R2 penalty: D's logit must be flat on the samples too.

.. math:: R_2 = \frac{\gamma}{2} E_z \| \nabla_x a(G(z)) \|^2

Under the relativistic loss, with R1 beside it, this is the game of R3GAN: there R1 alone diverges.

Reference: Mescheder et al. (2018), Which Training Methods for GANs do actually Converge?; Huang et
    al. (2024), The GAN is dead; long live the GAN! A Modern GAN Baseline.
"""

from torch import Tensor

from advnets.game.r1 import R1, squared_gradient
from advnets.game.term import Seen


class R2(R1):
    """R1's penalty, on the samples."""

    def __call__(self, seen: Seen) -> Tensor:
        """The penalty on the samples of this minibatch, 0-d."""
        return self.gamma / 2 * squared_gradient(seen, seen.samples)
