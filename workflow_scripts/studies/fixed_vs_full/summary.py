"""What the table of a `TransferStudy` says, source by source: means and differences with intervals,
the best epsilon and what choosing it (and the learning rate) on test images would have given, and
how fixed-feature and full-network results go together. The study's README explains
the columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...advtransfer.artifacts.sealed import csv_bytes
from ...advtransfer.statistics.correlations import correlate_all
from ...advtransfer.statistics.intervals import MeanInterval, mean_interval
from .columns import ALL, MEASURES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Cell(NamedTuple):
    """The networks that one mean is over: seeds and trials of a source on a target."""

    target: str
    mode: str
    model: str
    training: str
    selection: str


TEXT = ("source_model", "source_training", "source_norm", "target", "mode", "selection")


def read_networks(path: str) -> pd.DataFrame:
    """The table of transferred networks; a name is text, whatever it looks like.

    Raises:
        UserError: it is missing, damaged or edited.
    """
    import io

    import pandas as pd

    content = io.BytesIO(csv_bytes(path))
    table = pd.read_csv(
        content, dtype=dict.fromkeys(TEXT, "object"), keep_default_na=False, na_values=[""]
    )
    return table.assign(**{name: table[name].fillna("") for name in TEXT})


Cells = Mapping[Cell, "pd.DataFrame"]  # by (source_seed, trial)
Metrics = Mapping[str, str]  # target: the measure that it is scored by


def cells_of(table: pd.DataFrame) -> dict[Cell, pd.DataFrame]:
    """The networks of every cell, by source seed and trial, in the order of the table."""
    named = table.rename(columns={"source_model": "model", "source_training": "training"})
    return {
        Cell._make(key): own.set_index(["source_seed", "trial"]).sort_index()
        for key, own in named.groupby(list(Cell._fields), sort=False)
    }


def interval(values: pd.Series) -> MeanInterval:
    """Mean over networks, by (source seed, trial), and its 95 % t interval.

    The unit is the source seed: trials of one seed are averaged first. Where there is one source
    the unit is the trial, and the interval speaks of that source.
    """
    by_seed = values.groupby(level="source_seed").mean()
    return mean_interval(by_seed if len(by_seed) > 1 else values)


def difference(values: pd.Series, baseline: pd.Series | None) -> MeanInterval:
    """The same of values minus baseline, paired by source seed and trial: such pairs share first
    head and order of the images. No interval where one of several sources has a pair."""
    import pandas as pd

    if baseline is None:
        return interval(pd.Series([], index=values.index[:0], dtype=float))
    paired = (values - baseline).dropna()
    found = interval(paired)
    if seeds(paired) < 2 <= seeds(values):
        return found._replace(low=float("nan"), high=float("nan"))
    return found


def seeds(values: pd.Series) -> int:
    """How many source seeds there are."""
    return int(values.index.get_level_values("source_seed").nunique())


def summary_rows(
    cells: Cells, study: str, baseline: str, metrics: Metrics
) -> Iterator[dict[str, Any]]:
    """All sources, on every target: means, ranges, and differences from the baseline's."""
    for cell, networks in cells.items():
        other = cells.get(cell._replace(training=baseline))
        first = networks.iloc[0]
        for measure in MEASURES:
            values = networks[measure]
            mean = interval(values)
            base = None if other is None else other[measure]
            gain = difference(values, None if cell.training == baseline else base)
            yield {
                "study": study,
                **cell._asdict(),
                "robust": first["robust"],
                "norm": first["source_norm"],
                "epsilon": first["source_epsilon"],
                "measure": measure,
                "scored": int(measure == metrics.get(cell.target, MEASURES[0])),
                "mean": mean.mean,
                "ci_low": mean.low,
                "ci_high": mean.high,
                "lowest": values.min(),
                "highest": values.max(),
                "validation_mean": interval(networks["validation_accuracy"]).mean,
                "baseline_mean": float("nan") if base is None else interval(base).mean,
                "difference": gain.mean,
                "difference_low": gain.low,
                "difference_high": gain.high,
                "n_networks": len(values),
                "n_source_seeds": seeds(values),
            }


