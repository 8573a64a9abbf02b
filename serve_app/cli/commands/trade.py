"""Command that lists the trades of a rebalance under review."""

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.arguments import Most, RebalanceId, parse_decimal
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client, TradeFilter
    from serve_app.client.responses.trades import TradeDetail

commands = typer.Typer()

NUMBER = "a number, such as 1000 or 0.05"
Number = Annotated[str | None, typer.Option(metavar="NUMBER")]


class Side(StrEnum):
    """Side of a trade."""

    BUY = "buy"
    SELL = "sell"


class Approval(StrEnum):
    """Whether the order of a trade may be sent."""

    NONE = "none"
    PROPOSED = "proposed"
    APPROVED = "approved"
    ORDERED = "ordered"
    HELD = "held"


@service_command(commands)
def trades(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
    side: Annotated[list[Side] | None, typer.Option(help="may be repeated")] = None,
    approval: Annotated[list[Approval] | None, typer.Option(help="may be repeated")] = None,
    ticker: Annotated[str | None, typer.Option(help="of this security alone")] = None,
    portfolios: Annotated[
        list[str] | None,
        typer.Option("--portfolio", metavar="PORTFOLIO_ID", help="may be repeated"),
    ] = None,
    min_amount: Number = None,
    max_amount: Number = None,
    min_drift: Number = None,
    sort_by: Annotated[
        str, typer.Option("--sort-by", help="amount or drift, with - the greatest first")
    ] = "",
    limit: Most = 20,
) -> None:
    """List trades of a rebalance with their weights before and after, and their approval."""
    from serve_app.client import TradeFilter

    trade_filter = TradeFilter(
        side=[member.name for member in side or ()],
        approval=[member.name for member in approval or ()],
        ticker=ticker,
        portfolio_id=portfolios or (),
        min_amount=parse_decimal("--min-amount", min_amount, NUMBER),
        max_amount=parse_decimal("--max-amount", max_amount, NUMBER),
        min_drift=parse_decimal("--min-drift", min_drift, NUMBER),
    )
    size = min(limit, 1000)
    pages = client.list_trades(rebalance_id, trade_filter, sort_by=sort_by, limit=size)
    page = [*islice(pages, limit)]
    printer.print(page, lambda: _tabulate(client, rebalance_id, trade_filter, page))


def _tabulate(
    client: "Client", rebalance_id: str, trade_filter: "TradeFilter", page: "list[TradeDetail]"
) -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(
        client,
        portfolio_ids=[trade.portfolio_id for trade in page],
        security_ids=[trade.security_id for trade in page],
    )
    return tables.tabulate_reviewed_trades(
        page, client.read_trade_totals(rebalance_id, trade_filter), names
    )
