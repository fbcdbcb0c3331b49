"""Helpers that all steps share: parser, log and exit.

A step is `python -m workflow_scripts.<step> --recipe ... --input ... --output ...`: it parses,
calls the library, and writes atomically. Heavy imports stay inside its ``main``, so that ``--help``
answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import math
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from .epsilon import parse_epsilon
from .errors import UserError
from .home import expanded

log = logging.getLogger("advtransfer")
MOST_THREADS = 1024  # very many end in a crash
CLEARING_UP = 5.0  # seconds after a signal in which further ones are ignored
LAST_SEED = 999_999_999  # the config's limit, too
READER_GONE = 141  # exit code of a program that SIGPIPE ended, as a shell reports it


class _Parser(argparse.ArgumentParser):
    """A parser whose ``--help`` can be piped into ``head``."""

    def print_help(self, file: Any = None) -> None:
        if file is not None or sys.stdout is None:
            super().print_help(file)
            return
        try:
            sys.stdout.write(self.format_help())  # argparse itself drops what it cannot write
            sys.stdout.flush()
        except OSError as error:
            leave(_unwritable(error))


def whole_number(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Return a type of options: a whole number of at least ``least``."""
    expected = f"of at least {least}" if most == math.inf else f"from {least} to {most}"

    def number(text: str) -> int:
        value: int | None = None
        with contextlib.suppress(ValueError):
            value = int(text)
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number {expected}, got '{text}'")
        return value

    return number


positive = whole_number(1)
seed_index = whole_number(0, LAST_SEED)


def finite(text: str) -> float:
    """Return a finite number; a type of options."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got '{text}'")
    return value


def radius(text: str) -> float:
    """Return the radius of a ball of perturbations, above 0; a type of options."""
    try:
        value = parse_epsilon(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a number above 0 such as 8/255 or 0.5, got '{text}'"
        )
    return value


def step_parser(
    description: str, *, recipe: bool = True, hardware: bool = False
) -> argparse.ArgumentParser:
    """Return a parser with ``--recipe``, and with ``--device`` and ``--threads`` for networks."""
    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if recipe:
        parser.add_argument("--recipe", required=True, help="canonical JSON of the recipe")
    if hardware:
        parser.add_argument(
            "--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ..."
        )
        parser.add_argument(
            "--threads",
            type=whole_number(1, MOST_THREADS),
            default=1,
            help="CPU threads (default: 1)",
        )
    return parser


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add ``--seeds``, the block of seed indices of a job."""
    parser.add_argument("--seeds", type=seed_index, nargs="+", required=True, help="seed indices")


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add ``--study`` and ``--kind``, which say whose modules a generic step loads."""
    parser.add_argument("--study", required=True, help="name of the study in the configuration")
    parser.add_argument(
        "--kind",
        help="kind of the study, a folder in workflow_scripts/studies (default: the study's name)",
    )


def add_named(parser: argparse.ArgumentParser, option: str, what: str) -> None:
    """Add an option that takes files by name: ``--tables table=a.csv sources=b.csv``."""
    parser.add_argument(
        option,
        nargs="*",
        default={},
        action=_Named,
        metavar="NAME=FILE",
        help=what,
    )


class _Named(argparse.Action):
    """An option whose ``NAME=FILE`` values become a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        for value in values:
            name, equals, file = value.partition("=")
            if not (name and equals and file):
                parser.error(f"{option}: '{value}' is not of the form NAME=FILE")
        setattr(namespace, self.dest, dict(value.split("=", 1) for value in values))


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> NoReturn:
    """Parse the arguments, run ``main`` and exit.

    The exit code is 0, or 1 after one line on stderr for a user's mistake, or 141 without a word if
    the reader of the output is gone (``| head``), or 128 and the number of the signal after Ctrl-C,
    SIGTERM or SIGHUP.
    """
    _be_interrupted_once()
    arguments = parser.parse_args([_from_home(word) for word in sys.argv[1:]])
    if getattr(arguments, "study", None) and not arguments.kind:
        arguments.kind = arguments.study
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    started = time.perf_counter()
    try:
        main(arguments)
        _flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        leave(1)
    except KeyboardInterrupt as interrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        leave(128 + (interrupt.args or (signal.SIGINT,))[0])
    except OSError as error:
        leave(_unwritable(error))
    log.info("done in %.1f s", time.perf_counter() - started)
    leave(0)


def _from_home(word: str) -> str:
    """Return a word of the command line with ``~`` expanded also after ``=``.

    A shell expands ``--pack ~/a.h5``, but neither ``--pack=~/a.h5`` nor ``table=~/a.csv``.
    """
    name, path = re.fullmatch(r"((?:-*\w[\w-]*=)?)(.*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{name}{expanded(path)}" if re.match("~[^/]*/", path) else word


def _flush() -> None:
    if sys.stdout is not None:  # closed by >&-
        sys.stdout.flush()


def _unwritable(error: OSError) -> int:
    """Return the exit code after standard output could not be written, with a line that says why.

    Raises:
        OSError: The error is another one.
    """
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return READER_GONE
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        print(f"error: the output cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    raise error


def _reader_is_gone() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    looks = select.poll()
    looks.register(1)
    return any(event & select.POLLERR for _, event in looks.poll(0))


def _be_interrupted_once() -> None:
    """Make SIGTERM and SIGHUP end this process as Ctrl-C does, which removes temporary files.

    A second signal within seconds is often the same wish: a terminal's Ctrl-C reaches both this
    process and the Snakemake that then asks it to stop. It must not interrupt the clearing up.
    Signals that are ignored (``nohup``) stay so.
    """
    heard = -math.inf

    def interrupt(number: int, _: FrameType | None) -> None:
        nonlocal heard
        if time.monotonic() - heard > CLEARING_UP:
            heard = time.monotonic()
            raise KeyboardInterrupt(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def leave(code: int) -> NoReturn:
    """Exit at once, without the tear-down of torch and HDF5; all files must be closed.

    The tear-down takes time, and that of HDF5 crashes after a failed write.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):  # full, its reader gone, or closed
            stream.flush()
    os._exit(code)
