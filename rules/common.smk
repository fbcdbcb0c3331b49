# Validation of the config, recipes by address, code as input, paths that several stages name.

import json
import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

# The working directory's own code, whatever is installed: it is what `code_of` lists as input.
sys.path.insert(0, os.getcwd())

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from workflow_scripts.advtransfer import addresses
from workflow_scripts.advtransfer import failures
from workflow_scripts.advtransfer import large_files
from workflow_scripts.advtransfer import runs
from workflow_scripts.advtransfer import stopping
from workflow_scripts.advtransfer.closure import recipe_modules, step_code
from workflow_scripts.advtransfer.data.classes import check_classes
from workflow_scripts.advtransfer.data.comparison_recipe import ComparisonRecipe
from workflow_scripts.advtransfer.data.known import class_names
from workflow_scripts.advtransfer.data.recipe import REFUSE
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.detection import paths as detection_paths
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.home import expanded
from workflow_scripts.advtransfer.seals import artefact_at
from workflow_scripts.advtransfer.training.recipe import SourceRecipe
from workflow_scripts.advtransfer.transfer.compared import compared
from workflow_scripts.advtransfer.transfer.subsets_recipe import cached_features
from workflow_scripts.config.load import check_files, study_files
from workflow_scripts.studies import folders
from workflow_scripts.studies import plan as plans
from workflow_scripts.studies.sizes import check_size

min_version("9.0")

# Steps run under the Python that runs Snakemake, and are modules of the working directory, which
# PYTHONSAFEPATH would leave out.
shell.prefix(
    f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; '
    "unset PYTHONSAFEPATH; "
)


def guarded(function, *arguments):
    """Call a function; a user's mistake ends in one message of Snakemake's, without a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


large_files.compare_by_seal()
if workflow.is_main_process:  # not the Snakemake of a job
    guarded(check_files, [*study_files(Path()), "config.yaml", *workflow.configfiles])
    runs.name_jobs()
    stopping.leave_tidily()
PLAN = guarded(plans.make_plan, config, class_names)
guarded(check_classes, [r for r in PLAN.recipes.values() if isinstance(r, ViewRecipe)])
for study in PLAN.studies.values():
    guarded(check_classes, study.class_views())
AS_GIVEN = config  # laid over config.yaml it is itself again: what was removed is null
config = PLAN.config  # without the entries that an overlay removed
OUTPUT = "/".join(filter(None, (addresses.RESULTS, config["label"])))
TABLES = f"{OUTPUT}/tables"
FIGURES = f"{OUTPUT}/figures"
REPORT = f"{OUTPUT}/report.html"
REPORT_ALL = f"{OUTPUT}/report_all_studies.html"
INDEX = f"{OUTPUT}/index.csv"
LOGS = f"{addresses.RESULTS}/logs"
RUN_LOGS = f"{OUTPUT}/logs"  # of what is made anew under every label
# A GPU that is there is used; steps that use one then share it as the profile's resources say.
GPU_HERE = Path("/dev/nvidia0").exists() and shutil.which("nvidia-smi") is not None


wildcard_constraints:
    seed=r"\d+",
    seeds=r"\d+(-\d+)*",
    dataset=r"[^/]+",
    view=r"[^/]+",
    comparison=r"[^/]+",
    source=r"[^/]+",
    transfer=r"[^/]+",
    block=r"[^/]+",
    pairing=r"[^/]+",
    metrics=r"[^/]+",
    features=r"[^/]+",
    subsets=r"[^/]+",
    similarity=r"[^/]+",
    granularity=r"[^/]+",
    evaluation=r"[^/]+",
    detection=r"[^/]+",
    detector=r"[^/]+",


def code_of(step, *addresses):
    """Input: the step and all it imports, plus the modules named by the recipes at wildcards."""

    def files(wildcards):
        recipes = [guarded(PLAN.get, wildcards[key]) for key in addresses]
        modules = [file for recipe in recipes for file in recipe_modules(recipe)]
        return beside(step_code(step, modules))

    return files if addresses else beside(step_code(step))


def beside(files):
    """Files of the workflow: here, also when results are in remote storage."""
    return [local(str(file)) for file in files]


def recipe_of(key):
    """Param: canonical JSON of the recipe whose address is the wildcard ``key``."""
    return lambda wildcards: guarded(PLAN.json, wildcards[key])


def one_gpu(wildcards):
    """Resource: a GPU if this machine has one; of a cluster always (0 by --set-resources)."""
    return int(GPU_HERE or workflow.non_local_exec)


def growing_memory(base_mb):
    """Resource: megabytes, for what a step loads and twice its files; more at every retry."""
    return lambda wildcards, input, attempt: int(base_mb + 2 * input.size_mb) * attempt


def growing_time(minutes):
    """Resource: minutes at most; more at every retry. Only training (of sources, of detectors) goes on
    where it stopped; every other step starts over, so that one try has to do for all of it.
    """
    return lambda wildcards, attempt: minutes * attempt


def root_of(wildcards, input):
    """Param: the folder that holds results/ for a job: files in remote storage are kept below
    another one while a job has them."""
    return str(input[0]).removesuffix(artefact_at(input[0])) or "."


def given(wildcards, input, option):
    """An option of a step, if the job has the input."""
    key = option.strip("-").replace("-", "_")
    return f"{option} {shlex.quote(str(input[key]))}" if key in input.keys() else ""


def view_and_dataset(view):
    """A view's file and its dataset's."""
    return {
        "view": addresses.view_path(view),
        "dataset": addresses.dataset_path(view.dataset),
    }


def seeds_of(block):
    """A block of seeds, `0-1-2` in a path, as a step wants it."""
    return block.split("-")


def checkpoint_paths(source, seeds):
    return [addresses.source_path(source, seed, "model.safetensors") for seed in seeds]


def checkpoints(wildcards):
    """Input: the weights of a block of a source's seeds, if it takes the job's images."""
    network = guarded(PLAN.get, wildcards.source)
    for recipe in (PLAN.recipes[name] for name in wildcards if name in PLAN.recipes):
        if recipe is not network:
            guarded(check_size, network, recipe, PLAN.studies.values())
    return checkpoint_paths(network, seeds_of(wildcards.seeds))


def pair_of_attacks(source, seeds, pairing):
    """Perturbations of both sides of a pairing."""
    block = pairing.attacks
    reference, reference_seeds = pairing.reference, pairing.reference_seeds
    return {
        "source_attacks": addresses.block_path("attacks", source, seeds, block, "h5"),
        "reference_attacks": addresses.block_path(
            "attacks", reference, reference_seeds, block, "h5"
        ),
    }
