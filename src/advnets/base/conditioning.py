r"""The context of each example in a conditional model: a class, or a vector.

.. math:: \min_G \max_D E_{x, c}[\log D(x | c)] + E_{z, c}[\log(1 - D(G(z | c) | c))]

Reference: Goodfellow et al. (2014), Section 7, extension 1: p(x | c) "can be obtained by adding c
    as input to both G and D"; Mirza and Osindero (2014).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.rng import generator

MOST = 10_000
"""Training vectors that are kept as a sample to draw contexts from."""


@dataclass(frozen=True)
class Context:
    r"""The contexts of a training set, and how often each occurs there.

    Attributes:
        rows: The labels of K classes, whole numbers `(K,)`; or vectors of training examples,
            `(r, d)`.
        weights: How often each row is drawn, `(K,)` or `(r,)`: the examples of each class.
        names: What the classes are called; empty for vectors.

    Example:
        >>> digits = Context.of(torch.tensor([3, 7, 7, 7]))
        >>> digits.names, digits.size
        (('3', '7'), 2)
        >>> digits.encode(torch.tensor([7, 3]))
        tensor([[0.0000, 1.4142],
                [1.4142, 0.0000]])
    """

    rows: Tensor
    weights: Tensor
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: Tensor, names: Sequence[str] = (), *, seed: int = 0) -> "Context":
        """The contexts of training examples with these labels.

        Args:
            labels: Whole numbers `(n,)` are classes; any other numbers, `(n,)` or `(n, d)`, are
                vectors, of which 10,000 at most are kept.
            names: What classes 0, 1, ... are called; by default their numbers.
            seed: Chooses the vectors that are kept.

        Raises:
            BadValue: For labels of more axes, or that are not finite.
        """
        if labels.ndim == 1 and not labels.is_floating_point():
            rows, weights = torch.unique(labels.long(), return_counts=True)
            return cls(rows, weights, tuple(names[i] if names else str(i) for i in rows.tolist()))
        if labels.ndim > 2:
            raise errors.wrong_shape("labels", "(n,) or (n, d)", labels.shape)
        vectors = labels.float().view(len(labels), -1)
        finite = vectors.isfinite().all(dim=1)
        if not finite.all():
            raise errors.array_not_finite("labels", int(finite.logical_not().nonzero()[0]))
        chosen = torch.randperm(len(vectors), generator=generator(seed, "contexts"))[:MOST]
        return cls(vectors[chosen], torch.ones(len(chosen), dtype=torch.int64))

    @classmethod
    def like(cls, facts: Mapping[str, Any]) -> "Context":
        """A context whose rows `load_state` fills in: the inverse of `facts`."""
        names, shape = tuple(facts["classes"]), tuple(facts["shape"])
        rows = torch.zeros(shape, dtype=torch.int64 if names else torch.float32)
        return cls(rows, torch.ones(shape[0], dtype=torch.int64), names)

    def facts(self) -> dict[str, Any]:
        """What must be known before a state is loaded, as JSON holds it."""
        return {"classes": list(self.names), "shape": list(self.rows.shape)}

    def state(self) -> dict[str, Tensor]:
        """Rows and weights, as tensors."""
        return {"rows": self.rows.clone(), "weights": self.weights.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`, in place. Raises `BadValue` where a name or shape differs."""
        for name, own in (("rows", self.rows), ("weights", self.weights)):
            need, got = tuple(own.shape), tuple(state[name].shape) if name in state else "absent"
            errors.require(need == got, f"context.{name}", f"of shape {need}", got)
            own.copy_(state[name])

    def to(self, device: torch.device | str) -> "Context":
        """The same on another device."""
        return replace(self, rows=self.rows.to(device), weights=self.weights.to(device))

    @property
    def size(self) -> int:
        """Length of an encoded context: K, or d."""
        return len(self.names) if self.names else self.rows.shape[1]

    def encode(self, context: Tensor) -> Tensor:
        r"""Encoded contexts, `(n, size)`.

        A vector as it is; a class as :math:`\sqrt K` in its place and 0 elsewhere, so that K equal
        classes have the mean square 1 that the coordinates of z have.
        """
        if self.names:
            return torch.eq(context.view(-1, 1), self.rows).float() * math.sqrt(self.size)
        return context.float().view(len(context), -1)

    def at(self, u: Tensor) -> Tensor:
        """The contexts at the quantiles u in [0, 1) of the training set, one each."""
        ends = self.weights.cumsum(0).double()
        row = torch.searchsorted(ends, u.double().to(ends.device) * ends[-1], right=True)
        return self.rows[row.clamp_(max=len(ends) - 1)]

    def draw(self, n: int, *, rng: torch.Generator) -> Tensor:
        """`n` contexts at the frequencies of the training set."""
        return self.at(torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64))

    def spelled(self, name: str) -> str:
        """A class as the data spells it: the same name, or the only one that differs in case.

        Raises:
            BadValue: For an unknown class, several that differ in case alone, or vectors.
        """
        if not self.names:
            raise errors.bad_value(
                "class",
                f"left out: the contexts of this run are vectors of {self.size} numbers",
                name,
            )
        alike = [own for own in self.names if own.casefold() == name.casefold()]
        if name not in self.names and len(alike) != 1:
            where = f"The run has {len(self.names)} classes: its data.json lists them."
            raise errors.unknown("class", name, alike or self.names, instead=where)
        return name if name in self.names else alike[0]

    def named(self, name: str) -> Tensor:
        """The label of a class by its name, 0-d; case matters only where names differ by it alone.

        Raises:
            BadValue: As `spelled`.
        """
        return self.rows[self.names.index(self.spelled(name))]

    def given(self, context: Tensor, n: int) -> Tensor:
        """The contexts of n samples, from one context for all of them or one each.

        Raises:
            BadValue: For another shape, or a class that does not exist.
        """
        one = self.rows.shape[1:]
        if context.shape == one:
            context = context.expand(n, *one)
        elif context.shape != (n, *one):
            shapes = " or ".join(str(tuple(shape)) for shape in (one, (n, *one)))
            raise errors.wrong_shape("context", shapes, context.shape)
        context = context.to(self.rows)
        if self.names:
            known = torch.isin(context, self.rows)
            if not known.all():
                raise errors.unknown("class", str(context[~known][0].item()), self.names)
        return context
