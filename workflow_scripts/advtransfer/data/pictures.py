"""Pixels of picture files as 8-bit RGB, whatever the file holds.

Pillow's own conversion is faithful for some modes only. It cuts 16-bit and 32-bit pixels off at
255, which makes a photograph white, and floats of 0 to 1 become black.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")  # Pillow's plugins that may read
FAITHFUL = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB")
UNFAITHFUL = {"I": "integers of 32 bits, or signed ones (mode I)", "F": "floats (mode F)"}
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF's tags, and a value of the second
PLANAR, SEPARATE, SAMPLE_FORMAT, UNSIGNED = 284, 2, 339, 1
DARK = 16  # grey levels of 256; pixels of 12 bits that are stored as if they had 16 use no more


def to_rgb(image: Any) -> Any:
    """Return a Pillow image, as it was opened, in mode RGB. Alpha is dropped.

    Pixels of 16 bits become their upper 8, which is what Pillow does in colour files itself.

    Raises:
        ValueError: The pixels are integers or floats whose range the file does not say, or their
            16 bits hold only small numbers. The message says so and what to do.
    """
    _check_layout(image)
    tiles = getattr(image, "tile", [])  # of a file that is not yet loaded
    rounded = any(_most_of_ppm(tile) > 255 for tile in tiles)  # Pillow scales these, and rounds
    deep = rounded or ";16" in str(tiles)
    if image.mode in FAITHFUL:
        rgb = image.convert("RGB")
        if deep:  # Pillow gives the upper 8 bits alone, so black may be 12 bits too: it is refused
            _check_range(max(high for _, high in rgb.getextrema()) - rounded)
        return rgb
    # Pillow scales a PGM of more than 8 bits to 16 bits, and calls its mode I.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _from_16_bits(image)
    raise ValueError(
        f"its pixels are {UNFAITHFUL.get(image.mode, f'of mode {image.mode}')}, and the file does "
        "not say which values are black and white. Convert it to 8 bits a channel"
    )


def _check_layout(image: Any) -> None:
    """Refuse layouts of TIFF that Pillow reads as another one."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] != UNSIGNED and image.mode in FAITHFUL:
        raise ValueError("its pixels are signed. Convert it to unsigned 8 bits a channel")
    if tags.get(PLANAR) == SEPARATE and max(tags.get(BITS_PER_SAMPLE, (8,))) > 8:
        raise ValueError(
            "its channels of more than 8 bits are stored one after the other. Convert it to 8 bits "
            "a channel"
        )


def _most_of_ppm(tile: Any) -> int:
    """Return the greatest value that a tile of a PPM may have; 0 for other formats."""
    last = tile[3][-1] if tile[0] == "ppm" and isinstance(tile[3], tuple) else 0
    return last if isinstance(last, int) else 0


def _from_16_bits(image: Any) -> Any:
    from PIL import Image

    tags = getattr(image, "tag_v2", {})
    unused = tags.get(BITS_PER_SAMPLE, (16,))[0] - 8  # the lower bits; there are TIFFs of 12 bits
    values = np.asarray(image)
    grey = (values >> unused).astype(np.uint8)
    if values.any():
        _check_range(grey.max())
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow inverts up to 8 bits only
        grey = 255 - grey
    return Image.fromarray(grey).convert("RGB")


def _check_range(greatest: int) -> None:
    """Refuse an image whose greatest value says that its numbers were meant in another range."""
    if greatest < DARK:
        raise ValueError(
            f"its pixels have 16 bits but use fewer than {DARK} of 256 grey levels, and would be "
            "almost black (some devices store 12 bits so). Scale it, and convert it to 8 bits a "
            "channel"
        )
