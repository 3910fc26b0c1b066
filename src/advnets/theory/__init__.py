"""Section 4 of the paper in closed form: divergences, the optimal D, games on tables."""

from advnets.theory import tabular_game as tabular_game
from advnets.theory.divergences import JSD as JSD
from advnets.theory.divergences import KL as KL
from advnets.theory.divergences import C as C
from advnets.theory.divergences import conditional_log_likelihood as conditional_log_likelihood
from advnets.theory.divergences import labelled as labelled
from advnets.theory.divergences import posterior as posterior
from advnets.theory.divergences import reachable as reachable
from advnets.theory.divergences import subgradient as subgradient
from advnets.theory.optimum import D_by_search as D_by_search
from advnets.theory.optimum import D_star as D_star
from advnets.theory.optimum import D_star_logit as D_star_logit
from advnets.theory.optimum import V as V
