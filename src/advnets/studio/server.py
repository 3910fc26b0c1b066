"""The page from this machine: the standard library's server, on the loopback address.

It answers only what it knows by name, so that no path leads anywhere; only to this host's own
names, so that no other site's name can be pointed at it; and only to its own pages.
"""

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from advnets.base import errors, files
from advnets.base.choices import Format
from advnets.studio import live, runs
from advnets.studio.answers import ANSWERS, answer
from advnets.studio.export import page
from advnets.studio.runs import Shown

ADDRESS = "127.0.0.1"
PORT, PORTS = 8014, 50
"""The first port that is tried, and how many after it."""
MOST_LINE, MOST_BODY, MOST_PICTURE = 2_000, 2**20, 2**26
KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
}
POLICY = (
    "default-src 'none'; script-src 'self' blob:; worker-src blob:; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
QUIET = 1.0
"""Seconds between two looks at the folder of a run that is watched."""
PATIENCE = 2.0
"""Seconds in which the pages are told how a training ended."""


class Studio(ThreadingHTTPServer):
    """The server of one page.

    Args:
        shown: The runs on it.
        how: In what the weights of a G are sent.
        port: The first port to try.
        watch: Whether the page begins with the first run, which is being trained.
        say: Is told what is left out.

    Raises:
        BadValue: Where no port is free.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that is taken

    def __init__(
        self,
        shown: Sequence[Shown] = (),
        *,
        how: Format = "float16",
        port: int = PORT,
        watch: bool = False,
        say: Callable[[str], object],
    ) -> None:
        self.shown, self.how, self.say = list(shown), how, say
        self.over, self.ended, self.streams = threading.Event(), "", set[int]()
        self._reading = threading.Lock()
        self._bound(port, say)
        texts = page(len(shown), served=True, watch=watch)
        self.texts = {f"/{name}": text for name, text in texts.items()}
        self.texts["/"] = self.texts["/index.html"]
        self._told = [runs.described(run, how=how, say=say) for run in shown]

    def script(self, i: int) -> str:
        """A run as a script, read anew where it has a newer checkpoint by now."""
        with self._reading:
            folder = self.shown[i].folder
            if runs.newest(folder) != self._told[i]["newest"]:
                with contextlib.suppress(errors.UserError, OSError):  # it is being written
                    run = runs.opened(folder.path, "last")
                    self._told[i] = runs.described(run, how=self.how, say=self.say)
                    self.shown[i] = run
            return runs.as_script(self._told[i])

    def _bound(self, port: int, say: Callable[[str], object]) -> None:
        last = min(port + PORTS, 2**16)
        for number in range(port, last):
            try:
                super().__init__((ADDRESS, number), Handler)
            except OSError:
                continue
            if number != port and port:
                say(f"Port {port} is taken; this is {number}.")
            return
        raise errors.bad_value("port", f"free, or one of the {PORTS} after it", port)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which this server is asked."""
        return tuple(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def end(self, sentence: str) -> None:
        """Tell all pages that watch how the training ended."""
        self.ended = sentence
        self.over.set()
        until = time.monotonic() + PATIENCE
        while self.streams and time.monotonic() < until:
            time.sleep(0.01)

    def server_close(self) -> None:
        """Stop, and let those who watch a run go."""
        self.over.set()
        super().server_close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Studio
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "advnets", ""
    timeout = 30

    def do_GET(self) -> None:
        """A file of the page, a picture of a run, or its events."""
        if not self._allowed():
            return
        path = urlsplit(self.path).path
        script = re.fullmatch(r"/run-(\d{1,4})\.js", path)
        picture = re.fullmatch(r"/run-(\d{1,4})/(\d{1,12})\.png", path)
        events = re.fullmatch(r"/run-(\d{1,4})/events", path)
        if path in self.server.texts:
            kind = path.rpartition(".")[2] if path != "/" else "html"
            self._send(self.server.texts[path].encode(), kind)
        elif script and self._run(script[1]):
            self._send(self.server.script(int(script[1])).encode(), "js")
        elif picture and (run := self._run(picture[1])):
            self._picture(run, int(picture[2]))
        elif events and (run := self._run(events[1])):
            self._events(run)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def do_POST(self) -> None:
        """Samples of a run, or what becomes of some z."""
        if not self._allowed():
            return
        found = re.fullmatch(rf"/run-(\d{{1,4}})/({'|'.join(ANSWERS)})", self.path)
        run = self._run(found[1]) if found else None
        length = self.headers.get("Content-Length", "")
        if found is None or run is None or run.run is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
        elif not length.isdecimal() or int(length) > MOST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too long.")
        else:
            self._answer(found[2], run, self.rfile.read(int(length)))

    def _answer(self, what: str, run: Shown, body: bytes) -> None:
        try:
            told = answer(what, run, json.loads(body))
        except (errors.UserError, ValueError, TypeError, KeyError, RecursionError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error).splitlines()[0][:300] or "Bad request.")
            return
        self._send(json.dumps(told).encode(), "json")

    def _allowed(self) -> bool:
        """Whether this is a page of ours that asks, by a name of ours, and not at length."""
        origin = self.headers.get("Origin")
        own = [f"http://{host}" for host in self.server.hosts]
        if len(self.requestline) > MOST_LINE:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "The request is too long.")
        elif self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "This server answers to its own address only.")
        elif origin is not None and origin not in own:
            self._refuse(HTTPStatus.FORBIDDEN, "This server answers to its own pages only.")
        else:
            return True
        return False

    def _run(self, number: str) -> Shown | None:
        i = int(number)
        return self.server.shown[i] if i < len(self.server.shown) else None

    def _picture(self, run: Shown, update: int) -> None:
        for path in run.folder.pictures():
            if int(path.stem) == update and not path.is_symlink():
                self._send(files.read(path, most=MOST_PICTURE), "png")
                return
        self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _events(self, run: Shown) -> None:
        """What is new in a run's folder, as server-sent events, until the page goes away."""
        self._head(HTTPStatus.OK, "text/event-stream", None)
        self.close_connection = True
        self.server.streams.add(id(self))
        try:
            for event in live.events(run.folder):
                over = self.server.over.is_set()
                self.wfile.write(_line(event, self.server.ended if over else "").encode())
                self.wfile.flush()
                if over:
                    return
                if event is None:
                    self.server.over.wait(QUIET)
        except OSError:  # the page was closed
            return
        finally:
            self.server.streams.discard(id(self))

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(status, KINDS[kind], len(body))
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, length: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.close_connection = True
        self._send(json.dumps({"problem": sentence}).encode(), "json", status)

    def log_message(self, *_: Any) -> None:
        """Nothing: the terminal is the person's."""


def _line(event: dict[str, Any] | None, ended: str) -> str:
    """A server-sent event; one that says nothing shows whether the page is still there."""
    if ended:
        event = {"rows": [], "warnings": []} | (event or {}) | {"ended": ended}
    return ": nothing new\n\n" if event is None else f"data: {json.dumps(event)}\n\n"
