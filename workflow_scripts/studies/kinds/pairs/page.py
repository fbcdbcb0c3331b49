"""The page of a study of pairs: what was asked, how it was measured, what came out.

Every number on it comes from the tables. The sentences follow from signs and intervals, so the page
says when a claim is not reproduced.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ....advtransfer.errors import UserError
from ....advtransfer.plotting.frames import Tables, read_table, select
from ....advtransfer.plotting.labels import (
    STATISTIC_LABELS,
    attack_label,
    interval,
    metric_label,
    model_label,
    number,
    target_label,
    target_title,
)
from ....advtransfer.report.words import p_text, strength, verdict
from . import published
from .columns import CORRELATION_COLUMNS, EVALUATION_COLUMNS, METRIC_COLUMNS
from .marks import published_marks, source_marks
from .plotting import DIRECTIONS, Settings, correlation, direction_label, transfer_label

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("table", "correlations", "sources")
SETTINGS = ("attack", "norm", "epsilon", "target", "reference", "targets", "mixtures")
SHOWN_METRICS = ("alpha_1_mean", "alpha_2", "combined_squared", "tau_1", "transfer_success_rate")
DIAGNOSTICS = ("alpha_1_share_above_1", "alpha_1_zero_denominators")  # no transferability metrics
TEST = ("target", "reference", "attack", "norm", "epsilon", "metric", "direction", "transfer")
FEW_MODELS = 7  # up to here the smallest p that permutations allow is worth a sentence


def context(tables: Tables, settings: Settings) -> dict[str, Any]:
    """Return what the template prints besides facts and figures.

    Raises:
        UserError: a table is missing or lacks columns.
    """
    table = select(read_table(tables["table"], METRIC_COLUMNS), study=settings.study)
    sources = select(read_table(tables["sources"], EVALUATION_COLUMNS), study=settings.study)
    correlations = select(
        read_table(tables["correlations"], CORRELATION_COLUMNS),
        study=settings.study,
    )
    primary = correlation(correlations, role="primary")
    # The test with every statistic and set of sources, and all that was measured at its attack.
    conditions = {column: primary[column] for column in TEST}
    conditions["epsilon"] = float(primary["epsilon"])
    tested = select(correlations, **conditions)
    place = ("target", "reference", "attack", "norm", "epsilon")
    attacked = select(correlations, **{column: conditions[column] for column in place})
    alike = correlations[
        (correlations["role"] != "primary")
        & ~correlations["metric"].isin(DIAGNOSTICS)
        & (correlations["statistic"] == primary["statistic"])
        & (correlations["sources"] == primary["sources"])
    ]
    statistic = primary["statistic"]

    return {
        "verdict": verdict(*primary[["value", "ci_low", "ci_high"]]),
        "primary": describe_primary(primary),
        "robust": describe_robust(
            primary, optional_row(tested, sources="all", statistic=statistic)
        ),
        "partial": describe_partial(
            optional_row(tested, sources=primary["sources"], statistic="partial_pearson")
        ),
        "exploratory": describe_exploratory(alike),
        "counts": count_text(table, sources),
        "correlations": correlation_table(attacked, primary),
        "targets": target_table(correlations, primary),
        "overlap": overlap_table(table, settings),
        "published": published_table(table, settings),
    }


def optional_row(frame: pd.DataFrame, **conditions: Any) -> pd.Series | None:
    """Return a row of a correlation table, or None: not every study has every variant."""
    try:
        return correlation(frame, **conditions)
    except UserError:
        return None


def describe_primary(row: pd.Series) -> dict[str, Any]:
    """Return the primary test as text: its numbers, and what was tested."""
    models = int(row["n_models"])
    attack = attack_label(row["attack"], row["norm"], row["epsilon"])
    direction = direction_label(row["direction"])
    test = (
        f"{metric_label(row['metric'])} ({direction}) against "
        f"{transfer_label(row['transfer'])}, {attack}, "
        f"target {target_label(row['target'])}, "
        f"reference {model_label(row['reference'])}"
    )
    floor = ""
    if 2 < models <= FEW_MODELS:
        orders = math.factorial(models)
        floor = (
            f"{models} models have {orders} orders, so no two-sided p-value here can be below "
            f"2/{orders} = {2 / orders:.2g}."
        )
    share = number(100 * row["value"] ** 2, 0)
    size = (
        f"The primary correlation is {strength(row['value'])}: {number(row['value'])}, "
        f"so the metric accounts for {share} % of the variance between {models} source models "
        f"({int(row['n_rows'])} measurements over seeds)."
    )
    return {
        "statistic": STATISTIC_LABELS.get(row["statistic"], row["statistic"]),
        "interval": interval(row),
        "p": p_text(row["p_value"]),
        "n": models,
        "test": test,
        "floor": floor,
        "size": size,
        "attack": attack,
    }


def describe_robust(natural: pd.Series, everything: pd.Series | None) -> str:
    """Say what adding adversarially trained sources changes."""
    if everything is None or everything["n_models"] == natural["n_models"]:
        return "No adversarially trained sources were measured."
    same = verdict(*natural[["value", "ci_low", "ci_high"]])["kind"]
    other = verdict(*everything[["value", "ci_low", "ci_high"]])["kind"]
    outcome = "the same conclusion" if same == other else "a different conclusion"
    return (
        f"With adversarially trained sources included it is {interval(everything)} "
        f"(n = {int(everything['n_models'])}): {outcome}."
    )


def describe_partial(row: pd.Series | None) -> str:
    """Say whether the metric says more than the source's own accuracy does."""
    if row is None or math.isnan(row["value"]):
        return "Given the sources' own accuracy, the partial correlation is undefined."
    kind = verdict(row["value"], row["ci_low"], row["ci_high"])["kind"]
    meaning = {
        "supported": "the metric says more than accuracy alone",
        "opposite": "the sign turns once accuracy is known",
        "inconclusive": "it is not shown that the metric says more than accuracy alone",
    }[kind]
    return (
        f"Given the sources' own accuracy, the partial correlation is {interval(row)}: {meaning}."
    )


