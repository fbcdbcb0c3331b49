"""Detection data: composed scenes, and the official formats in files as they are published."""

from __future__ import annotations

import copy
import dataclasses
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.detection.compose import compose
from workflow_scripts.advtransfer.detection.data_recipe import (
    CocoRecipe,
    ComposedRecipe,
    DetectionDataRecipe,
    VocRecipe,
)
from workflow_scripts.advtransfer.detection.formats import (
    read_coco,
    read_voc,
    same_categories,
    voc_names,
)
from workflow_scripts.advtransfer.detection.scenes import (
    Scenes,
    export_scenes,
    load_scenes,
    make_scenes,
    mask_of,
)
from workflow_scripts.advtransfer.errors import UserError


def composed(**changes: Any) -> ComposedRecipe:
    fields: dict[str, Any] = {
        "objects": DatasetRecipe("fashion_mnist"),
        "object_classes": ("bar", "block"),
        "backgrounds": DatasetRecipe("cifar10"),
        "background_classes": ("ship",),
        "size": 32,
        "train_images": 20,
        "val_images": 6,
        "objects_per_image": (1, 4),
        "scales": (10, 20),
    }
    return ComposedRecipe(**fields | changes)


def grey(top: int, bottom: int, value: int) -> np.ndarray:
    """A 10 x 10 image, black but for whole rows of one grey."""
    image = np.zeros((10, 10, 3), np.uint8)
    image[top:bottom] = value
    return image


OBJECTS = np.stack([grey(4, 6, 90), grey(1, 9, 200)]), np.array([0, 1])
BACKGROUNDS = np.full((3, 8, 8, 3), 255, np.uint8)


def masks_of(content: dict[str, Any], image: int) -> list[np.ndarray]:
    return [mask_of(a, 32, 32) > 0 for a in content["annotations"] if a["image_id"] == image]


# Composed ----------------------------------------------------------------------------------------


def test_one_object_is_where_its_mask_says() -> None:
    recipe = composed(objects_per_image=(1, 1), scales=(10, 10))
    scenes, content = compose(recipe, "train", OBJECTS, BACKGROUNDS, 8)
    assert len(content["annotations"]) == 8
    for annotation, scene in zip(content["annotations"], scenes, strict=True):
        label = annotation["category_id"]
        height, value = {1: (2, 90), 2: (8, 200)}[label]
        left, top, width, tall = (int(v) for v in annotation["bbox"])
        assert (width, tall, annotation["area"]) == (10, height, 10 * height)
        assert (scene[top : top + tall, left : left + width] == value).all()
        mask = mask_of(annotation, 32, 32) > 0
        assert (scene[mask] == value).all()
        assert (scene[~mask] == 255).all()  # nothing but background


def test_masks_are_the_visible_parts() -> None:
    recipe = composed(objects_per_image=(4, 4), scales=(18, 20), size=24, visible=0.0)
    objects = np.stack([grey(0, 10, v) for v in (60, 120, 180)]), np.array([0, 1, 1])
    scenes, content = compose(recipe, "train", objects, BACKGROUNDS, 10)
    hidden = 0
    for number, scene in enumerate(scenes, 1):
        masks = [mask_of(a, 24, 24) > 0 for a in content["annotations"] if a["image_id"] == number]
        assert (np.sum(masks, axis=0) <= 1).all()  # no pixel is of two objects
        for mask in masks:
            assert len(np.unique(scene[mask])) == 1  # an object's own grey, none of what covers it
            hidden += mask.sum() < 18 * 18
    assert hidden  # some were covered in part


def test_what_is_hardly_seen_is_not_labelled() -> None:
    few = compose(
        composed(objects_per_image=(4, 4), visible=0.9), "train", OBJECTS, BACKGROUNDS, 20
    )
    all_ = compose(
        composed(objects_per_image=(4, 4), visible=0.0), "train", OBJECTS, BACKGROUNDS, 20
    )
    assert len(few[1]["annotations"]) < len(all_[1]["annotations"])


def test_scenes_follow_from_recipe_and_split() -> None:
    def bytes_of(split: str = "train", **changes: Any) -> bytes:
        scenes, content = compose(composed(**changes), split, OBJECTS, BACKGROUNDS, 4)
        return scenes.tobytes() + json.dumps(content["annotations"]).encode()

    assert bytes_of() == bytes_of()
    assert len({bytes_of(), bytes_of(seed=1), bytes_of("val")}) == 3


