"""Flowers-102 (Nilsback and Zisserman 2008): 8,189 photographs of 102 flowers, 2,040 to train."""

from ..dataset import OfficialFile
from ..formats import damaged
from ..photographs import Listing, Photographs, mat_of, names_of
from ..trees import Tree, find, read_one

CLASS_NAMES = """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily,
moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear
thistle, yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower, giant white
arum lily, fire lily, pincushion flower, fritillary, red ginger, grape hyacinth, corn poppy, prince
of wales feathers, stemless gentian, artichoke, sweet william, carnation, garden phlox, love in the
mist, mexican aster, alpine sea holly, ruby-lipped cattleya, cape flower, great masterwort, siam
tulip, lenten rose, barbeton daisy, daffodil, sword lily, poinsettia, bolero deep blue, wallflower,
marigold, buttercup, oxeye daisy, common dandelion, petunia, wild pansy, primula, sunflower,
pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow dahlia?, cautleya
spicata, japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum, spring
crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple,
morning glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis, hibiscus,
columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress, canna lily, hippeastrum, bee
balm, ball moss, foxglove, bougainvillea, camellia, mallow, mexican petunia, bromelia, blanket
flower, trumpet creeper, blackberry lily
"""


def list_images(tree: Tree) -> Listing:
    """Return the official split, with validation images for training (20 images per class).

    Kornblith et al. (2019) use this split, and Salman et al. (2020) follow them.
    """
    sets = find(tree, "setid.mat")
    root, blob = sets.removesuffix("setid.mat"), read_one(tree, sets)
    labels_blob = read_one(tree, find(tree, "imagelabels.mat"))
    labels = mat_of(labels_blob, "labels").reshape(-1)
    listing: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for split, part in (("train", "trnid"), ("train", "valid"), ("test", "tstid")):
        for number in mat_of(blob, part).reshape(-1).tolist():
            if not 0 < number <= len(labels):
                raise damaged(
                    blob.where, f"numbers of the {len(labels)} images", f"{number} in {part}"
                )
            label = int(labels[number - 1]) - 1
            listing[split].append((f"{root}jpg/image_{number:05d}.jpg", label))
    return listing


PHOTOGRAPHS = Photographs(
    title="Oxford Flowers-102",
    class_names=names_of(CLASS_NAMES),
    licence="no licence stated; cite Nilsback and Zisserman (2008)",
    files=(
        OfficialFile(
            name="102flowers.tgz",
            md5="52808999861908f626f3c1f4e79d11fa",
            urls=("https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",),
        ),
        OfficialFile(
            name="imagelabels.mat",
            md5="e0620be6f572b9609742df49c70aed4d",
            urls=("https://www.robots.ox.ac.uk/~vgg/data/flowers/102/imagelabels.mat",),
        ),
        OfficialFile(
            name="setid.mat",
            md5="a5357ecc9cb78c4bef273ce3793fc85c",
            urls=("https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat",),
        ),
    ),
    list_images=list_images,
    folders=("flowers-102",),
    metric="class_mean_accuracy",
)
