"""Formats of an exported generator, one file each: a file with a `FORMAT` is a format.

Its name is that of the file, with hyphens.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from advnets.base import errors
from advnets.export.portable import Portable, Tensors
from advnets.storage.shared_folder import GeneratorFacts

Content = bytes | Mapping[str, bytes]
"""What is written: a file, or the files of a folder by name."""


class Format(Protocol):
    """A way to write a generator, and to run what was written."""

    suffix: str
    """Of the file; '' for a folder."""
    exact: bool
    """Whether what is read back equals the run's own samples bit for bit, or else to rounding."""

    def build(self, generator: Portable) -> Any:
        """What is slow: the generator as this format has it.

        Raises:
            MissingExtra: Where a package is missing.
            BadValue: For a G that this format cannot hold.
        """
        ...

    def content(self, built: Any, generator: Portable, facts: GeneratorFacts) -> Content:
        """What is to be written, with the facts in it."""
        ...

    def reader(self) -> str:
        """What runs it here, with its version."""
        ...

    def run(self, content: Content, inputs: Tensors) -> Tensor:
        """The x of these inputs, by what was written alone."""
        ...


def names() -> list[str]:
    """The formats that there are."""
    return sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(__path__))


def get(name: str) -> Format:
    """A format by name. Raises `BadValue` for an unknown one."""
    errors.one_of(names(), to=name)
    found: Format = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    return found
