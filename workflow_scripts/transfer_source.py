"""Transfer a source to a target in each mode of a block (fixed-feature, full-network, ...)."""

import argparse

from .advtransfer.cli import add_seeds, run, step_parser

COLUMNS = (
    "seed",
    "mode",
    "learning_rate",
    "regularization",
    "chosen",
    "epoch",
    "train_loss",
    "validation_accuracy",
    "validation_loss",
    "test_accuracy",
    "test_loss",
)


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument(
        "--comparison", help="images of the target that the source is trained on (compare_views)"
    )
    parser.add_argument("--train-view", required=True, help="target images to train on")
    parser.add_argument("--test-view", required=True, help="target images to measure on")
    parser.add_argument("--dataset", required=True, help="dataset of the target's views")
    parser.add_argument("--output", required=True, help="HDF5 to write: logits on the test view")
    parser.add_argument("--curves", required=True, help="CSV to write: one row per mode and epoch")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import dataclasses

    import torch

    from .advtransfer.artifacts.hdf5 import write_hdf5
    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.comparisons import read_shared, without
    from .advtransfer.data.recipe import DROP
    from .advtransfer.data.views import load_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import derived_seed, from_json, to_plain
    from .advtransfer.transfer.recipe import TransferRecipe
    from .advtransfer.transfer.transfer import transfer

    recipe = from_json(TransferRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    # Where nothing is shared, refusing shared images gives the numbers that dropping them gives.
    seeded = dataclasses.replace(recipe, shared_images=DROP)
    shared = read_shared(arguments.comparison)
    views = [
        without(load_view(file, arguments.dataset), positions)
        for file, positions in (
            (arguments.train_view, shared.train),
            (arguments.test_view, shared.test),
        )
    ]
    train, test = (
        (to_device(view.images, device), torch.from_numpy(view.labels).to(device)) for view in views
    )
    arrays = {"labels": views[1].labels}
    rows = []
    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, _ = load_checkpoint(checkpoint, device, size=train[0].shape[-1])
        for mode in recipe.modes:
            start = derived_seed(seeded, seed, mode.mode)
            outcome = transfer(network, train, test, len(views[1].classes), mode, start)
            arrays[f"seed{seed}/{mode.mode}/logits"] = outcome.logits.cpu().numpy()
            if outcome.candidates is not None:
                candidates = outcome.candidates.cpu().numpy()
                arrays[f"seed{seed}/{mode.mode}/candidate_logits"] = candidates
            for row in outcome.history:
                kept = {key: value for key, value in row.items() if key in COLUMNS}
                rows.append({"seed": seed, "mode": mode.mode, **kept})
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    write_measurements(arguments.curves, rows, COLUMNS)
    write_hdf5(arguments.output, arrays, attributes)


if __name__ == "__main__":
    run(main, parser())
