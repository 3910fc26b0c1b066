"""Where published data comes from: a folder of the user's, or a download that is checked."""

from pathlib import Path

import pooch

from advnets.base import errors

ENVIRONMENT = "ADVNETS_DATA"
"""The environment variable that names a folder of data for every reader."""


def fetch(name: str, hashes: tuple[str, ...], mirrors: tuple[str, ...], folder: Path) -> Path:
    """One published file in a folder: downloaded unless it is there, every byte checked.

    Args:
        name: The file's name, at the mirrors and in the folder.
        hashes: Its checksums, each `sha256:...` or `md5:...`; all must be right.
        mirrors: Addresses to try, in this order.
        folder: Where to keep it.

    Raises:
        BadFile: When no mirror answers, or a checksum is wrong; then nothing is kept.
    """
    failure: errors.UserError | None = None
    for mirror in mirrors:
        try:
            for known in hashes:  # the first one downloads it
                pooch.retrieve(mirror + name, known, fname=name, path=folder)
            return folder / name
        except ValueError:
            failure = errors.wrong_checksum(mirror + name, known)
        except OSError as error:  # requests' errors are OSErrors
            why = str(error).split("(Caused by", 1)[0][:120]
            failure = failure or errors.no_download(mirror + name, why)
    assert failure is not None
    raise failure
