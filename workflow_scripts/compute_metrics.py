"""Transferability metrics of a source and its references: arithmetic on stored responses."""

import argparse

from .advtransfer.cli import log, run, step_parser

COLUMNS = (
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
    parser.add_argument("--source-attacks", required=True, help="the source's perturbations (HDF5)")
    parser.add_argument("--reference-attacks", required=True, nargs="+", help="in seed order")
    parser.add_argument("--responses", required=True, help="logits on each other's perturbations")
    parser.add_argument("--output", required=True, help="CSV to write")
    parser.add_argument("--per-image", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from .advtransfer.artifacts import provenance, read_hdf5, write_hdf5, write_rows
    from .advtransfer.metrics.transferability import measure_pair
    from .advtransfer.recipes import MetricsRecipe, attack_label, from_json, to_plain

    recipe = from_json(MetricsRecipe, arguments.recipe)
    pairing = recipe.pairing
    responses, _ = read_hdf5(arguments.responses)
    source, _ = read_hdf5(arguments.source_attacks)
    rows = []
    per_image: dict[str, np.ndarray] = {}
    files = zip(pairing.reference_seeds, arguments.reference_attacks, strict=True)
    for seed, file in files:
        reference, _ = read_hdf5(file)
        true = reference["labels"]
        mask = np.ones(len(true), dtype=bool)
        if recipe.mask == "reference_correct":
            mask = reference["clean/logits"].argmax(1) == true
        log.info("reference seed %d: %d of %d images count", seed, mask.sum(), len(mask))
        # The source knows other classes than the target: its loss is against its own prediction.
        sides = {
            "source_to_reference": (source, reference, "reference", true),
            "reference_to_source": (reference, source, "source", source["clean/logits"].argmax(1)),
        }
        for attack in pairing.attacks.attacks:
            label = attack_label(attack)
            for direction, (first, second, responder, labels) in sides.items():
                measured = measure_pair(
                    f1_clean=first["clean/logits"],
                    f1_own=first[f"{label}/logits"],
                    f2_clean=second["clean/logits"],
                    f2_transferred=responses[f"seed{seed}/{label}/{responder}"],
                    f2_own=second[f"{label}/logits"],
                    delta_1=first[f"{label}/delta"],
                    delta_2=second[f"{label}/delta"],
                    labels=labels,
                    mask=mask,
                )
                for name, values in measured.per_image.items():
                    per_image[f"seed{seed}/{label}/{direction}/{name}"] = values
                conditions = (seed, attack.attack, attack.norm, attack.epsilon, attack.steps)
                for metric, value in measured.values.items():
                    count = measured.n_images[metric]
                    shown = "" if np.isnan(value) else value
                    row = (*conditions, direction, metric, shown, count)
                    rows.append(dict(zip(COLUMNS, row, strict=True)))
    write_rows(arguments.output, rows, COLUMNS)
    write_hdf5(
        arguments.per_image, per_image, {"recipe": to_plain(recipe), "versions": provenance()}
    )


if __name__ == "__main__":
    run(main, parser())
