"""Section 4 of the paper, claim by claim: measured values and their tolerances.

Everything is drawn from one fixed seed, so the page is reproducible.
"""

from advnets.experiments.claims import Claim
from advnets.experiments.claims import page as page_of
from advnets.experiments.theorems import (
    assumptions,
    convergence,
    criterion,
    discriminator,
    parameters,
)

CLAIMS = (
    discriminator.proposition_1,
    discriminator.remark,
    criterion.theorem_1,
    convergence.proposition_2,
    convergence.descent,
    assumptions.optimal_D,
    assumptions.full_support,
    parameters.not_convex,
)
"""Functions, each of which measures one claim."""

LEAD = (
    "The claims of Section 4 of the paper. Each has a statement, the measured quantities that "
    "would refute it, and a chart. Distributions are tables of probabilities or densities on "
    "grids. Random tables have 2 to 40 outcomes, a quarter of them with probability zero unless "
    "stated otherwise, and probabilities down to 1e-17. All values are in nats, in float64."
)


def page(measured: list[Claim]) -> str:
    """The page of these claims as one HTML file."""
    return page_of("The theorems, measured", "advnets theory", LEAD, measured)
