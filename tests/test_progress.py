"""What is printed while a run goes on."""

import functools
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from advnets.base.progress import Bar, Lines, Silent, Status, counting, display, duration

STATUS = Status(
    update=300,
    steps=1000,
    updates_per_second=12.34,
    seconds_left=75.2,
    values={"V": -1.38629, "D_x": 0.5},
    score="raw 225.0",
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (75, "1:15"),
        (3599.6, "1:00:00"),
        (4000, "1:06:40"),
        (360_000, "100:00:00"),
    ],
)
def test_a_duration_is_minutes_and_seconds_and_hours_where_there_are_any(seconds, words):
    assert duration(seconds) == words


def test_a_status_is_one_line():
    line = "12.3 updates/s  1:15 left  V -1.386  D_x 0.500"
    assert STATUS.line() == line + "  validation raw 225.0"
    assert replace(STATUS, score="").line() == line


def lines(time=lambda: 0.0, width=20):
    out = io.StringIO()
    return Lines(Console(file=out, get_time=time, width=width)), out


def test_lines_prints_one_whole_line_however_narrow_the_console():
    shown, out = lines()
    shown.show(STATUS)
    shown.close()
    assert out.getvalue() == f"update 300/1000  {STATUS.line()}\n"


def test_lines_prints_at_most_one_a_second_and_always_the_last():
    now = [0.0]
    shown, out = lines(lambda: now[0])
    for tick in range(30):
        now[0] = tick / 10
        shown.show(replace(STATUS, update=tick))
    shown.show(replace(STATUS, update=1000))
    printed = [line.split()[1] for line in out.getvalue().splitlines()]
    assert printed == ["0/1000", "10/1000", "20/1000", "1000/1000"]


@pytest.mark.parametrize("text", ["[bold]/runs/x[0]", "a:key:b", "1:15", "x" * 200])
def test_what_is_said_is_printed_as_it_is(text):
    shown, out = lines()
    shown.say(text)
    assert out.getvalue() == text + "\n"


def bar(width=80):
    out = io.StringIO()
    return Bar(Console(file=out, force_terminal=True, width=width, color_system=None)), out


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_shows_how_far_the_run_is_and_its_numbers(width):
    shown, out = bar(width)
    shown.show(STATUS)
    shown.close()
    assert "━━━━━" in out.getvalue()
    assert " 300/1000" in out.getvalue()
    assert STATUS.line() in out.getvalue()


def test_what_is_said_stays_above_the_bar():
    shown, out = bar(200)
    shown.show(STATUS)
    shown.say("[a] word")
    shown.show(replace(STATUS, update=1000))
    shown.close()
    assert " 1000/1000" in out.getvalue().split("[a] word")[1]


def test_a_bar_that_never_moved_can_be_closed_and_spoken_through():
    shown, out = bar()
    shown.say("hello")
    shown.close()
    shown.close()
    assert "hello" in out.getvalue()


def test_silence_shows_nothing(capsys):
    shown = Silent()
    shown.show(STATUS)
    shown.say("nothing")
    shown.close()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("terminal", "kind"), [(False, Lines), (True, Bar)])
def test_a_bar_is_for_terminals_and_lines_for_the_rest_on_standard_error(
    terminal, kind, monkeypatch, capsys
):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    shown = display()
    shown.say("hello")
    shown.close()
    assert isinstance(shown, kind)
    assert "hello" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [False, True])
def test_a_count_is_a_bar_on_a_terminal_and_a_line_at_the_end_elsewhere(
    terminal, monkeypatch, capsys
):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with counting("pictures decoded", 2_000, 500) as show:
        for n in (501, 800, 2_000):
            show(n)
    said = capsys.readouterr().err
    assert "pictures decoded" in said
    if terminal:
        assert "2000/2000" in said
    else:
        assert re.fullmatch(r"pictures decoded: 2,000 of 2,000, [\d,]+ a second\n", said)


def test_a_count_says_how_far_it_is_every_five_seconds(monkeypatch, capsys):
    now = iter([0.0, 1.0, 6.0, 7.0, 20.0])
    clocked = functools.partial(Console, get_time=lambda: next(now))
    monkeypatch.setattr("advnets.base.progress.Console", clocked)
    with counting("files", 100) as show:
        for n in (10, 60, 70, 90):
            show(n)
    assert (
        capsys.readouterr().err == "files: 60 of 100, 10 a second\nfiles: 90 of 100, 4 a second\n"
    )
