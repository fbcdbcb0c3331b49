"""Draw what detectors find on validation images beside what there is: boxes, masks, scores.

The images are the first of the validation split that have two objects or more: nothing is picked by
how well it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ....advtransfer.artifacts.sealed_json import read_sealed_json
from ....advtransfer.detection.scenes import Scenes, load_scenes, mask_of
from ....advtransfer.plotting.figure import finish, new_figure
from ....advtransfer.plotting.frames import Tables
from ....advtransfer.plotting.labels import training_label
from ....advtransfer.plotting.style import INK, WIDTH
from .. import plotting
from ..plotting import Settings

ALT = "Objects of validation images and what detectors find"
LABEL = "pictures of detections"
TABLES = ()
FILES = ("data", "predictions")  # artefacts that it shows
SETTINGS = ("baseline", "robust", "model", "tasks", "pictured")
FORMAT = "png"

IMAGES = 5
FEWEST = 2  # objects


def draw(tables: Tables, settings: Settings, files: Mapping[str, str]) -> Figure:
    """The figure.

    Args:
        tables: none.
        settings: what is drawn.
        files: ``data`` (HDF5), and by the training of each source, in the order to draw, what a
            detector on it found (COCO results).

    Raises:
        UserError: a file is missing, or is not as it was made.
    """
    scenes, _ = load_scenes(files["data"], "val")
    shown = [k for k in range(len(scenes)) if len(scenes.objects(k)) >= FEWEST][:IMAGES]
    shown = shown or list(range(min(IMAGES, len(scenes))))
    rows = [("annotated", scenes.coco["annotations"])]
    for training, file in files.items():
        if training != "data":
            rows.append((training_label(training), read_sealed_json(file)))
    figure, axes = new_figure(len(rows), len(shown), height=1.0 + 1.42 * len(rows), width=WIDTH)
    colours = {
        category["id"]: plotting.CLASS_COLOURS[k % len(plotting.CLASS_COLOURS)]
        for k, category in enumerate(scenes.categories)
    }
    for line, (label, objects) in zip(axes, rows, strict=True):
        for panel, position in zip(line, shown, strict=True):
            number = scenes.coco["images"][position]["id"]
            own = [
                item
                for item in objects
                if item["image_id"] == number and item.get("score", 1) >= plotting.SCORE
            ]
            draw_panel(panel, scenes, position, own, colours)
        line[0].set_ylabel(label)
    found = {c for k in shown for c in (a["category_id"] for a in scenes.objects(k))}
    found |= {
        item["category_id"]
        for _, objects in rows[1:]
        for item in objects
        if item["score"] >= plotting.SCORE
        and item["image_id"] in {scenes.coco["images"][k]["id"] for k in shown}
    }
    entries = class_entries(scenes, colours, found)
    figure.legend(handles=entries, loc="outside lower center", ncols=min(6, len(entries)))
    note = (
        f"{settings.tasks.get(settings.pictured, '')}; first validation images with {FEWEST} or "
        f"more objects, first seed; scores from {plotting.SCORE:g}"
    )
    return finish(figure, "What is there, and what detectors find", note)


def draw_panel(
    panel: Axes,
    scenes: Scenes,
    position: int,
    objects: list[dict[str, Any]],
    colours: dict[int, str],
) -> None:
    """An image, and objects on it: annotations, or detections with scores."""
    image = scenes.image(position).astype(np.float32) / 255
    for item in objects:
        if item.get("segmentation"):
            mask = mask_of({"id": 0, **item}, *image.shape[:2]) > 0
            image[mask] = 0.5 * image[mask] + 0.5 * np.array(to_rgb(colours[item["category_id"]]))
    panel.imshow(image, interpolation="nearest")
    for item in objects:
        left, top, width, height = item["bbox"]
        colour = colours[item["category_id"]]
        for edge, thickness in (("black", 1.8), (colour, 0.9)):
            corner = left - 0.5, top - 0.5
            panel.add_patch(
                Rectangle(corner, width, height, fill=False, edgecolor=edge, linewidth=thickness)
            )
        if "score" in item:
            inside: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 4.5, "color": "white"}
            back: dict[str, Any] = {
                "facecolor": "black",
                "alpha": 0.6,
                "edgecolor": "none",
                "pad": 0.6,
            }
            text = f"{item['score']:.2f}".lstrip("0")
            panel.text(max(left, 0), max(top, 0), text, bbox=back, clip_on=True, **inside)
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)


def class_entries(scenes: Scenes, colours: dict[int, str], found: set[int]) -> list[Any]:
    """Legend entries of the classes that are drawn."""
    return [
        Patch(facecolor=colours[c["id"]], edgecolor=INK, linewidth=0.5, label=c["name"])
        for c in scenes.categories
        if c["id"] in found
    ]
