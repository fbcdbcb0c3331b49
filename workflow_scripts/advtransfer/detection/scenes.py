"""Detection data as an artefact: two splits of images and their annotations in COCO's form.

They are one HDF5 file. ``train/instances`` and ``val/instances`` are the JSON of COCO's form as
bytes. Composed data also have ``train/images`` and ``val/images``, uint8 (N, H, W, 3). For official
data the file has only the annotations and the paths of the folders with the images.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.files import file_sha256
from ..artifacts.hdf5 import read_hdf5, write_hdf5
from ..artifacts.versions import provenance
from ..errors import UserError
from ..home import expanded
from ..recipes import from_plain, to_plain
from .annotations import Coco, encoded, in_order, is_empty
from .compose import compose, of_classes
from .data_recipe import DetectionDataRecipe
from .formats import read_coco, read_voc, same_categories, voc_list
from .image_files import pixels_of, same_images, with_files

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Target:
    """The objects of one image.

    Boxes are float32 (n, 4): left, top, right, bottom. Labels are int64 (n,), from 1. Masks are
    uint8 (n, H, W), or None.
    """

    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None


@dataclass(frozen=True)
class Scenes:
    """One split: annotations, and images in memory or in a folder."""

    coco: Coco
    pixels: np.ndarray | None
    folder: str

    def __len__(self) -> int:
        return len(self.coco["images"])

    @cached_property
    def categories(self) -> list[dict[str, Any]]:
        """Return the categories in the order of labels: label 1 is the first."""
        return in_order(self.coco["categories"])

    @cached_property
    def _of_image(self) -> dict[int | str, list[dict[str, Any]]]:
        found = defaultdict(list)
        for item in self.coco["annotations"]:
            found[item["image_id"]].append(item)
        return found

    def objects(self, position: int) -> list[dict[str, Any]]:
        """Return the annotations of an image's objects to learn: no crowds, no empty boxes."""
        of_image = self._of_image.get(self.coco["images"][position]["id"], [])
        return [a for a in of_image if not a["iscrowd"] and not is_empty(a["bbox"])]

    def check(self, split: str, masks: bool) -> None:
        """Refuse a split on which a detector cannot be trained (``train``) or measured (``val``).

        Raises:
            UserError: No image has an object, or masks are wanted and annotations have none.
        """
        called = {"train": "training", "val": "validation"}[split]
        learned = [item for k in range(len(self)) for item in self.objects(k)]
        if not learned:
            raise UserError(f"the {called} annotations have no object in any image.")
        needed = learned if split == "train" else self.coco["annotations"]
        without = [item for item in needed if not item.get("segmentation")]
        if masks and without:
            first = without[0]
            names = {image["id"]: image["file_name"] for image in self.coco["images"]}
            raise UserError(
                f"{len(without)} of {len(needed)} {called} annotations have no segmentation, or "
                f"one of fewer than three points; the first is annotations[{first['id'] - 1}], of "
                f"{names[first['image_id']]}. Instance segmentation needs a mask of every "
                "object. Leave the task out for data with boxes alone."
            )

    def image(self, position: int) -> np.ndarray:
        """Return an image, uint8 (H, W, 3).

        Raises:
            UserError: The file is missing, cannot be decoded, or has another size than annotated.
        """
        if self.pixels is not None:
            pixels: np.ndarray = self.pixels[position]
            return pixels
        return pixels_of(self.folder, self.coco["images"][position])

    def target(self, position: int, masks: bool) -> Target:
        """Return the objects of an image, with masks if they are wanted."""
        objects = self.objects(position)
        order = {item["id"]: k + 1 for k, item in enumerate(self.categories)}
        boxes = np.array([a["bbox"] for a in objects], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return Target(
            boxes,
            np.array([order[a["category_id"]] for a in objects], np.int64),
            self._masks(position, objects) if masks else None,
        )

    def _masks(self, position: int, objects: list[dict[str, Any]]) -> np.ndarray:
        entry = self.coco["images"][position]
        size = entry["height"], entry["width"]
        return np.array([mask_of(a, *size) for a in objects], np.uint8).reshape(-1, *size)


def mask_of(annotation: dict[str, Any], height: int, width: int) -> np.ndarray:
    """Return the mask, uint8 (height, width), of polygons or of a run-length code.

    Raises:
        UserError: The annotation has no segmentation, or one of an image of another size.
    """
    from pycocotools import mask as codes

    try:
        code = encoded(annotation.get("segmentation"), height, width)
    except ValueError as error:
        raise UserError(f"annotation {annotation['id']}: {error}.") from None
    if code is None:
        raise UserError(
            f"annotation {annotation['id']} has no segmentation; instance segmentation needs one "
            "of every object. Leave the task out for data with boxes alone."
        )
    mask: np.ndarray = codes.decode(code)
    return mask


def make_scenes(
    recipe: DetectionDataRecipe, output: str | Path, datasets: tuple[str | Path, ...] = ()
) -> None:
    """Compose or read the data of a recipe, and write their file.

    Args:
        datasets: for composed data, the files of the objects' and of the backgrounds' dataset.
            Training scenes use their training images and validation scenes their test images, so
            that no object or background is in both.

    Raises:
        UserError: see `compose`, `read_coco`, `read_voc` and `with_files`; or an image is in
            both splits.
    """
    arrays: dict[str, np.ndarray] = {}
    folders = dict.fromkeys(SPLITS, "")
    if recipe.composed is not None:
        found, pixels = {}, {}
        of = recipe.composed
        for split, drawn, images in (
            ("train", "train", of.train_images),
            ("val", "test", of.val_images),
        ):
            parts = []
            for file, wanted in zip(
                datasets, (of.object_classes, of.background_classes), strict=True
            ):
                names = [f"{drawn}/images", f"{drawn}/labels"]
                content, attributes = read_hdf5(file, names)
                pair = content[names[0]], content[names[1]]
                parts.append(of_classes(*pair, attributes["class_names"], wanted, str(file)))
            pixels[split], found[split] = compose(of, split, parts[0], parts[1][0], images)
            arrays[f"{split}/images"] = pixels[split]
    elif recipe.coco is not None:
        of_files = recipe.coco.train_annotations, recipe.coco.val_annotations
        _check_digests(of_files, recipe.coco.sha256)
        found = {
            "train": read_coco(recipe.coco.train_annotations),
            "val": read_coco(recipe.coco.val_annotations),
        }
        folders = {"train": recipe.coco.train_images, "val": recipe.coco.val_images}
    elif recipe.voc is not None:
        sets = (*recipe.voc.train, *recipe.voc.val)
        _check_digests([voc_list(recipe.voc.root, name) for name in sets], recipe.voc.sha256)
        found = {
            "train": read_voc(recipe.voc.root, recipe.voc.train),
            "val": read_voc(recipe.voc.root, recipe.voc.val),
        }
        folders = dict.fromkeys(SPLITS, recipe.voc.root)
    else:
        raise UserError(f"detection data '{recipe.name}': composed, coco or voc is missing.")
    same_categories(found["train"], found["val"], f"detection data '{recipe.name}'")
    if recipe.composed is None:
        there = {split: expanded(folder) for split, folder in folders.items()}
        found = {split: with_files(found[split], there[split]) for split in SPLITS}
        shared = same_images(found["train"], found["val"], there)
        if shared:
            raise UserError(
                f"detection data '{recipe.name}': {shared[0]} is a training and a validation image "
                f"({len(shared)} such images); take it out of one of them."
            )
    for split in SPLITS:
        text = json.dumps(found[split], separators=(",", ":"))
        arrays[f"{split}/instances"] = np.frombuffer(text.encode(), np.uint8)
    attributes = {"recipe": to_plain(recipe), "folders": folders, "versions": provenance()}
    write_hdf5(output, arrays, attributes)


def _check_digests(files: Iterable[str | Path], known: Iterable[str]) -> None:
    """Refuse annotation files that have changed since the recipe was made."""
    for file, digest in zip(files, known, strict=True):
        if file_sha256(expanded(file)) != digest:
            raise UserError(
                f"{file}: this file has changed since the run was planned; run the same command "
                "again."
            )


def load_scenes(path: str | Path, split: str) -> tuple[Scenes, DetectionDataRecipe]:
    """Return one split of a file that `make_scenes` wrote, and the recipe of the file.

    Raises:
        UserError: The file is missing, damaged, or of another kind.
    """
    (text,), attributes = _read(path, [f"{split}/instances"])
    recipe = from_plain(DetectionDataRecipe, attributes["recipe"])
    pixels = None
    if recipe.composed is not None:
        (pixels,), _ = _read(path, [f"{split}/images"])
    return Scenes(json.loads(text.tobytes()), pixels, attributes["folders"][split]), recipe


def _read(path: str | Path, names: list[str]) -> tuple[list[np.ndarray], dict[str, Any]]:
    arrays, attributes = read_hdf5(path, names)
    return [arrays[name] for name in names], attributes


def export_scenes(path: str | Path, folder: str | Path) -> None:
    """Write composed data in COCO's official layout, for other programs.

    The files are ``train/*.png``, ``val/*.png``, ``annotations/instances_train.json`` and
    ``instances_val.json``.

    Raises:
        UserError: The data already have such a layout.
    """
    from PIL import Image

    folder = expanded(folder)
    for split in SPLITS:
        scenes, recipe = load_scenes(path, split)
        if scenes.pixels is None:
            raise UserError(
                f"{path}: the images of '{recipe.name}' are in {scenes.folder} already; only "
                "composed data can be exported."
            )
        (folder / split).mkdir(parents=True, exist_ok=True)
        for entry, pixels in zip(scenes.coco["images"], scenes.pixels, strict=True):
            Image.fromarray(pixels).save(folder / split / entry["file_name"], optimize=False)
        annotations = folder / "annotations" / f"instances_{split}.json"
        annotations.parent.mkdir(parents=True, exist_ok=True)
        annotations.write_text(json.dumps(scenes.coco))
