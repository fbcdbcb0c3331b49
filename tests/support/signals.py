"""Signals of the processes that tests start."""

from __future__ import annotations

import signal
from collections.abc import Sequence


def hear_signals(but: Sequence[int] = ()) -> None:
    """Hear all signals that stop a run, but some; for ``preexec_fn``.

    The tests themselves may ignore them: under ``nohup``, or behind a script's ``&``.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in but else signal.SIG_DFL)
