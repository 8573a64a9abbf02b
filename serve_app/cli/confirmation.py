"""Question before orders are sent: counts of the rebalance, and yes or no."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final

import typer

from serve_app.cli.exit_codes import CommandError, Ending

if TYPE_CHECKING:
    from serve_app.client import Client
    from serve_app.client.models import OrderSubmission, TransactionLine

EXACT: Final = Context(prec=80)  # because 28 digits, the default, do not hold every sum
UNANSWERED: Final = (
    "a hand-over sends orders and nobody is here to confirm it: add --yes to send them"
)


@dataclass(slots=True)
class TradeTotals:
    """Counts and amounts of a trade list."""

    portfolios: set[str] = field(default_factory=set[str])
    transactions: int = 0
    amounts: dict[str, Decimal] = field(
        default_factory=lambda: {"BUY": Decimal(0), "SELL": Decimal(0)}
    )

    def add(self, line: "TransactionLine") -> None:
        """Count one transaction."""
        self.portfolios.add(line.portfolio_id)
        self.transactions += 1
        side = line.transaction_type
        self.amounts[side] = EXACT.add(self.amounts[side], line.amount)

    def __str__(self) -> str:
        return (
            f"{_count(self.transactions, 'transaction')} of"
            f" {_count(len(self.portfolios), 'portfolio')}:"
            f" buys {self.amounts['BUY']:,.2f}, sells {self.amounts['SELL']:,.2f}"
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
    totals = _totals(client.list_transactions(standing.rebalance_id), standing)
    typer.echo(f"Rebalance {standing.rebalance_id}, {totals}", err=True)
    if sent := standing.counts["SENT"]:
        typer.echo(f"{_count(sent, 'order')} of it sent already", err=True)
    if not typer.confirm("Send the orders?", err=True):
        raise CommandError(Ending.REFUSED, "nothing was sent")


def _totals(lines: "Iterable[TransactionLine]", standing: "OrderSubmission") -> TradeTotals:
    from serve_app.cli.output import show_spinner

    totals = TradeTotals()
    with show_spinner(f"counting {standing.number_of_transactions:,} transactions"):
        for line in lines:
            totals.add(line)
    return totals


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
