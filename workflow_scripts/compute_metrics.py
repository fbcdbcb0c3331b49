"""Transferability metrics of a source and its references: arithmetic on stored responses."""

import argparse

from .advtransfer.cli import add_seeds, log, run, step_parser

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
    parser.add_argument("--reference-attacks", required=True, help="the references' (HDF5)")
    parser.add_argument("--responses", required=True, help="logits on each other's perturbations")
    parser.add_argument("--output", required=True, help="CSV to write")
    parser.add_argument("--per-image", required=True, help="HDF5 to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import itertools

    import numpy as np

    from .advtransfer.artifacts import provenance, read_hdf5, write_hdf5, write_rows
    from .advtransfer.metrics.transferability import measure_pair
    from .advtransfer.recipes import MetricsRecipe, attack_label, from_json, pair_name, to_plain

    recipe = from_json(MetricsRecipe, arguments.recipe)
    pairing = recipe.pairing
    responses, _ = read_hdf5(arguments.responses)
    attacked = {
        "source": read_hdf5(arguments.source_attacks)[0],
        "reference": read_hdf5(arguments.reference_attacks)[0],
    }
    true = attacked["reference"]["labels"]
    rows = []
    per_image: dict[str, np.ndarray] = {}
    for k, r in itertools.product(arguments.seeds, pairing.reference_seeds):
        seeds = {"source": f"seed{k}", "reference": f"seed{r}"}
        clean = {side: attacked[side][f"{seeds[side]}/clean/logits"] for side in seeds}
        mask = np.ones(len(true), dtype=bool)
        if recipe.mask == "reference_correct":
            mask = clean["reference"].argmax(1) == true
        log.info("source seed %d, reference seed %d: %d images count", k, r, mask.sum())
        # The source knows other classes than the target: its loss is against its own prediction.
        labels = {"source": clean["source"].argmax(1), "reference": true}
        for attack in pairing.attacks.attacks:
            label = attack_label(attack)
            own = {side: attacked[side][f"{seeds[side]}/{label}/logits"] for side in seeds}
            delta = {side: attacked[side][f"{seeds[side]}/{label}/delta"] for side in seeds}
            for first, second in (("source", "reference"), ("reference", "source")):
                direction = f"{first}_to_{second}"
                measured = measure_pair(
                    f1_clean=clean[first],
                    f1_own=own[first],
                    f2_clean=clean[second],
                    f2_transferred=responses[pair_name(k, r, label, second)],
                    f2_own=own[second],
                    delta_1=delta[first],
                    delta_2=delta[second],
                    labels=labels[second],
                    mask=mask,
                )
                for name, values in measured.per_image.items():
                    per_image[pair_name(k, r, label, f"{direction}/{name}")] = values
                conditions = (k, r, attack.attack, attack.norm, attack.epsilon, attack.steps)
                for metric, value in measured.values.items():
                    shown = "" if np.isnan(value) else value
                    row = (*conditions, direction, metric, shown, measured.n_images[metric])
                    rows.append(dict(zip(COLUMNS, row, strict=True)))
    write_rows(arguments.output, rows, COLUMNS)
    write_hdf5(
        arguments.per_image, per_image, {"recipe": to_plain(recipe), "versions": provenance()}
    )


if __name__ == "__main__":
    run(main, parser())
