"""The command `advnets recipes`: a table of all, the text of one."""

import re

from advnets import recipes
from advnets.base import errors
from advnets.base.terminal import print_columns, tell

HELP = """\
advnets recipes [NAME]

  advnets recipes         a table of the named configurations: what, time, score
  advnets recipes NAME    one of them: its networks, command, measured time and score"""
_DURATION = re.compile(r"([\d.]+(?: to [\d.]+)?) (min [\d.]+ s|(?:CPU )?(?:second|minute|hour)s?)")
_SCORE = re.compile(r"(-?[\d.]+ \+- [\d.]+ nats)|(Frechet) distance ([\d.]+)|(AUC) of ([\d.]+)")
_SHORT = {"minutes": "min", "seconds": "s", "hours": "h", " to ": "-"}


def list_recipes(words: list[str]) -> int:
    """The command `advnets recipes`."""
    if words and words[0] in ("-h", "--help", "--help-all"):
        tell(HELP)
        return 0
    if len(words) > 1 or (words and words[0].startswith("-")):
        raise errors.unknown("option", words[-1], ["--help"])
    if words:
        tell(f"{words[0]}\n\n{recipes.about(words[0])}")
        return 0
    print_columns(("name", "what", "time", "score"), map(row, recipes.RECIPES), wrapped=1)
    tell("\nThe whole text: advnets recipes NAME. Each time and score is of one run.")
    return 0


def row(name: str) -> tuple[str, str, str, str]:
    """Of a recipe: its name, what it is, the time of its run and its score, in a few words."""
    text = " ".join(recipes.about(name).splitlines())
    told = text.partition("Time: ")[2].partition("Score: ")
    duration, score = _DURATION.search(told[0]), _SCORE.search(told[2])
    time = duration[0] if duration else "-"
    for word, short in _SHORT.items():
        time = time.replace(word, short)
    found = " ".join(filter(None, score.groups())) if score else "-"
    return name, re.split(r"[,:.] ", text)[0], time, found
