"""How Snakemake handles signals. Real runs are stopped in tests/end_to_end and tests/graph."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_scripts.advtransfer import stopping


@pytest.fixture(autouse=True)
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The handlers as they were; no process is looked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stopping, "begun", threading.Event())
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def workflow(exit_gracefully: Callable[[], None]) -> SimpleNamespace:
    return SimpleNamespace(
        non_local_exec=False,
        scheduler=SimpleNamespace(exit_gracefully=exit_gracefully),
        logger_manager=SimpleNamespace(logger=logging.getLogger("test")),
    )


def test_a_signal_is_handled_while_the_lock_is_held() -> None:
    """Snakemake's own handler takes the lock in the thread that holds it, and waits for ever."""
    lock, told = threading.Lock(), threading.Event()

    def exit_gracefully() -> None:
        with lock:
            told.set()

    stopping.obey(workflow(exit_gracefully))
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        assert not told.is_set()
    assert told.wait(10)


def test_ignored_signals_stay_ignored() -> None:
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping.leave_tidily()
    stopping.obey(workflow(lambda: None))
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert callable(signal.getsignal(signal.SIGTERM))
