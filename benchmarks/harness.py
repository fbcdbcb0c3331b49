"""How everything here is timed: contenders take turns in one run, medians, ratios.

A suite is a module of ``benchmarks.suites`` with a function ``run(settings) -> list[Measurement]``;
its docstring says what is compared and on what. Interleaving makes a slow minute of a shared
machine hit every contender alike, so ratios can be trusted where absolute times cannot.

A module may have ``rows(settings)`` in place of ``run``: a table that is no timing, in columns of
its own, with ``section(rows)`` to put it into results/table.md.
"""

from __future__ import annotations

import gc
import math
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

RESULTS = Path(__file__).parent / "results"
CACHE = Path(__file__).parent / "cache"  # trained networks and data; not in git


@dataclass(frozen=True)
class Settings:
    """What the command line says about a run."""

    repeats: int = 5
    threads: int = 2
    device: str = "cpu"
    quick: bool = False  # the least work that runs every line: for the tests, not for numbers


@dataclass
class Measurement:
    """One contender in one case. ``work`` things of a ``unit`` were done in every repeat."""

    case: str
    contender: str
    seconds: list[float]
    work: float = 1.0
    unit: str = "run"
    ours: bool = False
    note: str = ""
    # What is not a time: loss reached, largest difference, memory, fitted exponent.
    facts: dict[str, float] = field(default_factory=dict)
    target: float | None = None  # ours: times as fast as the fastest peer of the case

    @property
    def median(self) -> float:
        """Seconds; nan for what was not run, or has facts but no time."""
        return statistics.median(self.seconds) if self.seconds else math.nan

    @property
    def rate(self) -> float:
        """Things of the unit a second."""
        return self.work / self.median


def not_run(case: str, reason: str) -> Measurement:
    """The row of a case that cannot be measured here."""
    return Measurement(case, "not run", [], note=reason)


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    repeats: int,
    name: str = "",
    *,
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """Seconds of every repeat of every contender, in turns.

    Args:
        warm_up: one untimed round first; a caller whose rounds take minutes warms up by itself.
    """
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    if warm_up:
        for contender in contenders.values():
            contender()
    for _ in tqdm(range(repeats), desc=name, disable=None, leave=False):
        for contender, function in contenders.items():
            gc.collect()
            started = time.perf_counter()
            function()
            seconds[contender].append(time.perf_counter() - started)
    return seconds


def synchronised(function: Callable[[], object], device: str) -> Callable[[], object]:
    """``function``, and then a wait until the device has finished; nothing more on a CPU."""
    if not device.startswith("cuda"):
        return function
    import torch

    def timed() -> None:
        function()
        torch.cuda.synchronize()

    return timed


def ratio_to_peers(ours: Measurement, all_of_them: list[Measurement]) -> float | None:
    """Times as fast as the fastest peer of the same case, by rate; None if there is none.

    By rate and not by seconds: a slow peer may be given fewer images than the others.
    """
    peers = [m.rate for m in all_of_them if m.case == ours.case and not m.ours and m.seconds]
    return ours.rate / max(peers) if peers and ours.seconds else None


def copy_workflow(folder: Path) -> None:
    """What ``snakemake`` needs, without results, to run in ``folder``."""
    root = Path(__file__).parents[1]
    for part in ("Snakefile", "config.yaml"):
        shutil.copy(root / part, folder)
    for part in ("configs", "profiles", "rules", "workflow_scripts"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / part, folder / part, ignore=ignore)
