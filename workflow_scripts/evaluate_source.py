"""Clean and robust accuracy of a source on test images of its own classes."""

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

    from .advtransfer.artifacts import write_rows
    from .advtransfer.attacks.run import AttackedCopies, attack_images, predict
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import prepare
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import EvaluationRecipe, attack_label, derived_seed, from_json

    recipe = from_json(EvaluationRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    view = load_view(arguments.view, arguments.dataset)
    images = as_float(to_device(view.images, device))
    labels = torch.from_numpy(view.labels).to(device)
    rows = []

    def add(seed: int, attack: str, norm: str, epsilon: float, steps: int, correct: int) -> None:
        accuracy = correct / len(view)
        log.info("seed %d, %s %s %g: accuracy %.4f", seed, attack, norm, epsilon, accuracy)
        values = (seed, attack, norm, epsilon, steps, accuracy, len(view))
        rows.append(dict(zip(COLUMNS, values, strict=True)))

    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, _ = load_checkpoint(checkpoint, device, size=images.shape[-1])
        # Robust accuracy counts images that no attack moves: those already wrong need no attack.
        right = predict(network, images).argmax(1) == labels
        add(seed, "none", "none", 0.0, 0, int(right.sum()))
        copies = AttackedCopies(network)
        for attack in recipe.attacks:
            start = derived_seed(recipe, seed, attack_label(attack))
            generator = torch.Generator().manual_seed(start)
            kept, true = images[right], labels[right]
            survived = 0
            if len(kept):
                delta = attack_images(copies[attack.precision], kept, true, attack, generator)
                survived = int((predict(network, kept + delta).argmax(1) == true).sum())
            add(seed, attack.attack, attack.norm, attack.epsilon, attack.steps, survived)
    write_rows(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
