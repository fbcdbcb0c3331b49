"""The page of the study of fixed-feature and full-network transfer: what was compared and found.

Every number comes from the tables. The sentences follow from signs and intervals, so they name a
target on which the paper's claim does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...advtransfer.plotting.frames import Tables, read_table, rows_where
from ...advtransfer.plotting.labels import (
    TRAINING_LABELS,
    attack_label,
    interval,
    model_label,
    number,
    training_label,
)
from ...advtransfer.report.words import estimate, sign_of, verdict_of_signs
from ..columns import EVALUATION_COLUMNS
from . import plotting
from .columns import ALL
from .plotting import Settings

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("table", "summary", "best", "selection", "correlations", "sources")
SETTINGS = ("baseline", "targets")
PRIMARY = "last_layer"  # where the paper claims most
Table = dict[str, Any]


def context(tables: Tables, settings: Settings) -> dict[str, Any]:
    """Return what the template prints besides facts and figures.

    Raises:
        UserError: a table is missing or lacks columns.
    """
    kinds = ("summary", "best", "selection", "correlations")
    summary, best, selection, correlations = (
        plotting.read(tables[kind], kind, settings) for kind in kinds
    )
    sources = rows_where(
        read_table(tables["sources"], EVALUATION_COLUMNS, may_be_empty=True), study=settings.study
    )
    honest = {"selection": "validation"}
    main = primary_rows(rows_where(best, **honest))
    return {
        "verdict": verdict(main),
        "primary": primary_text(main),
        "baseline": training_label(settings.baseline),
        "sentences": [mode_sentence(main, mode) for mode in plotting.modes_of(best)],
        "strengths": strength_sentence(rows_where(best, **honest)),
        "best": [(plotting.mode_label(m), best_table(best, m)) for m in plotting.modes_of(best)],
        "everything": [
            (plotting.mode_label(mode), everything_table(settings, summary, mode))
            for mode in plotting.modes_of(summary)
        ],
        "class_means": class_mean_sentence(
            rows_where(
                plotting.read(tables["summary"], "summary", settings, every_measure=True),
                selection="validation",
            )
        ),
        "correlations": correlation_table(correlations),
        "selection": selection_table(selection),
        "sources": source_table(sources),
        "published": published_table(),
        "published_runs": published_runs_table(),
    }


# Sentences --------------------------------------------------------------------------------------


def primary_rows(best: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each target and mode: over all architectures, or of the only one."""
    if best.empty:
        return best
    over_all = ALL if ALL in set(best["model"]) else best["model"].iloc[0]
    rows = rows_where(best, model=over_all)
    return rows.assign(
        value=rows["difference"], ci_low=rows["difference_low"], ci_high=rows["difference_high"]
    )


def counts(main: pd.DataFrame, mode: str) -> dict[str, list[str]]:
    """Return the targets by what the interval of robust minus natural says."""
    named: dict[str, list[str]] = {"above": [], "below": [], "open": [], "none": []}
    for row in plotting.records(rows_where(main, mode=mode)):
        named[sign_of(row)].append(plotting.target_label(row.target))
    return named


def verdict(main: pd.DataFrame) -> dict[str, str]:
    """Return what fixed-feature transfer says about the claim that robust sources are better."""
    named = counts(main, PRIMARY) if len(main) else {}
    total = sum(map(len, named.values()))
    few = total and rows_where(main, mode=PRIMARY)["n_source_seeds"].min() < 2
    signs = [] if few else [kind for kind, targets in named.items() for _ in targets]
    above, below, undecided = (signs.count(kind) for kind in ("above", "below", "open"))
    reason = (
        f"in fixed-feature transfer the best robust source is better on {above} of {total} targets "
        f"(interval above 0), worse on {below}, and not told apart on {undecided} "
        "(interval includes 0)."
    )
    return verdict_of_signs(
        signs,
        reason,
        unmeasurable="one source seed says nothing about others, or nothing was compared.",
    )


def primary_text(main: pd.DataFrame) -> str:
    """Return the differences behind the verdict."""
    if main.empty:
        return ""
    rows = rows_where(main, mode=PRIMARY)
    values = ", ".join(
        f"{plotting.target_label(row.target)} {gain_text(row)}" for row in plotting.records(rows)
    )
    seeds = f"{rows['n_source_seeds'].max():.0f}" if len(rows) else "0"
    tried = sorted({f"{count:.0f}" for count in rows["n_trainings"]}, key=int)
    several = " to ".join(tried[:: max(1, len(tried) - 1)])
    trainings = "training" if several == "1" else "trainings"
    return (
        f"Best robust minus natural, fixed-feature, {seeds} source seeds: {values}. The best is of "
        f"{several} robust {trainings}, chosen on held-out images; intervals are of the same seeds "
        "and take the choice as given, so they are somewhat too narrow."
    )


