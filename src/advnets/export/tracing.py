"""The graph of a generator, by `torch.export`, for formats that are graphs."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

import torch

from advnets.base import errors
from advnets.base.process import global_stream_kept
from advnets.export.portable import Portable

_ROWS = 3
"""Of the example; a graph of one row would be one of one row only."""


def traced(generator: Portable) -> torch.export.ExportedProgram:
    """The graph, for any number of rows.

    Raises:
        BadValue: For a G that torch cannot trace.
    """
    inputs = generator.example(_ROWS, 0)
    rows = {0: torch.export.Dim("n", min=1)}
    try:
        with torch.no_grad(), quiet(), global_stream_kept():
            program = torch.export.export(
                generator.module,
                tuple(inputs.values()),
                dynamic_shapes=tuple(rows for _ in inputs),
                strict=False,
            )
    except Exception as error:  # whatever torch says of a module that it cannot follow
        lines = str(error).splitlines() or [type(error).__name__]
        need = "a module whose graph torch.export can make, for any number of rows"
        raise errors.bad_value("G", need, errors.short(lines[0], 160)) from None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # has paths of this machine
    return program


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, torch's exporters keep their notes for developers to themselves."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
