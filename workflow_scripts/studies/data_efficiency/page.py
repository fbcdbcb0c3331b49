"""The page of the study of data efficiency: grids of paired differences, and what they say.

Every number comes from the tables; the sentences follow from signs and intervals, so a cell in
which the paper's claim does not hold is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...advtransfer import plotting
from ...advtransfer.study_page import (
    difference_text,
    embedded,
    fact_text,
    render,
    sign_of,
    verdict_of_signs,
)

if TYPE_CHECKING:
    import pandas as pd

SHOWN_EPOCHS = 5  # of the curves, evenly on a logarithmic scale


def render_page(
    recipe: plotting.FigureRecipe, tables: Mapping[str, str], figures: list[str], template: Path
) -> str:
    """One HTML page without scripts that loads nothing.

    Args:
        recipe: study, baseline and main robust training, parts of the grid, facts to print.
        tables: paths of ``differences``, ``sources`` and ``similarity``.
        figures: ``name=file`` each; embedded.
        template: the study's; base, parts and captions lie beside it.

    Raises:
        UserError: a table, figure or template is missing or lacks columns.
    """
    columns = (*plotting.DIFFERENCE_COLUMNS, "n_source_seeds", "n_subset_seeds")
    differences = plotting.read_efficiency(tables["differences"], columns, recipe, "model")
    sources = plotting.read_efficiency(tables["sources"], plotting.COST_COLUMNS, recipe)
    similarity = plotting.read_efficiency(tables["similarity"], plotting.SIMILARITY_COLUMNS, recipe)
    final = plotting.those(differences, last=1)
    main = plotting.robust_minus_baseline(
        plotting.of_grid(final, recipe, "images", blocks="fewest"), recipe
    )
    robust = plotting.those(
        plotting.of_grid(final, recipe, "robustness", blocks="fewest"),
        comparison="training",
        training=recipe.robust,
    )
    context = {
        "verdict": verdict(main),
        "primary": primary_text(recipe, main),
        "names": {
            "robust": plotting.training_label(recipe.robust),
            "baseline": plotting.training_label(recipe.baseline),
        },
        "facts": [(label, fact_text(value)) for label, value in recipe.facts.items()],
        "images": by_target(recipe, main, "images", "images"),
        "exceptions": exceptions(main),
        "epochs": epochs_grid(recipe, differences),
        "blocks": by_target(
            recipe,
            plotting.those(final, comparison="blocks"),
            ["training", "blocks", "images"],
            "training, blocks, images",
        ),
        "statistics": by_target(
            recipe,
            plotting.those(final, comparison="statistics"),
            ["training", "blocks", "images"],
            "training, blocks, images",
        ),
        "constraints": constraints_grid(recipe, final),
        "scratch": by_target(
            recipe,
            plotting.those(final, comparison="scratch", training=(recipe.robust, recipe.baseline)),
            ["training", "blocks", "images"],
            "training, blocks, images",
        ),
        "robustness": by_target(
            recipe,
            plotting.those(
                robust, quantity=[q for q in set(robust["quantity"]) if q != "accuracy"]
            ),
            ["quantity", "images"],
            "attack, images",
        ),
        "costs": cost_grid(recipe, sources),
        "distances": distance_grid(similarity),
        "published": published_grid(),
        "published_epochs": published_epochs_grid(),
        "figures": embedded(figures, template.parent),
    }
    return render(template, context)


# Sentences --------------------------------------------------------------------------------------


def smallest(main: pd.DataFrame) -> pd.DataFrame:
    """The cells with the fewest images, one a target."""
    return main[main["images"] == main.groupby("target")["images"].transform("min")]


def verdict(main: pd.DataFrame) -> dict[str, str]:
    """What the cells with the fewest images say: there the paper claims the largest gain."""
    rows = smallest(main)
    signs = [sign_of(row) for row in rows.itertuples()]
    if not signs or "none" in signs:
        reason = "one seed bears no interval, or nothing was compared."
        return {"kind": "inconclusive", "headline": "Not measurable:", "reason": reason}
    above, below = signs.count("above"), signs.count("below")
    reason = (
        f"with the fewest images the robust source is better on {above} of {len(signs)} targets "
        f"(interval above 0), worse on {below}, and not told apart on {signs.count('open')}."
    )
    if rows["n_source_seeds"].max() == 1:
        reason += " There is one source seed: the intervals speak of this one pair of sources."
    return verdict_of_signs(signs, reason)


def primary_text(recipe: plotting.FigureRecipe, main: pd.DataFrame) -> str:
    """The differences behind the verdict."""
    rows = smallest(main)
    if rows.empty:
        return ""
    values = ", ".join(
        f"{plotting.target_label(str(row.target))} ({row.images:.0f} images) {difference_text(row)}"
        for row in rows.itertuples()
    )
    seeds = (
        f"{rows['n_source_seeds'].max():.0f} source and {rows['n_subset_seeds'].max():.0f} subset"
    )
    robust, baseline = map(plotting.training_label, (recipe.robust, recipe.baseline))
    blocks = plotting.blocks_label(rows["blocks"].iloc[0])
    return f"{robust} minus {baseline}, {blocks}, {seeds} seeds: {values}."


def exceptions(main: pd.DataFrame) -> str:
    """Cells in which the robust source is not better."""
    named: dict[str, list[str]] = {"above": [], "below": [], "open": [], "none": []}
    for row in main.sort_values(["target", "images"]).itertuples():
        named[sign_of(row)].append(f"{plotting.target_label(str(row.target))} {row.images:.0f}")
    total = len(main)
    if not total:
        return "Nothing was compared."
    parts = []
    if named["below"]:
        parts.append(f"worse (interval below 0) at {', '.join(named['below'])}")
    if named["open"]:
        parts.append(f"not told apart (interval includes 0) at {', '.join(named['open'])}")
    if named["none"]:
        parts.append(f"without an interval at {', '.join(named['none'])}")
    text = "; ".join(parts)
    held = len(named["above"])
    start = f"The robust source is better in {held} of {total} cells (target, number of images)"
    return f"{start}; it is {text}." if text else f"{start}."


# Grids ------------------------------------------------------------------------------------------


def label_of(column: str, value: Any) -> str:
    if column == "training":
        return plotting.training_label(value)
    if column == "blocks":
        return plotting.blocks_label(str(value))
    if column == "quantity":
        attack, norm, epsilon = str(value).removeprefix("robust_").rsplit("_", 2)
        return plotting.attack_label(attack.rstrip("0123456789"), norm, float(epsilon))
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_target(
    recipe: plotting.FigureRecipe, rows: pd.DataFrame, by: str | list[str], head: str
) -> dict[str, Any]:
    """Differences with intervals: one line for each value of ``by``, one column a target."""
    names = [by] if isinstance(by, str) else by
    targets = [t for t in recipe.targets if t in set(rows["target"])]
    lines = []
    for values, own in rows.groupby(names, sort=True):
        label = ", ".join(label_of(n, v) for n, v in zip(names, values, strict=True))
        lines.append([label, *cells(own, targets)])
    return {"head": [head, *map(plotting.target_label, targets)], "rows": lines}


def cells(rows: pd.DataFrame, targets: Iterable[str]) -> list[str]:
    found = {row.target: difference_text(row) for row in rows.itertuples()}
    return [found.get(target, "–") for target in targets]


def epochs_grid(recipe: plotting.FigureRecipe, differences: pd.DataFrame) -> dict[str, Any]:
    """Robust minus natural after some epochs, by number of images."""
    rows = plotting.robust_minus_baseline(
        plotting.of_grid(differences, recipe, "epochs", blocks="fewest"), recipe
    )
    last = rows["epoch"].max() if len(rows) else 1
    powers = [last ** (k / (SHOWN_EPOCHS - 1)) for k in range(SHOWN_EPOCHS)]
    shown = sorted({round(power) for power in powers})
    rows = rows[rows["epoch"].isin(shown)]
    return by_target(recipe, rows, ["images", "epoch"], "images, epoch")


def constraints_grid(recipe: plotting.FigureRecipe, final: pd.DataFrame) -> dict[str, Any]:
    """Every training minus the baseline's, with the fewest and the most images."""
    rows = plotting.of_grid(final, recipe, "images", blocks="fewest")
    rows = plotting.those(rows, comparison="training", quantity="accuracy")
    if len(rows):
        ends = {rows["images"].min(), rows["images"].max()}
        rows = rows[rows["images"].isin(ends)]
    return by_target(recipe, rows, ["images", "training"], "images, training")


