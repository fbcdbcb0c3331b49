"""Logits of a source and its references on each other's perturbations."""

import argparse

from .advtransfer.cli import add_seeds, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--source-checkpoints", required=True, nargs="+", help="in seed order")
    parser.add_argument("--source-attacks", required=True, help="their perturbations (HDF5)")
    parser.add_argument("--reference-checkpoints", required=True, nargs="+", help="in seed order")
    parser.add_argument("--reference-attacks", required=True, help="their perturbations (HDF5)")
    parser.add_argument("--view", required=True, help="the attacked view (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the view (HDF5)")
    parser.add_argument("--output", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from collections.abc import Iterable

    import torch

    from .advtransfer.artifacts import provenance, read_hdf5, write_hdf5
    from .advtransfer.attacks.run import predict
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.network import Network, inference_copy
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import PairingRecipe, attack_label, from_json, pair_name, to_plain

    recipe = from_json(PairingRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    view = load_view(arguments.view, arguments.dataset)
    images = as_float(to_device(view.images, device))
    labels = [attack_label(attack) for attack in recipe.attacks.attacks]

    def networks(seeds: Iterable[int], checkpoints: list[str]) -> dict[int, Network]:
        return {
            seed: inference_copy(load_checkpoint(checkpoint, device)[0], "fp32")
            for seed, checkpoint in zip(seeds, checkpoints, strict=True)
        }

    def perturbed(attacks: str, seed: int, label: str) -> torch.Tensor:
        name = f"seed{seed}/{label}/delta"
        delta = read_hdf5(attacks, [name])[0][name]
        return images + torch.from_numpy(delta).to(device).float()

    sources = networks(arguments.seeds, arguments.source_checkpoints)
    references = networks(recipe.reference_seeds, arguments.reference_checkpoints)
    arrays = {}
    for label in labels:
        for k in sources:
            attacked = perturbed(arguments.source_attacks, k, label)
            for r, reference in references.items():
                arrays[pair_name(k, r, label, "reference")] = (
                    predict(reference, attacked).cpu().numpy()
                )
        for r in references:
            attacked = perturbed(arguments.reference_attacks, r, label)
            for k, source in sources.items():
                arrays[pair_name(k, r, label, "source")] = predict(source, attacked).cpu().numpy()
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    write_hdf5(arguments.output, arrays, attributes)


if __name__ == "__main__":
    run(main, parser())