def test_they_say_what_they_are() -> None:
    _, content = compose(composed(), "val", OBJECTS, BACKGROUNDS, 2)
    assert content["info"]["description"].startswith("Composed, no photographs")
    assert [c["name"] for c in content["categories"]] == ["bar", "block"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A file of composed scenes, from two datasets as the graph has them."""
    for name, images, classes in (
        ("objects", OBJECTS[0], ["bar", "block"]),
        ("backgrounds", BACKGROUNDS[:2], ["ship", "truck"]),
    ):
        labels = np.arange(len(images))
        arrays = {}
        for split in ("train", "test"):
            arrays |= {f"{split}/images": images, f"{split}/labels": labels}
        write_hdf5(tmp_path / f"{name}.h5", arrays, {"class_names": classes})
    datasets = tmp_path / "objects.h5", tmp_path / "backgrounds.h5"
    make_scenes(DetectionDataRecipe("scenes", composed=composed()), tmp_path / "s.h5", datasets)
    return tmp_path / "s.h5"


def test_file_has_both_splits(made: Path) -> None:
    for split, images in (("train", 20), ("val", 6)):
        scenes, recipe = load_scenes(made, split)
        assert (len(scenes), recipe.composed) == (images, composed())
        target = scenes.target(0, masks=True)
        assert target.masks is not None
        assert target.masks.shape == (len(target.labels), 32, 32)
        for box, mask in zip(target.boxes, target.masks, strict=True):
            rows, columns = np.nonzero(mask)
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == corners


def test_official_loader_reads_the_export(made: Path, tmp_path: Path, capsys: Any) -> None:
    export_scenes(made, tmp_path / "coco")
    official = COCO(str(tmp_path / "coco/annotations/instances_val.json"))
    scenes, _ = load_scenes(made, "val")
    assert len(official.getImgIds()) == len(scenes) == 6
    for position, entry in enumerate(official.loadImgs(official.getImgIds())):
        pixels = np.asarray(Image.open(tmp_path / "coco/val" / entry["file_name"]))
        assert (pixels == scenes.image(position)).all()
        ours = scenes.target(position, masks=True).masks
        theirs = [official.annToMask(a) for a in official.imgToAnns[entry["id"]]]
        assert ours is not None and len(theirs) == len(ours)
        assert all((a == b).all() for a, b in zip(theirs, ours, strict=True))
    # And it is read back as official data are.
    files = [
        str(tmp_path / f"coco/annotations/instances_{split}.json") for split in ("train", "val")
    ]
    folders = [str(tmp_path / f"coco/{split}") for split in ("train", "val")]
    digests = tuple(_sha256(file) for file in files)
    coco = CocoRecipe(files[0], folders[0], files[1], folders[1], digests)
    make_scenes(DetectionDataRecipe("again", coco=coco), tmp_path / "again.h5")
    again, _ = load_scenes(tmp_path / "again.h5", "val")
    assert (again.image(3) == scenes.image(3)).all()
    assert (again.target(3, True).boxes == scenes.target(3, True).boxes).all()


def test_unknown_class_is_told_with_those_there_are(made: Path, tmp_path: Path) -> None:
    recipe = DetectionDataRecipe("scenes", composed=composed(background_classes=("shp",)))
    datasets = made.parent / "objects.h5", made.parent / "backgrounds.h5"
    with pytest.raises(UserError, match="'shp'; there are ship, truck"):
        make_scenes(recipe, tmp_path / "x.h5", datasets)


# COCO --------------------------------------------------------------------------------------------

COCO_FILE = {
    "info": {"description": "COCO 2017 Dataset"},
    "licenses": [],
    "images": [
        {"id": 139, "file_name": "000000000139.jpg", "width": 8, "height": 6},
        {"id": 285, "file_name": "000000000285.jpg", "width": 8, "height": 6},
    ],
    # Ids of COCO's categories have gaps.
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
    "annotations": [
        {  # a polygon
            "id": 1,
            "image_id": 139,
            "category_id": 90,
            "bbox": [1.0, 1.0, 4.0, 3.0],
            "area": 12.0,
            "iscrowd": 0,
            "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]],
        },
        {  # a crowd: an uncompressed run-length code, column by column
            "id": 2,
            "image_id": 139,
            "category_id": 1,
            "bbox": [0.0, 0.0, 2.0, 6.0],
            "area": 12.0,
            "iscrowd": 1,
            "segmentation": {"size": [6, 8], "counts": [0, 12, 36]},
        },
        {  # no box to speak of
            "id": 3,
            "image_id": 285,
            "category_id": 1,
            "bbox": [1.0, 1.0, 0.0, 2.0],
            "area": 0.0,
            "iscrowd": 0,
            "segmentation": [[1, 1, 1, 3, 1, 2]],
        },
    ],
}


def _sha256(file: str | Path) -> str:
    import hashlib

    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


@pytest.fixture
def coco(tmp_path: Path) -> CocoRecipe:
    """COCO's official layout, two images."""
    file = tmp_path / "annotations/instances_val2017.json"
    file.parent.mkdir()
    file.write_text(json.dumps(COCO_FILE))
    folders = [tmp_path / "train2017", tmp_path / "val2017"]
    for folder in folders:
        folder.mkdir()
        for entry in COCO_FILE["images"]:
            grey = 100 if folder.name == "val2017" else 50
            Image.new("L", (8, 6), grey).save(folder / entry["file_name"])
    train, val = map(str, folders)
    return CocoRecipe(str(file), train, str(file), val, (_sha256(file),) * 2)


def test_coco_as_it_is_published(coco: CocoRecipe, tmp_path: Path) -> None:
    make_scenes(DetectionDataRecipe("coco", coco=coco), tmp_path / "coco.h5")
    scenes, _ = load_scenes(tmp_path / "coco.h5", "val")
    assert scenes.image(0).shape == (6, 8, 3)  # grey images get three channels
    target = scenes.target(0, masks=True)
    assert target.boxes.tolist() == [[1, 1, 5, 4]]  # the crowd is not to be learned
    assert target.labels.tolist() == [2]  # by id: person, toothbrush
    expected = np.zeros((6, 8))
    expected[1:4, 1:5] = 1
    assert target.masks is not None and (target.masks[0] == expected).all()
    crowd = mask_of(COCO_FILE["annotations"][1], 6, 8)
    assert crowd[:, :2].all() and not crowd[:, 2:].any()
    assert scenes.objects(1) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "no list of 'categories'"),
        (lambda c: c["images"][0].pop("width"), r"images\[0\] \(id 139\): it has no 'width'"),
        (lambda c: c["annotations"][0].update(category_id=7), r"\(id 1\): 'category_id' is 7, and"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), r"\(id 1\): 'bbox' is \[1, 2, 3\]"),
        (lambda c: c["images"].clear(), "lists no images"),
    ],
)
def test_broken_annotations_are_told(change: Any, message: str, tmp_path: Path) -> None:
    content = json.loads(json.dumps(COCO_FILE))
    change(content)
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_coco(tmp_path / "a.json")


