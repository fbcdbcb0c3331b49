"""Describable Textures (Cimpoi et al. 2014): 5,640 photographs of 47 textures, 3,760 to train."""

from ..dataset import OfficialFile
from ..photographs import Listing, Photographs, label_of, names_of
from ..text_lists import lines_of
from ..trees import Tree, find, read_one

CLASS_NAMES = """
banded, blotchy, braided, bubbly, bumpy, chequered, cobwebbed, cracked, crosshatched, crystalline,
dotted, fibrous, flecked, freckled, frilly, gauzy, grid, grooved, honeycombed, interlaced, knitted,
lacelike, lined, marbled, matted, meshed, paisley, perforated, pitted, pleated, polka-dotted,
porous, potholed, scaly, smeared, spiralled, sprinkled, stained, stratified, striped, studded,
swirly, veined, waffled, woven, wrinkled, zigzagged
"""


def list_images(tree: Tree) -> Listing:
    """Return split 1, with validation images for training, as Salman et al. (2020)."""
    class_names = names_of(CLASS_NAMES)
    listing: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for split, part in (("train", "train1"), ("train", "val1"), ("test", "test1")):
        ending = f"labels/{part}.txt"
        name = find(tree, ending)
        blob = read_one(tree, name)
        root = name.removesuffix(ending)
        listing[split] += [
            (f"{root}images/{line}", label_of(line.partition("/")[0], class_names, blob.where))
            for line in lines_of(*blob)
        ]
    return listing


PHOTOGRAPHS = Photographs(
    title="Describable Textures Dataset",
    class_names=names_of(CLASS_NAMES),
    licence="for research only; cite Cimpoi et al. (2014)",
    files=(
        OfficialFile(
            name="dtd-r1.0.1.tar.gz",
            md5="fff73e5086ae6bdbea199a49dfb8a4c1",
            urls=("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",),
        ),
    ),
    list_images=list_images,
    folders=("dtd",),
)
