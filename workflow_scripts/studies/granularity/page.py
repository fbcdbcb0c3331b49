"""The page of the study of granularity: which epsilon is best for which target, and why.

Every number comes from the tables. The sentences follow from signs and intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.frames import Tables, read_table, rows_where
from ...advtransfer.plotting.labels import attack_label, interval, number, training_label
from ..columns import EVALUATION_COLUMNS
from . import plotting
from .columns import BEST_COLUMNS, PREDICTION_COLUMNS
from .plotting import Settings

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("table", "sources", "measures", "best", "prediction")
SETTINGS = ("model", "estimator", "measure", "basis", "trainings", "scores")
CORRELATIONS = ("spearman", "spearman_within", "spearman_given_resolution")
ERRORS = ("left_out_error", "left_out_baseline")
RESOLUTION = {"measure": "resolution", "basis": "pixels"}


def context(tables: Tables, settings: Settings) -> dict[str, Any]:
    """Return what the template prints besides facts and figures.

    Raises:
        UserError: a table is missing or lacks columns.
    """
    transfers = plotting.accuracies(tables["table"], settings)
    sources = read_table(tables["sources"], EVALUATION_COLUMNS, may_be_empty=True)
    measures = plotting.measured(tables["measures"], settings)
    best = plotting.read(tables["best"], BEST_COLUMNS, settings)
    prediction = plotting.read(tables["prediction"], PREDICTION_COLUMNS, settings)
    primary = rows_where(prediction, estimator=settings.estimator)
    return {
        "verdict": verdict(primary),
        "primary": primary_text(settings, primary),
        "dependence": plotting.dependence_text(primary),
        "best_measure": strongest_text(primary),
        "estimator": plotting.ESTIMATOR_LABELS[settings.estimator],
        "accuracy": accuracy_table(transfers),
        "best": best_table(settings, best, measures),
        "ranking": ranking_table(settings, primary),
        "measures": measure_table(measures),
        "sources": source_table(settings, sources),
        "published": published_table(),
    }


# Sentences --------------------------------------------------------------------------------------


def verdict(prediction: pd.DataFrame) -> dict[str, str]:
    """Return what resolution says within datasets: there the paper claims that less wants more
    epsilon."""
    row = plotting.statistic(prediction, statistic="spearman_within", group="", **RESOLUTION)
    if row is None or any(math.isnan(row[name]) for name in ("value", "ci_low", "ci_high")):
        reason = "targets of one dataset do not differ in resolution, or there is no interval."
        return {"kind": "inconclusive", "headline": "Not measurable:", "reason": reason}
    found = f"rank correlation within datasets {interval(row)}, p = {row['p_value']:.2g}"
    if row["ci_high"] < 0:
        reason = f"the lower the resolution, the larger the best epsilon ({found})."
        return {"kind": "supported", "headline": "The claim is supported:", "reason": reason}
    if row["ci_low"] > 0:
        reason = f"the lower the resolution, the smaller the best epsilon ({found})."
        return {"kind": "opposite", "headline": "Opposite sign:", "reason": reason}
    reason = f"the interval of resolution against the best epsilon includes 0 ({found})."
    return {"kind": "inconclusive", "headline": "Inconclusive:", "reason": reason}


def primary_text(settings: Settings, prediction: pd.DataFrame) -> str:
    """Return what came out for the measure that was named before the run."""
    of = {"measure": settings.measure, "basis": settings.basis, "group": ""}
    label = plotting.measure_label(settings.measure, settings.basis)
    everywhere, within, given = (
        plotting.interval_text(plotting.statistic(prediction, statistic=name, **of))
        for name in CORRELATIONS
    )
    text = f"{label}: rank correlation with the best epsilon over all targets {everywhere}, "
    text += f"within datasets {within}"
    if (settings.measure, settings.basis) != tuple(RESOLUTION.values()):
        text += f", given resolution {given}"
    return f"{text}. {error_text(prediction, of)}"


def strongest_text(prediction: pd.DataFrame) -> str:
    """Return the measure with the strongest correlation, which was chosen after the run."""
    order = [
        what
        for what in plotting.ranking(prediction)
        if (row := plotting.statistic(prediction, statistic="spearman", group="", **_of(what)))
        is not None
        and not math.isnan(row["value"])
    ]
    if not order:
        return ""
    of = {**_of(order[0]), "group": ""}
    row = plotting.statistic(prediction, statistic="spearman", **of)
    return (
        f"The strongest of {len(order)} measures over all targets is "
        f"{plotting.measure_label(*order[0])} ({plotting.interval_text(row)}). It was picked as "
        f"the largest, so it is too large. {error_text(prediction, of)}"
    )


def error_text(prediction: pd.DataFrame, of: Mapping[str, str]) -> str:
    """Say how far a line fitted to other datasets is off."""
    error, mean = (plotting.statistic(prediction, statistic=name, **of) for name in ERRORS)
    if error is None or mean is None or math.isnan(error["value"]):
        return "There is no second dataset to predict."
    return (
        "On a dataset that it has not seen, a line fitted to the others is off by "
        f"{number(error['value'])} doublings on average, and their mean by "
        f"{number(mean['value'])}."
    )


def _of(what: tuple[str, str]) -> dict[str, str]:
    return {"measure": what[0], "basis": what[1]}


# Grids ------------------------------------------------------------------------------------------


def accuracy_table(transfers: pd.DataFrame) -> dict[str, Any]:
    """Mean accuracy over seeds by target and epsilon."""
    means = transfers.groupby(["target", "source_epsilon"], sort=False)["accuracy"].mean()
    table = means.unstack()
    epsilons = sorted(table.columns)
    rows = [
        [plotting.target_label(str(name)), *(number(line[e], 3) for e in epsilons)]
        for name, line in table.iterrows()
    ]
    return {"head": ["target", *(f"ε = {epsilon:g}" for epsilon in epsilons)], "rows": rows}


def best_table(settings: Settings, best: pd.DataFrame, measures: pd.DataFrame) -> dict[str, Any]:
    """Best epsilon of every target by every estimator."""
    sides = plotting.resolutions(measures)
    estimators = sorted(plotting.ESTIMATOR_LABELS, key=lambda name: name != settings.estimator)
    rows = []
    for target in best["target"].unique():
        cells = [
            cell(row)
            for name in estimators
            for _, row in rows_where(best, target=target, estimator=name).iterrows()
        ]
        rows.append([plotting.target_label(target), str(sides.get(target, "–")), *cells])
    heads = [plotting.ESTIMATOR_LABELS[name] for name in estimators]
    return {"head": ["target", "pixels", *heads], "rows": rows}


def cell(row: pd.Series) -> str:
    """``0.25 [0.13, 0.50]``."""
    text = number(row["epsilon"])
    if math.isnan(row["ci_low"]):
        return text
    return f"{text} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def ranking_table(settings: Settings, prediction: pd.DataFrame) -> dict[str, Any]:
    """Every measure: correlations and errors, the strongest on top."""
    rows = []
    for what in plotting.ranking(prediction):
        of = {**_of(what), "group": ""}
        cells = []
        for name in CORRELATIONS:
            row = plotting.statistic(prediction, statistic=name, **of)
            cells.append("–" if row is None else plotting.interval_text(row))
        for name in ERRORS:
            row = plotting.statistic(prediction, statistic=name, **of)
            cells.append("–" if row is None else number(row["value"]))
        row = plotting.statistic(prediction, statistic="spearman", **of)
        count = "–" if row is None else f"{row['n_targets']:.0f}"
        named = " (primary)" if what == (settings.measure, settings.basis) else ""
        rows.append([plotting.measure_label(*what) + named, *cells, count])
    head = ["measure", "ρ, all targets", "ρ within datasets", "ρ given resolution"]
    return {"head": [*head, "error, left out", "error of the mean", "targets"], "rows": rows}


def measure_table(measures: pd.DataFrame) -> dict[str, Any]:
    """Values of the measures by target."""
    kinds = list(dict.fromkeys(zip(measures["measure"], measures["basis"], strict=True)))
    rows = []
    for target in measures["target"].unique():
        cells = []
        for measure, basis in kinds:
            known = rows_where(measures, target=target, measure=measure, basis=basis)["value"]
            cells.append(f"{known.iloc[0]:.3g}".replace("-", "−") if len(known) else "–")
        rows.append([plotting.target_label(target), *cells])
    return {"head": ["target", *(plotting.measure_label(*kind) for kind in kinds)], "rows": rows}


def source_table(settings: Settings, sources: pd.DataFrame) -> dict[str, Any]:
    """Accuracies of the sources on their own classes, means over seeds."""
    sources = rows_where(sources, study=settings.study)
    model = settings.model or next(iter(sources["source_model"]), None)
    sources = rows_where(sources, source_model=model)
    attacks = [
        (attack, norm, epsilon)
        for attack, norm, epsilon in sources[["attack", "norm", "epsilon"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    rows = []
    for training in settings.trainings:
        known = rows_where(sources, source_training=training)
        if known.empty:
            continue
        cells = [
            number(
                rows_where(known, attack=attack, norm=norm, epsilon=float(epsilon))[
                    "accuracy"
                ].mean()
                if attack != "none"
                else rows_where(known, attack=attack)["accuracy"].mean(),
                3,
            )
            for attack, norm, epsilon in attacks
        ]
        label = f"{training_label(training)}, ε = {known['source_epsilon'].iloc[0]:g}"
        rows.append([label, *cells])
    return {"head": ["source", *(attack_label(*one) for one in attacks)], "rows": rows}


def published_table() -> dict[str, Any]:
    """The published accuracies at 32 pixels, and the best epsilon at full resolution."""
    from . import published

    rows = [
        [
            row.name,
            number(row.natural, 3),
            number(row.robust, 3),
            number(row.robust - row.natural, 3),
            f"{row.best_full:g}",
        ]
        for row in published.TARGETS
    ]
    head = ["published", "ε = 0", f"ε = {published.EPSILON:g}", "difference"]
    return {"head": [*head, f"best ε at {published.FULL} pixels"], "rows": rows}
