"""What the figures and study pages share: recipe, tables, names, marks, style, saving.

A figure reads tables and draws; it computes no science. Heavy imports stay inside the functions,
so that a step can import this module and still answer ``--help`` at once.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifacts.sealed import csv_bytes
from .epsilon import format_epsilon
from .errors import UserError
from .seals import damaged

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOURCE_COLUMNS = (
    "study",
    "source",
    "source_model",
    "source_family",
    "source_training",
    "robust",
    "mixture",
    "animals",
)
ATTACK_COLUMNS = ("attack", "norm", "epsilon")
STUDY_COLUMNS = (
    *SOURCE_COLUMNS,
    *ATTACK_COLUMNS,
    "source_seed",
    "reference_seed",
    "target",
    "shared_classes",
    "reference",
    "direction",
    "metric",
    "value",
    "n_images",
    "last_layer_accuracy",
    "full_network_accuracy",
)
CORRELATION_COLUMNS = (
    "study",
    "target",
    "reference",
    "sources",
    "metric",
    "direction",
    *ATTACK_COLUMNS,
    "transfer",
    "statistic",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "n_models",
    "n_rows",
    "role",
)
# Tables of the study of data efficiency: columns that its figures need.
TRANSFER_COLUMNS = (
    *("study", "source_model", "source_training", "source_seed", "target", "grid", "blocks"),
    *("images", "subset_seed", "accuracy"),
)
EPOCH_COLUMNS = (
    *("study", "source_training", "source_seed", "target", "grid", "blocks", "images"),
    *("subset_seed", "epoch", "test_accuracy"),
)
DIFFERENCE_COLUMNS = (
    *("study", "target", "comparison", "model", "grid", "baseline_grid", "training"),
    *("baseline_training", "blocks", "baseline_blocks", "images", "epoch", "last", "quantity"),
    *("value", "ci_low", "ci_high"),
)
ROBUSTNESS_COLUMNS = (*TRANSFER_COLUMNS, *ATTACK_COLUMNS, "n_images")
COST_COLUMNS = (
    *("study", "source_model", "source_training", "source_seed", *ATTACK_COLUMNS),
    *("accuracy", "passes", "seconds"),
)
SIMILARITY_COLUMNS = (
    *("study", "source_model", "source_training", "source_seed", "target", "measure", "value"),
)
# Read as text whatever they look like: a mixture may be called 25, a model 1e5.
TEXT_COLUMNS = (
    *("study", "source", "source_model", "source_family", "source_training", "mixture"),
    *("target", "reference", "attack", "norm", "direction", "metric", "mode"),
    *("sources", "transfer", "statistic", "role"),
    *("grid", "baseline_grid", "solver", "blocks", "baseline_blocks", "measure", "comparison"),
    *("model", "training", "baseline_training", "quantity"),
)

DIRECTIONS = ("source_to_reference", "reference_to_source")
MAIN_METRICS = ("alpha_1_mean", "alpha_2", "combined_squared")

METRIC_LABELS = {
    "alpha_1_mean": "α₁",
    "alpha_1_median": "α₁ (median)",
    "alpha_1_ratio_of_means": "α₁ (ratio of means)",
    "alpha_1_share_above_1": "share of images with α₁ > 1",
    "alpha_1_zero_denominators": "images without a defined α₁",
    "alpha_2": "α₂",
    "alpha_2_squared": "α₂ (squared form)",
    "alpha_2_squared_unbiased": "α₂ (squared form, unbiased)",
    "combined": "α₁∘α₂",
    "combined_squared": "α₁∘α₂ (squared form)",
    "combined_squared_unbiased": "α₁∘α₂ (squared form, unbiased)",
    "tau_1": "τ₁",
    "tau_2": "τ₂",
    "transfer_success_rate": "transfer success rate",
    "transferred_loss": "loss on transferred perturbations",
}
MODEL_LABELS = {
    "fcnet": "Fully connected",
    "fully_connected": "Fully connected",
    "mlp": "MLP",
    "lenet": "LeNet",
    "lenet5": "LeNet-5",
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "resnet": "ResNet",
    "mobilenet": "MobileNet",
    "densenet": "DenseNet",
    "convmixer": "ConvMixer",
    "efficientnet": "EfficientNet",
    "convnext": "ConvNeXt",
    "vit": "ViT",
}
TARGET_LABELS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "stl10": "STL-10",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "svhn": "SVHN",
}
TRAINING_LABELS = {
    "natural": "natural",
    "natural_equal_cost": "natural, longer",
    "robust_l2_eighth": "robust ℓ₂, eighth",
    "robust_l2_quarter": "robust ℓ₂, quarter",
    "robust_l2": "robust ℓ₂",
    "robust_l2_one": "robust ℓ₂, one",
    "robust_linf_half": "robust ℓ∞, half",
    "robust_linf": "robust ℓ∞",
    "fast_linf": "fast robust ℓ∞",
    "free_linf": "free robust ℓ∞",
    "untrained": "untrained",
}
DIRECTION_LABELS = {
    "source_to_reference": "source → reference",
    "reference_to_source": "reference → source",
}
TRANSFER_LABELS = {
    "last_layer_accuracy": "last-layer transfer accuracy",
    "full_network_accuracy": "full-network transfer accuracy",
}
NORM_LABELS = {"linf": "ℓ∞", "l2": "ℓ₂"}
STATISTIC_LABELS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "partial_pearson": "partial r given source accuracy",
}

# Okabe and Ito's colours, told apart with every common colour blindness; one per model family.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 2.4, "markeredgewidth": 0}
INK = "#333333"
FAINT = "#8c8c8c"
# Colour and marker of a training where sources differ by it alone: natural ones are blue, l2 ones
# orange, linf ones green; the lighter, the weaker (or, if natural, the longer).
TRAINING_LOOKS = {
    "natural": ("#0072B2", "o"),
    "natural_equal_cost": ("#56B4E9", "P"),
    "robust_l2_quarter": ("#E69F00", "D"),
    "robust_l2": ("#D55E00", "s"),
    "robust_linf_half": ("#5DBE9A", "v"),
    "robust_linf": ("#007A55", "^"),
    "fast_linf": ("#CC79A7", "<"),
    "free_linf": ("#882255", ">"),
    "untrained": (FAINT, "d"),
}
# Trainings not named above, in the order of their names.
OTHER_LOOKS = (("#999933", "h"), ("#6A51A3", "X"), ("#000000", "p"), ("#A6761D", "*"))
UNTRAINED = "untrained"
# How sure a difference is, by its 95 % interval: the marker's face and size.
CERTAINTIES: dict[str, dict[str, Any]] = {
    "interval excludes 0": {"markersize": 4.5},
    "interval includes 0": {"markersize": 4.5, "markerfacecolor": "white"},
    "no interval": {"markersize": 2.5},
}
WIDTH = 7.2  # inches: two columns of a paper


@dataclass(frozen=True)
class FigureRecipe:
    """What a figure or page shows. Each step says which fields it reads; the rest may be absent."""

    study: str
    target: str | None = None
    reference: str | None = None
    attack: str | None = None
    norm: str | None = None
    epsilon: float | None = None
    metric: str | None = None
    direction: str | None = None
    transfer: str = "last_layer_accuracy"
    mode: str = "full_network"  # of the learning curves
    metrics: tuple[str, ...] = MAIN_METRICS
    targets: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    mixtures: dict[str, list[str]] = field(default_factory=dict)  # name: classes
    baseline: str = "natural"  # training that others are compared with
    robust: str = "robust_l2"  # the main adversarial training
    trainings: tuple[str, ...] = ()  # in the order to draw; none: those of the table
    model: str | None = None  # architecture of the sources; None: the table's first
    grids: dict[str, list[str]] = field(default_factory=dict)  # role in a figure: grids
    bootstrap: int = 1000  # resamples behind the regression band
    facts: dict[str, Any] = field(default_factory=dict)  # pages: settings to print, label: value

    def attacked(self) -> dict[str, Any]:
        """The fields that choose one attack, as conditions of ``select``."""
        return {"attack": self.attack, "norm": self.norm, "epsilon": self.epsilon}


# Tables -----------------------------------------------------------------------------------------


def read_table(
    path: str | Path, columns: Iterable[str], *, may_be_empty: bool = False
) -> pd.DataFrame:
    """A tidy table that must have ``columns`` and, unless it may be empty, a row.

    Raises:
        UserError: no such file, another than belongs there, no rows, or a column is missing.
    """
    import pandas as pd

    columns = list(columns)
    if not Path(path).is_file():
        raise UserError(f"{path}: no such table.")
    content = io.BytesIO(csv_bytes(path))
    try:
        frame = pd.read_csv(
            content,
            dtype=dict.fromkeys(TEXT_COLUMNS, "object"),
            keep_default_na=False,
            na_values=[""],
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        what = f"not a table with column '{columns[0]}' ({error})"
        raise damaged(path, what) from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(
            f"{path}: no column '{missing[0]}'; the table has {', '.join(map(str, frame.columns))}."
        )
    if frame.empty and not may_be_empty:
        raise UserError(f"{path}: the table has no rows, nothing in column '{columns[0]}'.")
    frame.attrs["path"] = str(path)
    return frame


def select(frame: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """Rows where every column has its value; a condition that is None is no condition.

    Raises:
        UserError: nothing is left; names the file, the column and the values there are.
    """
    for column, wanted in conditions.items():
        chosen = those(frame, **{column: wanted})
        if chosen.empty:
            there = ", ".join(str(value) for value in frame[column].dropna().unique()[:20])
            path = frame.attrs.get("path", "the table")
            raise UserError(
                f"{path}: no row left with {column} = {wanted}; column '{column}' has: {there}."
            )
        frame = chosen
    return frame


def those(frame: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """As `select`, but perhaps none: for parts that a study need not have."""
    import numpy as np

    for column, wanted in conditions.items():
        if wanted is None:
            continue
        if isinstance(wanted, float):
            chosen = np.isclose(frame[column].astype(float), wanted, rtol=1e-6, atol=1e-9)
        elif isinstance(wanted, (tuple, list)):
            chosen = frame[column].isin(list(wanted))
        else:
            chosen = frame[column] == wanted
        frame = frame[chosen]
    return frame


def read_efficiency(
    path: str | Path, columns: Iterable[str], recipe: FigureRecipe, model: str = "source_model"
) -> pd.DataFrame:
    """The study's rows of one architecture; perhaps none, for a part that was not asked for.

    Raises:
        UserError: as `read_table` and `select`.
    """
    frame = read_table(path, columns, may_be_empty=True)
    if frame.empty:
        return frame
    frame = select(frame, study=recipe.study)
    if model in frame:
        frame = those(frame, **{model: recipe.model or frame[model].iloc[0]})
    return frame


def of_grid(
    frame: pd.DataFrame, recipe: FigureRecipe, role: str, *, blocks: str | None = None
) -> pd.DataFrame:
    """Rows of the part of the grid that plays ``role``; none if no part does.

    ``blocks``: of several numbers of unfrozen blocks keep the "fewest", or for each number of
    images the "most" short of all.
    """
    rows = those(frame, grid=recipe.grids.get(role, []))
    numbers = sorted(rows["blocks"].dropna().unique(), key=block_order)
    if blocks == "most" and any(number.isdigit() for number in numbers):
        counted = rows[rows["blocks"].str.isdigit()]
        order = counted["blocks"].map(block_order)
        return counted[order == order.groupby(counted["images"]).transform("max")]
    return those(rows, blocks=numbers[0]) if blocks and numbers else rows


def robust_minus_baseline(differences: pd.DataFrame, recipe: FigureRecipe) -> pd.DataFrame:
    """Differences in accuracy between the study's main robust training and its baseline."""
    return those(
        differences,
        comparison="training",
        training=recipe.robust,
        baseline_training=recipe.baseline,
        quantity="accuracy",
    )


