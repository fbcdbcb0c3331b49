"""What a step imports: nothing heavy for ``--help``, and only what it needs to do its work.

A workflow starts a process for every job, so an import that slips in costs every job its seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support.workflow import ROOT

STEPS = sorted(
    file.stem for file in (ROOT / "workflow_scripts").glob("*.py") if file.stem != "__init__"
)
NOT_FOR_NETWORKS = {"torchvision", "pandas", "seaborn", "sklearn", "matplotlib"}
HEAVY = NOT_FOR_NETWORKS | {"torch", "scipy", "h5py"}

# The step as `python -m` runs it, up to the end of its --help.
ASK_FOR_HELP = """
import json, runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_module("workflow_scripts." + sys.argv[0], run_name="__main__")
except SystemExit as end:
    print(json.dumps([end.code, sorted({name.split(".")[0] for name in sys.modules})]))
"""

# Every import statement of the step, those inside its functions included; then whatever modules a
# recipe can name, if the step works on a device.
IMPORT_ALL = """
import ast, importlib, json, sys
from pathlib import Path

network_steps = []
for step in json.loads(sys.argv[1]):
    if step == "train_detector":  # torchvision is what it is for
        continue
    module = importlib.import_module("workflow_scripts." + step)
    if "--device" in module.parser()._option_string_actions:
        network_steps.append(step)
        tree = ast.parse(Path(module.__file__).read_text())
        nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
        nodes = [n for n in nodes if getattr(n, "module", "") != "__future__"]
        code = compile(ast.Module(nodes, []), module.__file__, "exec")
        exec(code, {"__package__": "workflow_scripts", "__name__": module.__name__})
library = Path("workflow_scripts/advtransfer")
for folder in ("models/families", "attacks", "metrics", "training", "transfer"):
    for file in sorted((library / folder).glob("*.py")):
        importlib.import_module(".".join(file.with_suffix("").parts))
print(json.dumps([network_steps, sorted({name.split(".")[0] for name in sys.modules})]))
"""

PREPARE = """
import json, sys
from workflow_scripts.advtransfer.device import prepare

prepare("cpu", 1)
import torch
print(json.dumps([torch.are_deterministic_algorithms_enabled(), sorted(sys.modules)]))
"""


def answer(code: str, argument: str) -> list:
    """The JSON on the last line that a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, argument], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("step", STEPS)
def test_help_imports_nothing_heavy(step: str) -> None:
    code, modules = answer(ASK_FOR_HELP, step)
    assert code == 0
    assert "argparse" in modules
    assert HEAVY.isdisjoint(modules), f"{step} --help imports {sorted(HEAVY.intersection(modules))}"


def test_network_steps_import_no_tables_or_plots() -> None:
    network_steps, modules = answer(IMPORT_ALL, json.dumps(STEPS))
    assert {"train_source", "attack_source", "respond", "transfer_source"} <= set(network_steps)
    assert {"extract_features", "transfer_subsets", "measure_similarity"} <= set(network_steps)
    assert "torch" in modules  # the imports were made
    assert NOT_FOR_NETWORKS.isdisjoint(modules)


def test_preparing_a_device_leaves_the_compiler_alone() -> None:
    deterministic, modules = answer(PREPARE, "")
    assert deterministic
    assert "torch" in modules
    # Nearly two seconds of every job that trains nothing.
    assert {"torch._dynamo", "torch._inductor"}.isdisjoint(modules)
