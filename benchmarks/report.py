"""From measurements to files: a CSV a suite, then table.md and speed.svg from all CSVs there."""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .harness import Measurement, Settings, ratio_to_peers

SUITES = Path(__file__).parent / "suites"
# In the order that they are run and shown; a suite that is not named here comes last.
ORDER = (
    "machine",
    "attacks",
    "adversarial_training",
    "metrics",
    "study",
    "heads",
    "subsets",
    "influence",
    "data",
    "startup",
    "scaling",
    "gpu",
    "precision",
)
COLUMNS = (
    "case",
    "contender",
    "ours",
    "median_s",
    "min_s",
    "max_s",
    "repeats",
    "work",
    "unit",
    "rate",
    "ratio_to_fastest_peer",
    "target",
    "facts",
    "note",
)
PACKAGES = (
    "torch",
    "torchvision",
    "torchattacks",
    "foolbox",
    "adversarial-robustness-toolbox",
    "scikit-learn",
    "numpy",
    "scipy",
    "h5py",
)

Row = dict[str, Any]


def known_suites() -> list[str]:
    """Modules of benchmarks.suites, in the order to run them."""
    return _ordered({path.stem for path in SUITES.glob("*.py") if path.stem != "__init__"})


def _ordered(names: set[str]) -> list[str]:
    return [name for name in ORDER if name in names] + sorted(names - set(ORDER))


