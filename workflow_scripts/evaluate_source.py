"""Clean and robust accuracy of a source on test images of its own classes."""

import argparse

from .advtransfer.cli import log, run, step_parser

COLUMNS = ("attack", "norm", "epsilon", "steps", "accuracy", "n_images")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    parser.add_argument("--seed", type=int, required=True, help="seed index (of random starts)")
    parser.add_argument("--checkpoint", required=True, help="the source's weights")
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
    network, _ = load_checkpoint(arguments.checkpoint, device)
    view = load_view(arguments.view, arguments.dataset)
    images = as_float(to_device(view.images, device))
    labels = torch.from_numpy(view.labels).to(device)
    # Robust accuracy counts images that no attack moves: those already wrong need no attack.
    right = predict(network, images).argmax(1) == labels

    def row(attack: str, norm: str, epsilon: float, steps: int, correct: int) -> dict[str, object]:
        accuracy = correct / len(view)
        log.info("%s %s %g: accuracy %.4f", attack, norm, epsilon, accuracy)
        return dict(zip(COLUMNS, (attack, norm, epsilon, steps, accuracy, len(view)), strict=True))

    rows = [row("none", "none", 0.0, 0, int(right.sum()))]
    copies = AttackedCopies(network)
    for attack in recipe.attacks:
        seed = derived_seed(recipe, arguments.seed, attack_label(attack))
        generator = torch.Generator().manual_seed(seed)
        kept, true = images[right], labels[right]
        survived = 0
        if len(kept):
            delta = attack_images(copies[attack.precision], kept, true, attack, generator)
            survived = int((predict(network, kept + delta).argmax(1) == true).sum())
        rows.append(row(attack.attack, attack.norm, attack.epsilon, attack.steps, survived))
    write_rows(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
