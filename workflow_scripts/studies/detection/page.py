"""The page of a study of detection: average precision, paired differences, and what they say.

Every number comes from the tables. The sentences follow from signs and intervals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.frames import Tables, rows_of_study, rows_where
from ...advtransfer.plotting.labels import attack_label, number, training_label
from ...advtransfer.plotting.marks import training_looks
from ...advtransfer.report.words import difference_text, sign_of, verdict_of_signs
from ..columns import ATTACK_COLUMNS, EVALUATION_COLUMNS
from . import plotting
from .columns import AP_COLUMNS, DIFFERENCE_COLUMNS
from .plotting import Settings

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("table", "differences", "sources")
SETTINGS = ("baseline", "robust", "model", "trainings", "tasks")
ALWAYS = ("AP", "AP50", "AP75")


def context(tables: Tables, settings: Settings) -> dict[str, Any]:
    """Return what the template prints besides facts and figures.

    Raises:
        UserError: a table is missing or lacks columns.
    """
    table = plotting.read(tables["table"], AP_COLUMNS, settings)
    differences = plotting.read(tables["differences"], DIFFERENCE_COLUMNS, settings)
    sources = rows_of_study(tables["sources"], EVALUATION_COLUMNS, settings.study, settings.model)
    main = rows_where(differences, training=settings.robust, metric="AP")
    return {
        "verdict": verdict(main),
        "primary": primary_text(settings, main),
        "names": {
            "robust": training_label(settings.robust),
            "baseline": training_label(settings.baseline),
        },
        "precision": precision_table(settings, table),
        "differences": difference_table(settings, differences),
        "sources": source_table(settings, sources),
        "published": published_table(),
    }


def verdict(main: pd.DataFrame) -> dict[str, str]:
    """Return what the differences in AP say, one for each quantity."""
    signs = [sign_of(row) for row in main.itertuples()]
    above, below = signs.count("above"), signs.count("below")
    reason = (
        f"of {len(signs)} average precisions, detectors on the robust source are better in {above} "
        f"(interval above 0), worse in {below}, and not told apart in {signs.count('open')} "
        "(interval includes 0)."
    )
    return verdict_of_signs(signs, reason, mixed="It depends on the task:")


def primary_text(settings: Settings, main: pd.DataFrame) -> str:
    """Return the differences behind the verdict."""
    if main.empty:
        return ""
    places = main[["task", "of"]].astype(str).to_numpy().tolist()
    values = "; ".join(
        f"{plotting.quantity_label(plotting.Quantity(*place))}: {difference_text(row)}"
        for place, row in zip(places, main.itertuples(), strict=True)
    )
    robust, baseline = map(training_label, (settings.robust, settings.baseline))
    count = int(main["n_source_seeds"].max())
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    return f"AP, {robust} minus {baseline}, {seeds}: {values}."


def precision_table(settings: Settings, table: pd.DataFrame) -> dict[str, Any]:
    """Means over seeds of every metric, with the range; one line a quantity and training."""
    metrics = list(plotting.METRIC_LABELS)
    lines = []
    for quantity in plotting.quantities(settings, table):
        rows = plotting.measured(table, quantity)
        for training in training_looks(rows["source_training"], settings.trainings):
            own = rows_where(rows, source_training=training)
            values = []
            for metric in metrics:
                found = rows_where(own, metric=metric)["value"].dropna()
                values.append("–" if found.empty else _with_range(found))
            label = f"{plotting.quantity_label(quantity)}, {training_label(training)}"
            lines.append([label, *values])
    return {"head": ["mean (range over seeds)", *_labels(metrics)], "rows": lines}


def difference_table(settings: Settings, differences: pd.DataFrame) -> dict[str, Any]:
    """Differences with intervals; one line a quantity and training."""
    lines = []
    for quantity in plotting.quantities(settings, differences):
        rows = plotting.measured(differences, quantity)
        for training in training_looks(rows["training"], settings.trainings):
            own = {row.metric: row for row in rows_where(rows, training=training).itertuples()}
            cells = [difference_text(own[m]) if m in own else "–" for m in ALWAYS]
            label = f"{plotting.quantity_label(quantity)}, {training_label(training)}"
            lines.append([label, *cells])
    return {"head": ["minus the baseline", *_labels(ALWAYS)], "rows": lines}


def source_table(settings: Settings, sources: pd.DataFrame) -> dict[str, Any]:
    """Clean and robust accuracy of the sources, means over seeds."""
    if sources.empty:
        return {"head": ["training"], "rows": []}
    attacks = list(sources[[*ATTACK_COLUMNS]].drop_duplicates().itertuples(index=False, name=None))
    lines = []
    for training in training_looks(sources["source_training"], settings.trainings):
        own = rows_where(sources, source_training=training)
        values = []
        for attack, norm, epsilon in attacks:
            rows = rows_where(own, attack=attack, norm=norm, epsilon=float(epsilon))
            values.append(number(rows["accuracy"].mean(), 3))
        lines.append([training_label(training), *values])
    return {"head": ["training", *(attack_label(*a) for a in attacks)], "rows": lines}


def published_table() -> dict[str, Any]:
    """The published numbers as they are."""
    from .published import EPSILONS, PRECISIONS

    lines = [
        [
            f"{row.task}, {plotting.OF_LABELS[row.of]}",
            number(row.natural, 4),
            number(row.robust, 4),
            f"+{number(row.robust - row.natural, 4)}",
            f"{len(EPSILONS[row.task]) - 1}",
        ]
        for row in PRECISIONS
    ]
    return {
        "head": ["published AP", "natural", "best robust", "difference", "ε tried"],
        "rows": lines,
    }


def _labels(metrics: tuple[str, ...] | list[str]) -> list[str]:
    return [plotting.METRIC_LABELS[name] for name in metrics]


def _with_range(values: pd.Series) -> str:
    mean = number(values.mean(), 3)
    if len(values) < 2 or math.isnan(values.mean()):
        return mean
    return f"{mean} ({number(values.min(), 3)}–{number(values.max(), 3)})"
