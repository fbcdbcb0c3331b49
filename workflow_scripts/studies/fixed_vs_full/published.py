"""Numbers that Salman et al. published about fixed-feature and full-network transfer, as data to
compare with.

Source: H. Salman, A. Ilyas, L. Engstrom, A. Kapoor, A. Madry, "Do Adversarially Robust ImageNet
Models Transfer Better?", NeurIPS 2020, arXiv 2007.08489. Their setting: ImageNet sources
(ResNet-18, ResNet-50, WRN-50-2, WRN-50-4) trained by l2-PGD at epsilon 0 to 5; twelve targets at
224 pixels; SGD for 150 epochs, learning rate 0.01 or 0.001. Accuracy is the mean over classes for
aircraft, caltech101, caltech256, flowers and pets, else that over images. How each is known:

* ``TABLE_1``: [text], the paper's table 1: the best over architectures, training parameters and,
  for robust sources, epsilons; chosen on the test images that it reports.
* ``BEST_RUNS``: [code], the authors' released list of best single runs for every target,
  architecture and mode, over all epsilons including 0; chosen on test images too.
"""

from __future__ import annotations

from typing import NamedTuple


class PublishedBest(NamedTuple):
    """Accuracy on one target, of the best robust and the best standard source, in both modes."""

    fixed_robust: float
    fixed_standard: float
    full_robust: float
    full_standard: float


class PublishedRun(NamedTuple):
    """The best single run of one architecture in one mode: its learning rate and source."""

    target: str
    model: str
    mode: str
    learning_rate: float
    epsilon: float
    accuracy: float


TABLE_1 = {
    "aircraft": PublishedBest(0.4414, 0.3869, 0.8624, 0.8657),
    "birdsnap": PublishedBest(0.5072, 0.4835, 0.7655, 0.7571),
    "cifar10": PublishedBest(0.9553, 0.8131, 0.9868, 0.9763),
    "cifar100": PublishedBest(0.8108, 0.6014, 0.8904, 0.8599),
    "caltech101": PublishedBest(0.9276, 0.9012, 0.9562, 0.9475),
    "caltech256": PublishedBest(0.8508, 0.8278, 0.8762, 0.8655),
    "cars": PublishedBest(0.5067, 0.4463, 0.9148, 0.9152),
    "dtd": PublishedBest(0.7037, 0.7009, 0.7693, 0.7580),
    "flowers": PublishedBest(0.9184, 0.9190, 0.9721, 0.9704),
    "food": PublishedBest(0.6926, 0.6579, 0.8912, 0.8864),
    "pets": PublishedBest(0.9205, 0.9183, 0.9453, 0.9420),
    "sun397": PublishedBest(0.5875, 0.5592, 0.6489, 0.6372),
}

