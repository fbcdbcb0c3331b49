"""A way round a defect of oneDNN, torch's library for convolutions on a CPU.

The gradient of the weights of a 1x1 convolution with a stride, without padding, of fewer than 16
channels in channels-last memory is computed in a buffer that is too small (oneDNN #6035). Depending
on sizes and threads, this ends in a segmentation fault, an abort or wrong weights, in float32 and
in bf16. `tests/units/models/test_strided.py` fails when the library is mended; this module and its
call in `zoo.py` can be deleted then.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 16  # channels that oneDNN takes at once


class NarrowPointwise(nn.Conv2d):
    """A 1x1 convolution that takes the pixels it needs before it convolves them.

    oneDNN does the same itself, so the numbers are the same to the last bit wherever it does not
    fail.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # oneDNN uses the buffer only where the stride divides the size, and only for this gradient.
        whole = all(s % step == 0 for s, step in zip(input.shape[-2:], self.stride, strict=True))
        learns = weight.requires_grad and torch.is_grad_enabled()
        if input.device.type != "cpu" or not whole or not learns:
            return super()._conv_forward(input, weight, bias)
        rows, columns = self.stride
        # A 1x1 kernel has nothing to dilate. Without stride or dilation, torch would leave small
        # batches to another library, whose last bits differ.
        return F.conv2d(input[..., ::rows, ::columns], weight, bias, dilation=2)


def mend_strided(network: nn.Module) -> None:
    """Make every convolution that oneDNN may fail on a `NarrowPointwise`, with the same tensors."""
    for module in network.modules():
        if (
            type(module) is nn.Conv2d
            and module.in_channels < BLOCK
            and module.groups == 1
            and module.kernel_size == (1, 1)
            and module.stride != (1, 1)
            and module.padding in ((0, 0), "valid")
        ):
            module.__class__ = NarrowPointwise
