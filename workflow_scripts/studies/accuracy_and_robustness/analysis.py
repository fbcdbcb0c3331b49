"""Relate transfer accuracy to accuracy and robustness of the source, and to its width.

Tables: points (an architecture at one epsilon), squared correlations at a fixed epsilon, predictors
judged by leaving architectures out, and accuracy over width. Seeds are repeated measurements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...advtransfer.cli import log
from ..source_tables import Row, Table
from .columns import (
    BASELINE,
    CORRELATION_COLUMNS,
    LEVEL,
    POINT_COLUMNS,
    PREDICTOR_COLUMNS,
    WAY,
    WIDTH_COLUMNS,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

READS = ("table", "sources")
# The tables that are made here, with their labels in the report.
TABLES = {
    "points": "architectures and epsilons",
    "correlations": "R² by epsilon",
    "predictors": "left-out errors",
    "width": "width",
}
# What computes the numbers in them.
LIBRARY = {
    "points": ("studies.accuracy_and_robustness.analysis.averaged",),
    "correlations": ("studies.accuracy_and_robustness.relation.squared_pearson",),
    "predictors": ("studies.accuracy_and_robustness.relation.compare_predictors",),
    "width": (
        "advtransfer.statistics.intervals.mean_interval",
        "studies.accuracy_and_robustness.relation.contrast",
    ),
}
SETTINGS = (
    "architectures",
    "widths",
    "baseline",
    "metrics",
    "robustness",
    "known_accuracy",
    "bootstrap",
    "permutations",
)
# Factors of every predictor, by the columns of the points.
PREDICTORS: dict[str, tuple[str, ...]] = {
    "none": (),
    "accuracy": ("source_accuracy",),
    "robustness": ("source_robustness",),
    "epsilon": ("source_epsilon",),
    "accuracy_robustness": ("source_accuracy", "source_robustness"),
    "accuracy_epsilon": ("source_accuracy", "source_epsilon"),
}


def analyse(tables: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Table]:
    """Relate transfer to the accuracy, robustness and width of the sources.

    Args:
        tables: paths of the tables in ``READS``.
        settings: the study's name (``study``) and its settings in ``SETTINGS``.
    """
    networks = measured(read(tables["table"]), read(tables["sources"]), settings)
    compared = networks[networks["source_model"].isin(settings["architectures"])]
    points = averaged(compared)
    made: dict[str, tuple[Sequence[str], Iterable[Mapping[Any, Any]]]] = {
        "points": (POINT_COLUMNS, points.to_dict("records")),
        "correlations": (CORRELATION_COLUMNS, correlation_rows(compared, settings)),
        "predictors": (PREDICTOR_COLUMNS, predictor_rows(points, settings)),
        "width": (WIDTH_COLUMNS, width_rows(networks, settings)),
    }
    found: dict[str, Table] = {}
    for table, (columns, rows) in made.items():
        cells = [{str(name): shown(value) for name, value in row.items()} for row in rows]
        found[table] = (list(columns), [{"study": settings["study"], **row} for row in cells])
    log.info("%d networks, %d points", len(networks), len(points))
    return found


def shown(value: Any) -> Any:
    """A cell of a table: nothing where there is no number."""
    return "" if isinstance(value, float) and value != value else value


def read(path: str) -> pd.DataFrame:
    """A table of the study; empty norms (natural sources) stay text."""
    import io

    import pandas as pd

    from ...advtransfer.artifacts.sealed import csv_bytes

    names = (*WAY, "norm", "attack", "source", "source_model", "source_training", "source_norm")
    text = dict.fromkeys(names, "str")
    frame = pd.read_csv(
        io.BytesIO(csv_bytes(path)), dtype=text, keep_default_na=False, na_values=[""]
    )
    return frame.fillna(dict.fromkeys(names, ""))


def measured(
    table: pd.DataFrame, sources: pd.DataFrame, settings: Mapping[str, Any]
) -> pd.DataFrame:
    """One row a transferred network, with clean and robust accuracy of its own source.

    Accuracy after transfer is what the target is scored by. Repeated trials of a transfer are
    averaged. Of a source that could not be measured here the settings may know the clean accuracy.
    """
    import numpy as np

    scored = table["accuracy"]
    for target, metric in settings["metrics"].items():
        scored = scored.mask(table["target"] == target, table[metric])
    table = table.assign(accuracy=scored)
    keys = ["source", "source_model", *LEVEL, "source_seed", *WAY]
    networks = table.groupby(keys, sort=False, dropna=False)["accuracy"].mean().reset_index()
    own = ["source", "source_seed"]
    attack = settings["robustness"]
    attacked = (sources["attack"] == attack["attack"]) & (sources["norm"] == attack["norm"])
    attacked &= np.isclose(sources["epsilon"], attack["epsilon"], rtol=1e-6)
    for name, chosen in (
        ("source_accuracy", sources["attack"] == "none"),
        ("source_robustness", attacked),
    ):
        values = sources[chosen].groupby(own, sort=False)["accuracy"].mean().rename(name)
        networks = networks.join(values, on=own)
    for known in settings["known_accuracy"]:
        same = (networks["source_model"] == known["model"]) & (
            networks["source_training"] == known["training"]
        )
        networks.loc[same, "source_accuracy"] = known["accuracy"]
    return networks


def averaged(networks: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds: a row for every architecture, epsilon, target and way to transfer."""
    groups = networks.groupby([*WAY, "source_model", *LEVEL], sort=False, dropna=False)
    return groups.agg(
        source_accuracy=("source_accuracy", "mean"),
        source_robustness=("source_robustness", "mean"),
        accuracy_min=("accuracy", "min"),
        accuracy_max=("accuracy", "max"),
        accuracy=("accuracy", "mean"),
        n_seeds=("source_seed", "nunique"),
    ).reset_index()


