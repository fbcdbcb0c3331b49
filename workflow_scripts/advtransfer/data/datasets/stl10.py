"""STL-10 (Coates et al. 2011): 13,000 labelled photographs, 96 x 96, 5,000 of them to train on.

Its 100,000 unlabelled photographs are not used.
"""

from collections.abc import Mapping

from ..dataset import Blob, Dataset, OfficialFile, Splits
from ..formats import parse_stl10


def read_binary(blobs: Mapping[str, Blob]) -> Splits:
    """Return the splits of the binary version."""
    return {
        split: parse_stl10(blobs[f"{split}_X.bin"], blobs[f"{split}_y.bin"])
        for split in ("train", "test")
    }


DATASET = Dataset(
    title="STL-10",
    size=96,
    class_names=(
        "airplane",
        "bird",
        "car",
        "cat",
        "deer",
        "dog",
        "horse",
        "monkey",
        "ship",
        "truck",
    ),
    licence="no licence stated; images come from ImageNet; cite Coates, Lee and Ng (2011)",
    files=(
        OfficialFile(
            name="stl10_binary.tar.gz",
            md5="91f7769df0f17e558f3565bffb0c7dfb",
            urls=("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
            members=tuple(
                f"stl10_binary/{split}_{part}.bin" for split in ("train", "test") for part in "Xy"
            ),
        ),
    ),
    read=read_binary,
)
