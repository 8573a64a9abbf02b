"""Question before orders are sent: counts of the rebalance, and yes or no."""

import sys
from typing import TYPE_CHECKING, Final

import typer

from serve_app.cli.exit_codes import CommandError, Ending

if TYPE_CHECKING:
    from serve_app.client import Client
    from serve_app.client.responses.orders import OrderSubmission
    from serve_app.client.responses.trades import TradeTotals

UNANSWERED: Final = (
    "a hand-over sends orders and nobody is here to confirm it: add --yes to send them"
)


def require_person() -> None:
    """Raise CommandError unless a person at a terminal can confirm."""
    if not sys.stdin.isatty():
        raise CommandError(Ending.USAGE, UNANSWERED)


def confirm_hand_over(client: "Client", standing: "OrderSubmission") -> None:
    """Ask whether to send the orders of a rebalance; raise CommandError unless the answer is yes.

    Nothing is asked if every order is sent already.
    """
    if standing.status == "COMPLETE":
        return
    from serve_app.cli.output import show_spinner

    with show_spinner(f"counting {standing.number_of_transactions:,} transactions"):
        totals = client.read_trade_totals(standing.rebalance_id)
    typer.echo(f"Rebalance {standing.rebalance_id}, {describe(totals)}", err=True)
    if sent := standing.counts["SENT"]:
        typer.echo(f"{_count(sent, 'order')} of it sent already", err=True)
    if not typer.confirm("Send the orders?", err=True):
        raise CommandError(Ending.REFUSED, "nothing was sent")


def describe(totals: "TradeTotals") -> str:
    """Tell in a line what a hand-over would send."""
    number = totals.buys.transactions + totals.sells.transactions
    held = totals.held.transactions
    return (
        f"{_count(number, 'transaction')} of {_count(totals.portfolios, 'portfolio')}:"
        f" buys {totals.buys.amount:,.2f}, sells {totals.sells.amount:,.2f}"
        f"{f' ({held:,} held back)' if held else ''}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
