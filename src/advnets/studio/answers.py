"""What the page asks the server to compute, all by the run's own verbs."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.data.masks import mask_shape
from advnets.evaluation.neighbours import nearest
from advnets.runs.run import Run
from advnets.sampling.samplers import GeneratorSampler
from advnets.studio.runs import Shown, floats

MOST = 256
"""Samples of one request."""
COMPLETIONS = 32
"""Completions of one request."""


def answer(what: str, shown: Shown, asked: Any) -> dict[str, Any]:
    """The answer to one request, as JSON will hold it.

    Raises:
        BadValue: For anything that cannot be answered; its sentence is shown on the page.
    """
    run = shown.run
    if run is None or not isinstance(asked, dict):
        raise errors.bad_value("request", "an object about a run with a checkpoint", type(asked))
    return ANSWERS[what](shown, run, asked)


def _whole(asked: dict[str, Any], name: str, low: int, high: int) -> int:
    value = asked.get(name, low)
    right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    errors.require(right, name, f"a whole number from {low} to {high}", errors.short(value, 40))
    return int(value)


def _rows(x: Tensor) -> dict[str, Any]:
    return {"n": len(x), "x": floats(x)}


def _sampled(_: Shown, run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    seed, n = _whole(asked, "seed", 0, 2**31 - 1), _whole(asked, "n", 1, MOST)
    chosen = asked.get("class")
    if chosen is not None:
        return _rows(run.of_classes([str(chosen)], n, seed=seed))
    return _rows(run.sample(n, seed=seed))


def _decoded(_: Shown, run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    sampler = run.sampler()
    if not isinstance(sampler, GeneratorSampler):
        raise errors.bad_value("model", "one with a z", run.config.model.kind)
    z = _array(asked.get("z"), sampler.prior.dim, "z")
    if sampler.context is None:
        return _rows(sampler.decode(z))
    return _rows(sampler.decode(z, context=sampler.context.named(str(asked.get("class")))))


def _near(shown: Shown, run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    """The training example nearest to one sample, of all of them."""
    x, train = _examples(run, asked)[:1], shown.splits.train.x
    found = nearest(x, train)
    row, distance = int(found.number[0]), float(found.distance[0])
    return {"row": row, "of": len(train), "distance": distance, "x": floats(train[row : row + 1])}


def _test(shown: Shown, _: Run, asked: dict[str, Any]) -> dict[str, Any]:
    """One test example by its number."""
    x = shown.splits.test.x
    row = _whole(asked, "row", 0, max(len(x) - 1, 0))
    return _rows(x[row : row + 1])


def _completed(_: Shown, run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    """Completions of one picture."""
    seed, n = _whole(asked, "seed", 0, 2**31 - 1), _whole(asked, "n", 1, COMPLETIONS)
    x, shape = _examples(run, asked)[:1], mask_shape(run.folder.data().event_shape)
    mask = _array(asked.get("mask"), int(torch.Size(shape).numel()), "mask")[:1]
    return _rows(run.complete(x, mask.view(1, *shape), n=n, seed=seed)[:, 0])


def _encoded(_: Shown, run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    """E(x)."""
    z = run.encode(_examples(run, asked))
    return {"n": len(z), "z": floats(z)}


ANSWERS: Mapping[str, Callable[[Shown, Run, dict[str, Any]], dict[str, Any]]] = {
    "sample": _sampled,
    "decode": _decoded,
    "near": _near,
    "test": _test,
    "complete": _completed,
    "encode": _encoded,
}


def _examples(run: Run, asked: dict[str, Any]) -> Tensor:
    shape = run.folder.data().event_shape
    return _array(asked.get("x"), int(torch.Size(shape).numel()), "x").view(-1, *shape)


def _array(sent: Any, width: int, name: str) -> Tensor:
    """Rows of float32 from base 64. Raises `BadValue` for anything else."""
    try:
        flat = np.frombuffer(base64.b64decode(str(sent), validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise errors.bad_value(name, "float32 in base 64", error) from None
    right = 0 < flat.size <= MOST * width and flat.size % width == 0 and np.isfinite(flat).all()
    errors.require(bool(right), name, f"1 to {MOST} finite rows of {width}", f"{flat.size} numbers")
    return torch.from_numpy(flat.reshape(-1, width).astype(np.float32))
