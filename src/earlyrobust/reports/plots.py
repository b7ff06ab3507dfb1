"""Plots pictures of searches, tickets, trainings and comparisons from their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from earlyrobust.analysis.summary import frontier
from earlyrobust.results import CurveRecord, RunRecord, SearchRecord, TicketRecord, TrainingLog
from earlyrobust.statistics.measures import Mean
from earlyrobust.storage import write_atomically

LAYERS_PICTURE = "kept-per-layer.png"
DISTANCES_PICTURE = "mask-distances.png"
# Middle tones, which are visible on white and on black.
_BLUE, _ORANGE, _GREY = "#3b82c4", "#e07b39", "#8a9099"
_COLOURS = (
    _BLUE,
    _ORANGE,
    "#3fa34d",
    "#c0504d",
    "#9467bd",
    "#b59410",
    "#17a2b8",
    "#d65fa8",
    _GREY,
    "#7f6a55",
)
_MARKERS = "osD^vP*Xhp"
# Names of measures on an axis are cut to this number of characters.
_LONGEST = 30


def render_pictures(record: RunRecord, folder: Path) -> list[Path]:
    """Render the pictures of a run's ticket and search into a folder.

    Args:
        record: The record of the run.
        folder: Folder of the pictures.

    Returns:
        The paths of the pictures; empty without a ticket and a search.
    """
    figures = {}
    if record.ticket is not None:
        figures[LAYERS_PICTURE] = kept_per_layer(record.ticket)
    if record.search is not None and record.search.has_distances:
        figures[DISTANCES_PICTURE] = mask_distances(record.search)
    for name, figure in figures.items():
        write_atomically(folder / name, lambda path, figure=figure: figure.savefig(path, dpi=150))  # type: ignore[misc]
    return [folder / name for name in figures]


def kept_per_layer(ticket: TicketRecord, narrow: bool = False) -> Figure:
    """Plot the heads and neurons that each layer keeps, of all it had (the paper's Figure 5).

    Args:
        ticket: The ticket.
        narrow: Whether the panels are one below the other, for a narrow screen.
    """
    figure, panels = _two_panels(narrow, (8, 3), (4.2, 4.6))
    parts = (
        ("attention heads", ticket.heads_per_layer, ticket.heads),
        ("FFN neurons", ticket.neurons_per_layer, ticket.neurons),
    )
    for axes, (name, kept, total) in zip(panels, parts, strict=True):
        layers = range(1, len(kept) + 1)
        axes.bar(layers, [total] * len(kept), color=_GREY, alpha=0.3, label="cut")
        axes.bar(layers, kept, color=_BLUE, label="kept")
        axes.set(title=f"{sum(kept)} of {total * len(kept)} {name}", xlabel="layer", xticks=list(layers))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", frameon=False, ncols=2)
    return figure


def mask_distances(search: SearchRecord, narrow: bool = False) -> Figure:
    """Plot the distances between the masks of all pairs of miniepochs (the paper's Figure 2); dark is close.

    Args:
        search: The search.
        narrow: Whether the panels are one below the other, for a narrow screen.
    """
    figure, all_axes = _two_panels(narrow, (9, 4), (4.2, 7.2))
    figure.set_layout_engine("compressed")  # square panels lose their labels with the other layout
    parts = (("attention heads", search.head_distances), ("FFN neurons", search.neuron_distances))
    top = max(max(map(max, distances)) for _, distances in parts)
    for axes, (name, distances) in zip(all_axes, parts, strict=True):
        edge = len(distances) + 0.5
        image = axes.imshow(
            distances, cmap="viridis", vmin=0, vmax=top or 1, origin="lower", extent=(0.5, edge, 0.5, edge)
        )
        axes.set(title=f"mask distance, {name}", xlabel="miniepoch", ylabel="miniepoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(image, ax=list(all_axes))
    return figure


def settling(search: SearchRecord, gamma: float) -> Figure:
    """Plot the distance between consecutive masks over a search, and γ, below which they count as settled."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, colour, marker in (("heads", _BLUE, "o"), ("neurons", _ORANGE, "s")):
        seen = [
            (miniepoch.step / search.steps_per_epoch, distance)
            for miniepoch in search.miniepochs
            if (distance := getattr(miniepoch, name)) is not None
        ]
        if seen:
            axes.plot(*zip(*seen, strict=True), color=colour, marker=marker, markersize=4, label=name)
    axes.axhline(gamma, color=_GREY, linestyle="--", label=f"γ = {gamma:g}")
    axes.set(xlabel="epochs of the search", ylabel="mask distance")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def training_curves(log: TrainingLog) -> Figure:
    """Plot the log of a training over its steps: losses, gradient norm, learning rate, level of noise."""
    panels = {
        "loss": {"": log.loss},
        "penalty": {"": log.penalty},
        "gradient norm": {"": log.gradient_norm},
        "learning rate": {"": log.learning_rate},
        "noise level": {"": log.noise_level},
        "mean loss": {"clean texts": log.clean_loss, "texts with noise": log.noisy_loss},
    }
    shown = {
        name: found
        for name, curves in panels.items()
        if (found := {curve: values for curve, values in curves.items() if _known(log, values)})
    }
    figure = Figure(figsize=(4.6, 1.5 * len(shown) + 0.4), layout="constrained")
    all_axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, curves) in zip(all_axes, shown.items(), strict=True):
        for colour, (curve, values) in zip((_BLUE, _ORANGE), curves.items(), strict=False):
            known = _known(log, values)
            marker = "o" if len(known) < 20 else ""
            axes.plot(*zip(*known, strict=True), color=colour, marker=marker, markersize=4, label=curve)
        axes.set(ylabel=name)
        if "" not in curves:
            axes.legend(frameon=False, fontsize="small")
    all_axes[-1].set(xlabel="optimiser step")
    all_axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _known(log: TrainingLog, values: Sequence[float | None]) -> list[tuple[int, float]]:
    """Return the known points of a logged curve as pairs of step and value; an empty curve has none."""
    return [(step, value) for step, value in zip(log.steps, values, strict=False) if value is not None]


def accuracies(models: Mapping[str, Mapping[str, Mean]]) -> Figure:
    """Plot the accuracies of models side by side, clean and under each attack, with intervals.

    Args:
        models: For each model by name, its accuracies in percent, by the name of the measure.
    """
    measures = list(dict.fromkeys(name for shares in models.values() for name in shares))
    figure = Figure(
        figsize=(4.8, 1.6 + 0.5 * len(measures) + _height_of_legend(models)), layout="constrained"
    )
    axes = figure.subplots()
    for place, shares in enumerate(models.values()):
        offset = 0.3 * (place / max(1, len(models) - 1) - 0.5) if len(models) > 1 else 0.0
        axes.errorbar(
            [mean.value for mean in shares.values()],
            [measures.index(name) + offset for name in shares],
            xerr=[[_bars(mean)[end][0] for mean in shares.values()] for end in (0, 1)],
            fmt=_MARKERS[place],
            color=_COLOURS[place],
            elinewidth=1.2,
            label="-",
        )
    axes.set(xlabel="%", xlim=(0, 100), ylim=(len(measures) - 0.5, -0.5))
    shown = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in measures]
    axes.set_yticks(range(len(measures)), shown, parse_math=False)
    _legend(figure, axes, list(models))
    return figure


