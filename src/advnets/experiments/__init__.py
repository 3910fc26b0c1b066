"""The paper's figures and tables, one a file, drawn from a run.

`figure2.draw(run)` is the picture; the command and the report only say where it goes.
"""

from collections.abc import Callable
from types import ModuleType

from advnets.experiments import figure1, figure2, figure3, table1
from advnets.plotting.images import Pixels

FIGURES: dict[str, Callable[..., Pixels]] = {
    "1": figure1.draw,
    "2": figure2.draw,
    "3": figure3.draw,
}
"""The figures that show a run: each takes it, and the options `seed` and `weights`."""
FILMS: dict[str, Callable[..., list[Pixels]]] = {"1": figure1.film}
"""Those that can move: the same arguments give the pictures of a film."""
TABLES: dict[str, ModuleType] = {"1": table1}
"""The tables: each has a `Plan`, `make` and `write`."""
