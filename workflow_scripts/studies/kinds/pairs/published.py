"""Numbers that Liang et al. published, as data to compare with.

Source: K. Liang, J. Y. Zhang, B. Wang, Z. Yang, O. Koyejo, B. Li, "Uncovering the Connections
Between Adversarial Transferability and Knowledge Transferability", ICML 2021, arXiv 2006.14512; and
its first version ("arXiv v1"), "Does Adversarial Transferability Indicate Knowledge
Transferability?". How each number is known:

* ``ARCHITECTURES``: printed in the ICML paper's image table (CIFAR-10 sources, STL-10 target, last
  layer retrained, FGSM at 0.1 on the reference, direction reference -> source).
* ``ARCHITECTURE_CORRELATIONS``: derived here from the rows of that table; the paper prints none.
* ``MIXTURES``: [fig], digitised from the bars of arXiv v1's figure (+-0.005; the accuracies after
  full fine-tuning are read by eye from a curve).
* ``MIXTURE_CORRELATIONS``: derived from those.
"""

from __future__ import annotations

from typing import NamedTuple


class PublishedArchitecture(NamedTuple):
    """A row of the ICML image table. Both alpha_2 and the combined metric are the squared norms.

    The table calls the columns "alpha_2" and "alpha_1 * alpha_2". That they are squares is the
    authors' code (``image_exp`` returns ``norm ** 2``), and the table bears it out: alpha_1^2 times
    alpha_2 is close to the combined column in every row, alpha_1 times alpha_2 is not.
    """

    model: str
    last_layer_accuracy: float
    alpha_1: float
    alpha_2_squared: float
    combined_squared: float


class PublishedMixture(NamedTuple):
    """A bar of arXiv v1's figure: four classes of CIFAR-10 as the source, of STL-10 as the target.

    The figure is a mirror image of what was run. The target's STL-10 ids {1, 3, 4, 5} are bird,
    cat, deer and dog, so *animals*, where the paper says vehicles; and the all-vehicle source is
    printed as "100 % of animals". ``printed_animals`` is the figure's label, ``animals`` the
    source's true share of animals in per cent, and so its true closeness to the target.
    ``transferred_loss`` is the reference's loss on the source's perturbations (PGD-10, 0.06).
    """

    printed_animals: int
    animals: int
    transferred_loss: float
    last_layer_accuracy: float
    full_network_accuracy: float


ARCHITECTURES = (
    PublishedArchitecture("Fully Connected", 0.2830, 0.346, 0.189, 0.0258),
    PublishedArchitecture("LeNet", 0.4565, 0.324, 0.215, 0.0254),
    PublishedArchitecture("AlexNet", 0.5509, 0.337, 0.205, 0.0268),
    PublishedArchitecture("ResNet18", 0.7660, 0.538, 0.244, 0.0707),
    PublishedArchitecture("ResNet50", 0.7792, 0.614, 0.234, 0.0899),
)

# metric -> statistic -> correlation with last_layer_accuracy over the five rows
ARCHITECTURE_CORRELATIONS = {
    "alpha_1": {"pearson": 0.860, "spearman": 0.70, "kendall": 0.60},
    "alpha_2_squared": {"pearson": 0.932, "spearman": 0.80, "kendall": 0.60},
    "combined_squared": {"pearson": 0.877, "spearman": 0.90, "kendall": 0.80},
}

MIXTURES = (
    PublishedMixture(100, 0, 0.334, 0.537, 0.765),
    PublishedMixture(75, 25, 0.305, 0.541, 0.765),
    PublishedMixture(50, 50, 0.419, 0.663, 0.79),
    PublishedMixture(25, 75, 0.503, 0.765, 0.805),
    PublishedMixture(0, 100, 0.651, 0.824, 0.825),
)

# transferred_loss against last_layer_accuracy over the five mixtures
MIXTURE_CORRELATIONS = {"pearson": 0.968, "spearman": 0.90}
