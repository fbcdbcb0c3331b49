"""Reading CIFAR-10, and augmented batches of it, against torchvision.

Reading: 50,000 training images from disk (its cache) to a uint8 tensor, checksums verified on both
sides. Peer: torchvision's ``CIFAR10`` on the pickled batches of the official layout, which this
suite writes from the dataset into a temporary folder. Ours: ``read_hdf5`` and ``to_device``, on a
file as the workflow writes it. Facts: what the parts of our way take by themselves, in seconds.

Batches: one epoch of batches of 128 with random crop (padding 4) and flip, as float32 in [0, 1].
Peer: torchvision's transforms in a ``DataLoader`` without workers and with two that stay alive
between epochs. Ours: ``epoch_batches`` on the resident uint8 images.
"""

from __future__ import annotations

import hashlib
import pickle
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..harness import Measurement, Settings, interleaved, synchronised

if TYPE_CHECKING:
    import numpy as np
    import torch

READING_TARGET, BATCHES_TARGET = 15.0, 12.0
BATCH_SIZE = 128
TRAIN_FILES = 5
EPOCH_IMAGES = 10_000


def run(settings: Settings) -> list[Measurement]:
    from .. import networks

    count = {"train": 50_000, "test": 10_000}
    if settings.quick:
        count = {"train": 300, "test": 20}
    splits = {}
    for split, images in count.items():
        pixels, labels = networks.cifar10(split, images, Settings(quick=settings.quick))
        splits[split] = pixels.permute(0, 2, 3, 1).contiguous().numpy(), labels.numpy()
    with tempfile.TemporaryDirectory() as folder:
        cifar10 = pickled_batches(Path(folder), splits, networks.CLASSES)
        measurements = reading(Path(folder), splits["train"], cifar10, settings)
        measurements += batches(splits["train"], cifar10(None), settings)
    return measurements


def pickled_batches(
    folder: Path, splits: dict[str, tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...]
) -> Callable[[Any], Any]:
    """Write the official layout, and give what opens its training images with a transform."""
    import numpy as np
    from torchvision import datasets

    base = folder / datasets.CIFAR10.base_folder
    base.mkdir()

    def write(name: str, content: dict[str, Any]) -> str:
        data = pickle.dumps(content, protocol=2)
        (base / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    def write_images(name: str, images: np.ndarray, labels: np.ndarray) -> list[str]:
        planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
        return [name, write(name, {"data": planes, "labels": labels.tolist()})]

    parts = [np.array_split(part, TRAIN_FILES) for part in splits["train"]]
    train = [
        write_images(f"data_batch_{k + 1}", images, labels)
        for k, (images, labels) in enumerate(zip(*parts, strict=True))
    ]
    test = [write_images("test_batch", *splits["test"])]
    names = {"label_names": list(classes)}
    meta = {"filename": "batches.meta", "key": "label_names", "md5": write("batches.meta", names)}

    class Written(datasets.CIFAR10):
        """torchvision's dataset, with the checksums of the files just written."""

    Written.train_list, Written.test_list, Written.meta = train, test, meta
    return lambda transform: Written(folder, train=True, transform=transform)


def reading(
    folder: Path,
    train: tuple[np.ndarray, np.ndarray],
    cifar10: Callable[[Any], Any],
    settings: Settings,
) -> list[Measurement]:
    import numpy as np
    import torch

    from workflow_scripts.advtransfer.artifacts.hdf5 import read_hdf5, write_hdf5
    from workflow_scripts.advtransfer.data.batches import to_device

    images, labels = train
    device = torch.device(settings.device)
    path = folder / "cifar10.h5"
    write_hdf5(path, {"train/images": images, "train/labels": labels}, {"classes": 10})
    np.save(folder / "images.npy", images)
    read: dict[str, torch.Tensor] = {}

    def torchvision() -> None:
        dataset = cifar10(None)
        pixels = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).to(device)
        read["peer"], _ = pixels, torch.tensor(dataset.targets)

    def ours() -> None:
        arrays, _ = read_hdf5(path, ["train/images", "train/labels"])
        read["ours"] = to_device(arrays["train/images"], device)

    contenders = {
        name: synchronised(function, settings.device)
        for name, function in (("torchvision CIFAR10", torchvision), ("ours", ours))
    }
    case = f"read {len(images):,} images"
    seconds = interleaved(contenders, settings.repeats, case)
    if not torch.equal(read["peer"], read["ours"]):
        raise AssertionError("torchvision and read_hdf5 do not give the same pixels")
    touched = np.empty_like(images)
    facts = {
        "checksum_seconds": middle(lambda: zlib.crc32(images.data)),
        "copy_seconds": middle(lambda: np.copyto(touched, images)),
        "new_memory_seconds": middle(lambda: np.empty_like(images).fill(0)),
        "npy_seconds": middle(lambda: np.load(folder / "images.npy")),
        "to_device_seconds": middle(lambda: to_device(images, device)),
    }
    return [
        Measurement(
            case,
            name,
            times,
            work=images.nbytes / 1e6,
            unit="MB",
            ours=name == "ours",
            facts=facts if name == "ours" else {},
            target=READING_TARGET if name == "ours" else None,
        )
        for name, times in seconds.items()
    ]


def middle(function: Callable[[], object]) -> float:
    """Median seconds of three calls."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def batches(
    train: tuple[np.ndarray, np.ndarray], dataset: Any, settings: Settings
) -> list[Measurement]:
    import torch
    from torch.utils.data import DataLoader, Subset
    from torchvision import transforms

    from workflow_scripts.advtransfer.data.batches import CROP_PADDING, epoch_batches, to_device

    count = min(EPOCH_IMAGES, len(dataset))
    device = torch.device(settings.device)
    size = train[0].shape[1]
    dataset.transform = transforms.Compose(
        [
            transforms.RandomCrop(size, padding=CROP_PADDING),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )

    def loader(workers: int) -> Callable[[], None]:
        made: Any = DataLoader(
            Subset(dataset, range(count)),
            BATCH_SIZE,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

        def epoch() -> None:
            for images, labels in made:
                images.to(device), labels.to(device)

        return epoch

    images = to_device(train[0][:count], device)
    labels = torch.from_numpy(train[1][:count]).to(device)
    generator = torch.Generator(device).manual_seed(0)

    def ours() -> None:
        for _ in epoch_batches(images, labels, BATCH_SIZE, "crop_flip", generator):
            pass

    contenders = {
        "torchvision, DataLoader": loader(0),
        "torchvision, DataLoader, 2 workers": loader(2),
        "ours": ours,
    }
    contenders = {key: synchronised(f, settings.device) for key, f in contenders.items()}
    case = f"augmented batches of {BATCH_SIZE}"
    return [
        Measurement(
            case,
            name,
            times,
            work=count,
            unit="images",
            ours=name == "ours",
            target=BATCHES_TARGET if name == "ours" else None,
        )
        for name, times in interleaved(contenders, settings.repeats, case).items()
    ]
