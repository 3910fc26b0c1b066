"""A callback that logs a metric of your own and stops when it is good enough."""

from common import make_game, points, show

import advnets

x = points()


def gap(at: advnets.Moment) -> None:
    """How far the mean of the samples is from that of the data, every 100 updates."""
    if at.update % 100 == 0:
        apart = (at.learner.sample(500, seed=0).mean(dim=0) - x.mean(dim=0)).norm()
        at.log(gap=apart)
        if apart < 0.1:
            at.stop()


game = make_game()
history = advnets.fit(game, x, steps=1_500, callbacks=[gap])
for entry in history:
    print(f"update {entry.update}: gap {entry.metrics['gap']:.2f}, V {entry.metrics['V']:.2f}")
show(data=x, samples=game.sample(1_000, seed=0))
