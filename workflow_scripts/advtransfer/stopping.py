"""What a signal to Snakemake does: it ends the jobs too, wherever the signal comes from.

A terminal's Ctrl-C reaches every process that was started there. Any other signal (``kill``,
``docker stop``, a supervisor, a closed terminal) reaches Snakemake alone, which would then wait for
its jobs to finish, for hours if they train. `obey` makes all of these end the run alike: steps
are asked to stop (see `cli.run`), and those that do not are killed. As every write is atomic and
training saves its progress, the same command goes on from there.
"""

from __future__ import annotations

import signal
import threading
import time
from functools import partial
from types import FrameType
from typing import Any

from . import runs

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 10.0  # seconds that jobs have to end by themselves, before they are killed
LOOKS = 5.0  # seconds for which Snakemake may wait for its next look at a cluster's jobs

begun = threading.Event()  # set once the run is told to stop


def leave_tidily() -> None:
    """Exit on SIGTERM or SIGHUP while Snakemake plans, so that it unlocks the folder."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)


def obey(workflow: Any) -> None:
    """End this run and its jobs on any of `SIGNALS` from now on.

    A signal that is ignored stays so: ``nohup`` has SIGHUP ignored, and a script's ``&`` SIGINT.

    Args:
        workflow: Snakemake's workflow object after its start (``onstart``).
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, partial(_stop, workflow))


def end(workflow: Any) -> None:
    """Remove the record of this run, which ended with an error (``onerror``).

    After a stop on a cluster it is kept: Snakemake (9.27.1) does not cancel jobs whose state it is
    just asking for, and because of the record the next run looks for them.
    """
    if not (begun.is_set() and workflow.non_local_exec):
        runs.end()


def _stop(workflow: Any, number: int, _: FrameType | None) -> None:
    """Begin to stop, once: further signals, as of a terminal that closes, change nothing.

    Snakemake (9.27.1) would handle SIGTERM under a lock that the interrupted code may hold, and
    then hang for ever. A thread can wait for the lock.
    """
    if begun.is_set():
        return
    begun.set()
    threading.Thread(target=_end_jobs, args=(workflow, number), daemon=True).start()
    if workflow.non_local_exec:
        # Snakemake cancels a cluster's jobs on Ctrl-C alone. It then sleeps, for up to minutes,
        # until it would have looked at them again.
        waiting = vars(workflow.scheduler._executor).get("wait_thread")
        if waiting is not None:
            waiting.join = partial(waiting.join, LOOKS)
        raise KeyboardInterrupt


def _end_jobs(workflow: Any, number: int) -> None:
    """Ask all jobs on this machine to end, also those that are starting; at last, kill them."""
    import psutil

    workflow.logger_manager.logger.warning(
        f"{signal.Signals(number).name}: the jobs are being ended. Finished results stay. The same "
        "command continues the run, and trainings after their last whole epoch."
    )
    if not workflow.non_local_exec:
        workflow.scheduler.exit_gracefully()  # it starts no other job
    asked: set[psutil.Process] = set()
    deadline = time.monotonic() + GRACE
    while begun.is_set():  # until the process ends
        for step in runs.own_steps():
            if time.monotonic() > deadline:
                runs.kill(step)
            elif step not in asked:
                asked.add(step)
                runs.ask_to_end(step)
        time.sleep(0.2)
