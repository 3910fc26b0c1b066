"""torch's schedulers: stepped once an update, saved and resumed with the game."""

from common import make_game, points, show
from torch.optim.lr_scheduler import CosineAnnealingLR

import advnets

game = make_game()
optimizers = game.G_state.optimizer, game.D_state.optimizer
schedulers = [CosineAnnealingLR(optimizer, T_max=500) for optimizer in optimizers]


def rate(at: advnets.Moment) -> None:
    """Log the learning rate of G beside what is logged anyway."""
    if at.metrics:
        at.log(lr=schedulers[0].get_last_lr()[0])


history = advnets.fit(game, points(), steps=500, schedulers=schedulers, callbacks=[rate])
print("learning rate:", [f"{lr:.6f}" for lr in history.to_dict()["lr"]])
show(data=points(), samples=game.sample(1_000, seed=0))