def mode_sentence(main: pd.DataFrame, mode: str) -> str:
    """Say where the best robust source is better in a mode, and where it is not."""
    label = plotting.mode_label(mode).capitalize()
    named = counts(main, mode) if len(main) else {}
    if not any(named.values()):
        return f"{label} transfer: nothing was compared."
    meanings = {
        "above": "better (interval above 0) on",
        "below": "worse (interval below 0) on",
        "open": "not told apart (interval includes 0) on",
        "none": "without an interval on",
    }
    parts = [f"{meanings[kind]} {', '.join(them)}" for kind, them in named.items() if them]
    return f"{label} transfer, the best robust source: {'; '.join(parts)}."


def strength_sentence(best: pd.DataFrame) -> str:
    """Say which strengths were best, over targets and architectures."""
    rows = rows_where(best, model=list(plotting.models_of(best)))
    parts = []
    for mode in plotting.modes_of(rows):
        labels = [
            plotting.strength_label(row.norm, row.epsilon)
            for row in plotting.records(rows_where(rows, mode=mode))
        ]
        counted = ", ".join(f"{name} ({labels.count(name)})" for name in dict.fromkeys(labels))
        if counted:
            parts.append(f"{plotting.mode_label(mode)}: {counted}")
    if not parts:
        return "No epsilon could be chosen on held-out images."
    return (
        f"Best ε on held-out images, and on how many targets and architectures: {'; '.join(parts)}."
    )


def class_mean_sentence(summary: pd.DataFrame) -> str:
    """Say how far the mean over classes is from the accuracy."""
    keys = ["target", "mode", "model", "training"]
    one, other = (
        rows_where(summary, measure=measure).set_index(keys)["mean"]
        for measure in ("accuracy", "class_mean_accuracy")
    )
    gap = (other - one).abs()
    if gap.empty:
        return ""
    return (
        "The mean over classes, which the paper reports for unbalanced targets, differs from the "
        f"accuracy by at most {number(100 * gap.max(), 2)} percentage points here."
    )


def gain_text(row: Any) -> str:
    """``+0.041 [0.012, 0.070]``."""
    return estimate((row.difference, row.difference_low, row.difference_high), signed=True)


# Grids ------------------------------------------------------------------------------------------


def best_table(best: pd.DataFrame, mode: str) -> Table:
    """The natural and the best robust source: chosen on held-out images, then on test images."""
    rows = rows_where(best, mode=mode)
    lines = []
    for target, model in dict.fromkeys(zip(rows["target"], rows["model"], strict=True)):
        cells = []
        for selection in ("validation", "test"):
            found = rows_where(rows, target=target, model=model, selection=selection)
            if found.empty:
                cells += ["–"] * 4
                continue
            (row,) = plotting.records(found)
            which = plotting.strength_label(row.norm, row.epsilon)
            if model == ALL:
                which = f"{model_label(row.robust_model)}, {which}"
            means = (number(v, 3) for v in (row.baseline_mean, row.robust_mean))
            cells += [*means, which, gain_text(row)]
        name = "all architectures" if model == ALL else model_label(model)
        lines.append([f"{plotting.target_label(target)}, {name}", *cells])
    head = ["natural", "robust", "best ε", "difference"]
    tested = [f"{text} (on test)" for text in head]
    return {"head": ["target, architecture", *head, *tested], "rows": lines}


def everything_table(settings: Settings, summary: pd.DataFrame, mode: str) -> Table:
    """Mean accuracy of every source on every target, and the range over networks."""
    rows = rows_where(summary, mode=mode, selection="validation")
    targets, places = plotting.targets_of(settings, rows), plotting.strengths(rows)
    lines = []
    for model in plotting.models_of(rows):
        for training, (_, label) in places.items():
            own = rows_where(rows, model=model, training=training)
            if own.empty:
                continue
            there = {row.target: range_text(row) for row in plotting.records(own)}
            name = f"{model_label(model)}, {label}"
            lines.append([name, *(there.get(target, "–") for target in targets)])
    return {"head": ["source", *map(plotting.target_label, targets)], "rows": lines}


