"""Export of a generator, for other programs and other people.

A format is a file in `formats/`. Nothing is written before what is to be written has been run, and
has given what the run itself gives.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor

from advnets.base import errors, files
from advnets.base.process import settings_of_a_run
from advnets.export import formats
from advnets.export.facts import facts_of
from advnets.export.formats import Content, Format
from advnets.export.portable import Portable, portable
from advnets.runs.run import Run
from advnets.storage.shared_folder import GeneratorFacts, Parity

ALLOWED = 1e-4
"""Largest difference of a number of x that rounding may make, where x is about 1: a fortieth of one
of 256 grey levels."""
BATCHES = ((1, 1), (63, 2))
"""Rows and seeds of the samples that are compared."""


class Exported(NamedTuple):
    """What was written."""

    path: Path
    facts: GeneratorFacts

    @property
    def parity(self) -> Parity:
        """How far it lies from the run itself."""
        assert self.facts.parity is not None
        return self.facts.parity


def export(
    run: Run,
    out: Path | str | None = None,
    *,
    to: str = "onnx",
    weights: str | None = None,
    license: str | None = None,
) -> Exported:
    """Write the generator of a run, z (and a class) to x in the units of the data.

    What is written holds all that is needed to draw from it: the prior, shapes, ranges, classes,
    recipe, versions, scores and licence. The first axis is of any length. Weights are float32.

    Args:
        run: A trained run, or a shared generator (`advnets.load`).
        out: The file, or for 'hub-folder' a new folder. `generator.onnx` or the like in the run's
            folder by default, or there `hub`; beside a shared generator in one file.
        to: 'onnx', 'safetensors', 'torch-export' or 'hub-folder'.
        weights: Which of the model's samplers: 'raw' or 'averaged'; by default the first.
        license: The licence of the weights, such as 'cc-by-4.0'; 'unknown' by default.

    Returns:
        Where it lies, and its facts.

    Raises:
        BadValue: For a model without a generator x = G(z), an unknown format or sampler, a G that
            the format cannot hold, or one whose numbers change by more than rounding.
        MissingExtra: Where a package is missing.
        CannotWrite: When it cannot be written; nothing is left then.
    """
    place = output(run.folder.path, to, out)
    content, facts = made(run, to=to, weights=weights, license=license)
    write(place, content)
    return Exported(place, facts)


def made(
    run: Run, *, to: str, weights: str | None = None, license: str | None = None
) -> tuple[Content, GeneratorFacts]:
    """What `export` writes, compared with the run, and its facts. Arguments are as there."""
    form = formats.get(to)
    if license is not None:
        one = 0 < len(license) < 200 and license.isprintable()
        errors.require(one, "license", "a name such as cc-by-4.0", errors.short(license, 100))
    weights = weights or next(iter(run.samplers()))
    generator = portable(run, weights)
    facts = facts_of(run, generator, weights, license=license)
    with settings_of_a_run():
        built = form.build(generator)
        content = form.content(built, generator, facts)
        facts = msgspec.structs.replace(facts, parity=compared(form, content, generator))
        return form.content(built, generator, facts), facts


def output(folder: Path, to: str, out: Path | str | None = None) -> Path:
    """Where a format is written. Raises `BadValue` where that would destroy something."""
    suffix = formats.get(to).suffix
    folder = folder.parent if folder.is_file() else folder  # a shared generator in one file
    default = folder / (f"generator{suffix}" if suffix else "hub")
    return files.output(default if out is None else Path(out), (suffix,))


def compared(form: Format, content: Content, generator: Portable) -> Parity:
    """How far what is to be written lies from the model itself.

    Raises:
        BadValue: Where that is more than rounding.
    """
    worst, allowed, rows = 0.0, 0.0, 0
    for n, seed in BATCHES:
        inputs = generator.example(n, seed)
        x = generator.reference(inputs)
        found = form.run(content, inputs)
        need = f"as the run's own samples are, {tuple(x.shape)}"
        errors.require(found.shape == x.shape, "x", need, tuple(found.shape))
        worst = max(worst, _apart(found, x))
        allowed = max(allowed, 0.0 if form.exact else ALLOWED * max(1.0, x.abs().max().item()))
        rows += n
    if not worst <= allowed:
        need = f"within {allowed:.3g} of the run's own samples when {form.reader()} runs G"
        raise errors.bad_value("x", need, f"{worst:.3g} apart; nothing is written")
    return Parity(form.reader(), rows, worst, allowed)


def _apart(found: Tensor, x: Tensor) -> float:
    """The largest difference; infinite where one is no number."""
    apart = (found.double() - x.double()).abs().max()
    return torch.nan_to_num(apart, nan=float("inf"), posinf=float("inf")).item()


def write(place: Path, content: Content) -> None:
    """Write a file, or a folder, whole or not at all."""
    if not isinstance(content, Mapping):
        with errors.saving(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(place, content)
        return
    with files.made_aside(place) as aside:
        for name, raw in content.items():
            files.write_atomically(aside / name, raw)
