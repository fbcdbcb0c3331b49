"""Hardware of this process: never part of a recipe, always recorded."""

from __future__ import annotations

import os

import torch

from .errors import UserError

COMPILED_PASSES = 5000  # compiling takes up to a minute


def prepare(device: str, threads: int) -> torch.device:
    """Choose the device, fix the thread count, make runs repeatable.

    Raises:
        UserError: a device was named that this machine does not have.
    """
    torch.set_num_threads(threads)
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


def describe(device: torch.device) -> str:
    """Name of the device, for the record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision with float32 weights: ``bf16``, or off for ``fp32``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def compilation_pays(device: torch.device, passes: int) -> bool:
    """Whether to compile a network that runs so often: on a GPU, if it is long.

    On a CPU small networks become slower by it and large ones gain a tenth at most (docs/speed.md).
    """
    return device.type == "cuda" and passes >= COMPILED_PASSES
