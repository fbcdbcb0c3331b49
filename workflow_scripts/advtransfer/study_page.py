"""The page of a study: what was asked, how it was measured, what came out.

Every number on it comes from the tables; the sentences follow from signs and intervals, so a claim
that does not reproduce is said to.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from . import plotting
from .errors import UserError

if TYPE_CHECKING:
    import pandas as pd

TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
FIGURES = {
    "transfer_scatter": "Scatter of transferability metrics against transfer accuracy",
    "mixture_bars": "Bars of transferability and transfer accuracy by share of animals",
    "mixture_scatter": "Scatter of transferability against transfer accuracy, by mixture",
    "per_image": "Per-image alpha_1 against the loss of the transferred source",
    "correlations_over_epsilon": "Correlations over attack strength",
    "published": "Published points beside this study's",
    "sources": "Clean and robust accuracy of the sources",
    "transfer_curves": "Accuracy on the target over epochs of transfer",
    "fewer_images": "Accuracy over the number of target images, and robust minus natural",
    "fewer_epochs": "Accuracy over epochs, and robust minus natural",
    "unfrozen_blocks": "Accuracy by number of unfrozen blocks",
    "constraints": "Every training of the source minus the natural one",
    "statistics": "Moving minus frozen batch norm statistics",
    "transferred_robustness": "Robust accuracy of the transferred networks",
    "similarity": "Best blocks and trainings over the distance of the target",
    "cost": "Accuracy and training cost of the sources",
    "published_efficiency": "Published differences beside this study's",
    "resolutions": "Accuracy over epsilon at every resolution, and the published figure",
    "best_epsilon": "Best epsilon over resolution",
    "granularity_measures": "Best epsilon over every measure of granularity",
    "measure_ranking": "How well every measure predicts the best epsilon",
    "over_epsilon": "Accuracy over the epsilon of the sources, and robust minus natural",
    "best_of": "The best robust source beside the natural one",
    "fixed_against_full": "Fixed-feature against full-network accuracy of every source",
    "selection": "Accuracy that choosing on test images would have added",
    "published_transfers": "Published gains and best epsilons beside this study's",
    "accuracy_scatter": "Transfer accuracy against source accuracy, one mark per epsilon",
    "accuracy_correlations": "R^2 of source and transfer accuracy by epsilon, and as published",
    "left_out_errors": "Errors of predictors of transfer on left-out architectures",
    "width": "Accuracy after transfer over the width of the source",
    "average_precision": "Average precision of the detectors by training of the source",
    "ap_differences": "Average precision minus that on the baseline's sources",
    "detections": "Objects of validation images and what detectors find",
    "published_detection": "Published average precision beside this study's",
}
SHOWN_METRICS = ("alpha_1_mean", "alpha_2", "combined_squared", "tau_1", "transfer_success_rate")
DIAGNOSTICS = ("alpha_1_share_above_1", "alpha_1_zero_denominators")  # no transferability metrics
TEST = ("target", "reference", "attack", "norm", "epsilon", "metric", "direction", "transfer")
FEW_MODELS = 7  # up to here the smallest p that permutations allow is worth a sentence


def render_page(
    recipe: plotting.FigureRecipe, tables: Mapping[str, str], figures: list[str], template: Path
) -> str:
    """One HTML page without scripts that loads nothing.

    Args:
        recipe: study, primary place, classes, and facts of the configuration.
        tables: paths of ``table``, ``correlations`` and ``sources``.
        figures: ``name=file`` each; embedded.
        template: the study's; base, parts and captions lie beside it.

    Raises:
        UserError: a table, figure or template is missing or lacks columns.
    """
    table = plotting.select(
        plotting.read_table(tables["table"], plotting.STUDY_COLUMNS), study=recipe.study
    )
    columns = (*plotting.SOURCE_COLUMNS, "attack", "accuracy")
    sources = plotting.select(plotting.read_table(tables["sources"], columns), study=recipe.study)
    correlations = plotting.select(
        plotting.read_table(tables["correlations"], plotting.CORRELATION_COLUMNS),
        study=recipe.study,
    )
    primary = plotting.correlation(correlations, role="primary")
    # The test itself, whatever statistic and sources, and everything at its attack.
    conditions = {column: primary[column] for column in TEST}
    conditions["epsilon"] = float(primary["epsilon"])
    tested = plotting.select(correlations, **conditions)
    place = ("target", "reference", "attack", "norm", "epsilon")
    attacked = plotting.select(correlations, **{column: conditions[column] for column in place})
    alike = correlations[
        (correlations["role"] != "primary")
        & ~correlations["metric"].isin(DIAGNOSTICS)
        & (correlations["statistic"] == primary["statistic"])
        & (correlations["sources"] == primary["sources"])
    ]
    statistic = primary["statistic"]

    context = {
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
        "facts": [(label, fact_text(value)) for label, value in recipe.facts.items()],
        "correlations": correlation_grid(attacked, primary),
        "targets": target_grid(correlations, primary),
        "overlap": overlap_grid(table, recipe),
        "published": published_grid(table, recipe),
        "figures": embedded(figures, template.parent),
    }
    return render(template, context)


def render(template: Path, context: Mapping[str, Any]) -> str:
    """The page that a template makes of ``context``.

    Raises:
        UserError: it, or one that it includes, is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(template.name).render(context)
    except jinja2.TemplateNotFound as error:
        raise UserError(f"{template.parent / str(error)}: no such template.") from None


