"""Pixels of picture files: faithful at any depth, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.official_photographs import jpeg
from workflow_scripts.advtransfer.data.dataset import Blob
from workflow_scripts.advtransfer.data.folders import class_folders
from workflow_scripts.advtransfer.data.photographs import RawPhotographs, decoded
from workflow_scripts.advtransfer.data.pictures import to_rgb
from workflow_scripts.advtransfer.data.providers import fetch
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.errors import UserError

SIDE = 16
RAMP = np.linspace(0, 65535, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
EIGHT = (RAMP >> 8).astype(np.uint8)
CHUNK = struct.Struct(">I4s")


def saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def png(values: np.ndarray, colour: int) -> bytes:
    """A PNG of 16 bits a channel; ``colour`` is 0 (grey), 2 (RGB), 4 (grey, alpha) or 6 (RGBA)."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, colour, 0, 0, 0)
    text = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        text += CHUNK.pack(len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))
    return text


def tiff(data: bytes, bits: int, channels: int = 1, photometric: int = 1, form: int = 1) -> bytes:
    """An uncompressed TIFF; ``form`` is 1 (unsigned), 2 (signed) or 3 (float)."""
    several = channels > 2  # such values stand behind the directory
    end = 8 + 2 + 10 * 12 + 4
    lists = [
        struct.pack("<HHHH", *(value,) * channels, *(0,) * (4 - channels)) for value in (bits, form)
    ]
    tags = {
        **{256: (4, SIDE), 257: (4, SIDE), 258: (3, end if several else bits), 259: (3, 1)},
        **{262: (3, photometric), 273: (4, end + 16), 277: (3, channels), 278: (4, SIDE)},
        **{279: (4, len(data)), 339: (3, end + 8 if several else form)},
    }
    text = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, (kind, value) in tags.items():
        count = channels if tag in (258, 339) else 1
        text += struct.pack("<HHII", tag, kind, count, value)
    return text + bytes(4) + b"".join(lists) + data


def twelve(values: np.ndarray) -> bytes:
    """Values of 12 bits, two in three bytes."""
    pairs = values.reshape(-1, 2).tolist()
    return b"".join(((a << 12) | b).to_bytes(3, "big") for a, b in pairs)


def pixels(data: bytes) -> np.ndarray:
    return decoded(Blob("a.tif", data), SIDE, prepared=True)


def grey(values: np.ndarray, channels: int) -> np.ndarray:
    return np.repeat(values[..., None], channels, -1)


def ramp(kind: str) -> bytes:
    return RAMP.astype(kind).tobytes()


DEEP: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(RAMP, 0),
    "png_rgb": lambda: png(grey(RAMP, 3), 2),
    "png_grey_alpha": lambda: png(grey(RAMP, 2), 4),
    "png_rgba": lambda: png(grey(RAMP, 4), 6),
    "tiff": lambda: saved(Image.fromarray(RAMP), "TIFF"),
    "tiff_big_endian": lambda: saved(Image.fromarray(RAMP.astype(">u2")), "TIFF"),
    "tiff_rgb": lambda: tiff(grey(RAMP, 3).tobytes(), 16, 3, photometric=2),
    "tiff_12_bits": lambda: tiff(twelve(RAMP >> 4), 12),
    "tiff_white_is_zero": lambda: tiff((65535 - RAMP).tobytes(), 16, photometric=0),
    "pgm": lambda: b"P5 16 16 65535\n" + ramp(">u2"),
    "pgm_12_bits": lambda: b"P5 16 16 4095\n" + (RAMP >> 4).astype(">u2").tobytes(),
    "ppm": lambda: b"P6 16 16 65535\n" + grey(RAMP, 3).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", DEEP)
def test_16_bits_become_8(kind: str) -> None:
    found = pixels(DEEP[kind]())
    assert found.shape == (SIDE, SIDE, 3) and found.dtype == np.uint8
    difference = np.abs(found.astype(int) - EIGHT[..., None])
    rounded = kind in ("ppm", "pgm_12_bits")  # Pillow scales these itself, and rounds
    assert difference.max() <= (1 if rounded else 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (saved(Image.fromarray(RAMP.astype(np.int32)), "TIFF"), "integers of 32 bits"),
        (tiff(ramp("<u4"), 32), "integers of 32 bits"),
        (tiff(ramp("<i2"), 16, form=2), "or signed ones"),
        (saved(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"), r"floats \(mode F\)"),
        (b"Pf\n16 16\n-1.0\n" + ramp("<f4"), r"floats \(mode F\)"),
    ],
)
def test_a_range_that_no_file_says_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UserError, match=rf"^a\.tif: \d+ bytes, .*{says}.*8 bits a channel"):
        pixels(data)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("kind", ["grey", "rgb", "white_is_zero"])
