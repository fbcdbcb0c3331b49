"""Draw the published best robust minus standard accuracies and best epsilons, beside ours."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.style import FAINT, WIDTH
from .. import plotting, published
from ..columns import ALL
from ..plotting import Settings

ALT = "Published gains and best epsilons beside this study's"
LABEL = "published and ours"
TABLES = ("summary", "best")
SETTINGS = ("baseline", "targets", "trainings")

HEIGHT = 0.19  # inches a line


def draw(tables: Tables, settings: Settings) -> Figure:
    table = plotting.read(tables["best"], "best", settings)
    rows = rows_where(table, selection="validation")
    targets, models = plotting.targets_of(settings, rows), plotting.models_of(rows)
    over_all = ALL if ALL in set(rows["model"]) else next(iter(models), "")
    modes = list(plotting.MODES)
    printed = list(published.TABLE_1)

    lines = max(len(printed), 4 + len(targets))
    figure, axes = new_figure(2, 2, 1.7 + 2 * HEIGHT * lines, width=WIDTH, sharey=False)
    for target, gains in published.gains().items():
        for mode, gain, shift in zip(modes, gains, (-0.15, 0.15), strict=True):
            look = plotting.MODE_LOOKS[mode]
            style = {"marker": look.marker, "color": look.colour, "markersize": 4.5}
            axes[0, 0].plot(100 * gain, printed.index(target) + shift, linestyle="none", **style)
    for mode, shift in zip(modes, (-0.15, 0.15), strict=True):
        look = plotting.MODE_LOOKS[mode]
        own = rows_where(rows, mode=mode, model=over_all)
        own = own[own["difference"].notna()]
        where = [targets.index(target) + shift for target in own["target"]]
        half = 100 * (own["difference"] - own["difference_low"]).fillna(0)
        style = {"marker": look.marker, "color": look.colour, "markersize": 4.5}
        axes[0, 1].errorbar(
            100 * own["difference"], where, xerr=half, linestyle="none", **style, **plotting.BARS
        )
    epsilons = sorted({run.epsilon for run in published.BEST_RUNS})
    names = list(dict.fromkeys(run.model for run in published.BEST_RUNS))
    for best in published.BEST_RUNS:
        k = modes.index(best.mode)
        look = plotting.MODE_LOOKS[best.mode]
        aside = 0.13 * (names.index(best.model) - (len(names) - 1) / 2)
        axes[1, 0].plot(
            epsilons.index(best.epsilon) + aside,
            printed.index(best.target) + (-0.18, 0.18)[k],
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markersize=3,
        )
    own = rows_where(rows, model=list(models)).rename(columns={"robust_training": "training"})
    tried = rows_where(plotting.read(tables["summary"], "summary", settings), robust=1)
    places = plotting.strengths(tried)
    for shift, (model, _) in plotting.spread(models):
        for k, mode in enumerate(modes):
            look = plotting.MODE_LOOKS[mode]
            for row in plotting.records(rows_where(own, model=model, mode=mode)):
                axes[1, 1].plot(
                    places[row.training][0] + shift,
                    targets.index(row.target) + (-0.18, 0.18)[k],
                    linestyle="none",
                    marker=look.marker,
                    color=look.colour,
                    markersize=4,
                )
    axes[1, 0].set_xticks(range(len(epsilons)), [f"{epsilon:g}" for epsilon in epsilons])
    axes[1, 0].set_xlabel("best ε in ℓ₂, single runs of four architectures (0: natural)")
    axes[1, 1].set_xlabel("best ε of robust sources, chosen on validation")
    plotting.strength_axis(axes[1, 1], places, labels=True)
    for panel in axes[0]:
        panel.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
        panel.set_xlabel("best robust − natural, percentage points")
    for panel, names_of in ((axes[0, 0], printed), (axes[1, 0], printed), *(
        (panel, targets) for panel in axes[:, 1]
    )):  # fmt: skip
        say_if_empty(panel, "not compared")
        panel.set_yticks(range(len(names_of)), map(plotting.target_label, names_of))
        panel.set_ylim(len(names_of) - 0.5, -0.5)
        panel.grid(axis="y", color="#eeeeee", linewidth=0.6)
    for panel, heading in zip(axes[0], ("Published", "Ours"), strict=True):
        panel.set_title(heading, fontweight="bold")
    legend_below(
        figure,
        [look.entry(plotting.mode_label(mode), linestyle="none")
         for mode, look in plotting.MODE_LOOKS.items()],
    )  # fmt: skip
    note = (
        "published: ImageNet sources, 224 pixels, chosen on test images; ours: see the page, 95 % "
        "intervals\ncompare signs and shapes, not values"
    )
    return finish(figure, "Salman et al. (2020) and this study", note)
