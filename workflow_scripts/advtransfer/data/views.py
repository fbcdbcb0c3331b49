"""Fixed selections of images: classes, disjoint halves, balanced subsets, sizes, detail.

A view's file holds indices into its dataset and the labels. Pixels are stored only if the view
changes them (another size, less detail). The selection depends on the recipe and the dataset alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..artifacts.hdf5 import hdf5_writer, open_hdf5, read_hdf5
from ..artifacts.versions import provenance
from ..errors import UserError
from ..recipes import derived_seed, from_plain, to_plain
from ..wording import counted, listed
from .fingerprints import fingerprints
from .view_recipe import ViewRecipe

READ_BYTES = 256 << 20  # bytes of images in memory at a time while a view is made


@dataclass(frozen=True)
class View:
    """The images of a view, uint8 (N, H, W, 3), and their labels, int64 (N,).

    Labels are positions in ``classes``, which are the superclasses if the recipe has any.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    recipe: ViewRecipe

    @property
    def classes(self) -> tuple[str, ...]:
        return self.recipe.label_names

    def __len__(self) -> int:
        return len(self.labels)


def select(recipe: ViewRecipe, labels: np.ndarray, class_names: list[str]) -> np.ndarray:
    """Return the view's indices into its split, interleaved by class so that prefixes are balanced.

    Args:
        labels: (N,) integer labels of the whole split.
        class_names: the dataset's classes, in label order.

    Raises:
        UserError: A class is unknown, or there are fewer images than requested.
    """
    unknown = [name for name in recipe.classes if name not in class_names]
    if unknown:
        raise UserError(
            f"dataset '{recipe.dataset.name}' has no class {listed(map(repr, unknown))}; its "
            f"classes are {listed(class_names)}."
        )
    # The order within a class is seeded by dataset, split and class alone. If it depended on the
    # other classes of the view, halves of two views of one dataset would not be disjoint. It must
    # not depend on the size of decoded photographs either, which concerns pixels alone.
    dataset = dataclasses.replace(recipe.dataset, size=None)
    columns = []
    for name in recipe.classes:
        members = np.flatnonzero(labels == class_names.index(name))
        order = derived_seed(dataset, recipe.subset_seed, f"{recipe.split}/{name}")
        members = np.random.default_rng(order).permutation(members)
        if recipe.half is not None:
            members = members[recipe.half :: 2]
        columns.append(members)
    wanted = recipe.images
    if not any(map(len, columns)):
        raise UserError(
            f"view of '{recipe.dataset.name}' ({recipe.split}, {counted(recipe.classes)}) has no "
            "image: name other classes, or leave `half` out."
        )
    longest = max(len(column) for column in columns)
    table = np.full((longest, len(columns)), -1)
    for position, column in enumerate(columns):
        table[: len(column), position] = column
    chosen = table.ravel()
    chosen = chosen[chosen >= 0]
    if wanted is not None and len(chosen) < wanted:
        raise UserError(
            f"view of '{recipe.dataset.name}' ({recipe.split}, {counted(recipe.classes)}"
            + (f", half {recipe.half}" if recipe.half is not None else "")
            + f") asks for {wanted} images but there are {len(chosen)}: lower `images` in the "
            "config, or add classes."
        )
    return chosen if wanted is None else chosen[:wanted]


