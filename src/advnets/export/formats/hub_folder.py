"""A folder to be shared: weights, config.json, a model card and a picture of samples."""

import tempfile
from importlib import metadata
from pathlib import Path

import msgspec
from torch import Tensor

from advnets.export import card
from advnets.export.formats import Content
from advnets.export.portable import Portable, Tensors, portable
from advnets.plotting import images
from advnets.runs import pretrained
from advnets.sampling.samplers import class_by_class, class_rows, draw
from advnets.storage import checkpoints
from advnets.storage.shared_folder import CARD, CONFIG, PICTURE, WEIGHTS, GeneratorFacts, facts_of

_AT = Path("hub-folder")


class HubFolder:
    """The format; `advnets.load` reads the folder."""

    suffix, exact = "", True

    def build(self, generator: Portable) -> None:
        """Nothing: weights are written as they are."""

    def content(self, built: None, generator: Portable, facts: GeneratorFacts) -> dict[str, bytes]:  # noqa: ARG002
        """The files."""
        return {
            WEIGHTS: checkpoints.encoded(facts.update, generator.state, {}),
            CONFIG: msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n",
            CARD: card.text(facts).encode(),
            PICTURE: picture(generator, facts),
        }

    def reader(self) -> str:
        """This library."""
        return f"advnets {metadata.version('advnets')}"

    def run(self, content: Content, inputs: Tensors) -> Tensor:
        """The x of the generator that is built from the files."""
        assert not isinstance(content, bytes)
        facts = facts_of(_AT / CONFIG, content[CONFIG])
        saved = checkpoints.decoded(_AT / WEIGHTS, content[WEIGHTS])
        return portable(pretrained.rebuilt(_AT, facts, saved)).reference(inputs)


def picture(generator: Portable, facts: GeneratorFacts) -> bytes:
    """The first samples of seed 0, not selected, as a PNG: a row for each class of a few."""
    sampler = generator.sampler
    classes = class_rows(sampler) if images.is_image(sampler.event_shape) else []
    if classes:
        x = class_by_class(sampler, images.COLUMNS, seed=0, classes=classes)
    else:
        x = draw(sampler, images.picture_size(sampler.event_shape), seed=0)
    low, high = facts.data.span or images.wide(facts.data.low, facts.data.high)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PICTURE
        columns = images.COLUMNS if classes else None
        images.save_samples(path, x, span=(low, high), columns=columns)
        return path.read_bytes()


FORMAT = HubFolder()