def merit(networks: pd.DataFrame, selection: str, measure: str) -> float:
    """What a choice among sources goes by: accuracy on held-out training images, or (the paper's
    choice) the reported measure on the test images themselves; nan: not known."""
    return interval(networks["validation_accuracy" if selection == "validation" else measure]).mean


def best_of(cells: Cells, among: Sequence[Cell], selection: str, measure: str) -> Cell | None:
    """The cell of highest `merit`; None: of none it is known."""
    import math

    merits = {cell: merit(cells[cell], selection, measure) for cell in among}
    known = {cell: value for cell, value in merits.items() if not math.isnan(value)}
    return max(known, key=lambda cell: known[cell]) if known else None


def best_rows(
    cells: Cells, study: str, baseline: str, metrics: Metrics
) -> Iterator[dict[str, Any]]:
    """The best robust source beside the baseline, as the paper's figures 2 and 3: by architecture
    (the best epsilon), and over all of them (table 1: the best architecture on either side).

    With ``selection`` validation, learning rate, epsilon and architecture are chosen on held-out
    training images; with test all on the test images that the row reports.
    """
    for target, mode, selection in dict.fromkeys((c.target, c.mode, c.selection) for c in cells):
        own = [c for c in cells if (c.target, c.mode, c.selection) == (target, mode, selection)]
        models = list(dict.fromkeys(cell.model for cell in own))
        for model in [*models, ALL][: len(models) + (len(models) > 1)]:
            there = [cell for cell in own if model in (cell.model, ALL)]
            natural = [cell for cell in there if cell.training == baseline]
            robust = [cell for cell in there if cells[cell]["robust"].iloc[0] == 1]
            for measure in MEASURES:
                first = best_of(cells, natural, selection, measure)
                second = best_of(cells, robust, selection, measure)
                if first is None or second is None:
                    continue
                ours, theirs = cells[second], cells[first]
                gain = difference(ours[measure], theirs[measure])
                compared = (ours[measure] - theirs[measure]).dropna()
                yield {
                    "study": study,
                    "target": target,
                    "mode": mode,
                    "model": model,
                    "selection": selection,
                    "measure": measure,
                    "scored": int(measure == metrics.get(target, MEASURES[0])),
                    "baseline_model": first.model,
                    "baseline_mean": interval(theirs[measure]).mean,
                    "baseline_lowest": theirs[measure].min(),
                    "baseline_highest": theirs[measure].max(),
                    "robust_model": second.model,
                    "robust_training": second.training,
                    "norm": ours["source_norm"].iloc[0],
                    "epsilon": ours["source_epsilon"].iloc[0],
                    "n_trainings": len({cell.training for cell in robust}),
                    "robust_mean": interval(ours[measure]).mean,
                    "robust_lowest": ours[measure].min(),
                    "robust_highest": ours[measure].max(),
                    "difference": gain.mean,
                    "difference_low": gain.low,
                    "difference_high": gain.high,
                    "n_source_seeds": seeds(compared),
                }


def selection_rows(cells: Cells, study: str, metrics: Metrics) -> Iterator[dict[str, Any]]:
    """What targets are scored by where test images had chosen, minus where held-out ones did.

    ``chosen``: the learning rate of every network; the epsilon of every architecture's best robust
    source (with the learning rates chosen on held-out images); both.
    """
    for target, mode in dict.fromkeys((cell.target, cell.mode) for cell in cells):
        measure = metrics.get(target, MEASURES[0])
        own = [cell for cell in cells if (cell.target, cell.mode) == (target, mode)]
        honest = [cell for cell in own if cell.selection == "validation"]
        twins = {cell: cell._replace(selection="test") for cell in honest}
        pairs: dict[str, list[tuple[bool, float, float]]] = {}
        for cell, twin in twins.items():
            if twin in cells:
                both = cells[cell].join(cells[twin].add_suffix("_test"), how="inner")
                same = same_rates(cells[cell], cells[twin])
                reached = both[[measure, f"{measure}_test"]].to_numpy(float)
                pairs.setdefault("learning_rate", []).extend(
                    (bool(equal), float(first), float(second))
                    for equal, (first, second) in zip(same, reached, strict=True)
                )
        for model in dict.fromkeys(cell.model for cell in honest):
            robust = [
                cell
                for cell in honest
                if cell.model == model and cells[cell]["robust"].iloc[0] == 1
            ]
            first = best_of(cells, robust, "validation", measure)
            if first is None:
                continue
            tests = [twins[cell] for cell in robust if twins[cell] in cells]
            for chosen, among in (("epsilon", robust), ("learning_rate_and_epsilon", tests)):
                second = best_of(cells, among, "test", measure)
                if second is not None:
                    one, other = (interval(cells[c][measure]).mean for c in (first, second))
                    equal = first.training == second.training
                    if equal and chosen == "learning_rate_and_epsilon":
                        equal = bool(same_rates(cells[first], cells[second]).all())
                    pairs.setdefault(chosen, []).append((equal, one, other))
        for chosen, found in pairs.items():
            agree, validation, test = zip(*found, strict=True)
            gaps = [b - a for a, b in zip(validation, test, strict=True)]
            yield {
                "study": study,
                "target": target,
                "mode": mode,
                "chosen": chosen,
                "n": len(found),
                "agree": sum(agree) / len(found),
                "on_validation": sum(validation) / len(found),
                "on_test": sum(test) / len(found),
                "difference": sum(gaps) / len(found),
                "largest": max(gaps),
            }


