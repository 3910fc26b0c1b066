"""Named runs. Each docstring states what it plays, its command, and time and score as measured.

A recipe is a function that returns a configuration; `advnets recipes` prints these texts.
"""

from collections.abc import Callable

from advnets.base import errors
from advnets.recipes.baselines import cae, dae, dbn, gsn, rbm, stacked_cae, vae
from advnets.recipes.digits import demo, mnist, mnist_algorithm1, mnist_best, mnist_conditional
from advnets.recipes.pictures import array, cifar10, cifar10_conv, images, images_conditional, tfd
from advnets.recipes.points import mixture, ring
from advnets.runs.train import RunConfig

__all__ = [
    "RECIPES",
    "array",
    "cae",
    "cifar10",
    "cifar10_conv",
    "dae",
    "dbn",
    "demo",
    "get",
    "gsn",
    "images",
    "images_conditional",
    "mixture",
    "mnist",
    "mnist_algorithm1",
    "mnist_best",
    "mnist_conditional",
    "rbm",
    "ring",
    "stacked_cae",
    "tfd",
    "vae",
]

RECIPES: dict[str, Callable[[], RunConfig]] = {
    "demo": demo,
    "mnist": mnist,
    "mnist-best": mnist_best,
    "mnist-conditional": mnist_conditional,
    "mnist-algorithm1": mnist_algorithm1,
    "tfd": tfd,
    "cifar10": cifar10,
    "cifar10-conv": cifar10_conv,
    "images": images,
    "images-conditional": images_conditional,
    "array": array,
    "ring": ring,
    "mixture": mixture,
    "dbn": dbn,
    "rbm": rbm,
    "dae": dae,
    "cae": cae,
    "stacked-cae": stacked_cae,
    "gsn": gsn,
    "vae": vae,
}


def get(name: str) -> RunConfig:
    """The configuration of a named run; `BadValue` for an unknown name, with the valid ones."""
    if name not in RECIPES:
        raise errors.unknown("recipe", name, RECIPES)
    return RECIPES[name]()
