"""SVHN, cropped digits (Netzer et al. 2011): 99,289 photographs, 32 x 32, 73,257 to train on.

The ``extra`` images are not used.
"""

from collections.abc import Mapping

from ..dataset import Blob, Dataset, OfficialFile, Splits
from ..formats import parse_svhn

ADDRESS = "http://ufldl.stanford.edu/housenumbers/"


def read_mat(blobs: Mapping[str, Blob]) -> Splits:
    """Return the splits in the two .mat files."""
    return {split: parse_svhn(blobs[f"{split}_32x32.mat"]) for split in ("train", "test")}


DATASET = Dataset(
    title="SVHN",
    size=32,
    class_names=tuple("0123456789"),
    licence="for non-commercial use only; cite Netzer et al. (2011)",
    files=tuple(
        OfficialFile(name=name, md5=md5, urls=(ADDRESS + name,))
        for name, md5 in (
            ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
        )
    ),
    read=read_mat,
)
