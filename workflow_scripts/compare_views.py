"""Find the images of a target that a source is trained on, before anything is trained."""

import argparse

from .advtransfer.cli import log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--source-view", required=True, help="images that sources train on")
    parser.add_argument("--train-view", required=True, help="the target's training images")
    parser.add_argument("--test-view", required=True, help="the target's test images")
    parser.add_argument("--output", required=True, help="HDF5 to write: positions in those views")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.data.comparison_recipe import ComparisonRecipe
    from .advtransfer.data.comparisons import compare_views
    from .advtransfer.recipes import from_json

    shared = compare_views(
        from_json(ComparisonRecipe, arguments.recipe),
        arguments.source_view,
        arguments.train_view,
        arguments.test_view,
        arguments.output,
    )
    log.info(
        "%d of %d training images and %d of %d test images of the target are shared",
        len(shared.train), shared.images[0], len(shared.test), shared.images[1],
    )  # fmt: skip


if __name__ == "__main__":
    run(main, parser())
