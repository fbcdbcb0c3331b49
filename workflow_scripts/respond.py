"""Compute the logits of a source and its references on each other's perturbations."""

import argparse

from .advtransfer.cli import add_seeds, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument(
        "--source-checkpoints", required=True, nargs="+", help="weights, in seed order"
    )
    parser.add_argument("--source-attacks", required=True, help="source's perturbations (HDF5)")
    parser.add_argument(
        "--reference-checkpoints", required=True, nargs="+", help="weights, in seed order"
    )
    parser.add_argument(
        "--reference-attacks", required=True, help="references' perturbations (HDF5)"
    )
    parser.add_argument("--view", required=True, help="the attacked view (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the view (HDF5)")
    parser.add_argument("--output", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from collections.abc import Iterable

    import torch
    from tqdm import tqdm

    from .advtransfer.artifacts.hdf5 import hdf5_writer, open_hdf5
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.attacks.recipe import attack_label
    from .advtransfer.data.batches import as_float, to_device
    from .advtransfer.data.views import open_view
    from .advtransfer.device import describe, prepare
    from .advtransfer.metrics.pairing_recipe import PairingRecipe, pair_name
    from .advtransfer.models.inference import BATCH, predict
    from .advtransfer.models.network import Network, inference_copy
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import from_json, to_plain

    recipe = from_json(PairingRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    labels = [attack_label(attack) for attack in recipe.attacks.attacks]

    def networks(seeds: Iterable[int], checkpoints: list[str]) -> dict[int, Network]:
        return {
            seed: inference_copy(load_checkpoint(checkpoint, device)[0], "fp32")
            for seed, checkpoint in zip(seeds, checkpoints, strict=True)
        }

    sources = networks(arguments.seeds, arguments.source_checkpoints)
    references = networks(recipe.reference_seeds, arguments.reference_checkpoints)
    attributes = {
        "recipe": to_plain(recipe),
        "device": describe(device),
        "versions": provenance(),
    }
    with (
        open_view(arguments.view, arguments.dataset) as view,
        open_hdf5(arguments.source_attacks) as source_attacks,
        open_hdf5(arguments.reference_attacks) as reference_attacks,
        hdf5_writer(arguments.output, attributes) as file,
    ):
        deltas = {
            (side, seed, label): attacks.rows(f"seed{seed}/{label}/delta")
            for side, attacks, seeds in (
                ("source", source_attacks, sources),
                ("reference", reference_attacks, references),
            )
            for seed in seeds
            for label in labels
        }
        for start in tqdm(range(0, len(view), BATCH), unit="batch", disable=None, leave=False):
            part = slice(start, start + BATCH)
            images = as_float(to_device(view.images(part), device))
            for (attacked, seed, label), rows in deltas.items():
                perturbed = images + torch.from_numpy(rows[part]).to(device).float()
                responding = "reference" if attacked == "source" else "source"
                for other, network in (references if attacked == "source" else sources).items():
                    pair = (seed, other) if attacked == "source" else (other, seed)
                    logits = predict(network, perturbed).cpu().numpy()
                    file.append(pair_name(*pair, label, responding), logits, len(view))


if __name__ == "__main__":
    run(main, parser())
