"""Run the frozen part of networks once over a target's images, and store its activations."""

import argparse

from .advtransfer.cli import add_seeds, log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument("--train-view", required=True, help="target images to train on")
    parser.add_argument("--test-view", required=True, help="target images to measure on")
    parser.add_argument("--dataset", required=True, help="dataset of the target's views")
    parser.add_argument("--output", required=True, help="HDF5 to write: activations at the cut")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib

    from tqdm import tqdm

    from .advtransfer.artifacts.hdf5 import hdf5_writer
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import open_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.inference import activations
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import from_json, to_plain
    from .advtransfer.transfer.features import BATCH, bits
    from .advtransfer.transfer.subsets_recipe import FeaturesRecipe

    recipe = from_json(FeaturesRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    parts = {
        "train": (arguments.train_view, recipe.precision),
        "test": (arguments.test_view, "fp32"),
    }
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    with hdf5_writer(arguments.output, attributes) as file, contextlib.ExitStack() as stack:
        for name, (path, precision) in parts.items():
            view = stack.enter_context(open_view(path, arguments.dataset))
            file.append(f"{name}/labels", view.labels, len(view))
            for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
                network, _ = load_checkpoint(checkpoint, device, size=view.size)
                trunk, _ = network.split(recipe.blocks)
                bar = tqdm(
                    range(0, len(view), BATCH),
                    desc=f"seed {seed} {name}",
                    disable=None,
                    leave=False,
                )
                for start in bar:
                    images = to_device(view.images(slice(start, start + BATCH)), device)
                    found = activations(trunk, images, precision)
                    file.append(f"seed{seed}/{name}", bits(found), len(view))
            log.info("%s: %d images, %s a seed", name, len(view), tuple(found.shape[1:]))


if __name__ == "__main__":
    run(main, parser())
