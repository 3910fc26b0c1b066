r"""Generators G(z) and discriminators D(x), each kind with its configuration.

    mlp            "both multilayer perceptrons": the paper's for MNIST, faces and CIFAR-10
    maxout_conv    the paper's convolutional pair for CIFAR-10
    sngan          a small convolutional pair with spectral normalisation, for your own pictures
    unet           G of masked pictures (`advnets.extensions.conditionals`)
    encoder        E(x), for inference of z

D returns one logit per example, never a probability: D(x) = sigmoid(logit). Every network of this
library has a method `constrain`, which the game calls after each of its updates, and accepts
contexts: G(z, c), D(x, c).

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
from advnets.networks.unet import UNet as UNet
from advnets.networks.unet import UNetConfig as UNetConfig

_G: tuple[Any, ...] = (GeneratorConfig, ConvolutionalGConfig, SpectralGConfig, UNetConfig)
_D: tuple[Any, ...] = (DiscriminatorConfig, ConvolutionalDConfig, SpectralDConfig)
GENERATORS: dict[str, Any] = {config.kind: config for config in _G}
DISCRIMINATORS: dict[str, Any] = {config.kind: config for config in _D}