def verdict(value: float, low: float, high: float) -> dict[str, str]:
    """What a correlation and its interval say about the claim that it is positive."""
    if math.isnan(value):
        headline, reason = "Not measurable:", "the correlation is undefined for these sources."
    elif math.isnan(low) or math.isnan(high):
        headline, reason = "Inconclusive:", "there are too few source models for an interval."
    elif low > 0:
        headline = "The claim is supported:"
        reason = "the correlation is positive, as claimed, and its interval excludes 0."
        return {"kind": "supported", "headline": headline, "reason": reason}
    elif high < 0:
        headline = "The claim is not supported: opposite sign."
        reason = "The correlation is negative and its interval excludes 0: the paper's claim does "
        reason += "not reproduce here."
        return {"kind": "opposite", "headline": headline, "reason": reason}
    else:
        headline = "Inconclusive: interval includes 0."
        reason = "The paper's claim is neither reproduced nor refuted here."
    return {"kind": "inconclusive", "headline": headline, "reason": reason}


def sign(low: float, high: float) -> str:
    """``above``, ``below``, ``open`` (the interval includes 0) or ``none`` (there is none)."""
    if math.isnan(low) or math.isnan(high):
        return "none"
    return "above" if low > 0 else "below" if high < 0 else "open"


def sign_of(row: Any) -> str:
    """The sign of a row with ``ci_low`` and ``ci_high``."""
    return sign(row.ci_low, row.ci_high)


def verdict_of_signs(
    signs: Sequence[str],
    reason: str,
    *,
    supported: str = "The claim is supported:",
    opposite: str = "Opposite sign:",
    mixed: str = "It depends on the target:",
) -> dict[str, str]:
    """What several differences say together: of the claim if all agree, else that they do not.

    Args:
        signs: `sign` of each, at least one.
        reason: the sentence behind the headline.
        supported, opposite, mixed: headlines where all are above 0, all below, or some are either.
    """
    above, below = signs.count("above"), signs.count("below")
    if above == len(signs):
        return {"kind": "supported", "headline": supported, "reason": reason}
    if below == len(signs):
        return {"kind": "opposite", "headline": opposite, "reason": reason}
    headline = mixed if above or below else "Inconclusive:"
    return {"kind": "inconclusive", "headline": headline, "reason": reason}


def estimate(values: tuple[float, float, float], *, signed: bool = False) -> str:
    """``0.83 [0.41, 0.97]``, with a plus sign where it is a difference."""
    value, low, high = values
    text = plotting.number(value, 3)
    text = f"+{text}" if signed and value > 0 else text
    if math.isnan(value):
        return "–"
    if math.isnan(low) or math.isnan(high):
        return f"{text} (no interval)"
    return f"{text} [{plotting.number(low, 3)}, {plotting.number(high, 3)}]"


def difference_text(row: Any) -> str:
    """``+0.041 [0.012, 0.070]``."""
    return estimate((row.value, row.ci_low, row.ci_high), signed=True)


def strength(value: float) -> str:
    """A correlation's sign and size in words."""
    if math.isnan(value):
        return "undefined"
    sign = "positive" if value > 0 else "negative"
    size = "weak" if abs(value) < 0.3 else "moderate" if abs(value) < 0.6 else "strong"
    return f"{sign} and {size}"


def p_text(value: float) -> str:
    if math.isnan(value):
        return "no p-value"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def optional_row(frame: pd.DataFrame, **conditions: Any) -> pd.Series | None:
    """The row of a correlation table that may be missing: not every study has every variant."""
    try:
        return plotting.correlation(frame, **conditions)
    except UserError:
        return None


