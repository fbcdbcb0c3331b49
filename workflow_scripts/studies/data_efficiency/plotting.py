"""What the figures and the page of data efficiency share: settings, parts of the grid, blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...advtransfer.plotting.frames import rows_of_study, rows_where
from ...advtransfer.plotting.marks import Look
from ...advtransfer.plotting.style import MARKERS
from .columns import DIFFERENCE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

UNTRAINED = "untrained"


@dataclass(frozen=True)
class Settings:
    """What decides a figure or the page besides its tables. Each reads only some of it."""

    study: str
    model: str | None = None  # architecture of the sources; None: the table's first
    baseline: str = "natural"  # the training that others are compared with
    robust: str = "robust_l2"  # the main adversarial training
    trainings: tuple[str, ...] = ()  # in the order to draw; none: those of the table
    targets: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    grids: dict[str, list[str]] = field(default_factory=dict)  # role in a figure: grids


def read(path: str, columns: Iterable[str], settings: Settings) -> pd.DataFrame:
    """Return the study's rows of one architecture; none, if the part was not asked for.

    Raises:
        UserError: as `rows_of_study`.
    """
    return rows_of_study(path, columns, settings.study, settings.model)


def read_differences(path: str, settings: Settings) -> pd.DataFrame:
    """Return the paired differences of one architecture, if there are any.

    Raises:
        UserError: as `rows_of_study`.
    """
    return rows_of_study(path, DIFFERENCE_COLUMNS, settings.study, settings.model, "model")


def of_grid(
    frame: pd.DataFrame, settings: Settings, role: str, *, blocks: str | None = None
) -> pd.DataFrame:
    """Return the rows of the part of the grid that plays ``role``; none if no part does.

    ``blocks``: keep the "fewest" unfrozen blocks, or for each number of images the "most" that is
    not the whole network.
    """
    rows = rows_where(frame, grid=settings.grids.get(role, []))
    numbers = sorted(rows["blocks"].dropna().unique(), key=block_order)
    if blocks == "most" and any(number.isdigit() for number in numbers):
        counted = rows[rows["blocks"].str.isdigit()]
        order = counted["blocks"].map(block_order)
        return counted[order == order.groupby(counted["images"]).transform("max")]
    return rows_where(rows, blocks=numbers[0]) if blocks and numbers else rows


def robust_minus_baseline(differences: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return the differences in accuracy between the main robust training and the baseline."""
    return rows_where(
        differences,
        comparison="training",
        training=settings.robust,
        baseline_training=settings.baseline,
        quantity="accuracy",
    )


def with_heads(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return the rows of the grid of blocks, and the solved heads if it has no cell of 0 blocks."""
    import pandas as pd

    rows = of_grid(frame, settings, "blocks")
    if rows.empty or (rows["blocks"] == "0").any():
        return rows
    return pd.concat([rows_where(of_grid(frame, settings, "images"), blocks="0"), rows])


def blocks_label(blocks: str) -> str:
    """Return how much of a network was trained on the target, in words."""
    names = {"0": "head only", "1": "1 block", "all": "whole network"}
    return names.get(blocks, f"{blocks} blocks")


def block_looks(found: Iterable[str]) -> dict[str, Look]:
    """Return the looks of numbers of unfrozen blocks, darker for more, in hues of their own."""
    import seaborn as sns

    order = sorted(set(found), key=block_order)
    shades = sns.blend_palette(["#D8A8DC", "#E7298A", "#4A0030"], max(3, len(order))).as_hex()
    return {name: Look(shades[k], MARKERS[k % len(MARKERS)]) for k, name in enumerate(order)}


def block_order(blocks: str) -> tuple[bool, int]:
    """Return a key that sorts numbers of blocks: 0, 1, 3, ..., all."""
    return not blocks.isdigit(), int(blocks) if blocks.isdigit() else 0
