"""A claim of the paper beside what was measured of it, and the page of many claims."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from advnets.html import markup
from advnets.html.equation import equation
from advnets.html.markup import Chart

MINUS = "\N{MINUS SIGN}"
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A number, and the bound that the claim sets it.

    Attributes:
        what: What was measured, in words.
        value: What it came to.
        relation: On which side of the bound it has to be.
        bound: The tolerance.
    """

    what: str
    value: float
    relation: Literal["at most", "at least"]
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the value is on its side of the bound; no number is on neither."""
        if self.relation == "at most":
            return self.value <= self.bound
        return self.value >= self.bound


def at_most(bound: float, what: str, value: float) -> Measured:
    """A number that must not be above its bound."""
    return Measured(what=what, value=value, relation="at most", bound=bound)


def at_least(bound: float, what: str, value: float) -> Measured:
    """A number that must not be below its bound."""
    return Measured(what=what, value=value, relation="at least", bound=bound)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the paper says, or needs.

    Attributes:
        title: Its name.
        source: Where the paper has it.
        statement: What it says, in our words, a paragraph each.
        equations: Its equations as TeX, and how each is read aloud.
        measured: What was measured of it.
        charts: What can be seen of it.
    """

    title: str
    source: str
    statement: tuple[str, ...]
    equations: Mapping[str, str]
    measured: tuple[Measured, ...]
    charts: tuple[Chart, ...]

    @property
    def holds(self) -> bool:
        """Whether every number is on its side of its bound."""
        return all(m.holds for m in self.measured)

    @property
    def verdict(self) -> str:
        """The line of the command."""
        return f"{'holds' if self.holds else 'FAILS':6}{self.title}"


def page(title: str, kicker: str, lead: str, claims: Sequence[Claim]) -> str:
    """The page of some claims.

    Args:
        title: Its heading.
        kicker: The small line above it.
        lead: The first paragraph.
        claims: What it shows, each as a section.

    Returns:
        The text of an HTML file.
    """
    values = {
        "title": title,
        "kicker": kicker,
        "lead": lead,
        "claims": claims,
        "failed": [claim.title for claim in claims if not claim.holds],
        "quantities": sum(len(claim.measured) for claim in claims),
        "sections": {claim.title: section(claim, f"e{i}") for i, claim in enumerate(claims)},
    }
    return markup.render("claims.html", values)


def section(claim: Claim, name: str) -> Markup:
    """What stands under a claim's title on the page. `name` begins the ids of its equations."""
    equations = [
        equation(tex, words, name=f"{name}-{i}")
        for i, (tex, words) in enumerate(claim.equations.items())
    ]
    values = {"claim": claim, "equations": equations, "number": number}
    return markup.render("claim.html", values)


def number(value: float) -> str:
    """A number for reading: two or so digits, powers of ten raised.

    Example:
        >>> [number(v) for v in (0.0, 1.0, 0.25, 300.0, 1e-8, 3.14e-16)]
        ['0', '1', '0.25', '300', '10⁻⁸', '3.1 · 10⁻¹⁶']
    """
    if not math.isfinite(value):
        return f"{value}"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.0f}" if value == int(value) else f"{value:.3g}".replace("-", MINUS)
    digits, _, power = f"{value:.1e}".partition("e")
    raised = f"10{str(int(power)).translate(_RAISED)}"
    digits = digits.removesuffix(".0").replace("-", MINUS)
    if digits in ("1", f"{MINUS}1"):
        return digits[:-1] + raised
    return f"{digits} \N{MIDDLE DOT} {raised}"
