"""Fashion-MNIST (Xiao et al. 2017): 70,000 pieces of clothing, grey, 28 x 28, 60,000 to train."""

from ..dataset import Dataset, Mirror, OfficialFile
from ..formats import read_idx

ADDRESSES = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)

DATASET = Dataset(
    title="Fashion-MNIST",
    size=28,
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    licence="MIT, Copyright 2017 Zalando SE",
    files=tuple(
        OfficialFile(name=name, md5=md5, urls=tuple(address + name for address in ADDRESSES))
        for name, md5 in (
            ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        )
    ),
    read=read_idx,
    mirror=Mirror(
        client="apt",
        package="dataset-fashion-mnist",
        members=tuple(
            f"usr/share/datasets/fashion-mnist/{part}-ubyte.gz"
            for part in (
                "train-images-idx3",
                "train-labels-idx1",
                "t10k-images-idx3",
                "t10k-labels-idx1",
            )
        ),
        read=read_idx,
    ),
    digests={
        "train": (
            "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        ),
        "test": (
            "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        ),
    },
)