def aua_against_time(points: Mapping[str, tuple[Mean, Mean]], baseline: str) -> Figure:
    """Plot accuracy under attack against training time, with intervals and the efficient frontier.

    Intervals of the time that are far longer than the times are cut off at the edge.

    Args:
        points: For each arm by name, training time relative to the baseline, and Aua%.
        baseline: Name of the baseline.
    """
    figure = Figure(figsize=(4.8, 3.4 + _height_of_legend(points)), layout="constrained")
    axes = figure.subplots()
    efficient = frontier({name: (time.value, aua.value) for name, (time, aua) in points.items()})
    edge = [(points[name][0].value, points[name][1].value) for name in efficient]
    axes.plot(*zip(*edge, strict=True), color=_GREY, linestyle="--", zorder=1, label="-")
    for place, (time, aua) in enumerate(points.values()):
        axes.errorbar(
            time.value,
            aua.value,
            xerr=_bars(time),
            yerr=_bars(aua),
            fmt=_MARKERS[place % len(_MARKERS)],
            color=_COLOURS[place % len(_COLOURS)],
            elinewidth=0.8,
            label="-",
        )
    axes.set(ylabel="accuracy under attack, %")
    if len(baseline) > _SHORT:
        axes.set_xlabel(f"training time, relative to\n{baseline}", parse_math=False, fontsize="small")
    else:
        axes.set_xlabel(f"training time, relative to {baseline}", parse_math=False)
    # The interval of a disturbed time may be many times the time, and would press all points together.
    widest = max(time.value for time, _ in points.values())
    axes.set_xlim(0, min(1.05 * max(time.high for time, _ in points.values()), _MOST_COST * widest) or 1)
    _legend(figure, axes, ["efficient frontier", *points])
    return figure


