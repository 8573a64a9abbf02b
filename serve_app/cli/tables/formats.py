"""Formats of amounts, weights, times and counts in tables."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction

from serve_app.cli.output import Percent

CENT = Decimal("0.01")
WIDE = Context(prec=80)  # because 28 digits, the default, do not hold the cents of every amount


def round_to_cents(amount: Decimal | None) -> Decimal | None:
    """Round an amount to cents."""
    return None if amount is None else amount.quantize(CENT, context=WIDE)


def compute_amount(quantity: Decimal | None, price: Decimal) -> Decimal | None:
    """Return the amount of a trade in cents; None without a trade."""
    return None if quantity is None else round_to_cents(WIDE.multiply(quantity, price))


def to_percent(weight: Decimal | Fraction | None) -> Percent | None:
    """Wrap a weight as a percentage."""
    return None if weight is None else Percent(weight)


def format_moment(moment: datetime | None) -> str:
    """Format a time to the minute; nothing for None."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def format_counts(counts: Mapping[str, int]) -> str:
    """Format counts by status in one line."""
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def format_status(status: str, error: Mapping[str, object] | None) -> str:
    """Format a status with the reason of an error."""
    return status if error is None else f"{status}: {error['detail']}"