def test_half_a_file_and_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text(json.dumps(COCO_FILE)[:200])
    with pytest.raises(UserError, match="is not JSON"):
        read_coco(tmp_path / "half.json")
    with pytest.raises(UserError, match="could not read"):
        read_coco(tmp_path / "none.json")


def test_images_are_checked_when_they_are_read(coco: CocoRecipe, tmp_path: Path) -> None:
    make_scenes(DetectionDataRecipe("coco", coco=coco), tmp_path / "coco.h5")
    scenes, _ = load_scenes(tmp_path / "coco.h5", "val")
    file = tmp_path / "val2017/000000000139.jpg"
    Image.new("RGB", (9, 6)).save(file)
    with pytest.raises(UserError, match="has 9x6 pixels, its annotation says 8x6"):
        scenes.image(0)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="id 139 could not be read"):
        scenes.image(0)
    file.unlink()
    with pytest.raises(UserError, match="id 139 could not be read"):
        scenes.image(0)


def test_images_are_checked_before_any_training(coco: CocoRecipe, tmp_path: Path) -> None:
    """Also those that only the measurement needs."""
    recipe = DetectionDataRecipe("coco", coco=coco)
    file = tmp_path / "val2017/000000000139.jpg"
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (6, 8)).save(file, exif=turned)  # as a camera stores it; 8 x 6 upright
    make_scenes(recipe, tmp_path / "coco.h5")
    scenes, _ = load_scenes(tmp_path / "coco.h5", "val")
    assert scenes.image(0).shape == (6, 8, 3)
    for size, message in (
        ((6, 8), "has 6x8 pixels, its annotation says 8x6"),
        (None, "not be read"),
    ):
        file.unlink()
        if size:
            Image.new("RGB", size).save(file)
        with pytest.raises(UserError, match=rf"000000000139\.jpg: .*{message}"):
            make_scenes(recipe, tmp_path / "other.h5")
    assert not (tmp_path / "other.h5").exists()


