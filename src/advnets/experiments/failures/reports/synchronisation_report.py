"""The report on synchronisation: text and a table."""

from advnets.experiments.failures.failure_report import FailureReport, Table, counted, spread
from advnets.experiments.failures.synchronisation import RATE, Setting, Synchronisation


def report(result: Synchronisation) -> FailureReport:
    """The section of the page."""
    plan = result.plan
    scores = {
        setting: sum(o.score for o in outcomes) / len(outcomes)
        for setting, outcomes in result.outcomes.items()
    }
    best, worst = max(scores, key=scores.__getitem__), min(scores, key=scores.__getitem__)
    return FailureReport(
        name="synchronisation",
        title="Synchronisation",
        says=(
            "D must be synchronised with G during training. The number k of updates of D for each "
            "of G is a setting of the algorithm; the paper used 1, the least."
        ),
        measured=(
            f"The ring of eight, learning rates that do not anneal, {plan.rounds:,} updates of G, "
            f"{counted(plan.seeds)} for each setting. By the Parzen score the best is "
            f"{_words(best)} ({scores[best]:.2f} nats) and the worst {_words(worst)} "
            f"({scores[worst]:.2f}). docs/results/mnist-study.md varies the same settings on "
            "MNIST, 15 epochs each: there k = 2 costs 49 nats, a higher rate for G brings 26, a "
            "higher rate for D nothing, and at eight times the rate D dominates for good.",
        ),
        tables=(_table(result),),
        helps=(
            "Start with k = 1 and equal learning rates. If D(G(z)) stays near 0, lower D's rate or "
            "raise G's. If the samples keep moving and D is at chance, raise D's rate or k."
        ),
    )


def _words(setting: Setting) -> str:
    rates = {"G's": setting.G, "D's": setting.D}
    moved = [f"{who} rate {RATE * by:g}" for who, by in rates.items() if by != 1]
    return ", ".join([f"k = {setting.k}", *(moved or ["equal rates"])])


def _table(result: Synchronisation) -> Table:
    forms = {"modes": ".1f", "near": ".2f", "score": ".2f", "V": ".3f"}
    rows = [
        (
            str(setting.k),
            f"{setting.G * RATE:g}",
            f"{setting.D * RATE:g}",
            *(spread([getattr(o, key) for o in outcomes], form=f) for key, f in forms.items()),
        )
        for setting, outcomes in result.outcomes.items()
    ]
    return Table(
        caption=(
            f"The ring after {result.plan.rounds:,} updates of G: mean [least, largest] of "
            f"{counted(result.plan.seeds)}; score on validation data, {result.plan.samples:,} "
            "samples"
        ),
        headings=(
            "k",
            "rate of G",
            "rate of D",
            "modes of 8",
            "near a mode",
            "Parzen score (nats)",
            "V (nats)",
        ),
        rows=rows,
    )
