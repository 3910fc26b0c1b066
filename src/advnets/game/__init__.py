"""Section 3 of the paper: the value function, Algorithm 1, losses and terms."""

from advnets.game.config import GameConfig as GameConfig
from advnets.game.game import Game as Game
