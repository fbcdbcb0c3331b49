"""The official layouts of the datasets of photographs, written small.

Every dataset is a dictionary of the files that its archives hold, by the path at which torchvision
unpacks them below its root, and a function packs them as the authors do.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

Files = dict[str, bytes]
Truth = dict[str, list[tuple[str, str]]]  # split to file and class, in the order of the lists

NAMES = ("aircraft", "caltech101", "caltech256", "cars", "dtd", "flowers", "food", "pets", "sun397")
FEW_CLASSES = {
    "caltech101": "Faces, accordion",
    "caltech256": "001.ak47, 257.clutter",
}


def jpeg(number: int, mode: str = "RGB") -> bytes:
    """A small photograph of its own size and pixels."""
    rng = np.random.default_rng(number)
    height, width = rng.integers(20, 60, 2)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


def mat(**variables: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables)
    return buffer.getvalue()


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def unpacked(name: str) -> tuple[Files, Truth]:
    """Files below torchvision's root, and what they mean."""
    files: Files = {}
    truth: Truth = {"train": [], "test": []}

    def photograph(split: str, path: str, class_name: str) -> None:
        files[path] = jpeg(len(files), "L" if len(files) % 5 == 4 else "RGB")
        truth[split].append((path, class_name))

    if name == "food":
        for split in ("train", "test"):
            by_class: dict[str, list[str]] = {"waffles": [], "apple_pie": []}
            for k, class_name in enumerate(("waffles", "apple_pie", "apple_pie")):
                image = f"{class_name}/{split}{k}"
                by_class[class_name].append(image)
                photograph(split, f"food-101/images/{image}.jpg", class_name)
            files[f"food-101/meta/{split}.json"] = json.dumps(by_class).encode()
    elif name == "aircraft":
        data = "fgvc-aircraft-2013b/data"
        files[f"{data}/variants.txt"] = text(["707-320", "F-16A/B", "BAE 146-200"])
        for split, part in (("train", "trainval"), ("test", "test")):
            lines = []
            for k, variant in enumerate(("BAE 146-200", "707-320", "F-16A/B")):
                image = f"{k}{len(files):06}"
                lines.append(f"{image} {variant}")
                photograph(split, f"{data}/images/{image}.jpg", variant)
            files[f"{data}/images_variant_{part}.txt"] = text(lines)
    elif name in ("caltech101", "caltech256"):
        each = 30 if name == "caltech101" else 60
        folder = f"{name[-3:]}_ObjectCategories"
        for position, class_name in enumerate(FEW_CLASSES[name].split(", ")):
            prefix = "image" if name == "caltech101" else class_name[:3]
            for k in range(each + 2 + position):
                path = f"{name}/{folder}/{class_name}/{prefix}_{k + 1:04d}.jpg"
                photograph("train" if k < each else "test", path, class_name)
        if name == "caltech101":
            files[f"{name}/{folder}/BACKGROUND_Google/image_0001.jpg"] = jpeg(0)
        else:
            files[f"{name}/{folder}/257.clutter/RENAME2"] = b"a stray file"
            files[f"{name}/{folder}/257.clutter/greg/vision309/257_0001.jpg"] = jpeg(0)
    elif name == "cars":
        kind = [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
        names = np.array(["AM General Hummer SUV 2000", "Acura RL Sedan 2012"], object)
        files["stanford_cars/devkit/cars_meta.mat"] = mat(class_names=names)
        for split, ending in (
            ("train", "devkit/cars_train_annos.mat"),
            ("test", "cars_test_annos_withlabels.mat"),
        ):
            rows = []
            for k, label in enumerate((2, 1, 2)):
                rows.append((1, label, f"{k + 1:05d}.jpg"))
                path = f"stanford_cars/cars_{split}/{k + 1:05d}.jpg"
                photograph(split, path, names[label - 1])
            files[f"stanford_cars/{ending}"] = mat(annotations=np.array([rows], kind)[0])
    elif name == "dtd":
        for part in ("train1", "val1", "test1", "train2"):
            lines = []
            for k, class_name in enumerate(("banded", "zigzagged")):
                image = f"{class_name}/{class_name}_{part}{k}.jpg"
                lines.append(image)
                split = "test" if part == "test1" else "train"
                if part == "train2":
                    files[f"dtd/dtd/images/{image}"] = jpeg(len(files))
                else:
                    photograph(split, f"dtd/dtd/images/{image}", class_name)
            files[f"dtd/dtd/labels/{part}.txt"] = text(lines)
    elif name == "flowers":
        labels = np.array([1, 102, 2, 1, 2, 102, 1, 1], np.uint8)
        sets = {"trnid": [8, 2], "valid": [3, 1], "tstid": [4, 7, 5, 6]}
        named = {1: "pink primrose", 2: "hard-leaved pocket orchid", 102: "blackberry lily"}
        for part, numbers in sets.items():
            for number in numbers:
                path = f"flowers-102/jpg/image_{number:05d}.jpg"
                split = "test" if part == "tstid" else "train"
                photograph(split, path, named[int(labels[number - 1])])
        files["flowers-102/imagelabels.mat"] = mat(labels=labels[None])
        arrays = {part: np.array([numbers], np.uint16) for part, numbers in sets.items()}
        files["flowers-102/setid.mat"] = mat(**arrays)
    elif name == "pets":
        breeds = ["Abyssinian", "american_bulldog"]
        titles = ["Abyssinian", "American Bulldog"]
        for split, part in (("train", "trainval"), ("test", "test")):
            lines = []
            for k, label in enumerate((1, 2, 2)):
                image = f"{breeds[label - 1]}_{k}{part}"
                lines.append(f"{image} {label} 1 1")
                photograph(split, f"oxford-iiit-pet/images/{image}.jpg", titles[label - 1])
            files[f"oxford-iiit-pet/annotations/{part}.txt"] = text(lines)
        files["oxford-iiit-pet/annotations/trimaps/._Abyssinian_0.png"] = b"hidden"
    else:
        for split, part in (("train", "Training"), ("test", "Testing")):
            lines = []
            for k, place in enumerate(("a/abbey", "a/apartment_building/outdoor")):
                lines.append(f"/{place}/sun_{split}{k}.jpg")
                photograph(split, f"SUN397{lines[-1]}", place[2:])
            files[f"SUN397/{part}_01.txt"] = text(lines)
        files["SUN397/ClassName.txt"] = text(["/a/abbey", "/a/apartment_building/outdoor"])
        files["SUN397/a/abbey/sun_in_no_list.jpg"] = jpeg(0)
    return files, truth


def tar(members: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def packed(name: str, files: Files) -> Files:
    """The official files: archives, and what the authors give beside them."""

    def below(folder: str, *only: str) -> Files:
        return {
            path.removeprefix(f"{folder}/"): data
            for path, data in files.items()
            if path.startswith(f"{folder}/")
            and (not only or path.removeprefix(f"{folder}/").split("/")[0] in only)
        }

    if name == "food":
        return {"food-101.tar.gz": tar(files)}
    if name == "aircraft":
        return {"fgvc-aircraft-2013b.tar.gz": tar(files)}
    if name == "caltech101":
        inner = tar(below("caltech101"))
        outer = {"caltech-101/101_ObjectCategories.tar.gz": inner, "__MACOSX/._x": b"hidden"}
        return {"caltech-101.zip": zipped(outer)}
    if name == "caltech256":
        return {"256_ObjectCategories.tar": tar(below("caltech256"), "w")}
    if name == "cars":
        return {
            "cars_train.tgz": tar(below("stanford_cars", "cars_train")),
            "cars_test.tgz": tar(below("stanford_cars", "cars_test")),
            "car_devkit.tgz": tar(below("stanford_cars", "devkit")),
            "cars_test_annos_withlabels.mat": files["stanford_cars/cars_test_annos_withlabels.mat"],
        }
    if name == "dtd":
        return {"dtd-r1.0.1.tar.gz": tar(below("dtd"))}
    if name == "flowers":
        return {
            "102flowers.tgz": tar(below("flowers-102", "jpg")),
            "imagelabels.mat": files["flowers-102/imagelabels.mat"],
            "setid.mat": files["flowers-102/setid.mat"],
        }
    if name == "pets":
        return {
            "images.tar.gz": tar(below("oxford-iiit-pet", "images")),
            "annotations.tar.gz": tar(below("oxford-iiit-pet", "annotations")),
        }
    lists = {path: data for path, data in below("SUN397").items() if path.endswith("_01.txt")}
    rest = {path: data for path, data in files.items() if not path.endswith("_01.txt")}
    return {"SUN397.tar.gz": tar(rest), "Partitions.zip": zipped(lists)}
