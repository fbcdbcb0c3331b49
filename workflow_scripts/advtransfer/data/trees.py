"""Access to files by name, in an unpacked folder or in downloaded tar and zip archives.

Archives are read, never unpacked, and names in them are only compared. Therefore no path in an
archive, and no name in a list of files, can reach anything outside.
"""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from ..artifacts.files import file_error
from ..errors import UserError
from ..wording import first_of
from .dataset import Blob
from .folders import folder_files
from .formats import damaged

LISTS = (".txt", ".json", ".mat")  # files that list the images, kept on the first pass over a tar
LARGEST = 256 << 20  # greatest size of a file in bytes; photographs and lists are far smaller
CHUNK = 1 << 20


class Tree(Protocol):
    """Files by their names, which have ``/`` between folders."""

    @property
    def where(self) -> str:
        """Return the name of the tree for messages."""
        ...

    def names(self) -> Collection[str]:
        """Return the names of all files that are not hidden."""
        ...

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Blob]]:
        """Yield the named files that exist, in the order that costs least.

        Raises:
            UserError: A file is damaged or far too large.
        """
        ...


def find(tree: Tree, ending: str) -> str:
    """Return the only name that is ``ending`` or ends in ``/<ending>``.

    Raises:
        UserError: No name or several names fit.
    """
    found = [name for name in tree.names() if f"/{name}".endswith(f"/{ending}")]
    if len(found) != 1:
        raise UserError(
            f"{tree.where}: expected one file {ending} in it, found "
            f"{first_of(sorted(found)) or 'none'}. Is this the official layout, and whole? "
            "docs/datasets.md says which files a dataset has."
        )
    return found[0]


def read_one(tree: Tree, name: str) -> Blob:
    """Return the file of this name, which must be one of `Tree.names`."""
    for _, blob in tree.read({name}):
        return blob
    raise UserError(f"{tree.where}: {name} was there and is gone; run the same command again.")


class FolderTree:
    """A folder of the user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: Collection[str] | None = None

    @property
    def where(self) -> str:
        return str(self._folder)

    def names(self) -> Collection[str]:
        if self._names is None:
            try:
                self._names = folder_files(self._folder).keys()
            except OSError as error:
                raise file_error(self._folder, error, "read") from None
        return self._names

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Blob]]:
        closed = []
        for name in self.names():
            if name in names:
                path = self._folder / name
                try:
                    _check_size(str(path), path.stat().st_size)
                    data = path.read_bytes()
                except PermissionError:
                    closed.append(name)
                    continue
                except OSError as error:
                    raise file_error(path, error, "read") from None
                yield name, Blob(str(path), data)
        if closed:
            raise UserError(
                f"{self._folder}: no permission to read {len(closed)} of its {len(names)} files: "
                f"{first_of(closed)}. Correct their permissions, or remove them."
            )


class TarTree:
    """A tar archive, plain or compressed, read from its start to its end.

    The first pass keeps the lists (``LISTS``), so that the photographs need only one more pass.
    """

    def __init__(self, where: str, opened: Callable[[], BinaryIO]) -> None:
        self._where, self._open = where, opened
        self._names: dict[str, Blob | None] | None = None

    @property
    def where(self) -> str:
        return self._where

    def names(self) -> Collection[str]:
        if self._names is None:
            self._names = {}
            for name, entry, tar in self._entries():
                is_list = name.endswith(LISTS)
                self._names[name] = self._blob(name, entry, tar) if is_list else None
        return self._names

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Blob]]:
        self.names()
        assert self._names is not None
        wanted = set(names) & set(self._names)
        for name in [name for name in self._names if name in wanted]:
            blob = self._names[name]
            if blob is not None:
                wanted.remove(name)
                yield name, blob
        if not wanted:
            return
        for name, entry, tar in self._entries():
            if name in wanted:
                wanted.remove(name)  # if a name occurs twice, its first file counts
                yield name, self._blob(name, entry, tar)
                if not wanted:
                    return

    def _entries(self) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
        with (
            self._damage_reported("entries up to its end"),
            self._open() as raw,
            tarfile.open(fileobj=raw, mode="r|*") as tar,
        ):
            for entry in tar:
                name = entry.name.removeprefix("./")
                if entry.isreg() and not name.rpartition("/")[2].startswith("."):
                    yield name, entry, tar

    def _blob(self, name: str, entry: tarfile.TarInfo, tar: tarfile.TarFile) -> Blob:
        where = f"{self._where} ({name})"
        _check_size(where, entry.size)
        data = bytearray()
        with self._damage_reported(f"{entry.size} bytes of {name}"):
            stream = tar.extractfile(entry)
            assert stream is not None  # it is a regular file
            while chunk := stream.read(CHUNK):
                data += chunk
        return Blob(where, bytes(data))

    @contextlib.contextmanager
    def _damage_reported(self, expected: str) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, EOFError, zlib.error, zipfile.BadZipFile, OSError) as error:
            raise damaged(self._where, f"a whole tar archive, {expected}", str(error)) from None


class ZipTree:
    """A zip archive."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        return str(self._path)

    def names(self) -> Collection[str]:
        with self._opened() as archive:
            return {
                item.filename: None
                for item in archive.infolist()
                if not item.is_dir() and not item.filename.rpartition("/")[2].startswith(".")
            }

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Blob]]:
        with self._opened() as archive:
            there = set(archive.namelist())
            for name in [name for name in names if name in there]:
                where = f"{self._path} ({name})"
                _check_size(where, archive.getinfo(name).file_size)
                with self._damage_reported():
                    data = archive.read(name)
                yield name, Blob(where, data)

    def member(self, name: str) -> BinaryIO:
        """Open a file in the archive, to be read from its start."""
        with self._damage_reported():
            return zipfile.ZipFile(self._path).open(name)  # type: ignore[return-value]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        with self._damage_reported():
            archive = zipfile.ZipFile(self._path)
        with archive:
            yield archive

    @contextlib.contextmanager
    def _damage_reported(self) -> Iterator[None]:
        try:
            yield
        # These are zipfile's errors for broken, encrypted and unusually compressed archives.
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError) as error:
            raise damaged(str(self._path), "a whole zip archive", str(error)) from None