def correlation(frame: pd.DataFrame, **conditions: Any) -> pd.Series:
    """The one row of a correlation table that meets ``conditions``.

    Raises:
        UserError: no row does, or several do.
    """
    rows = select(frame, **conditions)
    if len(rows) > 1:
        free = [c for c in CORRELATION_COLUMNS if c not in conditions and rows[c].nunique() > 1]
        raise UserError(
            f"{frame.attrs.get('path', 'the table')}: {len(rows)} rows where one is expected; "
            f"they differ in column '{(free or ['study'])[0]}'."
        )
    return rows.iloc[0]


def mean_and_range(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Mean, smallest and largest value of ``column`` in each group, in the order of first rows."""
    kept = frame.dropna(subset=[column])
    groups = kept.groupby(list(by), sort=False, dropna=False)[column]
    return groups.agg(mean="mean", low="min", high="max").reset_index()


def per_source(frame: pd.DataFrame, transfer: str) -> pd.DataFrame:
    """One row per source: mean and range over seeds of the metric (x) and of ``transfer`` (y)."""
    frame = frame.dropna(subset=["value", transfer])
    if frame.empty:
        raise UserError(
            f"{frame.attrs.get('path', 'the table')}: column 'value' or '{transfer}' is empty in "
            "every row that the figure shows."
        )
    x = mean_and_range(frame, SOURCE_COLUMNS, "value")
    y = mean_and_range(frame, SOURCE_COLUMNS, transfer)
    columns = {name: "y" if name == "mean" else f"y_{name}" for name in ("mean", "low", "high")}
    points = x.rename(columns={"mean": "x", "low": "x_low", "high": "x_high"})
    return points.join(y[["mean", "low", "high"]].rename(columns=columns))


# Names ------------------------------------------------------------------------------------------


def metric_label(name: str) -> str:
    """Display name of a metric; its own name where there is none."""
    return METRIC_LABELS.get(name, name)


def model_label(name: str) -> str:
    """Display name of an architecture: ``resnet18`` is ResNet-18; others keep their own name."""
    if name in MODEL_LABELS:
        return MODEL_LABELS[name]
    stem = name.rstrip("0123456789")
    if stem in MODEL_LABELS and stem != name:
        return f"{MODEL_LABELS[stem]}-{name[len(stem) :]}"
    return name.replace("_", " ")


def training_label(name: str) -> str:
    """Display name of a training."""
    return TRAINING_LABELS.get(name, name.replace("_", " "))


def blocks_label(blocks: str) -> str:
    """How much of a network was trained on the target."""
    names = {"0": "head only", "1": "1 block", "all": "whole network"}
    return names.get(blocks, f"{blocks} blocks")


def direction_label(name: str) -> str:
    """``source → reference`` or the other way round."""
    return DIRECTION_LABELS.get(name, name)


def transfer_label(name: str) -> str:
    """Display name of a measure of knowledge transfer."""
    return TRANSFER_LABELS.get(name, name.replace("_", " "))


def epsilon_label(epsilon: float, norm: str) -> str:
    """Grey levels for l-infinity (the value may come from a table of ten digits), else decimals."""
    return format_epsilon(round(epsilon * 255, 5) / 255) if norm == "linf" else f"{epsilon:g}"


def attack_label(attack: str, norm: str, epsilon: float | None = None) -> str:
    """``PGD, ℓ∞``, with the strength if one is given."""
    if attack == "none":
        return "clean"
    text = f"{attack.upper()} {NORM_LABELS.get(norm, norm)}"
    return text if epsilon is None else f"{text}, ε = {epsilon_label(epsilon, norm)}"


def number(value: float, digits: int = 2) -> str:
    """Fixed decimals with a real minus sign; a dash where there is no value."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no "−0.00"


def interval(row: Mapping[str, Any] | pd.Series) -> str:
    """``0.83 [0.41, 0.97]`` of a row of the correlation table; says so where there is none."""
    if math.isnan(row["value"]):
        return "undefined"
    if math.isnan(row["ci_low"]) or math.isnan(row["ci_high"]):
        return f"{number(row['value'])} (no interval)"
    return f"{number(row['value'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def target_label(name: str) -> str:
    """Display name of a target."""
    return TARGET_LABELS.get(name, name.replace("_", " "))


def target_title(name: str, classes: Sequence[str], width: int = 90) -> str:
    """A target by its name and by what it truly holds."""
    text = f"Target {target_label(name)}"
    names = ", ".join(classes).replace("$", r"\$")  # two of them would make mathematics
    return textwrap.fill(f"{text}: {names}" if classes else text, width)


def settings_line(recipe: FigureRecipe, *, attack: bool = True, target: bool = True) -> str:
    """The conditions of a figure, to print under its title."""
    parts = []
    if attack and recipe.attack:
        parts.append(attack_label(recipe.attack, recipe.norm or "", recipe.epsilon))
    if target and recipe.target:
        parts.append(f"target {target_label(recipe.target)}")
    if recipe.reference:
        parts.append(f"reference {model_label(recipe.reference)}")
    return "; ".join(parts)


# Marks ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """How one source looks in every figure of its study."""

    label: str
    colour: str
    marker: str
    training: str
    robust: bool

    @property
    def face(self) -> str:
        """Robust sources are hollow."""
        return "white" if self.robust else self.colour

    @property
    def shape(self) -> dict[str, Any]:
        """Its marker; hollow ones are larger, so that a dot has room."""
        size = 7.5 if self.robust else 6.5
        face = {"markerfacecolor": self.face, "markeredgewidth": 1.1}
        return {"marker": self.marker, "markersize": size, **face}

    @property
    def dotted(self) -> bool:
        """A dot tells l2-robust sources from linf-robust ones."""
        return self.robust and self.training == "robust_l2"

    @property
    def line(self) -> str:
        """Style of its curve."""
        return ":" if self.dotted else "--" if self.robust else "-"

    def handle(self) -> Any:
        """Its legend entry."""
        from matplotlib.lines import Line2D

        style: dict[str, Any] = {"linestyle": "none", "color": self.colour}
        outer = Line2D([], [], **self.shape, **style)
        return (outer, Line2D([], [], **DOT, color=self.colour)) if self.dotted else outer


def family_looks(models: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of every model of ``models`` (model: family), hues in the order given.

    A hue and a marker per family; within one, the larger the number in the name, the lighter.
    """
    import seaborn as sns

    looks = {}
    for index, family in enumerate(dict.fromkeys(models.values())):
        own = [model for model in models if models[model] == family]
        shades = sns.light_palette(PALETTE[index % len(PALETTE)], len(own) + 1).as_hex()[::-1]
        own.sort(key=lambda name: (len(name), name))
        for model, shade in zip(own, shades, strict=False):
            looks[model] = (shade, MARKERS[index % len(MARKERS)])
    return looks


def model_families(frame: pd.DataFrame) -> dict[str, str]:
    """Family of every architecture of a table, sorted by family."""
    rows = frame[["source_family", "source_model"]].drop_duplicates()
    rows = rows.sort_values(["source_family", "source_model"])
    return dict(zip(rows["source_model"], rows["source_family"], strict=True))


def mixture_colours(frame: pd.DataFrame) -> dict[float, str]:
    """Colour of every share of animals, from dark to light."""
    import seaborn as sns

    shares = sorted(frame["animals"].dropna().astype(float).unique())
    shades = sns.color_palette("viridis", len(shares) + 1).as_hex()[: len(shares)]
    return dict(zip(shares, shades, strict=True))


def source_marks(frame: pd.DataFrame) -> dict[str, Mark]:
    """The mark of every source of a study, in a fixed order: natural first, then robust."""
    sources = frame.drop_duplicates("source")
    looks = family_looks(model_families(sources))
    shades = mixture_colours(sources)
    several_models = sources["source_model"].nunique() > 1
    marks = {}
    order = ["robust", "source_training", "animals", "source_family", "source_model", "source"]
    for _, row in sources.sort_values(order, na_position="first").iterrows():
        colour, marker = looks[row["source_model"]]
        label = model_label(row["source_model"])
        if isinstance(row["mixture"], str):
            colour = shades[float(row["animals"])]
            share = f"{row['animals']:g} % animals"
            label = f"{label}, {share}" if several_models else share
        robust = bool(row["robust"])
        if robust:
            label = f"{label}, {training_label(row['source_training'])}"
        marks[row["source"]] = Mark(label, colour, marker, row["source_training"], robust)
    return marks


def published_marks(frame: pd.DataFrame) -> dict[str, Mark]:
    """Marks of the published models: those that ``frame`` has too look as they do there."""
    from .published import ARCHITECTURES

    families = model_families(frame)
    by_label = {model_label(model): model for model in families}
    names = {}
    for row in ARCHITECTURES:
        plain = row.model.lower().replace(" ", "_")
        names[row.model] = by_label.get(model_label(plain), plain)
        stem = names[row.model].rstrip("0123456789")
        families.setdefault(names[row.model], stem)
    looks = family_looks(families)
    return {
        model: Mark(model_label(name), *looks[name], "natural", False)
        for model, name in names.items()
    }


# Drawing ----------------------------------------------------------------------------------------


def new_figure(
    rows: int, columns: int, height: float, *, width: float = WIDTH, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure in the house style and its axes, always as a two-dimensional array."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(
        style="ticks",
        rc={
            "font.family": "sans-serif",
            # A reader without the first font gets a narrower one: nothing can overlap by it.
            "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
            "font.size": 8,
            "axes.labelsize": 8,
            "axes.titlesize": 8,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "legend.fontsize": 7.5,
            "figure.titlesize": 9,
            "axes.linewidth": 0.7,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "svg.fonttype": "none",  # text stays text: searchable, editable
            "svg.hashsalt": "advtransfer",
        },
    )
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    return figure, axes


def finish(figure: Figure, path: str | Path, title: str = "", note: str = "") -> None:
    """Title the figure, line the labels up and save it, byte-stable, as SVG or PNG by its name.

    Raises:
        UserError: the name ends in something else, or the file cannot be written.
    """
    import matplotlib.pyplot as plt

    from .artifacts.files import atomic

    kind = Path(path).suffix.lower()
    metadata: dict[str, Any] = {".svg": {"Date": None, "Creator": "advtransfer"}}.get(
        kind, {"Software": None}
    )
    if kind not in (".svg", ".png"):
        raise UserError(f"{path}: a figure is written as .svg or .png, not '{kind}'.")
    heading = "\n".join(line for line in (title, note) if line)
    if heading:
        figure.suptitle(heading, linespacing=1.4)
    with atomic(path) as temporary:
        figure.savefig(temporary, format=kind[1:], dpi=150, metadata=metadata)
    plt.close(figure)


def draw_band(axes: Axes, points: pd.DataFrame, bootstrap: int) -> None:
    """Regression line of y on x with its bootstrap band, over natural sources only."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    from .statistics.regression import regression_band

    natural = points[points["robust"] == 0]
    if natural["x"].nunique() < 3:
        return
    if len(natural) < 4:
        bootstrap = 0  # as for their correlation: three points bear no interval
    x, y = natural["x"].to_numpy(float), natural["y"].to_numpy(float)
    grid = np.linspace(x.min(), x.max(), 60)
    line, low, high = regression_band(x, y, grid, bootstrap=bootstrap)
    # The band of a few points can be far wider than they are: it must not set the limits.
    outline = np.column_stack([np.append(grid, grid[::-1]), np.append(low, high[::-1])])
    band = PolyCollection([outline], facecolors=FAINT, alpha=0.18, linewidths=0, zorder=0)
    axes.add_collection(band, autolim=False)
    axes.plot(grid, line, color=FAINT, linewidth=1.2, zorder=1)


def draw_points(axes: Axes, points: pd.DataFrame, marks: Mapping[str, Mark]) -> None:
    """One mark per source with thin bars over its seeds."""
    row: Any
    for row in points.itertuples():
        mark = marks[row.source]
        axes.errorbar(
            row.x,
            row.y,
            xerr=[[row.x - row.x_low], [row.x_high - row.x]],
            yerr=[[row.y - row.y_low], [row.y_high - row.y]],
            color=mark.colour,
            elinewidth=0.7,
            zorder=3,
            **mark.shape,
        )
        if mark.dotted:
            axes.plot(row.x, row.y, **DOT, color=mark.colour, zorder=4)


def draw_scatter(
    axes: Axes, points: pd.DataFrame, marks: Mapping[str, Mark], bootstrap: int
) -> None:
    """The scatter panel of the studies of references: band, marks, bars."""
    from matplotlib.ticker import MaxNLocator

    draw_points(axes, points, marks)
    draw_band(axes, points, bootstrap)
    axes.margins(0.08)
    for axis, ticks in ((axes.xaxis, 5), (axes.yaxis, 7)):
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))


