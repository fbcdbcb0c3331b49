"""The sources of a study as tidy rows, for every study that places them by norm and epsilon.

docs/results.md documents the columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..advtransfer.addresses import Seeds
from .columns import EVALUATION_COLUMNS
from .data_efficiency.tables import evaluation_rows, of_network
from .detection.design import DetectionStudy
from .kinds.whole_targets.design import TransferSource, TransferStudy

Row = dict[str, Any]
Table = tuple[list[str], list[Row]]
Study = TransferStudy | DetectionStudy


def of_source(study: Study, source: TransferSource, seed: int | str) -> Row:
    """The columns that say which source a row is about."""
    return {
        **of_network(study, source, seed),
        "source_norm": source.norm,
        "source_epsilon": "" if source.epsilon is None else source.epsilon,
    }


def blocks(study: Study) -> Iterator[tuple[TransferSource, Seeds]]:
    """Every source with every block of its seeds."""
    for source in study.sources:
        for seeds in source.seed_blocks:
            yield source, seeds


def source_table(study: Study) -> Table:
    """Clean and robust accuracy of every source trained here, and what its training cost."""
    return EVALUATION_COLUMNS, evaluation_rows(study, EVALUATION_COLUMNS, of_source)
