"""The hardware of this process, which is never part of a recipe and always recorded."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable

import torch

from .errors import UserError

COMPILED_PASSES = 5000  # smallest number that repays compiling, which takes up to a minute


def prepare(device: str, threads: int) -> torch.device:
    """Choose the device, set the number of threads, and make runs repeatable.

    Raises:
        UserError: This machine does not have the named device.
    """
    torch.set_num_threads(threads)
    _keep_freed_memory()
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # otherwise cuBLAS is not repeatable
    # The same as use_deterministic_algorithms(True, warn_only=True), without its import of the
    # compiler, which takes nearly two seconds.
    torch.set_deterministic_debug_mode("warn")
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
    """Ask glibc not to return large freed blocks to the system.

    A network's activations are freed and allocated again in every pass. The system has to zero new
    pages, which costs training and attacks on a CPU up to a third of their time.
    """
    trim_threshold, mmap_threshold, limit = -1, -3, 2**30  # as in malloc.h
    with contextlib.suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(mmap_threshold, limit)
        library.mallopt(trim_threshold, limit)


def describe(device: torch.device) -> str:
    """Return the name of the device, for the record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context for mixed precision with float32 weights; ``fp32`` switches it off."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def compilation_pays(device: torch.device, passes: int) -> bool:
    """Return whether to compile a network that runs ``passes`` times: on a GPU, for many passes.

    On a CPU, compilation makes small networks slower and large ones little faster (docs/speed.md).
    """
    return device.type == "cuda" and passes >= COMPILED_PASSES


def compile_network(network: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """Return the network through ``torch.compile``.

    Without a compiler or the headers that it needs, it warns and runs uncompiled.
    """
    import torch._inductor.config

    torch._dynamo.config.suppress_errors = True
    torch._inductor.config.deterministic = torch.are_deterministic_algorithms_enabled()
    run: Callable[..., torch.Tensor] = torch.compile(network)
    return run
