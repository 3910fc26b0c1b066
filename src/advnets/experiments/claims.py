"""A claim of the paper with its measurements, and a page of claims."""

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
    """A measured value, and its bound by the claim.

    Attributes:
        what: What was measured, in words.
        value: The value.
        relation: The required side of the bound.
        bound: The tolerance.
    """

    what: str
    value: float
    relation: Literal["at most", "at least"]
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the value satisfies the bound; NaN never does."""
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
    """A claim of the paper, or an assumption.

    Attributes:
        title: Its name.
        source: Its place in the paper.
        statement: The claim in words, one string for each paragraph.
        equations: Its equations as TeX, with their text for screen readers.
        measured: The measured values.
        charts: Its charts.
    """

    title: str
    source: str
    statement: tuple[str, ...]
    equations: Mapping[str, str]
    measured: tuple[Measured, ...]
    charts: tuple[Chart, ...]

    @property
    def holds(self) -> bool:
        """Whether every value satisfies its bound."""
        return all(m.holds for m in self.measured)

    @property
    def verdict(self) -> str:
        """The line that the command prints."""
        return f"{'holds' if self.holds else 'FAILS':6}{self.title}"


def page(title: str, kicker: str, lead: str, claims: Sequence[Claim]) -> str:
    """The page of some claims.

    Args:
        title: Its heading.
        kicker: The small line above it.
        lead: The first paragraph.
        claims: The claims, one section each.

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
    """The section of a claim. `name` is the prefix of the ids of its equations."""
    equations = [
        equation(tex, words, name=f"{name}-{i}")
        for i, (tex, words) in enumerate(claim.equations.items())
    ]
    values = {"claim": claim, "equations": equations, "number": number}
    return markup.render("claim.html", values)


def number(value: float) -> str:
    """A number for display: about two digits, with powers of ten as superscripts.

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
