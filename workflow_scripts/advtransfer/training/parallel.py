"""Training of one network by several processes, each on a part of every batch.

The number of processes changes no result beyond rounding. Every process makes the same whole batch
from the same random numbers and takes its part of it; loss, gradients and batch norm statistics are
those of the whole batch. A single process does exactly what it would do without this module.

`launch` starts the processes on one machine. Processes that ``torchrun`` started work as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..attacks.ball import PartGenerator
from ..cli import leave
from ..device import describe, prepare
from ..errors import UserError

# An error may only be the echo of another process's error. A process with an error therefore waits
# so many seconds, in which the failure of the other process may end it.
GRACE = 2.0


class Processes:
    """This process and its place among those that share a training; by default it is alone.

    Attributes:
        rank: position of this process; the first, 0, logs and writes.
        count: number of processes.
    """

    # The store is a dist.Store, through which processes talk before they are connected.
    def __init__(self, rank: int = 0, count: int = 1, store: Any = None) -> None:
        self.rank, self.count, self._store = rank, count, store

    @classmethod
    def of_environment(cls) -> Processes:
        """Return the processes that `launch` or ``torchrun`` started, as RANK, WORLD_SIZE, ... say.

        Without these variables the process is alone.
        """
        if "RANK" not in os.environ:
            return cls()
        store, rank, count = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
        if rank:
            logging.disable()  # the first process logs the same messages
        return cls(rank, count, store)

    @property
    def first(self) -> bool:
        return self.rank == 0

    # Start and end ---------------------------------------------------------------------------

    def prepare(self, device: str, threads: int) -> torch.device:
        """Return the device of this process, as `device.prepare` does, and connect the processes.

        Each of several processes gets a GPU of its own, connected by nccl, unless all of them run
        on the CPU, connected by gloo.

        Raises:
            UserError: There are fewer GPUs than processes, or ``device`` names one GPU.
        """
        if self.count == 1:
            return prepare(device, threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda":
            here, there_are = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
            if there_are < here:
                raise UserError(
                    f"{here} processes need a GPU each, but there are {there_are}: ask for "
                    f"--processes {max(1, there_are)}, or for more GPUs (CUDA_VISIBLE_DEVICES "
                    "hides the others), or add --device cpu."
                )
            device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(device)
        elif device != "cpu":
            raise UserError(
                f"--device {device}: {self.count} processes take a GPU each, so none can be named; "
                "Remove this option, and choose GPUs by CUDA_VISIBLE_DEVICES."
            )
        chosen = prepare(device, threads)
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=self._store, rank=self.rank, world_size=self.count)
        return chosen

    def describe(self, device: torch.device) -> str:
        """Return the description of `device.describe` for all processes."""
        return describe(device) if self.count == 1 else f"{self.count} x {describe(device)}"

    @contextlib.contextmanager
    def one_message(self) -> Iterator[None]:
        """Let one process alone report an error inside, even if it happens in all of them."""
        try:
            yield
        except UserError:
            if self._store is not None and not self._reports():
                time.sleep(GRACE)  # one exit ends all: let the other process report first
                leave(1)
            raise
        except Exception:
            if self.count > 1:
                time.sleep(GRACE)  # if another process failed, this one is ended meanwhile
            raise

    def _reports(self) -> bool:
        """Return whether this process is the first with an error, and therefore reports it."""
        try:
            return self._store is not None and self._store.add("reported", 1) == 1
        except RuntimeError:  # the first process, which kept the store, has ended
            return False

    # Parts and wholes ------------------------------------------------------------------------

    def generator(self, device: torch.device) -> torch.Generator:
        """Return a random generator that stays in the same state in all processes."""
        return torch.Generator(device) if self.count == 1 else PartGenerator(device)

    def part(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return this process's images and labels of a batch.

        They are consecutive, and their numbers in two processes differ by at most one. The random
        starts drawn from ``generator`` (see `generator`) will be those of these images.
        """
        if not isinstance(generator, PartGenerator):
            return images, labels
        whole = len(images)
        bounds = whole * self.rank // self.count, whole * (self.rank + 1) // self.count
        generator.whole, generator.part = whole, slice(*bounds)
        return images[generator.part], labels[generator.part]

    def weigh(self, mean: torch.Tensor, part: int, whole: int) -> torch.Tensor:
        """Return what a mean over ``part`` of ``whole`` images adds to the mean over all."""
        return mean if self.count == 1 else mean * (part / whole)

    def sum(self, own: torch.Tensor) -> torch.Tensor:
        """Return the sum over the processes."""
        return own if self.count == 1 else _sum(own)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes, with a single message.

        DistributedDataParallel sends while it still computes, which gains little for networks of
        this size, and importing its dependencies takes longer than importing torch itself.
        """
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        sums = _sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, whole in zip(
            gradients, sums.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(whole.view(gradient.shape))

    def agree(self, number: int, device: torch.device) -> bool:
        """Wait for all processes, and return whether all have the same ``number``."""
        if self.count == 1:
            return True
        return len(_gather(torch.tensor([number], device=device)).unique()) == 1

    def in_step(self, generator: torch.Generator) -> bool:
        """Return whether ``generator`` has drawn equally many numbers in all processes."""
        if self.count == 1:
            return True
        return self.agree(zlib.crc32(generator.get_state().numpy().tobytes()), generator.device)

    def synchronise(self, network: nn.Module) -> bool:
        """Make batch norms in training take the statistics of the whole batch from now on.

        Returns:
            Whether any batch norm of the network waits for other processes. Such a network cannot
            be compiled.
        """
        if self.count == 1:
            return False
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
        for norm in norms:
            # The layer is changed in place and stays an instance of its own class, so that
            # optimisers and `inference_copy` still recognise it. nn.SyncBatchNorm is a different
            # class, and refuses the CPU.
            kind = type(norm)
            norm.__class__ = type(kind.__name__, (_WholeBatchNorm, kind), {})
        return bool(norms)


ALONE = Processes()


def _sum(own: torch.Tensor) -> torch.Tensor:
    whole = own.clone()
    dist.all_reduce(whole)
    return whole


def _gather(own: torch.Tensor) -> torch.Tensor:
    """Return the tensors of all processes, (processes, ...)."""
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.stack(parts)


class _WholeBatchNorm(_BatchNorm):
    """Batch norm (N, C, ...) whose training statistics cover the batches of all processes."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._of_whole_batch(input) if self.training else super().forward(input)

    def _of_whole_batch(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            dims, own_count = _all_but_channels(x), x.numel() / x.shape[1]
            own_variance, own_mean = torch.var_mean(x.float(), dims, correction=0)
            own = torch.stack([torch.full_like(own_mean, own_count), own_mean, own_variance])
            counts, means, variances = _gather(own).unbind(1)  # each (processes, C)
            count = counts.sum(0)
            mean = (counts * means).sum(0) / count
            variance = (counts * (variances + (means - mean) ** 2)).sum(0) / count
            if self.running_mean is not None and self.running_var is not None:
                assert self.num_batches_tracked is not None
                self.num_batches_tracked += 1
                momentum = self.momentum
                if momentum is None:
                    momentum = 1 / int(self.num_batches_tracked)
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * count / (count - 1), momentum)
        return _Normalise.apply(x, self.weight, self.bias, mean, variance, count, self.eps)


