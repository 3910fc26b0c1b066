"""What reaches a terminal: names from outside are harmless, nothing is cut, and no stream can fail."""

import io
import sys

import pytest

from advnets.base import terminal
from advnets.base.progress import Bar, Console, Lines, display
from advnets.cli import command
from advnets.html import markup


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text):
        raise BrokenPipeError

    flush = close = lambda self: None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain, é, 中, [b]", "plain, é, 中, [b]"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nadvnets: all is well\r", r"a\nadvnets: all is well\r"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9b2J\u2028\x7f", r"\x9b2J\u2028\x7f"),
        ("caf\udce9", r"caf\xe9"),
        ("a\u00a0b", "a\u00a0b"),
    ],
)
def test_a_name_is_one_line_that_commands_no_terminal(name, shown, capsys):
    assert terminal.printable(name) == shown
    terminal.say(name)
    Lines(Console(file=terminal.STANDARD_ERROR)).say(name)
    assert capsys.readouterr().err == f"{shown}\n" * 2
    written = str(markup.render("headline.html", {"lead": [], "notice": name}))
    plain = str(markup.render("headline.html", {"lead": [], "notice": "x"}))
    assert written.count("\n") - plain.count("\n") == name.count("\n")
    assert not {"\x1b", "\x07", "\x9b"} & {*written}


def test_an_error_from_a_file_is_one_harmless_line(tmp_path, capsys):
    (tmp_path / "c.toml").write_text('"\\u001b[2J\\nadvnets: fine" = 1\n')
    assert command.main(["train", str(tmp_path / "c.toml")]) == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err and err.count("\n") == 1


@pytest.mark.parametrize("stream", [Broken(), None])
def test_a_display_whose_reader_is_gone_goes_silent(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    display().say("hello")
    terminal.say("hello")
    bar = Bar(Console(file=terminal.STANDARD_ERROR, force_terminal=True))
    bar.say("hello")
    bar.close()


def test_every_encoding_takes_every_name(monkeypatch):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with terminal.streams():
        terminal.tell("é\udcff")
    assert raw.getvalue() == b"\\xe9\\xff\n"
    assert out.errors == "strict"  # as the host had it


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_table_loses_no_number_on_a_narrow_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [["raw", "10,000", "225.0 +- 2.1"], ["training mean [/b]", "1", "9.0 +- 0.1"]]
    terminal.print_table("title [/b]", ["samples", "n", "test\n(nats)"], rows)
    out = capsys.readouterr().out
    for cell in ("title [/b]", "225.0 +- 2.1", "10,000", "training mean [/b]", "(nats)"):
        assert cell in out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= max(width, len("  test (nats): 225.0 +- 2.1"))
