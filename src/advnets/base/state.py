"""States: tensors by dotted names."""

from collections.abc import Mapping

from torch import Tensor

from advnets.base.files import atomic_path as atomic_path
from advnets.base.files import write_atomically as write_atomically


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
