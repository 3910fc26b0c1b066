"""The command: the page served until Ctrl-C, or written into a folder."""

from collections.abc import Callable, Sequence
from pathlib import Path

from advnets.base.choices import Format
from advnets.studio import export, runs

Say = Callable[[str], object]


def command(
    paths: Sequence[Path], *, out: Path | None, port: int, how: Format, say: Say, tell: Say
) -> int:
    """Serve or write the page; the exit code.

    Args:
        paths: Folders of runs.
        out: The folder to write; None to serve.
        port: The first port to try.
        how: In what the weights of a G are sent.
        say: Is told what goes otherwise than asked for.
        tell: Is told what was done.
    """
    shown = [runs.opened(path) for path in paths]
    if out is not None:
        export.write(out, shown, how=how, say=say)
        tell(f"Studio: {out / 'index.html'}")
        return 0
    from advnets.studio.server import Studio  # http.server is read by nobody else

    with Studio(shown, how=how, port=port, say=say) as server:
        tell(f"Studio: {server.url} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            tell("Studio: closed; no run was touched.")
    return 0
