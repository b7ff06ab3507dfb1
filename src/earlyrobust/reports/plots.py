"""The pictures of a run: what each layer keeps, and how far the masks of any two miniepochs are apart."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from earlyrobust.results import RunRecord, SearchRecord, TicketRecord
from earlyrobust.storage import write_atomically

LAYERS_PICTURE = "kept-per-layer.png"
DISTANCES_PICTURE = "mask-distances.png"


def draw_pictures(record: RunRecord, folder: Path) -> list[Path]:
    """Draw the pictures that a run's record holds.

    Args:
        record: The record.
        folder: Where they are written.

    Returns:
        The files.
    """
    figures = {}
    if record.ticket is not None:
        figures[LAYERS_PICTURE] = kept_per_layer(record.ticket)
    if record.search is not None and record.search.miniepochs:
        figures[DISTANCES_PICTURE] = mask_distances(record.search)
    for name, figure in figures.items():
        write_atomically(folder / name, lambda path, figure=figure: figure.savefig(path, dpi=150))  # type: ignore[misc]
    return [folder / name for name in figures]


def kept_per_layer(ticket: TicketRecord) -> Figure:
    """Heads and neurons that each layer keeps, of all it had (the paper's Figure 5)."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    panels = (
        ("attention heads", ticket.heads_per_layer, ticket.heads),
        ("FFN neurons", ticket.neurons_per_layer, ticket.neurons),
    )
    for axes, (name, kept, total) in zip(figure.subplots(1, 2), panels, strict=True):
        layers = range(1, len(kept) + 1)
        axes.bar(layers, [total] * len(kept), color="0.9", label="cut")
        axes.bar(layers, kept, color="tab:blue", label="kept")
        axes.set(title=f"{sum(kept)} of {total * len(kept)} {name}", xlabel="layer", xticks=list(layers))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def mask_distances(search: SearchRecord) -> Figure:
    """Distance of the masks of every two miniepochs (the paper's Figure 2); dark is close."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = (("attention heads", search.head_distances), ("FFN neurons", search.neuron_distances))
    top = max(max(map(max, distances)) for _, distances in panels)
    all_axes = figure.subplots(1, 2)
    for axes, (name, distances) in zip(all_axes, panels, strict=True):
        edge = len(distances) + 0.5
        image = axes.imshow(
            distances, cmap="viridis", vmin=0, vmax=top or 1, origin="lower", extent=(0.5, edge, 0.5, edge)
        )
        axes.set(title=f"mask distance, {name}", xlabel="miniepoch", ylabel="miniepoch")
    figure.colorbar(image, ax=all_axes)
    return figure