class _Normalise(torch.autograd.Function):
    """Normalisation by the mean and variance, (C,), of ``count`` values over all processes."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        count: torch.Tensor,
        eps: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, bias, mean, (variance + eps).rsqrt(), count)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, weight, bias, mean, inverse, count = ctx.saved_tensors
        dims, shape = _all_but_channels(x), (-1, *[1] * (x.dim() - 2))
        normal = (x.float() - mean.view(shape)) * inverse.view(shape)
        gradient = gradient.float()
        own = torch.stack([gradient.sum(dims), (gradient * normal).sum(dims)])
        # Mean and variance depend on the inputs of all processes, so their gradients are summed.
        shift, slope = (_sum(own) / count).view(2, *shape)
        scale = (inverse if weight is None else inverse * weight).view(shape)
        of_x = (scale * (gradient - shift - normal * slope)).to(x.dtype)
        of_weight = None if weight is None else own[1]
        of_bias = None if bias is None else own[0]
        return of_x, of_weight, of_bias, None, None, None, None


def _all_but_channels(x: torch.Tensor) -> list[int]:
    return [0, *range(2, x.dim())]


# Starting processes ------------------------------------------------------------------------------


def launch(count: int) -> NoReturn:
    """Start this very command ``count`` times, wait for all, and exit with their status.

    This does what ``torchrun --standalone`` does, with two differences. When a process fails, no
    report is added to the process's own message; and the processes never outlive this one.

    Raises:
        UserError: A process was killed.
    """
    here = "127.0.0.1"
    store = dist.TCPStore(here, 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    shared = os.environ | {
        "MASTER_ADDR": here,
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # this process keeps the store, not rank 0
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    command = [sys.executable, *sys.orig_argv[1:]]
    children: list[subprocess.Popen[bytes]] = []
    codes: list[int | None] = []
    try:
        for rank in map(str, range(count)):
            own = shared | {"RANK": rank, "LOCAL_RANK": rank}
            children.append(subprocess.Popen(command, env=own, preexec_fn=_belong_to_parent))
        while not any(codes) and (None in codes or not codes):
            time.sleep(0.1)
            codes = [child.poll() for child in children]
    finally:
        for child in children:
            child.kill()  # the others would wait for the process that failed
        for child in children:
            child.wait()
    for number, code in enumerate(codes, 1):
        if code is not None and code < 0:
            raise UserError(
                f"process {number} of the {count} that train was ended by signal {-code} "
                f"({signal.strsignal(-code)}), as happens when the memory runs out. Run the same "
                "command again: it resumes after the last whole epoch."
            )
    leave(max(code or 0 for code in codes))


def _belong_to_parent() -> None:
    """Make a new process leave signals to its parent and, on Linux, end when its parent ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        set_parent_death_signal = 1  # as in prctl.h
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
