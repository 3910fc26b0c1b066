"""The reports of the failures: text, tables and plots, one file each."""

from advnets.experiments.failures.reports import equilibrium_report as equilibrium_report
from advnets.experiments.failures.reports import helvetica_report as helvetica_report
from advnets.experiments.failures.reports import saturation_report as saturation_report
from advnets.experiments.failures.reports import support_report as support_report
from advnets.experiments.failures.reports import synchronisation_report as synchronisation_report