def test_annotations_that_changed_since_the_plan_are_refused(
    coco: CocoRecipe, tmp_path: Path
) -> None:
    Path(coco.val_annotations).write_text(json.dumps(COCO_FILE) + "\n")
    with pytest.raises(UserError, match="has changed since the run was planned"):
        make_scenes(DetectionDataRecipe("coco", coco=coco), tmp_path / "coco.h5")


def test_splits_of_two_datasets_are_refused(coco: CocoRecipe, tmp_path: Path) -> None:
    other = json.loads(json.dumps(COCO_FILE))
    other["categories"][1]["name"] = "dog"
    file = tmp_path / "annotations/other.json"
    file.write_text(json.dumps(other))
    digests = coco.sha256[0], _sha256(file)
    mixed = CocoRecipe(coco.train_annotations, coco.train_images, str(file), "x", digests)
    with pytest.raises(UserError, match="categories of training and validation differ.*id 1 "):
        make_scenes(DetectionDataRecipe("coco", coco=mixed), tmp_path / "coco.h5")


def test_images_of_16_bits_are_scaled_and_others_refused(coco: CocoRecipe, tmp_path: Path) -> None:
    make_scenes(DetectionDataRecipe("coco", coco=coco), tmp_path / "coco.h5")
    scenes, _ = load_scenes(tmp_path / "coco.h5", "val")
    file = tmp_path / "val2017/000000000139.jpg"  # Pillow goes by the content
    values = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1300
    Image.fromarray(values).save(file, "PNG")
    assert (scenes.image(0) == (values >> 8)[..., None]).all()
    Image.fromarray(values.astype(np.int32)).save(file, "TIFF")
    with pytest.raises(UserError, match="id 139 could not be read.*32 bits.*8 bits a channel"):
        scenes.image(0)


