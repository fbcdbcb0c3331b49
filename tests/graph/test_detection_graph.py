"""The graph of the study of detection: what is planned, and what an edit re-runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from support.plans import DryRun, dry_run, job_of
from support.workflow import copy_workflow, snakemake

STUDY = "detection"
Plans = Callable[..., DryRun]
DETECTOR_STAGES = {"make_detection_data", "train_detector", f"{STUDY}_tables"}


def overlay(folder: Path, **task: object) -> tuple[str, str]:
    file = folder / "overlay.yaml"
    file.write_text(yaml.safe_dump(task))
    return "--configfile", str(file)


def test_study_is_planned(planned: Plans) -> None:
    plan = planned(STUDY, config=())
    assert plan.counts["make_detection_data"] == 1
    assert plan.counts["train_detector"] == 21
    assert plan.counts["train_source"] == 12
    for name in ("average_precision.svg", "ap_differences.svg", "detections.png"):
        assert f"results/figures/{STUDY}/{name}" in plan.outputs
    job = job_of(plan, "train_detector", "natural", "mask_rcnn", "seed1")
    source = [file for file in job.input if "/sources/" in file]
    assert len(source) == 1 and "/seed1/" in source[0]  # a detector has its source's seed
    assert "workflow_scripts/advtransfer/models/families/resnet.py" in job.input
    assert "workflow_scripts/advtransfer/detection/training.py" in job.input
    pictures = job_of(plan, "detection_detections")
    assert sum(file.endswith("predictions.json") for file in pictures.input) == 2


def test_plain_snakemake_trains_no_detector(planned: Plans) -> None:
    assert not DETECTOR_STAGES & set(planned(config=()).counts)


def test_fewer_seeds_and_a_path_alone(pristine: Path, tmp_path: Path) -> None:
    studies = {STUDY: {"sources": {"seeds": [[4]]}, "tasks": {"instance_segmentation": None}}}
    config = overlay(tmp_path, label="mine", studies=studies)
    plan = dry_run(pristine, STUDY, config=config)
    assert plan.counts["train_detector"] == 4
    assert f"results/mine/tables/{STUDY}.csv" in plan.outputs


def test_composed_data_can_be_exported(planned: Plans) -> None:
    plan = planned(STUDY, config=())
    (data,) = job_of(plan, "make_detection_data").output
    folder = data.replace("data/detection", "data/coco").removesuffix(".h5")
    assert planned(folder, config=()).counts["export_detection_data"] == 1


def test_paper_waits_for_its_files(pristine: Path) -> None:
    told = snakemake(pristine, STUDY, "-n", "--configfile", "configs/paper.yaml")
    assert told.returncode != 0
    assert "Missing input files for rule import_source" in told.stdout
    assert "Traceback" not in told.stdout


def test_paper_is_planned_once_the_checkpoints_are_there(tmp_path: Path) -> None:
    copy_workflow(tmp_path)
    paper = yaml.safe_load((tmp_path / "configs/paper.yaml").read_text())
    (tmp_path / "checkpoints").mkdir()
    for part in paper["checkpoints"].values():
        (tmp_path / part["file"]).write_text(part["training"])
        (tmp_path / part["classes_file"]).write_text("one\ntwo\n")
    plan = dry_run(tmp_path, STUDY, config=("--configfile", "configs/paper.yaml"))
    assert plan.counts["train_detector"] == 13 + 4 + 4
    assert plan.counts["make_detection_data"] == 2
    assert plan.counts["import_source"] == 13
    assert "fetch_dataset" not in plan.counts


def test_unknown_class_is_told_before_anything_is_fetched(pristine: Path, tmp_path: Path) -> None:
    composed = {"object_classes": ["Trousers"]}
    data = {"detection": {"fashion_scenes": {"composed": composed}}}
    told = snakemake(pristine, STUDY, "-n", *overlay(tmp_path, data=data))
    assert told.returncode != 0
    assert "no class 'Trousers'. Did you mean 'Trouser'?" in told.stdout
