"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed

BOXES = {"task": "box_detection", "of": "box"}
BOXES_OF_MASKS = {"task": "instance_segmentation", "of": "box"}
MASKS = {"task": "instance_segmentation", "of": "mask"}
BOTH = ("mean", "value", "ci_low", "ci_high")


def of_training(name: str) -> Column:
    return Column(BOTH, {"training": name}, signed=True, bold=True)


def of_metric(name: str) -> Column:
    return Column(BOTH, {"metric": name}, signed=True, bold=True)


TABLES = [
    Printed(
        study="detection",
        table="differences",
        number=1,
        rows={
            "task": {
                "box detection, boxes": BOXES,
                "instance segmentation, boxes": BOXES_OF_MASKS,
                "instance segmentation, masks": MASKS,
            }
        },
        columns={
            "natural": Column(("baseline_mean",), {"training": "robust_l2"}),
            "robust, ℓ₂ 0.5": of_training("robust_l2"),
            "robust, ℓ₂ 0.25": of_training("robust_l2_quarter"),
            "untrained": of_training("untrained"),
        },
        where={"metric": "AP"},
    ),
    Printed(
        study="detection",
        table="differences",
        number=2,
        rows={
            "task, of, source": {
                "detection, boxes, ℓ₂ 0.25": {**BOXES, "training": "robust_l2_quarter"},
                "detection, boxes, ℓ₂ 0.5": {**BOXES, "training": "robust_l2"},
                "segmentation, boxes, ℓ₂ 0.5": {**BOXES_OF_MASKS, "training": "robust_l2"},
                "segmentation, masks, ℓ₂ 0.5": {**MASKS, "training": "robust_l2"},
            }
        },
        columns={
            "AP": of_metric("AP"),
            "AP₅₀": of_metric("AP50"),
            "AP₇₅": of_metric("AP75"),
            "small": of_metric("AP_small"),
            "medium": of_metric("AP_medium"),
            "large": of_metric("AP_large"),
        },
    ),
]
