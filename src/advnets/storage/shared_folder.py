"""The folder of a shared generator: what `advnets export --to hub-folder` writes.

    model.safetensors     the weights of G, and the contexts of a conditional one
    config.json           how to build G, draw z and read x; scores, versions and licence
    README.md             the same for a person
    samples.png           the first samples of seed 0

The folder is untrusted: sizes are bounded, config.json is checked field by field, nothing in it is
executed, and no link out of the folder is followed.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

from msgspec import Meta, Struct

from advnets.base import errors, files
from advnets.base.memory import memory
from advnets.storage import schema
from advnets.storage.run_folder import SHARED, RunDir, not_a_run

FORMAT = 1
"""Version of config.json."""
WEIGHTS, CONFIG, CARD, PICTURE = "model.safetensors", SHARED, "README.md", "samples.png"
NAMES = (WEIGHTS, CONFIG, CARD, PICTURE)
"""The files of a folder."""
MOST = 2**24
"""Bytes that config.json may have."""

Name = Annotated[str, Meta(max_length=1_000)]


class Library(Struct, frozen=True):
    """A version of this library."""

    version: Name
    commit: Name | None = None


class PriorFacts(Struct, frozen=True):
    """p_z."""

    name: Name
    dim: schema.Size
    draw: Name
    """How to draw z, in a sentence."""


class TensorFacts(Struct, frozen=True):
    """An input of G, or what it returns."""

    name: Name
    dtype: Name
    shape: tuple[schema.Size | Name, ...]
    """Of a minibatch; its first axis is 'n'."""
    meaning: Name = ""
    low: float | None = None
    """The smallest value in the training set ..."""
    high: float | None = None
    """... and the largest."""


class ScoreFacts(Struct, frozen=True):
    """A row of the table of scores: nats an example, by a Parzen window on n samples."""

    samples_from: Name
    n: schema.Count
    sigma: float
    test: float
    standard_error: float | None
    test_examples: schema.Count


class Scores(Struct, frozen=True):
    """Scores of the shared weights, and their caveat."""

    rows: tuple[ScoreFacts, ...]
    caveat: Name
    others: dict[str, Name] = {}
    """Other metrics by name, with 95% intervals ..."""
    describe: Name = ""
    """... and the feature space that they are computed in."""


class Parity(Struct, frozen=True):
    """How far what was written lies from the model in torch."""

    reader: Name
    """What read it."""
    samples: schema.Count
    max_abs_difference: float
    allowed: float


class GeneratorFacts(Struct, frozen=True, kw_only=True):
    """`config.json`: a generator, for a stranger who wants to draw from it."""

    format: int = FORMAT
    recipe: Name
    update: schema.Count
    checkpoint: Name
    weights: Name
    """Which sampler of the model it is: 'raw', 'averaged' or 'means'."""
    precision: Name = "float32"
    """Of the training; the weights are float32."""
    seed: schema.Count = 0
    stage: Annotated[int, Meta(ge=1, le=2)] | None = None
    model: dict[str, Any]
    """The model's configuration."""
    data: schema.Data
    data_kind: Name
    prior: PriorFacts
    inputs: tuple[TensorFacts, ...]
    output: TensorFacts
    classes: tuple[Name, ...] = ()
    """Class i is the i-th name."""
    scores: Scores | None = None
    license: Name
    trained_by: Library
    exported_by: Library
    parity: Parity | None = None


class _Version(Struct, frozen=True):
    format: int


def facts_of(path: Path, raw: bytes | str) -> GeneratorFacts:
    """The facts in the text of a config.json. Raises `BadFile` for another format, or damage."""
    found = schema.decode(path, raw, _Version).format
    if found != FORMAT:
        raise errors.BadFile(
            f"{path}: 'format' must be {FORMAT}, which this version of advnets reads, got {found}."
        )
    facts: GeneratorFacts = schema.decode(path, raw, GeneratorFacts)
    return facts


def read(path: Path, name: str) -> bytes:
    """The bytes of a file in such a folder.

    Raises:
        BadFile: For a file that is missing, a link out of the folder, not regular, or too large.
    """
    file = path / name
    try:
        inside = file.resolve(strict=True).is_relative_to(path.resolve(strict=True))
    except FileNotFoundError:
        raise errors.missing_file(file, "a shared generator has one") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise errors.unreadable(file, OSError(str(error))) from None
    if not inside:
        raise errors.BadFile(f"{file}: must lie in its folder, got a link out of it.")
    return files.read(file.resolve(), most=MOST if name == CONFIG else int(memory() / 4))


class SharedFolder(RunDir):
    """The folder of a shared generator in place of a run's; it is only read.

    Args:
        path: The folder.
        facts: What its config.json holds.
    """

    def __init__(self, path: Path, facts: GeneratorFacts) -> None:
        self.path, self._facts = path, facts

    def data(self) -> schema.Data:
        """Shape and range of the data, as far as they are shared."""
        return self._facts.data

    def facts(self, name: str) -> NoReturn:  # noqa: ARG002
        """Refused: none of a run's files is here."""
        raise not_a_run(self.path)

    def records(self, name: str = "metrics") -> NoReturn:  # noqa: ARG002
        """Refused: no training is here."""
        raise not_a_run(self.path)

    def _own(self, name: str = "") -> NoReturn:  # noqa: ARG002
        raise not_a_run(self.path)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Inside, a value that is refused is refused as one in this file."""
    try:
        yield
    except errors.BadFile:
        raise
    except errors.BadValue as error:
        raise errors.BadFile(f"{path}: {error}") from None
