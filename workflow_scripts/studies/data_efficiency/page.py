"""The page of the study of data efficiency: grids of paired differences, and what they say.

Every number comes from the tables. The sentences follow from signs and intervals, and they name the
cells in which the paper's claim does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.frames import Tables, rows_where
from ...advtransfer.plotting.labels import attack_label, number, target_label, training_label
from ...advtransfer.report.words import difference_text, sign_of, verdict_of_signs
from . import plotting
from .columns import EVALUATION_COLUMNS, SIMILARITY_COLUMNS
from .plotting import Settings

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("table", "differences", "sources", "similarity")
SETTINGS = ("baseline", "robust", "model", "grids", "trainings", "targets")
SHOWN_EPOCHS = 5  # of the curves, evenly on a logarithmic scale


def context(tables: Tables, settings: Settings) -> dict[str, Any]:
    """Return what the template prints besides facts and figures.

    Raises:
        UserError: a table is missing or lacks columns.
    """
    differences = plotting.read_differences(tables["differences"], settings)
    sources = plotting.read(tables["sources"], EVALUATION_COLUMNS, settings)
    similarity = plotting.read(tables["similarity"], SIMILARITY_COLUMNS, settings)
    final = rows_where(differences, last=1)
    main = plotting.robust_minus_baseline(
        plotting.of_grid(final, settings, "images", blocks="fewest"), settings
    )
    robust = rows_where(
        plotting.of_grid(final, settings, "robustness", blocks="fewest"),
        comparison="training",
        training=settings.robust,
    )
    return {
        "verdict": verdict(main),
        "primary": primary_text(settings, main),
        "names": {
            "robust": training_label(settings.robust),
            "baseline": training_label(settings.baseline),
        },
        "images": by_target(settings, main, "images", "images"),
        "exceptions": exceptions(main),
        "epochs": epochs_table(settings, differences),
        "blocks": by_target(
            settings,
            rows_where(final, comparison="blocks"),
            ["training", "blocks", "images"],
            "training, blocks, images",
        ),
        "statistics": by_target(
            settings,
            rows_where(final, comparison="statistics"),
            ["training", "blocks", "images"],
            "training, blocks, images",
        ),
        "constraints": constraints_table(settings, final),
        "scratch": by_target(
            settings,
            rows_where(final, comparison="scratch", training=(settings.robust, settings.baseline)),
            ["training", "blocks", "images"],
            "training, blocks, images",
        ),
        "robustness": by_target(
            settings,
            rows_where(robust, quantity=[q for q in set(robust["quantity"]) if q != "accuracy"]),
            ["quantity", "images"],
            "attack, images",
        ),
        "costs": cost_table(settings, sources),
        "distances": distance_table(similarity),
        "published": published_table(),
        "published_epochs": published_epochs_table(),
    }


# Sentences --------------------------------------------------------------------------------------


def smallest(main: pd.DataFrame) -> pd.DataFrame:
    """Return the cell with the fewest images of each target."""
    return main[main["images"] == main.groupby("target")["images"].transform("min")]


def verdict(main: pd.DataFrame) -> dict[str, str]:
    """Return what the cells with the fewest images say; the paper claims the largest gain there."""
    rows = smallest(main)
    signs = [sign_of(row) for row in rows.itertuples()]
    above, below = signs.count("above"), signs.count("below")
    reason = (
        f"with the fewest images the robust source is better on {above} of {len(signs)} targets "
        f"(interval above 0), worse on {below}, and not told apart on {signs.count('open')}."
    )
    if rows["n_source_seeds"].max() == 1:
        reason += " There is one source seed: the intervals speak of this one pair of sources."
    return verdict_of_signs(signs, reason)


def primary_text(settings: Settings, main: pd.DataFrame) -> str:
    """Return the differences behind the verdict, in words."""
    rows = smallest(main)
    if rows.empty:
        return ""
    values = ", ".join(
        f"{target_label(str(row.target))} ({row.images:.0f} images) {difference_text(row)}"
        for row in rows.itertuples()
    )
    seeds = (
        f"{rows['n_source_seeds'].max():.0f} source and {rows['n_subset_seeds'].max():.0f} subset"
    )
    robust, baseline = map(training_label, (settings.robust, settings.baseline))
    blocks = plotting.blocks_label(rows["blocks"].iloc[0])
    return f"{robust} minus {baseline}, {blocks}, {seeds} seeds: {values}."


def exceptions(main: pd.DataFrame) -> str:
    """Name the cells in which the robust source is not better."""
    named: dict[str, list[str]] = {"above": [], "below": [], "open": [], "none": []}
    for row in main.sort_values(["target", "images"]).itertuples():
        named[sign_of(row)].append(f"{target_label(str(row.target))} {row.images:.0f}")
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
    """Return the display name of a value of a column."""
    if column == "training":
        return training_label(value)
    if column == "blocks":
        return plotting.blocks_label(str(value))
    if column == "quantity":
        attack, norm, epsilon = str(value).removeprefix("robust_").rsplit("_", 2)
        return attack_label(attack.rstrip("0123456789"), norm, float(epsilon))
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_target(
    settings: Settings, rows: pd.DataFrame, by: str | list[str], head: str
) -> dict[str, Any]:
    """Return differences with intervals: a line for each ``by``, a column for each target."""
    names = [by] if isinstance(by, str) else by
    targets = [t for t in settings.targets if t in set(rows["target"])]
    lines = []
    for values, own in rows.groupby(names, sort=True):
        label = ", ".join(label_of(n, v) for n, v in zip(names, values, strict=True))
        lines.append([label, *cells(own, targets)])
    return {"head": [head, *map(target_label, targets)], "rows": lines}


def cells(rows: pd.DataFrame, targets: Iterable[str]) -> list[str]:
    """Return a line's differences, one for each target; a dash where there is none."""
    found = {row.target: difference_text(row) for row in rows.itertuples()}
    return [found.get(target, "–") for target in targets]


