"""Holdings of portfolios from a frame with one row per holding, or one row per portfolio."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from optimization.column_names import find_field, is_cash
from optimization.domain.numbers import read_decimal
from optimization.errors import FrameError
from optimization.frames.cells import Cells
from optimization.frames.frame_columns import (
    FrameColumns,
    has_columns,
    is_missing,
    is_series,
    read_pairs,
)

ONLY_PORTFOLIO: Final = "portfolio"
"""Id of the portfolio of a frame without a column of portfolios."""

CASH_ONCE: Final = "the portfolio has another cash amount already: give its cash once"
HELD_TWICE: Final = (
    "the portfolio has this security in row {row} already: add them up, as in "
    "groupby([portfolio, security]).sum()"
)
NO_SECURITY: Final = (
    "no usual name of a column, and no price or target for a security of this name: rename the "
    "column or drop it"
)


@dataclass(slots=True)
class Account:
    """Cash and holdings of one portfolio, with the row of each holding."""

    cash: Decimal | None = None
    holdings: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    rows: dict[str, int] = field(default_factory=dict[str, int])

    def set_cash(self, amount: Decimal) -> bool:
        """Set the cash; False if it has another amount already."""
        # An equal amount is accepted, because exports repeat the cash on every row.
        if self.cash is not None and self.cash != amount:
            return False
        self.cash = amount
        return True


Accounts = dict[str, Account]


def read_holdings(holdings: Any, known: Collection[str], cash: Any = None) -> tuple[Accounts, str]:
    """Read the accounts of a frame in the order of their first rows, and the kind of the frame.

    ``known`` are the securities with a price or a target: the columns of a wide frame. A mapping
    of numbers, or a Series, is one portfolio. ``cash`` is one amount, or amounts by portfolio.

    >>> accounts, _ = read_holdings({"VTI": 4, "CASH": 100}, {"VTI"})
    >>> accounts["portfolio"].cash, accounts["portfolio"].holdings
    (Decimal('100'), {'VTI': Decimal('4')})
    """
    if is_series(holdings):
        accounts, kind = _read_account(read_pairs(holdings, "holdings")), "pandas"
    elif isinstance(holdings, Mapping) and not has_columns(holdings):
        accounts, kind = _read_account(holdings), "dict"
    else:
        frame = FrameColumns.read(holdings, "holdings", _name_index)
        accounts, kind = _read_frame(frame, known), frame.kind
    if cash is not None:
        _add_cash(accounts, cash)
    return accounts, kind


def _name_index(headers: Sequence[object]) -> str:
    fields = {find_field(str(header)) for header in headers}
    # Rows with a quantity are holdings, because one row per portfolio has a column per security.
    return "security" if "quantity" in fields and "security" not in fields else "portfolio"


def _read_account(amounts: Mapping[str, Any]) -> Accounts:
    account = Account()
    for key, value in amounts.items():
        amount = read_decimal(value, ("holdings", key))
        if not is_cash(key):
            account.holdings[key] = amount
        elif not account.set_cash(amount):
            raise FrameError(f"{key} of holdings is {amount:f}: {CASH_ONCE}")
    return {ONLY_PORTFOLIO: account}


def _read_frame(frame: FrameColumns, known: Collection[str]) -> Accounts:
    fields = {find_field(header) for header in frame.headers}
    # A frame with a column for every known security is wide, because a security may have the
    # name of a field.
    is_long = bool(fields & {"security", "quantity"}) and not fields >= {
        "portfolio",
        "cash",
        *known,
    }
    accounts: Accounts = {}
    if is_long:
        cells = Cells.from_columns(frame, ("security", "quantity"), ("portfolio", "cash"))
        for row in range(len(frame)):
            _read_long(cells, row, accounts)
    else:
        cells = Cells.from_columns(frame, (), ("portfolio", "cash"))
        securities = _find_security_columns(cells, known)
        if len(frame) > 1 and not cells.has("portfolio"):
            rows = f"holdings has {len(frame):,} rows and no column of portfolios"
            raise FrameError(f"{rows}: add one with the header 'portfolio'")
        for row in range(len(frame)):
            _read_wide(cells, row, securities, accounts)
    cells.faults.raise_if_any()
    return accounts


def _find_account(cells: Cells, row: int, accounts: Accounts) -> Account | None:
    has_portfolios = cells.has("portfolio")
    portfolio = cells.read_identifier(row, "portfolio") if has_portfolios else ONLY_PORTFOLIO
    return None if portfolio is None else accounts.setdefault(portfolio, Account())


def _read_long(cells: Cells, row: int, accounts: Accounts) -> None:
    """Read a row with a holding, an amount of cash, or both."""
    account = _find_account(cells, row, accounts)
    if account is None:
        return
    _note_cash(cells, row, "cash", account)
    if cells.is_empty(row, "security") and cells.is_empty(row, "quantity"):
        return
    security = cells.read_identifier(row, "security")
    if security is not None and is_cash(security):
        _note_cash(cells, row, "quantity", account)
        return
    quantity = cells.read_number(row, "quantity")
    if security is not None and quantity is not None:
        _note_holding(cells, row, account, security, quantity)


def _note_cash(cells: Cells, row: int, name: str, account: Account) -> None:
    if cells.is_empty(row, name):
        return
    amount = cells.read_number(row, name)
    if amount is not None and not account.set_cash(amount):
        cells.faults.add(row, cells.frame.headers[cells.places[name]], amount, CASH_ONCE)


def _note_holding(
    cells: Cells, row: int, account: Account, security: str, quantity: Decimal
) -> None:
    if security in account.rows:
        rule = HELD_TWICE.format(row=account.rows[security])
        cells.faults.add(row, cells.frame.headers[cells.places["security"]], security, rule)
        return
    account.rows[security] = row
    account.holdings[security] = quantity


def _find_security_columns(cells: Cells, known: Collection[str]) -> dict[int, str]:
    """Find the columns of the securities of a wide frame, by place."""
    fields = set(cells.places.values())
    columns = {
        place: header for place, header in enumerate(cells.frame.headers) if place not in fields
    }
    for place, header in columns.items():
        # An empty column is accepted, because it contains no holding.
        if header not in known and not all(map(is_missing, cells.frame.values[place])):
            cells.faults.add_column(header, NO_SECURITY)
    cells.faults.raise_if_any()
    return columns


def _read_wide(cells: Cells, row: int, securities: Mapping[int, str], accounts: Accounts) -> None:
    account = _find_account(cells, row, accounts)
    if account is None:
        return
    if account.rows:
        header = cells.frame.headers[cells.places["portfolio"]]
        cells.faults.add(
            row, header, cells.read_identifier(row, "portfolio"), "a portfolio has one row"
        )
        return
    _note_cash(cells, row, "cash", account)
    for place, security in securities.items():
        account.rows[security] = row
        # Recorded for an empty cell too, because it detects a second row of the portfolio.
        if not is_missing(cells.frame.values[place][row]):
            quantity = cells.read_cell(row, place, read_decimal)
            if quantity is not None:
                account.holdings[security] = quantity


def _add_cash(accounts: Accounts, cash: Any) -> None:
    """Add the cash that is given apart from the frame."""
    if is_series(cash):
        cash = read_pairs(cash, "cash")
    if not isinstance(cash, Mapping):
        if len(accounts) != 1:
            rule = f"holdings has {len(accounts):,} portfolios: give cash by portfolio, a mapping"
            raise FrameError(f"cash is {cash!r}, but {rule}")
        cash = dict.fromkeys(accounts, cash)
    for portfolio, value in cash.items():
        amount = read_decimal(value, ("cash", str(portfolio)))
        # A new account, because a portfolio may have only cash.
        account = accounts.setdefault(str(portfolio), Account())
        if not account.set_cash(amount):
            raise FrameError(f"cash of {portfolio} is {amount:f}: {CASH_ONCE}")
