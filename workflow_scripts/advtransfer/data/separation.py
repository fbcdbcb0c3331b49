"""Pictures that occur twice in a user's dataset: in both splits, or in two classes.

A picture in training and test images makes the accuracy on it worthless. A picture in two classes
has a wrong label in one of them. Published datasets are used as they were published, whatever they
contain; only data that users put together are checked. Copies that differ in a pixel are not found,
and a picture may occur twice in one class of one split.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..wording import first_of
from .dataset import RawDataset
from .fingerprints import fingerprints
from .recipe import DROP

log = logging.getLogger("advtransfer")

SPLITS = ("train", "test")
Pairs = list[tuple[str, str]]  # names of two images with the same pixels


@dataclass(frozen=True)
class Misplaced:
    """Pictures that occur twice, and the images that leave the dataset because of them.

    Training images that are test images leave the training images. Images of a picture with several
    classes in one split leave that split.
    """

    across: Pairs  # training image, test image
    within: Pairs  # two images of one split, in different classes
    leave: Mapping[str, NDArray[np.bool_]]  # by split: whether each image leaves

    def __bool__(self) -> bool:
        return bool(self.across or self.within)

    def counts(self) -> dict[str, int]:
        return {split: int(self.leave[split].sum()) for split in SPLITS}


def misplaced(
    prints: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    name: Callable[[str, int], str],
) -> Misplaced:
    """Find the pictures of a dataset that occur in both splits, or in two classes of one.

    Args:
        prints, labels: fingerprint and label of every image, by split.
        name: what the user calls an image, by its split and position.
    """
    within: Pairs = []
    leave: dict[str, NDArray[np.bool_]] = {}
    for split in SPLITS:
        _, first, picture = np.unique(prints[split], return_index=True, return_inverse=True)
        before = first[picture]  # where the picture of every image occurs first
        other = labels[split] != labels[split][before]
        leave[split] = np.isin(prints[split], prints[split][other])
        within += [
            (name(split, int(before[k])), name(split, int(k))) for k in np.flatnonzero(other)
        ]
    seen = np.isin(prints["train"], prints["test"])
    leave["train"] = leave["train"] | seen
    order = np.argsort(prints["test"], kind="stable")
    where = order[np.searchsorted(prints["test"][order], prints["train"][seen])]
    across = [
        (name("train", int(mine)), name("test", int(theirs)))
        for mine, theirs in zip(np.flatnonzero(seen), where, strict=True)
    ]
    return Misplaced(across, within, leave)


def check_separate(found: Misplaced, where: str) -> None:
    """Refuse a dataset with pictures in both splits, or in two classes.

    Raises:
        UserError: There are some; the message gives their number, names some and the way out.
    """
    told = ""
    for pairs, what in (
        (found.across, "Training images that are also test images"),
        (found.within, "Images that are also in another class"),
    ):
        if pairs:
            named = first_of(f"{one} = {other}" for one, other in pairs)
            told += f"{what}: {len(pairs)} ({named}). "
    if told:
        raise UserError(
            f"{where}: some pictures occur twice: their pixels are equal. {told}Accuracy on "
            "pictures that were trained on, or that have two labels, says nothing. Remove them, or "
            "add `shared_images: drop` to the dataset's entry in data.datasets: then training "
            "images that are also test images are left out, and so is every picture in two classes."
        )


def left_out(
    found: Misplaced, labels: Mapping[str, np.ndarray], where: str
) -> dict[str, dict[str, int]]:
    """Return the attribute that counts the images that leave a dataset, and log their numbers.

    Raises:
        UserError: Some class would have no training image, or no test image would be left.
    """
    rest = {split: labels[split][~found.leave[split]] for split in SPLITS}
    lost = len(np.unique(labels["train"])) - len(np.unique(rest["train"]))
    train, test = found.counts().values()
    if lost or not len(rest["test"]):
        lack = (
            f"{lost} classes would have no training image"
            if lost
            else "there would be no test image"
        )
        raise UserError(
            f"{where}: `shared_images: drop` would leave out {train} training and {test} test "
            f"images, so that {lack}. Are training and test images the same pictures?"
        )
    log.warning("%s: left out %d training and %d test images", where, train, test)
    return {"left_out": found.counts()}


def separated(raw: RawDataset, shared_images: str, where: str) -> RawDataset:
    """Return a dataset in memory in which no picture is in both splits or in two classes.

    Args:
        shared_images: ``refuse`` or ``drop``, as in the recipe of the dataset.
        where: what messages call the dataset.

    Raises:
        UserError: There are such pictures and they are refused, or too few images would be left.
    """
    prints = {split: fingerprints(images) for split, (images, _) in raw.splits.items()}
    labels = {split: numbers for split, (_, numbers) in raw.splits.items()}

    def name(split: str, position: int) -> str:
        return f"{split} image {position} ({raw.class_names[labels[split][position]]})"

    found = misplaced(prints, labels, name)
    if not found:
        return raw
    if shared_images != DROP:
        check_separate(found, where)
    attributes = raw.attributes | left_out(found, labels, where)
    return replace(
        raw,
        splits={
            split: (images[~found.leave[split]], numbers[~found.leave[split]])
            for split, (images, numbers) in raw.splits.items()
        },
        attributes=attributes,
    )