def correlation_title(correlations: pd.DataFrame, robust: bool, **conditions: Any) -> str:
    """Correlation with its interval over natural sources, and over all where some are robust."""
    lines = []
    for sources, name in (("natural", "natural"), ("all", "all"))[: 2 if robust else 1]:
        row = correlation(correlations, sources=sources, statistic="pearson", **conditions)
        text = f"r = {interval(row)}, n = {row['n_models']:.0f}"
        lines.append(f"{name}: {text}" if robust else text)
    return "\n".join(lines)


def source_legend(figure: Figure, marks: Iterable[Mark], columns: int = 4) -> None:
    """One legend under the figure for all its panels."""
    from matplotlib.legend_handler import HandlerTuple

    marks = list(marks)
    figure.legend(
        [mark.handle() for mark in marks],
        [mark.label for mark in marks],
        loc="outside lower center",
        ncols=min(columns, len(marks)),
        handler_map={tuple: HandlerTuple(ndivide=1, pad=0)},
        columnspacing=1.6,
        handletextpad=0.5,
    )


def row_label(axes: Axes, text: str) -> None:
    """Name of a row of panels, along the right edge of its last one."""
    axes.annotate(
        text,
        (1.03, 0.5),
        xycoords="axes fraction",
        rotation=270,
        ha="left",
        va="center",
        fontsize=8,
        fontweight="bold",
    )


