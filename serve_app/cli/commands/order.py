"""Commands that submit the orders of a rebalance, and show their status."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final

import typer

from serve_app.cli.arguments import Most, RebalanceId
from serve_app.cli.completions import complete_rebalances
from serve_app.cli.exit_codes import Ending
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.cli.names import Names
    from serve_app.client import Client
    from serve_app.client.responses.orders import OrderLine, OrderOfRebalance, OrderSubmission

commands = typer.Typer()

SENDS_FOR_S: Final = 500.0  # because the service checks for three minutes, and sends for four
MAX_ORDERS_PER_PAGE: Final = 1000
DEFAULT_ORDERS_SHOWN: Final = 20
NOT_SENT: Final = ("FAILED", "UNKNOWN", "SENDING", "PENDING")
States = Annotated[
    list[str] | None,
    typer.Option("--status", help="orders in this state, such as FAILED; may be repeated"),
]


class OpenOrdersChoice(StrEnum):
    """Treatment of open orders that other rebalances of the portfolios have left."""

    REFUSE = "refuse"
    ADD = "add"
    REPLACE = "replace"


@service_command(commands, timeout_s=SENDS_FOR_S)
def hand_over(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
    open_orders: Annotated[
        OpenOrdersChoice,
        typer.Option(
            help="where other rebalances have open orders: send nothing, send, or cancel them"
        ),
    ] = OpenOrdersChoice.REFUSE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="send without a question")] = False,
) -> None:
    """Send the orders of a rebalance that are not at the order service yet, never one twice.

    Asks first, with the number of portfolios and transactions and the amounts bought and sold;
    where nobody can answer, --yes is needed.
    """
    from serve_app.cli import tables
    from serve_app.cli.confirmation import confirm_hand_over, require_person
    from serve_app.cli.output import show_spinner

    if not yes:
        require_person()
    submission = client.list_orders(rebalance_id, limit=1)
    if not yes:
        confirm_hand_over(client, submission)
    with show_spinner(f"handing {rebalance_id} over"):
        result = _submit(client, submission, open_orders)
    if result.status == "COMPLETE":
        printer.print(result, lambda: tables.tabulate_submission(result))
        return
    printer.print(
        result,
        lambda: tables.tabulate_submission(result),
        lambda: _tabulate(
            client, _list_orders(client, rebalance_id, NOT_SENT, DEFAULT_ORDERS_SHOWN)
        ),
    )
    raise typer.Exit(Ending.REFUSED)


@service_command(commands)
def orders(
    client: "Client",
    printer: Printer,
    rebalance_id: Annotated[
        str | None,
        typer.Argument(
            help="a rebalance; all of them by default", autocompletion=complete_rebalances
        ),
    ] = None,
    status: States = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="of rebalances that began then or later, in UTC; without an id alone"),
    ] = None,
    limit: Most = DEFAULT_ORDERS_SHOWN,
) -> None:
    """Show where the orders of a rebalance stand, or those of all, the latest first."""
    if rebalance_id is None:
        start = since and since.replace(tzinfo=UTC)
        pages = client.list_orders_of_all(
            status=status or (), since=start, limit=min(limit, MAX_ORDERS_PER_PAGE)
        )
        every = [*islice(pages, limit)]
        printer.print(every, lambda: _tabulate_all(client, every))
    elif since is not None:
        raise typer.BadParameter("--since selects rebalances: give it or a REBALANCE_ID")
    else:
        _show_orders(client, printer, rebalance_id, status or (), limit)


def _show_orders(
    client: "Client", printer: Printer, rebalance_id: str, status: Sequence[str], limit: int
) -> None:
    from serve_app.cli import tables

    listing = _list_orders(client, rebalance_id, status, limit)
    printer.print(
        listing, lambda: tables.tabulate_submission(listing), lambda: _tabulate(client, listing)
    )


def _submit(
    client: "Client", submission: "OrderSubmission", open_orders: OpenOrdersChoice
) -> "OrderSubmission":
    """Repeat the request until all orders are sent, because a request sends for a bounded time."""
    from serve_app.cli.output import say

    sent = submission.counts["SENT"]
    while True:
        result = client.hand_over(submission.rebalance_id, open_orders=open_orders.name)
        sent_before, sent = sent, result.counts["SENT"]
        if not result.counts["PENDING"] or sent == sent_before:
            return result
        say(f"{sent:,} of {result.number_of_orders:,} orders are sent")


def _list_orders(
    client: "Client", rebalance_id: str, states: Sequence[str], most: int
) -> "OrderSubmission":
    """Read the counts of all orders, and the first lines of orders in these states, or in any."""
    lines: list[OrderLine] = []
    while True:
        size = min(most - len(lines), MAX_ORDERS_PER_PAGE)
        page = client.list_orders(rebalance_id, status=states, offset=len(lines), limit=size)
        lines += page.orders
        if len(page.orders) < size or len(lines) == most:
            return replace(page, orders=tuple(lines))


def _tabulate(client: "Client", submission: "OrderSubmission") -> "Table":
    from serve_app.cli import tables

    return tables.tabulate_orders(submission, _look_up_names(client, submission.orders))


def _tabulate_all(client: "Client", listing: "Sequence[OrderOfRebalance]") -> "Table":
    from serve_app.cli import tables

    return tables.tabulate_all_orders(listing, _look_up_names(client, listing))


def _look_up_names(client: "Client", orders: "Sequence[OrderLine]") -> "Names":
    from serve_app.cli.names import look_up_names

    return look_up_names(
        client,
        portfolio_ids=[order.portfolio_id for order in orders],
        security_ids=[order.security_id for order in orders],
    )
