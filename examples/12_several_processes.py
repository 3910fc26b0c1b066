"""Two processes play one game: each has half of every minibatch, gradients are added up.

`torchrun --nproc-per-node 2 FILE` starts such a program; this one starts itself so.
"""

import os
import subprocess
import sys
from typing import Any

from common import adam, points

import advnets
from advnets.base.distributed import init_process_group


def main() -> None:
    """What each process does."""
    with init_process_group() as ranks:
        G = advnets.Generator(z_dim=4, event_shape=(2,), hidden=(64,), output="linear")
        D = advnets.Discriminator(event_shape=(2,), units=(32,), pieces=2)
        rules: dict[str, Any] = {"G_optimizer": adam(G), "D_optimizer": adam(D)}
        game = advnets.Game(G, D, prior=advnets.Gaussian(4), **rules, ranks=ranks)
        history = advnets.fit(game, points(), steps=200)
        if ranks.first:
            print(f"{ranks.world} processes: V {history[-1].metrics['V']:.3f}")


if __name__ == "__main__":
    if "RANK" in os.environ:
        main()
    else:
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        words = [*start, "--nproc-per-node", "2", sys.argv[0]]
        print(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
