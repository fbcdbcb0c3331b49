"""Paired differences between transfers: what a training, unfrozen blocks or moving statistics add.

Runs are paired by source seed and subset (size and seed). Intervals treat both as random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ...advtransfer.cli import log
from ..columns import Table
from .columns import DIFFERENCE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

READS = ("curves", "robustness")
# Tables that are made here, with their labels in the report.
TABLES = {"differences": "paired differences"}
LIBRARY = {"differences": ("advtransfer.statistics.paired.paired_difference",)}
SETTINGS = ("baseline", "grids")


class Cell(NamedTuple):
    """The conditions of one mean, which is taken over source seeds and subset seeds."""

    target: str
    model: str
    grid: str
    training: str
    blocks: str
    images: int
    epoch: int
    last: int  # 1: the last epoch of its grid
    quantity: str


def analyse(tables: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Table]:
    """Compare every cell of the transfer grid with those that differ from it in one respect.

    Args:
        tables: paths of the tables in ``READS``.
        settings: the study's name (``study``) and its settings in ``SETTINGS``.
    """
    import math

    import pandas as pd

    from ...advtransfer.statistics.paired import paired_difference

    curves, robustness = read(tables["curves"]), read(tables["robustness"])
    curves["quantity"] = "accuracy"
    curves = curves.rename(columns={"test_accuracy": "accuracy"})
    if len(robustness):
        strength = robustness["epsilon"].map("{:.6g}".format)
        attack = robustness["attack"] + robustness["steps"].astype(str)
        robustness["quantity"] = "robust_" + attack + "_" + robustness["norm"] + "_" + strength
        robustness = robustness[robustness["attack"] != "none"]
    table = pd.concat([curves, robustness], ignore_index=True)
    table = table.rename(columns={"source_model": "model", "source_training": "training"})
    final = table.groupby(["grid", "blocks"])["epoch"].transform("max")
    table["last"] = (table["epoch"] == final).astype(int)
    runs = {
        Cell._make(key): cell.pivot_table(
            index="source_seed", columns="subset_seed", values="accuracy"
        )
        for key, cell in table.groupby(list(Cell._fields), sort=False)
    }
    rows = []
    for comparison, cell, other in comparisons(list(runs), settings):
        ours, theirs = runs[cell].align(runs[other])
        found = paired_difference(ours.to_numpy(), theirs.to_numpy())
        if not found.n_subset_seeds:
            continue
        rows.append(
            {
                "study": settings["study"],
                "comparison": comparison,
                **cell._asdict(),
                "baseline_grid": other.grid,
                "baseline_training": other.training,
                "baseline_blocks": other.blocks,
                **{
                    name: "" if isinstance(value, float) and math.isnan(value) else value
                    for name, value in found._asdict().items()
                },
            }
        )
    log.info("%d differences over %d cells", len(rows), len(runs))
    return {"differences": (list(DIFFERENCE_COLUMNS), rows)}


def read(path: str) -> pd.DataFrame:
    """Read a table of the study. Numbers of blocks stay text, because one of them is ``all``."""
    import io

    import pandas as pd

    from ...advtransfer.artifacts.sealed import csv_bytes

    text = dict.fromkeys(("blocks", "target", "grid", "norm", "attack", "source_training"), "str")
    return pd.read_csv(io.BytesIO(csv_bytes(path)), dtype=text, keep_default_na=False)


def comparisons(cells: list[Cell], settings: Mapping[str, Any]) -> Iterator[tuple[str, Cell, Cell]]:
    """Yield the name of a comparison, a cell, and the cell that it is compared with.

    ``training`` compares with the baseline's cell at every epoch. At last epochs, ``blocks``
    compares with solved heads (0 blocks), ``statistics`` moving with frozen ones, and ``scratch``
    with networks that were trained from random weights on the same images.
    """
    known = set(cells)
    grids = {
        role: settings["grids"].get(role, [])
        for role in ("images", "blocks", "statistics", "scratch")
    }
    finals = [cell for cell in cells if cell.last and cell.quantity == "accuracy"]
    by_place = {cell._replace(epoch=0): cell for cell in finals}
    scratch = {cell[:2] + (cell.images,): cell for cell in finals if cell.grid in grids["scratch"]}

    for cell in cells:
        other: Cell | None = cell._replace(training=settings["baseline"])
        if other in known and other != cell:
            yield "training", cell, other
    for cell in finals:
        place = cell._replace(epoch=0)
        heads = [place._replace(grid=grid, blocks="0") for grid in grids["images"]]
        still = [place._replace(grid=grid) for grid in grids["blocks"]]
        paired = {
            "blocks": heads if cell.grid in grids["blocks"] and cell.blocks != "0" else [],
            "statistics": still if cell.grid in grids["statistics"] else [],
        }
        for comparison, others in paired.items():
            for other in filter(None, map(by_place.get, others)):
                yield comparison, cell, other
        if cell.grid in (*grids["images"], *grids["blocks"]):
            other = scratch.get(cell[:2] + (cell.images,))
            if other:
                yield "scratch", cell, other
