"""Detectors on the project's networks: backbones, what is frozen, training, detections."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.steps import run_step
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.detection.annotations import checked
from workflow_scripts.advtransfer.detection.backbone import build_detector
from workflow_scripts.advtransfer.detection.compose import compose
from workflow_scripts.advtransfer.detection.data_recipe import (
    CocoRecipe,
    ComposedRecipe,
    DetectionDataRecipe,
)
from workflow_scripts.advtransfer.detection.evaluate import average_precision, detect
from workflow_scripts.advtransfer.detection.recipe import DetectorRecipe
from workflow_scripts.advtransfer.detection.scenes import Scenes, Target
from workflow_scripts.advtransfer.detection.training import fit_detector, learning_rate, mirrored
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network
from workflow_scripts.advtransfer.recipes import to_json, to_plain

CPU = torch.device("cpu")
RECIPE = DetectorRecipe(
    data=DetectionDataRecipe("squares"),
    masks=True,
    epochs=2,
    batch_size=4,
    learning_rate=0.02,
    anchors=(10, 20),
    levels=2,
    warmup=2,
    min_size=32,
    max_size=32,
    channels=8,
    hidden=16,
    pooled=3,
    mask_layers=1,
    proposals=16,
    anchors_sampled=16,
    rois_sampled=16,
    detections=10,
)
RESNET = ModelRecipe("resnet", {"width": 8, "blocks": [1, 1, 1], "stem_stride": 2})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small: more threads mostly wait for each other, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(recipe: ModelRecipe = RESNET, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build_network(recipe, 6, 32)


def detector(recipe: DetectorRecipe = RECIPE, **options: Any) -> Any:
    built = network(**options)
    torch.manual_seed(1)
    return build_detector(built, recipe, classes=2)


def squares(images: int = 8) -> Scenes:
    """Bright squares and bars on noise."""
    objects = np.zeros((2, 10, 10, 3), np.uint8)
    objects[0] = 250
    objects[1, 3:7] = 250
    composed = ComposedRecipe(
        objects=DatasetRecipe("fashion_mnist"),
        object_classes=("square", "bar"),
        backgrounds=DatasetRecipe("cifar10"),
        background_classes=("ship",),
        size=32,
        train_images=images,
        val_images=images,
        objects_per_image=(1, 2),
        scales=(10, 16),
    )
    noise = np.random.default_rng(0).integers(0, 90, (5, 32, 32, 3), dtype=np.uint8)
    pixels, content = compose(composed, "train", (objects, np.array([0, 1])), noise, images)
    return Scenes(content, pixels, "")


# Backbones ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "levels", "strides"),
    [
        (RESNET, 2, [4, 8]),
        (RESNET, 3, [2, 4, 8]),
        (
            ModelRecipe("resnet", {"width": 8, "blocks": [1, 1, 1, 1], "stem": "imagenet"}),
            4,
            [4, 8, 16, 32],
        ),
        (ModelRecipe("vgg", {"width": 8, "layers": [1, 1, 2]}), 2, None),
        (ModelRecipe("densenet", {"growth": 4, "layers": [2, 2, 2], "stem_stride": 2}), 2, None),
        (ModelRecipe("convmixer", {"width": 8, "depth": 2, "kernel": 3, "patch": 4}), 1, [4]),
        (ModelRecipe("alexnet", {"width": 8, "stem_kernel": 5, "stem_stride": 2}), 1, None),
        (ModelRecipe("lenet", {"width": 6}), 1, None),
        (ModelRecipe("mobilenet", {}), 3, None),
    ],
    ids=lambda value: value.family if isinstance(value, ModelRecipe) else "",
)
def test_any_convolutional_source_is_a_backbone(
    model: ModelRecipe, levels: int, strides: list[int] | None
) -> None:
    """Also on images larger than those it was trained on, and not square."""
    anchors = (10, 20, 40, 80)[:levels]
    recipe = replace(RECIPE, levels=levels, anchors=anchors, min_size=64, max_size=96)
    built = build_detector(network(model), recipe, 2)
    found = built.backbone.strides
    assert strides is None or found == strides
    assert sorted(set(found)) == found and len(found) == levels
    maps = built.backbone(torch.zeros(1, 3, 64, 96))
    for stride, maps_of_level in zip(found, maps.values(), strict=True):
        assert maps_of_level.shape[1] == RECIPE.channels
        assert abs(maps_of_level.shape[2] - 64 / stride) <= 2
    built.eval()
    (output,) = built([torch.rand(3, 64, 96)])
    assert set(output) == {"boxes", "labels", "scores", "masks"}
    assert output["masks"].shape[2:] == (64, 96)


def test_one_more_anchor_is_a_pooled_level() -> None:
    built = detector(replace(RECIPE, anchors=(10, 20, 40)))
    maps = built.backbone(torch.zeros(1, 3, 64, 64))
    assert [m.shape[2] for m in maps.values()] == [16, 8, 4]
    assert built.backbone.strides == [4, 8]  # objects are looked for on these alone
    with pytest.raises(UserError, match="4 sizes for 2 levels"):
        detector(replace(RECIPE, anchors=(1, 2, 3, 4)))


def test_network_without_maps_is_told() -> None:
    with pytest.raises(UserError, match="needs feature maps at so many strides.*strides: none"):
        build_detector(network(ModelRecipe("mlp", {"widths": [8, 8]})), RECIPE, 2)
    with pytest.raises(UserError, match="strides: 2, 4, 8. Set `levels` to fewer"):
        detector(replace(RECIPE, levels=4, anchors=(8, 16, 32, 64)))


def test_backbone_computes_what_the_source_computes() -> None:
    """The detector's own transform normalises with the source's mean and deviation."""
    source = network().eval()
    source.normalize.mean.fill_(0.3)
    images = torch.rand(2, 3, 32, 32)
    expected = source.blocks[:3](source.normalize(images))
    built = build_detector(source, replace(RECIPE, levels=2), 2).eval()
    batch, _ = built.transform(list(images))
    torch.testing.assert_close(batch.tensors, source.normalize(images))
    torch.testing.assert_close(built.backbone.blocks[:3](batch.tensors), expected)


# Training ----------------------------------------------------------------------------------------


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def moved(before: dict[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
    after = module.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def fit(built: Any, recipe: DetectorRecipe = RECIPE, **options: Any) -> list[dict[str, float]]:
    return fit_detector(built, squares(), recipe, seed=3, device=CPU, **options)


def test_batch_norm_is_frozen_and_all_else_is_trained() -> None:
    built = detector()
    norms = {
        f"backbone.{name}."
        for name, module in built.backbone.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }
    before = weights(built)
    fit(built)
    changed = moved(before, built)
    assert norms
    assert not [name for name in changed if name.startswith(tuple(norms))]
    still = {n for n in before if not n.startswith(tuple(norms)) and n not in changed}
    assert still == set(), still


def test_frozen_blocks_are_not_trained() -> None:
    recipe = replace(RECIPE, frozen_blocks=2)
    built = detector(recipe)
    before = weights(built)
    fit(built, recipe)
    changed = moved(before, built)
    parts = [f"backbone.blocks.{name}." for name in built.backbone.blocks._modules]
    assert not [name for name in changed if name.startswith(tuple(parts[:2]))]
    assert [name for name in changed if name.startswith(parts[2])]
    with pytest.raises(UserError, match="cannot freeze 9 blocks: the backbone has 4"):
        detector(replace(RECIPE, frozen_blocks=9))


def test_it_learns() -> None:
    """Four scenes by heart."""
    recipe = replace(RECIPE, epochs=300, learning_rate=0.05, warmup=20, decays=(0.8,), flip=False)
    built = detector(recipe)
    scenes = squares(4)
    history = fit_detector(built, scenes, recipe, seed=0, device=CPU)
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    results = detect(built, scenes, CPU, batch_size=3)
    # On what it was trained on.
    assert average_precision(scenes.coco, results, "box")["AP50"] > 0.7
    assert average_precision(scenes.coco, results, "mask")["AP50"] > 0.7


def test_results_are_in_cocos_format() -> None:
    built = detector(replace(RECIPE, detections=3))
    scenes = squares()
    content = copy.deepcopy(scenes.coco)
    content["categories"] = [{"id": 90, "name": "bar"}, {"id": 4, "name": "square"}]
    results = detect(built, Scenes(content, scenes.pixels, ""), CPU, batch_size=3)
    assert {r["category_id"] for r in results} <= {4, 90}
    assert {r["image_id"] for r in results} <= {i["id"] for i in content["images"]}
    for row in results:
        assert set(row) == {"image_id", "category_id", "bbox", "score", "segmentation"}
        left, top, width, height = row["bbox"]
        assert 0 <= left <= left + width <= 32 and 0 <= top <= top + height <= 32
    assert max([sum(r["image_id"] == i for r in results) for i in range(1, 9)]) <= 3


def test_odd_annotations_are_learned_and_measured() -> None:
    """Text as ids, fields that are null, and a box that torchvision's detectors do not take."""
    scenes = squares()
    content = copy.deepcopy(scenes.coco)
    for item in content["images"] + content["categories"]:
        item["id"] = f"no. {item['id']}"
    for item in content["annotations"]:
        item |= {key: f"no. {item[key]}" for key in ("image_id", "category_id")}
        item |= {"id": 0, "area": None, "iscrowd": None}
    tiny = {**content["annotations"][0], "bbox": [3, 3, 1e-6, 4], "segmentation": [[3, 3, 3, 7]]}
    content["annotations"].append(tiny)
    read = Scenes(checked(content, "odd"), scenes.pixels, "")
    built = detector()
    (first, *_) = fit_detector(built, read, RECIPE, seed=3, device=CPU)
    assert first["train_loss"] == fit(detector())[0]["train_loss"]  # as without the tiny one
    for kind in ("box", "mask"):
        found = average_precision(read.coco, detect(built, read, CPU, batch_size=3), kind)
        assert 0 <= found["AP"] <= 1


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_mask_is_told_before_the_training(split: str, tmp_path: Path) -> None:
    """Even one that only the measurement needs: the source is not so much as opened."""
    scenes = squares(2)
    texts = {}
    for part in ("train", "val"):
        content = copy.deepcopy(scenes.coco)
        if part == split:
            content["annotations"][1]["segmentation"] = []
        text = json.dumps(checked(content, part))
        texts[f"{part}/instances"] = np.frombuffer(text.encode(), np.uint8)
    recipe = replace(RECIPE, data=DetectionDataRecipe("bare", coco=CocoRecipe(*"abcd", ())))
    attributes = {"recipe": to_plain(recipe.data), "folders": {"train": "b", "val": "d"}}
    write_hdf5(tmp_path / "data.h5", texts, attributes)
    files = ("source", "checkpoint", "history", "table", "predictions")
    line = ["--recipe", to_json(recipe), "--seed", "0", "--data", str(tmp_path / "data.h5")]
    for name in files:
        line += [f"--{name}", str(tmp_path / name)]
    called = {"train": "training", "val": "validation"}[split]
    message = rf"of \d+ {called} annotations have no segmentation.*first is annotations\[1\]"
    with pytest.raises(UserError, match=message):
        run_step("train_detector", [*line, "--device", "cpu"])


