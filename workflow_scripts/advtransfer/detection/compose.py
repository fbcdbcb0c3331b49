"""Composition of scenes with known masks from real images.

Objects are cut out along their silhouettes and put on photographs at a random scale and place. Grey
images on a black ground (Fashion-MNIST) give true silhouettes: the pixels above a threshold. An
object hides those that were drawn before it, and its mask is the part that stays visible. The
result has COCO's form and says in ``info`` that it is composed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import UserError
from ..recipes import derived_seed
from ..wording import listed
from .data_recipe import ComposedRecipe

MIN_PIXELS = 8  # smallest visible mask of an object to detect
Labelled = tuple[np.ndarray, np.ndarray]


def compose(
    recipe: ComposedRecipe, split: str, objects: Labelled, backgrounds: np.ndarray, images: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the scenes of one split, and their annotations in COCO's form.

    Args:
        recipe: sizes, numbers and scales.
        split: ``train`` or ``val``, which selects the random stream.
        objects: uint8 (N, h, w, 3), grey on black, and labels (N,), positions in
            ``recipe.object_classes``.
        backgrounds: uint8 (M, H, W, 3), enlarged to the canvas.
        images: number of scenes.

    Returns:
        Scenes uint8 (images, size, size, 3), and a dictionary with COCO's ``info``, ``licenses``,
        ``categories`` (ids from 1), ``images`` and ``annotations``. Segmentations are compressed
        run-length codes of the visible parts.
    """
    random = np.random.default_rng(derived_seed(recipe, recipe.seed, split))
    size = recipe.size
    scenes = np.empty((images, size, size, 3), np.uint8)
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(images):
        background = backgrounds[random.integers(len(backgrounds))]
        scenes[number], placed = _scene(recipe, objects, background, random)
        name = f"{number + 1:012d}.png"
        listed.append({"id": number + 1, "file_name": name, "width": size, "height": size})
        for label, visible in placed:
            annotation = {"id": len(annotations) + 1, "image_id": number + 1}
            annotations.append(annotation | _annotation(label, visible))
    return scenes, {
        "info": {
            "description": (
                f"Composed, no photographs: objects of {recipe.objects.name} cut out along their "
                f"silhouettes on images of {recipe.backgrounds.name} "
                f"({', '.join(recipe.background_classes)}); split {split}"
            ),
            "version": "1.0",
        },
        "licenses": [],
        "categories": [
            {"id": k + 1, "name": name, "supercategory": recipe.objects.name}
            for k, name in enumerate(recipe.object_classes)
        ],
        "images": listed,
        "annotations": annotations,
    }


def _scene(
    recipe: ComposedRecipe, objects: Labelled, background: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """Return a scene, uint8 (size, size, 3), with the labels and visible masks of its objects.

    Masks are bool (size, size). Objects of which too little is visible are not among them.
    """
    scene = _resized(background, recipe.size).astype(np.float32)
    owner = np.full(scene.shape[:2], -1)  # the object drawn last at every pixel
    drawn = []
    fewest, most = recipe.objects_per_image
    for k in range(random.integers(fewest, most + 1)):
        which = int(random.integers(len(objects[0])))
        cut = _place(objects[0][which], recipe, random)
        mask = cut[..., 0] > recipe.threshold
        scene[mask] = cut[mask]
        owner[mask] = k
        drawn.append((int(objects[1][which]), int(mask.sum())))
    # Objects that are almost wholly hidden stay in the scene without a label, as in photographs.
    visible = [
        (label, owner == k)
        for k, (label, area) in enumerate(drawn)
        if (owner == k).sum() >= max(MIN_PIXELS, recipe.visible * area)
    ]
    return scene.round().astype(np.uint8), visible


def _annotation(label: int, visible: np.ndarray) -> dict[str, Any]:
    """Return an object in COCO's form without ids, from its label and mask, bool (size, size)."""
    from pycocotools import mask as codes

    code = codes.encode(np.asfortranarray(visible.astype(np.uint8)))
    return {
        "category_id": label + 1,
        "bbox": [float(v) for v in codes.toBbox(code)],
        "area": float(visible.sum()),
        "iscrowd": 0,
        "segmentation": {
            "size": list(visible.shape),
            "counts": code["counts"].decode("ascii"),
        },
    }


def of_classes(
    images: np.ndarray, labels: np.ndarray, names: Sequence[str], wanted: Sequence[str], where: str
) -> Labelled:
    """Return the images of the ``wanted`` classes, labelled by position in ``wanted``.

    Raises:
        UserError: A class does not exist.
    """
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UserError(f"{where}: no class '{unknown[0]}'; there are {listed(names)}.")
    position = np.full(len(names), -1)
    for k, name in enumerate(wanted):
        position[list(names).index(name)] = k
    found = position[labels]
    return images[found >= 0], found[found >= 0]


def _place(item: np.ndarray, recipe: ComposedRecipe, random: np.random.Generator) -> np.ndarray:
    """Return a black canvas, (size, size, 3), with an object at a random scale and place."""
    smallest, largest = recipe.scales
    side = int(random.integers(smallest, largest + 1))
    shrunk = _resized(item, side)
    if random.random() < 0.5:
        shrunk = shrunk[:, ::-1]
    room = recipe.size - side
    top, left = (int(v) for v in random.integers(0, room + 1, 2))
    canvas = np.zeros((recipe.size, recipe.size, 3), np.float32)
    canvas[top : top + side, left : left + side] = shrunk
    return canvas


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
