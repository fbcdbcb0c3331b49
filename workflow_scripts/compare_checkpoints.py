"""Measure the transferability between two checkpoints on a dataset of your own.

Example:

    python -m workflow_scripts.compare_checkpoints --source a.safetensors \\
        --reference b.safetensors --pack my_images.h5 --epsilon 8/255 --steps 10

The pack is an HDF5 file with `images` uint8 (N, H, W, 3), integer `labels`, `split` (train/test)
and the attribute `class_names` (JSON). Its test images are used. Checkpoints are safetensors files
of this project; results/index.csv lists the ones that the studies made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .advtransfer.cli import log, positive, radius, run, seed_index, step_parser

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .advtransfer.data.dataset import RawDataset

COLUMNS = ("direction", "attack", "norm", "epsilon", "steps", "metric", "value", "n_images")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", recipe=False, hardware=True)
    parser.add_argument("--source", required=True, help="checkpoint (safetensors)")
    parser.add_argument("--reference", required=True, help="checkpoint (safetensors)")
    parser.add_argument("--pack", required=True, help="dataset (HDF5 pack)")
    parser.add_argument("--attack", default="pgd", help="pgd, fgsm, singular (default: pgd)")
    parser.add_argument("--norm", default="linf", choices=("linf", "l2"), help="default: linf")
    parser.add_argument(
        "--epsilon",
        type=radius,
        default="8/255",
        help="radius, a decimal or a fraction; pixels are in [0, 1] (default: 8/255)",
    )
    parser.add_argument("--steps", type=positive, default=10, help="steps of pgd (default: 10)")
    parser.add_argument(
        "--images",
        type=positive,
        default=1000,
        help="greatest number of images (default: 1000)",
    )
    parser.add_argument(
        "--mask",
        default="reference_correct",
        choices=("reference_correct", "all"),
        help="which images count (default: reference_correct)",
    )
    parser.add_argument(
        "--seed",
        type=seed_index,
        default=0,
        help="seed of the random starts (default: 0)",
    )
    parser.add_argument("--output", help="CSV to write (default: print a table)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.attacks.recipe import AttackRecipe
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.packs import read_pack
    from .advtransfer.data.views import check_square
    from .advtransfer.device import prepare
    from .advtransfer.epsilon import check_radius
    from .advtransfer.metrics.compare import compare
    from .advtransfer.models.network import inference_copy
    from .advtransfer.models.zoo import load_checkpoint

    epsilon = arguments.epsilon
    device = prepare(arguments.device, arguments.threads)
    pack = read_pack(Path(arguments.pack))
    pixels, _ = pack.splits["test"]
    check_square(arguments.pack, pixels.shape)
    check_radius("--epsilon", arguments.norm, epsilon, pixels[0].size)
    size = pixels.shape[1]
    source, _ = load_checkpoint(arguments.source, device, size=size)
    reference, classes = load_checkpoint(arguments.reference, device, size=size)
    chosen, labels = _test_images(pack, classes, arguments.images)
    iterated = arguments.attack == "pgd"
    steps = arguments.steps if iterated else 1
    measured = compare(
        inference_copy(source, "fp32"),
        inference_copy(reference, "fp32"),
        as_float(to_device(pixels[chosen], device)),
        None if labels is None else labels.to(device),
        AttackRecipe(
            arguments.attack,
            arguments.norm,
            epsilon,
            steps=steps,
            random_start=iterated,
        ),
        mask=arguments.mask,
        seed=arguments.seed,
    )
    conditions = (arguments.attack, arguments.norm, epsilon, steps)
    rows = [
        dict(
            zip(
                COLUMNS, (direction, *conditions, metric, value, pair.n_images[metric]), strict=True
            )
        )
        for direction, pair in measured.items()
        for metric, value in pair.values.items()
    ]
    if arguments.output:
        write_rows(arguments.output, rows, COLUMNS)
        return
    for row in rows:
        print(
            f"{row['direction']:20} {row['metric']:28} {row['value']:10.4f} (n={row['n_images']})"
        )


def _test_images(
    pack: RawDataset, classes: Sequence[str], most: int
) -> tuple[np.ndarray, torch.Tensor | None]:
    """Return positions of at most ``most`` test images, and their labels among ``classes``.

    Only images of these classes count; if the pack has none of them, all do, without labels.
    """
    import numpy as np
    import torch

    from .advtransfer.wording import listed

    names = np.array(pack.class_names)[pack.splits["test"][1]]
    known = np.flatnonzero(np.isin(names, classes))
    if not len(known):
        chosen = np.arange(min(most, len(names)))
        log.info("the reference has none of the pack's classes: all %d images count", len(chosen))
        return chosen, None
    chosen = known[:most]
    log.info("%d test images of the reference's classes", len(chosen))
    left_out = sorted(set(names) - set(classes))
    if left_out:
        log.warning(
            "%d test images are left out: the reference does not know their classes, %s. Its "
            "classes without a test image are %s",
            len(names) - len(known),
            listed(left_out),
            listed(name for name in classes if name not in names) or "none",
        )
    position = {name: k for k, name in enumerate(classes)}
    return chosen, torch.tensor([position[name] for name in names[chosen]])


if __name__ == "__main__":
    run(main, parser())
