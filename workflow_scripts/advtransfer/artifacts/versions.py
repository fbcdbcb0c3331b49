"""Versions of the software that computed an artefact, stored with its arrays or weights."""

from __future__ import annotations

import platform
import sys
from importlib import metadata


def provenance() -> dict[str, str]:
    """Return the versions of Python and of the imported packages that compute artefacts."""
    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "numpy", "scipy", "pandas", "h5py", "pycocotools"):
        if package in sys.modules:
            found[package] = metadata.version(package)
    return found
