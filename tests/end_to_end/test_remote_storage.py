"""Results in an S3 bucket instead of a folder, as profiles/kubernetes has them.

The bucket is moto's, which speaks S3 over HTTP on this machine. There is no Kubernetes here: its
profile is planned (a dry run), and the jobs that a pod would run are run by this machine.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from support.workflow import BIN, PLAIN_PROFILE, SMOKE, copy_workflow, run, without_results

TABLES = "results/smoke/tables"
BUCKET = "advtransfer-test"
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "no_proxy": "127.0.0.1",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket=BUCKET)
    yield client
    server.stop()


@pytest.fixture
def workflow(bucket: object, smoke_run: Path, tmp_path: Path) -> Path:
    """Nothing computed, and what a user's own profile holds."""
    folder = without_results(smoke_run, tmp_path / "workflow")
    write_site(folder, bucket)
    return folder


def write_site(folder: Path, bucket: object) -> None:
    site = {
        "default-storage-prefix": f"s3://{BUCKET}",
        "storage-s3-endpoint-url": bucket.meta.endpoint_url,  # type: ignore[attr-defined]
        "storage-s3-access-key": "test",
        "storage-s3-secret-key": "test",
    }
    (folder / "profiles/site").mkdir()
    (folder / "profiles/site/config.yaml").write_text(yaml.safe_dump(site))


LOCALLY = ("--profile", "profiles/site", "--default-storage-provider", "s3")


def objects(bucket: object) -> set[str]:
    pages = bucket.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)  # type: ignore[attr-defined]
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def test_plan_on_kubernetes(workflow: Path) -> None:
    profile = ("--workflow-profile", "profiles/kubernetes", "--profile", "profiles/site")
    targets = ("adversarial_to_knowledge_tables", "record_run")
    planned = run([BIN / "snakemake", *targets, "-n", *profile, *SMOKE], workflow)
    assert planned.returncode == 0, planned.stdout
    for rule in ("fetch dataset", "train source", "adversarial to knowledge tables", "record run"):
        assert rule in planned.stdout or rule.replace(" ", "_") in planned.stdout


def test_steps_are_told_where_their_files_are(bucket: object, tmp_path: Path) -> None:
    """No option is a file's name in the bucket: a job has the files in a folder of their own."""
    copy_workflow(tmp_path)
    write_site(tmp_path, bucket)
    overlay = {
        "trainings": {"natural": {"checkpoint": "best_on_test"}},
        "studies": {
            "detection": {
                "sources": {"seeds": [[0]]},
                "tasks": {"instance_segmentation": None},
            }
        },
    }
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    options = (*LOCALLY, "--workflow-profile", PLAIN_PROFILE, "--configfile", "overlay.yaml")
    planned = run([BIN / "snakemake", "detection", "-n", "-p", *options], tmp_path)
    assert planned.returncode == 0, planned.stdout
    for step, option in (("train_source", "--test-view"), ("make_detection_data", "--datasets")):
        start = f"Shell command: python -m workflow_scripts.{step} "
        commands = [line for line in planned.stdout.splitlines() if line.startswith(start)]
        assert commands and any(f" {option} " in line for line in commands), step
        for line in commands:
            words = shlex.split(line.partition(" 2> ")[0])
            assert not [word for word in words if word.startswith("results/")], line


def test_view_in_a_bucket(workflow: Path, bucket: object, smoke_run: Path) -> None:
    """The file in the bucket is the one of a local run, and this folder keeps none."""
    view = sorted((smoke_run / "results/data/views").glob("*.h5"))[0].relative_to(smoke_run)
    for old in (workflow / "results/data/views").glob("*.h5"):
        old.unlink()
    done = run([BIN / "snakemake", view, *LOCALLY, *SMOKE], workflow)
    assert done.returncode == 0, done.stdout
    assert str(view) in objects(bucket)
    assert not (workflow / view).exists()


@pytest.mark.long
def test_study_in_a_bucket(workflow: Path, bucket: object, smoke_run: Path) -> None:
    """In two runs with nothing kept between them, as pods keep nothing."""
    table = f"{TABLES}/adversarial_to_knowledge.csv"
    figure = "results/smoke/figures/adversarial_to_knowledge/transfer_scatter.svg"
    for target in (table, figure):
        done = run([BIN / "snakemake", target, *LOCALLY, *SMOKE], workflow)
        assert done.returncode == 0, done.stdout
        found = bucket.get_object(Bucket=BUCKET, Key=target)["Body"].read()  # type: ignore[attr-defined]
        assert found == (smoke_run / target).read_bytes()
        shutil.rmtree(workflow / ".snakemake/storage", ignore_errors=True)
