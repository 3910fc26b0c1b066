"""Published data: from a folder of the user, or from a verified download."""

from pathlib import Path

import pooch

from advnets.base import errors

ENVIRONMENT = "ADVNETS_DATA"
"""The environment variable that names a folder of data for every reader."""


def fetch(name: str, hashes: tuple[str, ...], mirrors: tuple[str, ...], folder: Path) -> Path:
    """One published file in a folder, downloaded unless it is there, and verified.

    Args:
        name: The file's name, at the mirrors and in the folder.
        hashes: Its checksums, each `sha256:...` or `md5:...`; all must match.
        mirrors: Addresses to try, in this order.
        folder: Where to keep it.

    Raises:
        BadFile: When no mirror answers, or a checksum differs; then nothing is kept.
    """
    failure: errors.UserError | None = None
    for mirror in mirrors:
        try:
            for known in hashes:  # the first one downloads it
                pooch.retrieve(mirror + name, known, fname=name, path=folder)
            return folder / name
        except ValueError:
            failure = errors.BadFile(
                f"{mirror + name}: the download's checksum is not {known}; nothing was kept. "
                "Try again, or give the files with --data.root."
            )
        except OSError as error:  # requests' errors are OSErrors
            why = str(error).split("(Caused by", 1)[0][:120]
            failure = failure or errors.BadFile(
                f"{mirror + name}: could not be downloaded ({why}); give the files with "
                "--data.root."
            )
    assert failure is not None
    raise failure
