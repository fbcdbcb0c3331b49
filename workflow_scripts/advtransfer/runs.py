"""Runs of Snakemake in this folder, and the jobs that a killed run leaves behind.

If Snakemake is killed with -9, or its machine goes down, it cannot stop its jobs. Jobs on a cluster
and local processes then continue, and a second run would write the same files. Therefore a run
keeps a record while it lasts, and its jobs carry its identity in their environment. No run starts
(`begin`) before the jobs of a dead run have ended.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifacts.json_files import write_json
from .errors import UserError
from .wording import first_of

if TYPE_CHECKING:
    import psutil

RECORDS = Path(".snakemake") / "runs"
VARIABLE = "ADVTRANSFER_RUN"  # environment variable of every job: the process of its run
STEPS = "workflow_scripts."  # before the name of a step in its command
JOB_NAMES = "advtransfer"  # prefix of the names of jobs in the profiles
PROCESS, SLURM_JOB = "process", "SLURM job"


@dataclass(frozen=True)
class Leftover:
    """A job whose Snakemake is gone: a process of this machine, or a job of SLURM."""

    kind: str  # PROCESS or SLURM_JOB
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.number} ({self.what})"

    def cancel(self) -> None:
        """End the job, which is safe as every write is atomic.

        The job has ended when `leftovers` no longer returns it.
        """
        import psutil

        if self.kind == SLURM_JOB:
            subprocess.run(["scancel", str(self.number)], check=False)
            return
        with suppress(psutil.Error):  # the process has just ended
            kill(psutil.Process(self.number))


def kill(process: psutil.Process) -> None:
    """Kill a process and all that it started."""
    import psutil

    with suppress(psutil.Error):
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.Error):  # the process has just ended
                one.kill()


def ask_to_end(process: psutil.Process) -> None:
    """Send SIGTERM to a process, unless it has ended."""
    import psutil

    with suppress(psutil.Error):
        process.terminate()


def name_jobs() -> None:
    """Make all jobs that this process starts, here or on a cluster, carry its identity."""
    os.environ[VARIABLE] = _identity(os.getpid())


def lift_rate_limit(workflow: Any) -> None:
    """Remove Snakemake's limit of started jobs per second, for jobs on this machine.

    In 9.27.1, every pass of the scheduler that the limit may delay starts a timer thread. The
    thread starts the next pass, as long as jobs are open. These passes take a quarter of all CPU
    time of the main job. Jobs on a cluster keep the limit, to spare the cluster's scheduler.

    Args:
        workflow: Snakemake's workflow object after its start (``onstart``).
    """
    if not workflow.non_local_exec:
        workflow.scheduler.job_rate_limiter = None


def begin(on_cluster: bool) -> None:
    """Record that this process runs the workflow here, with jobs on this machine or a cluster.

    Raises:
        UserError: Jobs of a killed run still work in this folder, SLURM does not answer whether
            there are any, or the record cannot be written.
    """
    if found := leftovers():
        raise UserError(
            "jobs of an earlier run of this folder, which was killed, still work: "
            f"{listed(found)}. Two writers of one file would spoil it. Go on with\n"
            "    python -m workflow_scripts.resume -- <what you gave snakemake>\n"
            "which waits for them or ends them first (docs/reliability.md)."
        )
    for record in _records():
        if _is_dead(record):
            record.path.unlink(missing_ok=True)
    run = {"host": socket.gethostname(), "run": _identity(os.getpid()), "on_cluster": on_cluster}
    write_json(_own_record(), run)


def end() -> None:
    """Remove the record of this run, which ended by itself and left no jobs."""
    _own_record().unlink(missing_ok=True)


def going() -> list[tuple[str, int]]:
    """Return host and process number of every run that lives, or may live on another machine."""
    return [(record.host, record.process) for record in _records() if not _is_dead(record)]


def forget() -> None:
    """Remove the records of all runs; the caller knows that they ended."""
    for record in _records():
        record.path.unlink(missing_ok=True)


def leftovers() -> list[Leftover]:
    """Return jobs in this folder whose run has ended: processes of this machine, jobs of SLURM.

    Raises:
        UserError: A run was killed, and SLURM does not answer whether it left jobs.
    """
    return [*_processes(), *_slurm_jobs()]


def listed(found: list[Leftover]) -> str:
    """Return the first few leftovers by name, and the number of the others, as text."""
    return first_of(found)


def _own_record() -> Path:
    return RECORDS / f"{socket.gethostname()}-{os.getpid()}.json"


@dataclass(frozen=True)
class _Record:
    """The record of a run. If it is damaged, as by a power cut, only its path is known."""

    path: Path
    host: str = ""
    run: str = ""
    on_cluster: bool = True

    @property
    def process(self) -> int:
        return int(self.run.partition("@")[0])


def _records() -> list[_Record]:
    return [_read(path) for path in sorted(RECORDS.glob("*.json"))]


def _read(path: Path) -> _Record:
    with suppress(OSError, ValueError, TypeError):
        record = _Record(path, **json.loads(path.read_text()))
        if record.process and record.host:
            return record
    return _Record(path)


def _is_dead(record: _Record) -> bool:
    """Return whether a run has certainly ended, which is unknown for runs of other machines."""
    here = record.host == socket.gethostname()
    return not record.host or (here and not _lives(record.run))


def _identity(process: int) -> str:
    """Return the number of a process with its start time, because numbers are used again.

    In containers they are used again at once.
    """
    import psutil

    try:
        # The start time is in ticks since the machine started, so it does not depend on the clock.
        started = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = f"{psutil.Process(process).create_time():.2f}"
    return f"{process}@{started}"


def _lives(run: str) -> bool:
    import psutil

    with suppress(psutil.Error, ValueError):
        process = int(run.partition("@")[0])
        zombie = psutil.Process(process).status() == psutil.STATUS_ZOMBIE
        return not zombie and _identity(process) == run
    return False


def _processes() -> Iterator[Leftover]:
    """Yield processes in this folder that a dead Snakemake started, without their children."""
    import psutil

    found = {}
    for process, variables in _started_here():
        with suppress(psutil.Error):
            # `_slurm_jobs` finds jobs of SLURM
            if "SLURM_JOB_ID" not in variables and not _lives(variables[VARIABLE]):
                found[process.pid] = (process.ppid(), _step(process.cmdline()))
    for number, (parent, what) in found.items():
        if parent not in found:
            yield Leftover(PROCESS, number, what)


def own_steps() -> list[psutil.Process]:
    """Return the processes of this run that carry out steps on this machine.

    Shells are left out: they wait for their step and hand its status on. So are commands like
    ``scancel`` that Snakemake itself calls.
    """
    import psutil

    own = {VARIABLE: _identity(os.getpid()), "SLURM_JOB_ID": os.environ.get("SLURM_JOB_ID")}
    steps = []
    for process, variables in _started_here():
        with suppress(psutil.Error):
            step = any(word.startswith(STEPS) for word in process.cmdline())
            if step and all(variables.get(name) == value for name, value in own.items()):
                steps.append(process)
    return steps


def _started_here() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """Yield the processes in this folder that a run started, with their environment variables."""
    import psutil

    here = str(Path.cwd())
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() != here or process.status() == psutil.STATUS_ZOMBIE:
                continue
            variables = process.environ()
            if VARIABLE in variables:
                yield process, variables


def _step(words: list[str]) -> str:
    """Return the step that a process runs, or the name of its program."""
    for word in " ".join(words).split():
        if word.startswith(STEPS):
            return word.removeprefix(STEPS)
    return Path(words[0]).name if words else "?"


def _slurm_jobs() -> Iterator[Leftover]:
    """Yield the workflow's SLURM jobs in this folder, if a run of it died and none lives."""
    if not _died_on_a_cluster() or shutil.which("squeue") is None:
        return
    own = {os.environ.get(name) for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID")}
    try:
        asked = subprocess.run(
            ["squeue", "--me", "--noheader", "--format", "%A|%T|%j|%Z"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (subprocess.SubprocessError, OSError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip()
        raise UserError(
            "a run of this folder was killed, and SLURM does not say whether its jobs still work "
            f"({reason}). Try again when `squeue --me` answers."
        ) from None
    seen: set[str | None] = set()
    for line in asked.stdout.splitlines():
        number, state, name, folder = line.split("|", 3)
        here = Path(folder).resolve() == Path.cwd().resolve()
        if here and name.startswith(JOB_NAMES) and number not in own | seen:
            seen.add(number)  # an array job has a line for every task
            yield Leftover(SLURM_JOB, int(number), state.lower())


def _died_on_a_cluster() -> bool:
    """Return whether a run with cluster jobs died, or may have died elsewhere, and none lives."""
    hosts = [host for host, _ in going()]
    return socket.gethostname() not in hosts and any(r.on_cluster for r in _records())
