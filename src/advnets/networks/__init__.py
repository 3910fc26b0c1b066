r"""Generators G(z) and discriminators D(x), each kind with its configuration.

    mlp              "both multilayer perceptrons": the paper's for MNIST, faces and CIFAR-10
    convolutional    the paper's convolutional pair for CIFAR-10
    spectral         a small modern convolutional pair, for pictures of one's own

D returns one logit per example, never a probability: D(x) = sigmoid(logit). Every network of this
library declares `constrain`, which the game calls after each of its updates, and takes contexts
beside its input: G(z, c), D(x, c).

Reference: Goodfellow et al. (2014), Section 5; goodfeli/adversarial, `*.yaml`.
"""

from typing import Any

from advnets.networks.convolutional import ConvolutionalD as ConvolutionalD
from advnets.networks.convolutional import ConvolutionalDConfig as ConvolutionalDConfig
from advnets.networks.convolutional import ConvolutionalG as ConvolutionalG
from advnets.networks.convolutional import ConvolutionalGConfig as ConvolutionalGConfig
from advnets.networks.kinds import DiscriminatorKind as DiscriminatorKind
from advnets.networks.kinds import GeneratorKind as GeneratorKind
from advnets.networks.mlp import Discriminator as Discriminator
from advnets.networks.mlp import DiscriminatorConfig as DiscriminatorConfig
from advnets.networks.mlp import Generator as Generator
from advnets.networks.mlp import GeneratorConfig as GeneratorConfig
from advnets.networks.spectral import SpectralD as SpectralD
from advnets.networks.spectral import SpectralDConfig as SpectralDConfig
from advnets.networks.spectral import SpectralG as SpectralG
from advnets.networks.spectral import SpectralGConfig as SpectralGConfig

_G: tuple[Any, ...] = (GeneratorConfig, ConvolutionalGConfig, SpectralGConfig)
_D: tuple[Any, ...] = (DiscriminatorConfig, ConvolutionalDConfig, SpectralDConfig)
GENERATORS: dict[str, Any] = {config.kind: config for config in _G}
DISCRIMINATORS: dict[str, Any] = {config.kind: config for config in _D}
