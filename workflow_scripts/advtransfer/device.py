"""Hardware of this process: never part of a recipe, always recorded."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable

import torch

from .errors import UserError

COMPILED_PASSES = 5000  # compiling takes up to a minute


def prepare(device: str, threads: int) -> torch.device:
    """Choose the device, fix the thread count, make runs repeatable.

    Raises:
        UserError: a device was named that this machine does not have.
    """
    torch.set_num_threads(threads)
    _keep_freed_memory()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or cuBLAS is not repeatable
    torch.use_deterministic_algorithms(True, warn_only=True)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {device}: not available here ({error}).") from None
    if chosen.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return chosen


def _keep_freed_memory() -> None:
    """Ask glibc not to hand large freed blocks back to the system.

    A network's activations are freed and asked for again in every pass; new pages have to be zeroed
    by the system, which costs CPU training and attacks up to a third of their time.
    """
    trim_threshold, mmap_threshold, limit = -1, -3, 2**30  # as in malloc.h
    with contextlib.suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(mmap_threshold, limit)
        library.mallopt(trim_threshold, limit)


def describe(device: torch.device) -> str:
    """Name of the device, for the record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision with float32 weights: ``bf16``, or off for ``fp32``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def compilation_pays(device: torch.device, passes: int) -> bool:
    """Whether to compile a network that runs so often: on a GPU, if it is long.

    On a CPU small networks become slower by it and large ones gain little (docs/speed.md).
    """
    return device.type == "cuda" and passes >= COMPILED_PASSES


def compile_network(network: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """The network through ``torch.compile``; without a compiler, or the headers it needs, it warns
    and runs uncompiled."""
    torch._dynamo.config.suppress_errors = True
    run: Callable[..., torch.Tensor] = torch.compile(network)
    return run
