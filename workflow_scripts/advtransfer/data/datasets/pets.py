"""Oxford-IIIT Pets (Parkhi et al. 2012): 7,349 photographs of 37 breeds, 3,680 to train on."""

from ..dataset import OfficialFile
from ..formats import damaged
from ..photographs import Listing, Photographs, names_of
from ..text_lists import lines_of
from ..trees import Tree, find, read_one

CLASS_NAMES = """
Abyssinian, American Bulldog, American Pit Bull Terrier, Basset Hound, Beagle, Bengal, Birman,
Bombay, Boxer, British Shorthair, Chihuahua, Egyptian Mau, English Cocker Spaniel, English Setter,
German Shorthaired, Great Pyrenees, Havanese, Japanese Chin, Keeshond, Leonberger, Maine Coon,
Miniature Pinscher, Newfoundland, Persian, Pomeranian, Pug, Ragdoll, Russian Blue, Saint Bernard,
Samoyed, Scottish Terrier, Shiba Inu, Siamese, Sphynx, Staffordshire Bull Terrier, Wheaten Terrier,
Yorkshire Terrier
"""


def list_images(tree: Tree) -> Listing:
    """Return the official split of ``annotations/trainval.txt`` and ``annotations/test.txt``."""
    listing = {}
    for split, part in (("train", "trainval"), ("test", "test")):
        ending = f"annotations/{part}.txt"
        name = find(tree, ending)
        blob = read_one(tree, name)
        root = name.removesuffix(ending)
        images = []
        for line in lines_of(*blob):
            try:
                image, label, *_ = line.split()
                images.append((f"{root}images/{image}.jpg", int(label) - 1))
            except ValueError:
                raise damaged(blob.where, "lines of an image and numbers", repr(line)) from None
        listing[split] = images
    return listing


PHOTOGRAPHS = Photographs(
    title="Oxford-IIIT Pets",
    class_names=names_of(CLASS_NAMES),
    licence="CC BY-SA 4.0; cite Parkhi et al. (2012)",
    files=(
        OfficialFile(
            name="images.tar.gz",
            md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",
            urls=("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",),
        ),
        OfficialFile(
            name="annotations.tar.gz",
            md5="95a8c909bbe2e81eed6a22bccdf3f68f",
            urls=("https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",),
        ),
    ),
    list_images=list_images,
    folders=("oxford-iiit-pet",),
    metric="class_mean_accuracy",
)
