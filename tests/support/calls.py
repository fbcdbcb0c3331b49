"""Calls of Snakemake and of steps, by a fork of a process that has the imports behind it.

See server.py. ADVTRANSFER_TEST_FORK=0 gives every call an interpreter of its own, as a user has it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from support.server import MODULES

FORK = os.environ.get("ADVTRANSFER_TEST_FORK", "1") != "0"
_server: list[subprocess.Popen[bytes]] = []  # its input stays open as long as this process lives


@cache
def server() -> Path:
    """The socket of the server of this process, started when it is first asked for."""
    path = Path(tempfile.mkdtemp(prefix="calls-")) / "socket"
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("server.py"), path],
        env=os.environ | one_thread,  # as a job of Snakemake has it
        stdin=subprocess.PIPE,
    )
    _server.append(process)
    while not path.exists():
        assert process.poll() is None, "the server of calls did not start"
        time.sleep(0.05)
    return path


@cache
def interpreter(first: Path | None = None) -> Path:
    """A `python` that has the server run the steps, among links to all programs beside ours.

    With ``first``, a folder, the first call of every step gets an interpreter of its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="bin-", dir=server().parent))
    programs = Path(sys.executable).parent
    for program in programs.iterdir():
        if not program.name.startswith(("python", "snakemake")):
            (folder / program.name).symlink_to(program)
    names = [str(programs), str(server()), str(first or "")]
    (folder / "names.json").write_text(json.dumps(names))
    text = Path(__file__).with_name("caller.py").read_text()
    for name in ("python", "snakemake"):
        (folder / name).write_text(f"#!{sys.executable} -IS\n{text}")
        (folder / name).chmod(0o755)
    return folder / "python"


RECORDING = """
import os, sys
if "{variable}" in os.environ and sys.orig_argv[1:2] == ["-m"]:
    sys.path.insert(0, {support!r})
    from server import record_modules
    del sys.path[0]
    record_modules(sys.orig_argv[1:])
"""


def recording(records: Path, site: Path) -> dict[str, str]:
    """Variables under which every step says which files of ours it imported (see server.py)."""
    site.mkdir(parents=True, exist_ok=True)
    text = RECORDING.format(variable=MODULES, support=str(Path(__file__).parent))
    (site / "sitecustomize.py").write_text(text)  # for interpreters of their own
    return {MODULES: str(records), "PYTHONPATH": str(site)}


def call(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    python: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``snakemake ...`` or ``python -m ...`` to the end, stdout and stderr as one text.

    With ``python``, that program runs the jobs of Snakemake.
    """
    request = {"argv": list(argv), "folder": str(folder), "environment": dict(environment)}
    if python is not None:
        request["python"] = str(python)
    text = json.dumps(request).encode()
    with (
        socket.socket(socket.AF_UNIX) as connection,
        open(os.devnull, "rb") as nothing,
        tempfile.TemporaryFile() as output,
    ):
        connection.settimeout(timeout)
        connection.connect(str(server()))
        files = [nothing.fileno(), output.fileno(), output.fileno()]
        socket.send_fds(connection, [len(text).to_bytes(4, "big")], files)
        connection.sendall(text)
        try:
            answer = connection.makefile().readline()
        except TimeoutError:
            raise subprocess.TimeoutExpired(list(argv), timeout) from None
        assert answer, f"the server of calls was killed while it ran {' '.join(map(str, argv))}"
        code = int(answer)
        output.seek(0)
        return subprocess.CompletedProcess(
            list(argv), code, output.read().decode(errors="replace").replace("\r\n", "\n")
        )
