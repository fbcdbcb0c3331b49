"""Food-101 (Bossard et al. 2014): 101,000 photographs of 101 dishes, 750 of each to train on."""

import json

from ..dataset import OfficialFile
from ..formats import damaged
from ..photographs import Listing, Photographs, label_of, names_of
from ..trees import Tree, find, read_one

CLASS_NAMES = """
apple_pie, baby_back_ribs, baklava, beef_carpaccio, beef_tartare, beet_salad, beignets, bibimbap,
bread_pudding, breakfast_burrito, bruschetta, caesar_salad, cannoli, caprese_salad, carrot_cake,
ceviche, cheese_plate, cheesecake, chicken_curry, chicken_quesadilla, chicken_wings, chocolate_cake,
chocolate_mousse, churros, clam_chowder, club_sandwich, crab_cakes, creme_brulee, croque_madame,
cup_cakes, deviled_eggs, donuts, dumplings, edamame, eggs_benedict, escargots, falafel,
filet_mignon, fish_and_chips, foie_gras, french_fries, french_onion_soup, french_toast,
fried_calamari, fried_rice, frozen_yogurt, garlic_bread, gnocchi, greek_salad,
grilled_cheese_sandwich, grilled_salmon, guacamole, gyoza, hamburger, hot_and_sour_soup, hot_dog,
huevos_rancheros, hummus, ice_cream, lasagna, lobster_bisque, lobster_roll_sandwich,
macaroni_and_cheese, macarons, miso_soup, mussels, nachos, omelette, onion_rings, oysters, pad_thai,
paella, pancakes, panna_cotta, peking_duck, pho, pizza, pork_chop, poutine, prime_rib,
pulled_pork_sandwich, ramen, ravioli, red_velvet_cake, risotto, samosa, sashimi, scallops,
seaweed_salad, shrimp_and_grits, spaghetti_bolognese, spaghetti_carbonara, spring_rolls, steak,
strawberry_shortcake, sushi, tacos, takoyaki, tiramisu, tuna_tartare, waffles
"""


def list_images(tree: Tree) -> Listing:
    """Return the official split of ``meta/train.json`` and ``meta/test.json``."""
    listing = {}
    for split in ("train", "test"):
        name = find(tree, f"meta/{split}.json")
        where, data = read_one(tree, name)
        try:
            by_class = json.loads(data)
            images = [(c, str(image)) for c, names in by_class.items() for image in names]
        except (ValueError, TypeError, AttributeError) as error:
            raise damaged(where, "a JSON object with a list for every class", str(error)) from None
        root = name.removesuffix(f"meta/{split}.json")
        class_names = names_of(CLASS_NAMES)
        listing[split] = [
            (f"{root}images/{image}.jpg", label_of(c, class_names, where)) for c, image in images
        ]
    return listing


PHOTOGRAPHS = Photographs(
    title="Food-101",
    class_names=names_of(CLASS_NAMES),
    licence="images from foodspotting.com, for research; cite Bossard et al. (2014)",
    files=(
        OfficialFile(
            name="food-101.tar.gz",
            md5="85eeb15f3717b99a5da872d97d918f87",
            urls=("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",),
        ),
    ),
    list_images=list_images,
    folders=("food-101",),
)