def cost_grid(recipe: plotting.FigureRecipe, sources: pd.DataFrame) -> dict[str, Any]:
    """Accuracies of the sources and what their training cost, means over seeds."""
    attacks = [
        (attack, norm, epsilon)
        for attack, norm, epsilon in sources[["attack", "norm", "epsilon"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    head = ["training", *(plotting.attack_label(*attack) for attack in attacks)]
    lines = []
    for training in recipe.trainings:
        own = plotting.those(sources, source_training=training)
        if own.empty:
            continue
        values = []
        for attack, norm, epsilon in attacks:
            rows = plotting.those(own, attack=attack, norm=norm, epsilon=float(epsilon))
            values.append(plotting.number(rows["accuracy"].mean(), 3))
        passes, seconds = (plotting.number(own[n].mean(), 0) for n in ("passes", "seconds"))
        lines.append([plotting.training_label(training), *values, passes, seconds])
    return {"head": [*head, "passes an image", "seconds"], "rows": lines}


def distance_grid(similarity: pd.DataFrame) -> dict[str, Any]:
    """Distances of the targets from the source's own images, means over source seeds."""
    means = similarity.groupby(["target", "measure"], sort=False)["value"].mean().unstack()
    lines = [
        [plotting.target_label(str(target)), *(plotting.number(v, 3) for v in row)]
        for target, row in means.iterrows()
    ]
    return {"head": ["target", *map(str, means.columns)], "rows": lines}


def published_grid() -> dict[str, Any]:
    """The published differences, robust (l2, 3) minus natural, by number of images."""
    from .published import ACCURACIES

    sizes = sorted({row.images for rows in ACCURACIES.values() for row in rows})
    lines = []
    for size in sizes:
        cells = []
        for rows in ACCURACIES.values():
            own = [row for row in rows if row.images == size]
            value = own[0].robust_l2 - own[0].natural if own else math.nan
            cells.append(plotting.number(value, 3))
        lines.append([f"{size} images", *cells])
    return {"head": ["published", *ACCURACIES], "rows": lines}


def published_epochs_grid() -> dict[str, Any]:
    """The published differences by epoch, 3,200 images."""
    from .published import EPOCHS

    shown = sorted({row.epoch for rows in EPOCHS.values() for row in rows})
    lines = []
    for epoch in shown:
        gains = [
            plotting.number(row.robust_l2 - row.natural, 3)
            for rows in EPOCHS.values()
            for row in rows
            if row.epoch == epoch
        ]
        lines.append([f"epoch {epoch}", *gains])
    return {"head": ["published", *EPOCHS], "rows": lines}
