"""Reading of tables for figures and pages, and selection of their rows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifacts.sealed import csv_bytes
from ..errors import UserError
from ..seals import damaged
from ..wording import listed

if TYPE_CHECKING:
    import pandas as pd

Tables = Mapping[str, str]  # paths of the tables that a figure or page reads, by name
# These columns are read as text, because a mixture may be called 25 and a model 1e5.
TEXT_COLUMNS = (
    *("study", "source", "source_model", "source_family", "source_training", "mixture"),
    *("target", "reference", "attack", "norm", "direction", "metric", "mode"),
    *("sources", "transfer", "statistic", "role"),
    *("grid", "baseline_grid", "solver", "blocks", "baseline_blocks", "measure", "comparison"),
    *("model", "training", "baseline_training", "quantity"),
)


def read_table(
    path: str | Path, columns: Iterable[str], *, may_be_empty: bool = False
) -> pd.DataFrame:
    """Return the table at ``path``, which must have ``columns`` and, unless it may be empty, a row.

    ``columns`` is the list of the module that makes the table, so a table that lacks one of them is
    another table.

    Raises:
        UserError: The file is missing or another artefact, or lacks rows or a column.
    """
    import pandas as pd

    columns = list(columns)
    if not Path(path).is_file():
        raise UserError(f"{path}: no such table.")
    content = io.BytesIO(csv_bytes(path))
    try:
        frame = pd.read_csv(
            content,
            dtype=dict.fromkeys(TEXT_COLUMNS, "object"),
            keep_default_na=False,
            na_values=[""],
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        what = f"not a table with column '{columns[0]}' ({error})"
        raise damaged(path, what) from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(
            f"{path}: no column '{missing[0]}'; the table has {', '.join(map(str, frame.columns))}."
        )
    if frame.empty and not may_be_empty:
        raise UserError(f"{path}: the table has no rows, nothing in column '{columns[0]}'.")
    frame.attrs["path"] = str(path)
    return frame


def select(frame: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """Return the rows that meet ``conditions`` (see `rows_where`), at least one.

    Raises:
        UserError: No row is left; the message names the file, the column and its values.
    """
    for column, wanted in conditions.items():
        chosen = rows_where(frame, **{column: wanted})
        if chosen.empty:
            there = listed(frame[column].dropna().unique())
            path = frame.attrs.get("path", "the table")
            raise UserError(
                f"{path}: no row left with {column} = {wanted}; column '{column}' has: {there}."
            )
        frame = chosen
    return frame


def rows_where(frame: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """Return the rows in which each named column has its value; unlike `select`, perhaps none.

    A list or tuple allows several values. A float matches up to rounding. A condition that is None
    always holds.
    """
    import numpy as np

    for column, wanted in conditions.items():
        if wanted is None:
            continue
        if isinstance(wanted, float):
            chosen = np.isclose(frame[column].astype(float), wanted, rtol=1e-6, atol=1e-9)
        elif isinstance(wanted, (tuple, list)):
            chosen = frame[column].isin(list(wanted))
        else:
            chosen = frame[column] == wanted
        frame = frame[chosen]
    return frame


def mean_and_range(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return mean, smallest and largest value of ``column`` per group, in order of appearance."""
    kept = frame.dropna(subset=[column])
    groups = kept.groupby(list(by), sort=False, dropna=False)[column]
    return groups.agg(mean="mean", low="min", high="max").reset_index()


def rows_of_study(
    path: str | Path,
    columns: Iterable[str],
    study: str,
    model: str | None = None,
    column: str = "source_model",
) -> pd.DataFrame:
    """Return a study's rows of one architecture; perhaps none, if the part is not configured.

    Args:
        path: the table.
        columns: all columns of the table, from the module that makes it.
        study: the study's name.
        model: the architecture; None: that of the first row.
        column: column with the names of architectures.

    Raises:
        UserError: see `read_table` and `select`.
    """
    frame = read_table(path, columns, may_be_empty=True)
    if frame.empty:
        return frame
    frame = select(frame, study=study)
    if column in frame:
        frame = rows_where(frame, **{column: model or frame[column].iloc[0]})
    return frame


def targets_shown(chosen: Iterable[str], *frames: pd.DataFrame) -> list[str]:
    """Return the targets to draw: the chosen ones, or all in the tables.

    There is at least one, perhaps without a name, so that the figure can say why it is empty.
    """
    found = sorted({name for frame in frames for name in frame["target"].unique()})
    return list(chosen) or found or [""]