def test_coco_in_the_home(
    coco: CocoRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths with ``~``, and a name with another system's folders."""
    monkeypatch.setenv("HOME", str(tmp_path))
    content = copy.deepcopy(COCO_FILE)
    for entry in content["images"]:
        entry["file_name"] = f".\\{entry['file_name']}"
    (tmp_path / "windows.json").write_text(json.dumps(content))
    file, digest = "~/windows.json", _sha256(tmp_path / "windows.json")
    at_home = CocoRecipe(file, "~/train2017", file, "~/val2017", (digest,) * 2)
    make_scenes(DetectionDataRecipe("coco", coco=at_home), tmp_path / "coco.h5")
    scenes, _ = load_scenes(tmp_path / "coco.h5", "val")
    assert (scenes.image(0) == 100).all()
    same = dataclasses.replace(at_home, val_images=str(tmp_path / "train2017"))
    with pytest.raises(UserError, match="000000000139.jpg"):
        make_scenes(DetectionDataRecipe("coco", coco=same), tmp_path / "same.h5")


@pytest.mark.parametrize("written", ["{0}", "{0}/", "{0}/../val2017", "{0}/../linked"])
def test_an_image_of_both_splits_is_refused(written: str, coco: CocoRecipe, tmp_path: Path) -> None:
    folder = coco.val_images
    (tmp_path / "linked").symlink_to(folder)
    train = written.format(folder)
    same = CocoRecipe(coco.train_annotations, train, coco.val_annotations, folder, coco.sha256)
    with pytest.raises(UserError, match=r"139.jpg is a training and a validation.*\(2 such images"):
        make_scenes(DetectionDataRecipe("coco", coco=same), tmp_path / "coco.h5")


def test_a_copy_of_a_training_image_is_found(coco: CocoRecipe, tmp_path: Path) -> None:
    train, val = Path(coco.train_images), Path(coco.val_images)
    (val / "000000000285.jpg").write_bytes((train / "000000000139.jpg").read_bytes())
    with pytest.raises(UserError, match=r"is a training and a validation image"):
        make_scenes(DetectionDataRecipe("coco", coco=coco), tmp_path / "coco.h5")


def test_masks_are_needed_for_masks_alone(coco: CocoRecipe) -> None:
    content = json.loads(json.dumps(COCO_FILE))
    content["annotations"][0].pop("segmentation")
    scenes = Scenes(content, None, coco.val_images)
    assert len(scenes.target(0, masks=False).boxes) == 1
    with pytest.raises(UserError, match="annotation 1 has no segmentation"):
        scenes.target(0, masks=True)


# Pascal VOC --------------------------------------------------------------------------------------

VOC_XML = """<annotation>
  <folder>VOC2007</folder><filename>{name}.jpg</filename>
  <size><width>500</width><height>375</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object><name>chair</name><pose>Rear</pose><truncated>0</truncated><difficult>0</difficult>
    <bndbox><xmin>263</xmin><ymin>211</ymin><xmax>324</xmax><ymax>339</ymax></bndbox></object>
  <object><name>person</name><difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>500</xmax><ymax>375</ymax></bndbox>
    <part><name>head</name>
      <bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part></object>
</annotation>"""


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """VOCdevkit's official layout."""
    for year, part, names in (
        ("2007", "trainval", ["000005", "000007"]),
        ("2007", "test", ["000001"]),
        ("2012", "trainval", ["2008_000008"]),
    ):
        folder = tmp_path / "VOCdevkit" / f"VOC{year}"
        for sub in ("Annotations", "ImageSets/Main", "JPEGImages"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        (folder / "ImageSets/Main" / f"{part}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            (folder / "Annotations" / f"{name}.xml").write_text(VOC_XML.format(name=name))
            colour = (10 * int(name[-1]), 0, 0)
            Image.new("RGB", (500, 375), colour).save(folder / "JPEGImages" / f"{name}.jpg")
    return tmp_path / "VOCdevkit"


def test_voc_as_it_is_published(devkit: Path, tmp_path: Path) -> None:
    sets = ("2007/trainval", "2012/trainval"), ("2007/test",)
    lists = [
        devkit / f"VOC{name[:4]}/ImageSets/Main/{name[5:]}.txt" for part in sets for name in part
    ]
    voc = VocRecipe(str(devkit), *sets, tuple(map(_sha256, lists)))
    make_scenes(DetectionDataRecipe("voc", voc=voc), tmp_path / "voc.h5")
    train, _ = load_scenes(tmp_path / "voc.h5", "train")
    val, _ = load_scenes(tmp_path / "voc.h5", "val")
    assert (len(train), len(val), len(train.categories)) == (3, 1, 20)
    assert train.image(2).shape == (375, 500, 3)  # of 2012
    target = train.target(0, masks=False)
    # Pixels are counted from 1, and the last one belongs to the box.
    assert target.boxes.tolist() == [[262, 210, 324, 339]]
    assert target.labels.tolist() == [9]  # chair
    difficult = val.coco["annotations"][1]
    assert (difficult["iscrowd"], difficult["bbox"]) == (1, [0, 0, 500, 375])


def test_broken_voc_is_told(devkit: Path) -> None:
    with pytest.raises(UserError, match=r"ImageSets/Main/trainvall\.txt: could not read"):
        read_voc(devkit, ["2007/trainvall"])
    file = devkit / "VOC2007/Annotations/000005.xml"
    good = file.read_text()
    size, left, right = "<width>500</width>", "<xmin>263</xmin>", "<xmax>324</xmax>"
    for bad, message in (
        (good[:300], "is not XML"),
        (good.replace("chair", "stool"), "'stool' is none of the 20 classes"),
        (good.replace(size, ""), "no 'size/width' in it"),
        (good.replace(size, "<width></width>"), "'size/width' is ''; expected a number"),
        (good.replace(size, "<width>0</width>"), "the size is 0x375; expected"),
        (good.replace(size, "<width>500.5</width>"), "the size is 500.5x375"),
        (good.replace(size, "<width>-500</width>"), "the size is -500x375"),
        (good.replace(left, "<xmin>(88, 100)</xmin>"), r"'bndbox/xmin' is '\(88, 100\)'; expected"),
        (good.replace(left, "<xmin/>"), r"object 1 \(chair\): 'bndbox/xmin' is ''; expected"),
        (good.replace(left, "<xmin>nan</xmin>"), "'bndbox/xmin' is 'nan'; expected"),
        (good.replace(left, "<xmin>-inf</xmin>"), "'bndbox/xmin' is '-inf'; expected"),
        (good.replace(left, ""), r"object 1 \(chair\): no 'bndbox/xmin' in it"),
        (good.replace(left, "<xmin>400</xmin>"), r"object 1 \(chair\): xmin is 400 and xmax 324"),
        (
            good.replace(left, "<xmin>600</xmin>").replace(right, "<xmax>700</xmax>"),
            r"object 1 \(chair\): 'bbox' is .* outside its image of 500x375",
        ),
        (good.replace("<difficult>1<", "<difficult>yes<"), r"object 2 \(person\): 'difficult' is"),
        (f'<!DOCTYPE a [<!ENTITY x "y">]>{good}', "declares no entities"),
        (f'<?xml version="1.0" encoding="gb2312"?>{good}', "is not XML"),
        (f'<?xml version="1.0" encoding="latin-0"?>{good}', "is not XML"),
    ):
        file.write_text(bad)
        with pytest.raises(UserError, match=message) as told:
            read_voc(devkit, ["2007/trainval"])
        assert str(file) in str(told.value)
    file.unlink()
    with pytest.raises(UserError, match=r"000005\.xml: could not read"):
        read_voc(devkit, ["2007/trainval"])


def test_every_broken_annotation_of_voc_is_told(devkit: Path) -> None:
    for name in ("000005", "000007"):
        file = devkit / f"VOC2007/Annotations/{name}.xml"
        file.write_text(file.read_text().replace("<width>500</width>", "<width>0</width>"))
    with pytest.raises(UserError, match=r"2 problems:\n  .*000005\.xml: .*\n  .*000007\.xml: "):
        read_voc(devkit, ["2007/trainval"])


def test_voc_as_other_tools_write_it(devkit: Path) -> None:
    expected = read_voc(devkit, ["2007/trainval"])
    file = devkit / "VOC2007/Annotations/000005.xml"
    text = file.read_text().replace(">500<", ">500.0<", 1).replace(">263<", "> 263.0\n<")
    file.write_text(text.replace("<difficult>0</difficult>", "<difficult/>", 1))
    assert read_voc(devkit, ["2007/trainval"]) == expected
    # A list of a spreadsheet: a byte-order mark, other line ends, labels.
    file = devkit / "VOC2007/ImageSets/Main/trainval.txt"
    file.write_bytes("\ufeff000005  1\r\n\r\n000007 -1\r\n".encode())
    assert read_voc(devkit, ["2007/trainval"]) == expected


def test_lists_of_voc_are_text_that_names_every_image_once(devkit: Path) -> None:
    file = devkit / "VOC2007/ImageSets/Main/trainval.txt"
    file.write_bytes("000005\nB\xe4r\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"trainval\.txt: .*UTF-8.*(?i:latin-?1)"):
        read_voc(devkit, ["2007/trainval"])
    file.write_text("000005\n000007\n000005\n")
    with pytest.raises(UserError, match=r"trainval\.txt: the image '000005' is already listed in"):
        read_voc(devkit, ["2007/trainval"])
    file.write_text("000005\n000007\n")
    file.with_name("train.txt").write_text("000007\n")
    with pytest.raises(
        UserError, match=r"train\.txt: .*'000007' is already listed in '2007/trainval"
    ):
        read_voc(devkit, ["2007/trainval", "2007/train"])


def test_names_of_voc_may_have_spaces(devkit: Path) -> None:
    """A file of the first word's name is another image."""
    file = devkit / "VOC2007/ImageSets/Main/trainval.txt"
    file.write_text("000005 1\n000007\n")
    assert voc_names(devkit, "2007/trainval") == ["000005", "000007"]
    file.write_text("000005 night\n")
    with pytest.raises(UserError, match="000005 night"):
        read_voc(devkit, ["2007/trainval"])


@pytest.mark.parametrize("name", ["trainval", "VOC2007/trainval", "2007/"])
def test_a_set_of_voc_has_a_year(name: str, devkit: Path) -> None:
    with pytest.raises(UserError, match=f"'{name}' is no set of Pascal VOC; expected <year>/<set>"):
        read_voc(devkit, [name])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_voc_in_either_form_of_unicode(form: str, devkit: Path) -> None:
    folder = devkit / "VOC2007"
    name = unicodedata.normalize(form, "Bär")
    (folder / "Annotations" / f"{name}.xml").write_text(VOC_XML.format(name=name))
    (folder / "ImageSets/Main/train.txt").write_text("Bär\n", encoding="utf-8")
    (image,) = read_voc(devkit, ["2007/train"])["images"]
    assert unicodedata.normalize("NFC", image["file_name"]) == "VOC2007/JPEGImages/Bär.jpg"


def test_categories_in_two_forms_of_unicode_are_the_same(tmp_path: Path) -> None:
    found = []
    for form in ("NFC", "NFD"):
        content = copy.deepcopy(COCO_FILE)
        content["categories"][0]["name"] = unicodedata.normalize(form, "Bär")
        (tmp_path / f"{form}.json").write_text(json.dumps(content))
        found.append(read_coco(tmp_path / f"{form}.json"))
    same_categories(*found, "mine")