def target_panels(recipe: FigureRecipe, frame: pd.DataFrame) -> list[str]:
    """Targets to draw, one panel each: those of the recipe, else all of the table."""
    return list(recipe.targets) or sorted(frame["target"].unique())


# Data efficiency --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """How the lines of one training, or number of blocks, look in every panel."""

    colour: str
    marker: str
    line: str = "-"

    def entry(self, label: str, **style: Any) -> Any:
        """Its legend entry."""
        from matplotlib.lines import Line2D

        look = {"color": self.colour, "linestyle": self.line, "marker": self.marker}
        return Line2D([], [], label=label, **{**look, "linewidth": 1.2, "markersize": 4.5, **style})


def training_look(recipe: FigureRecipe, name: str) -> Look:
    """How a training looks in all figures of its study."""
    others = [other for other in sorted({*recipe.trainings, name}) if other not in TRAINING_LOOKS]
    if name in TRAINING_LOOKS:
        return Look(*TRAINING_LOOKS[name])
    return Look(*OTHER_LOOKS[others.index(name) % len(OTHER_LOOKS)])


def training_looks(recipe: FigureRecipe, found: Iterable[str]) -> dict[str, Look]:
    """The trainings of a figure in their order, each with its look.

    Those of the recipe that were ``found``; all that were, where the recipe names none.
    """
    names = set(found)
    order = recipe.trainings or [*TRAINING_LOOKS, *sorted(names - set(TRAINING_LOOKS))]
    return {name: training_look(recipe, name) for name in order if name in names}


