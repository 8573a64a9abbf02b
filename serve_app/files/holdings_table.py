"""Holdings from tables with a row for each holding, or a row for each portfolio."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from optimization import find_field, is_cash, is_identifier
from serve_app.files.columns import Columns, Currencies
from serve_app.files.faults import Faults, Place
from serve_app.files.table import Row, Table

LONG: Final = ("portfolio", "security", "quantity")
WIDE: Final = ("portfolio",)
ZERO: Final = Decimal(0)
# Columns of a wide table that hold notes, unless a security has the same name.
NOTES: Final = frozenset(
    {"", "name", "owner", "account name", "client name", "description", "note", "notes", "comment"}
    | {"comments", "date", "as of", "as of date", "total", "value", "market value", "total value"}
)
REPEATED_HEADER: Final = "two columns have this header"
NOT_A_SECURITY: Final = "this header is no usual name and no security with a price or a target"
HELD_TWICE: Final = "{portfolio} has {security} already, in {place}: give their sum in one row"


@dataclass(slots=True)
class Account:
    """Cash and holdings of one portfolio, with the places of both."""

    cash: Decimal | None = None
    cash_place: Place | None = None
    cash_from_column: bool = False
    holdings: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    rows: dict[str, Place] = field(default_factory=dict[str, Place])


Accounts = dict[str, Account]


def read_holdings(
    tables: Sequence[Table],
    is_known: Callable[[str], bool],
    faults: Faults,
    currencies: Currencies,
) -> Accounts:
    """Read the portfolios of all tables, in the order of their first rows.

    ``is_known`` tells whether a security has a price or a target.
    """
    accounts: Accounts = {}
    for table in tables:
        fields = {find_field(header) for header in table.headers}
        is_long = bool(fields & {"security", "quantity"})
        needs = LONG if is_long else WIDE
        columns = Columns.find(table, needs, ("cash", "currency"), faults, currencies)
        if columns is None:
            continue
        columns.require_units()
        if is_long:
            reader = _LongReader(columns, accounts)
        else:
            reader = _build_wide_reader(columns, accounts, is_known)
        for row in table.rows:
            reader.read(row)
    return accounts


@dataclass(slots=True)
class _LongReader:
    """Reader of a table with a row for each holding."""

    columns: Columns
    accounts: Accounts

    def read(self, row: Row) -> None:
        """Read a row; skip it after a fault."""
        columns = self.columns
        portfolio = columns.read_identifier(row, "portfolio")
        columns.note_currency(row)
        account = Account() if portfolio is None else self.accounts.setdefault(portfolio, Account())
        if columns.cell(row, "cash") is not None:
            _note_cash_column(columns, row, account)
            if columns.cell(row, "security") is None and columns.cell(row, "quantity") is None:
                return
        security = columns.read_identifier(row, "security")
        quantity = columns.read_amount(row, columns.places["quantity"])
        if portfolio is None or security is None or quantity is None:
            return
        place = columns.place(row, "quantity")
        if is_cash(security):
            _note_cash_row(columns, place, account, quantity)
        else:
            _note_holding(columns.faults, portfolio, account, security, quantity, place)


@dataclass(slots=True)
class _WideReader:
    """Reader of a table with a row for each portfolio and a column for each security."""

    columns: Columns
    accounts: Accounts
    securities: dict[int, str]

    def read(self, row: Row) -> None:
        """Read a row; a blank cell means that the security is not held."""
        columns = self.columns
        portfolio = columns.read_identifier(row, "portfolio")
        columns.note_currency(row)
        if portfolio is None:
            return
        if portfolio in self.accounts:
            columns.add_fault(row, "portfolio", "the portfolio has a row already")
            return
        account = self.accounts.setdefault(portfolio, Account())
        if columns.cell(row, "cash") is not None:
            _note_cash_column(columns, row, account)
        for place, security in self.securities.items():
            if row.cells[place] is None:
                continue
            quantity = columns.read_amount(row, place)
            if quantity is not None:
                at = columns.table.place(row, place)
                _note_holding(columns.faults, portfolio, account, security, quantity, at)


def _build_wide_reader(
    columns: Columns, accounts: Accounts, is_known: Callable[[str], bool]
) -> _WideReader:
    """Build the reader of a wide table; note headers that are no securities."""
    places, securities = set(columns.places.values()), dict[int, str]()
    for place, header in enumerate(columns.table.headers):
        if place in places:
            continue
        has_values = any(row.cells[place] is not None for row in columns.table.rows)
        if is_known(header):
            _note_column(columns, securities, place, header)
        elif has_values and (not header or header.casefold() not in NOTES):
            columns.faults.add(columns.table.header_place(place), header or None, NOT_A_SECURITY)
    columns.numeric = (*columns.numeric, *securities)
    return _WideReader(columns, accounts, securities)


def _note_column(columns: Columns, securities: dict[int, str], place: int, header: str) -> None:
    if header in securities.values():
        columns.faults.add(columns.table.header_place(place), header, REPEATED_HEADER)
    elif is_identifier(header):
        securities[place] = header


def _note_cash_column(columns: Columns, row: Row, account: Account) -> None:
    amount = columns.read_amount(row, columns.places["cash"])
    if amount is None:
        return
    if account.cash is None:
        account.cash, account.cash_place = amount, columns.place(row, "cash")
        account.cash_from_column = True
    elif not account.cash_from_column or account.cash != amount:
        columns.add_fault(row, "cash", f"the cash is {account.cash:f} in {account.cash_place}")


def _note_cash_row(columns: Columns, place: Place, account: Account, amount: Decimal) -> None:
    if account.cash is None:
        account.cash, account.cash_place = amount, place
    else:
        rule = f"the cash is {account.cash:f} in {account.cash_place}: give it once"
        columns.faults.add(place, f"{amount:f}", rule)


def _note_holding(
    faults: Faults,
    portfolio: str,
    account: Account,
    security: str,
    quantity: Decimal,
    place: Place,
) -> None:
    first = account.rows.setdefault(security, place)
    if first is not place:
        rule = HELD_TWICE.format(portfolio=portfolio, security=security, place=first)
        faults.add(place, f"{quantity:f}", rule)
    else:
        account.holdings[security] = quantity