def describe_primary(row: pd.Series) -> dict[str, Any]:
    """The primary test: its numbers as text, and what was tested."""
    models = int(row["n_models"])
    attack = plotting.attack_label(row["attack"], row["norm"], row["epsilon"])
    direction = plotting.direction_label(row["direction"])
    test = (
        f"{plotting.metric_label(row['metric'])} ({direction}) against "
        f"{plotting.transfer_label(row['transfer'])}, {attack}, "
        f"target {plotting.target_label(row['target'])}, "
        f"reference {plotting.model_label(row['reference'])}"
    )
    floor = ""
    if 2 < models <= FEW_MODELS:
        orders = math.factorial(models)
        floor = (
            f"{models} models have {orders} orders, so no two-sided p-value here can be below "
            f"2/{orders} = {2 / orders:.2g}."
        )
    share = plotting.number(100 * row["value"] ** 2, 0)
    size = (
        f"The primary correlation is {strength(row['value'])}: {plotting.number(row['value'])}, "
        f"so the metric goes with {share} % of the variance between {models} source models, "
        f"which are {int(row['n_rows'])} measurements over seeds."
    )
    return {
        "statistic": plotting.STATISTIC_LABELS.get(row["statistic"], row["statistic"]),
        "interval": plotting.interval(row),
        "p": p_text(row["p_value"]),
        "n": models,
        "test": test,
        "floor": floor,
        "size": size,
        "attack": attack,
    }


def describe_robust(natural: pd.Series, everything: pd.Series | None) -> str:
    """What adding adversarially trained sources changes."""
    if everything is None or everything["n_models"] == natural["n_models"]:
        return "No adversarially trained sources were measured."
    same = verdict(*natural[["value", "ci_low", "ci_high"]])["kind"]
    other = verdict(*everything[["value", "ci_low", "ci_high"]])["kind"]
    outcome = "the same conclusion" if same == other else "a different conclusion"
    return (
        f"With adversarially trained sources included it is {plotting.interval(everything)} "
        f"(n = {int(everything['n_models'])}): {outcome}."
    )


def describe_partial(row: pd.Series | None) -> str:
    """Whether the metric says more than the source's own accuracy does."""
    if row is None or math.isnan(row["value"]):
        return "Given the sources' own accuracy, the partial correlation is undefined."
    kind = verdict(row["value"], row["ci_low"], row["ci_high"])["kind"]
    meaning = {
        "supported": "the metric says more than accuracy alone",
        "opposite": "once accuracy is known, the sign turns",
        "inconclusive": "that the metric says more than accuracy alone is not shown",
    }[kind]
    return (
        "Given the sources' own accuracy, the partial correlation is "
        f"{plotting.interval(row)}: {meaning}."
    )


def describe_exploratory(rows: pd.DataFrame) -> str:
    """How the other correlations of the same statistic and sources fall."""
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
        number = sum(verdict(*row)["kind"] == "supported" for row in values)
        agreeing.append(f"{plotting.metric_label(str(metric))} {number}/{len(own)}")
    return f"{text} Above 0, by metric: {', '.join(agreeing)}."


def correlation_grid(rows: pd.DataFrame, primary: pd.Series) -> dict[str, Any]:
    """Metrics and directions at the primary attack; sets of sources and statistics as columns."""
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
        for direction in plotting.DIRECTIONS:
            cells = []
            for variant in variants.values():
                row = optional_row(rows, metric=metric, direction=direction, **variant)
                cells.append("–" if row is None else plotting.interval(row))
            lines.append(
                {
                    "metric": plotting.metric_label(metric),
                    "direction": plotting.direction_label(direction),
                    "cells": cells,
                    "primary": metric == primary["metric"] and direction == primary["direction"],
                }
            )
    return {"columns": list(variants), "rows": lines}


def target_grid(rows: pd.DataFrame, primary: pd.Series) -> dict[str, Any]:
    """The primary test on every target and reference."""
    found = []
    for column in ("attack", "norm", "metric", "direction", "transfer", "statistic", "sources"):
        rows = rows[rows[column] == primary[column]]
    rows = plotting.select(rows, epsilon=float(primary["epsilon"]))
    for _, row in rows.sort_values(["target", "reference"]).iterrows():
        found.append(
            [
                plotting.target_label(row["target"]),
                plotting.model_label(row["reference"]),
                plotting.interval(row),
                plotting.number(row["p_value"], 3),
                f"{row['n_models']:.0f}",
            ]
        )
    return {"head": ["target", "reference", "value [95 % interval]", "p", "n"], "rows": found}