def same_rates(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
    """Whether networks that both have got the same learning rate."""
    both = first.join(second.add_suffix("_test"), how="inner")
    return both["learning_rate"] == both["learning_rate_test"]


def correlation_rows(
    cells: Cells, study: str, metrics: Metrics, *, bootstrap: int, permutations: int
) -> Iterator[dict[str, Any]]:
    """Fixed-feature against full-network accuracy over sources (architecture and training): of all
    of them, of one architecture, and of one training.

    Sources of one architecture are no independent draws beside those of another: of all of several
    architectures there is the value alone, without interval and p.
    """
    honest = [cell for cell in cells if cell.selection == "validation"]
    for target in dict.fromkeys(cell.target for cell in honest):
        pairs = {
            (cell.model, cell.training): (cell, cell._replace(mode="full_network"))
            for cell in honest
            if cell.target == target
            and cell.mode == "last_layer"
            and cell._replace(mode="full_network") in cells
        }
        models = list(dict.fromkeys(model for model, _ in pairs))
        trainings = list(dict.fromkeys(training for _, training in pairs))
        sets = {ALL: list(pairs)} if pairs else {}
        if len(models) > 1:
            sets |= {model: [s for s in pairs if s[0] == model] for model in models}
            sets |= {training: [s for s in pairs if s[1] == training] for training in trainings}
        for name, sources in sets.items():
            if len(sources) < 3 and name != ALL:
                continue
            for measure in MEASURES:
                x, y = measurements([pairs[source] for source in sources], cells, measure)
                alike = name == ALL and len(models) > 1
                found = correlate_all(
                    x,
                    y,
                    kinds=("pearson", "spearman"),
                    bootstrap=0 if alike else bootstrap,
                    permutations=0 if alike else permutations,
                )
                for statistic, row in found.items():
                    yield {
                        "study": study,
                        "target": target,
                        "sources": name,
                        "measure": measure,
                        "scored": int(measure == metrics.get(target, MEASURES[0])),
                        "statistic": statistic,
                        "value": row.value,
                        "ci_low": row.ci_low,
                        "ci_high": row.ci_high,
                        "p_value": row.p_value,
                        "n_sources": row.n_models,
                        "n_rows": row.n_rows,
                    }


def measurements(
    pairs: Sequence[tuple[Cell, Cell]], cells: Cells, measure: str
) -> tuple[np.ndarray, np.ndarray]:
    """Both modes' accuracies (sources, networks); nan pads where a source has fewer networks."""
    import numpy as np

    both = [
        cells[first][[measure]].join(cells[second][[measure]].add_suffix("_full"), how="inner")
        for first, second in pairs
    ]
    most = max(map(len, both), default=0)
    x, y = (np.full((len(both), most), np.nan) for _ in range(2))
    for k, rows in enumerate(both):
        x[k, : len(rows)] = rows[measure]
        y[k, : len(rows)] = rows[f"{measure}_full"]
    return x, y
