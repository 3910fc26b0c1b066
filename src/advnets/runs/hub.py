"""Shared generators on the Hugging Face Hub: `advnets.load("hf://user/name")`."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from advnets.base import errors, files
from advnets.base.memory import memory
from advnets.runs import pretrained
from advnets.runs.pretrained import Pretrained
from advnets.storage import checkpoints, shared_folder

PREFIX = "hf://"


def library(module: str = "") -> Any:
    """The package `huggingface_hub`, or a module of it.

    Raises:
        MissingExtra: Where it is not installed.
    """
    try:
        return importlib.import_module(f"huggingface_hub.{module}".rstrip("."))
    except ImportError:
        raise errors.missing_extra("huggingface_hub", "hub") from None


def endpoint() -> str:
    """The address of the Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def repository(name: str) -> str:
    """A name `user/name`. Raises `BadValue` for any other."""
    user, slash, own = name.partition("/")
    try:
        library("utils").validate_repo_id(name)
    except ValueError:
        own = ""
    errors.require(bool(user and slash and own), "repo", "user/name", errors.short(name, 100))
    return name


@contextmanager
def asking(name: str) -> Iterator[None]:
    """Inside, what the Hub refuses is one line, without the token that was sent."""
    hub = library()
    try:
        yield
    except errors.UserError:
        raise
    except Exception as error:  # of the Hub, of its client, or of the network
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why, token = (lines or [type(error).__name__])[0], hub.get_token()
        if token:
            why = why.replace(token, "***")
        raise errors.BadFile(
            f"{PREFIX}{name}: {endpoint()} refused it or cannot be reached "
            f"({errors.short(why, 160)}); `hf auth login` gives you access to what is yours."
        ) from None


def fetched(address: str) -> Pretrained:
    """The generator at an address `hf://user/name`, from the Hub's cache or the Hub itself.

    Raises:
        BadFile: Where it cannot be had, or is no shared generator.
        BadValue: For another address.
    """
    name = repository(address.removeprefix(PREFIX))
    raw = {}
    for file in (shared_folder.CONFIG, shared_folder.WEIGHTS):
        with asking(name):
            place = library().hf_hub_download(name, file, endpoint=endpoint())
        most = shared_folder.MOST if file == shared_folder.CONFIG else int(memory() / 4)
        raw[file] = files.read(Path(place), most=most)
    shown = Path(address)
    facts = shared_folder.facts_of(shown / shared_folder.CONFIG, raw[shared_folder.CONFIG])
    saved = checkpoints.decoded(shown / shared_folder.WEIGHTS, raw[shared_folder.WEIGHTS])
    return pretrained.rebuilt(shown, facts, saved)
