"""Scores on standard output."""

from advnets.base.terminal import paragraph, print_key, print_table, tell
from advnets.evaluation.inception import InceptionScores
from advnets.evaluation.metrics import Quality
from advnets.evaluation.protocol import Evaluation


def show(result: Evaluation, *, title: str) -> None:
    """The table of scores and its caveat, on standard output."""
    first = result.lines[0]
    headings = ["samples from", "n", "sigma"]
    for heading, n in (("validation", first.validation.n), ("test", first.test.n)):
        headings.append(f"{heading}, {n:,}\n(nats)")
    rows = []
    for line in result.lines:
        scores = [str(s).removesuffix(" nats") for s in (line.validation, line.test)]
        sigma = f"{line.test.sigma:.4f}{'*' if result.at_edge(line) else ''}"
        rows.append([line.name, f"{line.test.centres:,}", sigma, *scores])
    print_table(title, headings, rows)
    for note in result.notes():
        paragraph(note)
    for line in result.lines:
        if line.mixing is not None:
            paragraph(f"Samples from {line.name}: {line.mixing}")
    for log_p in result.log_p:
        paragraph(str(log_p))
    if result.classification is not None:
        paragraph(str(result.classification))
    tell("")
    paragraph(result.caveat)


def show_quality(quality: Quality) -> None:
    """The table of the other metrics and their meaning, on standard output."""
    n = f"{quality.n:,}"
    tell("")
    if quality.measures:
        heading = f"Quality of {n} each against {n} {quality.against} examples"
        rows = [
            [m.name, *(str(row.values[m.name]) for row in quality.rows)] for m in quality.measures
        ]
        names = [row.name for row in quality.rows]
        print_table(f"{heading}, with 95% intervals", ["", *names], rows)
        tell("")
        print_key([(m.name, m.better, m.meaning) for m in quality.measures])
        tell("")
    for line in quality.notes():
        paragraph(line)


def show_inception(found: InceptionScores) -> None:
    """The table of distances in Inception features, on standard output."""
    tell("")
    rows = [[row.name, f"{row.n:,}", f"{row.distance:.4g}"] for row in found.rows]
    print_table(found.title, ["pictures", "n", "distance"], rows)
    for note in found.notes():
        paragraph(note)
