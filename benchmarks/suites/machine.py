"""What the machine can do: matrix products and convolutions in fp32 and bf16, GFLOP/s.

No peers and no targets: the other suites give their own rates as a fraction of the bf16
convolution's. The convolution is the widest-used one of a ResNet-18 on 32x32 images: 64 images, 64
to 64 channels, kernel 3, channels-last.
"""

from __future__ import annotations

from collections.abc import Callable

from ..harness import Measurement, Settings, interleaved, synchronised

SIDE = 2048
CONVOLUTION = {"images": 64, "channels": 64, "size": 32, "kernel": 3}
DTYPES = ("float32", "bfloat16")


def matrix_product(settings: Settings, dtype: str) -> tuple[Callable[[], object], float]:
    """A product of two square matrices, and its FLOPs (a multiply-add counts two)."""
    import torch

    side = 64 if settings.quick else SIDE
    if settings.device.startswith("cuda"):
        side *= 4
    left, right = (
        torch.randn(side, side, device=settings.device, dtype=getattr(torch, dtype))
        for _ in range(2)
    )
    return synchronised(lambda: left @ right, settings.device), 2.0 * side**3


def convolution(settings: Settings, dtype: str) -> tuple[Callable[[], object], float]:
    """The convolution of the docstring, eight times, and its FLOPs."""
    import torch
    import torch.nn.functional as F

    images, channels, size, kernel = CONVOLUTION.values()
    images = 2 if settings.quick else images
    kind = {"device": settings.device, "dtype": getattr(torch, dtype)}
    pixels = torch.randn(images, channels, size, size, **kind)
    weight = torch.randn(channels, channels, kernel, kernel, **kind)
    pixels, weight = (t.to(memory_format=torch.channels_last) for t in (pixels, weight))
    times = 8

    @torch.no_grad()
    def repeated() -> None:
        for _ in range(times):
            F.conv2d(pixels, weight, padding=kernel // 2)

    flops = 2.0 * times * images * size**2 * channels**2 * kernel**2
    return synchronised(repeated, settings.device), flops


def run(settings: Settings) -> list[Measurement]:
    contenders: dict[str, Callable[[], object]] = {}
    work: dict[str, tuple[str, str, float]] = {}
    for case, make in (("matrix product", matrix_product), ("convolution", convolution)):
        for dtype in DTYPES:
            name = f"{case} {dtype}"
            contenders[name], flops = make(settings, dtype)
            work[name] = case, dtype, flops / 1e9
    seconds = interleaved(contenders, settings.repeats, "machine")
    return [
        Measurement(case, dtype, seconds[name], work=gflop, unit="GFLOP")
        for name, (case, dtype, gflop) in work.items()
    ]
