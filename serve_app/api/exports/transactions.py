"""Transactions of a stored rebalance as JSON, JSON lines and CSV.

Each writer turns pages of lines into text page by page, because a list may not fit into memory.
"""

import csv
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from io import StringIO
from typing import Annotated, NamedTuple, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from optimization import EXACT, Drift, PortfolioOutcome, Side
from serve_app.api.schemas.fields import (
    DateText,
    JsonNumber,
    ObjectIdentifier,
)
from serve_app.api.schemas.outcome_lines import TransactionType, derive_side
from serve_app.api.schemas.stored_fields import Identifier
from serve_app.json_text import encode, plain, whole, write_number
from serve_app.rules.evaluation import NO_RULES, RuleCheck

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Line(NamedTuple):
    """One transaction; ``amount`` is quantity times price, exact.

    The rules are those that the plan of the portfolio breaks, None if it was checked by none.
    """

    rebalance_id: str
    portfolio_id: str
    security_id: str
    transaction_type: Side
    quantity: int | Decimal
    price: Decimal
    amount: Decimal
    trade_date: str
    blocked_by: tuple[str, ...] | None = None
    warned_by: tuple[str, ...] | None = None


COLUMNS = Line._fields
Page = Sequence[Line]


class TransactionLine(TypedDict):
    """One transaction of a stored rebalance, with the price it was planned at."""

    rebalance_id: ObjectIdentifier
    portfolio_id: Identifier
    security_id: Identifier
    transaction_type: TransactionType
    quantity: JsonNumber
    price: JsonNumber
    amount: Annotated[JsonNumber, Field(description="quantity times price")]
    trade_date: DateText
    blocked_by: NotRequired[
        Annotated[list[str], Field(description="rules that hold the orders of the portfolio back")]
    ]
    warned_by: NotRequired[
        Annotated[list[str], Field(description="other rules that the plan of the portfolio breaks")]
    ]


def list_lines(
    rebalance_id: str,
    outcomes: Iterable[PortfolioOutcome],
    trade_date: str,
    rules: RuleCheck = NO_RULES,
    admits: Callable[[PortfolioOutcome, Drift], bool] | None = None,
) -> Iterator[Line]:
    """List the transactions of some portfolios that ``admits`` lets through, in their order."""
    for outcome in outcomes:
        broken = rules.list_broken(outcome) if rules else (None, None)
        for drift in outcome.drifts:
            side = derive_side(drift)
            if side is None or (admits is not None and not admits(outcome, drift)):
                continue
            quantity, price = whole(drift.trade_quantity), drift.security.price
            amount = EXACT.multiply(Decimal(quantity), price)
            security_id = drift.security.security_id
            trade = (side, quantity, price, amount)
            ids = rebalance_id, outcome.portfolio_id, security_id
            yield Line(*ids, *trade, trade_date, *broken)


async def json_array(pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
    """Write one JSON array."""
    yield b"["
    separator = b""
    async for page in pages:
        if page:
            yield separator + encode([line_json(line) for line in page])[1:-1]
            separator = b","
    yield b"]"


async def json_lines(pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
    """Write one JSON object per line, each line terminated."""
    async for page in pages:
        yield b"".join(encode(line_json(line)) + b"\n" for line in page)


async def csv_rows(pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
    """Write CSV (RFC 4180): a header, CR LF, decimals digit by digit."""
    yield _csv([COLUMNS])
    async for page in pages:
        yield _csv(_cells(line) for line in page)


def csv_text(lines: Iterable[Line]) -> bytes:
    """Write these lines as a complete table."""
    return _csv([COLUMNS, *map(_cells, lines)])


def escape_formula(text: str) -> str:
    """Quote text that a spreadsheet would take for a formula.

    >>> escape_formula("=1+1"), escape_formula("AAPL")
    ("'=1+1", 'AAPL')
    """
    return f"'{text}" if text.startswith(STARTS_A_FORMULA) else text


def line_json(line: Line) -> TransactionLine:
    """Build one transaction as JSON."""
    members: TransactionLine = {
        "rebalance_id": line.rebalance_id,
        "portfolio_id": line.portfolio_id,
        "security_id": line.security_id,
        "transaction_type": line.transaction_type,
        "quantity": write_number(line.quantity),
        "price": write_number(line.price),
        "amount": write_number(line.amount),
        "trade_date": line.trade_date,
    }
    if line.blocked_by is not None and line.warned_by is not None:
        members["blocked_by"], members["warned_by"] = [*line.blocked_by], [*line.warned_by]
    return members


def _cells(line: Line) -> list[str]:
    return [_cell(value) for value in line]


def _cell(value: str | int | Decimal | tuple[str, ...] | None) -> str:
    if value is None or isinstance(value, tuple):
        return escape_formula(join_names(value))
    return escape_formula(value) if isinstance(value, str) else plain(Decimal(value))


def join_names(names: tuple[str, ...] | None) -> str:
    """Write the names of rules into one cell."""
    return "; ".join(names or ())


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