def test_same_seed_same_numbers_and_resumed_alike(tmp_path: Path) -> None:
    whole = detector()
    history = fit(whole)
    again = detector()
    assert [row["train_loss"] for row in fit(again)] == [row["train_loss"] for row in history]

    class KilledError(Exception):
        pass

    broken = detector()
    file = tmp_path / "model.resume"
    calls = 0

    def die(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:  # two batches an epoch: in the middle of the second
            raise KilledError
        return forward(*arguments)

    forward, broken.forward = broken.forward, die
    with pytest.raises(KilledError):
        fit(broken, resume=file, identity="a")
    resumed = detector(seed=5)  # its weights come from the file
    found = fit(resumed, resume=file, identity="a")
    assert [row["train_loss"] for row in found] == [row["train_loss"] for row in history]
    assert moved(weights(whole), resumed) == set()
    # Of another source or seed: starts over.
    other = detector(seed=5)
    assert len(fit(other, resume=file, identity="b")) == 2
    assert moved(weights(whole), other) != set()


def test_divergence_is_told() -> None:
    recipe = replace(RECIPE, learning_rate=1e12, warmup=0, epochs=3)
    with pytest.raises(UserError, match="the detector diverged: .* Lower its learning_rate"):
        fit(detector(), recipe)


def test_images_without_objects_are_left_out() -> None:
    scenes = squares()
    scenes.coco["annotations"] = [a for a in scenes.coco["annotations"] if a["image_id"] < 4]
    seen = []
    built = detector()
    forward = built.forward
    built.forward = lambda images, targets: (seen.append(len(images)), forward(images, targets))[1]
    fit_detector(built, scenes, RECIPE, seed=0, device=CPU)
    assert sum(seen) == 3 * RECIPE.epochs
    scenes.coco["annotations"].clear()
    with pytest.raises(UserError, match="no object in any image"):
        fit_detector(detector(), Scenes(scenes.coco, scenes.pixels, ""), RECIPE, seed=0, device=CPU)


def test_schedule() -> None:
    recipe = replace(RECIPE, learning_rate=1.0, warmup=9, decays=(0.5, 0.75))
    rates = [learning_rate(recipe, step, 40) for step in range(40)]
    assert rates[:11] == pytest.approx([0.1 * k for k in range(1, 11)] + [1])
    assert rates[19:21] == pytest.approx([1, 0.1])
    assert rates[29:31] == pytest.approx([0.1, 0.01])


def test_mirrored_objects_stay_on_theirs() -> None:
    image = torch.zeros(3, 4, 6)
    image[:, 1:3, 0:2] = 1
    mask = (image[0] > 0).numpy().astype(np.uint8)[None]
    target = Target(np.array([[0, 1, 2, 3]], np.float32), np.array([1]), mask)
    flipped, found = mirrored(image, target)
    assert found.boxes.tolist() == [[4, 1, 6, 3]]
    assert found.masks is not None
    assert ((flipped[0].numpy() > 0) == (found.masks[0] > 0)).all()
    assert flipped[0, 1, 4:6].tolist() == [1, 1]
    back = mirrored(flipped, found)
    assert torch.equal(back[0], image) and back[1].boxes.tolist() == target.boxes.tolist()
