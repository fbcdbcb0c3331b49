"""HDF5 packs: files of labelled images, in which users can bring their own data.

A pack has the arrays ``images`` uint8 (N, H, W, 3), ``labels`` integer (N,) and ``split`` bytes
(N,), each ``train`` or ``test``. Its attributes are ``class_names`` (a JSON list or an array of
text), ``source`` and ``licence``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.files import file_sha256
from ..artifacts.hdf5 import decode_attribute, open_foreign_hdf5, readable
from ..errors import UserError
from ..home import expanded
from ..wording import first_of, listed, short
from .dataset import RawDataset, checked_splits
from .text_lists import checked_class_names, composed

SPLITS = ("train", "test")
SHOWN = 200  # characters of an attribute that a message repeats


def read_pack(path: Path, sha256: str | None = None) -> RawDataset:
    """Return the dataset in an HDF5 pack, together with the pack's further attributes.

    Args:
        path: the pack.
        sha256: expected sha256 of the file; None: any.

    Raises:
        UserError: The pack is missing, cannot be read, is being written, is truncated, has another
            sha256, or does not have the form in this module's docstring.
    """
    import h5py

    path = expanded(path)
    _check_exists(path)
    if sha256 is not None:
        found = file_sha256(path)
        if found != sha256.lower():
            raise UserError(
                f"{path}: this is another file than the config asks for: sha256 expected {sha256}, "
                f"found {found}. Restore the file, or set the key sha256 to the new value."
            )
    with open_foreign_hdf5(path) as file:
        attributes = {key: _plain(value) for key, value in file.attrs.items()}
        missing = [
            name
            for name in ("images", "labels", "split")
            if not isinstance(file.get(name), h5py.Dataset)
        ]
        if missing:
            raise UserError(
                f"{path}: this HDF5 pack lacks {', '.join(missing)}; it has "
                f"{listed(sorted(file)) or 'nothing'}. A pack holds images, labels and split."
            )
        _check_images(path, file["images"])
        images, labels, split = (file[name][()] for name in ("images", "labels", "split"))
    class_names = _class_names(path, attributes)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{path}: 'labels' is {labels.dtype} {labels.shape}; expected one integer for each of "
            f"the {len(images)} images."
        )
    split = np.array([_text(value) for value in np.reshape(split, -1)])
    values = np.unique(split).tolist()
    if split.shape != (len(images),) or set(values) != set(SPLITS):
        raise UserError(
            f"{path}: 'split' has {len(split)} values, {values[:5]}; expected 'train' or "
            f"'test' for each of the {len(images)} images, and both present."
        )
    return RawDataset(
        splits=checked_splits(
            {name: (images[split == name], labels[split == name]) for name in SPLITS},
            class_names,
            str(path),
        ),
        class_names=class_names,
        source=str(attributes.pop("source", f"HDF5 pack {path.name}")),
        licence=str(attributes.pop("licence", "not stated in the pack")),
        attributes=attributes,
    )


def size_of_pack(path: Path) -> int | None:
    """Return the pixels a side of a pack's images; None: `read_pack` will say what is wrong."""
    try:
        with open_foreign_hdf5(expanded(path)) as file:
            height, width = file["images"].shape[1:3]
    except (UserError, AttributeError):
        return None
    return int(height) if height == width else None


def class_names_of_pack(path: Path) -> tuple[str, ...]:
    """Return the classes of a pack without reading anything else.

    Raises:
        UserError: The pack is missing, damaged or names no classes.
    """
    path = expanded(path)
    _check_exists(path)
    with open_foreign_hdf5(path) as file:
        names = _plain(file.attrs.get("class_names", ""))
    return _class_names(path, {"class_names": names})


def _check_exists(path: Path) -> None:
    with readable(path):
        try:
            path.stat()
        except FileNotFoundError:
            raise UserError(
                f"{path}: no such HDF5 pack. Correct the path, or put the file there."
            ) from None


def _check_images(path: Path, images: Any) -> None:
    """Refuse images of a wrong type or shape before reading them, because a pack may be large."""
    if images.is_virtual:
        lost = [s.file_name for s in images.virtual_sources() if not _is_there(path, s.file_name)]
        if lost:  # HDF5 reads zeros in their place
            raise UserError(
                f"{path}: the pixels of 'images' are in other files, which are not there: "
                f"{first_of(lost)}. Put them beside the pack, or copy the pixels into it."
            )
    if images.dtype != np.uint8:
        raise UserError(
            f"{path}: 'images' is {images.dtype}; expected uint8 in 0..255. Store the pixels "
            "before any scaling or normalisation: those are part of a model, not of the data."
        )
    if images.ndim != 4 or images.shape[-1] != 3:
        raise UserError(
            f"{path}: 'images' has shape {images.shape}; expected (N, H, W, 3). Give grey images "
            "three equal channels; channels come last."
        )


def _is_there(path: Path, name: str) -> bool:
    """Return whether a file that a pack names relative to itself is there; ``.`` is the pack."""
    return name == "." or (path.parent / name).is_file()


def _class_names(path: Path, attributes: dict[str, Any]) -> tuple[str, ...]:
    names = composed(attributes.pop("class_names", None))
    where = f"{path}: the attribute 'class_names'"
    if not isinstance(names, list) or not names or not all(isinstance(k, str) for k in names):
        shown = f"[{listed(map(repr, names))}]" if isinstance(names, list) else repr(names)
        raise UserError(
            f"{where} is {short(shown, SHOWN)}; expected a JSON list or an array of names, one "
            'per label, like ["cat", "dog"].'
        )
    return checked_class_names(names, where)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    """Return an HDF5 attribute as a value of a JSON type."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        # An array of text, whose items are names and not JSON: "0" is the name of a class.
        return [_text(item) if isinstance(item, str | bytes) else _plain(item) for item in value]
    if isinstance(value, str | bytes):
        return decode_attribute(_text(value))
    return value if isinstance(value, int | float) else str(value)
