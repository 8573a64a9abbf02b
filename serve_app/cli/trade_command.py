"""Command that lists the trades of a rebalance under review."""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from serve_app.cli.arguments import (
    TIMEOUT_S,
    URL,
    AsJson,
    Most,
    RebalanceId,
    Timeout,
    Token,
    Url,
    Wide,
    client_of,
)
from serve_app.cli.exit_codes import one_line_errors

commands = typer.Typer()

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


@commands.command()
def trades(
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
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List trades of a rebalance with their weights before and after, and their approval."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        from serve_app.cli import tables
        from serve_app.cli.names import look_up_names
        from serve_app.cli.output import show, show_json
        from serve_app.client import TradeFilter

        wanted = TradeFilter(
            side=[each.name for each in side or ()],
            approval=[each.name for each in approval or ()],
            ticker=ticker,
            portfolio_id=portfolios or (),
            min_amount=_number("--min-amount", min_amount),
            max_amount=_number("--max-amount", max_amount),
            min_drift=_number("--min-drift", min_drift),
        )
        size = min(limit, 1000)
        pages = client.list_trades(rebalance_id, wanted, sort_by=sort_by, limit=size)
        found = [*islice(pages, limit)]
        if as_json:
            show_json(found)
            return
        named = [each.portfolio_id for each in found]
        ids = [each.security_id for each in found]
        names = look_up_names(client, portfolio_ids=named, security_ids=ids)
        totals = client.read_trade_totals(rebalance_id, wanted)
        show(tables.tabulate_reviewed_trades(found, totals, names), wide=wide)


def _number(name: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{name} is a number, such as 1000 or 0.05") from None
