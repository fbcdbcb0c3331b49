"""Train a detector on a source's backbone and measure its average precision."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .advtransfer.cli import log, run, seed_index, step_parser, whole_number

if TYPE_CHECKING:
    import torch
    from torchvision.models.detection import FasterRCNN

    from .advtransfer.detection.recipe import DetectorRecipe
    from .advtransfer.detection.scenes import Scenes

COLUMNS = ("seed", "of", "metric", "value", "n_images", "n_objects")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", hardware=True)
    parser.add_argument(
        "--workers",
        type=whole_number(0),
        help="number of processes that decode images (default: all threads but one)",
    )
    parser.add_argument(
        "--seed", type=seed_index, required=True, help="seed index, the source's own"
    )
    parser.add_argument("--source", required=True, help="weights of the source (safetensors)")
    parser.add_argument("--data", required=True, help="detection data (HDF5)")
    parser.add_argument("--resume", help="progress file: written every epoch, used if it is there")
    parser.add_argument("--checkpoint", required=True, help="weights to write (safetensors)")
    parser.add_argument("--history", required=True, help="CSV to write: one row an epoch")
    parser.add_argument("--table", required=True, help="CSV to write: average precision")
    parser.add_argument("--predictions", required=True, help="COCO results to write (JSON)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from pathlib import Path

    import torch

    from .advtransfer.artifacts.files import file_sha256
    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.artifacts.sealed_json import write_sealed_json
    from .advtransfer.artifacts.tensors import save_tensors
    from .advtransfer.artifacts.versions import provenance
    from .advtransfer.detection.evaluate import detect
    from .advtransfer.detection.recipe import DetectorRecipe
    from .advtransfer.detection.scenes import load_scenes
    from .advtransfer.detection.training import COLUMNS as HISTORY
    from .advtransfer.detection.training import fit_detector
    from .advtransfer.device import describe, prepare
    from .advtransfer.recipes import derived_seed, digest, from_json, to_plain

    recipe = from_json(DetectorRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    if device.type == "cuda":
        # Torchvision's deterministic RoIAlign needs many times the memory. A run on a GPU therefore
        # repeats only up to rounding.
        torch.use_deterministic_algorithms(False)
    scenes, _ = load_scenes(arguments.data, "train")
    measured, _ = load_scenes(arguments.data, "val")
    # Refuse before the training what would otherwise fail after it.
    scenes.check("train", recipe.masks)
    measured.check("val", recipe.masks)
    detector = untrained(recipe, len(scenes.categories), arguments.source, arguments.seed, device)
    source = file_sha256(arguments.source)
    log.info(
        "%s on %d images of %s, seed %d, strides %s, on %s",
        "Mask R-CNN" if recipe.masks else "Faster R-CNN",
        len(scenes),
        recipe.data.name,
        arguments.seed,
        detector.backbone.strides,
        describe(device),
    )
    resume = Path(arguments.resume) if arguments.resume else None
    history = fit_detector(
        detector,
        scenes,
        recipe,
        seed=derived_seed(recipe, arguments.seed, "training"),
        device=device,
        resume=resume,
        identity=f"{source}/seed{arguments.seed}",
        workers=arguments.threads - 1 if arguments.workers is None else arguments.workers,
    )
    results = detect(detector, measured, device, recipe.batch_size)
    columns = [name for name in HISTORY if not history or name in history[0]]
    write_measurements(arguments.history, history, columns)
    rows = measure(results, measured, recipe, arguments.seed)
    write_measurements(arguments.table, rows, COLUMNS)
    write_sealed_json(arguments.predictions, results)
    save_tensors(
        arguments.checkpoint,
        detector.state_dict(),
        {
            "detector": to_plain(recipe),
            "recipe": digest(recipe),
            "seed": arguments.seed,
            "device": describe(device),
            "versions": provenance(),
        },
    )
    if resume is not None:
        resume.unlink(missing_ok=True)


def untrained(
    recipe: DetectorRecipe, classes: int, source: str, seed: int, device: torch.device
) -> FasterRCNN:
    """Return a detector on the source's backbone, on the device, in training mode.

    Weights that the source lacks are drawn at random.
    """
    import torch

    from .advtransfer.detection.backbone import build_detector
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import derived_seed

    network, _ = load_checkpoint(source, device)
    # Initial weights, order and flips depend on the seed alone, so that sources are compared under
    # the same draws.
    torch.manual_seed(derived_seed(recipe, seed, "initialisation"))
    detector = build_detector(network, recipe, classes)
    detector.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return detector


def measure(
    results: list[dict[str, Any]], scenes: Scenes, recipe: DetectorRecipe, seed: int
) -> list[dict[str, Any]]:
    """Return the average precision of detections as rows of `COLUMNS`.

    The detections are in COCO's result format.
    """
    import math

    from .advtransfer.detection.evaluate import average_precision

    objects = sum(not a["iscrowd"] for a in scenes.coco["annotations"])
    rows = []
    for kind in ("box", "mask") if recipe.masks else ("box",):
        found = average_precision(scenes.coco, results, kind, recipe.data.areas)
        log.info("%s AP %.4f on %d images", kind, found["AP"], len(scenes))
        rows += [
            {
                "seed": seed,
                "of": kind,
                "metric": metric,
                "value": "" if math.isnan(value) else value,
                "n_images": len(scenes),
                "n_objects": objects,
            }
            for metric, value in found.items()
        ]
    return rows


if __name__ == "__main__":
    run(main, parser())
