"""Numbers that Utrera et al. published, as data to compare with.

Source: F. Utrera, E. Kravitz, N. B. Erichson, R. Khanna, M. W. Mahoney, "Adversarially-Trained Deep
Nets Transfer Better: Illustration on Image Classification", ICLR 2021, arXiv 2007.05869. Their
setting: ResNet-50 trained on ImageNet, naturally or by PGD (l2 at 3, linf at 4/255 and 8/255);
targets resized to 224 pixels; the new head and the last three residual blocks trained by SGD; top-1
test accuracy at the last epoch unless an epoch is named. How each number is known:

* ``ACCURACIES``: [code], the summary table in the authors' released repository: means over 10 seeds
  up to 6400 images, 5 at 12800 and 25600, 1 at all images (the last row of a target).
* ``EPOCHS``: [fig], digitised from the vector figure of few epochs (+-0.0002): 3200 images, means
  over 10 seeds.

The robustness of the transferred networks is not known: neither gives numbers.
"""

from __future__ import annotations

from typing import NamedTuple


class PublishedAccuracy(NamedTuple):
    """Accuracy on one target after transfer with so many images, by the source's training."""

    images: int
    natural: float
    robust_l2: float  # 3
    robust_linf_4: float  # 4/255
    robust_linf_8: float  # 8/255


class PublishedEpoch(NamedTuple):
    """Accuracy on one target after so many epochs, of the natural and the l2-robust source."""

    epoch: int
    natural: float
    robust_l2: float


ACCURACIES = {
    "cifar100": (
        PublishedAccuracy(100, 0.0797, 0.0854, 0.0824, 0.0884),
        PublishedAccuracy(200, 0.1305, 0.1326, 0.1371, 0.1279),
        PublishedAccuracy(400, 0.1857, 0.2174, 0.2132, 0.1979),
        PublishedAccuracy(800, 0.2757, 0.3368, 0.3255, 0.3017),
        PublishedAccuracy(1600, 0.3788, 0.4564, 0.4449, 0.4082),
        PublishedAccuracy(3200, 0.5146, 0.5691, 0.5579, 0.5134),
        PublishedAccuracy(6400, 0.6226, 0.6610, 0.6531, 0.6075),
        PublishedAccuracy(12800, 0.6992, 0.7161, 0.7142, 0.6716),
        PublishedAccuracy(25600, 0.7508, 0.7568, 0.7540, 0.7152),
        PublishedAccuracy(50000, 0.7849, 0.7924, 0.7951, 0.7606),
    ),
    "cifar10": (
        PublishedAccuracy(100, 0.4849, 0.5189, 0.4986, 0.4903),
        PublishedAccuracy(200, 0.5744, 0.6405, 0.6283, 0.6011),
        PublishedAccuracy(400, 0.6684, 0.7165, 0.7193, 0.6881),
        PublishedAccuracy(800, 0.7420, 0.7868, 0.7899, 0.7595),
        PublishedAccuracy(1600, 0.7974, 0.8376, 0.8347, 0.8110),
        PublishedAccuracy(3200, 0.8377, 0.8756, 0.8734, 0.8507),
        PublishedAccuracy(6400, 0.8728, 0.9091, 0.9023, 0.8860),
        PublishedAccuracy(12800, 0.9195, 0.9320, 0.9311, 0.9160),
        PublishedAccuracy(25600, 0.9393, 0.9492, 0.9463, 0.9328),
        PublishedAccuracy(50000, 0.9536, 0.9586, 0.9560, 0.9458),
    ),
    "svhn": (
        PublishedAccuracy(100, 0.2350, 0.3790, 0.3475, 0.3575),
        PublishedAccuracy(200, 0.2937, 0.5089, 0.4682, 0.4777),
        PublishedAccuracy(400, 0.3730, 0.6197, 0.5899, 0.6102),
        PublishedAccuracy(800, 0.4917, 0.7119, 0.6884, 0.7019),
        PublishedAccuracy(1600, 0.6214, 0.7784, 0.7524, 0.7677),
        PublishedAccuracy(3200, 0.7431, 0.8555, 0.8157, 0.8473),
        PublishedAccuracy(6400, 0.8263, 0.9046, 0.8817, 0.8954),
        PublishedAccuracy(12800, 0.8870, 0.9286, 0.9168, 0.9181),
        PublishedAccuracy(25600, 0.9224, 0.9436, 0.9376, 0.9408),
        PublishedAccuracy(73257, 0.9533, 0.9602, 0.9542, 0.9563),
    ),
    "fashion_mnist": (
        PublishedAccuracy(100, 0.6611, 0.7180, 0.7124, 0.7269),
        PublishedAccuracy(200, 0.7353, 0.7851, 0.7767, 0.7833),
        PublishedAccuracy(400, 0.7880, 0.8209, 0.8140, 0.8158),
        PublishedAccuracy(800, 0.8273, 0.8521, 0.8460, 0.8459),
        PublishedAccuracy(1600, 0.8539, 0.8758, 0.8709, 0.8691),
        PublishedAccuracy(3200, 0.8797, 0.8943, 0.8911, 0.8889),
        PublishedAccuracy(6400, 0.8963, 0.9073, 0.9044, 0.9011),
        PublishedAccuracy(12800, 0.9156, 0.9209, 0.9197, 0.9169),
        PublishedAccuracy(25600, 0.9342, 0.9324, 0.9314, 0.9279),
        PublishedAccuracy(60000, 0.9451, 0.9472, 0.9441, 0.9398),
    ),
    "kmnist": (
        PublishedAccuracy(100, 0.3429, 0.5176, 0.5012, 0.5105),
        PublishedAccuracy(200, 0.4477, 0.6297, 0.6036, 0.6284),
        PublishedAccuracy(400, 0.5245, 0.7165, 0.7018, 0.7189),
        PublishedAccuracy(800, 0.6300, 0.7967, 0.7773, 0.8068),
        PublishedAccuracy(1600, 0.7406, 0.8495, 0.8366, 0.8552),
        PublishedAccuracy(3200, 0.8142, 0.8968, 0.8826, 0.8914),
        PublishedAccuracy(6400, 0.8670, 0.9361, 0.9170, 0.9286),
        PublishedAccuracy(12800, 0.9432, 0.9621, 0.9573, 0.9590),
        PublishedAccuracy(25600, 0.9701, 0.9752, 0.9734, 0.9744),
        PublishedAccuracy(60000, 0.9807, 0.9835, 0.9819, 0.9838),
    ),
    "mnist": (
        PublishedAccuracy(100, 0.6869, 0.8383, 0.8303, 0.8281),
        PublishedAccuracy(200, 0.8158, 0.9072, 0.9044, 0.9049),
        PublishedAccuracy(400, 0.8809, 0.9428, 0.9390, 0.9398),
        PublishedAccuracy(800, 0.9181, 0.9605, 0.9558, 0.9592),
        PublishedAccuracy(1600, 0.9447, 0.9713, 0.9700, 0.9716),
        PublishedAccuracy(3200, 0.9640, 0.9813, 0.9793, 0.9810),
        PublishedAccuracy(6400, 0.9734, 0.9873, 0.9850, 0.9857),
        PublishedAccuracy(12800, 0.9852, 0.9911, 0.9898, 0.9903),
        PublishedAccuracy(25600, 0.9906, 0.9927, 0.9921, 0.9924),
        PublishedAccuracy(60000, 0.9919, 0.9942, 0.9934, 0.9939),
    ),
}

