"""The page of accuracy and robustness together: R^2 by epsilon, left-out errors, width.

Every number comes from the tables; the sentences follow from signs and intervals, so a target for
which a claim of the paper does not hold is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.frames import Tables, rows_where, targets_shown
from ...advtransfer.plotting.labels import model_label, number, target_label, training_label
from ...advtransfer.report.words import estimate, sign, verdict_of_signs
from . import plotting, published
from .columns import CORRELATION_COLUMNS, POINT_COLUMNS, PREDICTOR_COLUMNS, WIDTH_COLUMNS
from .plotting import Settings

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("table", "points", "correlations", "predictors", "width")
SETTINGS = ("baseline", "robust", "targets")
PRIMARY_MODE = "last_layer"
PRIMARY = "accuracy_robustness"  # the predictor of the one comparison named in advance
SQUARES = ("r_squared", "r_squared_low", "r_squared_high")
GAIN = ("gain", "gain_low", "gain_high")
BOUNDS = ("value", "ci_low", "ci_high")


def context(tables: Tables, settings: Settings) -> dict[str, Any]:
    """Return what the template prints besides facts and figures.

    Raises:
        UserError: a table is missing or lacks columns.
    """
    points = plotting.read(tables["points"], POINT_COLUMNS, settings)
    correlations = plotting.read(tables["correlations"], CORRELATION_COLUMNS, settings)
    predictors = plotting.read(tables["predictors"], PREDICTOR_COLUMNS, settings)
    width = plotting.read(tables["width"], WIDTH_COLUMNS, settings)
    main = rows_where(predictors, mode=PRIMARY_MODE, predictor=PRIMARY)
    return {
        "verdict": verdict(main),
        "primary": primary_text(main),
        "sources": source_table(points),
        "correlations": correlation_table(settings, correlations),
        "few_models": few_models(correlations),
        "published": published_table(),
        "predictors": predictor_table(settings, predictors),
        "width_claims": width_claims(settings, width),
        "width": width_table(settings, width),
        "names": {
            "robust": training_label(settings.robust),
            "baseline": training_label(settings.baseline),
        },
    }


# Sentences --------------------------------------------------------------------------------------


def verdict(main: pd.DataFrame) -> dict[str, str]:
    """Say whether robustness adds to accuracy in predicting architectures that were left out."""
    signs = [sign(*bounds) for bounds in zip(main["gain_low"], main["gain_high"], strict=True)]
    above, below = signs.count("above"), signs.count("below")
    reason = (
        "in fixed-feature transfer of left-out architectures, accuracy and robustness together "
        f"predict better than accuracy alone on {above} of {len(signs)} targets (interval above "
        f"0), worse on {below}, and not told apart on {signs.count('open')} (interval includes 0)."
    )
    return verdict_of_signs(
        signs,
        reason,
        unmeasurable="too few architectures, no fixed-feature transfer, or robustness of the "
        "sources is not known.",
        supported="Robustness adds to accuracy:",
        opposite="Accuracy alone is better:",
    )


def primary_text(main: pd.DataFrame) -> str:
    """Return the comparison behind the verdict, by target."""
    if main.empty:
        return ""
    parts = []
    for row in main.itertuples():
        gain = estimate(plotting.triple(row, GAIN), signed=True)
        parts.append(f"{target_label(str(row.target))} {gain}")
    return (
        "The mean absolute error is smaller by, in shares of images: "
        f"{', '.join(parts)}; {main['n_models'].max():.0f} architectures."
    )


def few_models(correlations: pd.DataFrame) -> str:
    """Return a warning where the correlations are over few architectures."""
    fewest = correlations["n_models"].min() if len(correlations) else 0
    if fewest >= plotting.FEWEST_MODELS:
        return ""
    return (
        f"Some correlations are over {fewest:.0f} architectures only, fewer than the "
        f"{plotting.FEWEST_MODELS} that we ask for: do not rely on them."
    )


def width_claims(settings: Settings, width: pd.DataFrame) -> list[str]:
    """Say whether the last step in width adds to robust sources and no longer to natural ones."""
    sentences = []
    for mode in plotting.modes(width):
        for target in targets_shown(settings.targets, width):
            rows = rows_where(width, mode=mode, target=target)
            steps = {
                name: last_step(rows, quantity, training)
                for name, quantity, training in (
                    ("robust", "step", settings.robust),
                    ("natural", "step", settings.baseline),
                    ("difference", "step_minus_natural", settings.robust),
                )
            }
            where = f"{target_label(target)}, {plotting.mode_label(mode)}"
            if any(step is None for step in steps.values()):
                sentences.append(f"{where}: not measured.")
                continue
            found = {name: plotting.triple(step, BOUNDS) for name, step in steps.items()}
            signs = {name: sign(*values[1:]) for name, values in found.items()}
            step: Any = steps["robust"]
            text = ", ".join(
                f"{name} {estimate(values, signed=True)}" for name, values in found.items()
            )
            sentences.append(
                f"{where}: {width_claim(signs)} (from width {step.from_width:.0f} to "
                f"{step.width:.0f}: {text})."
            )
    return sentences


def last_step(rows: pd.DataFrame, quantity: str, training: str) -> Any:
    """Return the row of the step to the largest width, or None."""
    own = rows_where(rows, quantity=quantity, source_training=training)
    return None if own.empty else own.sort_values("width").iloc[-1]


def width_claim(signs: Mapping[str, str]) -> str:
    """Say what the signs of the last step mean: robust, natural, and robust minus natural."""
    if "none" in signs.values():
        return "one seed bears no interval"
    if signs["difference"] == "below":
        return "the other way round, the natural source gains more"
    if signs["robust"] == "above" and signs["difference"] == "above":
        if signs["natural"] == "above":
            return "partly, the natural source still gains, but less than the robust one"
        return "holds, the robust source gains and the natural one is not seen to"
    if signs["robust"] == "above":
        return "not decided, the robust source gains, but not measurably more than the natural one"
    if signs["robust"] == "below":
        return "does not hold, the robust source loses"
    return "not decided, the robust source is not seen to gain"


# Grids ------------------------------------------------------------------------------------------


def source_table(points: pd.DataFrame) -> dict[str, Any]:
    """Accuracy and robustness of every architecture at every epsilon."""
    levels = plotting.levels(points)
    labels = plotting.level_labels(levels)
    lines = []
    each = points.drop_duplicates(["source_model", "source_training"])
    for model in each["source_model"].unique():
        cells = []
        for training in labels:
            own = rows_where(each, source_model=model, source_training=training)
            values = [own[name].mean() for name in ("source_accuracy", "source_robustness")]
            cells.append(" / ".join(number(value, 3) for value in values))
        lines.append([model_label(model), *cells])
    return {"head": ["architecture", *labels.values()], "rows": lines}


def correlation_table(settings: Settings, rows: pd.DataFrame) -> dict[str, Any]:
    """R^2 by mode and epsilon, with the correlation's sign; one column a target."""
    targets = targets_shown(settings.targets, rows)
    levels = plotting.levels(rows)
    labels = plotting.level_labels(levels)
    lines = []
    for mode in plotting.modes(rows):
        for training, label in labels.items():
            cells = []
            for target in targets:
                own = rows_where(rows, mode=mode, target=target, source_training=training)
                cells.append(square_text(own.iloc[0]) if len(own) else "–")
            lines.append([f"{plotting.mode_label(mode)}, {label}", *cells])
    return {"head": ["R²", *map(target_label, targets)], "rows": lines}


