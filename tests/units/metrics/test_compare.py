"""What `compare` refuses: inputs from which it would compute numbers that mean nothing."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import nn

from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics.compare import compare

N, CLASSES, SIDE = 6, 4, 4
STEP = AttackRecipe("fgsm", "linf", 8 / 255)


def linear(seed: int, classes: int = CLASSES) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, classes)).eval()


IMAGES = torch.rand(N, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(N) % CLASSES
SOURCE, REFERENCE = linear(1), linear(2)


def compared(**changes: Any) -> Any:
    given = {
        "source": SOURCE,
        "reference": REFERENCE,
        "images": IMAGES,
        "labels": LABELS,
        "attack": STEP,
        "mask": "all",
    }
    return compare(**(given | changes))  # type: ignore[arg-type]


def test_what_is_right_passes() -> None:
    found = compared()["source_to_reference"]
    assert found.n_images["alpha_1_mean"] == N


def test_a_source_of_other_classes_passes() -> None:
    """Only the reference's classes are those of the labels."""
    found = compared(source=linear(1, CLASSES + 3))["source_to_reference"]
    assert found.n_images["alpha_1_mean"] == N


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_any_whole_numbers(dtype: torch.dtype) -> None:
    assert compared(labels=LABELS.to(dtype))["source_to_reference"] is not None


NAN = IMAGES.clone()
NAN[2, 0, 1, 1] = torch.nan


@pytest.mark.parametrize(
    ("images", "parts"),
    [
        (IMAGES * 255, ["0 to 255 by 255", "expected [0, 1]"]),
        ((IMAGES * 255).to(torch.uint8), ["uint8", "/ 255"]),
        ((IMAGES - 0.5) / 0.25, ["normalisation the first layer"]),
        (IMAGES * 1.1, ["clamp(0, 1)"]),
        (NAN, ["nan"]),
        (IMAGES[:0], ["N > 0"]),
        (IMAGES[0], ["(N, C, H, W)", "(3, 4, 4)"]),
        (IMAGES.numpy(), ["float tensor", "ndarray"]),
    ],
    ids=["0..255", "uint8", "normalised", "overshot", "nan", "none", "one image", "array"],
)
def test_images_that_are_not_pixels(images: Any, parts: list[str]) -> None:
    with pytest.raises(UserError) as told:
        compared(images=images, labels=None)
    assert str(told.value).startswith("images: ")
    for part in parts:
        assert part in str(told.value)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (nn.functional.one_hot(LABELS, CLASSES), ["argmax(1)"]),
        (LABELS.float(), ["whole number", "float32"]),
        (LABELS > 1, ["whole number", "bool"]),
        (LABELS[:-1], ["each of the 6 images"]),
        (LABELS + 1, ["1 to 4", "has 4 logits", "0 to 3"]),
        (LABELS - 1, ["-1 to 2"]),
        (LABELS.tolist(), ["whole number", "list"]),
    ],
    ids=["one-hot", "float", "bool", "too few", "from 1", "negative", "list"],
)
def test_labels_that_number_no_classes(labels: Any, parts: list[str]) -> None:
    with pytest.raises(UserError) as told:
        compared(labels=labels)
    assert str(told.value).startswith("labels: ")
    for part in parts:
        assert part in str(told.value)


def test_a_mask_with_a_typo() -> None:
    with pytest.raises(UserError, match="mask: 'reference_corect' is unknown; .*'all'"):
        compared(mask="reference_corect")


Output = namedtuple("Output", "loss logits")


@pytest.mark.parametrize(
    ("wrapped", "parts"),
    [
        (lambda x: (SOURCE(x), None), ["tuple", "model(images)[0]"]),
        (lambda x: {"logits": SOURCE(x)}, ["dict", "model(images)['logits']"]),
        (lambda x: Output(None, SOURCE(x)), ["Output", "model(images).logits"]),
        (lambda x: SOURCE(x)[:, 0], ["(N, classes)"]),
        (lambda x: SOURCE(x)[:1], ["6 images"]),
        (lambda x: SOURCE(x).softmax(1), ["probabilities", "softmax"]),
    ],
    ids=["tuple", "dict", "named tuple", "one number", "one row", "probabilities"],
)
@pytest.mark.parametrize("side", ["source", "reference"])
def test_a_model_that_returns_no_logits(side: str, wrapped: Any, parts: list[str]) -> None:
    with pytest.raises(UserError) as told:
        compared(**{side: wrapped})
    assert str(told.value).startswith(f"{side}: expected logits")
    for part in parts:
        assert part in str(told.value)


