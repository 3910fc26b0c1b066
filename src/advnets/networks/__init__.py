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

from advnets.networks.base import DiscriminatorKind as DiscriminatorKind
from advnets.networks.base import GeneratorKind as GeneratorKind
from advnets.networks.maxout_conv import ConvolutionalD as ConvolutionalD
from advnets.networks.maxout_conv import ConvolutionalDConfig as ConvolutionalDConfig
from advnets.networks.maxout_conv import ConvolutionalG as ConvolutionalG
from advnets.networks.maxout_conv import ConvolutionalGConfig as ConvolutionalGConfig
from advnets.networks.mlp import Discriminator as Discriminator
from advnets.networks.mlp import DiscriminatorConfig as DiscriminatorConfig
from advnets.networks.mlp import Generator as Generator
from advnets.networks.mlp import GeneratorConfig as GeneratorConfig
from advnets.networks.sngan import SpectralD as SpectralD
from advnets.networks.sngan import SpectralDConfig as SpectralDConfig
from advnets.networks.sngan import SpectralG as SpectralG
from advnets.networks.sngan import SpectralGConfig as SpectralGConfig

_G: tuple[Any, ...] = (GeneratorConfig, ConvolutionalGConfig, SpectralGConfig)
_D: tuple[Any, ...] = (DiscriminatorConfig, ConvolutionalDConfig, SpectralDConfig)
GENERATORS: dict[str, Any] = {config.kind: config for config in _G}
DISCRIMINATORS: dict[str, Any] = {config.kind: config for config in _D}
