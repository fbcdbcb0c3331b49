"""Measure how fine-grained a target is, on its pixels, its labels and the features of a source.

The table has one row for each measure and seed of the source. Measures that need no network have no
seed.
"""

import argparse

from .advtransfer.cli import add_seeds, log, run, step_parser

COLUMNS = ("seed", "measure", "basis", "value", "n_images")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument("--view", required=True, help="images of the target")
    parser.add_argument("--dataset", required=True, help="dataset of the view")
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.artifacts.hdf5 import open_hdf5
    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import open_view
    from .advtransfer.device import prepare
    from .advtransfer.metrics.granularity import feature_measures, image_measures, label_depth
    from .advtransfer.metrics.granularity_recipe import GranularityRecipe
    from .advtransfer.models.inference import penultimate
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import from_json

    recipe = from_json(GranularityRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    with open_view(arguments.view, arguments.dataset) as view:
        # The first images are a balanced sample, as any prefix of a view is balanced.
        pixels, known = view.images(slice(recipe.images)), view.labels[: recipe.images]
    with open_hdf5(arguments.dataset) as dataset:
        stored = dataset.rows(f"{recipe.view.split}/images").shape[1]

    rows = []

    def add(seed: int | str, basis: str, values: dict[str, float]) -> None:
        for measure, value in values.items():
            log.info("%s %s of %s: %.4g", seed, measure, basis, value)
            row = {"seed": seed, "measure": measure, "basis": basis, "value": value}
            rows.append({**row, "n_images": len(known)})

    sides = (stored, view.size, recipe.view.detail)
    resolution = min(side for side in sides if side is not None)
    add("", "pixels", {"resolution": resolution, **image_measures(pixels)})
    if recipe.paths:
        names = recipe.view.superclasses or recipe.view.classes
        labels = [view.classes.index(name) for name in names]
        add("", "labels", {"label_depth": label_depth(recipe.paths, labels)})
    images = to_device(pixels, device)
    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, _ = load_checkpoint(checkpoint, device, size=images.shape[-1])
        features = penultimate(network, images).double().cpu().numpy()
        add(seed, "features", feature_measures(features, known))
    write_measurements(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