def make_view(recipe: ViewRecipe, dataset_file: str | Path, output: str | Path) -> None:
    """Select from a dataset file and write the view file (HDF5), some hundred MB at a time.

    Raises:
        UserError: See `select`; or ``detail`` is larger than the images.
    """
    split = recipe.split
    arrays, attributes = read_hdf5(dataset_file, [f"{split}/labels"])
    labels = arrays[f"{split}/labels"]
    class_names = list(attributes["class_names"])
    indices = select(recipe, labels, class_names)
    names = recipe.superclasses or recipe.classes
    position = {
        class_names.index(name): recipe.label_names.index(label)
        for name, label in zip(recipe.classes, names, strict=True)
    }
    new_labels = np.array([position[label] for label in labels[indices]], dtype=np.int64)
    attributes = {
        "recipe": to_plain(recipe),
        "classes": list(recipe.label_names),
        "versions": provenance(),
    }
    with open_hdf5(dataset_file) as dataset, hdf5_writer(output, attributes) as writer:
        rows = dataset.rows(f"{split}/images")
        size = recipe.size if rows.shape[1:3] != (recipe.size, recipe.size) else None
        if recipe.size is None:
            check_square(dataset_file, rows.shape)
        if recipe.detail is not None and recipe.detail > min(rows.shape[1:3]):
            raise UserError(
                f"view of '{recipe.dataset.name}': detail {recipe.detail} is more than the "
                f"{min(rows.shape[1:3])} pixels a side of its images; lower it or leave it out."
            )
        writer.append("indices", indices.astype(np.int64), len(indices))
        writer.append("labels", new_labels, len(indices))
        prints = []
        several = max(1, READ_BYTES // int(np.prod(rows.shape[1:])))
        for start in range(0, len(indices), several):
            images = rows[indices[start : start + several]]
            full = images if size is None else resize(images, size)
            # Fingerprints are taken of the pixels as stored, since another size or less detail does
            # not make another image.
            prints.append(fingerprints(images))
            if recipe.detail is not None:
                full = resize(resize(images, recipe.detail), full.shape[1])
            if size is not None or recipe.detail is not None:
                writer.append("images", full, len(indices))
        writer.append("fingerprints", np.concatenate(prints), len(indices))


def check_square(where: str | Path, shape: Sequence[int]) -> None:
    """Refuse images (N, H, W, 3) that are not square, as every network and crop here expects.

    Raises:
        UserError: Height and width differ.
    """
    height, width = shape[1:3]
    if height != width:
        raise UserError(
            f"{where}: its images are {height}x{width} pixels (height x width), and networks take "
            f"square ones. Crop or resize them when the file is made; in the config, "
            f"`size: {min(height, width)}` where the dataset is named resizes them, which changes "
            "their proportions."
        )


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 images (N, H, W, 3) resized to (N, size, size, 3), bicubic and antialiased."""
    from PIL import Image

    return np.stack(
        [
            np.asarray(Image.fromarray(i).resize((size, size), Image.Resampling.BICUBIC))
            for i in images
        ]
    )


def load_view(view_file: str | Path, dataset_file: str | Path) -> View:
    """Return the images and labels of a view.

    Raises:
        UserError: A file is damaged, or the view does not fit the dataset.
    """
    with open_view(view_file, dataset_file) as view:
        return View(view.images(slice(None)), view.labels, view.indices, view.recipe)


@dataclass(frozen=True)
class OpenView:
    """A view whose images stay in their file; ``images`` reads those at a slice of positions."""

    labels: np.ndarray
    indices: np.ndarray
    recipe: ViewRecipe
    size: int  # pixels a side
    images: Callable[[slice], np.ndarray]  # uint8 (n, H, W, 3)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.recipe.label_names

    def __len__(self) -> int:
        return len(self.labels)


@contextlib.contextmanager
def open_view(view_file: str | Path, dataset_file: str | Path) -> Iterator[OpenView]:
    """Open a view that can be read batch by batch, in memory that does not grow with its size.

    Raises:
        UserError: A file is damaged, or the view does not fit the dataset.
    """
    with open_hdf5(view_file) as file, open_hdf5(dataset_file) as dataset:
        recipe = from_plain(ViewRecipe, file.attributes()["recipe"])
        indices, labels = file.whole("indices"), file.whole("labels")
        if "images" in file.names():
            stored = file.rows("images")
            yield OpenView(labels, indices, recipe, stored.shape[1], stored.__getitem__)
            return
        rows = dataset.rows(f"{recipe.split}/images")
        if indices.min(initial=0) < 0 or indices.max(initial=-1) >= rows.shape[0]:
            raise UserError(f"{view_file} does not belong to {dataset_file}: indices out of range.")
        check_square(dataset_file, rows.shape)
        yield OpenView(labels, indices, recipe, rows.shape[1], lambda which: rows[indices[which]])
