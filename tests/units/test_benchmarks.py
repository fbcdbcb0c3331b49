"""The benchmarks' arithmetic on made-up measurements, and their suites with the least work.

Nothing here is about speed: no assertion on a time that was taken.
"""

from __future__ import annotations

import json
import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import __main__ as command
from benchmarks import harness, networks, report
from benchmarks.harness import Measurement, Settings, interleaved, not_run, ratio_to_peers
from benchmarks.peers.attacks import PEERS, Case
from benchmarks.peers.trainers import (
    fast_loop,
    robust_training_loop,
    torchattacks_in_the_loop,
)
from support.workflow import ROOT, run

QUICK = Settings(repeats=1, threads=1, quick=True)


def made_up() -> list[Measurement]:
    """Ours does 100 images in 2 s; one peer 100 in 4 s, the other only 5 in 1 s."""
    return [
        Measurement("case", "ours", [2.0, 9.0, 1.0], 100, "images", ours=True, target=1.9),
        Measurement("case", "slow", [1.0, 1.0, 1.0], 5, "images", note="rate from 5 images"),
        Measurement("case", "fast", [4.0, 4.0, 4.0], 100, "images", facts={"mean_loss": 2.5}),
        Measurement("alone", "ours", [0.5], 1, ours=True),
    ]


def test_contenders_take_turns_after_one_untimed_round():
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = interleaved(contenders, 2)
    assert calls == ["a", "b"] * 3
    assert [len(times) for times in seconds.values()] == [2, 2]
    calls.clear()
    interleaved(contenders, 2, warm_up=False)
    assert calls == ["a", "b"] * 2


def test_the_fastest_peer_is_the_one_with_the_highest_rate_whatever_its_work():
    measurements = made_up()
    # 50 images a second against 25; the peer with 5 images was done sooner but is slower.
    assert ratio_to_peers(measurements[0], measurements) == pytest.approx(2.0)
    assert ratio_to_peers(measurements[3], measurements) is None


def test_a_peer_without_a_time_is_no_peer():
    ours = Measurement("case", "ours", [1.0], ours=True)
    assert ratio_to_peers(ours, [ours, not_run("case", "not installed")]) is None


def test_what_was_not_run_has_no_time_but_a_row_that_says_why(tmp_path: Path):
    row = not_run("gpu", "no GPU here")
    assert math.isnan(row.median)
    report.write_csv(tmp_path / "gpu.csv", report.tidy([row]), report.COLUMNS)
    report.write_table(tmp_path)
    (line,) = [k for k in (tmp_path / "table.md").read_text().splitlines() if "no GPU" in k]
    assert "not run" in line and "nan" not in line
    assert not report.plot(tmp_path)


def test_rows_hold_median_range_rate_and_ratio():
    ours, slow, fast, alone = report.tidy(made_up())
    assert (ours["median_s"], ours["min_s"], ours["max_s"], ours["repeats"]) == (2, 1, 9, 3)
    assert (ours["rate"], ours["ratio_to_fastest_peer"]) == (50, 2)
    assert slow["ratio_to_fastest_peer"] == "" and slow["note"] == "rate from 5 images"
    assert json.loads(fast["facts"]) == {"mean_loss": 2.5}
    assert alone["ratio_to_fastest_peer"] == ""


def test_the_table_is_assembled_from_all_suites_there(tmp_path: Path):
    missed = Measurement("missed", "ours", [1.0], ours=True, target=3.0)
    peer = Measurement("missed", "peer", [2.0])
    report.write_csv(tmp_path / "study.csv", report.tidy([missed, peer]), report.COLUMNS)
    report.write_csv(tmp_path / "attacks.csv", report.tidy(made_up()), report.COLUMNS)
    report.write_table(tmp_path)
    table = (tmp_path / "table.md").read_text()
    assert table.index("## Attacks") < table.index("## Study")
    assert "| case | ours | 2 (1 - 9) | 50 images | **2.00** | 1.9 |" in table
    assert "| missed | ours | 1 (1 - 1) | 1 run | 2.00 | 3 |" in table  # target missed: not bold


@pytest.mark.parametrize(
    ("value", "text"),
    [("", ""), (0, "0"), (1234.5, "1,234"), (12.345, "12.3"), (0.5, "0.5"), (1e-7, "1e-07")],
)
def test_numbers_have_three_digits(value: float | str, text: str):
    assert report.number(value) == text


def test_the_plot_names_every_case_with_peers_as_text(tmp_path: Path):
    report.write_csv(tmp_path / "attacks.csv", report.tidy(made_up()), report.COLUMNS)
    assert report.plot(tmp_path)
    first = (tmp_path / "speed.svg").read_bytes()
    words = {"".join(e.itertext()).strip() for e in ET.fromstring(first).iter() if e.text}
    assert "case" in words and "alone" not in words
    report.plot(tmp_path)
    assert (tmp_path / "speed.svg").read_bytes() == first