def test_small_numbers_in_16_bits_are_refused(bits: int, kind: str) -> None:
    """They would all be black, or white."""
    values = RAMP >> (16 - bits)
    data = {
        "grey": lambda: png(values, 0),
        "rgb": lambda: png(grey(values, 3), 2),
        "white_is_zero": lambda: tiff(values.tobytes(), 16, photometric=0),
    }[kind]()
    with pytest.raises(UserError, match=r"fewer than 16 of 256 grey levels.*8 bits a channel"):
        pixels(data)


def test_a_black_image_is_black() -> None:
    assert not pixels(png(RAMP * 0, 0)).any()


COLOUR = (200, 30, 60)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *(("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("PA", "TIFF")),
        *(("RGB", "WEBP"), ("RGBA", "PNG"), ("RGBX", "TIFF"), ("CMYK", "TIFF"), ("CMYK", "JPEG")),
        *(("YCbCr", "TIFF"), ("LAB", "TIFF"), ("L", "BMP"), ("RGB", "PPM")),
    ],
)
def test_8_bits_stay_as_they_are(mode: str, kind: str) -> None:
    base = Image.new("RGB", (SIDE, SIDE), COLOUR)
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(base, *profiles, outputMode="LAB")
    elif mode == "PA":
        image = base.convert("P", palette=Image.Palette.ADAPTIVE).convert("PA")
    elif mode == "P":
        image = base.convert("P", palette=Image.Palette.ADAPTIVE)
    else:
        image = base.convert(mode, dither=Image.Dither.NONE) if mode == "1" else base.convert(mode)
    expected = {
        **dict.fromkeys(("L", "LA"), (np.asarray(base.convert("L"))[0, 0],) * 3),
        "1": (0, 0, 0),
    }.get(mode, COLOUR)
    off = np.abs(pixels(saved(image, kind)).reshape(-1, 3).astype(int) - expected)
    assert off.max() <= (4 if kind in ("JPEG", "WEBP") else 2)


def test_a_palette_with_a_transparent_colour() -> None:
    """The colour of the palette counts, as for torchvision."""
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([0, 0, 0, *COLOUR])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=1)
    assert (pixels(buffer.getvalue()) == COLOUR).all()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_pages_the_first_counts(kind: str) -> None:
    first, second = (Image.new("RGB", (SIDE, SIDE), colour) for colour in (COLOUR, (0, 90, 200)))
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=[second])
    assert np.abs(pixels(buffer.getvalue()).astype(int) - COLOUR).max() <= 4


def test_other_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="of mode La"):
        to_rgb(Image.new("La", (2, 2)))


def test_a_folder_with_such_images_names_them(tmp_path: Path) -> None:
    """All of them at once, and nothing is written."""
    for name in ("train/jay/a.jpg", "test/jay/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(jpeg(0))
    for k in range(2):
        (tmp_path / f"train/jay/{k}.tif").write_bytes(tiff(ramp("<u4"), 32))
    digest = class_folders(tmp_path).digest
    recipe = DatasetRecipe("image_folder", str(tmp_path), digest, SIDE)
    raw = fetch(recipe, ["local"], None, tmp_path)
    assert isinstance(raw, RawPhotographs)
    from support.photographs import stored

    with pytest.raises(
        UserError, match=r"^2 of 4 images cannot be decoded:\n.*0\.tif: .*\n.*1\.tif"
    ):
        stored(raw, tmp_path)
    assert not (tmp_path / "stored.h5").exists()


def test_signed_pixels_are_refused() -> None:
    with pytest.raises(UserError, match="its pixels are signed"):
        pixels(tiff(EIGHT.tobytes(), 8, form=2))


def test_a_colour_ppm_of_16_bits_with_small_numbers_is_refused() -> None:
    head = f"P6 {SIDE} {SIDE} 65535\n".encode()
    assert (pixels(head + grey(RAMP, 3).astype(">u2").tobytes()) == EIGHT[..., None]).mean() > 0.9
    with pytest.raises(UserError, match="16 bits but use fewer than"):
        pixels(head + grey(RAMP >> 4, 3).astype(">u2").tobytes())


def test_separate_channels_of_16_bits_are_refused() -> None:
    """Pillow reads their bytes in another order."""
    whole = tiff(grey(RAMP, 3).tobytes(), 16, 3, photometric=2)
    rows = struct.pack("<HHII", 278, 4, 1, SIDE)  # of one strip, which is all
    separate = whole.replace(rows, struct.pack("<HHII", 284, 3, 1, 2))
    with pytest.raises(UserError, match="stored one after the other"):
        pixels(separate)
