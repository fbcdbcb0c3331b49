"""The page of a study of detection: average precision, paired differences, and what they say.

Every number comes from the tables; the sentences follow from signs and intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from . import plotting as detection

if TYPE_CHECKING:
    import pandas as pd

ALWAYS = ("AP", "AP50", "AP75")


def render_page(
    recipe: detection.DetectionFigureRecipe,
    tables: Mapping[str, str],
    figures: list[str],
    template: Path,
) -> str:
    """One HTML page without scripts that loads nothing.

    Args:
        recipe: study, baseline and main robust training, tasks, facts to print.
        tables: paths of ``table``, ``differences`` and ``sources``.
        figures: ``name=file`` each; embedded.
        template: the study's; base, parts and captions lie beside it.

    Raises:
        UserError: a table, figure or template is missing or lacks columns.
    """
    table = detection.read(tables["table"], detection.AP_COLUMNS, recipe)
    differences = detection.read(tables["differences"], detection.DIFFERENCE_COLUMNS, recipe)
    sources = plotting.read_efficiency(tables["sources"], SOURCE_COLUMNS, recipe)
    main = plotting.those(differences, training=recipe.robust, metric="AP")
    context = {
        "verdict": verdict(main),
        "primary": primary_text(recipe, main),
        "names": {
            "robust": plotting.training_label(recipe.robust),
            "baseline": plotting.training_label(recipe.baseline),
        },
        "facts": [(label, fact_text(value)) for label, value in recipe.facts.items()],
        "precision": precision_grid(recipe, table),
        "differences": difference_grid(recipe, differences),
        "sources": source_grid(recipe, sources),
        "published": published_grid(),
        "figures": embedded(figures, template.parent),
    }
    return render(template, context)


SOURCE_COLUMNS = (
    *("study", "source_model", "source_training", "source_seed"),
    *(*plotting.ATTACK_COLUMNS, "accuracy"),
)


def verdict(main: pd.DataFrame) -> dict[str, str]:
    """What the differences in AP say, one for each quantity."""
    signs = [sign_of(row) for row in main.itertuples()]
    if not signs or "none" in signs:
        reason = "one seed bears no interval, or nothing was compared."
        return {"kind": "inconclusive", "headline": "Not measurable:", "reason": reason}
    above, below = signs.count("above"), signs.count("below")
    reason = (
        f"of {len(signs)} average precisions, detectors on the robust source are better in {above} "
        f"(interval above 0), worse in {below}, and not told apart in {signs.count('open')}."
    )
    return verdict_of_signs(signs, reason, mixed="It depends on the task:")


def primary_text(recipe: detection.DetectionFigureRecipe, main: pd.DataFrame) -> str:
    """The differences behind the verdict."""
    if main.empty:
        return ""
    places = main[["task", "of"]].astype(str).to_numpy().tolist()
    values = "; ".join(
        f"{detection.quantity_label(detection.Quantity(*place))}: {difference_text(row)}"
        for place, row in zip(places, main.itertuples(), strict=True)
    )
    robust, baseline = map(plotting.training_label, (recipe.robust, recipe.baseline))
    count = int(main["n_source_seeds"].max())
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    return f"AP, {robust} minus {baseline}, {seeds}: {values}."


def precision_grid(recipe: detection.DetectionFigureRecipe, table: pd.DataFrame) -> dict[str, Any]:
    """Means over seeds of every metric, with the range; one line a quantity and training."""
    metrics = list(detection.METRIC_LABELS)
    lines = []
    for quantity in detection.quantities(recipe, table):
        rows = detection.measured(table, quantity)
        for training in plotting.training_looks(recipe, rows["source_training"]):
            own = plotting.those(rows, source_training=training)
            values = []
            for metric in metrics:
                found = plotting.those(own, metric=metric)["value"].dropna()
                values.append("–" if found.empty else _with_range(found))
            label = f"{detection.quantity_label(quantity)}, {plotting.training_label(training)}"
            lines.append([label, *values])
    return {"head": ["mean (range over seeds)", *_labels(metrics)], "rows": lines}


def difference_grid(
    recipe: detection.DetectionFigureRecipe, differences: pd.DataFrame
) -> dict[str, Any]:
    """Differences with intervals; one line a quantity and training."""
    lines = []
    for quantity in detection.quantities(recipe, differences):
        rows = detection.measured(differences, quantity)
        for training in plotting.training_looks(recipe, rows["training"]):
            own = {row.metric: row for row in plotting.those(rows, training=training).itertuples()}
            cells = [difference_text(own[m]) if m in own else "–" for m in ALWAYS]
            label = f"{detection.quantity_label(quantity)}, {plotting.training_label(training)}"
            lines.append([label, *cells])
    return {"head": ["minus the baseline", *_labels(ALWAYS)], "rows": lines}


def source_grid(recipe: detection.DetectionFigureRecipe, sources: pd.DataFrame) -> dict[str, Any]:
    """Clean and robust accuracy of the sources, means over seeds."""
    if sources.empty:
        return {"head": ["training"], "rows": []}
    attacks = list(
        sources[[*plotting.ATTACK_COLUMNS]].drop_duplicates().itertuples(index=False, name=None)
    )
    lines = []
    for training in plotting.training_looks(recipe, sources["source_training"]):
        own = plotting.those(sources, source_training=training)
        values = []
        for attack, norm, epsilon in attacks:
            rows = plotting.those(own, attack=attack, norm=norm, epsilon=float(epsilon))
            values.append(plotting.number(rows["accuracy"].mean(), 3))
        lines.append([plotting.training_label(training), *values])
    return {"head": ["training", *(plotting.attack_label(*a) for a in attacks)], "rows": lines}


def published_grid() -> dict[str, Any]:
    """The published numbers as they are."""
    from .published import EPSILONS, PRECISIONS

    lines = [
        [
            f"{row.task}, {detection.OF_LABELS[row.of]}",
            plotting.number(row.natural, 4),
            plotting.number(row.robust, 4),
            f"+{plotting.number(row.robust - row.natural, 4)}",
            f"{len(EPSILONS[row.task]) - 1}",
        ]
        for row in PRECISIONS
    ]
    return {
        "head": ["published AP", "natural", "best robust", "difference", "ε tried"],
        "rows": lines,
    }


def _labels(metrics: tuple[str, ...] | list[str]) -> list[str]:
    return [detection.METRIC_LABELS[name] for name in metrics]


def _with_range(values: pd.Series) -> str:
    mean = plotting.number(values.mean(), 3)
    if len(values) < 2 or math.isnan(values.mean()):
        return mean
    return f"{mean} ({plotting.number(values.min(), 3)}–{plotting.number(values.max(), 3)})"
