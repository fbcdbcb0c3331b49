"""What Snakemake says it would do: the jobs of a dry run, and the command line of each."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.workflow import PLAIN_PROFILE, SMOKE, snakemake


@dataclass(frozen=True)
class Job:
    """One job of a dry run."""

    rule: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    reason: str
    command: str


@dataclass(frozen=True)
class DryRun:
    """The jobs of a dry run; rules that only name targets are left out."""

    jobs: tuple[Job, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(job.rule for job in self.jobs))

    @property
    def outputs(self) -> set[str]:
        return {path for job in self.jobs for path in job.output}

    @property
    def reasons(self) -> str:
        """For messages of failed assertions."""
        return "\n".join(
            f"{job.rule} {', '.join(job.output)}: {job.reason[:300]}" for job in self.jobs
        )


_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)(?:Shell command: (.*))?", re.MULTILINE)


def dry_run(folder: Path, *arguments: str, config: Sequence[str] = SMOKE) -> DryRun:
    """What ``snakemake <arguments>`` would do in ``folder``, job by job."""
    done = snakemake(folder, *arguments, "-n", "-p", "--workflow-profile", PLAIN_PROFILE, *config)
    assert done.returncode == 0, done.stdout
    jobs = []
    for rule, block, command in _JOB.findall(done.stdout):
        parts = dict(line.strip().partition(": ")[::2] for line in block.splitlines())
        paths = {key: tuple(parts.get(key, "").split(", ")) for key in ("input", "output")}
        if parts.get("output"):
            jobs.append(Job(rule, reason=parts["reason"], command=command, **paths))
    # Either the parser found the jobs, or there are none: a changed log format is no empty plan.
    assert jobs or "Nothing to be done" in done.stdout, done.stdout
    return DryRun(tuple(jobs))


def job_of(plan: DryRun, rule: str, *contains: str) -> Job:
    """The first job of a rule whose files hold all of ``contains`` in their names."""
    for job in plan.jobs:
        files = " ".join((*job.input, *job.output))
        if job.rule == rule and all(text in files for text in contains):
            return job
    raise AssertionError(f"no {rule} with {contains} in the plan")


def arguments_of(
    job: Job, into: Path | None = None, **changed: str | Path | Sequence[str]
) -> list[str]:
    """A step's options as its rule gives them, some changed: ``seed="1"`` for ``--seed 1``.

    With ``into``, what the step writes goes into that folder instead of the results.
    """
    words = shlex.split(job.command.partition(" 2> ")[0])
    assert words[:2] == ["python", "-m"], job.command
    if into is not None:
        moved = {path: str(into / Path(path).name) for path in job.output}
        moved |= {f"{old}.resume": f"{new}.resume" for old, new in moved.items()}
        named = [word.rpartition("=") for word in words]  # of `NAME=FILE`, or of a word alone
        words = ["".join((*name, moved.get(file, file))) for *name, file in named]
    options: dict[str, list[str]] = {}
    for word in words[3:]:
        if word.startswith("--"):
            options[word] = []
        else:
            options[next(reversed(options))].append(word)
    for key, value in changed.items():
        option = "--" + key.replace("_", "-")
        assert option in options, f"{option} is none of {list(options)}"
        options[option] = [str(value)] if isinstance(value, (str, Path)) else list(value)
    return [word for option, values in options.items() for word in (option, *values)]


def option_of(job: Job, option: str) -> str:
    """The value of an option of the step that a job calls."""
    words = shlex.split(job.command)
    return words[words.index(option) + 1]


def step_of(job: Job) -> str:
    """Name of the step that a job calls."""
    return shlex.split(job.command)[2].removeprefix("workflow_scripts.")
