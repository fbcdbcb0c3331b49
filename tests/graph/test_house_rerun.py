"""What additions re-run on a finished run: what is new, and nothing that was there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.edits import LIBRARY, STUDIES, Edit, append, overlay
from support.plans import dry_run
from support.workflow import restored, step
from workflow_scripts.config.load import load, merge
from workflow_scripts.studies import folders

SMOKE_STUDIES = tuple(
    name for name, part in load("configs/smoke.yaml")["studies"].items() if part is not None
)
REPORTS = {"report", "report_all_studies"}


def parts(study: str, kind: str = "") -> set[str]:
    """Names of all rules of a study but its target."""
    kind = kind or load("configs/smoke.yaml")["studies"][study].get("kind", study)
    names = {f"{study}_{figure}" for figure in folders.figures(study, kind)}
    names |= {f"{study}_tables"}
    for part in ("analysis", "page"):
        if folders.find(study, kind, f"{part}.py"):
            names.add(f"{study}_{part}")
    return names


def every_part() -> set[str]:
    return set().union(*map(parts, SMOKE_STUDIES))


OF_NO_TABLE = {"detection_detections"}  # it shows what detectors found, no number


# Additions ----------------------------------------------------------------------------------------


def entry(name: str, like: str, **changes: object) -> Edit:
    """A second study of a known kind: one entry in the configuration."""

    def edit(folder: Path) -> None:
        own = load("configs/smoke.yaml", root=folder)["studies"][like]
        merge(own, {"kind": own.get("kind", like), **changes})
        overlay(studies={name: own})(folder)

    return edit


def folder_of_a_kind(name: str, like: str) -> Edit:
    """A new kind of study: a folder, which the schema then knows."""

    def edit(folder: Path) -> None:
        made = folder / STUDIES / name
        shutil.copytree(folder / STUDIES / like, made, ignore=shutil.ignore_patterns("__pycache__"))
        settings = made / "config.yaml"
        settings.write_text(settings.read_text().replace(f"  {like}:", f"  {name}:"))
        done = step(folder, "config.schema", "--output", "rules/schemas")
        assert done.returncode == 0, done.stdout
        own = load("configs/smoke.yaml", root=folder)["studies"][like]
        overlay(studies={name: own})(folder)

    return edit


def figure(study: str, like: str) -> Edit:
    """A new figure of a study: a module and its caption."""

    def edit(folder: Path) -> None:
        for suffix in ("py", "rst"):
            figures = folder / STUDIES / study / "figures"
            shutil.copy(figures / f"{like}.{suffix}", figures / f"another.{suffix}")

    return edit


def recipe_class(folder: Path) -> None:
    """A new recipe, in a module of its stage."""
    text = (folder / LIBRARY / "metrics/similarity_recipe.py").read_text()
    (folder / LIBRARY / "metrics/another_recipe.py").write_text(text)


def stage(folder: Path) -> None:
    """A new stage: its recipe, its step and its rules."""
    recipe_class(folder)
    steps = folder / "workflow_scripts"
    (steps / "measure_another.py").write_text((steps / "measure_similarity.py").read_text())
    rules = (folder / "rules/attacks.smk").read_text()
    rules = rules[rules.index("rule attack_source") : rules.index("def response_inputs")]
    rules = rules.replace("rule attack_source", "rule measure_another")
    rules = rules.replace("/attacks/", "/another/").replace("attack_source", "measure_another")
    (folder / "rules/another.smk").write_text(rules)
    with open(folder / "Snakefile", "a") as handle:
        handle.write('\n\ninclude: "rules/another.smk"\n')


@dataclass(frozen=True)
class Case:
    """An addition or an edit, and the rules of which jobs run again."""

    name: str
    edit: Edit
    expected: frozenset[str] | set[str]


FEWER = {"sources": {"mixtures": {"animals_25": None, "animals_75": None}}}
CASES = [
    Case(
        "a second study of a kind",
        entry("my_mixtures", "knowledge_to_adversarial", **FEWER),
        parts("my_mixtures", "knowledge_to_adversarial") | {"record_run"} | REPORTS,
    ),
    Case(
        "a new study folder",
        folder_of_a_kind("another", "granularity"),
        {name.replace("granularity", "another", 1) for name in parts("granularity")}
        | {"record_run"}
        | REPORTS,
    ),
    Case(
        "a new figure",
        figure("granularity", "resolutions"),
        {"granularity_another", "granularity_page", "report_all_studies"},
    ),
    Case(
        "a caption",
        append(f"{STUDIES}/granularity/figures/resolutions.rst"),
        {"granularity_page", "report_all_studies"},
    ),
    Case(
        "a page",
        append(f"{STUDIES}/granularity/page.py"),
        {"granularity_page", "report_all_studies"},
    ),
    Case(
        "how figures are drawn",
        append("workflow_scripts/draw_figure.py"),
        {name for name in every_part() if not name.endswith(("_tables", "_analysis"))} | REPORTS,
    ),
    Case("a new recipe class", recipe_class, set()),
    Case("a new stage", stage, set()),
    Case(
        "a column of one study's table",
        append(f"{STUDIES}/granularity/columns.py"),
        parts("granularity") | {"report_all_studies"},
    ),
    Case("plan.py", append(f"{STUDIES}/plan.py"), {"record_run"} | REPORTS),
    Case(
        "what a study is",
        append(f"{STUDIES}/detection/design.py"),
        parts("detection") - OF_NO_TABLE | {"record_run"} | REPORTS,
    ),
    Case(
        "a head's solver",
        append(f"{LIBRARY}/transfer/heads.py"),
        {"transfer_source", "transfer_subsets", "correlations"}
        | every_part() - parts("detection")
        | REPORTS,
    ),
    Case(
        "CSV writing",
        append(f"{LIBRARY}/artifacts/table_writer.py"),
        every_part() - OF_NO_TABLE | {"record_run", "correlations"} | REPORTS,
    ),
]


pytestmark = pytest.mark.usefixtures("left_finished")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_addition_re_runs_exactly(case: Case, smoke_run: Path) -> None:
    with restored(smoke_run):
        case.edit(smoke_run)
        plan = dry_run(smoke_run, "all", "all_studies")
    assert set(plan.counts) == case.expected, plan.reasons
