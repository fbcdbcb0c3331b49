"""Attack networks on one view: perturbations, and the networks' own logits."""

import argparse

from .advtransfer.cli import add_seeds, log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
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
    view = load_view(arguments.view, arguments.dataset)
    images = as_float(to_device(view.images, device))
    arrays = {"labels": view.labels}
    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, classes = load_checkpoint(checkpoint, device, size=images.shape[-1])
        copies = AttackedCopies(network)
        exact = copies["fp32"]  # responses come from the same form of the network, so 0 stays 0
        clean = predict(exact, images)
        arrays[f"seed{seed}/clean/logits"] = clean.cpu().numpy()
        true = torch.from_numpy(view.labels).to(device) if classes == view.classes else None
        for attack in recipe.attacks:
            label = attack_label(attack)
            labels = attack_labels(attack, clean, true)
            # Every attack has a random stream of its own, whatever stands beside it in the block.
            start = derived_seed([recipe.view, attack], seed, label)
            generator = torch.Generator().manual_seed(start)
            delta = attack_images(copies[attack.precision], images, labels, attack, generator)
            half = towards_zero_half(delta)
            # What is stored is what is measured: logits belong to the rounded perturbation.
            own = predict(exact, images + half.float())
            arrays[f"seed{seed}/{label}/delta"] = half.cpu().numpy()
            arrays[f"seed{seed}/{label}/logits"] = own.cpu().numpy()
            share = float((own.argmax(1) != clean.argmax(1)).float().mean())
            log.info("seed %d, %s: changed %.1f %% of predictions", seed, label, 100 * share)
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    write_hdf5(arguments.output, arrays, attributes)


if __name__ == "__main__":
    run(main, parser())
