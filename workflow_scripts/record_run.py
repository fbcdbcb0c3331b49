"""Record a run: names and paths of all artefacts, the whole configuration, and the environment."""

import argparse

from .advtransfer.cli import run, step_parser

INDEX_COLUMNS = ("study", "kind", "name", "seeds", "path")
ENVIRONMENT_COLUMNS = ("name", "value")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__)
    parser.add_argument("--index", required=True, help="CSV to write: names and paths")
    parser.add_argument("--config", required=True, help="YAML to write: the whole configuration")
    parser.add_argument("--environment", required=True, help="CSV to write: machine and versions")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import json
    import os
    import platform
    from importlib import metadata

    import yaml

    from .advtransfer.artifacts.files import atomic
    from .advtransfer.artifacts.table_writer import write_rows
    from .advtransfer.data.known import class_names
    from .studies.plan import index_rows, make_plan

    config = json.loads(arguments.recipe)
    write_rows(arguments.index, index_rows(make_plan(config, class_names)), INDEX_COLUMNS)
    with atomic(arguments.config) as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=False))
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count()),
    }
    packages = {item.metadata["Name"]: item.version for item in metadata.distributions()}
    rows = [*machine.items(), *sorted(packages.items())]
    write_rows(
        arguments.environment,
        (dict(zip(ENVIRONMENT_COLUMNS, row, strict=True)) for row in rows),
        ENVIRONMENT_COLUMNS,
    )


def processor() -> str:
    """Return the processor's name as Linux reports it."""
    import platform

    try:
        with open("/proc/cpuinfo") as lines:
            names = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
            return next(names, platform.processor())
    except OSError:
        return platform.processor()


if __name__ == "__main__":
    run(main, parser())
