"""A process that has imported what steps and Snakemake import, and forks for every call.

A step needs two seconds for the imports of torch and its like, Snakemake one; the tests call them
hundreds of times. Here each call is a fork of a process that has those modules loaded, and nothing
of ours: the copy imports `workflow_scripts` from its own working directory, has its own
environment, and ends with an exit code as `python -m` does.

    python tests/support/server.py SOCKET

serves until its standard input is closed. A request is four bytes of length, JSON, and the three
standard files of the caller; the answer is the exit code as a line. When the caller hangs up, what
it started is killed.

ADVTRANSFER_TEST_MODULES names a folder: every step leaves there which of our files it imported.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

MODULES = "ADVTRANSFER_TEST_MODULES"
# Whatever else a call imports, it imports by itself.
IMPORTED = (
    *("numpy", "h5py", "scipy.stats", "scipy.optimize", "scipy.sparse.linalg", "pandas"),
    *("torch", "torch.nn.functional", "torch._dynamo", "safetensors.torch", "tqdm"),
    *("matplotlib.pyplot", "seaborn", "PIL.Image", "yaml", "jsonschema", "jinja2"),
    *("snakemake.cli", "snakemake.report", "rich.progress", "boto3", "yte", "docutils.core"),
    *("snakemake_logger_plugin_rich", "snakemake_storage_plugin_s3", "pulp"),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # of a job of Snakemake


# Packages whose versions an artefact names if its step has imported them (artifacts/versions.py),
# and which others each imports.
NEEDS = {
    "numpy": (),
    "h5py": ("numpy",),
    "pandas": ("numpy",),
    "scipy": ("numpy",),
    "torch": ("numpy",),
}


class Unimported(MetaPathFinder, Loader):
    """Makes those packages count as imported only once the fork imports them."""

    def hide(self) -> None:
        """Take the packages out of the imported modules; their submodules stay."""
        self.hidden = {name: sys.modules.pop(name) for name in NEEDS if name in sys.modules}
        self.specs = {name: module.__spec__ for name, module in self.hidden.items()}
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name not in self.hidden:
            return None
        for needed in NEEDS[name]:
            if needed in self.hidden:
                sys.modules[needed] = self.hidden.pop(needed)
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.hidden.pop(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.specs[module.__name__]


def record_modules(argv: Sequence[str]) -> None:
    """When this process ends as a step does, write which files of ours it has imported.

    ``argv``: ``-m workflow_scripts.<step> ...``, from which the name of the record is made.
    """
    leave = os._exit

    def record_and_leave(code: int) -> NoReturn:
        here = f"{os.getcwd()}/"
        loaded = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
        ours = {x.removeprefix(here) for x in loaded if x.startswith(f"{here}workflow_scripts/")}
        folder = Path(os.environ[MODULES])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / record_of(argv)).write_text(json.dumps(sorted(ours)))
        leave(code)

    os._exit = record_and_leave  # see `leave` of cli.py


def record_of(argv: Sequence[str]) -> str:
    """The name of the record of a step's modules."""
    return hashlib.sha256("\0".join(argv).encode()).hexdigest()[:32] + ".json"


def serve(path: str) -> NoReturn:
    """Fork for every caller, until the standard input is closed."""
    for name in IMPORTED:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a fork
    while True:
        ready, _, _ = select.select([sys.stdin, listening], [], [])
        if sys.stdin in ready:
            os._exit(0)
        caller, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            answer(caller)
        caller.close()


def answer(caller: socket.socket) -> NoReturn:
    """Run what the caller asks for in one more fork, and tell how it ended."""
    header, files, _, _ = socket.recv_fds(caller, 4, 3)
    text = bytearray()
    while len(text) < int.from_bytes(header, "big"):
        if not (part := caller.recv(1 << 20)):
            os._exit(0)
        text += part
    if not (process := os.fork()):
        caller.close()
        become(json.loads(text), files)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(process)
    if ended not in select.select([caller, ended], [], [])[0]:
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(call: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Be the program that was asked for: its files, folder, environment, arguments, and its end."""
    os.setsid()
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    random.seed()  # as after an import of one's own
    sys.modules["numpy"].random.seed()
    leave = os._exit
    program, *arguments = call["argv"]
    if program == "snakemake":
        sys.argv = [program, *arguments]
        sys.executable = call.get("python", sys.executable)
        run = sys.modules["snakemake.cli"].main
    else:
        assert arguments[0] == "-m", arguments
        sys.argv = arguments[1:]
        sys.orig_argv = [sys.executable, *arguments]
        sys.path.insert(0, os.getcwd())
        Unimported().hide()
        if MODULES in os.environ:
            record_modules(arguments)
        run = partial(runpy.run_module, arguments[1], run_name="__main__", alter_sys=True)
    code = 0
    try:
        run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if not isinstance(error.code, int | None):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    leave(code & 255)


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    serve(sys.argv[1])
