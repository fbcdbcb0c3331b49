"""The user's home: ``~`` in paths, and what a user needs who has no home.

In a container a user is often only a number, with no home or with one that cannot be written.
Snakemake and other programs then end before any file of ours is read. Therefore `make setup` runs
this file as a script, and every Python of that environment starts with `provide`. This module
imports the standard library alone, because a copy of it stands outside the package.
"""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Return a path that a user wrote, with ``~`` replaced by the home.

    Recipes keep the path as it was written, so a configuration with ``~`` gives the same addresses
    on every machine.
    """
    return Path(os.path.expanduser(path))


def provide() -> None:
    """Let programs write below the working folder what they cannot write into the user's home.

    A home that exists stays the home. A user who is unknown to the system gets a name.
    """
    import pwd

    home = os.path.expanduser("~")
    cache = os.path.join(home, ".cache")
    if not all(os.access(folder, os.W_OK | os.X_OK) for folder in _there(home, cache)):
        here = os.path.join(os.getcwd(), ".snakemake", "home")
        if not (os.path.isabs(home) and os.path.isdir(home)):
            os.environ["HOME"] = here
        os.environ.setdefault("XDG_CACHE_HOME", os.path.join(here, ".cache"))
        os.environ.setdefault("MPLCONFIGDIR", os.path.join(here, ".config", "matplotlib"))
        os.environ.setdefault("npm_config_cache", os.path.join(here, ".npm"))
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("LOGNAME", f"user{os.getuid()}")


def _there(home: str, cache: str) -> tuple[str, ...]:
    return (home, cache) if os.path.exists(cache) else (home,)


def install() -> None:
    """Make every Python of this environment start with `provide`."""
    import sysconfig

    folder = Path(sysconfig.get_path("purelib"))
    (folder / "advtransfer_home.py").write_bytes(Path(__file__).read_bytes())
    (folder / "advtransfer_home.pth").write_text(
        "import advtransfer_home; advtransfer_home.provide()\n"
    )


if __name__ == "__main__":
    install()
