"""Attack networks on one view, and store the perturbations and the networks' logits under them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .advtransfer.cli import add_seeds, log, run, step_parser

if TYPE_CHECKING:
    import torch

    from .advtransfer.attacks.block_recipe import AttackBlockRecipe
    from .advtransfer.attacks.recipe import AttackRecipe
    from .advtransfer.data.views import OpenView


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument("--view", required=True, help="view whose images are attacked (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the view (HDF5)")
    parser.add_argument("--output", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib

    import torch
    from tqdm import tqdm

    from .advtransfer.artifacts.hdf5 import hdf5_writer
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.attacks.block_recipe import AttackBlockRecipe
    from .advtransfer.attacks.recipe import attack_label
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import open_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.inference import BATCH, predict
    from .advtransfer.recipes import from_json, to_plain

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
        attacked = {
            seed: Attacked(seed, checkpoint, recipe, view, device)
            for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True)
        }
        changed = {(seed, label): 0 for seed in attacked for label in attacks}
        file = stack.enter_context(hdf5_writer(arguments.output, attributes))
        file.append("labels", view.labels, count)
        # Each batch goes through all networks and attacks, so that memory holds one batch only.
        bar = tqdm(total=count * len(changed), unit="image", disable=None, leave=False)
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            images = as_float(to_device(view.images(part), device))
            true = torch.from_numpy(view.labels[part]).to(device)
            for seed, network in attacked.items():
                clean = predict(network.exact, images)
                file.append(f"seed{seed}/clean/logits", clean.cpu().numpy(), count)
                for label, attack in attacks.items():
                    bar.set_description(f"seed {seed} {label}")
                    delta, own = network.attack(attack, images, clean, true)
                    file.append(f"seed{seed}/{label}/delta", delta.cpu().numpy(), count)
                    file.append(f"seed{seed}/{label}/logits", own.cpu().numpy(), count)
                    changed[seed, label] += int((own.argmax(1) != clean.argmax(1)).sum())
                    bar.update(len(images))
        bar.close()
        for (seed, label), number in changed.items():
            share = 100 * number / count
            log.info("seed %d, %s: changed %.1f %% of predictions", seed, label, share)


class Attacked:
    """A network under attack, with a random stream for each attack of a block.

    Attributes:
        exact: the network's frozen copy in float32. All responses come from this copy, so that a
            perturbation of 0 changes nothing.
    """

    def __init__(
        self,
        seed: int,
        checkpoint: str,
        recipe: AttackBlockRecipe,
        view: OpenView,
        device: torch.device,
    ) -> None:
        import torch

        from .advtransfer.attacks.recipe import attack_label
        from .advtransfer.attacks.run import AttackedCopies
        from .advtransfer.models.zoo import load_checkpoint
        from .advtransfer.recipes import derived_seed

        network, classes = load_checkpoint(checkpoint, device, size=view.size)
        self._copies = AttackedCopies(network)
        self._knows_classes = classes == view.classes
        # Each attack has a random stream of its own, so that the other attacks of the block do not
        # influence it.
        self._generators = {
            attack: torch.Generator().manual_seed(
                derived_seed([recipe.view, attack], seed, attack_label(attack))
            )
            for attack in recipe.attacks
        }
        self.exact = self._copies["fp32"]

    def attack(
        self, attack: AttackRecipe, images: torch.Tensor, clean: torch.Tensor, true: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attack the next batch of the view.

        Args:
            images: float32 (N, C, H, W) in [0, 1].
            clean: the network's logits on these images, (N, classes).
            true: labels of the images in the view, int64 (N,).

        Returns:
            Perturbations, float16 (N, C, H, W), and the logits under them, float32 (N, classes).
            The logits are measured on the perturbations as they are stored, in float16.

        Raises:
            UserError: The attack needs true labels, but the network was trained on other classes.
        """
        from .advtransfer.attacks.ball import towards_zero_half
        from .advtransfer.attacks.run import attack_images, attack_labels
        from .advtransfer.models.inference import predict

        labels = attack_labels(attack, clean, true if self._knows_classes else None)
        copy, generator = self._copies[attack.precision], self._generators[attack]
        delta = towards_zero_half(attack_images(copy, images, labels, attack, generator))
        return delta, predict(self.exact, images + delta.float())


if __name__ == "__main__":
    run(main, parser())
