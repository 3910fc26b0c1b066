"""The rows of Table 1: model, sampler, and the paper's score.

Reference: Goodfellow et al. (2014), Table 1, whose baselines are quoted from earlier papers (Bengio
    et al., 2013 and 2014; Rifai et al., 2012).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from advnets import recipes
from advnets.runs.run_config import RunConfig

ColumnName = Literal["MNIST", "TFD"]

MODELS: dict[str, Callable[[], RunConfig]] = {
    "dbn": recipes.dbn,
    "stacked-cae": recipes.stacked_cae,
    "gsn": recipes.gsn,
    "adversarial": recipes.mnist_best,
    "rbm": recipes.rbm,
    "dbm": recipes.dbm,
    "sbn": recipes.sbn,
    "dae": recipes.dae,
    "vae": recipes.vae,
}
"""The recipe of each model, for MNIST."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A score in the paper, with its standard error over examples (MNIST) or folds (TFD)."""

    mean: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.mean:g} +- {self.standard_error:g}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One sampler of one model."""

    title: str
    model: str
    """A key of `MODELS`."""
    sampler: str
    """Name of the sampler of the model."""
    paper: Mapping[ColumnName, Published] = field(default_factory=dict, hash=False)


def _paper(mnist: tuple[float, float], tfd: tuple[float, float]) -> dict[ColumnName, Published]:
    return {
        "MNIST": Published(mean=mnist[0], standard_error=mnist[1]),
        "TFD": Published(mean=tfd[0], standard_error=tfd[1]),
    }


ROWS = (
    Row(title="DBN", model="dbn", sampler="persistent", paper=_paper((138, 2), (1909, 66))),
    Row(title="DBN, chains from noise", model="dbn", sampler="chain"),
    Row(
        title="Stacked CAE",
        model="stacked-cae",
        sampler="chain",
        paper=_paper((121, 1.6), (2110, 50)),
    ),
    Row(
        title="Deep GSN, the published chain",
        model="gsn",
        sampler="published",
        paper=_paper((214, 1.1), (1890, 29)),
    ),
    Row(title="Deep GSN, chains from noise", model="gsn", sampler="burnt-in"),
    Row(
        title="Adversarial nets",
        model="adversarial",
        sampler="raw",
        paper=_paper((225, 2), (2057, 26)),
    ),
    Row(title="Adversarial nets, averaged weights", model="adversarial", sampler="averaged"),
    Row(title="RBM", model="rbm", sampler="persistent"),
    Row(title="RBM, chains from noise", model="rbm", sampler="chain"),
    Row(title="DBM", model="dbm", sampler="persistent"),
    Row(title="DBM, chains from noise", model="dbm", sampler="chain"),
    Row(title="Sigmoid belief net", model="sbn", sampler="means"),
    Row(title="DAE", model="dae", sampler="chain"),
    Row(title="VAE", model="vae", sampler="means"),
)
