"""Write composed detection data in COCO's official layout: PNG images and instances_*.json."""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", recipe=False)
    parser.add_argument("--data", required=True, help="detection data (HDF5)")
    parser.add_argument("--output", required=True, help="folder to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.detection.scenes import export_scenes

    export_scenes(arguments.data, arguments.output)


if __name__ == "__main__":
    run(main, parser())