def square_text(row: Any) -> str:
    """R^2 with its interval; the correlation, where it is negative."""
    text = estimate(plotting.triple(row, SQUARES))
    return f"{text} (r = {number(row.pearson)})" if row.pearson < 0 else text


def published_table() -> dict[str, Any]:
    """The published table of correlations: printed, and recomputed from its rows."""
    lines = []
    for epsilon, found in published.squared_correlations().items():
        values = (found.value, found.ci_low, found.ci_high)
        label = plotting.level_label("l2" if epsilon else "", epsilon)
        printed = f"{published.PRINTED[epsilon]:.2f}"
        lines.append([label, printed, estimate(values), str(found.pearson.n_models)])
    return {"head": ["published", "printed R²", "recomputed", "architectures"], "rows": lines}


def predictor_table(settings: Settings, rows: pd.DataFrame) -> dict[str, Any]:
    """Left-out error, gain over accuracy alone, and R^2 in sample of every predictor."""
    lines = []
    row: Any
    for mode in plotting.modes(rows):
        for target in targets_shown(settings.targets, rows):
            where = f"{target_label(target)}, {plotting.mode_label(mode)}"
            for predictor in plotting.PREDICTOR_LABELS:
                for row in rows_where(
                    rows, mode=mode, target=target, predictor=predictor
                ).itertuples():
                    lines.append(
                        [
                            f"{where}: {plotting.predictor_label(predictor)}",
                            number(row.absolute_error, 3),
                            estimate(plotting.triple(row, GAIN), signed=True),
                            number(row.r_squared_in_sample),
                        ]
                    )
    head = ["predictor", "mean error, left out", "gain over accuracy alone", "R² in sample"]
    return {"head": head, "rows": lines}


def width_table(settings: Settings, rows: pd.DataFrame) -> dict[str, Any]:
    """What every step in width adds, and how much more to robust sources; one column a target."""
    targets = targets_shown(settings.targets, rows)
    steps = rows_where(rows, quantity=("step", "step_minus_natural"))
    labels = plotting.level_labels(plotting.levels(rows))
    lines = []
    keys = ["mode", "source_training", "quantity", "from_width", "width"]
    values: Any
    for values, part in steps.groupby(keys, sort=False):
        mode, training, quantity, narrow, wide = values
        minus = " minus natural" if quantity == "step_minus_natural" else ""
        cells = []
        for target in targets:
            own = rows_where(part, target=target)
            found = plotting.triple(own.iloc[0], BOUNDS) if len(own) else (math.nan,) * 3
            cells.append(estimate(found, signed=True))
        name = f"{plotting.mode_label(mode)}, {labels[training]}{minus}"
        lines.append([f"{name}, {narrow:.0f} to {wide:.0f}", *cells])
    return {"head": ["step in width", *map(target_label, targets)], "rows": lines}
