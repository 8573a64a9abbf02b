"""Balances: rows of the accounting service's /balances and their sum for a portfolio.

A value that violates the contract raises one of serve_app.upstream.http_client.UNREADABLE.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

from optimization import EXACT
from serve_app.upstream.exact_values import read_decimal, read_integer, read_objects, read_text
from serve_app.upstream.holdings.source import Balance


class Row(NamedTuple):
    """Row of /balances; a row without a security is the cash of its portfolio."""

    row_id: int
    portfolio_id: str
    security_id: str | None
    net: Decimal


def read_rows(answer: Any, portfolio_id: str | None = None) -> tuple[list[Row], int]:
    """Read the rows of a page of /balances, and the total number of rows.

    With ``portfolio_id`` every row must belong to that portfolio.
    """
    rows = [_read_row(row, portfolio_id) for row in read_objects(answer["balances"])]
    return rows, read_integer(answer["pagination"]["total"])


def _read_row(row: Mapping[str, Any], expected_id: str | None) -> Row:
    portfolio_id = read_text(row.get("portfolioId", expected_id))
    if expected_id not in {None, portfolio_id}:
        raise ValueError("a row is that of another portfolio")
    security_id = row.get("securityId")
    net = EXACT.subtract(read_decimal(row["quantityLong"]), read_decimal(row["quantityShort"]))
    return Row(
        read_integer(row["id"]),
        portfolio_id,
        None if security_id is None else read_text(security_id),
        net,
    )


def sum_rows(portfolio_id: str, rows: Iterable[Row]) -> Balance:
    """Add up the rows of one portfolio."""
    rows = tuple(rows)
    cash = reduce(EXACT.add, (row.net for row in rows if row.security_id is None), Decimal(0))
    holdings = [(row.security_id, row.net) for row in rows if row.security_id is not None]
    return build_balance(portfolio_id, cash, holdings)


def build_balance(
    portfolio_id: str, cash: Decimal, holdings: Sequence[tuple[str, Decimal]]
) -> Balance:
    """Make a balance without holdings of zero; ValueError for a duplicate security."""
    if len(dict(holdings)) < len(holdings):
        raise ValueError("a security is there twice")
    return Balance(
        portfolio_id, cash, {security: shares for security, shares in holdings if shares}
    )
