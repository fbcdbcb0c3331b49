"""Measure the clean and robust accuracy of a source on test images of its own classes."""

import argparse

from .advtransfer.cli import add_seeds, log, run, step_parser

COLUMNS = ("seed", "attack", "norm", "epsilon", "steps", "accuracy", "n_images")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument("--view", required=True, help="test view (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the view (HDF5)")
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import torch

    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.attacks.recipe import attack_label
    from .advtransfer.attacks.run import robust_accuracies
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import prepare
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import derived_seed, from_json
    from .advtransfer.training.evaluation_recipe import EvaluationRecipe

    recipe = from_json(EvaluationRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    view = load_view(arguments.view, arguments.dataset)
    images = to_device(view.images, device)
    labels = torch.from_numpy(view.labels).to(device)
    rows = []
    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, _ = load_checkpoint(checkpoint, device, size=images.shape[-1])
        starts = [derived_seed(recipe, seed, attack_label(attack)) for attack in recipe.attacks]
        for row in robust_accuracies(network, images, labels, recipe.attacks, starts):
            log.info("seed %d, {attack} {norm} {epsilon:g}: {accuracy:.4f}".format(**row), seed)
            rows.append({"seed": seed, **row})
    write_measurements(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
