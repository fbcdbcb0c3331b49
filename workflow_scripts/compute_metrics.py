"""Compute the transferability metrics of a source and its references from stored responses."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .advtransfer.cli import add_seeds, log, run, step_parser

if TYPE_CHECKING:
    import numpy as np

    from .advtransfer.artifacts.hdf5 import Hdf5Reader

CHUNK = 250  # images whose perturbations are in memory at a time
COLUMNS = (
    "source_seed",
    "reference_seed",
    "attack",
    "norm",
    "epsilon",
    "steps",
    "direction",
    "metric",
    "value",
    "n_images",
)


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    add_seeds(parser)
    parser.add_argument("--source-attacks", required=True, help="the source's perturbations (HDF5)")
    parser.add_argument("--reference-attacks", required=True, help="references' perturbations")
    parser.add_argument(
        "--responses", required=True, help="logits on each other's perturbations (HDF5)"
    )
    parser.add_argument("--output", required=True, help="CSV to write")
    parser.add_argument("--per-image", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import itertools

    import numpy as np

    from .advtransfer.artifacts.hdf5 import open_hdf5, read_hdf5, write_hdf5
    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.attacks.recipe import attack_label
    from .advtransfer.metrics.pairing_recipe import pair_name
    from .advtransfer.metrics.recipe import MetricsRecipe
    from .advtransfer.metrics.transferability import measure_pair
    from .advtransfer.recipes import from_json, to_plain

    recipe = from_json(MetricsRecipe, arguments.recipe)
    pairing = recipe.pairing
    attacks = {attack_label(attack): attack for attack in pairing.attacks.attacks}
    seeds = {"source": arguments.seeds, "reference": pairing.reference_seeds}
    pairs = list(itertools.product(*seeds.values()))
    responses, _ = read_hdf5(arguments.responses)

    # logits[side, seed, "clean" or attack]; the perturbations stay in their files.
    logits = {}
    with (
        open_hdf5(arguments.source_attacks) as source,
        open_hdf5(arguments.reference_attacks) as reference,
    ):
        files = {"source": source, "reference": reference}
        true = reference.whole("labels")
        for side, file in files.items():
            for seed, label in itertools.product(seeds[side], ["clean", *attacks]):
                logits[side, seed, label] = file.whole(f"seed{seed}/{label}/logits")
        alignment = alignments(files, seeds, attacks, len(true))

    rows = []
    per_image: dict[str, np.ndarray] = {}
    for k, r in pairs:
        seed_of = {"source": k, "reference": r}
        predicted = {side: logits[side, seed, "clean"].argmax(1) for side, seed in seed_of.items()}
        mask = np.ones(len(true), dtype=bool)
        if recipe.mask == "reference_correct":
            mask = predicted["reference"] == true
        log.info("source seed %d, reference seed %d: %d images count", k, r, mask.sum())
        # The source has other classes than the target, so its loss is taken against its own
        # prediction.
        against = {"source": predicted["source"], "reference": true}
        for label, attack in attacks.items():
            for first, second in (("source", "reference"), ("reference", "source")):
                direction = f"{first}_to_{second}"
                measured = measure_pair(
                    f1_clean=logits[first, seed_of[first], "clean"],
                    f1_own=logits[first, seed_of[first], label],
                    f2_clean=logits[second, seed_of[second], "clean"],
                    f2_transferred=responses[pair_name(k, r, label, second)],
                    f2_own=logits[second, seed_of[second], label],
                    alignment=alignment[k, r, label],
                    labels=against[second],
                    mask=mask,
                )
                for name, values in measured.per_image.items():
                    per_image[pair_name(k, r, label, f"{direction}/{name}")] = values
                conditions = (k, r, attack.attack, attack.norm, attack.epsilon, attack.steps)
                for metric, value in measured.values.items():
                    written = "" if np.isnan(value) else value
                    row = (*conditions, direction, metric, written, measured.n_images[metric])
                    rows.append(dict(zip(COLUMNS, row, strict=True)))
    write_measurements(arguments.output, rows, COLUMNS)
    write_hdf5(
        arguments.per_image, per_image, {"recipe": to_plain(recipe), "versions": provenance()}
    )


def alignments(
    files: dict[str, Hdf5Reader],
    seeds: dict[str, Sequence[int]],
    labels: Iterable[str],
    images: int,
) -> dict[tuple[int, int, str], np.ndarray]:
    """Return ``tau_1`` of every source's perturbations against every reference's.

    Args:
        files, seeds: perturbations and seeds of the ``source`` and of the ``reference``.
        labels: labels of the attacks.
        images: number of attacked images. Only a few at a time are in memory.

    Returns:
        Arrays float64 (images,), by source seed, reference seed and label of the attack.
    """
    import itertools

    import numpy as np

    from .advtransfer.metrics.transferability import tau_1

    pairs = list(itertools.product(seeds["source"], seeds["reference"]))
    found: dict[tuple[int, int, str], np.ndarray] = {}
    for label in labels:
        found |= {(*pair, label): np.empty(images) for pair in pairs}
        rows_of = {
            (side, seed): file.rows(f"seed{seed}/{label}/delta")
            for side, file in files.items()
            for seed in seeds[side]
        }
        for start in range(0, images, CHUNK):
            part = slice(start, start + CHUNK)
            deltas = {key: rows[part].astype(np.float64) for key, rows in rows_of.items()}
            for k, r in pairs:
                found[k, r, label][part] = tau_1(deltas["source", k], deltas["reference", r])
    return found


if __name__ == "__main__":
    run(main, parser())
