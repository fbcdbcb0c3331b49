"""Tables of the study of granularity: best epsilons, and what predicts them.

The study's README documents the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...advtransfer.errors import UserError
from ...advtransfer.metrics.granularity import LOGARITHMIC
from . import best_epsilon
from .columns import BEST_COLUMNS, PREDICTION_COLUMNS

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]
What = tuple[str, str]  # a measure, and what it was taken of

RESOLUTION = ("resolution", "pixels")


@dataclass(frozen=True)
class Ranking:
    """What the tables are of, and how they are computed."""

    study: str
    estimator: str  # the primary one, with `measure` on `basis`; all others are exploratory
    temperature: float
    measure: str
    basis: str
    bootstrap: int
    permutations: int
    # Of a target the column that it is scored by, where that is not `accuracy`.
    scores: Mapping[str, str] = field(default_factory=dict)


class Known(NamedTuple):
    """What is known of an architecture's targets before any estimate is chosen."""

    groups: list[str]  # the dataset of every target
    values: dict[What, best_epsilon.Floats]  # of every measure, one a target
    curves: best_epsilon.Curves


def ranking_tables(
    transfers: Iterable[Row], measures: Iterable[Row], ranking: Ranking
) -> tuple[Table, Table]:
    """Return the best epsilon of every target by every estimator, and how well measures predict it.

    Args:
        transfers: rows of the study's table of transferred networks.
        measures: rows of its table of measures.

    Raises:
        UserError: the primary measure is not among the rows, or see `best_epsilon.curves`.
    """
    chosen = [
        row
        for row in transfers
        if (row["study"], row["mode"], row["selection"])
        == (ranking.study, "last_layer", "validation")
    ]
    taken = [row for row in measures if row["study"] == ranking.study]
    _check_primary(taken, ranking)
    datasets = {row["target"]: row["dataset"] for row in taken}
    best_rows: list[Row] = []
    prediction_rows: list[Row] = []
    for model in dict.fromkeys(row["source_model"] for row in chosen):
        own = [row for row in chosen if row["source_model"] == model]
        targets = list(dict.fromkeys(row["target"] for row in own))
        known = Known(
            groups=[datasets[target] for target in targets],
            values=dict(_values([row for row in taken if row["source_model"] == model], targets)),
            curves=_curves(own, targets, ranking),
        )
        for name in best_epsilon.ESTIMATORS:
            found = best_epsilon.estimate(known.curves, name, ranking.temperature)
            fixed = {"study": ranking.study, "source_model": model, "estimator": name}
            for row in _best(own, known.curves, found):
                kind = {
                    "dataset": datasets[row["target"]],
                    "primary": int(name == ranking.estimator),
                }
                best_rows.append({**fixed, **kind, **row})
            prediction_rows += [{**fixed, **row} for row in _dependence(known.groups, found)]
            prediction_rows += [
                {**fixed, **row} for row in _predictions(known, found, name, ranking)
            ]
    return (BEST_COLUMNS, best_rows), (PREDICTION_COLUMNS, prediction_rows)


def _check_primary(measures: list[Row], ranking: Ranking) -> None:
    """Refuse a primary measure that was not taken."""
    taken = {(row["measure"], row["basis"]) for row in measures}
    if (ranking.measure, ranking.basis) not in taken:
        there = ", ".join(sorted({f"{measure} of {basis}" for measure, basis in taken}))
        raise UserError(
            f"primary: no measure '{ranking.measure}' of {ranking.basis} was taken; there are "
            f"{there}."
        )


def _dependence(groups: list[str], found: best_epsilon.Estimate) -> Iterator[Row]:
    """How alike the best epsilons of one dataset are."""
    names = ("intraclass_correlation", "effective_targets")
    values = best_epsilon.dependence(found.value, groups)
    for statistic, value in zip(names, values, strict=True):
        yield {
            "role": "dependence",
            "statistic": statistic,
            "value": _shown(value),
            "n_targets": len(groups),
            "n_groups": len(set(groups)),
        }


