"""Draw what detectors find on validation images beside what there is: boxes, masks, scores.

The images are the first of the validation split that have two objects or more: nothing is picked by
how well it was found.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .advtransfer import detection_plotting as detection
from .advtransfer import plotting
from .advtransfer.cli import run, step_parser

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .advtransfer.detection.scenes import Scenes

IMAGES = 5
FEWEST = 2  # objects


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "")
    parser.add_argument("--data", required=True, help="detection data (HDF5)")
    parser.add_argument(
        "--predictions", nargs="+", required=True, metavar="TRAINING=FILE", help="COCO results"
    )
    parser.add_argument("--output", required=True, help="figure to write (.svg or .png)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.artifacts.sealed_json import read_sealed_json
    from .advtransfer.detection.scenes import load_scenes
    from .advtransfer.errors import UserError
    from .advtransfer.recipes import from_json

    recipe = from_json(detection.DetectionFigureRecipe, arguments.recipe)
    scenes, _ = load_scenes(arguments.data, "val")
    shown = [k for k in range(len(scenes)) if len(scenes.objects(k)) >= FEWEST][:IMAGES]
    shown = shown or list(range(min(IMAGES, len(scenes))))
    rows = [("annotated", scenes.coco["annotations"])]
    for argument in arguments.predictions:
        training, _, file = argument.partition("=")
        if not file:
            raise UserError(f"--predictions {argument}: expected TRAINING=FILE.")
        rows.append((plotting.training_label(training), read_sealed_json(file)))
    figure, axes = plotting.new_figure(
        len(rows), len(shown), height=1.0 + 1.42 * len(rows), width=plotting.WIDTH
    )
    colours = {
        category["id"]: detection.CLASS_COLOURS[k % len(detection.CLASS_COLOURS)]
        for k, category in enumerate(scenes.categories)
    }
    for line, (label, objects) in zip(axes, rows, strict=True):
        for panel, position in zip(line, shown, strict=True):
            number = scenes.coco["images"][position]["id"]
            own = [
                item
                for item in objects
                if item["image_id"] == number and item.get("score", 1) >= detection.SCORE
            ]
            draw(panel, scenes, position, own, colours)
        line[0].set_ylabel(label)
    found = {c for k in shown for c in (a["category_id"] for a in scenes.objects(k))}
    found |= {
        item["category_id"]
        for _, objects in rows[1:]
        for item in objects
        if item["score"] >= detection.SCORE
        and item["image_id"] in {scenes.coco["images"][k]["id"] for k in shown}
    }
    entries = class_entries(scenes, colours, found)
    figure.legend(handles=entries, loc="outside lower center", ncols=min(6, len(entries)))
    note = (
        f"{recipe.tasks.get(recipe.pictured, '')}; first validation images with {FEWEST} or more "
        f"objects, first seed; scores from {detection.SCORE:g}"
    )
    plotting.finish(figure, arguments.output, "What is there, and what detectors find", note)


def draw(
    panel: Axes,
    scenes: Scenes,
    position: int,
    objects: list[dict[str, Any]],
    colours: dict[int, str],
) -> None:
    """An image, and objects on it: annotations, or detections with scores."""
    import numpy as np
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    from .advtransfer.detection.scenes import mask_of

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
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=colours[c["id"]], edgecolor=plotting.INK, linewidth=0.5, label=c["name"])
        for c in scenes.categories
        if c["id"] in found
    ]


if __name__ == "__main__":
    run(main, parser())
