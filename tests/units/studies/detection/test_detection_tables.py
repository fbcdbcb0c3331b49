"""The tables of detection: every detector's numbers, with what they are about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.detection_config import study_of
from support.workflow import ROOT
from workflow_scripts import train_detector
from workflow_scripts.advtransfer.addresses import block_path, source_path
from workflow_scripts.advtransfer.artifacts.table_writer import write_rows
from workflow_scripts.advtransfer.detection.paths import detector_path
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.studies.columns import EVALUATION_COLUMNS
from workflow_scripts.studies.detection import columns, tables
from workflow_scripts.studies.source_tables import source_table

DOCS = (ROOT / "workflow_scripts/studies/detection/README.md").read_text()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every file that the study's tables are gathered from; values say whose they are."""
    monkeypatch.chdir(tmp_path)
    study = study_of({})
    for k, (source, task, seed) in enumerate(study.detectors()):
        rows = [
            {
                "seed": seed,
                "of": of,
                "metric": metric,
                "value": value,
                "n_images": 200,
                "n_objects": 468,
            }
            for of in task.quantities
            for metric, value in (("AP", 0.01 * k), ("AP_large", ""))
        ]
        folder = source.recipe, seed, task.recipe
        write_rows(detector_path(*folder, "ap.csv"), rows, train_detector.COLUMNS)
        history = [{"epoch": n, "train_loss": 3 - n} for n in (1, 2)]
        write_rows(detector_path(*folder, "history.csv"), history, ["epoch", "train_loss"])
    for source in study.sources:
        evaluation = study.evaluation(source)
        for seeds in source.seed_blocks:
            rows = [
                {
                    "seed": seed,
                    "attack": "none",
                    "norm": "",
                    "epsilon": 0,
                    "accuracy": 0.5 + seed,
                    "n_images": 300,
                }
                for seed in seeds
            ]
            path = block_path("evaluations", source.recipe, seeds, evaluation, "csv")
            write_rows(path, rows, list(rows[0]))
            for seed in seeds:
                history = [{"epoch": n, "seconds": 1.5} for n in (1, 2)]
                path = source_path(source.recipe, seed, "history.csv")
                write_rows(path, history, ["epoch", "seconds"])
    assert all(Path(file).is_file() for file in study.files())
    return study


def test_table_has_every_detector_under_its_names(made: Any) -> None:
    columns, rows = tables.ap_table(made)
    assert len(rows) == 2 * (12 + 2 * 9)
    assert all(set(row) == set(columns) for row in rows)
    for k, (source, task, seed) in enumerate(made.detectors()):
        own = [
            row
            for row in rows
            if (row["source_training"], row["task"], row["source_seed"])
            == (source.training, task.name, seed)
        ]
        assert {row["value"] for row in own} == {f"{0.01 * k:.10g}", ""}
        assert {row["of"] for row in own} == set(task.quantities)
    quarter = next(row for row in rows if row["source_training"] == "robust_l2_quarter")
    named = [quarter[name] for name in ("robust", "source_norm", "source_epsilon", "detector")]
    assert named == [1, "l2", 0.25, "faster_rcnn"]
    assert (quarter["epochs"], quarter["train_loss"]) == (2, "1")


def test_sources_come_with_their_accuracy(made: Any) -> None:
    columns, rows = source_table(made)
    assert len(rows) == 4 * 3
    assert all(set(row) == set(columns) for row in rows)
    assert {(row["source_seed"], row["accuracy"]) for row in rows} == {
        ("0", "0.5"),
        ("1", "1.5"),
        ("2", "2.5"),
    }
    assert {(row["epochs"], row["seconds"]) for row in rows} == {(2, "3.0")}
    steps = {row["source_training"]: row["passes"] // row["epochs"] for row in rows}
    assert steps["natural"] == 1 < steps["robust_l2"]


def test_a_table_that_was_edited_is_refused(made: Any) -> None:
    source, task, seed = next(iter(made.detectors()))
    file = Path(detector_path(source.recipe, seed, task.recipe, "ap.csv"))
    file.write_text(file.read_text().replace("0,", "1,", 1) + "\n")
    with pytest.raises(UserError, match="does not have its checksum"):
        tables.ap_table(made)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("detection", columns.AP_COLUMNS),
        ("detection_sources", EVALUATION_COLUMNS),
        ("detection_differences", columns.DIFFERENCE_COLUMNS),
    ],
)
def test_columns_are_documented(name: str, columns: list[str]) -> None:
    section = DOCS.split(f"### `{name}.csv`", 1)[1].split("###", 1)[0]
    listed = re.search(r"^(`study`(?:,\s`[a-z0-9_]+`)+)$", section, re.MULTILINE)
    assert listed is not None and re.findall(r"`(\w+)`", listed[1]) == list(columns)
