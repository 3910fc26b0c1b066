"""Section 4 of the paper, claim by claim: what it says, measured, beside what it allows.

Everything is drawn from one fixed seed, so that the page is the same every time.
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
"""Each measures a claim when it is called."""

LEAD = (
    "Section 4 of the paper, claim by claim: what it says, the quantity that would show it wrong, "
    "what that came to, and a picture. Distributions are tables of probabilities or densities on "
    "grids. Random tables have 2 to 40 outcomes, a quarter of them without probability unless "
    "something else is said, and probabilities down to 1e-17. All in nats, in double precision."
)


def page(measured: list[Claim]) -> str:
    """The page of these claims as one HTML file."""
    return page_of("The theorems, measured", "advnets theory", LEAD, measured)
