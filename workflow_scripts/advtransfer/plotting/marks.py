"""Colours, markers and lines of a study's sources, by training, the same in all figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .style import FAINT

# Colour and marker of each training, for sources that differ by training alone. Natural ones are
# blue, l2 ones orange, linf ones green. A lighter colour is a weaker (if natural, longer) training.
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
# Colours and markers of other trainings, in the order of their names.
OTHER_LOOKS = (("#999933", "h"), ("#6A51A3", "X"), ("#000000", "p"), ("#A6761D", "*"))


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one group, such as a training, in every panel."""

    colour: str
    marker: str
    line: str = "-"

    def entry(self, label: str, **style: Any) -> Any:
        """Return a legend entry with this look."""
        from matplotlib.lines import Line2D

        look = {"color": self.colour, "linestyle": self.line, "marker": self.marker}
        return Line2D([], [], label=label, **{**look, "linewidth": 1.2, "markersize": 4.5, **style})


def training_look(name: str, trainings: Iterable[str] = ()) -> Look:
    """Return the look of a training in all figures of a study with ``trainings``."""
    if name in TRAINING_LOOKS:
        return Look(*TRAINING_LOOKS[name])
    others = [other for other in sorted({*trainings, name}) if other not in TRAINING_LOOKS]
    return Look(*OTHER_LOOKS[others.index(name) % len(OTHER_LOOKS)])


def training_looks(found: Iterable[str], trainings: Sequence[str] = ()) -> dict[str, Look]:
    """Return the trainings of a figure in their order, each with its look.

    They are the ``trainings`` that were ``found``, or all that were found if ``trainings`` is
    empty.
    """
    names = set(found)
    order = trainings or [*TRAINING_LOOKS, *sorted(names - set(TRAINING_LOOKS))]
    return {name: training_look(name, trainings) for name in order if name in names}


def size_colours(sizes: Iterable[int]) -> dict[int, str]:
    """Return a colour for every number of images, from dark to light."""
    import seaborn as sns

    order = sorted(set(sizes))
    shades = sns.color_palette("viridis", len(order) + 1).as_hex()
    return dict(zip(order, shades, strict=False))
