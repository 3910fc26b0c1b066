"""The parts of a game from its configuration."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from advnets.base import errors
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Problem
from advnets.base.rng import generator
from advnets.game.augmentation import Augmentation
from advnets.game.config import GameConfig
from advnets.game.instance_noise import InstanceNoise
from advnets.game.pac import packed, packed_shape
from advnets.game.r1 import R1
from advnets.game.r2 import R2
from advnets.game.rule import Rule
from advnets.game.term import Term
from advnets.game.transforms import refuse_vectors
from advnets.game.unrolled import Unrolled
from advnets.optim.schedules import Schedule
from advnets.sampling.priors import PRIORS
from advnets.storage.environment import resolved

Pair = tuple[nn.Module, nn.Module]


def arguments(
    config: GameConfig, problem: Problem, make: Callable[..., Pair], *, seed: int
) -> dict[str, Any]:
    """The arguments of `Game`.

    Args:
        config: The settings of the game.
        problem: What is known of the data and the run.
        make: Makes G and D, as `networks` does.
        seed: Draws the initial weights.

    Raises:
        BadValue: For a conditional game on data without labels.
    """
    context = problem.context if config.conditional else None
    if config.conditional and context is None:
        raise errors.no_labels()
    context_size = 0 if context is None else context.size
    with global_stream_kept():  # torch's layers draw weights of their own, which give way
        G, D = make(config, problem, context_size, seed=seed)
    G, D = G.to(problem.device), D.to(problem.device)
    batches = {"batches_per_epoch": problem.batches_per_epoch, "batches": problem.steps * config.k}
    return {
        "G": G,
        "D": D,
        "prior": PRIORS[config.prior](config.z_dim),
        "G_optimizer": config.G_optimizer.build(G.parameters()),
        "D_optimizer": config.D_optimizer.build(D.parameters()),
        "objective": config.objective,
        "order": config.order,
        "k": config.k,
        "D_loss_weight": config.D_loss_weight,
        "terms": terms(config),
        "rules": rules(config, problem),
        "precision": resolved(config.precision, problem.event_shape, problem.device),
        "compile": config.compile,
        "ema_decay": config.ema_decay,
        "ema_every": config.ema_every,
        "schedules": tuple(
            Schedule(config=c, **batches) for c in (config.G_optimizer, config.D_optimizer)
        ),
        "context": context,
        "ranks": problem.ranks,
    }


def terms(config: GameConfig) -> list[Term]:
    """What D descends beside its loss."""
    weights = ((R1, config.r1), (R2, config.r2))
    return [penalty(gamma, config.r1_every) for penalty, gamma in weights if gamma]


def rules(config: GameConfig, problem: Problem) -> list[Rule]:
    """How the players move differently from Algorithm 1.

    Raises:
        BadValue: For augmentation of examples that are no pictures.
    """
    found: list[Rule] = []
    if config.instance_noise:
        found.append(InstanceNoise(config.instance_noise, config.instance_noise_batches))
    if config.unroll:
        found.append(Unrolled(config.unroll))
    if config.augment:
        refuse_vectors(problem.event_shape)
        found.append(Augmentation(config.augment))
    return found


def networks(config: GameConfig, problem: Problem, context_size: int, *, seed: int) -> Pair:
    """G and D of a configuration.

    Args:
        config: The settings of the game.
        problem: What is known of the data and the run.
        context_size: Length of an encoded context; 0 without contexts.
        seed: Draws the initial weights, with one generator for each network.
    """
    rng = generator(seed, "weights of G")
    G = config.G.build(z_dim=config.z_dim, problem=problem, context=context_size, rng=rng)
    return G, discriminator(config, problem, context_size, rng=generator(seed, "weights of D"))


def discriminator(
    config: GameConfig, problem: Problem, context_size: int, *, rng: torch.Generator
) -> nn.Module:
    """D of a configuration, packed where `pack` is above 1."""
    shape = packed_shape(problem.event_shape, config.pack)
    D = config.D.build(event_shape=shape, context=config.pack * context_size, rng=rng)
    return D if config.pack == 1 else packed(D, config.pack)
