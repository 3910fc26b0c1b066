"""One line on what was read of a folder or zip of pictures, for the header of a run."""

from pathlib import Path

from advnets.data.images.cache import Cache
from advnets.data.splits import Split, Splits

MOST_CLASSES = 10
"""Names of classes in the line."""


def summary(path: Path, cache: Cache, splits: Splits, others: int) -> str:
    """Splits and classes with their origin, and what was left out, with counts.

    Args:
        path: The source as the user named it.
        cache: Its decoded pictures.
        splits: Their splits.
        others: Files of the source that are no pictures.
    """
    own = any(cache.folders)
    parts = {"training": splits.train, "validation": splits.validation, "test": splits.test}
    read = [
        _part(name, part, n, folders, own=own, classes=bool(cache.classes))
        for (name, part), n, folders in zip(
            parts.items(), cache.examples, cache.folders, strict=True
        )
    ]
    told = [", ".join(read), *_held_out(splits, cache), _classes(cache), *_rest(cache, others)]
    return f"Read {path}: {'; '.join(told)}."


def _held_out(splits: Splits, cache: Cache) -> list[str]:
    """The share of the pictures that is not trained on, where it was drawn."""
    if any(cache.folders):
        return []
    held_out = len(splits.validation) + len(splits.test)
    return [f"{held_out / (held_out + len(splits.train)):.0%} held out for validation and test"]


def _part(
    name: str, part: Split, n: int, folders: tuple[str, ...], *, own: bool, classes: bool
) -> str:
    """One split: how many pictures, and where they come from."""
    origin = ", ".join(folders) or ("drawn from training" if own else "drawn at random")
    unlabelled = ", without classes" if classes and part.context is None else ""
    return f"{len(part):,} {name} ({origin}{unlabelled})"


def _classes(cache: Cache) -> str:
    if not cache.classes:
        return f"no classes ({cache.classes_from})"
    more = ", ..." if len(cache.classes) > MOST_CLASSES else ""
    some = ", ".join(cache.classes[:MOST_CLASSES])
    return f"{len(cache.classes):,} classes {cache.classes_from} ({some}{more})"


def _rest(cache: Cache, others: int) -> list[str]:
    """What was left out, and how the pictures were converted."""
    left = ", ".join(f"{n:,} {why} (first {first})" for why, n, first in cache.left)
    rest = [f"left out: {left}"] if left else []
    rest += [f"{others:,} other files"] if others else []
    if 0 < cache.depth < 16:
        rest.append(f"16-bit pictures scaled by the {cache.depth} bits that they use")
    return rest
