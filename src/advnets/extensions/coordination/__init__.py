"""Section 7.5: "better methods for coordinating G and D", better distributions of z.

What is general stands with the game (`game/`: r1, r2, relativistic, pac, instance_noise, unrolled)
and with the samplers (`sampling/`: learned_prior, accept); here are the rules that only this
extension needs, a configuration of all of them, and the named methods that are compared.
"""

from advnets.extensions.coordination.adaptive_k import AdaptiveK as AdaptiveK
from advnets.extensions.coordination.config import Coordinated as Coordinated
from advnets.extensions.coordination.config import CoordinatedConfig as CoordinatedConfig
from advnets.extensions.coordination.latent_descent import LatentDescent as LatentDescent
