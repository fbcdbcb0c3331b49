"""Tables of the study of granularity: best epsilons, and what predicts them.

docs/results.md documents the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...advtransfer.errors import UserError
from ...advtransfer.metrics.granularity import LOGARITHMIC
from . import best_epsilon
from .columns import BEST_COLUMNS, PREDICTION_COLUMNS

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]

RESOLUTION = ("resolution", "pixels")
NO_SCORES: Mapping[str, str] = {}


def ranking_tables(
    transfers: Iterable[Row],
    measures: Iterable[Row],
    *,
    study: str,
    estimator: str,
    temperature: float,
    measure: str,
    basis: str,
    bootstrap: int,
    permutations: int,
    scores: Mapping[str, str] = NO_SCORES,
) -> tuple[Table, Table]:
    """Best epsilons of every target by every estimator, and how well measures predict them.

    Args:
        transfers: rows of the study's table of transferred networks.
        measures: rows of its table of measures.
        scores: the column that a target is scored by, where that is not ``accuracy``.
        estimator: the primary one, with ``measure`` on ``basis``; all others are exploratory.

    Raises:
        UserError: the primary measure is not among the rows, or see `best_epsilon.curves`.
    """
    chosen = [
        row
        for row in transfers
        if (row["study"], row["mode"], row["selection"]) == (study, "last_layer", "validation")
    ]
    known = [row for row in measures if row["study"] == study]
    if (measure, basis) not in {(row["measure"], row["basis"]) for row in known}:
        there = ", ".join(sorted({f"{row['measure']} of {row['basis']}" for row in known}))
        raise UserError(f"primary: no measure '{measure}' of {basis} was taken; there are {there}.")
    best_rows: list[Row] = []
    prediction_rows: list[Row] = []
    for model in dict.fromkeys(row["source_model"] for row in chosen):
        own = [row for row in chosen if row["source_model"] == model]
        targets = list(dict.fromkeys(row["target"] for row in own))
        datasets = {row["target"]: row["dataset"] for row in known}
        groups = [datasets[target] for target in targets]
        values = dict(_values([row for row in known if row["source_model"] == model], targets))
        curves = _curves(own, targets, bootstrap, scores)
        limits = best_epsilon.coordinate(curves.epsilons[[0, -1]], curves.epsilons)
        for name in best_epsilon.ESTIMATORS:
            found = best_epsilon.estimate(curves, name, temperature)
            fixed = {"study": study, "source_model": model, "estimator": name}
            for row in _best(own, curves, found):
                kind = {"dataset": datasets[row["target"]], "primary": int(name == estimator)}
                best_rows.append({**fixed, **kind, **row})
            for statistic, value in zip(
                ("intraclass_correlation", "effective_targets"),
                best_epsilon.dependence(found.value, groups),
                strict=True,
            ):
                prediction_rows.append(
                    {
                        **fixed,
                        "role": "dependence",
                        "statistic": statistic,
                        "value": _shown(value),
                        "n_targets": len(targets),
                        "n_groups": len(set(groups)),
                    }
                )
            for what, x in values.items():
                primary = (name, *what) == (estimator, measure, basis)
                role = "primary" if primary else "exploratory"
                given = None if what == RESOLUTION else values[RESOLUTION]
                for item in best_epsilon.predict(
                    x,
                    found,
                    groups,
                    given,
                    limits=(float(limits[0]), float(limits[1])),
                    bootstrap=bootstrap,
                    permutations=permutations,
                ):
                    prediction_rows.append(
                        {
                            **fixed,
                            "measure": what[0],
                            "basis": what[1],
                            "role": role,
                            "statistic": item.statistic,
                            "group": item.group,
                            "value": _shown(item.value),
                            "ci_low": _shown(item.low),
                            "ci_high": _shown(item.high),
                            "p_value": _shown(item.p_value),
                            "n_targets": item.n_targets,
                            "n_groups": item.n_groups,
                        }
                    )
    return (BEST_COLUMNS, best_rows), (PREDICTION_COLUMNS, prediction_rows)


def _values(
    rows: list[Row], targets: list[str]
) -> Iterator[tuple[tuple[str, str], best_epsilon.Floats]]:
    """Every measure of all targets: means over seeds, logarithms of ratios; nan: none."""
    for what in dict.fromkeys((row["measure"], row["basis"]) for row in rows):
        own: dict[str, list[float]] = {}
        for row in rows:
            if (row["measure"], row["basis"]) == what and row["value"] != "":
                own.setdefault(row["target"], []).append(float(row["value"]))
        found = np.array([np.mean(own.get(target, [np.nan])) for target in targets])
        yield what, np.log2(found) if what[0] in LOGARITHMIC else found


def _curves(
    rows: list[Row], targets: list[str], bootstrap: int, scores: Mapping[str, str]
) -> best_epsilon.Curves:
    """Accuracies by target, epsilon and seed; the mean over trials of a source."""
    epsilons = sorted({float(row["source_epsilon"]) for row in rows})
    cells: dict[tuple[int, int, str], list[float]] = {}
    for row in rows:
        where = targets.index(row["target"]), epsilons.index(float(row["source_epsilon"]))
        accuracy = float(row[scores.get(row["target"], "accuracy")])
        cells.setdefault((*where, row["source_seed"]), []).append(accuracy)
    seeds = sorted({seed for _, _, seed in cells})
    table = np.full((len(targets), len(epsilons), len(seeds)), np.nan)
    for (target, epsilon, seed), values in cells.items():
        table[target, epsilon, seeds.index(seed)] = np.mean(values)
    return best_epsilon.curves(table, epsilons, bootstrap)


def _best(
    rows: list[Row], curves: best_epsilon.Curves, found: best_epsilon.Estimate
) -> Iterator[Row]:
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
    """A number for a table; nothing where there is none."""
    return "" if np.isnan(value) else float(value)
