"""Seconds until a step answers ``--help``, and until a network step has imported what it needs.

No peers: the aim is .3 s for every ``--help`` (fact ``slowest``), since a workflow starts a process
for every job. Facts hold every step's median. The imports are timed as ``import torch`` alone and
as everything that a network step imports, so the difference is what the library adds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..harness import Measurement, Settings, interleaved

ROOT = Path(__file__).parents[2]
AIM = 0.3  # seconds
IMPORTS = {
    "import torch": "import torch",
    "imports of a step that attacks": (
        "import workflow_scripts.advtransfer.attacks.run,"
        "workflow_scripts.advtransfer.data.views, workflow_scripts.advtransfer.models.zoo"
    ),
}


def run(settings: Settings) -> list[Measurement]:
    names = steps()[:2] if settings.quick else steps()
    helps = {name: process("-m", f"workflow_scripts.{name}", "--help") for name in names}
    seconds = interleaved(helps, settings.repeats, "--help")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rounds = [sum(times) for times in zip(*seconds.values(), strict=True)]
    measurements = [
        Measurement(
            "--help of every step",
            "ours",
            rounds,
            work=len(names),
            unit="steps",
            ours=True,
            note=f"aim: {AIM} s for the slowest",
            facts={"slowest": max(medians.values()), "aim": AIM, **medians},
        )
    ]
    imports = {name: process("-c", code) for name, code in IMPORTS.items()}
    for name, times in interleaved(imports, settings.repeats, "imports").items():
        measurements.append(Measurement("imports", name, times, ours=True))
    return measurements


def steps() -> list[str]:
    """Every module of ``workflow_scripts`` that is run by ``python -m``."""
    files = sorted((ROOT / "workflow_scripts").glob("*.py"))
    return [file.stem for file in files if file.stem != "__init__"]


def process(*arguments: str) -> Callable[[], object]:
    """Runs this Python with ``arguments`` to its end."""
    command: Sequence[str] = [sys.executable, *arguments]
    return lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