def overlap_grid(table: pd.DataFrame, recipe: plotting.FigureRecipe) -> dict[str, Any]:
    """How many classes each mixture shares with each target."""
    rows = table.dropna(subset=["mixture"]).drop_duplicates(["mixture", "target"])
    shared = rows.pivot(index=["animals", "mixture"], columns="target", values="shared_classes")
    heads = [
        plotting.target_title(name, recipe.targets.get(name, []), 200) for name in map(str, shared)
    ]
    lines = []
    label: Any
    for label, counts in shared.iterrows():
        animals, mixture = label
        classes = ", ".join(recipe.mixtures.get(mixture, [])) or mixture
        name = f"{animals:g} % animals: {classes}"
        lines.append([name, *(plotting.number(count, 0) for count in counts)])
    return {"head": ["source", *heads], "rows": lines}


def published_architectures(ours: pd.DataFrame) -> list[list[str]]:
    """The rows of the published image table."""
    from ..studies.kinds.pairs import published

    marks = plotting.published_marks(ours)
    return [
        [f"published: {marks[row.model].label}", *(plotting.number(value, 3) for value in row[1:])]
        for row in published.ARCHITECTURES
    ]


def published_mixtures() -> list[list[str]]:
    """The bars of the published figure, by their true share of animals; it has no alpha_1."""
    from ..studies.kinds.pairs import published

    lines = []
    for bar in published.MIXTURES:
        values = (bar.last_layer_accuracy, bar.full_network_accuracy, bar.transferred_loss)
        cells = [plotting.number(value, 3) for value in values]
        lines.append([f"published: {bar.animals} % animals", *cells, "–"])
    return lines


def published_grid(table: pd.DataFrame, recipe: plotting.FigureRecipe) -> dict[str, Any]:
    """Published rows, then ours: natural sources at the primary attack, the authors' direction."""
    mixtures = table["mixture"].notna().any()
    ours = plotting.select(
        table,
        target=recipe.target,
        reference=recipe.reference,
        **recipe.attacked(),
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
    for source, mark in plotting.source_marks(ours).items():
        own = ours[ours["source"] == source]
        cells = [plotting.number(own[name].mean(), 3) for name in accuracies]
        for metric in metrics:
            cells.append(plotting.number(own.loc[own["metric"] == metric, "value"].mean(), 3))
        lines.append([f"ours: {mark.label}", *cells])
    heads = [plotting.transfer_label(name) for name in accuracies]
    return {"head": ["source", *heads, *map(plotting.metric_label, metrics)], "rows": lines}


def count_text(table: pd.DataFrame, sources: pd.DataFrame) -> dict[str, Any]:
    """How many sources, seeds and images there are."""
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
        spread = f"{plotting.number(clean.min())} to {plotting.number(clean.max())}"
        text += f" Clean accuracy of the sources on their own classes: {spread}."
    return {
        "natural": int((each["robust"] == 0).sum()),
        "robust": int((each["robust"] == 1).sum()),
        "repeats": f"{seeds} source and {references} reference seed{'s' * (references != 1)}",
        "images": f"{low}" if low == high else f"{low} to {high}",
        "sources": text,
    }


def fact_text(value: Any) -> str:
    """A fact of the config as text."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {fact_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(fact_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def embedded(arguments: list[str], captions: Path) -> dict[str, dict[str, str]]:
    """Figures as data URIs, with the captions that Snakemake's report shows too."""
    figures = {}
    for argument in arguments:
        name, _, file = argument.partition("=")
        if name not in FIGURES:
            raise UserError(
                f"--figures {argument}: no figure '{name}'; there are {sorted(FIGURES)}."
            )
        path, caption = Path(file), captions / f"figure_{name}.rst"
        for needed in (path, caption):
            if not needed.is_file():
                raise UserError(f"{needed}: no such file; the page needs it for figure '{name}'.")
        if path.suffix not in TYPES:
            raise UserError(f"{path}: a figure on a page is .svg or .png.")
        data = base64.b64encode(path.read_bytes()).decode()
        figures[name] = {
            "uri": f"data:{TYPES[path.suffix]};base64,{data}",
            "alt": FIGURES[name],
            "caption": caption.read_text().strip(),
        }
    return figures
