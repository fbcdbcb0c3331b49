"""How a step ends when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.signals import hear_signals
from support.workflow import ROOT

STEP = """
import time
from workflow_scripts.advtransfer import cli
from workflow_scripts.advtransfer.artifacts.files import atomic

def main(arguments):
    with atomic("result") as temporary:
        temporary.write_text("half")
        try:
            print("writing", flush=True)
            time.sleep(60)
        finally:
            print("clearing up", flush=True)
            time.sleep(1)

cli.run(main, cli.step_parser("", recipe=False))
"""


def start(folder: Path, ignored: Sequence[int] = ()) -> subprocess.Popen[str]:
    step = subprocess.Popen(
        [sys.executable, "-c", STEP],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: hear_signals(but=ignored),
    )
    assert step.stdout is not None and step.stdout.readline() == "writing\n"
    return step


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_temporary_file(number: signal.Signals, tmp_path: Path) -> None:
    step = start(tmp_path)
    step.send_signal(number)
    told, _ = step.communicate(timeout=60)
    assert step.returncode == 128 + number
    assert told == "clearing up\ninterrupted; run the same command again to resume\n"
    assert not list(tmp_path.iterdir())


def test_a_second_signal_does_not_interrupt_the_clearing_up(tmp_path: Path) -> None:
    """A terminal's Ctrl-C reaches the step and the Snakemake that then asks it to stop."""
    step = start(tmp_path)
    step.send_signal(signal.SIGINT)
    assert step.stdout is not None and step.stdout.readline() == "clearing up\n"
    step.send_signal(signal.SIGTERM)
    told, _ = step.communicate(timeout=60)
    assert step.returncode == 128 + signal.SIGINT
    assert told == "interrupted; run the same command again to resume\n"
    assert not list(tmp_path.iterdir())


def test_nohup_is_respected(tmp_path: Path) -> None:
    step = start(tmp_path, ignored=[signal.SIGHUP])
    step.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        step.wait(1)
    step.send_signal(signal.SIGTERM)
    step.communicate(timeout=60)
    assert step.returncode == 128 + signal.SIGTERM
