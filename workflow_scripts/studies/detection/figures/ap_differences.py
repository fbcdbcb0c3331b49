"""Draw average precision of detectors on each source minus that on the baseline's."""

from __future__ import annotations

from matplotlib.figure import Figure

from ....advtransfer.plotting.axes import say_if_empty
from ....advtransfer.plotting.draw import CERTAINTIES, certainty, certainty_entries
from ....advtransfer.plotting.figure import finish, legend_below, new_figure
from ....advtransfer.plotting.frames import Tables, rows_where
from ....advtransfer.plotting.labels import model_note, training_label
from ....advtransfer.plotting.marks import training_looks
from ....advtransfer.plotting.style import FAINT, WIDTH
from .. import plotting
from ..columns import DIFFERENCE_COLUMNS
from ..plotting import Settings

ALT = "Average precision minus that on the baseline's sources"
LABEL = "differences in average precision"
TABLES = ("differences",)
SETTINGS = ("baseline", "model", "trainings", "tasks", "areas")


def draw(tables: Tables, settings: Settings) -> Figure:
    differences = plotting.read(tables["differences"], DIFFERENCE_COLUMNS, settings)
    quantities = plotting.quantities(settings, differences)
    looks = training_looks(differences["training"], settings.trainings)
    figure, axes = new_figure(1, len(quantities), height=3.4, width=WIDTH, sharey=True, sharex=True)
    metrics = plotting.metrics_of(differences)
    for panel, quantity in zip(axes[0], quantities, strict=True):
        rows = plotting.measured(differences, quantity)
        for k, (training, look) in enumerate(looks.items()):
            own = rows_where(rows, training=training).dropna(subset=["value"])
            if own.empty:
                continue
            shift = 0.22 * (k - (len(looks) - 1) / 2)
            where = own["metric"].map(metrics.index) + shift
            kinds = certainty(own)
            bounded = own["ci_low"].notna()
            panel.hlines(
                where[bounded],
                own["ci_low"][bounded],
                own["ci_high"][bounded],
                color=look.colour,
                linewidth=0.9,
            )
            for kind, face in CERTAINTIES.items():
                chosen = kinds == kind
                mark = {"marker": look.marker, "markeredgewidth": 0.9, "color": look.colour, **face}
                panel.plot(own["value"][chosen], where[chosen], linestyle="none", zorder=3, **mark)
        panel.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
        panel.set_title(plotting.quantity_label(quantity).replace(", ", "\n"), fontweight="bold")
        panel.set_xlabel(f"AP − {training_label(settings.baseline)}")
        say_if_empty(panel, "no differences")
    labels = [plotting.METRIC_LABELS[name] for name in metrics]
    axes[0, 0].set_yticks(range(len(metrics)), labels)
    axes[0, 0].set_ylim(len(metrics) - 0.5, -0.5)
    entries = [look.entry(training_label(name), linestyle="none") for name, look in looks.items()]
    entries += certainty_entries([differences])
    legend_below(figure, entries)
    return finish(
        figure,
        "What another training of the source changes in average precision",
        "; ".join(filter(None, [model_note(differences), plotting.size_note(settings)])),
    )
