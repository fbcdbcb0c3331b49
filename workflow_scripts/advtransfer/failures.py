"""What a failed job shows on the terminal: the step's own error, once, and where to read more.

Snakemake prints the whole command first, recipe and class names included, and the log of the step
last. Here the error comes first and alone. The command goes to the end of the step's log, which the
message names; Snakemake's own log file (``.snakemake/log``) holds all that it always holds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import stopping

LAST_LINES = 10  # of a log without an error
ERROR, TRACEBACK = "error: ", "Traceback (most recent call last):"
# What Snakemake (9.27.1) prints of a command that failed, before it reports the job.
COMMAND_FAILED = re.compile(
    r"RuleException:\nCalledProcessError in file .*\nCommand '.*'"
    r" (returned non-zero exit status -?\d+|died with <Signals\.\w+: \d+>)\.",
    re.DOTALL,
)
COMMAND = "command: "  # before the command, in the log of a failed job
JOB, GROUP = "job_error", "group_error"
# What Snakemake says of jobs that are being ended.
UNTRUE_OF_A_STOP = ("Will exit after finishing currently running jobs", "Trying to restart job")


def explain(workflow: Any) -> None:
    """Show on the terminal what `message` returns for each failed job.

    Args:
        workflow: Snakemake's workflow object after its start (``onstart``).
    """
    manager = workflow.logger_manager
    manager.logger.addFilter(_Explain(manager.logger))
    terminals = [handler for handler in manager.plugin_handlers if handler.writes_to_stream]
    terminals += [h for h in manager.logger.handlers if type(h).__name__ == "ColorizingTextHandler"]
    for terminal in terminals:
        terminal.addFilter(lambda record: _event(record) not in (JOB, GROUP))


class _Explain(logging.Filter):
    """A filter of Snakemake's logger that adds a `message` of every failed job."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._endings: dict[int | None, str] = {}  # by thread: how its last command ended

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if stopping.begun.is_set() and text.startswith(UNTRUE_OF_A_STOP):
            return False
        if failed := COMMAND_FAILED.match(text):
            self._endings[record.thread] = failed[1]
            return False  # a record of the job follows, from the same thread
        jobs = list(_failed_jobs(record))
        ending = self._endings.pop(record.thread, "") if jobs else ""
        for job in jobs:
            _keep_command(job)
        if jobs and not stopping.begun.is_set():
            for text in _messages(jobs, ending):
                self._logger.error(text)
        return True


def _event(record: logging.LogRecord) -> str:
    return getattr(getattr(record, "event", None), "value", "")


def _failed_jobs(record: logging.LogRecord) -> Iterator[Mapping[str, Any]]:
    """Yield what a record says about each job whose failure it reports."""
    if _event(record) == GROUP:
        for job in vars(record)["job_error_info"]:
            yield job | {"log": [*job["log"], *vars(record)["aux_logs"]]}
    elif _event(record) == JOB and not vars(record)["indent"]:  # its group was reported
        yield vars(record)


def _messages(jobs: list[Mapping[str, Any]], ending: str) -> list[str]:
    """Return a message for each job that has an error in its log, else for all of them."""
    with_error = [job for job in jobs if _error(job["log"])]
    return [message(job, ending) for job in with_error or jobs]


def message(job: Mapping[str, Any], ending: str = "") -> str:
    """Return the text about a failed job: its error, what it was making, and where to read more.

    Args:
        job: what Snakemake's record says: ``rule_name``, ``output``, ``log`` and ``aux``.
        ending: how its command ended, in Snakemake's words; empty if that is unknown.
    """
    lines = []
    if error := _error(job["log"]):
        lines.append(error)
    else:
        said = _last_lines(job["log"])
        lines.append(f"error: {job['rule_name']} ended without a message of its own{_why(ending)}.")
        lines += ["Its log ends with:", *said] if said else ["Its log is empty."]
    made = f" for {job['output'][0]}" if job["output"] else ""
    lines.append(f"    failed: {job['rule_name']}{made}")
    lines += [f"    {name}: {value}" for name, value in job["aux"].items()]
    if job["log"]:
        lines.append(f"    whole log, with the command: {', '.join(job['log'])}")
    return "\n".join(lines)


def _why(ending: str) -> str:
    """Return how a command ended, with the usual reason for being killed."""
    killed = "SIGKILL" in ending or ending.endswith((" 137", " -9"))
    reason = ", as happens when the memory runs out" if killed else ""
    return f" ({ending}{reason})" if ending else ""


def _error(logs: Iterable[str]) -> str:
    """Return the error at the end of the first log that has one: a message, or a traceback."""
    for path in logs:
        lines = _read(path)
        errors = [k for k, line in enumerate(lines) if line.startswith(ERROR)]
        traces = [k for k, line in enumerate(lines) if line.startswith(TRACEBACK)]
        if errors and (not traces or traces[-1] < errors[-1]):
            return "\n".join(lines[errors[-1] :])
        if traces:
            return "\n".join(lines[traces[0] :])
    return ""


def _last_lines(logs: Iterable[str]) -> list[str]:
    for path in logs:
        if lines := _read(path):
            return lines[-LAST_LINES:]
    return []


def _read(path: str) -> list[str]:
    """Return the lines of a log, less the command that `_keep_command` wrote."""
    with suppress(OSError):
        text = Path(path).read_text(errors="replace")
        return text.partition(f"\n{COMMAND}")[0].rstrip().splitlines()
    return []


def _keep_command(job: Mapping[str, Any]) -> None:
    """Write the command of a failed job to the end of its log."""
    with suppress(OSError):  # the disk is full, or the log is elsewhere
        if job["shellcmd"] and job["log"] and Path(job["log"][0]).parent.is_dir():
            with open(job["log"][0], "a") as log:
                log.write(f"\n{COMMAND}{job['shellcmd']}\n")
