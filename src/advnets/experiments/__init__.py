"""The paper's figures and tables, one file each.

`figure2.draw(run)` returns the picture; the command and the report place it.
"""

from collections.abc import Callable
from types import ModuleType

from advnets.experiments import figure1, figure2, figure3, table1, table2
from advnets.plotting.images import Pixels

FIGURES: dict[str, Callable[..., Pixels]] = {
    "1": figure1.draw,
    "2": figure2.draw,
    "3": figure3.draw,
}
"""The figures of a run: functions of the run and of the options `seed` and `weights`."""
FILMS: dict[str, Callable[..., list[Pixels]]] = {"1": figure1.film}
"""The figures with an animation: functions of the same arguments that return frames."""
TABLES: dict[str, ModuleType] = {"1": table1, "2": table2}
"""The tables: each has a `Plan`, `make` and `write`.

:meta hide-value:
"""
