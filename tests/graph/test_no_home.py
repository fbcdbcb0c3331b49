"""A user of a container: only a number, without a home, and with Python's PYTHONSAFEPATH."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.workflow import PLAIN_PROFILE, ROOT, SMOKE, run

# As the system answers for a user that it does not know.
UNKNOWN = "import pwd; exec('def getpwuid(uid): raise KeyError(uid)', pwd.__dict__)\n"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment with our packages, for a user whom the system does not know."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (site,) = (tmp_path / "env/lib").glob("python*/site-packages")
    (site / "a_packages.pth").write_text(f"{packages}\n{UNKNOWN}")
    return tmp_path / "env/bin/python"


def index(python: Path, workflow: Path) -> subprocess.CompletedProcess[str]:
    """Run one small job as this user."""
    names = ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    left_out = [part for name in names for part in ("-u", name)]
    target = ("results/smoke/index.csv", "--workflow-profile", PLAIN_PROFILE, *SMOKE)
    command = ["env", *left_out, "PYTHONSAFEPATH=1", python, "-m", "snakemake", *target]
    return run(command, workflow)


def test_an_unknown_user_without_a_home_runs_a_job(python: Path, workflow: Path) -> None:
    subprocess.run([python, ROOT / "workflow_scripts/advtransfer/home.py"], check=True)
    done = index(python, workflow)
    assert done.returncode == 0, done.stdout
    assert (workflow / "results/smoke/index.csv").stat().st_size
    assert (workflow / ".snakemake/home/.cache/snakemake").is_dir()


def test_snakemake_alone_needs_a_home(python: Path, workflow: Path) -> None:
    """Fails when an update of Snakemake mends it: then remove `home.provide`."""
    done = index(python, workflow)
    assert done.returncode != 0 and "Traceback" in done.stdout


def test_make_setup_provides_a_home() -> None:
    setup = (ROOT / "Makefile").read_text().split("$(VENV)/.ready:")[1].split("@touch")[0]
    assert "$(BIN)/python workflow_scripts/advtransfer/home.py" in setup


def test_make_caches_where_it_can_write(workflow: Path) -> None:
    """pip and uv have caches below the folder before the environment is there."""
    (workflow / "show.mk").write_text("include Makefile\nshow:\n\t@echo $$XDG_CACHE_HOME\n")
    make = ("make", "--silent", "--file=show.mk", "show")
    outer = ("-u", "XDG_CACHE_HOME", "-u", "MAKEFLAGS", "-u", "MAKELEVEL")  # of a `make test`
    command = ("env", *outer, "HOME=/nonexistent", *make)
    assert run(command, workflow).stdout.strip() == f"{workflow}/.snakemake/home/.cache"
    home = workflow / "home"
    home.mkdir()
    command = ("env", *outer, f"HOME={home}", *make)
    assert run(command, workflow).stdout.strip() == ""
