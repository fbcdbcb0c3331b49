"""KMNIST (Clanuwat et al. 2018): 70,000 cursive hiragana, grey, 28 x 28, 60,000 to train on."""

from ..dataset import Dataset, OfficialFile
from ..formats import read_idx

ADDRESSES = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)

DATASET = Dataset(
    title="KMNIST",
    size=28,
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    licence="CC BY-SA 4.0, KMNIST Dataset (created by CODH), doi:10.20676/00000341",
    files=tuple(
        OfficialFile(name=name, md5=md5, urls=tuple(address + name for address in ADDRESSES))
        for name, md5 in (
            ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
            ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
            ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
            ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
        )
    ),
    read=read_idx,
)