def results_of(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of every suite that has left a CSV with any, in the suites' order."""
    stems = {path.stem for path in folder.glob("*.csv")}
    found = {name: read_csv(folder / f"{name}.csv") for name in _ordered(stems)}
    return {name: rows for name, rows in found.items() if rows}


def tidy(measurements: list[Measurement]) -> list[Row]:
    """Rows in ``COLUMNS``; what a row has no value for is empty, facts are JSON."""
    rows = []
    for m in measurements:
        ratio = ratio_to_peers(m, measurements) if m.ours else None
        timed = bool(m.seconds)
        rows.append(
            {
                "case": m.case,
                "contender": m.contender,
                "ours": int(m.ours),
                "median_s": m.median if timed else "",
                "min_s": min(m.seconds) if timed else "",
                "max_s": max(m.seconds) if timed else "",
                "repeats": len(m.seconds),
                "work": m.work if timed else "",
                "unit": m.unit if timed else "",
                "rate": m.rate if timed else "",
                "ratio_to_fastest_peer": "" if ratio is None else ratio,
                "target": "" if m.target is None else m.target,
                "facts": json.dumps(m.facts, sort_keys=True) if m.facts else "",
                "note": m.note,
            }
        )
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Floats keep six significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows as text."""
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def number(text: str | float) -> str:
    """Three significant digits without an exponent where that is short; nothing for nothing."""
    if text == "":
        return ""
    value = float(text)
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 0.001 <= abs(value) < 1e7:
        digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        rounded = f"{value:,.{digits}f}"
        return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded
    return f"{value:.2g}"


def markdown(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A table of timed rows; a ratio that reached its target is bold."""
    lines = [
        "| case | contender | seconds (least - most) | per second | x fastest peer | target "
        "| facts | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    last = None
    for row in rows:
        seconds = rate = ""
        if row["rate"] != "":
            median, least, most = (number(row[c]) for c in ("median_s", "min_s", "max_s"))
            seconds = f"{median} ({least} - {most})"
            rate = f"{number(row['rate'])} {row['unit']}"
        facts = json.loads(row["facts"]) if row["facts"] else {}
        ratio, target = row["ratio_to_fastest_peer"], row["target"]
        if ratio != "":
            ratio = f"{float(ratio):.2f}"
            if target != "" and float(row["ratio_to_fastest_peer"]) >= float(target):
                ratio = f"**{ratio}**"
        cells = (
            "" if row["case"] == last else row["case"],
            row["contender"],
            seconds,
            rate,
            ratio,
            number(target),
            ", ".join(f"{name} {number(value)}" for name, value in facts.items()),
            row["note"],
        )
        last = row["case"]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines


def plain(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The same for a terminal: columns aligned, facts on lines of their own."""
    lines = []
    last = None
    for row in rows:
        if row["case"] != last:
            lines.append(row["case"])
            last = row["case"]
        rate = f"{number(row['rate'])} {row['unit']}/s" if row["rate"] != "" else ""
        ratio = row["ratio_to_fastest_peer"]
        against = f"{float(ratio):.2f} x fastest peer" if ratio != "" else ""
        if row["target"] != "":
            against += f" (target {number(row['target'])})"
        lines.append(f"  {row['contender']:<50} {rate:>20}  {against}".rstrip())
        facts = json.loads(row["facts"]) if row["facts"] else {}
        said = [*(f"{name} {number(value)}" for name, value in facts.items())]
        said += [row["note"]] if row["note"] else []
        if said:
            lines.append("      " + ", ".join(said))
    return lines


def is_timing(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows are timings, not a suite's own table."""
    return bool(rows) and set(rows[0]) == set(COLUMNS)


def write_table(folder: Path) -> None:
    """``table.md``: a section for every CSV there is, in the suites' order."""
    lines = [
        "# Measured",
        "",
        "Made by `make bench`; machine and versions: machine.json. Contenders of a case took turns",
        "in one run: trust ratios before rates. Rates are medians; a bold ratio reached its",
        "target.",
    ]
    for suite, rows in results_of(folder).items():
        lines += ["", f"## {suite.replace('_', ' ').capitalize()}", ""]
        if is_timing(rows):
            lines += markdown(rows)
        else:
            module = importlib.import_module(f"{__package__}.suites.{suite}")
            lines += module.section(rows)
    (folder / "table.md").write_text("\n".join(lines) + "\n")


def bars(results: Mapping[str, list[dict[str, str]]]) -> list[tuple[str, str, float, float]]:
    """Suite, label, ratio and target (nan: none) of every row of ours that the plot shows.

    These are a case's rows with a target, or else its first, that have peers.
    """
    shown = []
    for suite, rows in results.items():
        compared = [r for r in rows if is_timing(rows) and r["ratio_to_fastest_peer"]]
        for case in dict.fromkeys(row["case"] for row in compared):
            of_case = [row for row in compared if row["case"] == case]
            chosen = [row for row in of_case if row["target"]] or of_case[:1]
            for row in chosen:
                variant = row["contender"].removeprefix("ours").strip(", ")
                label = f"{case} ({variant})" if len(chosen) > 1 else case
                target = float(row["target"] or "nan")
                shown.append((suite, label, float(row["ratio_to_fastest_peer"]), target))
    return shown


def plot(folder: Path) -> bool:
    """``speed.svg``: how many times as fast as its fastest peer; False if nothing has peers."""
    shown = bars(results_of(folder))
    if not shown:
        return False
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="ticks", context="paper")
    # Text stays text and nothing depends on the day: a small file that git can compare.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "advtransfer"}
    suites, labels, ratios, targets = zip(*shown, strict=True)
    names = list(dict.fromkeys(suites))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    places = range(len(shown))
    figure, axes = plt.subplots(figsize=(7, 1 + 0.19 * len(shown)), layout="constrained")
    # Bars start at 1, the fastest peer: to the right is faster.
    widths = [ratio - 1 for ratio in ratios]
    axes.barh(places, widths, left=1, height=0.7, color=[colours[name] for name in suites])
    axes.scatter(targets, places, marker="|", s=70, color="black", linewidth=1.3, zorder=3)
    for place, ratio in enumerate(ratios):
        at_edge = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(1.09, place, number(ratio), fontsize="small", **at_edge)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlim(min(0.8, *ratios) / 1.1, max(*ratios, 2, *(t for t in targets if t == t)) * 1.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_yticks(places, labels)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("times as fast as the fastest peer (black mark: target)")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[name]) for name in names]
    figure.legend(
        handles,
        [name.replace("_", " ") for name in names],
        loc="outside upper center",
        ncols=4,
        frameon=False,
    )
    sns.despine(figure, left=True)
    figure.savefig(folder / "speed.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return True


def machine(settings: Settings) -> Row:
    """Hardware and versions; nothing that names the machine."""
    import os
    import platform

    import torch

    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    found: Row = {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "versions": versions,
    }
    return found


def _device(settings: Settings) -> str:
    import torch

    return torch.cuda.get_device_name() if settings.device.startswith("cuda") else "cpu"


def write_machine(folder: Path, suite: str, settings: Settings) -> None:
    """``machine.json``: this machine, and with which settings each suite was last run."""
    path = folder / "machine.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    suites = before.get("suites", {}) | {
        suite: {
            "threads": settings.threads,
            "repeats": settings.repeats,
            "device": _device(settings),
        }
    }
    path.write_text(
        json.dumps(machine(settings) | {"suites": suites}, indent=2, sort_keys=True) + "\n"
    )