def describe_exploratory(rows: pd.DataFrame) -> str:
    """Say how many of the other correlations lie above and below 0."""
    kinds = [verdict(*row)["kind"] for row in rows[["value", "ci_low", "ci_high"]].to_numpy()]
    if not kinds:
        return "There are no exploratory correlations."
    above, below = kinds.count("supported"), kinds.count("opposite")
    text = (
        f"Of {len(kinds)} exploratory correlations (other metrics, attacks, strengths, directions, "
        f"targets or kinds of transfer), {above} have intervals above 0, {below} below 0, and "
        f"{len(kinds) - above - below} include 0 or are undefined."
    )
    agreeing = []
    for metric, own in rows.groupby("metric", sort=False):
        values = own[["value", "ci_low", "ci_high"]].to_numpy()
        count = sum(verdict(*row)["kind"] == "supported" for row in values)
        agreeing.append(f"{metric_label(str(metric))} {count}/{len(own)}")
    return f"{text} Above 0, by metric: {', '.join(agreeing)}."


def correlation_table(rows: pd.DataFrame, primary: pd.Series) -> dict[str, Any]:
    """Return metrics and directions at the primary attack, by set of sources and statistic."""
    rows = rows[rows["transfer"] == primary["transfer"]]
    variants = {
        "Pearson, natural": {"sources": "natural", "statistic": "pearson"},
        "Spearman, natural": {"sources": "natural", "statistic": "spearman"},
        "partial, natural": {"sources": "natural", "statistic": "partial_pearson"},
        "Pearson, all": {"sources": "all", "statistic": "pearson"},
    }
    there = set(rows["metric"])
    metrics = [name for name in (primary["metric"], *SHOWN_METRICS) if name in there]
    lines = []
    for metric in dict.fromkeys(metrics):
        for direction in DIRECTIONS:
            cells = []
            for variant in variants.values():
                row = optional_row(rows, metric=metric, direction=direction, **variant)
                cells.append("–" if row is None else interval(row))
            lines.append(
                {
                    "metric": metric_label(metric),
                    "direction": direction_label(direction),
                    "cells": cells,
                    "primary": metric == primary["metric"] and direction == primary["direction"],
                }
            )
    return {"columns": list(variants), "rows": lines}


