"""The page as a static folder, which works from any web server and from `file://`."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from advnets.base import errors
from advnets.base.choices import Format
from advnets.storage import checkpoints
from advnets.studio import runs
from advnets.studio.bundle import PAGE, script, static
from advnets.studio.runs import Shown


def page(n: int, *, served: bool, watch: bool = False) -> dict[str, str]:
    """The files of the page with n runs, names to texts; their own scripts are not among them.

    Args:
        n: How many.
        served: Whether a server stands behind it.
        watch: Whether it begins with the first run, which is being trained, and not with the game.
    """
    texts = {name: static(name) for name in PAGE} | {"studio.js": script()}
    tags = [f'<script src="run-{i}.js" defer></script>\n' for i in range(n)]
    mark = '<script src="studio.js" defer></script>'
    html = texts["index.html"].replace(mark, "".join(tags) + mark)
    marks = "data-served " * served + "data-watch " * watch
    texts["index.html"] = html.replace("<html ", f"<html {marks}")
    return texts


def write(
    folder: Path,
    shown: Sequence[Shown] = (),
    *,
    how: Format = "float16",
    say: Callable[[str], object],
) -> None:
    """Write the page with these runs into a folder.

    Raises:
        BadFile: Where something else stands in the folder.
        CannotWrite: Where the disk does not take it.
    """
    _refuse_foreign(folder)
    with errors.saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for i, run in enumerate(shown):
        told = runs.described(run, how=how, say=say)
        checkpoints.write_atomically(folder / f"run-{i}.js", runs.as_script(told).encode())
        _copy_pictures(run, folder / f"run-{i}")
    for name, text in page(len(shown), served=False).items():
        checkpoints.write_atomically(folder / name, text.encode())


def _refuse_foreign(folder: Path) -> None:
    """Raise where the folder is neither new, nor empty, nor a page that was written before."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.exists() and (not folder.is_dir() or (there and "studio.js" not in there)):
        raise errors.BadFile(f"{folder}: must be a new or empty folder, or one of this command.")


def _copy_pictures(run: Shown, to: Path) -> None:
    found = runs.pictures(run.folder)
    with errors.saving(to):
        if to.exists():
            shutil.rmtree(to)
        if found:
            to.mkdir()
        for path in found:
            shutil.copyfile(path, to / f"{int(path.stem)}.png")
