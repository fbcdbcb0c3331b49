"""Images of official data: found, decoded and compared with their annotations before training."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from workflow_scripts.advtransfer.detection.image_files import ORIENTATION, pixels_of, with_files
from workflow_scripts.advtransfer.errors import UserError

SHOWN = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)  # upright: 8 x 6


def store(path: Path, orientation: int | None, upright: np.ndarray = SHOWN) -> tuple[int, int]:
    """Write an image as a camera stores it, and return width and height as stored."""
    image = Image.fromarray(upright)
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
        # The orientation that undoes another is the other itself, but for the quarter turns.
        undo = Image.Exif()
        undo[ORIENTATION] = {6: 8, 8: 6}.get(orientation, orientation)
        image.info["exif"] = undo.tobytes()
        image = ImageOps.exif_transpose(image)
        image.info.pop("exif", None)
    image.save(path, exif=exif)
    return image.size


def coco(**sizes: tuple[int, int]) -> dict[str, Any]:
    """Annotations of PNG images by name and annotated size."""
    return {
        "images": [
            {"id": k, "file_name": f"{name}.png", "width": size[0], "height": size[1]}
            for k, (name, size) in enumerate(sizes.items(), 1)
        ]
    }


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_turned_images_are_turned_if_their_annotations_are(
    orientation: int, tmp_path: Path
) -> None:
    stored = store(tmp_path / "a.png", orientation)
    assert stored == (6, 8)
    (entry,) = with_files(coco(a=(8, 6)), tmp_path)["images"]
    assert (pixels_of(str(tmp_path), entry) == SHOWN).all()
    (entry,) = with_files(coco(a=stored), tmp_path)["images"]
    with Image.open(tmp_path / "a.png") as raw:
        assert (pixels_of(str(tmp_path), entry) == np.asarray(raw)).all()


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_where_the_size_does_not_tell_other_images_do(orientation: int, tmp_path: Path) -> None:
    store(tmp_path / "a.png", orientation)
    store(tmp_path / "b.png", 6)
    store(tmp_path / "c.png", 8)
    folder = tmp_path
    upright = with_files(coco(a=(8, 6), b=(8, 6)), folder)["images"]
    assert (pixels_of(str(folder), upright[0]) == SHOWN).all()
    stored = with_files(coco(a=(8, 6), b=(6, 8)), folder)["images"]
    assert (pixels_of(str(folder), stored[0]) != SHOWN).any()
    for sizes in ({"a": (8, 6)}, {"a": (8, 6), "b": (8, 6), "c": (6, 8)}):
        with pytest.raises(UserError, match=rf"a\.png: its EXIF orientation is {orientation}, and"):
            with_files(coco(**sizes), folder)


def test_images_without_a_turn_stay_as_they_are(tmp_path: Path) -> None:
    for name, orientation in (("a", None), ("b", 1), ("c", 0), ("d", 9)):
        if orientation in (0, 9):  # no orientations
            exif = Image.Exif()
            exif[ORIENTATION] = orientation
            Image.fromarray(SHOWN).save(tmp_path / f"{name}.png", exif=exif)
        else:
            store(tmp_path / f"{name}.png", orientation)
    content = coco(a=(8, 6), b=(8, 6), c=(8, 6), d=(8, 6))
    assert with_files(content, tmp_path) == content


def test_every_image_is_tried_before_any_training(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        store(tmp_path / f"{name}.png", None)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.png").unlink()
    with pytest.raises(UserError) as told:
        with_files(coco(a=(8, 6), b=(8, 6), c=(8, 6), d=(6, 8)), tmp_path)
    lines = str(told.value).splitlines()
    assert lines[0] == f"{tmp_path}: 3 problems:"
    assert [line.strip().partition(": ")[0] for line in lines[1:4]] == [
        str(tmp_path / f"{name}.png") for name in ("b", "c", "d")
    ]
    assert "could not be read" in lines[1] and "could not be read" in lines[2]
    assert "has 8x6 pixels, its annotation says 6x8" in lines[3]


def test_a_folder_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder of images"):
        with_files(coco(a=(8, 6), b=(8, 6)), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("on_disk", "written"),
    [
        ("cats/Bär.png", "cats\\Bär.png"),
        ("cats/Bär.png", "./cats/Bär.png"),
        ("Bär.png", unicodedata.normalize("NFD", "Bär.png")),
        (unicodedata.normalize("NFD", "Bär.png"), "Bär.png"),
        ("cats\\Bär.png", "cats\\Bär.png"),
    ],
)
def test_names_of_other_systems_are_found(on_disk: str, written: str, tmp_path: Path) -> None:
    file = tmp_path / on_disk
    file.parent.mkdir(exist_ok=True)
    store(file, None)
    content = {"images": [{"id": 1, "file_name": written, "width": 8, "height": 6}]}
    (entry,) = with_files(content, tmp_path)["images"]
    assert entry["file_name"] == on_disk
    assert (pixels_of(str(tmp_path), entry) == SHOWN).all()