BEST_RUNS = (
    PublishedRun("sun397", "resnet18", "full_network", 0.001, 0, 0.5958),
    PublishedRun("sun397", "resnet18", "last_layer", 0.01, 0, 0.5177),
    PublishedRun("sun397", "resnet50", "full_network", 0.001, 0, 0.6238),
    PublishedRun("sun397", "resnet50", "last_layer", 0.01, 0.01, 0.5488),
    PublishedRun("sun397", "wide_resnet50_2", "full_network", 0.001, 0.03, 0.6352),
    PublishedRun("sun397", "wide_resnet50_2", "last_layer", 0.01, 0, 0.5570),
    PublishedRun("sun397", "wide_resnet50_4", "full_network", 0.001, 0.01, 0.6501),
    PublishedRun("sun397", "wide_resnet50_4", "last_layer", 0.01, 0.01, 0.5881),
    PublishedRun("aircraft", "resnet18", "full_network", 0.01, 0, 0.8089),
    PublishedRun("aircraft", "resnet18", "last_layer", 0.01, 0.5, 0.4191),
    PublishedRun("aircraft", "resnet50", "full_network", 0.01, 0.01, 0.8614),
    PublishedRun("aircraft", "resnet50", "last_layer", 0.01, 1, 0.4215),
    PublishedRun("aircraft", "wide_resnet50_2", "full_network", 0.01, 0, 0.8683),
    PublishedRun("aircraft", "wide_resnet50_2", "last_layer", 0.01, 0.5, 0.4134),
    PublishedRun("aircraft", "wide_resnet50_4", "full_network", 0.001, 0.25, 0.8644),
    PublishedRun("aircraft", "wide_resnet50_4", "last_layer", 0.01, 0.05, 0.4438),
    PublishedRun("birdsnap", "resnet18", "full_network", 0.01, 0.01, 0.6851),
    PublishedRun("birdsnap", "resnet18", "last_layer", 0.01, 0.01, 0.4594),
    PublishedRun("birdsnap", "resnet50", "full_network", 0.01, 0.25, 0.7371),
    PublishedRun("birdsnap", "resnet50", "last_layer", 0.01, 0.1, 0.4925),
    PublishedRun("birdsnap", "wide_resnet50_2", "full_network", 0.001, 0.01, 0.7511),
    PublishedRun("birdsnap", "wide_resnet50_2", "last_layer", 0.01, 0.03, 0.4876),
    PublishedRun("birdsnap", "wide_resnet50_4", "full_network", 0.001, 0.01, 0.7669),
    PublishedRun("birdsnap", "wide_resnet50_4", "last_layer", 0.01, 0.01, 0.5075),
    PublishedRun("caltech101", "resnet18", "full_network", 0.001, 0, 0.9206),
    PublishedRun("caltech101", "resnet18", "last_layer", 0.01, 0.1, 0.8949),
    PublishedRun("caltech101", "resnet50", "full_network", 0.001, 0.03, 0.9461),
    PublishedRun("caltech101", "resnet50", "last_layer", 0.01, 1, 0.9107),
    PublishedRun("caltech101", "wide_resnet50_2", "full_network", 0.001, 0.5, 0.9541),
    PublishedRun("caltech101", "wide_resnet50_2", "last_layer", 0.01, 0.5, 0.9180),
    PublishedRun("caltech101", "wide_resnet50_4", "full_network", 0.001, 0.05, 0.9569),
    PublishedRun("caltech101", "wide_resnet50_4", "last_layer", 0.01, 0.25, 0.9276),
    PublishedRun("caltech256", "resnet18", "full_network", 0.001, 0.05, 0.8016),
    PublishedRun("caltech256", "resnet18", "last_layer", 0.01, 0.05, 0.7840),
    PublishedRun("caltech256", "resnet50", "full_network", 0.001, 0.05, 0.8463),
    PublishedRun("caltech256", "resnet50", "last_layer", 0.01, 0.05, 0.8251),
    PublishedRun("caltech256", "wide_resnet50_2", "full_network", 0.001, 0.05, 0.8633),
    PublishedRun("caltech256", "wide_resnet50_2", "last_layer", 0.01, 0.03, 0.8334),
    PublishedRun("caltech256", "wide_resnet50_4", "full_network", 0.001, 0.05, 0.8774),
    PublishedRun("caltech256", "wide_resnet50_4", "last_layer", 0.01, 0.03, 0.8508),
    PublishedRun("cifar10", "resnet18", "full_network", 0.001, 3, 0.9714),
    PublishedRun("cifar10", "resnet18", "last_layer", 0.01, 3, 0.9164),
    PublishedRun("cifar10", "resnet50", "full_network", 0.001, 3, 0.9827),
    PublishedRun("cifar10", "resnet50", "last_layer", 0.01, 3, 0.9481),
    PublishedRun("cifar10", "wide_resnet50_2", "full_network", 0.001, 5, 0.9855),
    PublishedRun("cifar10", "wide_resnet50_2", "last_layer", 0.01, 3, 0.9521),
    PublishedRun("cifar10", "wide_resnet50_4", "full_network", 0.001, 1, 0.9872),
    PublishedRun("cifar10", "wide_resnet50_4", "last_layer", 0.01, 3, 0.9557),
    PublishedRun("cifar100", "resnet18", "full_network", 0.001, 1, 0.8441),
    PublishedRun("cifar100", "resnet18", "last_layer", 0.01, 3, 0.7401),
    PublishedRun("cifar100", "resnet50", "full_network", 0.001, 3, 0.8745),
    PublishedRun("cifar100", "resnet50", "last_layer", 0.01, 3, 0.7950),
    PublishedRun("cifar100", "wide_resnet50_2", "full_network", 0.001, 3, 0.8823),
    PublishedRun("cifar100", "wide_resnet50_2", "last_layer", 0.01, 3, 0.8077),
    PublishedRun("cifar100", "wide_resnet50_4", "full_network", 0.001, 1, 0.8918),
    PublishedRun("cifar100", "wide_resnet50_4", "last_layer", 0.01, 3, 0.8115),
    PublishedRun("dtd", "resnet18", "full_network", 0.001, 0, 0.7234),
    PublishedRun("dtd", "resnet18", "last_layer", 0.01, 0, 0.6713),
    PublishedRun("dtd", "resnet50", "full_network", 0.001, 0.01, 0.7553),
    PublishedRun("dtd", "resnet50", "last_layer", 0.01, 0.01, 0.7059),
    PublishedRun("dtd", "wide_resnet50_2", "full_network", 0.001, 0.01, 0.7617),
    PublishedRun("dtd", "wide_resnet50_2", "last_layer", 0.01, 0, 0.7021),
    PublishedRun("dtd", "wide_resnet50_4", "full_network", 0.001, 0.03, 0.7739),
    PublishedRun("dtd", "wide_resnet50_4", "last_layer", 0.001, 0.03, 0.7096),
    PublishedRun("flowers", "resnet18", "full_network", 0.01, 0, 0.9622),
    PublishedRun("flowers", "resnet18", "last_layer", 0.01, 0.1, 0.9136),
    PublishedRun("flowers", "resnet50", "full_network", 0.01, 0.01, 0.9698),
    PublishedRun("flowers", "resnet50", "last_layer", 0.01, 0.1, 0.9146),
    PublishedRun("flowers", "wide_resnet50_2", "full_network", 0.01, 0.01, 0.9733),
    PublishedRun("flowers", "wide_resnet50_2", "last_layer", 0.01, 0, 0.9223),
    PublishedRun("flowers", "wide_resnet50_4", "full_network", 0.01, 0, 0.9712),
    PublishedRun("flowers", "wide_resnet50_4", "last_layer", 0.01, 0.01, 0.9195),
    PublishedRun("food", "resnet18", "full_network", 0.001, 0.01, 0.8406),
    PublishedRun("food", "resnet18", "last_layer", 0.01, 0.03, 0.6026),
    PublishedRun("food", "resnet50", "full_network", 0.01, 0, 0.8771),
    PublishedRun("food", "resnet50", "last_layer", 0.01, 0.05, 0.6603),
    PublishedRun("food", "wide_resnet50_2", "full_network", 0.001, 0.05, 0.8837),
    PublishedRun("food", "wide_resnet50_2", "last_layer", 0.01, 0, 0.6583),
    PublishedRun("food", "wide_resnet50_4", "full_network", 0.001, 0.1, 0.8930),
    PublishedRun("food", "wide_resnet50_4", "last_layer", 0.01, 0.01, 0.6935),
    PublishedRun("pets", "resnet18", "full_network", 0.001, 0, 0.9205),
    PublishedRun("pets", "resnet18", "last_layer", 0.01, 0, 0.8978),
    PublishedRun("pets", "resnet50", "full_network", 0.001, 0.05, 0.9371),
    PublishedRun("pets", "resnet50", "last_layer", 0.01, 0.03, 0.9132),
    PublishedRun("pets", "wide_resnet50_2", "full_network", 0.001, 0.05, 0.9451),
    PublishedRun("pets", "wide_resnet50_2", "last_layer", 0.01, 0, 0.9203),
    PublishedRun("pets", "wide_resnet50_4", "full_network", 0.001, 0.01, 0.9459),
    PublishedRun("pets", "wide_resnet50_4", "last_layer", 0.01, 0.03, 0.9223),
    PublishedRun("cars", "resnet18", "full_network", 0.01, 0, 0.8822),
    PublishedRun("cars", "resnet18", "last_layer", 0.01, 0.1, 0.4567),
    PublishedRun("cars", "resnet50", "full_network", 0.01, 0, 0.9149),
    PublishedRun("cars", "resnet50", "last_layer", 0.01, 0.5, 0.4738),
    PublishedRun("cars", "wide_resnet50_2", "full_network", 0.01, 0, 0.9164),
    PublishedRun("cars", "wide_resnet50_2", "last_layer", 0.01, 0.25, 0.4691),
    PublishedRun("cars", "wide_resnet50_4", "full_network", 0.01, 0, 0.9142),
    PublishedRun("cars", "wide_resnet50_4", "last_layer", 0.01, 0.01, 0.5106),
)


def gains() -> dict[str, tuple[float, float]]:
    """Robust minus standard of `TABLE_1`, fixed-feature and full-network, by target."""
    return {
        target: (row.fixed_robust - row.fixed_standard, row.full_robust - row.full_standard)
        for target, row in TABLE_1.items()
    }
