"""Weights in safetensors files: checkpoints, and the progress of a training.

Nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import seals
from ..errors import UserError
from .files import atomic, file_error

ATTRIBUTES_KEY = "advtransfer"  # key in a checkpoint's metadata


def save_tensors(
    path: str | Path, tensors: Mapping[str, Any], attributes: Mapping[str, Any]
) -> None:
    """Write tensors as safetensors, with attributes as JSON in the metadata.

    The same content gives the same bytes.
    """
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = {seals.KEY: seals.unfilled_seal(path), **attributes}
    # All attributes are under one key, because safetensors writes several keys in an order that
    # changes from run to run.
    metadata = {ATTRIBUTES_KEY: json.dumps(sealed)}
    with atomic(path) as temporary:
        try:
            save_file(plain, str(temporary), metadata=metadata)
        except Exception as error:  # safetensors raises its own type for I/O errors
            raise file_error(path, error, "write") from error
        seals.fill_seal(temporary)


def load_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors and attributes of a safetensors file.

    Raises:
        UserError: The file is missing, truncated, damaged, no safetensors file or another artefact.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb", buffering=0) as raw:
            seals.check_safetensors(path, raw.fileno())
        with safe_open(str(path), framework="pt") as file:
            attributes = json.loads((file.metadata() or {}).get(ATTRIBUTES_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        artefact = attributes.pop(seals.KEY, {}).get("artefact")
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint.") from None
    except OSError as error:
        raise file_error(path, error, "read") from None
    except (SafetensorError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path}: not a complete safetensors checkpoint ({error}). Checkpoints are safetensors "
            "files; a .pt or .ckpt file has to be converted first (nothing is unpickled here)."
        ) from None
    seals.check_name(path, artefact)
    return tensors, attributes
