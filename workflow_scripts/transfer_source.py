"""Transfer a source to a target: a block of modes (last layer, full network)."""

import argparse

from .advtransfer.cli import run, step_parser

COLUMNS = ("mode", "epoch", "train_loss", "test_accuracy", "test_loss")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    parser.add_argument("--seed", type=int, required=True, help="seed index of the source")
    parser.add_argument("--checkpoint", required=True, help="the source's weights")
    parser.add_argument("--source-view", required=True, help="what the source was trained on")
    parser.add_argument("--train-view", required=True, help="target images to train on")
    parser.add_argument("--test-view", required=True, help="target images to measure on")
    parser.add_argument("--dataset", required=True, help="dataset of the target's views")
    parser.add_argument("--output", required=True, help="HDF5 to write: logits on the test view")
    parser.add_argument("--curves", required=True, help="CSV to write: one row a mode and epoch")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import torch

    from .advtransfer.artifacts import provenance, write_hdf5, write_rows
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import check_disjoint, load_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import TransferRecipe, derived_seed, from_json, to_plain
    from .advtransfer.transfer.transfer import transfer

    recipe = from_json(TransferRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    for view in (arguments.train_view, arguments.test_view):
        check_disjoint(arguments.source_view, view)
    network, _ = load_checkpoint(arguments.checkpoint, device)
    views = [load_view(v, arguments.dataset) for v in (arguments.train_view, arguments.test_view)]
    train, test = (
        (to_device(view.images, device), torch.from_numpy(view.labels).to(device)) for view in views
    )
    arrays = {"labels": views[1].labels}
    rows = []
    for mode in recipe.modes:
        seed = derived_seed(recipe, arguments.seed, mode.mode)
        outcome = transfer(network, train, test, len(views[1].classes), mode, seed)
        arrays[f"{mode.mode}/logits"] = outcome.logits.cpu().numpy()
        rows += [
            {"mode": mode.mode} | {k: v for k, v in row.items() if k in COLUMNS}
            for row in outcome.history
        ]
    attributes = {
        "recipe": to_plain(recipe),
        "seed": arguments.seed,
        "device": describe(device),
        "versions": provenance(),
    }
    write_rows(arguments.curves, rows, COLUMNS)
    write_hdf5(arguments.output, arrays, attributes)


if __name__ == "__main__":
    run(main, parser())