def _predictions(
    known: Known, found: best_epsilon.Estimate, estimator: str, ranking: Ranking
) -> Iterator[Row]:
    """How well every measure predicts the best epsilons that an estimator found."""
    epsilons = known.curves.epsilons
    low, high = best_epsilon.coordinate(epsilons[[0, -1]], epsilons)
    for what, values in known.values.items():
        primary = (estimator, *what) == (ranking.estimator, ranking.measure, ranking.basis)
        predictions = best_epsilon.predict(
            values,
            found,
            known.groups,
            None if what == RESOLUTION else known.values[RESOLUTION],
            limits=(float(low), float(high)),
            bootstrap=ranking.bootstrap,
            permutations=ranking.permutations,
        )
        for item in predictions:
            yield {
                "measure": what[0],
                "basis": what[1],
                "role": "primary" if primary else "exploratory",
                "statistic": item.statistic,
                "group": item.group,
                "value": _shown(item.value),
                "ci_low": _shown(item.low),
                "ci_high": _shown(item.high),
                "p_value": _shown(item.p_value),
                "n_targets": item.n_targets,
                "n_groups": item.n_groups,
            }


def _values(rows: list[Row], targets: list[str]) -> Iterator[tuple[What, best_epsilon.Floats]]:
    """Yield every measure with its value for each target: the mean over seeds, as a logarithm where
    ratios mean something; nan where it was not taken."""
    for what in dict.fromkeys((row["measure"], row["basis"]) for row in rows):
        own: dict[str, list[float]] = {}
        for row in rows:
            if (row["measure"], row["basis"]) == what and row["value"] != "":
                own.setdefault(row["target"], []).append(float(row["value"]))
        found = np.array([np.mean(own.get(target, [np.nan])) for target in targets])
        yield what, np.log2(found) if what[0] in LOGARITHMIC else found


def _curves(rows: list[Row], targets: list[str], ranking: Ranking) -> best_epsilon.Curves:
    """Return accuracies by target, epsilon and seed: means over a source's trials."""
    epsilons = sorted({float(row["source_epsilon"]) for row in rows})
    cells: dict[tuple[int, int, str], list[float]] = {}
    for row in rows:
        where = targets.index(row["target"]), epsilons.index(float(row["source_epsilon"]))
        accuracy = float(row[ranking.scores.get(row["target"], "accuracy")])
        cells.setdefault((*where, row["source_seed"]), []).append(accuracy)
    seeds = sorted({seed for _, _, seed in cells})
    table = np.full((len(targets), len(epsilons), len(seeds)), np.nan)
    for (target, epsilon, seed), values in cells.items():
        table[target, epsilon, seeds.index(seed)] = np.mean(values)
    return best_epsilon.curves(table, epsilons, ranking.bootstrap)


def _best(
    rows: list[Row], curves: best_epsilon.Curves, found: best_epsilon.Estimate
) -> Iterator[Row]:
    """Yield the best epsilon of every target, with its interval."""
    targets = list(dict.fromkeys(row["target"] for row in rows))
    norms = [row["source_norm"] for row in rows if row["source_norm"]]
    back = [
        best_epsilon.epsilon_at(part, curves.epsilons)
        for part in (found.value, found.low, found.high)
    ]
    for k, target in enumerate(targets):
        own = [row for row in rows if row["target"] == target]
        seeds = {
            epsilon: len({row["source_seed"] for row in own if row["source_epsilon"] == epsilon})
            for epsilon in {row["source_epsilon"] for row in own}
        }
        yield {
            "source_norm": norms[0] if norms else "",
            "target": target,
            "epsilon": _shown(back[0][k]),
            "ci_low": _shown(back[1][k]),
            "ci_high": _shown(back[2][k]),
            "natural_accuracy": float(curves.means[k, 0]),
            "n_seeds": min(seeds.values()),
            "n_test": own[0]["n_test"],
        }


def _shown(value: float) -> float | str:
    """Return a number as a table shows it: empty where there is none."""
    return "" if np.isnan(value) else float(value)
