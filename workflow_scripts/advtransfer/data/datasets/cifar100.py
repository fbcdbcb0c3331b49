"""CIFAR-100 (Krizhevsky 2009): 60,000 photographs, 32 x 32, 100 classes, 50,000 to train on."""

from collections.abc import Mapping

from ..dataset import Blob, Dataset, OfficialFile, Splits
from ..formats import parse_cifar


def read_binary(blobs: Mapping[str, Blob]) -> Splits:
    """Return the splits of the binary version, with the fine labels."""
    return {
        split: parse_cifar([blobs[f"{split}.bin"]], label_bytes=2) for split in ("train", "test")
    }


CLASS_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
bowl boy bridge bus butterfly camel can castle caterpillar cattle
chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house
kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man
maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew
skunk skyscraper snail snake spider squirrel streetcar sunflower
sweet_pepper table tank telephone television tiger tractor train trout
tulip turtle wardrobe whale willow_tree wolf woman worm
"""

DATASET = Dataset(
    title="CIFAR-100",
    size=32,
    class_names=tuple(CLASS_NAMES.split()),
    licence="no licence stated; the authors ask to cite Krizhevsky (2009)",
    files=(
        OfficialFile(
            name="cifar-100-binary.tar.gz",
            md5="03b5dce01913d631647c71ecec9e9cb8",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
            members=("cifar-100-binary/train.bin", "cifar-100-binary/test.bin"),
        ),
    ),
    read=read_binary,
)
