"""Images of a target that a source is trained on, found by the pixels of both.

Real collections often share a few pictures. A transfer leaves shared images out of the images that
it trains on and out of those that it measures on, because the source has seen them.

The file of a comparison holds positions in the target's views. Two images are the same if their
pixels are equal as their datasets store them. Copies that differ in a pixel are not found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifacts.hdf5 import read_hdf5, write_hdf5
from ..artifacts.versions import provenance
from ..errors import UserError
from ..recipes import to_plain
from ..wording import first_of, listed
from .comparison_recipe import ComparisonRecipe
from .recipe import REFUSE
from .view_recipe import ViewRecipe
from .views import View

PARTS = {"train": "training", "test": "test"}
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Shared:
    """Positions of shared images in the training and in the test view of a target.

    ``images`` is the number of images in each view, shared ones included.
    """

    train: Positions
    test: Positions
    images: tuple[int, int] = (0, 0)


NOTHING = Shared(np.zeros(0, np.int64), np.zeros(0, np.int64))


def compare_views(
    recipe: ComparisonRecipe,
    source_view: str | Path,
    train_view: str | Path,
    test_view: str | Path,
    output: str | Path,
) -> Shared:
    """Find the images of a target that are in a source's view, and write their positions (HDF5).

    Raises:
        UserError: There are shared images and the recipe refuses them, or without them a class has
            no training image or no test image is left.
    """
    seen = read_hdf5(source_view, ["fingerprints"])[0]["fingerprints"]
    found: dict[str, Positions] = {}
    counts = []
    told = []
    left_out = ""
    for part, file in (("train", train_view), ("test", test_view)):
        view: ViewRecipe = getattr(recipe, part)
        arrays, _ = read_hdf5(file, ["fingerprints", "labels", "indices"])
        shared = np.flatnonzero(np.isin(arrays["fingerprints"], seen)).astype(np.int64)
        labels = arrays["labels"]
        found[part] = shared
        counts.append(len(labels))
        if not len(shared):
            continue
        named = first_of(f"{arrays['indices'][k]} ({view.label_names[labels[k]]})" for k in shared)
        told.append(
            f"{len(shared)} of the {len(labels)} {PARTS[part]} images of the target, "
            f"which are the {part} images {named} of {_dataset(view)}"
        )
        left = set(np.delete(labels, shared).tolist())
        lost = [name for k, name in enumerate(view.label_names) if k in set(labels) - left]
        if lost:
            left_out += f"Without them there is no {PARTS[part]} image of {listed(lost)}. "
    if told and (recipe.shared_images == REFUSE or left_out):
        drop = "" if left_out else ", or leave them out by `shared_images: drop` in the study"
        raise UserError(
            f"sources are trained on {recipe.source.split} images of {_dataset(recipe.source)}, "
            f"among which are {' and '.join(told)}. {left_out}Remove these pictures from one of "
            f"the two collections, or give source and target different classes{drop}."
        )
    attributes = {
        "recipe": to_plain(recipe),
        "images": dict(zip(PARTS, counts, strict=True)),
        "versions": provenance(),
    }
    write_hdf5(output, found, attributes)
    return Shared(found["train"], found["test"], (counts[0], counts[1]))


def _dataset(view: ViewRecipe) -> str:
    """Return what a user calls a dataset: its file, its folder or its name."""
    return f"'{view.dataset.path or view.dataset.name}'"


def read_shared(file: str | Path | None) -> Shared:
    """Return what a comparison found; nothing without a file, as for a source from elsewhere.

    Raises:
        UserError: The file is missing or damaged.
    """
    if file is None:
        return NOTHING
    arrays, attributes = read_hdf5(file, list(PARTS))
    images = attributes["images"]
    return Shared(arrays["train"], arrays["test"], (images["train"], images["test"]))


def kept(number: int, without: Positions) -> NDArray[np.int64]:
    """Return the positions below ``number`` that are not among ``without``, in order."""
    return np.setdiff1d(np.arange(number), without)


def without(view: View, positions: Positions) -> View:
    """Return a view without the images at some positions."""
    if not len(positions):
        return view
    rest = kept(len(view), positions)
    return replace(
        view, images=view.images[rest], labels=view.labels[rest], indices=view.indices[rest]
    )
