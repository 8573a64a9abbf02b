"""Confirmation before orders are sent: counts of the rebalance, and a question."""

import sys
from typing import TYPE_CHECKING, Final

import typer

from serve_app.cli.exit_codes import CommandError, Ending

if TYPE_CHECKING:
    from serve_app.client import Client
    from serve_app.client.responses.orders import OrderSubmission
    from serve_app.client.responses.trades import TradeTotals

NOBODY_THERE: Final = (
    "a hand-over sends orders and nobody is here to confirm it: add --yes to send them"
)


def require_person() -> None:
    """Raise CommandError unless a person at a terminal can confirm."""
    if not sys.stdin.isatty():
        raise CommandError(Ending.USAGE, NOBODY_THERE)


def confirm_hand_over(client: "Client", submission: "OrderSubmission") -> None:
    """Ask whether to send the orders of a rebalance; raise CommandError unless the answer is yes.

    Nothing is asked if every order is sent already.
    """
    if submission.status == "COMPLETE":
        return
    from serve_app.cli.output import show_spinner

    with show_spinner(f"counting {submission.number_of_transactions:,} transactions"):
        totals = client.read_trade_totals(submission.rebalance_id)
    typer.echo(f"Rebalance {submission.rebalance_id}, {describe_totals(totals)}", err=True)
    if sent := submission.counts["SENT"]:
        typer.echo(f"{_format_count(sent, 'order')} of it sent already", err=True)
    if not typer.confirm("Send the orders?", err=True):
        raise CommandError(Ending.REFUSED, "nothing was sent")


def describe_totals(totals: "TradeTotals") -> str:
    """Describe in one line what a hand-over would send."""
    number = totals.buys.transactions + totals.sells.transactions
    held = totals.held.transactions
    return (
        f"{_format_count(number, 'transaction')} of"
        f" {_format_count(totals.portfolios, 'portfolio')}:"
        f" buys {totals.buys.amount:,.2f}, sells {totals.sells.amount:,.2f}"
        f"{f' ({held:,} held back)' if held else ''}"
    )


def _format_count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
