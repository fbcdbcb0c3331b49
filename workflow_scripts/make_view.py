"""Select the images of a view (classes, half, balanced subset, size) from a dataset."""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--dataset", required=True, help="dataset file (HDF5)")
    parser.add_argument("--output", required=True, help="view file to write (HDF5)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.data.view_recipe import ViewRecipe
    from .advtransfer.data.views import make_view
    from .advtransfer.recipes import from_json

    make_view(from_json(ViewRecipe, arguments.recipe), arguments.dataset, arguments.output)


if __name__ == "__main__":
    run(main, parser())