def correlation_rows(networks: pd.DataFrame, settings: Mapping[str, Any]) -> Iterator[Row]:
    """R^2 of transfer on source accuracy over architectures, at every epsilon."""
    from .relation import squared_pearson

    draws = {name: settings[name] for name in ("bootstrap", "permutations")}
    for key, cell in groups(networks, (*WAY, *LEVEL)):
        x, y = (
            cell.pivot(index="source_model", columns="source_seed", values=name)
            for name in ("source_accuracy", "accuracy")
        )
        found = squared_pearson(x.to_numpy(), y.to_numpy(), **draws)
        yield {
            **key,
            "r_squared": found.value,
            "r_squared_low": found.ci_low,
            "r_squared_high": found.ci_high,
            "pearson": found.pearson.value,
            "pearson_low": found.pearson.ci_low,
            "pearson_high": found.pearson.ci_high,
            "p_value": found.pearson.p_value,
            "n_models": found.pearson.n_models,
            "n_rows": found.pearson.n_rows,
        }


def predictor_rows(points: pd.DataFrame, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Every predictor's errors on architectures that it was not fitted on.

    Sources that are natural or robust in the norm of the robustness alone: epsilons of different
    norms are no common scale.
    """
    from .relation import compare_predictors

    norm = settings["robustness"]["norm"]
    comparable = points[points["source_norm"].isin(["", norm])]
    for key, cell in groups(comparable, WAY):
        known = {
            name: [cell[factor].to_numpy(float) for factor in factors]
            for name, factors in PREDICTORS.items()
            if all(cell[factor].notna().any() for factor in factors)
        }
        if BASELINE not in known:
            continue
        found = compare_predictors(
            cell["source_model"].to_numpy(), cell["accuracy"].to_numpy(float), known, BASELINE
        )
        for name, row in found.items():
            yield {
                **key,
                "norm": norm,
                "predictor": name,
                "absolute_error": row.absolute_error,
                "root_mean_square_error": row.root_mean_square_error,
                **dict(zip(("gain", "gain_low", "gain_high"), row.gain, strict=True)),
                "r_squared_left_out": row.squared_left_out,
                "r_squared_in_sample": row.squared_in_sample,
                "n_models": row.n_groups,
                "n_points": row.n_points,
            }


def width_rows(networks: pd.DataFrame, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Accuracy at every width, what each step to the next width adds, and how much more it adds
    to a robust source than to a natural one."""
    from ...advtransfer.statistics.intervals import mean_interval
    from .relation import contrast

    widths: dict[str, int] = settings["widths"]
    rows = networks[networks["source_model"].isin(list(widths))]
    for way, cells in groups(rows, WAY):
        samples: dict[tuple[str, int], NDArray[np.float64]] = {}
        levels: dict[str, Row] = {}
        for key, cell in groups(cells, (*LEVEL, "source_model")):
            width = widths[key.pop("source_model")]
            levels[key["source_training"]] = key
            samples[key["source_training"], width] = cell["accuracy"].to_numpy(float)
        natural = settings["baseline"]
        for training, level in levels.items():
            own = sorted(width for name, width in samples if name == training)
            for width in own:
                values = samples[training, width]
                yield (
                    {**way, **level, "quantity": "accuracy", "width": width, "n_seeds": len(values)}
                    | bounds(mean_interval(values))
                )
            for narrow, wide in pairwise(own):
                step = {**way, **level, "width": wide, "from_width": narrow}
                pair = [samples[training, wide], samples[training, narrow]]
                n_seeds = min(map(len, pair))
                found = bounds(contrast(pair, [1, -1]))
                yield {**step, "quantity": "step", "n_seeds": n_seeds, **found}
                others = [samples.get((natural, width)) for width in (wide, narrow)]
                if training != natural and others[0] is not None and others[1] is not None:
                    four = [*pair, others[0], others[1]]
                    n_seeds = min(map(len, four))
                    found = bounds(contrast(four, [1, -1, -1, 1]))
                    quantity = "step_minus_natural"
                    yield {**step, "quantity": quantity, "n_seeds": n_seeds, **found}


def bounds(interval: Sequence[float]) -> Row:
    return dict(zip(("value", "ci_low", "ci_high"), interval, strict=True))


def groups(frame: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[Row, pd.DataFrame]]:
    """Parts of a table with the values that they have in common, in the order of first rows."""
    for values, part in frame.groupby(list(by), sort=False, dropna=False):
        yield dict(zip(by, values, strict=True)), part
