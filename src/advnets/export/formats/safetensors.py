"""One file of weights, which `advnets.load` reads; its header has the facts of config.json."""

from importlib import metadata
from pathlib import Path

import msgspec
from torch import Tensor

from advnets.export.formats import Content
from advnets.export.portable import Portable, Tensors, portable
from advnets.runs import pretrained
from advnets.storage import checkpoints
from advnets.storage.shared_folder import GeneratorFacts

_NAME = Path("generator.safetensors")


class Safetensors:
    """The format; read back, it is the run's own generator."""

    suffix, exact = ".safetensors", True

    def build(self, generator: Portable) -> None:
        """Nothing: weights are written as they are."""

    def content(self, built: None, generator: Portable, facts: GeneratorFacts) -> bytes:  # noqa: ARG002
        """The file."""
        told = {"generator": msgspec.json.encode(facts).decode()}
        return checkpoints.encoded(facts.update, generator.state, told)

    def reader(self) -> str:
        """This library."""
        return f"advnets {metadata.version('advnets')}"

    def run(self, content: Content, inputs: Tensors) -> Tensor:
        """The x of the generator that is built from the file."""
        assert isinstance(content, bytes)
        saved = checkpoints.decoded(_NAME, content)
        return portable(pretrained.rebuilt(_NAME, pretrained.shared_facts(saved), saved)).reference(
            inputs
        )


FORMAT = Safetensors()
