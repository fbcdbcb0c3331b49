"""What an edit re-runs: exactly the jobs whose result it can change, and nothing else.

Every case edits the finished smoke run, asks `snakemake -n`, and puts the bytes back; after all of
them nothing may be left to do. A new version of Snakemake that triggers otherwise fails here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from support.edits import (
    FIRST,
    LIBRARY,
    SECOND,
    STUDIES,
    Edit,
    append,
    new_family,
    new_source_of_new_family,
    nothing,
    other_key_order,
    overlay,
    study,
    touch,
)
from support.plans import dry_run, job_of
from support.workflow import SMOKE, restored, snakemake, state
from workflow_scripts.advtransfer.seals import sidecar

Counts = dict[str, int]
ONLY_FIRST = ("transfer_scatter", "published")
ONLY_SECOND = ("mixture_bars", "mixture_scatter")
IN_BOTH = ("correlations_over_epsilon", "per_image", "sources", "transfer_curves")

# What hangs below, in the words of the graph ------------------------------------------------------
REPORT = {"report": 1}


def figures(*studies: str) -> Counts:
    """Every figure of the studies."""
    names = {FIRST: ONLY_FIRST + IN_BOTH, SECOND: ONLY_SECOND + IN_BOTH}
    return {f"{study}_{name}": 1 for study in studies for name in names[study]}


def drawn(*studies: str) -> Counts:
    """Figures, pages, report."""
    return figures(*studies) | {f"{study}_page": 1 for study in studies} | REPORT


def analysed(*studies: str) -> Counts:
    """Correlations of the studies, and the table of all correlations."""
    return {f"{study}_analysis": 1 for study in studies} | {"correlations": 1}


def correlated() -> Counts:
    """Correlations of both studies and what shows them."""
    shown = (
        *(f"{FIRST}_{name}" for name in (*ONLY_FIRST, "correlations_over_epsilon", "page")),
        *(f"{SECOND}_{name}" for name in ("mixture_scatter", "correlations_over_epsilon", "page")),
    )
    return analysed(*BOTH) | dict.fromkeys(shown, 1) | REPORT


def collected(*studies: str) -> Counts:
    """Tables and all that is made from them."""
    return {f"{study}_tables": 1 for study in studies} | analysed(*studies) | drawn(*studies)


def one_network(sources: int = 1, **changed: int) -> Counts:
    """The chain of so many sources to one target."""
    steps = ("train_source", "evaluate_source", "transfer_source", "attack_source", "respond")
    return dict.fromkeys((*steps, "compute_metrics"), sources) | changed


BOTH = (FIRST, SECOND)
RECORDED = {"record_run": 1}  # the configuration is printed in the report


# Edits --------------------------------------------------------------------------------------------


MORE = [{"attack": "pgd", "norm": "linf", "epsilon": "2/255", "steps": 2, "random_start": True}]


@dataclass(frozen=True)
class Case:
    """An edit and what it re-runs."""

    name: str
    edit: Edit
    expected: Counts
    adds: bool = False  # what is made below the tables are new files: no artefact is made again


CASES = [
    Case("nothing changed", nothing, {}),
    Case("files only touched", touch, {}),
    Case("documentation", append("docs/results.md", "README.md"), {}),
    # Code: figures, tables, metrics, networks.
    Case(
        "script of one figure",
        append(f"{STUDIES}/{FIRST}/figures/published.py"),
        {f"{FIRST}_published": 1, f"{FIRST}_page": 1} | REPORT,
    ),
    Case("look of all figures", append(f"{LIBRARY}/plotting/style.py"), drawn(*BOTH)),
    Case(
        "template of one page",
        append(f"{STUDIES}/{FIRST}/page.html.j2"),
        {f"{FIRST}_page": 1} | REPORT,
    ),
    Case(
        "caption of a figure",
        append(f"{STUDIES}/{FIRST}/figures/published.rst"),
        {f"{FIRST}_page": 1} | REPORT,
    ),
    Case(
        "caption of a figure of both",
        append(f"{STUDIES}/kinds/pairs/figures/per_image.rst"),
        {f"{FIRST}_page": 1, f"{SECOND}_page": 1} | REPORT,
    ),
    Case(
        "statistics",
        append(f"{LIBRARY}/statistics/arrays.py"),
        correlated(),
    ),
    Case(
        "transferability metrics",
        append(f"{LIBRARY}/metrics/transferability.py"),
        {"compute_metrics": 20} | collected(*BOTH),
    ),
    Case(
        # Of 14 networks one is trained adversarially, with this attack; it has one target.
        "an attack",
        append(f"{LIBRARY}/attacks/pgd.py"),
        {"train_source": 1, "transfer_source": 1, "attack_source": 24}
        | {"evaluate_source": 10, "respond": 20, "compute_metrics": 20}
        | collected(*BOTH),
    ),
    Case("an attack nobody uses", append(f"{LIBRARY}/attacks/fgsm.py"), {}),
    Case(
        "a model family",
        append(f"{LIBRARY}/models/families/mlp.py"),
        one_network() | collected(FIRST),
    ),
    Case("a model family nobody uses", append(f"{LIBRARY}/models/families/vgg.py"), {}),
    Case(
        "the module of the dataset",
        append(f"{LIBRARY}/data/datasets/cifar10.py"),
        {"fetch_dataset": 1, "make_view": 27, "train_source": 14, "transfer_source": 20}
        | {"compare_views": 16}  # five mixtures with three targets, and one with one
        | {"attack_source": 24, "evaluate_source": 10, "respond": 20, "compute_metrics": 20}
        | collected(*BOTH),
    ),
    Case("a dataset nobody uses", append(f"{LIBRARY}/data/datasets/svhn.py"), {}),
    # Configuration: what is new is made, what is there stays.
    Case(
        "a new mixture, against three targets",
        study(
            SECOND, sources={"mixtures": {"animals_new": ["cat", "automobile", "ship", "truck"]}}
        ),
        {"make_view": 2, "admit_view": 1, "compare_views": 3}
        | one_network(transfer_source=3, attack_source=3, respond=3, compute_metrics=3)
        | collected(SECOND)
        | RECORDED,
        adds=True,
    ),
    Case(
        "a new block of seeds, for five sources",
        study(FIRST, sources={"seeds": [[0], [1]]}),
        one_network(5) | collected(FIRST) | RECORDED,
        adds=True,
    ),
    Case(
        "a new block of reference seeds",
        study(FIRST, references={"seeds": [[0], [1]]}),
        {"train_source": 1, "attack_source": 1, "respond": 5, "compute_metrics": 5}
        | collected(FIRST)
        | RECORDED,
        adds=True,
    ),
    Case(
        "a new block of attacks, for five sources and a reference",
        overlay(attacks={"more": MORE}, studies={FIRST: {"attacks": ["main", "more"]}}),
        {"attack_source": 6, "respond": 5, "compute_metrics": 5} | collected(FIRST) | RECORDED,
        adds=True,
    ),
    Case("a new family that nothing uses yet", new_family, RECORDED | REPORT),
    Case(
        "a source of a new family",
        new_source_of_new_family,
        one_network() | collected(FIRST) | RECORDED,
        adds=True,
    ),
    Case(
        "a hyper-parameter of one model",
        overlay(models={"mlp": {"learning_rate": 0.04}}),
        one_network() | collected(FIRST) | RECORDED,
        adds=True,
    ),
    Case(
        "resamples of the statistics",
        overlay(statistics={"bootstrap": 99}),
        correlated() | RECORDED,
    ),
    # Where the bytes come from is recorded, and decides nothing.
    Case(
        "order of the providers",
        overlay(data={"providers": ["registry", "local"]}),
        RECORDED | REPORT,
    ),
    Case("comments in the config", append("config.yaml", "configs/smoke.yaml"), {}),
    Case("order of the keys", other_key_order, {}),
    Case("label", overlay(label="other"), collected(*BOTH) | RECORDED, adds=True),
]


pytestmark = pytest.mark.usefixtures("left_finished")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_edit_re_runs_exactly(case: Case, smoke_run: Path) -> None:
    with restored(smoke_run):
        case.edit(smoke_run)
        plan = dry_run(smoke_run)
        assert plan.counts == case.expected, plan.reasons
        if case.adds:
            again = {path for path in plan.outputs if (smoke_run / path).exists()}
            assert {path for path in again if not path.startswith("results/smoke/")} == set()


def test_hyper_parameter_and_back(smoke_run: Path) -> None:
    """A sibling is trained beside the old source; going back and forth trains nothing again."""
    before = state(smoke_run)
    change = overlay(models={"mlp": {"learning_rate": 0.04}})
    made: list[Path] = []
    try:
        with restored(smoke_run):
            change(smoke_run)
            job = job_of(dry_run(smoke_run), "train_source")
            made = [smoke_run / path for path in job.output]
            done = snakemake(smoke_run, job.output[0], *SMOKE)
            assert done.returncode == 0, done.stdout
            assert "train_source" not in dry_run(smoke_run).counts
        after = state(smoke_run)
        assert {path: after[path] for path in before} == before
        new = {path for path in set(after) - set(before) if not Path(path).name.startswith(".")}
        assert new == set(job.output)  # and their seals
        assert dry_run(smoke_run).counts == {}
    finally:
        for path in made:
            path.unlink(missing_ok=True)
            sidecar(path).unlink(missing_ok=True)
