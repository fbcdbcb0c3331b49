"""Make detection data: compose scenes with known masks, or read COCO's or Pascal VOC's annotations.

Official images stay where they are. Composed images are stored in the output file.
"""

import argparse

from .advtransfer.cli import log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument(
        "--datasets",
        nargs="*",
        default=[],
        metavar="FILE",
        help="datasets of objects and of backgrounds, for composed data only (HDF5)",
    )
    parser.add_argument("--output", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.detection.data_recipe import DetectionDataRecipe
    from .advtransfer.detection.scenes import SPLITS, load_scenes, make_scenes
    from .advtransfer.recipes import from_json

    recipe = from_json(DetectionDataRecipe, arguments.recipe)
    make_scenes(recipe, arguments.output, tuple(arguments.datasets))
    for split in SPLITS:
        scenes, _ = load_scenes(arguments.output, split)
        annotations = len(scenes.coco["annotations"])
        log.info("%s: %d images, %d annotations", split, len(scenes), annotations)


if __name__ == "__main__":
    run(main, parser())
