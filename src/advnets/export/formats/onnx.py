"""ONNX: a graph that runs without torch, by onnxruntime and many others."""

import importlib
import re
from typing import Any

import msgspec
import torch
from torch import Tensor

from advnets.base import errors
from advnets.export.formats import Content
from advnets.export.portable import Portable, Tensors
from advnets.export.tracing import quiet, traced
from advnets.storage.shared_folder import GeneratorFacts

MOST = 2**31 - 1
"""Bytes that a file of protocol buffers can have."""
ROWS = "n"
"""What the file calls the first axis."""


class Onnx:
    """The format."""

    suffix, exact = ".onnx", False

    def build(self, generator: Portable) -> Any:
        """The model as a protocol buffer, for any number of rows."""
        for package in ("onnx", "onnxscript", "onnxruntime"):
            _imported(package)
        size = sum(t.nbytes for t in generator.module.state_dict().values())
        need = f"one with weights of less than {MOST:,} bytes, which one ONNX file can hold"
        errors.require(size < MOST, "G", need, f"{size:,}")
        program = traced(generator)
        try:
            with quiet():
                found: Any = torch.onnx.export(
                    program,
                    input_names=[given.name for given in generator.inputs],
                    output_names=["x"],
                    external_data=False,
                    verbose=False,
                )
        except Exception as error:  # one of the exporter's several
            raise _refused(error) from None
        return _tidy(found.model_proto)

    def content(self, built: Any, generator: Portable, facts: GeneratorFacts) -> bytes:  # noqa: ARG002
        """The file."""
        onnx = _imported("onnx")
        told = {"advnets": msgspec.json.encode(facts).decode()}
        onnx.helper.set_model_props(built, told)
        onnx.checker.check_model(built)
        raw: bytes = built.SerializeToString()
        return raw

    def reader(self) -> str:
        """The package onnxruntime."""
        return f"onnxruntime {_imported('onnxruntime').__version__}"

    def run(self, content: Content, inputs: Tensors) -> Tensor:
        """The x that onnxruntime computes, on the CPU."""
        runtime = _imported("onnxruntime")
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (x,) = session.run(None, {name: t.numpy() for name, t in inputs.items()})
        return torch.from_numpy(x)


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise errors.missing_extra(package, "export") from None


def _tidy(model: Any) -> Any:
    """The model with a named first axis, and without this machine's paths in its notes."""
    del model.metadata_props[:]
    for part in (model.graph, *model.functions):
        del part.metadata_props[:]
        for node in part.node:
            del node.metadata_props[:]
            node.ClearField("doc_string")
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = ROWS
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.ClearField("doc_string")
    return model


def _refused(error: BaseException) -> errors.BadValue:
    """The error for an operation that ONNX, or torch's translation to it, lacks."""
    words: BaseException | None = error
    while words is not None:
        found = re.search(r"aten[.:]+(\w+)", str(words))
        if found:
            need = "made of operations that ONNX has (--to torch-export takes any)"
            return errors.bad_value("G", need, f"aten.{found[1]}")
        words = words.__cause__ or words.__context__
    lines = str(error).splitlines() or [type(error).__name__]
    return errors.bad_value("G", "a graph that becomes ONNX", errors.short(lines[0], 160))


FORMAT = Onnx()