# at 3200 images
EPOCHS = {
    "cifar100": (
        PublishedEpoch(11, 0.3571, 0.5188),
        PublishedEpoch(21, 0.4499, 0.5445),
        PublishedEpoch(41, 0.4687, 0.5581),
        PublishedEpoch(81, 0.5124, 0.5675),
        PublishedEpoch(150, 0.5146, 0.5691),
    ),
    "cifar10": (
        PublishedEpoch(11, 0.7788, 0.8597),
        PublishedEpoch(21, 0.8216, 0.8704),
        PublishedEpoch(41, 0.8319, 0.8737),
        PublishedEpoch(81, 0.8373, 0.8757),
        PublishedEpoch(150, 0.8377, 0.8756),
    ),
    "svhn": (
        PublishedEpoch(11, 0.5116, 0.7996),
        PublishedEpoch(21, 0.6206, 0.8267),
        PublishedEpoch(41, 0.6803, 0.8300),
        PublishedEpoch(81, 0.7401, 0.8537),
        PublishedEpoch(150, 0.7431, 0.8555),
    ),
    "fashion_mnist": (
        PublishedEpoch(11, 0.8370, 0.8803),
        PublishedEpoch(21, 0.8645, 0.8903),
        PublishedEpoch(41, 0.8682, 0.8907),
        PublishedEpoch(81, 0.8776, 0.8945),
        PublishedEpoch(150, 0.8797, 0.8943),
    ),
    "kmnist": (
        PublishedEpoch(11, 0.6364, 0.8653),
        PublishedEpoch(21, 0.7358, 0.8818),
        PublishedEpoch(41, 0.7664, 0.8898),
        PublishedEpoch(81, 0.8113, 0.8961),
        PublishedEpoch(150, 0.8142, 0.8968),
    ),
    "mnist": (
        PublishedEpoch(11, 0.9252, 0.9738),
        PublishedEpoch(21, 0.9494, 0.9777),
        PublishedEpoch(41, 0.9556, 0.9792),
        PublishedEpoch(81, 0.9633, 0.9809),
        PublishedEpoch(150, 0.9640, 0.9813),
    ),
}
