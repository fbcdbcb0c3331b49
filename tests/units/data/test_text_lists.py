"""Text files with one name a line, from whatever system they come."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from workflow_scripts.advtransfer.data.folders import ENDINGS
from workflow_scripts.advtransfer.data.text_lists import (
    checked_class_names,
    composed,
    files_in_list,
    lines_of,
    read_class_names,
    read_lines,
)
from workflow_scripts.advtransfer.errors import UserError

NAMES = ["jay", "blue jay", "h\N{LATIN SMALL LETTER O WITH DIAERESIS}rn"]
NFD = unicodedata.normalize("NFD", NAMES[2])
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "data",
    [
        "\n".join(NAMES).encode(),
        MARK + "\r\n".join([*NAMES, ""]).encode(),
        "\r".join(NAMES).encode(),
        f"\n\n  jay\t\n\nblue jay \n{NFD}\n\n".encode(),
        MARK + b"jay\nblue jay\n" + MARK + NFD.encode(),  # two files joined
    ],
)
def test_lines_of_every_system(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(data)
    assert read_lines(tmp_path / "names.txt") == lines_of("names.txt", data) == NAMES
    assert read_class_names(tmp_path / "names.txt") == tuple(NAMES)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("jay\nhörn\n".encode("latin-1"), r"line 2 seems to be in Latin-1.*'hörn'.*Save.*UTF-8"),
        ("jay\r\nhörn\r\n".encode("latin-1"), r"line 2 seems to be in Latin-1.*'hörn'"),
        ("jay\rwren\rhörn".encode("latin-1"), r"line 3 seems to be in Latin-1.*'hörn'"),
        ("jay\n“owl”\n".encode("cp1252"), r"line 2 seems to be in Latin-1.*'“owl”'"),
        ("jay\nhörn\n".encode("utf-16"), "in UTF-8 but in UTF-16, as PowerShell"),
        (b"\xfe\xff" + "jay\n".encode("utf-16-be"), "in UTF-8 but in UTF-16"),
        ("jay\n".encode("utf-32"), "in UTF-8 but in UTF-32"),
        ("jay\n".encode("utf-16-le"), "zero bytes"),
    ],
)
def test_other_encodings_are_told(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(data)
    for read in (read_lines, read_class_names):
        with pytest.raises(UserError, match=rf"names\.txt: not a text file.*{says}") as caught:
            read(tmp_path / "names.txt")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jay\nowl\n\njay \n", "the class 'jay' is in line 1 and again in line 4"),
        (f"{NAMES[2]}\n{NFD}\n", "is in line 1 and again in line 2"),
        ("jay\nbl\tue\n", r"line 2, 'bl\\tue', has a control character"),
        ("\n \n", "no class name in it"),
    ],
)
def test_class_names_that_cannot_be_meant(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        read_class_names(tmp_path / "names.txt")


def test_very_many_class_names_are_checked_in_one_pass() -> None:
    """By comparing every name with every other, this would take hours."""
    names = tuple(f"class {k}" for k in range(200_000))
    assert checked_class_names(names, "here") == names
    with pytest.raises(UserError, match="'class 7' is in place 8 and again in place 200001"):
        checked_class_names([*names, "class 7"], "here")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt: could not read"):
        read_lines(tmp_path / "none.txt")


# Lists of files ----------------------------------------------------------------------------------

FILES = ["dog/a.jpg", "dog/b.JPEG", "dog/my dog.jpg", "cat/a.jpg copy.png", f"{NFD}/{NFD}.jpg"]


def listed(tmp_path: Path, text: str | bytes) -> set[str]:
    file = tmp_path / "list.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return files_in_list(file, FILES, ENDINGS, "birds")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("dog/a.jpg", FILES[0]),
        ("./dog/a.jpg", FILES[0]),
        ("/dog//a.jpg", FILES[0]),
        ("dog\\a.jpg", FILES[0]),
        (".\\dog\\b.JPEG", FILES[1]),
        ("dog/a.jpg 1", FILES[0]),
        ("dog/a.jpg\t17", FILES[0]),
        ("dog/a.jpg,dog", FILES[0]),
        ('"dog/a.jpg"', FILES[0]),
        ('"dog/my dog.jpg";1', FILES[2]),
        ("dog/my dog.jpg", FILES[2]),
        (".\\dog\\my dog.jpg 3", FILES[2]),
        ("cat/a.jpg copy.png", FILES[3]),
        ("cat/a.jpg copy.png 0", FILES[3]),
        (unicodedata.normalize("NFC", FILES[4]), FILES[4]),
        (FILES[4], FILES[4]),
    ],
)
def test_how_a_line_may_name_a_file(line: str, name: str, tmp_path: Path) -> None:
    assert listed(tmp_path, line) == {name}
    assert listed(tmp_path, MARK + f"# test\r\n\r\n{line}\r\n{line}\r\n".encode()) == {name}


@pytest.mark.parametrize("name", ["dog/c:d.jpg", "dog\\e.jpg", "'90s/a.jpg", "# 1/a.jpg"])
def test_a_name_with_odd_characters_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{name}\n")
    assert files_in_list(tmp_path / "list.txt", [name], ENDINGS, "x") == {name}


@pytest.mark.parametrize("first", ["path", "image_id label", "filename,is_test"])
def test_a_heading_is_no_image(first: str, tmp_path: Path) -> None:
    assert listed(tmp_path, f"{first}\ndog/a.jpg\n") == {FILES[0]}
    with pytest.raises(UserError, match="line 2: "):
        listed(tmp_path, f"dog/a.jpg\n{first}\n")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("dog/gone.jpg", ""),
        ("dog/a", " (there is 'dog/a.jpg')"),
        ("Dog\\A.JPG 1", " (there is 'dog/a.jpg')"),
        ("birds/dog/a.jpg", ""),
        ("1 dog/a.jpg", ""),
        ("dog/a.jpg dog/b.JPEG", ""),  # the second would be trained on
        ("../dog/a.jpg", ""),
        ("#dog/a.jpg", ""),
    ],
)
def test_a_line_without_an_image_stops_the_run(line: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        listed(tmp_path, f"dog/my dog.jpg\n\n{line}\n")
    first, told, *_ = str(caught.value).split("\n")
    assert first == f"{tmp_path}/list.txt: 1 of its 2 lines name no image in birds:"
    assert told == f"  line 3: {line!r}{hint}"


def test_many_such_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r": 20 of its 21 lines.*(\n  line .*){5}\n  and 15 m"):
        listed(tmp_path, "dog/a.jpg\n" + "".join(f"cat/{k}.jpg\n" for k in range(20)))


def test_composed_texts_in_lists_and_mappings() -> None:
    name = NAMES[2]
    assert composed({NFD: [NFD, 1, {"a": (NFD, None)}]}) == {name: [name, 1, {"a": (name, None)}]}


@pytest.mark.parametrize("line", ["dog/a.jpg,train", "dog/a.jpg\tTraining", '"dog/a.jpg","train"'])
def test_a_table_of_both_splits_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2 says that its image is one to train on"):
        listed(tmp_path, f"filename,split\n{line}\n")
