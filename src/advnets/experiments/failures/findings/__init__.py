"""What each failure came to, in words, tables and drawings: one file a failure."""

from advnets.experiments.failures.findings import equilibrium as equilibrium
from advnets.experiments.failures.findings import helvetica as helvetica
from advnets.experiments.failures.findings import saturation as saturation
from advnets.experiments.failures.findings import support as support
from advnets.experiments.failures.findings import synchronisation as synchronisation