def range_text(row: Any) -> str:
    """``0.612 (0.600–0.620)``: the mean, the lowest and the highest network."""
    mean, low, high = (number(v, 3) for v in (row.mean, row.lowest, row.highest))
    return f"{mean} ({low}–{high})"


def correlation_table(rows: pd.DataFrame) -> Table:
    """Fixed-feature against full-network accuracy, by target and set of sources."""
    lines = []
    for target, sources in dict.fromkeys(zip(rows["target"], rows["sources"], strict=True)):
        own = rows_where(rows, target=target, sources=sources)
        there = {row["statistic"]: interval(row) for _, row in own.iterrows()}
        cells = [there.get(statistic, "–") for statistic in ("pearson", "spearman")]
        name = "all sources" if sources == ALL else source_set_label(sources)
        count = f"{own['n_sources'].iloc[0]:.0f}"
        lines.append([f"{plotting.target_label(target)}, {name}", *cells, count])
    return {"head": ["target, sources", "Pearson r", "Spearman ρ", "sources"], "rows": lines}


def source_set_label(name: str) -> str:
    """A set of sources has the name of its architecture or of its training."""
    known = TRAINING_LABELS
    return known[name] if name in known else model_label(name)


def selection_table(rows: pd.DataFrame) -> Table:
    """What choosing on test images would have given."""
    lines = []
    for row in plotting.records(rows):
        name = f"{plotting.target_label(row.target)}, {plotting.mode_label(row.mode)}"
        chosen = plotting.CHOICE_LABELS.get(row.chosen, row.chosen)
        values = [number(v, 4) for v in (row.on_validation, row.on_test, row.difference)]
        largest, agree = number(row.largest, 4), number(100 * row.agree, 0)
        lines.append([f"{name}, {chosen}", *values, largest, f"{agree} % of {row.n:.0f}"])
    head = ["target, mode, what is chosen", "on validation", "on test", "difference", "largest"]
    return {"head": [*head, "same choice"], "rows": lines}


def source_table(sources: pd.DataFrame) -> Table:
    """Accuracy of the sources on their own classes, means over seeds."""
    attacks: Sequence[tuple[str, str, float]] = list(
        dict.fromkeys(
            zip(sources["attack"], sources["norm"], sources["epsilon"].astype(float), strict=True)
        )
    )
    lines = []
    for model, training in dict.fromkeys(
        zip(sources["source_model"], sources["source_training"], strict=True)
    ):
        own = rows_where(sources, source_model=model, source_training=training)
        cells = [
            number(rows_where(own, attack=attack, norm=norm, epsilon=epsilon)["accuracy"].mean(), 3)
            for attack, norm, epsilon in attacks
        ]
        passes, seconds = (number(own[name].mean(), 0) for name in ("passes", "seconds"))
        name = f"{model_label(model)}, {training_label(training)}"
        lines.append([name, *cells, passes, seconds])
    head = ["source", *(attack_label(*attack) for attack in attacks)]
    return {"head": [*head, "passes an image", "seconds"], "rows": lines}


def published_table() -> Table:
    """The paper's table 1, and its differences."""
    from .published import TABLE_1

    lines = []
    for target, row in TABLE_1.items():
        cells = []
        for robust, standard in (
            (row.fixed_robust, row.fixed_standard),
            (row.full_robust, row.full_standard),
        ):
            values = (standard, robust, robust - standard)
            cells += [number(100 * value, 2) for value in values]
        lines.append([plotting.target_label(target), *cells])
    names = ("standard", "robust", "difference")
    head = [f"{mode}, {name}" for mode in ("fixed-feature", "full-network") for name in names]
    return {"head": ["published, %", *head], "rows": lines}


def published_runs_table() -> Table:
    """The authors' best single runs: accuracy, epsilon and learning rate."""
    from .published import BEST_RUNS

    models = list(dict.fromkeys(run.model for run in BEST_RUNS))
    lines = []
    for target, mode in dict.fromkeys((run.target, run.mode) for run in BEST_RUNS):
        own = {run.model: run for run in BEST_RUNS if (run.target, run.mode) == (target, mode)}
        cells = [
            f"{number(100 * run.accuracy, 1)} (ε {run.epsilon:g}, {run.learning_rate:g})"
            for run in (own[model] for model in models)
        ]
        lines.append([f"{plotting.target_label(target)}, {plotting.mode_label(mode)}", *cells])
    return {"head": ["published, %", *models], "rows": lines}
