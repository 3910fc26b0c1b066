"""Private functions and classes of torch, each with a fallback from torch's public interface.

Torch may rename or remove them in any release. No other module of this library uses them. Each is
looked up when it is needed; in a torch without it the fallback gives the same result, if slower.
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

ONEDNN_SCHEMA = (
    "mkldnn::_linear_pointwise(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, "
    "str? algorithm) -> Tensor Y"
)
"""The signature of oneDNN's product that the library is written for."""
_GLOBAL_HOOKS = (
    "_global_backward_pre_hooks",
    "_global_backward_hooks",
    "_global_forward_pre_hooks",
    "_global_forward_hooks",
)
_BATCH_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.LazyBatchNorm1d,
    nn.LazyBatchNorm2d,
    nn.LazyBatchNorm3d,
)
_INSTANCE_NORMS = (
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LazyInstanceNorm1d,
    nn.LazyInstanceNorm2d,
    nn.LazyInstanceNorm3d,
)
_DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


def onednn_linear() -> Callable[..., Tensor] | None:
    """The product `x W^T + b` of oneDNN; None where it is not the fastest, or not the one known.

    Where torch computes with AVX2 and not AVX-512, its own products (MKL) are faster; with AVX-512,
    oneDNN's. Torch's choice of instructions (`get_cpu_capability`) decides, and no measurement at
    each start: two games of one seed on one kind of processor stay equal, bit for bit.
    """
    backends: Any = torch.backends
    if not backends.mkldnn.is_available() or backends.cpu.get_cpu_capability() == "AVX2":
        return None
    operation: Any = getattr(getattr(torch.ops, "mkldnn", None), "_linear_pointwise", None)
    schema = getattr(getattr(operation, "default", None), "_schema", None)
    return operation if str(schema) == ONEDNN_SCHEMA else None


def fbgemm() -> bool:
    """Whether this torch has FBGEMM, whose `embedding_bag` is fast on x86."""
    engine: Any = getattr(torch.backends, "quantized", None)
    return "fbgemm" in getattr(engine, "supported_engines", ())


def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source into its target, all in one call where torch has one."""
    together: Any = getattr(torch, "_foreach_copy_", None)
    if together is not None:
        together(targets, sources)
        return
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


def lerp_all(targets: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> None:
    """Move each target towards its end by this share, all in one call where torch has one."""
    together: Any = getattr(torch, "_foreach_lerp_", None)
    if together is not None:
        together(targets, ends, weight)
        return
    for target, end in zip(targets, ends, strict=True):
        target.lerp_(end, weight)


def batch_norms() -> tuple[type[nn.Module], ...]:
    """Torch's layers of batch normalisation."""
    return *_BATCH_NORMS, *_found(nn.modules.batchnorm, "_BatchNorm")


def running_norms() -> tuple[type[nn.Module], ...]:
    """Torch's layers that may keep running moments: batch and instance normalisation."""
    return *_BATCH_NORMS, *_INSTANCE_NORMS, *_found(nn.modules.batchnorm, "_NormBase")


def dropouts() -> tuple[type[nn.Module], ...]:
    """Torch's layers of dropout."""
    return *_DROPOUTS, *_found(nn.modules.dropout, "_DropoutNd")


def spectral_hooks() -> tuple[type[Any], ...]:
    """The hook of `torch.nn.utils.spectral_norm`; empty in a torch without it."""
    with contextlib.suppress(ImportError):
        return _found(importlib.import_module("torch.nn.utils.spectral_norm"), "SpectralNorm")
    return ()


def spectral_parametrizations() -> tuple[type[Any], ...]:
    """The module of `torch.nn.utils.parametrizations.spectral_norm`."""
    return _found(nn.utils.parametrizations, "_SpectralNorm")


def script_modules() -> tuple[type[Any], ...]:
    """The modules that the deprecated `torch.jit.script` makes; empty in a torch without it."""
    return _found(getattr(torch, "jit", None), "ScriptModule")


def has_global_hooks() -> bool:
    """Whether a hook for all modules is registered, as by `register_module_forward_hook`."""
    return any(getattr(nn.modules.module, name, None) for name in _GLOBAL_HOOKS)


def bare_step(optimizer: torch.optim.Optimizer) -> Any:
    """The optimizer's step without torch's wrappers for profiling, which break a graph.

    A step that is not wrapped is returned as it is.
    """
    return torch.no_grad()(inspect.unwrap(type(optimizer).step))


def dynamo() -> Any:
    """The module that captures graphs, which is slow to import; None in a torch without it."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("torch._dynamo")
    return None


def capture_error(dynamo: Any) -> type[Exception]:
    """The exception that `dynamo` raises where it cannot capture or compile."""
    error: Any = getattr(getattr(dynamo, "exc", None), "TorchDynamoException", RuntimeError)
    return error  # type: ignore[no-any-return]


def import_before_joining() -> None:
    """Import `torch.distributed.nn` before a process group exists.

    Its default arguments keep a reference to the group that exists when it is first imported, for
    instance by an optimizer. That group is then never freed, and its threads may crash the process
    when the interpreter exits.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("torch.distributed.nn")


def init_process_group(
    backend: str,
    store: Any,
    rank: int,
    world: int,
    *,
    connecting: timedelta,
    running: timedelta,
) -> None:
    """Make the process group, with one time limit while gloo connects and another one afterwards.

    Where torch cannot change the limit of a group, and for other backends, torch's default holds
    for both.
    """
    change: Any = getattr(distributed.distributed_c10d, "_set_pg_timeout", None)
    limit: Any = {"timeout": connecting} if backend == "gloo" and change is not None else {}
    distributed.init_process_group(backend, store=store, rank=rank, world_size=world, **limit)
    if limit:
        change(running)


def _found(module: Any, name: str) -> tuple[type[Any], ...]:
    kind = getattr(module, name, None)
    return () if kind is None else (kind,)
