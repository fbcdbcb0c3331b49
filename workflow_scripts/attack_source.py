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
    import contextlib

    import torch
    from tqdm import tqdm

    from .advtransfer.artifacts.hdf5 import hdf5_writer
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.attacks.ball import towards_zero_half
    from .advtransfer.attacks.block_recipe import AttackBlockRecipe
    from .advtransfer.attacks.recipe import attack_label
    from .advtransfer.attacks.run import AttackedCopies, attack_images, attack_labels
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import open_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.inference import BATCH, predict
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import derived_seed, from_json, to_plain

    recipe = from_json(AttackBlockRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    attacks = {attack_label(attack): attack for attack in recipe.attacks}
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    with contextlib.ExitStack() as stack:
        view = stack.enter_context(open_view(arguments.view, arguments.dataset))
        count = len(view)
        copies, same_classes = {}, {}
        for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
            network, classes = load_checkpoint(checkpoint, device, size=view.size)
            copies[seed], same_classes[seed] = AttackedCopies(network), classes == view.classes
        # Every attack has a random stream of its own, whatever stands beside it in the block.
        generators = {
            (seed, label): torch.Generator().manual_seed(
                derived_seed([recipe.view, attack], seed, label)
            )
            for seed in copies
            for label, attack in attacks.items()
        }
        changed = dict.fromkeys(generators, 0)
        file = stack.enter_context(hdf5_writer(arguments.output, attributes))
        file.append("labels", view.labels, count)
        # Batch by batch through all networks and attacks, so that memory is that of one batch.
        bar = tqdm(total=count * len(generators), unit="image", disable=None, leave=False)
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            images = as_float(to_device(view.images(part), device))
            true = torch.from_numpy(view.labels[part]).to(device)
            for seed in copies:
                # Responses come from the same form of the network, so that 0 stays 0.
                exact = copies[seed]["fp32"]
                clean = predict(exact, images)
                file.append(f"seed{seed}/clean/logits", clean.cpu().numpy(), count)
                for label, attack in attacks.items():
                    bar.set_description(f"seed {seed} {label}")
                    labels = attack_labels(attack, clean, true if same_classes[seed] else None)
                    delta = attack_images(
                        copies[seed][attack.precision],
                        images,
                        labels,
                        attack,
                        generators[seed, label],
                    )
                    # What is stored is what is measured: logits belong to the rounded perturbation.
                    half = towards_zero_half(delta)
                    own = predict(exact, images + half.float())
                    file.append(f"seed{seed}/{label}/delta", half.cpu().numpy(), count)
                    file.append(f"seed{seed}/{label}/logits", own.cpu().numpy(), count)
                    changed[seed, label] += int((own.argmax(1) != clean.argmax(1)).sum())
                    bar.update(len(images))
        bar.close()
        for (seed, label), number in changed.items():
            share = 100 * number / count
            log.info("seed %d, %s: changed %.1f %% of predictions", seed, label, share)


if __name__ == "__main__":
    run(main, parser())
