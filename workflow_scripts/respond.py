"""Logits of a source and its references on each other's perturbations."""

import argparse

from .advtransfer.cli import run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    parser.add_argument("--source-checkpoint", required=True, help="the source's weights")
    parser.add_argument("--source-attacks", required=True, help="its perturbations (HDF5)")
    parser.add_argument("--reference-checkpoints", required=True, nargs="+", help="in seed order")
    parser.add_argument("--reference-attacks", required=True, nargs="+", help="in seed order")
    parser.add_argument("--view", required=True, help="the attacked view (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the view (HDF5)")
    parser.add_argument("--output", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from .advtransfer.artifacts import provenance, read_hdf5, write_hdf5
    from .advtransfer.attacks.run import predict
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.models.network import Network, inference_copy
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import PairingRecipe, attack_label, from_json, to_plain

    recipe = from_json(PairingRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    view = load_view(arguments.view, arguments.dataset)
    images = as_float(to_device(view.images, device))
    labels = [attack_label(attack) for attack in recipe.attacks.attacks]

    def logits(network: Network, attacks: str, label: str) -> np.ndarray:
        delta = read_hdf5(attacks, [f"{label}/delta"])[0][f"{label}/delta"]
        return predict(network, images + torch.from_numpy(delta).to(device).float()).cpu().numpy()

    def network(checkpoint: str) -> Network:
        return inference_copy(load_checkpoint(checkpoint, device)[0], "fp32")

    source = network(arguments.source_checkpoint)
    arrays = {}
    pairs = zip(arguments.reference_checkpoints, arguments.reference_attacks, strict=True)
    for seed, (checkpoint, attacks) in zip(recipe.reference_seeds, pairs, strict=True):
        reference = network(checkpoint)
        for label in labels:
            of_reference = logits(reference, arguments.source_attacks, label)
            arrays[f"seed{seed}/{label}/reference"] = of_reference
            arrays[f"seed{seed}/{label}/source"] = logits(source, attacks, label)
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    write_hdf5(arguments.output, arrays, attributes)


if __name__ == "__main__":
    run(main, parser())
