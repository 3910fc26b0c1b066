"""`advnets train --watch`: the page of the run that is training, served beside it.

The page has a process of its own, so that nothing that is asked of it reaches the training: it
reads the run's folder, as `advnets studio RUN` does. It lives as long as the training, which it
knows by a pipe: the training writes into it how it ended, and a pipe that ends without a word means
that the training was killed.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from advnets.base import errors
from advnets.base.terminal import printable

PATIENCE = 5.0
"""Seconds that the page may take to end."""
LOOK = 0.2
"""Seconds between two looks for the folder of a run that has not begun."""


class Watched:
    """Inside, the page of a run is served; its address is said as soon as the run has a folder.

    Args:
        folder: The run's, which may not be there yet.
        say: Is told the address.

    Attributes:
        sentence: How the training ended, which the page is told.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], object]) -> None:
        self.folder, self.say, self.sentence = folder, say, ""

    def __enter__(self) -> Self:
        words = [sys.executable, "-P", "-m", "advnets.studio.watch", str(self.folder)]
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # Ctrl-C is for the training
        )
        self.relay = threading.Thread(target=self._relay, daemon=True)
        self.relay.start()
        return self

    def _relay(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.say(line.rstrip("\n"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, errors.UserError):
            self.sentence = str(error)
        elif error is not None:
            self.sentence = f"Training was ended by an error: {type(error).__name__}."
        assert self.process.stdin is not None
        with contextlib.suppress(OSError), self.process.stdin as pipe:
            pipe.write(printable(self.sentence))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=PATIENCE)
        self.process.kill()
        self.process.wait()
        self.relay.join()


def main(folder: Path) -> None:
    """Serve the page of a run until standard input, which its training holds, ends."""
    over, said = threading.Event(), list[str]()

    def listen() -> None:
        said.append(sys.stdin.read())
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    while not (folder / "config.toml").is_file():
        if over.wait(LOOK):
            return
    from advnets.studio import live, runs  # torch takes seconds
    from advnets.studio.server import Studio

    with Studio([runs.opened(folder, "last")], watch=True, say=_told) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _told(f"Watch: {server.url}")
        over.wait()
        server.end(said[0] or f"The training was killed. {live.on(folder)}")
        server.shutdown()


def _told(line: str) -> None:
    with contextlib.suppress(OSError):  # the training is gone
        print(line, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as refused:  # the training goes on without its page
        _told(f"Watch: no page, for {type(refused).__name__}: {refused}")
