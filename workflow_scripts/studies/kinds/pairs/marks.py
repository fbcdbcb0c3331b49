"""How the sources of a study of pairs look: each has one mark in all figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....advtransfer.plotting.labels import model_label, training_label
from ....advtransfer.plotting.style import DOT, MARKERS, PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


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
    """Return colour and marker of every model of ``models`` (model: family).

    A family has one hue, in the order given, and one marker; larger numbers in a name are lighter.
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
    """Return the family of every architecture of a table, sorted by family."""
    rows = frame[["source_family", "source_model"]].drop_duplicates()
    rows = rows.sort_values(["source_family", "source_model"])
    return dict(zip(rows["source_model"], rows["source_family"], strict=True))


def mixture_colours(frame: pd.DataFrame) -> dict[float, str]:
    """Return a colour for every share of animals, from dark to light."""
    import seaborn as sns

    shares = sorted(frame["animals"].dropna().astype(float).unique())
    shades = sns.color_palette("viridis", len(shares) + 1).as_hex()[: len(shares)]
    return dict(zip(shares, shades, strict=True))


def source_marks(frame: pd.DataFrame) -> dict[str, Mark]:
    """Return the mark of every source of a study: natural sources first, then robust ones."""
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


def published_marks(frame: pd.DataFrame, models: Iterable[str]) -> dict[str, Mark]:
    """Return marks of published models; a model that ``frame`` has keeps the look it has there."""
    families = model_families(frame)
    by_label = {model_label(model): model for model in families}
    names = {}
    for model in models:
        plain = model.lower().replace(" ", "_")
        names[model] = by_label.get(model_label(plain), plain)
        stem = names[model].rstrip("0123456789")
        families.setdefault(names[model], stem)
    looks = family_looks(families)
    return {
        model: Mark(model_label(name), *looks[name], "natural", False)
        for model, name in names.items()
    }


def source_legend(figure: Figure, marks: Iterable[Mark], columns: int = 4) -> None:
    """Draw one legend for all panels under the figure."""
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