class FileTree:
    """One file that is no archive."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        return str(self._path)

    def names(self) -> Collection[str]:
        return {self._path.name}

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Blob]]:
        if self._path.name in names:
            try:
                _check_size(str(self._path), self._path.stat().st_size)
                data = self._path.read_bytes()
            except OSError as error:
                raise file_error(self._path, error, "read") from None
            yield self._path.name, Blob(str(self._path), data)


class Trees:
    """Several trees as one; if two of them have a name, the first one's file counts."""

    def __init__(self, trees: Sequence[Tree]) -> None:
        self._trees = trees

    @property
    def where(self) -> str:
        return ", ".join(tree.where for tree in self._trees)

    def names(self) -> Collection[str]:
        return {name: None for tree in self._trees for name in tree.names()}

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Blob]]:
        left = set(names)
        for tree in self._trees:
            here = left & set(tree.names())
            left -= here
            if here:
                yield from tree.read(here)


def open_archives(paths: Sequence[Path], inner: str | None = None) -> Tree:
    """Return one tree of the files in all archives; a path that is no archive is a file itself.

    Args:
        inner: name of a tar archive inside a zip, to be read instead of the zip.
    """
    trees: list[Tree] = []
    for path in paths:
        if path.name.endswith(".zip"):
            archive = ZipTree(path)
            if inner is None:
                trees.append(archive)
            else:
                member = find(archive, inner)
                trees.append(TarTree(f"{path} ({member})", _opener(archive, member)))
        elif path.name.endswith((".tar", ".tar.gz", ".tgz")):
            trees.append(TarTree(str(path), _file_opener(path)))
        else:
            trees.append(FileTree(path))
    return trees[0] if len(trees) == 1 else Trees(trees)


def _opener(archive: ZipTree, member: str) -> Callable[[], BinaryIO]:
    return lambda: archive.member(member)


def _file_opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: open(path, "rb")


def _check_size(where: str, size: int) -> None:
    if size > LARGEST:
        raise UserError(
            f"{where}: {size} bytes in one file, more than the {LARGEST} that a photograph or a "
            "list of them could need. Is this the right file?"
        )
