"""Upload of a shared generator to the Hugging Face Hub.

The token is found by `huggingface_hub` in its own places; this module never sees it.
"""

import contextlib
from collections.abc import Mapping

from advnets.base import errors
from advnets.export import made
from advnets.runs import hub
from advnets.runs.pretrained import Pretrained
from advnets.runs.run import Run
from advnets.storage import shared_folder
from advnets.storage.shared_folder import CONFIG, NAMES, WEIGHTS


def files_to_push(
    run: Run, *, weights: str | None = None, license: str | None = None
) -> Mapping[str, bytes]:
    """The files of a shared generator: those of its folder, or what a run exports.

    Args:
        run: A trained run, or a shared generator, whose own files are taken as they are.
        weights: Which of a run's samplers; by default the first.
        license: The licence of a run's weights.

    Raises:
        BadFile: For a folder that is damaged.
        BadValue: For a run that cannot be exported, or options that a finished folder does not
            take.
    """
    if not isinstance(run, Pretrained):
        content, _ = made(run, to="hub-folder", weights=weights, license=license)
        assert not isinstance(content, bytes)
        return content
    for name, given in {"weights": weights, "license": license}.items():
        need = "left out for a finished folder (advnets export makes another one)"
        errors.require(given is None, name, need, given)
    folder, found = run.folder.path, {}
    errors.require(folder.is_dir(), "folder", "a run, or a shared folder", folder)
    for name in NAMES:
        optional = contextlib.suppress(errors.BadFile) if name not in (CONFIG, WEIGHTS) else None
        with optional or contextlib.nullcontext():
            found[name] = shared_folder.read(folder, name)
    return found


def upload(repo: str, files: Mapping[str, bytes], *, private: bool) -> str:
    """Make the repository where it is not there yet, and add the files in one commit.

    Args:
        repo: Its name, `user/name`.
        files: Their bytes by name.
        private: Whether a new repository is private.

    Returns:
        The address of the repository.

    Raises:
        BadFile: Where the Hub refuses it, or cannot be reached.
    """
    library = hub.library()
    with hub.asking(repo):
        api = library.HfApi(endpoint=hub.endpoint(), library_name="advnets")
        api.create_repo(repo, private=private, exist_ok=True)
        added = [
            library.CommitOperationAdd(path_in_repo=name, path_or_fileobj=raw)
            for name, raw in files.items()
        ]
        api.create_commit(repo, added, commit_message="A generator, by advnets")
    return f"{hub.endpoint()}/{repo}"
