"""Which versions computed an artefact: every step that stores arrays or weights says so in them."""

from __future__ import annotations

import platform
import sys
from importlib import metadata


def provenance() -> dict[str, str]:
    """Versions of what computed an artefact; packages that were not imported are not named."""
    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "numpy", "scipy", "pandas", "h5py", "pycocotools"):
        if package in sys.modules:
            found[package] = metadata.version(package)
    return found