@pytest.mark.parametrize("part", [nn.Dropout(0.5), nn.BatchNorm1d(CLASSES)])
def test_a_model_in_training_mode(part: nn.Module) -> None:
    model = nn.Sequential(SOURCE, part).train()
    with pytest.raises(UserError, match=r"source: .*training mode.*\.eval\(\)"):
        compared(source=model)
    assert compared(source=model.eval())["source_to_reference"] is not None


def test_a_model_on_another_device() -> None:
    with pytest.raises(UserError, match="reference: the model is on meta, the images are on cpu"):
        compared(reference=linear(2).to("meta"))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"epsilon": 8.0}, "8 grey levels are 8/255"),
        ({"epsilon": float("inf")}, "cannot be meant"),
        ({"epsilon": float("nan")}, "cannot be meant"),
        ({"epsilon": -0.1}, "not be negative"),
        ({"epsilon": 0.0}, "above 0"),
        ({"norm": "l2", "epsilon": 128.0}, "0 to 6.928"),  # sqrt(3 * 4 * 4), black to white
        ({"step_size": 2.0}, "step_size: 2 cannot be meant"),
        ({"steps": 0}, "at least 1"),
        ({"labels": "true"}, "own predictions"),
        ({"precision": "bf16"}, "as they are given"),
    ],
    ids=str,
)
def test_an_attack_that_cannot_be_meant(changes: dict[str, Any], part: str) -> None:
    attack = {"attack": "pgd", "norm": "linf", "epsilon": 8 / 255} | changes
    with pytest.raises(UserError, match=part):
        compared(attack=AttackRecipe(**attack))


def test_restarts_are_made() -> None:
    """The best of several random starts is another perturbation than that of the first."""
    once = AttackRecipe("pgd", "linf", 8 / 255, steps=1, step_size=1 / 255, random_start=True)
    often = AttackRecipe(
        "pgd", "linf", 8 / 255, steps=1, step_size=1 / 255, random_start=True, restarts=8
    )
    first, best = (compared(attack=attack)["source_to_reference"] for attack in (once, often))
    assert first.values["alpha_1_mean"] != best.values["alpha_1_mean"]


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (lambda x: SOURCE(x).detach(), "no gradient leads from its logits"),
        (torch.no_grad()(lambda x: SOURCE(x)), "no gradient leads from its logits"),
        (lambda x: nn.functional.dropout(SOURCE(x), 0.5), "two calls on the same images"),
        (linear(1).double(), "has to take float32 images"),
        (SOURCE.state_dict(), "expected a function from images to logits"),
        (None, "expected a function from images to logits"),
    ],
    ids=["detached", "no_grad", "random", "double", "state dict", "none"],
)
def test_a_model_that_cannot_be_attacked(model: Any, part: str) -> None:
    with pytest.raises(UserError, match=f"source: .*{part}"):
        compared(source=model)


def test_images_that_were_divided_twice() -> None:
    with pytest.raises(UserError, match="divided by 255 twice"):
        compared(images=IMAGES / 255)


def test_images_of_another_precision() -> None:
    with pytest.raises(UserError, match="expected float32, got float64"):
        compared(images=IMAGES.double())


def test_an_attack_by_its_name() -> None:
    with pytest.raises(UserError, match="expected an AttackRecipe, got a str"):
        compared(attack="pgd")


def test_probabilities_of_one_image() -> None:
    with pytest.raises(UserError, match="every row sums to 1"):
        compared(images=IMAGES[:1], labels=LABELS[:1], source=lambda x: SOURCE(x).softmax(1))
