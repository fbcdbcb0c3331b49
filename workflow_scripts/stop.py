"""Stop the run of this folder and its jobs, from another terminal or after its terminal is gone.

Example:

    python -m workflow_scripts.stop

Snakemake is asked to stop, ends its jobs, here or on a cluster, and exits. Finished results stay,
and training keeps its last whole epoch. Jobs that a killed run left behind are ended as well.
"""

import argparse

from .advtransfer.cli import log, run, step_parser

PATIENCE = 60.0  # seconds that Snakemake has before it is killed, and its jobs then have


def parser() -> argparse.ArgumentParser:
    return step_parser(__doc__ or "", recipe=False)


def main(arguments: argparse.Namespace) -> None:
    import math
    import socket
    import time
    from pathlib import Path

    import psutil

    from .advtransfer import runs
    from .advtransfer.errors import UserError

    if not Path("Snakefile").is_file():
        raise UserError(f"{Path.cwd()}: no Snakefile here; run this in the workflow's folder.")
    going = runs.going()
    for host, number in going:
        if host != socket.gethostname():
            continue
        log.info("asking Snakemake to stop (process %d)", number)
        try:
            process = psutil.Process(number)
            process.terminate()
            patience = time.monotonic() + PATIENCE
            # A zombie has ended; whoever started it has not asked for its status yet.
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > patience:
                    log.info("it did not stop within %.0f s and is killed", PATIENCE)
                    runs.kill(process)
                    patience = math.inf
                time.sleep(0.2)
        except psutil.NoSuchProcess:
            pass  # it has ended
        except psutil.AccessDenied:
            raise UserError(
                f"the run of this folder (process {number}) belongs to another user, who has to "
                "stop it."
            ) from None
    if elsewhere := [host for host, _ in runs.going()]:  # its jobs on a cluster are not leftovers
        raise UserError(
            f"a run of this folder works on {elsewhere[0]}: stop it there. If that machine went "
            "down, `python -m workflow_scripts.resume --force` goes on without it."
        )
    left = runs.leftovers()
    for one in left:
        log.info("ending %s", one)
        one.cancel()
    patience = time.monotonic() + PATIENCE
    while still := runs.leftovers():
        if time.monotonic() > patience:
            raise UserError(
                f"still at work: {runs.listed(still)}. They may belong to another user, or wait "
                "for a disk that does not answer."
            )
        time.sleep(0.5)
    log.info("stopped" if going or left else "nothing of this folder is running")


if __name__ == "__main__":
    run(main, parser())
