"""What torch does not promise to keep: each name is looked up here, with a plain fallback.

No other module of this library names anything private of torch. The names are looked up when they
are used, so that a release of torch without one costs speed and nothing else.
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

ONEDNN_SCHEMA = (
    "mkldnn::_linear_pointwise(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, "
    "str? algorithm) -> Tensor Y"
)
"""The arguments with which oneDNN's product is called."""
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
    """The product `x W^T + b` of oneDNN; None where torch lacks it, or asks for other arguments."""
    backends: Any = torch.backends
    if not backends.mkldnn.is_available():
        return None
    operation: Any = getattr(getattr(torch.ops, "mkldnn", None), "_linear_pointwise", None)
    schema = getattr(getattr(operation, "default", None), "_schema", None)
    return operation if str(schema) == ONEDNN_SCHEMA else None


def fbgemm() -> bool:
    """Whether this torch has FBGEMM, which sums rows fast on x86."""
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
    """The hook of `torch.nn.utils.spectral_norm`; nothing in a torch without it."""
    with contextlib.suppress(ImportError):
        return _found(importlib.import_module("torch.nn.utils.spectral_norm"), "SpectralNorm")
    return ()


def spectral_parametrizations() -> tuple[type[Any], ...]:
    """The module of `torch.nn.utils.parametrizations.spectral_norm`."""
    return _found(nn.utils.parametrizations, "_SpectralNorm")


def script_modules() -> tuple[type[Any], ...]:
    """What the deprecated `torch.jit.script` makes; nothing in a torch without it."""
    return _found(getattr(torch, "jit", None), "ScriptModule")


def has_global_hooks() -> bool:
    """Whether a hook of all modules is registered, as by `register_module_forward_hook`."""
    return any(getattr(nn.modules.module, name, None) for name in _GLOBAL_HOOKS)


def bare_step(optimizer: torch.optim.Optimizer) -> Any:
    """The optimizer's step without torch's wrappers for profiling, which break a graph.

    Where torch does not say what it wraps, it is the step with them.
    """
    return torch.no_grad()(inspect.unwrap(type(optimizer).step))


def dynamo() -> Any:
    """The module that captures graphs, which is heavy; None in a torch without it."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("torch._dynamo")
    return None


def capture_error(dynamo: Any) -> type[Exception]:
    """What `dynamo` raises where it cannot capture or compile."""
    error: Any = getattr(getattr(dynamo, "exc", None), "TorchDynamoException", RuntimeError)
    return error  # type: ignore[no-any-return]


def import_before_joining() -> None:
    """Import the module of torch that must not be imported first while processes are joined.

    Its default arguments hold the group that is there when it is first imported, by an optimiser
    say. Such a group outlives its end, and its threads may fall over the interpreter's.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("torch.distributed.nn")


def _found(module: Any, name: str) -> tuple[type[Any], ...]:
    kind = getattr(module, name, None)
    return () if kind is None else (kind,)
