"""Attack one network on one view: a block of attacks, perturbations and the network's own logits."""

import argparse

from .advtransfer.cli import log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    parser.add_argument("--seed", type=int, required=True, help="seed index of the network")
    parser.add_argument("--checkpoint", required=True, help="the network's weights")
    parser.add_argument("--view", required=True, help="view to attack, whole (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the view (HDF5)")
    parser.add_argument("--output", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import torch

    from .advtransfer.artifacts import provenance, write_hdf5
    from .advtransfer.attacks.ball import towards_zero_half
    from .advtransfer.attacks.run import AttackedCopies, attack_images, attack_labels, predict
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import (
        AttackBlockRecipe,
        attack_label,
        derived_seed,
        from_json,
        to_plain,
    )

    recipe = from_json(AttackBlockRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    network, classes = load_checkpoint(arguments.checkpoint, device)
    view = load_view(arguments.view, arguments.dataset)
    images = as_float(to_device(view.images, device))
    copies = AttackedCopies(network)
    exact = copies["fp32"]  # responses come from the same form of the network, so 0 stays 0
    clean = predict(exact, images)
    true = torch.from_numpy(view.labels).to(device) if classes == view.classes else None

    arrays = {"labels": view.labels, "clean/logits": clean.cpu().numpy()}
    for attack in recipe.attacks:
        label = attack_label(attack)
        labels = attack_labels(attack, clean, true)
        # Every attack has a random stream of its own, whatever stands beside it in the block.
        seed = derived_seed([recipe.view, attack], arguments.seed, label)
        generator = torch.Generator().manual_seed(seed)
        delta = attack_images(copies[attack.precision], images, labels, attack, generator)
        half = towards_zero_half(delta)
        # What is stored is what is measured: logits belong to the rounded perturbation.
        own = predict(exact, images + half.float())
        arrays[f"{label}/delta"] = half.cpu().numpy()
        arrays[f"{label}/logits"] = own.cpu().numpy()
        changed = float((own.argmax(1) != clean.argmax(1)).float().mean())
        log.info("%s: prediction changed on %.1f %% of %d images", label, 100 * changed, len(view))
    attributes = {
        "recipe": to_plain(recipe),
        "seed": arguments.seed,
        "classes": list(classes),
        "device": describe(device),
        "versions": provenance(),
    }
    write_hdf5(arguments.output, arrays, attributes)


if __name__ == "__main__":
    run(main, parser())
