"""Section 3 of the paper: the value function, Algorithm 1, and what can be added to the game."""

from advnets.game.algorithm1 import Game as Game
from advnets.game.config import GameConfig as GameConfig
