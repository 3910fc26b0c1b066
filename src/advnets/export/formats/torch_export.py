"""A program of `torch.export`, which torch alone runs: `torch.export.load(path).module()(z)`."""

import io
from typing import Any

import msgspec
import torch
from torch import Tensor

from advnets.export.formats import Content
from advnets.export.portable import Portable, Tensors
from advnets.export.tracing import traced
from advnets.storage.shared_folder import GeneratorFacts

FACTS = "advnets.json"
"""The extra file inside that holds the facts."""


class TorchExport:
    """The format."""

    suffix, exact = ".pt2", False

    def build(self, generator: Portable) -> torch.export.ExportedProgram:
        """The program, for any number of rows."""
        return traced(generator)

    def content(
        self,
        built: torch.export.ExportedProgram,
        generator: Portable,  # noqa: ARG002
        facts: GeneratorFacts,
    ) -> bytes:
        """The file."""
        file = io.BytesIO()
        told = {FACTS: msgspec.json.encode(facts).decode()}
        torch.export.save(built, file, extra_files=told)
        return file.getvalue()

    def reader(self) -> str:
        """Torch."""
        return f"torch {torch.__version__}"

    def run(self, content: Content, inputs: Tensors) -> Tensor:
        """The x of the program."""
        assert isinstance(content, bytes)
        program: Any = torch.export.load(io.BytesIO(content)).module()
        with torch.no_grad():
            x: Tensor = program(*inputs.values())
        return x


FORMAT = TorchExport()
