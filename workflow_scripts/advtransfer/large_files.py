"""How Snakemake recognises an artefact that did not change although its time did.

Copies, archives and `touch` give files new times. Snakemake (9.27.1) then compares contents, but
only of files up to ``max-checksum-file-size``: hashing gigabytes after every job is no option. Our
HDF5 files and checkpoints carry a checksum already, in their seal. With `compare_by_seal`,
Snakemake takes the seal of a large file for its content.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .seals import artefact_at, fingerprint


def compare_by_seal() -> None:
    """Make Snakemake compare large artefacts by their seals, and all other files as before."""
    from snakemake.io import _IOFile

    original_eligible, original_checksum = _IOFile.is_checksum_eligible, _IOFile.checksum
    if original_checksum.__module__ == __name__:  # the Snakefile is read a second time
        return

    async def seal_of(file: Any, threshold: int | None) -> str | None:
        """Return the fingerprint of a large artefact on this machine; None for other files."""
        large = threshold is not None and not await original_eligible(file, threshold)
        if large and not file.is_storage and artefact_at(str(file)) is not None:
            with suppress(OSError):  # it does not exist, or is a folder
                return fingerprint(str(file))
        return None

    async def is_checksum_eligible(file: Any, threshold: int) -> bool:
        eligible = await original_eligible(file, threshold)
        return eligible or await seal_of(file, threshold) is not None

    async def checksum(
        file: Any, threshold: int | None = None, force: bool = False, algorithm: Any = None
    ) -> str | None:
        seal = None if force else await seal_of(file, threshold)
        if seal is not None:
            return f"sha256:{seal}"
        found: str | None = await original_checksum(file, threshold, force, algorithm)
        return found

    _IOFile.is_checksum_eligible, _IOFile.checksum = is_checksum_eligible, checksum
