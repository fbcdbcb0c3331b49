"""Speed of this project against its peers, side by side in one run.

Without a suite all are run. Each prints its table when it has finished and updates
benchmarks/results: its CSV, table.md, speed.svg, machine.json. Networks that the suites need are
trained once and kept in benchmarks/cache.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

from workflow_scripts.advtransfer.cli import run, step_parser
from workflow_scripts.advtransfer.errors import UserError

from . import harness, report
from .harness import CACHE, Measurement, Settings


def parser() -> argparse.ArgumentParser:
    arguments = step_parser(__doc__ or "", recipe=False)
    arguments.prog = "python -m benchmarks"
    add = arguments.add_argument
    add("suites", nargs="*", metavar="suite", help=", ".join(report.known_suites()))
    add("--repeats", type=int, default=5, help="slow suites make fewer (default: 5)")
    add("--threads", type=int, default=2, help="CPU threads (default: 2)")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--quick", action="store_true", help="every line with the least work: no numbers to keep")
    add(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: benchmarks/results; with --quick: benchmarks/cache/quick)",
    )
    return arguments


def main(arguments: argparse.Namespace) -> None:
    """Run the suites.

    Raises:
        UserError: an unknown suite, a device that is not there, quick results that would replace
            real ones, or suites that failed (the others have been run by then).
    """
    suites = arguments.suites or report.known_suites()
    unknown = [name for name in suites if name not in report.known_suites()]
    if unknown:
        raise UserError(
            f"unknown suite {', '.join(unknown)}; there are {', '.join(report.known_suites())}."
        )
    if arguments.repeats < 1:
        raise UserError(f"--repeats must be at least 1, not {arguments.repeats}.")
    folder = arguments.results or (CACHE / "quick" if arguments.quick else harness.RESULTS)
    if arguments.quick and folder.resolve() == harness.RESULTS.resolve():
        raise UserError("--quick is no measurement: it does not write to benchmarks/results.")
    folder.mkdir(parents=True, exist_ok=True)

    from workflow_scripts.advtransfer.device import prepare

    settings = Settings(
        1 if arguments.quick else arguments.repeats,
        arguments.threads,
        arguments.device,
        arguments.quick,
    )
    failed = []
    for name in suites:
        prepare(settings.device, settings.threads)  # a suite may have changed the threads
        started = time.perf_counter()
        try:
            lines = run_suite(name, settings, folder)
        except Exception as error:  # one broken suite must not cost the others
            if isinstance(error, UserError):
                print(f"error: {error}", file=sys.stderr)
            else:
                traceback.print_exc()
            failed.append(name)
            continue
        print(f"\n== {name} ({time.perf_counter() - started:.0f} s)", *lines, sep="\n")
        sys.stdout.flush()
        report.write_machine(folder, name, settings)
        report.write_table(folder)
        report.plot(folder)
    print(f"\n{folder / 'table.md'}")
    if failed:
        raise UserError(f"these suites failed, see above: {', '.join(failed)}.")


def run_suite(name: str, settings: Settings, folder: Path) -> list[str]:
    """Run one suite, write its CSV, and say what came out."""
    module = importlib.import_module(f"{__package__}.suites.{name}")
    path = folder / f"{name}.csv"
    if hasattr(module, "rows"):
        report.write_csv(path, module.rows(settings), module.COLUMNS)
        lines: list[str] = module.section(report.read_csv(path))
        return lines
    measurements: list[Measurement] = module.run(settings)
    report.write_csv(path, report.tidy(measurements), report.COLUMNS)
    return report.plain(report.read_csv(path))


if __name__ == "__main__":
    run(main, parser())
