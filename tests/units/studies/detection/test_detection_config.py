"""The study of detection in the configuration: what it plans, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from support.config import DEFAULTS, DELETE, IMPORTED, addresses, changed, message
from support.detection_config import STUDY, study_of
from support.efficiency_config import with_overlay
from support.told import as_collected, facts_of
from workflow_scripts.advtransfer.addresses import address
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.detection.paths import detection_data_path, detector_path
from workflow_scripts.studies.detection.design import MISSING
from workflow_scripts.studies.plan import index_rows, make_plan

KEY = f"studies.{STUDY}"
DATA = "data.detection.fashion_scenes"
COMPOSED = f"{DATA}.composed"
BOXES = f"{KEY}.tasks.box_detection"
COCO = {
    split: {"annotations": f"no/instances_{split}.json", "images": f"no/{split}"}
    for split in ("train", "val")
}


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({f"{KEY}.baseline": "naturl"}, [f"{KEY}.baseline", "'naturl'", "natural, robust_l2_q"]),
        ({f"{KEY}.robust": "robust_linf"}, [f"{KEY}.robust", "'robust_linf'"]),
        ({f"{KEY}.robust": "natural"}, [f"{KEY}.robust", "another training than the baseline"]),
        (
            {
                "checkpoints.mine": {**IMPORTED, "epsilon": 3},
                f"{KEY}.sources.checkpoints": ["mine"],
            },
            ["checkpoints.mine.norm is missing"],
        ),
        ({f"{BOXES}.data": "coco"}, [f"{BOXES}.data: no 'coco'", "there are fashion_scenes"]),
        (
            {f"{BOXES}.trainings": ["natural", "robust_lw"]},
            [f"{BOXES}.trainings: 'robust_lw'", "natural, robust_l2_quarter"],
        ),
        ({f"{BOXES}.trainings": ["natural"]}, [f"{BOXES}.trainings: the robust, 'robust_l2'"]),
        ({f"{BOXES}.detector.anchors": [8]}, [f"{BOXES}.detector.anchors: 1 sizes for 2 levels"]),
        ({f"{BOXES}.detector.min_size": 65}, [f"{BOXES}.detector: min_size (65) is above"]),
        ({f"{BOXES}.detector.epoch": 3}, [f"{BOXES}.detector.epoch: no such key", "'epochs'"]),
        ({f"{BOXES}.detector.learning_rate": "5e-2"}, ["write 0.05"]),
        ({f"{BOXES}.masks": DELETE}, [f"{BOXES}.masks is missing", "Mask R-CNN"]),
        ({f"{BOXES}.detector.decays": [1.5]}, [f"{BOXES}.detector.decays[0]", "1.5"]),
        # Data.
        ({f"{DATA}.coco": COCO}, [f"{DATA}: give exactly one of composed, coco, voc"]),
        ({COMPOSED: DELETE}, [f"{DATA}: give exactly one of composed, coco, voc"]),
        ({f"{DATA}.areas": [24, 16]}, [f"{DATA}.areas", "below the second"]),
        ({f"{COMPOSED}.objects": "svhn"}, [f"{COMPOSED}.objects: no 'svhn' in `data.datasets`"]),
        ({f"{COMPOSED}.scales": [40, 16]}, [f"{COMPOSED}.scales: 40 is above 16"]),
        ({f"{COMPOSED}.scales": [40, 80]}, [f"{COMPOSED}.scales", "80 pixels do not fit", "64"]),
        ({f"{COMPOSED}.objects_per_image": [1]}, [f"{COMPOSED}.objects_per_image"]),
        (
            {f"{COMPOSED}.background_classes": ["dog", "cat"]},
            [BOXES, "sources are trained on cat", "backgrounds"],
        ),
    ],
)
def test_mistake_is_named(changes: dict[str, Any], parts: list[str]) -> None:
    text = message(changed(changes))
    for part in parts:
        assert part in text, text


def voc(root: str, **changes: Any) -> dict[str, Any]:
    part = {"root": root, "train": ["2007/trainval", "2012/trainval"], "val": ["2007/test"]}
    return {"data.detection.voc": {"voc": part | changes}, f"{BOXES}.data": "voc"}


def test_mistakes_with_voc() -> None:
    masks = message(changed(voc("x") | {f"{BOXES}.masks": True}))
    assert f"{BOXES}.masks" in masks and "read for its boxes" in masks
    assert "2007/test is in train and in val" in message(changed(voc("x", train=["2007/test"])))
    assert "as in 2007/trainval" in message(changed(voc("x", val=["test"])))


# Plans -------------------------------------------------------------------------------------------


def test_default_trains_every_source_and_seed_for_its_tasks() -> None:
    study = study_of({})
    detectors = [(i.training, t.name, seed) for i, t, seed in study.detectors()]
    assert len(detectors) == len(set(detectors)) == 4 * 3 + 3 * 3
    assert ("robust_l2_quarter", "instance_segmentation", 0) not in detectors
    norms = {i.training: (i.norm, i.epsilon) for i in study.sources}
    assert norms["robust_l2_quarter"] == ("l2", 0.25)
    assert norms["natural"] == norms["untrained"] == ("", 0)


def test_sources_are_shared_with_the_other_studies() -> None:
    plan = make_plan(DEFAULTS)
    others = {address(s.recipe) for s in plan.studies["data_efficiency"].sources}
    assert {address(i.recipe) for i in plan.studies[STUDY].sources} <= others


def test_sources_saw_no_background() -> None:
    composed = DEFAULTS["data"]["detection"]["fashion_scenes"]["composed"]
    seen = {
        name
        for part in DEFAULTS["studies"].values()
        if part["sources"].get("dataset") == "cifar10"
        for name in part["sources"].get("classes", [])
    }
    assert not seen & set(composed["background_classes"])


def test_class_names_are_in_one_form_of_unicode() -> None:
    """That of datasets, whatever system the configuration was written on."""
    study = study_of({f"{COMPOSED}.background_classes": ["cafe\u0301", "ship"]})
    composed = study.tasks[0].recipe.data.composed
    assert composed is not None and composed.background_classes == ("caf\u00e9", "ship")


def test_one_more_training_adds_its_own_detectors() -> None:
    before = {detector_path(i.recipe, s, t.recipe, "") for i, t, s in study_of({}).detectors()}
    trainings = [*DEFAULTS["studies"][STUDY]["sources"]["trainings"], "robust_linf"]
    after = study_of({f"{KEY}.sources.trainings": trainings})
    added = [
        d
        for d in after.detectors()
        if detector_path(d[0].recipe, d[2], d[1].recipe, "") not in before
    ]
    assert len(added) == 3
    assert {i.training for i, _, _ in added} == {"robust_linf"}


def test_settings_change_what_depends_on_them() -> None:
    def paths(changes: dict[str, Any]) -> tuple[set[str], set[str]]:
        study = study_of(changes)
        return (
            {detection_data_path(task.recipe.data) for task in study.tasks},
            {detector_path(i.recipe, s, t.recipe, "") for i, t, s in study.detectors()},
        )

    data, detectors = paths({})
    slower = paths({f"{BOXES}.detector.epochs": 20})
    assert slower[0] == data and len(slower[1] & detectors) == 9  # segmentation's stay
    bigger = paths({f"{COMPOSED}.train_images": 500})
    assert not bigger[0] & data and not bigger[1] & detectors
    # What is torchvision's default is no other recipe for being written down.
    assert paths({f"{BOXES}.detector.momentum": 0.9}) == (data, detectors)


def test_no_other_study_changes() -> None:
    removed = {KEY: DELETE, "data.detection": DELETE}
    without, everything = changed(removed), addresses({})
    for kind, found in addresses(removed).items():
        assert found <= everything[kind]
    assert make_plan(without).slices.items() < make_plan(DEFAULTS).slices.items()


def test_index_and_tables_find_every_detector() -> None:
    plan = make_plan(DEFAULTS)
    study = plan.studies[STUDY]
    rows = [row for row in index_rows(plan) if row["study"] == STUDY]
    indexed = {row["path"] for row in rows if row["kind"] == "detector"}
    assert len(indexed) == 21
    files = study.files()
    assert {path.replace("model.safetensors", "ap.csv") for path in indexed} <= set(files)
    part = json.loads(plan.slices[STUDY])
    assert list(part["data"]["detection"]) == ["fashion_scenes"]
    assert as_collected(plan, STUDY).files() == files


def test_pictures_are_of_masks_on_baseline_and_robust() -> None:
    task, files = study_of({}).pictured()
    assert task.name == "instance_segmentation"
    assert list(files) == ["natural", "robust_l2"]
    assert all("/seed0/" in path and path.endswith("predictions.json") for path in files.values())
    task, _ = study_of({f"{KEY}.tasks.instance_segmentation": DELETE}).pictured()
    assert task.name == "box_detection"


def test_figures_compare_one_architecture() -> None:
    """The first that has both trainings, wherever in the list it stands."""
    mine = {**IMPORTED, "training": "robust_l2", "norm": "l2", "epsilon": 0.5}
    changes: dict[str, Any] = {
        "checkpoints.a": {**mine, "model": "resnet14"},
        f"{KEY}.sources": {**DEFAULTS["studies"][STUDY]["sources"], "checkpoints": ["a"]},
    }
    study = study_of(changes)
    assert study.model == "resnet8"
    assert all("/resnet-cifar10" in path for path in study.pictured()[1].values())
    changes[f"{KEY}.sources"] = {"checkpoints": ["a", "b"]}
    changes["checkpoints.b"] = {**IMPORTED, "training": "natural", "epsilon": 0}
    for task in DEFAULTS["studies"][STUDY]["tasks"]:
        changes[f"{KEY}.tasks.{task}.trainings"] = ["natural", "robust_l2"]
    assert "no architecture has both" in message(changed(changes))


def test_page_says_what_was_done() -> None:
    facts = facts_of(make_plan(DEFAULTS), STUDY)
    assert "Mask R-CNN" in facts["instance_segmentation"]
    assert "composed of fashion_mnist on cifar10 (dog, horse, ship, truck)" in str(facts)


def test_annotations_are_addressed_by_content(tmp_path: Path) -> None:
    def data_of() -> Any:
        study = study_of({"data.detection.mine": {"coco": part}, f"{BOXES}.data": "mine"})
        return study.tasks[0].recipe.data

    part = {
        split: {"annotations": str(tmp_path / f"{split}.json"), "images": str(tmp_path / split)}
        for split in ("train", "val")
    }
    assert data_of().coco.sha256 == (MISSING, MISSING)  # planned, not made
    for split in part:
        (tmp_path / f"{split}.json").write_text(split)
    first = data_of()
    assert first.coco.sha256[0] == hashlib.sha256(b"train").hexdigest()
    (tmp_path / "val.json").write_text("other")
    assert address(data_of()) != address(first)


def test_paper_has_the_published_epsilons() -> None:
    from workflow_scripts.studies.detection.published import EPSILONS

    plan = make_plan(with_overlay("paper"), class_names)
    study = plan.studies[STUDY]
    networks, others = (
        {address(source.recipe) for source in sources if source.training in ("natural", "l2_0_5")}
        for sources in (study.sources, plan.studies["fixed_vs_full"].sources)
    )
    assert len(networks) == 2 and networks < others  # a file is one source
    radii = {i.training: i.epsilon for i in study.sources}
    found = {
        task.name: tuple(sorted(radii[name] for name in task.trainings)) for task in study.tasks
    }
    assert found == {
        "voc_detection": EPSILONS["VOC detection"],
        "coco_detection": EPSILONS["COCO detection"],
        "coco_segmentation": EPSILONS["COCO segmentation"],
    }
    assert {task.recipe.masks for task in study.tasks} == {False, True}