def against_option(curves: Mapping[str, Mapping[float, Mean]], option: str) -> Figure:
    """Plot measures against the value of an option, with intervals.

    Args:
        curves: For each measure by name, its mean by the value of the option.
        option: Name of the option.
    """
    figure = Figure(figsize=(4.8, 3.4 + _height_of_legend(curves)), layout="constrained")
    axes = figure.subplots()
    for place, means in enumerate(curves.values()):
        values = sorted(means)
        axes.errorbar(
            values,
            [means[value].value for value in values],
            yerr=[[_bars(means[value])[end][0] for value in values] for end in (0, 1)],
            marker=_MARKERS[place % len(_MARKERS)],
            color=_COLOURS[place % len(_COLOURS)],
            elinewidth=0.8,
            label="-",
        )
    axes.set(xlabel=option, ylabel="%")
    _legend(figure, axes, list(curves))
    return figure


def against_allowed(curves: Mapping[str, CurveRecord], allowed: str, base: int, steps: bool) -> Figure:
    """Plot accuracy under attack against a limit on the attack, with the interval of the first curve.

    Args:
        curves: The curves by name.
        allowed: Name of the limit, the label of the horizontal axis.
        base: Base of the logarithm of the horizontal axis.
        steps: Whether to draw steps, because the curves are known everywhere and change only at their points.
    """
    figure = Figure(figsize=(4.8, 3.4 + _height_of_legend(curves)), layout="constrained")
    axes = figure.subplots()
    end = max(curve.allowed[-1] for curve in curves.values())
    for place, curve in enumerate(curves.values()):
        shares = [curve.share(point) for point in range(len(curve.allowed))]
        places = list(curve.allowed)
        if steps and places[-1] < end:  # the curve stays constant behind its last point
            places, shares = [*places, end], [*shares, shares[-1]]
        axes.plot(
            places,
            [100 * share.value for share in shares],
            color=_COLOURS[place % len(_COLOURS)],
            drawstyle="steps-post" if steps else "default",
            marker="" if steps else _MARKERS[place % len(_MARKERS)],
            label="-",
        )
        if place == 0:
            low, high = ([100 * getattr(share, name) for share in shares] for name in ("low", "high"))
            axes.fill_between(
                places, low, high, step="post" if steps else None, color=_COLOURS[0], alpha=0.15, linewidth=0
            )
    axes.set_xscale("log", base=base)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set(xlabel=allowed, ylabel="accuracy under attack, %")
    axes.set_ylim(0, 100)
    _legend(figure, axes, list(curves))
    return figure


# Legends with a name longer than this, in letters, have a single column.
_SHORT = 20
# The axis of the training time ends at so many times the longest time, even if an interval is longer.
_MOST_COST = 1.6


def _height_of_legend(names: Iterable[str]) -> float:
    """Return the height of the legend below a picture, in inches."""
    names = list(names)
    return 0.2 * (len(names) if _columns(names) == 1 else (len(names) + 1) // 2) + 0.2


def _columns(names: Sequence[str]) -> int:
    return 1 if any(len(name) > _SHORT for name in names) else 2


def _legend(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    """Add a legend below a picture, with unchanged names: neither hidden nor parsed as mathematics."""
    handles, _ = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, ["-"] * len(handles), loc="outside lower center", ncols=_columns(names), frameon=False
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False, fontsize="small")


def _two_panels(
    narrow: bool, wide_size: tuple[float, float], narrow_size: tuple[float, float]
) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=narrow_size if narrow else wide_size, layout="constrained")
    return figure, figure.subplots(2, 1) if narrow else figure.subplots(1, 2)


def _bars(mean: Mean) -> list[list[float]]:
    """Return the lengths of the error bars below and above a mean, in the format of matplotlib."""
    return [[mean.value - mean.low], [mean.high - mean.value]]
