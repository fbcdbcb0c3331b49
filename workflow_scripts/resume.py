"""Resume after Snakemake was killed: wait for its jobs or cancel them, unlock, and run again.

Example, after a lost connection to the cluster's login node:

    python -m workflow_scripts.resume -- --workflow-profile profiles/slurm

Arguments after -- go to snakemake: give those with which the run was started. If the killed run
left jobs on a cluster, this command waits for them and uses their results. It ends processes that
run on this machine, because Snakemake would not trust their files. Training resumes after the last
epoch that was saved.
"""

import argparse

from .advtransfer.cli import log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", recipe=False)
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="end the cluster's jobs, too, instead of waiting for them",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="resume although another host started the run: you know that it is dead",
    )
    parser.add_argument("snakemake", nargs="*", help="after --: arguments of the killed run")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import os
    import subprocess
    import sys
    import time
    from pathlib import Path

    from tqdm import tqdm

    from .advtransfer import runs
    from .advtransfer.errors import UserError

    if not Path("Snakefile").is_file():
        raise UserError(f"{Path.cwd()}: no Snakefile here; run this in the workflow's folder.")
    if (going := runs.going()) and not arguments.force:
        host, process = going[0]
        raise UserError(
            f"a run of this folder still works (process {process} on {host}). Let it finish, or "
            "stop it on that machine with `python -m workflow_scripts.stop`, which ends its jobs, "
            "too. If the process is gone because its machine went down, add --force."
        )
    if found := runs.leftovers():
        log.info("jobs of the killed run that are still at work: %s", runs.listed(found))
        ended = [one for one in found if arguments.cancel or one.kind == runs.PROCESS]
        for one in ended:
            one.cancel()
        if len(ended) < len(found):
            log.info("waiting for the cluster's jobs; to end them, press Ctrl-C and add --cancel")
        with tqdm(total=len(found), desc="left behind", unit="job", disable=None) as bar:
            while now := runs.leftovers():
                bar.update(max(0, len(found) - len(now) - bar.n))
                time.sleep(1)
    runs.forget()
    snakemake = [sys.executable, "-m", "snakemake", *arguments.snakemake]
    locks = Path(".snakemake/locks")
    if locks.is_dir() and any(locks.iterdir()):
        unlocked = subprocess.run([*snakemake, "--unlock"], check=False)
        if unlocked.returncode:
            raise UserError("snakemake could not unlock this folder; see its message above.")
    log.info("snakemake %s", " ".join(arguments.snakemake))
    sys.stderr.flush()
    os.execv(snakemake[0], snakemake)


if __name__ == "__main__":
    run(main, parser())
