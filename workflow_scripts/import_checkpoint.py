"""Convert another program's checkpoint into one of this project, ready for compare_checkpoints.

Example:

    python -m workflow_scripts.import_checkpoint --checkpoint cifar_linf_8.pt --family resnet \\
        --parameters '{"blocks": [3, 4, 6, 3], "bottleneck": true}' --size 32 \\
        --classes-file cifar10.txt --output robust.safetensors

The step reads files of safetensors and numpy.savez, and files that torch.save wrote if they can be
read without executing anything. The weights may be named as in torchvision, as in the CIFAR ResNets
of the robustness library, or as in the family itself. docs/import-a-checkpoint.md has the details.
"""

import argparse

from .advtransfer.cli import finite, log, positive, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", recipe=False)
    parser.add_argument("--checkpoint", required=True, help="file to import")
    parser.add_argument("--family", required=True, help="model family, such as resnet")
    parser.add_argument(
        "--parameters", default="{}", help="family's parameters as JSON (default: {})"
    )
    names = parser.add_mutually_exclusive_group(required=True)
    names.add_argument("--classes", nargs="+", help="class names in the order of the logits")
    names.add_argument("--classes-file", help="file with one class name a line, in that order")
    names.add_argument(
        "--no-head", action="store_true", help="import the trunk alone, without the last layer"
    )
    parser.add_argument("--size", type=positive, required=True, help="pixels a side of the images")
    parser.add_argument("--mean", type=finite, nargs="+", help="normaliser's mean: one value or 3")
    parser.add_argument(
        "--std", type=finite, nargs="+", help="normaliser's deviation: 1 value or 3"
    )
    parser.add_argument("--entry", help="set of weights to take, if the file holds several")
    parser.add_argument("--sha256", help="expected SHA-256 of the file")
    parser.add_argument("--output", required=True, help="checkpoint to write (safetensors)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .advtransfer.data.text_lists import composed, read_class_names
    from .advtransfer.errors import UserError
    from .advtransfer.models.foreign import NO_HEAD, import_checkpoint
    from .advtransfer.models.recipe import ModelRecipe
    from .advtransfer.wording import counted

    try:
        parameters = json.loads(arguments.parameters)
    except json.JSONDecodeError as error:
        raise UserError(f"--parameters {arguments.parameters}: not JSON ({error}).") from None
    if not isinstance(parameters, dict):
        raise UserError(
            f"--parameters {arguments.parameters}: expected a JSON object such as "
            '\'{"width": 64, "blocks": [2, 2, 2, 2]}\'.'
        )
    if (arguments.mean is None) != (arguments.std is None):
        raise UserError("--mean and --std go together: give both or neither.")
    if arguments.no_head:
        classes: tuple[str, ...] = (NO_HEAD,)
    elif arguments.classes is None:
        classes = read_class_names(arguments.classes_file)
    else:
        classes = composed(tuple(arguments.classes))
    scheme = import_checkpoint(
        arguments.checkpoint,
        arguments.output,
        ModelRecipe(arguments.family, parameters),
        classes,
        arguments.size,
        normaliser=None if arguments.mean is None else (arguments.mean, arguments.std),
        sha256=arguments.sha256,
        entry=arguments.entry,
        trunk_only=arguments.no_head,
    )
    known = "a trunk without its head" if arguments.no_head else counted(classes)
    log.info("%s: %s, weights named as in %s", arguments.output, known, scheme)


if __name__ == "__main__":
    run(main, parser())
