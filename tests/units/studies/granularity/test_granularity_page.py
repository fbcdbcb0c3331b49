"""The page of granularity and the tables behind it: what they say follows from the numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support import parts
from support.figure_tables import Row, write
from support.granularity_data import EPSILONS, RANKING, RECIPE, STUDY, TARGETS, measures, transfers
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.studies.columns import EVALUATION_COLUMNS
from workflow_scripts.studies.granularity import page as granularity_page
from workflow_scripts.studies.granularity.ranking import Ranking, ranking_tables


@pytest.fixture(scope="module")
def ranked() -> tuple[list[Row], list[Row]]:
    best, prediction = ranking_tables(transfers(), measures(), Ranking(**RANKING))
    return best[1], prediction[1]


def find(rows: list[Row], **conditions: Any) -> Row:
    (row,) = [r for r in rows if all(r.get(k, "") == v for k, v in conditions.items())]
    return row


# Tables ------------------------------------------------------------------------------------------


def test_best_epsilon_of_known_peaks(ranked):
    for target, (dataset, _, peak) in TARGETS.items():
        row = find(ranked[0], target=target, estimator="vertex")
        assert row["epsilon"] == pytest.approx((2**peak - 1) * 0.125, rel=0.25)
        assert row["ci_low"] <= row["epsilon"] <= row["ci_high"]
        assert (row["dataset"], row["primary"], row["n_seeds"]) == (dataset, 1, 3)
    assert find(ranked[0], target="near", estimator="grid")["primary"] == 0


def test_measures_made_from_the_peaks_predict_them(ranked):
    of = {"estimator": "vertex", "measure": "class_separation", "basis": "features"}
    row = find(ranked[1], statistic="spearman", group="", **of)
    assert row["value"] < -0.9 and row["role"] == "primary" and row["n_targets"] == len(TARGETS)
    assert find(ranked[1], statistic="left_out_error", group="mnist", **of)["n_targets"] == 3
    noise = find(
        ranked[1],
        statistic="spearman",
        group="",
        estimator="vertex",
        measure="twonn",
        basis="pixels",
    )
    assert abs(noise["value"]) < 0.8 and noise["role"] == "exploratory"


def test_targets_without_a_measure_are_not_counted(ranked):
    of = {"estimator": "vertex", "measure": "label_depth", "statistic": "spearman", "group": ""}
    assert find(ranked[1], **of)["n_targets"] == 5


def test_resolution_is_not_held_fixed_for_itself(ranked):
    names = {r["statistic"] for r in ranked[1] if r.get("measure") == "resolution"}
    assert "spearman_given_resolution" not in names and "spearman" in names


def test_other_selections_and_modes_do_not_count(ranked):
    more = [{**row, "selection": "test", "accuracy": "0.1"} for row in transfers()]
    more += [{**row, "mode": "full_network", "accuracy": "0.1"} for row in transfers()]
    best, _ = ranking_tables([*transfers(), *more], measures(), Ranking(**RANKING))
    assert best[1] == ranked[0]


def test_a_primary_measure_that_was_not_taken_is_told():
    ranking = Ranking(**(RANKING | {"measure": "label_depth", "basis": "pixels"}))
    with pytest.raises(UserError, match="no measure 'label_depth' of pixels was taken; there are"):
        ranking_tables(transfers(), measures(), ranking)


# Page --------------------------------------------------------------------------------------------


def sources() -> list[Row]:
    rows = []
    for training, epsilon in EPSILONS.items():
        for attack, norm, radius, accuracy in (("none", "", "", 0.7), ("pgd", "l2", 0.5, 0.3)):
            rows.append(
                {
                    **dict.fromkeys(EVALUATION_COLUMNS, ""),
                    "study": STUDY,
                    "source_model": "resnet8",
                    "source_training": training,
                    "source_epsilon": epsilon,
                    "source_seed": 0,
                    "attack": attack,
                    "norm": norm,
                    "epsilon": radius,
                    "accuracy": accuracy,
                }
            )
    return rows


def page(folder: Path, seeds: int = 3) -> str:
    from support.granularity_data import make_tables

    make_tables(folder, seeds)
    write(folder / "sources.csv", sources())
    settings = {**RECIPE, "trainings": list(EPSILONS)}
    names = ("table", "sources", "measures", "best", "prediction")
    tables = {name: str(folder / f"{name}.csv") for name in names}
    return parts.page(STUDY, tables, settings, {"images measured": 2000})


def test_page(tmp_path):
    text = page(tmp_path)
    assert "The claim is supported:" in text
    assert "the lower the resolution, the larger the best epsilon" in text
    assert "between / within classes, features: rank correlation" in text
    assert "worth" in text and "independent ones" in text
    assert "images measured" in text
    assert not re.search(r"\bnan\b", text)
    assert "<script" not in text and "http://" not in text
    # Every target and every measure has its line.
    assert text.count('<th scope="row">near 8</th>') == 3
    assert "between / within classes, features (primary)" in text


def test_page_says_what_was_named_before(tmp_path):
    text = re.sub(r"\s+", " ", page(tmp_path))
    named = text[text.index("Two things were named before anything was run") :]
    assert "resolution with the best epsilon within datasets" in named[:500]
    assert "between / within classes, features: rank correlation" in named[:800]


def test_page_is_true_of_every_protocol(tmp_path):
    """Heads may be trained by SGD, sources may be large, the hierarchy may be missing."""
    text = page(tmp_path)
    for words in ("solved to their optimum", "small images", "small targets", "is our own"):
        assert words not in text


def test_page_of_one_seed_has_no_intervals_of_seeds(tmp_path):
    text = page(tmp_path, seeds=1)
    table = text[text.index("Best epsilon [95 % interval") :]
    assert "[" not in table[: table.index("</table>")].partition("<tbody>")[2]


@pytest.mark.parametrize(
    ("low", "high", "headline"),
    [
        (-0.9, -0.2, "The claim is supported:"),
        (0.2, 0.9, "Opposite sign:"),
        (-0.4, 0.3, "Inconclusive:"),
        (float("nan"), float("nan"), "Not measurable:"),
    ],
)
def test_verdict_follows_from_the_interval(low, high, headline):
    row = {
        "measure": "resolution",
        "basis": "pixels",
        "statistic": "spearman_within",
        "group": "",
        "value": (low + high) / 2,
        "ci_low": low,
        "ci_high": high,
        "p_value": 0.03,
    }
    assert granularity_page.verdict(pd.DataFrame([row]))["headline"] == headline