def epochs_table(settings: Settings, differences: pd.DataFrame) -> dict[str, Any]:
    """Return robust minus natural after some epochs, by number of images."""
    rows = plotting.robust_minus_baseline(
        plotting.of_grid(differences, settings, "epochs", blocks="fewest"), settings
    )
    last = rows["epoch"].max() if len(rows) else 1
    powers = [last ** (k / (SHOWN_EPOCHS - 1)) for k in range(SHOWN_EPOCHS)]
    shown = sorted({round(power) for power in powers})
    rows = rows[rows["epoch"].isin(shown)]
    return by_target(settings, rows, ["images", "epoch"], "images, epoch")


def constraints_table(settings: Settings, final: pd.DataFrame) -> dict[str, Any]:
    """Return every training minus the baseline's, with the fewest and the most images."""
    rows = plotting.of_grid(final, settings, "images", blocks="fewest")
    rows = rows_where(rows, comparison="training", quantity="accuracy")
    if len(rows):
        ends = {rows["images"].min(), rows["images"].max()}
        rows = rows[rows["images"].isin(ends)]
    return by_target(settings, rows, ["images", "training"], "images, training")


def cost_table(settings: Settings, sources: pd.DataFrame) -> dict[str, Any]:
    """Return accuracies of the sources and the cost of their training, as means over seeds."""
    attacks = [
        (attack, norm, epsilon)
        for attack, norm, epsilon in sources[["attack", "norm", "epsilon"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    head = ["training", *(attack_label(*attack) for attack in attacks)]
    lines = []
    for training in settings.trainings:
        own = rows_where(sources, source_training=training)
        if own.empty:
            continue
        values = []
        for attack, norm, epsilon in attacks:
            rows = rows_where(own, attack=attack, norm=norm, epsilon=float(epsilon))
            values.append(number(rows["accuracy"].mean(), 3))
        passes, seconds = (number(own[n].mean(), 0) for n in ("passes", "seconds"))
        lines.append([training_label(training), *values, passes, seconds])
    return {"head": [*head, "passes an image", "seconds"], "rows": lines}


def distance_table(similarity: pd.DataFrame) -> dict[str, Any]:
    """Return distances of the targets from the source's images, as means over source seeds."""
    means = similarity.groupby(["target", "measure"], sort=False)["value"].mean().unstack()
    lines = [
        [target_label(str(target)), *(number(v, 3) for v in row)]
        for target, row in means.iterrows()
    ]
    return {"head": ["target", *map(str, means.columns)], "rows": lines}


def published_table() -> dict[str, Any]:
    """Return the published differences, robust (l2, 3) minus natural, by number of images."""
    from .published import ACCURACIES

    sizes = sorted({row.images for rows in ACCURACIES.values() for row in rows})
    lines = []
    for size in sizes:
        cells = []
        for rows in ACCURACIES.values():
            own = [row for row in rows if row.images == size]
            value = own[0].robust_l2 - own[0].natural if own else math.nan
            cells.append(number(value, 3))
        lines.append([f"{size} images", *cells])
    return {"head": ["published", *ACCURACIES], "rows": lines}


def published_epochs_table() -> dict[str, Any]:
    """Return the published differences by epoch, with 3,200 images."""
    from .published import EPOCHS

    shown = sorted({row.epoch for rows in EPOCHS.values() for row in rows})
    lines = []
    for epoch in shown:
        gains = [
            number(row.robust_l2 - row.natural, 3)
            for rows in EPOCHS.values()
            for row in rows
            if row.epoch == epoch
        ]
        lines.append([f"epoch {epoch}", *gains])
    return {"head": ["published", *EPOCHS], "rows": lines}
