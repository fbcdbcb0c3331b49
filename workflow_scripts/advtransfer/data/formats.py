"""Parsers of the official file formats. Bytes in, arrays out; nothing is unpickled or executed."""

from __future__ import annotations

import io
import re
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from ..errors import UserError
from .dataset import Blob, Splits

CHUNK = 1 << 20


def damaged(where: str, expected: str, found: str) -> UserError:
    """Return the error for a file that contradicts its format, with advice on what to do."""
    return UserError(
        f"{where}: truncated or not in the expected format: expected {expected}, found {found}. "
        "Delete the file and run the same command again to fetch it anew, or replace your copy."
    )


def reason_of(error: Exception) -> str:
    """Return the text of a library's error in one line, without the addresses of Python objects.

    Libraries name what they read, which here is a buffer and not the file.
    """
    return re.sub(r" *<[\w.]+ object at 0x[0-9a-f]+>", "", " ".join(str(error).split()))


def blob_name(path: str) -> str:
    """Return the key of a file in a reader's blobs: its name without folder and ``.gz``."""
    return PurePosixPath(path).name.removesuffix(".gz")


def read_members(archive: Path, members: Sequence[str]) -> dict[str, Blob]:
    """Return the named members of a tar archive (plain or compressed), by ``blob_name``.

    They are read into memory, never unpacked, so that no path in the archive can do harm.

    Raises:
        UserError: The archive is truncated, damaged or lacks a member.
    """
    blobs: dict[str, Blob] = {}
    current, size, data = "the first entry", 0, bytearray()
    try:
        with (
            tarfile.open(archive, "r|*") as tar,
            tqdm(total=len(members), desc=f"reading {archive.name}", disable=None) as bar,
        ):
            for entry in tar:
                name = entry.name.removeprefix("./")
                stream = tar.extractfile(entry) if name in members else None
                if stream is None:
                    continue
                current, size, data = name, entry.size, bytearray()
                while chunk := stream.read(CHUNK):
                    data += chunk
                blobs[blob_name(name)] = Blob(f"{archive} ({name})", bytes(data))
                bar.update()
                if len(blobs) == len(members):
                    return blobs
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise damaged(
            str(archive),
            f"a whole tar archive, {size} bytes in {current}",
            f"{len(data)} bytes of it and then an end or a break ({error})",
        ) from None
    missing = [name for name in members if blob_name(name) not in blobs]
    raise damaged(str(archive), f"the members {', '.join(members)}", f"no {', '.join(missing)}")


def decompressed(blob: Blob) -> Blob:
    """Return the blob, decompressed if its bytes are gzip.

    A truncated stream gives all bytes up to its end, so that its parser can report how many are
    missing.

    Raises:
        UserError: The compressed bytes are corrupt.
    """
    if blob.data[:2] != b"\x1f\x8b":
        return blob
    try:
        return Blob(blob.where, zlib.decompressobj(wbits=31).decompress(blob.data))
    except zlib.error as error:
        raise damaged(blob.where, "gzip data", f"corrupt bytes ({error})") from None


def parse_idx(blob: Blob) -> np.ndarray:
    """Return the array of an IDX file (the MNIST format), gzipped or not, as uint8.

    Raises:
        UserError: It is no IDX file of bytes, or is shorter or longer than its header says.
    """
    where, data = decompressed(blob)
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise damaged(where, "an IDX file of bytes (it starts with 00 00 08)", data[:4].hex(" "))
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise damaged(where, f"a header of {header} bytes", f"{len(data)} bytes")
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(data) != expected:
        raise damaged(where, f"{expected} bytes for shape {shape}", f"{len(data)} bytes")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_idx(blobs: Mapping[str, Blob]) -> Splits:
    """Return the splits, with images (N, H, W), in the four IDX files of MNIST or a successor."""
    return {
        split: (
            parse_idx(blobs[f"{prefix}-images-idx3-ubyte"]),
            parse_idx(blobs[f"{prefix}-labels-idx1-ubyte"]),
        )
        for split, prefix in (("train", "train"), ("test", "t10k"))
    }


def parse_cifar(blobs: Sequence[Blob], label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 32, 32, 3) and labels (N,), both uint8, of CIFAR's binary files.

    A record has ``label_bytes`` labels, of which the last is used (CIFAR-100 has the coarse one
    first), and 3072 pixels, channel after channel.

    Raises:
        UserError: A file is empty or ends inside a record.
    """
    size = label_bytes + 3072
    parts = []
    for where, data in blobs:
        if not data or len(data) % size:
            whole = (len(data) // size + 1) * size
            raise damaged(where, f"records of {size} bytes ({whole})", f"{len(data)} bytes")
        parts.append(np.frombuffer(data, np.uint8).reshape(-1, size))
    records = np.concatenate(parts)
    pixels = records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), records[:, label_bytes - 1].copy()


def parse_stl10(images: Blob, labels: Blob) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 96, 96, 3) and labels (N,), both uint8, of a split of STL-10's binaries.

    The labels start at 0.

    Raises:
        UserError: The file ends inside an image, or has not one image for each label.
    """
    size = 3 * 96 * 96
    if len(images.data) != size * len(labels.data):
        raise damaged(
            images.where,
            f"{size * len(labels.data)} bytes for the {len(labels.data)} labels of {labels.where}",
            f"{len(images.data)} bytes",
        )
    # Images are stored column by column, and labels start at 1.
    pixels = np.frombuffer(images.data, np.uint8).reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
    numbers = np.frombuffer(labels.data, np.uint8)
    if not numbers.all():
        raise damaged(labels.where, "labels from 1 to 10", "a label 0")
    return np.ascontiguousarray(pixels), numbers - 1


def parse_svhn(blob: Blob) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 32, 32, 3) and labels (N,), both uint8, of an SVHN .mat file.

    Raises:
        UserError: The file is no version 5 .mat file, is truncated, or lacks ``X`` or ``y``.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(io.BytesIO(blob.data), variable_names=("X", "y"))
        images, labels = content["X"], content["y"].reshape(-1)
    except Exception as error:  # scipy raises errors of many types for a broken file
        raise damaged(
            blob.where,
            "a version 5 .mat file with X and y",
            f"{len(blob.data)} bytes that cannot be read as one ({type(error).__name__}: "
            f"{reason_of(error)})",
        ) from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        raise damaged(blob.where, "X as uint8 (32, 32, 3, N)", f"{images.dtype} {images.shape}")
    # The digit 0 has the label 10.
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), (labels % 10).astype(np.uint8)
