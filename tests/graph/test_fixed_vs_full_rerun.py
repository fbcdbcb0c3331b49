"""fixed_vs_full: what a change of it makes, and that what is there stays.

No network is trained (`finished`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.edits import STUDIES, Edit, append, study
from support.finished import finished_study, unchanged
from support.plans import DryRun, dry_run

STUDY = "fixed_vs_full"
FIGURES = ("over_epsilon", "best_of", "fixed_against_full", "selection", "published_transfers")
DRAWN = {f"{STUDY}_{name}": 1 for name in (*FIGURES, "page")}
TABLES = {f"{STUDY}_tables": 1, f"{STUDY}_analysis": 1}
SOURCES = 4  # two architectures, natural and robust


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DryRun]:
    """A folder in which all is there, and the plan that made it."""
    folder = tmp_path_factory.mktemp("fixed_vs_full")
    return folder, finished_study(folder, STUDY)


def test_what_the_study_makes(everything: tuple[Path, DryRun]) -> None:
    _, plan = everything
    stages = {
        "train_source": 2 * SOURCES,  # seeds
        "evaluate_source": SOURCES,
        "transfer_source": 2 * SOURCES,  # targets
    }
    assert (stages | DRAWN | TABLES).items() <= plan.counts.items()
    # Both modes and all learning rates of a block of seeds are one job.
    assert all('"learning_rates":[0.1,0.03]' in job.command.replace(" ", "")
               for job in plan.jobs if job.rule == "transfer_source")  # fmt: skip


CHANGES: dict[str, tuple[Edit, dict[str, int]]] = {
    # Every source meets it; nothing else is made.
    "one more target": (
        study(
            STUDY,
            targets={
                "vehicles": {
                    "dataset": "cifar10",
                    "classes": ["ship", "truck"],
                    "images": 60,
                    "test_images": 30,
                }
            },
        ),
        {"make_view": 2, "compare_views": 1, "transfer_source": SOURCES} | TABLES | DRAWN,
    ),
    "one more trial": (study(STUDY, trials=2), {"transfer_source": 2 * SOURCES} | TABLES | DRAWN),
    "the summaries": (
        append(f"{STUDIES}/{STUDY}/summary.py"),
        {f"{STUDY}_analysis": 1} | DRAWN,
    ),
    "published numbers": (
        append(f"{STUDIES}/{STUDY}/published.py"),
        {f"{STUDY}_published_transfers": 1, f"{STUDY}_page": 1},
    ),
    "another study": (study("data_efficiency", similarity_images=50), {}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_only_what_it_must(everything: tuple[Path, DryRun], name: str) -> None:
    edit, expected = CHANGES[name]
    folder, _ = everything
    with unchanged(folder):
        edit(folder)
        plan = dry_run(folder, STUDY)
    assert plan.counts == expected, plan.reasons