def block_looks(found: Iterable[str]) -> dict[str, Look]:
    """Numbers of unfrozen blocks in their order, the more the darker; hues that no training has."""
    import seaborn as sns

    order = sorted(set(found), key=block_order)
    shades = sns.blend_palette(["#D8A8DC", "#E7298A", "#4A0030"], max(3, len(order))).as_hex()
    return {name: Look(shades[k], MARKERS[k % len(MARKERS)]) for k, name in enumerate(order)}


def block_order(blocks: str) -> tuple[bool, int]:
    """Sorts numbers of blocks: 0, 1, 3, ..., all."""
    return not blocks.isdigit(), int(blocks) if blocks.isdigit() else 0


def with_heads(frame: pd.DataFrame, recipe: FigureRecipe) -> pd.DataFrame:
    """Rows of the grid of blocks; with the solved heads, where it has none without blocks."""
    import pandas as pd

    rows = of_grid(frame, recipe, "blocks")
    if rows.empty or (rows["blocks"] == "0").any():
        return rows
    return pd.concat([those(of_grid(frame, recipe, "images"), blocks="0"), rows])


def size_colours(sizes: Iterable[int]) -> dict[int, str]:
    """A colour for every number of images, from dark to light."""
    import seaborn as sns

    order = sorted(set(sizes))
    shades = sns.color_palette("viridis", len(order) + 1).as_hex()
    return dict(zip(order, shades, strict=False))


