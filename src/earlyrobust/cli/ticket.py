"""`earlyrobust ticket`: shows tickets, compares them, and makes new ones from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from earlyrobust.cli.examples import ending
from earlyrobust.cli.options import Flags, expanded, flag, takes
from earlyrobust.errors import ConfigError, OutputError, TicketError
from earlyrobust.storage import check_can_be_made, content_of

if TYPE_CHECKING:
    from earlyrobust.tickets.drawing import Mask
    from earlyrobust.tickets.ticket import Ticket

app = typer.Typer(
    help="Show tickets, compare them, and make new ones from them. A ticket is named by its folder, or by "
    "the folder of a run or a cut model.",
    no_args_is_help=True,
    add_completion=False,
)
_BAR = 16
_Tickets = Annotated[
    list[Path], typer.Argument(help="Folders of tickets, runs or cut models.", callback=expanded)
]
_Output = Annotated[Path, typer.Option(help="Folder of the new ticket.", callback=expanded)]
_RATIOS: Flags = {
    "heads": flag(float, "Share of all attention heads to cut.", "the share of the ticket"),
    "neurons": flag(float, "Share of all FFN neurons to cut.", "the share of the ticket"),
}
_SCOPES: Flags = {
    f"{part}_scope": flag(
        str,
        f"Rank the {part}s of all layers together (global), or those of each layer (layerwise).",
        "the scope of the search",
    )
    for part in ("head", "neuron")
}


@app.command(epilog=ending("ticket show"))
def show(tickets: _Tickets) -> None:
    """Show the heads and neurons that each layer keeps, and the origin of the ticket."""
    from earlyrobust.tickets.weight_ticket import WeightTicket
    from earlyrobust.workspace.finding import find_ticket

    console = Console(highlight=False, markup=False)
    for folder in tickets:
        ticket = find_ticket(folder)
        facts = {"from": folder, "fits": ticket.model_type, **_facts(ticket.origin)}
        if isinstance(ticket, WeightTicket):
            facts["keeps"] = f"{ticket.kept:,} of {ticket.weights:,} weights ({1 - ticket.sparsity:.1%})"
        else:
            facts |= {"heads": _kept(ticket.heads), "neurons": _kept(ticket.neurons)}
            if ticket.trace is not None:
                facts["search"] = f"{ticket.trace.stop_reason} after {ticket.trace.epochs:.2f} epochs"
            console.print(_layers(ticket))
        for name, value in facts.items():
            console.print(f"{name:>8}  {value}", soft_wrap=True)
        console.print()


@app.command(epilog=ending("ticket diff"))
def diff(tickets: _Tickets) -> None:
    """Compare tickets of different seeds, tasks or methods, pair by pair."""
    from earlyrobust.tickets.study import check_alike, compare_tickets

    found = _load(tickets)
    if len(found) < 2:
        raise TicketError("A comparison needs at least two tickets: name two or more.")
    check_alike(found)
    console = Console(highlight=False, markup=False)
    for number, folder in enumerate(tickets, 1):
        console.print(f"{number}  {folder}", soft_wrap=True)
    table = Table()
    for column in ("", "distance", "overlap", "by chance", "rank correlation"):
        table.add_column(column, justify="right" if column else "left")
    for (one, first), (other, second) in combinations(enumerate(found, 1), 2):
        for name, facts in zip(("heads", "neurons"), compare_tickets(first, second), strict=True):
            table.add_row(
                f"{one} and {other}, {name}",
                f"{facts.distance:.3f}",
                f"{facts.jaccard:.3f}",
                f"{facts.by_chance:.3f}",
                "–" if facts.correlation is None else f"{facts.correlation:+.3f}",
            )
    console.print(table)
    console.print(
        "distance: share of entries on which they differ; overlap: kept by both, of those kept by either.",
        style="dim",
    )


@app.command(epilog=ending("ticket draw"))
@takes(_RATIOS, _SCOPES)
def draw(
    ticket: Annotated[
        Path, typer.Argument(help="Folder of a ticket, a run, or a cut model.", callback=expanded)
    ],
    output: _Output,
    **flags: Any,
) -> None:
    """Draw a ticket of other ratios from the coefficients of a search, without another search."""
    from earlyrobust.options.run import RunConfig
    from earlyrobust.tickets.study import redraw_ticket

    given = RunConfig.parse(flags)  # checks ratios and scopes in the same way as for a run
    (found,) = _load([ticket])
    _save(redraw_ticket(found, given.heads, given.neurons, given.head_scope, given.neuron_scope), output)


@app.command(epilog=ending("ticket merge"))
@takes(_RATIOS)
def merge(
    tickets: _Tickets,
    output: _Output,
    how: Annotated[
        str,
        typer.Option(
            help="scores (draw by the mean of their coefficients), union (keep all that any ticket keeps), "
            "or intersection (keep only what all tickets keep)."
        ),
    ] = "scores",
    **flags: Any,
) -> None:
    """Merge tickets of different seeds, tasks or methods into one."""
    from earlyrobust.options.run import RunConfig
    from earlyrobust.tickets import study

    given = RunConfig.parse(flags)
    study.check_how(how)
    if how != "scores" and (given.heads is not None or given.neurons is not None):
        raise ConfigError(f"--how {how} ignores the ratios: leave --heads and --neurons out.")
    found = _load(tickets)
    _save(study.merge_tickets(found, cast("study.How", how), given.heads, given.neurons), output)


def _load(folders: Sequence[Path]) -> list[Ticket]:
    """Read the tickets of some folders.

    Raises:
        TicketError: If one of them is a ticket over single weights.
    """
    from earlyrobust.tickets.ticket import Ticket
    from earlyrobust.workspace.finding import find_ticket

    tickets = []
    for folder in folders:
        ticket = find_ticket(folder)
        if not isinstance(ticket, Ticket):
            raise TicketError(
                f"The ticket in '{folder}' is over single weights: name a ticket over heads and neurons."
            )
        tickets.append(ticket)
    return tickets


def _save(ticket: Ticket, output: Path) -> None:
    check_can_be_made(output)
    if content_of(output):
        raise OutputError(f"'{output}' is not empty: choose another --output, or delete it.")
    ticket.save_pretrained(output)
    console = Console(highlight=False, markup=False)
    console.print(_layers(ticket))
    console.print(
        f"The ticket keeps {_kept(ticket.heads)} heads and {_kept(ticket.neurons)} neurons. "
        f"It is in {output}: earlyrobust finetune --ticket {output}",
        soft_wrap=True,
    )


def _layers(ticket: Ticket) -> Table:
    """Return a table of the heads and neurons that each layer keeps, with bars."""
    table = Table()
    for column in ("layer", "heads", "", "neurons", " "):
        table.add_column(column, justify="right" if column.strip() else "left", no_wrap=True)
    for number, masks in enumerate(zip(ticket.heads, ticket.neurons, strict=True), 1):
        cells = [cell for mask in masks for cell in (f"{mask.sum()}/{mask.size}", _bar(float(mask.mean())))]
        table.add_row(str(number), *cells)
    return table


def _kept(mask: Mask) -> str:
    return f"{mask.sum():,} of {mask.size:,}"


def _bar(share: float) -> str:
    full = round(_BAR * share)
    return "█" * full + "░" * (_BAR - full)


def _facts(origin: dict[str, object]) -> dict[str, object]:
    """Return the facts of an origin that fit on one line each."""
    names = ("method", "model", "task", "seed")
    return {name: origin[name] for name in names if isinstance(origin.get(name), (str, int))}
