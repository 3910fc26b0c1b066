"""Why a GSN has bounded units: two of them trained alike, then their chains run on and on.

    python examples/feedback_loop.py [--quick]

Goodfellow et al. (2014), Section 2: adversarial nets can use piecewise linear units because they
"do not require feedback loops during generation", where unbounded activations are a problem. Both
networks here are trained by walkback of 4 updates on 5,000 real digits; the rectifiers' cost falls
faster. Their chain is the same feedback loop run past 4 updates.
"""

import argparse

import torch

import advnets
from advnets.base.errors import Diverged
from advnets.base.protocols import Problem
from advnets.optim.schedules import OptimizerConfig


def main() -> None:
    """Train both, run their chains."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few updates")
    steps = 5 if parser.parse_args().quick else 300
    splits = advnets.data.load(advnets.data.Mnist5kConfig(), seed=0)
    batches = advnets.Batches(splits.train, size=100, seed=0)
    low, high, mean = splits.statistics
    problem = Problem(
        event_shape=splits.event_shape,
        low=low,
        high=high,
        mean=mean,
        batches_per_epoch=batches.per_epoch,
        steps=steps,
    )
    rule = OptimizerConfig(lr=0.5, lr_decay=1.0, final_momentum=0.5)
    for activation in ("tanh", "rectifier"):
        config = advnets.GSNConfig(hidden=(200, 200), activation=activation, optimizer=rule)
        model = advnets.GSN.from_config(config, problem, seed=0)
        rng = torch.Generator().manual_seed(0)
        costs = [model.step((batches[i],), rng=rng)["cost"].item() for i in range(steps)]
        last = sum(costs[-5:]) / 5
        print(f"{activation}: the cost is {last:.3f} nats a pixel in the last 5 of {steps}.")
        for name, chain in model.samplers().items():
            try:
                chain.sample(1000, seed=0)
                print(f"  {name}: 1,000 samples.")
            except Diverged as error:
                print(f"  {name}: {error}")


if __name__ == "__main__":
    main()