def efficiency_targets(recipe: FigureRecipe, *frames: pd.DataFrame) -> list[str]:
    """Targets to draw, one column of panels each; at least one, so that the figure can say why."""
    found = sorted({name for frame in frames for name in frame["target"].unique()})
    return list(recipe.targets) or found or [""]


def efficiency_panels(
    recipe: FigureRecipe, targets: Sequence[str], rows: int, height: float = 1.75, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A column of panels for each target under its name."""
    width = max(WIDTH * 0.75, WIDTH * len(targets) / 3)
    size = {"height": 1.1 + height * rows, "width": width}
    figure, axes = new_figure(rows, len(targets), **{**size, **options})
    for panel, target in zip(axes[0], targets, strict=True):
        classes = recipe.targets.get(target, [])
        several = len(classes) if len(classes) < 6 else 0  # more would be the data set's own
        title = target_title(target, classes[:several], width=26)
        panel.set_title(title, fontweight="bold")
    return figure, axes


def image_axis(panels: Iterable[Axes], sizes: Iterable[float]) -> None:
    """Numbers of images on a log2 axis, a tick each."""
    ticks = sorted(set(sizes))
    for panel in panels:
        panel.set_xscale("log", base=2)
        slant = 60 if len(ticks) > 6 else 0
        panel.set_xticks(ticks, [f"{size:g}" for size in ticks], rotation=slant)
        panel.minorticks_off()
        if ticks:
            panel.set_xlim(ticks[0] / 1.4, ticks[-1] * 1.4)


def epoch_axis(panel: Axes, epochs: Iterable[float]) -> None:
    """Epochs on a log axis, ticks at round numbers."""
    last = max(epochs, default=1)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= last]
    panel.set_xscale("log")
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()


def share_rows(axes: np.ndarray) -> None:
    """One scale for every row of panels, numbered once."""
    for row in axes:
        for panel in row[1:]:
            panel.sharey(row[0])
            panel.tick_params(labelleft=False)


def say_if_empty(panel: Axes, text: str) -> None:
    """What is missing, in a panel with nothing drawn yet."""
    if not panel.has_data():
        panel.text(
            *(0.5, 0.5, text),
            transform=panel.transAxes,
            color=FAINT,
            ha="center",
            va="center",
            linespacing=1.4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )


def draw_means(
    panel: Axes, rows: pd.DataFrame, look: Look, x: str = "images", y: str = "accuracy"
) -> None:
    """Means over seeds along ``x``, and the range over seeds as a band."""
    curve = mean_and_range(rows, [x], y).sort_values(x)
    if curve.empty:
        return
    colour = look.colour
    panel.fill_between(curve[x], curve["low"], curve["high"], color=colour, alpha=0.15, lw=0)
    style: dict[str, Any] = {"marker": look.marker, "markersize": 3.5, "linestyle": look.line}
    panel.plot(curve[x], curve["mean"], color=colour, linewidth=1.2, **style)


def certainty(rows: pd.DataFrame) -> pd.Series:
    """Which of ``CERTAINTIES`` every difference has."""
    excluded, included, unknown = CERTAINTIES
    kinds = rows["ci_low"].isna().map({True: unknown, False: included})
    return kinds.mask((rows["ci_low"] > 0) | (rows["ci_high"] < 0), excluded)


def draw_differences(panel: Axes, rows: pd.DataFrame, look: Look, shift: float = 0.0) -> None:
    """Differences over the number of images, their 95 % intervals, a mark by certainty.

    ``shift`` moves them sideways, in doublings, so that lines which fall together can be seen.
    """
    rows = rows.dropna(subset=["value"]).sort_values("images")
    if rows.empty:
        return
    where = rows["images"].astype(float) * 2.0**shift
    style: dict[str, Any] = {"color": look.colour}
    panel.plot(where, rows["value"], linestyle=look.line, linewidth=0.9, **style)
    kinds = certainty(rows)
    bounded = rows["ci_low"].notna()
    bars = rows["ci_low"][bounded], rows["ci_high"][bounded]
    panel.vlines(where[bounded], *bars, linewidth=0.8, **style)
    for kind, face in CERTAINTIES.items():
        chosen = kinds == kind
        if chosen.any():
            mark = {"marker": look.marker, "markeredgewidth": 0.9, **face, **style}
            panel.plot(where[chosen], rows["value"][chosen], linestyle="none", zorder=3, **mark)


def certainty_entries(frames: Iterable[pd.DataFrame]) -> list[Any]:
    """Legend entries of the certainties that the differences of ``frames`` have."""
    found = {kind for rows in frames for kind in certainty(rows.dropna(subset=["value"]))}
    mark = Look(INK, "o", "none")
    return [mark.entry(kind, **face) for kind, face in CERTAINTIES.items() if kind in found]


def efficiency_legend(figure: Figure, entries: list[Any]) -> None:
    """One legend under the figure, as many columns as fit."""
    if entries:
        columns = int(figure.get_figwidth() / 1.75)
        figure.legend(handles=entries, loc="outside lower center", ncols=columns)


def zero_line(panel: Axes) -> None:
    """Where there is no difference."""
    panel.axhline(0, color=FAINT, linewidth=0.7, zorder=0)


def model_note(*frames: pd.DataFrame) -> str:
    """The architecture that a figure is about, off its first table that has rows."""
    for frame in frames:
        for column in ("source_model", "model"):
            if column in frame and len(frame):
                return f"{model_label(frame[column].iloc[0])} sources"
    return ""
