"""What tests of laws draw from: tables of probabilities, zeros and tiny ones among them."""

import torch
from hypothesis import settings
from hypothesis import strategies as st

law = settings(derandomize=True, deadline=None, database=None, max_examples=100)
"""The same examples every time, and no clock."""

POWERS = st.floats(-300, 0)
"""Of ten, before the probabilities are scaled to sum to 1."""


ANY, FULL = st.none() | POWERS, POWERS
"""A probability that may be zero, and one that may not."""


@st.composite
def tables(draw, *supports):
    """A table for each of `supports`, ANY or FULL, over the same outcomes; two of any by default."""
    n = draw(st.integers(1, 12))
    return [_scaled(draw(st.lists(s, min_size=n, max_size=n))) for s in supports or (ANY, ANY)]


def table(*probabilities):
    """A table written out."""
    return torch.tensor(probabilities, dtype=torch.float64)


def _scaled(powers):
    most = max((v for v in powers if v is not None), default=None)
    if most is None:
        powers, most = [0.0, *powers[1:]], 0.0
    weights = [0.0 if v is None else 10.0 ** (v - most) for v in powers]
    total = sum(weights)
    return table(*(w / total for w in weights))