def target_table(rows: pd.DataFrame, primary: pd.Series) -> dict[str, Any]:
    """Return the primary test on every target and reference."""
    found = []
    for column in ("attack", "norm", "metric", "direction", "transfer", "statistic", "sources"):
        rows = rows[rows[column] == primary[column]]
    rows = select(rows, epsilon=float(primary["epsilon"]))
    for _, row in rows.sort_values(["target", "reference"]).iterrows():
        found.append(
            [
                target_label(row["target"]),
                model_label(row["reference"]),
                interval(row),
                number(row["p_value"], 3),
                f"{row['n_models']:.0f}",
            ]
        )
    return {"head": ["target", "reference", "value [95 % interval]", "p", "n"], "rows": found}


def overlap_table(table: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """Return how many classes each mixture shares with each target."""
    rows = table.dropna(subset=["mixture"]).drop_duplicates(["mixture", "target"])
    shared = rows.pivot(index=["animals", "mixture"], columns="target", values="shared_classes")
    heads = [target_title(name, settings.targets.get(name, []), 200) for name in map(str, shared)]
    lines = []
    label: Any
    for label, counts in shared.iterrows():
        animals, mixture = label
        classes = ", ".join(settings.mixtures.get(mixture, [])) or mixture
        name = f"{animals:g} % animals: {classes}"
        lines.append([name, *(number(count, 0) for count in counts)])
    return {"head": ["source", *heads], "rows": lines}


def published_architectures(ours: pd.DataFrame) -> list[list[str]]:
    """Return the rows of the published image table."""
    marks = published_marks(ours, [row.model for row in published.ARCHITECTURES])
    return [
        [f"published: {marks[row.model].label}", *(number(value, 3) for value in row[1:])]
        for row in published.ARCHITECTURES
    ]


def published_mixtures() -> list[list[str]]:
    """Return the bars of the published figure by their true share of animals; it has no alpha_1."""
    lines = []
    for bar in published.MIXTURES:
        values = (bar.last_layer_accuracy, bar.full_network_accuracy, bar.transferred_loss)
        cells = [number(value, 3) for value in values]
        lines.append([f"published: {bar.animals} % animals", *cells, "–"])
    return lines


def published_table(table: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """Return published rows, then our natural sources, at the primary attack."""
    mixtures = table["mixture"].notna().any()
    ours = select(
        table,
        target=settings.target,
        reference=settings.reference,
        **settings.attacked(),
        direction="source_to_reference" if mixtures else "reference_to_source",
        robust=0,
    )
    if mixtures:
        lines = published_mixtures()
        accuracies = ["last_layer_accuracy", "full_network_accuracy"]
        metrics = ["transferred_loss", "alpha_1_mean"]
    else:
        lines = published_architectures(ours)
        accuracies = ["last_layer_accuracy"]
        metrics = ["alpha_1_mean", "alpha_2_squared", "combined_squared"]
    for source, mark in source_marks(ours).items():
        own = ours[ours["source"] == source]
        cells = [number(own[name].mean(), 3) for name in accuracies]
        for metric in metrics:
            cells.append(number(own.loc[own["metric"] == metric, "value"].mean(), 3))
        lines.append([f"ours: {mark.label}", *cells])
    heads = [transfer_label(name) for name in accuracies]
    return {"head": ["source", *heads, *map(metric_label, metrics)], "rows": lines}


def count_text(table: pd.DataFrame, sources: pd.DataFrame) -> dict[str, Any]:
    """Return how many sources, seeds and images there are."""
    each = sources.drop_duplicates("source")
    seeds = table["source_seed"].nunique()
    references = table["reference_seed"].nunique()
    low, high = int(table["n_images"].min()), int(table["n_images"].max())
    clean = sources.loc[sources["attack"] == "none", "accuracy"]
    text = (
        f"There are {len(each)} source models with {seeds} seed{'s' * (seeds != 1)} each and "
        f"{references} reference seed{'s' * (references != 1)}."
    )
    if not clean.empty:
        spread = f"{number(clean.min())} to {number(clean.max())}"
        text += f" Clean accuracy of the sources on their own classes: {spread}."
    return {
        "natural": int((each["robust"] == 0).sum()),
        "robust": int((each["robust"] == 1).sum()),
        "repeats": f"{seeds} source and {references} reference seed{'s' * (references != 1)}",
        "images": f"{low}" if low == high else f"{low} to {high}",
        "sources": text,
    }
