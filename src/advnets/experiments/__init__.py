"""The paper's figures and tables, one a file, drawn from a run.

`figure2.draw(run)` is the picture; the command and the report only say where it goes.
"""

from collections.abc import Callable

from advnets.experiments import figure1, figure2, figure3
from advnets.plots import Pixels

FIGURES: dict[str, Callable[..., Pixels]] = {
    "1": figure1.draw,
    "2": figure2.draw,
    "3": figure3.draw,
}
"""The figures that show a run: each takes it, and the options `seed` and `weights`."""
FILMS: dict[str, Callable[..., list[Pixels]]] = {"1": figure1.film}
"""Those that can move: the same arguments give the pictures of a film."""
