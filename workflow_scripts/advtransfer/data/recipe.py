"""The recipe of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipes import Addressed, NamesModule

REFUSE, DROP = "refuse", "drop"  # what happens to pictures that are where they must not be


@dataclass(frozen=True)
class DatasetRecipe(Addressed, NamesModule):
    """One dataset as a whole. ``name`` is a module of ``advtransfer.data.datasets``."""

    name: str
    path: str | None = None  # hdf5_pack: the file; image_folder: the folder
    # hdf5_pack: digest of the file's content, so that another file gives another recipe;
    # image_folder: digest of the names and sizes of the files.
    sha256: str | None = None
    size: int | None = None  # photographs: pixels a side that they are decoded to
    # image_folder without train/ and test/: number of training images of each class, or the file
    # that lists the test images.
    split: int | str | None = None
    # hdf5_pack, image_folder: what happens to a picture in training and test images, or in two
    # classes (data.separation).
    shared_images: str = REFUSE

    def label(self) -> str:
        return self.name

    def module(self) -> str:
        return f"data/datasets/{self.name}.py"

    def is_run_downstream(self) -> bool:
        return False  # only the step that fetches a dataset runs it; others read that step's file
