"""Caltech-101 (Fei-Fei et al. 2004): 8,677 photographs of 101 things, 30 of each to train on.

The folder BACKGROUND_Google is not used.
"""

from ..dataset import OfficialFile
from ..photographs import Listing, Photographs, first_of_each_class, names_of
from ..trees import Tree

CLASS_NAMES = """
Faces, Faces_easy, Leopards, Motorbikes, accordion, airplanes, anchor, ant, barrel, bass, beaver,
binocular, bonsai, brain, brontosaurus, buddha, butterfly, camera, cannon, car_side, ceiling_fan,
cellphone, chair, chandelier, cougar_body, cougar_face, crab, crayfish, crocodile, crocodile_head,
cup, dalmatian, dollar_bill, dolphin, dragonfly, electric_guitar, elephant, emu, euphonium, ewer,
ferry, flamingo, flamingo_head, garfield, gerenuk, gramophone, grand_piano, hawksbill, headphone,
hedgehog, helicopter, ibis, inline_skate, joshua_tree, kangaroo, ketch, lamp, laptop, llama,
lobster, lotus, mandolin, mayfly, menorah, metronome, minaret, nautilus, octopus, okapi, pagoda,
panda, pigeon, pizza, platypus, pyramid, revolver, rhino, rooster, saxophone, schooner, scissors,
scorpion, sea_horse, snoopy, soccer_ball, stapler, starfish, stegosaurus, stop_sign, strawberry,
sunflower, tick, trilobite, umbrella, watch, water_lilly, wheelchair, wild_cat, windsor_chair,
wrench, yin_yang
"""


def list_images(tree: Tree) -> Listing:
    """Return the first 30 images of every class as training images, as Salman et al. (2020)."""
    return first_of_each_class(tree, "101_ObjectCategories", names_of(CLASS_NAMES), 30)


PHOTOGRAPHS = Photographs(
    title="Caltech-101",
    class_names=names_of(CLASS_NAMES),
    licence="CC BY 4.0; cite Fei-Fei, Fergus and Perona (2004)",
    files=(
        OfficialFile(
            name="caltech-101.zip",
            md5="3138e1922a9193bfa496528edbbc45d0",
            urls=("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
        ),
    ),
    list_images=list_images,
    folders=("caltech101",),
    metric="class_mean_accuracy",
    inner="101_ObjectCategories.tar.gz",
)
