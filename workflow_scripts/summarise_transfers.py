"""Summarise a study of transfer to whole targets: all-of and best-of tables, what a choice on test
images would have given, and how fixed-feature and full-network transfer go together."""

import argparse

from .advtransfer.cli import log, run, step_parser


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--table", required=True, help="every transferred network (CSV)")
    parser.add_argument("--summary", required=True, help="CSV to write: every source, every target")
    parser.add_argument("--best", required=True, help="CSV to write: the best epsilon")
    parser.add_argument("--selection", required=True, help="CSV to write: choices on test images")
    parser.add_argument("--correlations", required=True, help="CSV to write: both modes' results")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json

    from .advtransfer import transfer_columns as columns
    from .advtransfer import transfer_summary as summary
    from .advtransfer.artifacts.table_writer import write_rows

    recipe = json.loads(arguments.recipe)
    study, baseline, metrics = (recipe[name] for name in ("study", "baseline", "metrics"))
    draws = {name: recipe[name] for name in ("bootstrap", "permutations")}
    cells = summary.cells_of(summary.read_networks(arguments.table))
    written = {
        arguments.summary: (
            columns.SUMMARY_COLUMNS,
            summary.summary_rows(cells, study, baseline, metrics),
        ),
        arguments.best: (columns.BEST_COLUMNS, summary.best_rows(cells, study, baseline, metrics)),
        arguments.selection: (
            columns.SELECTION_COLUMNS,
            summary.selection_rows(cells, study, metrics),
        ),
        arguments.correlations: (
            columns.CORRELATION_COLUMNS,
            summary.correlation_rows(cells, study, metrics, **draws),
        ),
    }
    for path, (names, rows) in written.items():
        blank = [{key: "" if value != value else value for key, value in r.items()} for r in rows]
        log.info("%s: %d rows", path, len(blank))
        write_rows(path, blank, names)


if __name__ == "__main__":
    run(main, parser())