def test_help_names_the_suites_without_importing_torch():
    done = run([sys.executable, "-X", "importtime", "-m", "benchmarks", "--help"], ROOT)
    assert done.returncode == 0, done.stdout
    assert "adversarial_training" in done.stdout
    assert "| torch\n" not in done.stdout and "numpy" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "there are machine, attacks"),
        (["--repeats", "0"], "--repeats"),
        (["machine", "--quick", "--results", str(harness.RESULTS)], "does not write"),
    ],
)
def test_mistakes_are_told_in_one_line(words: list[str], message: str):
    from workflow_scripts.advtransfer.errors import UserError

    with pytest.raises(UserError, match=message):
        command.main(command.parser().parse_args(words))


def test_quick_runs_and_leaves_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    threads = torch.get_num_threads()
    words = ["machine", "metrics", "precision", "--quick", "--threads", "1"]
    try:
        command.main(command.parser().parse_args([*words, "--results", str(tmp_path)]))
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    files = {path.name for path in tmp_path.iterdir()}
    timed = {"machine.csv", "metrics.csv", "precision.csv"}
    assert files == timed | {"table.md", "speed.svg", "machine.json"}
    said = capsys.readouterr().out
    assert "x fastest peer" in said and "alpha_1_largest_difference" in said
    rows = report.read_csv(tmp_path / "metrics.csv")
    # From the same start our fp32 gives the alpha of the image-by-image protocol; on the untrained
    # network of --quick a gradient near zero that rounds to the other sign moves one image by 2 %.
    for row in rows:
        if row["contender"] == "ours, fp32":
            assert json.loads(row["facts"])["alpha_1_largest_difference"] < 0.1
    machine = json.loads((tmp_path / "machine.json").read_text())
    assert machine["suites"]["metrics"] == {"device": "cpu", "repeats": 1, "threads": 1}
    assert machine["versions"]["torch"] == torch.__version__.partition("+")[0]


def tiny_network() -> nn.Module:
    """A smooth network without ties, in evaluation mode."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten()
    )
    return nn.Sequential(layers, nn.Linear(4 * 64, 10)).eval()


@pytest.mark.parametrize("peer", list(PEERS))
@pytest.mark.parametrize(
    "case",
    [
        Case("linf", 8 / 255, 4, 2 / 255),
        Case("l2", 0.25, 4, 0.1),
        Case("linf", 8 / 255, 1, 8 / 255),
    ],
    ids=["pgd-linf", "pgd-l2", "fgsm"],
)
def test_peers_are_asked_for_the_attack_that_ours_makes(peer: str, case: Case):
    from workflow_scripts.advtransfer.attacks.pgd import perturb
    from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe

    network = tiny_network()
    images = torch.rand(6, 3, 8, 8) * 0.4 + 0.3  # clipping to [0, 1] plays no part
    labels = torch.arange(6)
    recipe = AttackRecipe("pgd", case.norm, case.epsilon, case.steps, case.step_size)
    expected = perturb(network, images, labels, recipe, torch.Generator())
    found = PEERS[peer](network, images, labels, case) - images
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("loop", "steps"),
    [(torchattacks_in_the_loop, 3), (torchattacks_in_the_loop, 1), (robust_training_loop, 3)]
    + [(fast_loop, 1)],
)
def test_peers_trainers_learn(loop, steps: int):
    torch.manual_seed(0)
    model = tiny_network()
    labels = torch.arange(40) % 10
    images = (torch.rand(10, 3, 8, 8)[labels] + 0.02 * torch.randn(40, 3, 8, 8)).clamp(0, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def loss() -> float:
        model.eval()
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model(images), labels))

    before = loss()
    epsilon = 2 / 255
    batches = [(images, labels)] * 20
    loop(model, batches, optimizer, epsilon=epsilon, step_size=epsilon / 2, steps=steps)
    assert model.training
    assert loss() < 0.5 * before


def test_flops_of_a_gradient_are_counted_by_hand():
    from benchmarks.suites.attacks import input_gradient_flops, training_step_flops

    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 7))
    once = 2 * 3 * 32 * 32 * 7
    assert input_gradient_flops(network) == 2 * once  # forward and gradient in the data
    assert training_step_flops(network) == 2 * once  # forward and in the weights: pixels need none


def test_networks_are_trained_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(networks, "CACHE", tmp_path)
    recipe = networks._source(networks.LENET, networks._training(1, 0.05), images=40)
    monkeypatch.setitem(networks.RECIPES, "lenet", recipe)
    monkeypatch.setitem(networks.RECIPES, "resnet18_tuned", recipe)
    monkeypatch.setitem(networks.GOES_ON_FROM, "resnet18_tuned", "lenet")
    pixels = networks.cifar10("train", 40, QUICK)
    monkeypatch.setattr(networks, "cifar10", lambda *_: pixels)
    trained = Settings(threads=1)
    first = networks.network("lenet", trained)
    assert not first.training
    files = list(tmp_path.iterdir())
    again = networks.network("lenet", trained)
    assert list(tmp_path.iterdir()) == files
    torch.testing.assert_close(again.state_dict(), first.state_dict(), atol=0, rtol=0)
    other = networks.network("lenet", trained, seed=1)
    tuned = networks.network("resnet18_tuned", trained)
    assert not torch.equal(other.head.weight, first.head.weight)
    assert not torch.equal(tuned.head.weight, first.head.weight)
    assert len(list(tmp_path.iterdir())) == 3
