"""The model card of a shared generator: README.md, as the Hugging Face Hub shows it."""

import json
import math

from advnets.storage.shared_folder import GeneratorFacts, ScoreFacts, TensorFacts

LIMITS = (
    "It draws examples like those of its training set, with their gaps and their biases. A sample "
    "can be close to a training example. Its scores are on one data set at one sample size. "
    "It is meant for research and teaching, not for decisions about people."
)


def text(facts: GeneratorFacts) -> str:
    """The card, as Markdown with its head for the Hub."""
    parts = [
        _head(facts),
        f"# {_plain(facts.recipe or facts.model.get('kind', 'generator'))}",
        "A generator G of a generative adversarial network or a decoder, trained and exported by "
        "advnets. It maps noise to examples, in the units of the data.",
        "![The first samples of seed 0, not selected](samples.png)",
        _loading(facts),
        _description(facts),
        _scores(facts),
        f"## Intended use and limits\n\n{LIMITS}",
        _licence(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _head(facts: GeneratorFacts) -> str:
    image = len(facts.data.event_shape) == 3
    lines = [
        f"license: {json.dumps(facts.license)}",
        "library_name: advnets",
        *(["pipeline_tag: unconditional-image-generation"] if image else []),
        "tags:",
        *(f"- {tag}" for tag in ("gan", "generative", "pytorch")),
    ]
    return "\n".join(["---", *lines, "---"])


def _loading(facts: GeneratorFacts) -> str:
    n = ["samples = G.sample(64, seed=0)  # sample i depends on (seed, i) alone"]
    if facts.classes:
        n.append(f"G.of_classes([{json.dumps(facts.classes[0])}], 10, seed=0)")
    code = ["import advnets", "", 'G = advnets.load("FOLDER")  # or "hf://user/name"', *n]
    return "\n".join(["## How to load it", "", "```python", *code, "```"])


def _description(facts: GeneratorFacts) -> str:
    classes = ", ".join(map(_plain, facts.classes[:100]))
    more = " ..." if len(facts.classes) > 100 else ""
    by, again = facts.trained_by, facts.exported_by
    rows = {
        "recipe": _plain(facts.recipe) or "none",
        "model": _plain(facts.model.get("kind", "")),
        "weights": f"{_plain(facts.weights)}, {_plain(facts.checkpoint)}, update {facts.update:,}",
        "inputs": "; ".join(map(_tensor, facts.inputs)),
        "output": _tensor(facts.output),
        "z": f"{_plain(facts.prior.name)}: {_plain(facts.prior.draw)}",
        **({"classes": classes + more} if facts.classes else {}),
        "data": ": ".join(filter(None, map(_plain, (facts.data_kind, facts.data.notice)))),
        "trained": f"in {_plain(facts.precision)}, by advnets {_plain(by.version)}, "
        f"commit {_plain(by.commit or 'unknown')}",
        "exported": f"by advnets {_plain(again.version)}, commit "
        f"{_plain(again.commit or 'unknown')}",
    }
    table = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["## What it is", "", "| | |", "|---|---|", *table])


def _tensor(tensor: TensorFacts) -> str:
    shape = ", ".join(map(str, tensor.shape))
    shape = f"({shape},)" if len(tensor.shape) == 1 else f"({shape})"
    values = ""
    if tensor.low is not None and tensor.high is not None:
        values = f", values of the data from {tensor.low:g} to {tensor.high:g}"
    return f"`{_plain(tensor.name)}` {shape} {_plain(tensor.dtype)}{values}"


def _scores(facts: GeneratorFacts) -> str:
    if facts.scores is None:
        return "## Scores\n\nThese weights were not scored (`advnets evaluate`)."
    head = ["| samples from | n | sigma | test (nats an example) |", "|---|---|---|---|"]
    rows = [_row(row) for row in facts.scores.rows]
    caveat = f"Parzen window log-likelihood, +- standard error. {_plain(facts.scores.caveat)}"
    parts = ["\n".join([*head, *rows]), caveat]
    if facts.scores.others:
        head = ["| metric | value, 95% interval |", "|---|---|"]
        rows = [f"| {_plain(n)} | {_plain(v)} |" for n, v in facts.scores.others.items()]
        parts += ["\n".join([*head, *rows]), _plain(facts.scores.describe)]
    return "\n\n".join(["## Scores", *parts])


def _row(row: ScoreFacts) -> str:
    error = "unknown" if row.standard_error is None else f"{row.standard_error:.1f}"
    mean = f"{row.test:.1f}" if math.isfinite(row.test) else "unknown"
    name, test = _plain(row.samples_from), f"{mean} +- {error} ({row.test_examples:,} examples)"
    return f"| {name} | {row.n:,} | {row.sigma:.4f} | {test} |"


def _licence(facts: GeneratorFacts) -> str:
    return (
        f"## Licence\n\nOf the weights: {_plain(facts.license)}. Terms of the training data may "
        "apply as well. advnets itself is under the MIT licence."
    )


def _plain(words: object) -> str:
    """Text that may come from a file, as one line that is no Markdown and no HTML."""
    line = " ".join(str(words).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#!$~" else c for c in line)
