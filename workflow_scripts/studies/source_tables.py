"""The sources of a study as tidy rows: columns and values that the tables of several studies share.

docs/results.md documents the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..advtransfer.addresses import Seeds, address, block_path, source_path
from ..advtransfer.artifacts.table_reader import read_rows
from ..advtransfer.training.recipe import SourceRecipe
from .base import Study
from .columns import EVALUATION_COLUMNS, Row, Table
from .sources import Source


def of_network(study: Study, source: Source, seed: int | str) -> Row:
    """The columns that say which source a row is about."""
    return {
        "study": study.name,
        "source": address(source.recipe),
        "source_model": source.model,
        "source_family": source.family,
        "source_training": source.training,
        "robust": "" if source.robust is None else int(source.robust),
        "source_seed": seed,
    }


def of_source(study: Study, source: Source, seed: int | str) -> Row:
    """The same, with norm and epsilon of the source's training."""
    return {
        **of_network(study, source, seed),
        "source_norm": source.norm,
        "source_epsilon": "" if source.epsilon is None else source.epsilon,
    }


def blocks(study: Study) -> Iterator[tuple[Source, Seeds]]:
    """Every source with every block of its seeds."""
    for source in study.sources:
        for seeds in source.seed_blocks:
            yield source, seeds


def source_table(study: Study) -> Table:
    """Clean and robust accuracy of every source trained here, and what its training cost."""
    return EVALUATION_COLUMNS, evaluation_rows(study, EVALUATION_COLUMNS, of_source)


def evaluation_rows(study: Study, columns: list[str], of_source: Callable[..., Row]) -> list[Row]:
    """The rows of such a table: ``of_source(study, source, seed)`` has those that name a source."""
    rows: list[Row] = []
    for source, seeds in blocks(study):
        evaluation = study.evaluation(source)
        if evaluation is None or not isinstance(source.recipe, SourceRecipe):
            continue
        path = block_path("evaluations", source.recipe, seeds, evaluation, "csv")
        measured = read_rows(path)
        for seed in map(str, seeds):
            history = read_rows(source_path(source.recipe, int(seed), "history.csv"))
            seconds = sum(float(row["seconds"]) for row in history)
            cost = {
                "epochs": len(history),
                "passes": len(history) * passes_an_epoch(source.recipe),
                "seconds": f"{seconds:.1f}",
            }
            for row in measured:
                if row["seed"] == seed:
                    kept = {key: row[key] for key in columns if key in row}
                    rows.append({**of_source(study, source, seed), **kept, **cost})
    return rows


def passes_an_epoch(recipe: SourceRecipe) -> int:
    """Forward and backward passes of the network an image and epoch: one for the weights, and one
    a step of the attack; free training has one for both."""
    training = recipe.training
    if training.replays:
        return training.replays
    return 1 + (training.attack.steps if training.attack else 0)
